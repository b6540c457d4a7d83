//! One attempt to log in: the address that a person opens, and what comes back. Pure but for its
//! random numbers.
//!
//! # Invariants
//!
//! - What comes back counts only with this attempt's state: 256 random bits that stand in one address.
//! - Nothing else of it is looked at before `iss`, and an error is held to the same (RFC 9207 §2.4).

use oauth2::basic::BasicClient;
use oauth2::url::{Url, form_urlencoded};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope,
};
use subtle::ConstantTimeEq as _;

use super::server::ServerMetadata;
use super::token::plain;

/// What is remembered of a login until the browser comes back.
#[derive(Debug)]
pub(super) struct Attempt {
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    issuer: String,
    names_itself: bool,
}

/// What came back, where it is of this attempt.
pub(super) type Answer = Result<AuthorizationCode, BadAnswer>;

/// Why what came back is no login.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAnswer {
    /// Another authorization server says that it answers, or nobody does.
    #[error("the answer is not of {expected}: it says {found:?}; nothing of it was used")]
    Issuer {
        /// Who was asked.
        expected: String,
        /// Who answered.
        found: Option<String>,
    },
    /// The authorization server, or the person, did not agree.
    #[error("the authorization server refused: {0}")]
    Refused(String),
    /// Neither a code nor an error, or one of them twice.
    #[error("the answer of the authorization server holds no code")]
    NoCode,
}

// === impl Attempt ===

impl Attempt {
    /// Begins one: and where to send the browser.
    pub(super) fn begin(
        server: &ServerMetadata,
        client_id: &str,
        redirect: &RedirectUrl,
        resource: &str,
        scopes: &[String],
    ) -> (Self, Url) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(AuthUrl::from_url(server.authorization_endpoint.clone()))
            .set_redirect_uri(redirect.clone());
        let mut request = client
            .authorize_url(|| CsrfToken::new_random_len(32))
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .add_extra_param("resource", resource)
            .set_pkce_challenge(challenge);
        if scopes.iter().any(|scope| scope == "offline_access") {
            // OpenID Connect Core §11: without it, an OpenID provider ignores the scope.
            request = request.add_extra_param("prompt", "consent");
        }
        let (url, state) = request.url();
        let (issuer, names_itself) = (server.issuer.clone(), server.names_itself);
        (Self { state, verifier, issuer, names_itself }, url)
    }

    /// Judges the query that a browser came back with. `None` where it is of no attempt, or another's.
    pub(super) fn judge(&self, query: &str) -> Option<Answer> {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let all = |name: &str| {
            let of_name = pairs.iter().filter(move |(known, _)| known == name);
            of_name.map(|(_, value)| value.as_ref()).collect::<Vec<_>>()
        };
        let expected = self.state.secret().as_bytes();
        match all("state")[..] {
            [state] if bool::from(state.as_bytes().ct_eq(expected)) => {}
            _ => return None,
        }
        let from_issuer = match all("iss")[..] {
            [] => !self.names_itself,
            [issuer] => issuer == self.issuer,
            _ => false,
        };
        if !from_issuer {
            let found = all("iss").first().map(|issuer| issuer.chars().take(200).collect());
            return Some(Err(BadAnswer::Issuer { expected: self.issuer.clone(), found }));
        }
        Some(match (&all("code")[..], &all("error")[..]) {
            (&[code], []) if !code.is_empty() => Ok(AuthorizationCode::new(code.to_owned())),
            ([], &[error]) => {
                let told = all("error_description").first().map(|text| plain(text));
                let told = told.filter(|told| !told.is_empty());
                let told = told.map(|told| format!(" ({told})")).unwrap_or_default();
                Err(BadAnswer::Refused(format!("{}{told}", plain(error))))
            }
            _ => Err(BadAnswer::NoCode),
        })
    }

    /// What proves that whoever brings the code is who began.
    pub(super) fn verifier(&self) -> &PkceCodeVerifier {
        &self.verifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::reach::Reach;

    fn server(names_itself: bool) -> ServerMetadata {
        let (reach, _) = Reach::from("https://mcp.acme.example/mcp").unwrap();
        let document = serde_json::json!({
            "issuer": "https://id.acme.example",
            "authorization_endpoint": "https://id.acme.example/authorize?tenant=1",
            "token_endpoint": "https://id.acme.example/token",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": names_itself,
        });
        let issuers = ["https://id.acme.example"];
        ServerMetadata::read(document.to_string().as_bytes(), &issuers, reach).unwrap()
    }

    fn begin(names_itself: bool, scopes: &[&str]) -> (Attempt, Url) {
        let redirect = RedirectUrl::new("http://127.0.0.1:7/callback".to_owned()).unwrap();
        let scopes: Vec<_> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let server = server(names_itself);
        Attempt::begin(&server, "client 1", &redirect, "https://mcp.acme.example/mcp", &scopes)
    }

    #[test]
    fn a_person_is_sent_with_everything_that_ties_the_answer_to_the_question() {
        let (attempt, url) = begin(true, &["a", "offline_access"]);
        let get = |name: &str| {
            let found: Vec<_> = url.query_pairs().filter(|(known, _)| known == name).collect();
            assert!(found.len() <= 1, "{name}");
            found.first().map(|(_, value)| value.clone().into_owned()).unwrap_or_default()
        };
        for (name, value) in [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", "client 1"),
            ("redirect_uri", "http://127.0.0.1:7/callback"),
            ("scope", "a offline_access"),
            ("prompt", "consent"),
            ("resource", "https://mcp.acme.example/mcp"),
            ("code_challenge_method", "S256"),
            ("state", attempt.state.secret()),
        ] {
            assert_eq!(get(name), value, "{name}");
        }
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&attempt.verifier);
        assert_eq!(get("code_challenge"), challenge.as_str());
        assert_eq!(attempt.state.secret().len(), 43, "256 bits");
        assert!(!format!("{attempt:?}").contains(attempt.state.secret()));

        let (other, url) = begin(false, &[]);
        assert_ne!(other.state.secret(), attempt.state.secret());
        assert!(!url.as_str().contains("scope="));
    }

    #[test]
    fn what_comes_back_counts_only_with_the_state_and_the_issuer() {
        let issuer = "iss=https%3A%2F%2Fid.acme.example";
        for (names_itself, query, expected) in [
            (true, format!("code=c&state=S&{issuer}"), "code c"),
            (false, format!("code=c&state=S&{issuer}"), "code c"),
            (false, "code=c&state=S".to_owned(), "code c"),
            (true, "code=c&state=S".to_owned(), "issuer"),
            (true, "code=c&state=S&iss=https%3A%2F%2Fid.acme.example%2F".to_owned(), "issuer"),
            (false, "code=c&state=S&iss=https%3A%2F%2Fevil.example".to_owned(), "issuer"),
            (false, "code=c&state=S&iss=https%3A%2F%2FID.acme.example".to_owned(), "issuer"),
            (false, format!("code=c&state=S&{issuer}&{issuer}"), "issuer"),
            (false, "error=denied&state=S&iss=https%3A%2F%2Fevil.example".to_owned(), "issuer"),
            (false, "error=access_denied&state=S".to_owned(), "refused access_denied"),
            (
                false,
                "error=a%1b%5b&state=S&error_description=no%0a+way%e2%80%ae".to_owned(),
                "refused a[ (no way)",
            ),
            (false, "code=c&error=e&state=S".to_owned(), "no code"),
            (false, "code=c&code=d&state=S".to_owned(), "no code"),
            (false, "code=&state=S".to_owned(), "no code"),
            (false, "state=S".to_owned(), "no code"),
            (false, "code=c&state=s".to_owned(), "nothing"),
            (false, "code=c&state=S&state=S".to_owned(), "nothing"),
            (false, "code=c&state=".to_owned(), "nothing"),
            (false, "code=c".to_owned(), "nothing"),
            (false, "error=e&state=x".to_owned(), "nothing"),
            (false, String::new(), "nothing"),
        ] {
            let (mut attempt, _) = begin(names_itself, &[]);
            attempt.state = CsrfToken::new("S".to_owned());
            let found = match attempt.judge(&query) {
                None => "nothing".to_owned(),
                Some(Ok(code)) => format!("code {}", code.secret()),
                Some(Err(BadAnswer::Issuer { .. })) => "issuer".to_owned(),
                Some(Err(BadAnswer::Refused(why))) => format!("refused {why}"),
                Some(Err(BadAnswer::NoCode)) => "no code".to_owned(),
            };
            assert_eq!(found, expected, "{names_itself} {query}");
        }
    }
}
