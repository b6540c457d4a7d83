//! Kinds of routes: what may be sent to them, and what is counted together.

use axum::http::Uri;

/// Routes that are bounded alike.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// Questions and what belongs to them: `/v1/enforce`, `/v1/explain`.
    Enforce,
    /// Polls of holds.
    Hold,
    /// Events, in batches.
    Events,
    /// Endpoints and their tools: what sidecars report about themselves.
    Fleet,
    /// Everything else: keys, approvals, the console.
    Other,
}

// === impl Family ===

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Enforce, Self::Hold, Self::Events, Self::Fleet, Self::Other];

    /// The family that an address belongs to, whether there is anything at it or not.
    pub fn of(uri: &Uri) -> Self {
        let path = uri.path();
        let mut parts = path.split('/').skip(1);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("v1"), Some("enforce"), Some("hold")) => Self::Hold,
            (Some("v1"), Some("enforce" | "explain"), None) => Self::Enforce,
            (Some("v1"), Some("events"), Some("batch")) | (Some("v0"), Some("events"), None) => {
                Self::Events
            }
            (Some("tool-inventory"), None, None)
            | (Some(_), Some("thoth"), Some("endpoints" | "tool-inventory")) => Self::Fleet,
            _ => Self::Other,
        }
    }

    /// The longest body, in bytes. A question holds a call's arguments; a report of tools holds up
    /// to a hundred schemas: 1 MiB of them from a sidecar, and what JSON adds.
    pub fn longest_body(self) -> u64 {
        match self {
            Self::Enforce => 4 << 20,
            Self::Events => 8 << 20,
            Self::Fleet => 2 << 20,
            Self::Hold | Self::Other => 64 << 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_family() {
        for (path, family) in [
            ("/v1/enforce", Family::Enforce),
            ("/v1/enforce?x=1", Family::Enforce),
            ("/v1/explain", Family::Enforce),
            ("/v1/enforce/hold/abc", Family::Hold),
            ("/v1/enforce/hold/abc/reply", Family::Hold),
            ("/v1/enforce/", Family::Other),
            ("/v1/events/batch", Family::Events),
            ("/v0/events", Family::Events),
            ("/acme/thoth/endpoints", Family::Fleet),
            ("/acme/thoth/endpoints/e/checkin", Family::Fleet),
            ("/acme/thoth/tool-inventory", Family::Fleet),
            ("/tool-inventory", Family::Fleet),
            ("/tool-inventory/x", Family::Other),
            ("/acme/thoth/api-keys", Family::Other),
            ("/v1/thoth/endpoints", Family::Fleet),
            ("/console", Family::Other),
            ("/", Family::Other),
        ] {
            assert_eq!(Family::of(&path.parse().unwrap()), family, "{path}");
        }
    }
}
