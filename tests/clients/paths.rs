//! Every path that is looked at, on each system, written out.

use std::fmt::Write as _;
use std::path::Path;

use thoth::clients::table::{ALL, System};

use super::{slashes, usual};

#[test]
fn every_path_is_the_one_that_is_written_down() {
    let mut paths = String::new();
    for (system, name) in
        [(System::Macos, "macos"), (System::Linux, "linux"), (System::Windows, "windows")]
    {
        let places = usual(system);
        writeln!(paths, "[{name}]").unwrap();
        for client in ALL {
            for spot in client.spots {
                for path in spot.paths(&places, Some(Path::new("PROJECT"))) {
                    let kind = spot.kind.word();
                    writeln!(paths, "{} {kind} {}", client.id, slashes(&path)).unwrap();
                }
            }
        }
    }
    let written = include_str!("paths.txt");
    for (found, expected) in paths.lines().zip(written.lines()) {
        assert_eq!(found, expected, "in tests/clients/paths.txt; the whole is now\n{paths}");
    }
    assert_eq!(paths, written);
}
