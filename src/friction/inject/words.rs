//! What is said to agents: names of tools and parameters, and their descriptions.
//!
//! Clients cut long instructions, so the suffix has limits; what does not fit is left out whole.

use std::fmt::Write as _;

use super::{Additions, Mode, Param};
use crate::friction::event::{Object, quote};

/// The longest suffix, in characters, without the line about the event file.
pub const LONGEST: usize = 1500;
/// The longest suffix with it: where Claude Code cuts.
pub const LONGEST_WITH_FILE: usize = 2087;

/// What names begin with where no vendor's prefix replaces it.
const PREFIX: &str = "baton";

/// The names that agents see, all with one prefix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Words {
    prefix: String,
}

/// A prefix that tools' names cannot have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a tool's name can have 1 to 40 letters, digits, `_` and `-` before its own")]
pub struct BadPrefix;

// === impl Words ===

impl Default for Words {
    fn default() -> Self {
        Self { prefix: PREFIX.to_owned() }
    }
}

impl Words {
    /// Names with a vendor's prefix in place of `baton`.
    ///
    /// # Errors
    ///
    /// [`BadPrefix`]
    pub fn with_prefix(prefix: &str) -> Result<Self, BadPrefix> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if (1..=40).contains(&prefix.len()) && prefix.bytes().all(letter) {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(BadPrefix)
        }
    }

    /// The tool that agents report friction with.
    pub fn annotate(&self) -> String {
        format!("{}_annotate", self.prefix)
    }

    /// The tool that tells of the session so far.
    pub fn report(&self) -> String {
        format!("{}_session_report", self.prefix)
    }

    /// Who records, by the name that agents are told.
    fn recorder(&self) -> &str {
        if self.prefix == PREFIX { "thoth" } else { &self.prefix }
    }
}

// === impl Additions ===

impl Additions {
    /// The suffix to a server's instructions. It starts with a blank, since it follows a sentence.
    /// `file`: where the events of this session are written, if that can be named.
    pub fn instructions(&self, file: Option<&str>) -> String {
        let (annotate, recorder) = (self.words.annotate(), self.words.recorder());
        let mut text = format!(
            " This server is wrapped by {recorder}, which records where agents get stuck. Call \
             `{annotate}` when a tool returned an error, timed out or gave something unhelpful; when \
             the user gives up; when a tool or a field that the task needs does not exist; or when \
             you had to work around something. Say in `user_goal` what the user wants, in \
             `what_happened` what came of it, and in `tool_name` which tool it was about (\"none\" if \
             there is no such tool). Reporting does not replace answering: go on helping the user."
        );
        if self.mode != Mode::Off {
            text.push_str(
                " Where tools ask for `user_goal`, `expected_result` and `overall_task`, fill them in \
                 truthfully and briefly; they are not passed on to the server. Sub-agents put the \
                 number of the user's message before `overall_task`, as in \"2: book a trip\".",
            );
        }
        if self.proactive {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                " Also call `{annotate}` once before the first tool of a new task, with `user_goal` \
                 and `expected_result` and without `what_happened`."
            );
        }
        debug_assert!(text.chars().count() <= LONGEST, "these texts are ours");
        if let Some(file) = file {
            let line = format!(
                " The events of this session are in {file}, one JSON object a line; pick those with \
                 this session's `session_id`."
            );
            if text.chars().count() + line.chars().count() <= LONGEST_WITH_FILE {
                text.push_str(&line);
            }
        }
        text
    }

    /// The names of the added tools, sorted.
    pub fn tool_names(&self) -> impl Iterator<Item = String> + '_ {
        let report = self.report.then(|| self.words.report());
        [self.words.annotate()].into_iter().chain(report)
    }

    /// The added tools: their names and definitions.
    pub(super) fn tools(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let annotate = (self.words.annotate(), self.annotate_tool());
        let report = self.report.then(|| (self.words.report(), self.report_tool()));
        [annotate].into_iter().chain(report)
    }

    /// The schema of one parameter.
    pub(super) fn schema(&self, param: Param) -> String {
        let label = match self.mode {
            Mode::Off | Mode::Optional => "OPTIONAL.",
            Mode::Required => "REQUIRED.",
        };
        let what = match param {
            Param::Expected => "What you expect this call to return, in one sentence.",
            Param::Goal => "What the user wants to achieve with this, in one sentence.",
            Param::Task => {
                "The task this call is a part of: the number of the user's message, a colon and a \
                 label that stays the same, as in \"2: book a trip\"."
            }
        };
        property(&format!(
            "{label} {what} Recorded by {}, not passed to the tool.",
            self.words.recorder()
        ))
    }

    /// The same as a member.
    pub(super) fn param(&self, param: Param) -> String {
        format!("\"{}\":{}", param.name(), self.schema(param))
    }

    fn annotate_tool(&self) -> String {
        tool(
            &self.words.annotate(),
            "Report friction: an error, a timeout, an unhelpful result, a missing tool or field, a \
             workaround, or a user who gives up. Answered at once; nothing is changed.",
            |schema| {
                schema.object("properties", |properties| {
                    for (name, what) in [
                        ("user_goal", "What the user wants to achieve."),
                        ("expected_result", "What should have come of it."),
                        ("what_happened", "What came of it instead."),
                        ("tool_name", "The tool it is about; \"none\" if there is no such tool."),
                        ("overall_task", "The task it is a part of."),
                        ("suggested_improvement", "What would have helped."),
                    ] {
                        properties.raw(name, property(what).as_bytes());
                    }
                    let context = "Anything else, such as likely_cause, alternatives_considered, \
                                   user_impact, missing_capability.";
                    properties.object("context", |object| {
                        object.text("type", "object");
                        object.text("description", context);
                    });
                });
                let required: &[&str] =
                    if self.proactive { &["user_goal"] } else { &["user_goal", "tool_name"] };
                schema.texts("required", required.iter().copied());
            },
        )
    }

    fn report_tool(&self) -> String {
        tool(
            &self.words.report(),
            "Tell how this session went so far: calls, errors, refusals, and where it got stuck.",
            |schema| schema.object("properties", |_| {}),
        )
    }
}

fn tool(name: &str, description: &str, schema: impl FnOnce(&mut Object<'_>)) -> String {
    let mut text = Vec::new();
    let mut tool = Object::open(&mut text);
    tool.text("name", name);
    tool.text("description", description);
    tool.object("inputSchema", |object| {
        object.text("type", "object");
        schema(object);
    });
    tool.close();
    String::from_utf8(text).unwrap_or_else(|_| unreachable!("it was written from strings"))
}

fn property(description: &str) -> String {
    let mut text = br#"{"type":"string","description":"#.to_vec();
    quote(&mut text, description);
    text.push(b'}');
    String::from_utf8(text).unwrap_or_else(|_| unreachable!("it was written from strings"))
}
