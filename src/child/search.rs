//! Finds the file that a command names.
//!
//! A client that was started from a desktop has a short `PATH`, without the directories that a
//! login shell adds. So a name is looked for in `PATH` first, then where people install programs.
//! A path is taken as it is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::SpawnError;
use super::environment::Environment;
#[cfg(unix)]
use super::nvm;

/// The file a command names.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) program: PathBuf,
    /// Its directory, where that is not in `PATH`.
    pub(super) beyond_path: Option<PathBuf>,
}

/// Finds the file to run.
///
/// # Errors
///
/// `NotFound`; `NotRunnable` where every file of that name is one this user cannot run.
pub(super) fn find(command: &OsStr, environment: &Environment) -> Result<Found, SpawnError> {
    let not_found = || SpawnError::NotFound { command: command.to_string_lossy().into_owned() };
    let mut refused = None;
    let mut look_in = |directory: &Path| {
        spellings(command, environment).into_iter().find_map(|name| {
            let program = directory.join(name);
            match runnable(&program) {
                Ok(()) => return Some(program),
                Err(source)
                    if refused.is_none()
                        && (program.is_file() || is_path(command) && program.exists()) =>
                {
                    refused = Some(SpawnError::NotRunnable { path: program, source });
                }
                Err(_) => {}
            }
            None
        })
    };

    if is_path(command) {
        // Joined to nothing, a path is itself.
        let found = look_in(Path::new("")).map(|program| Found { program, beyond_path: None });
        return found.ok_or_else(|| refused.unwrap_or_else(not_found));
    }
    for directory in environment.path() {
        if let Some(program) = look_in(&directory) {
            return Ok(Found { program, beyond_path: None });
        }
    }
    for directory in usual(environment) {
        if let Some(program) = look_in(&directory) {
            return Ok(Found { program, beyond_path: Some(directory) });
        }
    }
    Err(refused.unwrap_or_else(not_found))
}

/// Whether a command says where it is, and is not a name to look for.
fn is_path(command: &OsStr) -> bool {
    Path::new(command).parent() != Some(Path::new(""))
}

#[cfg(unix)]
fn runnable(program: &Path) -> io::Result<()> {
    use nix::unistd::{AccessFlags, access};

    if !program.metadata()?.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(access(program, AccessFlags::X_OK)?)
}

#[cfg(windows)]
fn runnable(program: &Path) -> io::Result<()> {
    if program.metadata()?.is_file() { Ok(()) } else { Err(io::ErrorKind::IsADirectory.into()) }
}

/// The file names a command may stand for.
#[cfg(unix)]
fn spellings(command: &OsStr, _: &Environment) -> Vec<OsString> {
    vec![command.to_owned()]
}

/// The file names a command may stand for: `npx` is `npx.cmd`, and the file `npx` beside it is a
/// script for another system. How arguments reach a `.cmd` is the standard library's business, which
/// quotes them for `cmd.exe` and refuses those it cannot quote safely.
#[cfg(windows)]
fn spellings(command: &OsStr, environment: &Environment) -> Vec<OsString> {
    let extensions =
        environment.get("PATHEXT").and_then(OsStr::to_str).unwrap_or(".COM;.EXE;.BAT;.CMD");
    let has_one = Path::new(command).extension().is_some_and(|own| {
        extensions
            .split(';')
            .any(|extension| own.eq_ignore_ascii_case(extension.trim_start_matches('.')))
    });
    if has_one {
        return vec![command.to_owned()];
    }
    extensions
        .split(';')
        .filter(|extension| !extension.is_empty())
        .map(|extension| {
            let mut name = command.to_owned();
            name.push(extension);
            name
        })
        .collect()
}

/// Where people install programs, in the order of a usual login shell.
#[cfg(unix)]
fn usual(environment: &Environment) -> Vec<PathBuf> {
    const BEFORE_HOME: [&str; 2] = ["/usr/local/bin", "/opt/homebrew/bin"];
    const IN_HOME: [&str; 10] = [
        ".local/bin",
        ".cargo/bin",
        ".volta/bin",
        ".local/share/mise/shims",
        ".asdf/shims",
        ".pyenv/shims",
        ".bun/bin",
        ".deno/bin",
        ".nix-profile/bin",
        "bin",
    ];
    const AFTER_HOME: [&str; 8] = [
        "/home/linuxbrew/.linuxbrew/bin",
        "/opt/local/bin",
        "/snap/bin",
        "/run/current-system/sw/bin",
        "/usr/bin",
        "/bin",
        "/usr/sbin",
        "/sbin",
    ];

    let mut directories: Vec<PathBuf> = BEFORE_HOME.map(PathBuf::from).into();
    let home = environment.directory("HOME");
    if let Some(home) = &home {
        directories.extend(IN_HOME.map(|directory| home.join(directory)));
    }
    let nvm = environment.directory("NVM_DIR").or_else(|| Some(home?.join(".nvm")));
    directories.extend(nvm.and_then(|root| nvm::default_programs(&root)));
    directories.extend(AFTER_HOME.map(PathBuf::from));
    directories
}

/// Where people install programs.
#[cfg(windows)]
fn usual(environment: &Environment) -> Vec<PathBuf> {
    const PLACES: [(&str, &str); 7] = [
        ("ProgramFiles", "nodejs"),
        ("APPDATA", "npm"),
        ("LOCALAPPDATA", "Volta\\bin"),
        ("LOCALAPPDATA", "Microsoft\\WindowsApps"),
        ("USERPROFILE", ".local\\bin"),
        ("USERPROFILE", ".cargo\\bin"),
        ("SystemRoot", "System32"),
    ];
    PLACES
        .iter()
        .filter_map(|(variable, below)| Some(environment.directory(variable)?.join(below)))
        .collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(directory: &Path, name: &str, mode: u32) -> PathBuf {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn environment(path: &str, home: &Path) -> Environment {
        Environment::new(vec![
            ("PATH".into(), path.replace('~', home.to_str().unwrap()).into()),
            ("HOME".into(), home.into()),
        ])
    }

    /// `one` is runnable in a, b and ~/.local/bin; `two` in b and ~/.local/bin, and a file in a;
    /// `three` in ~/.local/bin; `four` is a file in a, `five` a directory.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (name, mode) in [
            ("a/one-t", 0o755),
            ("a/two-t", 0o644),
            ("a/four-t", 0o644),
            ("a/five-t/inside", 0o755),
            ("b/one-t", 0o755),
            ("b/two-t", 0o755),
            (".local/bin/one-t", 0o755),
            (".local/bin/two-t", 0o755),
            (".local/bin/three-t", 0o755),
            (".nvm/versions/node/v22.1.0/bin/npx-t", 0o755),
        ] {
            file(home.path(), name, mode);
        }
        home
    }

    #[test]
    fn the_path_comes_first_then_the_usual_directories() {
        let home = home();
        for (command, path, program, beyond_path) in [
            ("one-t", "~/a:~/b", "a/one-t", None),
            ("one-t", "~/missing:~/b:~/a", "b/one-t", None),
            ("two-t", "~/a:~/b", "b/two-t", None),
            ("two-t", "~/a", ".local/bin/two-t", Some(".local/bin")),
            ("three-t", "~/a:~/b", ".local/bin/three-t", Some(".local/bin")),
            (
                "npx-t",
                "",
                ".nvm/versions/node/v22.1.0/bin/npx-t",
                Some(".nvm/versions/node/v22.1.0/bin"),
            ),
        ] {
            let found = find(command.as_ref(), &environment(path, home.path())).unwrap();
            let expected = Found {
                program: home.path().join(program),
                beyond_path: beyond_path.map(|directory| home.path().join(directory)),
            };
            assert_eq!(found, expected, "{command} in {path}");
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let home = home();
        let program = home.path().join("a/one-t");
        let found = find(program.as_ref(), &environment("", home.path())).unwrap();
        assert_eq!((found.program, found.beyond_path), (program, None));

        let missing = home.path().join("b/three-t");
        let error = find(missing.as_ref(), &environment("~/.local/bin", home.path())).unwrap_err();
        assert_eq!(error.exit_code(), 127, "{error}");
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_run_are_told_apart() {
        let home = home();
        for (command, code) in [
            ("four-t", 126),
            ("~/a/four-t", 126),
            ("~/a/five-t", 126),
            ("five-t", 127),
            ("six-t", 127),
            ("~/six-t", 127),
            ("", 127),
        ] {
            let command = command.replace('~', home.path().to_str().unwrap());
            let error = find(command.as_ref(), &environment("~/a", home.path())).unwrap_err();
            assert_eq!(error.exit_code(), code, "{command}: {error}");
        }
    }
}
