//! `thoth-config.json`: its schema, its page, and the program, held against each other.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use thoth::config::keys::{ALIASES, ALL, ALSO, Also, Key, Kind, Of};
use thoth::config::layers::Layers;
use thoth::policy::pack::PACKS;

const SCHEMA: &str = "docs/thoth-config.schema.json";
const PAGE: &str = "docs/managed-configuration.md";

/// The schema as the table of keys has it.
fn schema() -> Value {
    let mut properties = Map::new();
    properties.insert("$schema".into(), json!({ "description": "for editors" }));
    properties.insert(
        "allowed_paths".into(),
        json!({ "description": "accepted and not used: write rules instead" }),
    );
    let names: Vec<_> = ["*"].into_iter().chain(ALL.iter().map(|key| key.name)).collect();
    properties.insert(
        "locked".into(),
        json!({
            "description": "the keys that no flag, no variable and no profile can say anything else \
                            about; \"all\" is every key but agent_id. In the managed file only",
            "anyOf": [
                { "const": "all" },
                { "type": "array", "items": { "enum": names } },
            ],
        }),
    );
    for key in ALL {
        let mut property = of_kind(key.kind);
        property["description"] = key.meaning().replace('`', "").into();
        properties.insert(key.name.into(), property);
    }
    let one_of: Vec<_> =
        ALIASES.iter().map(|(one, other)| json!({ "not": { "required": [one, other] } })).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "thoth-config.json",
        "description": "The managed configuration of thoth, and the profile's. See \
                        managed-configuration.md.",
        "type": "object",
        "additionalProperties": false,
        "allOf": one_of,
        "properties": properties,
    })
}

fn of_kind(kind: Kind) -> Value {
    let text = r"^[^\s\p{Cc}]([^\p{Cc}]*[^\s\p{Cc}])?$";
    let entry = r"^[^\s\p{Cc},]([^\p{Cc},]*[^\s\p{Cc},])?$";
    let path = r"^(/|\\|[A-Za-z]:[\\/])([^\p{Cc}]*[^\s\p{Cc}])?$";
    let packs = PACKS.map(|pack| pack.name);
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::List => json!({
            "anyOf": [
                { "type": "string", "pattern": text },
                {
                    "type": "array",
                    "minItems": 1,
                    "items": { "type": "string", "pattern": entry },
                },
            ],
        }),
        Kind::Command => json!({
            "anyOf": [
                { "type": "string", "pattern": text },
                { "type": "array", "minItems": 1, "items": { "type": "string", "pattern": text } },
            ],
        }),
        Kind::Number { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Object => json!({ "type": "object" }),
        Kind::Path { .. } => json!({ "type": "string", "pattern": path }),
        Kind::Policies => json!({
            "type": "array",
            "minItems": 1,
            "items": { "anyOf": [{ "enum": packs }, { "type": "string", "pattern": path }] },
        }),
        Kind::Secret => json!({ "not": {} }),
        Kind::Text => json!({ "type": "string", "pattern": text }),
        Kind::Word(rows) => {
            let words: Vec<_> = rows.iter().flat_map(|row| row.iter()).collect();
            json!({ "enum": words })
        }
    }
}

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema()).unwrap());

/// Whether the program can use a managed file of this text.
fn is_taken(text: &str) -> bool {
    Layers::of_text(Some(text.as_bytes()), None).problems().is_empty()
}

/// Compares a document with what it should be, and leaves that where it can be copied from.
fn hold(document: &str, expected: &str) {
    if fs::read_to_string(document).unwrap() != expected {
        let name = Path::new(document).file_name().unwrap();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, expected).unwrap();
        panic!("{document} is out of date; as it should be, it is in {}", path.display());
    }
}

#[test]
fn the_published_schema_is_that_of_the_program() {
    hold(SCHEMA, &(serde_json::to_string_pretty(&schema()).unwrap() + "\n"));
    jsonschema::meta::validate(&schema()).unwrap();
}

#[test]
fn schema_and_program_take_and_refuse_the_same_files() {
    let pin = "ab".repeat(32);
    for (text, is_fine) in [
        ("{}".to_owned(), true),
        (
            r#"{"tenant_id": "acme", "apex_domain": "example.com", "environment": "production"}"#
                .into(),
            true,
        ),
        (
            r#"{"$schema": "./thoth-config.schema.json", "allowed_paths": {"macos": "/Users/a"}}"#
                .into(),
            true,
        ),
        (r#"{"policy": ["/etc/thoth/rules.toml", "baseline"], "locked": ["policy"]}"#.into(), true),
        (r#"{"locked": "all"}"#.into(), true),
        (r#"{"locked": ["*"]}"#.into(), true),
        (r#"{"locked": []}"#.into(), true),
        (r#"{"locked": ["api_key"]}"#.into(), true),
        (format!(r#"{{"tls_pinned_cert_sha256": "sha256:{pin}"}}"#), true),
        (format!(r#"{{"tls_pinned_cert_sha256": ["{pin}", "spki-sha256:{pin}"]}}"#), true),
        (r#"{"heartbeat_interval_seconds": 60.0}"#.into(), true),
        (r#"{"task_context_json": {}}"#.into(), true),
        ("[]".into(), false),
        (r#"{"Environment": "prod"}"#.into(), false),
        (r#"{"environment": "test"}"#.into(), false),
        (r#"{"environment": "PROD"}"#.into(), false),
        (r#"{"environment": "prod", "env": "prod"}"#.into(), false),
        (r#"{"api_key": "k"}"#.into(), false),
        (r#"{"policy": "/etc/thoth/rules.toml"}"#.into(), false),
        (r#"{"policy": ["rules.toml"]}"#.into(), false),
        (r#"{"policy": ["./rules.toml"]}"#.into(), false),
        (r#"{"policy": []}"#.into(), false),
        (r#"{"locked": ["everything"]}"#.into(), false),
        (r#"{"locked": "policy"}"#.into(), false),
        (r#"{"locked": true}"#.into(), false),
        (r#"{"tls_verify": "true"}"#.into(), false),
        (r#"{"heartbeat_interval_seconds": "60"}"#.into(), false),
        (r#"{"heartbeat_interval_seconds": 0}"#.into(), false),
        (r#"{"heartbeat_interval_seconds": 1.5}"#.into(), false),
        (r#"{"tenant_id": ""}"#.into(), false),
        (r#"{"tenant_id": " a"}"#.into(), false),
        (r#"{"tenant_id": "a\nb"}"#.into(), false),
        (r#"{"tenant_id": null}"#.into(), false),
        (r#"{"task_context_json": "{}"}"#.into(), false),
        (r#"{"approved_scope": ["a,b"]}"#.into(), false),
        (r#"{"approved_scope": []}"#.into(), false),
        (r#"{"home_dir": "/srv"}"#.into(), false),
    ] {
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((VALIDATOR.is_valid(&value), is_taken(&text)), (is_fine, is_fine), "{text}");
    }
}

#[test]
fn the_program_refuses_more_than_a_schema_can_see() {
    let twice = r#"{"environment": "prod", "environment": "dev"}"#;
    assert!(VALIDATOR.is_valid(&serde_json::from_str(twice).unwrap()) && !is_taken(twice));
}

fn any_value() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        " ",
        "a",
        " a",
        "a ",
        "a b",
        "a,b",
        ",",
        "a\u{7}",
        "\u{a0}",
        "prod",
        "production",
        "dev",
        "block",
        "allow",
        "step_up",
        "observe",
        "return",
        "wait",
        "hash",
        "required",
        "best-effort",
        "jamf",
        "warn",
        "text",
        "json",
        "error",
        "all",
        "*",
        "/etc/x",
        "/",
        "./x",
        "baseline",
        "filesystem",
        "tenant_id",
        "policy",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..100_000).prop_map(Value::from),
        prop::sample::select(vec![0.5, 60.0, 1e9, 1e300]).prop_map(Value::from),
        texts.prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_file_is_taken_by_one_and_refused_by_the_other(
        members in prop::collection::btree_map(
            prop::sample::select(
                ALL.iter().map(|key| key.name).chain(["locked", "$schema", "x"]).collect::<Vec<_>>(),
            ),
            any_value(),
            0..3,
        ),
    ) {
        let value: Value = members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let text = value.to_string();
        prop_assert_eq!(VALIDATOR.is_valid(&value), is_taken(&text), "{}", text);
    }
}

fn page() -> String {
    fs::read_to_string(PAGE).unwrap()
}

#[test]
fn the_page_lists_every_key_and_what_goes_together() {
    let mut tables = [also(), keys()].into_iter();
    let mut expected = Vec::new();
    let mut is_ours = false;
    for line in page().lines().filter(|line| !line.starts_with("| `")) {
        expected.push(line.to_owned());
        is_ours |= line.starts_with("| a lock on |") || line.starts_with("| key |");
        if is_ours && line.starts_with("|---") {
            expected.extend(tables.next().unwrap());
            is_ours = false;
        }
    }
    assert!(tables.next().is_none(), "the page has both tables");
    hold(PAGE, &(expected.join("\n") + "\n"));
}

fn also() -> Vec<String> {
    let row = |row: &Also| {
        let also: Vec<_> = row.also.iter().map(|key| format!("`{key}`")).collect();
        format!("| `{}` | {} | {} |", row.key, also.join(", "), row.why)
    };
    ALSO.iter().map(row).collect()
}

fn keys() -> Vec<String> {
    ALL.iter().map(row).collect()
}

fn row(key: &Key) -> String {
    let written = match key.of {
        Of::Variable(variable) => variable.name,
        Of::Flag { name, .. } => name,
    };
    let kind = match key.kind {
        Kind::Boolean => "true or false".to_owned(),
        Kind::Command => "a program and its arguments: a list of texts, or one text".to_owned(),
        Kind::List => "a list of texts, or one text with commas".to_owned(),
        Kind::Number { least, most } => format!("{least} to {most}"),
        Kind::Object => "an object".to_owned(),
        Kind::Path { governs: true } => "an absolute path; the file must be root's, too".to_owned(),
        Kind::Path { governs: false } => "an absolute path".to_owned(),
        Kind::Policies => "a list of absolute paths and names of packs".to_owned(),
        Kind::Secret => "never a value; can be locked".to_owned(),
        Kind::Text => "a text".to_owned(),
        Kind::Word(rows) => {
            let words: Vec<_> = rows.iter().map(|row| row.join(" = ")).collect();
            words.join(", ")
        }
    };
    format!("| `{}` | `{written}` | {kind} |", key.name)
}

#[test]
fn the_examples_of_the_page_are_taken_by_both() {
    let page = page();
    let examples: Vec<_> = page.split("```json\n").skip(1).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let example = example.split("```").next().unwrap();
        let value: Value = serde_json::from_str(example).unwrap();
        assert!(VALIDATOR.is_valid(&value), "{example}");
        assert!(is_taken(example), "{example}");
    }
}

#[test]
fn the_page_names_where_the_file_lies() {
    let page = page();
    for path in [
        "/Library/Application Support/Thoth/thoth-config.json",
        "/etc/thoth/thoth-config.json",
        r"C:\ProgramData\Thoth\thoth-config.json",
        thoth::config::layers::MANAGED,
    ] {
        assert!(page.contains(path), "{path}");
    }
}
