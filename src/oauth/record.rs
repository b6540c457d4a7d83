//! What is remembered of a login: the form of its file. Pure.

use jiff::Timestamp;
use oauth2::url::Url;
use oauth2::{AccessToken, RefreshToken};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::resource;
use super::token::Granted;

/// The form of the file.
pub(super) const SCHEMA: u32 = 1;

/// One login. Its tokens do not print.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) schema: u32,
    /// The MCP server, as it was logged in at.
    pub(super) url: Url,
    /// What the tokens are for, as the server spells it.
    pub(super) resource: String,
    /// Who gave them.
    pub(super) issuer: String,
    pub(super) token_endpoint: Url,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) client: Client,
    /// The scopes that were asked for.
    pub(super) scopes_asked: Vec<String>,
    pub(super) logged_in_at: Timestamp,
    pub(super) tokens: Tokens,
    /// Why a person must log in again, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<String>,
}

/// What the authorization server gave last.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Tokens {
    pub(super) access: AccessToken,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<RefreshToken>,
    pub(super) obtained_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
    /// The scopes that were granted.
    pub(super) scopes: Vec<String>,
}

// === impl Record ===

impl Record {
    /// Whether its tokens are for the server at this address.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        Url::parse(&self.resource).is_ok_and(|resource| resource::covers(&resource, url))
            && resource::is_same_origin(&self.url, url)
    }

    /// The same with the tokens that a refresh gave.
    pub(super) fn refreshed(&self, granted: Granted, now: Timestamp) -> Self {
        let before = &self.tokens;
        Self {
            // A server that gives no other refresh token lets the old one go on (RFC 6749 §6).
            tokens: Tokens::new(granted, before.refresh.clone(), &before.scopes, now),
            refused: None,
            ..self.clone()
        }
    }

    /// The same, once the authorization server has said that it is over.
    pub(super) fn refused(&self, why: String) -> Self {
        Self { refused: Some(why), ..self.clone() }
    }
}

// === impl Tokens ===

impl Tokens {
    /// What was granted at this moment, where `refresh` and `scopes` are what it is if nothing is said.
    pub(super) fn new(
        granted: Granted,
        refresh: Option<RefreshToken>,
        scopes: &[String],
        now: Timestamp,
    ) -> Self {
        let ends = |life| now.checked_add(life).ok();
        Self {
            access: granted.access,
            refresh: granted.refresh.or(refresh),
            obtained_at: now,
            expires_at: granted.expires_in.and_then(ends),
            scopes: granted.scopes.unwrap_or_else(|| scopes.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_where_it_was_made_and_for_what_its_tokens_are_for() {
        let now = "2026-11-21T12:00:00Z";
        for (made_at, resource, url, is_for) in [
            ("https://a.example/mcp", "https://a.example/mcp", "https://a.example/mcp", true),
            ("https://a.example/mcp", "https://a.example", "https://a.example/other", true),
            ("https://a.example/mcp", "https://a.example/mcp", "https://a.example/other", false),
            ("https://a.example/mcp", "https://a.example/mcp", "http://a.example/mcp", false),
            ("https://a.example/mcp", "https://b.example/mcp", "https://a.example/mcp", false),
            ("https://a.example/mcp", "https://b.example/mcp", "https://b.example/mcp", false),
            ("https://a.example/mcp", "no address", "https://a.example/mcp", false),
        ] {
            let record: Record = serde_json::from_value(serde_json::json!({
                "schema": SCHEMA,
                "url": made_at,
                "resource": resource,
                "issuer": "https://id.example",
                "token_endpoint": "https://id.example/token",
                "client": { "id": "c", "auth": "none", "registration": "dynamic" },
                "scopes_asked": [],
                "logged_in_at": now,
                "tokens": { "access": "a", "obtained_at": now, "scopes": [] },
            }))
            .unwrap();
            let url = Url::parse(url).unwrap();
            assert_eq!(record.is_for(&url), is_for, "{made_at} {resource} {url}");
        }
    }
}
