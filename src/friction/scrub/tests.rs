//! Secrets of every category, planted wherever they can stand, and what only looks like one.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[path = "../../../benches/friction/hostile.rs"]
mod hostile;

fn scrub(text: &str) -> (String, Counts) {
    let mut counts = Counts::default();
    let value = Raw::read(text.as_bytes()).unwrap_or_else(|| panic!("{text} is no JSON"));
    (Scrubber::default().scrub(value, &mut counts), counts)
}

fn scrub_value(value: &Value) -> Value {
    serde_json::from_str(&scrub(&value.to_string()).0).unwrap()
}

/// One text, without the quotes around it.
fn scrub_text(text: &str) -> String {
    scrub_value(&json!(text)).as_str().unwrap().to_owned()
}

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_";

/// A secret of every category, with its category.
const SECRETS: [(&str, &str); 43] = [
    (JWT, "jwt"),
    ("Bearer abcdefghijklmnop1234", "bearer"),
    ("bearer\tabcdefghijklmnop1234", "bearer"),
    ("Basic dXNlcjpwYXNzd29yZA==", "basic"),
    ("sk-abcdefghijklmnopqrstuvwx", "sk_key"),
    ("sk_live_abcdefghijklmnop", "sk_key"),
    ("AKIAIOSFODNN7EXAMPLE", "aws_key"),
    ("ASIAIOSFODNN7EXAMPLE", "aws_key"),
    ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "google_key"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "github_token"),
    ("github_pat_abcdefghijklmnopqrstuvwxyz", "github_token"),
    ("glpat-abcdefghijklmnopqrst", "gitlab_token"),
    ("xoxb-1234567890-abcdef", "slack_token"),
    ("glptt-abcdefghijklmnopqrst", "gitlab_token"),
    ("ghs_1234_abcdefghij.klmnopqrstuvwxyz", "github_token"),
    ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "npm_token"),
    ("hf_abcdefghijklmnopqrstuvwxyzabcdef", "huggingface_token"),
    ("rk_live_abcdefghijklmnop", "sk_key"),
    ("xoxe.xoxp-1-abcdefghijklmnop", "slack_token"),
    ("xapp-1-A0123-456789-abcdef", "slack_token"),
    ("SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyzabcdefghijk", "sendgrid_key"),
    ("ya29.a0AbcdefghijklmnopqrstU", "google_key"),
    ("whsec_abcdefghijklmnopqrstuvwxyz", "webhook_secret"),
    ("jane.doe+x@mail.example.com", "email"),
    ("jane%40example.com", "email"),
    ("j\u{f6}rg@m\u{fc}ller.de", "email"),
    ("\u{438}\u{432}\u{430}\u{43d}@\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}", "email"),
    ("1415-555-1234", "phone"),
    ("+49 (30) 901820-15", "phone"),
    ("+8613800138000", "phone"),
    ("GB82 WEST 1234 5698 7654 32", "iban"),
    ("DE89370400440532013000", "iban"),
    ("-----BEGIN PRIVATE KEY-----\\nMIIEow\\n-----END PRIVATE KEY-----", "private_key"),
    ("415-555-1234", "phone"),
    ("+1 415 555 1234", "phone"),
    ("(415) 555-1234", "phone"),
    ("4155551234", "phone"),
    ("+44 20 7946 0958", "phone"),
    ("4111111111111111", "cc"),
    ("4111 1111 1111 1111", "cc"),
    ("3782-822463-10005", "cc"),
    ("123-45-6789", "ssn"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "private_key"),
];

#[test]
fn each_category_is_found_and_counted() {
    for (secret, category) in SECRETS {
        let text = format!("before {secret} after");
        let (scrubbed, counts) = scrub(&json!(text).to_string());
        assert_eq!(scrubbed, format!("\"before [REDACTED:{category}] after\""), "{secret}");
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(category, 1)]);
    }
}

#[test]
fn what_only_looks_alike_stays() {
    let table = [
        "eyJ.eyJ",
        "eyJhbGci.only",
        "Bearer of news",
        "basic authentication is off",
        "task-abcdefghijklmnopqrstuvwxyz",
        "AKIAIOSFODNN7EXAMPL",
        "AKIAIOSFODNN7EXAMPLEX",
        "4111111111111112",
        "2026-11-21T00:32:58.430270Z",
        "019fedb9-89f5-724a-8e26-e31b08fd3557",
        "10.0.0.1",
        "user@localhost",
        "@example.com",
        "a@b.c",
        "12345678-1234-1234-1234-123456789012",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "https://example.com/a:b@c",
        "unexpected token: '}'",
        "a secret is a secret",
        "{not json",
        "1.0e5",
        "e83c5163316f89bfbde7d9ab23ca2e25604af290",
        "sha256:5ac478ee66ece169ea0e6c3bd54ef5617fd6a888b5bb48ad2751dcfcb8327348",
        "1763685178",
        "1763685178430270",
        "order 20261121000041555512340001",
        "+20261121 of a patch",
        "v1.2.3-rc.4",
        "00:1a:2b:3c:4d:5e",
        "#c0ffee",
        "npm_config_registry_of_the_whole_company",
        "https://example.com/?key=title&sort=desc",
        "https://example.com/?signature=none",
        "-- token is missing",
        "GB82WEST12345698765433",
        "ops@example",
    ];
    for text in table {
        assert_eq!(scrub_text(text), text);
    }
}

#[test]
fn values_are_known_by_the_name_before_them() {
    let table = [
        ("password=hunter2", "password=[REDACTED:field-password]"),
        ("?a=1&token=abc&b=2", "?a=1&token=[REDACTED:field-token]&b=2"),
        ("--api-key=abc x", "--api-key=[REDACTED:field-api_key] x"),
        ("GITHUB_TOKEN=abc", "GITHUB_TOKEN=[REDACTED:field-token]"),
        ("password: hunter2, x", "password: [REDACTED:field-password], x"),
        ("password := 'a b' x", "password := '[REDACTED:field-password]' x"),
        ("secret => \"a b\" x", "secret => \"[REDACTED:field-secret]\" x"),
        ("log {\"password\": \"p\\\"q\"} x", "log {\"password\": \"[REDACTED:field-password]\"} x"),
        ("log {\\\"ssn\\\": 123456789} x", "log {\\\"ssn\\\": [REDACTED:field-ssn]} x"),
        (
            "log {\\\"token\\\": \\\"a\\\\\\\"b\\\"} x",
            "log {\\\"token\\\": \\\"[REDACTED:field-token]\\\"} x",
        ),
        (
            "Authorization: Digest u=\nHost: x",
            "Authorization: [REDACTED:field-authorization]\nHost: x",
        ),
        ("password = null", "password = null"),
        ("password=+1 415 555 1234", "password=[REDACTED:field-password]"),
        ("token: Bearer abcdefghijklmnop1234 x", "token: [REDACTED:field-token] x"),
        (
            "key=1;private_key=-----BEGIN PRIVATE KEY----- MII -----END PRIVATE KEY----- x",
            "key=1;private_key=[REDACTED:field-private_key] x",
        ),
        (
            "x {\"token\": [1, {\"a\": \"]\"}], \"b\": 1}",
            "x {\"token\": [REDACTED:field-token], \"b\": 1}",
        ),
        ("curl --token abcdef -v", "curl --token [REDACTED:field-token] -v"),
        ("?sig=abcdefghijklmnop&b", "?sig=[REDACTED:field-signature]&b"),
        ("?X-Amz-Signature=abc", "?X-Amz-Signature=[REDACTED:field-signature]"),
        (
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YWJj==;EndpointSuffix=x",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=[REDACTED:field-access_key];EndpointSuffix=x",
        ),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = [REDACTED:field-access_key]",
        ),
        ("smtp.password=x", "smtp.password=[REDACTED:field-password]"),
        ("redis://:hunter2@h/0", "redis://[REDACTED:url_credentials]@h/0"),
        ("https://jane:pw@host/p", "https://[REDACTED:url_credentials]@host/p"),
        ("https://a:b@c:d@host:8/p", "https://[REDACTED:url_credentials]@host:8/p"),
    ];
    for (text, scrubbed) in table {
        assert_eq!(scrub_text(text), scrubbed);
    }
}

#[test]
fn everything_below_a_field_goes() {
    let table = [
        (
            json!({"password": "p", "Email": 5, "token": ["a", {"b": [1, true, null]}]}),
            json!({
                "password": "[REDACTED:field-password]",
                "Email": "[REDACTED:field-email]",
                "token": [
                    "[REDACTED:field-token]",
                    {"b": ["[REDACTED:field-token]", true, null]},
                ],
            }),
        ),
        (
            json!({"secret": {"email": "x", "y": "z"}, "after": "kept"}),
            json!({
                "secret": {"email": "[REDACTED:field-email]", "y": "[REDACTED:field-secret]"},
                "after": "kept",
            }),
        ),
        (
            json!({"ssn": 123_456_789, "card": 4_111_111_111_111_111_u64, "ms": 1_763_685_178_430_u64}),
            json!({
                "ssn": "[REDACTED:field-ssn]",
                "card": "[REDACTED:cc]",
                "ms": 1_763_685_178_430_u64,
            }),
        ),
    ];
    for (value, scrubbed) in table {
        assert_eq!(scrub_value(&value), scrubbed);
    }
}

#[test]
fn what_a_name_beside_it_names_goes() {
    let value = json!([
        {"name": "DB_PASSWORD", "value": "hunter2"},
        {"key": "Authorization", "value": ["x", 5]},
        {"name": "PATH", "value": "/bin"},
        {"value": "before", "name": "token"},
    ]);
    let scrubbed = json!([
        {"name": "DB_PASSWORD", "value": "[REDACTED:field-password]"},
        {"key": "Authorization", "value": [
            "[REDACTED:field-authorization]",
            "[REDACTED:field-authorization]",
        ]},
        {"name": "PATH", "value": "/bin"},
        {"name": "token", "value": "[REDACTED:field-token]"},
    ]);
    assert_eq!(scrub_value(&value), scrubbed, "maps are sorted: a name comes first");
}

#[test]
fn a_picture_keeps_its_bytes() {
    let data = "iVBORw0KGgoAAAANSUhEUgAA+4155551234/4155551234/".repeat(1000);
    let image =
        json!({"type": "image", "data": data, "text": format!("data:image/png;base64,{data}")});
    assert_eq!(scrub_value(&image), image);
}

#[test]
fn another_alphabet_does_not_hide_a_secret() {
    for text in [
        "\u{ff14}\u{ff11}\u{ff15}-555-1234",
        "\u{664}\u{661}\u{665} 555 1234",
        "415\u{a0}555\u{2011}1234",
        "jane\u{200b}@example.com",
        "to\u{212a}en=abcdefgh",
    ] {
        assert!(scrub_text(text).contains("[REDACTED:"), "{text}");
    }
    // Where nothing is hidden, nothing is spelled otherwise.
    let text = "\u{ff21}\u{a0}\u{2011} 415-555-1234";
    assert_eq!(scrub_text(text), "\u{ff21}\u{a0}\u{2011} [REDACTED:phone]");
}

#[test]
fn a_thousand_values_are_spelled_and_the_others_are_nothing() {
    let (scrubbed, counts) = scrub(&json!({"token": vec![1; 1002]}).to_string());
    assert_eq!(scrubbed.matches("[REDACTED:field-token]").count(), 1000);
    assert!(scrubbed.ends_with(",null,null]}"), "{scrubbed}");
    assert_eq!(counts.of("field:token"), 1002);
}

#[test]
fn json_within_a_text_is_scrubbed_like_json() {
    let inner = json!({"password": ["p"], "n": 1.50, "deeper": json!({"token": 7}).to_string()});
    let text = scrub_text(&inner.to_string());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["password"][0], "[REDACTED:field-password]");
    assert_eq!(value["deeper"], r#"{"token":"[REDACTED:field-token]"}"#);

    // Where there is nothing to hide, not a byte changes.
    let text = "{\"a\": NaN,\n \"b\": 1.50}";
    assert_eq!(scrub_text(text), text);
}

#[test]
fn names_are_scrubbed_and_stay_apart() {
    let (scrubbed, counts) = scrub(r#"{"a@example.com":1,"b@example.com":2}"#);
    assert_eq!(scrubbed, r#"{"[REDACTED:email]":1,"[REDACTED:email] 2":2}"#);
    assert_eq!(counts.of("email"), 2);
}

#[test]
fn spelling_does_not_hide_a_secret() {
    let escaped = |secret: &str| {
        let mut text = String::from("\"");
        for unit in secret.encode_utf16() {
            let _ = write!(text, "\\u{unit:04x}");
        }
        text + "\""
    };
    for (secret, category) in SECRETS {
        assert_eq!(scrub(&escaped(secret)).0, format!("\"[REDACTED:{category}]\""));
    }
    assert_eq!(
        scrub(r#"{"p\u0061ssword":"x"}"#).0,
        r#"{"p\u0061ssword":"[REDACTED:field-password]"}"#
    );
}

#[test]
fn what_is_not_touched_keeps_its_spelling() {
    let text = r#"{"a" : 1.00, "b":[1E5,-0, "\u0041\/"], "a":true}"#;
    assert_eq!(scrub(text).0, text);
}

#[test]
fn any_depth_is_scrubbed_or_left_out() {
    for depth in [9, 10, 11, 50, DEEPEST - 1, DEEPEST, DEEPEST + 1, 100_000] {
        let text = format!("{}\"jane@example.com\"{}", "[".repeat(depth), "]".repeat(depth));
        let (scrubbed, _) = scrub(&text);
        assert!(!scrubbed.contains("jane"), "at {depth}");
        serde_json::from_str::<Value>(&scrubbed).unwrap();
    }
}

#[test]
fn an_operators_rules_come_on_top() {
    let custom = Custom::parse(
        "[[rule]]\nname = 'employee'\npattern = 'EMP-[0-9]{6}'\n\
         [[rule]]\nname = 'badge'\nkeys = ['Badge-Number']",
    );
    let rules = Scrubber::new(custom.unwrap());
    let mut counts = Counts::default();
    let text = br#"{"x":"EMP-123456 a@example.com EMP-1","badge_number":[7]}"#;
    let scrubbed = rules.scrub(Raw::read(text).unwrap(), &mut counts);
    assert_eq!(
        scrubbed,
        r#"{"x":"[REDACTED:employee] [REDACTED:email] EMP-1","badge_number":["[REDACTED:field-badge]"]}"#
    );
    let counts: Vec<_> = counts.iter().collect();
    assert_eq!(counts, [("email", 1), ("employee", 1), ("field:badge", 1)]);
}

/// Counts no time: a quadratic scanner would not come back here for minutes.
#[test]
fn hostile_texts_come_back() {
    for (_, text) in hostile::texts(1 << 16) {
        scrub_text(&text);
    }
    for (_, text) in hostile::documents(1 << 16) {
        scrub(&text);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[a-z@.:=\"\\\\{}\\[\\]0-9 -]{0,40}".prop_map(Value::from),
    ];
    let name = prop_oneof!["[a-zA-Z_]{0,8}", Just("password".to_owned()), "[a-z@.]{0,12}"];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner.clone(), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// Puts a value at the place that `path` leads to, wherever that is.
fn plant(value: Value, secret: &Value, path: &[u8]) -> Value {
    let Some((&step, path)) = path.split_first() else {
        return secret.clone();
    };
    match value {
        Value::Array(mut elements) => {
            let at = usize::from(step) % (elements.len() + 1);
            elements.insert(at, plant(Value::Null, secret, path));
            Value::Array(elements)
        }
        Value::Object(mut members) => {
            members.insert(format!("k{step}"), plant(Value::Null, secret, path));
            Value::Object(members)
        }
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            let planted = plant(Value::Null, secret, path);
            match step % 3 {
                0 => json!([leaf, planted]),
                1 => json!({"a": leaf, "b": planted}),
                _ => json!({"text": json!([leaf, planted]).to_string()}),
            }
        }
    }
}

proptest! {
    #[test]
    fn scrubbing_yields_valid_json_that_has_not_grown_without_bound(value in any_json()) {
        let text = value.to_string();
        let (scrubbed, _) = scrub(&text);
        prop_assert!(serde_json::from_str::<Value>(&scrubbed).is_ok(), "{}", scrubbed);
        prop_assert!(scrubbed.len() <= 6 * text.len() + GROWTH);
    }

    #[test]
    fn what_was_scrubbed_stays_and_as_much_is_counted_as_is_gone(value in any_json()) {
        let (once, counts) = scrub(&value.to_string());
        prop_assert_eq!(once.matches("[REDACTED:").count() as u64, counts.total());
        let (twice, again) = scrub(&once);
        prop_assert_eq!(twice, once);
        prop_assert_eq!(again, Counts::default());
    }

    #[test]
    fn any_bytes_that_are_read_become_valid_json(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\u0e1 @.=-".to_vec())], 0..60,
    )) {
        if let Some(value) = Raw::read(&bytes) {
            let scrubbed = Scrubber::default().scrub(value, &mut Counts::default());
            prop_assert!(serde_json::from_str::<Value>(&scrubbed).is_ok(), "{}", scrubbed);
            prop_assert!(!scrubbed.contains(['\n', '\r']));
        }
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands(
        value in any_json(),
        nth in 0..SECRETS.len(),
        path in prop::collection::vec(any::<u8>(), 0..6),
        before in "([a-z]{0,6} |[(\"'/,;<>|#\n\u{6f22}\u{3002}\u{e9}] ?|)",
        after in "( [a-z]{0,6}|[)\"',;<>|\n\u{6f22}\u{3002}]|, |)",
        is_name: bool,
    ) {
        let (secret, _) = SECRETS[nth];
        let text = format!("{before}{secret}{after}");
        let secret_part = if is_name { json!({text: 1}) } else { json!(text) };
        let planted = plant(value, &secret_part, &path);
        let scrubbed = scrub(&planted.to_string()).0;
        let core: String = secret.chars().skip(secret.chars().count() / 2).collect();
        prop_assert!(!scrubbed.contains(&core), "{} in {}", secret, scrubbed);
    }

    #[test]
    fn a_field_is_found_wherever_it_stands(
        value in any_json(),
        path in prop::collection::vec(any::<u8>(), 0..6),
        secret in "[A-Z]{12}",
    ) {
        let planted = plant(value, &json!({"password": {"x": [secret.clone()]}}), &path);
        let scrubbed = scrub(&planted.to_string()).0;
        prop_assert!(!scrubbed.contains(&secret), "{}", scrubbed);
    }
}
