//! What was measured to go wrong with baton-proxy, one test each, with thoth in its place.
//!
//! `docs/baton-faults.md` says which test is about which fault.

use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::server::Kind;
use super::session::{Setup, call, initialize, request};

/// A call that lets the server write these lines in place of an answer.
fn raw(id: u32, lines: &[&str]) -> String {
    call(id, "raw", &json!({ "lines": lines }))
}

fn text_of(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn odd_lines_of_a_server_end_no_session() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for (id, odd) in [
        r#"[{"jsonrpc":"2.0","id":900,"result":{}}]"#,
        "[]",
        "5",
        "null",
        r#""text""#,
        "no json at all",
        r#"{"jsonrpc":"2.0","id":900,"result":{"x":"\xff"}}"#,
        r#"{"jsonrpc":"2.0","id":900,"result":{"x":NaN}}"#,
        "",
    ]
    .iter()
    .enumerate()
    {
        let id = 100 + u32::try_from(id).unwrap();
        sidecar.says(&raw(id, &[odd, r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}"#]));
        // What the odd line becomes is the gate's affair; the answer behind it must come.
        loop {
            let line = sidecar.reads_bytes();
            let line = serde_json::from_slice::<Value>(&line).unwrap_or_default();
            if line["id"] == id {
                break;
            }
        }
    }
    assert_eq!(
        text_of(&sidecar.asks(&call(3, "echo", &json!({ "text": "on" })))),
        r#"{"text":"on"}"#
    );
    assert_eq!(sidecar.ends().code, Some(0));
    let stream = setup.stream();
    assert_eq!(stream.of("tool_call_end").len(), 10);
    assert!(stream.of("tool_call_error").is_empty());
}

#[test]
fn an_array_that_answers_a_call_is_no_answer_and_the_call_is_closed_at_the_end() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    sidecar.says(&raw(3, &[r#"[{"jsonrpc":"2.0","id":$ID,"result":{"content":[]}}]"#]));
    sidecar.says(&call(4, "echo", &json!({})));
    while sidecar.reads()["id"] != 4 {} // the array itself is the client's to judge
    sidecar.ends();
    let stream = setup.stream();
    assert_eq!(stream.of("tool_call_start").len(), 2);
    let [error] = stream.of("tool_call_error")[..] else { panic!("{stream:?}") };
    assert_eq!(error["error_type"], "proxy_upstream_closed");
}

#[test]
fn deep_nesting_from_a_client_ends_no_session() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for (id, depth) in [(10, 90), (11, 990), (12, 1100), (13, 100_000)] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        sidecar.says(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":{deep}}}}}}}"#
        ));
        let answer = sidecar.reads();
        assert!(answer["id"] == id || answer["id"].is_null(), "{answer}");
    }
    assert_eq!(sidecar.asks(&request(20, "ping", &json!({})))["id"], 20);
    assert_eq!(sidecar.ends().code, Some(0));
    setup.stream();
}

#[test]
fn a_megabyte_of_hostile_text_holds_up_nothing() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    // 80 KB of the first took the proxy 20 s, in the way of everything behind it.
    for (id, part) in [(10, "a."), (11, "eyJ."), (12, "a@b."), (13, "1 ")] {
        let text = part.repeat(1_000_000 / part.len());
        let answer = sidecar.asks(&call(id, "echo", &json!({ "text": text })));
        assert_eq!(answer["id"], id);
    }
    // Events come after; they are waited for here, since a debug build is slow.
    setup.until(|events| events.len() == 11);
    assert_eq!(sidecar.ends().code, Some(0));
    assert_eq!(setup.stream().of("tool_call_end").len(), 4);
}

#[test]
fn the_end_of_input_is_the_end_whatever_the_server_does() {
    for kind in [Kind::Plain, Kind::Deaf] {
        let setup = Setup::of(kind);
        let mut sidecar = setup.start();
        sidecar.opens();
        sidecar.says(&call(3, "hold", &json!({})));
        let ended = sidecar.ends();
        assert!(ended.code.is_some(), "{kind:?}");
        let errors = setup.stream().of("tool_call_error").len();
        assert_eq!(errors, 1, "{kind:?}: what was open is closed");
    }
}

#[test]
fn three_thousand_calls_in_flight_are_one_whole_stream() {
    const CALLS: u32 = 3000;
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for id in 10..10 + CALLS {
        sidecar.says(&call(id, "late", &json!({ "n": id })));
    }
    sidecar.says(&call(9, "release", &json!({})));
    for _ in 0..=CALLS {
        assert!(sidecar.reads()["result"].is_object());
    }
    assert_eq!(sidecar.ends().code, Some(0));
    let stream = setup.stream(); // no gap, no inversion, each call closed once
    assert!(stream.of("tool_call_error").is_empty(), "none is evicted");
    let ends = stream.of("tool_call_end");
    assert_eq!(ends.len(), CALLS as usize + 1);
    let results: std::collections::HashSet<_> =
        ends.iter().map(|end| end["result"]["content"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(results.len(), CALLS as usize + 1, "each with its own result");
}

#[test]
fn a_request_of_the_server_is_no_answer() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    sidecar.says(&raw(
        3,
        &[
            r#"{"jsonrpc":"2.0","id":$ID,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}"#,
            r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-32050,"message":"the real end"}}"#,
        ],
    ));
    assert_eq!(sidecar.reads()["method"], "sampling/createMessage");
    assert_eq!(sidecar.reads()["error"]["message"], "the real end");
    sidecar.ends();
    let stream = setup.stream();
    assert!(stream.of("tool_call_end").is_empty());
    let [error] = stream.of("tool_call_error")[..] else { panic!("{stream:?}") };
    assert_eq!(
        (&error["error_type"], &error["error_body"]),
        (&json!("-32050"), &json!("the real end"))
    );
}

#[test]
fn a_cancelled_call_is_over_when_it_is_cancelled() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    sidecar.says(&call(3, "hold", &json!({})));
    sidecar.says(
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"enough"}}"#,
    );
    let is_closed = |event: &Value| event["payload"]["error_type"] == "proxy_client_cancelled";
    setup.until(|events| events.iter().any(is_closed)); // while the session goes on
    sidecar.asks(&request(4, "ping", &json!({})));
    sidecar.ends();
    assert_eq!(setup.stream().of("tool_call_error").len(), 1);
}

#[test]
fn a_result_that_looks_like_another_stays_as_it_is() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for (id, result) in [
        (10, r#"{"content":[], "tools":[{"name":"x","inputSchema":{"type":"object"}}]}"#),
        (
            11,
            r#"{"content":[], "serverInfo":{"name":"x","version":"1"}, "protocolVersion":"2025-11-25"}"#,
        ),
        (12, r#"{"content":[], "instructions":"Be kind."}"#),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0", "id":$ID, "result":{result}}}"#);
        sidecar.says(&raw(id, &[&line]));
        assert_eq!(sidecar.reads_text(), line.replace("$ID", &id.to_string()));
    }
    sidecar.ends();
    assert_eq!(setup.stream().of("surface_snapshot").len(), 1);
}

#[test]
fn pages_of_tools_have_each_tool_once_and_make_one_snapshot() {
    let setup = Setup::of(Kind::Paged);
    let mut sidecar = setup.start();
    sidecar.asks(&initialize(1));
    let first = sidecar.asks(&request(2, "tools/list", &json!({})));
    let second = sidecar.asks(&request(3, "tools/list", &json!({ "cursor": "2" })));
    assert_eq!(first["result"]["nextCursor"], "2");
    let names: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["result"]["tools"].as_array().unwrap())
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let count = |name: &str| names.iter().filter(|other| **other == name).count();
    for name in ["echo", "second", "baton_annotate"] {
        assert_eq!(count(name), 1, "{names:?}");
    }
    let wants_goal = |page: &Value| {
        page["result"]["tools"][0]["inputSchema"]["properties"]["user_goal"].is_object()
    };
    assert!(wants_goal(&first) && wants_goal(&second));
    // A tool of the second page is stripped, too.
    sidecar.asks(&call(4, "second", &json!({ "text": "x", "user_goal": "g" })));
    sidecar.ends();
    assert!(!setup.seen().contains(r#""user_goal""#), "{}", setup.seen());
    let stream = setup.stream();
    let [snapshot] = stream.of("surface_snapshot")[..] else { panic!("{:?}", stream.types()) };
    let tools: Vec<_> =
        snapshot["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(tools, ["echo", "boom", "soft", "native", "second"]);
}

#[test]
fn a_batch_of_a_client_is_refused_and_reaches_nobody() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    let calls = [3, 4].map(|id| call(id, "echo", &json!({ "text": "x", "user_goal": "g" })));
    let answer = sidecar.asks(&format!("[{}]", calls.join(",")));
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    sidecar.ends();
    assert!(!setup.seen().contains("tools/call"));
    assert!(setup.stream().of("tool_call_start").is_empty());
}

#[test]
fn a_servers_own_tool_of_such_a_name_stays_the_servers() {
    let setup = Setup::of(Kind::Namesake);
    let mut sidecar = setup.start();
    let tools = sidecar.opens();
    for name in ["baton_annotate", "baton_session_report"] {
        let same = tools.as_array().unwrap().iter().filter(|tool| tool["name"] == name).count();
        assert_eq!(same, 1, "{tools}");
    }
    let answer = sidecar.asks(&call(3, "baton_annotate", &json!({ "text": "mine" })));
    assert_eq!(text_of(&answer), r#"{"text":"mine"}"#);
    sidecar.ends();
    assert!(setup.seen().contains(r#""name":"baton_annotate""#));
    let stream = setup.stream();
    assert!(stream.of("annotation").is_empty());
    assert_eq!(stream.of("tool_call_end").len(), 1);
}

#[test]
fn everything_that_needs_no_edit_passes_byte_for_byte() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    let line = r#"{ "jsonrpc" : "2.0", "id":3,  "method":"tools/call","params":{"name":"echo","arguments":{"a":1e5,"b":100000000000000000000000.10,"c":1.0,"z":-0,"é":"\u00e9\/"}} }"#;
    sidecar.asks(line);
    // With something to take out, the rest keeps its spelling.
    sidecar.asks(
        r#"{ "jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"echo","arguments":{"a":1e5, "user_goal":"g","b":1.50,"expected_result":"e"}} }"#,
    );
    let answer = r#"{"jsonrpc":"2.0","id":5, "result":{"content":[],"x":1e5,"y":0.10000000000000000000001,"y":2,"big":12345678901234567890123}}"#;
    sidecar.says(&raw(5, &[answer]));
    assert_eq!(sidecar.reads_text(), answer);
    sidecar.ends();
    let seen = setup.seen();
    assert!(seen.lines().any(|seen| seen == line), "{seen}");
    let stripped = seen.lines().find(|line| line.contains(r#""id":4"#)).unwrap();
    for kept in ["1e5", "1.50", r#"{ "jsonrpc":"2.0","id":4"#] {
        assert!(stripped.contains(kept), "{stripped}");
    }
    assert!(!stripped.contains("user_goal") && !stripped.contains("expected_result"), "{stripped}");
    setup.stream();
}

#[test]
fn what_is_no_json_elsewhere_is_json_in_events() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for (id, value) in [(10, "NaN"), (11, "-Infinity"), (12, r#""\ud800""#), (13, "\"\u{2028}\"")] {
        sidecar.says(&raw(
            id,
            &[&format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{{"content":[],"x":{value}}}}}"#)],
        ));
        sidecar.reads_bytes();
    }
    sidecar.asks(&request(20, "ping", &json!({})));
    sidecar.ends();
    let stream = setup.stream();
    assert_eq!(stream.of("tool_call_start").len(), 4);
    let text = std::fs::read_to_string(setup.events()).unwrap();
    assert!(!text.contains('\u{2028}')); // what else is no JSON, `stream` would not have read
}

#[test]
fn an_annotation_that_no_collector_takes_is_refused_with_a_sentence() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.opens();
    for (id, arguments) in [
        (10, json!({ "user_goal": ["a", "list"], "what_happened": "x", "tool_name": "echo" })),
        (11, json!({ "user_goal": "g", "what_happened": { "a": 1 }, "tool_name": "echo" })),
        (
            12,
            json!({ "user_goal": "g", "what_happened": "x", "tool_name": "echo", "context": "c" }),
        ),
    ] {
        let answer = sidecar.asks(&call(id, "baton_annotate", &arguments));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    let good = json!({ "user_goal": "g", "what_happened": "x", "tool_name": "echo" });
    let answer = sidecar.asks(&call(20, "baton_annotate", &good));
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    sidecar.ends();
    assert!(!setup.seen().contains("baton_annotate"));
    let stream = setup.stream();
    let [annotation] = stream.of("annotation")[..] else { panic!("{:?}", stream.types()) };
    assert_eq!(annotation["what_happened"], "x");
    assert!(stream.of("tool_call_start").is_empty());
}

#[test]
fn a_servers_own_parameter_stays_also_before_its_tools_were_listed() {
    let setup = Setup::new();
    let mut sidecar = setup.start();
    sidecar.asks(&initialize(1));
    let arguments = json!({ "user_goal": "mine" });
    assert_eq!(text_of(&sidecar.asks(&call(3, "native", &arguments))), r#"{"user_goal":"mine"}"#);
    sidecar.asks(&request(4, "tools/list", &json!({})));
    assert_eq!(text_of(&sidecar.asks(&call(5, "native", &arguments))), r#"{"user_goal":"mine"}"#);
    sidecar.ends();
    for start in setup.stream().of("tool_call_start") {
        assert_eq!(start["params"], arguments);
        assert!(start["call_intent"].is_null());
    }
}

#[test]
fn sigterm_leaves_no_event_and_no_server_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let setup = Setup::of(Kind::Deaf);
        let mut sidecar = setup.start();
        sidecar.opens();
        sidecar.says(&call(3, "hold", &json!({})));
        setup.until(|events| events.iter().any(|event| event["event_type"] == "tool_call_start"));
        sidecar.signals(signal);
        let ended = sidecar.ends();
        assert!(
            !ended.said.contains("panicked") && !ended.said.contains("Traceback"),
            "{}",
            ended.said
        );
        let stream = setup.stream(); // every beginning has an end
        assert_eq!(stream.of("tool_call_error").len(), 1);
        // The server ended: its standard error, which is ours, came to an end with it.
        assert!(ended.code.is_some());
    }
}

#[test]
fn no_spelling_of_http_gets_past_the_guards() {
    for sink in
        ["HTTP://127.0.0.1:9", "Http://127.0.0.1:9", "HTTPS://c.example", "http://127.0.0.1:9"]
    {
        let setup = Setup::new().variable("BATON_EVENT_SINK", sink);
        let ended = setup.start().ends();
        assert_eq!(ended.code, Some(78), "{sink}: {}", ended.said);
        for wanted in ["BATON_CONSENT_TOKEN", "BATON_VENDOR_ID", "BATON_API_KEY"] {
            assert!(ended.said.contains(wanted), "{sink}: {}", ended.said);
        }
        assert_eq!(setup.seen(), "", "the server was never started");
    }
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    for sink in ["http://c.example", "HTTP://192.0.2.1:8080"] {
        let setup = Setup::new().sending_to(sink).variable("BATON_EVENT_SINK", sink);
        let ended = setup.start().ends();
        assert_eq!(ended.code, Some(78), "{sink}: {}", ended.said);
    }
}

#[test]
fn no_part_of_an_event_and_no_line_of_the_log_holds_a_secret() {
    const SECRETS: [&str; 5] = [
        "sk-abcdefghijklmnopqrstuvwx0123",
        "jane.doe@example.com",
        "AKIAIOSFODNN7EXAMPLE",
        "hunter2-correct-horse",
        "4111 1111 1111 1111",
    ];
    let [key, mail, aws, password, card] = SECRETS;
    let setup = Setup::new().variable("THOTH_LOG_LEVEL", "trace");
    let mut sidecar = setup.start();
    let client = json!({ "name": format!("Agent {mail}"), "version": key });
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    sidecar.asks(&request(1, "initialize", &params));
    sidecar.asks(&request(2, "tools/list", &json!({})));
    let deep = (0..30).fold(json!({ "password": password, "x": mail }), |inner, _| json!([inner]));
    let params = json!({
        "name": "echo",
        "arguments": { "text": format!("{key} and {card}"), "deep": deep, "user_goal": aws },
        "_meta": { "note": mail, "password": password, "nested": [{ "authorization": format!("Bearer {key}") }] },
    });
    sidecar.asks(&request(3, "tools/call", &params));
    sidecar.asks(&call(4, "boom", &json!({ "text": format!("no such user {mail}") })));
    sidecar.asks(&call(5, "soft", &json!({ "text": format!(r#"{{"password":"{password}"}}"#) })));
    let note = json!({ "user_goal": mail, "what_happened": key, "tool_name": aws, "context": { "likely_cause": card } });
    sidecar.asks(&call(6, "baton_annotate", &note));
    sidecar.asks(&request(7, "resources/read", &json!({ "uri": format!("mem:{mail}") })));
    let ended = sidecar.ends();
    let stream = setup.stream();
    assert!(stream.events.len() >= 12, "{:?}", stream.types());
    let text = std::fs::read_to_string(setup.events()).unwrap();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
        assert!(!ended.said.contains(secret), "{secret} in {}", ended.said);
    }
}

#[test]
fn events_go_to_a_file_of_this_user_alone_in_thoths_own_directory() {
    let setup = Setup::new().without("BATON_EVENT_SINK");
    setup.plays(&[initialize(1), call(2, "echo", &json!({}))], 2);
    let path = setup.home.path().join("home/friction/events.jsonl");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(std::fs::read_to_string(path).unwrap().lines().count() >= 2);
}

#[test]
fn switched_off_nothing_is_added_and_nothing_told() {
    for switch in ["flag", "variable"] {
        let setup = Setup::new();
        let setup = match switch {
            "flag" => {
                let policy = setup.home.path().join("policy.toml");
                setup.retold(&["--friction", "off", "--policy", policy.to_str().unwrap()])
            }
            _ => setup.variable("BATON_DISABLED", "1"),
        };
        let mut sidecar = setup.start();
        let tools = sidecar.opens();
        assert_eq!(tools.as_array().unwrap().len(), 4, "{switch}: {tools}");
        assert!(!tools.to_string().contains("expected_result"), "{switch}: {tools}");
        sidecar.asks(&call(3, "echo", &json!({ "user_goal": "mine" })));
        sidecar.ends();
        assert!(setup.seen().contains(r#""user_goal":"mine""#), "{switch}");
        assert!(!setup.events().exists(), "{switch}");
    }
}
