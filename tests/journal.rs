//! Journals on a real disk, through the public interface, written by sessions that end, are
//! killed, or run out of space.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod journals;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use serde_json::Value;

use journals::{at, decided, decision, home, journal, outcome, verify, written};
use thoth::config::settings;
use thoth::gate::record::{End, Record};
use thoth::gate::verdict::{Grounds, PolicyRef};
use thoth::journal::{self, Header, Journal, Unwritable};
use thoth::seal::{self, Fault};

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// === what is written ===

#[test]
fn a_journal_reads_as_documented() {
    let home = home();
    let settings = settings::Journal { best_effort: false, full_arguments: true };
    let policy =
        PolicyRef { id: "files".into(), version: "3".into(), sha256: Some("ab".repeat(32)) };
    let header =
        Header { user: Some("ada".into()), policies: vec![policy.clone()], ..Header::default() };
    let mut journal = Journal::create(home.path(), "Desk", "s-1", settings, header, at(0));
    let mut blocked = decided(1, r#"{"path": "/etc/shadow", "n":1.50}"#);
    blocked.modified = Some(r#"{"path":"/dev/null"}"#.into());
    blocked.decision = "block";
    blocked.forwarded = false;
    blocked.grounds = Grounds {
        reason: Some("private \u{1b}[2J".into()),
        reason_code: Some("policy".into()),
        violation_id: Some("v-1".into()),
        rule_ids: vec!["no-etc".into()],
        control_ids: vec!["HIPAA 164.312(a)(1)".into()],
        policy: Some(policy),
        risk_score: Some(0.5),
        trace_id: Some("t-1".into()),
        self_approval: None,
    };
    journal.append(&Record::Decision(Box::new(blocked)), at(1)).unwrap();
    let error = Bytes::from_static(b"{\"code\":-32000}");
    journal.append(&outcome(2, End::Error { code: Some(-32000), error }), at(2)).unwrap();
    journal.append(&outcome(3, End::Cancelled), at(2)).unwrap();
    let unreadable = Record::Unreadable { reason_code: "raw_cr", bytes: 44 };
    journal.append(&unreadable, at(3)).unwrap();
    journal.close(at(4)).unwrap();

    assert!(journal.path().ends_with("journal/+desk/s-1.jsonl"));
    let text = fs::read_to_string(journal.path()).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let policy = format!(r#"{{"id":"files","version":"3","sha256":"{}"}}"#, "ab".repeat(32));
    let digest = seal::digest(b"{\"code\":-32000}");
    let expected = [
        format!(r#"{{"seq":1,"time":"2026-01-02T03:04:06.000006Z","kind":"session","format":"thoth-journal/1","session":"s-1","agent":"Desk","started":"2026-01-02T03:04:05.000006Z","thoth":"{version}","user":"ada","policies":[{policy}],"arguments":"full","prev":""#),
        format!(r#"{{"seq":2,"time":"2026-01-02T03:04:06.000006Z","kind":"decision","call":1,"call_id":"s-1-1","id":"\"c-1\"","tool":"read_file","decision":"block","forwarded":false,"basis":"rules","mode":"progressive","reason":"private \u001b[2J","reason_code":"policy","rule_ids":["no-etc"],"control_ids":["HIPAA 164.312(a)(1)"],"policy":{policy},"violation_id":"v-1","risk_score":0.5,"trace_id":"t-1","arguments":{{"path": "/etc/shadow", "n":1.50}},"modified":{{"path":"/dev/null"}},"took_us":31,"prev":""#),
        format!(r#"{{"seq":3,"time":"2026-01-02T03:04:07.000006Z","kind":"outcome","call":2,"call_id":"s-1-2","tool":"read_file","end":"error","code":-32000,"result_bytes":15,"result_sha256":"{digest}","took_us":2000,"prev":""#),
        r#"{"seq":4,"time":"2026-01-02T03:04:07.000006Z","kind":"outcome","call":3,"call_id":"s-1-3","tool":"read_file","end":"cancelled","took_us":2000,"prev":""#.into(),
        r#"{"seq":5,"time":"2026-01-02T03:04:08.000006Z","kind":"unreadable","reason_code":"raw_cr","bytes":44,"prev":""#.into(),
        r#"{"seq":6,"time":"2026-01-02T03:04:09.000006Z","kind":"end","decisions":1,"forwarded":0,"outcomes":2,"unreadable":1,"lost":0,"prev":""#.into(),
    ];
    let mut prev = "0".repeat(64);
    for (line, body) in text.lines().zip(&expected) {
        let body = format!("{body}{prev}\"");
        prev = seal::digest(body.as_bytes()).to_string();
        assert_eq!(line, format!("{body},\"seal\":\"{prev}\"}}"));
    }
    assert_eq!(text.lines().count(), expected.len());
    assert_eq!(journal.head().seal.to_string(), prev);
}

#[test]
fn nothing_is_touched_before_the_first_record() {
    let home = home();
    let profile = home.path().join("profile");
    let mut journal = journal(&profile, "s-1");
    journal.close(at(1)).unwrap();
    assert!(!profile.exists());
    let refused = journal.append(&decision(1, "{}"), at(2)).unwrap_err();
    assert!(matches!(refused, Unwritable::Closed));
    assert!(!profile.exists());
}

#[test]
fn a_journal_is_for_its_user_alone() {
    let home = home();
    let profile = home.path().join("profile");
    let path = written(&profile);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("head")), 0o600);
    assert_eq!(mode(&profile.join("journal.key")), 0o600);
    for directory in path.ancestors().skip(1).take(3) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
}

#[test]
fn arguments_are_hashed_unless_told_otherwise() {
    let home = home();
    let mut decided = decided(1, r#"{"path":"/secret"}"#);
    decided.modified = Some(r#"{"path":"/secret"}"#.into());
    let record = Record::Decision(Box::new(decided));
    let hashes: Vec<_> = ["s-1", "s-2"]
        .into_iter()
        .map(|session| {
            let mut journal = journal(home.path(), session);
            journal.append(&record, at(1)).unwrap();
            let text = fs::read_to_string(journal.path()).unwrap();
            assert!(!text.contains("secret"));
            let records = records(journal.path());
            assert_eq!(records[0]["arguments"], "hmac-sha256");
            assert_eq!(records[1]["arguments_hash"], records[1]["modified_hash"]);
            // The owner, who has the key, can check a guess.
            let read = |text: &str| hex::decode(text.trim_end()).unwrap();
            let key = read(&fs::read_to_string(home.path().join("journal.key")).unwrap());
            let salt = read(records[0]["salt"].as_str().unwrap());
            let guess = seal::Mac::new(&key).with_prefix(&salt).of(br#"{"path":"/secret"}"#);
            assert_eq!(records[1]["arguments_hash"], guess.to_string());
            guess
        })
        .collect();
    assert_ne!(hashes[0], hashes[1], "each session has its salt");
}

#[test]
fn a_result_hashed_elsewhere_is_recorded_alike() {
    let home = home();
    let mut journal = journal(home.path(), "s-1");
    let result = Bytes::from(vec![b'x'; 1 << 20]);
    let digest = seal::digest(&result);
    let Record::Outcome(outcome) = outcome(1, End::Result { is_error: true, result }) else {
        unreachable!("made as one")
    };
    journal.append_digested(&outcome, Some(digest), at(1)).unwrap();
    journal.append(&Record::Outcome(outcome), at(1)).unwrap();
    let records = records(journal.path());
    for record in &records[1..] {
        assert_eq!(record["result_sha256"], digest.to_string());
        assert_eq!(record["result_bytes"], 1 << 20);
        assert_eq!(record["is_error"], true);
    }
}

#[test]
fn two_sessions_at_once_write_two_journals() {
    let home = home();
    std::thread::scope(|scope| {
        for session in ["a", "b", "c", "d"] {
            let home = home.path();
            scope.spawn(move || {
                let mut journal = journal(home, session);
                for call in 1..=50 {
                    journal.append(&decision(call, "{}"), at(1)).unwrap();
                }
                journal.close(at(2)).unwrap();
            });
        }
    });
    let found = journal::find(&journal::directory(home.path())).unwrap();
    assert_eq!(found.len(), 4);
    for path in found {
        let verified = verify(&path);
        assert!(verified.is_whole() && verified.report.closed);
        assert_eq!(verified.report.records, 52);
    }
}

// === what is refused ===

#[test]
fn a_name_that_is_taken_is_refused() {
    for (name, what) in [("s-1.jsonl", "journal"), ("s-1.head", "head")] {
        let home = home();
        let path = written(home.path());
        let directory = path.parent().unwrap();
        for other in ["s-1.jsonl", "s-1.head"] {
            fs::remove_file(directory.join(other)).unwrap();
        }
        let elsewhere = home.path().join("elsewhere");
        symlink(&elsewhere, directory.join(name)).unwrap();
        let mut journal = journal(home.path(), "s-1");
        let refused = journal.append(&decision(1, "{}"), at(1)).unwrap_err();
        assert!(matches!(refused, Unwritable::Create { .. }), "{what}: {refused}");
        assert!(!elsewhere.exists(), "{what}");
        fs::remove_file(directory.join(name)).unwrap();
        journal.append(&decision(1, "{}"), at(1)).unwrap();
        assert_eq!(records(&path)[1]["lost_before"], 1);
        fs::write(directory.join("s-2.jsonl"), "").unwrap();
        let mut journal = self::journal(home.path(), "s-2");
        journal.append(&decision(1, "{}"), at(1)).unwrap_err();
        assert_eq!(fs::read(directory.join("s-2.jsonl")).unwrap(), b"");
    }
}

#[test]
fn a_place_that_others_can_change_is_refused() {
    let home = home();
    let path = written(home.path());
    let directories: Vec<_> = path.ancestors().skip(1).take(3).collect();
    for directory in directories {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o770)).unwrap();
        let refused = journal(home.path(), "s-2").append(&decision(1, "{}"), at(1)).unwrap_err();
        assert!(matches!(refused, Unwritable::Directory(_)), "{refused}");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let key = home.path().join("journal.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = journal(home.path(), "s-2").append(&decision(1, "{}"), at(1)).unwrap_err();
    assert!(matches!(refused, Unwritable::Key(_)), "{refused}");
}

#[test]
fn a_place_that_cannot_be_written_refuses_and_then_recovers() {
    let home = home();
    fs::write(home.path().join("journal"), "in the way").unwrap();
    let mut journal = journal(home.path(), "s-1");
    for _ in 0..2 {
        journal.append(&decision(1, "{}"), at(1)).unwrap_err();
    }
    fs::remove_file(home.path().join("journal")).unwrap();
    journal.append(&decision(3, "{}"), at(1)).unwrap();
    journal.close(at(2)).unwrap();
    let records = records(journal.path());
    assert_eq!(records[1]["lost_before"], 2);
    assert_eq!(records[2]["lost"], 2);
    assert!(verify(journal.path()).is_whole());
}

#[test]
fn a_journal_that_was_removed_or_changed_is_not_written_to() {
    let home = home();
    let mut journal = journal(home.path(), "s-1");
    journal.append(&decision(1, "{}"), at(1)).unwrap();
    let whole = fs::read(journal.path()).unwrap();
    let meddle = |bytes: &[u8]| {
        let mut file = fs::OpenOptions::new().write(true).truncate(true).open(journal.path());
        file.as_mut().unwrap().write_all(bytes).unwrap();
    };
    meddle(&whole[..whole.len() / 2]);
    let path = journal.path().to_owned();
    let refused = journal.append(&decision(2, "{}"), at(2)).unwrap_err();
    assert!(matches!(refused, Unwritable::Changed { .. }), "{refused}");
    fs::remove_file(path).unwrap();
    let refused = journal.append(&decision(2, "{}"), at(1)).unwrap_err();
    assert!(matches!(refused, Unwritable::Removed { .. }), "{refused}");
    journal.close(at(2)).unwrap_err();
}

// === writers that do not end well: real processes, this test binary once more ===

/// Starts one of the two writers below, and tells it where to write.
fn start(mut command: Command, writer: &str, home: &Path) -> Child {
    let mut child = command
        .args(["--exact", writer, "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{}", home.display()).unwrap();
    child
}

/// Where a writer is told to write; `None` where nobody started it as one.
fn told() -> Option<PathBuf> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).ok()?;
    let home = PathBuf::from(line.trim_end_matches('\n'));
    home.is_dir().then_some(home)
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").unwrap();
}

#[test]
#[ignore = "a process that another test starts"]
fn a_writer_that_never_ends() {
    let Some(home) = told() else { return };
    let mut journal = journal(&home, "s-1");
    for call in 1_usize.. {
        // Lines of one page and of many: those can be torn.
        let arguments = format!("{{\"a\":\"{}\"}}", "x".repeat(call % 7 * 9_000));
        let mut decided = decided(call as u64, "{}");
        decided.grounds.reason = Some(arguments);
        if journal.append(&Record::Decision(Box::new(decided)), at(1)).is_err() {
            return;
        }
        if call % 50 == 0 {
            say(&format!("\nwrote {call}"));
        }
    }
}

#[test]
fn a_killed_writer_leaves_every_record_it_was_told_is_written() {
    let home = home();
    let command = Command::new(std::env::current_exe().unwrap());
    let mut child = start(command, "a_writer_that_never_ends", home.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wrote = |line: io::Result<String>| -> Option<u64> {
        line.unwrap().strip_prefix("wrote ")?.parse().ok()
    };
    let before = lines.by_ref().filter_map(wrote).find(|call| *call >= 150).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let told = lines.filter_map(wrote).last().unwrap_or(before);

    let path = journal::newest(home.path()).unwrap().unwrap();
    let verified = verify(&path);
    for finding in &verified.report.findings {
        assert_eq!(finding.fault, Fault::Torn);
    }
    assert!(verified.report.records > told, "the header, and a record a call");
    assert!(!verified.report.closed);
}

#[test]
#[ignore = "a process that another test starts"]
fn a_writer_with_little_space() {
    let Some(home) = told() else { return };
    let mut journal = journal(&home, "s-1");
    journal.append(&decision(1, "{}"), at(1)).unwrap();
    let mut long = decided(2, "{}");
    long.grounds.reason = Some("x".repeat(1 << 20));
    let long = Record::Decision(Box::new(long));
    let before = fs::read(journal.path()).unwrap();
    for _ in 0..3 {
        let refused = journal.append(&long, at(1)).unwrap_err();
        assert!(matches!(refused, Unwritable::Write { .. }), "{refused}");
        assert_eq!(fs::read(journal.path()).unwrap(), before);
    }
    journal.append(&decision(3, "{}"), at(1)).unwrap();
    journal.close(at(2)).unwrap();
    say("\nas it should");
}

#[test]
fn a_record_that_does_not_fit_leaves_no_trace() {
    let home = home();
    let mut command = Command::new("sh");
    // A limit of the kernel: a write is cut short at 16 blocks, the next fails with EFBIG.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(std::env::current_exe().unwrap());
    let mut child = start(command, "a_writer_with_little_space", home.path());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success() && said.contains("as it should"), "{said}");

    let path = journal::newest(home.path()).unwrap().unwrap();
    let verified = verify(&path);
    assert!(verified.is_whole() && verified.report.closed);
    let records = records(&path);
    assert_eq!(records[2]["lost_before"], 3);
    assert_eq!(records[3]["lost"], 3);
}
