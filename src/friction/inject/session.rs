//! What is added to a live session: [`Additions`] behind the gate's seam.
//!
//! Calls of thoth's own tools are answered here, but for the report, which is made where the events
//! are. Whatever cannot be read is left to the server.

use super::annotate::Report;
use super::{Additions, Registry};
use crate::friction::raw::RawObject;
use crate::gate::extras::{Called, Extras, Listed, Own};

/// The additions of one session, and what was added so far.
#[derive(Debug)]
pub struct Live {
    additions: Additions,
    registry: Registry,
    /// The local file that events go to, for the words that name it.
    file: Option<String>,
}

// === impl Live ===

impl Live {
    /// Additions to a session in which nothing was added yet.
    pub fn new(additions: Additions, file: Option<String>) -> Self {
        Self { additions, registry: Registry::default(), file }
    }

    /// What comes of a call of one of thoth's own tools.
    fn own(&self, tool: &str, arguments: &[u8]) -> Own {
        if tool != self.additions.words.annotate() {
            return Own::Report;
        }
        let arguments = RawObject::read(arguments).unwrap_or(RawObject::EMPTY);
        match Report::read(arguments, self.additions.proactive) {
            Ok(report) => Own::Noted(report.thanks().to_owned()),
            Err(refused) => Own::Refused(refused.to_string()),
        }
    }
}

impl Extras for Live {
    fn greeted(&mut self, result: &[u8]) -> Option<Vec<u8>> {
        self.additions.initialize(result, self.file.as_deref())
    }

    fn listed(&mut self, result: &[u8], first: bool) -> Option<Listed> {
        let page = self.registry.list(result, first, &self.additions)?;
        Some(Listed { result: page.text, added: page.added })
    }

    fn called(&self, tool: &str, arguments: &[u8]) -> Called {
        if self.registry.is_own(tool, &self.additions) {
            return Called::Own(self.own(tool, arguments));
        }
        match self.registry.strip(tool, arguments) {
            Some(stripped) => Called::Arguments { own: stripped.own, said: stripped.said },
            None => Called::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::super::words::Words;
    use super::*;

    fn live(proactive: bool, report: bool) -> Live {
        let words = Words::default();
        let additions = Additions { words, mode: Mode::Required, proactive, report };
        Live::new(additions, Some("/e.jsonl".to_owned()))
    }

    #[test]
    fn thoths_own_tools_are_answered_before_any_list_too() {
        let noted = |text: &str| Some(Own::Noted(text.to_owned()));
        let refused = |text: &str| Some(Own::Refused(format!("nothing was recorded: {text}")));
        let went_wrong = r#"{"user_goal":"g","what_happened":"h","tool_name":"none"}"#;
        let recorded = noted("The report was recorded. Go on helping the user.");
        let plan = r#"{"user_goal":"g","expected_result":"e"}"#;
        let no_plans = refused("say in `what_happened` what went wrong; plans are not recorded");
        let planned =
            noted("The plan was recorded. Go on with the task, and report what gets in its way.");
        let empty = refused("say in `user_goal` what the user wants");
        let not_text = refused("`user_goal` must be a text");
        let report = Some(Own::Report);
        // proactive, report; tool, arguments; what comes of it
        let table = [
            ((false, false), "baton_annotate", went_wrong, recorded),
            ((false, false), "baton_annotate", plan, no_plans),
            ((true, false), "baton_annotate", plan, planned),
            ((true, false), "baton_annotate", "{}", empty),
            ((true, false), "baton_annotate", r#"{"user_goal":["g"]}"#, not_text),
            ((false, true), "baton_session_report", "{}", report.clone()),
            ((false, true), "baton_session_report", r#"{"x":1}"#, report),
            ((false, false), "baton_session_report", "{}", None),
            ((false, true), "Baton_annotate", went_wrong, None),
            ((false, true), "t", r#"{"user_goal":"g"}"#, None),
        ];
        for ((proactive, report), tool, arguments, expected) in table {
            let own = match live(proactive, report).called(tool, arguments.as_bytes()) {
                Called::Own(own) => Some(own),
                Called::Nothing => None,
                Called::Arguments { .. } => panic!("nothing was added to {tool}"),
            };
            assert_eq!(own, expected, "{tool} {arguments}");
        }
    }

    #[test]
    fn a_session_is_given_and_given_back() {
        let mut live = live(false, true);
        let greeting = live.greeted(br#"{"supportedVersions":[],"instructions":"Hi."}"#).unwrap();
        let greeting = String::from_utf8(greeting).unwrap();
        assert!(greeting.contains("Hi. This server") && greeting.contains("/e.jsonl"));
        assert_eq!(live.greeted(br#"{"tools":[]}"#), None);

        let first = br#"{"tools":[{"name":"a"}],"nextCursor":"2"}"#;
        assert_eq!(live.listed(first, true).unwrap().added, 2);
        assert_eq!(live.listed(br#"{"tools":[{"name":"b"}]}"#, false).unwrap().added, 0);
        assert!(live.listed(br#"{"resources":[]}"#, true).is_none());

        for tool in ["a", "b"] {
            let arguments = br#"{"x":1,"user_goal":"g","expected_result":[1]}"#;
            let Called::Arguments { own, said } = live.called(tool, arguments) else {
                panic!("{tool} was listed");
            };
            assert_eq!(own, br#"{"x":1}"#);
            assert_eq!(said, br#"{"user_goal":"g","expected_result":[1]}"#);
        }
        assert!(matches!(live.called("a", br#"{"x":1}"#), Called::Nothing));
        assert!(matches!(live.called("c", br#"{"user_goal":"g"}"#), Called::Nothing));
    }

    #[test]
    fn a_list_that_changed_neither_loses_nor_doubles_anything() {
        let mut live = live(false, false);
        let added = |live: &mut Live, tools: &str| {
            live.listed(format!(r#"{{"tools":[{tools}]}}"#).as_bytes(), true).unwrap().added
        };
        let is_taken = |live: &Live, tool: &str| {
            matches!(live.called(tool, br#"{"user_goal":"g"}"#), Called::Arguments { .. })
        };
        assert_eq!(added(&mut live, r#"{"name":"a"},{"name":"b"}"#), 1);
        assert_eq!(added(&mut live, r#"{"name":"c"}"#), 1);
        // A tool that was listed once may still be called by whoever read that list.
        assert!(["a", "b", "c"].iter().all(|tool| is_taken(&live, tool)));
        let native = r#"{"name":"a","inputSchema":{"properties":{"user_goal":{}}}}"#;
        assert_eq!(added(&mut live, native), 1);
        assert!(!is_taken(&live, "a") && is_taken(&live, "b"));
        assert_eq!(added(&mut live, r#"{"name":"a"}"#), 1);
        assert!(is_taken(&live, "a"));
        // Once the server had a tool of such a name, it stays the server's.
        assert_eq!(added(&mut live, r#"{"name":"baton_annotate"}"#), 0);
        assert_eq!(added(&mut live, r#"{"name":"a"}"#), 0);
        assert!(matches!(live.called("baton_annotate", b"{}"), Called::Nothing));
    }
}
