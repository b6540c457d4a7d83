//! With an enforcer that decides: its key rotates, its holds last, and the server's token goes on
//! rotating beside it.

use serde_json::json;

use crate::client::{Setup, replace};
use crate::fake::{FakeEnforcer, Script};
use crate::server::Server;

/// A sidecar between both, with a file for each credential.
fn between(enforcer: &FakeEnforcer, server: &Server) -> Setup {
    let setup = Setup::new(server).without_policy().token("t0");
    let key = setup.home.path().join("key");
    replace(&key, "k0");
    setup
        .flags(&["--enforcer-url", &enforcer.url(), "--api-key-file", key.to_str().unwrap()])
        .flags(&["--step-up", "wait"])
        .variable("THOTH_TLS_CA_BUNDLE", enforcer.ca().to_str().unwrap())
        .variable("THOTH_ENFORCER_FAILURE_DECISION", "allow")
}

fn decision(members: &serde_json::Value) -> Script {
    Script::Answer(200, members.to_string())
}

#[tokio::test]
async fn both_credentials_rotate_under_load_and_no_call_is_judged_twice() {
    let (enforcer, server) = (FakeEnforcer::start().await, Server::start().await);
    enforcer.accept(&["k0"]);
    server.accept_only(&["t0"]);
    let setup = between(&enforcer, &server);
    let mut client = setup.begin().await;
    for round in 0..10_u64 {
        let new = round + 1;
        let middle = usize::try_from(round).unwrap() * 100 + 30;
        enforcer.accept_after(enforcer.seen().len() + 20, &[&format!("k{new}")]);
        let token = format!("t{new}");
        server.with(|state| state.after(middle, move |state| state.accept_only(&[&token])));
        let before = (enforcer.seen().len(), server.refusals());
        let rotating = async {
            // Both are refused before their files are written.
            enforcer.until_seen(before.0 + 21).await;
            replace(&setup.home.path().join("key"), &format!("k{new}"));
            server.until_refused(before.1 + 1).await;
            setup.rotate(&format!("t{new}"));
        };
        client.at_once(round * 100 + 1..=round * 100 + 100, rotating).await;
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1_000);
    let judged = enforcer.seen().iter().filter(|seen| seen.accepted).count();
    assert_eq!(judged, 1_000, "each call is judged once, however often it was sent");
}

#[tokio::test]
async fn a_key_that_is_no_good_blocks_even_where_an_outage_would_allow() {
    let (enforcer, server) = (FakeEnforcer::start().await, Server::start().await);
    enforcer.accept(&["another"]);
    let setup = between(&enforcer, &server);
    let mut client = setup.begin().await;
    for n in 1..=3 {
        let answer = client.call(n).await;
        assert_eq!(answer["error"]["code"], -32_001, "{answer}");
        assert_eq!(answer["error"]["data"]["reason_code"], "enforcer_auth_failed");
    }
    let ended = client.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(server.executed().is_empty(), "nothing reached the server");
    assert_eq!(setup.audit().decisions.len(), 3);
}

/// While a person thinks, the token and the session go.
#[tokio::test]
async fn a_hold_outlives_the_token_and_the_session() {
    let server = Server::start().await;
    server.accept_only(&["t0"]);
    let unresolved = json!({"resolved": false, "resolution": null});
    let enforcer = FakeEnforcer::start()
        .await
        .scripted([
            decision(&json!({"decision": "STEP_UP", "hold_token": "tok"})),
            decision(&json!({"decision": "ALLOW"})),
        ])
        .holding([decision(&unresolved)]);
    enforcer.accept(&["k0"]);
    let setup = between(&enforcer, &server);
    let mut client = setup.begin().await;
    let held = client.calls("echo", 1).await;
    enforcer.until_seen(2).await; // the question, and a first look

    server.accept_only(&["t1"]).drop_sessions();
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("t1");
    };
    tokio::join!(client.succeeds(2), rotating);
    assert_eq!(server.executed(), [2], "the other one waits");
    let enforcer = enforcer.holding([decision(&json!({"resolved": true, "resolution": "ALLOW"}))]);
    let answer = client.answer(held).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    let ended = client.ends().await;
    assert!(ended.errors().is_empty(), "{:?}", ended.errors());
    assert_eq!(server.executed(), [2, 1], "each once");
    let audit = setup.audit();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let said = |call: u64| {
        let of_call = audit.decisions.iter().filter(move |it| it["call"] == call);
        of_call.map(|it| it["decision"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((said(1), said(2)), (words(&["step_up", "allow"]), words(&["allow"])));
    assert_eq!(audit.outcomes.len(), 2);
    let asked = enforcer.seen().iter().filter(|seen| seen.path == "/v1/enforce").count();
    assert_eq!(asked, 2, "one question for each call");
}

/// What is refused is not sent, whatever the state of the server's token.
#[tokio::test]
async fn a_call_that_is_blocked_touches_no_credential_and_no_server() {
    let server = Server::start().await;
    server.accept_only(&["t0"]);
    let setup = Setup::new(&server).token("t0");
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let before = server.seen().len();
    let id = client.calls("refused", 2).await;
    let answer = client.answer(id).await;
    assert_eq!(answer["error"]["code"], -32_001);
    let ended = client.ends().await;
    assert_eq!(ended.errors().len(), 1);
    let calls = server.look(|state| state.requests("tools/call").count());
    assert_eq!((calls, server.executed()), (1, vec![1]));
    assert!(server.seen().len() <= before + 1, "nothing but the goodbye");
}
