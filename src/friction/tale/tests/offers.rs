//! What a server offers, told once, whole, and at its place.

use super::*;
use crate::friction::inject::words::Words;
use crate::friction::inject::{Additions, Mode};
use crate::friction::surface::Offer;

fn list(cursor: Option<&str>) -> String {
    cursor.map_or_else(|| "{}".to_owned(), |cursor| json!({"cursor": cursor}).to_string())
}

/// One page, asked for and answered; the types of the events that tell it.
fn page(story: &mut Story, number: u64, cursor: Option<&str>, answer: &Value) -> Vec<String> {
    ask(story, number, cursor);
    answer_to(story, number, answer)
}

fn ask(story: &mut Story, number: u64, cursor: Option<&str>) {
    let method = Method::ListTools { first: cursor.is_none() };
    story.tell(0, &asked(number, method, &list(cursor)));
}

fn answer_to(story: &mut Story, number: u64, answer: &Value) -> Vec<String> {
    let told = story.tell(0, &answered(number, result(&answer.to_string()), 0));
    told.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

fn greet(story: &mut Story, method: Method, answer: &str) {
    story.tell(0, &asked(99, method, "{}"));
    story.tell(0, &answered(99, result(answer), 0));
}

fn snapshots(story: &Story) -> Vec<&Value> {
    let is_one = |event: &&Value| event["event_type"] == "surface_snapshot";
    story.events.iter().filter(is_one).map(|event| &event["payload"]).collect()
}

const TOLD: [&str; 2] = ["surface_snapshot", "tool_list_end"];
const END: [&str; 1] = ["tool_list_end"];

#[test]
fn an_offer_is_told_with_what_was_added_and_hashed_without() {
    let greeting = r#"{"protocolVersion":"1","serverInfo":{"name":"x"},"capabilities":{"tools":{}},"instructions":"h\u00e9llo"}"#;
    let tools = r#"[{"name":"t","x":1.0},{"name":"baton_annotate"}]"#;
    let nothing = json!({"injected_tools": [], "intent_param": null, "instructions_suffix": false});
    let names = ["expected_result", "overall_task", "user_goal"];
    let added =
        |mode, report| Some(Additions { words: Words::default(), mode, proactive: false, report });
    let table = [
        (None, nothing),
        (
            // The server has the other tool itself.
            added(Mode::Required, true),
            json!({"injected_tools": ["baton_session_report"], "instructions_suffix": true,
                "intent_param": {"names": names, "required_names": names, "mode": "required"}}),
        ),
        (
            added(Mode::Optional, false),
            json!({"injected_tools": [], "instructions_suffix": true,
                "intent_param": {"names": names, "required_names": [], "mode": "optional"}}),
        ),
        (
            added(Mode::Off, false),
            json!({"injected_tools": [], "instructions_suffix": true, "intent_param": null}),
        ),
    ];
    let hash = Offer {
        server_info: Some(br#"{"name":"x"}"#),
        capabilities: Some(br#"{"tools":{}}"#),
        instructions: Some("\"h\u{e9}llo\"".as_bytes()),
        tools: &[br#"{"x":1.0,"name":"t"}"#, br#"{"name":"baton_annotate"}"#],
    };
    for (additions, said) in table {
        let mut story = Story::new(Wire::W3, additions);
        greet(&mut story, Method::Initialize, greeting);
        ask(&mut story, 1, None);
        story.tell(0, &answered(1, result(&format!(r#"{{"tools":{tools}}}"#)), 0));
        assert_eq!(
            snapshots(&story),
            [&json!({
                "surface_hash": hash.hash().unwrap(),
                "server_info": {"name": "x"},
                "capabilities": {"tools": {}},
                "instructions": "héllo",
                "tools": serde_json::from_str::<Value>(tools).unwrap(),
                "seam_augmentations": said,
            })]
        );
    }
}

#[test]
fn without_a_greeting_the_tools_are_the_offer() {
    let additions =
        Additions { words: Words::default(), mode: Mode::Off, proactive: true, report: false };
    let mut story = Story::new(Wire::W3, Some(additions));
    assert_eq!(page(&mut story, 1, None, &json!({"tools": []})), TOLD);
    assert_eq!(
        snapshots(&story),
        [&json!({
            "surface_hash":
                "sha256:5ac478ee66ece169ea0e6c3bd54ef5617fd6a888b5bb48ad2751dcfcb8327348",
            "tools": [],
            "seam_augmentations": {
                "injected_tools": ["baton_annotate"],
                "intent_param": null,
                "instructions_suffix": false,
            },
        })]
    );
}

#[test]
fn a_server_names_itself_in_either_era() {
    let table = [
        (Method::Initialize, r#"{"serverInfo":{"name":"x"}}"#, json!({"name": "x"})),
        (
            Method::Discover,
            r#"{"supportedVersions":[],"serverInfo":{"name":"x"}}"#,
            json!({"name": "x"}),
        ),
        (
            Method::Discover,
            r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}},"instructions":7}"#,
            json!({"name": "x"}),
        ),
        (Method::Initialize, r#"{"serverInfo":"x","capabilities":[]}"#, Value::Null),
        (Method::Initialize, "NaN", Value::Null),
    ];
    for (method, greeting, named) in table {
        let mut story = Story::new(Wire::W3, None);
        greet(&mut story, method, greeting);
        page(&mut story, 1, None, &json!({"tools": []}));
        let told = snapshots(&story)[0];
        assert_eq!(told["server_info"], named);
        // It can be recomputed from what was told.
        let named = named.to_string();
        let offer = Offer { server_info: Some(named.as_bytes()), ..Offer::default() };
        assert_eq!(told["surface_hash"], offer.hash().unwrap());
    }
}

#[test]
fn each_distinct_offer_is_told_once() {
    let mut story = Story::new(Wire::W3, None);
    let (a, b) = (json!({"tools": [{"name": "a"}]}), json!({"tools": [{"name": "b"}]}));
    assert_eq!(page(&mut story, 1, None, &a), TOLD);
    assert_eq!(page(&mut story, 2, None, &a), END);
    assert_eq!(page(&mut story, 3, None, &b), TOLD);
    assert_eq!(page(&mut story, 4, None, &a), END);
    greet(&mut story, Method::Initialize, r#"{"instructions":"new"}"#);
    assert_eq!(page(&mut story, 5, None, &a), TOLD);
    // What was left out on the way says nothing.
    greet(&mut story, Method::Initialize, "");
    assert_eq!(page(&mut story, 6, None, &a), END);
}

#[test]
fn pages_are_one_offer_told_with_the_last() {
    let mut story = Story::new(Wire::W3, None);
    let first = json!({"tools": [{"name": "a"}], "nextCursor": "2"});
    let second = json!({"tools": [{"name": "b"}], "nextCursor": 3});
    let third = json!({"tools": [{"name": "c"}], "nextCursor": ""});
    assert_eq!(page(&mut story, 1, None, &first), END);
    assert_eq!(page(&mut story, 2, Some("2"), &second), END);
    story.tell(0, &asked(3, Method::ListTools { first: false }, r#"{"cursor":3}"#));
    assert_eq!(answer_to(&mut story, 3, &third), TOLD);
    assert_eq!(snapshots(&story)[0]["tools"], json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    // In one page it is the same offer.
    let whole = json!({"tools": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "nextCursor": null});
    assert_eq!(page(&mut story, 4, None, &whole), END);
}

#[test]
fn pages_of_other_lists_are_not_mixed_in() {
    let first = json!({"tools": [{"name": "a"}], "nextCursor": "2"});
    let last = json!({"tools": [{"name": "b"}]});
    // A page out of nowhere, and one whose cursor nobody named.
    let mut story = Story::new(Wire::W3, None);
    assert_eq!(page(&mut story, 1, Some("2"), &last), END);
    page(&mut story, 2, None, &first);
    assert_eq!(page(&mut story, 3, Some("x"), &last), END);
    // The list goes on all the same; the same page again is none.
    assert_eq!(page(&mut story, 4, Some("2"), &last), TOLD);
    assert_eq!(page(&mut story, 5, Some("2"), &last), END);

    // The list is begun anew while the second page of the old one is on its way.
    let mut story = Story::new(Wire::W3, None);
    page(&mut story, 1, None, &first);
    ask(&mut story, 2, Some("2"));
    page(&mut story, 3, None, &first);
    assert_eq!(answer_to(&mut story, 2, &json!({"tools": [{"name": "old"}]})), END);
    assert_eq!(page(&mut story, 4, Some("2"), &last), TOLD);

    // A page that is asked for twice counts once.
    let mut story = Story::new(Wire::W3, None);
    page(&mut story, 1, None, &first);
    ask(&mut story, 2, Some("2"));
    ask(&mut story, 3, Some("2"));
    assert_eq!(answer_to(&mut story, 2, &first), END);
    assert_eq!(answer_to(&mut story, 3, &last), END);
    assert_eq!(page(&mut story, 4, Some("2"), &last), TOLD);
    assert_eq!(snapshots(&story)[0]["tools"].as_array().unwrap().len(), 3);

    // A page that fails ends nothing but itself.
    let mut story = Story::new(Wire::W3, None);
    page(&mut story, 1, None, &first);
    ask(&mut story, 2, Some("2"));
    story.tell(0, &answered(2, Ended::Cancelled, 0));
    assert_eq!(page(&mut story, 3, Some("2"), &last), TOLD);
}

#[test]
fn an_offer_that_is_too_large_or_no_json_is_not_told() {
    let mut story = Story::new(Wire::W3, None);
    let large = "x".repeat(survey::MOST_BYTES);
    assert_eq!(page(&mut story, 1, None, &json!({"tools": [{"name": large}]})), END);
    let half = "x".repeat(survey::MOST_BYTES / 2);
    let next = json!({"tools": [{"name": half}], "nextCursor": "2"});
    page(&mut story, 2, None, &next);
    assert_eq!(page(&mut story, 3, Some("2"), &next), END);
    assert_eq!(page(&mut story, 4, Some("2"), &json!({"tools": []})), END);

    let endless = json!({"tools": [], "nextCursor": "2"});
    page(&mut story, 5, None, &endless);
    for number in 0..survey::MOST_PAGES as u64 {
        page(&mut story, 6 + number, Some("2"), &endless);
    }
    assert_eq!(page(&mut story, 5000, Some("2"), &json!({"tools": []})), END);

    for tools in ["[NaN]", r#"["\ud800"]"#, r#"[{"a":NaN}]"#, "7", r#"[{"a":"\ud800"}]"#] {
        ask(&mut story, 6000, None);
        let told = story.tell(0, &answered(6000, result(&format!(r#"{{"tools":{tools}}}"#)), 0));
        let offers = told.iter().filter(|event| event["event_type"] == "surface_snapshot").count();
        // What is no object is no tool.
        assert_eq!(offers, usize::from(tools == "[NaN]"), "{tools}");
    }
    assert_eq!(snapshots(&story).len(), 1);
}

#[test]
fn a_server_that_changes_all_the_time_is_told_of_so_often_and_no_more() {
    let mut story = Story::new(Wire::W3, None);
    for nth in 0..=survey::MOST_OFFERS as u64 {
        page(&mut story, nth, None, &json!({"tools": [{"name": nth.to_string()}]}));
    }
    assert_eq!(snapshots(&story).len(), survey::MOST_OFFERS);
}
