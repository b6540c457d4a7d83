//! `thoth set-api-key`: puts the enforcer's key into the profile, where `thoth run` finds it.
//!
//! # Invariants
//!
//! - The key is never shown: what was done is told with its fingerprint.
//! - The old key file or the new one is there, never a part of it, and nobody else can read it.

use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use serde::Deserialize;

use super::exit;
use super::fault::Fault;
use crate::config::flags::{KeyText, RunFlags};
use crate::config::layers::Layers;
use crate::config::variables::{API_KEY, API_KEY_ID, Env};
use crate::config::{self, Origin};
use crate::machine::Machine;
use crate::profile::{self, KEY_FILE};
use crate::secret::{ApiKey, NotAKey, fingerprint};

/// No key is longer, in bytes.
const LONGEST: usize = 64 * 1024;

/// Put the enforcer's key into the profile
///
/// The key is read from standard input or, on a terminal, asked for without showing it. It is
/// written to `~/.thoth/proxy_api_key.json`, which nobody else can read, and is used by every
/// `thoth run` that is told of no other key, also by those that run already.
///
/// Exit status: 0 the key is in place, 1 it is none, 78 the profile cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth set-api-key\n  \
    security find-generic-password -s thoth -w | thoth set-api-key --key-id laptop-7")]
pub(super) struct Args {
    /// The key. Everybody on this machine can see it in the list of processes: prefer standard input
    #[arg(long, value_name = "KEY")]
    api_key_value: Option<KeyText>,

    /// Ask for the key on the terminal, also where standard input is none
    #[arg(long, conflicts_with = "api_key_value")]
    api_key: bool,

    /// The key's name at its issuer [default: as it is in the file, or the machine's name]
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
}

/// Why there is no key to write.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("no key was given")]
    Unread(#[source] io::Error),
    #[error("no key was given: nothing but blanks came; pipe the key into thoth set-api-key")]
    Empty,
    #[error("what was given is over {LONGEST} bytes; write the key alone")]
    TooLong,
    #[error("the key cannot be used; write the key alone")]
    NotAKey(#[source] NotAKey),
    #[error("the key's name cannot be used; write it on one line")]
    KeyId,
    #[error("there is no home directory; set THOTH_HOME_DIR to a directory for thoth's own files")]
    Homeless,
}

/// What a key file says beside the key.
#[derive(Deserialize)]
struct Known {
    key_id: Option<String>,
}

/// A key on its way into the file. Does not print.
struct Key(String);

impl Args {
    /// Reads the key and writes it.
    ///
    /// # Errors
    ///
    /// Where there is no key, or no safe place for it; nothing is changed then.
    pub(super) fn run(
        self,
        env: &Env,
        out: &mut impl Write,
        warnings: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let key = self.key(warnings).map_err(Fault::of(exit::NO))?;
        self.place(&key, env, out).map(|()| ExitCode::SUCCESS)
    }

    fn key(&self, warnings: &mut impl Write) -> Result<Key, Unusable> {
        if let Some(key) = &self.api_key_value {
            let _ = writeln!(
                warnings,
                "thoth: --api-key-value: everybody on this machine can see it in the list of \
                 processes; pipe the key into thoth set-api-key instead"
            );
            return Key::parse(key.text().ok_or(Unusable::NotAKey(NotAKey))?);
        }
        if self.api_key || io::stdin().is_terminal() {
            let typed = rpassword::prompt_password("API key (not shown): ");
            return Key::parse(&typed.map_err(Unusable::Unread)?);
        }
        Key::read(io::stdin().lock())
    }

    fn place(&self, key: &Key, env: &Env, out: &mut impl Write) -> Result<(), Fault> {
        let home = config::home(env);
        if home.as_os_str().is_empty() {
            return Err(Fault::new(exit::CONFIGURATION, Unusable::Homeless));
        }
        let key_id = match &self.key_id {
            Some(id) if id.trim().is_empty() || id.chars().any(char::is_control) => {
                return Err(Fault::new(exit::NO, Unusable::KeyId));
            }
            Some(id) => id.trim().to_owned(),
            None => known_id(&home)
                .or_else(|| given_id(env))
                .unwrap_or_else(|| Machine::gather().hostname.unwrap_or_default()),
        };
        profile::furnish(&home, &key_id).map_err(Fault::of(exit::CONFIGURATION))?;
        let file = serde_json::json!({ "api_key": key.0, "key_id": key_id }).to_string() + "\n";
        profile::replace(&home, KEY_FILE, file.as_bytes())
            .map_err(Fault::of(exit::CONFIGURATION))?;
        tell(key, &key_id, env, out).map_err(Fault::of(exit::NO))
    }
}

/// Says what was done, and whether it will count.
fn tell(key: &Key, key_id: &str, env: &Env, out: &mut impl Write) -> io::Result<()> {
    let path = config::home(env).join(KEY_FILE);
    writeln!(
        out,
        "The key {} (key_id {}) is in {}.",
        fingerprint(&key.0),
        key_id.escape_debug(),
        path.display()
    )?;
    let reading = config::read(&RunFlags::default(), None, env, &Layers::of_system(env));
    let counts = reading.shown().iter().find(|shown| shown.name == API_KEY.name);
    match counts.map(|shown| shown.origin) {
        Some(origin @ (Origin::Variable(_) | Origin::Managed(_))) => {
            writeln!(out, "It is not used as things are: {origin} goes before it.")
        }
        Some(Origin::Flag(_) | Origin::Profile(_) | Origin::Default) | None => Ok(()),
    }
}

/// The name in the file that is there, if it says one.
fn known_id(home: &std::path::Path) -> Option<String> {
    let bytes = profile::read_private(&home.join(KEY_FILE), LONGEST).ok()??;
    let known: Known = serde_json::from_slice(&bytes).ok()?;
    known.key_id.filter(|id| !id.trim().is_empty())
}

fn given_id(env: &Env) -> Option<String> {
    let id = env.get(&API_KEY_ID)?.to_str()?.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

// === impl Key ===

impl Key {
    fn read(input: impl Read) -> Result<Self, Unusable> {
        let mut text = String::new();
        let most = LONGEST as u64 + 1;
        input.take(most).read_to_string(&mut text).map_err(Unusable::Unread)?;
        if text.len() > LONGEST {
            return Err(Unusable::TooLong);
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Unusable::Empty);
        }
        ApiKey::parse(text).map_err(Unusable::NotAKey)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn place(words: &[&str], key: &str, env: &[(&str, &str)]) -> Result<String, String> {
        let args = Line::parse_from([&["set-api-key"], words].concat()).args;
        let env = env.iter().copied().collect();
        let mut out = Vec::new();
        let key = Key::read(key.as_bytes()).map_err(|error| error.to_string())?;
        args.place(&key, &env, &mut out).map_err(|fault| fault.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn file(home: &Path) -> serde_json::Value {
        serde_json::from_slice(&fs::read(home.join(KEY_FILE)).unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_put_in_place_and_told_by_its_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("thoth");
        let own = ("THOTH_HOME_DIR", home.to_str().unwrap());
        let told = place(&[], " abc\n", &[own, ("THOTH_API_KEY_ID", "host-1")]).unwrap();
        let path = home.join(KEY_FILE);
        assert_eq!(
            told,
            format!("The key sha256:ba7816bf (key_id host-1) is in {}.\n", path.display())
        );
        assert_eq!(file(&home), serde_json::json!({"api_key": "abc", "key_id": "host-1"}));

        place(&[], "def", &[own, ("THOTH_API_KEY_ID", "host-2")]).unwrap();
        assert_eq!(file(&home), serde_json::json!({"api_key": "def", "key_id": "host-1"}));
        place(&["--key-id", "host-3"], "\"\\", &[own]).unwrap();
        assert_eq!(file(&home), serde_json::json!({"api_key": "\"\\", "key_id": "host-3"}));

        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
        }
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "no drafts stay");
    }

    #[test]
    fn what_goes_before_the_profiles_key_is_said() {
        let home = tempfile::tempdir().unwrap();
        let own = ("THOTH_HOME_DIR", home.path().to_str().unwrap());
        let told = place(&[], "abc", &[own, ("THOTH_API_KEY", "def")]).unwrap();
        assert!(told.ends_with("It is not used as things are: THOTH_API_KEY goes before it.\n"));
    }

    #[test]
    fn what_is_no_key_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let own = ("THOTH_HOME_DIR", home.path().to_str().unwrap());
        place(&[], "abc", &[own]).unwrap();
        let before = file(home.path());
        for key in ["", " \n", "a b", "schl\u{fc}ssel", "a\nb", &"k".repeat(LONGEST + 1)] {
            let error = place(&[], key, &[own]).unwrap_err();
            assert!(!error.contains("schl"), "{error}");
            assert_eq!(file(home.path()), before);
        }
        assert!(place(&["--key-id", " "], "abc", &[own]).is_err());
        assert!(place(&[], "abc", &[]).unwrap_err().contains("THOTH_HOME_DIR"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_profile_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (home, elsewhere) = (root.path().join("thoth"), root.path().join("elsewhere"));
        profile::open(&home).unwrap();
        fs::write(&elsewhere, "{\"api_key\":\"old\"}").unwrap();
        std::os::unix::fs::symlink(&elsewhere, home.join(KEY_FILE)).unwrap();
        let own = ("THOTH_HOME_DIR", home.to_str().unwrap());
        let error = place(&[], "abc", &[own]).unwrap_err();
        assert!(error.contains("is not a file of its own; move it away"), "{error}");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "{\"api_key\":\"old\"}");
    }
}
