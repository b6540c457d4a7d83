//! A GovAPI that remembers who registered, who checked in and what was reported, and answers what a
//! test tells it to: `{}`, where it was told nothing.

use std::path::Path;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{Certificate, FakeEnforcer, Manner, Script, Seen};

/// What is asked of a GovAPI, by the end of its path.
pub(crate) const REGISTER: &str = "/thoth/endpoints";
pub(crate) const CHECK_IN: &str = "/checkin";
pub(crate) const TOOLS: &str = "/thoth/tool-inventory";

/// The server, its scripts and its memory. It lives on a thread of its own, so that a test can wait
/// for processes meanwhile.
pub(crate) struct FakeGovApi {
    fake: FakeEnforcer,
    runtime: Handle,
    _ends_with_it: oneshot::Sender<()>,
}

impl FakeGovApi {
    /// HTTPS on `localhost`, with a certificate of a CA of its own.
    pub(crate) fn start() -> Self {
        Self::with(Certificate::Good, Manner::Both)
    }

    /// HTTPS on `localhost`, with this certificate and these manners.
    pub(crate) fn with(certificate: Certificate, manner: Manner) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (ends_with_it, end) = oneshot::channel();
        thread::spawn(move || runtime.block_on(end));
        let fake = handle.block_on(FakeEnforcer::with(certificate, manner));
        let fake = fake.answering(200, "{}");
        Self { fake, runtime: handle, _ends_with_it: ends_with_it }
    }

    /// Starts something else on the same thread.
    pub(crate) fn beside<T>(&self, started: impl Future<Output = T>) -> T {
        self.runtime.block_on(started)
    }

    /// From now on, requests of this kind are treated like this, one after the other; the last
    /// stays.
    pub(crate) fn treats(&self, kind: &'static str, scripts: impl IntoIterator<Item = Script>) {
        let mut state = self.fake.memory.state.lock().unwrap();
        state.routes.retain(|(known, _)| *known != kind);
        state.routes.push((kind, scripts.into_iter().collect()));
    }

    /// From now on, check-ins are answered with these directives.
    pub(crate) fn orders(&self, directives: &serde_json::Value) {
        let answer = serde_json::json!({ "directives": directives });
        self.treats(CHECK_IN, [Script::Answer(200, answer.to_string())]);
    }

    /// The requests of this kind so far.
    pub(crate) fn seen(&self, kind: &str) -> Vec<Seen> {
        let all = self.fake.seen();
        all.into_iter().filter(|seen| seen.path.ends_with(kind)).collect()
    }

    /// Waits until there were so many requests of this kind, and gives them.
    pub(crate) fn until(&self, kind: &str, count: usize) -> Vec<Seen> {
        let mut counts = self.fake.memory.count.subscribe();
        loop {
            let seen = self.seen(kind);
            if seen.len() >= count {
                return seen;
            }
            self.runtime.block_on(counts.changed()).unwrap();
        }
    }

    /// How many connections there were.
    pub(crate) fn accepted(&self) -> usize {
        self.fake.accepted()
    }

    pub(crate) fn url(&self) -> String {
        self.fake.url()
    }

    /// A PEM file with the CA that ought to be trusted.
    pub(crate) fn ca(&self) -> &Path {
        self.fake.ca()
    }
}
