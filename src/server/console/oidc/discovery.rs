//! What a provider says about itself: OpenID Connect Discovery 1.0 §4. Pure.

use serde::Deserialize;

/// What is used of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    /// Where people log in.
    pub(super) authorization_endpoint: String,
    /// Where codes become tokens.
    pub(super) token_endpoint: String,
    /// Where its keys are.
    pub(super) jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Why it cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum BadMetadata {
    #[error("its description cannot be read")]
    Unreadable,
    #[error("its description is another issuer's")]
    Issuer,
    #[error("its description leads from https:// to http://")]
    Plaintext,
}

/// Where the description is.
pub(super) fn address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

// === impl Metadata ===

impl Metadata {
    /// Reads a description, which must be of this issuer, character for character. (Whether its addresses
    /// may be asked is for whoever asks.)
    pub(super) fn read(document: &[u8], issuer: &str) -> Result<Self, BadMetadata> {
        let found: Self = serde_json::from_slice(document).map_err(|_| BadMetadata::Unreadable)?;
        if found.issuer != issuer {
            return Err(BadMetadata::Issuer);
        }
        let all = [&found.authorization_endpoint, &found.token_endpoint, &found.jwks_uri];
        let is_https = |url: &str| url.starts_with("https://");
        let is_web = |url: &str| is_https(url) || url.starts_with("http://");
        if !all.iter().all(|url| is_web(url))
            || (is_https(issuer) && !all.iter().all(|url| is_https(url)))
        {
            return Err(BadMetadata::Plaintext);
        }
        Ok(found)
    }

    /// Whether a secret must be sent in the body: `client_secret_basic` is what a provider takes that does
    /// not say.
    pub(super) fn wants_secret_in_body(&self) -> bool {
        let takes =
            |way: &str| self.token_endpoint_auth_methods_supported.iter().any(|one| one == way);
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_must_be_of_its_issuer_and_stay_encrypted() {
        let issuer = "https://id.acme.example";
        for (member, value, expected) in [
            ("x", "", Ok(())),
            ("issuer", "https://id.acme.example/", Err(BadMetadata::Issuer)),
            ("issuer", "https://evil.example", Err(BadMetadata::Issuer)),
            ("token_endpoint", "http://id.acme.example/token", Err(BadMetadata::Plaintext)),
            ("jwks_uri", "http://127.0.0.1/keys", Err(BadMetadata::Plaintext)),
            ("authorization_endpoint", "http://id.acme.example/", Err(BadMetadata::Plaintext)),
            ("authorization_endpoint", "javascript:alert(1)", Err(BadMetadata::Plaintext)),
        ] {
            let mut document = serde_json::json!({
                "issuer": issuer,
                "authorization_endpoint": "https://id.acme.example/login",
                "token_endpoint": "https://tokens.acme.example/token",
                "jwks_uri": "https://keys.acme.example/keys",
            });
            document[member] = value.into();
            let read = Metadata::read(document.to_string().as_bytes(), issuer);
            assert_eq!(read.map(drop), expected, "{member} {value}");
        }
        assert_eq!(Metadata::read(b"{}", issuer), Err(BadMetadata::Unreadable));
        assert_eq!(
            address("https://a.example/b/"),
            "https://a.example/b/.well-known/openid-configuration"
        );
    }

    #[test]
    fn a_secret_goes_where_the_provider_wants_it() {
        for (methods, in_body) in [
            (&[][..], false),
            (&["client_secret_basic", "client_secret_post"], false),
            (&["client_secret_post"], true),
            (&["private_key_jwt"], false),
        ] {
            let metadata = Metadata {
                issuer: String::new(),
                authorization_endpoint: String::new(),
                token_endpoint: String::new(),
                jwks_uri: String::new(),
                token_endpoint_auth_methods_supported: methods
                    .iter()
                    .map(|&way| way.into())
                    .collect(),
            };
            assert_eq!(metadata.wants_secret_in_body(), in_body, "{methods:?}");
        }
    }
}
