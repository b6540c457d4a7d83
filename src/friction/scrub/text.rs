//! Finds secrets in one text by what they look like.
//!
//! A hand-written scanner: few bytes can start (or, like `@`, stand in) a secret, and only there
//! something is looked for. Patterns overlap; where two begin at one place the table's order counts,
//! and what was taken out is not looked at again.
//!
//! # Invariants
//!
//! - Linear: whatever is looked at around a byte is bounded, or is skipped afterwards, or is looked
//!   at by no other byte of its kind (a run between two `@`).
//! - At least what baton-proxy's patterns take is taken.

mod assigned;

use memchr::memmem;

use super::Category;
use super::number::{self, is_word};

/// What is found at a byte.
pub(super) enum Look<'r> {
    /// Something, from here to there. It may begin before the byte.
    Found(usize, usize, Category<'r>),
    /// Nothing; go on there.
    Nothing(usize),
}

/// Tokens that start with what no ordinary word does.
struct Token {
    start: &'static [u8],
    name: &'static str,
    /// How many bytes must follow, and at most.
    least: usize,
    most: usize,
    /// Whether they are capitals and digits only.
    capitals: bool,
}

const TOKENS: [Token; 21] = [
    token(b"sk-", "sk_key", 20),
    token(b"sk_live_", "sk_key", 10),
    token(b"sk_test_", "sk_key", 10),
    token(b"rk_live_", "sk_key", 10),
    token(b"rk_test_", "sk_key", 10),
    Token { start: b"AKIA", name: "aws_key", least: 16, most: 16, capitals: true },
    Token { start: b"ASIA", name: "aws_key", least: 16, most: 16, capitals: true },
    token(b"AIza", "google_key", 35),
    token(b"ghp_", "github_token", 20),
    token(b"gho_", "github_token", 20),
    token(b"ghu_", "github_token", 20),
    token(b"ghs_", "github_token", 20),
    token(b"ghr_", "github_token", 20),
    token(b"github_pat_", "github_token", 20),
    token(b"glpat-", "gitlab_token", 16),
    token(b"npm_", "npm_token", 30),
    token(b"xoxa-", "slack_token", 10),
    token(b"xoxb-", "slack_token", 10),
    token(b"xoxp-", "slack_token", 10),
    token(b"xoxr-", "slack_token", 10),
    token(b"xoxs-", "slack_token", 10),
];

const fn token(start: &'static [u8], name: &'static str, least: usize) -> Token {
    Token { start, name, least, most: usize::MAX, capitals: false }
}

/// The bytes at which something is looked for.
const STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    let bytes = b"@0123456789+(eBbsrAgxn-:=";
    let mut nth = 0;
    while nth < bytes.len() {
        starts[bytes[nth] as usize] = true;
        nth += 1;
    }
    starts
};

/// The text without its secrets; `None` where it has none. Tells `found` of each.
pub(super) fn scrub(text: &str, mut found: impl FnMut(Category<'static>)) -> Option<String> {
    let mut scan = Scan { text: text.as_bytes(), done: 0, no_jwt_before: 0 };
    let mut out = String::new();
    let mut at = 0;
    while let Some(run) = text.as_bytes()[at..].iter().position(|&byte| STARTS[usize::from(byte)]) {
        match scan.look(at + run) {
            Look::Found(start, end, category) => {
                out.push_str(&text[scan.done..start]);
                category.spell(&mut out);
                found(category);
                scan.done = end;
                at = end;
            }
            Look::Nothing(next) => at = next,
        }
    }
    (scan.done > 0).then(|| {
        out.push_str(&text[scan.done..]);
        out
    })
}

/// A scan over one text.
pub(super) struct Scan<'t> {
    pub(super) text: &'t [u8],
    /// What stands before was taken out or written already.
    pub(super) done: usize,
    /// No token that starts before has the parts of a JWT.
    no_jwt_before: usize,
}

// === impl Scan ===

impl Scan<'_> {
    fn look(&mut self, at: usize) -> Look<'static> {
        match self.text[at] {
            b'@' => self.email(at),
            b'0'..=b'9' => self.number(at),
            b'+' => self.plus(at),
            b'(' => self.parenthesis(at),
            b'e' => self.jwt(at),
            b'B' | b'b' => self.scheme(at),
            b'-' => self.pem(at),
            b':' => {
                if let found @ Look::Found(..) = self.credentials(at) {
                    found
                } else {
                    self.assigned(at)
                }
            }
            b'=' => self.assigned(at),
            _ => self.token(at),
        }
    }

    /// `local@domain.tld`
    fn email(&self, at: usize) -> Look<'static> {
        let local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
        let before = &self.text[self.done..at];
        let start = at - before.iter().rev().take_while(|byte| local(byte)).count();
        let after = &self.text[at + 1..];
        let run = &after[..after.iter().take_while(|byte| domain(byte)).count()];
        if start == at {
            return Look::Nothing(at + 1);
        }
        // The last dot that two letters follow, and then no more of the word.
        let mut end = run.len();
        while let Some(dot) = memchr::memrchr(b'.', &run[..end]) {
            let letters =
                run[dot + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            let last = at + 1 + dot + 1 + letters;
            if letters >= 2 && dot > 0 && !is_word(self.text.get(last)) {
                return Look::Found(start, last, Category::Pattern("email"));
            }
            end = dot;
        }
        Look::Nothing(at + 1)
    }

    /// A card, a phone, a social security number.
    fn number(&self, at: usize) -> Look<'static> {
        let digits = self.text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !self.begins(at) {
            return Look::Nothing(at + digits);
        }
        match number::at(self.text, at) {
            Some((end, category)) if !self.in_email(end) => Look::Found(at, end, category),
            _ => Look::Nothing(at + digits),
        }
    }

    /// `+44 20 7946 0958`
    fn plus(&self, at: usize) -> Look<'static> {
        match number::international(self.text, at) {
            Some((end, category)) if self.begins(at) && !self.in_email(end) => {
                Look::Found(at, end, category)
            }
            _ => Look::Nothing(at + 1),
        }
    }

    /// `(415) 555-1234`
    fn parenthesis(&self, at: usize) -> Look<'static> {
        if self.text.get(at + 4) != Some(&b')') || !self.text[at + 1].is_ascii_digit() {
            return Look::Nothing(at + 1);
        }
        match number::at(self.text, at + 1) {
            Some((end, category)) if end > at + 5 => Look::Found(at, end, category),
            _ => Look::Nothing(at + 1),
        }
    }

    /// `eyJ…`, and two more parts.
    fn jwt(&mut self, at: usize) -> Look<'static> {
        if at < self.no_jwt_before || !self.text[at..].starts_with(b"eyJ") {
            return Look::Nothing(at + 1);
        }
        let mut end = at;
        for part in 0..3 {
            let length = run(&self.text[end..]);
            if part == 0 {
                // Another that starts in this part would have the same parts behind it.
                self.no_jwt_before = end + length;
            }
            end += length;
            let dot = self.text.get(end) == Some(&b'.');
            if length == 0 || (part == 0 && length == 3) || (part < 2 && !dot) {
                return Look::Nothing(at + 1);
            }
            end += usize::from(part < 2);
        }
        Look::Found(at, end, Category::Pattern("jwt"))
    }

    /// `Bearer …`, `Basic …`
    fn scheme(&self, at: usize) -> Look<'static> {
        let is_scheme = |word: &str| {
            self.text
                .get(at..at + word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()) && self.begins(at))
        };
        let (length, name) = if is_scheme("bearer") {
            (6, "bearer")
        } else if is_scheme("basic") {
            (5, "basic")
        } else {
            return Look::Nothing(at + 1);
        };
        let rest = &self.text[at + length..];
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let rest = &rest[blanks..];
        let value = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.+/=".contains(byte))
            .count();
        let found = blanks > 0
            && match name {
                "bearer" => value >= 16,
                // A word may follow that has nothing to hide.
                _ => value >= 4 && holds_colon(&rest[..value]),
            };
        if found {
            Look::Found(at, at + length + blanks + value, Category::Pattern(name))
        } else {
            Look::Nothing(at + length)
        }
    }

    /// Tokens with a start of their own.
    fn token(&self, at: usize) -> Look<'static> {
        let rest = &self.text[at..];
        for token in &TOKENS {
            if !rest.starts_with(token.start) {
                continue;
            }
            let tail = &rest[token.start.len()..];
            let length = if token.capitals {
                let capital = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
                tail.iter().take(token.most + 1).take_while(|byte| capital(byte)).count()
            } else {
                run(tail)
            };
            let end = at + token.start.len() + length;
            if self.begins(at) && (token.least..=token.most).contains(&length) {
                return Look::Found(at, end, Category::Pattern(token.name));
            }
        }
        Look::Nothing(at + 1)
    }

    /// A private key, to its end or to the text's.
    fn pem(&self, at: usize) -> Look<'static> {
        const BEGIN: &[u8] = b"-----BEGIN ";
        /// The longest label.
        const LABEL: usize = 64;

        let rest = &self.text[at..];
        if !rest.starts_with(BEGIN) {
            return Look::Nothing(at + 1);
        }
        let label = &rest[BEGIN.len()..rest.len().min(BEGIN.len() + LABEL)];
        let label = &label[..memmem::find(label, b"-----").unwrap_or(label.len())];
        if memmem::find(label, b"PRIVATE KEY").is_none() {
            return Look::Nothing(at + BEGIN.len());
        }
        let end = memmem::find(rest, b"-----END").map(|end| {
            let behind = end + b"-----END".len();
            let tail = &rest[behind..rest.len().min(behind + LABEL)];
            behind + memmem::find(tail, b"-----").map_or(0, |dashes| dashes + 5)
        });
        Look::Found(at, at + end.unwrap_or(rest.len()), Category::Pattern("private_key"))
    }

    /// `scheme://user:password@host`, at its first colon.
    fn credentials(&self, at: usize) -> Look<'static> {
        /// A user without a password that is this long is a token.
        const TOKEN: usize = 20;

        let Some(rest) = self.text[at..].strip_prefix(b"://") else {
            return Look::Nothing(at + 1);
        };
        let outside = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\`".contains(byte);
        let authority = &rest[..rest.iter().take_while(|byte| !outside(byte)).count()];
        match memchr::memrchr(b'@', authority) {
            Some(user) if user >= TOKEN || authority[..user].contains(&b':') => {
                let start = at + 3;
                Look::Found(start, start + user, Category::Pattern("url_credentials"))
            }
            _ => Look::Nothing(at + 1),
        }
    }

    /// Whether no letter, digit or `_` stands before.
    fn begins(&self, at: usize) -> bool {
        at == 0 || !is_word(self.text.get(at - 1))
    }

    /// Whether a number that ends here is part of an address's first half.
    fn in_email(&self, end: usize) -> bool {
        /// The longest that such halves are.
        const LOCAL: usize = 64;

        let rest = &self.text[end..];
        let local = rest
            .iter()
            .take(LOCAL)
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte))
            .count();
        rest.get(local) == Some(&b'@') && rest.get(local + 1).is_some_and(u8::is_ascii_alphanumeric)
    }
}

/// How many letters, digits, `_` and `-` the text starts with.
fn run(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte)).count()
}

/// Whether base64 text stands for something with a colon in it.
fn holds_colon(base64: &[u8]) -> bool {
    let mut bits: u32 = 0;
    let mut held = 0;
    for &byte in base64 {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 & 0xFFFF | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            if bits >> held & 0xFF == u32::from(b':') {
                return true;
            }
        }
    }
    false
}
