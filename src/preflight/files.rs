//! The files thoth depends on, and who else can get at them.
//!
//! Nobody else may read the key, unless the system itself put it there (`/run/secrets`). Nobody else may write the key, a policy, the roots or thoth's own
//! directory, or replace one of them in the directory it stands in. "Else" is everybody but this
//! user and root; a group in which this user is alone is no one else (many systems create files
//! writable by such a group). Whether a file *belongs* to somebody else counts in staging and prod
//! only: containers on developers' machines mount files under any owner.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Facts, Finding};
use crate::config::settings::Config;
use crate::credential::is_secret_place;
use crate::machine::Machine;
use crate::policy::Pack;

/// What thoth needs a file for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Certificates that are trusted.
    CaBundle,
    /// thoth's own directory.
    Home,
    /// The enforcer's key.
    Key,
    /// Local rules.
    Policy,
}

/// What is known about one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileFacts {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is there and can be read; or else why not.
    pub readable: Result<(), io::ErrorKind>,
    /// Who can get at it. `None` where there is no file, or no such thing on this system.
    pub access: Option<Access>,
    /// Who can get at the directories in which it could be replaced.
    pub folders: Vec<Access>,
}

/// Who can get at a file: owner, group and mode, as `stat(2)` gives them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Access {
    /// The permission bits, with the sticky bit.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Facts {
    /// Looks at the files that the settings name. Blocking.
    pub fn gather(config: &Config, machine: Machine, pins: Option<Result<(), String>>) -> Self {
        // A pack's name is no file that anybody could change.
        let is_file =
            |path: &&PathBuf| path.exists() || path.to_str().and_then(Pack::named).is_none();
        let policies = config.policies.iter().filter(is_file).map(|path| (Role::Policy, path));
        let key = config.preflight.key_files.iter().map(|path| (Role::Key, path));
        let roots = config.tls.ca_bundle.iter().map(|path| (Role::CaBundle, path));
        let files = key
            .chain(policies)
            .chain(roots)
            .chain([(Role::Home, &config.home)])
            .filter(|(_, path)| !path.as_os_str().is_empty())
            .map(|(role, path)| FileFacts::gather(role, path))
            .collect();
        Self { machine, files, pins }
    }
}

// === impl FileFacts ===

impl FileFacts {
    /// Looks at one file. A link is followed: the file it leads to counts, and both directories.
    pub fn gather(role: Role, path: &Path) -> Self {
        let metadata = fs::metadata(path);
        // Opening anything but a file could wait for somebody to write into it.
        let readable = match &metadata {
            Ok(metadata) if metadata.is_file() => fs::File::open(path).map(drop),
            Ok(_) => Ok(()),
            Err(error) => Err(error.kind().into()),
        };
        let real = path.canonicalize().ok();
        let mut folders: Vec<_> = [Some(path), real.as_deref()]
            .into_iter()
            .filter_map(|path| match path?.parent()? {
                folder if folder.as_os_str().is_empty() => Some(Path::new(".")),
                folder => Some(folder),
            })
            .filter_map(|folder| access(&fs::metadata(folder).ok()?))
            .collect();
        folders.dedup();
        Self {
            role,
            path: path.to_owned(),
            readable: readable.map_err(|error| error.kind()),
            access: metadata.ok().as_ref().and_then(access),
            folders,
        }
    }

    /// What the facts mean for this user.
    pub(super) fn judge(&self, machine: &Machine, strict: bool) -> Finding {
        let (id, path) = (self.role.id(), self.path.display());
        let what = self.role.what();
        match self.readable {
            Err(io::ErrorKind::NotFound) if self.role == Role::Home => {
                return Finding::fine(id, format!("{what} {path} is yet to be made"));
            }
            Err(why) => {
                return Finding::configuration(
                    id,
                    format!("{what} {path} cannot be read: {why}"),
                    "correct its path, or its owner and permissions",
                );
            }
            Ok(()) => {}
        }
        let Some(access) = self.access else {
            return Finding::fine(
                id,
                format!("{what} {path} can be read; who else can is not checked on this system"),
            );
        };
        let least = match self.role {
            Role::Home => "700",
            Role::Key => "600",
            Role::CaBundle | Role::Policy => "644",
        };
        let chmod = || format!("chmod {least} {path}");
        let is_kept = is_secret_place(&self.path);
        if self.role == Role::Key && access.opens(0o044, machine) && !is_kept {
            return Finding::refused(id, format!("others can read {what} {path}"), chmod());
        }
        if access.opens(0o022, machine) {
            return Finding::refused(id, format!("others can write {what} {path}"), chmod());
        }
        if strict && access.is_foreign(machine) {
            return Finding::refused(
                id,
                format!("{what} {path} belongs to another user"),
                "make this user, or root, its owner",
            );
        }
        if self.folders.iter().any(|folder| folder.lets_replace(machine, strict)) {
            return Finding::refused(
                id,
                format!("others can replace {what} {path}"),
                "move it to a directory that only this user, or root, can write",
            );
        }
        Finding::fine(id, format!("{what} {path} is out of others' reach"))
    }
}

/// Who can get at a file, where the system can tell in bits.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems cannot tell")]
fn access(metadata: &fs::Metadata) -> Option<Access> {
    use std::os::unix::fs::MetadataExt;
    Some(Access { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() })
}

#[cfg(not(unix))]
fn access(_metadata: &fs::Metadata) -> Option<Access> {
    None
}

// === impl Access ===

impl Access {
    const STICKY: u32 = 0o1000;
    const GROUP: u32 = 0o070;
    const OTHERS: u32 = 0o007;

    /// Whether anybody else has one of these permissions.
    fn opens(self, bits: u32, machine: &Machine) -> bool {
        let group_is_else = machine.private_gid != Some(self.gid);
        let reach = if group_is_else { Self::OTHERS | Self::GROUP } else { Self::OTHERS };
        self.mode & bits & reach != 0
    }

    fn is_foreign(self, machine: &Machine) -> bool {
        self.uid != 0 && Some(self.uid) != machine.uid
    }

    /// Whether somebody else could put another file in the place of one in this directory. In a
    /// sticky directory, such as `/tmp`, only owners can.
    fn lets_replace(self, machine: &Machine, strict: bool) -> bool {
        let is_open = self.mode & Self::STICKY == 0 && self.opens(0o022, machine);
        is_open || strict && self.is_foreign(machine)
    }
}

// === impl Role ===

impl Role {
    /// The finding's word.
    pub fn id(self) -> &'static str {
        match self {
            Self::CaBundle => "ca-bundle",
            Self::Home => "home",
            Self::Key => "key-file",
            Self::Policy => "policy-file",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::CaBundle => "the CA bundle",
            Self::Home => "thoth's directory",
            Self::Key => "the key file",
            Self::Policy => "the policy",
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_seen_with_its_mode_and_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, real) = (folder.path().join("inner"), folder.path().join("inner/key"));
        fs::create_dir(&inner).unwrap();
        set_mode(folder.path(), 0o700);
        set_mode(&inner, 0o1777);
        fs::write(&real, "k").unwrap();
        set_mode(&real, 0o640);
        let link = folder.path().join("link");
        symlink(&real, &link).unwrap();

        let facts = FileFacts::gather(Role::Key, &link);
        assert_eq!(facts.readable, Ok(()));
        assert_eq!(facts.access.unwrap().mode, 0o640);
        let modes: Vec<_> = facts.folders.iter().map(|folder| folder.mode).collect();
        assert_eq!(modes, [0o700, 0o1777]);
    }

    #[test]
    fn a_file_that_is_not_there_is_said_to_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let facts = FileFacts::gather(Role::Policy, &folder.path().join("none"));
        assert_eq!(facts.readable, Err(io::ErrorKind::NotFound));
        assert_eq!(facts.access, None);
    }

    #[test]
    fn a_pipe_is_looked_at_and_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let facts = FileFacts::gather(Role::Key, &path);
        assert_eq!(facts.readable, Ok(()));
    }
}
