//! Tables: what each doubtful line of the client is taken for, and what a server's line says.

use bytes::BufMut;

use super::super::decide::{Opinions, Rules, decide};
use super::super::framing::{Framer, Line};
use super::super::record::Ticket;
use super::super::verdict::{Arguments, Effect, Grounds, Verdict};
use super::*;
use crate::gate::decide::Decision;

fn line(bytes: &[u8]) -> Line {
    let mut framer = Framer::new(16 * 1024 * 1024);
    framer.space().put_slice(bytes);
    framer.last_line().unwrap().unwrap()
}

fn read(bytes: &[u8]) -> Result<client::Message, client::Unreadable> {
    client::read(line(bytes))
}

/// What a line is taken for, in a word, and the id that a refusal would name.
fn taken_for(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(client::Message::Call(call)) => format!("call {}", call.tool()),
        Ok(client::Message::Request(_)) => "request".to_owned(),
        Ok(client::Message::Cancelled(..)) => "cancelled".to_owned(),
        Ok(client::Message::Answer(..)) => "answer".to_owned(),
        Ok(client::Message::Notification(_)) => "notification".to_owned(),
        Err(refused) => {
            let id = refused.id.as_ref().map_or("null", RequestId::literal);
            format!("{} {id}", refused.why.reason_code())
        }
    }
}

fn call(text: &str) -> Call {
    match read(text.as_bytes()) {
        Ok(client::Message::Call(call)) => *call,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_call_is_a_call_however_it_is_spelled() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}"#,
        r#"{"params":{"arguments":{},"name":"t"},"method":"tools/call","id":"a","jsonrpc":"2.0"}"#,
        r#" { "jsonrpc" : "2.0" , "id" : 1 , "method" : "tools\/call" , "params" : { "name" : "t" } } "#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools/cal\u006c","params":{"name":"\u0074"}}"#,
        r#"{"\u006asonrpc":"2.0","id":1,"\u006dethod":"tools/call","params":{"n\u0061me":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call","params":{"name":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":-7,"method":"tools/call","params":{"name":"t","arguments":{"n":1e5,"__proto__":{}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","x":1},"vendor":{"extra":1}}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"t\",\"arguments\":{\"a\":\"\u{2028}\"}}}\r",
    ] {
        assert_eq!(taken_for(text.as_bytes()), "call t", "{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, written out")]
fn what_readers_may_differ_about_is_refused_with_a_reason_and_the_id_if_it_is_certain() {
    let envelope =
        |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{rest}}}"#);
    let named = |rest: &str| envelope(&format!(r#""params":{{"name":"t",{rest}}}"#));
    for (text, expected) in [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.to_owned(), "batch null"),
        ("[]".to_owned(), "batch null"),
        ("null".to_owned(), "not_an_object null"),
        ("7".to_owned(), "not_an_object null"),
        ("\"tools/call\"".to_owned(), "not_an_object null"),
        ("Content-Length: 90".to_owned(), "not_json null"),
        ("\u{feff}{}".to_owned(), "not_json null"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}"#
                .to_owned(),
            "several_values null",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\u{85}{}".to_owned(),
            "several_values null",
        ),
        ("{\"jsonrpc\":\"2.0\",\r\"id\":1,\"method\":\"ping\"}".to_owned(), "carriage_return null"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\r{}\r\"}}".to_owned(),
            "carriage_return null",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\r".to_owned(),
            "carriage_return null",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#.to_owned(),
            "repeated_member 1",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.to_owned(), "repeated_member null"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}"#.to_owned(),
            "repeated_member 1",
        ),
        (named(r#""name":"u""#), "repeated_member 1"),
        (named(r#""arguments":{"a":1,"a":2}"#), "repeated_member 1"),
        (named(r#""arguments":{"a":[{"b":{"c":1,"c":1}}]}"#), "repeated_member 1"),
        (named(r#""arguments":{"a":NaN}"#), "not_json 1"),
        (named(r#""arguments":{"a":1e400}"#), "number_too_large 1"),
        (named(r#""arguments":{"a":"\ud800"}"#), "lone_surrogate 1"),
        (named(r#""arguments":{"a":01}"#), "not_json null"),
        (named(r#""arguments":"{}""#), "bad_arguments 1"),
        (named(r#""arguments":null"#), "bad_arguments 1"),
        (named(r#""arguments":[]"#), "bad_arguments 1"),
        (named(r#""Arguments":{}"#), "look_alike_member 1"),
        (named(r#""NAME":"u""#), "look_alike_member 1"),
        (named("\"nam\u{ff45}\":\"u\""), "look_alike_member 1"),
        (named(r#""name\u0000":"u""#), "look_alike_member 1"),
        (named("\"param\u{17f}\":1"), "look_alike_member 1"),
        (envelope(r#""params":[{"name":"t"}]"#), "bad_params 1"),
        (envelope(r#""params":null"#), "bad_params 1"),
        (envelope(r#""params":"t""#), "bad_params 1"),
        (envelope(r#""params":{}"#), "bad_params 1"),
        (envelope(r#""params":{"name":7}"#), "bad_params 1"),
        (envelope(r#""params":{"name":""}"#), "bad_tool_name 1"),
        (envelope(r#""params":{"name":"t\u0000"}"#), "bad_tool_name 1"),
        (envelope(r#""x":1"#), "bad_params 1"),
        (
            r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","method":"ping"}"#.to_owned(),
            "look_alike_member 1",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}"#.to_owned(), "look_alike_member 1"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"param\u{17f}\":{}}".to_owned(),
            "look_alike_member 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"t"}}"#.to_owned(),
            "bad_method 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"t"}}"#.to_owned(),
            "bad_method 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools//call","params":{"name":"t"}}"#.to_owned(),
            "bad_method 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call\u0000","params":{"name":"t"}}"#
                .to_owned(),
            "bad_method 1",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tool\u{17f}/call\"}".to_owned(),
            "bad_method 1",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#.to_owned(), "bad_method 1"),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#.to_owned(), "bad_method 1"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#.to_owned(),
            "method_and_result 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"},"result":{}}"#
                .to_owned(),
            "method_and_result 1",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"},"error":null}"#
                .to_owned(),
            "method_and_result 1",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#.to_owned(), "method_and_result 1"),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), "no_method 1"),
        (r#"{"jsonrpc":"2.0","result":{}}"#.to_owned(), "no_method null"),
        ("{}".to_owned(), "bad_version null"),
        (r#"{"id":1,"method":"ping"}"#.to_owned(), "bad_version 1"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.to_owned(), "bad_version 1"),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#.to_owned(), "bad_version 1"),
        (
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}}"#.to_owned(),
            "call_without_id null",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"t"}}"#.to_owned(),
            "bad_id null",
        ),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#.to_owned(), "bad_id null"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.to_owned(), "bad_id null"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#.to_owned(), "bad_id null"),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#.to_owned(), "bad_id null"),
        (r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#.to_owned(), "bad_id null"),
        (r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#.to_owned(), "bad_id null"),
    ] {
        assert_eq!(taken_for(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [
        &b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xff\"}"[..],
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xc0\xaf\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xed\xa0\x80\"}",
    ] {
        assert_eq!(taken_for(bytes), "not_utf8 1", "{}", bytes.escape_ascii());
    }
    assert_eq!(taken_for(b"\0{\0}\0"), "not_json null");
    assert_eq!(taken_for(b"\xff\xfe{\0}\0"), "not_utf8 null");
}

#[test]
fn what_is_no_call_passes() {
    for (text, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{}}}"#, "request"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"vendor/thing","params":["a"]}"#, "request"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"vendor/thing","params":{"Name":"a","ü":1}}"#,
            "request",
        ),
        (r#"{"jsonrpc":"2.0","id":0,"result":{}}"#, "answer"),
        (r#"{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":""}}"#, "answer"),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notification"),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
            "cancelled",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1.5}}"#,
            "notification",
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#, "notification"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"{\"method\":\"tools/call\"}"}}"#,
            "request",
        ),
    ] {
        assert_eq!(taken_for(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn ids_are_compared_by_type_and_value() {
    let id = |literal: &str| match read(
        format!(r#"{{"jsonrpc":"2.0","id":{literal},"method":"ping"}}"#).as_bytes(),
    ) {
        Ok(client::Message::Request(request)) => request.id,
        other => panic!("{literal}: {other:?}"),
    };
    assert_eq!(id("1"), id("1"));
    assert_ne!(id("1"), id("\"1\""));
    assert_eq!(id("\"a\""), id("\"\\u0061\""));
    assert_ne!(id("9007199254740993"), id("9007199254740992"));
    assert_eq!(id("\"\\u0061\"").literal(), "\"\\u0061\"");
}

#[test]
fn a_call_says_its_era_its_task_and_its_progress_token() {
    let text = |meta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t",{meta}}}}}"#
        )
    };
    let plain = call(&text(r#""arguments":{}"#));
    assert!(!plain.is_modern() && !plain.is_task() && plain.progress_token().is_none());

    let modern = call(&text(
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"p\u0031"}"#,
    ));
    assert!(modern.is_modern());
    assert_eq!(modern.progress_token(), Some(r#""p\u0031""#));

    assert!(call(&text(r#""task":{"ttl":1}"#)).is_task());
    assert_eq!(call(&text(r#""_meta":{"progressToken":7}"#)).progress_token(), Some("7"));
    assert_eq!(call(&text(r#""_meta":{"progressToken":{}}"#)).progress_token(), None);
}

#[test]
fn the_requests_that_the_gate_looks_at_are_told_apart() {
    use client::Method;

    let request = |text: &str| match read(text.as_bytes()) {
        Ok(client::Message::Request(request)) => (request.method, request.params()),
        other => panic!("{text}: {other:?}"),
    };
    for (method, params, expected, told) in [
        ("initialize", r#"{"a":1.0}"#, Method::Initialize, true),
        ("server/discover", "{}", Method::Discover, true),
        ("tools/list", "", Method::ListTools { first: true }, true),
        ("tools/list", "{ }", Method::ListTools { first: true }, true),
        ("tools/list", r#"{"cursor":null}"#, Method::ListTools { first: true }, true),
        ("tools/list", r#"{"cursor":"","x":1}"#, Method::ListTools { first: false }, true),
        ("tools/list", r#"{"c\u0075rsor":"c"}"#, Method::ListTools { first: false }, true),
        ("tools/list", r#"{"_meta":{"cursor":"c"}}"#, Method::ListTools { first: true }, true),
        ("tools\\/list", "{}", Method::ListTools { first: true }, true),
        ("resources/list", "{}", Method::ListResources, true),
        ("resources/read", r#"{"uri":"x"}"#, Method::ReadResource, true),
        ("prompts/list", "{}", Method::ListPrompts, true),
        ("prompts/get", "[1]", Method::GetPrompt, true),
        ("subscriptions/listen", "{}", Method::Listen, false),
        ("resources/templates/list", "{}", Method::Other, false),
        ("Tools/List", "{}", Method::Other, false),
        ("ping", "7", Method::Other, false),
    ] {
        let member =
            if params.is_empty() { String::new() } else { format!(r#","params":{params}"#) };
        let method = method.replace("\\\\", "\\");
        let (said, text) =
            request(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"{member}}}"#));
        assert_eq!((said, said.is_told()), (expected, told), "{method} {params}");
        assert_eq!(text, if params.is_empty() { "{}" } else { params });
    }
}

#[test]
fn a_call_says_what_its_client_attached() {
    for (params, meta) in [
        (r#"{"name":"t"}"#, None),
        (r#"{"name":"t","_meta":{ "a":1.0}}"#, Some(r#"{ "a":1.0}"#)),
        (r#"{"_meta":{},"name":"t"}"#, Some("{}")),
        (r#"{"_meta":7,"name":"t"}"#, None),
    ] {
        let call =
            call(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#));
        assert_eq!(call.meta().as_deref(), meta.map(str::as_bytes), "{params}");
    }
}

#[test]
fn a_call_with_other_arguments_is_the_same_call_in_every_other_byte() {
    for (params, expected) in [
        (
            r#"{ "_meta":{"a":1},"name":"t"}"#,
            r#"{"arguments":{"new":1}, "_meta":{"a":1},"name":"t"}"#,
        ),
        (
            r#"{"name":"t","arguments":{"a":[1,2,3]} ,"_meta":{"a":1}}"#,
            r#"{"name":"t","arguments":{"new":1} ,"_meta":{"a":1}}"#,
        ),
        (
            r#"{"_meta":{"a":1},"name":"t","arguments":{}}"#,
            r#"{"_meta":{"a":1},"name":"t","arguments":{"new":1}}"#,
        ),
        (
            r#"{"_meta":{"a":1},"arguments":{"a":"long enough"},"name":"t"}"#,
            r#"{"_meta":{"a":1},"arguments":{"new":1},"name":"t"}"#,
        ),
    ] {
        let text = |params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
        };
        let own = Arguments::of_line(br#"{"new":1}"#.to_vec()).unwrap();
        let edited = call(&text(params)).with_arguments(&own);
        assert_eq!(edited.arguments(), r#"{"new":1}"#);
        assert_eq!(edited.meta().unwrap(), r#"{"a":1}"#, "{params}");
        assert_eq!(edited.size(), text(expected).len());
        let again = edited.with_arguments(&Arguments::of_line(b"{}".to_vec()).unwrap());
        assert_eq!(again.arguments(), "{}");
        assert_eq!(again.meta().unwrap(), r#"{"a":1}"#, "{params}");
        assert_eq!(again.line.as_bytes(), text(expected).replace(r#"{"new":1}"#, "{}").as_bytes());
        assert_eq!(again.line.into_wire().last(), Some(&b'\n'));
    }
}

/// Forwards a call, with new arguments where there are any.
fn forwarded(text: &str, arguments: Option<&str>) -> String {
    let effect = match arguments {
        None => Effect::Allow,
        Some(arguments) => Effect::Modify(Arguments::parse(arguments).unwrap()),
    };
    let opinions =
        Opinions { local: Some(Verdict { effect, grounds: Grounds::default() }), remote: None };
    let Decision::Forward(permit) = decide(Ticket(1), Rules::default(), opinions).decision else {
        panic!("not forwarded");
    };
    let wire = Outbound::permitted(call(text), permit).into_wire();
    String::from_utf8(wire.to_vec()).unwrap()
}

#[test]
fn a_permitted_call_is_sent_byte_for_byte() {
    let text = r#" {"jsonrpc":"2.0", "id":1,"method":"tools\/call","params":{"name":"t","arguments":{"n":0.10000000000000000555,"b":1,"a":2}}} "#;
    assert_eq!(forwarded(text, None), format!("{text}\n"));
    assert_eq!(forwarded(&format!("{text}\r"), None), format!("{text}\r\n"));
}

#[test]
fn line_separators_inside_strings_are_sent_as_escapes_and_nothing_else_changes() {
    let text = |inner: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{{"a":"{inner}","n":1.50}}}}}}"#
        )
    };
    assert_eq!(
        forwarded(&text("x\u{85}y\u{2028}z\u{2029}é"), None),
        text("x\\u0085y\\u2028z\\u2029é") + "\n"
    );
}

#[test]
fn a_modify_replaces_the_arguments_and_nothing_else() {
    for (params, expected) in [
        (
            r#"{"name":"t","arguments":{"old":1},"_meta":{}}"#,
            r#"{"name":"t","arguments":{"new": 2},"_meta":{}}"#,
        ),
        (r#"{"arguments":{},"name":"t"}"#, r#"{"arguments":{"new": 2},"name":"t"}"#),
        (r#"{"name":"t"}"#, r#"{"arguments":{"new": 2},"name":"t"}"#),
        (r#"{ "name":"t"}"#, r#"{"arguments":{"new": 2}, "name":"t"}"#),
    ] {
        let text = |params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
        };
        assert_eq!(forwarded(&text(params), Some(r#"{"new": 2}"#)), text(expected) + "\n");
    }
}

#[test]
fn new_arguments_are_read_as_strictly_as_a_line() {
    for text in [
        "",
        "1",
        "[]",
        "null",
        "{\"a\":1,\"a\":2}",
        "{\"a\":NaN}",
        "{\"a\":\"\r\"}",
        "{\"a\":\"\n\"}",
        "{}{}",
        "{\"a\":1e400}",
        "{\"a\":\"\\ud800\"}",
    ] {
        assert!(Arguments::parse(text).is_err(), "{text:?}");
    }
    for (text, expected) in [
        ("{}", "{}"),
        (" {\n  \"a\": 1.50,\r\n  \"b\": [ 2 ]\n}\n", "{   \"a\": 1.50,    \"b\": [ 2 ] }"),
        ("{\"a\":\"\u{2028}\"}", "{\"a\":\"\\u2028\"}"),
    ] {
        assert_eq!(Arguments::parse(text).unwrap().as_str(), expected);
    }
}

#[test]
fn a_servers_line_ends_a_call_only_if_it_is_one_answer() {
    for (text, expected) in [
        (
            &br#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#[..],
            "1 result error",
        ),
        (br#"{"result":{"isError":false},"jsonrpc":"2.0","id":"a"}"#, "\"a\" result"),
        (br#"{"id":1,"result":null}"#, "1 result"),
        (br#"{"id":7.0,"result":{}}"#, "7 result"),
        (br#"{"id":1,"result":{},"error":null}"#, "1 result"),
        (br#"{"id":1,"error":{"code":-32602,"message":""}}"#, "1 error -32602"),
        (br#"{"id":1,"error":"bad"}"#, "1 error"),
        (br#"{"id":1,"result":{"v":NaN,"a":1,"a":2,"s":"\ud800"}}"#, "1 result"),
        (b"{\"id\":1,\"result\":{\"s\":\"\xff\"}}", "1 result"),
        (br#"{"id":1,"id":2,"result":{}}"#, "ambiguous"),
        (br#"{"id":1,"result":{},"result":{}}"#, "ambiguous"),
        (br#"{"id":1,"result":{},"error":{}}"#, "ambiguous"),
        (br#"{"id":1,"method":"x","result":{}}"#, "ambiguous"),
        (br#"{"id":0,"method":"roots/list"}"#, "request 0"),
        (br#"{"method":"notifications/progress","params":{}}"#, "other"),
        (br#"{"id":null,"error":{"code":-32700}}"#, "other"),
        (br#"{"id":1}"#, "other"),
        (br#"[{"id":1,"result":{}}]"#, "other"),
        (b"Server listening on stdio", "other"),
        (b"7", "other"),
        (b"{ not json", "other"),
        (b"\xff\xfe", "other"),
    ] {
        let said = match server::read(&line(text)) {
            server::Message::Ambiguous => "ambiguous".to_owned(),
            server::Message::Other => "other".to_owned(),
            server::Message::Request(id) => format!("request {}", id.literal()),
            server::Message::Answer(answer) => match answer.body {
                server::Body::Error { code: Some(code), .. } => {
                    format!("{} error {code}", answer.id.literal())
                }
                server::Body::Error { code: None, .. } => format!("{} error", answer.id.literal()),
                server::Body::Result { is_error: true, .. } => {
                    format!("{} result error", answer.id.literal())
                }
                server::Body::Result { is_error: false, .. } => {
                    format!("{} result", answer.id.literal())
                }
            },
        };
        assert_eq!(said, expected, "{}", text.escape_ascii());
    }
}

#[test]
fn the_id_of_an_overlong_message_is_found_at_either_end() {
    let filler = "x".repeat(2_000);
    for (text, expected) in [
        (format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"a":"{filler}"}}}}"#), Some("7")),
        (
            format!(
                r#"{{"method":"tools/call","params":{{"a":"{filler}"}},"jsonrpc":"2.0","id":"z"}}"#
            ),
            Some("\"z\""),
        ),
        (format!(r#"{{"a":"{filler},\"id\":5"}}"#), None),
        (format!(r#"{{"a":{{"b":"{filler}","id":5}}}}"#), None),
        (filler.clone(), None),
    ] {
        let mut framer = Framer::new(100);
        framer.space().put_slice(text.as_bytes());
        framer.space().put_slice(b"\n");
        let long = framer.next_line().unwrap().unwrap_err();
        let found = overlong_id(&long);
        assert_eq!(found.as_ref().map(RequestId::literal), expected, "{}", &text[..40]);
    }
}
