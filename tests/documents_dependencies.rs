//! Each direct dependency is explained in `docs/decisions/0002-dependencies.md`, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::collections::BTreeSet;
use std::fs;

const PAGE: &str = "docs/decisions/0002-dependencies.md";

#[test]
fn every_direct_dependency_is_explained() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let page = fs::read_to_string(PAGE).unwrap();
    let (program, tests) = page.split_once("\n## In tests").unwrap();

    assert_eq!(used(&manifest, "dependencies"), explained(program));
    assert_eq!(used(&manifest, "dev-dependencies"), explained(tests));
}

#[test]
fn every_explanation_is_whole() {
    let page = fs::read_to_string(PAGE).unwrap();
    for row in rows(&page) {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

/// The crates of a section of the manifest, on whatever system.
fn used(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    let targets = manifest["target"].as_table().unwrap().values();
    let tables = targets.filter_map(|target| target.get(section));
    tables
        .chain([&manifest[section]])
        .flat_map(|table| table.as_table().unwrap().keys().cloned())
        .collect()
}

/// The crates with a row.
fn explained(page: &str) -> BTreeSet<String> {
    rows(page).map(|row| row[0].split('`').nth(1).unwrap().to_owned()).collect()
}

/// The cells of each row that begins with a name.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| row.trim_matches(['|', ' ']).split(" | ").collect())
}
