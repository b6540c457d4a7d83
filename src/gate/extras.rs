//! What thoth adds to what a server offers: parameters, tools of its own, words.
//!
//! Only the seam: what is added, and to what, is decided by whoever implements [`Extras`]. The
//! session applies it to the answers that pass by and takes it out of calls again, before anybody
//! judges them. A server's line is edited only where its request is known by id and method.

/// Adds to answers, and takes out of calls what was added. Texts hold no line break: neither those
/// that are given nor those that come back.
pub trait Extras: Send {
    /// The result of `initialize` or `server/discover`, with what is added; `None` to leave it as
    /// it is.
    fn greeted(&mut self, result: &[u8]) -> Option<Vec<u8>>;

    /// The result of one `tools/list`, with what is added; `None` to leave it as it is. `first`: the
    /// request had no cursor.
    fn listed(&mut self, result: &[u8], first: bool) -> Option<Listed>;

    /// What is thoth's in a call of `tool`; `arguments` is the text of an object.
    fn called(&self, tool: &str, arguments: &[u8]) -> Called;
}

/// A page of tools with what was added.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The text of the result.
    pub result: Vec<u8>,
    /// How many tools were added.
    pub added: usize,
}

/// What is thoth's in a call.
#[derive(Clone, Debug)]
pub enum Called {
    /// Nothing.
    Nothing,
    /// Some of its arguments.
    Arguments {
        /// The text of the arguments that are the tool's own, an object.
        own: Vec<u8>,
        /// What was taken out, as the text of an object.
        said: Vec<u8>,
    },
    /// The call: it is answered here and never forwarded.
    Own(Own),
}

/// A call of one of thoth's own tools.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Own {
    /// The agent's words were taken; this text is the answer.
    Noted(String),
    /// The agent's words were not taken; this text says why, as a result with `isError`.
    Refused(String),
    /// The report on the session so far is wanted: [`super::session::Effect::Report`].
    Report,
}
