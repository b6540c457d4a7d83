//! What the GovAPI orders.

use serde_json::json;

use crate::fake::govapi::{CHECK_IN, FakeGovApi};
use crate::fake::{FakeEnforcer, Script};
use crate::{refused, remembered, reporting, until, until_refused};

const QUARANTINED: Option<&str> = Some("endpoint_quarantined");

#[test]
fn a_quarantine_blocks_every_call_of_every_sidecar_until_it_is_lifted() {
    let fake = FakeGovApi::start();
    let enforcing = reporting(&fake);
    let mut sidecars = vec![enforcing.start(), enforcing.start()];
    // In observe mode, and without a GovAPI of its own.
    let observing = crate::sidecar::Setup::deciding(&[], "allow")
        .flags(&["--enforcement-mode", "observe"])
        .variable("THOTH_HOME_DIR", enforcing.home.path().join("home").to_str().unwrap());
    sidecars.push(observing.start());
    for sidecar in &mut sidecars {
        assert_eq!(refused(sidecar, 1), None);
    }

    fake.orders(&json!({"quarantine": {"reason": "lost in Bern"}}));
    for sidecar in &mut sidecars {
        until_refused(sidecar, QUARANTINED);
    }
    fake.until(CHECK_IN, fake.seen(CHECK_IN).len() + 2);
    assert_eq!(fake.seen(CHECK_IN).last().unwrap().body["quarantined"], true);
    let state = remembered(enforcing.home.path());
    assert_eq!(state["directives"]["quarantine_reason"], "lost in Bern");

    fake.treats(CHECK_IN, [Script::Answer(200, "{}".to_owned())]);
    fake.until(CHECK_IN, fake.seen(CHECK_IN).len() + 2);
    for sidecar in &mut sidecars {
        assert_eq!(refused(sidecar, 2).as_deref(), QUARANTINED, "silence lifts nothing");
    }

    fake.orders(&json!({"quarantine": false}));
    for mut sidecar in sidecars {
        until_refused(&mut sidecar, None);
        assert_eq!(sidecar.ends(), 0);
    }
}

#[test]
fn a_quarantine_outlives_the_sidecar_and_the_govapi() {
    let fake = FakeGovApi::start();
    fake.orders(&json!({"quarantine": true}));
    let setup = reporting(&fake);
    let mut sidecar = setup.start();
    until_refused(&mut sidecar, QUARANTINED);
    until("it is remembered", || {
        remembered(setup.home.path())["directives"]["quarantined"] == true
    });
    assert_eq!(sidecar.ends(), 0);

    let away = setup.variable("THOTH_GOVAPI_URL", "https://127.0.0.1:1");
    let mut next = away.start();
    assert_eq!(refused(&mut next, 1).as_deref(), QUARANTINED, "its very first call");
    next.says(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    assert!(next.reads()["result"].is_object(), "what is no call passes");
    assert_eq!(next.ends(), 0);
}

#[test]
fn a_revoked_key_is_not_used_any_more() {
    let fake = FakeGovApi::start();
    let enforcer = fake.beside(FakeEnforcer::plain());
    let setup = reporting(&fake)
        .variable("THOTH_ENFORCER_URL", &enforcer.url())
        .variable("THOTH_API_KEY", "thoth_live_1")
        .variable("THOTH_API_KEY_ID", "key-1");
    let mut sidecar = setup.start();
    assert_eq!(refused(&mut sidecar, 1), None);
    fake.orders(&json!({"revoked_key_ids": ["key-0", "key-1"]}));
    until_refused(&mut sidecar, Some("api_key_revoked"));
    let asked = enforcer.seen().len();
    assert_eq!(refused(&mut sidecar, 2).as_deref(), Some("api_key_revoked"));
    assert_eq!(enforcer.seen().len(), asked, "nothing is sent with it");
    let seen = fake.until(CHECK_IN, fake.seen(CHECK_IN).len() + 2);
    assert_eq!(seen.last().unwrap().body["credentials"][0]["state"], "revoked");

    fake.orders(&json!({"revoked_key_ids": []}));
    until_refused(&mut sidecar, None);
    assert_eq!(sidecar.ends(), 0);
}

#[test]
fn the_other_directives_are_remembered() {
    let fake = FakeGovApi::start();
    fake.orders(&json!({"minimum_version": "99.0.0", "heartbeat_interval_seconds": 2}));
    let setup = reporting(&fake);
    let sidecar = setup.start();
    fake.until(CHECK_IN, 2);
    let directives = &remembered(setup.home.path())["directives"];
    assert_eq!(directives["minimum_version"], "99.0.0");
    assert_eq!(directives["heartbeat_interval_seconds"], 2);
    assert_eq!(sidecar.ends(), 0);
}
