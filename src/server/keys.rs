//! API keys: made, listed, revoked. Only their hashes are kept.
//!
//! A key is 244 random bits, so a plain SHA-256 of it is as hard to reverse as the key is to guess.

use axum::Router;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::Row;
use uuid::Uuid;

use super::caller::{Caller, Permissions, Scope};
use super::store::{Store, StoreError, micros};
use super::{App, Tenant};

/// A key that was just made. The only place where it can be read.
pub struct Issued {
    /// What it is called.
    pub id: String,
    /// The key.
    pub key: String,
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// For people.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// How much of the tenant it is good for.
    pub scope: Scope,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    Router::new()
}

/// Makes a key.
///
/// # Errors
///
/// [`StoreError`]
pub async fn issue(
    store: &Store,
    tenant: &Tenant,
    new: &NewKey,
    now: Timestamp,
) -> Result<Issued, StoreError> {
    let key = format!("thoth_live_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let id = format!("key_{}", Uuid::now_v7().simple());
    let (level, target) = new.scope.words();
    sqlx::query(
        "INSERT INTO api_keys (hash, id, tenant, name, scope_level, scope_target, permissions, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(hash(&key))
    .bind(&id)
    .bind(tenant.as_str())
    .bind(&new.name)
    .bind(level)
    .bind(target)
    .bind(new.permissions.words())
    .bind(micros(now))
    .bind(new.expires_at.map(micros))
    .execute(store.write())
    .await?;
    Ok(Issued { id, key })
}

/// Whose key this is, where it is one that is good now.
///
/// # Errors
///
/// [`StoreError`]
pub async fn find(store: &Store, key: &str, now: Timestamp) -> Result<Option<Caller>, StoreError> {
    let row = sqlx::query(
        "SELECT id, tenant, scope_level, scope_target, permissions FROM api_keys \
         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(hash(key))
    .bind(micros(now))
    .fetch_optional(store.read())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = || StoreError::Unreadable { what: "key" };
    let (level, target) = (row.try_get::<String, _>(2)?, row.try_get::<String, _>(3)?);
    Ok(Some(Caller {
        tenant: Tenant::parse(&row.try_get::<String, _>(1)?).map_err(|_| unreadable())?,
        key_id: row.try_get(0)?,
        permissions: Permissions::read(&row.try_get::<String, _>(4)?).ok_or_else(unreadable)?,
        scope: Scope::read(&level, &target).ok_or_else(unreadable)?,
    }))
}

fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}
