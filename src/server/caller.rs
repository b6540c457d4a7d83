//! Who asks: an API key, and the tenant it belongs to.
//!
//! Both headers are accepted, `Authorization: Bearer` and `X-Api-Key`: the public clients disagree,
//! also from one request to the next. A request with two different keys is nobody's.
//!
//! # Invariants
//!
//! - A key is looked for by its SHA-256 and compared in constant time; it is never logged, and
//!   kept nowhere.
//! - A key that was revoked is refused at once where it was revoked, and within [`FRESH`] by every
//!   other replica.
//! - Who guesses keys is slowed down, and cannot slow down those whose keys are known.

mod attempts;
mod known;
mod scope;

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

pub use self::known::{Callers, FRESH};
pub use self::scope::{Permissions, Scope};

use super::limits::Allowance;
use super::listen::route::Family;
use super::listen::{Neighbour, Peer};
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

impl FromRequestParts<App> for Caller {
    type Rejection = Fault;

    /// Counts the request against the key's limit.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        let key = presented(&parts.headers).ok_or_else(Fault::unauthenticated)?;
        Self::with_key(key, parts, app).await
    }
}

/// Whose key has this SHA-256.
async fn recognised(app: &App, hash: [u8; 32], peer: Neighbour) -> Result<Caller, Fault> {
    let now = app.now();
    let lookup = match app.callers.recall(hash, now) {
        Ok(caller) => return Ok(caller),
        Err(lookup) => lookup,
    };
    if !lookup.was_known() {
        app.callers.may_try(peer).map_err(Fault::too_many)?;
    }
    let found = keys::find_hashed(&app.store, &hash, now).await.map_err(|error| {
        app.metrics.store_failed();
        Fault::from(&error)
    })?;
    if let Some(found) = found {
        Ok(app.callers.remember(&lookup, found))
    } else {
        app.callers.forget(&hash);
        app.callers.failed(peer);
        Err(Fault::unauthenticated())
    }
}

/// The key in a request's headers, where they hold one, and no other one beside it.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let Ok(value) = value.to_str() else { return Some("") };
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let plain = headers.get_all("x-api-key").iter();
    let plain = plain.map(|value| value.to_str().unwrap_or_default().trim());
    let mut keys = bearer.chain(plain);
    let key = keys.next().filter(|key| !key.is_empty())?;
    keys.all(|other| other == key).then_some(key)
}

// === impl Caller ===

impl Caller {
    /// Whoever has this key, which a request brought. Counts the request against the key's limit, and
    /// a key that is none against its neighbour.
    ///
    /// # Errors
    ///
    /// 401, 429, and 503 where the store is away
    pub(super) async fn with_key(key: &str, parts: &Parts, app: &App) -> Result<Self, Fault> {
        let hash = Sha256::digest(key.as_bytes()).into();
        // Without a connection there is one neighbour: tests of the router.
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let peer = parts.extensions.get::<Peer>().map_or(nobody, |Peer(peer)| peer.ip());
        let caller = recognised(app, hash, peer.into()).await?;
        let told = parts.extensions.get::<Allowance>().cloned().unwrap_or_default();
        app.limits.check(&caller.key_id, Family::of(&parts.uri), &told)?;
        Ok(caller)
    }

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

    /// The tenant that a path or a body names, where it is the caller's own.
    ///
    /// # Errors
    ///
    /// 404, the same whether there is such a tenant or not.
    pub fn at(&self, tenant: &str) -> Result<&Tenant, Fault> {
        if tenant == self.tenant.as_str() {
            Ok(&self.tenant)
        } else {
            Err(Fault::of_status(axum::http::StatusCode::NOT_FOUND))
        }
    }

    /// Refuses a key that is good for another agent only.
    ///
    /// # Errors
    ///
    /// 403
    pub fn for_agent(&self, agent: &str) -> Result<(), Fault> {
        match &self.scope {
            Scope::Agent(own) if own != agent => Err(elsewhere("agent")),
            Scope::Agent(_) | Scope::Endpoint(_) | Scope::Fleet(_) | Scope::Organization => Ok(()),
        }
    }

    /// Refuses a key that is good for another endpoint only, or for no endpoint at all: an agent's.
    ///
    /// # Errors
    ///
    /// 403
    pub fn for_endpoint(&self, endpoint: &str) -> Result<(), Fault> {
        match &self.scope {
            Scope::Endpoint(own) if own != endpoint => Err(elsewhere("endpoint")),
            Scope::Agent(_) => Err(elsewhere("endpoint")),
            Scope::Endpoint(_) | Scope::Fleet(_) | Scope::Organization => Ok(()),
        }
    }

    /// Refuses a key that is good for another fleet only, or for less than a fleet.
    ///
    /// # Errors
    ///
    /// 403
    pub fn for_fleet(&self, fleet: &str) -> Result<(), Fault> {
        match &self.scope {
            Scope::Fleet(own) if own == fleet => Ok(()),
            Scope::Organization => Ok(()),
            Scope::Agent(_) | Scope::Endpoint(_) | Scope::Fleet(_) => Err(elsewhere("fleet")),
        }
    }

    /// Refuses a key that is good for a part of its tenant only.
    ///
    /// # Errors
    ///
    /// 403
    pub fn for_organization(&self) -> Result<(), Fault> {
        match &self.scope {
            Scope::Organization => Ok(()),
            Scope::Agent(_) | Scope::Endpoint(_) | Scope::Fleet(_) => {
                Err(Fault::forbidden("this key is good for a part of its organization only"))
            }
        }
    }
}

fn elsewhere(what: &str) -> Fault {
    Fault::forbidden(format!("this key is not good for this {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_in_either_header_or_in_both_alike() {
        let key = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            presented(&headers).map(ToOwned::to_owned)
        };
        let (bearer, plain) = ("authorization", "x-api-key");
        for (pairs, expected) in [
            (&[(bearer, "Bearer k")][..], Some("k")),
            (&[(bearer, "bearer  k ")], Some("k")),
            (&[(plain, "k")], Some("k")),
            (&[(plain, "k"), (bearer, "Bearer k")], Some("k")),
            (&[(plain, "k"), (bearer, "Basic aTpq")], Some("k")),
            (&[(plain, "k"), (bearer, "Bearer j")], None),
            (&[(plain, "k"), (plain, "j")], None),
            (&[(bearer, "Bearer k"), (bearer, "Bearer j")], None),
            (&[(plain, "k"), (bearer, "Bearer ")], None),
            (&[(plain, "")], None),
            (&[(bearer, "k")], None),
            (&[], None),
        ] {
            assert_eq!(key(pairs).as_deref(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_scope_narrows_what_a_key_is_good_for() {
        let with = |level, target| Caller {
            tenant: Tenant::parse("acme").unwrap(),
            key_id: String::new(),
            permissions: Permissions::ALL,
            scope: Scope::read(level, target).unwrap(),
        };
        // agent x, endpoint x, fleet x, organization
        for (level, target, good) in [
            ("organization", "", [true, true, true, true]),
            ("fleet", "x", [true, true, true, false]),
            ("fleet", "y", [true, true, false, false]),
            ("endpoint", "x", [true, true, false, false]),
            ("endpoint", "y", [true, false, false, false]),
            ("agent", "x", [true, false, false, false]),
            ("agent", "y", [false, false, false, false]),
        ] {
            let caller = with(level, target);
            let found = [
                caller.for_agent("x"),
                caller.for_endpoint("x"),
                caller.for_fleet("x"),
                caller.for_organization(),
            ];
            assert_eq!(found.map(|found| found.is_ok()), good, "{level} {target}");
        }
        assert!(with("organization", "").at("acme").is_ok());
        assert_eq!(with("organization", "").at("other").unwrap_err().status().as_u16(), 404);
    }
}
