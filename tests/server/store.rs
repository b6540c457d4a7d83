//! The store itself, on SQLite and, where `tests/postgres` runs this, on Postgres.

use std::fs;

use sqlx::any::AnyRow;
use sqlx::{Executor as _, Row as _};
use thoth::machine::clock;
use thoth::server::Tenant;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::keys::{self, NewKey};
use thoth::server::store::{Store, StoreError};
use tokio::task::JoinSet;

use crate::database::{Database, said};

/// An error and what is behind it, as a log shows it.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let behind = std::iter::successors(error.source(), |error| error.source());
    behind.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}

async fn refused(url: &str) -> String {
    whole(&Store::open(url).await.unwrap_err())
}

pub(crate) fn new_key() -> NewKey {
    NewKey {
        name: "test".to_owned(),
        permissions: Permissions::SIDECAR,
        scope: Scope::Organization,
        expires_at: None,
    }
}

// === what both databases must do alike ===

#[tokio::test]
async fn both_databases_read_back_what_was_written() {
    for database in Database::all().await {
        let store = Store::open(database.url()).await.unwrap();
        let make = "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT, words TEXT)";
        store.write().execute(make).await.unwrap();
        let put = "INSERT INTO things (id, n, words) VALUES ($1, $2, $3) \
                   ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, n, words";
        let none = (None::<i64>, None::<String>);
        let read = |row: &AnyRow| -> (Option<i64>, Option<String>) { (row.get(1), row.get(2)) };
        let awkward = "ü 'quoted' \u{1f600} $1 %s \\ \u{1}";
        let (huge, odd) = (Some(i64::MIN), Some(awkward.to_owned()));
        for (id, values) in [("empty", none.clone()), ("full", (huge, odd.clone()))] {
            let row = sqlx::query(put).bind(id).bind(values.0).bind(values.1.clone());
            let row = row.fetch_one(store.write()).await.unwrap();
            assert_eq!(read(&row), values);
        }
        let again = sqlx::query(put).bind("empty").bind(7_i64).bind("x");
        assert_eq!(read(&again.fetch_one(store.write()).await.unwrap()), (Some(7), None));

        // Conditions on parameters that may be null, and limits.
        let find = "SELECT id, n, words FROM things WHERE ($1 IS NULL OR words = $1) AND n < $2 \
                    ORDER BY id LIMIT $3";
        let find = |words: Option<&str>, below: i64| {
            let query = sqlx::query(find).bind(words.map(str::to_owned)).bind(below).bind(10_i64);
            query.fetch_all(store.read())
        };
        assert_eq!(find(None, 100).await.unwrap().len(), 2);
        assert_eq!(read(&find(Some(awkward), 100).await.unwrap()[0]), (huge, odd));
        assert!(find(Some("'"), 100).await.unwrap().is_empty());

        let figures = "SELECT COUNT(*), CAST(SUM(n) AS BIGINT), MAX(words), \
                       CAST(SUM(n) FILTER (WHERE n > 100) AS BIGINT) FROM things WHERE n > 0";
        let row = sqlx::query(figures).fetch_one(store.read()).await.unwrap();
        assert_eq!((row.get::<i64, _>(0), row.get::<Option<i64>, _>(1)), (1, Some(7)));
        assert_eq!((row.get::<Option<String>, _>(2), row.get::<Option<i64>, _>(3)), (None, None));

        // One of those that try at once succeeds.
        let mut claims = JoinSet::new();
        for claim in 0..16_i64 {
            let store = store.clone();
            claims.spawn(async move {
                let claimed = "UPDATE things SET n = $1 WHERE id = $2 AND n = 7 RETURNING id";
                let spent = sqlx::query(claimed).bind(100 + claim).bind("empty");
                spent.fetch_optional(store.write()).await.unwrap().is_some()
            });
        }
        let won = claims.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1);
        store.close().await;
    }
}

#[tokio::test]
async fn a_write_whose_commit_fails_returns_no_row() {
    for database in Database::all().await {
        let store = Store::open(database.url()).await.unwrap();
        let make = "CREATE TABLE owners (id BIGINT PRIMARY KEY); CREATE TABLE owned (id BIGINT, \
             owner BIGINT REFERENCES owners (id) DEFERRABLE INITIALLY DEFERRED)";
        store.write().execute(make).await.unwrap();
        let put = "INSERT INTO owned (id, owner) VALUES ($1, $2) RETURNING id";
        let one = sqlx::query(put).bind(1_i64).bind(9_i64).fetch_one(store.write()).await;
        let optional = sqlx::query(put).bind(1_i64).bind(9_i64).fetch_optional(store.write()).await;
        assert!(one.is_err() && optional.is_err());
        let row = sqlx::query("SELECT COUNT(*) FROM owned").fetch_one(store.read()).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 0);
        store.close().await;
    }
}

#[tokio::test]
async fn a_store_that_a_newer_program_wrote_is_refused() {
    for database in Database::all().await {
        Store::open(database.url()).await.unwrap().close().await;
        let mut past = database.connection().await;
        let newer = "INSERT INTO _sqlx_migrations \
             (version, description, success, checksum, execution_time) \
             SELECT 9000, 'later', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1";
        past.execute(newer).await.unwrap();
        let said = refused(database.url()).await;
        assert!(said.contains("version 9000") && said.contains("run the newer program"), "{said}");
    }
}

#[tokio::test]
async fn a_store_is_what_it_was_when_it_is_opened_again() {
    for database in Database::all().await {
        let store = Store::open(database.url()).await.unwrap();
        let tenant = Tenant::parse("acme").unwrap();
        let issued = keys::issue(&store, &tenant, &new_key(), clock::now()).await.unwrap();
        store.close().await;
        let store = Store::open(database.url()).await.unwrap();
        let found = keys::find(&store, &issued.key, clock::now()).await.unwrap();
        assert_eq!(found.unwrap().key_id, issued.id);
        store.close().await;
    }
}

#[tokio::test]
async fn what_is_no_address_of_a_store_is_refused() {
    for (url, why) in [
        ("", "write sqlite:PATH"),
        ("store.db", "write sqlite:PATH"),
        ("mysql://root@localhost/x", "write sqlite:PATH"),
        ("POSTGRES://localhost/x", "write sqlite:PATH"),
        ("sqlite:", "in memory would keep nothing"),
        ("sqlite::memory:", "in memory would keep nothing"),
        ("sqlite://?mode=memory", "in memory would keep nothing"),
        ("sqlite:x.db?mode=memory", "\"mode\" is not known"),
        ("postgres://u:hunter2@localhost:port/x", "it cannot be read"),
        ("postgres://u@localhost/x?passwrod=hunter2", "\"passwrod\" is not known"),
        ("postgres://u:hunter2@localhost/x?sslmode=hunter3", "it cannot be read"),
    ] {
        let said = refused(url).await;
        assert!(said.contains(why) && !said.contains("hunter2"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_postgres_that_is_away_is_said_at_once_and_without_its_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://ada:hunter2@127.0.0.1:{port}/thoth?password=hunter2");
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }));
    let said = whole(&error);
    let place = format!("cannot open postgres://ada@127.0.0.1:{port}/thoth: ");
    assert!(said.starts_with(&place), "{said}");
    assert!(!format!("{said} {error:?}").contains("hunter2"), "{error:?}");
}

// === SQLite ===

#[tokio::test]
async fn a_sqlite_file_is_for_one_enforcer_at_a_time() {
    let database = Database::sqlite();
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        let url = database.url().to_owned();
        starts.spawn(async move { Store::open(&url).await });
    }
    let (opened, refused): (Vec<_>, Vec<_>) =
        starts.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((opened.len(), refused.len()), (1, 7));
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains("stop that one, or let several share a Postgres"));
    }
    drop(opened);
    Store::open(database.url()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_sqlite_file_has_a_log_and_commits_to_the_disk() {
    let database = Database::sqlite();
    let store = Store::open(database.url()).await.unwrap();
    for (pragma, read, write) in [
        ("synchronous", 2, 2), // FULL
        ("fullfsync", 1, 1),
        ("foreign_keys", 1, 1),
        ("busy_timeout", 5000, 5000),
        ("query_only", 1, 0),
    ] {
        for (pool, expected) in [(store.read(), read), (&**store.write(), write)] {
            let query = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let row = pool.fetch_one(query).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
        }
    }
    let mode = store.read().fetch_one("PRAGMA journal_mode").await.unwrap();
    assert_eq!(mode.get::<String, _>(0), "wal");
    let delete = sqlx::query("DELETE FROM api_keys");
    assert!(delete.execute(store.read()).await.is_err(), "who reads cannot write");
    store.close().await;
}

#[tokio::test]
async fn a_sqlite_path_is_taken_as_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["plain.db", "a b.db", "100%.db", "%41.db", "ü#x&y.db", "..db"] {
        let path = directory.path().join(name);
        for url in
            [format!("sqlite:{}", path.display()), format!("sqlite://{}?mode=rwc", path.display())]
        {
            Store::open(&url).await.unwrap().close().await;
        }
        assert!(fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
    let made = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(made, 2 * 6, "a file and its lock each");
}

#[cfg(unix)]
mod rights {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use thoth::machine::clock;
    use thoth::server::{Tenant, keys, store::Store};

    use super::{new_key, refused};

    #[tokio::test]
    async fn a_sqlite_file_is_for_its_user_alone() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("store.db").display());
        let store = Store::open(&url).await.unwrap();
        let tenant = Tenant::parse("acme").unwrap();
        keys::issue(&store, &tenant, &new_key(), clock::now()).await.unwrap();
        let mut made = Vec::new();
        for entry in fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
            made.push(entry.file_name().into_string().unwrap());
        }
        made.sort();
        assert_eq!(made, ["store.db", "store.db-lock", "store.db-shm", "store.db-wal"]);
        store.close().await;
    }

    #[tokio::test]
    async fn a_sqlite_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let url = format!("sqlite:{}", path.display());
        for (name, mode) in [("store.db", 0o640), ("store.db-wal", 0o604), ("store.db-lock", 0o620)]
        {
            let file = directory.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let said = refused(&url).await;
            assert!(said.contains(name) && said.contains("run chmod go-"), "{said}");
            fs::remove_file(&file).unwrap();
            Store::open(&url).await.unwrap().close().await;
        }
        let said = refused(&format!("sqlite:{}", directory.path().display())).await;
        assert!(said.contains("is not a file of its own"), "{said}");
    }

    #[tokio::test]
    async fn another_name_of_a_file_in_use_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("store.db"), directory.path().join("link.db"));
        let store = Store::open(&format!("sqlite:{}", path.display())).await.unwrap();
        symlink(&path, &link).unwrap();
        let said = refused(&format!("sqlite:{}", link.display())).await;
        assert!(said.contains("in use by another enforcer"), "{said}");
        store.close().await;
    }
}

// === Postgres: each of these passes, having done nothing, where there is none ===

#[tokio::test]
async fn replicas_that_start_together_bring_one_postgres_up_to_date() {
    let Some(database) = Database::postgres().await else { return };
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        let url = database.url().to_owned();
        starts.spawn(async move { Store::open(&url).await });
    }
    for store in starts.join_all().await {
        let store = store.unwrap();
        let count = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success";
        let row = store.read().fetch_one(count).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 6);
        store.close().await;
    }
}

#[tokio::test]
async fn a_store_finds_its_postgres_again() {
    let Some(database) = Database::postgres().await else { return };
    let store = Store::open(&format!("{}&application_name=lost", database.url())).await.unwrap();
    let tenant = Tenant::parse("acme").unwrap();
    let issued = keys::issue(&store, &tenant, &new_key(), clock::now()).await.unwrap();
    // Idle for so long that they are tried before they are used.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'lost'";
    let ended = database.connection().await.fetch_one(end).await.unwrap();
    assert!(ended.get::<i64, _>(0) > 0);
    let found = keys::find(&store, &issued.key, clock::now()).await.unwrap();
    assert_eq!(found.unwrap().key_id, issued.id);
    store.close().await;
}

#[tokio::test]
async fn no_statement_holds_up_a_postgres() {
    let Some(database) = Database::postgres().await else { return };
    let lax = format!("{}&options[synchronous_commit]=off", database.url());
    let store = Store::open(&lax).await.unwrap();
    for (name, expected) in [
        ("statement_timeout", "10s"),
        ("lock_timeout", "4s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        ("application_name", "thoth"),
    ] {
        let row = sqlx::query("SELECT current_setting($1)").bind(name);
        let row = row.fetch_one(store.write()).await.unwrap();
        assert_eq!(row.get::<String, _>(0), expected, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_postgres_is_reached_over_tls_that_is_checked() {
    let (Some(base), Some(authority)) =
        (said("THOTH_TEST_POSTGRES_TLS"), said("THOTH_TEST_POSTGRES_CA"))
    else {
        return;
    };
    let trusted = format!("{base}?sslmode=verify-full&sslrootcert={authority}");
    let store = Store::open(&trusted).await.unwrap();
    let used = "SELECT COUNT(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    assert_eq!(store.read().fetch_one(used).await.unwrap().get::<i64, _>(0), 1);
    store.close().await;

    let unknown = refused(&format!("{base}?sslmode=verify-full")).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let other_name = trusted.replace("@localhost:", "@127.0.0.1:");
    let other_name = refused(&other_name).await;
    assert!(other_name.to_lowercase().contains("certificate"), "{other_name}");
}
