//! HTTP/1.1 by hand: each byte of a request is the test's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A request, before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A response, as far as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
    chunked: bool,
    left: usize,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let headers = Vec::new();
        Self { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() }
    }

    /// With this header; any other of the name stays.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this header in place of any other of the name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(each, _)| !each.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn to(mut self, method: &str, target: &str) -> Self {
        (self.method, self.target) = (method.to_owned(), target.to_owned());
        self
    }

    pub(crate) fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Its bytes. Says how long the body is, unless it says so itself.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let says =
            |name: &str| self.headers.iter().any(|(each, _)| each.eq_ignore_ascii_case(name));
        for (name, value) in &self.headers {
            head += &[name, ": ", value, "\r\n"].concat();
        }
        if !self.body.is_empty() && !says("content-length") && !says("transfer-encoding") {
            head += &["content-length: ", &self.body.len().to_string(), "\r\n"].concat();
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Sends it on a connection of its own, and waits for the head of the response.
    pub(crate) fn send(&self, port: u16) -> Response {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // A refusal may come, and the connection be closed, before all of a body was sent.
        let _ = stream.write_all(&self.bytes());
        Response::read(stream)
    }
}

impl Response {
    pub(crate) fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no response: {line:?}"));
        let status = status.parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut response = Self { status, headers, reader, chunked: false, left: 0 };
        response.chunked = response.header("transfer-encoding") == Some("chunked");
        response.left = response.header("content-length").map_or(0, |text| text.parse().unwrap());
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| &**value)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    /// What is left of the body.
    pub(crate) fn text(&mut self) -> String {
        let mut text = String::new();
        while let Some(part) = self.part() {
            text += &part;
        }
        text
    }

    /// The answer, and nothing else: the body, or the one message of a stream, which is what an answer
    /// comes as that is not there soon.
    pub(crate) fn json(&mut self) -> Value {
        if self.is_stream() {
            let answer = self.message();
            assert_eq!(self.event(), None, "nothing comes after {answer}");
            return answer;
        }
        let text = self.text();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {text:?}: {error}", self.status))
    }

    /// The next event; `None` at the end of the stream. Comments are left out.
    pub(crate) fn event(&mut self) -> Option<Event> {
        assert!(self.is_stream(), "{} {:?}", self.status, self.headers);
        loop {
            // Each event is written as one chunk.
            let part = self.part()?;
            let mut event = Event::default();
            // A lone carriage return ends a line, too.
            for line in part.split(['\n', '\r']) {
                if let Some(id) = line.strip_prefix("id: ") {
                    event.id = Some(id.to_owned());
                } else if let Some(data) = line.strip_prefix("data: ") {
                    event.data += data;
                }
            }
            if !part.starts_with(':') {
                return Some(event);
            }
        }
    }

    /// The message of the next event that has one.
    pub(crate) fn message(&mut self) -> Value {
        loop {
            let event = self.event().unwrap();
            if !event.data.is_empty() {
                return serde_json::from_str(&event.data).unwrap();
            }
        }
    }

    /// The next chunk, or all of a body that said its length.
    pub(crate) fn part(&mut self) -> Option<String> {
        if self.chunked {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
            let mut part = vec![0; length + 2];
            self.reader.read_exact(&mut part).ok()?;
            part.truncate(length);
            return (length > 0).then(|| String::from_utf8(part).unwrap());
        }
        let mut part = vec![0; std::mem::take(&mut self.left)];
        self.reader.read_exact(&mut part).unwrap();
        (!part.is_empty()).then(|| String::from_utf8(part).unwrap())
    }
}
