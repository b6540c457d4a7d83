//! What is told: one beginning and one end for each call and request, in their order.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::super::super::happening::Ended;
use super::super::super::waiting::MOST_OPEN;
use super::*;

/// Each way for a call or a request to end: whether an enforcer is asked, what is done, and what was
/// told and written.
const ENDS: &[(bool, &[&str], &[&str])] = &[
    (false, &["call 1 allow", "answer 1"], &["call 1 allow {\"a\":1}", ">", "<", "call 1 result"]),
    (false, &["call 1 allow", "fails 1"], &["call 1 allow {\"a\":1}", ">", "<", "call 1 failed"]),
    (
        false,
        &["call 1 allow", "errs 1", "errs 1"],
        &["call 1 allow {\"a\":1}", ">", "<", "call 1 error Some(-32602)"],
    ),
    (
        false,
        &["call 1 allow", "floods 1"],
        &["call 1 allow {\"a\":1}", ">", "<", "call 1 refused -32603 answer_too_long"],
    ),
    (false, &["call 1 block"], &["call 1 block {\"a\":1}", "<", "call 1 refused -32001 -"]),
    (false, &["call 1 step_up"], &["call 1 step_up {\"a\":1}", "<", "call 1 refused -32002 -"]),
    (false, &["call 1 defer"], &["call 1 defer {\"a\":1}", "<", "call 1 refused -32001 -"]),
    (
        false,
        &["journal breaks", "call 1 allow"],
        &["call 1 allow {\"a\":1}", "<", "call 1 refused -32001 journal_unavailable"],
    ),
    (
        true,
        &["call 1 a", "asked 0 nothing"],
        &["call 1 a {\"a\":1}", "<", "call 1 refused -32001 enforcer_unavailable"],
    ),
    (
        true,
        &["call 1 a", "asked 0 hold", "waited 0 block"],
        &["call 1 a {\"a\":1}", "<", "call 1 refused -32001 -"],
    ),
    (
        true,
        &["call 1 a", "asked 0 hold", "leaves"],
        &["call 1 a {\"a\":1}", "<", "call 1 refused -32002 -"],
    ),
    (
        true,
        &["call 1 a", "asked 0 hold", "waited 0 allow", "answer 1"],
        &["call 1 a {\"a\":1}", ">", "<", "call 1 result"],
    ),
    // The agent is told nothing about a call it cancelled, and the story says so at once.
    (true, &["call 1 a", "cancel 1", "asked 0 allow"], &["call 1 a {\"a\":1}", "call 1 cancelled"]),
    (
        false,
        &["call 1 allow", "cancel 1", "cancel 1", "answer 1"],
        &["call 1 allow {\"a\":1}", ">", ">", "call 1 cancelled", ">", "<"],
    ),
    (
        false,
        &["call 1 allow", "cancel 1", "call 1 b", "answer 1"],
        &[
            "call 1 allow {\"a\":1}",
            ">",
            ">",
            "call 1 cancelled",
            "call 2 b {\"a\":1}",
            ">",
            "<",
            "call 2 result",
        ],
    ),
    (
        false,
        &["call 1 allow", "cancel 1", "dies"],
        &["call 1 allow {\"a\":1}", ">", ">", "call 1 cancelled"],
    ),
    (false, &["call 1 allow", "dies"], &["call 1 allow {\"a\":1}", ">", "<", "call 1 unanswered"]),
    (
        true,
        &["call 1 a", "dies"],
        &["call 1 a {\"a\":1}", "<", "call 1 refused -32001 server_gone"],
    ),
    (
        true,
        &["call 1 a", "stop", "dies"],
        &["call 1 a {\"a\":1}", "<", "call 1 refused -32001 stopping"],
    ),
    (
        false,
        &["call 1 allow", "stop", "dies"],
        &["call 1 allow {\"a\":1}", ">", "<", "call 1 unanswered"],
    ),
    (
        false,
        &["call 1 allow", "stop", "answer 1", "dies"],
        &["call 1 allow {\"a\":1}", ">", "<", "call 1 result"],
    ),
    // A request of the server's with the same id is no answer.
    (
        false,
        &["call 1 allow", "asks 1", "answer 1"],
        &["call 1 allow {\"a\":1}", ">", "<", "<", "call 1 result"],
    ),
    (
        false,
        &["call 1 allow", "call 1 b", "answer 1"],
        &[
            "call 1 allow {\"a\":1}",
            ">",
            "call 2 b {\"a\":1}",
            "<",
            "call 2 refused -32600 id_in_use",
            "<",
            "call 1 result",
        ],
    ),
    (false, &["request 1 ping", "answer 1"], &[">", "<"]),
    (false, &["request 1 subscriptions/listen", "dies"], &[">"]),
    (
        false,
        &["request 1 tools/list", "answer 1"],
        &["request 1 ListTools { first: true } {}", ">", "<", "request 1 result +0"],
    ),
    (
        false,
        &["request 1 initialize", "errs 1"],
        &["request 1 Initialize {}", ">", "<", "request 1 error Some(-32602) +0"],
    ),
    (
        false,
        &["request 1 resources/read", "cancel 1", "answer 1", "request 1 prompts/get", "dies"],
        &[
            "request 1 ReadResource {}",
            ">",
            ">",
            "request 1 cancelled +0",
            "<",
            "request 2 GetPrompt {}",
            ">",
            "request 2 unanswered +0",
        ],
    ),
    (
        false,
        &["request 1 resources/list", "cancel 1", "request 1 ping", "dies"],
        &["request 1 ListResources {}", ">", ">", "request 1 cancelled +0", ">"],
    ),
    (
        false,
        &["call 1 allow", "request 1 prompts/list", "answer 1"],
        &[
            "call 1 allow {\"a\":1}",
            ">",
            "request 1 ListPrompts {}",
            "<",
            "request 1 refused -32600 id_in_use +0",
            "<",
            "call 1 result",
        ],
    ),
    (
        false,
        &["request 1 server/discover", "floods 1"],
        &["request 1 Discover {}", ">", "<", "request 1 refused -32603 answer_too_long +0"],
    ),
];

#[test]
fn each_way_to_end_is_told_once_and_in_its_order() {
    for (remote, script, expected) in ENDS {
        for adds in [false, true] {
            let (mut run, _) = Run::telling(*remote, adds);
            for words in *script {
                run.does(words);
            }
            assert_eq!(run.log, *expected, "{script:?}, with extras: {adds}");
        }
    }
}

#[test]
fn nothing_is_told_where_nobody_wants_to_know() {
    for (remote, script, expected) in ENDS {
        let (mut run, _) = Run::telling(*remote, false);
        run.session.settings.tells = false;
        for words in *script {
            run.does(words);
        }
        let lines: Vec<_> = expected.iter().filter(|words| words.len() == 1).collect();
        assert_eq!(run.log.iter().collect::<Vec<_>>(), lines, "{script:?}");
        assert_eq!(run.session.numbers, 0);
    }
}

#[test]
fn an_order_is_told_as_the_refusal_it_is() {
    let (mut run, order) = Run::telling(true, true);
    order.store(true, Ordering::Relaxed);
    run.does("call 1 allow");
    let expected = ["call 1 allow {\"a\":1}", "<", "call 1 refused -32001 endpoint_quarantined"];
    assert_eq!(run.log, expected);
}

#[test]
fn a_refusal_is_told_in_the_sentence_that_the_client_was_given() {
    let modern = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    for (rest, place) in
        [(r#""arguments":{}"#, "/error/message"), (modern, "/result/content/0/text")]
    {
        let (mut run, _) = Run::telling(false, false);
        run.call_with(1, "block", rest);
        let last = run.last();
        let Some(Happening::CallEnded(Ticket(1), Ended::Refused { message, .. })) = run.told.last()
        else {
            panic!("{:?}", run.told);
        };
        assert_eq!(last.pointer(place).unwrap(), message);
    }
    let (mut run, _) = Run::telling(false, false);
    run.does(r#"says {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":7}}"#);
    let last = run.last();
    let Some(Happening::CallEnded(_, Ended::Refused { message, .. })) = run.told.last() else {
        panic!("{:?}", run.told);
    };
    assert_eq!(last["error"]["message"], **message);
}

#[test]
fn a_line_that_is_a_call_but_for_something_else_is_told_and_refused() {
    let line = |id: &str, rest: &str| {
        format!(r#"{{"jsonrpc":"2.0",{id}"method":"tools/call","params":{{"name":"t"{rest}}}}}"#)
    };
    let table = [
        (line(r#""id":null,"#, ""), "{}", "-32600 bad_id"),
        (line(r#""id":true,"#, r#","arguments":{"a":1}"#), r#"{"a":1}"#, "-32600 bad_id"),
        (line(r#""id":{},"#, ""), "{}", "-32600 bad_id"),
        (line("", ""), "{}", "-32600 call_without_id"),
        (line(r#""id":1,"#, r#","arguments":"{}""#), "{}", "-32600 bad_arguments"),
        (line(r#""id":1,"#, "").replace("2.0", "1.0"), "{}", "-32600 bad_version"),
    ];
    for (text, arguments, refused) in table {
        let (mut run, _) = Run::telling(false, true);
        run.client(&text);
        let expected =
            [format!("call 1 t {arguments}"), "<".to_owned(), format!("call 1 refused {refused}")];
        assert_eq!(run.log, expected, "{text}");
        assert!(run.to_server.is_empty());
    }
}

#[test]
fn a_line_whose_tool_readers_may_differ_about_is_not_told() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","name":"u"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","Name":"u"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}]"#,
        "{garbage",
    ] {
        let (mut run, _) = Run::telling(false, true);
        run.client(text);
        assert_eq!(run.log, ["<"], "{text}");
    }
}

#[test]
fn however_many_are_in_flight_none_is_forgotten() {
    let (mut run, _) = Run::telling(false, false);
    let most = u32::try_from(MOST_OPEN).unwrap();
    for id in 0..most + 2 {
        run.call(id, "allow");
    }
    for id in (0..most / 2).rev() {
        run.answer(id);
    }
    run.handle(Input::ServerClosed);
    let mut ends: BTreeMap<&'static str, usize> = BTreeMap::new();
    for happening in &run.told {
        let Happening::CallEnded(_, end) = happening else { continue };
        let word = match end {
            Ended::Result { .. } => "result",
            Ended::Refused { reason_code: Some(code), .. } if code == "too_many_in_flight" => {
                "full"
            }
            Ended::Unanswered => "unanswered",
            Ended::Error { .. } | Ended::Refused { .. } | Ended::Cancelled => "other",
        };
        *ends.entry(word).or_default() += 1;
    }
    let expected = [("full", 2), ("result", MOST_OPEN / 2), ("unanswered", MOST_OPEN / 2)];
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), expected);
}
