//! What the pages show: rows of other wings, made ready to be looked at.
//!
//! Pure. Everything here but ids and times is somebody else's text; [`super::page`] escapes it.

use jiff::Timestamp;

use crate::approval::State;
use crate::friction::report::text::{Excerpt, visible};
use crate::server::decisions::Word;

/// The most of a call's arguments that is shown, in characters.
const SHOWN: usize = 20_000;

/// One call that a person is, or was, asked about.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    /// The approval's id.
    pub(super) id: String,
    /// Which tool.
    pub(super) tool: String,
    /// Of which server.
    pub(super) server: Option<String>,
    /// Which agent calls it.
    pub(super) agent: String,
    /// For whom.
    pub(super) user: String,
    /// Where.
    pub(super) environment: String,
    /// With what.
    pub(super) arguments: Arguments,
    /// Which rules ask for a person.
    pub(super) rules: Vec<String>,
    /// Why, in a sentence.
    pub(super) reason: Option<String>,
    /// Whose rules they are.
    pub(super) policy: Option<String>,
    /// Whether the call's own user may answer, where the rules say.
    pub(super) self_approval: Option<bool>,
    /// When it was asked for.
    pub(super) asked_at: Timestamp,
    /// When it ends, answered or not.
    pub(super) expires_at: Timestamp,
    /// Where it stands.
    pub(super) state: State,
}

/// A call's arguments, for people: one member a line.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Arguments {
    /// The text.
    pub(super) text: String,
    /// How many values the scrubber took out.
    pub(super) hidden: u64,
    /// Whether the end is missing.
    pub(super) is_cut: bool,
}

/// One decision of the last time.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// When.
    pub(super) at: Timestamp,
    /// What was answered.
    pub(super) word: Word,
    /// What would have been, were it not only observed.
    pub(super) instead_of: Option<Word>,
    /// Which tool.
    pub(super) tool: String,
    /// Of which server.
    pub(super) server: Option<String>,
    /// Which agent called it.
    pub(super) agent: String,
    /// For whom.
    pub(super) user: String,
    /// Where.
    pub(super) environment: String,
    /// Which rules decided.
    pub(super) rules: Vec<String>,
    /// Why.
    pub(super) reason: Option<String>,
    /// The approval it came to, or rests on.
    pub(super) approval: Option<String>,
}

/// One machine.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Its id.
    pub(super) id: String,
    /// What it is called.
    pub(super) name: Option<String>,
    /// Who uses it.
    pub(super) user: Option<String>,
    /// Where.
    pub(super) environment: Option<String>,
    /// How it is.
    pub(super) health: Health,
    /// Which thoth runs there.
    pub(super) version: Option<String>,
    /// How many MCP servers are governed there.
    pub(super) governed: Option<usize>,
    /// How many are not.
    pub(super) ungoverned: Option<usize>,
    /// When it last checked in.
    pub(super) seen_at: Option<Timestamp>,
}

/// How a machine is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Health {
    /// Ordered to refuse everything.
    Quarantined,
    /// It checks in, and says that something is wrong.
    AtRisk,
    /// It has not checked in for longer than it should.
    Stale,
    /// It checks in.
    Online,
    /// It was registered, and has never checked in.
    Registered,
    /// It said goodbye.
    Stopped,
}

/// Machines, counted. One may count as several of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) all: i64,
    pub(super) quarantined: i64,
    pub(super) at_risk: i64,
    pub(super) stale: i64,
    pub(super) online: i64,
}

// === impl Arguments ===

impl Arguments {
    /// Makes arguments ready to be looked at: JSON that was scrubbed, or its beginning.
    pub(super) fn of(scrubbed: &str, hidden: u64, is_cut: bool) -> Self {
        let text = indent(scrubbed);
        let kept = Excerpt::new(&text, SHOWN);
        let is_cut = is_cut || kept.as_str().len() < text.len();
        Self { text: kept.as_str().to_owned(), hidden, is_cut }
    }

    /// Whether it is short enough to be looked at without being asked for.
    pub(super) fn is_short(&self) -> bool {
        !self.is_cut && self.text.len() <= 600 && self.text.lines().count() <= 12
    }
}

// === impl Health ===

impl Health {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::AtRisk => "at risk",
            Self::Stale => "stale",
            Self::Online => "online",
            Self::Registered => "registered",
            Self::Stopped => "stopped",
        }
    }
}

/// JSON with one member or element a line. Spellings stay; what would act instead of being seen is
/// escaped. Works on the text: numbers keep their digits, members their order.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut start) = (0_usize, 0);
    let mut is_string = false;
    let mut is_escaped = false;
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        // What is nested deeper than this stays at this margin: the text grows only so much.
        out.extend(std::iter::repeat_n("  ", depth.min(16)));
    };
    for (at, byte) in json.bytes().enumerate() {
        if is_string {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            if ends {
                is_string = false;
                out.push_str(&visible(&json[start..=at]));
            }
            continue;
        }
        match byte {
            b'"' => (is_string, start) = (true, at),
            b'{' | b'[' => {
                out.push(char::from(byte));
                depth += 1;
                if !json[at + 1..].trim_start().starts_with(['}', ']']) {
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !out.ends_with(['{', '[']) {
                    line(&mut out, depth);
                }
                out.push(char::from(byte));
            }
            b',' => {
                out.push(',');
                line(&mut out, depth);
            }
            b':' => out.push_str(": "),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ if byte.is_ascii_graphic() => out.push(char::from(byte)),
            // No JSON: shown for what it is.
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    if is_string {
        out.push_str(&visible(&json[start..]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_member_a_line_as_they_were_spelled() {
        for (json, shown) in [
            ("{}", "{}"),
            ("[ ]", "[]"),
            (
                r#"{"b":1.50,"a":[1e3,{"c":null}]}"#,
                "{\n  \"b\": 1.50,\n  \"a\": [\n    1e3,\n    {\n      \"c\": null\n    }\n  ]\n}",
            ),
            (r#"{"a":"x, {y: \"z\"} \\"}"#, "{\n  \"a\": \"x, {y: \\\"z\\\"} \\\\\"\n}"),
            (r#"{"a":"{\"b\":1}"}"#, "{\n  \"a\": \"{\\\"b\\\":1}\"\n}"),
            ("{\"a\":\"\u{202e}gpj\"}", "{\n  \"a\": \"\\u{202e}gpj\"\n}"),
            ("{\"a\":\"cut o", "{\n  \"a\": \"cut o"),
            ("{\"a\":\"é\"}", "{\n  \"a\": \"é\"\n}"),
            ("\u{7}x", "\u{fffd}x"),
        ] {
            assert_eq!(Arguments::of(json, 0, false).text, shown);
        }
    }

    #[test]
    fn long_arguments_are_cut_and_say_so() {
        let arguments = Arguments::of(&format!("\"{}\"", "word ".repeat(SHOWN)), 0, false);
        assert_eq!(arguments.text.chars().count(), SHOWN);
        assert!(arguments.is_cut && !arguments.is_short());
        assert!(Arguments::of("{}", 0, false).is_short());
        assert!(Arguments::of("{", 0, true).is_cut);
    }

    #[test]
    fn deep_arguments_do_not_grow_out_of_proportion() {
        let json = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(indent(&json).len() < json.len() * 40);
    }
}
