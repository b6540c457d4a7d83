//! Reads the headers that are configured one by one. Pure.
//!
//! What stands on a command line, or in a client's configuration, is for everybody to read: headers
//! that are made for secrets are refused there. What is thoth's own to set, or says how a message is
//! framed, is refused everywhere.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::parse::Wrong;
use crate::credential::is_reserved;
use crate::secret::header_value;

/// Parts of names that say what is in a header.
const SECRETS: [&str; 13] = [
    "apikey",
    "assertion",
    "auth",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "passwd",
    "password",
    "secret",
    "token",
];

/// Whether a header is made for a secret, by its name: `Authorization`, `Cookie`, `X-Api-Key`, …
pub fn is_for_secrets(name: &HeaderName) -> bool {
    let parts: Vec<_> = name.as_str().split(['-', '_', '.']).collect();
    parts.iter().any(|part| SECRETS.contains(part))
        || parts.windows(2).any(|pair| matches!(pair, ["api" | "access" | "private", "key"]))
}

/// Headers that hold no secret: `Name: value`, one on each line.
pub(super) fn plain(text: &str) -> Result<HeaderMap, Wrong> {
    let mut headers = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (header, value) = line
            .split_once(':')
            .ok_or(Wrong::new("has a header without `:`", "write Name: value"))?;
        let header = name(header)?;
        if is_for_secrets(&header) {
            return Err(Wrong::new(
                "has a header that is made for secrets, and is for everybody to read",
                "use a token, --upstream-header-env or --upstream-header-file",
            ));
        }
        add(&mut headers, header, value_of(value)?)?;
    }
    if headers.is_empty() {
        return Err(Wrong::new("has no header", "write Name: value, or leave it out"));
    }
    Ok(headers)
}

/// Headers whose values are in variables, `Name=VARIABLE`, separated by commas: which variable
/// belongs to which header.
pub(super) fn named(text: &str) -> Result<Vec<(HeaderName, &str)>, Wrong> {
    let entries = super::parse::entries(text).map(|entry| {
        let (header, variable) = entry
            .split_once('=')
            .ok_or(Wrong::new("has an entry without `=`", "write Name=VARIABLE"))?;
        let variable = variable.trim();
        if variable.is_empty() {
            return Err(Wrong::new("has an entry without a variable", "write Name=VARIABLE"));
        }
        Ok((name(header)?, variable))
    });
    entries.collect()
}

/// The name of one header, where it is one that can be configured.
pub(super) fn name(text: &str) -> Result<HeaderName, Wrong> {
    let name: HeaderName = text.trim().parse().map_err(|_| {
        Wrong::new("has no header's name", "write a name of letters, digits and hyphens")
    })?;
    if is_reserved(&name) {
        return Err(Wrong::new("names a header that the transport sets itself", "leave it out"));
    }
    Ok(name)
}

pub(super) fn value_of(text: &str) -> Result<HeaderValue, Wrong> {
    header_value(text).map_err(|_| {
        Wrong::new("has a value that cannot be sent in a header", "write visible ASCII characters")
    })
}

/// Adds a header that is not there yet.
pub(super) fn add(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
) -> Result<(), Wrong> {
    if headers.insert(name, value).is_some() {
        return Err(Wrong::new("has a header that is given twice", "write it once"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_headers_hold_no_secret_and_none_of_the_transports() {
        for (text, expected) in [
            ("X-Team: blue", Ok(&[("x-team", "blue")][..])),
            ("X-Team:blue:1\r\n\n Origin :  a b ", Ok(&[("origin", "a b"), ("x-team", "blue:1")])),
            ("X-Author: ann", Ok(&[("x-author", "ann")])),
            ("", Err("has no header")),
            ("X-Team", Err("has a header without `:`")),
            ("X-Team:", Err("has a value that cannot be sent in a header")),
            ("X-Team: schlüssel", Err("has a value that cannot be sent in a header")),
            ("X-Team: a\u{0}", Err("has a value that cannot be sent in a header")),
            ("X Team: a", Err("has no header's name")),
            (": a", Err("has no header's name")),
            ("X-Team: a\nx-team: b", Err("has a header that is given twice")),
            ("Host: a", Err("names a header that the transport sets itself")),
            ("content-length: 1", Err("names a header that the transport sets itself")),
            ("Mcp-Session-Id: 1", Err("names a header that the transport sets itself")),
            ("Accept: a", Err("names a header that the transport sets itself")),
            ("Connection: a", Err("names a header that the transport sets itself")),
            ("Transfer-Encoding: a", Err("names a header that the transport sets itself")),
        ] {
            let read = plain(text).map(|headers| {
                let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
                let mut read: Vec<_> =
                    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                read.sort();
                read
            });
            let expected = expected.map(|headers| {
                let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
                headers.iter().map(owned).collect::<Vec<_>>()
            });
            assert_eq!(read.map_err(|wrong| wrong.what), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_tells_what_is_made_for_secrets() {
        for (name, expected) in [
            ("authorization", true),
            ("proxy-authentication", true),
            ("cookie", true),
            ("set-cookie", true),
            ("x-api-key", true),
            ("api_key", true),
            ("apikey", true),
            ("x-auth", true),
            ("x-auth-token", true),
            ("private-token", true),
            ("x-client-secret", true),
            ("ocp-apim-subscription-key", false), // no list is complete
            ("x-author", false),
            ("x-team", false),
            ("x-tokens-left", false),
            ("x-workspace-id", false),
            ("key", false),
        ] {
            assert_eq!(is_for_secrets(&HeaderName::from_static(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_header_may_name_its_variable() {
        let read = named(" X-Key = MY_KEY,Authorization=a b ,").unwrap();
        let read: Vec<_> = read.iter().map(|(name, variable)| (name.as_str(), *variable)).collect();
        assert_eq!(read, [("x-key", "MY_KEY"), ("authorization", "a b")]);
        for wrong in ["X-Key", "X-Key=", "=MY_KEY", "X Key=MY_KEY", "Host=MY_KEY"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
