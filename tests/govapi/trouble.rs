//! A GovAPI that is down, slow or hostile: no call notices.

use std::time::{Duration, Instant};

use crate::fake::govapi::{CHECK_IN, FakeGovApi, REGISTER};
use crate::fake::{Certificate, Manner, Script};
use crate::sidecar::Setup;
use crate::{refused, remembered, reporting, until};

/// Calls flow while the GovAPI misbehaves; in the end the trouble is on record. The calls take part in the
/// test's own timeout only, but a session that waited for the GovAPI even once would take 10 s.
#[expect(clippy::disallowed_methods, reason = "this is about real time")]
fn calls_flow(setup: &Setup, trouble: &str) {
    let mut sidecar = setup.start();
    let from = Instant::now();
    for id in 1..=50 {
        assert_eq!(refused(&mut sidecar, id), None);
    }
    until("the trouble is remembered", || {
        remembered(setup.home.path())["last_error"]
            .as_str()
            .is_some_and(|why| why.contains(trouble))
    });
    for id in 51..=100 {
        assert_eq!(refused(&mut sidecar, id), None);
    }
    let before_the_end = Instant::now();
    assert_eq!(sidecar.ends(), 0);
    let (whole, end) = (from.elapsed(), before_the_end.elapsed());
    assert!(end < Duration::from_secs(9), "the end took {end:?} of {whole:?}");
}

#[test]
fn a_govapi_that_is_away_is_not_noticed() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake).variable("THOTH_GOVAPI_URL", "https://127.0.0.1:1");
    calls_flow(&setup, "cannot be reached");
    assert_eq!(remembered(setup.home.path())["registration_ok"], false);
}

#[test]
fn a_govapi_that_is_not_trusted_is_told_nothing() {
    let (fake, other) = (FakeGovApi::start(), FakeGovApi::start());
    let setup = reporting(&fake).variable("THOTH_TLS_CA_BUNDLE", other.ca().to_str().unwrap());
    calls_flow(&setup, "is not trusted");
    assert!(fake.seen("").is_empty());
}

#[test]
fn a_govapi_that_speaks_something_else_is_not_noticed() {
    for manner in [Manner::Garbage, Manner::NotHttp] {
        let fake = FakeGovApi::with(Certificate::Good, manner);
        calls_flow(&reporting(&fake), "cannot be reached");
    }
}

#[test]
fn a_govapi_that_never_answers_is_not_noticed() {
    let deaf = FakeGovApi::with(Certificate::Good, Manner::Deaf);
    let [hanging, slow] = [FakeGovApi::start(), FakeGovApi::start()];
    hanging.treats(REGISTER, [Script::Hang]);
    slow.treats(REGISTER, [Script::Slow(200)]);
    std::thread::scope(|scope| {
        for (fake, trouble) in [
            (&deaf, "cannot be reached"),
            (&hanging, "did not answer within 10 s"),
            (&slow, "did not end in time"),
        ] {
            scope.spawn(move || calls_flow(&reporting(fake), trouble));
        }
    });
    assert!(deaf.accepted() > 0);
}

#[test]
fn what_a_govapi_answers_cannot_hurt() {
    let answer = |status, body: &str| Script::Answer(status, body.to_owned());
    let elsewhere = ("location", "https://127.0.0.1:1/".to_owned());
    let deep = format!("{{\"directives\":{}", "[".repeat(60_000));
    for (script, trouble) in [
        (answer(500, "{\"directives\":{\"quarantine\":true}}"), "500"),
        (answer(403, "no"), "403"),
        (Script::AnswerWith(307, elsewhere.0, elsewhere.1.clone(), String::new()), "307"),
        (answer(200, "<html>welcome</html>"), "not a JSON object"),
        (answer(200, &deep), "not a JSON object"),
        (answer(200, &format!("{{\"x\":\"{}\"}}", "y".repeat(300_000))), "longer than"),
        (Script::Broken(200), "broke off"),
        (Script::HangUp, "cannot be reached"),
    ] {
        let fake = FakeGovApi::start();
        fake.treats(CHECK_IN, [script.clone()]);
        calls_flow(&reporting(&fake), trouble);
        assert!(fake.seen(REGISTER).len() == 1, "{script:?}");
    }
}

#[test]
fn a_registration_that_fails_is_tried_again() {
    let fake = FakeGovApi::start();
    let ok = Script::Answer(201, "{}".to_owned());
    fake.treats(REGISTER, [Script::Answer(503, String::new()), ok]);
    let setup = reporting(&fake);
    let sidecar = setup.start();
    fake.until(CHECK_IN, 2);
    assert_eq!(fake.seen(REGISTER).len(), 2);
    let state = remembered(setup.home.path());
    assert_eq!(state["registration_ok"], true);
    assert!(state["last_error"].is_null());
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn what_was_remembered_and_cannot_be_read_is_written_anew() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake);
    let run = setup.home.path().join("home/run");
    std::fs::create_dir_all(&run).unwrap();
    for folder in [run.parent().unwrap(), &run] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let path = run.join("endpoint.json");
    std::fs::write(&path, "{\"directives\": {\"quara").unwrap();
    let mut sidecar = setup.start();
    assert_eq!(refused(&mut sidecar, 1), None);
    fake.until(CHECK_IN, 2);
    assert_eq!(remembered(setup.home.path())["registration_ok"], true);
    assert_eq!(sidecar.ends(), 0);
}
