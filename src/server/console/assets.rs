//! The console's own files: one style sheet, one script, one icon, compiled in.
//!
//! Their addresses hold a part of their hash, so that a browser may keep them as long as it likes and
//! never mixes versions.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/script.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Where the style sheet is.
pub(super) fn style() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| path("style.css", STYLE));
    &PATH
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| path("script.js", SCRIPT));
    &PATH
}

fn path(name: &str, text: &str) -> String {
    let hash = hex::encode(Sha256::digest(text));
    format!("/console/{name}?v={}", &hash[..16])
}

/// `GET /console/style.css`
pub(super) async fn get_style() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

/// `GET /console/script.js`
pub(super) async fn get_script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /console/icon.svg`
pub(super) async fn get_icon() -> Response {
    file("image/svg+xml", ICON)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (StatusCode::OK, headers, text).into_response()
}
