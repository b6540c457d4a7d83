//! Reads a small file that must be nobody else's: a credential, a list of revoked ones.
//!
//! # Invariants
//!
//! - What is judged is what is read: owner and mode are those of the open file.
//! - Opening does not wait: what is not a regular file, such as a pipe, is refused.
//!
//! On Windows permissions are not looked at; `docs/environment.md` says so.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Component, Path};

use super::Flaw;

/// Where the system itself puts secrets: what is there may be readable for others, since only the
/// system decides who is in the container, or the directory above keeps others out.
///
/// Docker, Podman and Kubernetes; systemd (`systemd.exec(5)`, `LoadCredential=`).
const SECRET_PLACES: [&str; 3] = ["/run/secrets", "/var/run/secrets", "/run/credentials"];

/// Whom a file must be kept from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keep {
    /// Others may neither read nor write it.
    Secret,
    /// Others may not write it.
    Unchanged,
}

/// What came of reading a file.
pub(super) struct Seen {
    pub(super) bytes: Result<Vec<u8>, Flaw>,
    /// Whether it lies on a disk of this machine, where reading does not wait for others. `None`
    /// where it could not be opened.
    pub(super) local: Option<bool>,
}

/// Whether a path lies where the system itself puts secrets.
pub fn is_secret_place(path: &Path) -> bool {
    let is_plain = !path.components().any(|part| part == Component::ParentDir);
    is_plain && SECRET_PLACES.iter().any(|place| path.starts_with(place))
}

/// Reads a file of at most `limit` bytes. Blocking: 3 µs on a disk of this machine.
pub(super) fn read(path: &Path, limit: u64, keep: Keep) -> Seen {
    match open(path) {
        Err(error) => Seen { bytes: Err(flaw(&error)), local: None },
        Ok(file) => {
            let local = Some(system::is_local(path, &file));
            Seen { bytes: judged(path, file, limit, keep), local }
        }
    }
}

fn judged(path: &Path, file: File, limit: u64, keep: Keep) -> Result<Vec<u8>, Flaw> {
    let facts = file.metadata().map_err(|error| flaw(&error))?;
    if !facts.is_file() {
        return Err(Flaw::NotAFile);
    }
    judge(path, &facts, keep)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| flaw(&error))?;
    if bytes.len() as u64 > limit {
        return Err(Flaw::TooLong);
    }
    Ok(bytes)
}

/// Whether others can get at it. A group in which this user is alone is no one else.
fn judge(path: &Path, facts: &Metadata, keep: Keep) -> Result<(), Flaw> {
    let others = system::others(facts);
    if others & 0o022 != 0 {
        return Err(Flaw::Writable);
    }
    if keep == Keep::Secret && others & 0o044 != 0 && !is_secret_place(path) {
        return Err(Flaw::Readable);
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    system::at_once(&mut options);
    options.open(path)
}

fn flaw(error: &io::Error) -> Flaw {
    if error.kind() == io::ErrorKind::NotFound {
        Flaw::Missing
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Flaw::Denied
    } else {
        Flaw::Unreadable
    }
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata, OpenOptions};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;
    use std::sync::OnceLock;

    use nix::fcntl::OFlag;
    use nix::sys::statfs::fstatfs;

    /// The permission bits that others have.
    pub(super) fn others(facts: &Metadata) -> u32 {
        static PRIVATE: OnceLock<Option<u32>> = OnceLock::new();

        let private = *PRIVATE.get_or_init(crate::machine::private_group);
        let reach = if private == Some(facts.gid()) { 0o007 } else { 0o077 };
        facts.mode() & reach
    }

    /// A pipe without a writer would keep who opens it.
    pub(super) fn at_once(options: &mut OpenOptions) {
        options.custom_flags(OFlag::O_NONBLOCK.bits());
    }

    #[cfg(target_os = "linux")]
    pub(super) fn is_local(_path: &Path, file: &File) -> bool {
        use nix::sys::statfs::{
            BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
            TMPFS_MAGIC, XFS_SUPER_MAGIC,
        };
        let local = [
            BTRFS_SUPER_MAGIC,
            EXT4_SUPER_MAGIC,
            F2FS_SUPER_MAGIC,
            OVERLAYFS_SUPER_MAGIC,
            TMPFS_MAGIC,
            XFS_SUPER_MAGIC,
        ];
        fstatfs(file).is_ok_and(|disk| local.contains(&disk.filesystem_type()))
    }

    #[cfg(target_os = "macos")]
    pub(super) fn is_local(_path: &Path, file: &File) -> bool {
        fstatfs(file).is_ok_and(|disk| ["apfs", "hfs"].contains(&disk.filesystem_type_name()))
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub(super) fn is_local(_path: &Path, _file: &File) -> bool {
        false
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::{File, Metadata, OpenOptions};
    use std::path::{Component, Path, Prefix};

    pub(super) fn others(_facts: &Metadata) -> u32 {
        0
    }

    pub(super) fn at_once(_options: &mut OpenOptions) {}

    pub(super) fn is_local(path: &Path, _file: &File) -> bool {
        let prefix = path.components().find_map(|part| match part {
            Component::Prefix(prefix) => Some(prefix.kind()),
            _ => None,
        });
        !matches!(prefix, Some(Prefix::UNC(..) | Prefix::VerbatimUNC(..)))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn told(path: &Path, keep: Keep) -> Result<Vec<u8>, Flaw> {
        read(path, 4, keep).bytes
    }

    #[test]
    fn a_file_that_others_can_get_at_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "k").unwrap();
        let read = Ok(b"k".to_vec());
        for (mode, secret, unchanged) in [
            (0o600, read.clone(), read.clone()),
            (0o400, read.clone(), read.clone()),
            (0o604, Err(Flaw::Readable), read.clone()),
            (0o602, Err(Flaw::Writable), Err(Flaw::Writable)),
            (0o666, Err(Flaw::Writable), Err(Flaw::Writable)),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let got = (told(&path, Keep::Secret), told(&path, Keep::Unchanged));
            assert_eq!(got, (secret, unchanged), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("long"), "12345").unwrap();
        fs::write(at("whole"), "1234").unwrap();
        fs::set_permissions(at("long"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(at("whole"), fs::Permissions::from_mode(0o600)).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink(at("nowhere"), at("link")).unwrap();
        for (name, expected) in [
            ("whole", Ok(b"1234".to_vec())),
            ("long", Err(Flaw::TooLong)),
            ("pipe", Err(Flaw::NotAFile)),
            ("", Err(Flaw::NotAFile)),
            ("link", Err(Flaw::Missing)),
            ("none", Err(Flaw::Missing)),
            ("whole/below", Err(Flaw::Unreadable)),
        ] {
            assert_eq!(told(&at(name), Keep::Secret), expected, "{name}");
        }
    }

    #[test]
    fn only_the_systems_own_places_may_be_open_to_readers() {
        for (path, expected) in [
            ("/run/secrets/thoth/key", true),
            ("/var/run/secrets/key", true),
            ("/run/credentials/thoth.service/key", true),
            ("/run/secrets-of-mine/key", false),
            ("/run/secrets/../../tmp/key", false),
            ("/home/a/run/secrets/key", false),
            ("run/secrets/key", false),
        ] {
            assert_eq!(is_secret_place(Path::new(path)), expected, "{path}");
        }
    }
}
