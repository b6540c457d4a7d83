//! Logging in with an OpenID provider: OpenID Connect Core 1.0, the authorization code flow with PKCE.
//!
//! `oauth2` makes the requests of RFC 6749 and 7636, `jsonwebtoken` checks signatures, [`crate::https`] carries
//! the bytes; what is claimed is judged in `claims`, by whom in `keys`, and who may in in `allowed`.
//!
//! # Invariants
//!
//! - A login ends in the browser that began it: state, nonce and verifier are in its cookie and
//!   nowhere else. The nonce ties the token to it, the verifier the code.
//! - A token counts only with a signature by one of the provider's own asymmetric keys, of the kind the key
//!   is for. What the token says about its key, but for the key's id, is not looked at.
//! - The provider is spoken to over TLS, or on this machine; no redirection is followed; answers are
//!   bounded in time and size.
//! - Nobody is let in whose address is not verified by the provider and listed here.

mod allowed;
mod claims;
mod discovery;
mod keys;
mod place;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::allowed::Allowed;
use self::claims::{BadToken, Claims, Expected};
use self::discovery::Metadata;
use self::keys::Keys;
use self::place::Place;
use super::session::Person;
use super::token::{Token, is_same};
use crate::approval::Assurance;
use crate::config::settings::Tls;
use crate::server::App;
use crate::server::settings::Oidc;
use crate::tls::{self, ClientConfig};

/// How long a login may take, from the door to the provider and back.
pub const ATTEMPT: Duration = Duration::from_mins(10);

/// How long what the provider says about itself is believed.
const BELIEVED: Duration = Duration::from_hours(1);
/// How often its keys are asked for where a token names one that is not known.
const KEYS_PAUSE: Duration = Duration::from_secs(30);

/// The provider, once it was needed.
#[derive(Debug, Default)]
pub(super) struct Lazy(OnceLock<Result<Provider, LoginError>>);

/// An OpenID provider, and what is known of it. Clones share it.
#[derive(Clone, Debug)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Oidc,
    redirect: RedirectUrl,
    tls: ClientConfig,
    clock: fn() -> Timestamp,
    known: Mutex<Option<Known>>,
}

/// What a provider says about itself.
#[derive(Clone, Debug)]
struct Known {
    metadata: Arc<Metadata>,
    token: Arc<Place>,
    jwks: Arc<Place>,
    since: Instant,
    keys: Arc<Keys>,
    /// When they were asked for once more.
    renewed: Option<Instant>,
}

/// What the browser that began a login keeps of it.
#[derive(Debug)]
pub struct Attempt {
    state: Token,
    nonce: Token,
    verifier: Token,
}

/// Why nobody was logged in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// The settings cannot be used.
    #[error("the OpenID settings cannot be used: {0}")]
    Settings(String),
    /// The provider cannot be used.
    #[error("the OpenID provider cannot be used: {0}")]
    Provider(String),
    /// This browser did not begin this login, or too long ago.
    #[error("this browser did not begin this OpenID login, or too long ago")]
    NotBegun,
    /// The provider says that the person, or it, did not agree.
    #[error("the OpenID provider did not log the person in")]
    Declined,
    /// The token is not good.
    #[error("the OpenID token is not good")]
    Token(#[source] BadToken),
    /// The person is not on the list.
    #[error("the person is not on the list of whom the OpenID settings let in")]
    NotAllowed,
}

/// The token's member of the provider's answer (OpenID Connect Core §3.1.3.3).
#[derive(Clone, Debug, Deserialize, Serialize)]
struct IdToken {
    id_token: String,
}

impl ExtraTokenFields for IdToken {}

type Client = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Whether people can log in with a provider.
pub(super) fn is_configured(app: &App) -> bool {
    app.settings.oidc.is_some()
}

/// Whether this person would still be let in: settings may have changed since the login.
pub(super) fn still_allows(app: &App, person: &Person) -> bool {
    match person.assurance {
        Assurance::Oidc => app
            .settings
            .oidc
            .as_ref()
            .is_some_and(|oidc| Allowed::new(&oidc.allowed).admits(&person.name)),
        Assurance::Elicitation | Assurance::Terminal | Assurance::ApiKey | Assurance::Link => true,
    }
}

// === impl Lazy ===

impl Lazy {
    /// The provider of the settings; `None` where there is none. The first time it reads the system's
    /// roots from disk, which takes milliseconds.
    pub(super) fn get(&self, app: &App) -> Option<Result<&Provider, LoginError>> {
        let settings = app.settings.oidc.as_ref()?;
        let made =
            self.0.get_or_init(|| Provider::new(settings.clone(), &app.public_url, app.clock));
        Some(made.as_ref().map_err(LoginError::clone))
    }
}

// === impl Provider ===

impl Provider {
    /// A provider that sends people back to the console at `public_url`. Connects to nobody yet.
    ///
    /// # Errors
    ///
    /// [`LoginError::Settings`]
    pub fn new(
        settings: Oidc,
        public_url: &str,
        clock: fn() -> Timestamp,
    ) -> Result<Self, LoginError> {
        let redirect = RedirectUrl::new(format!("{public_url}/console/login/callback"))
            .map_err(|_| LoginError::Settings("the public URL is none".to_owned()))?;
        // Without TLS there is only this machine, and roots may be missing.
        let unverified = !settings.issuer.starts_with("https:");
        let tls = tls::client_config(&Tls { unverified, ..Tls::default() })
            .map_err(|error| LoginError::Settings(error.to_string()))?;
        let known = Mutex::default();
        Ok(Self(Arc::new(Inner { settings, redirect, tls, clock, known })))
    }

    /// Begins a login: where to send the browser, and what it must bring back.
    ///
    /// # Errors
    ///
    /// [`LoginError`]
    pub async fn begin(&self) -> Result<(String, Attempt), LoginError> {
        let known = self.known().await?;
        let attempt =
            Attempt { state: Token::random(), nonce: Token::random(), verifier: Token::random() };
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&attempt.verifier());
        let state = attempt.state.reveal().to_owned();
        let (address, _) = self
            .client(&known.metadata)?
            .authorize_url(|| CsrfToken::new(state))
            .add_scope(Scope::new("openid".to_owned()))
            .add_scope(Scope::new("email".to_owned()))
            .add_extra_param("nonce", attempt.nonce.reveal())
            .set_pkce_challenge(challenge)
            .url();
        Ok((address.into(), attempt))
    }

    /// Ends a login: the address of the person, which is verified and on the list.
    ///
    /// # Errors
    ///
    /// [`LoginError`]
    pub async fn finish(
        &self,
        attempt: Attempt,
        code: &str,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<String, LoginError> {
        let known = self.known().await?;
        // RFC 9207: an answer of another provider, which was made to look like this one's.
        if issuer.is_some_and(|issuer| issuer != known.metadata.issuer) {
            return Err(LoginError::Token(BadToken::Issuer));
        }
        let token = self.exchange(&known, &attempt, code).await?;
        let claims = self.verified(&known, &token).await?;
        let expected = Expected {
            issuer: &self.0.settings.issuer,
            client_id: &self.0.settings.client_id,
            nonce: attempt.nonce.reveal(),
            now,
        };
        let person = claims.judge(expected).map_err(LoginError::Token)?;
        if !Allowed::new(&self.0.settings.allowed).admits(&person) {
            return Err(LoginError::NotAllowed);
        }
        Ok(person)
    }

    /// Gives the code for the token.
    async fn exchange(
        &self,
        known: &Known,
        attempt: &Attempt,
        code: &str,
    ) -> Result<String, LoginError> {
        let place = &known.token;
        let send = |request: HttpRequest| {
            let place = Arc::clone(place);
            async move {
                let (head, body) = request.into_parts();
                let answered = place.ask(head.method, head.headers, body).await?;
                let mut response = HttpResponse::new(answered.body.to_vec());
                *response.status_mut() = answered.status;
                Ok::<_, place::NoAnswer>(response)
            }
        };
        let answer = self
            .client(&known.metadata)?
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(attempt.verifier())
            .request_async(&send)
            .await
            // The library's words hold what was answered, perhaps a token: only the kind is told.
            .map_err(|error| {
                LoginError::Provider(match error {
                    oauth2::RequestTokenError::ServerResponse(told) => {
                        format!("it did not take the code: {}", told.error().as_ref())
                    }
                    oauth2::RequestTokenError::Request(error) => error.to_string(),
                    oauth2::RequestTokenError::Parse(..) | oauth2::RequestTokenError::Other(_) => {
                        "its answer to the code cannot be read".to_owned()
                    }
                })
            })?;
        Ok(answer.extra_fields().id_token.clone())
    }

    /// What a token claims, where one of the provider's keys has signed it.
    async fn verified(&self, known: &Known, token: &str) -> Result<Claims, LoginError> {
        match known.keys.verify(token) {
            Err(BadToken::UnknownKey) => {
                let keys = self.newer_keys(known).await?;
                keys.verify(token).map_err(LoginError::Token)
            }
            done => done.map_err(LoginError::Token),
        }
    }

    /// The provider's keys, asked for once more: it may have changed them. Not more often than
    /// [`KEYS_PAUSE`], whatever tokens name.
    async fn newer_keys(&self, seen: &Known) -> Result<Arc<Keys>, LoginError> {
        let mut guard = self.0.known.lock().await;
        let known = guard.get_or_insert_with(|| seen.clone());
        let is_newer = !Arc::ptr_eq(&known.keys, &seen.keys);
        if !is_newer && known.renewed.is_none_or(|at| at.elapsed() >= KEYS_PAUSE) {
            known.renewed = Some(Instant::now());
            known.keys = Arc::new(keys(&known.jwks).await?);
        }
        Ok(Arc::clone(&known.keys))
    }

    /// What the provider says about itself, asked for anew where that is old.
    async fn known(&self) -> Result<Known, LoginError> {
        let mut guard = self.0.known.lock().await;
        if let Some(known) = guard.as_ref().filter(|known| known.since.elapsed() < BELIEVED) {
            return Ok(known.clone());
        }
        let place = |url: &str| {
            Place::new(url, &self.0.tls, self.0.clock)
                .map_err(|error| LoginError::Provider(format!("{url}: {error}")))
        };
        let issuer = &self.0.settings.issuer;
        let document = place(&discovery::address(issuer))?.get().await?;
        let metadata = Metadata::read(&document, issuer)
            .map_err(|error| LoginError::Provider(error.to_string()))?;
        let jwks = Arc::new(place(&metadata.jwks_uri)?);
        let found = Known {
            token: Arc::new(place(&metadata.token_endpoint)?),
            keys: Arc::new(keys(&jwks).await?),
            jwks,
            metadata: Arc::new(metadata),
            since: Instant::now(),
            renewed: None,
        };
        *guard = Some(found.clone());
        Ok(found)
    }

    fn client(&self, metadata: &Metadata) -> Result<Client, LoginError> {
        let bad = |what: &str| LoginError::Provider(format!("its {what} is no URL"));
        let settings = &self.0.settings;
        let authorization = AuthUrl::new(metadata.authorization_endpoint.clone())
            .map_err(|_| bad("authorization endpoint"))?;
        let token =
            TokenUrl::new(metadata.token_endpoint.clone()).map_err(|_| bad("token endpoint"))?;
        let client = oauth2::Client::new(ClientId::new(settings.client_id.clone()))
            .set_auth_type(if metadata.wants_secret_in_body() {
                AuthType::RequestBody
            } else {
                AuthType::BasicAuth
            })
            .set_redirect_uri(self.0.redirect.clone());
        let client = match &settings.client_secret {
            Some(secret) => {
                let secret = secret.api_key();
                let secret =
                    secret.to_str().unwrap_or_else(|_| unreachable!("keys are visible ASCII"));
                client.set_client_secret(ClientSecret::new(secret.to_owned()))
            }
            None => client,
        };
        Ok(client.set_auth_uri(authorization).set_token_uri(token))
    }
}

async fn keys(place: &Place) -> Result<Keys, LoginError> {
    let document = place.get().await?;
    Keys::read(&document).ok_or_else(|| LoginError::Provider("its keys cannot be read".to_owned()))
}

impl From<place::NoAnswer> for LoginError {
    fn from(error: place::NoAnswer) -> Self {
        Self::Provider(error.to_string())
    }
}

// === impl Attempt ===

impl Attempt {
    /// As a cookie's value, without the dot that separates what follows.
    pub(super) fn words(&self) -> String {
        [&self.state, &self.nonce, &self.verifier].map(Token::reveal).join("~")
    }

    /// Reads that value.
    pub(super) fn read(words: &str) -> Option<Self> {
        let mut tokens = words.split('~').map(Token::read);
        let attempt =
            Self { state: tokens.next()??, nonce: tokens.next()??, verifier: tokens.next()?? };
        tokens.next().is_none().then_some(attempt)
    }

    /// Whether what came back was meant for this one.
    pub(super) fn is_answered_by(&self, state: &str) -> bool {
        is_same(self.state.reveal(), state)
    }

    fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.verifier.reveal().to_owned())
    }
}
