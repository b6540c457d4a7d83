//! The hash of what a server offers: equal for equal offers, in whatever order and spelling.
//!
//! The canonical text is what Python's `json.dumps(value, sort_keys=True, separators=(",", ":"))`
//! writes after `json.loads`, since every published hash was made so: names sorted by code point, the
//! last of repeated members, everything but printable ASCII as `\u` escapes (U+007F too), integers of
//! any size as their digits, other numbers as Python's `repr` of a float.
//!
//! It is taken over what the server sent, before anything is added or scrubbed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::gate::json::MAX_DEPTH;

/// What a server offers, as it sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// The text of `serverInfo`; `None` counts as `null`.
    pub server_info: Option<&'a [u8]>,
    /// The text of `capabilities`.
    pub capabilities: Option<&'a [u8]>,
    /// The text of `instructions`.
    pub instructions: Option<&'a [u8]>,
    /// The text of each tool, in the server's order.
    pub tools: &'a [&'a [u8]],
}

// === impl Offer ===

impl Offer<'_> {
    /// `sha256:` and 64 digits; `None` where a part is not strict JSON, and so has no value that all
    /// agree on.
    pub fn hash(&self) -> Option<String> {
        let canonical = self.canonical()?;
        Some(format!("sha256:{}", hex::encode(Sha256::digest(canonical))))
    }

    fn canonical(&self) -> Option<String> {
        let mut out = String::from("{\"capabilities\":");
        write(&mut out, self.capabilities.unwrap_or(b"null"), MAX_DEPTH)?;
        out.push_str(",\"instructions\":");
        write(&mut out, self.instructions.unwrap_or(b"null"), MAX_DEPTH)?;
        out.push_str(",\"server_info\":");
        write(&mut out, self.server_info.unwrap_or(b"null"), MAX_DEPTH)?;
        out.push_str(",\"tools\":[");
        for (nth, tool) in self.tools.iter().enumerate() {
            if nth > 0 {
                out.push(',');
            }
            write(&mut out, tool, MAX_DEPTH)?;
        }
        out.push_str("]}");
        Some(out)
    }
}

/// The canonical text of one value: equal for equal values; `None` where it is not strict JSON.
pub(in crate::friction) fn canonical(text: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    write(&mut out, text, MAX_DEPTH)?;
    Some(out)
}

/// Writes the canonical text of one value that has at most so many levels; `None` for a deeper one,
/// which could use up the thread's stack: `serde_json` counts no levels of what it reads as raw. Each
/// level reads what is below it anew.
fn write(out: &mut String, text: &[u8], levels: usize) -> Option<()> {
    let below = levels.checked_sub(1)?;
    let raw: &RawValue = serde_json::from_slice(text).ok()?;
    let text = raw.get();
    match text.as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (nth, (name, value)) in members.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                quote(out, name);
                out.push(':');
                write(out, value.get().as_bytes(), below)?;
            }
            out.push('}');
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (nth, element) in elements.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                write(out, element.get().as_bytes(), below)?;
            }
            out.push(']');
        }
        b'"' => quote(out, &serde_json::from_str::<String>(text).ok()?),
        b'-' | b'0'..=b'9' => number(out, text)?,
        _ => out.push_str(text),
    }
    Some(())
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

fn number(out: &mut String, literal: &str) -> Option<()> {
    if literal == "-0" {
        out.push('0');
    } else if literal.contains(['.', 'e', 'E']) {
        out.push_str(&float(literal.parse().ok()?));
    } else {
        out.push_str(literal);
    }
    Some(())
}

/// Python's `repr`: the shortest digits that read back the same, with an exponent below 1e-4 and
/// from 1e16.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest
        .split_once('e')
        .unwrap_or_else(|| unreachable!("this format always writes an exponent"));
    let exponent: i32 =
        exponent.parse().unwrap_or_else(|_| unreachable!("this format's exponents are small"));
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of baton-proxy.
    #[test]
    fn an_offer_of_too_many_levels_has_no_hash() {
        let nested = |deep| ["[".repeat(deep), "]".repeat(deep)].concat();
        for (deep, is_hashed) in [(1, true), (127, true), (128, false), (1_000_000, false)] {
            let tool = nested(deep);
            let offer = Offer { tools: &[tool.as_bytes()], ..Offer::default() };
            assert_eq!(offer.hash().is_some(), is_hashed, "{deep}");
        }
    }

    #[test]
    fn the_published_hashes_come_out() {
        let nothing = Offer::default();
        assert_eq!(
            nothing.hash().unwrap(),
            "sha256:5ac478ee66ece169ea0e6c3bd54ef5617fd6a888b5bb48ad2751dcfcb8327348"
        );
        let tool =
            br#"{"name":"t","inputSchema":{"type":"object","properties":{"n":{"type":"number",
            "minimum":-0.5,"maximum":1e5,"default":1.0,"x":1E22,"y":0.0000001}}}}"#;
        let offer = Offer {
            server_info: Some(br#"{"name":"x"}"#),
            capabilities: Some(br#"{"tools":{}}"#),
            instructions: Some("\"h\u{e9}llo \u{1f600}\u{7f}\\u2028\\/\"".as_bytes()),
            tools: &[tool],
        };
        assert_eq!(
            offer.canonical().unwrap(),
            r#"{"capabilities":{"tools":{}},"instructions":"h\u00e9llo \ud83d\ude00\u007f\u2028/","server_info":{"name":"x"},"tools":[{"inputSchema":{"properties":{"n":{"default":1.0,"maximum":100000.0,"minimum":-0.5,"type":"number","x":1e+22,"y":1e-07}},"type":"object"},"name":"t"}]}"#
        );
        assert_eq!(
            offer.hash().unwrap(),
            "sha256:06b2d95c0c9b4a73ee39fbc12875de0a5838a50866ffe74e625b6ee1dcf87c4a"
        );
    }

    #[test]
    fn numbers_are_spelled_as_python_spells_them() {
        let table = [
            ("1", "1"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("0e7", "0.0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1e5", "100000.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e300", "1.5e+300"),
            ("5e-324", "5e-324"),
            ("0.1", "0.1"),
            ("123456789.123", "123456789.123"),
        ];
        for (literal, spelled) in table {
            let mut out = String::new();
            number(&mut out, literal).unwrap();
            assert_eq!(out, spelled, "{literal}");
        }
    }

    #[test]
    fn order_spelling_and_repetition_do_not_count() {
        let hash = |tool: &str| Offer { tools: &[tool.as_bytes()], ..Offer::default() }.hash();
        assert_eq!(hash(r#"{"b":1,"a":"x"}"#), hash("{ \"a\" : \"\\u0078\", \"b\":0,\n\"b\":1 }"));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":1.0}"#));
        assert_eq!(hash(r#"{"a":NaN}"#), None);
        assert_eq!(hash(r#"{"a":"#), None);
    }
}
