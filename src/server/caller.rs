//! Who asks: an API key, and the tenant it belongs to.
//!
//! Both headers are accepted, `Authorization: Bearer` and `X-Api-Key`: the public clients disagree,
//! also from one request to the next.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::{App, Fault, Tenant, keys};

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose rows are meant.
    pub tenant: Tenant,
    /// The key's id; not the key.
    pub key_id: String,
    /// What the key may do.
    pub permissions: Permissions,
    /// How much of the tenant it is good for.
    pub scope: Scope,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one permission of the wire")]
pub struct Permissions {
    /// Look at things: `read`.
    pub read: bool,
    /// Send events, reports and check-ins: `write`.
    pub write: bool,
    /// Ask for decisions and poll holds: `execute`.
    pub execute: bool,
    /// Resolve approvals, make keys, quarantine: `admin`.
    pub admin: bool,
}

/// How much of its tenant a key is good for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// All of it.
    Organization,
    /// One fleet.
    Fleet(String),
    /// One endpoint.
    Endpoint(String),
    /// One agent.
    Agent(String),
}

impl FromRequestParts<App> for Caller {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let key = presented(&parts.headers).ok_or_else(Fault::unauthenticated)?;
        let found = keys::find(&app.store, key, app.now()).await;
        found.map_err(|error| Fault::from(&error))?.ok_or_else(Fault::unauthenticated)
    }
}

/// The key in a request's headers.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = || {
        let (scheme, key) = header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    };
    header("x-api-key").or_else(bearer).filter(|key| !key.is_empty())
}

// === impl Caller ===

impl Caller {
    /// Refuses a caller that may not do this.
    ///
    /// # Errors
    ///
    /// 403
    pub fn must(&self, may: impl Fn(&Permissions) -> bool, what: &str) -> Result<(), Fault> {
        if may(&self.permissions) || self.permissions.admin {
            Ok(())
        } else {
            Err(Fault::forbidden(format!("this key has no permission to {what}")))
        }
    }
}

// === impl Permissions ===

impl Permissions {
    /// All of them.
    pub const ALL: Self = Self { read: true, write: true, execute: true, admin: true };
    /// What a sidecar needs.
    pub const SIDECAR: Self = Self { read: true, write: true, execute: true, admin: false };

    /// The words of the wire, separated by blanks.
    pub fn words(self) -> String {
        let all = [
            ("read", self.read),
            ("write", self.write),
            ("execute", self.execute),
            ("admin", self.admin),
        ];
        let given: Vec<_> = all.iter().filter(|(_, given)| *given).map(|(word, _)| *word).collect();
        given.join(" ")
    }

    /// Reads those words.
    pub fn read(words: &str) -> Option<Self> {
        let mut permissions = Self::default();
        for word in words.split_whitespace() {
            match word {
                "read" => permissions.read = true,
                "write" => permissions.write = true,
                "execute" => permissions.execute = true,
                "admin" => permissions.admin = true,
                _ => return None,
            }
        }
        Some(permissions)
    }
}

// === impl Scope ===

impl Scope {
    /// The level and the target, as the wire has them.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Organization => ("organization", ""),
            Self::Fleet(target) => ("fleet", target),
            Self::Endpoint(target) => ("endpoint", target),
            Self::Agent(target) => ("agent", target),
        }
    }

    /// Reads a level and its target.
    pub fn read(level: &str, target: &str) -> Option<Self> {
        let target = || (!target.is_empty()).then(|| target.to_owned());
        match level {
            "organization" => Some(Self::Organization),
            "fleet" => target().map(Self::Fleet),
            "endpoint" => target().map(Self::Endpoint),
            "agent" => target().map(Self::Agent),
            _ => None,
        }
    }
}
