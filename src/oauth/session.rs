//! A person logs in: discovery, registration, the browser, the code, the tokens, the file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oauth2::url::Url;
use tokio::time::Instant;

use super::attempt::{Attempt, BadAnswer};
use super::callback::{Callback, Nobody};
use super::client::{NoClient, Registration};
use super::discovery::{NoLogin, discover};
use super::net::Net;
use super::reach::{OutOfReach, Reach};
use super::record::{Record, SCHEMA, Tokens};
use super::scopes;
use super::store::{Name, Store, StoreError};
use super::token::{self, NotGranted};
use super::view::Summary;
use crate::config::settings::Tls;

/// How long the browser is waited for.
pub const PATIENCE: Duration = Duration::from_mins(5);
/// How long another process that changes the same login is waited for.
const TURN: Duration = Duration::from_secs(30);

/// What a person wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What the login is to be called.
    pub name: Name,
    /// The MCP server; where none is given, that of the login of this name.
    pub url: Option<String>,
    /// The client, where there are wishes about it.
    pub registration: Option<Registration>,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// The port that the browser comes back to; 0 is any.
    pub port: u16,
}

/// Why nobody was logged in. No part of a token, a code or a secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum NotLoggedIn {
    /// There is nothing to log in at.
    #[error("there is no login {0}; say where with --url")]
    NoUrl(String),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] OutOfReach),
    /// It cannot be found out whom to log in with.
    #[error(transparent)]
    NoLogin(#[from] NoLogin),
    /// There is nobody to log in as.
    #[error(transparent)]
    NoClient(#[from] NoClient),
    /// The browser would have nowhere to come back to.
    #[error("cannot listen on port {port} of 127.0.0.1; try another --redirect-port")]
    NoPort {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody came back.
    #[error(transparent)]
    Nobody(#[from] Nobody),
    /// Somebody came back without a code.
    #[error(transparent)]
    BadAnswer(#[from] BadAnswer),
    /// The code was not taken.
    #[error("there are no tokens")]
    NotGranted(#[from] NotGranted),
    /// The login cannot be kept.
    #[error("the login cannot be kept")]
    Store(#[from] StoreError),
}

/// All logins of a profile, and those whom they are with.
#[derive(Clone, Debug)]
pub struct Logins {
    store: Store,
    net: Net,
    clock: fn() -> Timestamp,
}

/// How a login ended.
#[derive(Debug)]
pub enum Ended {
    /// There was none.
    None,
    /// It is removed here, and at the authorization server.
    Revoked,
    /// It is removed here; the authorization server offers no way to end its tokens.
    Local,
    /// It is removed here. It could not be read, so that nobody was told.
    Unread,
    /// It is removed here; the authorization server did not end its tokens, for this reason.
    NotRevoked(NotGranted),
}

// === impl Logins ===

impl Logins {
    /// The logins of a profile. Connects to nobody, reads and makes nothing yet. `is_proxied` says whether the proxy that the environment names is used.
    pub fn of(home: &Path, tls: &Tls, is_proxied: bool, clock: fn() -> Timestamp) -> Self {
        Self { store: Store::of(home), net: Net::new(tls.clone(), is_proxied), clock }
    }

    /// The names of all logins, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn names(&self) -> Result<Vec<Name>, StoreError> {
        self.store.names()
    }

    /// What there is to say about a login; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn summary(&self, name: &Name) -> Result<Option<Summary>, StoreError> {
        let record = self.store.read(name)?;
        Ok(record.map(|record| Summary::new(name, &record, (self.clock)())))
    }

    /// Where a login is kept.
    pub fn file(&self, name: &Name) -> PathBuf {
        self.store.file(name)
    }

    /// Logs a person in. `show` is given the address that the person must open; the answer is waited for
    /// for [`PATIENCE`].
    ///
    /// Cancel safe, until the code is exchanged: dropping the future leaves everything as it was.
    ///
    /// # Errors
    ///
    /// [`NotLoggedIn`]; then the login is what it was before.
    pub async fn log_in(
        &self,
        wish: &Wish,
        show: impl FnOnce(&Url),
    ) -> Result<Summary, NotLoggedIn> {
        let before = match self.store.read(&wish.name) {
            // What cannot be read is replaced.
            Err(StoreError::Unreadable(_)) => None,
            read => read?,
        };
        let (reach, url) = match (&wish.url, &before) {
            (Some(url), _) => Reach::from(url)?,
            (None, Some(before)) => Reach::from(before.url.as_str())?,
            (None, None) => return Err(NotLoggedIn::NoUrl(wish.name.as_str().to_owned())),
        };
        let found = discover(&self.net, reach, &url).await?;
        let before =
            before.filter(|before| before.url == url && before.issuer == found.server.issuer);
        let scopes = scopes::Known {
            asked: &wish.scopes,
            before: before.as_ref().map_or(&[], |before| &before.scopes_asked),
            challenge: found.challenged.as_deref(),
            of_resource: found.of_resource.as_deref(),
            of_server: &found.server.scopes,
        }
        .select();

        let port = wish.port;
        let callback =
            Callback::bind(port).await.map_err(|source| NotLoggedIn::NoPort { port, source })?;
        let redirect = callback.redirect();
        let client = match (&wish.registration, before) {
            // A client that was registered by hand, or is a document, stays what it is.
            (None, Some(before)) if before.client.is_kept() => before.client,
            (wish, _) => {
                let (net, server) = (&self.net, &found.server);
                Registration::client(wish.as_ref(), net, server, redirect.as_str(), &scopes).await?
            }
        };
        let (attempt, address) =
            Attempt::begin(&found.server, &client.id, &redirect, &found.resource, &scopes);
        let attempt = Arc::new(attempt);
        show(&address);
        let code = callback.wait(&attempt, PATIENCE).await??;

        let endpoint = &found.server.token_endpoint;
        let granted = token::exchange(
            &self.net,
            endpoint,
            &client,
            &code,
            attempt.verifier(),
            redirect.as_str(),
            &found.resource,
        )
        .await?;
        let now = (self.clock)();
        let record = Record {
            schema: SCHEMA,
            url,
            resource: found.resource,
            issuer: found.server.issuer,
            token_endpoint: found.server.token_endpoint,
            revocation_endpoint: found.server.revocation_endpoint,
            client,
            tokens: Tokens::new(granted, None, &scopes, now),
            scopes_asked: scopes,
            logged_in_at: now,
            refused: None,
        };
        let turn = self.store.turn(&wish.name, Instant::now() + TURN).await?;
        self.store.write(&wish.name, &record, &turn)?;
        Ok(Summary::new(&wish.name, &record, now))
    }

    /// Ends a login: at the authorization server where that offers it, and here in any case.
    ///
    /// # Errors
    ///
    /// [`StoreError`], where it cannot be removed.
    pub async fn log_out(&self, name: &Name) -> Result<Ended, StoreError> {
        let turn = self.store.turn(name, Instant::now() + TURN).await?;
        let record = match self.store.read(name) {
            Ok(Some(record)) => Some(record),
            Ok(None) => return Ok(Ended::None),
            // Whatever it is, it goes.
            Err(_) => None,
        };
        self.store.remove(name, &turn)?;
        drop(turn);
        let Some(record) = record else { return Ok(Ended::Unread) };
        let Some(endpoint) = &record.revocation_endpoint else { return Ok(Ended::Local) };
        // RFC 7009 §2.1: with a refresh token end the access tokens that came of it, at most servers.
        let tokens = [
            record.tokens.refresh.as_ref().map(|token| (token.secret(), "refresh_token")),
            Some((record.tokens.access.secret(), "access_token")),
        ];
        for (token, kind) in tokens.into_iter().flatten() {
            let ended = token::revoke(&self.net, endpoint, &record.client, token, kind).await;
            match ended {
                Ok(()) => {}
                // §2.2.1: some servers end refresh tokens only; those have ended then.
                Err(NotGranted::Refused(why)) if why.starts_with("unsupported_token_type") => {}
                Err(why) => return Ok(Ended::NotRevoked(why)),
            }
        }
        Ok(Ended::Revoked)
    }
}
