//! The lines a client sends.

/// A request whose id is filled in for each sample.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    after_id: String,
    mark: &'static str,
}

/// Stands in the answer to every call, and nowhere else: whoever shows it has reached the server.
pub(crate) const MARK: &str = "bench-echo";

/// Tells that a client is there; no request and no answer.
pub(crate) const INITIALIZED: &[u8] =
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";

// === impl Request ===

impl Request {
    pub(crate) fn ping() -> Self {
        Self::method("ping", "", "\"result\"")
    }

    pub(crate) fn initialize() -> Self {
        let params = r#","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"bench","version":"1"}}"#;
        Self::method("initialize", params, "\"result\"")
    }

    pub(crate) fn list_tools() -> Self {
        Self::method("tools/list", "", "\"result\"")
    }

    /// An everyday call: about 330 bytes.
    pub(crate) fn read_file() -> Self {
        Self::call(
            "read_file",
            r#"{"path":"/srv/workspace/reports/2026/q3/summary.md","encoding":"utf-8","offset":0,"limit":2000,"purpose":"Summarise the quarter for the board"}"#,
        )
    }

    /// A call with this many bytes of argument: lines of prose, with the escapes prose has.
    pub(crate) fn write_file(bytes: usize) -> Self {
        let line = r#"The \"quarter\" closed at 4.2 % over plan; see /srv/workspace/q3.\n"#;
        let content = line.repeat(bytes / line.len());
        let arguments = format!(
            r#"{{"path":"/srv/workspace/reports/2026/q3/summary.md","content":"{content}"}}"#
        );
        Self::call("write_file", &arguments)
    }

    fn call(tool: &str, arguments: &str) -> Self {
        let params = format!(
            r#","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"claudecode/toolUseId":"toolu_01A09q90qw90lq917835lq9"}}}}"#
        );
        Self::method("tools/call", &params, MARK)
    }

    fn method(method: &str, params: &str, mark: &'static str) -> Self {
        Self { after_id: format!(",\"method\":\"{method}\"{params}}}\n"), mark }
    }

    /// Appends the request's line, newline included.
    pub(crate) fn write(&self, id: u64, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        line.extend_from_slice(id.to_string().as_bytes());
        line.extend_from_slice(self.after_id.as_bytes());
    }

    /// Whether this is the server's own answer to it.
    pub(crate) fn is_answered_by(&self, line: &[u8]) -> bool {
        memchr::memmem::find(line, self.mark.as_bytes()).is_some()
    }
}
