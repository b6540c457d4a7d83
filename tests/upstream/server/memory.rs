//! What the server knows, and how it is told to behave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::exchange::{Exchange, Stage};
use super::stream::Stream;

/// Which revisions it speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Eras {
    /// Those with a handshake, up to the one named.
    Handshake(&'static str),
    /// 2026-07-28 alone.
    Stateless,
    /// Both, as each message asks.
    #[default]
    Both,
    /// HTTP+SSE, of 2024-11-05.
    HttpSse,
}

/// How it answers a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Answers {
    #[default]
    Json,
    /// One event on a stream that then ends.
    Sse,
    /// A stream with ids that is closed before the answer: who wants it has to resume.
    Polling,
}

/// How it refuses a token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// 401 with a challenge.
    #[default]
    Challenge,
    /// 401 without one.
    Bare,
    /// 403 with `error="invalid_token"`.
    Invalid,
    /// 403 with `error="insufficient_scope"`: not the token's fault.
    Scope,
    /// 200, and a JSON-RPC error with this code.
    InBand(i64),
    /// 200, and a tool's result that says so in words.
    InWords,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection is closed before the request is looked at: nothing was executed.
    ClosesUnread,
    /// Executed, and the connection is closed without an answer.
    ClosesBeforeHeaders,
    /// Executed, and the connection is closed after the headers of the answer.
    ClosesAfterHeaders,
    /// Executed, and the connection is closed in the middle of the answer.
    ClosesMidway,
    /// Executed, and answered with this status, these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Executed, and never answered.
    Hangs,
}

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) http: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; null where it is none.
    pub(crate) body: Value,
    /// Which connection it came on, from 1.
    pub(crate) connection: usize,
    /// Whether its token was refused.
    pub(crate) refused: bool,
}

/// One session of the handshake's era.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) principal: String,
    pub(crate) version: String,
    pub(crate) initialized: bool,
    pub(crate) level: Option<String>,
    pub(crate) subscribed: BTreeSet<String>,
    /// What the server says unasked, once somebody listens.
    pub(crate) push: Option<Stream>,
}

/// Something to do once so many calls were executed.
type Later = (usize, Box<dyn FnOnce(&mut State) + Send>);

/// What it knows.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches, each for one habit of a server")]
pub(crate) struct State {
    /// The good tokens; `None`: nobody is asked for one.
    pub(crate) tokens: Option<BTreeSet<String>>,
    /// Whose a token is; all others are one person's.
    pub(crate) principals: BTreeMap<String, String>,
    pub(crate) refusal: Refusal,
    pub(crate) eras: Eras,
    pub(crate) answers: Answers,
    /// Whether sessions get ids.
    pub(crate) sessionless: bool,
    /// Whether somebody who opens a session loses the one before.
    pub(crate) one_each: bool,
    /// Whether it has something to say unasked (GET).
    pub(crate) pushes: bool,
    /// Whether a session may be ended (DELETE).
    pub(crate) keeps_sessions: bool,
    /// So many connections are closed before their handshake: over TLS, nothing was sent on them.
    pub(crate) shuts_out: usize,
    /// Where HTTP+SSE is told to post to, where that is not here.
    pub(crate) endpoint: Option<String>,
    /// Its tools' names.
    pub(crate) tools: Vec<String>,

    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) opened: usize,
    pub(crate) ended: Vec<String>,
    pub(crate) executed: Vec<u64>,
    pub(crate) seen: Vec<Seen>,
    /// Connections that were made, and those that are open.
    pub(crate) connections: usize,
    pub(crate) open: usize,
    pub(crate) stopped: VecDeque<Exchange>,
    /// Requests whose client went away while they were stopped.
    pub(crate) abandoned: usize,
    faults: VecDeque<(String, Fault)>,
    stops: Vec<(Stage, String)>,
    later: Vec<Later>,
}

// === impl Seen ===

impl Seen {
    /// Its JSON-RPC method; empty where it has none.
    pub(crate) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap_or("?")).unwrap_or_default()
    }

    /// The token it showed.
    pub(crate) fn token(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// The argument `n` of a call.
    pub(crate) fn n(&self) -> Option<u64> {
        self.body["params"]["arguments"]["n"].as_u64()
    }
}

// === impl State ===

impl State {
    pub(crate) fn accept_only(&mut self, tokens: &[&str]) {
        self.tokens = Some(tokens.iter().map(|&token| token.to_owned()).collect());
    }

    pub(crate) fn drop_sessions(&mut self) {
        self.sessions.clear();
    }

    /// The next request with this method (of JSON-RPC, else of HTTP) goes wrong; then the next.
    pub(crate) fn fails(&mut self, method: &str, fault: Fault) {
        self.faults.push_back((method.to_owned(), fault));
    }

    /// From now on requests with this method (of JSON-RPC, else of HTTP), or calls of this tool,
    /// are stopped where they are, until the test lets them go on.
    pub(crate) fn stop(&mut self, stage: Stage, key: &str) {
        self.stops.push((stage, key.to_owned()));
    }

    /// No more requests are stopped.
    pub(crate) fn stop_no_more(&mut self) {
        self.stops.clear();
    }

    /// Does this as soon as so many calls were executed, before the last of them is answered.
    pub(crate) fn after(
        &mut self,
        executions: usize,
        act: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        self.later.push((executions, Box::new(act)));
    }

    /// The requests with this method (of JSON-RPC, else of HTTP).
    pub(crate) fn requests<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Seen> {
        self.seen.iter().filter(move |seen| {
            seen.method() == method || (seen.body.is_null() && seen.http == method)
        })
    }

    pub(super) fn is_stopped(&self, stage: Stage, seen: &Seen) -> bool {
        let tool = (seen.method() == "tools/call").then(|| seen.body["params"]["name"].as_str());
        self.stops.iter().any(|(at, key)| {
            *at == stage
                && (key == seen.method()
                    || tool.flatten() == Some(key)
                    || (seen.body.is_null() && *key == seen.http))
        })
    }

    pub(super) fn fault(&mut self, seen: &Seen) -> Option<Fault> {
        let key = if seen.body.is_null() { &*seen.http } else { seen.method() };
        let at = self.faults.iter().position(|(method, _)| method == key)?;
        self.faults.remove(at).map(|(_, fault)| fault)
    }

    /// Executes a call.
    pub(super) fn execute(&mut self, n: u64) {
        self.executed.push(n);
        let so_far = self.executed.len();
        let (due, later) =
            std::mem::take(&mut self.later).into_iter().partition(|(after, _)| *after <= so_far);
        self.later = later;
        let due: Vec<Later> = due;
        for (_, act) in due {
            act(self);
        }
    }

    pub(super) fn is_good(&self, token: &str) -> bool {
        self.tokens.as_ref().is_none_or(|tokens| tokens.contains(token))
    }

    pub(super) fn principal(&self, token: &str) -> String {
        self.principals.get(token).cloned().unwrap_or_else(|| "somebody".to_owned())
    }

    pub(super) fn tool_list(&self) -> Value {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer"},
            "region": {"type": "string", "x-mcp-header": "Region"},
        }});
        let others = self.tools.iter().map(String::as_str);
        let tools = ["echo", "slow"].into_iter().chain(others);
        tools.map(|name| json!({"name": name, "inputSchema": schema})).collect()
    }

    /// What happened, for a test that says what broke.
    pub(crate) fn story(&self) -> String {
        let mut story = format!("executed {:?}, opened {}\n", self.executed, self.opened);
        for seen in self.seen.iter().rev().take(60).rev() {
            let Seen { http, path, body, connection, refused, .. } = seen;
            let said = if *refused { "refused" } else { "" };
            let session = seen.header("mcp-session-id");
            let token = seen.token();
            writeln!(story, "#{connection} {http} {path} [{session}] [{token}] {said} {body}")
                .unwrap();
        }
        story
    }
}
