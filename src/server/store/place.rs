//! Where a store is: a file, or a Postgres.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::file::Lock;

/// Where a store is. Its `Display` holds no password; it has no `Debug`.
pub(super) enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A Postgres.
    Postgres(Box<Postgres>),
}

/// How to connect to a Postgres.
pub(super) struct Postgres {
    /// For `Any`.
    options: AnyConnectOptions,
    /// For what only Postgres can do.
    pub(super) direct: PgConnectOptions,
}

/// Not the address of a store. Holds nothing of it but names: it may have a password in it.
#[derive(Debug, thiserror::Error)]
pub enum NotAPlace {
    /// Neither of the two kinds.
    #[error("write sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Scheme,
    /// SQLite without a file.
    #[error("sqlite: needs the path of a file; a store in memory would keep nothing")]
    NoFile,
    /// A parameter that is not known, or does not belong here.
    #[error("the parameter {0:?} is not known; look it up in docs/scale.md")]
    Parameter(String),
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] sqlx::Error),
}

/// The parameters that an address of a Postgres may have. sqlx would log others, with their values.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

// === impl Place ===

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`NotAPlace`]
    pub(super) fn parse(url: &str) -> Result<Self, NotAPlace> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            return file(rest.strip_prefix("//").unwrap_or(rest)).map(Self::File);
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(NotAPlace::Scheme);
        }
        let mut options: AnyConnectOptions = url.parse().map_err(NotAPlace::Unreadable)?;
        for (name, _) in options.database_url.query_pairs() {
            if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
                return Err(NotAPlace::Parameter(name.into_owned()));
            }
        }
        let has = |name| options.database_url.query_pairs().any(|(key, _)| key == name);
        let read = || PgConnectOptions::from_url(&options.database_url);
        let direct = read().map_err(NotAPlace::Unreadable)?;
        let is_near = direct.get_socket().is_some()
            || matches!(direct.get_host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        let is_lax = matches!(direct.get_ssl_mode(), PgSslMode::Allow | PgSslMode::Prefer);
        // sqlx prefers TLS by default, which is to take what it gets, also from whoever is in
        // between. Where the address does not ask for that, only this machine gets it.
        let verify = is_lax && !is_near && !has("sslmode");
        let is_named = direct.get_application_name().is_some();
        if verify {
            options.database_url.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        if !is_named {
            options.database_url.query_pairs_mut().append_pair("application_name", "thoth");
        }
        let direct =
            PgConnectOptions::from_url(&options.database_url).map_err(NotAPlace::Unreadable)?;
        Ok(Self::Postgres(Box::new(Postgres { options, direct })))
    }

    /// How to connect, for sqlx's `Any`. With SQLite, to the very file that was locked.
    ///
    /// # Errors
    ///
    /// What sqlx cannot read.
    pub(super) fn options(&self, lock: Option<&Lock>) -> Result<AnyConnectOptions, sqlx::Error> {
        let options = match self {
            Self::File(path) => encoded(lock.map_or(path, Lock::path)).parse()?,
            Self::Postgres(postgres) => postgres.options.clone(),
        };
        Ok(options.disable_statement_logging())
    }
}

impl fmt::Display for Place {
    /// Without a password, and without anything that a parameter said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(postgres) => {
                let direct = &postgres.direct;
                write!(f, "postgres://{}@", direct.get_username())?;
                match direct.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", direct.get_host(), direct.get_port())?,
                }
                write!(f, "/{}", direct.get_database().unwrap_or(direct.get_username()))
            }
        }
    }
}

/// Reads what stands behind `sqlite:`.
fn file(rest: &str) -> Result<PathBuf, NotAPlace> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path.starts_with(":memory:") {
        return Err(NotAPlace::NoFile);
    }
    match parameters {
        // What others need to say for a file to be made.
        "" | "mode=rwc" => Ok(PathBuf::from(path)),
        _ => {
            let name = parameters.split(['=', '&']).next().unwrap_or_default();
            Err(NotAPlace::Parameter(name.to_owned()))
        }
    }
}

/// A path as sqlx reads it.
fn encoded(path: &Path) -> String {
    let mut url = String::from("sqlite:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02X}"); // a String takes everything
        }
    }
    url
}
