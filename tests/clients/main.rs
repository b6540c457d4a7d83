//! The clients of a machine, from the outside: where their files are, what is in them, how their
//! servers stand.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod documents;
mod golden;
mod home;
mod paths;

use std::path::Path;

use thoth::clients::table::{Places, System};
use thoth::config::variables::Env;

/// A system with nothing set but what it always sets.
fn usual(system: System) -> Places {
    let env: Env = match system {
        System::Macos => [("HOME", "/Users/a")].into_iter().collect(),
        System::Linux => [("HOME", "/home/a")].into_iter().collect(),
        System::Windows => [
            ("USERPROFILE", "C:/Users/a"),
            ("APPDATA", "C:/Users/a/AppData/Roaming"),
            ("LOCALAPPDATA", "C:/Users/a/AppData/Local"),
            ("PROGRAMDATA", "C:/ProgramData"),
            ("PROGRAMFILES", "C:/Program Files"),
        ]
        .into_iter()
        .collect(),
    };
    Places::on(system, &env)
}

/// A path as it is written everywhere.
fn slashes(path: &Path) -> String {
    path.to_str().unwrap().replace('\\', "/")
}
