//! Friction around a real session: what is added, what is told, and what is left alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::sidecar::{Setup, Sidecar, answers, call, lines, said};

/// A server with one tool, which writes down what it reads.
const SERVER: &str = r#"
while read -r line; do
  printf '%s\n' "$line" >> "$0"
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"},"instructions":"Be kind."}' ;;
    *'"tools/list"'*) result='{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"x":{"type":"string"}}}}]}' ;;
    *) result='{"content":[]}' ;;
  esac
  if [ -n "$id" ]; then printf '{"jsonrpc": "2.0","id":%s,"result":%s}\n' "$id" "$result"; fi
done
"#;

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"Tester","version":"2"}}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;

fn setup() -> Setup {
    let setup = Setup::deciding(&[("block", "refused")], "allow");
    let seen = setup.home.path().join("seen").to_str().unwrap().to_owned();
    setup.server(&["sh", "-c", SERVER, &seen])
}

/// What the server answers where nobody stands before it.
fn alone(input: &str) -> Vec<u8> {
    let seen = tempfile::NamedTempFile::new().unwrap();
    let mut server = Command::new("sh")
        .args(["-c", SERVER, seen.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut server.stdin.take().unwrap(), input.as_bytes()).unwrap();
    server.wait_with_output().unwrap().stdout
}

fn own_file(setup: &Setup) -> PathBuf {
    setup.home.path().join("home/friction/events.jsonl")
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

/// Waits until the server has read a call, and then some signal ends the session.
fn ended_by(setup: &Setup, mut sidecar: Sidecar, signal: Signal) {
    while !setup.seen().contains("tools/call") {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(i32::try_from(sidecar.process.id()).unwrap()), signal).unwrap();
    sidecar.process.wait().unwrap();
}

#[test]
fn what_is_off_changes_no_byte_and_makes_nothing() {
    let input =
        [INITIALIZE, LIST, &call(3, "echo", r#"{"x":"1", "user_goal":"g"}"#), ""].join("\n");
    let expected = alone(&input);
    let elsewhere = tempfile::tempdir().unwrap();
    let place = format!("file://{}/e.jsonl", elsewhere.path().display());
    let sink = ("BATON_EVENT_SINK", &*place);
    let cases: [(&[&str], Variables<'_>); 5] = [
        (&[], &[]),
        (&["--friction", "off"], &[sink]),
        (&[], &[sink, ("THOTH_FRICTION", "OFF")]),
        (&[], &[sink, ("BATON_DISABLED", "1")]),
        (&["--friction", "on"], &[("BATON_DISABLED", "yes")]),
    ];
    for (flags, variables) in cases {
        let setup = variables
            .iter()
            .fold(setup().flags(flags), |setup, (name, value)| setup.variable(name, value));
        let output = setup.pipe(input.as_bytes());
        assert_eq!(output.stdout, expected, "{flags:?} {variables:?}: {}", said(&output));
        assert_eq!(setup.seen(), input);
        assert!(!own_file(&setup).parent().unwrap().exists());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}

#[test]
fn events_alone_change_no_byte_either() {
    let input = [INITIALIZE, LIST, &call(3, "echo", r#"{"x":"1"}"#), ""].join("\n");
    let setup = setup().flags(&["--friction", "events"]);
    let output = setup.pipe(input.as_bytes());
    assert_eq!(output.stdout, alone(&input), "{}", said(&output));
    assert_eq!(setup.seen(), input);
    assert!(types(&lines(&own_file(&setup))).contains(&"tool_call_end"));
}

#[test]
fn a_session_that_says_nothing_leaves_nothing() {
    let setup = setup().flags(&["--friction", "on"]);
    assert_eq!(setup.start().ends(), 0);
    assert!(!own_file(&setup).parent().unwrap().exists());
}

#[test]
fn a_session_is_told_and_its_agent_is_heard() {
    let setup = setup().flags(&["--friction", "on"]);
    let mut sidecar = setup.start();
    sidecar.says(INITIALIZE);
    let instructions = sidecar.reads()["result"]["instructions"].as_str().unwrap().to_owned();
    assert!(instructions.starts_with("Be kind. "), "{instructions}");
    assert!(instructions.contains("baton_annotate"));
    assert!(instructions.contains(own_file(&setup).to_str().unwrap()));

    sidecar.says(LIST);
    let list = sidecar.reads();
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "baton_annotate", "baton_session_report"]);

    sidecar.says(&call(3, "echo", r#"{"x":"a@b.example","user_goal":"to hear it"}"#));
    assert!(sidecar.reads()["result"]["content"].is_array());
    sidecar.says(&call(4, "refused", "{}"));
    assert_eq!(sidecar.reads()["error"]["code"], -32001);
    sidecar.says(&call(5, "baton_annotate", r#"{"user_goal":"g","what_happened":"w"}"#));
    let thanks = sidecar.reads();
    assert!(thanks["result"]["content"][0]["text"].is_string(), "{thanks}");
    sidecar.says(&call(6, "baton_session_report", "{}"));
    let report = sidecar.reads();
    let text = report["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("echo") && text.contains("refused"), "{text}");
    assert!(text.contains("the test says so"), "why, from the journal: {text}");
    assert_eq!(sidecar.ends(), 0);

    let seen = setup.seen();
    assert!(seen.contains(r#""arguments":{"x":"a@b.example"}"#), "{seen}");
    assert!(!seen.contains("baton_") && !seen.contains("user_goal"), "{seen}");

    let file = own_file(&setup);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let events = lines(&file);
    let told = types(&events);
    for wanted in [
        "tool_list_start",
        "surface_snapshot",
        "tool_list_end",
        "tool_call_start",
        "tool_call_end",
        "tool_call_error",
        "annotation",
    ] {
        assert!(told.contains(&wanted), "{wanted}: {told:?}");
    }
    let numbers: Vec<_> = events.iter().map(|it| it["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert!(!fs::read_to_string(&file).unwrap().contains("a@b.example"), "scrubbed");

    // The journal is the stream of decisions: its records name calls as events do.
    let records = lines(&setup.journals()[0]);
    let decided = |word: &str| {
        let found = records.iter().find(|record| record["decision"] == word).unwrap();
        found["call_id"].as_str().unwrap().to_owned()
    };
    let of_tool = |tool: &str| {
        let of_call = |event: &&Value| event["payload"]["tool_name"] == tool;
        let ids: Vec<_> = events.iter().filter(of_call).map(|it| it["call_id"].clone()).collect();
        assert_eq!(ids.len(), 2, "{tool} begins and ends");
        assert_eq!(ids[0], ids[1]);
        ids[0].as_str().unwrap().to_owned()
    };
    assert_eq!(of_tool("echo"), decided("allow"));
    assert_eq!(of_tool("refused"), decided("block"));
    let outcome = records.iter().find(|record| record["kind"] == "outcome").unwrap();
    assert_eq!(outcome["call_id"], *decided("allow"));
}

#[test]
fn a_session_that_a_signal_ends_is_told_to_its_end() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let setup = setup().flags(&["--friction", "on"]);
        let seen = setup.home.path().join("seen").to_str().unwrap().to_owned();
        let script = "read -r line; printf '%s\\n' \"$line\" >> \"$0\"; exec sleep 300";
        let setup = setup.server(&["sh", "-c", script, &seen]);
        let mut sidecar = setup.start();
        sidecar.says(&call(1, "echo", "{}"));
        ended_by(&setup, sidecar, signal);
        let events = lines(&own_file(&setup));
        assert_eq!(types(&events), ["tool_call_start", "tool_call_error"], "{signal}");
        assert_eq!(events[0]["call_id"], events[1]["call_id"]);
    }
}

#[test]
fn what_cannot_be_used_is_told_at_once_and_nothing_is_started() {
    let sink = |place: &'static str| ("BATON_EVENT_SINK", place);
    let cases: [(Variables<'_>, &[&str]); 9] = [
        (
            &[sink("HTTP://127.0.0.1:9")],
            &["BATON_CONSENT_TOKEN: is", "BATON_VENDOR_ID: is", "BATON_API_KEY: is"],
        ),
        (&[sink("HtTpS://c.example"), ("BATON_CONSENT_TOKEN", "LOCAL")], &["BATON_CONSENT_TOKEN:"]),
        (&[sink("http://c.example")], &["BATON_EVENT_SINK:"]),
        (&[sink("S3://bucket")], &["BATON_"]),
        (&[sink("OtlpS://c.example")], &["BATON_"]),
        (&[sink("nowhere")], &["BATON_EVENT_SINK:"]),
        (&[("THOTH_FRICTION", "perhaps")], &["THOTH_FRICTION:"]),
        (
            &[
                ("THOTH_FRICTION", "on"),
                ("BATON_WIRE", "w4"),
                ("BATON_INTENT_PARAM", "x"),
                ("BATON_PROACTIVE", "x"),
                ("BATON_TENANT_TYPE", "x"),
            ],
            &["BATON_WIRE:", "BATON_INTENT_PARAM:", "BATON_PROACTIVE:", "BATON_TENANT_TYPE:"],
        ),
        (
            &[("THOTH_FRICTION", "on"), ("BATON_SCRUB_RULES", "/nowhere/rules.toml")],
            &["BATON_SCRUB_RULES: names no file"],
        ),
    ];
    for (variables, told) in cases {
        let setup =
            variables.iter().fold(setup(), |setup, (name, value)| setup.variable(name, value));
        let output = setup.pipe(call(1, "echo", "{}").as_bytes());
        assert_eq!(output.status.code(), Some(78), "{variables:?}");
        assert_eq!((output.stdout.as_slice(), &*setup.seen()), (&b""[..], ""), "{variables:?}");
        for told in told {
            assert!(said(&output).contains(told), "{told}: {}", said(&output));
        }
    }
}

#[test]
fn what_is_said_to_thoth_does_not_reach_the_server() {
    let setup = setup()
        .flags(&["--friction", "on"])
        .variable("BATON_EVENT_SINK", "stderr:")
        .variable("BATON_API_KEY", "hidden")
        .variable("Baton_Whatever", "hidden")
        .variable("thoth_friction", "hidden")
        .variable("THOTH_FRICTION", "on")
        .variable("XBATON_FOO", "kept")
        .variable("AWS_PROFILE", "kept");
    let seen = setup.home.path().join("seen").to_str().unwrap().to_owned();
    let setup = setup.server(&["sh", "-c", "env > \"$0\"; cat > /dev/null", &seen]);
    assert_eq!(setup.start().ends(), 0);
    let environment = setup.seen().to_ascii_uppercase();
    let ours = |line: &&str| line.starts_with("BATON_") || line.starts_with("THOTH_");
    assert_eq!(environment.lines().find(ours), None);
    assert!(environment.contains("XBATON_FOO=KEPT") && environment.contains("AWS_PROFILE=KEPT"));
}

#[test]
fn a_sink_that_cannot_be_written_costs_no_call() {
    let setup = setup()
        .flags(&["--friction", "on"])
        .variable("BATON_EVENT_SINK", "file:///nowhere/at/all/e.jsonl");
    let output = setup.pipe(format!("{}\n", call(1, "echo", "{}")).as_bytes());
    assert!(answers(&output)[0]["result"].is_object());
    assert_eq!(output.status.code(), Some(0));
}
