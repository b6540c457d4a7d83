//! Small files that are replaced whole: a reader sees the old contents or the new ones.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::profile;

/// Replaces a file, 0600, or makes it. `settle` is done to the new file before it takes the name,
/// such as [`File::sync_all`].
///
/// One writer at a time: two would share a draft.
///
/// # Errors
///
/// The system's own. The file is as it was.
pub(super) fn replace(
    path: &Path,
    contents: &[u8],
    settle: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let draft = draft(path);
    let _ = fs::remove_file(&draft); // of a writer that was killed
    let replaced = profile::new_file()
        .write(true)
        .open(&draft)
        .and_then(|mut file| file.write_all(contents).and_then(|()| settle(&file)))
        .and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced
}

/// Where the new contents stand before they take the name.
pub(super) fn draft(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
