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
