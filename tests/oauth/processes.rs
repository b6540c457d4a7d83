//! Many processes with one login, at a server that revokes all of it where a refresh token comes twice.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hyper::Request;
use thoth::config::settings::Tls;
use thoth::machine::clock;
use thoth::oauth::Login;
use tokio::process::Command;
use tokio::time::Instant;

use super::fake::Fake;
use super::person::{ask, log_in, said};

/// Where a process of this test finds its login; the others do not have it.
const HOME: &str = "THOTH_TEST_LOGIN_HOME";
const URL: &str = "THOTH_TEST_LOGIN_URL";

/// How often each process uses the login.
const USES: usize = 6;

/// What each process does: uses the login again and again, as a courier would. Not a test of its own.
#[tokio::test]
#[ignore = "no test but a process: `ten_processes_whose_token_was_rejected_refresh_it_once` and its kin start it with a login of their own"]
async fn one_of_many() {
    let var = |name: &str| std::env::vars().find(|(known, _)| known == name).unwrap().1;
    let (home, url) = (var(HOME), var(URL));
    let login =
        Login::open(Path::new(&home), "acme", &url, &Tls::default(), false, clock::now).unwrap();
    let mut served = 0;
    for _ in 0..USES {
        let mut snapshot = login.current().await.unwrap();
        // As the courier: one more try, with another token. Another process may have used that up, too, in
        // a test where each token lives for a moment only.
        for _ in 0..20 {
            let request =
                Request::post(&url).header("authorization", snapshot.secret.authorization());
            if ask(request).await.0.is_success() {
                login.accepted(snapshot.generation);
                served += 1;
                break;
            }
            let deadline = Instant::now() + Duration::from_secs(30);
            match login.after_rejection(snapshot.generation, deadline).await {
                Some(newer) => snapshot = newer,
                None => snapshot = login.current().await.unwrap(),
            }
        }
    }
    login.settle().await;
    let _ = writeln!(std::io::stderr(), "served {served}");
    assert_eq!(served, USES);
}

async fn many(count: usize, lives: u64, end_access: bool) {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    fake.manners().lives = Some(lives);
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    if end_access {
        fake.end_access();
    }
    let children: Vec<_> = (0..count)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "processes::one_of_many", "--ignored", "--nocapture"])
                .env(HOME, home.path())
                .env(URL, fake.mcp())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains(&format!("served {USES}")), "{}", said(&output));
    }
    let memory = fake.memory();
    assert_eq!(memory.reuses, 0, "a refresh token came twice, and the whole login is revoked");
    assert_eq!(memory.served, count * USES);
    assert!(memory.refreshed >= 1, "there was nothing to share");
    if lives > 60 {
        assert_eq!(memory.refreshed, 1, "one for all");
    }
}

#[tokio::test]
async fn ten_processes_whose_token_was_rejected_refresh_it_once() {
    many(10, 3600, true).await;
}

#[tokio::test]
async fn two_processes_whose_tokens_always_end_never_use_a_refresh_token_twice() {
    many(2, 0, false).await;
}

#[tokio::test]
async fn ten_processes_whose_tokens_always_end_never_use_a_refresh_token_twice() {
    many(10, 0, false).await;
}
