//! The profile: thoth's own directory, `~/.thoth`, and files that are safe to rely on.
//!
//! The path is found by the configuration; this file makes the directory, judges who else could
//! change or read what thoth relies on, and puts new files in place whole.
//!
//! On Unix a directory is made 0700 and a file 0600. What others may do is judged by owner and
//! mode; access lists are not looked at, nor are the directories above the path. On Windows
//! nothing is judged: the profile lies in `%USERPROFILE%`, whose inherited access list admits the
//! user, SYSTEM and administrators only, and modes have no counterpart. `docs/journal.md` says so.
//!
//! # Invariants
//!
//! - An existing file is never changed, nor the mode of an existing directory; [`replace`] puts
//!   another file in its place.
//! - A file appears under its name complete or not at all.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The name of the file with the enforcer's key, inside the profile.
pub const KEY_FILE: &str = "proxy_api_key.json";

/// Why a path is not relied on.
#[derive(Debug, thiserror::Error)]
pub enum Unsafe {
    /// It cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Unseen {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be made.
    #[error("cannot make {}", path.display())]
    Unmade {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else has its name.
    #[error("{} is not a directory of its own; move it away", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Its owner can change it at will.
    #[error("{} belongs to uid {owner}, not to this user or root; run chown", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Other users can change it.
    #[error("{} can be changed by others (mode {mode:o}); run chmod go-w", path.display())]
    Writable {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not root's, and root alone may decide what is in it.
    #[error("{} belongs to uid {owner}, not to root; run chown root", path.display())]
    NotRoots {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Something else than a file has its name.
    #[error("{} is not a file of its own; move it away", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Other users can read a secret.
    #[error("{} can be read by others (mode {mode:o}); run chmod go-rwx", path.display())]
    Readable {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Checks that only this user and root can change what a path leads to: a policy file, a
/// configuration, a directory. Follows symbolic links.
///
/// # Errors
///
/// [`Unsafe`], with what to do about it.
pub fn check_private(path: &Path) -> Result<(), Unsafe> {
    let facts = seen(path, fs::metadata(path))?;
    unchangeable(path, &facts)
}

/// Checks that only this user and root can change or read what a path leads to: a key file.
/// Follows symbolic links.
///
/// # Errors
///
/// [`Unsafe`], with what to do about it.
pub fn check_secret(path: &Path) -> Result<(), Unsafe> {
    let facts = seen(path, fs::metadata(path))?;
    unchangeable(path, &facts)?;
    unreadable(path, &facts)
}

/// Makes the profile's directory, 0700, with the directories above it, or checks the one there is.
/// It may be a symbolic link.
///
/// # Errors
///
/// [`Unsafe`] where it cannot be made, or others could change what is in it.
pub fn open(home: &Path) -> Result<(), Unsafe> {
    if !home.is_dir() {
        if let Some(above) = home.parent() {
            fs::create_dir_all(above)
                .map_err(|source| Unsafe::Unmade { path: above.to_owned(), source })?;
        }
        make(home)?;
    }
    check_private(home)
}

/// Makes a directory inside the profile, 0700, or checks the one there is. A symbolic link is
/// refused: it could lead records out of the profile.
///
/// # Errors
///
/// [`Unsafe`] where it cannot be made, is no directory, or others could change what is in it.
pub fn open_inside(path: &Path) -> Result<(), Unsafe> {
    if fs::symlink_metadata(path).is_err() {
        make(path)?;
    }
    let facts = seen(path, fs::symlink_metadata(path))?;
    if !facts.is_dir() {
        return Err(Unsafe::NotADirectory { path: path.to_owned() });
    }
    unchangeable(path, &facts)
}

/// Puts the files of a fresh profile in place, where they are missing: `intent_map.json` (`{}`)
/// and `proxy_api_key.json` (an empty key under `key_id`), both 0600.
///
/// The names and contents are those of the profile that thoth replaces (`thoth-wire` §5.3).
///
/// # Errors
///
/// [`Unsafe`] where the directory or a file cannot be made.
pub fn furnish(home: &Path, key_id: &str) -> Result<(), Unsafe> {
    open(home)?;
    let key = serde_json::json!({ "api_key": "", "key_id": key_id }).to_string() + "\n";
    put(home, "intent_map.json", b"{}\n")?;
    put(home, KEY_FILE, key.as_bytes())
}

/// Puts a file in place, 0600, unless there is one: complete, or not at all, also where two
/// processes do it at once. Whose contents won, only reading tells.
///
/// # Errors
///
/// [`Unsafe::Unmade`]. Needs a file system with hard links.
pub fn put(directory: &Path, name: &str, contents: &[u8]) -> Result<(), Unsafe> {
    let path = directory.join(name);
    if fs::symlink_metadata(&path).is_ok() {
        return Ok(());
    }
    let draft = directory.join(format!("{name}.{}.new", uuid::Uuid::new_v4()));
    let placed = new_file()
        .write(true)
        .open(&draft)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        // A link, unlike a rename, never replaces what somebody else put there meanwhile.
        .and_then(|()| match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    // The draft may never have been made; where it stays, it is a private copy of the file.
    let _ = fs::remove_file(&draft);
    placed.map_err(|source| Unsafe::Unmade { path, source })
}

/// Puts a file in place, 0600, whatever was there before: the old file or the new one is seen,
/// never a part of it.
///
/// # Errors
///
/// [`Unsafe::NotAFile`] where the name is a symbolic link or a directory: what a link leads to lies
/// elsewhere, and is not ours to replace. [`Unsafe::Unmade`].
pub fn replace(directory: &Path, name: &str, contents: &[u8]) -> Result<(), Unsafe> {
    let path = directory.join(name);
    match fs::symlink_metadata(&path) {
        Ok(facts) if !facts.is_file() => return Err(Unsafe::NotAFile { path }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Unsafe::Unseen { path, source }),
    }
    let draft = directory.join(format!("{name}.{}.new", uuid::Uuid::new_v4()));
    let placed = new_file()
        .write(true)
        .open(&draft)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, &path));
    if placed.is_err() {
        let _ = fs::remove_file(&draft); // it may never have been made
    }
    placed.map_err(|source| Unsafe::Unmade { path, source })
}

/// Options that make a file, 0600, and refuse any name that is taken, also by a symbolic link
/// that leads nowhere. Writing or appending is the caller's to ask for.
pub fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create_new(true);
    rights::narrow_file(&mut options);
    options
}

/// Reads a secret of at most `limit` bytes, and checks the very file that was read: only this
/// user and root may change or read it.
///
/// # Errors
///
/// [`Unsafe`]; a longer file is [`Unsafe::Unseen`].
pub fn read_secret(path: &Path, limit: usize) -> Result<Vec<u8>, Unsafe> {
    let unseen = |source| Unsafe::Unseen { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(unseen)?;
    let facts = file.metadata().map_err(unseen)?;
    unchangeable(path, &facts)?;
    unreadable(path, &facts)?;
    read_at_most(file, limit).map_err(unseen)
}

/// Reads a file that the user wrote, of at most `limit` bytes; `None` where there is none. Only
/// this user and root may be able to change it.
///
/// # Errors
///
/// [`Unsafe`]; a longer file is [`Unsafe::Unseen`].
pub fn read_private(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Unsafe> {
    read_if_there(path, limit, unchangeable)
}

/// Reads a file that an administrator wrote, of at most `limit` bytes; `None` where there is none.
/// It and the directory it lies in must be root's, and nobody else may be able to change them.
/// On Windows neither is judged.
///
/// # Errors
///
/// [`Unsafe`]; a longer file is [`Unsafe::Unseen`].
pub fn read_managed(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Unsafe> {
    let contents = read_if_there(path, limit, roots)?;
    if contents.is_some() {
        check_folders(path)?;
    }
    Ok(contents)
}

/// Checks that root alone can change a file, if there is one, or put another in its place.
///
/// # Errors
///
/// [`Unsafe`], with what to do about it.
pub fn check_managed(path: &Path) -> Result<(), Unsafe> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        facts => {
            roots(path, &seen(path, facts)?)?;
            check_folders(path)
        }
    }
}

/// The directory a path stands in and, where it is a link, the one it leads to.
fn check_folders(path: &Path) -> Result<(), Unsafe> {
    let real = seen(path, path.canonicalize())?;
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        roots(folder, &seen(folder, fs::metadata(folder))?)?;
    }
    Ok(())
}

fn read_if_there(
    path: &Path,
    limit: usize,
    check: fn(&Path, &Metadata) -> Result<(), Unsafe>,
) -> Result<Option<Vec<u8>>, Unsafe> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        facts => seen(path, facts)?,
    };
    // Opening anything but a file could wait for somebody to write into it.
    if !seen(path, fs::metadata(path))?.is_file() {
        return Err(Unsafe::NotAFile { path: path.to_owned() });
    }
    let file = seen(path, fs::File::open(path))?;
    check(path, &seen(path, file.metadata())?)?;
    seen(path, read_at_most(file, limit)).map(Some)
}

fn read_at_most(file: fs::File, limit: usize) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut contents)?;
    if contents.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(contents)
}

fn make(path: &Path) -> Result<(), Unsafe> {
    let mut builder = DirBuilder::new();
    rights::narrow_directory(&mut builder);
    match builder.create(path) {
        // Another sidecar was quicker; what it made is checked like any other.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|source| Unsafe::Unmade { path: path.to_owned(), source }),
    }
}

fn seen<T>(path: &Path, seen: io::Result<T>) -> Result<T, Unsafe> {
    seen.map_err(|source| Unsafe::Unseen { path: path.to_owned(), source })
}

fn unchangeable(path: &Path, facts: &Metadata) -> Result<(), Unsafe> {
    let (owner, mode) = rights::of(facts);
    if owner != 0 && owner != rights::user() {
        let path = path.to_owned();
        Err(Unsafe::Foreign { path, owner })
    } else if mode & 0o022 != 0 {
        let path = path.to_owned();
        Err(Unsafe::Writable { path, mode })
    } else {
        Ok(())
    }
}

fn roots(path: &Path, facts: &Metadata) -> Result<(), Unsafe> {
    let (owner, mode) = rights::of(facts);
    let path = path.to_owned();
    if owner != 0 {
        Err(Unsafe::NotRoots { path, owner })
    } else if mode & 0o022 != 0 {
        Err(Unsafe::Writable { path, mode })
    } else {
        Ok(())
    }
}

fn unreadable(path: &Path, facts: &Metadata) -> Result<(), Unsafe> {
    let (_, mode) = rights::of(facts);
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(Unsafe::Readable { path, mode });
    }
    Ok(())
}

#[cfg(unix)]
mod rights {
    use std::fs::{DirBuilder, Metadata, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    /// Owner and permission bits.
    pub(super) fn of(facts: &Metadata) -> (u32, u32) {
        (facts.uid(), facts.mode() & 0o7777)
    }

    pub(super) fn user() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    pub(super) fn narrow_directory(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(super) fn narrow_file(options: &mut OpenOptions) {
        options.mode(0o600);
    }
}

#[cfg(not(unix))]
mod rights {
    use std::fs::{DirBuilder, Metadata, OpenOptions};

    /// There is nothing to judge by, so nothing to object to: see the top of this file.
    pub(super) fn of(_facts: &Metadata) -> (u32, u32) {
        (0, 0)
    }

    pub(super) fn user() -> u32 {
        0
    }

    pub(super) fn narrow_directory(_builder: &mut DirBuilder) {}

    pub(super) fn narrow_file(_options: &mut OpenOptions) {}
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_fresh_profile_is_for_its_user_alone() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("above").join(".thoth");
        furnish(&home, "key-1").unwrap();
        assert_eq!(mode(&home), 0o700);
        let read = |name: &str| fs::read_to_string(home.join(name)).unwrap();
        assert_eq!(read("intent_map.json"), "{}\n");
        let key: serde_json::Value = serde_json::from_str(&read("proxy_api_key.json")).unwrap();
        assert_eq!(key, serde_json::json!({"api_key": "", "key_id": "key-1"}));
        assert_eq!(mode(&home.join("proxy_api_key.json")), 0o600);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "no drafts stay");
    }

    #[test]
    fn what_is_there_already_stays() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("intent_map.json"), "{\"a\":1}").unwrap();
        furnish(home.path(), "key-1").unwrap();
        furnish(home.path(), "key-2").unwrap();
        let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
        assert_eq!(read("intent_map.json"), "{\"a\":1}");
        assert!(read("proxy_api_key.json").contains("key-1"));
    }

    #[test]
    fn what_others_can_change_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("policy.toml");
        fs::write(&path, "").unwrap();
        // mode, may be relied on, may hold a secret
        let table = [
            (0o600, true, true),
            (0o400, true, true),
            (0o644, true, false),
            (0o640, true, false),
            (0o604, true, false),
            (0o620, false, false),
            (0o602, false, false),
            (0o666, false, false),
        ];
        for (bits, private, secret) in table {
            chmod(&path, bits);
            assert_eq!(check_private(&path).is_ok(), private, "{bits:o}");
            assert_eq!(check_secret(&path).is_ok(), secret, "{bits:o}");
            if nix::unistd::geteuid().is_root() || bits & 0o400 != 0 {
                assert_eq!(read_secret(&path, 9).is_ok(), secret, "{bits:o}");
            }
        }
        chmod(root.path(), 0o777);
        let said = open(root.path()).unwrap_err().to_string();
        assert!(said.ends_with("can be changed by others (mode 777); run chmod go-w"));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        // Only root can give a file away; elsewhere, what root owns is relied on.
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        fs::write(&path, "").unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let refused = check_private(&path).unwrap_err();
            assert!(matches!(refused, Unsafe::Foreign { owner: 12345, .. }));
        } else {
            check_private(Path::new("/")).unwrap();
        }
    }

    #[test]
    fn a_link_inside_the_profile_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (inside, elsewhere) = (root.path().join("journal"), root.path().join("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &inside).unwrap();
        let refused = open_inside(&inside).unwrap_err();
        assert!(matches!(refused, Unsafe::NotADirectory { .. }));
        open(&inside).unwrap(); // but the profile itself may live on another disk
        symlink(root.path().join("nowhere"), root.path().join("new")).unwrap();
        let taken = new_file().write(true).open(root.path().join("new"));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_put_in_place_by_many_is_whole() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for who in 0..8_u8 {
                let home = home.path();
                scope.spawn(move || put(home, "key", &[who; 4096]).unwrap());
            }
        });
        let contents = read_secret(&home.path().join("key"), 4096).unwrap();
        assert_eq!(contents.len(), 4096);
        assert!(contents.iter().all(|byte| *byte == contents[0]));
        assert!(read_secret(&home.path().join("key"), 4095).is_err());
    }
}
