//! Finds the clients' files that there are.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File as Open, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ALL, Base, Client, Kind, Places, Spot};
use crate::clients::document::Shape;

/// The longest file that is read, in bytes: 16 MiB. The longest seen in the wild, the state of
/// Claude Code, has a few.
pub(in crate::clients) const LONGEST: usize = 16 * 1024 * 1024;

/// One file of one client.
#[derive(Clone, Debug)]
pub struct File {
    /// The client.
    pub client: &'static Client,
    /// The file, by the name that was looked for: it may be a symbolic link.
    pub path: PathBuf,
    /// Whose it is.
    pub kind: Kind,
    /// How it is written.
    pub shape: &'static Shape,
}

/// Every file of every client that there is, in the order of the table.
///
/// What cannot be looked at counts as there, so that it is told of. A file that two clients read
/// in the same way, such as a link from one's place to the other's, is the first one's.
pub fn files(places: &Places) -> Vec<File> {
    let projects = projects(places);
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for client in ALL {
        for spot in client.spots {
            for path in paths(spot, places, &projects).iter().flat_map(|path| present(path)) {
                let whole = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
                if seen.insert((whole, spot.shape.servers)) {
                    found.push(File { client, path, kind: spot.kind, shape: spot.shape });
                }
            }
        }
    }
    found
}

/// Every path of a spot, also where there is nothing: for each project, or for the user.
pub(super) fn paths(spot: &Spot, places: &Places, projects: &[PathBuf]) -> Vec<PathBuf> {
    if spot.base == Base::Project {
        projects.iter().flat_map(|project| spot.paths(places, Some(project))).collect()
    } else {
        spot.paths(places, None)
    }
}

/// The projects whose files are looked at, as far as they are still there: those that the caller
/// named and those that Claude Code has been used in, which it writes down in `~/.claude.json`. No
/// other client does in a file.
pub fn projects(places: &Places) -> Vec<PathBuf> {
    #[derive(Deserialize)]
    struct Known {
        #[serde(default)]
        #[expect(clippy::zero_sized_map_values, reason = "the values are skipped, unread")]
        projects: BTreeMap<String, IgnoredAny>,
    }

    let mut projects = places.projects.clone();
    for directory in places.of_base(Base::Claude, None) {
        let Ok(text) = read(&directory.join(".claude.json")) else { continue };
        // A broken file is told of where its servers are looked for.
        let Ok(known) = serde_json::from_slice::<Known>(unmarked(&text)) else { continue };
        projects.extend(known.projects.into_keys().map(PathBuf::from));
    }
    let mut seen = HashSet::new();
    projects.retain(|root| root.has_root() && seen.insert(root.clone()) && may_be_there(root));
    projects
}

/// Reads a file of a client. Never waits: a pipe or a device in its place is refused.
///
/// # Errors
///
/// Those of the system; a directory, a pipe or a device is no file; a file of more than
/// [`LONGEST`] bytes is too large.
pub(in crate::clients) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file"));
    }
    let mut text = Vec::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut text)?;
    if text.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "has more than 16 MiB"));
    }
    Ok(text)
}

/// A text without the byte order mark that some editors begin a file with.
pub(in crate::clients) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<Open> {
    use std::os::unix::fs::OpenOptionsExt as _;

    // A pipe would wait for somebody to write.
    let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<Open> {
    OpenOptions::new().read(true).open(path)
}

/// The paths a pattern stands for, in order, as far as there is something.
pub(in crate::clients) fn present(pattern: &Path) -> Vec<PathBuf> {
    if !pattern.as_os_str().as_encoded_bytes().contains(&b'*') {
        return Vec::from_iter(may_be_there(pattern).then(|| pattern.to_owned()));
    }
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str();
        let wild = name.to_str().and_then(|name| name.split_once('*'));
        found = match wild {
            None => found.into_iter().map(|path| path.join(name)).collect(),
            Some(ends) => found.iter().flat_map(|path| matching(path, ends)).collect(),
        };
    }
    found.retain(|path| may_be_there(path));
    found
}

/// Whether there is something, or nobody can tell.
fn may_be_there(path: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};

    !fs::metadata(path).is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

/// The entries of a directory whose names begin and end like this, sorted.
fn matching(directory: &Path, (before, after): (&str, &str)) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.len() >= before.len() + after.len())
        .filter(|name| name.starts_with(before) && name.ends_with(after))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|name| directory.join(name)).collect()
}
