//! What a server behind a URL is shown with each request: every secret, and every plain header, as
//! they are at that moment.
//!
//! The secrets may come from two sources that change apart from each other: a token, or a login in
//! its place, and a set of headers. What a request showed has one number, its generation, so that
//! whoever is rejected says which one it was. A 401 does not say which of the two is meant: both are
//! asked for a newer one, and the first that has one ends the wait.
//!
//! # Invariants
//!
//! - Generations count up with every change of what is shown, and with nothing else; 0 is where
//!   there is no secret at all.
//! - There is no second answer to one rejection: what comes after it is not what was rejected.
//! - Nothing here prints a secret.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use hyper::header::{AUTHORIZATION, HeaderMap};
use tokio::time::Instant;

use self::login::Login;
use crate::config::settings::{self, Tls, Token};
use crate::credential::{Credential, NoCredential, Snapshot, Standing};
use crate::secret::{ApiKey, SecretHeaders};

mod login;

/// How many generations are remembered. Who was rejected with an older one is given the present.
const REMEMBERED: usize = 64;

/// What one server is shown. Clones share what was loaded.
#[derive(Clone, Debug)]
pub struct Authority {
    /// What stays as it is.
    plain: HeaderMap,
    bearer: Option<Bearer>,
    headers: Option<Credential<SecretHeaders>>,
    shown: Arc<Mutex<Shown>>,
}

/// What is sent with one request.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Every secret and every plain header. Secret values are marked sensitive.
    pub headers: HeaderMap,
    /// Which secrets those are: to be named in [`Authority::after_rejection`], and in the journal.
    pub generation: u64,
}

/// Why nothing can be shown: then nothing is sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There is no token, or it is revoked.
    #[error("the token for the server cannot be used")]
    Token(#[source] NoCredential),
    /// There are no headers, or they are revoked.
    #[error("the secret headers for the server cannot be used")]
    Headers(#[source] NoCredential),
    /// There is no login, or it is over: a sentence with what to type.
    #[error("{0}")]
    Login(String),
}

/// What authenticates in one header.
#[derive(Clone, Debug)]
enum Bearer {
    Token(Token),
    Login(Login),
}

/// What was shown so far.
#[derive(Debug)]
struct Shown {
    generation: u64,
    /// The last generations, the present one last: of which generations of the two sources each
    /// was made.
    made: VecDeque<Parts>,
}

/// The generations of the two sources; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Parts {
    bearer: u64,
    headers: u64,
}

// === impl Authority ===

impl Authority {
    /// The authority over a server with these settings. `tls` is how a login is refreshed. Looks at the
    /// login's file, where there is one; reads nothing else yet. Blocking.
    pub fn new(settings: &settings::Upstream, tls: &Tls) -> Self {
        let login = settings.login.as_deref();
        let login = login.map(|name| Bearer::Login(Login::new(name, settings, tls)));
        Self {
            plain: settings.headers.clone(),
            bearer: settings.token.clone().map(Bearer::Token).or(login),
            headers: settings.secret_headers.clone(),
            shown: Arc::default(),
        }
    }

    /// The login that its token comes from, if it does.
    pub fn login(&self) -> Option<&str> {
        match &self.bearer {
            Some(Bearer::Login(login)) => Some(login.name()),
            Some(Bearer::Token(_)) | None => None,
        }
    }

    /// Waits until no token is being refreshed: one that is cut off may be lost. To be called in the end.
    ///
    /// Cancel safe.
    pub async fn settle(&self) {
        if let Some(Bearer::Login(login)) = &self.bearer {
            login.settle().await;
        }
    }

    /// What to show with a request that is sent now. Where there never was a secret, it is waited
    /// for, for the grace.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Refused`], where a secret that was configured cannot be had.
    pub async fn present(&self) -> Result<Presented, Refused> {
        let mut headers = self.plain.clone();
        let mut parts = Parts::default();
        if let Some(bearer) = &self.bearer {
            parts.bearer = bearer.show(&mut headers).await?;
        }
        if let Some(set) = &self.headers {
            let Snapshot { secret, generation, .. } =
                set.current().await.map_err(Refused::Headers)?;
            for (name, value) in secret.headers() {
                headers.insert(name, value.clone());
            }
            parts.headers = generation;
        }
        let generation = self.shown(|shown| shown.generation_of(parts));
        Ok(Presented { headers, generation })
    }

    /// Told that the server rejected what had this generation: what to show instead, waited for
    /// until the grace or the deadline is over, whichever comes first. `None` where nothing has
    /// changed, so that trying again would not help.
    ///
    /// Only who holds the present generation waits, and nobody waits for what others have waited
    /// for in vain.
    ///
    /// Cancel safe.
    pub async fn after_rejection(&self, generation: u64, deadline: Instant) -> Option<Presented> {
        if let Some(parts) = self.shown(|shown| shown.parts_of(generation)) {
            let bearer = async {
                let Some(bearer) = &self.bearer else { return false };
                bearer.after_rejection(parts.bearer, deadline).await
            };
            let headers = async {
                let Some(set) = &self.headers else { return false };
                set.after_rejection(parts.headers, deadline).await.is_some()
            };
            either(bearer, headers).await.then_some(())?;
        }
        // What was written a moment ago may have been taken back since.
        self.present().await.ok().filter(|newer| newer.generation != generation)
    }

    /// Told that the server accepted what had this generation. An older one says nothing of what
    /// is shown now.
    pub fn accepted(&self, generation: u64) {
        let present = self.shown(|shown| (shown.generation, shown.parts_of(generation)));
        let (present, Some(parts)) = present else { return };
        if generation != present {
            return;
        }
        match &self.bearer {
            Some(Bearer::Token(token)) => token.credential.accepted(parts.bearer),
            Some(Bearer::Login(login)) => login.accepted(parts.bearer),
            None => {}
        }
        if let Some(set) = &self.headers {
            set.accepted(parts.headers);
        }
    }

    /// How its credentials stand. Reads nothing: it is as good as the last use.
    pub fn standings(&self) -> Vec<Standing> {
        let bearer = self.bearer.as_ref().map(|bearer| match bearer {
            Bearer::Token(token) => token.credential.standing(),
            Bearer::Login(login) => login.standing(),
        });
        bearer.into_iter().chain(self.headers.as_ref().map(Credential::standing)).collect()
    }

    fn shown<T>(&self, with: impl FnOnce(&mut Shown) -> T) -> T {
        with(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Bearer ===

impl Bearer {
    /// Writes it into a request's headers, and says which generation it is.
    async fn show(&self, headers: &mut HeaderMap) -> Result<u64, Refused> {
        match self {
            Self::Token(Token { credential, header, bearer }) => {
                let Snapshot { secret, generation, .. } =
                    credential.current().await.map_err(Refused::Token)?;
                let value = if *bearer { secret.authorization() } else { secret.api_key() };
                headers.insert(header, value);
                Ok(generation)
            }
            Self::Login(login) => {
                let Snapshot { secret, generation, .. }: Snapshot<ApiKey> = login.current().await?;
                headers.insert(AUTHORIZATION, secret.authorization());
                Ok(generation)
            }
        }
    }

    /// Whether there is another one than this, which was rejected.
    async fn after_rejection(&self, generation: u64, deadline: Instant) -> bool {
        match self {
            Self::Token(token) => {
                token.credential.after_rejection(generation, deadline).await.is_some()
            }
            Self::Login(login) => login.after_rejection(generation, deadline).await.is_some(),
        }
    }
}

// === impl Shown ===

impl Default for Shown {
    fn default() -> Self {
        Self { generation: 0, made: [Parts::default()].into() }
    }
}

impl Shown {
    /// The number of what is made of these; a new one where something else was shown last.
    fn generation_of(&mut self, parts: Parts) -> u64 {
        if self.made.back() != Some(&parts) {
            self.made.push_back(parts);
            self.generation += 1;
            if self.made.len() > REMEMBERED {
                self.made.pop_front();
            }
        }
        self.generation
    }

    /// What a generation was made of, where that is remembered.
    fn parts_of(&self, generation: u64) -> Option<Parts> {
        let ago = usize::try_from(self.generation.checked_sub(generation)?).ok()?;
        self.made.iter().rev().nth(ago).copied()
    }
}

/// Whether one of the two comes true, as soon as one does.
async fn either(one: impl Future<Output = bool>, other: impl Future<Output = bool>) -> bool {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_is_false, mut other_is_false) = (false, false);
    poll_fn(|context| {
        if !one_is_false && let Poll::Ready(is) = one.as_mut().poll(context) {
            if is {
                return Poll::Ready(true);
            }
            one_is_false = true;
        }
        if !other_is_false && let Poll::Ready(is) = other.as_mut().poll(context) {
            if is {
                return Poll::Ready(true);
            }
            other_is_false = true;
        }
        if one_is_false && other_is_false { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_what_was_shown_and_older_ones_are_remembered_for_a_while() {
        let parts = |bearer, headers| Parts { bearer, headers };
        let mut shown = Shown::default();
        assert_eq!(shown.generation_of(parts(0, 0)), 0, "no secret at all");
        for (made, generation) in [
            (parts(1, 1), 1),
            (parts(1, 1), 1),
            (parts(2, 1), 2),
            (parts(2, 2), 3),
            (parts(2, 1), 4), // two tasks that saw the second change in another order
            (parts(2, 2), 5),
        ] {
            assert_eq!(shown.generation_of(made), generation);
            assert_eq!(shown.parts_of(generation), Some(made));
        }
        assert_eq!(shown.parts_of(1), Some(parts(1, 1)));
        assert_eq!(shown.parts_of(6), None);
        for bearer in 3..3 + REMEMBERED as u64 {
            shown.generation_of(parts(bearer, 2));
        }
        assert_eq!((shown.parts_of(5), shown.made.len()), (None, REMEMBERED));
        assert_eq!(shown.parts_of(6), Some(parts(3, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_waits_the_first_that_comes_true_ends_both() {
        let after = |seconds, is| async move {
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            is
        };
        for (one, other, is, seconds) in [
            (after(1, true), after(9, true), true, 1),
            (after(9, true), after(1, true), true, 1),
            (after(1, false), after(9, true), true, 9),
            (after(9, true), after(1, false), true, 9),
            (after(1, false), after(2, false), false, 2),
            (after(2, false), after(1, false), false, 2),
        ] {
            let begin = Instant::now();
            assert_eq!(either(one, other).await, is);
            assert_eq!(begin.elapsed().as_secs(), seconds);
        }
    }
}
