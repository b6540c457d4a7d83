//! A report as one HTML page: no script, nothing fetched, nothing that a name or an error could add.
//!
//! Two guards. Everything that is not this page's own goes through [`Text`], which leaves no
//! character with a meaning in HTML; and the page's policy (`Content-Security-Policy`) admits one
//! style sheet, by its hash, and nothing else: a mistake here would be dead markup.

mod page;
mod timeline;

use std::fmt::{self, Display, Write as _};

use sha2::{Digest as _, Sha256};

use crate::friction::report::text::{duration, visible};
use crate::friction::report::{Limits, Session, Story};

const STYLE: &str = include_str!("html/style.css");

/// A report as one HTML page.
pub fn html(session: &Session, limits: Limits) -> String {
    let mut out = String::with_capacity(64 * 1024);
    // Writing to a string does not fail.
    let _ = page::write(&mut out, &Story::of(session, limits));
    out
}

/// Others' text, for between tags and for attributes in double quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in visible(self.0).chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// What the page may do: use its own style sheet, which has this hash.
fn policy() -> String {
    let hash = base64(&Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let part = |nth: usize| u32::from(chunk.get(nth).copied().unwrap_or(0)) << (16 - 8 * nth);
        let bits = part(0) | part(1) | part(2);
        for nth in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * nth)) as usize & 63];
            text.push(if nth > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// A duration that may not be known.
fn took(ms: Option<u64>) -> String {
    ms.map_or("–".to_owned(), duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (text, digits) in table {
            assert_eq!(base64(text.as_bytes()), digits);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
