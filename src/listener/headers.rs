//! Whether the headers of a message say what its body says (MCP 2026-07-28, basic/transports,
//! "Server Validation").
//!
//! Headers are for those on the way; what is decided, is decided on the body. Where both differ,
//! somebody was told something else than the gate is.

use hyper::header::{HeaderMap, HeaderName};

use super::door::only;
use super::message::Parts;
use crate::mirror::{self, METHOD, NAME, Named, Parameters, VERSION};

/// Why a message is not taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Mismatch {
    /// A header that the body asks for is not there, or there twice.
    #[error("the header {0} must be there, once")]
    Missing(HeaderName),
    /// A header says something else.
    #[error("the header {0} does not say what the body says")]
    Differs(HeaderName),
    /// A header's value has characters that none may have, or breaks its own encoding.
    #[error("the header {0} cannot be read")]
    Unreadable(HeaderName),
}

/// Holds the headers of a message of the era without sessions against its body, as far as it is
/// known of the tool that it calls what they are to say. Those of a tool that was never listed are
/// not looked at, nor those that nothing asks for.
pub(super) fn check(
    headers: &HeaderMap,
    message: &Parts,
    known: &Parameters,
) -> Result<(), Mismatch> {
    plain(headers, VERSION, message.version.as_deref().unwrap_or_default())?;
    let Some(method) = message.method.as_deref() else { return Ok(()) };
    plain(headers, METHOD, method)?;
    if let Some(named) = Named::of(method)
        && let Some(name) = message.named(named)
        && (named.is_required() || headers.contains_key(NAME))
    {
        encoded(headers, NAME, |said| said == name)?;
    }
    match (method, &message.name) {
        ("tools/call", Some(tool)) => parameters(headers, tool, message.arguments(), known),
        _ => Ok(()),
    }
}

/// Holds the headers of a call against its arguments.
fn parameters(
    headers: &HeaderMap,
    tool: &str,
    arguments: &[u8],
    known: &Parameters,
) -> Result<(), Mismatch> {
    for (header, value) in known.of_call(tool, arguments) {
        match value {
            Some(value) => encoded(headers, header, |said| mirror::fits(said, &value))?,
            None if headers.contains_key(&header) => return Err(Mismatch::Differs(header)),
            None => {}
        }
    }
    Ok(())
}

/// A header that is what it is.
fn plain(headers: &HeaderMap, name: HeaderName, value: &str) -> Result<(), Mismatch> {
    match only(headers, &name) {
        Some(said) if said.as_bytes() == value.as_bytes() => Ok(()),
        Some(_) => Err(Mismatch::Differs(name)),
        None => Err(Mismatch::Missing(name)),
    }
}

/// A header that may be encoded.
fn encoded(
    headers: &HeaderMap,
    name: HeaderName,
    fits: impl FnOnce(&str) -> bool,
) -> Result<(), Mismatch> {
    let Some(said) = only(headers, &name) else { return Err(Mismatch::Missing(name)) };
    match mirror::decode(said) {
        Some(said) if fits(&said) => Ok(()),
        Some(_) => Err(Mismatch::Differs(name)),
        None => Err(Mismatch::Unreadable(name)),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::listener::message::Message;
    use crate::mirror::Listed;

    /// What the check says about a message with these headers.
    fn checked(body: &str, headers: &[(&'static str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut known = Parameters::default();
        known.learn(&Listed::read(LIST.as_bytes()).unwrap());
        let message = Message::read(body.as_bytes()).unwrap();
        check(&map, &message.parts, &known).map_err(|mismatch| mismatch.to_string())
    }

    /// What the server has listed.
    const LIST: &str = r#"{"tools":[{},{"name":"send","inputSchema":{"type":"object","properties":{
        "region":{"type":"string","x-mcp-header":"Region"},"other":{"type":"string"},
        "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"},
        "sure":{"type":"boolean","x-mcp-header":"Sure"}}}}}}]}"#;

    fn body(method: &str, params: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    }

    const V: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

    #[test]
    fn headers_that_say_what_the_body_says_are_good() {
        let call = |name: &str| body("tools/call", &format!(r#""name":"{name}","#));
        let method = ("mcp-method", "tools/call");
        for (name, header) in [
            ("echo", "echo"),
            ("echo", "=?base64?ZWNobw==?="),
            ("grüße", "=?base64?Z3LDvMOfZQ==?="),
        ] {
            assert_eq!(checked(&call(name), &[V, method, ("mcp-name", header)]), Ok(()), "{name}");
        }
        assert_eq!(checked(&body("tools/list", ""), &[V, ("mcp-method", "tools/list")]), Ok(()));
        let read = body("resources/read", r#""uri":"a:b","#);
        assert_eq!(
            checked(&read, &[V, ("mcp-method", "resources/read"), ("mcp-name", "a:b")]),
            Ok(())
        );
    }

    #[test]
    fn headers_that_say_something_else_are_not() {
        let call = body("tools/call", r#""name":"echo","#);
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "echo"));
        let old = ("mcp-protocol-version", "2025-11-25");
        for (headers, why) in [
            (&[method, name][..], "mcp-protocol-version must be there"),
            (&[V, V, method, name], "mcp-protocol-version must be there, once"),
            (&[old, method, name], "mcp-protocol-version does not say"),
            (&[V, name], "mcp-method must be there"),
            (&[V, ("mcp-method", "Tools/Call"), name], "mcp-method does not say"),
            (&[V, method], "mcp-name must be there"),
            (&[V, method, name, name], "mcp-name must be there, once"),
            (&[V, method, ("mcp-name", "ECHO")], "mcp-name does not say"),
            (&[V, method, ("mcp-name", "=?base64?eA?=")], "mcp-name cannot be read"),
            (&[V, method, ("mcp-name", "=?base64?/w==?=")], "mcp-name cannot be read"),
        ] {
            let said = checked(&call, headers).unwrap_err();
            assert!(said.contains(why), "{said}: {why}");
        }
    }

    #[test]
    fn arguments_are_held_against_their_headers() {
        let region = ("mcp-param-region", "eu");
        for (arguments, headers, said) in [
            ("{}", &[][..], Ok(())),
            (r#"{"region":null,"other":"x"}"#, &[], Ok(())),
            (r#"{"region":"eu"}"#, &[region], Ok(())),
            (r#"{"region":"\u0065u"}"#, &[region], Ok(())),
            (r#"{"region":"eu"}"#, &[("mcp-param-region", "=?base64?ZXU=?=")], Ok(())),
            (r#"{"deep":{"count":42}}"#, &[("mcp-param-count", "42.0")], Ok(())),
            (r#"{"deep":{"sure":true}}"#, &[("mcp-param-sure", "true")], Ok(())),
            (r#"{"region":"eu"}"#, &[region, ("mcp-param-other", "x")], Ok(())),
            (r#"{"region":"eu"}"#, &[], Err("must be there")),
            (r#"{"region":"eu"}"#, &[region, region], Err("must be there, once")),
            (r#"{"region":"us"}"#, &[region], Err("does not say")),
            (
                r#"{"region":"eu"}"#,
                &[("mcp-param-region", "=?base64?ZXU?=")],
                Err("cannot be read"),
            ),
            ("{}", &[region], Err("does not say")),
            (r#"{"deep":7}"#, &[("mcp-param-count", "7")], Err("does not say")),
            (r#"{"deep":{"count":42}}"#, &[("mcp-param-count", "43")], Err("does not say")),
            (r#"{"deep":{"sure":true}}"#, &[("mcp-param-sure", "True")], Err("does not say")),
            (r#"{"region":{"a":1}}"#, &[("mcp-param-region", "{\"a\":1}")], Err("does not say")),
        ] {
            let call = body("tools/call", &format!(r#""name":"send","arguments":{arguments},"#));
            let standard = [V, ("mcp-method", "tools/call"), ("mcp-name", "send")];
            match (checked(&call, &[&standard, headers].concat()), said) {
                (Err(why), Err(part)) => assert!(why.contains(part), "{arguments}: {why}"),
                (got, said) => assert_eq!(got, said.map_err(str::to_owned), "{arguments}"),
            }
        }
    }
}
