//! What the user approved in clients that trust a folder with all that is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Answer, Approvals, Unread, first, json, repository, text};
use crate::clients::table::{Base, Places};

/// A list of folders, as far as it is known how clients write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Folders {
    /// Each with a word.
    Words(BTreeMap<PathBuf, serde_json::Value>),
    /// All are trusted.
    All(Vec<PathBuf>),
}

/// Codex: `[projects."/path"] trust_level = "trusted"` in the user's own configuration, for the
/// directory or for the repository it lies in.
pub(super) fn codex(places: &Places, project: &Path) -> Result<Approvals, Unread> {
    let Some(base) = first(places, Base::Codex) else { return Ok(Approvals::all(Answer::None)) };
    let path = base.join("config.toml");
    let Some(bytes) = text(&path)? else { return Ok(Approvals::all(Answer::None)) };
    let malformed = |what: &str| Unread::Malformed { path: path.clone(), what: what.to_owned() };
    let config = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not UTF-8"))?;
    let config: toml_edit::DocumentMut = config.parse().map_err(|_| malformed("it is not TOML"))?;
    let level = |folder: &Path| {
        let folder = config.get("projects")?.get(folder.to_str()?)?;
        folder.get("trust_level")?.as_str()
    };
    let said = level(project).or_else(|| level(repository(project)?));
    Ok(Approvals::all(match said {
        Some("trusted") => Answer::Yes,
        Some("untrusted") => Answer::No,
        _ => Answer::None,
    }))
}

/// A file of folders, or a member of one.
pub(super) fn read(path: &Path, member: &str, project: &Path) -> Result<Approvals, Unread> {
    let folders = if member.is_empty() {
        json::<Folders>(path)?
    } else {
        let whole = json::<BTreeMap<String, serde_json::Value>>(path)?;
        let part = whole.and_then(|mut whole| whole.remove(member));
        let malformed = |_| Unread::Malformed {
            path: path.to_owned(),
            what: format!("its `{member}` is not what the client writes"),
        };
        part.map(serde_json::from_value).transpose().map_err(malformed)?
    };
    Ok(Approvals::all(folders.map_or(Answer::None, |folders| judge(&folders, project))))
}

/// The nearest folder above the project that something is said of decides.
fn judge(folders: &Folders, project: &Path) -> Answer {
    let mut nearest = (0, Answer::None);
    let mut hear = |folder: &Path, answer| {
        let depth = folder.components().count();
        if project.starts_with(folder) && depth > nearest.0 {
            nearest = (depth, answer);
        }
    };
    match folders {
        Folders::All(folders) => folders.iter().for_each(|folder| hear(folder, Answer::Yes)),
        Folders::Words(folders) => {
            for (folder, word) in folders {
                match word.as_str() {
                    Some("TRUST_FOLDER") => hear(folder, Answer::Yes),
                    Some("TRUST_PARENT") => {
                        hear(folder.parent().unwrap_or(folder), Answer::Yes);
                    }
                    Some("DO_NOT_TRUST") => hear(folder, Answer::No),
                    _ => {}
                }
            }
        }
    }
    nearest.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_decides() {
        for (folders, answer) in [
            (r"{}", Answer::None),
            (r#"{"/srv/app": "TRUST_FOLDER"}"#, Answer::Yes),
            (r#"{"/srv": "TRUST_FOLDER"}"#, Answer::Yes),
            (r#"{"/srv/ap": "TRUST_FOLDER"}"#, Answer::None),
            (r#"{"/srv/app/below": "TRUST_FOLDER"}"#, Answer::None),
            (r#"{"/srv/other": "TRUST_PARENT"}"#, Answer::Yes),
            (r#"{"/srv": "TRUST_FOLDER", "/srv/app": "DO_NOT_TRUST"}"#, Answer::No),
            (r#"{"/srv": "DO_NOT_TRUST", "/srv/app": "TRUST_FOLDER"}"#, Answer::Yes),
            (r#"{"/srv/app": "TRUST_A_NEW_WAY"}"#, Answer::None),
            (r#"["/srv"]"#, Answer::Yes),
            (r#"["/other"]"#, Answer::None),
        ] {
            let folders: Folders = serde_json::from_str(folders).unwrap();
            assert_eq!(judge(&folders, Path::new("/srv/app")), answer, "{folders:?}");
        }
    }
}
