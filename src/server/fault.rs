//! What a request is answered with when it cannot be served: the body of the public REST reference,
//! `{"error": {"code", "message", "requestId"}}`.

use std::error::Error as _;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use super::store::StoreError;

/// Why a request was not served. Holds nothing of the request, and nothing secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

// === impl Fault ===

impl Fault {
    /// A status, a stable word for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 400
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    /// 401
    pub fn unauthenticated() -> Self {
        let message = "send a valid API key as `Authorization: Bearer` or `X-Api-Key`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// 403
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", message)
    }

    /// 404
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413: a body of more than so many bytes.
    pub fn too_long(most: u64) -> Self {
        let message = format!("the body is longer than the {most} bytes that are read here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    /// 503: it took too long, or the server is about to end; to come back at once.
    pub fn cut_short(message: &'static str) -> Self {
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::unavailable(message) }
    }

    /// 500: a defect of ours. What it was is in the log.
    pub fn broken() -> Self {
        let message = "the enforcer failed; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// A status alone, in words: for answers that say no more themselves.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status.as_u16() {
            401 => return Self::unauthenticated(),
            403 => ("insufficient_scope", "that is not allowed"),
            404 => ("not_found", "there is nothing at this address"),
            405 => ("method_not_allowed", "this address has no such method"),
            408 => ("too_slow", "the request came too slowly"),
            413 => ("payload_too_large", "the body is longer than what is read here"),
            415 => ("unsupported_media_type", "the body is of a type that is not read here"),
            429 => ("rate_limited", "too many requests"),
            500..=599 => return Self { status, ..Self::broken() },
            _ => ("malformed_request", "the request cannot be read"),
        };
        Self::new(status, code, message)
    }

    /// 429, to come back after this time.
    pub fn too_many(after: Duration) -> Self {
        let fault = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests");
        Self { retry_after: Some(after), ..fault }
    }

    /// 503: something this server needs is away.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The word for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<&StoreError> for Fault {
    /// What failed is for the log, not for whoever asked.
    fn from(error: &StoreError) -> Self {
        tracing::error!(%error, source = error.source(), "the store failed");
        Self::unavailable("the store is away; try again")
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let request = Uuid::new_v4().to_string();
        let error = json!({"code": self.code, "message": self.message, "requestId": request});
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            if let Ok(value) = HeaderValue::from_str(&format!("{seconds:.0}")) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}
