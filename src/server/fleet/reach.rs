//! Which rows of the fleet a caller's key is good for.

use crate::server::caller::{Caller, Scope};
use crate::server::{Fault, Tenant};

/// A part of a tenant's endpoints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reach {
    /// Whose.
    pub tenant: Tenant,
    /// One fleet only.
    pub fleet: Option<String>,
    /// One endpoint only.
    pub endpoint: Option<String>,
}

// === impl Reach ===

impl Reach {
    /// All endpoints of a tenant.
    pub fn whole(tenant: &Tenant) -> Self {
        Self { tenant: tenant.clone(), fleet: None, endpoint: None }
    }

    /// The endpoints that a caller's key is good for, at the address of this tenant.
    ///
    /// # Errors
    ///
    /// 404 for another tenant's address, 403 for a key of one agent: no endpoint is an agent's.
    pub fn of(caller: &Caller, tenant: &str) -> Result<Self, Fault> {
        let whole = Self::whole(caller.at(tenant)?);
        match &caller.scope {
            Scope::Organization => Ok(whole),
            Scope::Fleet(fleet) => Ok(Self { fleet: Some(fleet.clone()), ..whole }),
            Scope::Endpoint(endpoint) => Ok(Self { endpoint: Some(endpoint.clone()), ..whole }),
            Scope::Agent(_) => Err(Fault::forbidden("this key is good for one agent only")),
        }
    }

    /// Whether an endpoint that would be called this, in this fleet, is within it.
    pub fn covers(&self, endpoint: &str, fleet: &str) -> bool {
        self.endpoint.as_deref().is_none_or(|only| only == endpoint)
            && self.fleet.as_deref().is_none_or(|only| only == fleet)
    }

    /// The fleet as statements compare it: nothing is every fleet. A key is for no fleet without a
    /// name: `Scope::read` refuses one.
    pub(in crate::server) fn fleet_word(&self) -> &str {
        self.fleet.as_deref().unwrap_or_default()
    }

    /// The endpoint as statements compare it: nothing is every endpoint.
    pub(in crate::server) fn endpoint_word(&self) -> &str {
        self.endpoint.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::caller::Permissions;

    #[test]
    fn a_key_reaches_what_its_scope_says() {
        let tenant = Tenant::parse("acme").unwrap();
        let caller = |scope| Caller {
            tenant: tenant.clone(),
            key_id: "k".to_owned(),
            permissions: Permissions::ALL,
            scope,
        };
        for (scope, covered) in [
            (Scope::Organization, [true, true, true]),
            (Scope::Fleet("f".to_owned()), [true, false, true]),
            (Scope::Endpoint("a".to_owned()), [true, true, false]),
        ] {
            let reach = Reach::of(&caller(scope), "acme").unwrap();
            let found = [("a", "f"), ("a", "g"), ("b", "f")].map(|(e, f)| reach.covers(e, f));
            assert_eq!(found, covered);
        }
        assert!(Reach::of(&caller(Scope::Agent("a".to_owned())), "acme").is_err());
        assert!(Reach::of(&caller(Scope::Organization), "other").is_err());
    }
}
