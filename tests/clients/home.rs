//! A home with every client in it.

use std::fs;
use std::path::{Path, PathBuf};

use thoth::clients::coverage::{Counts, Coverage, Standing};
use thoth::clients::scan::{Expected, scan};
use thoth::clients::table::{Places, System};

use super::golden::GOLDEN;
use super::usual;

/// Puts the golden files of a system where they belong, as they are or wrapped.
fn home(system: System, end: &str) -> (tempfile::TempDir, Places) {
    let home = tempfile::tempdir().unwrap();
    let mut places = usual(system).with_project(home.path().join("work"));
    home.path().clone_into(&mut places.home);
    places.root = PathBuf::from("tests/clients/root");
    for (name, _, below) in GOLDEN.iter().filter(|(_, of, _)| *of == system) {
        let path = home.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let golden = Path::new("tests/clients/golden").join(format!("{name}{end}"));
        fs::copy(golden, path).unwrap();
    }
    (home, places)
}

/// What is found: files that cannot be read, and the servers of each standing.
fn told(coverage: &Coverage) -> (Vec<&str>, Vec<String>) {
    let unreadable = coverage.files.iter().filter(|file| file.unreadable.is_some());
    let servers = coverage.files.iter().flat_map(|file| {
        file.servers.iter().map(move |server| {
            let within = server.within.as_ref().map_or(String::new(), |key| format!(" in {key}"));
            let disabled = if server.disabled { ", disabled" } else { "" };
            let why = server.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let (id, name, standing) = (file.client, &server.name, server.standing);
            format!("{id} {name}{within} {standing:?}{disabled}{why}")
        })
    });
    (unreadable.map(|file| file.client).collect(), servers.collect())
}

#[test]
fn every_server_of_every_client_is_found() {
    let mut found = Vec::new();
    for system in [System::Macos, System::Linux, System::Windows] {
        let (_home, places) = home(system, "");
        let coverage = scan(&places, &Expected::default());
        let (unreadable, servers) = told(&coverage);
        assert_eq!(unreadable, [""; 0], "{system:?}");
        found.extend(servers);
    }
    let found = found.join("\n") + "\n";
    assert_eq!(found, include_str!("found.txt"));
}

#[test]
fn what_is_wrapped_by_a_program_that_is_not_there_is_tampered_with_and_drifted() {
    for system in [System::Macos, System::Linux, System::Windows] {
        let (_plain, places) = home(system, "");
        let expected = Expected { moves_secrets: true, ..Expected::default() };
        let before = scan(&places, &expected).counts();
        let (_wrapped, places) = home(system, ".wrapped");
        let coverage = scan(&places, &expected);
        let servers = || coverage.files.iter().flat_map(|file| &file.servers);
        assert!(servers().all(|server| server.standing != Standing::Wrapped));
        let counts = coverage.counts();
        assert_eq!(counts, before, "{system:?}: no more can be wrapped than before");
        let tampered = servers().filter(|server| server.standing == Standing::Tampered).count();
        assert_eq!(tampered, counts.drifted);
        assert_ne!(counts, Counts::default());
    }
}

#[test]
fn no_secret_of_any_golden_file_is_told() {
    for (system, end) in [System::Macos, System::Linux, System::Windows]
        .into_iter()
        .flat_map(|system| [(system, ""), (system, ".wrapped")])
    {
        let (_home, places) = home(system, end);
        let told = serde_json::to_string(&scan(&places, &Expected::default())).unwrap();
        for secret in
            ["ghp_", "ctx7sk", "t0k3n", "hf_000", "Bearer", "GH_PAT", "@example.com", "debug"]
        {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
}
