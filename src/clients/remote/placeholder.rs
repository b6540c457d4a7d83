//! What clients fill in: `${VAR}` and its like.
//!
//! From the clients' own documentation or source: Claude Code, Cursor, VS Code, Windsurf, Gemini CLI,
//! Kiro, Crush, `OpenCode`, Goose, Continue. Of the others it is assumed that they fill in an entry's
//! environment as they do its headers. Codex, Zed and LM Studio fill in nothing.

use std::ops::Range;

/// What stands for a placeholder in [`Filling::blank`].
pub(super) const BLANK: char = '\u{1}';

/// What a client fills in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Filling {
    /// `${…}`.
    Braces,
    /// `${…}`, `$NAME` and `$(…)`.
    Dollars,
    /// `{env:…}` and `{file:…}`.
    Words,
    /// `${…}` and `$NAME` in headers alone, from variables that the command is given as well.
    HeadersOnly,
    /// Nothing.
    Nothing,
    /// Whatever any client does: which it is, is not known.
    Any,
}

// === impl Filling ===

impl Filling {
    /// What this client fills in.
    pub(super) fn of(client: &str) -> Self {
        match client {
            "gemini" | "qwen" | "crush" => Self::Dollars,
            "opencode" => Self::Words,
            "goose" => Self::HeadersOnly,
            "codex" | "zed" | "lm-studio" => Self::Nothing,
            _ => Self::Braces,
        }
    }

    /// Whether it fills in an entry's environment.
    pub(super) fn is_known(self) -> bool {
        !matches!(self, Self::Nothing | Self::HeadersOnly)
    }

    /// Where the first placeholder stands. What looks like one stands for one, also where the client
    /// fills in nothing: then nobody knows what was meant.
    pub(super) fn first(self, text: &str) -> Option<Range<usize>> {
        let starts: &[&str] = match self {
            Self::Words => &["{env:", "{file:"],
            Self::Dollars | Self::HeadersOnly => &["$"],
            Self::Any => &["$", "{env:", "{file:"],
            Self::Braces | Self::Nothing => &["${"],
        };
        let mut from = 0;
        loop {
            let at = starts.iter().filter_map(|start| text[from..].find(start)).min()? + from;
            if let Some(length) = length(&text[at..]) {
                return Some(at..at + length);
            }
            from = at + 1;
        }
    }

    /// What every placeholder says.
    pub(super) fn all(self, text: &str) -> Vec<&str> {
        let (mut found, mut rest) = (Vec::new(), text);
        while let Some(place) = self.first(rest) {
            found.push(&rest[place.clone()]);
            rest = &rest[place.end..];
        }
        found
    }

    /// The text with each placeholder as one [`BLANK`].
    pub(super) fn blank(self, text: &str) -> String {
        let (mut blank, mut rest) = (String::new(), text);
        while let Some(place) = self.first(rest) {
            blank.push_str(&rest[..place.start]);
            blank.push(BLANK);
            rest = &rest[place.end..];
        }
        blank + rest
    }

    /// The text without its placeholders: what is written out. What a placeholder falls back to is
    /// written out as well.
    pub(super) fn rest(self, text: &str) -> String {
        let (mut left, mut rest) = (String::new(), text);
        while let Some(place) = self.first(rest) {
            left.push_str(&rest[..place.start]);
            left.push(' ');
            if let Some((_, fallback)) = rest[place.clone()].split_once(":-") {
                left.push_str(fallback.trim_end_matches('}'));
            }
            rest = &rest[place.end..];
        }
        left + rest
    }
}

/// How long the placeholder is that a text begins with.
fn length(text: &str) -> Option<usize> {
    let close = |open: &str, close: char| {
        let inner = text.strip_prefix(open)?;
        Some(open.len() + inner.find(close)? + 1)
    };
    if text.starts_with("${{") {
        return text.find("}}").map(|end| end + 2);
    }
    let word = || {
        let name = text.strip_prefix('$')?;
        let end = name.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        starts.then(|| end.unwrap_or(name.len()) + 1)
    };
    close("${", '}').or_else(|| close("$(", ')')).or_else(|| close("{", '}')).or_else(word)
}

/// The name of the variable that a text is, and nothing else: `${NAME}` or `$NAME`.
pub(super) fn alone(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (letters && !name.is_empty()).then_some(name)
}
