//! Friction events from a Rust program, without a sidecar around its server.
//!
//! The program says itself what the sidecar would have seen: which call is made and what for, how it
//! ended, what is in the way. The events are those of the sidecar, scrubbed by the same rules and sent
//! through the same sinks; `transport_observed` is `library`, and `intent_source` `library_arg`.
//!
//! ```
//! use std::time::Duration;
//! use thoth::friction::Client;
//! use thoth::friction::client::Annotation;
//!
//! # fn invoice(_: u32) -> Result<&'static str, std::num::ParseIntError> { Ok("paid") }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let file = format!("file://{}", home.path().join("events.jsonl").display());
//! // In a program: Client::builder().from_env().build()?, or with a place of its own.
//! let client = Client::builder().sink(&file).vendor("billing").build()?;
//!
//! let state = client
//!     .trace("get_invoice", serde_json::json!({ "number": 7 }))
//!     .intent("find out whether invoice 7 is paid")
//!     .expected("the invoice's state")
//!     .observe(|| invoice(7))?;
//! assert_eq!(state, "paid");
//!
//! client.annotate(Annotation::report("the invoice does not say when it was paid"));
//! client.close_blocking(Duration::from_secs(3));
//!
//! let events = std::fs::read_to_string(home.path().join("events.jsonl"))?;
//! let types = ["tool_call_start", "tool_call_end", "annotation"];
//! assert_eq!(events.lines().count(), types.len());
//! for (event, event_type) in events.lines().zip(types) {
//!     assert!(event.contains(event_type));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Nothing here panics, waits for a sink, or gives back another result than the program's own.
//! - Every call that began has exactly one end: one that is dropped is told as abandoned.

mod annotation;
mod builder;
mod json;
#[cfg(test)]
mod tests;
mod told;
mod trace;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

pub use self::annotation::{Annotation, Signal};
pub use self::builder::{Builder, ClientError};
pub use self::trace::{ABANDONED, Call, PANICKED, Trace};
pub use crate::friction::event::{Form, Principal, Wire};

use self::told::Told;
use super::{Emitter, Handle, Telling};

/// Tells the friction of one session of a program. Clones tell the same one, from any thread, inside
/// a runtime or outside.
///
/// What is told waits in memory, bounded, and is sent by a thread of the client's own. When the last
/// clone and the last [`Call`] are dropped, what waits is sent for [`Client::DRAIN`] at most, which
/// blocks; [`Client::close`] does so without. A process that ends otherwise loses what it told last:
/// some 25 milliseconds.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What a client, its clones and their calls share.
struct Shared {
    /// `None` where friction is off.
    way: Option<Way>,
    /// The number of the next call.
    next: AtomicU64,
    session: String,
}

struct Way {
    handle: Handle<Told>,
    /// `None` once it was closed.
    emitter: Mutex<Option<Emitter<Told>>>,
}

// === impl Client ===

impl Client {
    /// How long the last drop may block. Files are written in much less; what a collector did not get
    /// in time stays on the disk for the next process.
    pub const DRAIN: Duration = Duration::from_secs(1);

    /// A client to be. It tells to a file in thoth's directory, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client as this process' environment has it: [`Builder::from_env`].
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn from_env() -> Result<Self, ClientError> {
        Self::builder().from_env().build()
    }

    /// The session's id, as it stands in each event.
    pub fn session_id(&self) -> &str {
        &self.shared.session
    }

    /// Whether anything is told: not where the environment says that friction is off.
    pub fn is_on(&self) -> bool {
        self.shared.is_on()
    }

    /// A call of `tool` that is about to be made. `params` should be an object; another value stands in
    /// one, as `value`, and nothing at all is an empty one.
    pub fn trace(&self, tool: impl Into<String>, params: impl Serialize) -> Trace {
        Trace::new(Arc::clone(&self.shared), tool.into(), &params)
    }

    /// Tells what an agent says of its own accord, or what is said for it.
    pub fn annotate(&self, mut annotation: Annotation) {
        if !self.is_on() {
            return;
        }
        let context = annotation.take_context();
        let context = if context.is_empty() { None } else { json::value(&context) };
        self.shared.tell(Told::Annotated { annotation: Box::new(annotation), context });
    }

    /// Waits until everything so far is written by the sinks that are files; not longer than `time`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn flush(&self, time: Duration) {
        if let Some(way) = &self.shared.way {
            way.handle.flushed(Instant::now() + time).await;
        }
    }

    /// Tells what is left, open calls as abandoned, and closes the sinks; within `time`. For all
    /// clones: what is told afterwards is lost, and counted.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on without anybody waiting.
    pub async fn close(&self, time: Duration) {
        if let Some(emitter) = self.shared.take() {
            emitter.close(Instant::now() + time).await;
        }
    }

    /// [`Client::close`] where there is no runtime: blocks for `time` at most.
    pub fn close_blocking(&self, time: Duration) {
        self.shared.close_blocking(time);
    }

    /// How much was told, scrubbed and lost, and how the sinks stand. Looks into directories: blocking.
    pub fn telling(&self) -> Telling {
        self.shared.way.as_ref().map(|way| way.handle.telling()).unwrap_or_default()
    }
}

// === impl Shared ===

impl Shared {
    fn is_on(&self) -> bool {
        self.way.is_some()
    }

    fn ticket(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn tell(&self, told: Told) {
        if let Some(way) = &self.way {
            way.handle.happened(told);
        }
    }

    fn take(&self) -> Option<Emitter<Told>> {
        let way = self.way.as_ref()?;
        way.emitter.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn close_blocking(&self, time: Duration) {
        if let Some(emitter) = self.take() {
            emitter.close_blocking(Instant::now() + time);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close_blocking(Client::DRAIN);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("session", &self.session)
            .field("is_on", &self.is_on())
            .finish_non_exhaustive()
    }
}
