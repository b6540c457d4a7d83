//! Every test that `docs/threats.md` names exists.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What stands in the last column while a defence has no test yet.
const PENDING: &str = "pending";

#[test]
fn every_test_named_exists() {
    let mut tests = BTreeSet::new();
    collect_tests(Path::new("src"), &mut tests);
    collect_tests(Path::new("tests"), &mut tests);

    let page = fs::read_to_string("docs/threats.md").unwrap();
    let missing: Vec<_> = named(&page).filter(|name| !tests.contains(*name)).collect();

    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_attack_has_a_test_or_says_why_not() {
    let page = fs::read_to_string("docs/threats.md").unwrap();
    for row in rows(&page) {
        let last = row.rsplit(" | ").next().unwrap();
        let says = last.starts_with('`') || last == PENDING || last.starts_with('(');
        assert!(says, "{row}");
    }
    assert!(rows(&page).count() > 41, "the table is gone");
}

/// The tables' rows, without their heads.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| test |"))
        .map(|line| line.trim_end_matches(" |"))
}

/// The names in the last column.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let last = rows(page).filter_map(|row| row.rsplit(" | ").next());
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2))
}

/// Functions that follow a `#[test]`, or stand in a `proptest!` block.
fn collect_tests(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_tests(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for after in text.split("test]").skip(1).chain(text.split("test(").skip(1)) {
                let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                tests.extend(name.map(str::to_owned));
            }
        }
    }
}
