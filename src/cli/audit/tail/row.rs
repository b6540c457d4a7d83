//! One record as a row of a table.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Deserialize;

use crate::cli::printable::Printable;

// How much is shown of each column, in characters.
const TIME: usize = 23;
const WHAT: usize = 10;
const TOOL: usize = 24;
const WHY: usize = 200;

/// What is shown of a record. Members of newer formats are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    kind: Cow<'a, str>,
    call: Option<u64>,
    tool: Option<Cow<'a, str>>,
    took_us: Option<u64>,
    lost_before: Option<u64>,
    // session
    agent: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
    thoth: Option<Cow<'a, str>>,
    // decision
    decision: Option<Cow<'a, str>>,
    #[serde(default)]
    forwarded: serde_json::Value,
    basis: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    reason_code: Option<Cow<'a, str>>,
    #[serde(default)]
    rule_ids: Vec<Cow<'a, str>>,
    // outcome
    end: Option<Cow<'a, str>>,
    is_error: Option<bool>,
    code: Option<i64>,
    result_bytes: Option<u64>,
    // unreadable
    bytes: Option<u64>,
    // end
    decisions: Option<u64>,
    outcomes: Option<u64>,
    unreadable: Option<u64>,
    lost: Option<u64>,
}

impl<'a> Row<'a> {
    /// Reads a line; `None` where it is no record.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Whether it closes the journal.
    pub(super) fn is_end(&self) -> bool {
        self.kind == "end"
    }

    /// Writes the row, on one line whatever the record holds.
    pub(super) fn write(&self, colour: bool, out: &mut impl Write) -> io::Result<()> {
        // To the millisecond; the journal knows more.
        let time: String = self.time.replacen('T', " ", 1).chars().take(TIME).collect();
        let what = fit(self.what(), WHAT);
        let (start, stop) = match self.colour().filter(|_| colour) {
            Some(code) => (format!("\u{1b}[{code}m"), "\u{1b}[0m"),
            None => (String::new(), ""),
        };
        let call = self.call.map(|call| call.to_string()).unwrap_or_default();
        let taken = self.took_us.map(milliseconds).unwrap_or_default();
        let tool = self.tool.as_ref().or(self.agent.as_ref());
        let columns = [
            &fit(&time, TIME),
            &call,
            &format!("{start}{what:<WHAT$}{stop}"),
            &fit(tool.map_or("", |tool| tool), TOOL),
            &taken,
            &fit(&self.why(), WHY),
        ];
        writeln!(out, "{}", aligned(columns.map(String::as_str)))
    }

    fn what(&self) -> &str {
        match (&*self.kind, &self.decision, &self.end) {
            ("decision", Some(decision), _) => decision,
            ("outcome", _, Some(_)) if self.is_error == Some(true) => "failed",
            ("outcome", _, Some(end)) => end,
            _ => &self.kind,
        }
    }

    fn colour(&self) -> Option<u8> {
        match self.what() {
            "allow" => Some(32),
            "modify" => Some(36),
            "step_up" | "defer" => Some(33),
            "block" | "unreadable" => Some(31),
            _ => None,
        }
    }

    fn why(&self) -> String {
        let mut why = Vec::new();
        match &*self.kind {
            "session" => {
                why.extend(self.session.as_ref().map(|session| format!("session {session}")));
                why.extend(self.thoth.as_ref().map(|version| format!("thoth {version}")));
            }
            "decision" => {
                let passes = matches!(self.what(), "allow" | "modify");
                match self.forwarded.as_bool() {
                    Some(true) if !passes => why.push("forwarded all the same".to_owned()),
                    Some(false) if passes => why.push("not forwarded".to_owned()),
                    _ => {}
                }
                why.extend(self.basis.as_ref().map(|basis| format!("by {basis}")));
                if !self.rule_ids.is_empty() {
                    why.push(self.rule_ids.join(" "));
                }
                why.extend(self.reason.as_ref().or(self.reason_code.as_ref()).map(Cow::to_string));
            }
            "end" => {
                let mut counted = |count: Option<u64>, word: &str| {
                    why.extend(count.map(|count| format!("{word} {count}")));
                };
                counted(self.decisions, "decisions");
                counted(self.forwarded.as_u64(), "forwarded");
                counted(self.outcomes, "outcomes");
                counted(self.unreadable.filter(|count| *count > 0), "unreadable");
                counted(self.lost.filter(|count| *count > 0), "lost");
            }
            _ => {
                why.extend(self.reason_code.as_ref().map(Cow::to_string));
                why.extend(self.code.map(|code| format!("code {code}")));
                let bytes = self.result_bytes.or(self.bytes);
                why.extend(bytes.map(|bytes| format!("{bytes} bytes")));
            }
        }
        why.extend(self.lost_before.map(|lost| format!("{lost} records lost before this one")));
        why.join(", ")
    }
}

/// The table's head.
pub(super) fn titles() -> String {
    aligned(["TIME (UTC)", "CALL", "WHAT", "TOOL", "TOOK", "WHY"])
}

fn aligned([time, call, what, tool, taken, why]: [&str; 6]) -> String {
    format!("{time:<TIME$}  {call:>6}  {what:<WHAT$}  {tool:<TOOL$}  {taken:>10}  {why}")
}

/// Text without what would act on a terminal, cut to so many characters.
fn fit(text: &str, width: usize) -> String {
    let mut fitted = String::new();
    let mut room = width;
    for character in text.chars() {
        let mut shown = String::new();
        write!(shown, "{}", Printable(character.encode_utf8(&mut [0; 4])))
            .unwrap_or_else(|_| unreachable!("a string takes everything"));
        let length = shown.chars().count();
        if length > room {
            fitted
                .truncate(fitted.char_indices().nth(width - 1).map_or(fitted.len(), |(at, _)| at));
            fitted.push('…');
            break;
        }
        room -= length;
        fitted.push_str(&shown);
    }
    fitted
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, colour: bool) -> String {
        let mut out = Vec::new();
        Row::parse(line.as_bytes()).unwrap().write(colour, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_of_record_has_its_row() {
        let table = [
            (
                r#"{"seq":1,"time":"2026-01-02T03:04:05.000006Z","kind":"session","session":"s-1","agent":"desk","thoth":"0.1.0","policies":[]}"#,
                "2026-01-02 03:04:05.000          session     desk                                  session s-1, thoth 0.1.0\n",
            ),
            (
                r#"{"seq":2,"time":"2026-01-02T03:04:05.000006Z","kind":"decision","call":7,"tool":"read_file","decision":"block","forwarded":true,"basis":"observed","reason":"private","rule_ids":["a","b"],"took_us":1234}"#,
                "2026-01-02 03:04:05.000       7  block       read_file                   1.234 ms  forwarded all the same, by observed, a b, private\n",
            ),
            (
                r#"{"seq":3,"time":"2026-01-02T03:04:05.000006Z","kind":"outcome","call":7,"tool":"read_file","end":"result","is_error":true,"result_bytes":9,"took_us":5,"lost_before":2}"#,
                "2026-01-02 03:04:05.000       7  failed      read_file                   0.005 ms  9 bytes, 2 records lost before this one\n",
            ),
            (
                r#"{"seq":4,"time":"2026-01-02T03:04:05.000006Z","kind":"unreadable","reason_code":"raw_cr","bytes":44}"#,
                "2026-01-02 03:04:05.000          unreadable                                        raw_cr, 44 bytes\n",
            ),
            (
                r#"{"seq":5,"time":"2026-01-02T03:04:05.000006Z","kind":"end","decisions":1,"forwarded":1,"outcomes":1,"unreadable":1,"lost":0}"#,
                "2026-01-02 03:04:05.000          end                                               decisions 1, forwarded 1, outcomes 1, unreadable 1\n",
            ),
        ];
        for (line, row) in table {
            assert_eq!(shown(line, false), row);
        }
    }

    #[test]
    fn no_record_can_act_on_the_terminal() {
        let line = r#"{"time":"\u001b[2J","kind":"decision","decision":"a\u001b]0;x\u0007","tool":"\u009b31m\r\n\u202e","reason":"\u001b[1A"}"#;
        let row = shown(line, false);
        assert!(!row.trim_end_matches('\n').chars().any(char::is_control), "{row:?}");
        assert!(!row.contains('\u{202e}'));
        assert_eq!(row.matches('\n').count(), 1);
    }

    #[test]
    fn long_names_are_cut_where_an_escape_does_not_break() {
        assert_eq!(fit(&"x".repeat(30), 5), "xxxx…");
        assert_eq!(fit("abc\u{1b}def", 6), "abc…");
        assert_eq!(fit("abcde", 5), "abcde");
    }

    #[test]
    fn colour_is_for_terminals() {
        let line = r#"{"time":"t","kind":"decision","decision":"block"}"#;
        assert!(!shown(line, false).contains('\u{1b}'));
        assert!(shown(line, true).contains("\u{1b}[31mblock     \u{1b}[0m"));
    }
}
