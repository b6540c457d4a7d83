//! Takes out of a call's arguments what was added to its tool, and reads it.

use super::edit::Edits;
use super::{Param, Registry};
use crate::friction::event::Object;
use crate::friction::event::payload::{Intent, IntentSource};
use crate::friction::raw::RawObject;
use crate::gate::json::{Kind, Lenient, Reader, unescape};

/// A call's arguments in two.
#[derive(Debug)]
pub struct Stripped {
    /// The text of the arguments that are the tool's own.
    pub own: Vec<u8>,
    /// The members that were taken out, as the text of an object: for [`Said::read`].
    pub said: Vec<u8>,
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
    /// Takes the added parameters out of the text of one call's arguments; `None` where there are
    /// none in it.
    pub fn strip(&self, tool: &str, arguments: &[u8]) -> Option<Stripped> {
        let added: Vec<&str> = self.added(tool).map(Param::name).collect();
        let object = RawObject::read(arguments).filter(|_| !added.is_empty())?;
        let text = object.text();
        let mut said = Vec::new();
        let mut taken = Object::open(&mut said);
        let mut edits = Edits::new(text);
        let mut kept = false;
        // What stands from the end of one member to the end of the next is the latter's.
        let mut start = 1;
        let read = Reader::<Lenient>::new(text).object(|reader, name| {
            let span = reader.value(1)?;
            let end = span.range.end;
            if added.contains(&name) {
                taken.raw(name, &text[span.range]);
                edits.replace(start..end, Vec::new());
            } else if !kept {
                kept = true;
                // The first that stays must not follow a comma.
                let comma = text[start..end].iter().position(|&byte| !byte.is_ascii_whitespace());
                if let Some(comma) = comma.filter(|&comma| text[start + comma] == b',') {
                    edits.replace(start + comma..start + comma + 1, Vec::new());
                }
            }
            start = end;
            Ok(())
        });
        taken.close();
        (read.is_ok() && !edits.is_empty()).then(|| Stripped { own: edits.apply(), said })
    }
}

// === impl Said ===

impl Said {
    /// Reads what was taken out of a call.
    pub fn read(said: RawObject<'_>) -> Self {
        let text = |param: Param| {
            said.member(param.name())
                .filter(|value| value.kind() == Kind::Text)
                .map(|value| unescape(value.text()).into_owned())
                .filter(|text| !text.trim().is_empty())
        };
        Self { goal: text(Param::Goal), expected: text(Param::Expected), task: text(Param::Task) }
    }

    /// The same for an event.
    pub fn intent(&self) -> Intent<'_> {
        Intent {
            goal: self.goal.as_deref(),
            expected: self.expected.as_deref(),
            workflow: self.task.as_deref(),
            source: IntentSource::InjectedParam,
        }
    }
}
