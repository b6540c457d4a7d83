//! Where a peer is: its base URL, and the paths below it.

use std::net::IpAddr;

use hyper::Uri;

/// Why a base URL cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadAddress {
    /// It is none, or holds a user, a query or a fragment.
    #[error("the URL is not one like https://host.example.com")]
    Url,
    /// It is `http://` and leaves this machine.
    #[error("the URL is http:// and no loopback address; use https://")]
    Plaintext,
}

/// Reads a base URL: `https`, or `http` to this machine itself.
///
/// # Errors
///
/// [`BadAddress`].
pub fn base(url: &str) -> Result<Uri, BadAddress> {
    let url: Uri = url.parse().map_err(|_| BadAddress::Url)?;
    let authority = url.authority().ok_or(BadAddress::Url)?;
    if authority.as_str().contains('@') || url.query().is_some() {
        return Err(BadAddress::Url);
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_loopback(authority.host()) => Ok(url),
        Some("http") => Err(BadAddress::Plaintext),
        _ => Err(BadAddress::Url),
    }
}

/// Whether a host is this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// A token as one path segment: RFC 3986 §2.3's unreserved characters stand for themselves. Dots alone would
/// be a step in the path, so they are written out.
pub fn segment(token: &str) -> String {
    use std::fmt::Write as _;

    let only_dots = token.bytes().all(|byte| byte == b'.');
    let mut segment = String::with_capacity(token.len());
    for byte in token.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        if plain || (byte == b'.' && !only_dots) {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}"); // writing to a string does not fail
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_urls_are_asked() {
        for (url, expected) in [
            ("https://enforce.acme.example", "ok"),
            ("https://enforce.acme.example:8443/base", "ok"),
            ("https://10.0.0.1", "ok"),
            ("http://127.0.0.1:8080", "ok"),
            ("http://127.8.9.1", "ok"),
            ("http://[::1]:8080", "ok"),
            ("http://LocalHost:8080", "ok"),
            ("http://localhost.acme.example", "Plaintext"),
            ("http://enforce.acme.example", "Plaintext"),
            ("http://0.0.0.0", "Plaintext"),
            ("http://[::]", "Plaintext"),
            ("https://user:pass@acme.example", "Url"),
            ("http://127.0.0.1@acme.example", "Url"),
            ("https://acme.example/?a=b", "Url"),
            ("ftp://acme.example", "Url"),
            ("acme.example", "Url"),
            ("/v1", "Url"),
            ("https://", "Url"),
            ("", "Url"),
        ] {
            let found = match base(url) {
                Ok(_) => "ok".to_owned(),
                Err(error) => format!("{error:?}"),
            };
            assert_eq!(found, expected, "{url:?}");
        }
    }

    #[test]
    fn a_token_is_one_segment() {
        for (token, expected) in [
            ("abc-DEF_1~2.3", "abc-DEF_1~2.3"),
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("100%", "100%25"),
            ("é", "%C3%A9"),
            ("a b\n", "a%20b%0A"),
            ("..", "%2E%2E"),
            (".", "%2E"),
        ] {
            assert_eq!(segment(token), expected);
        }
    }
}
