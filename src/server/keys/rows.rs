//! What the store knows of a tenant's keys.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::server::Tenant;
use crate::server::caller::{Permissions, Scope};
use crate::server::store::{Store, StoreError, micros, time};

/// How many are listed at most.
const MOST: i64 = 1000;

/// One key, as its tenant may see it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) permissions: Permissions,
    pub(super) scope: Scope,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
}

/// What came of revoking a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Revoked {
    /// It is revoked now.
    Now,
    /// It was before.
    Before,
    /// It is the last one that can make others.
    Last,
    /// There is none.
    Nowhere,
}

const COLUMNS: &str =
    "id, name, permissions, scope_level, scope_target, created_at, expires_at, revoked_at";

/// A tenant's keys, the newest first.
pub(super) async fn all(store: &Store, tenant: &Tenant) -> Result<Vec<Row>, StoreError> {
    let statement = format!(
        "SELECT {COLUMNS} FROM api_keys WHERE tenant = $1 ORDER BY created_at DESC, id LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(MOST)
        .fetch_all(store.read())
        .await?;
    rows.iter().map(Row::read).collect()
}

/// One of them.
pub(super) async fn one(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Row>, StoreError> {
    let statement = format!("SELECT {COLUMNS} FROM api_keys WHERE tenant = $1 AND id = $2");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(tenant.as_str())
        .bind(id)
        .fetch_optional(store.read())
        .await?;
    row.as_ref().map(Row::read).transpose()
}

/// Revokes a key, unless no other could make keys then.
///
/// Two that are revoked at the same moment on two replicas may both be the last but one; the file
/// of keys, or the enforcer's own on its machine, is the way back in.
pub(super) async fn revoke(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    now: Timestamp,
) -> Result<Revoked, StoreError> {
    let changed = sqlx::query(
        "UPDATE api_keys SET revoked_at = $3 WHERE tenant = $1 AND id = $2 \
         AND revoked_at IS NULL AND (permissions NOT LIKE '%admin%' \
         OR scope_level <> 'organization' OR expires_at <= $3 OR EXISTS ( \
         SELECT 1 FROM api_keys others WHERE others.tenant = $1 AND others.id <> $2 \
         AND others.permissions LIKE '%admin%' AND others.scope_level = 'organization' \
         AND others.revoked_at IS NULL \
         AND (others.expires_at IS NULL OR others.expires_at > $3)))",
    )
    .bind(tenant.as_str())
    .bind(id)
    .bind(micros(now))
    .execute(store.write())
    .await?;
    if changed.rows_affected() > 0 {
        return Ok(Revoked::Now);
    }
    Ok(match one(store, tenant, id).await? {
        None => Revoked::Nowhere,
        Some(Row { revoked_at: Some(_), .. }) => Revoked::Before,
        Some(_) => Revoked::Last,
    })
}

// === impl Row ===

impl Row {
    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Unreadable { what: "key" };
        let maybe = |column| row.try_get::<Option<i64>, _>(column)?.map(time).transpose();
        let (level, target) = (row.try_get::<String, _>(3)?, row.try_get::<String, _>(4)?);
        Ok(Self {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            permissions: Permissions::read(&row.try_get::<String, _>(2)?).ok_or_else(unreadable)?,
            scope: Scope::read(&level, &target).ok_or_else(unreadable)?,
            created_at: time(row.try_get(5)?)?,
            expires_at: maybe(6)?,
            revoked_at: maybe(7)?,
        })
    }

    /// `active`, `expired` or `revoked`.
    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        if self.revoked_at.is_some() {
            "revoked"
        } else if self.expires_at.is_some_and(|end| end <= now) {
            "expired"
        } else {
            "active"
        }
    }
}
