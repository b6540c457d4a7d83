//! Reads the enforcer's key from a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::parse::Wrong;

/// No key is longer, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The JSON form of a key file: the one that installers write into `~/.thoth`. Its `key_id` names
/// the key and is of no use here.
#[derive(Deserialize)]
struct Json {
    api_key: String,
}

/// The key in a file: the file's text, or the member `api_key` where that is a JSON object.
///
/// A pipe will do as well, so that a shell can pass `<(command)`.
///
/// # Errors
///
/// Why there is none, in words that hold nothing of the path and nothing of the text.
pub(super) fn read(path: &Path) -> Result<String, Wrong> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(&error))?;
    if text.len() as u64 > LONGEST {
        return Err(Wrong::new(
            "names a file over 64 KiB",
            "write a file that holds the key alone",
        ));
    }
    let key = if text.trim_start().starts_with('{') {
        serde_json::from_str::<Json>(&text)
            .map_err(|_| {
                Wrong::new("names a file that is not JSON with a text `api_key`", "mend the file")
            })?
            .api_key
    } else {
        text
    };
    if key.trim().is_empty() {
        return Err(Wrong::new("names a file without a key", "write the key into it"));
    }
    Ok(key)
}

fn unreadable(error: &io::Error) -> Wrong {
    let (what, fix) = if error.kind() == io::ErrorKind::NotFound {
        ("names no file", "write the path of the file with the key")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        ("names a file that this user may not read", "make this user its owner")
    } else if error.kind() == io::ErrorKind::InvalidData {
        ("names a file that is not UTF-8", "write the key alone into it")
    } else {
        ("names a file that cannot be read", "write the path of the file with the key")
    };
    Wrong::new(what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_the_key_or_json_with_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (text, key) in [
            ("thoth_live_1\n", Some("thoth_live_1\n")),
            (r#"{"api_key": "k1", "key_id": "host"}"#, Some("k1")),
            (" {\"api_key\":\"k1\"}", Some("k1")),
            (r#"{"api_key": "", "key_id": "host"}"#, None),
            (r#"{"api_key": 5}"#, None),
            (r#"{"key": "k1"}"#, None),
            ("", None),
            ("\n", None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).ok().as_deref(), key, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_no_key_file_is_told_apart_without_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join("hunter2")).unwrap_err();
        assert!(missing.what == "names no file");
        assert!(read(folder.path()).is_err());

        let large = folder.path().join("large");
        std::fs::write(&large, vec![b'k'; 64 * 1024 + 1]).unwrap();
        assert!(read(&large).unwrap_err().what.contains("64 KiB"));
        std::fs::write(&large, [0xff]).unwrap();
        assert!(read(&large).unwrap_err().what.contains("UTF-8"));
    }
}
