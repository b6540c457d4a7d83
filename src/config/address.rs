//! Reads the address of the enforcer or the GovAPI. Pure.

use std::net::IpAddr;

use super::parse::Wrong;

/// An address to send requests to, in normal form: without a slash at the end.
///
/// `https`; plain `http` only where the bytes stay on this machine.
pub(super) fn base_url(value: &str) -> Result<String, Wrong> {
    const WANTED: Wrong = Wrong::new("is not an address", "write https://HOST");
    let uri: hyper::Uri = value.parse().map_err(|_| WANTED)?;
    let scheme = uri.scheme_str().ok_or(WANTED)?;
    let authority = uri.authority().ok_or(WANTED)?;
    let host = authority.host();
    if authority.as_str().contains('@') {
        return Err(Wrong::new(
            "holds a user name or password",
            "leave it out, the key goes into an API key file",
        ));
    }
    let has_port = authority.as_str().len() > host.len();
    if host.is_empty() || has_port && matches!(authority.port_u16(), None | Some(0)) {
        return Err(WANTED);
    }
    if value.contains(['?', '#']) {
        return Err(Wrong::new("holds a query or a fragment", "write the base address alone"));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err(Wrong::new("is http to another machine", "write https")),
        _ => return Err(WANTED),
    }
    let path = uri.path().trim_end_matches('/');
    Ok(format!("{scheme}://{authority}{path}"))
}

/// The address of an MCP server: `https`, or plain `http` where the bytes stay on this machine. It may
/// have a query; what it must not have is a user, who would be a credential on a command line.
pub(super) fn upstream_url(value: &str) -> Result<hyper::Uri, Wrong> {
    const WANTED: Wrong = Wrong::new("is not an address", "write https://HOST/PATH");
    if value.contains('#') {
        return Err(Wrong::new("holds a fragment", "leave it out"));
    }
    let uri: hyper::Uri = value.parse().map_err(|_| WANTED)?;
    let base = value.split('?').next().unwrap_or_default();
    base_url(base).map(|_| uri)
}

/// The address of a tenant's service under an apex domain: `enforce` or `grid`.
///
/// Both become part of a host name, so both are held to its letters: a tenant such as
/// `a.example/` must not lead elsewhere.
pub(super) fn derived_url(service: &str, tenant: &str, apex: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = is_label(tenant) && apex.contains('.') && apex.split('.').all(is_label);
    fits.then(|| format!("https://{service}.{tenant}.{apex}").to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_stays_on_this_machine() {
        for (written, read) in [
            ("https://e.example", "https://e.example"),
            ("HTTPS://e.example/", "https://e.example"),
            ("https://e.example:8443/base//", "https://e.example:8443/base"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.9.9.9", "http://127.9.9.9"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://localhost:1/x", "http://localhost:1/x"),
            ("http://LocalHost", "http://LocalHost"),
        ] {
            assert_eq!(base_url(written).as_deref(), Ok(read), "{written}");
        }
        for refused in [
            "",
            "e.example",
            "/v1",
            "ftp://e.example",
            "http://e.example",
            "HTTP://e.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://localhost.e.example",
            "http://127.0.0.1.e.example",
            "http://localhost@e.example",
            "https://user:word@e.example",
            "https://e.example?x",
            "https://e.example#x",
            "https://e.example:",
            "https://e.example:0",
            "https://e.example:65536",
            "https://e.example:x",
            "https://",
            "https:///x",
            "https://e example",
        ] {
            assert!(base_url(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_tenant_cannot_lead_to_another_host() {
        assert_eq!(
            derived_url("enforce", "Acme", "example.com").as_deref(),
            Some("https://enforce.acme.example.com")
        );
        for (tenant, apex) in [
            ("", "example.com"),
            ("a.b", "example.com"),
            ("a/", "example.com"),
            ("a@b", "example.com"),
            ("-a", "example.com"),
            ("a", "localhost"),
            ("a", "example.com/x"),
            ("a", "example..com"),
            ("a", ".com"),
            ("a", "example.com:1"),
        ] {
            assert_eq!(derived_url("enforce", tenant, apex), None, "{tenant} {apex}");
        }
    }
}
