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
