//! Reads a call of the tool that agents report friction with.
//!
//! Strict where collectors are: what is no text where the wire has one is refused with a sentence,
//! instead of an event that a collector would drop.

use crate::friction::event::payload::Annotation;
use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// What an agent reported.
#[derive(Debug)]
pub struct Report<'a> {
    goal: Option<String>,
    expected: Option<String>,
    happened: Option<String>,
    signal: Option<String>,
    task: Option<String>,
    improvement: Option<String>,
    context: Option<RawObject<'a>>,
    tool: Option<String>,
}

/// Why nothing was recorded: for the agent, as a tool result with `isError`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A member that must be a text.
    #[error("nothing was recorded: `{0}` must be a text")]
    NotText(&'static str),
    /// `context` that is no object.
    #[error("nothing was recorded: `context` must be an object")]
    Context,
    /// A note where only reports are taken.
    #[error("nothing was recorded: say in `what_happened` what went wrong; plans are not recorded")]
    Note,
    /// Nothing was said.
    #[error("nothing was recorded: say in `user_goal` what the user wants")]
    Empty,
}

// === impl Report ===

impl<'a> Report<'a> {
    /// Reads the arguments. `proactive`: notes are taken, too.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn read(arguments: RawObject<'a>, proactive: bool) -> Result<Self, Refused> {
        let text = |name: &'static str| match arguments.member(name) {
            None => Ok(None),
            Some(value) if value.text() == b"null" => Ok(None),
            Some(value) if value.kind() == Kind::Text => {
                Ok(Some(unescape(value.text()).into_owned()))
            }
            Some(_) => Err(Refused::NotText(name)),
        };
        let report = Self {
            goal: text("user_goal")?,
            expected: text("expected_result")?,
            happened: text("what_happened")?,
            signal: text("signal_type")?,
            task: text("overall_task")?,
            improvement: text("suggested_improvement")?,
            context: match arguments.member("context").filter(|value| value.text() != b"null") {
                None => None,
                Some(context) => Some(Raw::object(context).ok_or(Refused::Context)?),
            },
            tool: text("tool_name")?,
        };
        let annotation = report.annotation();
        let said = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
        if !said(annotation.intent) && !said(annotation.what_happened) {
            return Err(Refused::Empty);
        }
        if !proactive && !annotation.is_report() {
            return Err(Refused::Note);
        }
        Ok(report)
    }

    /// What the agent is told of it.
    pub fn thanks(&self) -> &'static str {
        if self.annotation().is_report() {
            "The report was recorded. Go on helping the user."
        } else {
            "The plan was recorded. Go on with the task, and report what gets in its way."
        }
    }

    /// The same for an event.
    pub fn annotation(&self) -> Annotation<'_> {
        Annotation {
            intent: self.goal.as_deref(),
            expected_outcome: self.expected.as_deref(),
            what_happened: self.happened.as_deref(),
            signal_type: self.signal.as_deref(),
            workflow: self.task.as_deref(),
            suggested_improvement: self.improvement.as_deref(),
            context: self.context,
            tool_name: self.tool.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_collectors_take_is_recorded() {
        let table: [(&str, bool, Result<(), Refused>); 10] = [
            (r#"{"user_goal":"g","what_happened":"h","tool_name":""}"#, false, Ok(())),
            (r#"{"user_goal":"g","signal_type":"dead_end"}"#, false, Ok(())),
            (r#"{"user_goal":"g","tool_name":"t"}"#, false, Err(Refused::Note)),
            (r#"{"user_goal":"g","tool_name":"t"}"#, true, Ok(())),
            (r#"{"user_goal":"g","what_happened":" "}"#, false, Err(Refused::Note)),
            (r#"{"user_goal":["g"]}"#, true, Err(Refused::NotText("user_goal"))),
            (r#"{"user_goal":null,"what_happened":"h"}"#, false, Ok(())),
            (r#"{"user_goal":"g","context":[1]}"#, true, Err(Refused::Context)),
            (r#"{"tool_name":"t"}"#, true, Err(Refused::Empty)),
            ("{}", true, Err(Refused::Empty)),
        ];
        for (arguments, proactive, expected) in table {
            let arguments = RawObject::read(arguments.as_bytes()).unwrap();
            assert_eq!(Report::read(arguments, proactive).map(|_| ()), expected, "{arguments:?}");
        }
    }
}
