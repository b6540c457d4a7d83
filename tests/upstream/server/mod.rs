//! An MCP server behind a URL, with a memory: what it was sent, and what it executed.
//!
//! A real server on a free loopback port, plain or TLS, that serves until it is dropped. It speaks
//! Streamable HTTP in every revision from 2025-03-26 to 2026-07-28, or HTTP+SSE, strictly: a session
//! must be initialised before it is used, headers must say what the body says. Tests change what it
//! does while it runs: which tokens it accepts, which sessions it knows, how it answers and fails.
//! Nothing in it waits for a clock: what is late is late until the test lets it go on.

#![allow(dead_code, reason = "each scenario uses another part of it")]

pub(crate) mod canary;
mod exchange;
mod memory;
mod protocol;
mod serve;
mod stream;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::exchange::{Exchange, Stage};
pub(crate) use self::memory::{Answers, Eras, Fault, Refusal, Seen, State};
pub(crate) use self::stream::Stream;
use crate::fake::{Certificate, Issued, Manner};

/// How long a test waits for what must happen, before it says that it did not.
pub(crate) const WATCHDOG: Duration = Duration::from_mins(1);

/// The server and its memory.
pub(crate) struct Server {
    address: SocketAddr,
    issued: Option<Issued>,
    memory: Arc<Memory>,
    serving: AbortOnDropHandle<()>,
}

/// What the server's connections share.
struct Memory {
    state: Mutex<State>,
    /// Turns with every change.
    changed: watch::Sender<u64>,
    /// Turns when connections are to be closed as soon as nothing is under way on them.
    closing: watch::Sender<u64>,
}

// === impl Server ===

impl Server {
    /// HTTP/1.1 without TLS. Accepts every token, opens sessions, answers in JSON.
    pub(crate) async fn start() -> Self {
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), None, Manner::Http1).await
    }

    /// The same over TLS on `localhost`, HTTP/2 or HTTP/1.1 as the client likes.
    pub(crate) async fn over_tls() -> Self {
        Self::over_tls_as(Certificate::Good).await
    }

    /// The same with this certificate.
    pub(crate) async fn over_tls_as(certificate: Certificate) -> Self {
        let issued = Issued::new(certificate);
        Self::listen((Ipv4Addr::LOCALHOST, 0).into(), Some(issued), Manner::Both).await
    }

    /// The same, there, without TLS.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        Self::listen(address, None, Manner::Http1).await
    }

    async fn listen(address: SocketAddr, issued: Option<Issued>, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = issued.as_ref().map(|issued| issued.acceptor(manner));
        let memory = Arc::new(Memory {
            state: Mutex::default(),
            changed: watch::Sender::default(),
            closing: watch::Sender::default(),
        });
        let serving = serve::serve(listener, acceptor, Arc::clone(&memory));
        Self { address, issued, memory, serving: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    /// Ends, with every connection; its address can be used again.
    pub(crate) async fn stops(self) -> SocketAddr {
        self.serving.abort();
        let _ = self.serving.await;
        self.address
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where MCP is spoken.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.origin())
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        let port = self.address.port();
        match self.issued {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// A PEM file with the authority to trust.
    pub(crate) fn ca(&self) -> &Path {
        self.issued.as_ref().unwrap().ca.path()
    }

    /// Changes what the server does from now on.
    pub(crate) fn with(&self, change: impl FnOnce(&mut State)) -> &Self {
        self.memory.change(change);
        self
    }

    /// Looks at its memory.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.memory.state.lock().unwrap())
    }

    /// Waits until there is something to see.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.memory.changed.subscribe();
        let seeing = async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = self.look(&look) {
                    return seen;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(WATCHDOG, seeing).await.unwrap_or_else(|_| {
            panic!("never came to pass: {what}\n{}", self.look(State::story));
        })
    }

    /// From now on these tokens are good, and no others.
    pub(crate) fn accept_only(&self, tokens: &[&str]) -> &Self {
        self.with(|state| state.accept_only(tokens))
    }

    /// Forgets every session.
    pub(crate) fn drop_sessions(&self) -> &Self {
        self.with(State::drop_sessions)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.look(|state| state.seen.clone())
    }

    /// How often it refused a token.
    pub(crate) fn refusals(&self) -> usize {
        self.look(|state| state.seen.iter().filter(|seen| seen.refused).count())
    }

    /// How many sessions were opened.
    pub(crate) fn openings(&self) -> usize {
        self.look(|state| state.opened)
    }

    /// The tool calls it executed, by their argument `n`, in order.
    pub(crate) fn executed(&self) -> Vec<u64> {
        self.look(|state| state.executed.clone())
    }

    /// Waits until so many refusals were given.
    pub(crate) async fn until_refused(&self, count: usize) {
        self.until("refusals", |state| {
            (state.seen.iter().filter(|seen| seen.refused).count() >= count).then_some(())
        })
        .await;
    }

    /// Waits until so many calls were executed.
    pub(crate) async fn until_executed(&self, count: usize) {
        self.until("executions", |state| (state.executed.len() >= count).then_some(())).await;
    }

    /// Closes every connection on which nothing is under way, and waits until they are gone.
    pub(crate) async fn close_idle(&self) {
        self.memory.closing.send_modify(|turn| *turn += 1);
        self.until("no connections", |state| (state.open == 0).then_some(())).await;
    }

    /// Waits for the next request that was stopped, see [`State::stop`].
    pub(crate) async fn stopped(&self) -> Exchange {
        self.until("a request that is stopped", |state| (!state.stopped.is_empty()).then_some(()))
            .await;
        self.memory.state.lock().unwrap().stopped.pop_front().unwrap()
    }
}

// === impl Memory ===

impl Memory {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap());
        self.touch();
        changed
    }

    fn touch(&self) {
        self.changed.send_modify(|turn| *turn += 1);
    }
}
