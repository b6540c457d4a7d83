//! Everything that outlives the process: SQLite for one machine, Postgres for several replicas.
//!
//! The same statements on both: `$1` parameters, `TEXT` and `BIGINT` columns only (times are
//! microseconds since 1970, truth is 0 or 1, hashes are hexadecimal, objects are JSON text), ids made here. Each
//! wing has its statements in a file of its own below this folder, and its tables in `migrations`.
//!
//! # Invariants
//!
//! - A statement about somebody's rows names the tenant.
//! - What a method has returned `Ok` for is on disk.
//! - A change of state is one conditional `UPDATE`: of two replicas that try, one succeeds.

pub(super) mod approvals;
pub(super) mod decisions;
pub(super) mod events;
pub(super) mod fleet;
pub(super) mod tools;

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor};

/// The migrations, in order. One that has been released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "keys", include_str!("store/migrations/0001_keys.sql")),
    (2, "approvals", include_str!("store/migrations/0002_approvals.sql")),
    (3, "decisions", include_str!("store/migrations/0003_decisions.sql")),
    (4, "fleet", include_str!("store/migrations/0004_fleet.sql")),
    (5, "events", include_str!("store/migrations/0005_events.sql")),
    (6, "console", include_str!("store/migrations/0006_console.sql")),
];

/// The store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    read: AnyPool,
    write: AnyPool,
}

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("the store cannot be opened")]
    Open(#[source] sqlx::Error),
    /// Its tables cannot be brought up to date.
    #[error("the store's tables cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
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

// === impl Store ===

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…`, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`], [`StoreError::Migrate`]
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let is_sqlite = url.starts_with("sqlite:");
        let url = if is_sqlite && !url.contains('?') {
            format!("{url}?mode=rwc")
        } else {
            url.to_owned()
        };
        let options: AnyConnectOptions = url.parse().map_err(StoreError::Open)?;
        let pool = |most| {
            let options = options.clone();
            async move {
                AnyPoolOptions::new()
                    .max_connections(most)
                    .after_connect(move |connection, _| {
                        Box::pin(async move {
                            if is_sqlite {
                                connection.execute(PRAGMAS).await?;
                            }
                            Ok(())
                        })
                    })
                    .connect_with(options)
                    .await
                    .map_err(StoreError::Open)
            }
        };
        let store = if is_sqlite {
            // SQLite has one writer at a time: who waits for it waits here, in turn.
            Self { write: pool(1).await?, read: pool(4).await? }
        } else {
            let both = pool(16).await?;
            Self { write: both.clone(), read: both }
        };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
            let sql = sqlx::SqlStr::from_static(sql);
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        });
        let migrator = Migrator::with_migrations(migrations.collect());
        migrator.run(&self.write).await.map_err(StoreError::Migrate)
    }

    /// For statements that only read.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }

    /// For statements that write.
    pub fn write(&self) -> &AnyPool {
        &self.write
    }
}

/// Write-ahead log, and a commit that is on disk when it returns.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

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
