//! Friction: what an agent tried, how it ended and where it got stuck, as events that collectors of
//! the Baton format accept.
//!
//! Pure: identities, time and facts come in as arguments, events and edited texts go out. Where
//! events are sent to, and when, is decided elsewhere.
//!
//! ```text
//!  what happened ──▶ event::Stream ──▶ Draft ──▶ scrub ──▶ Event ──▶ (sinks)
//!  results of initialize and tools/list ──▶ inject ──▶ the same, with a few bytes more
//!  arguments of calls                   ──▶ inject ──▶ the same, with a few bytes less
//! ```
//!
//! # Invariants
//!
//! - An [`event::Event`] was scrubbed: there is no other way to make one.
//! - An event is one line of JSON that every reader reads alike, whatever a client or a server sent.
//! - Numbers in a session's stream have no gap and no inversion.

pub mod event;
pub mod inject;
pub mod pseudonym;
pub mod raw;
pub mod report;
pub mod scrub;
pub mod surface;
pub mod tale;

pub use crate::emitter::client::{self, Client};
