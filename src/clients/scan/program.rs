//! Whether the program that an entry starts is a thoth that can be relied on.
//!
//! It is one where it is this very program, found by its name or through links, or has the same
//! bytes. Any other program of that name, also an older thoth, is told of as one that is not
//! known: only its own bytes say what it does, and nothing is started to find out.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::Expected;
use crate::clients::table::{Places, System};

/// What is known of programs: a client's entries all start the same one.
#[derive(Debug)]
pub(super) struct Programs<'a> {
    places: &'a Places,
    expected: &'a Expected,
    known: HashMap<String, Result<Option<String>, String>>,
}

// === impl Programs ===

impl<'a> Programs<'a> {
    pub(super) fn new(places: &'a Places, expected: &'a Expected) -> Self {
        Self { places, expected, known: HashMap::new() }
    }

    /// Looks at the program of an entry, as the entry names it; what should be known of it.
    ///
    /// # Errors
    ///
    /// Why it cannot be relied on.
    pub(super) fn check(&mut self, program: &str) -> Result<Option<String>, String> {
        if let Some(known) = self.known.get(program) {
            return known.clone();
        }
        let found = self.look(program);
        self.known.insert(program.to_owned(), found.clone());
        found
    }

    fn look(&self, program: &str) -> Result<Option<String>, String> {
        let (path, note) = self.find(program)?;
        let facts = match fs::metadata(&path) {
            Ok(facts) if facts.is_file() => facts,
            Ok(_) => return Err(format!("{program} is no program")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("{program} does not exist"));
            }
            Err(error) => return Err(format!("{program} cannot be looked at: {error}")),
        };
        if !rights::is_executable(&facts) {
            return Err(format!("{program} is not executable"));
        }
        let directory = path.parent().and_then(|above| fs::metadata(above).ok());
        if let Some(who) = rights::others(&facts, directory.as_ref(), self.expected) {
            return Err(format!("{program} can be changed by {who}"));
        }
        if !self.is_this(&path, &facts) {
            return Err(format!("{program} is another program than the thoth that looks"));
        }
        Ok(note)
    }

    /// The file that an entry's command names.
    fn find(&self, program: &str) -> Result<(PathBuf, Option<String>), String> {
        if program.contains('$') || program.starts_with('~') {
            return Err(
                "its client replaces a part of the program's path, which is not known here"
                    .to_owned(),
            );
        }
        let path = Path::new(program);
        if path.has_root() {
            return Ok((path.to_owned(), None));
        }
        if program.contains(['/', '\\']) {
            return Err(
                "its program has a relative path, which leads elsewhere from elsewhere".to_owned()
            );
        }
        let names: &[&str] = if self.places.system == System::Windows && path.extension().is_none()
        {
            &[".exe", ""]
        } else {
            &[""]
        };
        let file = |directory: &PathBuf| {
            let spelt = names.iter().map(|end| directory.join(format!("{program}{end}")));
            spelt.into_iter().find(|path| path.is_file())
        };
        match self.places.path.iter().find_map(file) {
            Some(path) => {
                let note = "found by its name: which thoth is started depends on the client's PATH";
                Ok((path, Some(note.to_owned())))
            }
            None => Err(format!("{program} is not in PATH")),
        }
    }

    fn is_this(&self, path: &Path, facts: &Metadata) -> bool {
        let this = &self.expected.program;
        if this.as_os_str().is_empty() {
            return true;
        }
        let whole = |path| fs::canonicalize(path).ok();
        if whole(path).is_some_and(|path| whole(this) == Some(path)) {
            return true;
        }
        fs::metadata(this).is_ok_and(|of_this| of_this.len() == facts.len())
            && same_bytes(path, this).unwrap_or(false)
    }
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    let (mut here, mut there) = (vec![0; 1 << 16], Vec::with_capacity(1 << 16));
    loop {
        let read = one.read(&mut here)?;
        there.clear();
        other.by_ref().take(read as u64).read_to_end(&mut there)?;
        if here[..read] != there[..] {
            return Ok(false);
        }
        if read == 0 {
            return Ok(other.read(&mut here)? == 0);
        }
    }
}

#[cfg(unix)]
mod rights {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt as _;

    use super::Expected;
    use crate::config::settings::Environment;

    pub(super) fn is_executable(facts: &Metadata) -> bool {
        facts.mode() & 0o111 != 0
    }

    /// Who else than this user and root can change a program, or put another in its place.
    ///
    /// A group of nobody else counts as nobody; another owner counts where the machine is managed
    /// as staging or prod, since in development they share tools. Directories that a group may
    /// write to are those of package managers, and their groups are administrators.
    pub(super) fn others(
        facts: &Metadata,
        directory: Option<&Metadata>,
        expected: &Expected,
    ) -> Option<&'static str> {
        const STICKY: u32 = 0o1000;
        let is_strict = expected.environment.is_some_and(Environment::is_strict);
        let me = nix::unistd::geteuid().as_raw();
        let by_group = facts.mode() & 0o020 != 0 && Some(facts.gid()) != expected.private_gid;
        let by_directory =
            directory.is_some_and(|above| above.mode() & 0o002 != 0 && above.mode() & STICKY == 0);
        if facts.mode() & 0o002 != 0 || by_directory {
            Some("everybody")
        } else if by_group {
            Some("its group")
        } else if is_strict && facts.uid() != 0 && facts.uid() != me {
            Some("another user, who owns it")
        } else {
            None
        }
    }
}

#[cfg(not(unix))]
mod rights {
    use std::fs::Metadata;

    use super::Expected;

    pub(super) fn is_executable(_: &Metadata) -> bool {
        true
    }

    /// Access lists are not looked at.
    pub(super) fn others(_: &Metadata, _: Option<&Metadata>, _: &Expected) -> Option<&'static str> {
        None
    }
}
