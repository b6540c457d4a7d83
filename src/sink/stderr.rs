//! Events on standard error, one line each.

use std::io::{self, Write as _};

use super::Event;
use super::worker::Medium;

/// Standard error, which thoth's log shares. Lines stay whole.
pub(super) struct Stderr;

impl Medium for Stderr {
    fn write(&mut self, events: &[Event]) -> (usize, io::Result<()>) {
        let mut line = Vec::new();
        for (count, event) in events.iter().enumerate() {
            line.clear();
            line.extend_from_slice(event.bytes());
            line.push(b'\n');
            if let Err(error) = io::stderr().lock().write_all(&line) {
                return (count, Err(error));
            }
        }
        (events.len(), Ok(()))
    }
}
