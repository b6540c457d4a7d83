//! An enforcer that answers what a test tells it to, and remembers what it was asked.
//!
//! A real server on a free loopback port: TLS with certificates made for it alone, HTTP/2 and
//! HTTP/1.1 by ALPN, or plain HTTP/1.1. It serves until it is dropped.
//!
//! ```ignore
//! let fake = FakeEnforcer::start().await.answering(200, r#"{"decision":"BLOCK"}"#);
//! let answer = fake.enforcer().ask(question("read_file", "{}")).await;
//! assert_eq!(fake.seen()[0].body["tool_name"], "read_file");
//! ```

#![allow(dead_code, reason = "each test file uses another part of it")]

mod certificates;
pub(crate) mod collector;
pub(crate) mod govapi;
mod holds;
mod serve;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hyper::{HeaderMap, Version};
use serde_json::Value;
use thoth::config::settings::{self, Environment, Identity, Pin, Tls};
use thoth::credential::{Credential, Source};
use thoth::enforcer::wire::AskedBy;
use thoth::enforcer::{Enforcer, EnforcerError};
use thoth::gate::decide::{Mode, Outage};
use thoth::gate::record::Ticket;
use thoth::gate::verdict::{Answer, Grounds, Hold, Keeper, Question, Verdict};
use thoth::secret::ApiKey;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use certificates::{Certificate, Issued};
use holds::Holds;

/// The key every enforcer made here sends.
pub(crate) const KEY: &str = "thoth_test_0123456789";

/// What the fake does with one request, after it has read and remembered it.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Answers.
    Answer(u16, String),
    /// Answers, with one header more.
    AnswerWith(u16, &'static str, String, String),
    /// Answers, after this time.
    Late(Duration, u16, String),
    /// Sends this status and the beginning of a body, then no more, and stays.
    Slow(u16),
    /// Sends this status and the beginning of a body, then breaks off.
    Broken(u16),
    /// Never answers, and stays.
    Hang,
    /// Closes without an answer.
    HangUp,
    /// Never answers, and deaf from now on to everything on this connection: as if the network
    /// had forgotten it.
    Freeze,
}

/// What the fake does with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// HTTP/2 or HTTP/1.1, as the client likes.
    Both,
    /// HTTP/1.1 only; a connection that ends is reset.
    Http1,
    /// Accepts the connection and says nothing, not even a handshake.
    Deaf,
    /// Says something that is not TLS, nor HTTP.
    Garbage,
    /// Makes the handshake, reads, and answers something that is not HTTP.
    NotHttp,
    /// As [`Manner::Both`], but the first connection is closed after its handshake.
    Impatient,
}

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) bytes: bytes::Bytes,
    /// The body's text, as far as it is one.
    pub(crate) text: String,
    /// The body as JSON; null where it is none.
    pub(crate) body: Value,
    /// Which connection it came on, from 1.
    pub(crate) connection: usize,
    /// Whether that connection's TLS session was a resumed one.
    pub(crate) resumed: bool,
    /// Whether its key was a good one.
    pub(crate) accepted: bool,
}

/// The server, its script and its memory.
pub(crate) struct FakeEnforcer {
    address: SocketAddr,
    issued: Option<Issued>,
    memory: Arc<Memory>,
    _serving: AbortOnDropHandle<()>,
}

struct Memory {
    state: Mutex<State>,
    /// How many requests there were.
    count: watch::Sender<usize>,
    /// How many connections the fake closed by itself.
    closed: watch::Sender<usize>,
    /// The keys that are good, where not all are: the others get a 401.
    keys: Mutex<Option<Vec<String>>>,
    /// The keys that are the good ones after so many requests.
    next_keys: Mutex<Option<(usize, Vec<String>)>>,
    /// Its own holds, where it keeps any; looks are scripted where it does not.
    holds: OnceLock<Holds>,
}

struct State {
    /// Scripts for questions; the last one stays.
    questions: VecDeque<Script>,
    /// Scripts for looks at a hold; the last one stays.
    looks: VecDeque<Script>,
    /// Scripts for paths that end so; they go before those above.
    routes: Vec<(&'static str, VecDeque<Script>)>,
    seen: Vec<Seen>,
    /// Connections that were accepted.
    accepted: usize,
}

// === impl FakeEnforcer ===

impl FakeEnforcer {
    /// HTTPS on `localhost`, with a certificate of a CA of its own. Allows everything.
    pub(crate) async fn start() -> Self {
        Self::with(Certificate::Good, Manner::Both).await
    }

    /// HTTP/1.1 without TLS. Allows everything.
    pub(crate) async fn plain() -> Self {
        Self::listen(None, Manner::Http1).await
    }

    /// HTTPS on `localhost`, with this certificate and these manners. Allows everything.
    pub(crate) async fn with(certificate: Certificate, manner: Manner) -> Self {
        Self::listen(Some(Issued::new(certificate)), manner).await
    }

    async fn listen(issued: Option<Issued>, manner: Manner) -> Self {
        Self::listen_at((Ipv4Addr::LOCALHOST, 0).into(), issued, manner).await
    }

    async fn listen_at(address: SocketAddr, issued: Option<Issued>, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Arc::new(Memory {
            state: Mutex::new(State {
                questions: [Script::Answer(200, r#"{"decision":"ALLOW"}"#.to_owned())].into(),
                looks: [Script::Answer(404, String::new())].into(),
                routes: Vec::new(),
                seen: Vec::new(),
                accepted: 0,
            }),
            count: watch::Sender::new(0),
            closed: watch::Sender::new(0),
            keys: Mutex::default(),
            next_keys: Mutex::default(),
            holds: OnceLock::new(),
        });
        let acceptor = issued.as_ref().map(|issued| issued.acceptor(manner));
        let serving = serve::serve(listener, acceptor, manner, Arc::clone(&memory));
        Self { address, issued, memory, _serving: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    /// Every question gets this answer.
    pub(crate) fn answering(self, status: u16, body: &str) -> Self {
        self.scripted([Script::Answer(status, body.to_owned())])
    }

    /// Questions are treated like this, one after the other; the last stays.
    pub(crate) fn scripted(self, scripts: impl IntoIterator<Item = Script>) -> Self {
        self.memory.state.lock().unwrap().questions = scripts.into_iter().collect();
        self
    }

    /// Looks at a hold are treated like this, one after the other; the last stays.
    pub(crate) fn holding(self, scripts: impl IntoIterator<Item = Script>) -> Self {
        self.memory.state.lock().unwrap().looks = scripts.into_iter().collect();
        self
    }

    /// Every hold is kept until it is resolved, replied to or withdrawn.
    pub(crate) fn keeping_holds(self) -> Self {
        let _ = self.memory.holds.set(Holds::new());
        self
    }

    /// A person answers a hold that is kept, unless it was answered before.
    pub(crate) fn resolve(&self, token: &str, resolution: &'static str) {
        self.memory.holds.get().unwrap().resolve(token, resolution);
    }

    /// From now on these keys are good, and no others. A request with another one uses up its
    /// script all the same.
    pub(crate) fn accept(&self, keys: &[&str]) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        *self.memory.keys.lock().unwrap() = Some(keys);
    }

    /// After so many requests these keys are good, and no others, however slow whoever calls this is.
    pub(crate) fn accept_after(&self, requests: usize, keys: &[&str]) {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        *self.memory.next_keys.lock().unwrap() = Some((requests, keys));
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.memory.state.lock().unwrap().seen.clone()
    }

    /// Waits until there were so many requests.
    pub(crate) async fn until_seen(&self, count: usize) {
        let mut counts = self.memory.count.subscribe();
        counts.wait_for(|seen| *seen >= count).await.unwrap();
    }

    /// Waits until the fake has closed so many connections by itself.
    pub(crate) async fn until_closed(&self, count: usize) {
        let mut counts = self.memory.closed.subscribe();
        counts.wait_for(|closed| *closed >= count).await.unwrap();
    }

    /// How many connections were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.memory.state.lock().unwrap().accepted
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        let port = self.address.port();
        match self.issued {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// A PEM file with the CA that ought to be trusted.
    pub(crate) fn ca(&self) -> &Path {
        self.issued.as_ref().unwrap().ca.path()
    }

    /// The pin of its certificate.
    pub(crate) fn leaf_pin(&self) -> Pin {
        Pin::of_leaf(&self.issued.as_ref().unwrap().leaf)
    }

    /// The pin of its key.
    pub(crate) fn key_pin(&self) -> Pin {
        Pin::of_key(&self.issued.as_ref().unwrap().leaf).unwrap()
    }

    /// Settings under which it is asked.
    pub(crate) fn settings(&self) -> settings::Enforcer {
        settings::Enforcer {
            url: self.url(),
            api_key: Some(key(KEY)),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            outage: Outage::Block,
            context: settings::RequestContext::default(),
        }
    }

    /// Settings under which its certificate is trusted, if it is good.
    pub(crate) fn tls(&self) -> Tls {
        Tls { ca_bundle: self.issued.as_ref().map(|_| self.ca().to_owned()), ..Tls::default() }
    }

    /// A client of it.
    pub(crate) fn enforcer(&self) -> Enforcer {
        enforcer(&self.settings(), &self.tls()).unwrap()
    }

    /// A client of it that gives up after this time.
    pub(crate) fn enforcer_waiting(&self, timeout: Duration) -> Enforcer {
        let settings = settings::Enforcer { timeout, ..self.settings() };
        enforcer(&settings, &self.tls()).unwrap()
    }

    /// A client of it with these pins.
    pub(crate) fn enforcer_pinning(&self, pins: &[Pin]) -> Enforcer {
        let tls = Tls { pins: pins.to_vec(), ..self.tls() };
        enforcer(&self.settings(), &tls).unwrap()
    }
}

/// A client under these settings, for a session `s-1` of the agent `test-agent`.
pub(crate) fn enforcer(
    settings: &settings::Enforcer,
    tls: &Tls,
) -> Result<Enforcer, EnforcerError> {
    patient(settings, tls, Duration::from_mins(1))
}

/// The same, for calls that wait at most so long for a person.
pub(crate) fn patient(
    settings: &settings::Enforcer,
    tls: &Tls,
    step_up_wait: Duration,
) -> Result<Enforcer, EnforcerError> {
    let identity = Identity { agent_id: "test-agent".to_owned(), ..Identity::default() };
    let (environment, mode) = (Environment::Dev, Mode::Progressive);
    let by = AskedBy { identity: &identity, environment, mode, server: "files", session_id: "s-1" };
    Enforcer::new(settings, tls, by, step_up_wait, noon)
}

/// The API key, as it is given in a variable.
pub(crate) fn key(text: &str) -> Credential {
    let secret = ApiKey::parse(text).unwrap();
    let source = Source::Value { secret, from: "THOTH_API_KEY", key_id: None };
    Credential::new("api_key", source, noon)
}

/// A clock that stands still.
pub(crate) fn noon() -> jiff::Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A question about one call.
pub(crate) fn question(tool: &str, arguments: &str) -> Question {
    Question {
        ticket: Ticket(1),
        tool: tool.into(),
        arguments: arguments.to_owned().into(),
        calls_so_far: Vec::new(),
        annotations: None,
        reply: None,
    }
}

/// A hold without a limit of its own.
pub(crate) fn hold(token: &str) -> Hold {
    Hold {
        token: token.to_owned(),
        approval_url: None,
        expires_at: None,
        timeout: None,
        keeper: Keeper::Enforcer,
    }
}

/// An answer in short: `said <effect> <reason code>`, or `silent <reason code>`.
pub(crate) fn in_short(answer: &Answer) -> String {
    let code = |grounds: &Grounds| grounds.reason_code.clone().unwrap_or_default();
    match answer {
        Answer::Said(Verdict { effect, grounds }) => {
            format!("said {} {}", effect.word(), code(grounds))
        }
        Answer::Silent(grounds) => format!("silent {}", code(grounds)),
    }
}

/// The sentence an answer gives as its reason.
pub(crate) fn reason(answer: &Answer) -> String {
    let (Answer::Said(Verdict { grounds, .. }) | Answer::Silent(grounds)) = answer;
    grounds.reason.clone().unwrap_or_default()
}
