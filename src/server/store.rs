//! Everything that outlives the process: SQLite for one machine, Postgres for several replicas.
//!
//! The same statements on both, through sqlx's `Any`: `$1` parameters, `TEXT` and `BIGINT` columns
//! only (times are microseconds since 1970, truth is 0 or 1, hashes are hexadecimal, objects are
//! JSON text), ids made here. A sum is `CAST(SUM(n) AS BIGINT)`: Postgres' own is a `NUMERIC`, which
//! `Any` does not know. No `QueryBuilder`: for `Any` it writes `?`, which Postgres does not take.
//! Each wing has its statements in a file of its own below this folder, and its tables in
//! `migrations`.
//!
//! # Invariants
//!
//! - A statement about somebody's rows names the tenant.
//! - What a method has returned `Ok` for is on disk.
//! - A change of state is one conditional `UPDATE`: of two replicas that try, one succeeds.
//! - Nothing here prints the address as it was given: it may hold a password.

mod file;
mod place;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(super) mod approvals;
pub(super) mod decisions;
pub(super) mod events;
pub(super) mod fleet;
pub(super) mod tools;

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor as _};
use tokio::time::timeout;

pub use self::place::NotAPlace;
pub use self::write::Writer;

use self::file::Lock;
use self::place::Place;
use crate::profile::Unsafe;

/// The migrations, in order. One that has been released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "keys", include_str!("store/migrations/0001_keys.sql")),
    (2, "approvals", include_str!("store/migrations/0002_approvals.sql")),
    (3, "decisions", include_str!("store/migrations/0003_decisions.sql")),
    (4, "fleet", include_str!("store/migrations/0004_fleet.sql")),
    (5, "events", include_str!("store/migrations/0005_events.sql")),
    (6, "console", include_str!("store/migrations/0006_console.sql")),
];

/// The store. Clones share its connections. A SQLite file is this process's own until the last
/// clone is gone.
#[derive(Clone)]
pub struct Store {
    read: AnyPool,
    write: Writer,
    place: Arc<Place>,
    /// Of the SQLite file. Declared last: dropped once the connections are.
    _lock: Option<Arc<Lock>>,
}

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no store.
    #[error("the store's address names no store")]
    Address(#[from] NotAPlace),
    /// Others could read or change the SQLite file, or it cannot be made.
    #[error("the store has no safe file")]
    File(#[from] Unsafe),
    /// The SQLite file cannot be locked.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process works with the SQLite file, and would not hear what this one changes.
    #[error(
        "{} is in use by another enforcer; stop that one, or let several share a Postgres",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be reached or opened.
    #[error("cannot open {place}")]
    Open {
        /// Where it is, without a password.
        place: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// It does not answer.
    #[error("{place} did not answer within {} s", within.as_secs())]
    Silent {
        /// Where it is, without a password.
        place: String,
        /// How long it had.
        within: Duration,
    },
    /// A newer program has written it.
    #[error(
        "the store's tables are of version {store}, and this program knows them up to {known}; \
         run the newer program, or restore a backup from before it was run"
    )]
    Newer {
        /// The version of its tables.
        store: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Its tables cannot be brought up to date.
    #[error("the store's tables cannot be brought up to date")]
    Migrate(#[source] MigrateError),
    /// A statement failed.
    #[error("the store failed")]
    Failed(#[from] sqlx::Error),
    /// A row does not hold what it should.
    #[error("the store holds a {what} that cannot be read")]
    Unreadable {
        /// What was read.
        what: &'static str,
    },
}

/// How many connections one replica holds to Postgres, beside the two of the bus.
const CONNECTIONS: u32 = 16;
/// How many SQLite connections only read.
const READERS: u32 = 4;
/// How long a store that is just opened may take to answer.
const OPENING: Duration = Duration::from_secs(10);
/// How long the tables may take to be brought up to date, by this process or another.
const MIGRATING: Duration = Duration::from_mins(10);
/// How long a statement waits for a connection: shorter than the 5 s that a sidecar waits for its
/// verdict, so that it is told rather than left.
const WAITING: Duration = Duration::from_secs(4);
/// A connection to Postgres that was idle for as long is tried before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// For SQLite: a write-ahead log, a commit that is on the disk when it returns (on macOS too, where
/// that takes a word more), and a log that shrinks again after a burst.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA busy_timeout = 5000; \
     PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;";
/// For SQLite connections that only read.
const READS_ONLY: &str = "PRAGMA query_only = ON;";
/// For Postgres: no statement, lock or forgotten transaction holds up the others, and a commit is on
/// the disk when it returns, whatever the server's own setting says.
const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '4s'; \
     SET idle_in_transaction_session_timeout = '10s'; \
     SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off';";

// === impl Store ===

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, and brings its tables up to date. Several replicas
    /// may open one Postgres at the same time.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; a Postgres that is away is said at once, not waited for.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let place = Place::parse(url)?;
        let lock = match &place {
            Place::File(path) => Some(Arc::new(file::prepare(path)?)),
            Place::Postgres(_) => None,
        };
        let said = place.to_string();
        let failed = |source| StoreError::Open { place: said.clone(), source };
        let options = place.options(lock.as_deref()).map_err(failed)?;

        let silent = |within| StoreError::Silent { place: said.clone(), within };
        let opening = AnyConnection::connect_with(&options);
        let connection = timeout(OPENING, opening).await.map_err(|_| silent(OPENING))?;
        let migrating = migrate(connection.map_err(failed)?, lock.is_some());
        timeout(MIGRATING, migrating).await.map_err(|_| silent(MIGRATING))??;

        let (read, write) = if lock.is_some() {
            // SQLite has one writer at a time: who waits for it waits here, in turn.
            (sqlite(&options, READERS, true), sqlite(&options, 1, false))
        } else {
            let both = postgres(&options);
            (both.clone(), both)
        };
        Ok(Self { read, write: Writer::new(write), place: Arc::new(place), _lock: lock })
    }

    /// For statements that only read; with SQLite, others fail.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }

    /// For statements that write.
    pub fn write(&self) -> &Writer {
        &self.write
    }

    /// Where it is, without a password.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// Ends all connections once what is under way is done, and lets go of the file. Clones are of
    /// no use afterwards.
    pub async fn close(self) {
        self.write.close().await;
        self.read.close().await;
    }

    /// How to connect to the Postgres, where it is one: what the replicas tell each other goes
    /// through it.
    pub(super) fn shared(&self) -> Option<&PgConnectOptions> {
        match &*self.place {
            Place::Postgres(postgres) => Some(&postgres.direct),
            Place::File(_) => None,
        }
    }
}

impl fmt::Display for Store {
    /// Where it is, without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({self})")
    }
}

// === impl StoreError ===

impl StoreError {
    /// Whether trying again later is of no use: somebody must change what was configured.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Address(_) | Self::File(_) | Self::Newer { .. } => true,
            Self::Open { source, .. } => matches!(source, sqlx::Error::Configuration(_)),
            Self::Lock { .. }
            | Self::InUse { .. }
            | Self::Silent { .. }
            | Self::Migrate(_)
            | Self::Failed(_)
            | Self::Unreadable { .. } => false,
        }
    }
}

fn sqlite(options: &AnyConnectOptions, most: u32, reads_only: bool) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(WAITING)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(PRAGMAS).await?;
                if reads_only {
                    connection.execute(READS_ONLY).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}

fn postgres(options: &AnyConnectOptions) -> AnyPool {
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(WAITING)
        .test_before_acquire(false)
        .before_acquire(|connection, facts| {
            Box::pin(async move {
                // One round trip more for a statement is too much; one for a quiet moment is not.
                if facts.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SETTINGS).await.map(drop) })
        })
        .connect_lazy_with(options.clone())
}

/// Brings the tables up to date, over a connection of its own: a failure ends it, and with it
/// Postgres' lock on migrations, which is the session's.
async fn migrate(mut connection: AnyConnection, is_sqlite: bool) -> Result<(), StoreError> {
    if is_sqlite {
        connection.execute(PRAGMAS).await?;
    }
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    let migrated = migrator.run_direct(None, &mut connection, false).await;
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    let outcome = match migrated {
        Err(MigrateError::VersionMissing(_)) => {
            let applied = connection.list_applied_migrations(&migrator.table_name).await;
            let newest = applied.map_err(StoreError::Migrate)?.iter().map(|one| one.version).max();
            Err(StoreError::Newer { store: newest.unwrap_or(known), known })
        }
        migrated => migrated.map_err(StoreError::Migrate),
    };
    connection.close().await?;
    outcome
}

/// A time as the store writes it: microseconds since 1970.
pub fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time as the store wrote it.
///
/// # Errors
///
/// [`StoreError::Unreadable`] for one outside the calendar.
pub fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Unreadable { what: "time" })
}
