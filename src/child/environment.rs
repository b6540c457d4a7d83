//! The child's environment: this process's, without what is ours.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The beginnings of names that are ours.
const OURS: [&str; 2] = ["THOTH_", "BATON_"];

/// Where programs are where no `PATH` says so: what `execvp` falls back to.
const NO_PATH: [&str; 2] = ["/usr/bin", "/bin"];

/// Variables with their values. Not `Debug`: the values may be secret.
pub(super) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    pub(super) fn new(variables: Vec<(OsString, OsString)>) -> Self {
        Self(variables)
    }

    /// The value of a variable, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        let (_, value) = self.0.iter().find(|(key, _)| same(key, name))?;
        Some(value.as_os_str()).filter(|value| !value.is_empty())
    }

    /// A variable that names a directory, unless that depends on where we are.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The entries of `PATH`. An empty one, which would mean the current directory, is an accident
    /// of some shell file and is left out; a relative one was written on purpose and stays.
    pub(super) fn path(&self) -> impl Iterator<Item = PathBuf> {
        let path = self.get("PATH").unwrap_or_default();
        std::env::split_paths(path).filter(|entry| !entry.as_os_str().is_empty())
    }

    /// Takes out every variable that is ours, and those in `further`.
    pub(super) fn withhold(&mut self, further: &[String]) {
        self.0.retain(|(name, _)| {
            !OURS.iter().any(|prefix| begins(name, prefix))
                && !further.iter().any(|other| same(name, other))
        });
    }

    /// Makes `directory` the first place where the child looks for programs.
    pub(super) fn put_first_in_path(&mut self, directory: &Path) {
        let mut entries = vec![directory.to_owned()];
        match self.get("PATH") {
            Some(path) => entries.extend(std::env::split_paths(path)),
            None => entries.extend(NO_PATH.map(PathBuf::from)),
        }
        let Ok(path) = std::env::join_paths(entries) else {
            return; // a directory with a colon in its name cannot be in a PATH
        };
        match self.0.iter_mut().find(|(name, _)| same(name, "PATH")) {
            Some((_, value)) => *value = path,
            None => self.0.push(("PATH".into(), path)),
        }
    }
}

impl IntoIterator for Environment {
    type Item = (OsString, OsString);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Whether two names are one variable: Windows does not tell `Path` from `PATH`.
fn same(name: &OsStr, other: &str) -> bool {
    if cfg!(windows) { name.eq_ignore_ascii_case(other) } else { name == other }
}

/// In any case, on every system: some programs read their variables so.
fn begins(name: &OsStr, prefix: &str) -> bool {
    let start = name.as_encoded_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(
            variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        )
    }

    #[test]
    fn what_is_ours_is_withheld_and_nothing_else() {
        let mut all = environment(&[
            ("THOTH_API_KEY", "k"),
            ("THOTH_", "k"),
            ("BATON_COLLECTOR_TOKEN", "k"),
            ("Baton_Api_Key", "k"),
            ("baton_", "k"),
            ("thoth_friction", "k"),
            ("XBATON_FOO", "kept"),
            ("AWS_SECRET_ACCESS_KEY", "kept"),
            ("MY_CREDENTIAL", "k"),
            ("MY_CREDENTIAL_FOR_OTHERS", "kept"),
            ("THOTH", "kept"),
            ("NOT_THOTH_", "kept"),
            ("BATONS", "kept"),
            ("HOME", "kept"),
            ("T", "kept"),
        ]);
        all.withhold(&["MY_CREDENTIAL".to_owned()]);
        assert!(all.into_iter().all(|(_, value)| value == "kept"));
    }

    #[test]
    fn nothing_is_lost_that_is_not_ours() {
        let mut all = environment(&[("A", "1"), ("THOTH_X", "2"), ("B", "3")]);
        all.withhold(&[]);
        let kept: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
        assert_eq!(kept, ["A", "B"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_is_put_before_the_path_there_is() {
        for (before, after) in [
            (Some("/usr/bin::bin"), "/opt/x/bin:/usr/bin::bin"),
            (Some(""), "/opt/x/bin:/usr/bin:/bin"),
            (None, "/opt/x/bin:/usr/bin:/bin"),
        ] {
            let variables: Vec<_> = before.map(|path| ("PATH", path)).into_iter().collect();
            let mut environment = environment(&variables);
            environment.put_first_in_path(Path::new("/opt/x/bin"));
            assert_eq!(environment.get("PATH").unwrap(), after, "{before:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_empty_entry_of_the_path_is_not_the_current_directory() {
        let environment = environment(&[("PATH", ":/usr/bin::node_modules/.bin:")]);
        let entries: Vec<_> = environment.path().collect();
        assert_eq!(entries, [Path::new("/usr/bin"), Path::new("node_modules/.bin")]);
    }
}
