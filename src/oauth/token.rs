//! The token endpoint: codes become tokens, and tokens others (RFC 6749 §4.1.3 and §6); tokens end (RFC 7009).
//!
//! The forms are our own, not `oauth2`'s: whether a refusal is for good depends on its status, which
//! that keeps to itself, and its errors hold the body of an answer, which may hold a token.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{Response, StatusCode};
use oauth2::url::Url;
use oauth2::{AccessToken, AuthorizationCode, PkceCodeVerifier, RefreshToken};
use serde::Deserialize;

use super::client::Client;
use super::net::{Net, Silent};
use crate::https::scopes;
use crate::secret::ApiKey;

/// What is shown of a text of others, in characters.
const SHOWN: usize = 200;

/// What the token endpoint gives.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access: AccessToken,
    pub(super) refresh: Option<RefreshToken>,
    pub(super) expires_in: Option<Duration>,
    /// `None` where they are those that were asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why it gave none.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotGranted {
    /// It refused, and would again.
    #[error("the authorization server refused: {0}")]
    Refused(String),
    /// It has trouble, or somebody between: to be tried again.
    #[error("the authorization server has trouble: {why}")]
    Trouble {
        /// What it is.
        why: String,
        /// When it wants to be asked again, from now.
        retry_after: Option<Duration>,
    },
    /// It answered something that is no token to send.
    #[error("the authorization server's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Answer {
    access_token: AccessToken,
    token_type: String,
    expires_in: Option<Seconds>,
    refresh_token: Option<RefreshToken>,
    scope: Option<String>,
}

/// A number; some servers write it as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// Gives a code for tokens.
///
/// # Errors
///
/// [`NotGranted`].
pub(super) async fn exchange(
    net: &Net,
    endpoint: &Url,
    client: &Client,
    code: &AuthorizationCode,
    verifier: &PkceCodeVerifier,
    redirect: &str,
    resource: &str,
) -> Result<Granted, NotGranted> {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.secret().as_str()),
        ("redirect_uri", redirect),
        ("code_verifier", verifier.secret().as_str()),
        ("resource", resource),
    ];
    ask(net, endpoint, client, &form).await
}

/// Gives a refresh token for other tokens. The scopes stay those of the first.
///
/// # Errors
///
/// [`NotGranted`].
pub(super) async fn refresh(
    net: &Net,
    endpoint: &Url,
    client: &Client,
    token: &RefreshToken,
    resource: &str,
) -> Result<Granted, NotGranted> {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.secret().as_str()),
        ("resource", resource),
    ];
    ask(net, endpoint, client, &form).await
}

/// Ends a token (RFC 7009).
///
/// # Errors
///
/// [`NotGranted`], which here says that the token may still be good.
pub(super) async fn revoke(
    net: &Net,
    endpoint: &Url,
    client: &Client,
    token: &str,
    kind: &str,
) -> Result<(), NotGranted> {
    let request = client.post(endpoint, &[("token", token), ("token_type_hint", kind)]);
    let answer = net.ask(endpoint, request).await?;
    if answer.status().is_success() { Ok(()) } else { Err(refusal(&answer)) }
}

async fn ask(
    net: &Net,
    endpoint: &Url,
    client: &Client,
    form: &[(&str, &str)],
) -> Result<Granted, NotGranted> {
    let answer = net.ask(endpoint, client.post(endpoint, form)).await?;
    if answer.status() == StatusCode::OK { granted(&answer) } else { Err(refusal(&answer)) }
}

fn granted(answer: &Response<Bytes>) -> Result<Granted, NotGranted> {
    let found: Answer = match serde_json::from_slice(answer.body()) {
        Ok(found) => found,
        // Some refuse with 200.
        Err(_) => {
            return Err(told(answer.body())
                .map_or(NotGranted::Unusable("it cannot be read"), NotGranted::Refused));
        }
    };
    if !found.token_type.eq_ignore_ascii_case("bearer") {
        return Err(NotGranted::Unusable("its token is no bearer token"));
    }
    if ApiKey::parse(found.access_token.secret()).is_err() {
        return Err(NotGranted::Unusable("its token cannot be sent in a header"));
    }
    let expires_in = found.expires_in.and_then(|seconds| match seconds {
        Seconds::Number(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Seconds::Text(text) => text.trim().parse().ok().map(Duration::from_secs),
    });
    Ok(Granted {
        access: found.access_token,
        refresh: found.refresh_token.filter(|token| !token.secret().is_empty()),
        expires_in,
        scopes: found.scope.map(|text| scopes(&text)),
    })
}

/// RFC 6749 §5.2 for what is for good; anything else may pass.
fn refusal(answer: &Response<Bytes>) -> NotGranted {
    let status = answer.status();
    let told = told(answer.body());
    let is_passing = told.as_deref().is_some_and(|told| {
        ["temporarily_unavailable", "server_error", "slow_down"]
            .iter()
            .any(|passing| told.starts_with(passing))
    });
    match told {
        Some(told) if status.is_client_error() && status != 429 && !is_passing => {
            NotGranted::Refused(told)
        }
        told => {
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = seconds.and_then(|text| text.trim().parse().ok());
            NotGranted::Trouble {
                why: told.unwrap_or_else(|| format!("it answered {status}")),
                retry_after: retry_after.map(Duration::from_secs),
            }
        }
    }
}

/// What a refusal says, made safe to print: `invalid_grant (it was used before)`.
pub(super) fn told(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let description = refusal.error_description.map(|text| plain(&text)).unwrap_or_default();
    let description =
        if description.is_empty() { description } else { format!(" ({description})") };
    Some(format!("{}{description}", plain(&refusal.error)))
}

/// A text of others, made safe to print: its visible ASCII and blanks, up to an end.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|&c| c == ' ' || c.is_ascii_graphic()).take(SHOWN).collect()
}

// === impl NotGranted ===

impl From<Silent> for NotGranted {
    fn from(silent: Silent) -> Self {
        Self::Trouble { why: silent.to_string(), retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Response<Bytes> {
        let response = Response::builder().status(status).header(RETRY_AFTER, "7");
        response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    #[test]
    fn which_refusals_are_for_good() {
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_grant"}"#, "for good: invalid_grant"),
            (
                401,
                r#"{"error":"invalid_client","error_description":"un\u001bknown"}"#,
                "for good: invalid_client (unknown)",
            ),
            (400, r#"{"error":"temporarily_unavailable"}"#, "passing 7: temporarily_unavailable"),
            (400, "<html>", "passing 7: it answered 400 Bad Request"),
            (429, r#"{"error":"slow_down"}"#, "passing 7: slow_down"),
            (500, r#"{"error":"invalid_grant"}"#, "passing 7: invalid_grant"),
            (302, "", "passing 7: it answered 302 Found"),
            (503, "", "passing 7: it answered 503 Service Unavailable"),
        ] {
            let found = match refusal(&answered(status, body)) {
                NotGranted::Refused(why) => format!("for good: {why}"),
                NotGranted::Trouble { why, retry_after } => {
                    format!("passing {}: {why}", retry_after.unwrap().as_secs())
                }
                NotGranted::Unusable(why) => why.to_owned(),
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn which_answers_are_tokens() {
        for (body, expected) in [
            (r#"{"access_token":"a","token_type":"Bearer","expires_in":3600}"#, "a 3600 - -"),
            (r#"{"access_token":"a","token_type":"bearer","expires_in":"60"}"#, "a 60 - -"),
            (
                r#"{"access_token":"a","token_type":"bearer","refresh_token":"r","scope":"x y"}"#,
                "a - r x+y",
            ),
            (r#"{"access_token":"a","token_type":"bearer","refresh_token":""}"#, "a - - -"),
            (r#"{"access_token":"a","token_type":"bearer","expires_in":-1}"#, "a - - -"),
            (r#"{"access_token":"a","token_type":"DPoP"}"#, "its token is no bearer token"),
            (
                r#"{"access_token":"a b","token_type":"bearer"}"#,
                "its token cannot be sent in a header",
            ),
            (
                r#"{"access_token":"","token_type":"bearer"}"#,
                "its token cannot be sent in a header",
            ),
            (r#"{"access_token":"a"}"#, "it cannot be read"),
            (r#"{"error":"bad_verification_code"}"#, "bad_verification_code"),
            ("access_token=a", "it cannot be read"),
        ] {
            let found = match granted(&answered(200, body)) {
                Ok(Granted { access, refresh, expires_in, scopes }) => format!(
                    "{} {} {} {}",
                    access.secret(),
                    expires_in.map_or("-".to_owned(), |time| time.as_secs().to_string()),
                    refresh.map_or("-".to_owned(), RefreshToken::into_secret),
                    scopes.map_or("-".to_owned(), |scopes| scopes.join("+")),
                ),
                Err(NotGranted::Refused(why) | NotGranted::Trouble { why, .. }) => why,
                Err(NotGranted::Unusable(why)) => why.to_owned(),
            };
            assert_eq!(found, expected, "{body}");
        }
    }
}
