//! Who asks, as a message of MCP 2026-07-28 says it of itself.
//!
//! Pure.

use crate::gate::json::{Lenient, Reader};

/// The members of a message's `_meta` that say who asks and how, as the text of an object: for a
/// request of thoth's own beside it.
pub(super) fn introduction(meta: &[u8]) -> String {
    let mut members = Vec::new();
    let mut reader = Reader::<Lenient>::new(meta);
    let _ = reader.object(|reader, name| {
        let value = reader.value(2)?;
        let says_who = matches!(
            name.strip_prefix("io.modelcontextprotocol/"),
            Some("protocolVersion" | "clientInfo" | "clientCapabilities")
        );
        if says_who && let Ok(text) = str::from_utf8(&meta[value.range]) {
            members.push(format!("\"{name}\":{text}"));
        }
        Ok(())
    });
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_has_no_token_for_progress() {
        let meta = br#"{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/clientCapabilities":{"a":{}}}"#;
        let expected = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"a":{}}}"#;
        assert_eq!(introduction(meta), expected);
    }
}
