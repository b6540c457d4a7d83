//! `docs/health.md` is the table of problems that the code has, and the keys that Intune reads.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fmt::Write as _;
use std::fs;

use thoth::health::problem::ALL;

/// A section's rows whose first cell is a word in backticks.
fn rows(title: &str) -> String {
    let page = fs::read_to_string("docs/health.md").unwrap();
    let section = page.split(title).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.fold(String::new(), |rows, row| rows + row + "\n")
}

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let mut expected = String::new();
    for code in ALL {
        let (word, severity) = (code.word(), code.severity().word());
        writeln!(expected, "| `{word}` | {severity} | {} |", code.meaning()).unwrap();
    }
    let found = rows("\n## Problems\n");
    assert!(found == expected, "the table of docs/health.md should be\n{expected}");
}
