//! Journals on a real disk, through the public interface: written by sessions that end, are
//! killed, or run out of space; read by `thoth audit`.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use jiff::Timestamp;
use serde_json::Value;

use thoth::cli::audit;
use thoth::config::settings;
use thoth::gate::record::{Decided, End, Outcome, Record, Ticket};
use thoth::gate::verdict::{Grounds, PolicyRef};
use thoth::journal::{self, Header, Journal, Unwritable, Verified};
use thoth::seal::{self, Fault};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    audit: audit::Args,
}

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_767_323_045 + second, 6_000).unwrap()
}

fn decided(call: u64, arguments: &str) -> Decided {
    Decided {
        ticket: Ticket(call),
        id: format!("\"c-{call}\""),
        tool: "read_file".into(),
        arguments: Bytes::copy_from_slice(arguments.as_bytes()),
        modified: None,
        decision: "allow",
        forwarded: true,
        basis: "rules",
        mode: "progressive",
        grounds: Grounds::default(),
        took: Duration::from_micros(31),
    }
}

fn decision(call: u64, arguments: &str) -> Record {
    Record::Decision(Box::new(decided(call, arguments)))
}

fn outcome(call: u64, end: End) -> Record {
    Record::Outcome(Box::new(Outcome {
        ticket: Ticket(call),
        tool: "read_file".into(),
        end,
        took: Duration::from_millis(2),
    }))
}

fn journal(home: &Path, session: &str) -> Journal {
    let settings = settings::Journal::default();
    Journal::create(home, "desk", session, settings, Header::default(), at(0))
}

/// A closed journal of some calls, six records in all.
fn written(home: &Path) -> PathBuf {
    let mut journal = journal(home, "s-1");
    for call in 1..=2 {
        journal.append(&decision(call, r#"{"path":"/srv/a"}"#), at(1)).unwrap();
        let result = Bytes::from_static(b"{\"content\":[]}");
        let end = End::Result { is_error: false, result };
        journal.append(&outcome(call, end), at(2)).unwrap();
    }
    journal.close(at(3)).unwrap();
    journal.path().to_owned()
}

fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verify(path: &Path) -> Verified {
    journal::verify(path, None).unwrap()
}

/// What `thoth audit` prints, and how it ends.
fn audit(home: &Path, arguments: &[&str]) -> (String, ExitCode) {
    let cli = Cli::try_parse_from(["thoth"].iter().chain(arguments)).unwrap();
    let mut out = Vec::new();
    let code = cli.audit.run(home, false, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), code)
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
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
        format!(r#"{{"seq":2,"time":"2026-01-02T03:04:06.000006Z","kind":"decision","call":1,"id":"\"c-1\"","tool":"read_file","decision":"block","forwarded":false,"basis":"rules","mode":"progressive","reason":"private \u001b[2J","reason_code":"policy","rule_ids":["no-etc"],"control_ids":["HIPAA 164.312(a)(1)"],"policy":{policy},"violation_id":"v-1","risk_score":0.5,"trace_id":"t-1","arguments":{{"path": "/etc/shadow", "n":1.50}},"modified":{{"path":"/dev/null"}},"took_us":31,"prev":""#),
        format!(r#"{{"seq":3,"time":"2026-01-02T03:04:07.000006Z","kind":"outcome","call":2,"tool":"read_file","end":"error","code":-32000,"result_bytes":15,"result_sha256":"{digest}","took_us":2000,"prev":""#),
        r#"{"seq":4,"time":"2026-01-02T03:04:07.000006Z","kind":"outcome","call":3,"tool":"read_file","end":"cancelled","took_us":2000,"prev":""#.into(),
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

// === thoth audit verify ===

#[test]
fn verify_tells_a_whole_journal_from_a_broken_one() {
    let home = home();
    let path = written(home.path());
    let name = path.to_str().unwrap();
    let (said, code) = audit(home.path(), &["verify", name]);
    assert!(said.contains("whole and closed"), "{said}");
    assert_eq!(code, ExitCode::SUCCESS);

    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    let of = |order: &[usize]| -> String {
        order.iter().map(|at| lines[*at].to_owned() + "\n").collect()
    };
    let table = [
        (whole.replacen("read_file", "read_fi1e", 1), 2, "edited"),
        (of(&[0, 1, 3, 4, 5]), 3, "dropped"),
        (of(&[0, 1, 3, 2, 4, 5]), 4, "reordered"),
        (of(&[0, 1, 2, 1, 3, 4, 5]), 4, "inserted"),
        (of(&[0, 1, 2, 3]), 4, "cut"),
        (of(&[0, 1, 2, 3]) + "{}\n", 5, "not_a_record"),
        (whole[..whole.len() - 9].to_owned(), 6, "torn"),
        (String::new(), 1, "empty"),
    ];
    for (text, line, kind) in table {
        fs::write(&path, text).unwrap();
        let (said, code) = audit(home.path(), &["verify", "--json", name]);
        assert_eq!(code, ExitCode::from(1), "{kind}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["status"], "broken");
        assert_eq!(said["findings"][0]["line"], line, "{said}");
        assert_eq!(said["findings"][0]["kind"], kind, "{said}");
        let (said, code) = audit(home.path(), &["verify", name]);
        assert_eq!(code, ExitCode::from(1));
        assert!(said.contains(&format!("line {line}: {kind}: ")), "{said}");
    }
}

#[test]
fn an_open_journal_is_whole_but_not_closed() {
    let home = home();
    let mut journal = journal(home.path(), "s-1");
    journal.append(&decision(1, "{}"), at(1)).unwrap();
    let name = journal.path().to_str().unwrap();
    let (said, code) = audit(home.path(), &["verify", name]);
    assert!(said.contains("whole so far, not closed"), "{said}");
    assert_eq!(code, ExitCode::SUCCESS);
    let (said, code) = audit(home.path(), &["verify", "--closed", name]);
    assert!(said.contains("BROKEN: not closed"), "{said}");
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn a_cut_journal_without_its_head_is_open_and_a_kept_head_tells() {
    let home = home();
    let path = written(home.path());
    let name = path.to_str().unwrap();
    let head = verify(&path).report.head;
    let kept = format!("{}:{}", head.seq, head.seal);
    assert_eq!(audit(home.path(), &["verify", "--head", &kept, name]).1, ExitCode::SUCCESS);
    let whole = fs::read_to_string(&path).unwrap();
    let end = whole.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&path, &whole[..end]).unwrap();
    fs::remove_file(path.with_extension("head")).unwrap();
    let (said, code) = audit(home.path(), &["verify", name]);
    assert!(said.contains("not closed") && said.contains("no head kept beside it"), "{said}");
    assert_eq!(code, ExitCode::SUCCESS);
    let (said, code) = audit(home.path(), &["verify", "--head", &kept, name]);
    assert!(said.contains("the file ends at record 5, but record 6 had been written"), "{said}");
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn a_directory_is_verified_whole_and_a_removed_journal_missed() {
    let home = home();
    let path = written(home.path());
    let mut other = journal(home.path(), "s-2");
    other.append(&decision(1, "{}"), at(1)).unwrap();
    other.close(at(1)).unwrap();
    let directory = journal::directory(home.path());
    let name = directory.to_str().unwrap();
    let (said, code) = audit(home.path(), &["verify", name]);
    assert_eq!(said.matches("whole and closed").count(), 2, "{said}");
    assert_eq!(code, ExitCode::SUCCESS);
    fs::remove_file(&path).unwrap();
    let (said, code) = audit(home.path(), &["verify", name]);
    assert!(said.contains("all records up to 6 are gone"), "{said}");
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn what_cannot_be_read_is_said_and_exits_2() {
    let home = home();
    let missing = home.path().join("a\u{1b}[2J.jsonl");
    let (said, code) = audit(home.path(), &["verify", missing.to_str().unwrap()]);
    assert!(said.contains("a\\u{1b}[2J.jsonl: cannot be read: "), "{said}");
    assert_eq!(code, ExitCode::from(2));
    let (said, code) = audit(home.path(), &["verify", "--json", home.path().to_str().unwrap()]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["error"], "holds no journal");
    assert_eq!(code, ExitCode::from(2));
    assert!(Cli::try_parse_from(["thoth", "verify", "--head", "7:xyz", "f"]).is_err());
    assert!(Cli::try_parse_from(["thoth", "verify"]).is_err());
    let path = written(home.path());
    let name = path.to_str().unwrap();
    fs::write(&path, "x\n").unwrap();
    let both = audit(home.path(), &["verify", missing.to_str().unwrap(), name]);
    assert_eq!(both.1, ExitCode::from(1), "a broken journal weighs more");
}

#[test]
fn a_journal_that_is_being_written_is_never_taken_for_a_broken_one() {
    let home = home();
    let mut journal = journal(home.path(), "s-1");
    journal.append(&decision(0, "{}"), at(1)).unwrap();
    let path = journal.path().to_owned();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut long = decided(1, "{}");
            long.grounds.reason = Some("x".repeat(20_000));
            let long = Record::Decision(Box::new(long));
            for _ in 0..150 {
                journal.append(&long, at(1)).unwrap();
                journal.append(&decision(2, "{}"), at(1)).unwrap();
            }
        });
        while !writer.is_finished() {
            let verified = verify(&path);
            assert!(verified.is_whole(), "{verified:?}");
        }
    });
}

// === thoth audit tail ===

#[test]
fn tail_shows_the_newest_journal_newest_record_last() {
    let home = home();
    let failed = Cli::try_parse_from(["thoth", "tail"]).unwrap();
    let failed = failed.audit.run(home.path(), false, &mut Vec::new()).unwrap_err();
    assert!(failed.to_string().starts_with("no journal in "), "{failed}");

    let path = written(home.path());
    let (said, _) = audit(home.path(), &["tail", "-n", "2"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], path.to_str().unwrap());
    assert!(lines[1].starts_with("TIME (UTC)"));
    assert!(lines[2].starts_with("2026-01-02 03:04:07.000       2  result      read_file"));
    assert!(lines[3].contains("decisions 2, forwarded 2, outcomes 2"), "{said}");
    assert_eq!(lines.len(), 4);
    assert_eq!(audit(home.path(), &["tail"]).0.lines().count(), 8);
}

#[test]
fn tail_passes_lines_as_they_stand() {
    let home = home();
    let path = written(home.path());
    let whole = fs::read_to_string(&path).unwrap();
    let name = path.to_str().unwrap();
    assert_eq!(audit(home.path(), &["tail", "--json", name]).0, whole);
    // Also a line too long to be shown, and no part of a line that is not whole yet.
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(3 << 20));
    fs::write(&path, format!("{long}{whole}torn")).unwrap();
    assert_eq!(audit(home.path(), &["tail", "--json", name]).0, long.clone() + &whole);
    let (said, _) = audit(home.path(), &["tail", name]);
    assert!(said.contains(&format!("(a record of {} bytes)", long.len())), "{said}");
    fs::write(&path, "\u{1b}[2J\n").unwrap();
    assert!(audit(home.path(), &["tail", name]).0.contains("(not a record: \\u{1b}[2J)"));
}

#[test]
fn a_followed_journal_is_shown_to_its_end() {
    let home = home();
    let mut journal = journal(home.path(), "s-1");
    journal.append(&decision(1, "{}"), at(1)).unwrap();
    let path = journal.path().to_owned();
    let said = std::thread::scope(|scope| {
        let tail = scope.spawn(|| audit(home.path(), &["tail", "--follow", "--json"]).0);
        journal.append(&decision(2, "{}"), at(2)).unwrap();
        journal.close(at(3)).unwrap();
        tail.join().unwrap()
    });
    assert_eq!(said, fs::read_to_string(path).unwrap());
}

#[test]
fn a_reader_that_goes_away_ends_tail_quietly() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let home = home();
    let path = written(home.path());
    let run = |arguments: &[&str]| {
        let cli = Cli::try_parse_from(["thoth"].iter().chain(arguments)).unwrap();
        cli.audit.run(home.path(), false, &mut Gone).unwrap()
    };
    assert_eq!(run(&["tail", "--follow"]), ExitCode::SUCCESS);
    let unsaid = run(&["verify", path.to_str().unwrap()]);
    assert_eq!(unsaid, ExitCode::from(2), "an answer nobody heard is not a yes");
}

#[test]
#[ignore = "needs python3"]
fn the_scripts_of_the_documentation_verify_a_journal() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/journal.md")).unwrap();
    let scripts: Vec<_> =
        text.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(scripts.len(), 2);
    let home = home();
    let path = written(home.path());
    let python = |script: &str, arguments: &[&Path]| {
        let done = Command::new("python3").args(["-c", script]).args(arguments).output();
        let done = done.unwrap();
        let said = [done.stdout, done.stderr].concat();
        (String::from_utf8(said).unwrap(), done.status.success())
    };
    let (said, whole) = python(scripts[0], &[&path]);
    assert!(whole && said.starts_with("6 records, head "), "{said}");
    let guess = Path::new(r#"{"path":"/srv/a"}"#);
    let (said, found) = python(scripts[1], &[&home.path().join("journal.key"), &path, guess]);
    assert!(found && said == "calls: [1, 2]\n", "{said}");
    let text = fs::read_to_string(&path).unwrap().replacen("read_file", "read_fi1e", 1);
    fs::write(&path, text).unwrap();
    let (said, whole) = python(scripts[0], &[&path]);
    assert!(!whole && said.contains("line 2"), "{said}");
}
