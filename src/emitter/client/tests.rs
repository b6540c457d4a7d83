//! The client as a program uses it: what is told of calls and words, and what cannot be told.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

const SOON: Duration = Duration::from_mins(1);

fn file(home: &Path) -> String {
    format!("file://{}", home.join("e.jsonl").display())
}

fn client(home: &Path) -> Client {
    Client::builder().home(home).sink(file(home)).build().unwrap()
}

fn events(home: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(home.join("e.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[test]
fn a_call_is_told_with_its_intent_and_its_result() {
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    let call = client
        .trace("find", json!({"q": "mail bob@example.com"}))
        .intent("g")
        .expected("e")
        .workflow("1: w")
        .begin();
    call.succeeded([1, 2]);
    client.close_blocking(SOON);

    let events = events(home.path());
    assert_eq!(types(&events), ["tool_call_start", "tool_call_end"]);
    assert_eq!(
        events[0]["payload"],
        json!({
            "tool_name": "find",
            "params": {"q": "mail [REDACTED:email]"},
            "call_intent": "g",
            "call_expected": "e",
            "call_workflow": "1: w",
            "intent_source": "library_arg",
        })
    );
    assert_eq!(events[1]["payload"]["result"], json!([1, 2]));
    assert!(events[1]["payload"]["duration_ms"].is_u64());
    assert_eq!(events[0]["call_id"], events[1]["call_id"]);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
        assert_eq!(event["session_id"], client.session_id());
        assert_eq!(event["session_id_origin"], "minted");
        assert_eq!(event["transport_observed"], "library");
        assert_eq!(event["agent_runtime"], "unknown");
        assert_eq!(event["sdk_version"], concat!("thoth/", env!("CARGO_PKG_VERSION")));
    }
    let minted = client.session_id().strip_prefix("sdk-").unwrap();
    assert_eq!(uuid::Uuid::parse_str(minted).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn every_way_to_an_end_is_told_once() {
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    let ends = |events: &[Value]| -> Vec<Value> {
        let ends = events.iter().filter(|event| event["event_type"] != "tool_call_start");
        ends.map(|event| event["payload"].clone()).collect()
    };
    let trace = || client.trace("t", ());
    assert_eq!(trace().run(async { Ok::<_, String>(1) }).await, Ok(1));
    assert!(trace().run(async { "x".parse::<i32>() }).await.is_err());
    trace().begin().failed("timeout", "after 5 s");
    drop(trace().begin());
    drop(trace().run(std::future::pending::<Result<(), String>>())); // never began
    let cancelled = trace().run(std::future::pending::<Result<(), String>>());
    assert!(tokio::time::timeout(Duration::ZERO, cancelled).await.is_err());
    let panics =
        std::panic::AssertUnwindSafe(|| trace().observe(|| -> Result<(), String> { panic!() }));
    assert!(std::panic::catch_unwind(panics).is_err());
    let left = trace().begin();
    client.close(SOON).await;
    drop(left); // too late, and told at the close

    let events = events(home.path());
    let said: Vec<_> = ends(&events)
        .iter()
        .map(|end| end["error_type"].as_str().unwrap_or("-").to_owned())
        .collect();
    let expected = ["-", "ParseIntError", "timeout", ABANDONED, ABANDONED, PANICKED, ABANDONED];
    assert_eq!(said, expected);
    assert_eq!(ends(&events)[2]["error_body"], "after 5 s");
    assert_eq!(events.len(), 2 * expected.len());
}

#[tokio::test]
async fn what_cannot_be_told_is_left_out_and_nothing_else() {
    struct Unwritable;
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    client.trace("t", Unwritable).begin().succeeded(Unwritable);
    client.trace("t", "alone").begin().succeeded("x".repeat(crate::spool::MAX_EVENT));
    client.trace("t", ()).begin().succeeded(f64::NAN);
    client.flush(SOON).await;
    let events = events(home.path());
    let payloads: Vec<_> = events.iter().map(|event| &event["payload"]).collect();
    assert_eq!(payloads[0]["params"], json!({"[left out]": "[too much to tell]"}));
    assert_eq!(payloads[2]["params"], json!({"value": "alone"}));
    assert_eq!(payloads[4]["params"], json!({}));
    for end in [1, 3] {
        assert_eq!(payloads[end]["result_capture"], "off");
    }
    assert_eq!(payloads[5]["result"], Value::Null);
}

#[test]
fn an_annotation_says_what_was_said() {
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    client.annotate(
        Annotation::report("h")
            .intent("i")
            .signal(Signal::DeadEnd)
            .suggested_improvement("s")
            .tool("t")
            .context("plan", [1])
            .context("confidence_in_intent", "high"),
    );
    client.annotate(Annotation::note("i").expected_outcome("e").workflow("w"));
    client.close_blocking(SOON);
    let events = events(home.path());
    assert_eq!(types(&events), ["annotation"; 2]);
    assert_eq!(
        events[0]["payload"],
        json!({
            "intent": "i",
            "what_happened": "h",
            "signal_type": "dead_end",
            "suggested_improvement": "s",
            "context": {"plan": [1], "confidence_in_intent": "high"},
            "tool_name": "t",
        })
    );
    let note = json!({"intent": "i", "expected_outcome": "e", "workflow": "w"});
    assert_eq!(events[1]["payload"], note);
}

#[test]
fn many_threads_tell_one_gapless_stream() {
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let client = client.clone();
                for nth in 0..50 {
                    client.trace("t", json!({"nth": nth})).begin().succeeded(nth);
                }
            });
        }
    });
    client.close_blocking(SOON);
    let events = events(home.path());
    assert_eq!(events.len(), 800);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert!(events.is_sorted_by_key(|event| event["captured_at"].as_str().unwrap()));
    let mut ids: Vec<_> = events.iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 800);
}

#[test]
fn the_last_that_is_dropped_sends_what_waits() {
    let home = tempfile::tempdir().unwrap();
    let client = client(home.path());
    let other = client.clone();
    client.annotate(Annotation::note("i"));
    drop(client);
    other.annotate(Annotation::note("j"));
    drop(other);
    assert_eq!(events(home.path()).len(), 2);
}

#[test]
fn labels_are_those_that_were_given() {
    let home = tempfile::tempdir().unwrap();
    let client = Client::builder()
        .home(home.path())
        .sink(file(home.path()))
        .tenant("acme")
        .vendor("files")
        .consent("yes")
        .session_id("s-1")
        .agent("Lab", "2")
        .principal(Principal::new("jane", Form::Raw).unwrap())
        .scrub_rules("[[rule]]\nname = \"badge\"\npattern = \"B-[0-9]+\"\n")
        .build()
        .unwrap();
    client.trace("t", json!({"badge": "B-17"})).begin().succeeded("of B-17");
    client.close_blocking(SOON);
    let event = &events(home.path())[1];
    for (name, value) in [
        ("tenant_id", json!("acme")),
        ("vendor_id", json!("files")),
        ("consent_token", json!("yes")),
        ("session_id", json!("s-1")),
        ("session_id_origin", json!("observed")),
        ("agent_runtime", json!("lab")),
        ("client_observed", json!({"info": {"name": "Lab", "version": "2"}})),
        ("principal", json!({"id": "jane", "source": "asserted", "form": "raw"})),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert_eq!(event["payload"]["result"], "of [REDACTED:badge]");
}

#[test]
fn older_generations_are_told_too() {
    for (wire, has_vendor) in [(Wire::W1, false), (Wire::W2, true)] {
        let home = tempfile::tempdir().unwrap();
        let builder = Client::builder().home(home.path()).sink(file(home.path())).wire(wire);
        let client = builder.build().unwrap();
        client.trace("t", ()).intent("g").begin().succeeded(1);
        client.close_blocking(SOON);
        let events = events(home.path());
        assert_eq!(events[0].get("vendor_id").is_some(), has_vendor);
        assert!(events[0].get("call_id").is_none());
    }
}

#[test]
fn a_collector_needs_consent_vendor_and_key_in_any_spelling() {
    let home = tempfile::tempdir().unwrap();
    let builder = || Client::builder().home(home.path()).sink("HTTPS://c.example");
    let said = |builder: Builder| builder.build().map(drop).unwrap_err().to_string();
    let bare = said(builder());
    for name in ["BATON_CONSENT_TOKEN", "BATON_VENDOR_ID", "BATON_API_KEY"] {
        assert!(bare.contains(name), "{bare}");
    }
    let hidden = format!("{:?}", builder().api_key("hidden-key").consent("hidden-token"));
    assert!(hidden.contains("BATON_API_KEY") && !hidden.contains("hidden"), "{hidden}");
    let half = said(builder().consent("Local").vendor("files").api_key("k"));
    assert!(half.contains("BATON_CONSENT_TOKEN") && !half.contains("BATON_VENDOR_ID"), "{half}");
    assert!(builder().consent("yes").vendor("files").api_key("k").build().is_ok());
    for place in ["ftp://c.example", "http://c.example", "file:x"] {
        let error = said(Client::builder().home(home.path()).sink(place));
        assert!(error.contains("BATON_EVENT_SINK") && !error.contains(place), "{error}");
    }
    let rules = Client::builder().home(home.path()).scrub_rules("[[rule]]").build();
    assert!(matches!(rules, Err(ClientError::Rules(_))));
}

#[test]
fn events_go_to_a_file_of_thoths_where_nothing_else_is_said() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().join("thoth");
    let client = Client::builder().home(&home).build().unwrap();
    assert!(!home.exists());
    client.trace("t", ()).begin().succeeded(1);
    client.close_blocking(SOON);
    let text = std::fs::read_to_string(home.join("friction/events.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert_eq!(client.telling().events, 2);
}

#[test]
fn a_client_may_be_kept_anywhere() {
    fn is_free<T: Clone + Send + Sync + 'static>() {}
    fn can_move<T: Send + 'static>() {}
    is_free::<Client>();
    can_move::<Call>();
    can_move::<Trace>();
}
