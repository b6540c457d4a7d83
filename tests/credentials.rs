//! Credentials that rotate: files that are torn, moved, opened to others; commands; revocations.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use thoth::credential::{
    Credential, Flaw, GRACE, Invocation, NoCredential, Revocations, Source, State,
};
use thoth::secret::{ApiKey, fingerprint};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A file with a key, and the credential that is read from it.
struct File {
    folder: TempDir,
    path: PathBuf,
    credential: Credential,
}

impl File {
    fn missing() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let credential = Credential::new("api_key", Source::File(path.clone()), noon);
        Self { folder, path, credential }
    }

    fn with(text: &str) -> Self {
        let file = Self::missing();
        file.write(text);
        file.credential.load_now().unwrap();
        file
    }

    fn write(&self, text: &str) {
        write(&self.path, text);
    }

    async fn now(&self) -> String {
        header(&self.credential.current().await.unwrap().secret)
    }

    fn state(&self) -> State {
        self.credential.standing().state
    }

    /// Writes `text` after this time.
    fn write_after(&self, time: Duration, text: &'static str) {
        let path = self.path.clone();
        tokio::spawn(async move {
            sleep(time).await;
            write(&path, text);
        });
    }

    /// What comes after the rejection of this generation, and after which time.
    async fn rejected(&self, generation: u64, patience: Duration) -> (Option<String>, Duration) {
        let begin = Instant::now();
        let newer = self.credential.after_rejection(generation, begin + patience).await;
        (newer.map(|newer| header(&newer.secret)), begin.elapsed())
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn header(secret: &ApiKey) -> String {
    secret.api_key().to_str().unwrap().to_owned()
}

fn value(text: &str) -> Credential {
    let secret = ApiKey::parse(text).unwrap();
    let source = Source::Value { secret, from: "THOTH_API_KEY", key_id: None };
    Credential::new("api_key", source, noon)
}

/// A credential that this shell script prints; `$0` is the folder.
fn printed(script: &str, folder: &Path) -> Credential {
    let words = serde_json::to_string(&["sh", "-c", script, folder.to_str().unwrap()]).unwrap();
    let invocation = Invocation::parse(&words, Vec::new()).unwrap();
    Credential::new("api_key", Source::Command(invocation), noon)
}

// Last known good.

#[tokio::test(start_paused = true)]
async fn each_use_reads_the_file_and_a_torn_one_keeps_the_last_key() {
    let file = File::with("k1\n");
    let begin = Instant::now();
    let chmod = |mode| fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
    let rename = |text| {
        write(&file.folder.path().join("new"), text);
        fs::rename(file.folder.path().join("new"), &file.path).unwrap();
    };
    let steps: &[(&str, &dyn Fn(), &str, State)] = &[
        ("at first", &|| {}, "k1", State::Ok),
        ("truncated", &|| file.write(""), "k1", State::Stale),
        ("written in place", &|| file.write("k2"), "k2", State::Ok),
        ("half a JSON", &|| file.write(r#"{"api_key":"k"#), "k2", State::Stale),
        ("all of it", &|| file.write(r#"{"api_key":"k3"}"#), "k3", State::Ok),
        ("renamed over", &|| rename("k4"), "k4", State::Ok),
        ("gone", &|| fs::remove_file(&file.path).unwrap(), "k4", State::Stale),
        ("a directory instead", &|| fs::create_dir(&file.path).unwrap(), "k4", State::Stale),
        ("gone again", &|| fs::remove_dir(&file.path).unwrap(), "k4", State::Stale),
        ("back, and the same", &|| file.write("k4"), "k4", State::Ok),
        ("readable", &|| (file.write("k5"), chmod(0o604)).1, "k4", State::Stale),
        ("writable", &|| chmod(0o602), "k4", State::Stale),
        ("private", &|| chmod(0o400), "k5", State::Ok),
        ("two lines", &|| file.write("k6\nx-admin: true"), "k5", State::Stale),
        ("NUL", &|| file.write("k6\0"), "k5", State::Stale),
        ("too long", &|| file.write(&"k".repeat(16 * 1024 + 1)), "k5", State::Stale),
        (
            "as long as may be",
            &|| file.write(&("k6".to_owned() + &" ".repeat(16 * 1024 - 2))),
            "k6",
            State::Ok,
        ),
    ];
    let mut generation = 1;
    let mut before = "k1".to_owned();
    for (step, act, expected, state) in steps {
        act();
        assert_eq!((&*file.now().await, file.state()), (*expected, *state), "{step}");
        generation += u64::from(before != *expected);
        before = (*expected).to_owned();
        let standing = file.credential.standing();
        assert_eq!(standing.generation, generation, "{step}");
        assert_eq!(standing.fingerprint, Some(fingerprint(expected)), "{step}");
    }
    assert_eq!(begin.elapsed(), Duration::ZERO, "and nobody waits");
}

#[tokio::test]
async fn a_mounted_secret_is_swapped_under_its_links() {
    // As Kubernetes does it: key -> ..data/key, ..data -> ..2026_11_21, swapped by rename.
    let file = File::missing();
    let at = |name: &str| file.folder.path().join(name);
    let mount = |version: &str, text: &str| {
        fs::create_dir(at(version)).unwrap();
        write(&at(version).join("key"), text);
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    mount("..1", "k1");
    symlink("..data/key", &file.path).unwrap();
    assert_eq!(file.now().await, "k1");
    mount("..2", "k2");
    assert_eq!(file.now().await, "k2");
    fs::remove_dir_all(at("..1")).unwrap();
    assert_eq!((&*file.now().await, file.state()), ("k2", State::Ok));
    fs::remove_dir_all(at("..2")).unwrap();
    assert_eq!((&*file.now().await, file.state()), ("k2", State::Stale));
}

#[tokio::test]
async fn its_name_and_its_end_come_from_the_file() {
    let file = File::with(r#"{"token":"t","expires_at":"2026-11-21T13:00:00Z"}"#);
    let credential = file.credential.clone().called(Some("of-variable".to_owned()));
    let standing = credential.standing();
    assert_eq!(standing.key_id.as_deref(), Some("of-variable"));
    assert_eq!(standing.expires_at, Some("2026-11-21T13:00:00Z".parse().unwrap()));
    assert_eq!(standing.loaded_at, Some(noon()));
    file.write(r#"{"api_key":"t","key_id":"of-file"}"#);
    let current = credential.current().await.unwrap();
    assert_eq!((current.generation, current.key_id.as_deref()), (1, Some("of-file")));
    assert_eq!(credential.standing().key_id.as_deref(), Some("of-file"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_never_good_is_waited_for_once() {
    let file = File::missing();
    let begin = Instant::now();
    let missing = |flaw| NoCredential::Missing(flaw);
    assert_eq!(file.credential.current().await.unwrap_err(), missing(Flaw::Missing));
    assert_eq!(begin.elapsed(), GRACE);
    file.write("");
    assert_eq!(file.credential.current().await.unwrap_err(), missing(Flaw::Empty));
    assert_eq!((begin.elapsed(), file.state()), (GRACE, State::Missing));
    file.write("k1");
    assert_eq!((&*file.now().await, file.state()), ("k1", State::Ok));

    let file = File::missing();
    file.write_after(SECONDS(1), "k1");
    assert_eq!(file.now().await, "k1");
}

// Rejection.

#[tokio::test(start_paused = true)]
async fn a_rejected_key_is_replaced_by_the_one_that_is_written_meanwhile() {
    let file = File::with("k1");
    file.write("k2");
    assert_eq!(file.rejected(1, SECONDS(5)).await, (Some("k2".to_owned()), Duration::ZERO));

    // Revoked first, and written 0.8 s later.
    file.write_after(Duration::from_millis(780), "k3");
    let (newer, after) = file.rejected(2, SECONDS(5)).await;
    assert_eq!((newer.as_deref(), after), (Some("k3"), Duration::from_millis(800)));
    assert_eq!(file.state(), State::Ok);

    // Who was rejected with an older one yet gets the newest at once.
    assert_eq!(file.rejected(1, Duration::ZERO).await, (Some("k3".to_owned()), Duration::ZERO));
    assert_eq!(file.state(), State::Ok, "that says nothing of the newest");
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_for_good_is_waited_for_once() {
    let file = File::with("k1");
    assert_eq!(file.rejected(1, SECONDS(5)).await, (None, GRACE));
    assert_eq!(file.state(), State::Rejected);
    for _ in 0..3 {
        assert_eq!(file.now().await, "k1", "there is nothing else to try");
        assert_eq!(file.rejected(1, SECONDS(5)).await, (None, Duration::ZERO));
    }
    // A newer one heals at once; the old one is known again; what is accepted is good.
    file.write("k2");
    assert_eq!(file.rejected(1, SECONDS(5)).await, (Some("k2".to_owned()), Duration::ZERO));
    assert_eq!(file.state(), State::Ok);
    file.write("k1");
    assert_eq!((&*file.now().await, file.state()), ("k1", State::Rejected));
    assert_eq!(file.rejected(3, SECONDS(5)).await, (None, Duration::ZERO));
    file.credential.accepted(2);
    assert_eq!(file.state(), State::Rejected);
    file.credential.accepted(3);
    assert_eq!(file.state(), State::Ok);
    assert_eq!(file.rejected(3, SECONDS(5)).await, (None, GRACE));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_wait_before_the_grace_does() {
    let file = File::with("k1");
    let (short, rest) = (Duration::from_millis(120), Duration::from_millis(1880));
    assert_eq!(file.rejected(1, short).await, (None, short));
    assert_eq!(file.rejected(1, SECONDS(5)).await, (None, rest), "one grace for all");
    assert_eq!(value("k1").after_rejection(1, Instant::now() + SECONDS(5)).await.map(|_| ()), None);
}

#[tokio::test(start_paused = true)]
async fn a_value_cannot_change_and_is_not_waited_for() {
    let begin = Instant::now();
    let credential = value("k1");
    assert!(credential.after_rejection(1, begin + SECONDS(5)).await.is_none());
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let standing = credential.standing();
    assert_eq!((&*standing.source, standing.state), ("THOTH_API_KEY", State::Rejected));
    assert!(credential.current().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn two_hundred_who_are_rejected_wait_together() {
    let file = File::with("k1");
    file.write_after(SECONDS(1), "k2");
    let mut waiting = JoinSet::new();
    for _ in 0..200 {
        let credential = file.credential.clone();
        let deadline = Instant::now() + SECONDS(5);
        waiting.spawn(async move { credential.after_rejection(1, deadline).await });
    }
    while let Some(newer) = waiting.join_next().await {
        assert_eq!(header(&newer.unwrap().unwrap().secret), "k2");
    }
}

// Commands.

#[tokio::test]
async fn a_command_runs_once_for_two_hundred_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let runs = || fs::read_to_string(at("runs")).unwrap().len();
    write(&at("key"), "k1");
    let script = r#"printf . >> "$0/runs"
        while [ ! -e "$0/go" ]; do sleep 0.01; done
        cat "$0/key""#;
    let credential = printed(script, folder.path());
    assert_eq!(credential.standing().state, State::Missing);

    let mut asking = JoinSet::new();
    for _ in 0..200 {
        let credential = credential.clone();
        asking.spawn(async move { header(&credential.current().await.unwrap().secret) });
        while !at("runs").exists() {
            sleep(Duration::from_millis(1)).await; // the others find it running
        }
        tokio::task::yield_now().await;
    }
    write(&at("go"), "");
    while let Some(key) = asking.join_next().await {
        assert_eq!(key.unwrap(), "k1");
    }
    assert_eq!(runs(), 1);
    write(&at("key"), "k2");
    assert_eq!(header(&credential.current().await.unwrap().secret), "k1", "it is kept");
    assert_eq!(runs(), 1);

    let mut rejected = JoinSet::new();
    for _ in 0..200 {
        let credential = credential.clone();
        let deadline = Instant::now() + SECONDS(30);
        rejected.spawn(async move { credential.after_rejection(1, deadline).await });
    }
    while let Some(newer) = rejected.join_next().await {
        assert_eq!(header(&newer.unwrap().unwrap().secret), "k2");
    }
    assert_eq!(runs(), 2);
    assert_eq!(credential.standing().source, "command");
}

#[tokio::test]
async fn a_command_runs_once_a_second_however_often_its_key_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let credential = printed(r#"printf . >> "$0/runs"; echo k1"#, folder.path());
    let begin = Instant::now();
    for _ in 0..50 {
        assert_eq!(header(&credential.current().await.unwrap().secret), "k1");
        assert!(credential.after_rejection(1, Instant::now()).await.is_none());
    }
    let runs = fs::read_to_string(folder.path().join("runs")).unwrap().len() as u64;
    let (least, most) = (1, 2 + begin.elapsed().as_secs());
    assert!((least..=most).contains(&runs), "{runs}, not {least} to {most}");
}

#[tokio::test]
async fn a_command_that_fails_keeps_what_it_printed_last() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    write(&key, "k1");
    let credential = printed(r#"cat "$0/key""#, folder.path());
    assert_eq!(header(&credential.current().await.unwrap().secret), "k1");
    fs::remove_file(&key).unwrap();
    let deadline = Instant::now() + SECONDS(30);
    assert!(credential.after_rejection(1, deadline).await.is_none());
    assert_eq!(header(&credential.current().await.unwrap().secret), "k1");
    assert_eq!(credential.standing().state, State::Rejected);
}

#[tokio::test]
async fn who_asks_may_go_away_and_the_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let credential = printed(r#"sleep 0.3; echo k1; printf . >> "$0/runs""#, folder.path());
    let soon = tokio::time::timeout(Duration::from_millis(1), credential.current());
    assert!(soon.await.is_err());
    assert_eq!(header(&credential.current().await.unwrap().secret), "k1");
    assert_eq!(fs::read_to_string(folder.path().join("runs")).unwrap(), ".");
}

#[tokio::test]
async fn what_a_command_printed_is_replaced_before_its_end_and_nobody_waits_for_that() {
    static SECOND: AtomicU64 = AtomicU64::new(0);
    let clock: fn() -> Timestamp = || noon() + Duration::from_secs(SECOND.load(Relaxed));

    let folder = tempfile::tempdir().unwrap();
    let json =
        |token: &str| format!(r#"{{"token":"{token}","expires_at":"2026-11-21T13:00:00Z"}}"#);
    write(&folder.path().join("key"), &json("k1"));
    let words = ["cat", folder.path().join("key").to_str().unwrap()].map(str::to_owned);
    let command = Invocation::parse(&serde_json::to_string(&words).unwrap(), Vec::new()).unwrap();
    let credential = Credential::new("api_key", Source::Command(command), clock);
    let now = async || header(&credential.current().await.unwrap().secret);
    assert_eq!(now().await, "k1");

    write(&folder.path().join("key"), &json("k2"));
    assert_eq!(now().await, "k1");
    SECOND.store(59 * 60, Relaxed);
    assert_eq!(now().await, "k1", "a newer one is on its way");
    while now().await == "k1" {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((&*now().await, credential.standing().generation), ("k2", 2));
}

// Revocation.

#[tokio::test]
async fn a_revoked_key_is_given_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("revoked");
    write(&list, "# none\n");
    let file = File::with(r#"{"api_key":"k1","key_id":"id-1"}"#);
    let revocations = Revocations::of_file(list.clone()).unwrap();
    let credential = file.credential.clone().unless(revocations);
    assert!(credential.current().await.is_ok());

    write(&list, "id-1\n");
    let revoked = NoCredential::Revoked { key_id: Some("id-1".to_owned()) };
    assert_eq!(credential.current().await.unwrap_err(), revoked);
    assert_eq!(credential.standing().state, State::Revoked);
    fs::remove_file(&list).unwrap();
    assert_eq!(credential.current().await.unwrap_err(), revoked, "the list is remembered");

    // A newer key is good, unless the GovAPI says otherwise.
    file.write(r#"{"api_key":"k2","key_id":"id-2"}"#);
    assert!(credential.after_rejection(1, Instant::now()).await.is_some());
    credential.revocations().set(["id-2".to_owned()]);
    assert!(credential.current().await.is_err());
    assert!(credential.after_rejection(1, Instant::now()).await.is_none());
    credential.revocations().set([fingerprint("k1"), "id-2".to_owned()]);
    file.write("k1");
    assert_eq!(
        credential.current().await.unwrap_err().to_string(),
        "it is on a list of revoked ones"
    );
    credential.revocations().set([]);
    assert!(credential.current().await.is_ok());
}
