//! As whom thoth is known to an authorization server: MCP 2026-07-28, "Client Registration".
//!
//! A client that was registered by hand is used as it is. Without one, the address of a document
//! about the client is its name, where the person has such a document and the authorization server takes it;
//! or else thoth makes itself known (RFC 7591), anew at each login: authorization servers compare redirect
//! addresses with what was registered, and the port differs each time.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use oauth2::ClientSecret;
use oauth2::url::{Url, form_urlencoded};
use serde::{Deserialize, Serialize};

use super::net::{Net, Silent};
use super::server::ServerMetadata;

/// How a client comes to be known.
#[derive(Clone, Debug)]
pub enum Registration {
    /// It was registered by hand.
    Given {
        /// What it is called.
        id: String,
        /// What it proves itself with, if with anything.
        secret: Option<ClientSecret>,
    },
    /// It is called by the address of a document about it.
    Document(String),
    /// It makes itself known.
    Dynamic,
}

/// A client, as an authorization server knows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Client {
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<ClientSecret>,
    auth: Auth,
    /// How it came to be known, for people.
    pub(super) registration: Kind,
}

/// How a client proves itself at the token endpoint (RFC 7591 §2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Auth {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
}

/// How a client came to be known.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By hand.
    Given,
    /// By a document about it.
    Document,
    /// By itself.
    Dynamic,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// Nothing that was given fits what the authorization server takes.
    #[error(
        "{issuer} takes no client that makes itself known; register one there by hand, and give its --client-id"
    )]
    NoWay {
        /// The authorization server.
        issuer: String,
    },
    /// It does not take documents.
    #[error(
        "{issuer} does not take documents about clients; try --registration dynamic, or give a --client-id"
    )]
    NoDocuments {
        /// The authorization server.
        issuer: String,
    },
    /// It takes no way of proof that thoth knows.
    #[error("{issuer} takes neither client_secret_basic nor client_secret_post from clients")]
    NoProof {
        /// The authorization server.
        issuer: String,
    },
    /// It did not answer.
    #[error("the client cannot be registered")]
    Silent(#[from] Silent),
    /// It refused.
    #[error(
        "the client was not registered: {status} {why}; register one by hand, and give its --client-id"
    )]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        why: String,
    },
    /// Its answer is none.
    #[error("the client cannot be registered: the answer to that cannot be read")]
    Unreadable,
}

/// What a registration answers (RFC 7591 §3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<ClientSecret>,
    token_endpoint_auth_method: Option<String>,
}

// === impl Registration ===

impl Registration {
    /// The address of a document about a client: https, with a path (draft-ietf-oauth-client-id-metadata-document
    /// §3).
    pub fn document(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.path() != "/";
        (url.scheme() == "https" && is_plain).then(|| Self::Document(text.to_owned()))
    }

    /// A client for a login that comes back to `redirect`. `None` is a person who has no wishes.
    ///
    /// # Errors
    ///
    /// [`NoClient`].
    pub(super) async fn client(
        this: Option<&Self>,
        net: &Net,
        server: &ServerMetadata,
        redirect: &str,
        scopes: &[String],
    ) -> Result<Client, NoClient> {
        let issuer = || server.issuer.clone();
        match (this, &server.registration_endpoint) {
            (Some(Self::Given { id, secret }), _) => {
                let auth = match secret {
                    Some(_) => Auth::with_secret(server.auth_methods.as_deref())
                        .ok_or_else(|| NoClient::NoProof { issuer: issuer() })?,
                    None => Auth::None,
                };
                let (id, secret) = (id.clone(), secret.clone());
                Ok(Client { id, secret, auth, registration: Kind::Given })
            }
            (Some(Self::Document(_)), _) if !server.takes_client_documents => {
                Err(NoClient::NoDocuments { issuer: issuer() })
            }
            (Some(Self::Document(url)), _) => Ok(Client {
                id: url.clone(),
                secret: None,
                auth: Auth::None,
                registration: Kind::Document,
            }),
            (Some(Self::Dynamic) | None, None) => Err(NoClient::NoWay { issuer: issuer() }),
            (Some(Self::Dynamic) | None, Some(endpoint)) => {
                let methods = server.auth_methods.as_deref();
                register(net, endpoint, &wish(methods, redirect, scopes)).await
            }
        }
    }
}

/// What is asked for (RFC 7591 §2). A native application without a secret is what thoth is; some
/// authorization servers take none without.
fn wish(methods: Option<&[String]>, redirect: &str, scopes: &[String]) -> serde_json::Value {
    let takes_none = methods.is_none_or(|all| all.iter().any(|method| method == "none"));
    let auth = match Auth::with_secret(methods) {
        Some(auth) if !takes_none => auth,
        Some(_) | None => Auth::None,
    };
    let mut wish = serde_json::json!({
        "client_name": "thoth",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": auth,
    });
    if !scopes.is_empty() {
        wish["scope"] = scopes.join(" ").into();
    }
    wish
}

async fn register(net: &Net, endpoint: &Url, wish: &serde_json::Value) -> Result<Client, NoClient> {
    let request = Request::post(endpoint.as_str())
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .body(Bytes::from(wish.to_string()));
    let answer = net.ask(endpoint, request).await?;
    if !answer.status().is_success() {
        let why = super::token::told(answer.body()).unwrap_or_default();
        return Err(NoClient::Refused { status: answer.status(), why });
    }
    let found: Registered =
        serde_json::from_slice(answer.body()).map_err(|_| NoClient::Unreadable)?;
    let auth = match (found.token_endpoint_auth_method.as_deref(), &found.client_secret) {
        (Some("none"), _) | (None, None) => Auth::None,
        (Some("client_secret_post"), Some(_)) => Auth::Post,
        // RFC 7591 §2: what it is where nothing is said.
        (Some("client_secret_basic") | None, Some(_)) => Auth::Basic,
        (Some(_), _) => return Err(NoClient::Unreadable),
    };
    let secret = found.client_secret.filter(|_| auth != Auth::None);
    Ok(Client { id: found.client_id, secret, auth, registration: Kind::Dynamic })
}

// === impl Auth ===

impl Auth {
    /// How to prove a secret: RFC 8414 §2, `client_secret_basic` is what is taken where nothing is said.
    fn with_secret(methods: Option<&[String]>) -> Option<Self> {
        let takes = |way: &str| methods.is_some_and(|methods| methods.iter().any(|one| one == way));
        if methods.is_none() || takes("client_secret_basic") {
            Some(Self::Basic)
        } else {
            takes("client_secret_post").then_some(Self::Post)
        }
    }
}

// === impl Client ===

impl Client {
    /// Whether a later login uses it again.
    pub(super) fn is_kept(&self) -> bool {
        self.registration != Kind::Dynamic
    }

    /// A request with this form, by this client (RFC 6749 §2.3.1).
    pub(super) fn post(
        &self,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> hyper::http::Result<Request<Bytes>> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let mut request = Request::post(endpoint.as_str())
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        match (&self.secret, self.auth) {
            (Some(secret), Auth::Basic) => {
                let encoded = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                let pair = format!("{}:{}", encoded(&self.id), encoded(secret.secret()));
                let mut proof =
                    HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)))?;
                proof.set_sensitive(true);
                request = request.header("authorization", proof);
            }
            (Some(secret), Auth::Post) => {
                body.append_pair("client_id", &self.id);
                body.append_pair("client_secret", secret.secret());
            }
            (_, Auth::None) | (None, Auth::Basic | Auth::Post) => {
                body.append_pair("client_id", &self.id);
            }
        }
        request.body(body.finish().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_secret_goes_where_the_server_wants_it() {
        for (methods, with_secret, wished) in [
            (None, Some(Auth::Basic), "none"),
            (Some(""), None, "none"),
            (Some("none"), None, "none"),
            (
                Some("client_secret_post client_secret_basic"),
                Some(Auth::Basic),
                "client_secret_basic",
            ),
            (Some("client_secret_post"), Some(Auth::Post), "client_secret_post"),
            (Some("client_secret_post none"), Some(Auth::Post), "none"),
            (Some("private_key_jwt"), None, "none"),
        ] {
            let methods = methods.map(list);
            let methods = methods.as_deref();
            assert_eq!(Auth::with_secret(methods), with_secret, "{methods:?}");
            assert_eq!(wish(methods, "", &[])["token_endpoint_auth_method"], wished, "{methods:?}");
        }
    }

    #[test]
    fn a_client_proves_itself_as_it_was_agreed_and_does_not_print() {
        let endpoint = Url::parse("https://id.acme.example/token").unwrap();
        for (auth, header, body) in [
            (Auth::None, None, "a=b&client_id=i%3Ad"),
            (Auth::Basic, Some("Basic aSUzQWQ6aHVudGVyJTI2Mg=="), "a=b"),
            (Auth::Post, None, "a=b&client_id=i%3Ad&client_secret=hunter%262"),
        ] {
            let client = Client {
                id: "i:d".to_owned(),
                secret: Some(ClientSecret::new("hunter&2".to_owned())),
                auth,
                registration: Kind::Given,
            };
            let request = client.post(&endpoint, &[("a", "b")]).unwrap();
            let sent = request.headers().get("authorization").map(|sent| sent.to_str().unwrap());
            assert_eq!(sent, header, "{auth:?}");
            assert_eq!(request.body(), body, "{auth:?}");
            assert!(!format!("{client:?} {:?}", request.headers()).contains("hunter"));
        }
    }
}
