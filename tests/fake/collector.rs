//! A Baton collector that remembers which events arrived, and how often.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::{Certificate, FakeEnforcer, Manner, Script, Seen};

/// The server, its scripts and its memory.
pub(crate) struct FakeCollector(FakeEnforcer);

/// Takes the event.
pub(crate) fn taken() -> Script {
    Script::Answer(201, "{}".to_owned())
}

/// An address that nobody listens at, until a collector does.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

impl FakeCollector {
    /// HTTP/1.1 without TLS, treating requests like this, one after the other; the last stays.
    pub(crate) async fn plain(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self(FakeEnforcer::plain().await.scripted(scripts))
    }

    /// The same, there.
    pub(crate) async fn plain_at(address: SocketAddr) -> Self {
        let fake = FakeEnforcer::listen_at(address, None, Manner::Http1).await;
        Self(fake.scripted([taken()]))
    }

    /// HTTPS on `localhost`, with this certificate. Takes everything.
    pub(crate) async fn with(certificate: Certificate) -> Self {
        Self(FakeEnforcer::with(certificate, Manner::Both).await.scripted([taken()]))
    }

    /// From now on, requests are treated like this.
    pub(crate) fn treats(&self, script: Script) {
        self.0.memory.state.lock().unwrap().questions = [script].into();
    }

    /// The fake itself.
    pub(crate) fn fake(&self) -> &FakeEnforcer {
        &self.0
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen()
    }

    /// How often each event was received, by its id.
    pub(crate) fn received(&self) -> BTreeMap<String, usize> {
        let mut received = BTreeMap::new();
        for seen in self.0.seen() {
            let id = seen.body["event_id"].as_str().unwrap().to_owned();
            *received.entry(id).or_default() += 1;
        }
        received
    }

    /// Waits until so many different events were received.
    pub(crate) async fn until(&self, count: usize) {
        let mut requests = count;
        while self.received().len() < count {
            self.0.until_seen(requests).await;
            requests = self.seen().len() + 1;
        }
    }
}
