//! An entry of the system's keychain: the Keychain of macOS, the Credential Manager of Windows, the
//! Secret Service of a desktop. Read in builds with the feature `keychain`; others say so.
//!
//! A keychain may ask the person at the machine, and answers when it likes: it is asked on a thread
//! of its own, one at a time, and waited for ten seconds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Flaw, MAX_FILE};

/// The longest a keychain may take.
const LONGEST: Duration = Duration::from_secs(10);

/// An entry of the system's keychain.
#[derive(Clone)]
pub struct Entry {
    service: String,
    account: String,
    /// Held by the thread that asks: there is one at most.
    thread: Arc<Mutex<()>>,
}

/// A text that names no entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not SERVICE/ACCOUNT")]
pub struct NotAnEntry;

// === impl Entry ===

impl Entry {
    /// Whether this build can read keychains.
    pub const IS_READ: bool = cfg!(feature = "keychain");

    /// An entry as it is written in a setting: `SERVICE/ACCOUNT`. A service may be an address, and
    /// hold slashes; an account holds none.
    ///
    /// # Errors
    ///
    /// [`NotAnEntry`], where either is missing.
    pub fn parse(text: &str) -> Result<Self, NotAnEntry> {
        let (service, account) = text.rsplit_once('/').ok_or(NotAnEntry)?;
        let (service, account) = (service.trim(), account.trim());
        if service.is_empty() || account.is_empty() {
            return Err(NotAnEntry);
        }
        let [service, account] = [service, account].map(str::to_owned);
        Ok(Self { service, account, thread: Arc::default() })
    }

    /// Asks the keychain. Takes 20 s at most: ten for whoever asks already, and ten for this.
    ///
    /// Cancel safe: a thread that asks is left to end by itself.
    pub(super) async fn read(&self) -> Result<Vec<u8>, Flaw> {
        let lock = Arc::clone(&self.thread).lock_owned();
        let held = timeout(LONGEST, lock).await.map_err(|_| Flaw::TimedOut)?;
        let Self { service, account, .. } = self.clone();
        let asking = spawn_blocking(move || {
            let told = system::ask(&service, &account);
            drop(held);
            told
        });
        let told = timeout(LONGEST, asking).await.map_err(|_| Flaw::TimedOut)?;
        let bytes = told.unwrap_or(Err(Flaw::Locked))?;
        if bytes.len() as u64 > MAX_FILE { Err(Flaw::TooLong) } else { Ok(bytes) }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}/{})", self.service, self.account)
    }
}

#[cfg(feature = "keychain")]
mod system {
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Error};

    use super::Flaw;

    /// Asks a store that is opened for this: a desktop's may have been started anew since the last
    /// time. What an error says is not told, since it may hold what was found.
    pub(super) fn ask(service: &str, account: &str) -> Result<Vec<u8>, Flaw> {
        let store = open().map_err(|_| Flaw::Locked)?;
        secret(&*store, service, account)
    }

    pub(super) fn secret(
        store: &CredentialStore,
        service: &str,
        account: &str,
    ) -> Result<Vec<u8>, Flaw> {
        let entry = store.build(service, account, None).map_err(|_| Flaw::NoEntry)?;
        match entry.get_password() {
            Ok(text) => Ok(text.into_bytes()),
            Err(Error::NoEntry | Error::Ambiguous(_)) => Err(Flaw::NoEntry),
            Err(Error::BadEncoding(_) | Error::BadDataFormat(..)) => Err(Flaw::NotUtf8),
            Err(_) => Err(Flaw::Locked),
        }
    }

    #[cfg(target_os = "macos")]
    fn open() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(apple_native_keyring_store::keychain::Store::new()?)
    }

    #[cfg(windows)]
    fn open() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(windows_native_keyring_store::Store::new()?)
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    fn open() -> keyring_core::Result<Arc<CredentialStore>> {
        Ok(zbus_secret_service_keyring_store::Store::new()?)
    }
}

#[cfg(not(feature = "keychain"))]
mod system {
    use super::Flaw;

    pub(super) fn ask(_service: &str, _account: &str) -> Result<Vec<u8>, Flaw> {
        Err(Flaw::NoKeychain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_service_and_an_account() {
        for (text, expected) in [
            ("thoth/ann", Some("Entry(thoth/ann)")),
            (
                "https://h.example/mcp/ann@h.example",
                Some("Entry(https://h.example/mcp/ann@h.example)"),
            ),
            (" thoth / ann ", Some("Entry(thoth/ann)")),
            ("thoth", None),
            ("thoth/", None),
            ("/ann", None),
            ("", None),
        ] {
            let read = Entry::parse(text).ok().map(|entry| format!("{entry:?}"));
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[cfg(not(feature = "keychain"))]
    #[tokio::test]
    async fn a_build_without_keychains_says_so() {
        assert_eq!(Entry::parse("thoth/ann").unwrap().read().await, Err(Flaw::NoKeychain));
    }

    #[cfg(feature = "keychain")]
    #[test]
    fn a_store_tells_a_secret_or_why_there_is_none() {
        use keyring_core::api::CredentialStoreApi;
        use keyring_core::{Error, mock};

        let store = mock::Store::new().unwrap();
        let ask = || system::secret(&*store, "thoth", "ann");
        let entry = store.build("thoth", "ann", None).unwrap();
        assert_eq!(ask(), Err(Flaw::NoEntry));
        entry.set_password("t1").unwrap();
        assert_eq!(ask(), Ok(b"t1".to_vec()));
        entry.set_password("t2").unwrap();
        assert_eq!(ask(), Ok(b"t2".to_vec()), "it is rotated like any other");
        entry.set_secret(&[0xff]).unwrap();
        assert_eq!(ask(), Err(Flaw::NotUtf8));
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::NoStorageAccess("locked: hunter2".into()));
        assert_eq!(ask(), Err(Flaw::Locked));
        assert_eq!(system::secret(&*store, "thoth", "bob"), Err(Flaw::NoEntry));
    }

    #[tokio::test(start_paused = true)]
    async fn a_keychain_that_hangs_keeps_one_thread_and_no_caller() {
        let entry = Entry::parse("thoth/ann").unwrap();
        let hung = Arc::clone(&entry.thread).lock_owned().await;
        for _ in 0..3 {
            assert_eq!(entry.read().await, Err(Flaw::TimedOut));
        }
        drop(hung);
    }
}
