//! One-time links: how a person gets in where there is no OpenID provider.
//!
//! The token is in the link's fragment, which no browser sends: it reaches no log on the way, and whoever
//! previews the link fetches a page that says nothing. The page's script puts it into the field of the
//! login form (without scripts a person pastes it there), and only the form's POST spends it.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;

use super::token::Token;
use crate::server::store::{Store, StoreError, micros};
use crate::server::{App, Tenant};

/// How long a link is good for.
pub const LIFE: Duration = Duration::from_mins(10);

/// Makes a link that lets one person in, once, within [`LIFE`]. Any replica on the same store takes it.
///
/// # Errors
///
/// [`StoreError`]
pub async fn link(app: &App, tenant: &Tenant) -> Result<String, StoreError> {
    let token = Token::random();
    let now = app.now();
    sqlx::query("DELETE FROM console_links WHERE expires_at <= $1")
        .bind(micros(now))
        .execute(app.store.write())
        .await?;
    sqlx::query("INSERT INTO console_links (hash, tenant, expires_at) VALUES ($1, $2, $3)")
        .bind(token.hash())
        .bind(tenant.as_str())
        .bind(micros(now + LIFE))
        .execute(app.store.write())
        .await?;
    Ok(format!("{}/console/login#{}", app.public_url, token.reveal()))
}

/// Spends a link: whose console it opens, where it is good. Of two that try, one succeeds.
///
/// # Errors
///
/// [`StoreError`]
pub(super) async fn spend(
    store: &Store,
    token: &Token,
    now: Timestamp,
) -> Result<Option<Tenant>, StoreError> {
    let row = sqlx::query(
        "DELETE FROM console_links WHERE hash = $1 AND expires_at > $2 RETURNING tenant",
    )
    .bind(token.hash())
    .bind(micros(now))
    .fetch_optional(store.write())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant = Tenant::parse(&row.try_get::<String, _>(0)?);
    tenant.map(Some).map_err(|_| StoreError::Unreadable { what: "link" })
}
