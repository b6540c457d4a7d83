//! The token is nowhere but in the file it came from and in the requests it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::client::Setup;
use crate::server::{Refusal, Server};

const SECRETS: [&str; 4] = ["s3cret-first", "s3cret-second", "s3cret-header", "s3cret-beside"];

/// No secret is in there.
fn is_clean(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in SECRETS {
        assert!(!text.contains(secret), "{place} holds {secret}: {text}");
    }
}

/// Everything below a folder, but what the test itself has put there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "as a person runs it")]
fn thoth(setup: &Setup, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thoth"))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", setup.home.path())
        .env("THOTH_HOME_DIR", setup.home.path().join("home"))
        .output()
        .unwrap()
}

#[tokio::test]
async fn no_secret_is_in_any_log_file_argument_or_report() {
    let server = Server::start().await;
    server.accept_only(&["s3cret-first"]).with(|state| state.refusal = Refusal::Challenge);
    let setup = Setup::new(&server).token("s3cret-first");
    let header_file = setup.home.path().join("headers");
    crate::client::replace(&header_file, "X-Key: s3cret-header\n");
    let setup = setup
        .flags(&["--upstream-header-file", header_file.to_str().unwrap()])
        .flags(&["--journal-arguments", "full"])
        .variable("THOTH_LOG_LEVEL", "trace")
        .variable("THOTH_LOG_FORMAT", "json");
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;

    // While it runs: what everybody on this machine may see, and what people are shown.
    let process = PathBuf::from("/proc").join(client.pid().to_string());
    for file in ["cmdline", "environ"] {
        is_clean(file, &fs::read(process.join(file)).unwrap_or_default());
    }
    server.accept_only(&["s3cret-second"]).drop_sessions();
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("s3cret-second");
    };
    tokio::join!(client.succeeds(6), rotating);
    for arguments in [&["status"][..], &["status", "--json"], &["health", "--json"], &["health"]] {
        let output = thoth(&setup, arguments);
        is_clean("a report", &output.stdout);
        is_clean("a report", &output.stderr);
    }

    // And it is refused for good.
    server.accept_only(&[]).with(|state| state.refusal = Refusal::InWords);
    client.call(7).await;
    server.with(|state| state.refusal = Refusal::Challenge);
    client.call(8).await;
    let ended = client.ends().await;
    assert!(server.seen().iter().all(|seen| seen.header("x-key") == "s3cret-header"));
    assert!(server.seen().iter().any(|seen| seen.token() == "s3cret-second"), "it was sent");
    is_clean("standard error", ended.stderr.as_bytes());
    assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "it says a lot");
    for line in &ended.lines {
        is_clean("the client's line", line.to_string().as_bytes());
    }
    let left = files(&setup.home.path().join("home"));
    assert!(left.iter().any(|path| path.extension().is_some_and(|end| end == "jsonl")));
    for path in left {
        is_clean(path.to_str().unwrap(), &fs::read(&path).unwrap());
    }
}

/// A program that prints the token is started with what it needs, and nothing of what thoth knows.
#[tokio::test]
async fn a_command_that_prints_the_token_sees_no_secret_of_another() {
    let server = Server::start().await;
    server.accept_only(&["s3cret-first"]);
    let setup = Setup::new(&server);
    setup.rotate("s3cret-first");
    let path = setup.token_file();
    let script = "env > \"$0.env\"; tr '\\0' '\\n' < /proc/$PPID/cmdline > \"$0.parent\"; \
        echo s3cret-''beside >&2; cat \"$0\"";
    let command = serde_json::to_string(&["sh", "-c", script, path.to_str().unwrap()]).unwrap();
    let setup = setup
        .flags(&["--upstream-token-command", &command])
        .flags(&["--upstream-header-env", "X-Key=THOTH_TEST_KEY"])
        .variable("THOTH_TEST_KEY", "s3cret-header")
        .variable("THOTH_LOG_LEVEL", "trace");
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1);
    is_clean("standard error", ended.stderr.as_bytes());
    for end in ["env", "parent"] {
        let seen = fs::read(path.with_extension(end)).unwrap();
        assert!(!seen.is_empty());
        is_clean(end, &seen);
    }
}

/// A secret on a command line is one that everybody sees: there is no flag for it.
#[tokio::test]
async fn a_secret_is_not_taken_from_the_command_line() {
    let server = Server::start().await;
    for flags in [
        &["--upstream-token", "s3cret-first"][..],
        &["--upstream-header", "Authorization: Bearer s3cret-first"],
        &["--upstream-header", "Cookie: s3cret-first"],
    ] {
        let setup = Setup::new(&server).flags(flags);
        let ended = setup.start().ends().await;
        assert_ne!(ended.code, 0, "{flags:?}");
        is_clean("standard error", ended.stderr.as_bytes());
    }
    let setup = Setup::at(&server.origin().replace("http://", "http://ada:s3cret-first@"));
    let ended = setup.start().ends().await;
    assert_ne!(ended.code, 0);
    is_clean("standard error", ended.stderr.as_bytes());
    assert!(server.seen().is_empty());
}
