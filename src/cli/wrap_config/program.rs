//! Which thoth an entry is to start: a path that outlives an update.
//!
//! Desktop clients have a short `PATH`, so it is always a whole path. A package manager keeps the
//! program under a path with the version in it and a link to it in a directory of `PATH`: then the
//! link is written.

use std::path::{Path, PathBuf};

/// Where a program is found that was installed for everybody, also where `PATH` does not say so.
const USUAL: [&str; 3] = ["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"];

/// What tells a path that will not stay: of a build, of one version, of a temporary directory.
const PASSING: [&str; 6] =
    ["/target/debug/", "/target/release/", "/Cellar/", "/nix/store/", "/tmp/", "/T/"];

/// The program, and whether its path is one that stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Program {
    pub(super) path: String,
    pub(super) stays: bool,
}

/// No path can be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProgram {
    #[error("--thoth-bin {} is not an absolute path; clients start it from anywhere", .0.display())]
    Relative(PathBuf),
    #[error(
        "--thoth-bin {} is not called thoth: an entry is known to be wrapped by that name",
        .0.display()
    )]
    Misnamed(PathBuf),
    #[error("the path {} is not UTF-8; give another one with --thoth-bin", .0.display())]
    NotText(PathBuf),
    #[error("this program cannot be found by its path; give one with --thoth-bin")]
    Unknown,
}

/// The program that was given.
///
/// # Errors
///
/// [`NoProgram`] where it is no whole path, or its last part is not `thoth`.
pub(super) fn given(path: &Path) -> Result<Program, NoProgram> {
    if !path.is_absolute() {
        return Err(NoProgram::Relative(path.to_owned()));
    }
    // That it stays is the word of whoever gave it.
    Ok(Program { stays: true, ..named(path)? })
}

/// This very program: by a link to it in a directory of `PATH` or a usual one, where there is one.
///
/// # Errors
///
/// [`NoProgram`].
pub(super) fn own(executable: Option<&Path>, path: &[PathBuf]) -> Result<Program, NoProgram> {
    let executable = executable.ok_or(NoProgram::Unknown)?;
    let real = executable.canonicalize().map_err(|_| NoProgram::Unknown)?;
    let name = if cfg!(windows) { "thoth.exe" } else { "thoth" };
    let installed = path
        .iter()
        .map(PathBuf::as_path)
        .chain(USUAL.iter().map(Path::new))
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|link| stays(link) && link.canonicalize().is_ok_and(|there| there == real));
    named(installed.as_deref().unwrap_or(executable))
}

fn named(path: &Path) -> Result<Program, NoProgram> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name != "thoth" && !name.eq_ignore_ascii_case("thoth.exe") {
        return Err(NoProgram::Misnamed(path.to_owned()));
    }
    let text = path.to_str().ok_or_else(|| NoProgram::NotText(path.to_owned()))?;
    Ok(Program { path: text.to_owned(), stays: stays(path) })
}

fn stays(path: &Path) -> bool {
    let text = path.to_string_lossy().replace('\\', "/");
    !PASSING.iter().any(|part| text.contains(part)) && !path.starts_with(std::env::temp_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_given_is_whole_and_called_thoth() {
        let told = |path: &str| given(Path::new(path)).map(|program| program.path);
        assert_eq!(told("/opt/thoth/bin/thoth").unwrap(), "/opt/thoth/bin/thoth");
        assert!(matches!(told("thoth"), Err(NoProgram::Relative(_))));
        assert!(matches!(told("bin/thoth"), Err(NoProgram::Relative(_))));
        assert!(matches!(told("/usr/bin/baton"), Err(NoProgram::Misnamed(_))));
    }

    #[test]
    fn a_path_with_a_version_or_a_build_in_it_does_not_stay() {
        for (path, stay) in [
            ("/usr/local/bin/thoth", true),
            ("/opt/homebrew/bin/thoth", true),
            ("/opt/homebrew/Cellar/thoth/0.3.6/bin/thoth", false),
            ("/home/a/src/thoth/target/debug/thoth", false),
            ("/var/folders/ab/cd/T/x/thoth", false),
            (r"C:\Program Files\thoth\thoth.exe", true),
            (r"C:\src\thoth\target\release\thoth.exe", false),
        ] {
            assert_eq!(stays(Path::new(path)), stay, "{path}");
        }
    }

    #[test]
    fn without_a_link_it_is_the_program_itself() {
        let room = tempfile::tempdir().unwrap();
        let real = room.path().join("thoth");
        std::fs::write(&real, "").unwrap();
        let found = own(Some(&real), &[PathBuf::from("relative")]).unwrap();
        assert_eq!(found, Program { path: real.to_str().unwrap().to_owned(), stays: false });
        assert!(matches!(own(None, &[]), Err(NoProgram::Unknown)));
    }
}
