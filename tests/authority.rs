//! What a server behind a URL is shown while tokens and headers are replaced under it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;
use tempfile::TempDir;
use thoth::config::settings::{Tls, Token, Upstream};
use thoth::credential::{Credential, Flaw, Invocation, NoCredential, Source, State};
use thoth::secret::{ApiKey, SecretHeaders, fingerprint};
use thoth::upstream::authority::{Authority, Presented, Refused};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const GRACE: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_mins(1);

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A folder with a token and some headers, and what is made of them.
struct Place {
    folder: TempDir,
    settings: Upstream,
}

impl Place {
    fn new() -> Self {
        let settings = Upstream::new("https://u.example/mcp".parse().unwrap());
        Self { folder: tempfile::tempdir().unwrap(), settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    /// The token is in the file `token`.
    fn with_token(mut self, grace: Duration) -> Self {
        let source = Source::File(self.path("token"));
        let credential = Credential::new("upstream_token", source, noon).within(grace);
        self.settings.token = Some(Token { credential, header: AUTHORIZATION, bearer: true });
        self
    }

    /// The headers are in the file `headers`.
    fn with_headers(mut self, grace: Duration) -> Self {
        let source = Source::File(self.path("headers"));
        let set = Credential::new("upstream_headers", source, noon).within(grace);
        self.settings.secret_headers = Some(set);
        self
    }

    /// The headers are what this shell script prints; `$0` is the folder.
    fn printing(mut self, script: &str, grace: Duration) -> Self {
        let folder = self.folder.path().to_str().unwrap();
        let words = serde_json::to_string(&["sh", "-c", script, folder]).unwrap();
        let source = Source::Command(Invocation::parse(&words, Vec::new()).unwrap());
        let set = Credential::new("upstream_headers", source, noon).within(grace);
        self.settings.secret_headers = Some(set);
        self
    }

    fn authority(&self) -> Authority {
        Authority::new(&self.settings, &Tls::default())
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes a file after this time.
fn write_after(time: Duration, path: PathBuf, text: &'static str) {
    tokio::spawn(async move {
        sleep(time).await;
        write(&path, text);
    });
}

/// What is shown, in short: the generation and each header, in order of their names.
fn told(presented: &Presented) -> String {
    let text =
        |(name, value): (&HeaderName, &HeaderValue)| format!(" {name}={}", value.to_str().unwrap());
    let mut headers: Vec<_> = presented.headers.iter().map(text).collect();
    headers.sort();
    format!("{}{}", presented.generation, headers.concat())
}

async fn shown(authority: &Authority) -> String {
    told(&authority.present().await.unwrap())
}

async fn rejected(authority: &Authority, generation: u64, patience: Duration) -> Option<String> {
    let newer = authority.after_rejection(generation, Instant::now() + patience).await;
    newer.as_ref().map(told)
}

fn states(authority: &Authority) -> Vec<(String, State)> {
    authority.standings().into_iter().map(|it| (it.name, it.state)).collect()
}

// What is shown.

#[tokio::test]
async fn a_request_shows_every_header_and_the_generation_counts_what_is_secret() {
    let mut place = Place::new();
    assert_eq!(shown(&place.authority()).await, "0", "no secret at all");
    place.settings.headers.insert("x-team", HeaderValue::from_static("blue"));
    place.settings.headers.insert("x-key", HeaderValue::from_static("plain"));
    assert_eq!(shown(&place.authority()).await, "0 x-key=plain x-team=blue");

    let mut place = place.with_token(GRACE).with_headers(GRACE);
    place.write("token", "t1\n");
    place.write("headers", "X-Key: k1\n");
    let authority = place.authority();
    let clone = authority.clone();
    assert_eq!(shown(&authority).await, "1 authorization=Bearer t1 x-key=k1 x-team=blue");
    assert_eq!(shown(&clone).await, "1 authorization=Bearer t1 x-key=k1 x-team=blue");
    place.write("token", "t2");
    assert_eq!(shown(&clone).await, "2 authorization=Bearer t2 x-key=k1 x-team=blue");
    place.write("headers", r#"{"X-Key": "k2"}"#);
    assert_eq!(shown(&authority).await, "3 authorization=Bearer t2 x-key=k2 x-team=blue");
    place.write("headers", "X-Key: k3\nAuthorization: Basic YTpi");
    assert_eq!(shown(&clone).await, "4 authorization=Basic YTpi x-key=k3 x-team=blue");
    assert_eq!(shown(&clone).await, "4 authorization=Basic YTpi x-key=k3 x-team=blue");

    let token = place.settings.token.as_mut().unwrap();
    (token.header, token.bearer) = (HeaderName::from_static("x-token"), false);
    place.settings.secret_headers = None;
    assert_eq!(shown(&place.authority()).await, "1 x-key=plain x-team=blue x-token=t2");
}

#[tokio::test(start_paused = true)]
async fn without_what_was_configured_nothing_is_shown() {
    let place = Place::new().with_token(GRACE).with_headers(GRACE);
    let refused = async || place.authority().present().await.unwrap_err();
    assert_eq!(refused().await, Refused::Token(NoCredential::Missing(Flaw::Missing)));
    place.write("token", "t1");
    place.write("headers", "no header at all");
    assert_eq!(refused().await, Refused::Headers(NoCredential::Missing(Flaw::NotHeaders)));

    let mut place = Place::new();
    place.settings.login = Some("linear".into());
    let authority = place.authority();
    let refused = authority.present().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no login linear; type: thoth auth login linear --url https://u.example/mcp"
    );
    assert_eq!(states(&authority), [("upstream_login".to_owned(), State::Missing)]);
}

#[tokio::test]
async fn headers_that_are_torn_keep_the_last_ones_whole() {
    let place = Place::new().with_headers(GRACE);
    let authority = place.authority();
    place.write("headers", "X-A: 1\r\nX-B: 2\r\n");
    assert_eq!(shown(&authority).await, "1 x-a=1 x-b=2");
    let long = format!("X-A: {}", "a".repeat(16 * 1024));
    let chmod = |mode| {
        fs::set_permissions(place.path("headers"), fs::Permissions::from_mode(mode)).unwrap();
    };
    let steps: &[(&str, &dyn Fn())] = &[
        ("empty", &|| place.write("headers", "")),
        ("blank", &|| place.write("headers", "\r\n\r\n")),
        ("half of a JSON", &|| place.write("headers", r#"{"X-A": "3", "X-B": "4"#)),
        ("half of a line", &|| place.write("headers", "X-A: 3\nX-B")),
        ("a value that ends a line", &|| place.write("headers", r#"{"X-A": "3\r\nX-C: 5"}"#)),
        ("a lone CR", &|| place.write("headers", "X-A: 3\rX-C: 5")),
        ("over 16 KiB", &|| place.write("headers", &long)),
        ("one of the transport's", &|| place.write("headers", "X-A: 3\nHost: elsewhere")),
        ("open to readers", &|| (place.write("headers", "X-A: 3"), chmod(0o604)).1),
        ("open to writers", &|| chmod(0o602)),
        ("gone", &|| fs::remove_file(place.path("headers")).unwrap()),
    ];
    for (what, change) in steps {
        change();
        assert_eq!(shown(&authority).await, "1 x-a=1 x-b=2", "{what}");
        assert_eq!(states(&authority)[0].1, State::Stale, "{what}");
    }
    place.write("headers", "X-A: 3\r\nX-B: 4");
    assert_eq!(shown(&authority).await, "2 x-a=3 x-b=4");
    assert_eq!(states(&authority)[0].1, State::Ok);
}

#[tokio::test]
async fn a_mounted_secret_is_swapped_whole() {
    // As kubelet does it: the file is a link into `..data`, a link that is renamed over.
    let place = Place::new().with_token(GRACE).with_headers(GRACE);
    let mount = |version: &str, token: &str, headers: &str| {
        fs::create_dir(place.path(version)).unwrap();
        write(&place.path(version).join("token"), token);
        write(&place.path(version).join("headers"), headers);
        symlink(version, place.path("..data_tmp")).unwrap();
        fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    };
    symlink("..data/token", place.path("token")).unwrap();
    symlink("..data/headers", place.path("headers")).unwrap();
    let authority = place.authority();
    mount("..1", "t1", "X-Key: k1");
    assert_eq!(shown(&authority).await, "1 authorization=Bearer t1 x-key=k1");
    mount("..2", "t2", "X-Key: k2");
    fs::remove_dir_all(place.path("..1")).unwrap();
    assert_eq!(shown(&authority).await, "2 authorization=Bearer t2 x-key=k2");
}

// Rejection.

#[tokio::test(start_paused = true)]
async fn whichever_of_the_two_is_replaced_ends_the_wait() {
    let place = Place::new().with_token(GRACE).with_headers(GRACE);
    place.write("token", "t1");
    place.write("headers", "X-Key: k1");
    let authority = place.authority();
    assert_eq!(shown(&authority).await, "1 authorization=Bearer t1 x-key=k1");

    let begin = Instant::now();
    write_after(Duration::from_millis(780), place.path("token"), "t2");
    let newer = rejected(&authority, 1, LONG).await;
    assert_eq!(newer.as_deref(), Some("2 authorization=Bearer t2 x-key=k1"));
    assert_eq!(begin.elapsed(), Duration::from_millis(800));
    authority.accepted(2);

    let begin = Instant::now();
    write_after(Duration::from_millis(380), place.path("headers"), "X-Key: k2");
    let newer = rejected(&authority, 2, LONG).await;
    assert_eq!(newer.as_deref(), Some("3 authorization=Bearer t2 x-key=k2"));
    assert_eq!(begin.elapsed(), Duration::from_millis(400));

    // Only who holds the present generation waits.
    let begin = Instant::now();
    for old in [1, 2] {
        let newer = rejected(&authority, old, LONG).await;
        assert_eq!(newer.as_deref(), Some("3 authorization=Bearer t2 x-key=k2"));
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_for_good_is_waited_for_once_and_healed_by_anything_newer() {
    let place = Place::new().with_token(GRACE).with_headers(GRACE);
    place.write("token", "t1");
    place.write("headers", "X-Key: k1");
    let authority = place.authority();
    assert!(authority.present().await.is_ok());
    let begin = Instant::now();
    assert_eq!(rejected(&authority, 1, LONG).await, None);
    assert_eq!(begin.elapsed(), GRACE);
    let both =
        |state| [("upstream_token".to_owned(), state), ("upstream_headers".to_owned(), state)];
    assert_eq!(states(&authority), both(State::Rejected));
    for _ in 0..3 {
        assert_eq!(shown(&authority).await, "1 authorization=Bearer t1 x-key=k1");
        assert_eq!(rejected(&authority, 1, LONG).await, None);
    }
    assert_eq!(begin.elapsed(), GRACE, "others have waited in vain");
    place.write("token", "t2");
    assert_eq!(rejected(&authority, 1, LONG).await.unwrap(), "2 authorization=Bearer t2 x-key=k1");
    authority.accepted(1);
    assert_eq!(states(&authority)[1].1, State::Rejected, "an old acceptance says nothing of both");
    authority.accepted(2);
    assert_eq!(states(&authority), both(State::Ok));
    assert_eq!(begin.elapsed(), GRACE);
}

#[tokio::test(start_paused = true)]
async fn the_grace_is_as_long_as_it_is_said_to_be_and_ends_with_the_request() {
    for (grace, patience, expected) in [
        (Duration::ZERO, LONG, Duration::ZERO),
        (Duration::from_millis(120), LONG, Duration::from_millis(120)),
        (Duration::from_secs(30), LONG, Duration::from_secs(30)),
        (LONG, Duration::from_secs(3), Duration::from_secs(3)),
    ] {
        let place = Place::new().with_token(grace);
        place.write("token", "t1");
        let authority = place.authority();
        assert!(authority.present().await.is_ok());
        let begin = Instant::now();
        assert_eq!(rejected(&authority, 1, patience).await, None);
        assert_eq!(begin.elapsed(), expected, "{grace:?}");
    }
    // Without any, it is looked for once all the same.
    let place = Place::new().with_token(Duration::ZERO);
    place.write("token", "t1");
    let authority = place.authority();
    assert!(authority.present().await.is_ok());
    place.write("token", "t2");
    assert_eq!(rejected(&authority, 1, LONG).await.as_deref(), Some("2 authorization=Bearer t2"));
}

#[tokio::test(start_paused = true)]
async fn two_hundred_requests_that_are_rejected_together_wait_together() {
    let place = Place::new().with_token(GRACE);
    place.write("token", "t1");
    let authority = place.authority();
    assert!(authority.present().await.is_ok());
    write_after(Duration::from_secs(1), place.path("token"), "t2");
    let mut waiting = JoinSet::new();
    for _ in 0..200 {
        let authority = authority.clone();
        waiting.spawn(async move { rejected(&authority, 1, LONG).await });
    }
    while let Some(newer) = waiting.join_next().await {
        assert_eq!(newer.unwrap().as_deref(), Some("2 authorization=Bearer t2"));
    }
}

#[tokio::test]
async fn a_secret_that_cannot_change_is_not_waited_for() {
    let mut place = Place::new();
    let secret = ApiKey::parse("t1").unwrap();
    let source = Source::Value { secret, from: "THOTH_UPSTREAM_TOKEN", key_id: None };
    let credential = Credential::new("upstream_token", source, noon);
    place.settings.token = Some(Token { credential, header: AUTHORIZATION, bearer: true });
    let authority = place.authority();
    assert!(authority.present().await.is_ok());
    assert_eq!(rejected(&authority, 1, LONG).await, None);
    assert_eq!(states(&authority)[0].1, State::Rejected);
}

// Commands that print headers.

#[tokio::test]
async fn a_helper_of_a_client_works_as_it_is() {
    // One that reads standard input gets none of the client's lines; what it says beside is not
    // looked at.
    let script =
        r#"cat; echo hunter2 >&2; printf '{"Authorization": "Bearer %s", "X-Org": "acme"}\n' t1"#;
    let place = Place::new().printing(script, GRACE);
    assert_eq!(shown(&place.authority()).await, "1 authorization=Bearer t1 x-org=acme");
}

#[tokio::test]
async fn a_helper_that_fails_floods_or_prints_no_headers_keeps_what_was_printed_last() {
    for second in [
        "exit 1",
        "echo '{\"X-Key\": \"k2\"}'; exit 3",
        "while echo X-Key: 0123456789; do :; done",
        "true",
        "echo '{\"X-Key\": \"k2\"'",
        "echo '{\"X-Key\": 2}'",
        "echo '{\"Mcp-Session-Id\": \"s\"}'",
    ] {
        let script = format!(r#"if [ -e "$0/go" ]; then {second}; else echo X-Key: k1; fi"#);
        let place = Place::new().printing(&script, GRACE);
        let authority = place.authority();
        assert_eq!(shown(&authority).await, "1 x-key=k1");
        place.write("go", "");
        assert_eq!(rejected(&authority, 1, LONG).await, None, "{second}");
        assert_eq!(shown(&authority).await, "1 x-key=k1", "{second}");
        assert_eq!(states(&authority)[0].1, State::Rejected, "{second}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_keeps_no_request_beyond_its_time() {
    let script = r#"[ -e "$0/go" ] && sleep 1000; echo X-Key: k1"#;
    let place = Place::new().printing(script, GRACE);
    let authority = place.authority();
    assert_eq!(shown(&authority).await, "1 x-key=k1");
    place.write("go", "");
    assert_eq!(rejected(&authority, 1, Duration::from_millis(1500)).await, None);
}

#[tokio::test]
async fn a_helper_that_takes_longer_than_the_grace_is_waited_for() {
    let script = r#"[ -e "$0/go" ] && sleep 0.5; cat "$0/now""#;
    let place = Place::new().printing(script, Duration::ZERO);
    place.write("now", "X-Key: k1");
    let authority = place.authority();
    assert_eq!(shown(&authority).await, "1 x-key=k1");
    sleep(Duration::from_millis(1100)).await; // it runs once a second
    place.write("go", "");
    place.write("now", "X-Key: k2");
    assert_eq!(rejected(&authority, 1, LONG).await.as_deref(), Some("2 x-key=k2"));
}

// What is told.

#[tokio::test]
async fn nothing_secret_is_printed_and_each_source_is_reported() {
    let place = Place::new().with_token(GRACE).with_headers(GRACE);
    place.write("token", "hunter2-token");
    place.write("headers", "X-Key: hunter2-key");
    let authority = place.authority();
    let presented = authority.present().await.unwrap();
    assert!(presented.headers.values().all(HeaderValue::is_sensitive));
    let standings = authority.standings();
    let json = serde_json::to_string(&standings).unwrap();
    let told = format!("{:?} {authority:?} {presented:?} {json}", place.settings);
    assert!(!told.contains("hunter2"), "{told}");

    let [token, headers] = &standings[..] else { unreachable!("two sources") };
    assert_eq!((&*token.name, &*token.source, token.generation), ("upstream_token", "file", 1));
    assert_eq!(token.fingerprint, Some(fingerprint("hunter2-token")));
    assert_eq!((&*headers.name, headers.loaded_at), ("upstream_headers", Some(noon())));
    let mut set = SecretHeaders::default();
    set.insert("x-key", "hunter2-key").unwrap();
    assert_eq!(headers.fingerprint, Some(thoth::secret::fingerprint_of(&set.sha256())));
}
