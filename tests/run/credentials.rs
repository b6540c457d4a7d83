//! Credentials that rotate under a running sidecar, and those it does not start with.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::fake::FakeEnforcer;
use crate::sidecar::{Setup, answers, call, lines, said};

/// Puts a key into a file, whole.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, path).unwrap();
}

/// A sidecar that asks this enforcer, with its key in a file.
fn asking(fake: &FakeEnforcer) -> (Setup, PathBuf) {
    let setup = Setup::new();
    let path = setup.home.path().join("key");
    put(&path, "k1");
    let setup = setup
        .flags(&["--enforcer-url", &fake.url(), "--api-key-file", path.to_str().unwrap()])
        .flags(&["--env", "dev"])
        .variable("THOTH_TLS_CA_BUNDLE", fake.ca().to_str().unwrap())
        .variable("THOTH_ENFORCER_FAILURE_DECISION", "allow");
    (setup, path)
}

/// Makes one call, and gives its answer and all that was said.
async fn one_call(setup: Setup) -> (Setup, Value, String) {
    let talk = tokio::task::spawn_blocking(move || {
        let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
        (answers(&output).into_iter().next().unwrap_or_default(), said(&output), setup)
    });
    let (answer, said, setup) = talk.await.unwrap();
    (setup, answer, said)
}

#[tokio::test]
async fn two_hundred_calls_in_flight_survive_twenty_rotations() {
    const ROUNDS: u32 = 20;
    const CALLS: u32 = 200;

    let fake = FakeEnforcer::start().await;
    fake.accept(&["k1"]);
    let (setup, path) = asking(&fake);
    let (go, begun) = std::sync::mpsc::channel::<()>();
    let (done, mut over) = tokio::sync::mpsc::unbounded_channel::<()>();
    let talk = tokio::task::spawn_blocking(move || {
        let mut sidecar = setup.start();
        let mut failed = Vec::new();
        for round in 0..ROUNDS {
            begun.recv().unwrap();
            let ids = round * CALLS + 1..=(round + 1) * CALLS;
            let calls: Vec<_> = ids.clone().map(|id| call(id, "a", "{}")).collect();
            sidecar.says(&calls.join("\n"));
            let answers = ids.map(|_| sidecar.reads());
            failed.extend(answers.filter(|answer| !answer["result"].is_object()));
            done.send(()).unwrap();
        }
        assert_eq!(sidecar.ends(), 0);
        (setup, failed)
    });
    for round in 1..=ROUNDS {
        let before = fake.seen().len();
        let (old, new) = (format!("k{round}"), format!("k{}", round + 1));
        if round % 2 == 1 {
            fake.accept_after(before + 50, &[&new]);
        }
        go.send(()).unwrap();
        fake.until_seen(before + 60).await; // in the middle of them
        if round % 2 == 0 {
            fake.accept(&[&old, &new]);
            put(&path, &new);
            fake.accept(&[&new]);
        } else {
            put(&path, &new);
        }
        over.recv().await.unwrap();
    }
    let (setup, failed) = talk.await.unwrap();
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), ROUNDS * CALLS, failed[0]);

    let all = (ROUNDS * CALLS) as usize;
    assert_eq!(setup.seen().lines().count(), all);
    assert_eq!(setup.seen().lines().collect::<BTreeSet<_>>().len(), all, "each call once");
    let records = lines(&setup.journals()[0]);
    let decided = records.iter().filter(|record| record["kind"] == "decision").count();
    assert_eq!(decided, all, "each call is decided once");
    let judged = fake.seen().iter().filter(|seen| seen.accepted).count();
    assert_eq!(judged, all, "and judged once");
    let rejected = fake.seen().len() - all;
    assert!(rejected >= 10 * 10, "{rejected}: some of every other round were rejected first");
}

#[tokio::test]
async fn a_key_that_is_rejected_blocks_even_where_an_outage_would_allow() {
    let fake = FakeEnforcer::start().await;
    fake.accept(&["another"]);
    let (setup, answer, told) = one_call(asking(&fake).0).await;
    assert_eq!(answer["error"]["code"], -32_001, "{told}");
    assert_eq!(answer["error"]["data"]["reason_code"], "enforcer_auth_failed");
    assert!(setup.seen().is_empty());
}

#[tokio::test]
async fn a_key_that_is_revoked_blocks_and_says_so_at_start() {
    let fake = FakeEnforcer::start().await;
    let (setup, path) = asking(&fake);
    put(&path, r#"{"api_key":"k1","key_id":"id-1"}"#);
    let list = setup.home.path().join("revoked");
    put(&list, "id-1 # a lost laptop\n");
    let setup = setup.variable("THOTH_REVOKED_API_KEY_IDS_FILE", list.to_str().unwrap());
    let (setup, answer, told) = one_call(setup).await;
    assert_eq!(answer["error"]["data"]["reason_code"], "api_key_revoked", "{told}");
    assert!(told.contains("--api-key-file: the key is on the list of revoked ones"), "{told}");
    assert!(setup.seen().is_empty() && fake.seen().is_empty());
}

#[tokio::test]
async fn a_command_prints_the_key_and_sees_nothing_of_ours() {
    let fake = FakeEnforcer::start().await;
    fake.accept(&["sesame"]);
    let key = "echo hunter2 >&2; if env | grep -q THOTH_; then echo ours; else echo sesame; fi";
    let command = serde_json::to_string(&["sh", "-c", key]).unwrap();
    let setup = Setup::new()
        .flags(&["--enforcer-url", &fake.url(), "--api-key-command", &command])
        .variable("THOTH_TLS_CA_BUNDLE", fake.ca().to_str().unwrap())
        .variable("THOTH_LOG_LEVEL", "trace");
    let (setup, answer, told) = one_call(setup).await;
    assert!(answer["result"].is_object(), "{answer} {told}");
    let told = told + &fs::read_to_string(&setup.journals()[0]).unwrap();
    assert!(!told.contains("hunter2") && !told.contains("sesame"), "{told}");
}

#[tokio::test]
async fn a_key_file_that_is_just_being_replaced_at_start_is_waited_for() {
    let fake = FakeEnforcer::start().await;
    fake.accept(&["k1"]);
    let (setup, path) = asking(&fake);
    fs::remove_file(&path).unwrap();
    let writing = async {
        // Long enough for the sidecar to look at least once; if it is late, it sees the key.
        tokio::time::sleep(Duration::from_millis(300)).await;
        put(&path, "k1");
    };
    let ((_, answer, told), ()) = tokio::join!(one_call(setup), writing);
    assert!(answer["result"].is_object(), "{told}");
}

#[tokio::test]
async fn without_a_key_it_can_use_it_does_not_start() {
    let fake = FakeEnforcer::start().await;
    let refused = async |setup: Setup, code: i32| {
        let talk = tokio::task::spawn_blocking(move || {
            let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
            assert!(setup.seen().is_empty() && output.stdout.is_empty());
            assert_eq!(output.status.code(), Some(code), "{}", said(&output));
            said(&output)
        });
        talk.await.unwrap()
    };

    let (setup, path) = asking(&fake);
    fs::remove_file(&path).unwrap();
    let told = refused(setup.variable("THOTH_ENFORCEMENT_MODE", "hunter2"), 78).await;
    assert!(told.contains("--api-key-file: names no file"), "{told}");
    assert!(told.contains("THOTH_ENFORCEMENT_MODE") && !told.contains("hunter2"), "{told}");

    let (setup, path) = asking(&fake);
    put(&path, "hunter2\nhunter2");
    let told = refused(setup, 78).await;
    assert!(told.contains("--api-key-file: holds a character"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    let (setup, path) = asking(&fake);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    let told = refused(setup, 77).await;
    assert!(told.contains("others can write the key file"), "{told}");

    let (setup, _) = asking(&fake);
    let setup = setup.variable("THOTH_REVOKED_API_KEY_IDS_FILE", "/nowhere/revoked");
    let told = refused(setup, 78).await;
    assert!(told.contains("THOTH_REVOKED_API_KEY_IDS_FILE: names no file"), "{told}");
    assert!(fake.seen().is_empty());
}
