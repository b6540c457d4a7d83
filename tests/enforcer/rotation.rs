//! Keys that are rotated under the client: what is sent again, and what is not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use thoth::config::settings;
use thoth::credential::{Credential, Invocation, Source, State};
use thoth::enforcer::Enforcer;
use tokio::task::JoinSet;

use crate::fake::{FakeEnforcer, Script, enforcer, hold, in_short, key, noon, question, reason};

const ALLOWED: &str = "said allow ";
const AUTH_FAILED: &str = "said block enforcer_auth_failed";

/// An enforcer that accepts `k1`, and a client that has it from a file.
struct Rotating {
    fake: FakeEnforcer,
    credential: Credential,
    enforcer: Enforcer,
    path: PathBuf,
    _folder: TempDir,
}

impl Rotating {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, "k1");
        let credential = Credential::new("api_key", Source::File(path.clone()), noon);
        let fake = FakeEnforcer::start().await;
        fake.accept(&["k1"]);
        let enforcer = client(&fake, credential.clone());
        Self { fake, credential, enforcer, path, _folder: folder }
    }

    async fn ask(&self) -> String {
        in_short(&self.enforcer.ask(question("t", "{}")).await)
    }

    /// Writes this key once there were so many requests.
    async fn write_after(&self, requests: usize, text: &'static str) {
        self.fake.until_seen(requests).await;
        replace(&self.path, text);
    }
}

fn client(fake: &FakeEnforcer, credential: Credential) -> Enforcer {
    let settings = settings::Enforcer { api_key: Some(credential), ..fake.settings() };
    enforcer(&settings, &fake.tls()).unwrap().looking_every(Duration::from_millis(1))
}

/// As rotators ought to do it: whole, or not at all.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_key_that_is_written_before_the_old_one_is_revoked_is_never_rejected() {
    let rotating = Rotating::new().await;
    assert_eq!(rotating.ask().await, ALLOWED);
    replace(&rotating.path, "k2");
    rotating.fake.accept(&["k1", "k2"]);
    assert_eq!(rotating.ask().await, ALLOWED);
    rotating.fake.accept(&["k2"]);
    assert_eq!(rotating.ask().await, ALLOWED);
    let seen = rotating.fake.seen();
    let keys: Vec<_> = seen.iter().map(|seen| &seen.headers["x-api-key"]).collect();
    assert_eq!(keys, ["k1", "k2", "k2"]);
    assert_eq!(rotating.fake.accepted(), 1, "on one connection");
}

#[tokio::test]
async fn a_key_that_is_revoked_before_the_new_one_is_written_costs_a_second_try_of_the_same_question()
 {
    let rotating = Rotating::new().await;
    rotating.fake.accept(&["k2"]);
    let (answer, ()) = tokio::join!(rotating.ask(), rotating.write_after(1, "k2"));
    assert_eq!(answer, ALLOWED);
    let seen = rotating.fake.seen();
    assert_eq!(seen.iter().map(|seen| seen.accepted).collect::<Vec<_>>(), [false, true]);
    assert_eq!(seen[0].text, seen[1].text, "the same ids, too");
    assert_eq!(rotating.credential.standing().state, State::Ok);
}

#[tokio::test]
async fn the_beginning_of_a_key_is_not_taken_for_it() {
    let rotating = Rotating::new().await;
    rotating.fake.accept(&["k2-whole"]);
    let writing = async {
        rotating.write_after(1, "k2-wh").await;
        rotating.write_after(2, "k2-whole").await;
    };
    let (answer, ()) = tokio::join!(rotating.ask(), writing);
    assert_eq!(answer, ALLOWED);
    assert_eq!(rotating.fake.seen().len(), 3);
}

#[tokio::test]
async fn a_key_that_stays_rejected_blocks_and_the_next_question_finds_out_at_once() {
    let rotating = Rotating::new().await;
    rotating.fake.accept(&[]);
    for sent in 1..=3 {
        let answer = rotating.enforcer.ask(question("t", "{}")).await;
        assert_eq!(in_short(&answer), AUTH_FAILED);
        assert!(reason(&answer).contains("bad key"), "{}", reason(&answer));
        assert_eq!(rotating.fake.seen().len(), sent, "only a newer key is worth another try");
    }
    assert_eq!(rotating.credential.standing().state, State::Rejected);
    rotating.fake.accept(&["k1"]);
    assert_eq!(rotating.ask().await, ALLOWED);
    assert_eq!(rotating.credential.standing().state, State::Ok, "it was accepted again");

    rotating.fake.accept(&["k2"]);
    replace(&rotating.path, "k2");
    assert_eq!(rotating.ask().await, ALLOWED);
    assert_eq!(rotating.credential.standing().state, State::Ok);
}

/// Writes a new key after every request, and makes none of them good.
async fn keep_changing(rotating: &Rotating) {
    for requests in 1.. {
        rotating.fake.until_seen(requests).await;
        replace(&rotating.path, &format!("k1-{requests}"));
    }
}

#[tokio::test]
async fn a_file_that_keeps_changing_is_not_followed_for_ever() {
    let rotating = Rotating::new().await;
    rotating.fake.accept(&[]);
    let answer = tokio::select! {
        answer = rotating.ask() => answer,
        () = keep_changing(&rotating) => unreachable!("it does not end"),
    };
    assert_eq!(answer, AUTH_FAILED);
    assert!(rotating.fake.seen().len() <= 32);
}

#[tokio::test]
async fn a_rejection_that_outlasts_the_question_is_no_outage() {
    let rotating = Rotating::new().await;
    let fake = rotating.fake.scripted([Script::Hang]);
    fake.accept(&["k2"]);
    let settings = settings::Enforcer {
        api_key: Some(rotating.credential),
        // Long enough for the rejection and the newer key, on any machine.
        timeout: Duration::from_secs(3),
        ..fake.settings()
    };
    let asker = enforcer(&settings, &fake.tls()).unwrap();
    let writing = async {
        fake.until_seen(1).await;
        replace(&rotating.path, "k2");
    };
    let (answer, ()) = tokio::join!(asker.ask(question("t", "{}")), writing);
    assert_eq!((&*in_short(&answer), fake.seen().len()), (AUTH_FAILED, 2));
}

#[tokio::test]
async fn a_question_that_is_forbidden_is_not_asked_again() {
    let rotating = Rotating::new().await;
    let fake = rotating.fake.answering(403, "");
    let writing = async {
        fake.until_seen(1).await;
        replace(&rotating.path, "k2");
    };
    let (answer, ()) = tokio::join!(rotating.enforcer.ask(question("t", "{}")), writing);
    assert_eq!((&*in_short(&answer), fake.seen().len()), (AUTH_FAILED, 1));
}

#[tokio::test]
async fn what_may_have_been_judged_is_not_sent_again_with_a_newer_key() {
    for script in [Script::HangUp, Script::Broken(200), Script::Answer(500, String::new())] {
        let rotating = Rotating::new().await;
        let fake = rotating.fake.scripted([script.clone()]);
        replace(&rotating.path, "k1\n");
        rotating.enforcer.ask(question("t", "{}")).await;
        assert_eq!(fake.seen().len(), 1, "{script:?}");
    }
}

#[tokio::test]
async fn without_a_key_that_is_configured_nothing_is_sent() {
    let rotating = Rotating::new().await;
    fs::remove_file(&rotating.path).unwrap();
    let answer = rotating.enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), AUTH_FAILED);
    assert!(reason(&answer).contains("there is no such file"), "{}", reason(&answer));
    let look = rotating.enforcer.wait(hold("h")).await;
    assert_eq!(in_short(&look), AUTH_FAILED);
    assert_eq!(rotating.fake.accepted(), 0);

    replace(&rotating.path, "k1");
    assert_eq!(rotating.ask().await, ALLOWED);
    fs::remove_file(&rotating.path).unwrap();
    assert_eq!(rotating.ask().await, ALLOWED, "the last key is used");
}

#[tokio::test]
async fn with_a_key_that_is_revoked_nothing_is_sent() {
    let rotating = Rotating::new().await;
    replace(&rotating.path, r#"{"api_key":"k1","key_id":"id-1"}"#);
    rotating.credential.revocations().set(["id-1".to_owned()]);
    let answer = rotating.enforcer.ask(question("t", "{}")).await;
    assert_eq!(in_short(&answer), "said block api_key_revoked");
    assert!(reason(&answer).contains("id-1"), "{}", reason(&answer));
    let look = rotating.enforcer.wait(hold("h")).await;
    assert_eq!(in_short(&look), "said block api_key_revoked");
    assert_eq!(rotating.fake.accepted(), 0);

    replace(&rotating.path, r#"{"api_key":"k1","key_id":"id-2"}"#);
    assert_eq!(rotating.ask().await, ALLOWED);
}

#[tokio::test]
async fn a_hold_outlives_the_key_it_was_opened_with() {
    let rotating = Rotating::new().await;
    let answer = |body: &str| Script::Answer(200, body.to_owned());
    let fake = rotating.fake.holding([
        answer(r#"{"resolved":false}"#),
        answer(r#"{"resolved":false}"#),
        answer(r#"{"resolved":true,"resolution":"ALLOW"}"#),
    ]);
    let rotation = async {
        fake.until_seen(1).await;
        fake.accept(&["k2"]);
        fake.until_seen(2).await;
        replace(&rotating.path, "k2");
    };
    let (answer, ()) = tokio::join!(rotating.enforcer.wait(hold("h")), rotation);
    assert_eq!(in_short(&answer), ALLOWED);
    assert!(fake.seen().iter().all(|seen| seen.path == "/v1/enforce/hold/h"));
}

#[tokio::test]
async fn a_command_is_asked_for_a_newer_key() {
    let rotating = Rotating::new().await;
    let cat = format!("cat '{}'", rotating.path.display());
    let invocation = Invocation::parse(&cat, Vec::new()).unwrap();
    let credential = Credential::new("api_key", Source::Command(invocation), noon);
    let enforcer = client(&rotating.fake, credential.clone());
    let ask = async || in_short(&enforcer.ask(question("t", "{}")).await);
    assert_eq!(ask().await, ALLOWED);
    replace(&rotating.path, "k2");
    assert_eq!(ask().await, ALLOWED);
    rotating.fake.accept(&["k2"]);
    assert_eq!(ask().await, ALLOWED);
    assert_eq!(credential.standing().generation, 2);
}

#[tokio::test]
async fn no_key_shows_in_the_client() {
    let rotating = Rotating::new().await;
    replace(&rotating.path, "hunter2");
    rotating.fake.accept(&["hunter2"]);
    assert_eq!(rotating.ask().await, ALLOWED);
    let settings = settings::Enforcer { api_key: Some(key("hunter2")), ..rotating.fake.settings() };
    let told = format!(
        "{:?} {:?} {:?} {settings:?}",
        rotating.enforcer,
        rotating.credential,
        rotating.credential.standing()
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn two_hundred_questions_in_flight_survive_twenty_rotations() {
    let rotating = Rotating::new().await;
    let mut asking = JoinSet::new();
    let mut asked = 0;
    for round in 1..=20 {
        let (old, new) = (format!("k{round}"), format!("k{}", round + 1));
        if round % 2 == 1 {
            rotating.fake.accept_after(asked + 50, &[&new]);
        }
        for _ in 0..200 {
            let enforcer = rotating.enforcer.clone();
            asking.spawn(async move { in_short(&enforcer.ask(question("t", "{}")).await) });
        }
        rotating.fake.until_seen(asked + 60).await; // in the middle of them
        if round % 2 == 0 {
            rotating.fake.accept(&[&old, &new]);
            replace(&rotating.path, &new);
            rotating.fake.accept(&[&new]);
        } else {
            replace(&rotating.path, &new);
        }
        while let Some(answer) = asking.join_next().await {
            assert_eq!(answer.unwrap(), ALLOWED, "round {round}");
        }
        asked = rotating.fake.seen().len();
    }
    let mut judged = BTreeMap::new();
    for seen in rotating.fake.seen() {
        let id = seen.body["action_attestation_id"].as_str().unwrap().to_owned();
        *judged.entry(id).or_insert(0) += usize::from(seen.accepted);
    }
    assert_eq!(judged.len(), 20 * 200);
    assert!(judged.values().all(|times| *times == 1), "each question is judged once");
    assert!(asked >= 20 * 200 + 10 * 10, "some of every other round were rejected first");
}

/// A rotator that waits for nobody: while one key's rejections come in, it replaces the next.
#[tokio::test]
async fn rotations_faster_than_the_answers_fail_no_question() {
    const QUICK: usize = 30;

    let rotating = Rotating::new().await;
    let mut asking = JoinSet::new();
    for _ in 0..200 {
        let enforcer = rotating.enforcer.clone();
        asking.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..5 {
                answers.push(in_short(&enforcer.ask(question("t", "{}")).await));
            }
            answers
        });
    }
    for round in 1..=20 {
        rotating.fake.until_seen(round * QUICK).await;
        let new = format!("k{}", round + 1);
        rotating.fake.accept(&[&new]);
        replace(&rotating.path, &new);
    }
    let answers = asking.join_all().await.concat();
    let failed = answers.iter().filter(|answer| *answer != ALLOWED).count();
    assert_eq!((answers.len(), failed), (1_000, 0));
    let judged = rotating.fake.seen().iter().filter(|seen| seen.accepted).count();
    assert_eq!(judged, 1_000, "each question is judged once");
}
