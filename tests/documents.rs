//! What the documents say, held against the code.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::fmt::Write as _;
use std::fs;

use thoth::cli::exit;
use thoth::config::variables::{ALL, Used};

/// The rows of a document's tables: the cells of each line that starts with `` | ` ``.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(document).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            // A bar inside a cell is written `\|`.
            line.replace("\\|", "\u{0}")
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().replace('\u{0}', "|"))
                .collect()
        })
        .collect()
}

/// Compares rows one by one, and shows the whole table as it should be.
fn hold(document: &str, expected: &[Vec<String>]) {
    let mut table = String::new();
    for row in expected {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    }
    let found = rows(document);
    for row in expected {
        assert!(
            found.contains(row),
            "{document} lacks the row {row:?}; the table should be\n{table}"
        );
    }
    for row in &found {
        assert!(
            expected.contains(row),
            "{document} has the row {row:?}, which the code does not know; the table should be\n{table}"
        );
    }
    assert_eq!(found, expected, "{document} has other order or repeats; it should be\n{table}");
}

#[test]
fn every_variable_is_documented_and_every_documented_variable_exists() {
    let expected: Vec<_> = ALL
        .iter()
        .map(|variable| {
            let state = match variable.used {
                Used::Read => "read",
                Used::Ignored => "accepted, no effect",
                Used::Reserved => "reserved",
                Used::Elsewhere => "not thoth's",
            };
            vec![
                format!("`{}`", variable.name),
                variable.meaning.to_owned(),
                variable.default.to_owned(),
                state.to_owned(),
            ]
        })
        .collect();
    hold("docs/environment.md", &expected);
}

#[test]
fn every_exit_code_is_documented_and_every_documented_code_exists() {
    let expected: Vec<_> = exit::ALL
        .iter()
        .map(|exit| vec![format!("`{}`", exit.code), exit.meaning.to_owned()])
        .collect();
    hold("docs/exit-codes.md", &expected);
}
