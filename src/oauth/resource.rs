//! What an MCP server says about its logins: RFC 9728, protected resource metadata. Pure.

use oauth2::url::Url;
use serde::Deserialize;

/// Where the documents lie, below an origin.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What is used of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct ResourceMetadata {
    /// What the tokens are for, character for character.
    pub(super) resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    pub(super) scopes_supported: Option<Vec<String>>,
}

/// Why it cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadResource {
    /// It is not what RFC 9728 describes.
    #[error("it cannot be read")]
    Unreadable,
    /// It is another server's.
    #[error("it is of {0:?}, not of this server")]
    Other(String),
    /// It names nobody to log in with.
    #[error("it names no authorization server")]
    NoServer,
}

/// Where a server's metadata may lie, in the order of MCP 2026-07-28: with the server's path, at the root.
pub(super) fn places(server: &Url) -> Vec<Url> {
    let mut with_path = server.clone();
    let path = server.path().trim_end_matches('/');
    with_path.set_path(&format!("{WELL_KNOWN}{path}"));
    let mut root = server.clone();
    root.set_path(WELL_KNOWN);
    root.set_query(None);
    if with_path == root { vec![root] } else { vec![with_path, root] }
}

/// Whether two addresses are of the same scheme, host and port.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether a token for `resource` is for the server at `url`: the same origin, and the same path or one below
/// it. RFC 9728 §3.3 wants the same path; servers with one document at their root say less, and the origin is
/// what a server owns.
pub(super) fn covers(resource: &Url, url: &Url) -> bool {
    let (above, below) = (resource.path().trim_end_matches('/'), url.path());
    let is_below =
        below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_same_query = resource.query().is_none() || resource.query() == url.query();
    is_same_origin(resource, url) && is_below && is_same_query
}

// === impl ResourceMetadata ===

impl ResourceMetadata {
    /// Reads a document, which must be of the server at `url`.
    ///
    /// # Errors
    ///
    /// [`BadResource`].
    pub(super) fn read(document: &[u8], url: &Url) -> Result<Self, BadResource> {
        let found: Self = serde_json::from_slice(document).map_err(|_| BadResource::Unreadable)?;
        let resource = Url::parse(&found.resource).ok();
        let is_its = resource
            .is_some_and(|resource| resource.fragment().is_none() && covers(&resource, url));
        if !is_its {
            return Err(BadResource::Other(found.resource.chars().take(200).collect()));
        }
        if found.authorization_servers.is_empty() {
            return Err(BadResource::NoServer);
        }
        Ok(found)
    }

    /// The authorization server. Of several, the first: a client is known to one of them, and
    /// which one is asked must not depend on who answers today.
    pub(super) fn issuer(&self) -> &str {
        self.authorization_servers.first().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn which_documents_are_tried_in_which_order() {
        let host = "https://mcp.acme.example";
        for (server, expected) in [
            ("/mcp", &["/mcp", ""][..]),
            ("/public/mcp/", &["/public/mcp", ""]),
            ("/mcp?x=1", &["/mcp?x=1", ""]),
            ("/", &[""]),
            ("", &[""]),
        ] {
            let found = places(&url(&format!("{host}{server}")));
            let expected: Vec<_> =
                expected.iter().map(|end| url(&format!("{host}{WELL_KNOWN}{end}"))).collect();
            assert_eq!(found, expected, "{server}");
        }
    }

    #[test]
    fn metadata_must_be_of_the_server_itself() {
        let server = url("https://mcp.acme.example/team/mcp");
        for (resource, expected) in [
            ("https://mcp.acme.example/team/mcp", true),
            ("https://MCP.acme.example:443/team/mcp", true),
            ("https://mcp.acme.example/team", true),
            ("https://mcp.acme.example/", true),
            ("https://mcp.acme.example", true),
            ("https://mcp.acme.example/team/mcp/", true),
            ("https://mcp.acme.example/team/mcp/admin", false),
            ("https://mcp.acme.example/tea", false),
            ("https://mcp.acme.example/other", false),
            ("https://mcp.acme.example/team/mcp?x=1", false),
            ("https://mcp.acme.example/#x", false),
            ("https://evil.example/team/mcp", false),
            ("http://mcp.acme.example/team/mcp", false),
            ("https://mcp.acme.example:8443/team/mcp", false),
            ("mcp", false),
            ("", false),
        ] {
            let document = serde_json::json!({
                "resource": resource,
                "authorization_servers": ["https://id.acme.example"],
            });
            let read = ResourceMetadata::read(document.to_string().as_bytes(), &server);
            assert_eq!(read.is_ok(), expected, "{resource}: {read:?}");
        }
        let nobody = br#"{"resource": "https://mcp.acme.example"}"#;
        assert_eq!(ResourceMetadata::read(nobody, &server), Err(BadResource::NoServer));
        assert_eq!(ResourceMetadata::read(b"<html>", &server), Err(BadResource::Unreadable));
    }
}
