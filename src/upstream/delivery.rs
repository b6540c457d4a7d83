//! Delivers one message, with the remedies of the retry table.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::authority::Presented;
use super::exchange::{Answered, Failed, Says};
use super::fault::Fault;
use super::letter::Letter;
use super::open::Opened;
use super::remote::Remote;
use super::retry::{Remedy, Tried};
use super::session::Seen;
use crate::gate::record::Carried;

/// How long is waited before a connection is tried again that could not be made.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest that a newer credential is waited for: the longest grace, and then the 10 s that a
/// command may take which prints one.
pub(super) const RENEWAL: Duration = Duration::from_secs(75);

/// How a message is delivered so far.
pub(super) const UNSENT: Carried = Carried { attempts: 0, generation: 0, epoch: 0 };

impl Remote {
    /// Delivers one message in the session as it is; in a new one, where it is gone. What
    /// was given up meanwhile is not sent again. `carried` says afterwards how it went.
    ///
    /// Cancel safe: dropped, nothing more is sent.
    pub(super) async fn deliver(
        &self,
        letter: &Letter,
        opened: Option<&Opened>,
        carried: &mut Carried,
    ) -> Result<Answered, Says> {
        self.persist(letter, None, Tried::default(), opened, carried).await
    }

    /// Delivers a message of the past in this session, which is about to begin; or one of thoth's
    /// own. Neither is worth a session or a list of its own.
    pub(super) async fn deliver_in(&self, letter: &Letter, seen: &Seen) -> Result<Answered, Says> {
        let tried = Tried { session: true, list: true, ..Tried::default() };
        self.persist(letter, Some(seen), tried, None, &mut { UNSENT }).await
    }

    async fn persist(
        &self,
        letter: &Letter,
        session: Option<&Seen>,
        mut tried: Tried,
        opened: Option<&Opened>,
        carried: &mut Carried,
    ) -> Result<Answered, Says> {
        let mut newer: Option<Presented> = None;
        loop {
            let presented = match newer.take() {
                Some(presented) => presented,
                None => self.authority.present().await.map_err(|error| {
                    Says::Fault(Fault::NoCredential(crate::https::root(&error)))
                })?,
            };
            let seen = session.cloned().unwrap_or_else(|| self.session.seen());
            *carried = Carried {
                attempts: carried.attempts + 1,
                generation: presented.generation,
                epoch: if letter.is_modern() { 0 } else { seen.epoch },
            };
            let failed = match self.attempt(letter, &presented, &seen).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => failed,
            };
            match tried.next(failed.happened) {
                None => return Err(failed.says),
                Some(Remedy::Connection) => sleep(PAUSE).await,
                Some(Remedy::Credential) => {
                    let (old, deadline) = (presented.generation, Instant::now() + RENEWAL);
                    newer = self.authority.after_rejection(old, deadline).await;
                    if newer.is_none() {
                        return Err(failed.says);
                    }
                }
                Some(Remedy::Session) => self.renew(seen.epoch).await?,
                Some(Remedy::List) => {
                    if self.list(letter.meta(), &seen).await.is_none() {
                        return Err(failed.says);
                    }
                }
            }
            if opened.is_some_and(Opened::is_given_up) {
                return Err(failed.says);
            }
        }
    }

    /// Sends a message once, the way that this server knows.
    async fn attempt(
        &self,
        letter: &Letter,
        presented: &Presented,
        seen: &Seen,
    ) -> Result<Answered, Failed> {
        let is_greeting = &*letter.method == "initialize";
        let seen = if letter.is_modern() || is_greeting { seen.outside() } else { seen.clone() };
        if self.older.is_known() {
            return self.exchange_older(letter, presented, &seen).await;
        }
        let failed = match self.exchange(letter, presented, &seen).await {
            Err(failed) if is_greeting && failed.may_be_older && self.older.may_be() => failed,
            ended => return ended,
        };
        match self.connect_older(presented).await {
            Ok(()) => self.exchange_older(letter, presented, &seen).await,
            Err(why) => {
                tracing::debug!(why = why.says.in_words(), "the server does not know HTTP+SSE");
                Err(failed)
            }
        }
    }
}
