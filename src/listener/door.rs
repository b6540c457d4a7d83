//! Who is let in: the checks of a request's head, in their order, before any byte of its body is
//! read.
//!
//! ```text
//! Host ─▶ Origin ─▶ Sec-Fetch-Site ─▶ secret and path ─▶ method ─▶ Accept ─▶ Content-Type
//!  403      403          403               404            405      406          415
//! ```
//!
//! A web page can send requests here, under a name that its owner lets point to this machine: the
//! first three checks are against that. Everything else that has not the secret sees a server
//! without pages.
//!
//! # Invariants
//!
//! - Pure: the same head is always treated the same.
//! - Nothing is said of why the secret did not fit, or whether the path would have.

use hyper::header::{self, AsHeaderName, HeaderMap, HeaderValue};
use hyper::http::request;
use hyper::{Method, StatusCode, Uri};

use super::secret::Secret;

/// What the listener's only page is called.
const PAGE: &str = "/mcp";

/// Where a request may come from, and what it must know.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// The values of `Host` that are this listener's.
    hosts: [String; 3],
    /// Values of `Origin` that are let in.
    origins: Vec<Origin>,
    secret: Secret,
}

/// An origin of requests, as browsers write it: `scheme://host` or `scheme://host:port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin(String);

/// A text that is no origin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "is no origin: write `scheme://host` or `scheme://host:port`, in lower case, as browsers do"
)]
pub struct NotAnOrigin;

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    /// `POST`: here is a message.
    Post(Accepts),
    /// `GET`: what the server has to say by itself.
    Get,
    /// `DELETE`: the end of a session.
    Delete,
}

/// The forms of an answer that the client reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Accepts {
    /// JSON and event streams, as the protocol demands.
    Both,
    /// JSON alone.
    Json,
    /// Event streams alone, or rather than JSON.
    Stream,
}

// === impl Door ===

impl Door {
    pub(super) fn new(port: u16, origins: Vec<Origin>, secret: Secret) -> Self {
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        Self { hosts, origins, secret }
    }

    /// Lets a request in, or says with which status it is refused.
    pub(super) fn admit(&self, head: &request::Parts) -> Result<Asked, StatusCode> {
        let headers = &head.headers;
        if !self.is_ours(&head.uri, headers) || !self.is_from_no_page(headers) {
            return Err(StatusCode::FORBIDDEN);
        }
        if !self.knows(&head.uri, headers) {
            return Err(StatusCode::NOT_FOUND);
        }
        match head.method {
            Method::GET if accepts(headers).is_some_and(|accepts| accepts != Accepts::Json) => {
                Ok(Asked::Get)
            }
            Method::POST => match accepts(headers) {
                Some(_) if !is_json(headers) => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
                Some(accepts) => Ok(Asked::Post(accepts)),
                None => Err(StatusCode::NOT_ACCEPTABLE),
            },
            Method::GET => Err(StatusCode::NOT_ACCEPTABLE),
            Method::DELETE => Ok(Asked::Delete),
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Whether the request was meant for this listener, under one of its names.
    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let is_name = |name: &str| self.hosts.iter().any(|host| host == name);
        let host = only(headers, header::HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(is_name)
            && uri.authority().is_none_or(|authority| is_name(authority.as_str()))
    }

    /// Whether no web page made the request, or only one that was allowed to.
    fn is_from_no_page(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter().peekable();
        if origins.peek().is_some() {
            // The page's own site is told by its origin, which is good: the other header adds nothing.
            let is_good = |origin: &HeaderValue| {
                self.origins.iter().any(|good| good.0.as_bytes() == origin.as_bytes())
            };
            return origins.all(is_good);
        }
        headers.get_all("sec-fetch-site").iter().all(|site| site.as_bytes() == b"none")
    }

    /// Whether the secret is in its place: in the header, or before the page's name.
    fn knows(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let path = uri.path();
        if path == PAGE {
            let value = only(headers, header::AUTHORIZATION).map(HeaderValue::as_bytes);
            let (scheme, secret) =
                value.and_then(|value| value.split_at_checked(7)).unwrap_or_default();
            return self.secret.is(secret) & scheme.eq_ignore_ascii_case(b"Bearer ");
        }
        let secret = path.strip_prefix('/').and_then(|path| path.strip_suffix(PAGE));
        self.secret.is(secret.unwrap_or_default().as_bytes())
    }
}

// === impl Origin ===

impl Origin {
    /// Takes an origin as browsers write it.
    ///
    /// # Errors
    ///
    /// [`NotAnOrigin`], also for `null`, which every sandboxed page sends.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnOrigin)?;
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-._:[]".contains(&byte)
        };
        let is_good = !scheme.is_empty() && !rest.is_empty() && text.len() <= 256;
        if is_good && scheme.bytes().chain(rest.bytes()).all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnOrigin)
        }
    }
}

/// The header's value, where there is exactly one.
pub(super) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Which forms of an answer the client reads; `None` where there is none we have. Of two that it
/// reads, the one it names first.
fn accepts(headers: &HeaderMap) -> Option<Accepts> {
    if !headers.contains_key(header::ACCEPT) {
        return Some(Accepts::Both);
    }
    let ranges = headers.get_all(header::ACCEPT).iter();
    let ranges = ranges.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let (mut json, mut stream) = (None, None);
    for (place, range) in ranges.enumerate() {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            weight.is_some_and(|weight| weight <= 0.0)
        });
        if is_refused {
            continue;
        }
        if matches!(&*kind, "application/json" | "application/*" | "*/*") {
            json = json.or(Some(place));
        }
        if matches!(&*kind, "text/event-stream" | "text/*" | "*/*") {
            stream = stream.or(Some(place));
        }
    }
    match (json, stream) {
        (Some(json), Some(stream)) if json <= stream => Some(Accepts::Both),
        (_, Some(_)) => Some(Accepts::Stream),
        (Some(_), None) => Some(Accepts::Json),
        (None, None) => None,
    }
}

/// Whether the body says that it is JSON. A page cannot say so without asking first.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = only(headers, header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    /// What becomes of a request: a good one, changed by lines as in a diff.
    fn admitted(changes: &[&str]) -> Result<Asked, u16> {
        let mut first = "POST /mcp".to_owned();
        let mut headers = vec![
            "host: 127.0.0.1:7000".to_owned(),
            format!("authorization: Bearer {SECRET}"),
            "accept: application/json, text/event-stream".to_owned(),
            "content-type: application/json".to_owned(),
        ];
        for change in changes {
            let change = change.replace("SECRET", SECRET);
            match change.split_at(1) {
                ("-", name) => headers.retain(|header| !header.starts_with(name)),
                ("+", header) => headers.push(header.to_owned()),
                ("=", header) => {
                    let (name, _) = header.split_once(':').unwrap();
                    headers.retain(|header| !header.starts_with(name));
                    headers.push(header.to_owned());
                }
                _ => first = change,
            }
        }
        let (method, uri) = first.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let origins = vec![Origin::parse("vscode-file://vscode-app").unwrap()];
        let door = Door::new(7000, origins, Secret::parse(SECRET).unwrap());
        door.admit(&request.body(()).unwrap().into_parts().0).map_err(|status| status.as_u16())
    }

    #[test]
    fn a_good_request_is_let_in() {
        let post = Ok(Asked::Post(Accepts::Both));
        for changes in [
            &[][..],
            &["=host: localhost:7000"],
            &["=host: [::1]:7000"],
            &["POST http://localhost:7000/mcp"],
            &["+origin: vscode-file://vscode-app"],
            &["+origin: vscode-file://vscode-app", "+sec-fetch-site: cross-site"],
            &["+sec-fetch-site: none"],
            &["=authorization: bearer SECRET"],
            &["POST /SECRET/mcp", "-authorization"],
            &["POST /SECRET/mcp", "=authorization: Bearer of-another-place"],
            &["POST /mcp?client=x"],
            &["=content-type: application/JSON; charset=utf-8"],
            &["-accept"],
            &["=accept: */*"],
        ] {
            assert_eq!(admitted(changes), post, "{changes:?}");
        }
        assert_eq!(admitted(&["=accept: application/json"]), Ok(Asked::Post(Accepts::Json)));
        for accept in ["text/event-stream", "text/event-stream, application/json", "text/*, */*"] {
            let change = format!("=accept: {accept}");
            assert_eq!(admitted(&[&change]), Ok(Asked::Post(Accepts::Stream)), "{accept}");
        }
        assert_eq!(admitted(&["GET /mcp", "-content-type"]), Ok(Asked::Get));
        assert_eq!(admitted(&["DELETE /mcp", "-content-type", "-accept"]), Ok(Asked::Delete));
    }

    #[test]
    fn each_check_comes_before_the_next() {
        // Each request is wrong in one thing more, from the last check to the first.
        let mut wrong = Vec::new();
        for (change, status) in [
            ("=content-type: text/plain", 415),
            ("=accept: image/png", 406),
            ("PUT /mcp", 405),
            ("=authorization: Bearer x", 404),
            ("+sec-fetch-site: same-origin", 403),
            ("+origin: http://127.0.0.1:7000", 403),
            ("=host: evil.example:7000", 403),
        ] {
            wrong.push(change);
            assert_eq!(admitted(&wrong), Err(status), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_almost_right_is_wrong() {
        for (change, status) in [
            ("-host", 403),
            ("+host: 127.0.0.1:7000", 403),
            ("=host: 127.0.0.1", 403),
            ("=host: 127.0.0.1:7001", 403),
            ("=host: LOCALHOST:7000", 403),
            ("=host: localhost.:7000", 403),
            ("=host: 127.0.0.1:7000.evil.example", 403),
            ("=host: 0.0.0.0:7000", 403),
            ("POST http://evil.example:7000/mcp", 403),
            ("+origin: null", 403),
            ("+origin: vscode-file://vscode-app/", 403),
            ("+sec-fetch-site: same-site", 403),
            ("-authorization", 404),
            ("+authorization: Bearer SECRET", 404),
            ("=authorization: Basic x", 404),
            ("=authorization: Bearer ", 404),
            ("POST /", 404),
            ("POST /SECRET/mcp/", 404),
            ("POST /SECRET", 404),
            ("POST /SECRET/other", 404),
            ("POST /x/SECRET/mcp", 404),
            ("POST /mcp/SECRET", 404),
            ("POST /MCP", 404),
            ("POST //mcp", 404),
            ("GET /.well-known/oauth-protected-resource", 404),
            ("GET /.well-known/oauth-protected-resource/mcp", 404),
            ("POST /register", 404),
            ("OPTIONS /mcp", 405),
            ("HEAD /mcp", 405),
            ("=accept: application/json;q=0, text/html", 406),
            ("-content-type", 415),
            ("=content-type: application/jsonp", 415),
            ("=content-type: application/x-www-form-urlencoded", 415),
        ] {
            assert_eq!(admitted(&[change]), Err(status), "{change}");
        }
        assert_eq!(admitted(&["GET /mcp", "=accept: application/json"]), Err(406));
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for text in [
            "http://localhost:3000",
            "https://a.example",
            "chrome-extension://abc",
            "http://[::1]:80",
        ] {
            assert!(Origin::parse(text).is_ok(), "{text}");
        }
        for text in
            ["", "null", "*", "a.example", "http://", "://a", "http://a/", "HTTP://A", "http://a b"]
        {
            assert_eq!(Origin::parse(text), Err(NotAnOrigin), "{text}");
        }
    }
}
