//! What surrounds every request to the console: where it may come from, what its answer may do.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Trouble;

/// Nothing but this origin's own style sheet, script and icon; no markup is made out of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses what another site began and could change something; puts the headers on every answer.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let is_fit = request.method().is_safe() || is_ours(request.headers(), request.uri());
    let mut response =
        if is_fit { next.run(request).await } else { Trouble::Foreign.into_response() };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a page of this console began the request, as the browser says. Browsers that know
/// `Sec-Fetch-Site` (all since 2023) are believed in that alone; of others the origin counts, which
/// must be the host that was asked (in HTTP/2 its name is in the address). What says neither is no
/// browser, and has no business here.
fn is_ours(headers: &HeaderMap, asked: &Uri) -> bool {
    let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = header(&ORIGIN).filter(|origin| origin.contains("://"));
    let origin = origin.and_then(|origin| origin.parse::<Uri>().ok());
    let Some(origin) = origin.and_then(|uri| uri.into_parts().authority) else { return false };
    let host = asked.authority().map(Authority::as_str).or_else(|| header(&HOST));
    host == Some(origin.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_console_may_change_something() {
        let ours = "https://enforce.acme.example";
        let here = "enforce.acme.example";
        for (site, origin, host, fit) in [
            (Some("same-origin"), None, here, true),
            (Some("same-origin"), Some("null"), here, true),
            (Some("same-site"), Some(ours), here, false),
            (Some("cross-site"), Some(ours), here, false),
            (Some("none"), None, here, false),
            (None, Some(ours), here, true),
            (None, Some("https://127.0.0.1:8443"), "127.0.0.1:8443", true),
            (None, Some("https://127.0.0.1:8444"), "127.0.0.1:8443", false),
            (None, Some("https://evil.example"), here, false),
            (None, Some("https://enforce.acme.example.evil.example"), here, false),
            (None, Some("null"), here, false),
            (None, Some("null"), "null", false),
            (None, Some(""), here, false),
            (None, Some(""), "", false),
            (None, None, here, false),
        ] {
            let mut headers = HeaderMap::new();
            let mut put = |name: &'static str, value: Option<&'static str>| {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            };
            put("sec-fetch-site", site);
            put("origin", origin);
            let in_address = format!("https://{host}/console/login");
            if let Ok(address) = in_address.parse() {
                assert_eq!(is_ours(&headers, &address), fit, "{site:?} {origin:?} {host:?}");
            }
            headers.insert("host", HeaderValue::from_static(host));
            let found = is_ours(&headers, &Uri::from_static("/console/login"));
            assert_eq!(found, fit, "{site:?} {origin:?} {host:?}");
        }
    }
}
