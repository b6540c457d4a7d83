//! Where a credential comes from, and what is wrong with one.

#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::credential::State;

/// A file of this user's alone.
fn private(folder: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    chmod(&path, 0o600);
    path
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_key_that_stands_nearest_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = private(folder.path(), "key.json", r#"{"api_key": "of-file", "key_id": "x"}"#);
    let file = path.to_str().unwrap();
    let file_flag = format!("--api-key-file={file}");
    let key = ("THOTH_API_KEY", "of-variable");
    let in_file = ("THOTH_API_KEY_FILE", file);
    let printed = ("THOTH_API_KEY_COMMAND", "print-key");

    let value = |key: &str, from: &'static str| (Some(fingerprint(key)), Some(from), false);
    let of_file = || (Some(fingerprint("of-file")), Some("file"), true);
    let command = || (None, Some("command"), false);
    for (words, env, expected) in [
        (&[][..], &[][..], (None, None, false)),
        (&[], &[key], value("of-variable", "THOTH_API_KEY")),
        (&[], &[in_file], of_file()),
        (&[], &[printed], command()),
        (&[], &[key, in_file, printed], value("of-variable", "THOTH_API_KEY")),
        (&[], &[in_file, printed], of_file()),
        (&[&*file_flag], &[key, printed], of_file()),
        (&["--api-key-command=print-key"], &[key, in_file], command()),
        (&["--api-key=of-flag"], &[key, in_file, printed], value("of-flag", "--api-key")),
        (&["--api-key=of-flag"], &[in_file], value("of-flag", "--api-key")),
    ] {
        let config = config(words, &[env, &[URL]].concat());
        let standing = config.enforcer.unwrap().api_key.map(|key| key.standing());
        let (fingerprint, source, from_file) = expected;
        assert_eq!(standing.as_ref().map(|key| &*key.source), source, "{words:?} {env:?}");
        assert_eq!(standing.and_then(|key| key.fingerprint), fingerprint, "{words:?} {env:?}");
        let files = if from_file { vec![path.clone()] } else { Vec::new() };
        assert_eq!(config.preflight.key_files, files, "{words:?} {env:?}");
    }
}

#[test]
fn of_two_keys_the_one_that_is_not_used_is_named() {
    let key = ("THOTH_API_KEY", "k");
    let printed = ("THOTH_API_KEY_COMMAND", "print-key");
    let told = config(&["--env=dev"], &[URL, key, printed]).notices;
    assert_eq!(told, ["THOTH_API_KEY_COMMAND: is not used, since THOTH_API_KEY is given"]);
    let told = config(&["--env=dev", "--api-key-command=print-key"], &[URL, key]).notices;
    assert_eq!(told, ["THOTH_API_KEY: is not used, since --api-key-command is given"]);
}

#[test]
fn what_is_wrong_with_a_key_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let long = vec![b'k'; 16 * 1024 + 1];
    for (path, awaiting, expected) in [
        (folder.join("hunter2"), true, "names no file; write the path"),
        (folder.to_owned(), false, "names a file that cannot be read"),
        (private(folder, "empty", "\n"), true, "names a file without a key"),
        (private(folder, "blank", r#"{"api_key":""}"#), true, "names a file without a key"),
        (private(folder, "torn", r#"{"api_key":"hun"#), true, "is not JSON with a text `api_key`"),
        (private(folder, "two", "hunter2\nhunter2"), false, "holds a character"),
        (private(folder, "bytes", [0xff]), false, "names a file that is not UTF-8"),
        (private(folder, "long", long), false, "names a file over 16 KiB"),
    ] {
        let reading = reading(&[], &[URL, ("THOTH_API_KEY_FILE", path.to_str().unwrap())]);
        assert_eq!(!reading.patience().is_zero(), awaiting, "{}", path.display());
        let told = reading.into_config().unwrap_err().to_string();
        assert!(
            told.contains(&format!("THOTH_API_KEY_FILE: {expected}"))
                || told.contains("THOTH_API_KEY_FILE: ") && told.contains(expected),
            "{told}"
        );
        assert!(!told.contains("hun"), "{told}");
    }
    for (command, expected) in [
        ("'hunter2", "opens a quotation that does not end"),
        ("[hunter2]", "begins like a JSON array"),
        ("'' hunter2", "names no program"),
    ] {
        let told = refused(&[], &[URL, ("THOTH_API_KEY_COMMAND", command)]);
        assert!(told.contains(&format!("THOTH_API_KEY_COMMAND: {expected}")), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_pipe_is_read_once_and_its_key_stays() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(br#"{"api_key":"k","key_id":"i"}"#).unwrap();
    drop(writer);
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    let config = config(&[], &[URL, ("THOTH_API_KEY_FILE", &path)]);
    assert_eq!(known(&config), (Some(fingerprint("k")), Some("i".to_owned())));
    let source = config.enforcer.unwrap().api_key.unwrap().standing().source;
    assert_eq!(source, "THOTH_API_KEY_FILE");
}

#[test]
fn a_pipe_that_nobody_may_ever_write_into_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let told = refused(&[], &[URL, ("THOTH_API_KEY_FILE", path.to_str().unwrap())]);
    assert!(told.contains("THOTH_API_KEY_FILE: names a file that cannot be read"), "{told}");
}

#[test]
fn who_else_can_read_a_key_is_left_to_the_preflight() {
    let folder = tempfile::tempdir().unwrap();
    let path = private(folder.path(), "key", "k");
    chmod(&path, 0o604);
    let config = config(&[], &[URL, ("THOTH_API_KEY_FILE", path.to_str().unwrap())]);
    assert_eq!(config.preflight.key_files, [path]);
    assert_eq!(known(&config).0, None, "and until then it is not read");
}

#[test]
fn a_list_of_revoked_keys_is_relied_on() {
    let folder = tempfile::tempdir().unwrap();
    let key = ("THOTH_API_KEY", "k");
    let id = ("THOTH_API_KEY_ID", "key-7");
    let list = |path: &Path| path.to_str().unwrap().to_owned();
    let path = private(folder.path(), "revoked", "# lost\nkey-7\n");
    let setting = list(&path);
    let listed = ("THOTH_REVOKED_API_KEY_IDS_FILE", &*setting);
    let revoked = config(&["--env=dev"], &[URL, key, id, listed]);
    let state =
        |config: &Config| config.enforcer.clone().unwrap().api_key.unwrap().standing().state;
    assert_eq!(state(&revoked), State::Revoked);
    let notice = "THOTH_API_KEY: the key is on the list of revoked ones: calls will be blocked";
    assert_eq!(revoked.notices, [notice]);
    assert_eq!(state(&config(&[], &[URL, key, listed])), State::Ok, "a key without a name");
    assert!(
        reading(&[], &[listed]).shown().iter().any(|shown| {
            shown.name == "THOTH_REVOKED_API_KEY_IDS_FILE" && shown.value == setting
        })
    );

    for (path, expected) in [
        (folder.path().join("none"), "names no file; write the path of the list"),
        (private(folder.path(), "broken", "[key-7"), "names a file that is no list"),
    ] {
        let setting = list(&path);
        let told = refused(&[], &[URL, key, ("THOTH_REVOKED_API_KEY_IDS_FILE", &setting)]);
        assert!(told.contains(&format!("THOTH_REVOKED_API_KEY_IDS_FILE: {expected}")), "{told}");
    }
    chmod(&path, 0o666);
    assert!(refused(&[], &[URL, key, listed]).contains("names a file that others can write"));
}
