//! Where nvm keeps the node that a terminal would start by default.
//!
//! nvm is a shell function: a client started from a desktop never ran it, so its directories are in
//! nobody's `PATH`. Its files are read here as it reads them: an alias names a further alias or the
//! beginning of a version.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// `default` → `lts/*` → `lts/jod` → `v22.11.0` are three.
const MOST_ALIASES: usize = 8;

/// The directory of the default version's programs, under the directory `$NVM_DIR`.
///
/// Without a default alias, the newest version that is installed.
pub(super) fn default_programs(root: &Path) -> Option<PathBuf> {
    let wanted = match resolve(root).as_str() {
        "default" | "node" | "stable" => Vec::new(),
        version => numbers(version)?,
    };
    let installed = root.join("versions/node");
    let newest = fs::read_dir(&installed)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some((numbers(&name)?, name)))
        .filter(|(version, _)| version.starts_with(&wanted))
        .max()?;
    Some(installed.join(newest.1).join("bin"))
}

fn resolve(root: &Path) -> String {
    let mut name = "default".to_owned();
    for _ in 0..MOST_ALIASES {
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let Some(Ok(text)) = inside.then(|| fs::read_to_string(root.join("alias").join(&name)))
        else {
            break;
        };
        text.trim().clone_into(&mut name);
    }
    name
}

/// `v22.11.0` as 22, 11, 0.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let digits = version.strip_prefix('v').unwrap_or(version);
    digits.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_alias_is_followed_to_a_version_that_is_installed() {
        for (aliases, expected) in [
            (&[][..], Some("v22.11.0")),
            (&[("default", "node\n")], Some("v22.11.0")),
            (&[("default", "v20.9.0\n")], Some("v20.9.0")),
            (&[("default", "20")], Some("v20.10.0")),
            (&[("default", "20.9")], Some("v20.9.0")),
            (&[("default", "2")], None),
            (&[("default", "system")], None),
            (&[("default", "../../secret")], None),
            (&[("default", "default")], Some("v22.11.0")),
            (
                &[("default", "lts/*"), ("lts/*", "lts/iron"), ("lts/iron", "v20.10.0")],
                Some("v20.10.0"),
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            for version in ["v20.9.0", "v20.10.0", "v22.11.0", "v9.0.0", "junk"] {
                fs::create_dir_all(root.path().join("versions/node").join(version)).unwrap();
            }
            for (name, text) in aliases {
                let file = root.path().join("alias").join(name);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            let expected =
                expected.map(|version| root.path().join("versions/node").join(version).join("bin"));
            assert_eq!(default_programs(root.path()), expected, "{aliases:?}");
        }
    }

    #[test]
    fn without_nvm_there_is_nothing() {
        assert_eq!(default_programs(Path::new("/nonexistent")), None);
    }
}
