//! What people want to know about a certificate: whose, by whom, for how long.
//!
//! For showing only. Whether a certificate is trusted is webpki's business; nothing read here
//! sways it. Hence a small reader of the few DER shapes needed (RFC 5280 §4.1, X.690) rather than
//! a general X.509 library: what it does not know it shows as numbers or leaves out.
//!
//! # Invariants
//!
//! - Any bytes can be read without a panic, in time linear in their number.
//! - Text from a certificate holds no control character: it may come from an attacker, and goes to
//!   a terminal.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls_pki_types::CertificateDer;

use crate::config::settings::Pin;

/// One certificate of a chain, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Whose it is: a distinguished name such as `O=Example, CN=enforcer.example`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// The names it is for: DNS names, IP addresses, e-mail addresses and URIs.
    pub names: Vec<String>,
    /// Its fingerprint.
    pub fingerprint: Pin,
    /// Its key's fingerprint; `None` where webpki cannot read it (an old root, for example).
    pub key: Option<Pin>,
}

/// One DER element: its tag and what is in it.
type Element<'a> = (u8, &'a [u8]);

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11]; // 2.5.29.17

// === impl Certificate ===

impl Certificate {
    /// Reads a certificate; `None` where it is none.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let mut outer = Elements(der);
        let mut certificate = Elements(outer.expect(SEQUENCE)?);
        let mut fields = Elements(certificate.expect(SEQUENCE)?);
        if fields.peek() == Some(VERSION) {
            fields.next()?;
        }
        fields.next()?; // serial number
        fields.expect(SEQUENCE)?; // signature algorithm
        let issuer = distinguished_name(fields.expect(SEQUENCE)?)?;
        let mut validity = Elements(fields.expect(SEQUENCE)?);
        let not_before = time(validity.next()?)?;
        let not_after = time(validity.next()?)?;
        let subject = distinguished_name(fields.expect(SEQUENCE)?)?;
        let extensions = fields.find(|(tag, _)| *tag == EXTENSIONS);
        let names = match extensions {
            Some((_, body)) => alternative_names(body).unwrap_or_default(),
            None => Vec::new(),
        };
        Some(Self {
            subject,
            issuer,
            not_before,
            not_after,
            names,
            fingerprint: Pin::of_leaf(der),
            key: Pin::of_key(der),
        })
    }
}

/// The elements in a constructed one, in order. Ends at the first that is not well formed.
struct Elements<'a>(&'a [u8]);

// === impl Elements ===

impl<'a> Elements<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(its_tag, _)| *its_tag == tag).map(|(_, body)| body)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length =
                    digits.iter().fold(0_u32, |length, digit| length << 8 | u32::from(*digit));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, body))
    }
}

fn distinguished_name(body: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    for (tag, set) in Elements(body) {
        for (_, pair) in Elements(set).filter(|_| tag == SET) {
            let mut pair = Elements(pair);
            let kind = pair.expect(OBJECT_IDENTIFIER)?;
            let value = text(pair.next()?);
            parts.push(format!("{}={value}", attribute(kind)));
        }
    }
    Some(parts.join(", "))
}

fn attribute(identifier: &[u8]) -> String {
    let name = match identifier {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        _ => return format!("#{}", hex::encode(identifier)),
    };
    name.to_owned()
}

fn text((tag, body): Element<'_>) -> String {
    let text = if tag == BMP_STRING {
        let units = body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        String::from_utf16_lossy(&units.collect::<Vec<_>>())
    } else {
        String::from_utf8_lossy(body).into_owned()
    };
    harmless(&text)
}

/// The text with control characters, and those that turn the writing direction, as escapes.
fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let escape = (c.is_control() || turns).then(|| c.escape_unicode());
            let plain = escape.is_none().then_some(c);
            escape.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// RFC 5280 §4.1.2.5: always in UTC, always with seconds; two-digit years are 1950 to 2049.
fn time((tag, body): Element<'_>) -> Option<Timestamp> {
    let digits = str::from_utf8(body).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = match (tag, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let number = |range: std::ops::Range<usize>| digits[range].parse::<i8>().ok();
    let year = digits[..4].parse().ok()?;
    DateTime::new(
        year,
        number(4..6)?,
        number(6..8)?,
        number(8..10)?,
        number(10..12)?,
        number(12..14)?,
        0,
    )
    .ok()?
    .to_zoned(TimeZone::UTC)
    .ok()
    .map(|zoned| zoned.timestamp())
}

fn alternative_names(body: &[u8]) -> Option<Vec<String>> {
    let list = Elements(body).expect(SEQUENCE)?;
    for (_, extension) in Elements(list) {
        let mut extension = Elements(extension);
        if extension.expect(OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        let (_, value) = extension.find(|(tag, _)| *tag == OCTET_STRING)?; // past `critical`
        let names = Elements(value).expect(SEQUENCE)?;
        return Some(Elements(names).filter_map(general_name).collect());
    }
    None
}

fn general_name((tag, body): Element<'_>) -> Option<String> {
    match tag {
        0x81 | 0x82 | 0x86 => Some(harmless(&String::from_utf8_lossy(body))), // e-mail, DNS, URI
        0x87 => <[u8; 4]>::try_from(body)
            .map(|octets| Ipv4Addr::from(octets).to_string())
            .or_else(|_| {
                <[u8; 16]>::try_from(body).map(|octets| Ipv6Addr::from(octets).to_string())
            })
            .ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    fn fixture() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("testdata/enforcer.pem")).unwrap()
    }

    #[test]
    fn a_certificate_says_what_openssl_says() {
        let read = Certificate::read(&fixture()).unwrap();
        assert_eq!(read.subject, "O=Example, Inc., CN=enforcer.example");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.not_before.to_string(), "2026-11-21T03:13:41Z");
        assert_eq!(read.not_after.to_string(), "2126-10-28T03:13:41Z");
        assert_eq!(
            read.names,
            ["enforcer.example", "*.enforcer.example", "127.0.0.1", "2001:db8::1"]
        );
        assert!(read.fingerprint.to_string().starts_with("sha256:511e54"));
        assert!(read.key.unwrap().to_string().starts_with("spki-sha256:3ddec8"));
    }

    #[test]
    fn the_two_centuries_of_a_short_year() {
        for (body, expected) in [
            (&b"491231235959Z"[..], Some("2049-12-31T23:59:59Z")),
            (b"500101000000Z", Some("1950-01-01T00:00:00Z")),
            (b"5001010000Z", None),
            (b"500101000000+0000", None),
            (b"501301000000Z", None),
            (b"-10101000000Z", None),
        ] {
            let read = time((UTC_TIME, body)).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{body:?}");
        }
    }

    #[test]
    fn a_name_cannot_command_a_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\u{202e}c"), r"a\u{1b}[2Jb\u{202e}c");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes.into());
        }

        #[test]
        fn a_damaged_certificate_can_be_read(
            at in 0..500_usize, with: u8, length in 0..600_usize,
        ) {
            let mut bytes = fixture().to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(length);
            let _ = Certificate::read(&bytes.into());
        }
    }
}
