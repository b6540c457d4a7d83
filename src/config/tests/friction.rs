//! Where friction events go, and what must be said before they leave.

use std::fs;

use super::{RIGHT, config, reading, refused};
use crate::config::settings::Friction;
use crate::friction::event::{Form, Principal, Wire};
use crate::friction::inject::{Additions, Mode};
use crate::friction::pseudonym::pseudonym;
use crate::seal::Mac;

const SINK: &str = "BATON_EVENT_SINK";
const LABELS: [(&str, &str); 3] =
    [("BATON_CONSENT_TOKEN", "yes"), ("BATON_VENDOR_ID", "files"), ("BATON_API_KEY", "k")];

fn friction(env: &[(&str, &str)]) -> Option<Friction> {
    config(&[], env).friction
}

fn places(friction: &Friction) -> String {
    friction.sinks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_variable_of_friction_arrives() {
    let friction = friction(RIGHT).unwrap();
    assert_eq!(places(&friction), "stderr: https://c.example");
    assert_eq!(friction.tenant_id, "ten_1");
    assert_eq!(friction.vendor_id, "files");
    assert_eq!(friction.consent_token, "consented");
    assert_eq!(friction.wire, Wire::W2);
    let who = pseudonym(&Mac::new(b"hmac-secret"), "ten_1", "a@example.com", None);
    assert_eq!(friction.principal, Principal::new(&who, Form::Hashed));
    let additions = friction.additions.unwrap();
    assert_eq!(additions.words.annotate(), "files_annotate");
    assert_eq!(additions.mode, Mode::Optional);
    assert!(additions.proactive);
    let key = friction.api_key.unwrap().standing();
    assert_eq!((&*key.name, &*key.source), ("friction_api_key", "BATON_API_KEY"));
}

#[test]
fn without_a_place_there_are_no_events() {
    assert!(friction(&[]).is_none());
    assert!(friction(&LABELS).is_none());
    let file = [(SINK, "file:///x"), ("BATON_DISABLED", "")];
    let local = friction(&file).unwrap();
    assert_eq!(
        (&*local.tenant_id, &*local.vendor_id, &*local.consent_token),
        ("local", "local", "local")
    );
    for (word, is_off) in [
        ("1", true),
        ("yes", true),
        ("anything", true),
        ("0", false),
        ("FALSE", false),
        ("no", false),
        ("Off", false),
    ] {
        let off = friction(&[(SINK, "stderr:"), ("BATON_DISABLED", word)]).is_none();
        assert_eq!(off, is_off, "{word}");
    }
}

#[test]
fn a_dsn_says_what_is_not_said_otherwise() {
    let dsn = ("BATON_DSN", "https://baton_pk_1@c.example/ten_0123abcd/shelf");
    let consent = ("BATON_CONSENT_TOKEN", "yes");
    let all = friction(&[dsn, consent]).unwrap();
    assert_eq!(places(&all), "https://c.example");
    assert_eq!((&*all.tenant_id, &*all.vendor_id), ("ten_0123abcd", "shelf"));
    assert_eq!(all.api_key.unwrap().standing().source, "BATON_DSN");
    let own = [dsn, consent, (SINK, "stderr:"), ("BATON_TENANT_ID", "t"), ("BATON_API_KEY", "k")];
    let own = friction(&own).unwrap();
    assert_eq!((places(&own).as_str(), &*own.tenant_id), ("stderr:", "t"));
    assert_eq!(own.api_key.unwrap().standing().source, "BATON_API_KEY");
    let told = refused(&[], &[("BATON_DSN", "https://hunter2@c.example")]);
    assert!(told.contains("BATON_DSN: is no DSN") && !told.contains("hunter2"), "{told}");
}

#[test]
fn nothing_goes_to_a_collector_without_consent_vendor_and_key_in_whatever_case() {
    for place in [
        "https://c.example",
        "HTTPS://c.example",
        "HtTp://localhost:1",
        "stderr:,https://c.example",
    ] {
        assert!(friction(&[&[(SINK, place)], &LABELS[..]].concat()).is_some(), "{place}");
        for (left_out, _) in LABELS {
            let rest = LABELS.iter().filter(|(name, _)| *name != left_out).copied();
            let env: Vec<_> = rest.chain([(SINK, place)]).collect();
            let told = refused(&[], &env);
            assert!(told.contains(&format!("{left_out}: is ")), "{told}");
            let blank: Vec<_> = env.iter().copied().chain([(left_out, " ")]).collect();
            assert!(refused(&[], &blank).contains(left_out));
        }
        let all = refused(&[], &[(SINK, place), ("BATON_CONSENT_TOKEN", "LOCAL")]);
        assert_eq!(all.lines().count(), 4, "all at once: {all}");
    }
}

#[test]
fn a_place_that_cannot_be_used_is_a_problem_and_is_not_shown() {
    for place in ["http://c.example", "HTTP://c.example", "s3://bucket", "file:x", "hunter2", ","] {
        let env = [&[(SINK, place)], &LABELS[..]].concat();
        let told = refused(&[], &env);
        assert!(told.contains("BATON_EVENT_SINK: ") && !told.contains("hunter2"), "{told}");
    }
    // What is switched off is not judged.
    assert!(friction(&[(SINK, "hunter2"), ("BATON_DISABLED", "1")]).is_none());
}

#[test]
fn nothing_secret_is_shown() {
    let reading = reading(&[], RIGHT);
    let shown = format!("{:?}", reading.shown());
    for secret in ["baton_sk_1", "baton_pk_1", "consented", "hmac-secret"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

/// What comes of it: no friction, events alone, or additions, too; and where events go.
fn outcome(words: &[&str], env: &[(&str, &str)]) -> String {
    match config(words, env).friction {
        None => "off".to_owned(),
        Some(friction) => {
            let switch = if friction.additions.is_some() { "on" } else { "events" };
            format!("{switch} {}", places(&friction))
        }
    }
}

/// Flags, variables, and what comes of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], String);

#[test]
fn whether_there_is_friction() {
    const OWN: &str = "file:///home/a/.thoth/friction/events.jsonl";
    let switch = |word| ("THOTH_FRICTION", word);
    let (place, no) = ((SINK, "stderr:"), ("BATON_DISABLED", "1"));
    let own = |switch: &str| format!("{switch} {OWN}");
    let cases: [Case<'_>; 13] = [
        (&[], &[], "off".into()),
        (&[], &[place], "on stderr:".into()),
        (&["--friction=on"], &[], own("on")),
        (&["--friction=Events"], &[], own("events")),
        (&[], &[switch("on")], own("on")),
        (&[], &[switch("EVENTS"), place], "events stderr:".into()),
        (&[], &[switch("off"), place], "off".into()),
        (&["--friction=off"], &[switch("on"), place], "off".into()),
        (&["--friction=on"], &[switch("off"), place], "on stderr:".into()),
        (&["--friction=on"], &[no], "off".into()),
        (&["--friction=on"], &[("BATON_DISABLED", "off")], own("on")),
        (&["--friction=on"], &[(SINK, " ")], own("on")),
        // What is off is not judged.
        (&["--friction=off"], &[(SINK, "hunter2"), ("BATON_WIRE", "w9")], "off".into()),
    ];
    for (words, env, expected) in cases {
        assert_eq!(outcome(words, env), expected, "{words:?} {env:?}");
    }
}

#[test]
fn what_is_said_of_friction_is_shown_as_what_it_comes_to() {
    let shown = |words: &[&str], env: &[(&str, &str)], name: &str| {
        let reading = reading(words, env);
        let found = reading.shown().iter().filter(|shown| shown.name == name).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{name} is shown once");
        format!("{} ({})", found[0].value, found[0].origin)
    };
    let place = [(SINK, "stderr:")];
    assert_eq!(shown(&[], &place, "THOTH_FRICTION"), "on (BATON_EVENT_SINK)");
    assert_eq!(shown(&["--friction=events"], &[], "THOTH_FRICTION"), "events (--friction)");
    let own = "file:///home/a/.thoth/friction/events.jsonl (default)";
    assert_eq!(shown(&["--friction=on"], &[], SINK), own);
}

#[test]
fn invalid_words_are_told_all_at_once_and_never_shown() {
    let told = refused(
        &[],
        &[
            (SINK, "stderr:"),
            ("BATON_WIRE", "hunter2"),
            ("BATON_INTENT_PARAM", "hunter2"),
            ("BATON_PROACTIVE", "hunter2"),
            ("BATON_TENANT_TYPE", "hunter2"),
            ("BATON_WHITE_LABEL", "hunter2"),
            ("THOTH_FRICTION", "hunter2"),
            ("BATON_SCRUB_RULES", "hunter2"),
        ],
    );
    assert_eq!(told.lines().count(), 8, "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

fn additions(env: &[(&str, &str)]) -> Additions {
    config(&["--friction=on"], env).friction.unwrap().additions.unwrap()
}

#[test]
fn what_is_added_by_default_and_on_request() {
    let default = additions(&[]);
    assert_eq!((default.mode, default.proactive), (Mode::Required, false));
    assert_eq!(default.words.annotate(), "baton_annotate");
    for (word, mode) in
        [("optional", Mode::Optional), ("REQUIRED", Mode::Required), ("off", Mode::Off)]
    {
        assert_eq!(additions(&[("BATON_INTENT_PARAM", word)]).mode, mode, "{word}");
    }
}

#[test]
fn the_tool_that_reports_is_there_where_a_file_is_and_the_session_is_ones_own() {
    let collector = "file:///x, https://c.example";
    let (vendor, customer) = (("BATON_TENANT_TYPE", "vendor"), ("BATON_TENANT_TYPE", "Customer"));
    for (place, tenant, is_there) in [
        ("", vendor, true),
        ("stderr:", customer, false),
        ("stderr:, file:///x", vendor, true),
        ("https://c.example", customer, false),
        (collector, vendor, false),
        (collector, customer, true),
    ] {
        let env = [&[(SINK, place), tenant], &LABELS[..]].concat();
        assert_eq!(additions(&env).report, is_there, "{place} {tenant:?}");
    }
}

#[test]
fn a_white_label_is_a_vendors_name_that_can_begin_a_tools() {
    let white = ("BATON_WHITE_LABEL", "yes");
    let named = |name| additions(&[white, ("BATON_VENDOR_ID", name)]).words.annotate();
    assert_eq!(named("acme-files"), "acme-files_annotate");
    for env in [&[white][..], &[white, ("BATON_VENDOR_ID", "Local")]] {
        let told = refused(&["--friction=on"], env);
        assert!(told.contains("BATON_VENDOR_ID: is not set, and BATON_WHITE_LABEL"), "{told}");
    }
    let told = refused(&["--friction=on"], &[white, ("BATON_VENDOR_ID", "acme files")]);
    assert!(told.contains("BATON_VENDOR_ID: cannot begin a tool's name"), "{told}");
    // Where nothing is added, nothing is named.
    let env = [white, ("BATON_VENDOR_ID", "acme files")];
    assert_eq!(outcome(&["--friction=events"], &env).split(' ').next(), Some("events"));
}

#[test]
fn events_say_who_only_by_a_pseudonym() {
    let user = ("THOTH_USER_ID", "user@example.com");
    let tenant = ("BATON_TENANT_ID", "acme");
    let principal =
        |env: &[(&str, &str)]| config(&["--friction=on"], env).friction.unwrap().principal;
    assert_eq!(principal(&[user, tenant]), None);
    assert_eq!(principal(&[("BATON_USER_ID_HMAC_KEY", "k"), tenant]), None);
    let expected = "h1:4367379acd74d0f43b251fbec3a635715052ed51fc2462b556e342b51bb9914b";
    let expected = Principal::new(expected, Form::Hashed);
    for name in ["BATON_USER_ID_HMAC_KEY", "BATON_PRINCIPAL_ID_HMAC_KEY"] {
        assert_eq!(principal(&[user, tenant, (name, "k")]), expected, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn scrubbing_rules_that_cannot_be_used_are_a_problem_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.toml");
    let text = path.to_str().unwrap();
    let env = [("BATON_SCRUB_RULES", text)];
    assert!(refused(&["--friction=on"], &env).contains("BATON_SCRUB_RULES: names no file"));
    assert_eq!(outcome(&["--friction=off"], &env), "off");
    for (rules, told) in [
        (
            "[[rule]]\nname = 1\n",
            "BATON_SCRUB_RULES, line 2, column 8: scrubbing rules cannot be read",
        ),
        (
            "[[rule]]\nname = 'A b'\nkeys = ['x']",
            "BATON_SCRUB_RULES, line 2: scrubbing rule \"A b\": its name",
        ),
        (
            "[[rule]]\nname = 'x'\npattern = '('",
            "BATON_SCRUB_RULES, line 2: scrubbing rule \"x\": its pattern",
        ),
        ("\u{0}", "BATON_SCRUB_RULES, line 1, column"),
    ] {
        fs::write(&path, rules).unwrap();
        let found = refused(&["--friction=on"], &env);
        assert!(found.contains(told), "{found}");
    }
    fs::write(&path, "[[rule]]\nname = 'employee'\npattern = 'EMP-[0-9]{6}'\n").unwrap();
    let scrub = config(&["--friction=on"], &env).friction.unwrap().scrub;
    assert!(format!("{scrub:?}").contains("employee"));
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let found = refused(&["--friction=on"], &env);
    assert!(found.contains("BATON_SCRUB_RULES: names a file that others can change"), "{found}");
}
