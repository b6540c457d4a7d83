//! Who is logged in: a cookie, and the row that its hash names.
//!
//! # Invariants
//!
//! - The cookie is `__Host-` (this host alone, TLS, all paths), out of reach for scripts, and not sent with
//!   requests that another site began (`SameSite=Strict`).
//! - The store has the token's SHA-256 and never the token; the token in forms is derived from it.
//! - A session ends by itself: [`IDLE`] after its person last did something, [`LIFE`] after the login.
//!   What a page does by itself keeps nothing alive.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use sqlx::Row as _;

use super::token::{Token, is_same};
use crate::approval::Assurance;
use crate::server::Tenant;
use crate::server::store::{Store, StoreError, micros};

/// The longest a session lasts without its person doing anything.
pub(super) const IDLE: Duration = Duration::from_hours(1);
/// The longest a session lasts.
pub(super) const LIFE: Duration = Duration::from_hours(12);

/// The cookie's name. A browser takes `__Host-` only with `Secure`, `Path=/` and no `Domain`.
const COOKIE: &str = "__Host-thoth";
/// How exact "last seen" is: a busy person costs one write in this time.
const GRAIN: Duration = Duration::from_mins(1);

/// A person who logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Person {
    /// An address, a subject, or how they came in.
    pub(super) name: String,
    /// How strongly they were authenticated.
    pub(super) assurance: Assurance,
}

/// One login that is good now.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Whose rows are shown.
    pub(super) tenant: Tenant,
    /// Who looks.
    pub(super) person: Person,
    token: Token,
}

// === impl Session ===

impl Session {
    /// Logs a person in. Rows of sessions that have ended go.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub(super) async fn begin(
        store: &Store,
        tenant: Tenant,
        person: Person,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        sqlx::query("DELETE FROM console_sessions WHERE ends_at <= $1 OR seen_at <= $2")
            .bind(micros(now))
            .bind(micros(now - IDLE))
            .execute(store.write())
            .await?;
        let session = Self { tenant, person, token: Token::random() };
        sqlx::query(
            "INSERT INTO console_sessions (hash, tenant, person, assurance, created_at, seen_at, \
             ends_at) VALUES ($1, $2, $3, $4, $5, $5, $6)",
        )
        .bind(session.id())
        .bind(session.tenant.as_str())
        .bind(&session.person.name)
        .bind(session.person.assurance.word())
        .bind(micros(now))
        .bind(micros(now + LIFE))
        .execute(store.write())
        .await?;
        Ok(session)
    }

    /// The session of a request's cookie, where it is good.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub(super) async fn find(
        store: &Store,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let Some(token) = cookie(headers, COOKIE).and_then(Token::read) else { return Ok(None) };
        let row = sqlx::query(
            "SELECT tenant, person, assurance FROM console_sessions \
             WHERE hash = $1 AND ends_at > $2 AND seen_at > $3",
        )
        .bind(token.hash())
        .bind(micros(now))
        .bind(micros(now - IDLE))
        .fetch_optional(store.read())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let unreadable = || StoreError::Unreadable { what: "session" };
        let tenant = Tenant::parse(&row.try_get::<String, _>(0)?).map_err(|_| unreadable())?;
        let assurance = match row.try_get::<String, _>(2)?.as_str() {
            "link" => Assurance::Link,
            "oidc" => Assurance::Oidc,
            _ => return Err(unreadable()),
        };
        Ok(Some(Self { tenant, person: Person { name: row.try_get(1)?, assurance }, token }))
    }

    /// Whether it is still good.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub(super) async fn is_good(&self, store: &Store, now: Timestamp) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "SELECT tenant FROM console_sessions WHERE hash = $1 AND ends_at > $2 AND seen_at > $3",
        )
        .bind(self.id())
        .bind(micros(now))
        .bind(micros(now - IDLE))
        .fetch_optional(store.read())
        .await?;
        Ok(row.is_some())
    }

    /// Its person has done something now.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub(super) async fn touch(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_sessions SET seen_at = $1 WHERE hash = $2 AND seen_at <= $3")
            .bind(micros(now))
            .bind(self.id())
            .bind(micros(now - GRAIN))
            .execute(store.write())
            .await?;
        Ok(())
    }

    /// Logs out.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub(super) async fn end(&self, store: &Store) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM console_sessions WHERE hash = $1")
            .bind(self.id())
            .execute(store.write())
            .await?;
        Ok(())
    }

    /// What the store calls it. Not secret.
    pub(super) fn id(&self) -> String {
        self.token.hash()
    }

    /// What each of its forms carries: nobody can make it who has not read a page of this session.
    pub(super) fn form_token(&self) -> String {
        self.token.derived("form")
    }

    /// Whether a form is one of this session's.
    pub(super) fn is_own_form(&self, token: &str) -> bool {
        is_same(&self.form_token(), token)
    }

    /// `Set-Cookie`, to log in.
    pub(super) fn cookie(&self) -> HeaderValue {
        let (token, seconds) = (self.token.reveal(), LIFE.as_secs());
        set_cookie(COOKIE, token, "Strict", seconds)
    }
}

/// `Set-Cookie`, to log out.
pub(super) fn no_cookie() -> HeaderValue {
    set_cookie(COOKIE, "", "Strict", 0)
}

/// One cookie of a request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|pair| pair.0 == name)
        .map(|pair| pair.1)
}

/// `Set-Cookie` for this host alone, out of reach for scripts. The value must be of plain characters.
pub(super) fn set_cookie(name: &str, value: &str, same_site: &str, seconds: u64) -> HeaderValue {
    let line = format!(
        "{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}"
    );
    HeaderValue::from_str(&line)
        .unwrap_or_else(|_| unreachable!("tokens and paths of ours are plain characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        for (line, found) in [
            ("__Host-thoth=abc", Some("abc")),
            ("a=b; __Host-thoth=abc; c=d", Some("abc")),
            ("thoth=abc", None),
            ("x__Host-thoth=abc", None),
            ("__Host-thoth", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
            assert_eq!(cookie(&headers, COOKIE), found, "{line:?}");
        }
    }
}
