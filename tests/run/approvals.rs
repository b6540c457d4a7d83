//! Calls that a person must agree to: real processes, a real TLS server, and a person who is scripted.

use serde_json::{Value, json};

use crate::fake::{FakeEnforcer, Script};
use crate::remote::{asking, decision};
use crate::sidecar::{Setup, Sidecar, call};

const CANCELLED: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;

/// An enforcer that steps everything up, with the hold `tok`, which it keeps.
async fn stepping_up() -> FakeEnforcer {
    FakeEnforcer::start().await.scripted([stepped_up()]).keeping_holds()
}

fn stepped_up() -> Script {
    decision(&json!({
        "decision": "STEP_UP", "hold_token": "tok", "matched_rule_ids": ["four-eyes"],
        "self_approval": true, "reason": "two people",
    }))
}

/// Lets a client talk on a thread of its own.
async fn talk<T: Send + 'static>(
    setup: Setup,
    client: impl FnOnce(&mut Sidecar) -> T + Send + 'static,
) -> (Setup, T) {
    let talk = tokio::task::spawn_blocking(move || {
        let mut sidecar = setup.start();
        let said = client(&mut sidecar);
        assert_eq!(sidecar.ends(), 0);
        (setup, said)
    });
    talk.await.unwrap()
}

fn ways(fake: &FakeEnforcer) -> Vec<String> {
    fake.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
}

#[tokio::test]
async fn a_call_waits_while_others_pass_and_goes_through_once_it_is_approved() {
    let allowed = decision(&json!({"decision": "ALLOW"}));
    let fake = FakeEnforcer::start().await.scripted([stepped_up(), allowed]).keeping_holds();
    let setup = asking(&fake).flags(&["--step-up", "auto"]);
    let (passed, other) = tokio::sync::oneshot::channel();
    let client = talk(setup, |sidecar| {
        sidecar.says(&call(1, "a", "{}"));
        sidecar.says(&call(2, "a", "{}"));
        let first = sidecar.reads();
        passed.send(()).unwrap();
        [first, sidecar.reads()]
    });
    let person = async {
        other.await.unwrap();
        fake.resolve("tok", "ALLOW");
    };
    let ((setup, answers), ()) = tokio::join!(client, person);
    assert!(answers.iter().all(|answer| answer["result"].is_object()), "{answers:?}");
    assert_eq!(setup.seen().lines().count(), 2);
}

#[tokio::test]
async fn nobody_answers_and_the_call_gets_its_token_back() {
    let fake = stepping_up().await;
    let setup = asking(&fake).flags(&["--step-up", "wait"]).variable("THOTH_STEP_UP_WAIT", "1");
    let (setup, answer) = talk(setup, |sidecar| {
        sidecar.says(&call(1, "a", "{}"));
        sidecar.reads()
    })
    .await;
    assert_eq!(answer["error"]["code"], -32_002, "{answer}");
    let data = &answer["error"]["data"];
    for (member, expected) in [
        ("decision", json!("STEP_UP")),
        ("hold_token", json!("tok")),
        ("reason_code", json!("step_up_timeout")),
        ("rule_ids", json!(["four-eyes"])),
        ("retryable", json!(true)),
    ] {
        assert_eq!(data[member], expected, "{member}: {data}");
    }
    assert!(setup.seen().is_empty());
    let open = ways(&fake).iter().all(|way| !way.starts_with("DELETE"));
    assert!(open, "the hold stays open for a retry");
}

#[tokio::test]
async fn a_call_that_its_client_cancels_is_withdrawn_and_a_late_yes_lets_nothing_happen() {
    let fake = stepping_up().await;
    let setup = asking(&fake).flags(&["--step-up", "wait"]);
    let (cancel, cancelled) = std::sync::mpsc::channel();
    let (late, answered) = std::sync::mpsc::channel();
    let client = talk(setup, move |sidecar| {
        sidecar.says(&call(1, "a", "{}"));
        cancelled.recv().unwrap();
        sidecar.says(CANCELLED);
        answered.recv().unwrap();
        sidecar.says(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
        sidecar.reads()
    });
    let person = async {
        fake.until_seen(2).await;
        cancel.send(()).unwrap();
        fake.until_seen(3).await;
        fake.resolve("tok", "ALLOW");
        late.send(()).unwrap();
    };
    let ((setup, answer), ()) = tokio::join!(client, person);
    assert_eq!(answer["id"], 2, "the cancelled call is not answered");
    assert_eq!(
        ways(&fake),
        ["POST /v1/enforce", "GET /v1/enforce/hold/tok", "DELETE /v1/enforce/hold/tok"]
    );
    assert!(!setup.seen().contains("tools/call"), "{}", setup.seen());
}

#[tokio::test]
async fn what_a_person_answers_in_the_client_is_told_before_the_call_is_asked_about_again() {
    let fake = FakeEnforcer::start()
        .await
        .scripted([stepped_up(), decision(&json!({"decision": "ALLOW"}))])
        .keeping_holds();
    let setup = asking(&fake).flags(&["--step-up", "elicit"]);
    let (setup, answer) = talk(setup, |sidecar| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        });
        let call = |id: u32, more: &Value| {
            let mut params = json!({"name": "a", "arguments": {"n": 1}, "_meta": meta});
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
        };
        sidecar.says(&call(1, &json!({})).to_string());
        let asked = sidecar.reads();
        let result = &asked["result"];
        assert_eq!(result["resultType"], "input_required", "{asked}");
        let name = result["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
        let yes = json!({"action": "accept", "content": {"approve": true}});
        let more = json!({"requestState": result["requestState"], "inputResponses": {name: yes}});
        sidecar.says(&call(2, &more).to_string());
        sidecar.reads()
    })
    .await;
    assert!(answer["result"].is_object() && answer["id"] == 2, "{answer}");
    assert_eq!(
        ways(&fake),
        ["POST /v1/enforce", "POST /v1/enforce/hold/tok/reply", "POST /v1/enforce"]
    );
    assert_eq!(fake.seen()[1].body["decision"], "approve");
    assert_eq!(setup.seen().lines().count(), 1);
}

/// Without an enforcer, under a policy whose only rule asks for a person.
fn local(self_approval: &str) -> Setup {
    let setup = Setup::new();
    let path = setup.home.path().join("policy.toml");
    let policy = format!(
        "[policy]\nid = \"p\"\nversion = 1\ndefault = \"allow\"\n[[rule]]\nid = \"ask\"\n\
         tools = [\"a\"]\neffect = \"step_up\"\nreason = \"it is yours to say\"\n{self_approval}"
    );
    std::fs::write(&path, policy).unwrap();
    setup.flag("--policy").flag(path.to_str().unwrap())
}

const YOURS: &str = "self_approval = true\n";

/// Greets as a client that can ask its person, and calls; the next line that comes.
fn calls_and_reads(sidecar: &mut Sidecar) -> Value {
    let hello = json!({
        "jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}}},
            "clientInfo": {"name": "test", "version": "1"},
        },
    });
    sidecar.says(&hello.to_string());
    assert_eq!(sidecar.reads()["id"], 9);
    sidecar.says(&call(1, "a", "{}"));
    sidecar.reads()
}

#[tokio::test]
async fn the_person_at_the_client_answers_for_the_sidecars_own_rule() {
    for (approve, went_through) in [(true, true), (false, false)] {
        for how in ["elicit", "auto"] {
            let setup = local(YOURS).flags(&["--step-up", how]);
            let (setup, answer) = talk(setup, move |sidecar| {
                let question = calls_and_reads(sidecar);
                assert_eq!(question["method"], "elicitation/create", "{question}");
                let yes_or_no = json!({"action": "accept", "content": {"approve": approve}});
                let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": yes_or_no});
                sidecar.says(&answer.to_string());
                sidecar.reads()
            })
            .await;
            assert_eq!(answer["id"], 1, "{how}");
            assert_eq!(answer["result"].is_object(), went_through, "{how}: {answer}");
            assert_eq!(setup.seen().contains("tools/call"), went_through, "{how}");
            assert!(!setup.seen().contains("action"), "what thoth asked is thoth's to hear");
        }
    }
}

#[tokio::test]
async fn a_step_up_has_a_token_only_where_a_person_here_may_answer_it() {
    for (self_approval, flags, has_token) in [
        (YOURS, &[][..], true),
        ("", &[], true),
        ("self_approval = false\n", &[], false),
        (YOURS, &["--local-approvals", "off"], false),
        ("", &["--env", "staging"], false),
        (YOURS, &["--env", "staging"], true),
    ] {
        let setup = local(self_approval).flags(flags).variable("THOTH_REQUIRE_NON_ROOT", "false");
        let (_, answer) = talk(setup, calls_and_reads).await;
        let row = format!("{self_approval} {flags:?}: {answer}");
        assert_eq!(answer["error"]["code"], -32_002, "{row}");
        assert_eq!(answer["error"]["data"]["hold_token"].is_string(), has_token, "{row}");
    }
}
