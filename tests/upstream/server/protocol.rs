//! What a request that was let in gets: MCP over HTTP, strictly, in every revision.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Response;
use serde_json::{Value, json};

use super::Memory;
use super::exchange::json_body;
use super::memory::{Answers, Eras, Seen, Session, State};
use super::stream::{Flow, Stream};

/// The revision without handshake and sessions.
pub(crate) const STATELESS: &str = "2026-07-28";

/// Revisions with a handshake, oldest first.
const HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// What is said to a request.
pub(super) struct Answer {
    status: u16,
    session: Option<String>,
    said: Said,
}

enum Said {
    Nothing,
    Text(&'static str),
    Message(Value),
    /// A message that answers a request, in the manner the server was told.
    Result(Value, Answers),
    /// A stream from after so many of its events.
    Stream(Stream, usize),
    /// What is to be said on this stream instead of here.
    Elsewhere(Stream, Value),
}

/// What the server makes of a request that was let in. Calls are executed here.
pub(super) fn answer(seen: &Seen, memory: &Arc<Memory>) -> Answer {
    memory.change(|state| match (&*seen.http, state.eras) {
        ("GET", Eras::HttpSse) => state.begin_old(memory),
        ("POST", Eras::HttpSse) => state.old(seen),
        ("POST", _) if seen.header("mcp-protocol-version") == STATELESS => state.stateless(seen),
        ("POST", _) if said_version(seen) == STATELESS => state.stateless(seen),
        ("POST", _) => state.handshaken(seen),
        ("GET", _) => state.listen(seen, memory),
        ("DELETE", _) => state.end(seen),
        _ => Answer::status(405),
    })
}

fn said_version(seen: &Seen) -> &str {
    seen.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"]
        .as_str()
        .unwrap_or_default()
}

// === impl Answer ===

impl Answer {
    fn status(status: u16) -> Self {
        Self { status, session: None, said: Said::Nothing }
    }

    fn text(status: u16, text: &'static str) -> Self {
        Self { status, session: None, said: Said::Text(text) }
    }

    fn error(status: u16, seen: &Seen, code: i64, message: &str) -> Self {
        let error = json!({"code": code, "message": message});
        let said = Said::Message(json!({"jsonrpc": "2.0", "id": seen.body["id"], "error": error}));
        Self { status, session: None, said }
    }

    pub(super) fn respond(self, memory: &Arc<Memory>) -> Response<Flow> {
        let mut response = Response::builder().status(self.status);
        if let Some(session) = &self.session {
            response = response.header("Mcp-Session-Id", session);
        }
        let in_json = |response: hyper::http::response::Builder, message: &Value| {
            response
                .header("content-type", "application/json")
                .body(Flow::whole(json_body(message)))
                .unwrap()
        };
        match self.said {
            Said::Nothing => response.body(Flow::whole("")).unwrap(),
            Said::Text(text) => response.body(Flow::whole(text)).unwrap(),
            Said::Message(message) | Said::Result(message, Answers::Json) => {
                in_json(response, &message)
            }
            Said::Result(message, manner) => {
                let stream = Stream::new(message["id"].clone(), Arc::clone(memory));
                memory.change(|state| state.streams.push(stream.clone()));
                if manner == Answers::Polling {
                    stream.writes("retry: 1\ndata:\n".to_owned());
                    let mut response = stream.open();
                    stream.closes();
                    stream.says(&message);
                    stream.ends();
                    with_session(&mut response, self.session.as_deref());
                    return response;
                }
                let stream = stream.without_ids();
                stream.says(&message);
                stream.ends();
                let mut response = stream.open();
                with_session(&mut response, self.session.as_deref());
                response
            }
            Said::Stream(stream, after) => stream.resume(after),
            Said::Elsewhere(stream, message) => {
                stream.says(&message);
                response.body(Flow::whole("Accepted")).unwrap()
            }
        }
    }
}

fn with_session(response: &mut Response<Flow>, session: Option<&str>) {
    if let Some(session) = session {
        response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
    }
}

// === impl State ===

impl State {
    /// A message of a revision with a handshake.
    fn handshaken(&mut self, seen: &Seen) -> Answer {
        let newest = match self.eras {
            Eras::Handshake(newest) => newest,
            Eras::Both => "2025-11-25",
            Eras::Stateless | Eras::HttpSse => {
                return Answer::error(400, seen, -32022, "Unsupported protocol version");
            }
        };
        if seen.method() == "initialize" {
            return self.open(seen, newest);
        }
        if !self.sessionless {
            let id = seen.header("mcp-session-id");
            if id.is_empty() {
                return Answer::error(400, seen, -32000, "Bad Request: no session id");
            }
            let principal = self.principal(seen.token());
            let Some(session) = self.sessions.get_mut(id).filter(|it| it.principal == principal)
            else {
                return Answer::error(404, seen, -32001, "Session not found");
            };
            let told = seen.header("mcp-protocol-version");
            let is_told = !told.is_empty() || *session.version < *"2025-06-18";
            if !is_told || (!told.is_empty() && told != session.version) {
                return Answer::text(400, "Bad Request: Unsupported protocol version");
            }
            match seen.method() {
                "notifications/initialized" => session.initialized = true,
                "logging/setLevel" => {
                    session.level = seen.body["params"]["level"].as_str().map(str::to_owned);
                }
                "resources/subscribe" => {
                    let uri = seen.body["params"]["uri"].as_str().unwrap_or_default();
                    session.subscribed.insert(uri.to_owned());
                }
                "resources/unsubscribe" => {
                    session.subscribed.remove(seen.body["params"]["uri"].as_str().unwrap_or(""));
                }
                _ if seen.body["id"].is_null() || seen.method().is_empty() => {}
                "ping" => {}
                _ if !session.initialized => {
                    let early = "received before initialization was complete";
                    return Answer::error(200, seen, -32602, early);
                }
                _ => {}
            }
        }
        if seen.method().is_empty() || seen.body.get("id").is_none() {
            return Answer::status(202); // a notification, or an answer of the client's
        }
        match self.result(seen) {
            Some(result) => self.answered(seen, &result),
            None => Answer::error(200, seen, -32601, "Method not found"),
        }
    }

    fn open(&mut self, seen: &Seen, newest: &'static str) -> Answer {
        let asked = seen.body["params"]["protocolVersion"].as_str().unwrap_or_default();
        let known = HANDSHAKE.iter().find(|known| **known == asked && **known <= newest);
        let version = known.copied().unwrap_or(newest);
        self.opened += 1;
        let mut answer = self.answered(
            seen,
            &json!({"protocolVersion": version, "serverInfo": {"name": "memory", "version": "1"},
                "capabilities": {"tools": {"listChanged": true}, "logging": {},
                    "resources": {"subscribe": true}}}),
        );
        if !self.sessionless {
            let principal = self.principal(seen.token());
            if self.one_each {
                self.sessions.retain(|_, session| session.principal != principal);
            }
            let id = format!("session-{}", self.opened);
            let session = Session {
                principal,
                version: version.to_owned(),
                initialized: false,
                level: None,
                subscribed: std::collections::BTreeSet::new(),
                push: None,
            };
            self.sessions.insert(id.clone(), session);
            answer.session = Some(id);
        }
        answer
    }

    /// A message of 2026-07-28.
    fn stateless(&mut self, seen: &Seen) -> Answer {
        if !matches!(self.eras, Eras::Both | Eras::Stateless) {
            return Answer::error(400, seen, -32000, "Bad Request: Unsupported protocol version");
        }
        let params = &seen.body["params"];
        let name = match seen.method() {
            "tools/call" | "prompts/get" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            _ => None,
        };
        let region = match seen.method() {
            "tools/call" => params["arguments"]["region"].as_str(),
            _ => None,
        };
        let is_request = !seen.body["id"].is_null();
        let fits = (!is_request || said_version(seen) == STATELESS)
            && seen.header("mcp-protocol-version") == STATELESS
            && seen.header("mcp-method") == seen.method()
            && decoded(seen.header("mcp-name")).as_deref() == Some(name.unwrap_or_default())
            && decoded(seen.header("mcp-param-region")).as_deref()
                == Some(region.unwrap_or_default());
        if !fits {
            return Answer::error(400, seen, -32020, "HeaderMismatch");
        }
        if !is_request {
            return Answer::status(202);
        }
        let result = match seen.method() {
            "ping" | "initialize" => None, // removed
            "server/discover" => Some(json!({"supportedVersions": [STATELESS],
                "capabilities": {"tools": {}}, "serverInfo": {"name": "memory", "version": "1"}})),
            _ => self.result(seen),
        };
        match result {
            Some(mut result) => {
                result["resultType"] = json!("complete");
                self.answered(seen, &result)
            }
            None => Answer::error(404, seen, -32601, "Method not found"),
        }
    }

    /// What a method of any revision gives; a call is executed.
    fn result(&mut self, seen: &Seen) -> Option<Value> {
        let params = &seen.body["params"];
        Some(match seen.method() {
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                json!({})
            }
            "tools/list" => json!({"tools": self.tool_list()}),
            "tools/call" => {
                self.execute(seen.n().unwrap_or_default());
                let text = format!("{} {}", params["name"], params["arguments"]["n"]);
                json!({"content": [{"type": "text", "text": text}], "isError": false})
            }
            _ => return None,
        })
    }

    fn answered(&self, seen: &Seen, result: &Value) -> Answer {
        let message = json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result});
        // 2026-07-28 knows no resuming.
        let manner = match self.answers {
            Answers::Polling if seen.header("mcp-protocol-version") == STATELESS => Answers::Sse,
            manner @ (Answers::Json | Answers::Sse | Answers::Polling) => manner,
        };
        Answer { status: 200, session: None, said: Said::Result(message, manner) }
    }

    /// Listens to what the server says unasked, or resumes a stream.
    fn listen(&mut self, seen: &Seen, memory: &Arc<Memory>) -> Answer {
        let id = seen.header("mcp-session-id");
        if !self.sessionless && !self.sessions.contains_key(id) {
            return Answer::error(404, seen, -32001, "Session not found");
        }
        let last = seen.header("last-event-id");
        if let Some((name, after)) = last.rsplit_once('-') {
            let stream = self.streams.iter().find(|stream| stream.name == name);
            return match (stream, after.parse()) {
                (Some(stream), Ok(after)) => {
                    Answer { status: 200, session: None, said: Said::Stream(stream.clone(), after) }
                }
                _ => Answer::status(400),
            };
        }
        let Some(session) = self.sessions.get_mut(id).filter(|_| self.pushes) else {
            return Answer::status(405);
        };
        let stream =
            session.push.get_or_insert_with(|| Stream::new(Value::Null, Arc::clone(memory)));
        if !self.streams.iter().any(|known| known.name == stream.name) {
            self.streams.push(stream.clone());
        }
        Answer { status: 200, session: None, said: Said::Stream(stream.clone(), 0) }
    }

    fn end(&mut self, seen: &Seen) -> Answer {
        if self.keeps_sessions {
            return Answer::status(405);
        }
        let id = seen.header("mcp-session-id");
        match self.sessions.remove(id) {
            Some(_) => {
                self.ended.push(id.to_owned());
                Answer::status(204)
            }
            None => Answer::status(404),
        }
    }

    /// Begins a conversation of HTTP+SSE: one stream, and an address to post to.
    fn begin_old(&mut self, memory: &Arc<Memory>) -> Answer {
        let stream = Stream::new(Value::Null, Arc::clone(memory)).without_ids();
        let here = format!("/messages?id={}", stream.name);
        let endpoint = self.endpoint.clone().unwrap_or(here);
        stream.writes(format!("event: endpoint\ndata: {endpoint}\n"));
        self.streams.push(stream.clone());
        Answer { status: 200, session: None, said: Said::Stream(stream, 0) }
    }

    /// A message of HTTP+SSE, whose answer is said on the stream.
    fn old(&mut self, seen: &Seen) -> Answer {
        let Some(name) = seen.path.strip_prefix("/messages?id=") else {
            return Answer::status(405);
        };
        let Some(stream) = self.streams.iter().find(|stream| stream.name == name).cloned() else {
            return Answer::text(404, "Could not find session");
        };
        if seen.method().is_empty() || seen.body.get("id").is_none() {
            return Answer::text(202, "Accepted");
        }
        let result = match seen.method() {
            "initialize" => {
                self.opened += 1;
                Some(json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "memory", "version": "1"}}))
            }
            _ => self.result(seen),
        };
        let id = &seen.body["id"];
        let message = match result {
            Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            None => json!({"jsonrpc": "2.0", "id": id,
                "error": {"code": -32601, "message": "Method not found"}}),
        };
        Answer { status: 202, session: None, said: Said::Elsewhere(stream, message) }
    }
}

/// A header's value as 2026-07-28 spells it: as it is, or `=?base64?…?=`.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}
