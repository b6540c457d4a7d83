//! What is added to a server's answers and taken out of calls again, and calls of own tools.

use std::sync::atomic::Ordering;

use super::super::super::extras::{Called, Extras, Listed};
use super::super::super::happening::Ended;
use super::super::super::waiting::MOST_OWN;
use super::*;

const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;

fn adding() -> Run {
    Run::telling(false, true).0
}

#[test]
fn an_edited_answer_keeps_every_byte_outside_its_result() {
    for (method, answer, shown) in [
        (
            "initialize",
            r#" {"result" : {"serverInfo":{"v":1.50}} , "x":1e5, "jsonrpc":"2.0","id":1} "#,
            r#" {"result" : {"added":1,"serverInfo":{"v":1.50}} , "x":1e5, "jsonrpc":"2.0","id":1} "#,
        ),
        (
            "server/discover",
            r#"{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"added":1,"serverInfo":{}}}"#,
        ),
        (
            "tools/list",
            "{\"jsonrpc\":\"2.0\",\"id\":1.0,\"result\":{\"tools\":[{\"name\":\"t\"}],\"n\":NaN}}\r",
            "{\"jsonrpc\":\"2.0\",\"id\":1.0,\"result\":{\"tools\":[{\"name\":\"note\"},{\"name\":\"t\"}],\"n\":NaN}}\r",
        ),
    ] {
        let mut run = adding();
        run.client(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#));
        let mut framer = Framer::new(1024);
        framer.space().put_slice(answer.as_bytes());
        framer.space().put_slice(b"\n");
        let line = framer.next_line().unwrap().unwrap();
        run.session.handle(Input::Server(Ok(line)), run.now, &mut run.paper);
        while let Some(effect) = run.session.poll_effect() {
            if let Effect::ToClient(line) = effect {
                assert_eq!(line, format!("{shown}\n"));
                run.to_client.push(String::new());
            }
        }
        assert_eq!(run.to_client.len(), 1, "{method}");
    }
}

#[test]
fn an_answer_is_edited_by_its_request_and_never_by_its_shape() {
    let shape = r#"{"serverInfo":{},"protocolVersion":"1","tools":[{"name":"t"}]}"#;
    let answer = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{shape}}}"#);
    let mut run = adding();
    run.call(1, "allow");
    run.does("request 2 resources/read");
    run.does("request 3 ping");
    for id in 1..=3 {
        run.server(&answer(id));
        assert_eq!(*run.to_client.last().unwrap(), answer(id));
    }
    run.server(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"tools":[]}}"#);
    assert!(run.to_client.last().unwrap().ends_with(r#"{"tools":[]}}"#));

    // A request of the server's is no answer, whatever its id.
    run.does("request 4 tools/list");
    let asks = r#"{"jsonrpc":"2.0","id":4,"method":"roots/list","params":{"tools":[]}}"#;
    run.server(asks);
    assert_eq!(run.to_client.last().unwrap(), asks);
    run.server(r#"{"jsonrpc":"2.0","id":4,"error":{"code":1,"message":"","data":{"tools":[]}}}"#);
    assert!(run.to_client.last().unwrap().contains(r#""tools":[]"#), "an error is no list");
}

#[test]
fn the_story_and_the_rules_have_the_list_as_the_server_sent_it() {
    let mut run = adding();
    run.does("request 1 tools/list");
    let result = r#"{"tools":[{"name":"annotated","annotations":{}}]}"#;
    run.server(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
    let Some(Happening::RequestEnded {
        number: 1,
        end: Ended::Result { result: told, .. },
        added: 1,
    }) = run.told.last()
    else {
        panic!("{:?}", run.told);
    };
    assert_eq!(told, result);
    run.call(2, "annotated");
    assert_eq!(run.to_server.len(), 2, "its annotations are known");
}

#[test]
fn tools_are_added_to_first_pages_and_again_when_the_list_has_changed() {
    let mut run = adding();
    let mut list = |params: &str, result: &str| {
        run.client(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#));
        run.server(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
        let added = match run.told.last() {
            Some(Happening::RequestEnded { added, .. }) => *added,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            run.to_client.last().unwrap().matches("\"note\"").count(),
            added.max(result.matches("\"note\"").count(),)
        );
        added
    };
    let page = r#"{"tools":[{"name":"t"}],"nextCursor":"c"}"#;
    assert_eq!(list("", page), 1);
    assert_eq!(list(r#","params":{"cursor":"c"}"#, page), 0, "a further page");
    assert_eq!(list(r#","params":{"cursor":null}"#, page), 1, "no cursor either");
    assert_eq!(list(r#","params":{}"#, page), 1, "the list has changed, and is asked for anew");
    let modern = format!(r#","params":{{{MODERN}}}"#);
    assert_eq!(list(&modern, page), 1, "an era without a handshake");
    assert_eq!(list("", r#"{"tools":[{"name":"note"}]}"#), 0, "the server has one of that name");

    run.does(r#"says {"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"note","arguments":{"x":1}}}"#);
    assert!(run.to_server.last().unwrap().contains("note"), "whose calls are the server's");
}

#[test]
fn what_was_added_is_taken_out_before_anybody_sees_the_call() {
    for (params, sent) in [
        (r#"{"name":"t","arguments":{"goal":"g"}}"#, r#"{"name":"t","arguments":{}}"#),
        (
            r#"{ "name":"t","arguments":{"a":1.50,"goal":"g"}, "_meta":{"x":1e5}}"#,
            r#"{ "name":"t","arguments":{"a":1.50}, "_meta":{"x":1e5}}"#,
        ),
        (
            r#"{"_meta":{"x":1},"arguments":{"goal":"g","a":"\u0041"},"name":"t"}"#,
            r#"{"_meta":{"x":1},"arguments":{"a":"\u0041"},"name":"t"}"#,
        ),
    ] {
        let text = |params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
        };
        let parsed: serde_json::Value = serde_json::from_str(sent).unwrap();
        let arguments = sent.split("\"arguments\":").nth(1).unwrap().split('}').next().unwrap();
        for remote in [false, true] {
            let (mut run, _) = Run::telling(remote, true);
            run.client(&text(params));
            if remote {
                assert_eq!(run.asked[0].arguments, format!("{arguments}}}"), "the enforcer");
                run.does("asked 0 allow");
            }
            assert_eq!(run.to_server, [text(sent)], "the server");
            let Record::Decision(decided) = &run.paper.records[0] else { panic!() };
            assert_eq!(decided.arguments, format!("{arguments}}}"), "the journal");
            let Happening::CallMade(made) = &run.told[0] else { panic!() };
            assert_eq!(made.arguments, format!("{arguments}}}"), "the story");
            assert_eq!(made.said.as_deref(), Some(&br#"{"goal":"g"}"#[..]));
            let meta: Option<serde_json::Value> =
                made.meta.as_ref().map(|meta| serde_json::from_slice(meta).unwrap());
            assert_eq!(meta.unwrap_or_default(), parsed["_meta"], "{params}");
        }
    }
}

#[test]
fn a_modify_of_a_call_from_which_something_was_taken_works() {
    for (remote, tool, arguments) in
        [(false, "modify", r#"{"new":1}"#), (true, "a", r#"{"new":2}"#)]
    {
        let (mut run, _) = Run::telling(remote, true);
        run.call_with(1, tool, r#""arguments":{"a":1,"goal":"g"},"_meta":{"p":1}"#);
        if remote {
            run.does("asked 0 modify");
        }
        let params =
            format!(r#""params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"p":1}}}}"#);
        assert_eq!(
            run.to_server,
            [format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{params}}}"#)]
        );
    }
}

#[test]
fn arguments_that_cannot_be_told_from_what_was_added_go_nowhere() {
    struct Broken(&'static str);
    impl Extras for Broken {
        fn greeted(&mut self, _result: &[u8]) -> Option<Vec<u8>> {
            Some(b"{\n}".to_vec())
        }

        fn listed(&mut self, _result: &[u8], _first: bool) -> Option<Listed> {
            None
        }

        fn called(&self, _tool: &str, _arguments: &[u8]) -> Called {
            Called::Arguments { own: self.0.as_bytes().to_vec(), said: b"{}".to_vec() }
        }
    }

    for own in
        ["", "7", "[]", "{", "{}{}", "{\n}", "{\r}", r#"{"a":1,"a":2}"#, "{\"a\":\"\u{2028}\"}"]
    {
        let (mut run, _) = Run::telling(false, false);
        run.session = run.session.adding(Box::new(Broken(own)));
        run.call(1, "allow");
        assert!(run.to_server.is_empty(), "{own:?}");
        assert_eq!(run.last()["error"]["data"]["reason_code"], "internal_error");
        assert_eq!(run.log, ["call 1 allow {}", "<", "call 1 refused -32603 internal_error"]);
        run.call(1, "allow");
        assert_eq!(run.to_client.len(), 2, "its id is free");
    }
    let (mut run, _) = Run::telling(false, false);
    run.session = run.session.adding(Box::new(Broken("")));
    run.does("request 1 initialize");
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{}}}"#;
    run.server(answer);
    assert_eq!(run.to_client, [answer], "an edit that would end the line is not made");
}

#[test]
fn own_tools_are_answered_here_in_the_shape_of_the_calls_era() {
    let table = [
        (r#""arguments":{"x":1}"#, r#"{"content":[{"type":"text","text":"thank you"}]}"#),
        (
            "\"arguments\":{}",
            r#"{"content":[{"type":"text","text":"say something"}],"isError":true}"#,
        ),
    ];
    for (rest, result) in table {
        for modern in [false, true] {
            for remote in [false, true] {
                let (mut run, order) = Run::telling(remote, true);
                order.store(true, Ordering::Relaxed);
                run.paper.broken = true;
                let (rest, kind) = if modern {
                    (format!("{rest},{MODERN}"), r#"{"resultType":"complete","#)
                } else {
                    (rest.to_owned(), "{")
                };
                run.call_with(1, "note", &rest);
                let result = result.replacen('{', kind, 1);
                assert_eq!(
                    run.to_client,
                    [format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)],
                    "also under an order, and with no journal"
                );
                assert!(run.to_server.is_empty() && run.asked.is_empty());
                assert!(run.paper.records.is_empty(), "nothing is decided");
                run.answer(1);
                assert_eq!(run.to_client.len(), 1, "the server has nothing to answer");
            }
        }
    }
}

#[test]
fn what_an_agent_notes_is_told_and_what_it_is_refused_is_not() {
    let mut run = adding();
    run.call_with(1, "note", r#""arguments":{"x":1},"_meta":{"m":1}"#);
    assert_eq!(run.log, [r#"noted {"x":1} meta {"m":1}"#, "<"]);
    run.call_with(2, "note", r#""arguments":{}"#);
    run.call_with(3, "note", r#""arguments":{"x":1},"task":{}"#);
    assert_eq!(run.last()["error"]["code"], -32_602);
    assert_eq!(
        run.last()["error"]["message"],
        "`note` cannot be run as a task. Call it again without `task`."
    );
    run.does(r#"says {"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"note"}}"#);
    assert_eq!(run.log[2..], ["<", "<", "<"], "neither noted nor called");
    assert!(run.to_server.is_empty());
}

#[test]
fn an_own_call_takes_no_id_that_is_in_use() {
    let mut run = adding();
    run.call(1, "allow");
    run.call_with(1, "note", r#""arguments":{"x":1}"#);
    assert_eq!(run.last()["error"]["data"]["reason_code"], "id_in_use");
    assert!(run.last()["id"].is_null());
    run.cancel("1");
    run.call_with(1, "note", r#""arguments":{"x":1}"#);
    assert_eq!(run.last()["id"], 1, "a cancelled call makes room");
    run.answer(1);
    assert_eq!(run.notes, [Note::Refused("id_in_use"), Note::UnexpectedAnswer], "answered once");
    let ends = run.paper.records.iter().filter(|record| matches!(record, Record::Outcome(_)));
    assert_eq!(ends.count(), 1);
}

const REPORT: &str = r#""arguments":{"report":1}"#;

#[test]
fn a_report_is_made_elsewhere_and_answered_once() {
    let mut run = adding();
    run.call_with(1, "note", REPORT);
    run.call_with(2, "note", &format!("{REPORT},{MODERN}"));
    assert!(run.to_client.is_empty() && run.to_server.is_empty());
    run.answer(1);
    assert_eq!(run.notes, [Note::UnexpectedAnswer], "the server has nothing to answer");
    run.does("reported 1 .");
    run.does("reported 0 .");
    run.does("reported 0 .");
    let text = r#""content":[{"type":"text","text":"so far so good"}]}}"#;
    assert_eq!(
        run.to_client,
        [
            format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"resultType":"complete",{text}"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{text}"#),
        ]
    );
    assert!(run.told.is_empty(), "it is no call");
}

#[test]
fn a_report_that_nobody_waits_for_is_withdrawn() {
    let mut run = adding();
    run.call_with(1, "note", REPORT);
    run.cancel("1");
    assert_eq!(run.withdrawn, run.reports);
    run.does("reported 0 .");
    assert!(run.to_client.is_empty() && run.to_server.is_empty());

    run.call_with(1, "note", REPORT);
    run.handle(Input::ClientClosed);
    assert!(!run.server_ended, "it may still read its answer");
    run.does("reported 1 .");
    assert!(run.server_ended);
    assert_eq!(run.to_client.len(), 1);
}

#[test]
fn at_the_end_of_a_session_no_report_is_waited_for() {
    for end in ["stop", "dies"] {
        let mut run = adding();
        run.call_with(1, "note", REPORT);
        run.does(end);
        assert_eq!(run.withdrawn, run.reports, "{end}");
        assert_eq!(run.last()["result"]["isError"], true);
        run.does("reported 0 .");
        run.call_with(2, "note", REPORT);
        assert_eq!(run.last()["result"]["isError"], true);
        run.call_with(3, "note", r#""arguments":{"x":1}"#);
        assert_eq!(run.last()["result"]["content"][0]["text"], "thank you");
        assert_eq!(run.to_client.len(), 3);
    }
}

#[test]
fn reports_are_bounded_and_the_rest_is_told_to_come_back() {
    let mut run = adding();
    for id in 0..=u32::try_from(MOST_OWN).unwrap() {
        run.call_with(id, "note", REPORT);
    }
    assert_eq!(run.reports.len(), MOST_OWN);
    assert_eq!(run.to_client.len(), 1);
    assert_eq!(run.last()["result"]["isError"], true);
}
