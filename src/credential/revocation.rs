//! Which keys are not to be used any more, whatever their issuer still says.
//!
//! Two lists count: a file that an administrator pushes, read at every use, and what the GovAPI
//! says. An entry is a key's id, or its fingerprint as `thoth doctor` shows it: `sha256:` and at
//! least eight digits.
//!
//! # Invariants
//!
//! - What was on the file's list stays there while the file cannot be read, and while it is empty,
//!   as one that is just being written: a list is emptied by a comment, or by `[]`.
//! - A list that others can write counts as one that cannot be read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use super::Flaw;
use super::disk::Disk;
use super::file::Keep;

/// No list is longer, in bytes.
const MAX_LIST: u64 = 256 * 1024;
/// A fingerprint with fewer digits could be that of another key.
const DIGITS: usize = 8;

/// The keys that are not to be used. Clones share the lists.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: Option<Disk>,
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    /// The file, as it was last read.
    text: Vec<u8>,
    of_file: BTreeSet<String>,
    /// Why the file could not be read the last time, if so.
    flaw: Option<Flaw>,
    of_govapi: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    Bare(Vec<String>),
    Named { revoked: Vec<String> },
}

impl Revocations {
    /// The list in this file, which is read at once, and again at every use. Blocking.
    ///
    /// # Errors
    ///
    /// Why it cannot be read: who configured a list relies on it.
    pub fn of_file(path: PathBuf) -> Result<Self, Flaw> {
        let file = Disk::new(path, MAX_LIST, Keep::Unchanged);
        let text = file.read_now()?;
        let of_file = parse(&text)?;
        let lists = Lists { text, of_file, ..Lists::default() };
        Ok(Self(Arc::new(Inner { file: Some(file), lists: Mutex::new(lists) })))
    }

    /// Replaces what the GovAPI says. The file's list is not touched.
    pub fn set(&self, ids: impl IntoIterator<Item = String>) {
        self.lists().of_govapi = ids.into_iter().map(|id| id.trim().to_owned()).collect();
    }

    /// Reads the file again, where there is one.
    pub(super) async fn refresh(&self) {
        let Some(file) = &self.0.file else { return };
        let read = file.read().await;
        let mut lists = self.lists();
        let before = lists.flaw.take();
        match read {
            Ok(text) if text == lists.text => {}
            Ok(text) if text.trim_ascii().is_empty() => lists.flaw = Some(Flaw::Empty),
            Ok(text) => match parse(&text) {
                Ok(of_file) => (lists.text, lists.of_file) = (text, of_file),
                Err(flaw) => lists.flaw = Some(flaw),
            },
            Err(flaw) => lists.flaw = Some(flaw),
        }
        if let Some(flaw) = lists.flaw
            && before != Some(flaw)
        {
            tracing::warn!(%flaw, "the list of revoked keys cannot be read; the last one counts");
        }
    }

    /// Whether a key is on a list, by its id or by its fingerprint.
    pub(super) fn name(&self, key_id: Option<&str>, sha256: &[u8; 32]) -> bool {
        let lists = self.lists();
        let digits = hex::encode(sha256);
        let is_it = |entry: &String| match entry.strip_prefix("sha256:") {
            Some(start) => start.len() >= DIGITS && digits.starts_with(&start.to_ascii_lowercase()),
            None => key_id == Some(entry),
        };
        lists.of_file.iter().chain(&lists.of_govapi).any(is_it)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One entry on each line, with `#` comments; or a JSON array of texts, or `{"revoked": [...]}`.
fn parse(text: &[u8]) -> Result<BTreeSet<String>, Flaw> {
    let text = std::str::from_utf8(text).map_err(|_| Flaw::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    let entries = if text.starts_with(['[', '{']) {
        match serde_json::from_str(text).map_err(|_| Flaw::NotAList)? {
            Json::Bare(entries) | Json::Named { revoked: entries } => entries,
        }
    } else {
        let before_comment = |line: &str| line.split('#').next().unwrap_or_default().to_owned();
        text.lines().map(before_comment).collect()
    };
    let entries = entries.into_iter().map(|entry| entry.trim().to_owned());
    Ok(entries.filter(|entry| !entry.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_lines_or_json() {
        for (text, expected) in [
            ("", Ok(&[][..])),
            ("# none yet\n\n", Ok(&[])),
            ("key-1\r\n  key-2 # lost laptop\nkey-1\n", Ok(&["key-1", "key-2"])),
            ("\u{feff}key-1", Ok(&["key-1"])),
            ("[]", Ok(&[])),
            (r#"["key-1", " key-2 "]"#, Ok(&["key-1", "key-2"])),
            (r#"{"revoked": ["key-1"], "updated_at": "today"}"#, Ok(&["key-1"])),
            (r#"{"revoked": "key-1"}"#, Err(Flaw::NotAList)),
            (r#"{"keys": ["key-1"]}"#, Err(Flaw::NotAList)),
            (r#"["key-1""#, Err(Flaw::NotAList)),
            ("[1]", Err(Flaw::NotAList)),
        ] {
            let expected = expected.map(|ids: &[&str]| ids.iter().map(|&id| id.into()).collect());
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(parse(&[0xff]).unwrap_err(), Flaw::NotUtf8);
    }

    #[test]
    fn a_key_is_named_by_its_id_or_its_fingerprint() {
        let sha256 = crate::secret::ApiKey::parse("abc").unwrap().sha256();
        let whole = format!("sha256:{}", hex::encode(sha256));
        for (entry, key_id, expected) in [
            ("key-1", Some("key-1"), true),
            ("key-1", Some("key-10"), false),
            ("key-1", Some("KEY-1"), false),
            ("key-1", None, false),
            ("sha256:ba7816bf", None, true),
            ("sha256:BA7816BF8", Some("key-1"), true),
            (&whole, None, true),
            (&format!("{whole}0"), None, false),
            ("sha256:ba7816b", None, false), // too few digits to be sure
            ("sha256:", None, false),
            ("sha256:00000000", None, false),
        ] {
            let revocations = Revocations::default();
            assert!(!revocations.name(key_id, &sha256));
            revocations.set([entry.to_owned()]);
            assert_eq!(revocations.name(key_id, &sha256), expected, "{entry} {key_id:?}");
            revocations.set([]);
            assert!(!revocations.name(key_id, &sha256), "the GovAPI may take it back");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_list_that_cannot_be_read_keeps_what_it_said() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked");
        assert_eq!(Revocations::of_file(path.clone()).unwrap_err(), Flaw::Missing);

        let chmod = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, "key-1").unwrap();
        chmod(0o666);
        assert_eq!(Revocations::of_file(path.clone()).unwrap_err(), Flaw::Writable);
        chmod(0o644);
        let revocations = Revocations::of_file(path.clone()).unwrap();
        let named = async |id: &str| {
            revocations.refresh().await;
            revocations.name(Some(id), &[0; 32])
        };
        assert!(named("key-1").await);

        fs::write(&path, "").unwrap();
        assert!(named("key-1").await, "emptied, as while it is written");
        fs::write(&path, "[\"key-1").unwrap();
        assert!(named("key-1").await, "half written");
        fs::write(&path, "key-2").unwrap();
        chmod(0o666);
        assert!(named("key-1").await && !named("key-2").await, "others could have written it");
        fs::remove_file(&path).unwrap();
        assert!(named("key-1").await, "gone");
        fs::write(&path, "key-2").unwrap();
        chmod(0o644);
        assert!(named("key-2").await && !named("key-1").await, "as good as new");
        fs::write(&path, "# nobody\n").unwrap();
        assert!(!named("key-2").await, "emptied on purpose");
    }
}
