//! A database for one test: a SQLite file, or a schema in the Postgres of `tests/postgres`.

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;
use uuid::Uuid;

/// A database of a test's own, empty.
pub(crate) struct Database {
    url: String,
    _directory: Option<TempDir>,
}

impl Database {
    /// A schema of the Postgres that `THOTH_TEST_POSTGRES` says, or a SQLite file where it says
    /// none.
    pub(crate) async fn new() -> Self {
        match Self::postgres().await {
            Some(database) => database,
            None => Self::sqlite(),
        }
    }

    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store.db").display());
        Self { url, _directory: Some(directory) }
    }

    /// `None` where there is no Postgres to test with.
    pub(crate) async fn postgres() -> Option<Self> {
        let base = said("THOTH_TEST_POSTGRES")?;
        let schema = format!("t{}", Uuid::new_v4().simple());
        let created = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        connection(&base).await.execute(created).await.unwrap();
        let mut options: AnyConnectOptions = base.parse().unwrap();
        let path = format!("-csearch_path={schema}");
        options.database_url.query_pairs_mut().append_pair("options", &path);
        Some(Self { url: options.database_url.into(), _directory: None })
    }

    /// Both kinds, or SQLite alone where there is no Postgres.
    pub(crate) async fn all() -> Vec<Self> {
        [Some(Self::sqlite()), Self::postgres().await].into_iter().flatten().collect()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A connection past the store.
    pub(crate) async fn connection(&self) -> AnyConnection {
        connection(&self.url).await
    }
}

async fn connection(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// What a variable of `tests/postgres` says.
#[expect(clippy::disallowed_methods, reason = "the variables of the tests, not of the program")]
pub(crate) fn said(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
