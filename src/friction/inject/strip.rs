//! Takes out of a call's arguments what was added to its tool, and reads it.

use super::edit::Edits;
use super::{Param, Registry};
use crate::friction::event::payload::{Intent, IntentSource};
use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, Lenient, Reader, unescape};

/// A call's arguments, without what was added.
#[derive(Debug)]
pub struct Stripped {
    /// The text of the arguments that are the tool's own; `None` where nothing was taken out.
    pub arguments: Option<Vec<u8>>,
    /// What the agent said.
    pub said: Said,
}

/// What an agent said of its intent. Blank texts, and what is no text, count as not said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Said {
    /// What the user wants.
    pub goal: Option<String>,
    /// What should come of the call.
    pub expected: Option<String>,
    /// The task it is a part of.
    pub task: Option<String>,
}

// === impl Registry ===

impl Registry {
    /// Takes the added parameters out of the text of one call's arguments.
    pub fn strip(&self, tool: &str, arguments: &[u8]) -> Stripped {
        let untouched = Stripped { arguments: None, said: Said::default() };
        let added: Vec<Param> = self.added(tool).collect();
        let Some(object) = RawObject::read(arguments).filter(|_| !added.is_empty()) else {
            return untouched;
        };
        let text = object.text();
        let mut said = Said::default();
        let mut edits = Edits::new(text);
        let mut kept = false;
        // What stands from the end of one member to the end of the next is the latter's.
        let mut start = 1;
        let read = Reader::<Lenient>::new(text).object(|reader, name| {
            let span = reader.value(1)?;
            let end = span.range.end;
            match added.iter().find(|param| param.name() == name) {
                Some(&param) => {
                    said.say(param, Raw::read(&text[span.range]));
                    edits.replace(start..end, Vec::new());
                }
                None if !kept => {
                    kept = true;
                    // The first that stays must not follow a comma.
                    let comma =
                        text[start..end].iter().position(|&byte| !byte.is_ascii_whitespace());
                    if let Some(comma) = comma.filter(|&comma| text[start + comma] == b',') {
                        edits.replace(start + comma..start + comma + 1, Vec::new());
                    }
                }
                None => {}
            }
            start = end;
            Ok(())
        });
        if read.is_err() || edits.is_empty() {
            return untouched;
        }
        Stripped { arguments: Some(edits.apply()), said }
    }
}

// === impl Said ===

impl Said {
    /// The same for an event.
    pub fn intent(&self) -> Intent<'_> {
        Intent {
            goal: self.goal.as_deref(),
            expected: self.expected.as_deref(),
            workflow: self.task.as_deref(),
            source: IntentSource::InjectedParam,
        }
    }

    fn say(&mut self, param: Param, value: Option<Raw<'_>>) {
        let text = value
            .filter(|value| value.kind() == Kind::Text)
            .map(|value| unescape(value.text()).into_owned())
            .filter(|text| !text.trim().is_empty());
        match param {
            Param::Expected => self.expected = text,
            Param::Goal => self.goal = text,
            Param::Task => self.task = text,
        }
    }
}
