//! Which agent speaks: what a client says of itself, and what its requests give away.

use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// What a client says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Client {
    name: Option<String>,
    version: Option<String>,
    /// The name, trimmed and in lower case.
    runtime: Option<String>,
}

/// The member of a request's `_meta` in which clients of the era without handshake name themselves.
pub(super) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The longest name or version that is repeated, in characters.
const LONGEST: usize = 128;

// === impl Client ===

impl Client {
    /// Reads a `clientInfo`.
    pub fn read(info: RawObject<'_>) -> Self {
        let name = text(info.member("name"));
        let version = text(info.member("version"));
        let runtime = name.as_deref().map(|name| name.trim().to_lowercase());
        Self { name, version, runtime }
    }

    /// Whether it said nothing.
    pub fn is_unknown(&self) -> bool {
        self.name.is_none() && self.version.is_none()
    }

    /// Its name, as it spells it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its version.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The word for the agent that made a request with this `_meta`. What a caller says of its
    /// runtime there (`baton.agent_runtime`) is not believed; what only one runtime writes is.
    /// `None` where nothing is known.
    pub fn runtime(&self, meta: Option<RawObject<'_>>) -> Option<&str> {
        let mut claude_code = false;
        if let Some(meta) = meta {
            meta.each(|name, _| claude_code |= name.starts_with("claudecode/"));
        }
        if claude_code { Some("claude-code") } else { self.runtime.as_deref() }
    }
}

fn text(value: Option<Raw<'_>>) -> Option<String> {
    let value = value.filter(|value| value.kind() == Kind::Text)?;
    let text = unescape(value.text());
    (!text.trim().is_empty()).then(|| text.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_told_by_what_only_it_writes_then_by_its_name() {
        let table: [(&[u8], &[u8], Option<&str>); 7] = [
            (br#"{"name":" Lab-Client ","version":"1"}"#, b"{}", Some("lab-client")),
            (br#"{"name":"x"}"#, br#"{"claudecode/toolUseId":"t"}"#, Some("claude-code")),
            (br#"{"name":"x"}"#, br#"{"baton.agent_runtime":"y","io.baton/x":1}"#, Some("x")),
            (br#"{"name":"  "}"#, b"{}", None),
            (br#"{"name":7}"#, b"{}", None),
            (b"{}", br#"{"xclaudecode/":1}"#, None),
            (b"{}", br#"{"claude\u0063ode/":1}"#, Some("claude-code")),
        ];
        for (info, meta, word) in table {
            let client = Client::read(RawObject::read(info).unwrap());
            assert_eq!(client.runtime(RawObject::read(meta)), word);
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let info = format!(r#"{{"name":"{}"}}"#, "é".repeat(1000));
        let client = Client::read(RawObject::read(info.as_bytes()).unwrap());
        assert_eq!(client.name().unwrap().chars().count(), LONGEST);
    }
}
