//! Reads the text of one setting. Pure.
//!
//! An error says what is wrong and what to write instead, and never repeats the text.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::value::RawValue;

use super::friction::Switch;
use super::friction::added::Tenant;
use super::settings::{
    Enrollment, Environment, LocalApprovals, LogFormat, LogLevel, Pin, Transport,
};
use crate::friction::event::Wire;
use crate::friction::inject;
use crate::gate::answer::Denial;
use crate::gate::decide::{Mode, Outage, StepUp};

/// What is wrong with a value, and what to do about it. Fixed text: it cannot hold the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// What is wrong, to be read after the name.
    pub what: &'static str,
    /// What to write instead.
    pub fix: &'static str,
}

type Parsed<T> = Result<T, Wrong>;

/// Some words on one line.
pub(super) fn text(value: &str) -> Parsed<String> {
    if value.chars().any(char::is_control) {
        return Err(Wrong::new("holds a control character", "write it on one line"));
    }
    Ok(value.to_owned())
}

pub(super) fn boolean(value: &str) -> Parsed<bool> {
    match folded(value).as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Wrong::new("is neither yes nor no", "write true or false")),
    }
}

/// A word for an environment.
///
/// # Errors
///
/// [`Wrong`].
pub fn environment(value: &str) -> Parsed<Environment> {
    match folded(value).as_str() {
        "dev" | "development" => Ok(Environment::Dev),
        "staging" | "stage" => Ok(Environment::Staging),
        "prod" | "production" => Ok(Environment::Prod),
        _ => Err(Wrong::new("is no environment", "write dev, staging or prod")),
    }
}

pub(super) fn enrollment(value: &str) -> Parsed<Enrollment> {
    match folded(value).as_str() {
        "intune" => Ok(Enrollment::Intune),
        "jamf" => Ok(Enrollment::Jamf),
        "manual" => Ok(Enrollment::Manual),
        "unmanaged" => Ok(Enrollment::Unmanaged),
        _ => Err(Wrong::new("is no way to enroll", "write jamf, intune, manual or unmanaged")),
    }
}

/// A word for an enforcement mode.
///
/// # Errors
///
/// [`Wrong`].
pub fn mode(value: &str) -> Parsed<Mode> {
    match folded(value).as_str() {
        "observe" | "shadow" => Ok(Mode::Observe),
        "progressive" => Ok(Mode::Progressive),
        "step_up" => Ok(Mode::StepUp),
        "block" => Ok(Mode::Block),
        _ => Err(Wrong::new(
            "is no enforcement mode",
            "write observe, progressive, step_up or block",
        )),
    }
}

pub(super) fn outage(value: &str) -> Parsed<Outage> {
    match folded(value).as_str() {
        "allow" => Ok(Outage::Allow),
        "block" => Ok(Outage::Block),
        "step_up" => Ok(Outage::StepUp),
        _ => Err(Wrong::new("is no failure decision", "write block, step_up or allow")),
    }
}

pub(super) fn denial(value: &str) -> Parsed<Denial> {
    match folded(value).as_str() {
        "auto" => Ok(Denial::Auto),
        "error" => Ok(Denial::Error),
        "result" => Ok(Denial::Result),
        _ => Err(Wrong::new("is no shape of a refusal", "write auto, error or result")),
    }
}

pub(super) fn step_up(value: &str) -> Parsed<StepUp> {
    match folded(value).as_str() {
        "return" => Ok(StepUp::Return),
        "wait" => Ok(StepUp::Wait),
        "elicit" => Ok(StepUp::Elicit),
        "auto" => Ok(StepUp::Auto),
        _ => Err(Wrong::new("is no way to step up", "write return, wait, elicit or auto")),
    }
}

/// Whether this sidecar keeps holds for its own rules.
pub(super) fn local_approvals(value: &str) -> Parsed<LocalApprovals> {
    match folded(value).as_str() {
        "auto" => Ok(LocalApprovals::Auto),
        "off" => Ok(LocalApprovals::Off),
        _ => Err(Wrong::new("is no way to approve here", "write auto or off")),
    }
}

/// Whether the journal is kept at best effort.
pub(super) fn journal(value: &str) -> Parsed<bool> {
    match folded(value).as_str() {
        "required" => Ok(false),
        "best_effort" => Ok(true),
        _ => Err(Wrong::new("is no way to keep the journal", "write required or best-effort")),
    }
}

/// Whether arguments are journalled in full.
pub(super) fn journal_arguments(value: &str) -> Parsed<bool> {
    match folded(value).as_str() {
        "hash" => Ok(false),
        "full" => Ok(true),
        _ => Err(Wrong::new("is no way to journal arguments", "write hash or full")),
    }
}

/// Whether there are friction events, and what goes with them.
pub(super) fn friction(value: &str) -> Parsed<Switch> {
    match folded(value).as_str() {
        "on" => Ok(Switch::On),
        "events" => Ok(Switch::Events),
        "off" => Ok(Switch::Off),
        _ => Err(Wrong::new("is no way to record friction", "write on, events or off")),
    }
}

/// A generation of collectors.
pub(super) fn wire(value: &str) -> Parsed<Wire> {
    Wire::parse(value).ok_or(Wrong::new("is no generation of events", "write w1, w2 or w3"))
}

/// Whether tools ask for an intent.
pub(super) fn intent_param(value: &str) -> Parsed<inject::Mode> {
    match folded(value).as_str() {
        "required" => Ok(inject::Mode::Required),
        "optional" => Ok(inject::Mode::Optional),
        "off" => Ok(inject::Mode::Off),
        _ => Err(Wrong::new("is no way to ask", "write required, optional or off")),
    }
}

/// Whose session it is.
pub(super) fn tenant_type(value: &str) -> Parsed<Tenant> {
    match folded(value).as_str() {
        "customer" => Ok(Tenant::Customer),
        "vendor" => Ok(Tenant::Vendor),
        _ => Err(Wrong::new("is no type of tenant", "write vendor or customer")),
    }
}

pub(super) fn log_level(value: &str) -> Parsed<LogLevel> {
    match folded(value).as_str() {
        "off" | "none" => Ok(LogLevel::Off),
        "error" | "critical" | "fatal" => Ok(LogLevel::Error),
        "warn" | "warning" => Ok(LogLevel::Warn),
        "info" | "notice" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err(Wrong::new("is no log level", "write off, error, warn, info, debug or trace")),
    }
}

pub(super) fn log_format(value: &str) -> Parsed<LogFormat> {
    match folded(value).as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Wrong::new("is no log format", "write text or json")),
    }
}

/// How a server behind a URL is spoken to.
pub(super) fn transport(value: &str) -> Parsed<Transport> {
    match folded(value).as_str() {
        "auto" => Ok(Transport::Auto),
        "http" => Ok(Transport::Http),
        "sse" => Ok(Transport::Sse),
        _ => Err(Wrong::new("is no transport", "write auto, http or sse")),
    }
}

/// Whether `Bearer` stands before a token.
pub(super) fn is_bearer(value: &str) -> Parsed<bool> {
    match folded(value).as_str() {
        "bearer" => Ok(true),
        "none" => Ok(false),
        _ => Err(Wrong::new("is no scheme that thoth knows", "write Bearer or none")),
    }
}

/// Whether the proxy is used that the environment names.
pub(super) fn proxied(value: &str) -> Parsed<bool> {
    match folded(value).as_str() {
        "environment" => Ok(true),
        "off" => Ok(false),
        _ => Err(Wrong::new("is no proxy", "write off or environment")),
    }
}

/// How long whoever replaces a secret is waited for: from not at all to a minute.
pub(super) fn grace(value: &str) -> Parsed<Duration> {
    seconds(value)
        .filter(|grace| *grace <= Duration::from_mins(1))
        .ok_or(Wrong::new("is no such number of seconds", "write 0 to 60"))
}

/// The longest silence of an answer: from a moment to a day.
pub(super) fn timeout(value: &str) -> Parsed<Duration> {
    seconds(value)
        .filter(|timeout| !timeout.is_zero() && *timeout <= Duration::from_hours(24))
        .ok_or(Wrong::new("is no such number of seconds", "write 1 to 86400"))
}

/// Seconds, with a part of one after a point, and an `s` behind it where somebody likes that.
fn seconds(value: &str) -> Option<Duration> {
    let value = value.strip_suffix('s').unwrap_or(value).trim_end();
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = value.parse().ok().filter(|_| is_plain)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The code of a JSON-RPC error.
pub(super) fn error_code(value: &str) -> Parsed<i64> {
    value.parse().map_err(|_| Wrong::new("is no code of an error", "write a whole number"))
}

/// The name of a login, which becomes the name of a file.
pub(super) fn login(value: &str) -> Parsed<String> {
    // Two names that differ in case alone would be one file on some systems.
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_plain = |byte: u8| is_first(byte) || b"-_.".contains(&byte);
    if value.bytes().next().is_none_or(is_first) && value.len() <= 64 && value.bytes().all(is_plain)
    {
        return Ok(value.to_owned());
    }
    Err(Wrong::new(
        "is no name of a login",
        "write lower-case letters, digits, hyphens, points: 64 at most",
    ))
}

/// The longest a step-up waits, in seconds: from a second to a day.
pub(super) fn wait_seconds(value: &str) -> Parsed<u64> {
    match value.parse() {
        Ok(seconds @ 1..=86_400) => Ok(seconds),
        _ => Err(Wrong::new("is no such number of seconds", "write 1 to 86400")),
    }
}

/// The longest line, in bytes: from a kibibyte to a gibibyte.
pub(super) fn message_bytes(value: &str) -> Parsed<usize> {
    match value.parse() {
        Ok(bytes @ 1_024..=1_073_741_824) => Ok(bytes),
        _ => Err(Wrong::new("is no such number of bytes", "write 1024 to 1073741824")),
    }
}

pub(super) fn uid(value: &str) -> Parsed<u32> {
    value.parse().map_err(|_| Wrong::new("is no user number", "write what `id -u` prints"))
}

/// A list separated by commas. Blanks and empty entries are dropped; something must be left, so
/// that a list which restricts does not end as one which does not.
pub(super) fn list(value: &str) -> Parsed<Vec<String>> {
    some(entries(value).map(text).collect::<Result<_, _>>()?)
}

/// `intent=tool|tool,intent=tool`
pub(super) fn intent_tools(value: &str) -> Parsed<Vec<(String, Vec<String>)>> {
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries(value) {
        let (intent, tools) = entry
            .split_once('=')
            .ok_or(Wrong::new("has an entry without `=`", "write intent=tool|tool,intent=tool"))?;
        let intent = text(intent.trim())?;
        let tools: Vec<String> = tools
            .split('|')
            .map(str::trim)
            .filter(|tool| !tool.is_empty())
            .map(text)
            .collect::<Result<_, _>>()?;
        if intent.is_empty() || tools.is_empty() {
            return Err(Wrong::new(
                "has an entry without intent or tools",
                "write intent=tool|tool",
            ));
        }
        if lists.iter().any(|(other, _)| *other == intent) {
            return Err(Wrong::new("names an intent twice", "write all its tools in one entry"));
        }
        lists.push((intent, tools));
    }
    some(lists)
}

/// The text of a JSON object, as it was given.
pub(super) fn object(value: &str) -> Parsed<String> {
    serde_json::from_str::<HashMap<String, &RawValue>>(value)
        .map(|_| value.to_owned())
        .map_err(|_| Wrong::new("is not a JSON object", "write {\"name\": value}"))
}

/// A path that does not depend on where thoth is started.
pub(super) fn absolute_path(value: &str) -> Parsed<PathBuf> {
    let path = path(value)?;
    if !path.has_root() {
        return Err(Wrong::new("is not an absolute path", "write it from the root on"));
    }
    Ok(path)
}

pub(super) fn path(value: &str) -> Parsed<PathBuf> {
    text(value).map(PathBuf::from)
}

/// SHA-256 pins, separated by commas.
pub(super) fn pins(value: &str) -> Parsed<Vec<Pin>> {
    some(entries(value).map(pin).collect::<Result<_, _>>()?)
}

/// `sha256:` and 64 hexadecimal digits, or the digits alone, for the leaf certificate;
/// `spki-sha256:` for its key. Colons between the digits are dropped, as `openssl` prints them.
fn pin(value: &str) -> Parsed<Pin> {
    let value = value.to_ascii_lowercase();
    let (make, digits): (fn([u8; 32]) -> Pin, _) = match value.strip_prefix("spki-sha256:") {
        Some(digits) => (Pin::Spki, digits),
        None => (Pin::Leaf, value.strip_prefix("sha256:").unwrap_or(&value)),
    };
    let mut hash = [0; 32];
    hex::decode_to_slice(digits.replace(':', ""), &mut hash).map_err(|_| {
        Wrong::new(
            "has a pin that is not 64 hexadecimal digits",
            "`thoth doctor --tls URL` prints them",
        )
    })?;
    Ok(make(hash))
}

impl Wrong {
    pub(super) const fn new(what: &'static str, fix: &'static str) -> Self {
        Self { what, fix }
    }
}

/// The entries of a list separated by commas: without blanks, and none that is empty.
pub(super) fn entries(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn some<T>(entries: Vec<T>) -> Parsed<Vec<T>> {
    if entries.is_empty() {
        return Err(Wrong::new(
            "has no entries",
            "write some, separated by commas, or leave it out",
        ));
    }
    Ok(entries)
}

/// Words are read in any case, and with `-` or `_`.
pub(super) fn folded(value: &str) -> String {
    value.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_spelling_and_nothing_else_is() {
        for (yes, no) in [("1", "0"), ("true", "FALSE"), ("Yes", "no"), ("on", "Off")] {
            assert_eq!((boolean(yes), boolean(no)), (Ok(true), Ok(false)));
        }
        for word in ["", "2", "t", "enabled", "tru"] {
            assert!(boolean(word).is_err(), "{word}");
        }
        for (word, read) in [
            ("observe", Ok(Mode::Observe)),
            ("shadow", Ok(Mode::Observe)),
            ("progressive", Ok(Mode::Progressive)),
            ("step_up", Ok(Mode::StepUp)),
            ("Step-Up", Ok(Mode::StepUp)),
            ("BLOCK", Ok(Mode::Block)),
        ] {
            assert_eq!(mode(word), read, "{word}");
        }
        for word in ["", "enforce", "off", "deny"] {
            assert!(mode(word).is_err(), "{word}");
        }
        for (word, read) in [
            ("dev", Environment::Dev),
            ("development", Environment::Dev),
            ("Staging", Environment::Staging),
            ("prod", Environment::Prod),
            ("Production", Environment::Prod),
        ] {
            assert_eq!(environment(word), Ok(read), "{word}");
        }
        assert!(environment("test").is_err());
        for (word, read) in [
            ("return", StepUp::Return),
            ("wait", StepUp::Wait),
            ("Elicit", StepUp::Elicit),
            ("auto", StepUp::Auto),
        ] {
            assert_eq!(step_up(word), Ok(read), "{word}");
        }
        for word in ["", "block", "ask", "yes"] {
            assert!(step_up(word).is_err() && local_approvals(word).is_err(), "{word}");
        }
        assert_eq!(local_approvals("auto"), Ok(LocalApprovals::Auto));
        assert_eq!(local_approvals("OFF"), Ok(LocalApprovals::Off));
        assert_eq!(log_level("WARNING"), Ok(LogLevel::Warn));
    }

    #[test]
    fn numbers_keep_to_their_limits() {
        for (value, read) in [
            ("1023", None),
            ("1024", Some(1_024)),
            ("1073741824", Some(1_073_741_824)),
            ("1073741825", None),
            ("-1", None),
            ("64M", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(message_bytes(value).ok(), read, "{value}");
        }
        for (value, read) in
            [("0", None), ("1", Some(1)), ("86400", Some(86_400)), ("86401", None), ("1.5", None)]
        {
            assert_eq!(wait_seconds(value).ok(), read, "{value}");
        }
        assert_eq!(uid("501"), Ok(501));
        assert!(uid("-2").is_err());
    }

    #[test]
    fn seconds_keep_to_their_limits() {
        let millis = |millis| Some(Duration::from_millis(millis));
        for (value, as_grace, as_timeout) in [
            ("0", millis(0), None),
            ("0.0", millis(0), None),
            ("2", millis(2_000), millis(2_000)),
            ("2s", millis(2_000), millis(2_000)),
            ("0.5 s", millis(500), millis(500)),
            ("60", millis(60_000), millis(60_000)),
            ("60.001", None, millis(60_001)),
            ("86400", None, millis(86_400_000)),
            ("86401", None, None),
            ("", None, None),
            ("s", None, None),
            (".", None, None),
            ("-1", None, None),
            ("1e3", None, None),
            ("inf", None, None),
            ("NaN", None, None),
            ("2m", None, None),
            ("99999999999999999999999", None, None),
        ] {
            assert_eq!((grace(value).ok(), timeout(value).ok()), (as_grace, as_timeout), "{value}");
        }
    }

    #[test]
    fn the_name_of_a_login_is_a_file_name_of_its_own() {
        for (name, is_one) in [
            ("linear", true),
            ("acme_prod-2.eu", true),
            ("Acme", false),
            ("-acme", false),
            ("", true), // an empty flag is refused before
            (".hidden", false),
            ("..", false),
            ("a/b", false),
            (r"a\b", false),
            ("a b", false),
            ("a:b", false),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(login(name).is_ok(), is_one, "{name}");
        }
    }

    #[test]
    fn a_tool_list_of_an_intent_says_what_it_means() {
        assert_eq!(
            intent_tools(" a = x | y ,b=z,").unwrap(),
            [("a".into(), vec!["x".into(), "y".into()]), ("b".into(), vec!["z".into()]),]
        );
        for wrong in ["a", "a=", "=x", "a=|", "a=x,a=y", ","] {
            assert!(intent_tools(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_object_is_an_object_and_stays_as_it_was_written() {
        let written = "{ \"b\": 1e400, \"a\": [] }";
        assert_eq!(object(written).as_deref(), Ok(written));
        for wrong in ["", "1", "[]", "null", "{", "{}{}", "{'a': 1}"] {
            assert!(object(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pin_is_read_as_every_tool_prints_it() {
        let bare = "AB".repeat(32);
        let colons = vec!["ab"; 32].join(":");
        for leaf in
            [bare.clone(), format!("sha256:{bare}"), format!("SHA256:{colons}"), colons.clone()]
        {
            assert_eq!(pins(&leaf).unwrap(), [Pin::Leaf([0xab; 32])], "{leaf}");
        }
        assert_eq!(
            pins(&format!("spki-sha256:{bare}, {bare},")).unwrap(),
            [Pin::Spki([0xab; 32]), Pin::Leaf([0xab; 32])]
        );
        for wrong in ["sha256:", "ab", "sha1:ab", &format!("{bare}00"), &"g".repeat(64), ","] {
            assert!(pins(wrong).is_err(), "{wrong}");
        }
    }
}
