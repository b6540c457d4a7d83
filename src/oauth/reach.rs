//! Which addresses a login may lead to. Pure.
//!
//! # Invariants
//!
//! - Every address is https, or http to this machine.
//! - A server elsewhere leads nobody to this machine: its documents are a stranger's, and what listens here
//!   may trust whoever comes from here.

use oauth2::url::{Host, Url};

/// Where a login began, and so where it may lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reach {
    is_local: bool,
}

/// An address that is not asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {what} {url:?} {why}")]
pub struct OutOfReach {
    what: &'static str,
    url: String,
    why: &'static str,
}

// === impl Reach ===

impl Reach {
    /// Takes the address of an MCP server, as it was typed.
    ///
    /// # Errors
    ///
    /// [`OutOfReach`].
    pub(super) fn from(text: &str) -> Result<(Self, Url), OutOfReach> {
        let reach = Self { is_local: true };
        let url = reach.admit("server's address", text)?;
        Ok((Self { is_local: is_this_machine(&url) }, url))
    }

    /// Takes an address that a document names, called `what` in complaints.
    ///
    /// # Errors
    ///
    /// [`OutOfReach`].
    pub(super) fn admit(self, what: &'static str, text: &str) -> Result<Url, OutOfReach> {
        // A document may name anything: what is shown of it has an end.
        let shown = || text.chars().take(200).collect();
        let refused = |why| OutOfReach { what, url: shown(), why };
        let url = Url::parse(text).map_err(|_| refused("is no address"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("holds a user"));
        }
        if url.fragment().is_some() {
            return Err(refused("holds a fragment"));
        }
        match (url.scheme(), is_this_machine(&url)) {
            ("https", false) => Ok(url),
            ("http" | "https", true) if self.is_local => Ok(url),
            ("http" | "https", true) => {
                Err(refused("leads to this machine, and the server is elsewhere"))
            }
            ("http", false) => Err(refused("is http:// and leaves this machine; it must be https")),
            _ => Err(refused("is not https")),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            let mapped = address.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
            mapped || address.is_loopback() || address.is_unspecified()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_login_may_lead() {
        let (local, far) = ("http://127.0.0.1:8080/mcp", "https://mcp.acme.example/mcp");
        for (from, to, expected) in [
            (far, "https://id.acme.example/token", true),
            (far, "https://10.0.0.1/token", true),
            (far, "http://id.acme.example/token", false),
            (far, "http://127.0.0.1/token", false),
            (far, "https://localhost/token", false),
            (far, "https://x.localhost./token", false),
            (far, "http://[::1]/token", false),
            (far, "https://[::ffff:127.0.0.1]/token", false),
            (far, "https://0.0.0.0/token", false),
            (far, "http://2130706433/token", false),
            (far, "javascript:alert(1)", false),
            (far, "file:///etc/passwd", false),
            (far, "https://user:pass@id.acme.example/", false),
            (far, "https://id.acme.example/#x", false),
            (far, "id.acme.example", false),
            (far, "", false),
            (local, "https://id.acme.example/token", true),
            (local, "http://localhost:9/token", true),
            (local, "http://id.acme.example/token", false),
        ] {
            let (reach, _) = Reach::from(from).unwrap();
            assert_eq!(reach.admit("token endpoint", to).is_ok(), expected, "{from} {to}");
        }
        assert_eq!(
            Reach::from("http://mcp.acme.example").unwrap_err().to_string(),
            "the server's address \"http://mcp.acme.example\" is http:// and leaves this machine; it must be https"
        );
    }
}
