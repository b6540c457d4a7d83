//! What one process knows of a login it uses. Pure: the time is an argument.
//!
//! # Invariants
//!
//! - A token stays until another takes its place, the login is gone, or it is of another server.
//! - The generation counts up with every other token, and with nothing else.
//! - A token that could not be kept on the disk is not given up for the older one that is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::live::LoginError;
use super::record::Record;
use crate::credential::{Age, Moment};

/// A token is refreshed so long before its end, or halfway where it lives shorter than twice that.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);
/// How long what was read is good without another look, while nothing is wrong with it.
const LOOK: Duration = Duration::from_secs(1);
/// The longest pause between two refreshes that came to nothing.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What is known of a login.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Option<Known>,
    generation: u64,
    /// Why the last look showed nothing to use, or why it could not be taken.
    lack: Option<LoginError>,
    looked: Option<Instant>,
    /// The token that the server rejected last.
    rejected: Option<Print>,
    /// How many tokens in a row were rejected, and how many refreshes failed; none counts that
    /// helped.
    rejections: u32,
    failures: u32,
    /// There is no refresh before.
    pause: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    record: Record,
    print: Print,
    loaded_at: Timestamp,
    /// The token that is on the disk instead, where this one could not be kept.
    instead_of: Option<Print>,
}

/// Tells one token from another: its SHA-256.
pub(super) type Print = [u8; 32];

/// The print of a login's token.
pub(super) fn print(record: &Record) -> Print {
    Sha256::digest(record.tokens.access.secret()).into()
}

/// How old a token is, by its own account.
pub(super) fn age(record: &Record, wall: Timestamp) -> Age {
    let Some(end) = record.tokens.expires_at else { return Age::Fresh };
    let life = end.duration_since(record.tokens.obtained_at);
    let left = end.duration_since(wall);
    if left <= SignedDuration::ZERO {
        Age::Over
    } else if left <= AHEAD.min(life / 2) {
        Age::Ageing
    } else {
        Age::Fresh
    }
}

// === impl Memory ===

impl Memory {
    /// Takes in a look at the file: whether there is another token.
    pub(super) fn take(&mut self, look: Result<Record, LoginError>, at: Moment) -> bool {
        self.looked = Some(at.now);
        self.lack = None;
        let record = match look {
            Ok(record) => record,
            Err(lack) => {
                if lack.is_final() {
                    self.known = None;
                }
                self.lack = Some(lack);
                return false;
            }
        };
        let found = print(&record);
        if self.known.as_ref().is_some_and(|known| known.instead_of == Some(found)) {
            return false;
        }
        let is_other = self.print() != Some(found);
        self.known = Some(Known { record, print: found, loaded_at: at.wall, instead_of: None });
        self.generation += u64::from(is_other);
        is_other
    }

    /// Takes in a login that could not be kept.
    pub(super) fn take_unkept(&mut self, record: Record, at: Moment) {
        let instead_of = self.known.as_ref().map(|known| known.instead_of.unwrap_or(known.print));
        self.take(Ok(record), at);
        if let Some(known) = &mut self.known {
            known.instead_of = instead_of;
        }
    }

    /// A login that ought to be kept in place of the one on the disk, where that is still the one with
    /// this token.
    pub(super) fn unkept(&self, on_disk: &Record) -> Option<&Record> {
        let known = self.known.as_ref()?;
        (known.instead_of == Some(print(on_disk))).then_some(&known.record)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.known.as_ref().map(|known| &known.record)
    }

    pub(super) fn print(&self) -> Option<Print> {
        self.known.as_ref().map(|known| known.print)
    }

    pub(super) fn loaded_at(&self) -> Option<Timestamp> {
        self.known.as_ref().map(|known| known.loaded_at)
    }

    pub(super) fn lack(&self) -> Option<&LoginError> {
        self.lack.as_ref()
    }

    /// Whether the present token was rejected.
    pub(super) fn is_rejected(&self) -> bool {
        self.known.is_some() && self.rejected == self.print()
    }

    /// How old the present token is; over where there is none.
    pub(super) fn age(&self, wall: Timestamp) -> Age {
        match &self.known {
            Some(known) if !self.is_rejected() => age(&known.record, wall),
            Some(_) | None => Age::Over,
        }
    }

    /// Whether the file should be looked at before the present token is used.
    pub(super) fn wants_look(&self, at: Moment) -> bool {
        let is_recent = self.looked.is_some_and(|looked| at.now < looked + LOOK);
        !is_recent || self.lack.is_some() || self.age(at.wall) != Age::Fresh
    }

    /// Whether a refresh may be tried: there is something to refresh with, and it is not too soon.
    pub(super) fn may_refresh(&self, now: Instant) -> bool {
        self.record()
            .is_some_and(|record| record.tokens.refresh.is_some() && record.refused.is_none())
            && self.pause.is_none_or(|pause| now >= pause)
    }

    /// The server rejected the token of this generation: whether that is the present one.
    ///
    /// Each token in a row that is rejected makes the pause before the next refresh longer: a server that
    /// wants none of the tokens it gets must not make the authorization server give more and more.
    pub(super) fn reject(&mut self, generation: u64, now: Instant) -> bool {
        if generation != self.generation || self.known.is_none() {
            return false;
        }
        if !self.is_rejected() {
            self.rejected = self.print();
            self.rejections += 1;
            if self.rejections > 1 {
                self.pause(now, self.rejections - 1, None);
            }
        }
        true
    }

    /// The server accepted the token of this generation.
    pub(super) fn accept(&mut self, generation: u64) {
        if generation == self.generation {
            self.rejected = None;
            self.rejections = 0;
        }
    }

    /// A refresh came to nothing, and may be tried again later.
    pub(super) fn fail(&mut self, now: Instant, retry_after: Option<Duration>) {
        self.failures += 1;
        self.pause(now, self.failures, retry_after);
    }

    /// A refresh came to something.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }

    fn pause(&mut self, now: Instant, times: u32, at_least: Option<Duration>) {
        let pause = Duration::from_secs(1 << times.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
        let asked = at_least.unwrap_or_default().min(10 * LONGEST_PAUSE);
        self.pause = Some(now + pause.max(asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let after = Duration::from_secs(seconds);
        Moment { now: *START.get_or_init(Instant::now) + after, wall: start + after }
    }

    fn record(token: &str, lives: Option<u64>, refresh: Option<&str>) -> Record {
        let document = serde_json::json!({
            "schema": 1,
            "url": "https://mcp.acme.example/mcp",
            "resource": "https://mcp.acme.example/mcp",
            "issuer": "https://id.acme.example",
            "token_endpoint": "https://id.acme.example/token",
            "client": { "id": "c", "auth": "none", "registration": "dynamic" },
            "scopes_asked": [],
            "logged_in_at": at(0).wall,
            "tokens": {
                "access": token,
                "refresh": refresh,
                "obtained_at": at(0).wall,
                "expires_at": lives.map(|lives| at(lives).wall),
                "scopes": [],
            },
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn how_old_a_token_is() {
        for (lives, after, expected) in [
            (None, 1_000_000, Age::Fresh),
            (Some(3600), 3539, Age::Fresh),
            (Some(3600), 3540, Age::Ageing),
            (Some(3600), 3599, Age::Ageing),
            (Some(3600), 3600, Age::Over),
            (Some(30), 14, Age::Fresh),
            (Some(30), 15, Age::Ageing),
            (Some(0), 0, Age::Over),
        ] {
            let mut memory = Memory::default();
            assert_eq!(memory.age(at(after).wall), Age::Over);
            memory.take(Ok(record("a", lives, None)), at(0));
            assert_eq!(memory.age(at(after).wall), expected, "{lives:?} after {after} s");
            memory.reject(1, at(after).now);
            assert_eq!(memory.age(at(after).wall), Age::Over, "rejected");
        }
    }

    #[test]
    fn a_token_that_could_not_be_kept_is_not_given_up_for_the_older_one() {
        let mut memory = Memory::default();
        memory.take(Ok(record("a", None, Some("1"))), at(0));
        memory.take_unkept(record("b", None, Some("2")), at(1));
        memory.take_unkept(record("c", None, Some("3")), at(2));
        assert!(!memory.take(Ok(record("a", None, Some("1"))), at(3)));
        assert_eq!(memory.generation(), 3);
        assert_eq!(memory.record().unwrap().tokens.access.secret(), "c");
        assert!(memory.unkept(&record("a", None, None)).is_some());
        assert!(memory.unkept(&record("x", None, None)).is_none());

        assert!(memory.take(Ok(record("d", None, None)), at(4)), "somebody logged in anew");
        assert!(memory.unkept(&record("a", None, None)).is_none());
    }

    #[test]
    fn tokens_that_nobody_wants_are_not_refreshed_again_and_again() {
        let mut memory = Memory::default();
        memory.take(Ok(record("a", None, Some("r"))), at(0));
        memory.accept(1);
        let mut pauses = Vec::new();
        for generation in 1..10 {
            assert!(memory.reject(generation, at(0).now));
            assert!(memory.reject(generation, at(0).now), "the same once more counts once");
            let free = (0..100).find(|&after| memory.may_refresh(at(after).now)).unwrap();
            pauses.push(free);
            memory.take(Ok(record(&format!("t{generation}"), None, Some("r"))), at(0));
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!memory.reject(3, at(0).now), "an older one");
        memory.accept(memory.generation());
        memory.reject(memory.generation(), at(100).now);
        assert!(memory.may_refresh(at(100).now));
    }

    #[test]
    fn what_is_accepted_is_the_present_token_and_no_older_one() {
        let mut memory = Memory::default();
        memory.take(Ok(record("a", None, Some("r"))), at(0));
        memory.take(Ok(record("b", None, Some("s"))), at(1));
        memory.reject(2, at(1).now);
        memory.accept(1);
        assert!(memory.is_rejected(), "a late answer to the token before");
        memory.accept(2);
        assert!(!memory.is_rejected());
    }

    #[test]
    fn what_was_refused_a_successor_is_not_asked_for_another() {
        let mut memory = Memory::default();
        assert!(!memory.may_refresh(at(0).now), "there is none");
        for (record, may) in [
            (record("a", None, Some("r")), true),
            (record("b", None, None), false),
            (record("c", None, Some("r")).refused("invalid_grant".to_owned()), false),
        ] {
            memory.take(Ok(record), at(0));
            assert_eq!(memory.may_refresh(at(0).now), may);
        }
    }

    #[test]
    fn a_login_that_is_gone_is_used_no_more_and_one_that_cannot_be_read_is() {
        let mut memory = Memory::default();
        memory.take(Ok(record("a", None, None)), at(0));
        memory.take(Err(LoginError::Store("torn".to_owned())), at(1));
        assert!(memory.record().is_some());
        memory.take(Err(LoginError::None { name: "n".to_owned(), url: String::new() }), at(2));
        assert!(memory.record().is_none());
        assert!(memory.wants_look(at(2)));
    }
}
