//! Sidecars that share a machine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fake::Script;
use crate::fake::govapi::{CHECK_IN, FakeGovApi, REGISTER};
use crate::{remembered, reporting, until};

#[test]
#[expect(clippy::disallowed_methods, reason = "this is about real time")]
fn ten_sidecars_make_one_heartbeat() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake);
    let sidecars: Vec<_> = (0..10).map(|_| setup.start()).collect();
    until("all are counted", || {
        fake.seen(CHECK_IN).last().is_some_and(|seen| seen.body["sidecars"] == 10)
    });
    let before = fake.seen(CHECK_IN).len();
    let (from, most) = (Instant::now(), 4);
    fake.until(CHECK_IN, before + most);
    // Ten heartbeats a second would have been there within half a second.
    assert!(from.elapsed() > Duration::from_millis(2500), "{:?}", from.elapsed());
    assert_eq!(fake.seen(REGISTER).len(), 1, "one registers for all");
    let connections: BTreeSet<_> = fake.seen(CHECK_IN).iter().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 1, "one of them speaks");
    for sidecar in sidecars {
        assert_eq!(sidecar.ends(), 0);
    }
}

#[test]
fn when_the_holder_is_killed_another_takes_over() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake);
    let mut holder = setup.start();
    fake.until(CHECK_IN, 1);
    let others = [setup.start(), setup.start()];
    until("all are counted", || {
        fake.seen(CHECK_IN).last().is_some_and(|seen| seen.body["sidecars"] == 3)
    });

    holder.process.kill().unwrap(); // SIGKILL: nothing of it can say goodbye
    holder.process.wait().unwrap();
    let before = fake.seen(CHECK_IN);
    let after = fake.until(CHECK_IN, before.len() + 2);
    let last = after.last().unwrap();
    assert_ne!(last.connection, before.last().unwrap().connection, "another one speaks");
    assert_eq!(last.body["sidecars"], 2, "the dead one is no longer listed");
    assert_eq!(fake.seen(REGISTER).len(), 1, "the machine is registered already");
    assert_eq!(remembered(setup.home.path())["registration_ok"], true);
    for sidecar in others {
        assert_eq!(sidecar.ends(), 0);
    }
}

#[test]
fn a_machine_the_govapi_has_forgotten_registers_once_more() {
    for status in [404, 409, 410] {
        let fake = FakeGovApi::start();
        let ok = Script::Answer(200, "{}".to_owned());
        fake.treats(CHECK_IN, [ok.clone(), Script::Answer(status, String::new()), ok]);
        let setup = reporting(&fake);
        let sidecar = setup.start();
        fake.until(CHECK_IN, 4);
        let registered = fake.seen(REGISTER);
        assert_eq!(registered.len(), 2, "{status}");
        assert_eq!(registered[0].body["endpoint_id"], registered[1].body["endpoint_id"]);
        assert_eq!(sidecar.ends(), 0);
    }
}

#[test]
fn a_registration_that_fails_is_tried_again_until_it_goes_well() {
    let fake = FakeGovApi::start();
    let script = |status| Script::Answer(status, "{}".to_owned());
    fake.treats(CHECK_IN, [script(200), script(404), script(200)]);
    fake.treats(REGISTER, [script(200), script(503), script(200)]);
    let setup = reporting(&fake);
    let sidecar = setup.start();
    fake.until(REGISTER, 3);
    fake.until(CHECK_IN, 4);
    assert_eq!(fake.seen(REGISTER).len(), 3);
    assert_eq!(sidecar.ends(), 0);
    assert_eq!(remembered(setup.home.path())["registration_ok"], true);
}

#[test]
fn a_machine_that_only_observes_is_a_shadow() {
    let fake = FakeGovApi::start();
    let setup = reporting(&fake).flags(&["--enforcement-mode", "observe"]);
    let sidecar = setup.start();
    let seen = fake.until(REGISTER, 1);
    assert_eq!(seen[0].body["enforcement_mode"], json!("shadow"));
    assert_eq!(sidecar.ends(), 0);
}
