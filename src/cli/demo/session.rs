//! One session of calls, each compared with what the policy says about it.
//!
//! The policy is asked in this process, and again, by the sidecar, in another; then the server's
//! witness is read. Only when all three agree was a call dealt with as decided. The comparison is
//! pure, so that the tests can play every disagreement through.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::{Client, Ended, Reply, Tool};
use crate::gate::verdict::{Calls, Effect, Facts, Judge, Verdict};

/// A call to make.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) tool: String,
    /// The text of one JSON object.
    pub(super) arguments: String,
    /// What the demonstration promises, as [`Effect::word`] has it. `None` around a server that it
    /// does not know.
    pub(super) promised: Option<&'static str>,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) tool: String,
    pub(super) arguments: String,
    /// What the policy says.
    pub(super) verdict: Verdict,
    /// The code of the refusal, or of the server's own error.
    pub(super) code: Option<i64>,
    /// From writing the call to reading its answer.
    pub(super) took: Duration,
    /// What was not as decided.
    pub(super) wrong: Vec<String>,
}

/// A call that reached the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) tool: String,
    pub(super) arguments: Value,
}

/// Makes the calls, one after the other.
pub(super) fn play<W: Write>(
    client: &mut Client<W>,
    judge: &impl Judge,
    tools: &[Tool],
    steps: Vec<Step>,
) -> Result<Vec<Row>, Ended> {
    let mut calls = Calls::default();
    let mut rows = Vec::new();
    for step in steps {
        let listed = tools.iter().find(|tool| tool.name == step.tool);
        let verdict = judge.judge(&Facts {
            tool: &step.tool,
            arguments: &step.arguments,
            annotations: listed.and_then(|tool| tool.annotations.as_deref()),
            calls: &calls,
        });
        let started = Instant::now();
        let reply = client.call(&step.tool, &step.arguments)?;
        let took = started.elapsed();
        if forwards(&verdict.effect) {
            calls.add(&Arc::from(step.tool.as_str()));
        }
        rows.push(Row {
            wrong: broken_promise(&step, &verdict)
                .into_iter()
                .chain(disagreement(&verdict, &reply))
                .collect(),
            code: match reply {
                Reply::Error { code, .. } => Some(code),
                Reply::Result(_) => None,
            },
            tool: step.tool,
            arguments: step.arguments,
            verdict,
            took,
        });
    }
    Ok(rows)
}

/// Compares what the server was sent with what should have reached it: every call that goes on, in
/// order, with its own arguments or those of a modify, and nothing else.
pub(super) fn compare_with_witness(rows: &mut [Row], seen: &[Seen]) -> Option<String> {
    let mut seen = seen.iter();
    for row in rows.iter_mut().filter(|row| forwards(&row.verdict.effect)) {
        let arguments = match &row.verdict.effect {
            Effect::Modify(arguments) => arguments.as_str(),
            Effect::Allow | Effect::Block | Effect::Defer(_) | Effect::StepUp(_) => &row.arguments,
        };
        match seen.next() {
            Some(call) if call.tool == row.tool && is_text_of(&call.arguments, arguments) => {}
            Some(call) => {
                row.wrong.push(format!("the server saw `{}` with {}", call.tool, call.arguments));
            }
            None => row.wrong.push("the server never saw it".to_owned()),
        }
    }
    let extra: Vec<_> = seen.map(|call| format!("`{}`", call.tool)).collect();
    (!extra.is_empty()).then(|| format!("the server also saw {}", extra.join(", ")))
}

/// The calls among the lines that a witness wrote down.
pub(super) fn calls_in(witness: &[u8]) -> Vec<Seen> {
    let lines = witness.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["method"] == "tools/call")
        .map(|message| Seen {
            tool: message["params"]["name"].as_str().unwrap_or_default().to_owned(),
            arguments: message["params"]["arguments"].clone(),
        })
        .collect()
}

/// Whether a call with this effect goes on to the server.
pub(super) fn forwards(effect: &Effect) -> bool {
    match effect {
        Effect::Allow | Effect::Modify(_) => true,
        Effect::Block | Effect::Defer(_) | Effect::StepUp(_) => false,
    }
}

fn is_text_of(value: &Value, text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|parsed| parsed == *value)
}

fn broken_promise(step: &Step, verdict: &Verdict) -> Option<String> {
    let promised = step.promised?;
    let word = verdict.effect.word();
    (word != promised).then(|| format!("the policy says {word}, the demonstration {promised}"))
}

/// What the answer says against the verdict.
fn disagreement(verdict: &Verdict, reply: &Reply) -> Option<String> {
    let expected = match &verdict.effect {
        Effect::Allow | Effect::Modify(_) => None,
        Effect::Block => Some((-32001, "BLOCK")),
        Effect::Defer(_) => Some((-32001, "DEFER")),
        Effect::StepUp(_) => Some((-32002, "STEP_UP")),
    };
    // A server may answer with these codes, too; ours are the ones that come with a decision.
    let refusal = match reply {
        Reply::Error { code, data, .. } => data["decision"].as_str().map(|word| (*code, word)),
        Reply::Result(_) => None,
    };
    match (expected, refusal) {
        _ if expected == refusal => None,
        (_, Some((code, word))) => Some(format!("it was answered with {code}, {word}")),
        (_, None) => Some("it was not refused".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::demo::client::lines;
    use crate::gate::verdict::{Arguments, Grounds};

    fn says(effect: Effect) -> Verdict {
        Verdict { effect, grounds: Grounds::default() }
    }

    fn modify(arguments: &str) -> Effect {
        Effect::Modify(Arguments::parse(arguments).unwrap())
    }

    fn refused(code: i64, decision: &str) -> Reply {
        Reply::Error { code, message: String::new(), data: json!({ "decision": decision }) }
    }

    fn row(tool: &str, arguments: &str, effect: Effect) -> Row {
        Row {
            tool: tool.to_owned(),
            arguments: arguments.to_owned(),
            verdict: says(effect),
            code: None,
            took: Duration::ZERO,
            wrong: Vec::new(),
        }
    }

    fn seen(tool: &str, arguments: Value) -> Seen {
        Seen { tool: tool.to_owned(), arguments }
    }

    #[test]
    fn each_verdict_has_one_answer() {
        let replies = [
            Reply::Result(json!({})),
            refused(-32001, "BLOCK"),
            refused(-32001, "DEFER"),
            refused(-32002, "STEP_UP"),
            refused(-32002, "BLOCK"),
        ];
        let cases = [
            (Effect::Allow, 0),
            (modify("{}"), 0),
            (Effect::Block, 1),
            (Effect::Defer(Some(Duration::from_secs(1))), 2),
            (Effect::StepUp(None), 3),
        ];
        for (effect, right) in cases {
            for (at, reply) in replies.iter().enumerate() {
                let wrong = disagreement(&says(effect.clone()), reply);
                assert_eq!(wrong.is_none(), at == right, "{effect:?}, {reply:?}: {wrong:?}");
            }
        }
    }

    #[test]
    fn an_error_of_the_server_is_no_refusal() {
        let error =
            Reply::Error { code: -32001, message: "timed out".to_owned(), data: Value::Null };
        assert_eq!(disagreement(&says(Effect::Allow), &error), None);
        assert_eq!(
            disagreement(&says(Effect::Block), &error).as_deref(),
            Some("it was not refused")
        );
    }

    #[test]
    fn what_reached_the_server_is_what_was_to_reach_it() {
        let fresh = || {
            [
                row("read", r#"{"n":1}"#, Effect::Allow),
                row("run", "{}", Effect::Block),
                row("query", r#"{"limit":5000}"#, modify(r#"{"limit": 100}"#)),
            ]
        };
        let read = seen("read", json!({"n": 1}));
        let query = seen("query", json!({"limit": 100}));
        let run = seen("run", json!({}));

        let mut rows = fresh();
        assert_eq!(compare_with_witness(&mut rows, &[read.clone(), query.clone()]), None);
        assert!(rows.iter().all(|row| row.wrong.is_empty()));

        let mut rows = fresh();
        let extra = compare_with_witness(&mut rows, &[read.clone(), query, run]);
        assert_eq!(extra.as_deref(), Some("the server also saw `run`"));

        let mut rows = fresh();
        let unchanged = seen("query", json!({"limit": 5000}));
        assert_eq!(compare_with_witness(&mut rows, &[read, unchanged]), None);
        assert_eq!(rows[2].wrong, ["the server saw `query` with {\"limit\":5000}"]);

        let mut rows = fresh();
        assert_eq!(compare_with_witness(&mut rows, &[]), None);
        assert_eq!(rows[0].wrong, ["the server never saw it"]);
    }

    #[test]
    fn a_witness_tells_calls_from_other_lines() {
        let witness = concat!(
            r#"{"method":"initialize","id":1}"#,
            "\nnot JSON\n",
            r#"{"method":"tools/call","id":2,"params":{"name":"read","arguments":{"n":1}}}"#,
            "\n",
        );
        assert_eq!(calls_in(witness.as_bytes()), [seen("read", json!({"n": 1}))]);
    }

    /// Blocks `run` and, once it was called, a second `read`.
    struct OneRead;

    impl Judge for OneRead {
        fn judge(&self, facts: &Facts<'_>) -> Verdict {
            match (facts.tool, facts.calls.count("read"), facts.annotations) {
                ("read", 0, Some(_)) => Verdict::allow(),
                _ => Verdict::block("no", "no"),
            }
        }
    }

    #[test]
    fn a_scripted_session_is_judged_call_by_call() {
        let (said, _reader) = lines(
            concat!(
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32001,"message":"","#,
                r#""data":{"decision":"BLOCK"}}}"#,
                "\n",
                r#"{"jsonrpc":"2.0","id":3,"result":{"content":[]}}"#,
                "\n",
            )
            .as_bytes(),
        );
        let mut client = Client::new(Vec::new(), said, Duration::from_mins(1));
        let tools = [Tool {
            name: "read".to_owned(),
            input_schema: json!({}),
            annotations: Some("{}".to_owned()),
        }];
        let step = |tool: &str, promised| Step {
            tool: tool.to_owned(),
            arguments: "{}".to_owned(),
            promised: Some(promised),
        };
        let steps = vec![step("read", "allow"), step("read", "block"), step("run", "allow")];

        let rows = play(&mut client, &OneRead, &tools, steps).unwrap();

        assert!(rows[0].wrong.is_empty() && rows[1].wrong.is_empty(), "{rows:?}");
        assert_eq!(rows[1].code, Some(-32001));
        assert_eq!(
            rows[2].wrong,
            ["the policy says block, the demonstration allow", "it was not refused"]
        );
    }
}
