//! One call, from its intent to its end.

use std::any::type_name;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::Shared;
use super::json;
use super::told::{End, Made, Said, Told};

/// A call that is about to be made: says what it is for, and then begins.
///
/// Nothing is told before [`Trace::begin`], [`Trace::run`] or [`Trace::observe`].
#[must_use = "nothing is told before the trace begins"]
#[derive(Debug)]
pub struct Trace {
    shared: Arc<Shared>,
    tool: String,
    params: Bytes,
    said: Said,
}

/// A call that was made, and has no end so far.
///
/// Dropped without [`Call::succeeded`] or [`Call::failed`], it ends as a `tool_call_error` with
/// `error_type` [`ABANDONED`], or [`PANICKED`] while a panic unwinds: nothing stays open.
#[must_use = "a call that is dropped is told as abandoned"]
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    ticket: u64,
    is_over: bool,
}

/// The `error_type` of a call whose end nobody told.
pub const ABANDONED: &str = "library_abandoned";

/// The `error_type` of a call that a panic ended.
pub const PANICKED: &str = "library_panicked";

/// The end of a call that nobody will tell.
pub(super) fn abandoned() -> End {
    End::Failed {
        error_type: ABANDONED.to_owned(),
        body: "the call was dropped before its end was told".to_owned(),
    }
}

// === impl Trace ===

impl Trace {
    pub(super) fn new(shared: Arc<Shared>, tool: String, params: &impl Serialize) -> Self {
        let params = if shared.is_on() { json::object(params) } else { Bytes::new() };
        Self { shared, tool, params, said: Said::default() }
    }

    /// What the user wants to achieve.
    pub fn intent(mut self, goal: impl Into<String>) -> Self {
        self.said.goal = Some(goal.into());
        self
    }

    /// What is expected of this call.
    pub fn expected(mut self, outcome: impl Into<String>) -> Self {
        self.said.expected = Some(outcome.into());
        self
    }

    /// The task that this call is a part of: `2: renew the contract`, say.
    pub fn workflow(mut self, task: impl Into<String>) -> Self {
        self.said.workflow = Some(task.into());
        self
    }

    /// Tells that the call is made.
    pub fn begin(self) -> Call {
        let Self { shared, tool, params, said } = self;
        let ticket = shared.ticket();
        shared.tell(Told::Made(Box::new(Made { ticket, tool, params, said })));
        Call { shared, ticket, is_over: false }
    }

    /// Makes the call by awaiting `call`, and tells how it ended: `Ok` is its result, `Err` a failure
    /// with the error's type as `error_type` and its text as `error_body`. What `call` gives is given
    /// back.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, the call is told as [`ABANDONED`].
    ///
    /// # Errors
    ///
    /// Those of `call`, and no others.
    pub async fn run<T, E>(self, call: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        T: Serialize,
        E: Display,
    {
        let begun = self.begin();
        begun.ended(call.await)
    }

    /// [`Trace::run`] for a call that blocks.
    ///
    /// # Errors
    ///
    /// Those of `call`, and no others.
    pub fn observe<T, E>(self, call: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Serialize,
        E: Display,
    {
        let begun = self.begin();
        begun.ended(call())
    }
}

// === impl Call ===

impl Call {
    /// Tells that it was answered. A result that cannot be written as JSON, or is longer than an
    /// event may be (8 MiB), is left out: `result_capture` is `off` then.
    pub fn succeeded(mut self, result: impl Serialize) {
        if self.shared.is_on() {
            let result = json::value(&result).unwrap_or_default();
            self.end(End::Succeeded { result });
        }
    }

    /// Tells that it failed: what kind of failure it was, in one word, and what was said of it.
    pub fn failed(mut self, error_type: impl Into<String>, body: impl Into<String>) {
        self.end(End::Failed { error_type: error_type.into(), body: body.into() });
    }

    fn ended<T: Serialize, E: Display>(self, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(result) => self.succeeded(result),
            Err(error) => self.failed(type_word::<E>(), error.to_string()),
        }
        result
    }

    fn end(&mut self, end: End) {
        if !self.is_over {
            self.is_over = true;
            self.shared.tell(Told::Ended { ticket: self.ticket, end });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let body = "the call panicked".to_owned();
            self.end(End::Failed { error_type: PANICKED.to_owned(), body });
        } else if !self.is_over {
            self.end(abandoned());
        }
    }
}

/// A type's name without its modules and parameters: `ParseIntError`.
fn type_word<E>() -> &'static str {
    let name = type_name::<E>();
    let name = name.split_once('<').map_or(name, |(name, _)| name);
    name.rsplit_once("::").map_or(name, |(_, word)| word)
}
