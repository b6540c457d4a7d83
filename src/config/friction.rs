//! Reads whether there are friction events, where they go, and what they are labelled with: the
//! `BATON_*` variables.
//!
//! Nobody's events leave this machine by accident: a collector needs consent, a vendor and a key,
//! each said on purpose. What is missing is a problem, so that thoth does not start half-configured.
//! What is switched off is not judged.

pub(super) mod added;
mod rules;

use std::path::{Path, PathBuf};

use super::address;
#[cfg(any(feature = "otlp", feature = "s3"))]
use super::ambient::Ambient;
use super::flags::RunFlags;
use super::govapi;
use super::parse::{self, Wrong};
use super::reader::Reader;
#[cfg(feature = "otlp")]
use super::settings::OtlpPlace;
#[cfg(feature = "s3")]
use super::settings::S3Place;
use super::settings::{Friction, Identity, SinkPlace};
use super::sources::{Origin, Setting};
use super::variables as name;
use super::variables::Env;
use crate::credential::{Credential, Revocations, Source};
use crate::friction::event::{Form, Principal};
use crate::friction::pseudonym::pseudonym;
use crate::machine::clock;
use crate::seal::Mac;
use crate::secret::ApiKey;

/// The label of events that stay on this machine.
const LOCAL: &str = "local";

/// Where events go where no place is named, in thoth's own directory.
pub const EVENTS: &str = "friction/events.jsonl";

/// What `--friction` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Switch {
    /// No events, and nothing added to the session.
    Off,
    /// Events alone.
    Events,
    /// Both.
    On,
}

/// What the collectors' key is called in reports.
const CALLED: &str = "friction_api_key";

/// What a DSN says: `https://KEY@HOST/TENANT/SERVER`.
struct Dsn {
    collector: String,
    key: ApiKey,
    tenant: String,
    server: String,
}

/// `None` where friction is switched off, or nothing switches it on. `home` is thoth's directory.
pub(super) fn friction(
    read: &mut Reader<'_>,
    flags: &RunFlags,
    identity: &Identity,
    home: &Path,
    revocations: &Revocations,
) -> Option<Friction> {
    let of_disabled = Setting::of(&[&name::BATON_DISABLED]);
    let is_disabled = read.optional(of_disabled, |text| Ok(is_disabled(text))) == Some(true);
    let of_switch = Setting::of(&[&name::FRICTION]).or_flag("--friction", flags.friction.as_ref());
    let is_said = read.is_given(of_switch);
    let switch = read.optional(of_switch, parse::friction);
    if is_disabled || switch == Some(Switch::Off) {
        return None;
    }
    let of_sinks = Setting::of(&[&name::BATON_EVENT_SINK]);
    let are_given = read.is_given(of_sinks);
    let env = read.env();
    let sinks = read.optional(of_sinks, |text| sinks(text, env));
    let dsn = dsn(read);
    let tenant = read.optional(Setting::of(&[&name::BATON_TENANT_ID]), parse::text);
    let vendor = read.optional(Setting::of(&[&name::BATON_VENDOR_ID]), parse::text);
    let of_consent = Setting::of(&[&name::BATON_CONSENT_TOKEN]).secret();
    let consent = read.optional(of_consent, parse::text);
    let of_key = [Setting::of(&[&name::BATON_API_KEY]), Setting::of(&[&name::BATON_API_KEY_FILE])];
    let own_key = govapi::credential(read, CALLED, of_key, revocations);
    let wire = read.optional(Setting::of(&[&name::BATON_WIRE]), parse::wire);
    let wishes = added::wishes(read);
    let scrub = rules::rules(read);
    let of_hmac =
        Setting::of(&[&name::BATON_PRINCIPAL_ID_HMAC_KEY, &name::BATON_USER_ID_HMAC_KEY]).secret();
    let hmac = read.optional(of_hmac, |key| Ok(Mac::new(key.as_bytes())));

    let sinks = match (sinks, &dsn) {
        (Some(sinks), _) => sinks,
        (None, _) if are_given => return None, // the problem is known
        (None, Some(dsn)) => vec![SinkPlace::Http(dsn.collector.clone())],
        (None, None) if is_said => {
            let file = home.join(EVENTS);
            read.follows(of_sinks, &SinkPlace::File(file.clone()).to_string(), Origin::Default);
            vec![SinkPlace::File(file)]
        }
        (None, None) => {
            read.follows(of_switch, "off", Origin::Default);
            return None;
        }
    };
    if !is_said {
        let names = [of_sinks.name, name::BATON_DSN.name];
        let origins = names.map(|name| read.origin(name));
        let origin = origins.into_iter().find(|origin| *origin != Origin::Default);
        read.follows(of_switch, "on", origin.unwrap_or(Origin::Default));
    }
    let (dsn_key, dsn_tenant, dsn_vendor) =
        dsn.map_or((None, None, None), |dsn| (Some(dsn.key), Some(dsn.tenant), Some(dsn.server)));
    let of_dsn = |secret| Source::Value { secret, from: name::BATON_DSN.name, key_id: None };
    let of_dsn = |secret| Credential::new(CALLED, of_dsn(secret), clock::now);
    let tenant_id = tenant.or(dsn_tenant).unwrap_or_else(|| LOCAL.to_owned());
    let principal = hmac.zip(identity.user_id.as_deref()).and_then(|(key, user)| {
        Principal::new(&pseudonym(&key, &tenant_id, user, None), Form::Hashed)
    });
    let mut friction = Friction {
        api_key: own_key.or_else(|| dsn_key.map(of_dsn).map(|key| key.unless(revocations.clone()))),
        tenant_id,
        vendor_id: vendor.or(dsn_vendor).unwrap_or_else(|| LOCAL.to_owned()),
        consent_token: consent.unwrap_or_else(|| LOCAL.to_owned()),
        sinks,
        wire: wire.unwrap_or_default(),
        principal,
        scrub,
        additions: None,
    };
    guard(read, &friction);
    if switch.unwrap_or(Switch::On) == Switch::On {
        friction.additions = Some(wishes.granted(read, &friction));
    }
    Some(friction)
}

/// What must be said before events leave this process for a collector.
fn guard(read: &mut Reader<'_>, friction: &Friction) {
    if !friction.sinks.iter().any(SinkPlace::is_collector) {
        return;
    }
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
    if friction.api_key.is_none() && friction.sinks.iter().any(SinkPlace::is_shown_key) {
        let what = "is not set, and events would go to a collector";
        missing(name::BATON_API_KEY.name, what, "set the collector's key, or BATON_API_KEY_FILE");
    }
}

fn key(text: &str) -> Result<ApiKey, Wrong> {
    ApiKey::parse(text).map_err(|_| {
        Wrong::new(
            "holds a character that cannot be sent in an HTTP header",
            "write the secret alone",
        )
    })
}

/// Whether a label says nothing.
fn is_local(label: &str) -> bool {
    label.eq_ignore_ascii_case(LOCAL)
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
fn sinks(text: &str, env: &Env) -> Result<Vec<SinkPlace>, Wrong> {
    let mut sinks = Vec::new();
    for entry in parse::entries(text) {
        let sink = sink(entry, env)?;
        if !sinks.contains(&sink) {
            sinks.push(sink);
        }
    }
    if sinks.is_empty() {
        return Err(Wrong::new("names no place", "write stderr:, file:///path or https://HOST"));
    }
    Ok(sinks)
}

/// Schemes are read in any case, here and nowhere else: what a guard asks is the place that was read.
#[cfg_attr(
    not(any(feature = "otlp", feature = "s3")),
    expect(unused_variables, reason = "only those read variables of others")
)]
fn sink(entry: &str, env: &Env) -> Result<SinkPlace, Wrong> {
    const UNKNOWN: Wrong = Wrong::new(
        "names a place that thoth does not know",
        "write stderr:, file:///path or https://HOST",
    );
    let (scheme, rest) = entry.split_once(':').ok_or(UNKNOWN)?;
    match scheme.to_ascii_lowercase().as_str() {
        "stderr" if rest.is_empty() || rest == "//" => Ok(SinkPlace::Stderr),
        "file" => file(rest).map(SinkPlace::File),
        "http" | "https" => address::base_url(entry).map(SinkPlace::Http),
        #[cfg(feature = "otlp")]
        "otlp" => otlp("http", rest, env).map(SinkPlace::Otlp),
        #[cfg(feature = "otlp")]
        "otlps" => otlp("https", rest, env).map(SinkPlace::Otlp),
        #[cfg(feature = "s3")]
        "s3" => s3(rest, env).map(SinkPlace::S3),
        #[cfg(not(feature = "otlp"))]
        "otlp" | "otlps" => Err(Wrong::new(
            "names an OpenTelemetry collector, for which this build of thoth lacks the feature `otlp`",
            "take it out, or use a build with --features otlp",
        )),
        #[cfg(not(feature = "s3"))]
        "s3" => Err(Wrong::new(
            "names an S3 bucket, for which this build of thoth lacks the feature `s3`",
            "take it out, or use a build with --features s3",
        )),
        _ => Err(UNKNOWN),
    }
}

/// What stands behind `otlp:` or `otlps:`: host, port (4318 without) and path (`/v1/logs` at its end).
#[cfg(feature = "otlp")]
fn otlp(scheme: &str, rest: &str, env: &Env) -> Result<OtlpPlace, Wrong> {
    const LOGS: &str = "/v1/logs";
    let url = address::base_url(&format!("{scheme}:{rest}"))?;
    let (head, rest) = url.split_at(scheme.len() + "://".len());
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = authority.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let port =
        if has_port && !authority.ends_with(']') && authority.contains(':') { "" } else { ":4318" };
    let logs = if path.ends_with(LOGS) { "" } else { LOGS };
    Ok(OtlpPlace {
        url: format!("{head}{authority}{port}{path}{logs}"),
        ambient: Ambient::of(env, &["OTEL_EXPORTER_OTLP_"]),
    })
}

/// What stands behind `s3:`: a bucket, and what each key begins with.
#[cfg(feature = "s3")]
fn s3(rest: &str, env: &Env) -> Result<S3Place, Wrong> {
    const WANTED: Wrong = Wrong::new("names no bucket", "write s3://BUCKET/PREFIX");
    let rest = rest.strip_prefix("//").ok_or(WANTED)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_bucket = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(is_name)
        && bucket.as_bytes()[0].is_ascii_alphanumeric()
        && !bucket.contains("..");
    if !is_bucket {
        return Err(WANTED);
    }
    let prefix = prefix.trim_matches('/');
    let is_step = |part: &str| matches!(part, "" | "." | "..");
    if !prefix.is_empty() && (prefix.split('/').any(is_step) || prefix.contains(['?', '#'])) {
        return Err(WANTED);
    }
    let ambient = Ambient::of(env, &["AWS_", "HOME", "USERPROFILE", "PATH", "SYSTEMROOT"]);
    Ok(S3Place { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ambient })
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
            let found = sinks(text, &Env::default())
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
            "otlp://c.example",
            "s3:",
            "s3://",
            "ftp://c.example",
            "stderr:,ftp://c.example",
        ] {
            assert!(sinks(text, &Env::default()).is_err(), "{text}");
        }
    }

    #[cfg(not(any(feature = "otlp", feature = "s3")))]
    #[test]
    fn a_place_that_this_build_has_not_is_said_to_be_one() {
        for (text, feature) in
            [("s3://bucket", "s3"), ("S3://bucket", "s3"), ("OTLPS://c.example", "otlp")]
        {
            let wrong = sinks(text, &Env::default()).unwrap_err();
            assert!(wrong.what.contains(&format!("lacks the feature `{feature}`")), "{text}");
        }
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn an_opentelemetry_collector_has_a_port_and_a_path() {
        for (text, read) in [
            ("otlps://c.example", "https://c.example:4318/v1/logs"),
            ("OTLPS://c.example:9/", "https://c.example:9/v1/logs"),
            ("otlps://c.example/otlp", "https://c.example:4318/otlp/v1/logs"),
            ("otlps://c.example/v1/logs", "https://c.example:4318/v1/logs"),
            ("otlp://[::1]", "http://[::1]:4318/v1/logs"),
            ("otlp://[::1]:9", "http://[::1]:9/v1/logs"),
            ("otlp://localhost:4317", "http://localhost:4317/v1/logs"),
        ] {
            let found = sinks(text, &Env::default()).unwrap().remove(0);
            let SinkPlace::Otlp(place) = &found else { panic!("{text}") };
            assert_eq!(place.url, read);
            assert_eq!(found.to_string(), read.replacen("http", "otlp", 1));
            assert!(found.is_collector() && !found.is_shown_key());
        }
        for text in ["otlp://10.0.0.1", "otlps://", "otlps://u:p@c.example", "otlps:c.example"] {
            assert!(sinks(text, &Env::default()).is_err(), "{text}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_has_a_name_and_may_have_a_prefix() {
        for (text, read) in [
            ("s3://events", "s3://events"),
            ("S3://my.events/", "s3://my.events"),
            ("s3://events/a/b/", "s3://events/a/b"),
        ] {
            let found = sinks(text, &Env::default()).unwrap().remove(0);
            assert_eq!(found.to_string(), read);
            assert!(found.is_collector() && !found.is_shown_key());
        }
        for text in
            ["s3://e", "s3:events", "s3://-events", "s3://e@x.example", "s3://events/a/../b"]
        {
            assert!(sinks(text, &Env::default()).is_err(), "{text}");
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
