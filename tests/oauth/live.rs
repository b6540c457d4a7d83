//! A login in use: refreshes, rejections, refusals, and whom it is for.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use thoth::config::settings::Tls;
use thoth::credential::State;
use thoth::oauth::{Login, LoginError};
use tokio::time::Instant;

use super::fake::Fake;
use super::person::{log_in, run, said};

/// Seconds that have passed for the logins of this test, beside the real ones.
macro_rules! clock {
    () => {{
        static PASSED: AtomicI64 = AtomicI64::new(0);
        fn now() -> Timestamp {
            let passed = SignedDuration::from_secs(PASSED.load(Ordering::Relaxed));
            thoth::machine::clock::now() + passed
        }
        (now as fn() -> Timestamp, &PASSED)
    }};
}

fn file(home: &Path) -> Value {
    serde_json::from_slice(&fs::read(home.join("logins/acme.json")).unwrap()).unwrap()
}

fn open(home: &Path, fake: &Fake, clock: fn() -> Timestamp) -> Login {
    Login::open(home, "acme", &fake.mcp(), &Tls::default(), false, clock).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Refreshes, and refresh tokens that came twice.
fn counts(fake: &Fake) -> (usize, usize) {
    let memory = fake.memory();
    (memory.refreshed, memory.reuses)
}

/// The token of a login, as it would be sent.
async fn token(login: &Login) -> (String, u64) {
    let snapshot = login.current().await.unwrap();
    (snapshot.secret.api_key().to_str().unwrap().to_owned(), snapshot.generation)
}

async fn logged_in() -> (Fake, tempfile::TempDir) {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    (fake, home)
}

#[tokio::test]
async fn a_token_is_refreshed_before_it_ends_and_kept_before_it_is_used() {
    let (fake, home) = logged_in().await;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    let (first, generation) = token(&login).await;
    assert_eq!((fake.memory().refreshed, generation), (0, 1));
    assert!(!format!("{login:?}").contains("hunter2"), "{login:?}");

    passed.store(3600 - 59, Ordering::Relaxed);
    assert_eq!(token(&login).await.0, first, "still good: nobody waits");
    login.settle().await;
    let (second, generation) = token(&login).await;
    assert_ne!(second, first);
    assert_eq!((fake.memory().refreshed, generation), (1, 2));
    assert_eq!(file(home.path())["tokens"]["access"], second);

    passed.store(2 * 3600 + 60, Ordering::Relaxed);
    let (third, generation) = token(&login).await;
    assert_ne!(third, second, "over: waited for");
    assert_eq!((fake.memory().refreshed, generation), (2, 3));
    assert_eq!(fake.memory().reuses, 0);
    assert_eq!(login.standing().state, State::Ok);
    assert!(fake.is_good(&third));
}

#[tokio::test]
async fn a_refreshed_token_is_on_the_disk_once_it_is_given() {
    let (fake, home) = logged_in().await;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    let (first, _) = token(&login).await;
    // Ageing: nobody waits for the refresh, and each is given what there is.
    passed.store(3600 - 59, Ordering::Relaxed);
    let mut given = first.clone();
    while given == first {
        given = token(&login).await.0;
        tokio::task::yield_now().await;
    }
    assert_eq!(file(home.path())["tokens"]["access"], given);
}

#[tokio::test]
async fn a_rejected_token_is_refreshed_once_for_all_who_ask() {
    let (fake, home) = logged_in().await;
    let login = open(home.path(), &fake, clock!().0);
    let (first, generation) = token(&login).await;
    fake.end_access();
    let asking = (0..20).map(|_| {
        let login = login.clone();
        async move { login.after_rejection(generation, soon()).await.unwrap().generation }
    });
    let mut tasks = tokio::task::JoinSet::new();
    asking.for_each(|task| drop(tasks.spawn(task)));
    assert!(tasks.join_all().await.into_iter().all(|newer| newer == 2));
    assert_eq!(counts(&fake), (1, 0));

    // Who comes late with the old one is given the present one, and nothing is refreshed.
    let late = login.after_rejection(generation, soon()).await.unwrap();
    assert_ne!(late.secret.api_key().to_str().unwrap(), first);
    assert_eq!(fake.memory().refreshed, 1);
}

#[tokio::test]
async fn a_server_that_wants_no_token_does_not_make_for_a_storm() {
    let (fake, home) = logged_in().await;
    let login = open(home.path(), &fake, clock!().0);
    let mut newer = 0;
    for _ in 0..50 {
        let generation = token(&login).await.1;
        newer += u32::from(login.after_rejection(generation, soon()).await.is_some());
    }
    let refreshed = fake.memory().refreshed;
    assert!(refreshed <= 3 && newer <= 3, "{refreshed} refreshes, {newer} tokens");
    assert_eq!(login.standing().state, State::Rejected);
    assert!(login.advice().unwrap().contains("thoth auth login acme"));
    login.accepted(login.standing().generation);
    assert_eq!(login.standing().state, State::Ok);
}

#[tokio::test]
async fn a_refusal_is_final_and_says_what_to_type() {
    let (fake, home) = logged_in().await;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    let (first, generation) = token(&login).await;
    let refused = r#"{"error":"invalid_grant","error_description":"gone"}"#;
    fake.manners().instead = [("/token".to_owned(), (400, refused.to_owned()))].into();

    // Refreshed too early to matter: the token is used until it ends.
    passed.store(3600 - 30, Ordering::Relaxed);
    token(&login).await;
    login.settle().await;
    assert_eq!(token(&login).await, (first, generation));
    let before = fake.paths().len();
    passed.store(3601, Ordering::Relaxed);
    let error = login.current().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the login acme is over (invalid_grant (gone)); type: thoth auth login acme"
    );
    for _ in 0..5 {
        assert!(login.after_rejection(generation, soon()).await.is_none());
        assert!(login.current().await.is_err());
    }
    assert_eq!(fake.paths().len(), before, "nobody is asked again");
    assert_eq!(login.standing().state, State::Rejected);
    let output = run(home.path(), &fake, &["status", "acme"]).await;
    assert!(said(&output).contains("invalid_grant (gone)"), "{}", said(&output));

    // A person who logs in again heals it, in this very process.
    fake.manners().instead.clear();
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    passed.store(0, Ordering::Relaxed);
    let (healed, newer) = token(&login).await;
    assert!(fake.is_good(&healed));
    assert_eq!(newer, generation + 1);
}

#[tokio::test]
async fn trouble_is_no_refusal() {
    let (fake, home) = logged_in().await;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    let (first, generation) = token(&login).await;
    for (status, body) in
        [(503, ""), (500, r#"{"error":"invalid_grant"}"#), (200, "{"), (400, "<html>"), (302, "")]
    {
        fake.manners().instead = [("/token".to_owned(), (status, body.to_owned()))].into();
        let before = file(home.path());
        let login = open(home.path(), &fake, now);
        passed.store(3601, Ordering::Relaxed);
        assert_eq!(token(&login).await.0, first, "{status} {body}: the server's word counts");
        let asked = fake.paths().len();
        assert_eq!(token(&login).await.0, first);
        assert_eq!(fake.paths().len(), asked, "{status} {body}: not asked again at once");
        assert_eq!(file(home.path()), before, "{status} {body}");
    }
    fake.manners().instead.clear();
    assert_ne!(token(&login).await, (first, generation));
    assert_eq!(fake.memory().reuses, 0);
}

#[tokio::test]
async fn a_server_that_does_not_rotate_keeps_its_refresh_token() {
    let (fake, home) = logged_in().await;
    fake.manners().rotates = false;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    let refresh = file(home.path())["tokens"]["refresh"].clone();
    for hours in 1..4 {
        passed.store(hours * 3700, Ordering::Relaxed);
        token(&login).await;
        assert_eq!(file(home.path())["tokens"]["refresh"], refresh);
    }
    assert_eq!(fake.memory().refreshed, 3);
    let memory = fake.memory();
    let asked = memory.seen.iter().filter(|seen| seen.body.contains("grant_type=refresh_token"));
    assert!(asked.clone().all(|seen| seen.body.contains("resource=http")), "RFC 8707");
    assert_eq!(asked.count(), 3);
}

#[tokio::test]
async fn a_login_is_used_for_its_own_server_only() {
    let (fake, home) = logged_in().await;
    let other = Fake::plain().await;
    for (url, is_its) in [
        (fake.mcp(), true),
        (format!("{}/mcp/tools?x=1", fake.base()), true),
        (format!("{}/mcpx", fake.base()), false),
        (fake.base(), false),
        (other.mcp(), false),
        ("https://evil.example/mcp".to_owned(), false),
    ] {
        let login = Login::open(home.path(), "acme", &url, &Tls::default(), false, clock!().0);
        match login.unwrap().current().await {
            Ok(_) => assert!(is_its, "{url}"),
            Err(error) => {
                assert!(!is_its, "{url}: {error}");
                assert!(error.to_string().contains("its token is not sent there"), "{error}");
            }
        }
    }
    // Also where it becomes another server's while it is in use.
    let login = open(home.path(), &fake, clock!().0);
    token(&login).await;
    let output = log_in(home.path(), &other, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    fake.end_access();
    assert!(login.after_rejection(1, soon()).await.is_none());
    assert!(matches!(login.current().await, Err(LoginError::OtherServer { .. })));
}

#[tokio::test]
async fn a_login_that_is_made_or_ended_meanwhile_counts_without_a_restart() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let login = open(home.path(), &fake, clock!().0);
    assert_eq!(login.standing().state, State::Missing);
    let error = login.current().await.unwrap_err().to_string();
    let expected =
        format!("there is no login acme; type: thoth auth login acme --url {}", fake.mcp());
    assert_eq!(error, expected);

    log_in(home.path(), &fake, &[]).await;
    let generation = token(&login).await.1;
    run(home.path(), &fake, &["logout", "acme"]).await;
    assert!(login.after_rejection(generation, soon()).await.is_none());
    assert_eq!(login.current().await.unwrap_err().to_string(), expected);
}

#[cfg(unix)]
#[tokio::test]
async fn what_the_disk_does_not_take_is_used_and_kept_with_the_next() {
    use std::os::unix::fs::PermissionsExt as _;

    if nix::unistd::geteuid().is_root() {
        return; // nothing is closed to root
    }
    let (fake, home) = logged_in().await;
    let (now, passed) = clock!();
    let login = open(home.path(), &fake, now);
    token(&login).await;
    let before = file(home.path());
    let logins = home.path().join("logins");
    fs::set_permissions(&logins, fs::Permissions::from_mode(0o500)).unwrap();
    passed.store(3601, Ordering::Relaxed);
    let (second, _) = token(&login).await;
    assert!(fake.is_good(&second));
    assert_eq!(file(home.path()), before);
    passed.store(7300, Ordering::Relaxed);
    fs::set_permissions(&logins, fs::Permissions::from_mode(0o700)).unwrap();
    let (third, _) = token(&login).await;
    assert!(fake.is_good(&third));
    assert_eq!(file(home.path())["tokens"]["access"], third);
    assert_eq!(counts(&fake), (2, 0));
}

#[tokio::test]
async fn a_file_that_is_no_login_is_told() {
    let (fake, home) = logged_in().await;
    let login = open(home.path(), &fake, clock!().0);
    let (first, _) = token(&login).await;
    let path = home.path().join("logins/acme.json");
    let mut record = file(home.path());
    record["schema"] = json!(7);
    let whole = fs::read(&path).unwrap();
    for text in [b"{".to_vec(), record.to_string().into_bytes(), Vec::new()] {
        fs::write(&path, text).unwrap();
        let error = open(home.path(), &fake, clock!().0).current().await.unwrap_err().to_string();
        assert!(error.contains("is no login of this version of thoth"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    fake.end_access();
    assert!(login.after_rejection(1, soon()).await.is_none(), "and nothing is written over it");
    assert_eq!(token(&login).await.0, first, "what was good last");
    assert_eq!(login.standing().state, State::Rejected);
    fs::write(&path, whole).unwrap();
    assert!(login.after_rejection(1, soon()).await.is_some());
}
