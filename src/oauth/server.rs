//! What an authorization server says about itself: RFC 8414, and OpenID Connect Discovery 1.0. Pure.
//!
//! # Invariants
//!
//! - A description is of its issuer, character for character.
//! - A server that does not say it knows PKCE with S256 is not used.

use oauth2::url::Url;
use serde::Deserialize;

use super::reach::{OutOfReach, Reach};

/// What is used of it. Every address in it may be asked.
#[derive(Clone, Debug)]
pub(super) struct ServerMetadata {
    pub(super) issuer: String,
    /// Where people log in.
    pub(super) authorization_endpoint: Url,
    /// Where codes become tokens, and tokens others.
    pub(super) token_endpoint: Url,
    /// Where clients make themselves known.
    pub(super) registration_endpoint: Option<Url>,
    /// Where tokens end.
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) scopes: Vec<String>,
    /// How clients prove themselves at the token endpoint; `None` where it does not say.
    pub(super) auth_methods: Option<Vec<String>>,
    /// Whether a client may be named by the address of a document about it.
    pub(super) takes_client_documents: bool,
    /// Whether each of its answers names it (RFC 9207).
    pub(super) names_itself: bool,
}

/// The document, as far as it is used.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Why it cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadServer {
    /// It is not what RFC 8414 describes.
    #[error("its description cannot be read")]
    Unreadable,
    /// It is another issuer's.
    #[error("its description is of {found:?}, not of {expected:?}, which must be the same")]
    Issuer {
        /// Who was asked.
        expected: String,
        /// Who answered.
        found: String,
    },
    /// It does not say that it knows PKCE with S256.
    #[error("its description does not name S256 in code_challenge_methods_supported")]
    NoPkce,
    /// It leads where nobody is led.
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
}

/// Where a description may lie, in the order of MCP 2026-07-28. None, where it is no issuer.
pub(super) fn places(issuer: &Url) -> Vec<Url> {
    let at = |path: &str| {
        let mut place = issuer.clone();
        place.set_path(path);
        place
    };
    let (oauth, openid) =
        ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration");
    if issuer.query().is_some() {
        return Vec::new();
    }
    match issuer.path().trim_end_matches('/') {
        "" => vec![at(oauth), at(openid)],
        path => vec![
            at(&format!("{oauth}{path}")),
            at(&format!("{openid}{path}")),
            at(&format!("{path}{openid}")),
        ],
    }
}

// === impl ServerMetadata ===

impl ServerMetadata {
    /// Reads a description, which must be of one of these issuers.
    ///
    /// # Errors
    ///
    /// [`BadServer`].
    pub(super) fn read(document: &[u8], issuers: &[&str], reach: Reach) -> Result<Self, BadServer> {
        let found: Document =
            serde_json::from_slice(document).map_err(|_| BadServer::Unreadable)?;
        if !issuers.contains(&&*found.issuer) {
            return Err(BadServer::Issuer {
                expected: issuers.first().map_or("", |issuer| issuer).to_owned(),
                found: found.issuer.chars().take(200).collect(),
            });
        }
        if !found.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err(BadServer::NoPkce);
        }
        let optional =
            |what, url: Option<&String>| url.map(|url| reach.admit(what, url)).transpose();
        Ok(Self {
            authorization_endpoint: reach
                .admit("authorization endpoint", &found.authorization_endpoint)?,
            token_endpoint: reach.admit("token endpoint", &found.token_endpoint)?,
            registration_endpoint: optional(
                "registration endpoint",
                found.registration_endpoint.as_ref(),
            )?,
            revocation_endpoint: optional(
                "revocation endpoint",
                found.revocation_endpoint.as_ref(),
            )?,
            issuer: found.issuer,
            scopes: found.scopes_supported,
            auth_methods: found.token_endpoint_auth_methods_supported,
            takes_client_documents: found.client_id_metadata_document_supported,
            names_itself: found.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn which_descriptions_are_tried_in_which_order() {
        let oauth = ".well-known/oauth-authorization-server";
        let openid = ".well-known/openid-configuration";
        for (issuer, expected) in [
            ("", vec![oauth.to_owned(), openid.to_owned()]),
            ("/", vec![oauth.to_owned(), openid.to_owned()]),
            (
                "/tenant/1",
                vec![
                    format!("{oauth}/tenant/1"),
                    format!("{openid}/tenant/1"),
                    format!("tenant/1/{openid}"),
                ],
            ),
            (
                "/tenant/",
                vec![
                    format!("{oauth}/tenant"),
                    format!("{openid}/tenant"),
                    format!("tenant/{openid}"),
                ],
            ),
            ("/tenant?x=1", vec![]),
        ] {
            let issuer = Url::parse(&format!("https://id.acme.example{issuer}")).unwrap();
            let found: Vec<_> = places(&issuer).into_iter().map(String::from).collect();
            let expected: Vec<_> =
                expected.iter().map(|path| format!("https://id.acme.example/{path}")).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_description_that_is_not_safe_is_not_used() {
        let issuer = "https://id.acme.example/tenant";
        let (reach, _) = Reach::from("https://mcp.acme.example/mcp").unwrap();
        for (member, value, expected) in [
            ("x", json!(1), "ok"),
            ("issuer", json!("https://id.acme.example/tenant/"), "its description is of"),
            ("issuer", json!("https://ID.acme.example/tenant"), "its description is of"),
            ("issuer", json!("https://evil.example"), "its description is of"),
            ("issuer", Value::Null, "cannot be read"),
            ("token_endpoint", Value::Null, "cannot be read"),
            ("token_endpoint", json!("http://id.acme.example/token"), "it must be https"),
            ("authorization_endpoint", json!("javascript:alert(1)"), "is not https"),
            ("registration_endpoint", json!("http://127.0.0.1:6379/"), "leads to this machine"),
            ("revocation_endpoint", json!("http://id.acme.example/"), "it must be https"),
            ("code_challenge_methods_supported", Value::Null, "cannot be read"),
            ("code_challenge_methods_supported", json!([]), "does not name S256"),
            ("code_challenge_methods_supported", json!(["plain"]), "does not name S256"),
            ("code_challenge_methods_supported", json!(["plain", "S256"]), "ok"),
        ] {
            let mut document = json!({
                "issuer": issuer,
                "authorization_endpoint": "https://id.acme.example/authorize",
                "token_endpoint": "https://tokens.acme.example/token",
                "code_challenge_methods_supported": ["S256"],
            });
            document[member] = value.clone();
            let read = ServerMetadata::read(document.to_string().as_bytes(), &[issuer], reach);
            let found = read.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            assert!(found.contains(expected), "{member} {value}: {found}");
        }
    }
}
