//! `thoth audit` on journals of real sessions, whole and broken.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod journals;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use serde_json::Value;

use journals::{at, decided, decision, home, journal, verify, written};
use thoth::cli::audit;
use thoth::gate::record::Record;
use thoth::journal;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    audit: audit::Args,
}

/// What `thoth audit` prints, and how it ends.
fn audit(home: &Path, arguments: &[&str]) -> (String, ExitCode) {
    let cli = Cli::try_parse_from(["thoth"].iter().chain(arguments)).unwrap();
    let mut out = Vec::new();
    let code = cli.audit.run(home, false, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), code)
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
