//! The enforcer's wire format: the question, its answer, and the state of a hold.
//!
//! Pure: bytes in, values out, and back. Every function here takes whatever bytes an enforcer may
//! send and never panics; what cannot be read is a block, never an allow.
//!
//! Real enforcers and SDKs spell members in `snake_case` and in `camelCase`; both are read, and a
//! body that has one member twice, in whichever spelling, is not read at all: two readers could
//! take two decisions from it.

mod answer;
mod hold;
mod members;
mod question;

pub use answer::{Expected, read_answer};
pub use hold::{Hint, Standing, read_hold};
pub use members::{Members, Unreadable};
pub use question::{AskedBy, Asker, NotAsked, NotContext, Particulars, question};

pub(super) use answer::{MALFORMED, complaint, plain};
