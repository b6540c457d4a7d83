//! Begins a lost session anew, and looks through the list of tools on thoth's own account.

use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::PoisonError;

use bytes::Bytes;
use tokio::time::timeout;

use super::exchange::{Answered, Says};
use super::fault::Fault;
use super::introduction::introduction;
use super::letter::Letter;
use super::remote::Remote;
use super::reply;
use super::session::Seen;
use crate::mirror::Listed;

/// How many pages of a list are read.
const PAGES: usize = 64;

/// What the client is told where the tools are not what they were.
const CHANGED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// Where the awaited calls itself in the end, its type must be named.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Remote {
    /// Begins a new session in place of the lost one of this epoch: once, whoever asks. Says again
    /// what the client had said: `initialize`, `notifications/initialized`, the log level,
    /// subscriptions; and tells the client where the tools are no longer those that it knows.
    ///
    /// Cancel safe: whoever asks next begins it.
    ///
    /// # Errors
    ///
    /// What is to be said of the message that met the end of the session.
    pub(super) fn renew(&self, lost: u64) -> Boxed<'_, Result<(), Says>> {
        Box::pin(async move {
            let gone = |why: &str| Says::Fault(Fault::SessionLost(why.to_owned()));
            // Where each attempt is met with silence, nobody waits for all who came before.
            let _single = timeout(self.silence, self.renewing.lock())
                .await
                .map_err(|_| gone("the server does not answer"))?;
            let seen = self.session.seen();
            if seen.epoch != lost {
                return Ok(());
            }
            let kept = self.session.kept();
            let greeting = kept.greeting.as_ref().ok_or_else(|| gone("none was begun here"))?;
            let Answered { reply, session_id, .. } = self.deliver_in(greeting, &seen).await?;
            let reply = reply.ok_or_else(|| gone("the server did not answer"))?;
            let result = reply.result().ok_or_else(|| gone("the server refuses a new one"))?;
            let next = seen.next(session_id, reply::member(result, "protocolVersion").as_deref());
            if let Some(initialized) = &kept.initialized {
                self.deliver_in(initialized, &next).await?;
            }
            self.session.renew(next.clone());
            tracing::info!(epoch = next.epoch, "the session was lost; there is a new one");
            for letter in kept.level.iter().chain(kept.subscriptions.values()) {
                if let Err(says) = self.deliver_in(letter, &next).await {
                    let (method, why) = (&*letter.method, says.in_words());
                    tracing::warn!(method, why, "the new session was not told");
                }
            }
            if kept.initialized.is_some()
                && let Some(tools) = kept.tools
                && self.list(None, &next).await != Some(tools)
            {
                self.answers.say(Bytes::from_static(CHANGED)).await;
            }
            self.session.heard().await;
            Ok(())
        })
    }

    /// Reads the whole list of tools, learns from it, and says what it is, as a number. `meta` is
    /// that of the message that it is read for. `None` where it cannot be had.
    pub(super) fn list<'a>(
        &'a self,
        meta: Option<&'a [u8]>,
        seen: &'a Seen,
    ) -> Boxed<'a, Option<u64>> {
        Box::pin(async move {
            let mut digest = self.digest();
            let mut cursor = None::<Box<str>>;
            for _ in 0..PAGES {
                let meta = meta.map(|meta| format!("\"_meta\":{}", introduction(meta)));
                let from = cursor.map(|cursor| format!("\"cursor\":{cursor}"));
                let params = [meta, from].into_iter().flatten().collect::<Vec<_>>().join(",");
                let line = format!(
                    r#"{{"jsonrpc":"2.0","id":"{}","method":"tools/list","params":{{{params}}}}}"#,
                    self.own_id()
                );
                let letter = Letter::read(line.into())?;
                let reply = self.deliver_in(&letter, seen).await.ok()?.reply?;
                let listed = self.learn(reply.result()?)?;
                digest.add(&listed, reply.result()?);
                cursor = listed.next().map(Into::into);
                if cursor.is_none() {
                    return Some(digest.finish());
                }
            }
            None
        })
    }

    /// Learns from one page of the list of tools.
    pub(super) fn learn(&self, result: &[u8]) -> Option<Listed> {
        let listed = Listed::read(result)?;
        for (tool, why) in listed.invalid() {
            tracing::warn!(tool, %why, "a tool of the server is not shown");
        }
        self.parameters.lock().unwrap_or_else(PoisonError::into_inner).learn(&listed);
        Some(listed)
    }

    /// A digest of nothing.
    pub(super) fn digest(&self) -> Digest {
        Digest(self.hashing.build_hasher())
    }
}

/// A number for a list of tools, to tell it from another in this process.
#[derive(Clone, Debug)]
pub(super) struct Digest(std::hash::DefaultHasher);

// === impl Digest ===

impl Digest {
    /// Adds one page.
    pub(super) fn add(&mut self, listed: &Listed, result: &[u8]) {
        for tool in listed.texts(result) {
            self.0.write_usize(tool.len());
            self.0.write(tool);
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0.finish()
    }
}
