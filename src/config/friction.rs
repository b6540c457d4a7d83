//! Reads where friction events go, and what they are labelled with: the `BATON_*` variables.
//!
//! Nobody's events leave this machine by accident: a collector needs consent, a vendor and a key,
//! each said on purpose. What is missing is a problem, so that thoth does not start half-configured.

use std::path::PathBuf;

use super::address;
use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Friction, SinkPlace};
use super::sources::{Origin, Setting};
use super::variables as name;
use crate::credential::{Credential, Source};
use crate::friction::event::Wire;
use crate::machine::clock;
use crate::secret::ApiKey;

/// The label of events that stay on this machine.
const LOCAL: &str = "local";

/// What a DSN says: `https://KEY@HOST/TENANT/SERVER`.
struct Dsn {
    collector: String,
    key: ApiKey,
    tenant: String,
    server: String,
}

/// `None` where nothing says where events go, or they are switched off.
pub(super) fn friction(read: &mut Reader<'_>) -> Option<Friction> {
    if read.optional(Setting::of(&[&name::BATON_DISABLED]), |text| Ok(is_disabled(text)))
        == Some(true)
    {
        return None;
    }
    let of_sinks = Setting::of(&[&name::BATON_EVENT_SINK]);
    let are_given = read.is_given(of_sinks);
    let sinks = read.optional(of_sinks, sinks);
    let dsn = dsn(read);
    let tenant = read.optional(Setting::of(&[&name::BATON_TENANT_ID]), parse::text);
    let vendor = read.optional(Setting::of(&[&name::BATON_VENDOR_ID]), parse::text);
    let of_consent = Setting::of(&[&name::BATON_CONSENT_TOKEN]).secret();
    let consent = read.optional(of_consent, parse::text);
    let own_key = api_key(read);

    let sinks = match (sinks, &dsn) {
        (Some(sinks), _) => sinks,
        (None, _) if are_given => return None, // the problem is known
        (None, Some(dsn)) => vec![SinkPlace::Http(dsn.collector.clone())],
        (None, None) => return None,
    };
    let (dsn_key, dsn_tenant, dsn_vendor) =
        dsn.map_or((None, None, None), |dsn| (Some(dsn.key), Some(dsn.tenant), Some(dsn.server)));
    let of_dsn = |secret| Source::Value { secret, from: name::BATON_DSN.name, key_id: None };
    let friction = Friction {
        api_key: own_key.or(dsn_key.map(of_dsn)).map(credential),
        tenant_id: tenant.or(dsn_tenant).unwrap_or_else(|| LOCAL.to_owned()),
        vendor_id: vendor.or(dsn_vendor).unwrap_or_else(|| LOCAL.to_owned()),
        consent_token: consent.unwrap_or_else(|| LOCAL.to_owned()),
        sinks,
        wire: Wire::default(),
        additions: None,
    };
    guard(read, &friction);
    Some(friction)
}

/// What must be said before events leave this process for a collector.
fn guard(read: &mut Reader<'_>, friction: &Friction) {
    if !friction.sinks.iter().any(SinkPlace::is_collector) {
        return;
    }
    let is_local = |text: &str| text.eq_ignore_ascii_case(LOCAL);
    let mut missing = |name, what, fix| {
        read.problem(Origin::Variable(name), Wrong::new(what, fix));
    };
    let local = "is `local`, and events would go to a collector";
    if is_local(&friction.consent_token) {
        missing(
            name::BATON_CONSENT_TOKEN.name,
            local,
            "set it to the consent you were given, or take the collector out of BATON_EVENT_SINK",
        );
    }
    if is_local(&friction.vendor_id) {
        missing(name::BATON_VENDOR_ID.name, local, "set it to the vendor of the wrapped server");
    }
    if friction.api_key.is_none() {
        let what = "is not set, and events would go to a collector";
        missing(name::BATON_API_KEY.name, what, "set the collector's key");
    }
}

fn api_key(read: &mut Reader<'_>) -> Option<Source> {
    let of_key = Setting::of(&[&name::BATON_API_KEY]).secret();
    let secret = read.optional(of_key, key)?;
    Some(Source::Value { secret, from: of_key.name, key_id: None })
}

fn credential(source: Source) -> Credential {
    Credential::new("friction_api_key", source, clock::now)
}

fn key(text: &str) -> Result<ApiKey, Wrong> {
    ApiKey::parse(text).map_err(|_| {
        Wrong::new(
            "holds a character that cannot be sent in an HTTP header",
            "write the secret alone",
        )
    })
}

/// It is on unless it says no, as baton-sdk reads it.
fn is_disabled(text: &str) -> bool {
    parse::boolean(text).unwrap_or(true)
}

fn dsn(read: &mut Reader<'_>) -> Option<Dsn> {
    read.optional(Setting::of(&[&name::BATON_DSN]).secret(), parse_dsn)
}

/// `https://baton_pk_…@host/ten_…/server`
fn parse_dsn(text: &str) -> Result<Dsn, Wrong> {
    const WANTED: Wrong = Wrong::new("is no DSN", "write https://KEY@HOST/TENANT/SERVER");
    let (scheme, rest) = text.split_once("://").ok_or(WANTED)?;
    let (user, rest) = rest.split_once('@').ok_or(WANTED)?;
    let mut parts = rest.split('/');
    let mut part = || parts.next().filter(|part| !part.is_empty()).ok_or(WANTED);
    let (host, tenant, server) = (part()?, part()?, part()?);
    if parts.next().is_some_and(|rest| !rest.is_empty()) || parts.next().is_some() {
        return Err(WANTED);
    }
    if user.contains(':') || rest.contains(['?', '#', '@']) {
        return Err(WANTED);
    }
    let is_tenant = tenant.strip_prefix("ten_").is_some_and(|digits| {
        matches!(digits.len(), 8 | 32) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if !is_tenant {
        return Err(Wrong::new("names no tenant", "write ten_ and 8 or 32 hexadecimal digits"));
    }
    Ok(Dsn {
        collector: address::base_url(&format!("{scheme}://{host}"))?,
        key: key(user)?,
        tenant: parse::text(tenant)?,
        server: parse::text(server)?,
    })
}

/// A list of places, separated by commas. A place that is named twice counts once.
fn sinks(text: &str) -> Result<Vec<SinkPlace>, Wrong> {
    let mut sinks = Vec::new();
    for entry in parse::entries(text) {
        let sink = sink(entry)?;
        if !sinks.contains(&sink) {
            sinks.push(sink);
        }
    }
    if sinks.is_empty() {
        return Err(Wrong::new("names no place", "write stderr:, file:///path or https://HOST"));
    }
    Ok(sinks)
}

/// The files among the places.
pub(super) fn files(text: &str) -> Vec<PathBuf> {
    let places = sinks(text).unwrap_or_default().into_iter();
    let file = |place| match place {
        SinkPlace::File(path) => Some(path),
        SinkPlace::Stderr | SinkPlace::Http(_) => None,
    };
    places.filter_map(file).collect()
}

/// Schemes are read in any case, here and nowhere else: what a guard asks is the place that was read.
fn sink(entry: &str) -> Result<SinkPlace, Wrong> {
    const UNKNOWN: Wrong = Wrong::new(
        "names a place that thoth does not know",
        "write stderr:, file:///path or https://HOST",
    );
    let (scheme, rest) = entry.split_once(':').ok_or(UNKNOWN)?;
    match scheme.to_ascii_lowercase().as_str() {
        "stderr" if rest.is_empty() || rest == "//" => Ok(SinkPlace::Stderr),
        "file" => file(rest).map(SinkPlace::File),
        "http" | "https" => address::base_url(entry).map(SinkPlace::Http),
        "s3" | "otlp" | "otlps" => Err(Wrong::new(
            "names a kind of place that this build of thoth has not",
            "write stderr:, file:///path or https://HOST",
        )),
        _ => Err(UNKNOWN),
    }
}

/// What stands behind `file:`: two slashes, no host or this one, and a path from the root on, as it is:
/// nothing in it is decoded.
fn file(rest: &str) -> Result<PathBuf, Wrong> {
    const WANTED: Wrong = Wrong::new("names a file without its whole path", "write file:///path");
    let path = match rest.strip_prefix("//") {
        Some(behind) => {
            let (host, _) = behind.split_once('/').ok_or(WANTED)?;
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err(WANTED);
            }
            &behind[host.len()..]
        }
        None => rest,
    };
    // `/C:/x` is how a Windows path stands in such an address.
    let path = match path.as_bytes() {
        [b'/', letter, b':', ..] if cfg!(windows) && letter.is_ascii_alphabetic() => &path[1..],
        _ => path,
    };
    if path.ends_with('/') {
        return Err(WANTED);
    }
    parse::absolute_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_events_can_go() {
        for (text, read) in [
            ("stderr:", "stderr:"),
            ("STDERR:", "stderr:"),
            ("stderr://", "stderr:"),
            ("file:///var/log/e.jsonl", "file:///var/log/e.jsonl"),
            ("FILE:///a%20b", "file:///a%20b"),
            ("file://localhost/x", "file:///x"),
            ("file:/x", "file:///x"),
            ("https://c.example/", "https://c.example"),
            ("HTTPS://c.example:8443/base", "https://c.example:8443/base"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
            (" stderr: ,, file:///x ,stderr:", "stderr: file:///x"),
        ] {
            let found = sinks(text)
                .map(|sinks| sinks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), Ok(read), "{text}");
        }
        for text in [
            "",
            ",",
            "stderr",
            "stderr:x",
            "/var/log/x",
            "file:",
            "file://",
            "file://tmp/x",
            "file:x",
            "file:///",
            "file:///x/",
            "http://c.example",
            "HTTP://c.example",
            "https://",
            "https://u:p@c.example",
            "https://c.example?a=b#f",
            "s3://bucket",
            "S3://bucket",
            "otlp://c.example",
            "ftp://c.example",
            "stderr:,ftp://c.example",
        ] {
            assert!(sinks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_dsn_is_collector_key_tenant_and_server_in_one() {
        let dsn = parse_dsn("https://baton_pk_1@c.example:8443/ten_0123abcd/files").unwrap();
        assert_eq!(dsn.collector, "https://c.example:8443");
        assert_eq!(dsn.key.authorization(), "Bearer baton_pk_1");
        assert_eq!((&*dsn.tenant, &*dsn.server), ("ten_0123abcd", "files"));
        assert!(parse_dsn("HTTPS://k@c.example/ten_0123ABCD/files/").is_ok());
        for text in [
            "",
            "https://c.example/ten_0123abcd/files",
            "https://k@c.example/ten_0123abcd",
            "https://k@c.example/ten_0123abcd/",
            "https://k@c.example/acme/files",
            "https://k@c.example/ten_0123abc/files",
            "https://k@c.example/ten_0123abcd/files/more",
            "https://k:p@c.example/ten_0123abcd/files",
            "https://k@c.example/ten_0123abcd/files?x",
            "https://k@evil@c.example/ten_0123abcd/files",
            "http://k@c.example/ten_0123abcd/files",
            "ftp://k@c.example/ten_0123abcd/files",
        ] {
            assert!(parse_dsn(text).is_err(), "{text}");
        }
    }
}
