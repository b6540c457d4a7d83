//! Reads the body of a request: JSON, and nothing else.
//!
//! ```text
//! async fn resolve(caller: Caller, Sent(answer): Sent<Answer>) -> Result<…, Fault>
//! ```
//!
//! A body is read after whatever stands before it has been found good: [`Sent`] is the last
//! argument of a handler, the caller an earlier one. How long it may be and how slowly it may come
//! is set by [`listen`](super::listen) for every reader of bodies.
//!
//! # Invariants
//!
//! - What is told about a bad body holds nothing of the body.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::Fault;
use super::listen::bounds::Cut;

/// What was sent: the JSON body of a request, read by serde.
///
/// Rejected with a [`Fault`]: 415 where it does not call itself JSON, 413 where it is too long, 408
/// where it comes too slowly, 400 `malformed_request` where it is not JSON or not what is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Sent<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        if !says_json(request.headers()) {
            let message = "send the body as `Content-Type: application/json`";
            return Err(Fault::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                message,
            ));
        }
        let bytes = match request.into_body().collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => return Err(Cut::behind(&error).map_or_else(broken_off, Fault::from)),
        };
        serde_json::from_slice(&bytes).map(Self).map_err(|error| unreadable(&error))
    }
}

impl From<Cut> for Fault {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::TooLong { most } => Self::too_long(most),
            Cut::TooSlow => {
                let message = "the body came too slowly";
                Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
            }
        }
    }
}

/// `application/json`, or any `application/*+json`, whatever its parameters.
fn says_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(kind) = kind.strip_prefix("application/") else { return false };
    kind == "json" || kind.ends_with("+json")
}

fn broken_off() -> Fault {
    Fault::malformed("the body broke off")
}

fn unreadable(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    if !error.is_data() {
        return Fault::malformed(format!("the body is not JSON, at line {line}, column {column}"));
    }
    // Of what serde says, only this names nothing that was sent: the field is ours.
    let said = error.to_string();
    let lacks = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    Fault::malformed(match lacks {
        Some(field) => format!("the body lacks the member `{field}`"),
        None => {
            format!("the body is not what is asked for here, at line {line}, column {column}")
        }
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Name {
        name: String,
    }

    async fn sent(kind: Option<&str>, body: &str) -> Result<String, (u16, String)> {
        let mut request = Request::builder();
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        match Sent::<Name>::from_request(request, &()).await {
            Ok(Sent(Name { name })) => Ok(name),
            Err(fault) => Err((fault.status().as_u16(), format!("{fault:?}"))),
        }
    }

    #[tokio::test]
    async fn what_is_json_by_name_and_by_nature_is_read() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/a+json"] {
            assert_eq!(sent(Some(kind), r#"{"name":"a"}"#).await.unwrap(), "a", "{kind}");
        }
    }

    #[tokio::test]
    async fn what_is_not_is_told_without_a_word_of_it() {
        let json = Some("application/json");
        for (kind, body, status, says) in [
            (None, "{}", 415, "Content-Type"),
            (Some("text/plain"), "{}", 415, "Content-Type"),
            (Some("application/jsonp"), "{}", 415, "Content-Type"),
            (json, "", 400, "not JSON"),
            (json, "{hunter2}", 400, "not JSON, at line 1, column 2"),
            (json, r#"{"hunter2":1}"#, 400, "lacks the member `name`"),
            (json, r#"{"name":["hunter2"]}"#, 400, "not what is asked for here"),
        ] {
            let (got, message) = sent(kind, body).await.unwrap_err();
            assert_eq!(got, status, "{body}");
            assert!(message.contains(says), "{body}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
