//! What may be said of a login: no token, no part of one. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::client::Kind;
use super::record::Record;
use super::store::Name;

/// What may be said of a login.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What it is called.
    pub name: String,
    /// The MCP server.
    pub url: String,
    /// Who gave its tokens.
    pub issuer: String,
    /// As whom thoth is known there.
    pub client_id: String,
    /// How that came to be.
    pub registration: Kind,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// When a person logged in.
    pub logged_in_at: Timestamp,
    /// When its present token was given.
    pub refreshed_at: Timestamp,
    /// When that ends, where that is known.
    pub expires_at: Option<Timestamp>,
    /// Whether it goes on by itself when that ends.
    pub refreshes: bool,
    /// How it is.
    pub state: State,
    /// What to do about it, where there is something to do.
    pub advice: Option<String>,
}

/// How a login is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its token is good, as far as is known here.
    Ok,
    /// Its token has ended; it is refreshed when it is used next.
    Expired,
    /// A person must log in again.
    LoginRequired,
}

// === impl Summary ===

impl Summary {
    pub(super) fn new(name: &Name, record: &Record, now: Timestamp) -> Self {
        let tokens = &record.tokens;
        let refreshes = tokens.refresh.is_some() && record.refused.is_none();
        let is_over = tokens.expires_at.is_some_and(|end| end <= now);
        let state = match (is_over, refreshes) {
            (true, true) => State::Expired,
            (true, false) => State::LoginRequired,
            // What was refused is the refresh: the token goes on until it ends.
            (false, _) if record.refused.is_some() && tokens.expires_at.is_none() => {
                State::LoginRequired
            }
            (false, _) => State::Ok,
        };
        let why = record.refused.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let command = again(name);
        let advice = match state {
            State::LoginRequired => Some(format!("log in again{why}: {command}")),
            State::Ok if record.refused.is_some() => Some(format!(
                "it will not be refreshed{why}; log in again before it ends: {command}"
            )),
            State::Ok | State::Expired => None,
        };
        Self {
            name: name.as_str().to_owned(),
            url: record.url.to_string(),
            issuer: record.issuer.clone(),
            client_id: record.client.id.clone(),
            registration: record.client.registration,
            scopes: tokens.scopes.clone(),
            logged_in_at: record.logged_in_at,
            refreshed_at: tokens.obtained_at,
            expires_at: tokens.expires_at,
            refreshes,
            state,
            advice,
        }
    }
}

// === impl State ===

impl State {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Expired => "expired",
            Self::LoginRequired => "login_required",
        }
    }
}

/// What to type to log in again.
pub(super) fn again(name: &Name) -> String {
    format!("thoth auth login {}", name.as_str())
}
