//! One request that a test has stopped, and what the test may do with it.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Memory;
use super::memory::Seen;
use super::stream::{Flow, Stream};

/// Where a request is stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// As it arrived: its token was not looked at yet.
    Arrived,
    /// Accepted, and a call executed; only the answer is missing.
    Done,
}

/// What becomes of a stopped request.
pub(super) enum Onward {
    /// As if it had not been stopped.
    Goes,
    /// This is the answer.
    Answered(Response<Flow>),
    /// The connection is closed.
    HungUp,
}

/// One request that is stopped. Dropped, it goes on.
pub(crate) struct Exchange {
    pub(crate) seen: Seen,
    pub(super) onward: oneshot::Sender<Onward>,
    pub(super) memory: Arc<Memory>,
}

// === impl Exchange ===

impl Exchange {
    /// Lets it go on.
    pub(crate) fn goes_on(self) {
        let _ = self.onward.send(Onward::Goes);
    }

    /// Closes its connection without an answer.
    pub(crate) fn hangs_up(self) {
        let _ = self.onward.send(Onward::HungUp);
    }

    /// Answers with this status and body.
    pub(crate) fn answers(self, status: u16, body: &Value) {
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Flow::whole(body.to_string()));
        let _ = self.onward.send(Onward::Answered(response.unwrap()));
    }

    /// Begins to answer with a stream of events, which the test goes on with.
    pub(crate) fn streams(self) -> Stream {
        let stream = Stream::new(self.seen.body["id"].clone(), Arc::clone(&self.memory));
        self.memory.change(|state| state.streams.push(stream.clone()));
        let _ = self.onward.send(Onward::Answered(stream.open()));
        stream
    }
}

/// A whole body of JSON.
pub(super) fn json_body(value: &Value) -> Bytes {
    value.to_string().into()
}
