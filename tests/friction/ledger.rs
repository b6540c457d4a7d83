//! `docs/baton-faults.md` names a test for each fault, and the tests exist.

use std::fs;

#[test]
fn every_fault_has_a_test_that_exists() {
    let text = fs::read_to_string("docs/baton-faults.md").unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| {
            line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers: Vec<_> = rows.iter().map(|row| row[0].parse::<usize>().unwrap()).collect();
    assert_eq!(numbers, (1..=24).collect::<Vec<_>>());
    for row in rows {
        let [number, _, tests] = row[..] else { panic!("{row:?}") };
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "fault {number} has no test");
        for test in named {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
            let source = fs::read_to_string(file).unwrap_or_else(|why| panic!("{file}: {why}"));
            assert!(source.contains(&format!("fn {name}(")), "{file} has no test {name}");
        }
    }
}
