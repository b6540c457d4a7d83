//! What happens in a session, for whoever tells its story: values only.
//!
//! A happening is told in the order it came to pass, and before anything follows from it: the
//! beginning of a request before its line leaves, its end once its answer is known. Every beginning
//! has one end, whatever becomes of the session.

use std::sync::Arc;

use bytes::Bytes;

use super::message::client::Method;
use super::record::{End, Ticket};

/// One thing that happened. Texts are slices of the lines they stood in, copied nowhere.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The client called a tool. Told of calls that are refused at once, too, and of lines that are
    /// no call only for what else is wrong about them ([`super::message::client::Attempt`]). Not told
    /// of calls of thoth's own tools, nor of lines whose tool nobody can tell for sure: what is too
    /// long, is not JSON that every reader reads alike, or names no tool.
    CallMade(CallMade),
    /// A call is over.
    CallEnded(Ticket, Ended),
    /// The client made a request that is no call, of those that a story is told of: see
    /// [`Method::is_told`].
    RequestMade {
        /// Which request: numbered from 1 in their order, apart from calls.
        number: u64,
        /// What it asks for.
        method: Method,
        /// The text of its `params`; `{}` where it has none.
        params: Bytes,
    },
    /// Such a request is over.
    RequestEnded {
        /// Which request.
        number: u64,
        /// How; of `initialize`, `server/discover` and `tools/list`, the result as the server sent
        /// it.
        end: Ended,
        /// How many tools were added to what the client was shown.
        added: usize,
    },
    /// The agent said something through a tool of thoth's own: see [`super::extras::Own::Noted`].
    Noted {
        /// The text of the arguments.
        arguments: Bytes,
        /// The text of `params._meta`.
        meta: Option<Bytes>,
    },
}

/// A call as it was made, before it is decided.
#[derive(Clone, Debug)]
pub struct CallMade {
    /// Which call.
    pub ticket: Ticket,
    /// The tool's name.
    pub tool: Arc<str>,
    /// The text of the arguments that are the tool's own.
    pub arguments: Bytes,
    /// The members that were taken out of them, as the text of an object: see [`super::extras`].
    pub said: Option<Bytes>,
    /// The text of `params._meta`, where that is an object.
    pub meta: Option<Bytes>,
}

/// How a request came to its end.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The server answered with a result.
    Result {
        /// The tool said that it failed (`isError: true`).
        is_error: bool,
        /// The result's text.
        result: Bytes,
    },
    /// The server answered with a JSON-RPC error.
    Error {
        /// Its code, where that is an integer.
        code: Option<i64>,
        /// The error's text.
        error: Bytes,
    },
    /// thoth answered in the server's place: it refused the request, or could not pass on the
    /// server's answer.
    Refused {
        /// The JSON-RPC code of the answer, also where it went out as a result.
        code: i64,
        /// The answer's sentence, as the client was given it.
        message: String,
        /// The answer's stable word for programs, where it has one: `docs/reason-codes.md`. A call
        /// whose id was in use says `id_in_use`, one with no valid id `bad_id` or `call_without_id`.
        reason_code: Option<String>,
    },
    /// The client cancelled it before an answer came. Told at once: an answer that comes all the same
    /// is passed on and not told.
    Cancelled,
    /// The session ended, or the server died, before an answer came.
    Unanswered,
}

// === impl Ended ===

impl From<&End> for Ended {
    fn from(end: &End) -> Self {
        match end {
            End::Result { is_error, result } => {
                Self::Result { is_error: *is_error, result: result.clone() }
            }
            End::Error { code, error } => Self::Error { code: *code, error: error.clone() },
            End::Cancelled | End::Withdrawn => Self::Cancelled,
            End::Unanswered => Self::Unanswered,
        }
    }
}
