//! Requests that are no calls, and what clients say of themselves.

use super::*;

const LIST_TOOLS: Method = Method::ListTools { first: true };

#[test]
fn a_request_is_its_start_and_its_end() {
    let read = r#"{"uri":"mem://a","x":1.0,"_meta":{"k":1}}"#;
    let get = r#"{"name":"p","arguments":{"q":"z"}}"#;
    let two = |name: &str| format!(r#"{{"{name}":[{{}},7]}}"#);
    let table = [
        (LIST_TOOLS, "{}", two("tools"), "tool_list", json!({}), json!({"count": 3})),
        (LIST_TOOLS, "{}", two("resources"), "tool_list", json!({}), json!({"count": 1})),
        (
            Method::ListResources,
            "{}",
            two("resources"),
            "resource_list",
            json!({}),
            json!({"count": 2}),
        ),
        (Method::ListPrompts, "{}", two("prompts"), "prompt_list", json!({}), json!({"count": 2})),
        (Method::ListPrompts, "[]", "NaN".into(), "prompt_list", json!({}), json!({"count": 0})),
        (
            Method::ReadResource,
            read,
            r#"{"contents":[{"text":"secret"}]}"#.into(),
            "resource_read",
            json!({"uri": "mem://a", "params": {"uri": "mem://a", "x": 1.0}}),
            json!({"uri": "mem://a"}),
        ),
        (
            Method::ReadResource,
            r#"{"uri":7}"#,
            "{}".into(),
            "resource_read",
            json!({"uri": "", "params": {"uri": 7}}),
            json!({"uri": ""}),
        ),
        (
            Method::ReadResource,
            r#"{"_meta":{}}"#,
            "{}".into(),
            "resource_read",
            json!({"uri": ""}),
            json!({"uri": ""}),
        ),
        (
            Method::GetPrompt,
            get,
            r#"{"messages":[{"text":"secret"}]}"#.into(),
            "prompt_get",
            json!({"name": "p", "params": {"q": "z"}}),
            json!({"name": "p"}),
        ),
        (
            Method::GetPrompt,
            r#"{"name":"p","arguments":[1]}"#,
            "{}".into(),
            "prompt_get",
            json!({"name": "p"}),
            json!({"name": "p"}),
        ),
    ];
    for (method, params, answer, kind, at_start, mut at_end) in table {
        let added = usize::from(method == LIST_TOOLS);
        let mut story = Story::new(Wire::W3, None);
        let start = story.tell(0, &asked(1, method, params));
        let end = story.tell(4, &answered(1, result(&answer), added));
        at_end["duration_ms"] = json!(4);
        assert_eq!(briefs(&start), [json!([format!("{kind}_start"), null, at_start])]);
        assert_eq!(brief(end.last().unwrap()), json!([format!("{kind}_end"), null, at_end]));
        assert_eq!(start[0].get("runtime_meta"), params.contains('k').then_some(&json!({"k": 1})));
        assert!(story.tell(0, &answered(1, result("{}"), 0)).is_empty(), "it ended before");
    }
}

#[test]
fn a_request_can_fail_in_every_way() {
    let told = [
        (Method::ListPrompts, json!({}), "prompt_list_error"),
        (Method::ListResources, json!({}), "resource_list_error"),
        (LIST_TOOLS, json!({}), "tool_list_error"),
        (Method::ReadResource, json!({"uri": ""}), "resource_read_error"),
        (Method::GetPrompt, json!({"name": ""}), "prompt_get_error"),
    ];
    let ends = [
        (Ended::Error { code: Some(-32002), error: bytes(r#"{"code":-32002}"#) }, "-32002"),
        (refused(-32600, Some("id_in_use")), "proxy_request_id_reused"),
        (refused(-32001, None), "-32001"),
        (Ended::Cancelled, "proxy_client_cancelled"),
        (Ended::Unanswered, "proxy_upstream_closed"),
    ];
    for (method, payload, kind) in told {
        for (end, error_type) in &ends {
            let mut story = Story::new(Wire::W3, None);
            story.tell(0, &asked(1, method, "{}"));
            let mut events = story.tell(2, &answered(1, end.clone(), 0));
            assert_eq!(events.len(), 1);
            assert_eq!(events[0]["event_type"], kind);
            let mut said = events.remove(0)["payload"].take();
            let body = said.as_object_mut().unwrap().remove("error_body").unwrap();
            assert!(body.is_string());
            let mut expected = payload.clone();
            expected["error_type"] = json!(error_type);
            expected["duration_ms"] = json!(2);
            assert_eq!(said, expected);
        }
        let mut story = Story::new(Wire::W3, None);
        story.tell(0, &asked(1, method, "{}"));
        assert_eq!(story.end(0)[0]["payload"]["error_type"], "proxy_upstream_closed");
    }
}

#[test]
fn what_no_event_is_for_is_not_told() {
    for method in [Method::Initialize, Method::Discover, Method::Listen, Method::Other] {
        let mut story = Story::new(Wire::W3, None);
        assert!(story.tell(0, &asked(1, method, "{}")).is_empty());
        assert!(story.tell(0, &answered(1, result(r#"{"serverInfo":{}}"#), 0)).is_empty());
        assert!(story.tell(0, &answered(2, Ended::Cancelled, 0)).is_empty());
        assert!(story.end(0).is_empty());
    }
}

#[test]
fn older_generations_are_told_of_calls_notes_and_offers_only() {
    let list = r#"{"tools":[]}"#;
    for (wire, told) in [
        (Wire::W1, &["tool_call_start", "tool_call_end"][..]),
        (Wire::W2, &["surface_snapshot", "tool_call_start", "tool_call_end"]),
        (
            Wire::W3,
            &[
                "tool_list_start",
                "surface_snapshot",
                "tool_list_end",
                "resource_read_start",
                "tool_call_start",
                "tool_call_end",
                "resource_read_error",
            ],
        ),
    ] {
        let mut story = Story::new(wire, None);
        story.tell(0, &asked(1, LIST_TOOLS, "{}"));
        story.tell(0, &answered(1, result(list), 0));
        story.tell(0, &asked(2, Method::ReadResource, "{}"));
        // The first intent is not made into a note, in any of them.
        let Happening::CallMade(call) = made(1, "t") else { unreachable!("it is one") };
        let said = Some(bytes(r#"{"user_goal":"g"}"#));
        story.tell(0, &Happening::CallMade(CallMade { said, ..call }));
        story.tell(0, &ended(1, result("{}")));
        story.end(0);
        let types: Vec<_> = story.events.iter().map(|event| &event["event_type"]).collect();
        assert_eq!(types, told);
        let numbers = story.events.iter().map(|event| event["sequence_number"].as_u64().unwrap());
        assert!(numbers.eq(0..told.len() as u64));
    }
}

#[test]
fn a_client_is_known_by_what_it_said_first() {
    let modern = |name: &str| {
        json!({"_meta": {"io.modelcontextprotocol/clientInfo": {"name": name, "version": "2"}}})
            .to_string()
    };
    let classic = |info: Value| json!({"clientInfo": info}).to_string();
    // requests with their params; agent_runtime, client_observed
    let table = [
        (Vec::new(), "mcp-proxy", Value::Null),
        (
            vec![(Method::Initialize, classic(json!({"name": "Lab", "version": "1"})))],
            "lab",
            json!({"info": {"name": "Lab", "version": "1"}}),
        ),
        (
            vec![(LIST_TOOLS, modern("Modern"))],
            "modern",
            json!({"info": {"name": "Modern", "version": "2"}}),
        ),
        (
            vec![(Method::Discover, modern("First")), (LIST_TOOLS, modern("Second"))],
            "first",
            json!({"info": {"name": "First", "version": "2"}}),
        ),
        (
            vec![
                (Method::Initialize, classic(json!({"name": " "}))),
                (Method::Initialize, classic(json!([]))),
                (Method::Initialize, classic(json!({"version": "3"}))),
            ],
            "mcp-proxy",
            json!({"info": {"version": "3"}}),
        ),
        (
            vec![(Method::Initialize, classic(json!({"name": "a@example.com"})))],
            "[REDACTED:email]",
            json!({"info": {"name": "[REDACTED:email]"}}),
        ),
    ];
    for (requests, runtime, observed) in table {
        let mut story = Story::new(Wire::W3, None);
        for (number, (method, params)) in (1..).zip(requests) {
            story.tell(0, &asked(number, method, &params));
        }
        let start = story.tell(0, &made(1, "t")).remove(0);
        assert_eq!(
            (&start["agent_runtime"], &start["client_observed"]),
            (&json!(runtime), &observed)
        );
    }
}

#[test]
fn a_call_of_the_era_without_handshake_says_who_made_it() {
    let mut story = Story::new(Wire::W3, None);
    let Happening::CallMade(call) = made(1, "t") else { unreachable!("it is one") };
    let meta = r#"{"io.modelcontextprotocol/clientInfo":{"name":"M"}}"#;
    let call = CallMade { meta: Some(bytes(meta)), ..call };
    let start = story.tell(0, &Happening::CallMade(call)).remove(0);
    assert_eq!(start["agent_runtime"], "m");
}
