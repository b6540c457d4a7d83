//! The bodies of answers, read within bounds of time and memory.
//!
//! # Invariants
//!
//! - No message is longer than the limit.
//! - Of messages over 256 KiB only a few are in memory at once: the others' streams are not read
//!   meanwhile.
//! - Whatever arrives, a comment too, counts as life.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::fault::Fault;
use super::sse::{Event, Parser};

/// A message up to this length needs no room, in bytes.
const SMALL: usize = 256 * 1024;

/// How many longer ones may arrive at once.
const LONG_ONES: usize = 4;

/// Room for long messages. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// How a body is read.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The longest message, in bytes.
    pub(super) limit: usize,
    /// The longest silence; `None` where nothing is waited for in particular.
    pub(super) silence: Option<Duration>,
    /// Room for long messages.
    pub(super) room: Room,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Stream {
    body: Incoming,
    /// Reads it; remembers where it stands.
    pub(super) parser: Parser,
    bounds: Bounds,
    place: Option<OwnedSemaphorePermit>,
}

// === impl Room ===

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LONG_ONES)))
    }

    /// A place, where so many bytes need one and there is none yet.
    async fn take(&self, bytes: usize, place: &mut Option<OwnedSemaphorePermit>) {
        if bytes > SMALL && place.is_none() {
            *place = Arc::clone(&self.0).acquire_owned().await.ok();
        }
    }
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(body: Incoming, bounds: Bounds) -> Self {
        Self { body, parser: Parser::new(bounds.limit), bounds, place: None }
    }

    /// The same stream, where it goes on in another body.
    pub(super) fn resumed(&self, body: Incoming) -> Self {
        let (parser, bounds) = (self.parser.resumed(), self.bounds.clone());
        Self { body, parser, bounds, place: None }
    }

    /// The next event; `None` where the connection was closed in order.
    ///
    /// Cancel safe: what was read is kept.
    ///
    /// # Errors
    ///
    /// [`Fault::Timeout`], [`Fault::TooLong`] (the stream goes on), [`Fault::Broken`].
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.parser.next_event() {
                return event.map(Some).map_err(|long| Fault::TooLong(long.0));
            }
            let held = self.parser.held();
            if held <= SMALL {
                self.place = None;
            }
            self.bounds.room.take(held, &mut self.place).await;
            match chunk(&mut self.body, self.bounds.silence).await? {
                Some(chunk) => self.parser.push(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Reads a body whole.
///
/// # Errors
///
/// As [`Stream::next`].
pub(super) async fn whole(mut body: Incoming, bounds: &Bounds) -> Result<Bytes, Fault> {
    let mut place = None;
    let first = chunk(&mut body, bounds.silence).await?.unwrap_or_default();
    let Some(second) = chunk(&mut body, bounds.silence).await? else {
        return if first.len() > bounds.limit {
            Err(Fault::TooLong(bounds.limit))
        } else {
            Ok(first)
        };
    };
    let mut read = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(bytes) = next {
        read.extend_from_slice(&bytes);
        if read.len() > bounds.limit {
            return Err(Fault::TooLong(bounds.limit));
        }
        bounds.room.take(read.len(), &mut place).await;
        next = chunk(&mut body, bounds.silence).await?;
    }
    Ok(read.freeze())
}

async fn chunk(body: &mut Incoming, silence: Option<Duration>) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = match silence {
            Some(silence) => timeout(silence, body.frame())
                .await
                .map_err(|_| Fault::Timeout(silence.as_secs()))?,
            None => body.frame().await,
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(Fault::Broken(crate::https::root(&error))),
        }
    }
}
