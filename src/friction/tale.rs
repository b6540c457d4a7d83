//! Tells what happens in a session as friction events. (To be written.)

use std::time::Duration;

use jiff::Timestamp;

use super::event::{Draft, Stream};
use super::inject::Additions;
use crate::gate::happening::Happening;

/// When something happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// By the wall's clock: what events say.
    pub at: Timestamp,
    /// Since the session began, by a clock that never jumps: what durations are told by.
    pub since_start: Duration,
}

/// The story of one session: turns happenings into events.
#[derive(Debug)]
pub struct Tale {
    stream: Stream,
    additions: Option<Additions>,
}

impl Tale {
    /// A tale in which nothing happened yet. `additions`: what is added to the session, for
    /// `surface_snapshot`; `None` where nothing is.
    pub fn new(stream: Stream, additions: Option<Additions>) -> Self {
        Self { stream, additions }
    }

    /// Tells one happening. `random` gives random bits for event ids.
    pub fn tell(
        &mut self,
        happening: &Happening,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        let _ = (happening, moment, random, &self.stream, &self.additions);
        Vec::new()
    }

    /// Closes what is still open, once the session is over.
    pub fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        let _ = (moment, random);
        Vec::new()
    }
}

/// The id of a call in events and in the journal's records: the same in both, and in no other call.
pub fn call_id(session: &str, ticket: u64) -> String {
    format!("{session}-{ticket}")
}
