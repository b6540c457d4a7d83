//! What is added to a live session: [`Additions`] behind the gate's seam. (To be written.)

use super::{Additions, Registry};
use crate::gate::extras::{Called, Extras, Listed};

/// The additions of one session, and what was added so far.
#[derive(Debug)]
pub struct Live {
    additions: Additions,
    registry: Registry,
    /// The local file that events go to, for the words that name it.
    file: Option<String>,
}

impl Live {
    /// Additions to a session in which nothing was added yet.
    pub fn new(additions: Additions, file: Option<String>) -> Self {
        Self { additions, registry: Registry::default(), file }
    }
}

impl Extras for Live {
    fn greeted(&mut self, result: &[u8]) -> Option<Vec<u8>> {
        self.additions.initialize(result, self.file.as_deref())
    }

    fn listed(&mut self, result: &[u8], first: bool) -> Option<Listed> {
        let page = self.registry.list(result, first, &self.additions)?;
        Some(Listed { result: page.text, added: 0 })
    }

    fn called(&self, tool: &str, arguments: &[u8]) -> Called {
        let _ = (tool, arguments);
        Called::Nothing
    }
}
