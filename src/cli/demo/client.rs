//! A small blocking MCP client: one request at a time, each with a deadline.
//!
//! It speaks the handshake era, declares no capabilities, answers `ping`, and refuses whatever
//! else a server asks of it. Written against a writer and a queue of lines, so that a test can
//! play the server's part.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// The revision the client asks for.
const REVISION: &str = "2025-11-25";

/// The longest line that is read, in bytes. The end of a longer one is not valid JSON, and no
/// answer to anything.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// How many pages of tools are asked for, at most.
const PAGES: usize = 32;

/// A client in the middle of a session.
#[derive(Debug)]
pub(super) struct Client<W> {
    to_server: W,
    lines: Receiver<Vec<u8>>,
    patience: Duration,
    last_id: u64,
}

/// A tool, as the server describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) input_schema: Value,
    /// The text of its annotations.
    pub(super) annotations: Option<String>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Error { code: i64, message: String, data: Value },
    Result(Value),
}

/// The session cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("no answer to `{method}` within {} s", patience.as_secs())]
    Late { method: &'static str, patience: Duration },
    #[error("the output ended before `{0}` was answered")]
    Gone(&'static str),
    #[error("`{method}` was refused with {code}: {message}")]
    Refused { method: &'static str, code: i64, message: String },
    #[error("cannot write to the session")]
    Write(#[from] io::Error),
}

// === impl Client ===

impl<W: Write> Client<W> {
    /// A client that waits at most `patience` for each answer.
    pub(super) fn new(to_server: W, lines: Receiver<Vec<u8>>, patience: Duration) -> Self {
        Self { to_server, lines, patience, last_id: 0 }
    }

    /// Opens the session; returns the server's own name, where it gives one.
    pub(super) fn open(&mut self) -> Result<Option<String>, Ended> {
        let hello = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": {"name": "thoth demo", "version": env!("CARGO_PKG_VERSION")},
        });
        let hello = self.demand("initialize", &hello.to_string())?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(hello["serverInfo"]["name"].as_str().map(str::to_owned))
    }

    /// All tools of the server, at most 32 pages of them.
    pub(super) fn tools(&mut self) -> Result<Vec<Tool>, Ended> {
        let mut tools = Vec::new();
        let mut params = json!({});
        for _ in 0..PAGES {
            let page = self.demand("tools/list", &params.to_string())?;
            let listed = page["tools"].as_array().into_iter().flatten();
            tools.extend(listed.filter_map(Tool::read));
            match page.get("nextCursor") {
                Some(cursor) if cursor.is_string() => params = json!({ "cursor": cursor }),
                _ => break,
            }
        }
        Ok(tools)
    }

    /// Calls a tool. The arguments are the text of one JSON object, and are sent as they are.
    pub(super) fn call(&mut self, tool: &str, arguments: &str) -> Result<Reply, Ended> {
        let tool = Value::from(tool);
        self.ask("tools/call", &format!("{{\"name\":{tool},\"arguments\":{arguments}}}"))
    }

    /// Ends the client's side of the session; what the server still says can be read.
    pub(super) fn close(self) -> Receiver<Vec<u8>> {
        self.lines
    }

    /// A request whose refusal ends the session.
    fn demand(&mut self, method: &'static str, params: &str) -> Result<Value, Ended> {
        match self.ask(method, params)? {
            Reply::Result(result) => Ok(result),
            Reply::Error { code, message, .. } => Err(Ended::Refused { method, code, message }),
        }
    }

    fn ask(&mut self, method: &'static str, params: &str) -> Result<Reply, Ended> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&format_args!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}"
        ))?;
        let deadline = Instant::now() + self.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|why| match why {
                RecvTimeoutError::Timeout => Ended::Late { method, patience: self.patience },
                RecvTimeoutError::Disconnected => Ended::Gone(method),
            })?;
            // A banner, or anything else that is no message, answers nothing.
            let Ok(message) = serde_json::from_slice::<Value>(&line) else {
                continue;
            };
            if message["method"].is_string() {
                self.oblige(&message)?;
            } else if message["id"] == id {
                return Ok(Reply::read(message));
            }
        }
    }

    /// Answers what the server asks. Its notifications need no answer.
    fn oblige(&mut self, request: &Value) -> Result<(), Ended> {
        let Some(id) = request.get("id") else {
            return Ok(());
        };
        let answer = if request["method"] == "ping" {
            json!({"jsonrpc": "2.0", "id": id, "result": {}})
        } else {
            let error = json!({"code": -32601, "message": "this client offers nothing"});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        };
        self.send(&answer)
    }

    fn send(&mut self, message: &impl std::fmt::Display) -> Result<(), Ended> {
        // One write, so that no reader sees half a line.
        self.to_server.write_all(format!("{message}\n").as_bytes())?;
        Ok(self.to_server.flush()?)
    }
}

// === impl Tool ===

impl Tool {
    fn read(listed: &Value) -> Option<Self> {
        Some(Self {
            name: listed["name"].as_str()?.to_owned(),
            input_schema: listed["inputSchema"].clone(),
            annotations: listed.get("annotations").map(Value::to_string),
        })
    }
}

// === impl Reply ===

impl Reply {
    fn read(mut message: Value) -> Self {
        let error = message["error"].take();
        if error.is_null() {
            return Self::Result(message["result"].take());
        }
        Self::Error {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error["data"].clone(),
        }
    }
}

/// Reads lines in a thread of their own until the input ends or nobody wants them any more.
pub(super) fn lines(input: impl Read + Send + 'static) -> (Receiver<Vec<u8>>, JoinHandle<()>) {
    let (sender, lines) = sync_channel(64);
    let reader = thread::spawn(move || read_lines(BufReader::new(input), &sender));
    (lines, reader)
}

fn read_lines(mut input: impl BufRead, sender: &SyncSender<Vec<u8>>) {
    loop {
        let mut line = Vec::new();
        // A broken pipe is an end like any other: whoever waits hears that nothing more comes.
        match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if sender.send(line).is_ok() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client whose server has said all its lines beforehand, and then hangs up.
    fn scripted(said: &'static str) -> Client<Vec<u8>> {
        let (lines, _reader) = lines(said.as_bytes());
        Client::new(Vec::new(), lines, Duration::from_mins(1))
    }

    fn sent<W: AsRef<[u8]>>(client: &Client<W>) -> &str {
        std::str::from_utf8(client.to_server.as_ref()).unwrap()
    }

    #[test]
    fn a_session_is_opened_by_the_handshake() {
        let mut client =
            scripted(r#"{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"everything"}}}"#);
        assert_eq!(client.open().unwrap().as_deref(), Some("everything"));
        let methods: Vec<Value> = sent(&client)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["method"].clone())
            .collect();
        assert_eq!(methods, ["initialize", "notifications/initialized"]);
    }

    #[test]
    fn noise_requests_and_other_answers_do_not_disturb_a_call() {
        let mut client = scripted(concat!(
            "listening on stdio\n",
            "[1]\n",
            r#"{"jsonrpc":"2.0","method":"notifications/message"}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":"r","method":"roots/list"}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":9,"result":{}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no","data":{"a":1}}}"#,
            "\n",
        ));
        let reply = client.call("run \"it\"", "{\"n\":1e400}").unwrap();
        assert_eq!(
            reply,
            Reply::Error { code: -32001, message: "no".to_owned(), data: json!({"a": 1}) }
        );
        assert_eq!(
            sent(&client),
            concat!(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","#,
                r#""params":{"name":"run \"it\"","arguments":{"n":1e400}}}"#,
                "\n",
                r#"{"id":1,"jsonrpc":"2.0","result":{}}"#,
                "\n",
                r#"{"error":{"code":-32601,"message":"this client offers nothing"},"#,
                r#""id":"r","jsonrpc":"2.0"}"#,
                "\n",
            )
        );
    }

    #[test]
    fn tools_are_listed_page_by_page() {
        let mut client = scripted(concat!(
            r#"{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"p2","tools":[{"name":"a","#,
            r#""inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{}]}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"b"}]}}"#,
            "\n",
        ));
        let tools = client.tools().unwrap();
        assert_eq!(tools.len(), 2);
        assert_eq!(tools[0].annotations.as_deref(), Some(r#"{"readOnlyHint":true}"#));
        assert_eq!(tools[1].annotations, None);
        assert!(sent(&client).contains(r#""params":{"cursor":"p2"}"#));
    }

    #[test]
    fn a_server_that_is_gone_is_not_waited_for() {
        let why = scripted("").open().unwrap_err();
        assert_eq!(why.to_string(), "the output ended before `initialize` was answered");
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let (_silent, lines) = sync_channel(1);
        let mut client = Client::new(Vec::new(), lines, Duration::ZERO);
        let why = client.tools().unwrap_err();
        assert_eq!(why.to_string(), "no answer to `tools/list` within 0 s");
    }

    #[test]
    fn a_refused_handshake_says_why() {
        let mut client =
            scripted(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"broken"}}"#);
        let why = client.open().unwrap_err();
        assert_eq!(why.to_string(), "`initialize` was refused with -32603: broken");
    }
}
