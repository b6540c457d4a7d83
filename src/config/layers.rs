//! The two files below the environment: the administrator's and the user's.
//!
//! The managed file lies where only an administrator can write, and nothing can move it: no flag,
//! no variable. Its keys hold for every user of the machine; those it locks cannot be set by
//! anybody else. The profile's file holds what a user wants everywhere.
//!
//! # Limits
//!
//! On Windows, who else could write the managed file is not judged: `C:\ProgramData` lets every
//! user make new directories, so the one for thoth has to be made, and its access list narrowed,
//! before anybody else does. `docs/managed-configuration.md` says so.
//!
//! # Invariants
//!
//! - Only a managed file that is not there counts as none. One that cannot be read, or that others
//!   can change, is a problem, and nothing is started.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::path::Path;

use super::file::{self, Flaw, LONGEST, Layer, Which};
use super::home;
use super::keys::{ALSO, Key};
use super::variables::Env;
use crate::profile::{self, Unsafe};

/// Where the managed file lies.
pub const MANAGED: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/Thoth/thoth-config.json"
} else if cfg!(windows) {
    r"C:\ProgramData\Thoth\thoth-config.json" // `%ProgramData%` is a variable, which users can set
} else {
    "/etc/thoth/thoth-config.json"
};

/// What the managed file and the profile say. [`Layers::default`] is none of either.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    managed: Layer,
    profile: Layer,
    /// What is locked, and what goes together with it.
    locked: BTreeSet<&'static str>,
    /// What is wrong with the files.
    pub(super) problems: Vec<FileProblem>,
    /// What in the files does nothing.
    pub(super) notices: Vec<String>,
}

/// Something that is wrong with a configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileProblem {
    /// The file, with line and column where there is a place to point at.
    pub place: String,
    /// What is wrong. Names keys, never values.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}

// === impl Layers ===

impl Layers {
    /// Reads the files of this machine and this user. Blocking.
    pub fn of_system(env: &Env) -> Self {
        Self::read(Path::new(MANAGED), &home(env))
    }

    /// Reads the files from where they are said to be.
    pub fn read(managed: &Path, home: &Path) -> Self {
        let mut layers = Self::default();
        match profile::read_managed(managed, LONGEST) {
            Ok(Some(bytes)) => {
                layers.take(&bytes, Which::Managed, managed);
                layers.check_governing(managed);
            }
            Ok(None) => {}
            Err(why) => {
                layers.problems.push(FileProblem::of_unsafe("the managed configuration", &why));
            }
        }
        if home.as_os_str().is_empty() {
            return layers; // there is no home; whoever needs one says so
        }
        let path = home.join("thoth-config.json");
        match profile::read_private(&path, LONGEST) {
            Ok(Some(bytes)) => layers.take(&bytes, Which::Profile, &path),
            Ok(None) => {}
            Err(why) => {
                layers.problems.push(FileProblem::of_unsafe("the profile's configuration", &why));
            }
        }
        let path = home.join(profile::KEY_FILE);
        if may_hold_a_key(&path) {
            layers.profile.set_default("api_key_file", path.to_string_lossy().into_owned());
        }
        layers
    }

    /// Takes the files' text as it is: for tests, and to check a file before it is rolled out.
    pub fn of_text(managed: Option<&[u8]>, profile: Option<&[u8]>) -> Self {
        let mut layers = Self::default();
        if let Some(bytes) = managed {
            layers.take(bytes, Which::Managed, Path::new(MANAGED));
        }
        if let Some(bytes) = profile {
            layers.take(bytes, Which::Profile, Path::new("~/.thoth/thoth-config.json"));
        }
        layers
    }

    /// What is wrong with the files, in the order of their text.
    pub fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    /// The keys that the managed file alone may set, those that go along with others included.
    pub fn locked(&self) -> impl Iterator<Item = &'static str> {
        self.locked.iter().copied()
    }

    pub(super) fn managed(&self) -> &Layer {
        &self.managed
    }

    pub(super) fn profile(&self) -> &Layer {
        &self.profile
    }

    /// Whether a key is locked, by its own name or together with another.
    pub(super) fn is_locked(&self, key: &Key) -> bool {
        self.locked.contains(key.name)
    }

    fn take(&mut self, bytes: &[u8], which: Which, path: &Path) {
        let (layer, flaws) = file::parse(bytes, which);
        self.problems.extend(flaws.into_iter().map(|flaw| FileProblem::of_flaw(path, flaw)));
        let told = layer.idle.iter().map(|idle| format!("{}: {idle}", path.display()));
        self.notices.extend(told);
        match which {
            Which::Managed => {
                self.locked = with_what_goes_along(&layer.locked);
                self.managed = layer;
            }
            Which::Profile => self.profile = layer,
        }
    }

    /// A managed file that only an administrator can write does not help where it names a file
    /// that anybody can. Files that are not there are told by whoever needs them.
    fn check_governing(&mut self, managed: &Path) {
        for (key, path) in self.managed.governing() {
            if let Err(why) = profile::check_managed(path) {
                let place = format!("{key} in {}", managed.display());
                self.problems.push(FileProblem::of_unsafe(&place, &why));
            }
        }
    }
}

/// Locks go together with others, and those with further ones.
fn with_what_goes_along(keys: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    let mut all = keys.clone();
    loop {
        let more: BTreeSet<_> = ALSO
            .iter()
            .filter(|row| all.contains(row.key))
            .flat_map(|row| row.also)
            .copied()
            .collect();
        let before = all.len();
        all.extend(more);
        if all.len() == before {
            return all;
        }
    }
}

/// Whether the profile's key file is one to read: not missing, and not the empty one of a fresh
/// profile. One that cannot be read is, so that whoever wants the key says why there is none.
fn may_hold_a_key(path: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Furnished {
        api_key: String,
    }
    match profile::read_secret(path, LONGEST) {
        Ok(bytes) => serde_json::from_slice::<Furnished>(&bytes)
            .map_or(true, |file| !file.api_key.trim().is_empty()),
        Err(Unsafe::Unseen { source, .. }) => source.kind() != io::ErrorKind::NotFound,
        Err(_) => true,
    }
}

// === impl FileProblem ===

impl FileProblem {
    fn of_flaw(path: &Path, flaw: Flaw) -> Self {
        let path = path.display();
        let place = match flaw.place {
            Some((line, column)) => format!("{path}:{line}:{column}"),
            None => path.to_string(),
        };
        Self { place, what: flaw.what, fix: flaw.fix }
    }

    fn of_unsafe(place: &str, why: &Unsafe) -> Self {
        let place = place.to_owned();
        let told = why.to_string();
        let (what, fix) = told
            .split_once("; ")
            .unwrap_or((&told, "let everybody read it, and an administrator alone write it"));
        let what = match why.source() {
            Some(cause) => format!("{what}: {cause}"),
            None => what.to_owned(),
        };
        Self { place, what, fix: fix.to_owned() }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.fix)
    }
}
