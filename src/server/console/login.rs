//! In and out: one-time links, the OpenID provider, logging out.
//!
//! The session's cookie is `SameSite=Strict`: a request that another site began comes without it. Whoever
//! follows a link from elsewhere (a chat, the provider) therefore first gets a page that goes on by itself, and
//! comes back from here.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use serde::Deserialize;

use super::oidc::{self, Attempt, LoginError, Provider};
use super::page::{self, Door};
use super::session::{self, Person, Session};
use super::token::Token;
use super::{Console, Trouble, Viewer, link};
use crate::approval::Assurance;
use crate::server::App;
use crate::server::listen::Peer;

/// How often one address may try to come in: this often at once, and in a minute.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// How many addresses are remembered before those that have calmed down are forgotten.
const ADDRESSES: usize = 10_000;
/// The cookie that ties an OpenID login to the browser that began it.
const ATTEMPT: &str = "__Host-thoth-login";

/// How often who tried to come in.
#[derive(Debug)]
pub(super) struct Attempts(DefaultKeyedRateLimiter<Option<IpAddr>>);

/// Where to go after the login: a page of this console.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Way(String);

/// What the door is asked.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DoorQuery {
    #[serde(default)]
    to: String,
}

/// What the form for a code holds.
#[derive(Debug, Deserialize)]
pub(super) struct Code {
    code: String,
    #[serde(default)]
    to: String,
}

/// What the provider sends a browser back with (RFC 6749 §4.1.2).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Return {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
    /// RFC 9207: who answers, where the provider says.
    #[serde(default)]
    iss: Option<String>,
}

/// What ends a session holds.
#[derive(Debug, Deserialize)]
pub(super) struct Leave {
    form_token: String,
}

/// `GET /console/login`
pub(super) async fn door(State(app): State<App>, Query(query): Query<DoorQuery>) -> Response {
    show(&app, StatusCode::OK, &Way::read(&query.to), None)
}

/// `POST /console/login`: spends a one-time link.
pub(super) async fn by_link(
    State(app): State<App>,
    Extension(console): Extension<Arc<Console>>,
    caller: Address,
    Form(form): Form<Code>,
) -> Result<Response, Trouble> {
    let way = Way::read(&form.to);
    if !console.attempts.admit(caller) {
        return Ok(too_often(&app, &way));
    }
    let now = app.now();
    let spent = match Token::read(form.code.trim().trim_start_matches('#')) {
        Some(token) => link::spend(&app.store, &token, now).await?,
        None => None,
    };
    let Some(tenant) = spent else {
        let wrong = "This code is not good, or not any more. Get a new link and try again.";
        return Ok(show(&app, StatusCode::UNAUTHORIZED, &way, Some(wrong)));
    };
    let person = Person { name: "console link".to_owned(), assurance: Assurance::Link };
    let session = Session::begin(&app.store, tenant, person, now).await?;
    tracing::info!(tenant = session.tenant.as_str(), "somebody logged in with a one-time link");
    Ok(([(SET_COOKIE, session.cookie())], Redirect::to(way.as_str())).into_response())
}

/// `POST /console/login/oidc`: begins an OpenID login.
pub(super) async fn to_provider(
    State(app): State<App>,
    Extension(console): Extension<Arc<Console>>,
    caller: Address,
    Form(form): Form<DoorQuery>,
) -> Response {
    let way = Way::read(&form.to);
    if !console.attempts.admit(caller) {
        return too_often(&app, &way);
    }
    let begun = match console.provider.get(&app) {
        Some(Ok(provider)) => provider.begin().await,
        Some(Err(error)) => Err(error),
        None => return Trouble::NotFound.into_response(),
    };
    match begun {
        Ok((address, attempt)) => {
            let value = format!("{}.{}", attempt.words(), way.encoded());
            let seconds = oidc::ATTEMPT.as_secs();
            let cookie = session::set_cookie(ATTEMPT, &value, "Lax", seconds);
            // A form may only lead to this origin; a page may lead anywhere.
            ([(SET_COOKIE, cookie)], page::bounce(&address)).into_response()
        }
        Err(error) => failed(&app, &way, &error),
    }
}

/// `GET /console/login/callback`: ends an OpenID login. Only the browser that began it can.
pub(super) async fn from_provider(
    State(app): State<App>,
    Extension(console): Extension<Arc<Console>>,
    caller: Address,
    headers: HeaderMap,
    Query(back): Query<Return>,
) -> Result<Response, Trouble> {
    let attempt = session::cookie(&headers, ATTEMPT).and_then(|value| {
        let (words, way) = value.rsplit_once('.')?;
        Some((Attempt::read(words)?, Way::decoded(way)))
    });
    let Some((attempt, way)) = attempt else {
        return Ok(failed(&app, &Way::default(), &LoginError::NotBegun));
    };
    if !console.attempts.admit(caller) {
        return Ok(too_often(&app, &way));
    }
    let Some(provider) = console.provider.get(&app) else { return Err(Trouble::NotFound) };
    let known = match provider {
        Ok(provider) => finish(provider, attempt, &back, app.now()).await,
        Err(error) => Err(error),
    };
    let no_attempt = session::set_cookie(ATTEMPT, "", "Lax", 0);
    let mut response = match known {
        Ok(name) => {
            let tenant = app.settings.tenant.clone();
            let person = Person { name, assurance: Assurance::Oidc };
            let session = Session::begin(&app.store, tenant, person, app.now()).await?;
            tracing::info!(
                tenant = session.tenant.as_str(),
                "somebody logged in with the OpenID provider"
            );
            // The browser is still on its way from another site, on which the session's cookie is not
            // sent: a redirection would arrive without it.
            ([(SET_COOKIE, session.cookie())], page::bounce(way.as_str())).into_response()
        }
        Err(error) => failed(&app, &way, &error),
    };
    response.headers_mut().append(SET_COOKIE, no_attempt);
    Ok(response)
}

async fn finish(
    provider: &Provider,
    attempt: Attempt,
    back: &Return,
    now: Timestamp,
) -> Result<String, LoginError> {
    if !attempt.is_answered_by(&back.state) {
        return Err(LoginError::NotBegun);
    }
    if !back.error.is_empty() {
        return Err(LoginError::Declined);
    }
    provider.finish(attempt, &back.code, back.iss.as_deref(), now).await
}

/// `POST /console/logout`
pub(super) async fn log_out(
    State(app): State<App>,
    Extension(console): Extension<Arc<Console>>,
    Viewer(session): Viewer,
    Form(form): Form<Leave>,
) -> Result<Response, Trouble> {
    if !session.is_own_form(&form.form_token) {
        return Err(Trouble::Foreign);
    }
    session.end(&app.store).await?;
    console.streams.end(&session);
    Ok(([(SET_COOKIE, session::no_cookie())], Redirect::to("/console/login")).into_response())
}

/// Where somebody without a session is sent.
pub(super) fn away(parts: &Parts) -> Response {
    let header = |name: &str| parts.headers.get(name).map(HeaderValue::as_bytes);
    let way = Way::read(parts.uri.path());
    let is_page = parts.method == Method::GET && parts.uri.path() != "/console/live";
    if !is_page {
        let page = page::trouble(
            "Logged out",
            "You are not logged in any more. Log in and repeat what you did.",
        );
        return (StatusCode::UNAUTHORIZED, page).into_response();
    }
    if header("sec-fetch-site") == Some(b"cross-site") {
        return page::bounce(&format!("{}?again", way.as_str())).into_response();
    }
    let to = match way.as_str() {
        "/console" => "/console/login".to_owned(),
        way => format!("/console/login?to={way}"),
    };
    Redirect::to(&to).into_response()
}

fn show(app: &App, status: StatusCode, way: &Way, wrong: Option<&str>) -> Response {
    let door = Door { to: way.as_str(), oidc: oidc::is_configured(app), wrong };
    (status, page::login(door)).into_response()
}

fn too_often(app: &App, way: &Way) -> Response {
    let wrong = "Too many attempts. Wait a minute and try again.";
    let mut response = show(app, StatusCode::TOO_MANY_REQUESTS, way, Some(wrong));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// What it was is for the log; who tries learns what they can do.
fn failed(app: &App, way: &Way, error: &LoginError) -> Response {
    tracing::warn!(%error, source = std::error::Error::source(error), "an OpenID login failed");
    let (status, wrong) = match error {
        LoginError::NotAllowed => (
            StatusCode::FORBIDDEN,
            "The provider knows you, and this console does not let you in. Whoever runs it lists people in \
             the enforcer’s OpenID settings.",
        ),
        LoginError::NotBegun | LoginError::Declined => {
            (StatusCode::UNAUTHORIZED, "The login was not finished. Try again.")
        }
        LoginError::Settings(_) | LoginError::Provider(_) => (
            StatusCode::BAD_GATEWAY,
            "The OpenID provider cannot be used right now. The enforcer’s log says why.",
        ),
        LoginError::Token(_) => (
            StatusCode::UNAUTHORIZED,
            "What the OpenID provider said cannot be trusted. The enforcer’s log says why.",
        ),
    };
    show(app, status, way, Some(wrong))
}

/// Where a request comes from, where that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(Option<IpAddr>);

// === impl Address ===

impl axum::extract::FromRequestParts<App> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Peer>().map(|Peer(from)| from.ip())))
    }
}

// === impl Attempts ===

impl Default for Attempts {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(ATTEMPTS)))
    }
}

impl Attempts {
    /// Whether this address may try once more.
    fn admit(&self, Address(address): Address) -> bool {
        if self.0.len() > ADDRESSES {
            self.0.retain_recent();
        }
        // Who has one IPv6 address has 2^64 of them.
        let address = address.map(|address| match address {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        });
        self.0.check_key(&address).is_ok()
    }
}

// === impl Way ===

impl Default for Way {
    fn default() -> Self {
        Self("/console".to_owned())
    }
}

impl Way {
    /// Takes a path of this console; the list of holds stands for everything else.
    fn read(text: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte);
        let is_ours = text.strip_prefix("/console").is_some_and(|rest| {
            (rest.is_empty() || rest.starts_with('/')) && !rest.starts_with("/log")
        });
        if is_ours && text.len() <= 200 && text.bytes().all(plain) && !text.contains("//") {
            Self(text.to_owned())
        } else {
            Self::default()
        }
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    /// As characters of a cookie's value without dots.
    fn encoded(&self) -> String {
        hex::encode(&self.0)
    }

    fn decoded(text: &str) -> Self {
        let bytes = hex::decode(text).unwrap_or_default();
        Self::read(&String::from_utf8(bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_a_page_of_the_console_and_nowhere_else() {
        for (text, to) in [
            ("/console", "/console"),
            ("/console/approvals/apr_01-x", "/console/approvals/apr_01-x"),
            ("/console/decisions", "/console/decisions"),
            ("", "/console"),
            ("/", "/console"),
            ("/consoles", "/console"),
            ("/console/login", "/console"),
            ("/console/logout", "/console"),
            ("/console//evil.example", "/console"),
            ("//evil.example", "/console"),
            ("/\\evil.example", "/console"),
            ("https://evil.example/console", "/console"),
            ("/console/../v1/keys", "/console"),
            ("/console/x?y=z", "/console"),
            ("/console/\r\nset-cookie: a=b", "/console"),
            ("javascript:alert(1)", "/console"),
        ] {
            let way = Way::read(text);
            assert_eq!(way.as_str(), to, "{text:?}");
            assert_eq!(Way::decoded(&way.encoded()), way);
        }
        assert_eq!(Way::decoded("zz"), Way::default());
    }

    #[test]
    fn who_tries_too_often_has_to_wait_and_others_do_not() {
        let attempts = Attempts::default();
        let address = |text: &str| Address(Some(text.parse().unwrap()));
        for _ in 0..ATTEMPTS.get() {
            assert!(attempts.admit(address("2001:db8::1")));
        }
        for (from, admitted) in [
            ("2001:db8::1", false),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
        ] {
            assert_eq!(attempts.admit(address(from)), admitted, "{from}");
        }
    }
}
