//! Finds tokens by what they start with, and keys in their armour.

use memchr::memmem;

use super::{Kind, Look, Scan, is_blank};
use crate::friction::scrub::Category;

/// Tokens that start with what no ordinary word does.
struct Token {
    start: &'static [u8],
    name: &'static str,
    letters: Letters,
    /// How many bytes must follow, and at most.
    least: usize,
    most: usize,
}

/// What a token is made of.
#[derive(Clone, Copy)]
enum Letters {
    /// Letters, digits, `_` and `-`.
    Run,
    /// Letters and digits.
    Words,
    /// Capitals and digits.
    Capitals,
    /// As `Run`, and what parts it or is escaped in cookies.
    Parts,
}

/// By their first letters.
const TOKENS: [Token; 44] = [
    Token { start: b"AKIA", name: "aws_key", letters: Letters::Capitals, least: 16, most: 16 },
    Token { start: b"ASIA", name: "aws_key", letters: Letters::Capitals, least: 16, most: 16 },
    token(b"AIza", "google_key", Letters::Run, 30),
    token(b"ATATT3", "atlassian_token", Letters::Parts, 30),
    token(b"GOCSPX-", "google_key", Letters::Run, 20),
    token(b"SG.", "sendgrid_key", Letters::Parts, 40),
    token(b"dckr_pat_", "docker_token", Letters::Run, 20),
    token(b"dop_v1_", "digitalocean_token", Letters::Words, 40),
    token(b"figd_", "figma_token", Letters::Run, 30),
    token(b"ghp_", "github_token", Letters::Run, 20),
    token(b"gho_", "github_token", Letters::Run, 20),
    token(b"ghu_", "github_token", Letters::Run, 20),
    token(b"ghs_", "github_token", Letters::Parts, 20),
    token(b"ghr_", "github_token", Letters::Run, 20),
    token(b"github_pat_", "github_token", Letters::Run, 20),
    token(b"glpat-", "gitlab_token", Letters::Run, 16),
    token(b"gldt-", "gitlab_token", Letters::Run, 16),
    token(b"glrt-", "gitlab_token", Letters::Run, 16),
    token(b"glptt-", "gitlab_token", Letters::Run, 16),
    token(b"hf_", "huggingface_token", Letters::Words, 30),
    token(b"hvs.", "vault_token", Letters::Run, 24),
    token(b"lin_api_", "linear_key", Letters::Words, 30),
    token(b"npm_", "npm_token", Letters::Words, 30),
    token(b"ntn_", "notion_token", Letters::Words, 40),
    token(b"pypi-", "pypi_token", Letters::Run, 50),
    token(b"rk_live_", "sk_key", Letters::Run, 10),
    token(b"rk_test_", "sk_key", Letters::Run, 10),
    token(b"sk-", "sk_key", Letters::Run, 20),
    token(b"sk_live_", "sk_key", Letters::Run, 10),
    token(b"sk_test_", "sk_key", Letters::Run, 10),
    token(b"shpat_", "shopify_token", Letters::Words, 32),
    token(b"shpss_", "shopify_token", Letters::Words, 32),
    token(b"whsec_", "webhook_secret", Letters::Parts, 24),
    token(b"xoxa-", "slack_token", Letters::Run, 10),
    token(b"xoxb-", "slack_token", Letters::Run, 10),
    token(b"xoxc-", "slack_token", Letters::Run, 10),
    token(b"xoxd-", "slack_token", Letters::Parts, 10),
    token(b"xoxe-", "slack_token", Letters::Run, 10),
    token(b"xoxe.", "slack_token", Letters::Parts, 10),
    token(b"xoxp-", "slack_token", Letters::Run, 10),
    token(b"xoxr-", "slack_token", Letters::Run, 10),
    token(b"xoxs-", "slack_token", Letters::Run, 10),
    token(b"xapp-", "slack_token", Letters::Run, 10),
    token(b"ya29.", "google_key", Letters::Run, 20),
];

const fn token(start: &'static [u8], name: &'static str, letters: Letters, least: usize) -> Token {
    Token { start, name, letters, least, most: usize::MAX }
}

/// How a key in its armour begins.
pub(super) const BEGIN: &[u8] = b"-----BEGIN ";

/// The letters that tokens and schemes start with, but for JWTs.
pub(super) const FIRST: &[u8] = b"AGSbBdfghlnprswxy";

/// Which of the tokens start with a byte: from here, up to there.
const STARTING: [(u8, u8); 256] = {
    let mut starting = [(0, 0); 256];
    let mut nth: u8 = 0;
    while (nth as usize) < TOKENS.len() {
        let of = &mut starting[TOKENS[nth as usize].start[0] as usize];
        if of.1 == 0 {
            of.0 = nth;
        } else {
            assert!(of.1 == nth, "tokens stand in the order of their first letters");
        }
        nth += 1;
        of.1 = nth;
    }
    starting
};

const _: () = {
    let mut nth = 0;
    while nth < TOKENS.len() {
        let kind = super::KINDS[TOKENS[nth].start[0] as usize];
        assert!(matches!(kind, Kind::Letter), "a token starts with a letter that is not looked at");
        nth += 1;
    }
};

// === impl Scan ===

impl Scan<'_, '_> {
    /// A token, a JWT or what follows `Bearer` and `Basic`.
    pub(super) fn token(&mut self, at: usize) -> Look<'static> {
        match self.text[at] {
            b'e' => self.jwt(at),
            b'B' | b'b' => self.scheme(at),
            first => self.starting(at, STARTING[usize::from(first)]),
        }
    }

    fn starting(&self, at: usize, (from, to): (u8, u8)) -> Look<'static> {
        let rest = &self.text[at..];
        for token in &TOKENS[usize::from(from)..usize::from(to)] {
            if rest.get(1) != Some(&token.start[1]) || !rest.starts_with(token.start) {
                continue;
            }
            let tail = &rest[token.start.len()..];
            let most = token.most.saturating_add(1);
            let length =
                tail.iter().take(most).take_while(|byte| token.letters.has(**byte)).count();
            if (token.least..=token.most).contains(&length) {
                let end = at + token.start.len() + length;
                return Look::Found(at, end, Category::Pattern(token.name));
            }
        }
        Look::Nothing(at + 1)
    }

    /// `eyJ…`, and two more parts.
    fn jwt(&mut self, at: usize) -> Look<'static> {
        let begins = self.begins(at) || self.text[at - 1] == b'_';
        if at < self.no_jwt_before || !begins || !self.text[at..].starts_with(b"eyJ") {
            return Look::Nothing(at + 1);
        }
        let mut end = at;
        for part in 0..3 {
            let length =
                self.text[end..].iter().take_while(|byte| Letters::Run.has(**byte)).count();
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
        /// The shortest bearer's token, in bytes.
        const BEARER: usize = 16;
        /// The shortest pair of user and password.
        const BASIC: usize = 4;

        let is_scheme = |word: &[u8]| {
            let start = self.text.get(at..at + word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let (length, name) = match self.text.get(at + 1) {
            Some(b'e' | b'E') if is_scheme(b"bearer") => (6, "bearer"),
            Some(b'a' | b'A') if is_scheme(b"basic") => (5, "basic"),
            _ => return Look::Nothing(at + 1),
        };
        let rest = &self.text[at + length..];
        let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
        if blanks == 0 {
            return Look::Nothing(at + length);
        }
        let rest = &rest[blanks..];
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.+/=".contains(byte);
        let value = rest.iter().take_while(|byte| letter(byte)).count();
        let found = match name {
            "bearer" => value >= BEARER,
            // A word may follow that has nothing to hide.
            _ => value >= BASIC && holds_colon(&rest[..value]),
        };
        if found {
            Look::Found(at, at + length + blanks + value, Category::Pattern(name))
        } else {
            Look::Nothing(at + length + blanks)
        }
    }

    /// A private key, to its end or to the text's; [`BEGIN`] stands here.
    pub(super) fn pem(&self, at: usize) -> Look<'static> {
        const END: &[u8] = b"-----END";
        const DASHES: &[u8] = b"-----";
        /// The longest label.
        const LABEL: usize = 64;

        let rest = &self.text[at..];
        let label = |text: &[u8]| {
            let letter =
                |byte: &&u8| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9');
            text.iter().take(LABEL).take_while(letter).count()
        };
        let name = &rest[BEGIN.len()..];
        let name = &name[..label(name)];
        if !name.windows(11).any(|words| words == b"PRIVATE KEY") {
            return Look::Nothing(at + BEGIN.len());
        }
        let end = memmem::find(rest, END).map(|end| {
            let behind = end + END.len();
            let behind = behind + label(&rest[behind..]);
            if rest[behind..].starts_with(DASHES) { behind + DASHES.len() } else { behind }
        });
        Look::Found(at, at + end.unwrap_or(rest.len()), Category::Pattern("private_key"))
    }
}

// === impl Letters ===

impl Letters {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Run => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Words => byte.is_ascii_alphanumeric(),
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Parts => byte.is_ascii_alphanumeric() || b"_-.%+/=".contains(&byte),
        }
    }
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
