//! API keys: made, found, listed, revoked. Only their hashes are kept.
//!
//! A key is 244 random bits, so a plain SHA-256 of it is as hard to reverse as the key is to guess.
//!
//! # Invariants
//!
//! - A key can be read once, in the answer that makes it.
//! - A key that was revoked stays so, whatever a file of keys says.
//! - A tenant keeps at least one key that can make others, once it has one.

mod file;
mod routes;
mod rows;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

pub use self::file::{KeyFile, KeyFileError};
pub(super) use self::routes::routes;

use super::Tenant;
use super::caller::{Caller, Permissions, Scope};
use super::store::{Store, StoreError, micros, time};

/// A key that was just made. The only place where it can be read.
pub struct Issued {
    /// What it is called.
    pub id: String,
    /// The key.
    pub key: String,
}

/// What a new key is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// A key that is good now.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whose it is.
    pub caller: Caller,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// What became of a key that was to be put in place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Adopted {
    /// It is good.
    Good,
    /// It was revoked, and stays so.
    Revoked,
    /// It is another tenant's.
    Foreign,
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
    let key = random();
    let id = format!("key_{}", Uuid::now_v7().simple());
    let (level, target) = new.scope.words();
    sqlx::query(
        "INSERT INTO api_keys (hash, id, tenant, name, scope_level, scope_target, permissions, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(hex::encode(hash_of(&key)))
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

/// Puts a key in place that was made elsewhere, of which only the SHA-256 is known; one that is
/// there gets these properties. Its id is made of the hash, so that several replicas agree.
///
/// # Errors
///
/// [`StoreError`]
pub async fn adopt(
    store: &Store,
    tenant: &Tenant,
    hash: &[u8; 32],
    new: &NewKey,
    now: Timestamp,
) -> Result<Adopted, StoreError> {
    let (level, target) = new.scope.words();
    let id = format!("key_{}", hex::encode(&Sha256::digest(hash)[..16]));
    sqlx::query(
        "INSERT INTO api_keys (hash, id, tenant, name, scope_level, scope_target, permissions, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (hash) DO UPDATE SET name = excluded.name, \
         scope_level = excluded.scope_level, scope_target = excluded.scope_target, \
         permissions = excluded.permissions, expires_at = excluded.expires_at \
         WHERE api_keys.tenant = excluded.tenant",
    )
    .bind(hex::encode(hash))
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
    let row = sqlx::query("SELECT tenant, revoked_at FROM api_keys WHERE hash = $1")
        .bind(hex::encode(hash))
        .fetch_one(store.write())
        .await?;
    Ok(if row.try_get::<String, _>(0)? != tenant.as_str() {
        Adopted::Foreign
    } else if row.try_get::<Option<i64>, _>(1)?.is_some() {
        Adopted::Revoked
    } else {
        Adopted::Good
    })
}

/// Whose key this is, where it is one that is good now.
///
/// # Errors
///
/// [`StoreError`]
pub async fn find(store: &Store, key: &str, now: Timestamp) -> Result<Option<Caller>, StoreError> {
    let found = find_hashed(store, &hash_of(key), now).await?;
    Ok(found.map(|found| found.caller))
}

/// Whose key has this SHA-256, where it is one that is good now.
///
/// # Errors
///
/// [`StoreError`]
pub async fn find_hashed(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Found>, StoreError> {
    let row = sqlx::query(
        "SELECT hash, id, tenant, scope_level, scope_target, permissions, expires_at \
         FROM api_keys \
         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(hex::encode(hash))
    .bind(micros(now))
    .fetch_optional(store.read())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = || StoreError::Unreadable { what: "key" };
    // The index was asked with a hash, which tells nothing about keys; the row is held against it
    // without a hint of where they differ all the same.
    let kept = hex::decode(row.try_get::<String, _>(0)?).map_err(|_| unreadable())?;
    if !bool::from(kept.ct_eq(hash)) {
        return Ok(None);
    }
    let (level, target) = (row.try_get::<String, _>(3)?, row.try_get::<String, _>(4)?);
    let caller = Caller {
        key_id: row.try_get(1)?,
        tenant: Tenant::parse(&row.try_get::<String, _>(2)?).map_err(|_| unreadable())?,
        permissions: Permissions::read(&row.try_get::<String, _>(5)?).ok_or_else(unreadable)?,
        scope: Scope::read(&level, &target).ok_or_else(unreadable)?,
    };
    let expires_at = row.try_get::<Option<i64>, _>(6)?.map(time).transpose()?;
    Ok(Some(Found { caller, expires_at }))
}

/// What a key begins with (`thoth-wire` §1).
const PREFIX: &str = "thoth_live_";

/// A key that nobody has.
pub(super) fn random() -> String {
    format!("{PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Whether this looks like one.
pub(super) fn is_random(key: &str) -> bool {
    key.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// What is kept of a key.
pub fn hash_of(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
