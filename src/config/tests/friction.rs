//! Where friction events go, and what must be said before they leave.

use super::{RIGHT, config, reading, refused};
use crate::config::settings::Friction;

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
    for place in ["http://c.example", "HTTP://c.example", "s3:", "file:x", "hunter2", ","] {
        let env = [&[(SINK, place)], &LABELS[..]].concat();
        let told = refused(&[], &env);
        assert!(told.contains("BATON_EVENT_SINK: ") && !told.contains("hunter2"), "{told}");
    }
    // What is switched off is not judged.
    assert!(friction(&[(SINK, "hunter2"), ("BATON_DISABLED", "1")]).is_none());
}

#[cfg(all(feature = "otlp", feature = "s3"))]
#[test]
fn buckets_and_opentelemetry_need_consent_and_vendor_but_no_key() {
    for place in ["S3://bucket/x", "OTLPS://c.example", "otlp://127.0.0.1"] {
        let told = refused(&[], &[(SINK, place)]);
        for name in ["BATON_CONSENT_TOKEN: ", "BATON_VENDOR_ID: "] {
            assert!(told.contains(name), "{place} {told}");
        }
        assert!(!told.contains("BATON_API_KEY: "), "{told}");
        assert!(friction(&[(SINK, place), LABELS[0], LABELS[1]]).is_some());
    }
}

#[test]
fn nothing_secret_is_shown() {
    let reading = reading(&[], RIGHT);
    let shown = format!("{:?}", reading.shown());
    for secret in ["baton_sk_1", "baton_pk_1", "consented"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}
