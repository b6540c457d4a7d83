//! One event, whatever it says.

use bytes::Bytes;
use uuid::Uuid;

/// The longest event that is taken, in bytes: 8 MiB.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// An event ready to go out: scrubbed JSON on one line, and the id by which it is told from others.
/// Clones share the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    id: Uuid,
    bytes: Bytes,
}

/// Why bytes are no event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAnEvent {
    /// They hold a line end, or nothing.
    #[error("an event is one line of JSON")]
    NotALine,
    /// They are longer than [`MAX_EVENT`].
    #[error("an event has at most {MAX_EVENT} bytes")]
    TooLong,
}

impl Event {
    /// Takes one JSON object without line ends.
    ///
    /// # Errors
    ///
    /// [`NotAnEvent`].
    pub fn new(id: Uuid, bytes: Bytes) -> Result<Self, NotAnEvent> {
        if bytes.is_empty() || memchr::memchr2(b'\n', b'\r', &bytes).is_some() {
            return Err(NotAnEvent::NotALine);
        }
        if bytes.len() > MAX_EVENT {
            return Err(NotAnEvent::TooLong);
        }
        Ok(Self { id, bytes })
    }

    /// By what it is told from others: the collector's idempotency key.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its JSON.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = |text: &'static str| Event::new(Uuid::nil(), text.into()).map(drop);
        assert_eq!(event("{}"), Ok(()));
        for text in ["", "{}\n", "{\n}", "{\r}"] {
            assert_eq!(event(text), Err(NotAnEvent::NotALine), "{text:?}");
        }
        let long = |len| Event::new(Uuid::nil(), vec![b' '; len].into()).map(drop);
        assert_eq!(long(MAX_EVENT), Ok(()));
        assert_eq!(long(MAX_EVENT + 1), Err(NotAnEvent::TooLong));
    }
}
