//! What is known of a credential. Pure: the time is an argument.
//!
//! # Invariants
//!
//! - What was good stays, until something else that is good takes its place.
//! - The generation counts up with every other secret, and with nothing else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::content::{Content, Secret};
use super::{Flaw, Snapshot};

/// What a command has printed is used for so long, where it does not say itself when it ends.
const LASTS: Duration = Duration::from_mins(5);
/// A secret is replaced so long before its end, or halfway where it lives shorter than twice that.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a credential.
#[derive(Debug)]
pub(super) struct Memory<S> {
    known: Option<Known<S>>,
    generation: u64,
    /// Why the last attempt to read it failed, if it did.
    flaw: Option<Flaw>,
    doubt: Option<Doubt>,
}

/// A secret that was read.
#[derive(Debug)]
struct Known<S> {
    content: Content<S>,
    sha256: [u8; 32],
    at: Moment,
}

/// A secret that was rejected, or the lack of one.
#[derive(Debug)]
struct Doubt {
    of: Option<[u8; 32]>,
    /// Whoever writes a newer one is waited for until then.
    until: Instant,
}

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) wall: Timestamp,
}

/// What an attempt to read it has changed, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Nothing,
    /// There is another secret.
    Other,
    /// It can no longer be read.
    Lost(Flaw),
    /// It can be read again, and is the same.
    Back,
}

/// How old a secret is that ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// It can be used.
    Fresh,
    /// It can be used, and another one should be had soon.
    Ageing,
    /// There is none, or it has ended, or it was rejected.
    Over,
}

// === impl Memory ===

impl<S> Default for Memory<S> {
    fn default() -> Self {
        Self { known: None, generation: 0, flaw: None, doubt: None }
    }
}

impl<S: Secret> Memory<S> {
    /// Takes in an attempt to read it.
    pub(super) fn take(&mut self, read: Result<Content<S>, Flaw>, at: Moment) -> Change {
        let before = self.flaw.take();
        match read {
            Ok(content) => {
                let sha256 = content.secret.sha256();
                let is_same = self.sha256() == Some(sha256);
                self.known = Some(Known { content, sha256, at });
                if !is_same {
                    self.generation += 1;
                    Change::Other
                } else if before.is_some() {
                    Change::Back
                } else {
                    Change::Nothing
                }
            }
            Err(flaw) => {
                self.flaw = Some(flaw);
                if before == Some(flaw) { Change::Nothing } else { Change::Lost(flaw) }
            }
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The secret, as it was last read.
    pub(super) fn snapshot(&self) -> Option<Snapshot<S>> {
        self.known.as_ref().map(|known| Snapshot {
            secret: known.content.secret.clone(),
            generation: self.generation,
            key_id: known.content.key_id.clone(),
        })
    }

    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        self.known.as_ref().map(|known| known.sha256)
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.known.as_ref()?.content.expires_at
    }

    pub(super) fn loaded_at(&self) -> Option<Timestamp> {
        self.known.as_ref().map(|known| known.at.wall)
    }

    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// Whether the present secret was rejected.
    pub(super) fn is_rejected(&self) -> bool {
        self.known.is_some() && self.is_doubted()
    }

    /// Whether the present secret was rejected, or the lack of one was noticed.
    fn is_doubted(&self) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.of == self.sha256())
    }

    /// The present secret is no good: until when another one is worth waiting for. The same for
    /// everybody who asks about the same secret, so that nobody waits for what others have waited
    /// for in vain.
    pub(super) fn doubt(&mut self, now: Instant, grace: Duration) -> Instant {
        let of = self.sha256();
        match &self.doubt {
            Some(doubt) if doubt.of == of => doubt.until,
            _ => {
                let until = now + grace;
                self.doubt = Some(Doubt { of, until });
                until
            }
        }
    }

    /// The secret of this generation was accepted.
    pub(super) fn accept(&mut self, generation: u64) {
        if generation == self.generation && self.is_doubted() {
            self.doubt = None;
        }
    }

    /// How old it is, where it is not read at every use.
    pub(super) fn age(&self, at: Moment) -> Age {
        let Some(known) = &self.known else {
            return Age::Over;
        };
        if self.is_doubted() {
            return Age::Over;
        }
        let Some(end) = known.content.expires_at else {
            return if at.now < known.at.now + LASTS { Age::Fresh } else { Age::Ageing };
        };
        let life = end.duration_since(known.at.wall);
        let left = end.duration_since(at.wall);
        if left <= SignedDuration::ZERO {
            Age::Over
        } else if left <= AHEAD.min(life / 2) {
            Age::Ageing
        } else {
            Age::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ApiKey;

    const GRACE: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Moment {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let after = Duration::from_secs(seconds);
        Moment { now: *START.get_or_init(Instant::now) + after, wall: start + after }
    }

    fn secret(text: &str) -> Result<Content<ApiKey>, Flaw> {
        <ApiKey as Secret>::parse(text.as_bytes())
    }

    fn read(memory: &Memory<ApiKey>) -> Option<(String, u64)> {
        let snapshot = memory.snapshot()?;
        Some((snapshot.secret.api_key().to_str().unwrap().to_owned(), snapshot.generation))
    }

    #[test]
    fn what_was_good_stays_while_nothing_good_can_be_read() {
        let mut memory = Memory::default();
        for (text, change, expected) in [
            (Err(Flaw::Missing), Change::Lost(Flaw::Missing), None),
            (Err(Flaw::Missing), Change::Nothing, None),
            (secret("a"), Change::Other, Some(("a", 1))),
            (secret("a\n"), Change::Nothing, Some(("a", 1))),
            (secret(""), Change::Lost(Flaw::Empty), Some(("a", 1))),
            (secret("{"), Change::Lost(Flaw::NotJson), Some(("a", 1))),
            (secret("{"), Change::Nothing, Some(("a", 1))),
            (secret("a"), Change::Back, Some(("a", 1))),
            (Err(Flaw::Writable), Change::Lost(Flaw::Writable), Some(("a", 1))),
            (secret("b"), Change::Other, Some(("b", 2))),
            (secret("a"), Change::Other, Some(("a", 3))),
        ] {
            let row = format!("{text:?}");
            let flaw = text.as_ref().err().copied();
            assert_eq!(memory.take(text, at(0)), change, "{row}");
            let expected = expected.map(|(text, generation)| (text.to_owned(), generation));
            assert_eq!((read(&memory), memory.flaw()), (expected, flaw), "{row}");
        }
    }

    #[test]
    fn everybody_waits_for_the_same_moment_and_nobody_twice() {
        let mut memory = Memory::default();
        memory.take(secret("a"), at(0));
        assert!(!memory.is_rejected());
        let until = memory.doubt(at(10).now, GRACE);
        assert_eq!(until, at(12).now);
        assert_eq!(memory.doubt(at(11).now, GRACE), until);
        assert_eq!(
            memory.doubt(at(60).now, GRACE),
            until,
            "rejected before: there is nothing to wait for"
        );
        assert!(memory.is_rejected());

        memory.take(secret("b"), at(61));
        assert!(!memory.is_rejected(), "another secret is not the rejected one");
        memory.take(secret("a"), at(62));
        assert!(memory.is_rejected(), "the rejected one is known again");
        memory.accept(2);
        assert!(memory.is_rejected(), "an old acceptance says nothing");
        memory.accept(3);
        assert!(!memory.is_rejected());
        assert_eq!(memory.doubt(at(70).now, GRACE), at(72).now);
    }

    #[test]
    fn how_old_a_printed_secret_is() {
        let with_end = |seconds: u64| {
            secret(&format!(r#"{{"token":"t","expires_at":"{}"}}"#, at(seconds).wall))
        };
        for (content, after, expected) in [
            (secret("t"), 0, Age::Fresh),
            (secret("t"), 299, Age::Fresh),
            (secret("t"), 300, Age::Ageing),
            (secret("t"), 90_000, Age::Ageing),
            (with_end(3600), 3539, Age::Fresh),
            (with_end(3600), 3540, Age::Ageing),
            (with_end(3600), 3600, Age::Over),
            (with_end(60), 29, Age::Fresh),
            (with_end(60), 30, Age::Ageing),
            (with_end(60), 60, Age::Over),
            (with_end(0), 0, Age::Over),
        ] {
            let row = format!("{content:?} after {after} s");
            let mut memory = Memory::default();
            assert_eq!(memory.age(at(0)), Age::Over);
            memory.take(content, at(0));
            assert_eq!(memory.age(at(after)), expected, "{row}");
            memory.doubt(at(after).now, GRACE);
            assert_eq!(memory.age(at(after)), Age::Over, "{row}: rejected");
        }
    }
}
