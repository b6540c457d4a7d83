//! Approvals, from the hold to the claim.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use thoth::approval::record::Claim;
use thoth::approval::{Answered, Approval, Assurance};
use thoth::gate::verdict::Reply;
use thoth::machine::clock;
use thoth::server::Tenant;
use thoth::server::approvals::{self, Refused};
use thoth::server::bus::Topic;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::store::Store;
use tokio::sync::Barrier;

use crate::database::Database;
use crate::world::{RULES, World, question, with, word};

/// How many enforcers try at once, and how often each.
const REPLICAS: usize = 4;
const TASKS: usize = 8;

fn pay() -> Value {
    question("pay", &json!({"to": "eve", "amount": 10}))
}

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

fn by(name: &str, assurance: Assurance, at: Timestamp) -> Answered {
    Answered { by: name.to_owned(), assurance, at, note: None }
}

async fn decision(world: &World, question: &Value) -> String {
    let (status, answer) = world.ask(question).await;
    word(status, &answer)
}

#[tokio::test]
async fn an_approved_call_goes_through_once() {
    let (world, _directory) = World::new().await;
    let token = world.hold(&pay()).await;
    assert_eq!(world.look(&token).await, "STEP_UP");
    let (status, shown) = world.resolve(&world.pending().await, "approve").await;
    assert_eq!((status, &shown["status"]), (StatusCode::OK, &json!("approved")));
    assert_eq!((&shown["assurance"], &shown["note"]), (&json!("api_key"), &json!("seen")));

    assert_eq!(world.look(&token).await, "ALLOW approved");
    assert_eq!(world.look(&token).await, "ALLOW approved", "the same claim is told the same");
    assert_eq!(world.approvals("spent").await["total"], 1);
    let again = world.hold(&pay()).await;
    assert_eq!(world.look(&again).await, "STEP_UP", "the next call is another one");
    assert_eq!(world.look(&token).await, "ALLOW approved");
}

#[tokio::test]
async fn an_identical_question_attaches_and_goes_through_once_it_is_approved() {
    let (world, _directory) = World::new().await;
    let first = world.hold(&pay()).await;
    let second = world.hold(&pay()).await;
    assert_ne!(first, second, "each question has a claim of its own");
    world.resolve(&world.pending().await, "approve").await;

    assert_eq!(decision(&world, &pay()).await, "ALLOW approved");
    for token in [&first, &second] {
        assert_eq!(world.look(token).await, "BLOCK approval_used");
    }
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched");
}

#[tokio::test]
async fn a_denied_call_is_refused_until_it_expires() {
    static SKIP: AtomicI64 = AtomicI64::new(0);
    let later = || clock::now() + SignedDuration::from_secs(SKIP.load(Ordering::Relaxed));
    let (world, _database) = World::at(later).await;
    let token = world.hold(&pay()).await;
    world.resolve(&world.pending().await, "deny").await;

    assert_eq!(world.look(&token).await, "BLOCK approval_denied");
    let (_, answer) = world.ask(&pay()).await;
    assert_eq!(word(StatusCode::OK, &answer), "BLOCK approval_denied");
    assert!(answer["reason"].as_str().unwrap().contains(": seen"), "{answer}");
    assert!(answer["violation_id"].is_string() && answer["hold_token"].is_null());
    SKIP.store(901, Ordering::Relaxed);
    assert_eq!(world.look(&token).await, "BLOCK approval_expired");
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched");
    assert_eq!(world.approvals("denied").await["total"], 1, "that it was denied is remembered");
}

#[tokio::test]
async fn what_nobody_answers_expires_and_so_does_an_answer_nobody_uses() {
    static SKIP: AtomicI64 = AtomicI64::new(0);
    let later = || clock::now() + SignedDuration::from_secs(SKIP.load(Ordering::Relaxed));
    let (world, _database) = World::at(later).await;
    for swept in [false, true] {
        let skipped = SKIP.load(Ordering::Relaxed);
        let token = world.hold(&pay()).await;
        let approved = world.hold(&question("mail", &json!({}))).await;
        let page = world.approvals("pending").await;
        let find = |tool: &str| {
            let data = page["data"].as_array().unwrap();
            let found = data.iter().find(|shown| shown["tool_name"] == tool).unwrap();
            found["id"].as_str().unwrap().to_owned()
        };
        assert_eq!(world.resolve(&find("mail"), "approve").await.0, StatusCode::OK);
        SKIP.store(skipped + 901, Ordering::Relaxed);
        if swept {
            let mut changes = world.app.bus.listen();
            assert_eq!(approvals::sweep(&world.app).await.unwrap(), 2);
            let told: BTreeSet<String> = [changes.recv().await, changes.recv().await]
                .map(|change| match change.unwrap().topic {
                    Topic::Approval(id) => id,
                    other @ (Topic::Decisions | Topic::Endpoint(_) | Topic::Key(_)) => {
                        panic!("{other:?}")
                    }
                })
                .into();
            assert_eq!(told, BTreeSet::from([find("pay"), find("mail")]));
            assert_eq!(approvals::sweep(&world.app).await.unwrap(), 0);
        }
        assert_eq!(world.look(&token).await, "BLOCK approval_expired");
        assert_eq!(world.look(&approved).await, "BLOCK approval_expired");
        let (status, said) = world.resolve(&find("pay"), "approve").await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(said["error"]["message"].as_str().unwrap().ends_with("expired"), "{said}");
        assert_eq!(world.approvals("pending").await["total"], 0);
    }
    assert_eq!(world.approvals("expired").await["total"], 4);
    SKIP.store(40 * 24 * 3600, Ordering::Relaxed);
    approvals::sweep(&world.app).await.unwrap();
    assert_eq!(world.approvals("").await["total"], 0, "after a month they are forgotten");
}

#[tokio::test]
async fn a_late_yes_to_a_withdrawn_call_executes_nothing() {
    let (world, _directory) = World::new().await;
    let token = world.hold(&pay()).await;
    let id = world.pending().await;
    let path = format!("/v1/enforce/hold/{token}");
    let headers = [("x-api-key", world.key.as_str())];
    for _ in 0..2 {
        let (status, _) = world.send(Method::DELETE, &path, &headers, "").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let (status, said) = world.resolve(&id, "approve").await;
    assert_eq!((status, &said["error"]["code"]), (StatusCode::CONFLICT, &json!("not_pending")));
    assert_eq!(world.look(&token).await, "BLOCK approval_withdrawn");
    let again = world.hold(&pay()).await;
    assert_ne!(world.pending().await, id, "a new question makes a new record");
    assert_eq!(world.look(&again).await, "STEP_UP");

    // A yes that came just before is withdrawn, too.
    world.resolve(&world.pending().await, "approve").await;
    let path = format!("/v1/enforce/hold/{again}");
    world.send(Method::DELETE, &path, &headers, "").await;
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched");
    let unknown = world.send(Method::DELETE, "/v1/enforce/hold/nothing", &headers, "").await;
    assert_eq!(unknown.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn withdrawing_takes_nothing_from_another_session_and_nothing_back() {
    let (world, _directory) = World::new().await;
    let headers = [("x-api-key", world.key.as_str())];
    let withdraw = |token: &str| {
        let path = format!("/v1/enforce/hold/{token}");
        let world = &world;
        async move { world.send(Method::DELETE, &path, &headers, "").await.0 }
    };
    let mine = world.hold(&pay()).await;
    let theirs = world.hold(&with(pay(), &json!({"session_id": "s-2"}))).await;
    withdraw(&mine).await;
    assert_eq!(world.look(&mine).await, "BLOCK approval_withdrawn");
    assert_eq!(world.look(&theirs).await, "STEP_UP");
    world.resolve(&world.pending().await, "approve").await;
    assert_eq!(world.look(&mine).await, "BLOCK approval_withdrawn");
    assert_eq!(world.look(&theirs).await, "ALLOW approved");
    withdraw(&theirs).await;
    assert_eq!(world.look(&theirs).await, "ALLOW approved", "it has let its call through");

    let token = world.hold(&pay()).await;
    world.resolve(&world.pending().await, "deny").await;
    withdraw(&token).await;
    assert_eq!(decision(&world, &pay()).await, "BLOCK approval_denied", "a no is not withdrawn");
}

/// Does the same as often as this at once, by several enforcers: with Postgres each has connections
/// of its own, as replicas have. What each came to.
async fn at_once<F>(
    world: &World,
    database: &Database,
    work: impl Fn(Arc<World>, usize) -> F,
) -> Vec<String>
where
    F: Future<Output = String> + Send + 'static,
{
    let is_shared = database.url().starts_with("postgres");
    let mut tasks = Vec::new();
    let start = Arc::new(Barrier::new(REPLICAS * TASKS));
    for replica in 0..REPLICAS {
        let store = if is_shared {
            Store::open(database.url()).await.unwrap()
        } else {
            world.app.store.clone()
        };
        let world = Arc::new(World::on(store, RULES, clock::now).await);
        for task in 0..TASKS {
            let work = work(Arc::clone(&world), replica * TASKS + task);
            let start = Arc::clone(&start);
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                work.await
            }));
        }
    }
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    seen
}

fn count(seen: &[String], word: &str) -> usize {
    seen.iter().filter(|seen| *seen == word).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_claims_at_once_one_is_spent() {
    let (world, database) = World::new().await;
    for _ in 0..3 {
        let mut tokens = Vec::new();
        for _ in 0..REPLICAS * TASKS {
            tokens.push(world.hold(&pay()).await);
        }
        world.resolve(&world.pending().await, "approve").await;
        let seen = at_once(&world, &database, |world, number| {
            let token = tokens[number].clone();
            async move { world.look(&token).await }
        });
        let seen = seen.await;
        assert_eq!(count(&seen, "ALLOW approved"), 1, "{seen:?}");
        assert_eq!(count(&seen, "BLOCK approval_used"), seen.len() - 1, "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_identical_questions_at_once_one_opens_a_record_and_one_spends_it() {
    let (world, database) = World::new().await;
    let ask = |world: Arc<World>, _| async move { decision(&world, &pay()).await };
    let seen = at_once(&world, &database, ask).await;
    assert_eq!(count(&seen, "STEP_UP rule_matched"), seen.len(), "{seen:?}");
    world.resolve(&world.pending().await, "approve").await;
    let seen = at_once(&world, &database, ask).await;
    assert_eq!(count(&seen, "ALLOW approved"), 1, "{seen:?}");
    assert_eq!(count(&seen, "STEP_UP rule_matched"), seen.len() - 1, "{seen:?}");
    world.pending().await;
}

#[tokio::test]
async fn an_approval_is_good_for_this_very_call_of_this_very_caller() {
    let (world, _directory) = World::new().await;
    let base = question("pay", &json!({"a": 1, "b": "x", "c": [1, 2]}));
    let text = base.to_string();
    let other_server = json!({"metadata": {"mcp_server": "other"}});
    let others = [
        text.replace("\"a\":1", "\"a\":1.0"),
        text.replace("\"a\":1", "\"a\":1e0"),
        text.replace("\"a\":1", "\"a\":\"1\""),
        text.replace("[1,2]", "[2,1]"),
        text.replace("\"x\"", "\"X\""),
        text.replace("\"agent\"", "\"agent-2\""),
        text.replace("bob@acme.example", "eve@acme.example"),
        with(base.clone(), &json!({"environment": "dev"})).to_string(),
        with(base.clone(), &json!({"tool_name": "mail"})).to_string(),
        with(base.clone(), &other_server).to_string(),
        with(base.clone(), &json!({"tool_args": {}})).to_string(),
    ];
    world.hold(&base).await;
    world.resolve(&world.pending().await, "approve").await;
    let headers = [("x-api-key", world.key.as_str())];
    for other in others {
        assert_ne!(other, text);
        let (status, answer) =
            world.send(Method::POST, "/v1/enforce", &headers, other.clone()).await;
        assert_eq!(word(status, &answer), "STEP_UP rule_matched", "{other}");
    }
    let same = r#"{ "c":[1, 2],"b":"\u0078" ,"a":1 }"#;
    let same = text.replace(r#"{"a":1,"b":"x","c":[1,2]}"#, same);
    assert_ne!(same, text);
    let (status, answer) = world.send(Method::POST, "/v1/enforce", &headers, same.clone()).await;
    assert_eq!(word(status, &answer), "ALLOW approved", "{same}");
}

#[tokio::test]
async fn another_tenant_sees_and_uses_nothing() {
    let (world, _directory) = World::new().await;
    let other = world.key("other", Permissions::ALL, Scope::Organization).await;
    let headers = [("x-api-key", other.as_str())];
    let token = world.hold(&pay()).await;
    let id = world.pending().await;
    let hold = format!("/v1/enforce/hold/{token}");
    let reply = format!("{hold}/reply");
    let yes = r#"{"decision":"approve"}"#;
    for (method, path, expected) in [
        (Method::GET, hold.clone(), 404),
        (Method::DELETE, hold.clone(), 204),
        (Method::POST, reply, 404),
        (Method::GET, "/acme/thoth/approvals".to_owned(), 404),
        (Method::GET, format!("/acme/thoth/approvals/{id}"), 404),
        (Method::POST, format!("/acme/thoth/approvals/{id}/resolve"), 404),
        (Method::GET, format!("/other/thoth/approvals/{id}"), 404),
        (Method::POST, format!("/other/thoth/approvals/{id}/resolve"), 404),
    ] {
        let (status, _) = world.send(method.clone(), &path, &headers, yes).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}");
    }
    let list = world.send(Method::GET, "/other/thoth/approvals", &headers, "").await.1;
    assert_eq!(list["total"], 0);
    assert_eq!(world.look(&token).await, "STEP_UP", "nothing has happened to it");

    world.resolve(&id, "approve").await;
    let theirs = with(pay(), &json!({"tenant_id": "other"})).to_string();
    let (status, answer) = world.send(Method::POST, "/v1/enforce", &headers, theirs).await;
    assert_eq!(word(status, &answer), "STEP_UP rule_matched");
    assert_eq!(world.look(&token).await, "ALLOW approved");
}

#[tokio::test]
async fn only_keys_that_may_look_at_and_answer_approvals() {
    let (world, _directory) = World::new().await;
    let token = world.hold(&pay()).await;
    let id = world.pending().await;
    let hold = format!("/v1/enforce/hold/{token}");
    let write = Permissions { write: true, ..Permissions::default() };
    let agent = |name: &str| Scope::Agent(name.to_owned());
    for (permissions, scope, list, resolve, look) in [
        (write, Scope::Organization, 403, 403, 403),
        (Permissions::SIDECAR, Scope::Organization, 200, 403, 200),
        (Permissions::ALL, agent("agent"), 403, 403, 200),
        (Permissions::ALL, agent("other"), 403, 403, 404),
    ] {
        let row = format!("{permissions:?} {scope:?}");
        let key = world.key("acme", permissions, scope).await;
        let headers = [("x-api-key", key.as_str())];
        let answer = format!("/acme/thoth/approvals/{id}/resolve");
        for (method, path, expected) in [
            (Method::GET, "/acme/thoth/approvals", list),
            (Method::POST, &answer, resolve),
            (Method::GET, &hold, look),
        ] {
            let body = r#"{"decision":"approve"}"#;
            let (status, _) = world.send(method, path, &headers, body).await;
            assert_eq!(status.as_u16(), expected, "{path} {row}");
        }
    }
    for body in ["", "{}", r#"{"decision":"maybe"}"#, r#"{"decision":true}"#] {
        let path = format!("/acme/thoth/approvals/{id}/resolve");
        let headers = [("x-api-key", world.admin.as_str())];
        let (status, _) = world.send(Method::POST, &path, &headers, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    for query in ["status=nothing", "page=x", "page=-1"] {
        let path = format!("/acme/thoth/approvals?{query}");
        let headers = [("x-api-key", world.admin.as_str())];
        let (status, _) = world.send(Method::GET, &path, &headers, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_key_of_another_agent_touches_no_hold() {
    let (world, _directory) = World::new().await;
    let other = Scope::Agent("other".to_owned());
    let key = world.key("acme", Permissions::SIDECAR, other).await;
    let headers = [("x-api-key", key.as_str())];
    let token = world.hold(&question("mail", &json!({}))).await;
    let hold = format!("/v1/enforce/hold/{token}");
    let reply = format!("{hold}/reply");
    for (method, path, expected) in
        [(Method::GET, &hold, 404), (Method::DELETE, &hold, 204), (Method::POST, &reply, 404)]
    {
        let yes = r#"{"decision":"approve"}"#;
        let (status, _) = world.send(method.clone(), path, &headers, yes).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}");
    }
    assert_eq!(world.look(&token).await, "STEP_UP", "nothing has happened to it");
    world.resolve(&world.pending().await, "approve").await;
    assert_eq!(world.send(Method::GET, &hold, &headers, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.approvals("approved").await["total"], 1, "it is not used up");
    assert_eq!(world.look(&token).await, "ALLOW approved");
}

#[tokio::test]
async fn other_rules_ask_anew() {
    let (world, _directory) = World::new().await;
    let token = world.hold(&pay()).await;
    world.resolve(&world.pending().await, "approve").await;
    world.rules(&RULES.replace("version = 3", "version = 4"));
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched");
    world.rules(RULES);
    assert_eq!(world.look(&token).await, "ALLOW approved", "who was asked by them goes on");
}

#[tokio::test]
async fn the_first_answer_stands() {
    let (world, _directory) = World::new().await;
    let token = world.hold(&pay()).await;
    let id = world.pending().await;
    assert_eq!(world.resolve(&id, "deny").await.0, StatusCode::OK);
    let (status, said) = world.resolve(&id, "approve").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(said["error"]["message"].as_str().unwrap().ends_with("it is denied"), "{said}");
    assert_eq!(world.look(&token).await, "BLOCK approval_denied");
    assert_eq!(world.resolve("apr_0", "deny").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_may_answer_is_what_the_rule_says() {
    let (world, _directory) = World::new().await;
    let user = "bob@acme.example";
    let nobody = Assurance::Elicitation;
    for (tool, name, assurance, approve, expected) in [
        ("pay", user, Assurance::Oidc, true, true),
        ("pay", user, nobody, true, false),
        ("pay", user, nobody, false, false),
        ("mail", user, nobody, true, true),
        ("mail", user, nobody, false, true),
        ("mail", "ann", Assurance::Link, true, true),
        ("wire", user, nobody, true, false),
        ("wire", user, Assurance::Oidc, true, false),
        ("wire", " BOB@acme.example", Assurance::Oidc, true, false),
        ("wire", user, Assurance::Oidc, false, true),
        ("wire", "ann", Assurance::Oidc, true, true),
    ] {
        let row = format!("{tool} {name} {assurance:?} {approve}");
        let asked = question(tool, &json!({"row": row}));
        world.hold(&asked).await;
        let id = world.pending().await;
        let answered = by(name, assurance, world.app.now());
        let ended = approvals::resolve(&world.app, &acme(), &id, approve, answered).await;
        assert_eq!(ended.is_ok(), expected, "{row}: {ended:?}");
        if let Err(refused) = ended {
            assert!(matches!(refused, Refused::SelfApproval), "{row}: {refused:?}");
            world.resolve(&id, "deny").await;
        }
    }
}

#[tokio::test]
async fn an_answer_inside_the_client_is_taken_where_the_rule_lets_whoever_calls() {
    let (world, _directory) = World::new().await;
    let headers = [("x-api-key", world.key.as_str())];
    let reply = |token: &str, decision: &str| {
        let path = format!("/v1/enforce/hold/{token}/reply");
        let body = json!({"decision": decision}).to_string();
        let world = &world;
        async move { world.send(Method::POST, &path, &headers, body).await.0.as_u16() }
    };
    let token = world.hold(&question("mail", &json!({}))).await;
    assert_eq!(reply(&token, "perhaps").await, 400);
    assert_eq!(reply(&token, "approve").await, 204);
    assert_eq!(reply(&token, "approve").await, 204, "once more is the same");
    assert_eq!(reply(&token, "deny").await, 409);
    let shown = &world.approvals("approved").await["data"][0];
    assert_eq!(shown["assurance"], "elicitation");
    assert_eq!(shown["resolved_by"], "bob@acme.example");
    assert_eq!(world.look(&token).await, "ALLOW approved");
    assert_eq!(reply(&token, "approve").await, 204);

    let denied = world.hold(&question("mail", &json!({"a": 1}))).await;
    assert_eq!(reply(&denied, "deny").await, 204);
    assert_eq!(reply(&denied, "approve").await, 409);
    assert_eq!(world.look(&denied).await, "BLOCK approval_denied");
    for tool in ["pay", "wire"] {
        let token = world.hold(&question(tool, &json!({}))).await;
        for decision in ["approve", "deny"] {
            assert_eq!(reply(&token, decision).await, 403, "{tool}");
        }
        assert_eq!(world.look(&token).await, "STEP_UP");
    }
    assert_eq!(reply("nothing", "approve").await, 404);
    let given_up = world.hold(&question("mail", &json!({"b": 1}))).await;
    let path = format!("/v1/enforce/hold/{given_up}");
    world.send(Method::DELETE, &path, &headers, "").await;
    assert_eq!(reply(&given_up, "approve").await, 409);
}

#[tokio::test]
async fn bodies_of_holds_are_what_the_sdks_read() {
    use thoth::enforcer::wire::{Expected, Standing, read_hold};

    let (world, _directory) = World::new().await;
    let ids = json!({"enforcement_trace_id": "t-1", "action_attestation_id": "a-1"});
    let token = world.hold(&with(pay(), &ids)).await;
    let path = format!("/v1/enforce/hold/{token}");
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str())];
    let (_, body) = world.send(Method::GET, &path, &headers, "").await;
    assert_eq!((&body["resolved"], &body["resolution"]), (&json!(false), &Value::Null));
    assert_eq!(body["decision"], "STEP_UP", "the TypeScript SDK looks for it");
    assert!(body["poll_interval_seconds"].is_number() && body["expires_at"].is_string());
    assert_eq!(
        (&body["enforcement_trace_id"], &body["action_attestation_id"]),
        (&json!("t-1"), &json!("a-1"))
    );

    world.resolve(&world.pending().await, "approve").await;
    let (_, body) = world.send(Method::GET, &path, &headers, "").await;
    assert_eq!((&body["resolved"], &body["resolution"]), (&json!(true), &json!("ALLOW")));
    assert_eq!(body["decision"], "ALLOW");
    let expected = Expected { trace: "t-1", attestation: Some("a-1") };
    let standing = read_hold(body.to_string().as_bytes(), false, expected);
    assert!(
        matches!(&standing, Standing::Final(verdict) if verdict.effect.word() == "allow"),
        "{standing:?}"
    );

    let token = world.hold(&pay()).await;
    world.resolve(&world.pending().await, "deny").await;
    let (_, body) =
        world.send(Method::GET, &format!("/v1/enforce/hold/{token}"), &headers, "").await;
    assert_eq!((&body["resolution"], &body["decision"]), (&json!("BLOCK"), &json!("BLOCK")));
    assert!(body["reason"].as_str().unwrap().ends_with(": seen"), "{body}");
    let forged = format!("hold_{}", "0".repeat(64));
    for token in ["nothing", &forged, &token[..token.len() - 1]] {
        let (status, _) =
            world.send(Method::GET, &format!("/v1/enforce/hold/{token}"), &headers, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{token}");
    }
}

#[tokio::test]
async fn a_look_that_waits_hears_the_answer_from_here_and_from_another_replica() {
    let (world, _database) = World::new().await;
    let world = Arc::new(world);
    // What is told there is not heard here.
    let elsewhere = World::on(world.app.store.clone(), RULES, clock::now).await;
    for resolver in [&*world, &elsewhere] {
        let token = world.hold(&pay()).await;
        let looking = tokio::spawn({
            let world = Arc::clone(&world);
            async move {
                let bearer = format!("Bearer {}", world.key);
                let headers = [("authorization", bearer.as_str()), ("prefer", "wait=20")];
                let path = format!("/v1/enforce/hold/{token}");
                let (status, body) = world.send(Method::GET, &path, &headers, "").await;
                word(status, &body)
            }
        });
        // Whether it waits already or not: it is told in the end.
        tokio::task::yield_now().await;
        resolver.resolve(&resolver.pending().await, "approve").await;
        assert_eq!(looking.await.unwrap(), "ALLOW approved");
    }
}

#[tokio::test]
async fn what_approvers_see_is_scrubbed_and_bounded_and_what_is_bound_is_not() {
    let (world, _directory) = World::new().await;
    let secret = json!({"password": "hunter2", "to": "eve", "text": "é".repeat(10)});
    world.hold(&question("pay", &secret)).await;
    let id = world.pending().await;
    let shown = &world.approvals("pending").await["data"][0];
    assert_eq!((&shown["tool_args"]["to"], &shown["tool_args_hidden"]), (&json!("eve"), &json!(1)));
    assert_eq!(shown["tool_args_truncated"], false);
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    world.resolve(&id, "approve").await;
    let other = json!({"password": "hunter3", "to": "eve", "text": "é".repeat(10)});
    assert_eq!(decision(&world, &question("pay", &other)).await, "STEP_UP rule_matched");
    assert_eq!(decision(&world, &question("pay", &secret)).await, "ALLOW approved");

    let long = json!({"text": "é".repeat(100_000)});
    world.hold(&question("wire", &long)).await;
    let page = world.approvals("pending").await;
    let data = page["data"].as_array().unwrap();
    let shown = data.iter().find(|shown| shown["tool_name"] == "wire").unwrap();
    assert_eq!(shown["tool_args_truncated"], true);
    let text = shown["tool_args"].as_str().unwrap();
    assert!(text.len() <= 64 * 1024 && text.starts_with("{\"text\":\"éé"), "{}", text.len());
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing() {
    let (world, database) = World::new().await;
    let token = world.hold(&pay()).await;
    world.end().await;
    let world = World::open(&database).await;
    assert_eq!(world.look(&token).await, "STEP_UP");
    world.resolve(&world.pending().await, "approve").await;
    world.end().await;
    let world = World::open(&database).await;
    assert_eq!(world.look(&token).await, "ALLOW approved");
    world.end().await;
    let world = World::open(&database).await;
    assert_eq!(world.look(&token).await, "ALLOW approved");
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched");
}

#[tokio::test]
async fn an_agent_cannot_bury_approvers_in_questions() {
    let (world, _directory) = World::new().await;
    world.hold(&pay()).await;
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 999) \
        INSERT INTO approvals SELECT id || n, tenant, user_id, environment, call_hash || n, agent, \
        server, tool, arguments, arguments_hidden, arguments_cut, rule_ids, control_ids, reason, \
        reason_code, policy_id, policy_version, policy_sha256, revision, self_approval, state, live, \
        created_at, expires_at, answered_by, assurance, answered_at, note, spent_by, spent_at \
        FROM approvals, n";
    sqlx::query(many).execute(world.app.store.write()).await.unwrap();
    assert_eq!(decision(&world, &question("mail", &json!({}))).await, "BLOCK too_many_approvals");
    assert_eq!(decision(&world, &pay()).await, "STEP_UP rule_matched", "it attaches");
    assert_eq!(approvals::pending(&world.app, &acme()).await.unwrap().len(), 500);
}

#[tokio::test]
async fn the_oldest_of_very_many_claims_are_forgotten() {
    let (world, _directory) = World::new().await;
    let first = world.hold(&pay()).await;
    let mut last = String::new();
    for _ in 0..256 {
        last = world.hold(&pay()).await;
    }
    assert_eq!(world.look(&first).await, "404");
    assert_eq!(world.look(&last).await, "STEP_UP");
}

/// What can happen to one approval with one claim.
#[derive(Clone, Copy, Debug)]
enum Step {
    Answer(Reply),
    Look,
    Withdraw,
    Sweep,
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Answer(Reply::Approve)),
        Just(Step::Answer(Reply::Deny)),
        Just(Step::Look),
        Just(Step::Withdraw),
        Just(Step::Sweep),
        (1_i64..600).prop_map(Step::Pass),
    ]
}

/// What the pure record says a claim is told, with the answer it already had kept.
fn told(model: &mut Approval, spent: &mut bool, now: Timestamp) -> String {
    let claim = match model.claim(now) {
        Claim::Used(answered) if *spent => Claim::Approved(answered),
        claim => claim,
    };
    *spent |= matches!(claim, Claim::Approved(_));
    match (&claim, claim.reason_code()) {
        (Claim::Pending, _) => "STEP_UP".to_owned(),
        (Claim::Approved(_), _) => "ALLOW approved".to_owned(),
        (_, code) => format!("BLOCK {}", code.unwrap_or_default()),
    }
}

static PASSED: AtomicI64 = AtomicI64::new(0);

fn simulated() -> Timestamp {
    let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(PASSED.load(Ordering::Relaxed))
}

#[test]
fn the_store_goes_through_the_states_as_the_record_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, _database) = runtime.block_on(World::at(simulated));
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() };
    let number = AtomicU32::new(0);
    proptest!(config, |(steps in prop::collection::vec(step(), 1..12))| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let ended = runtime.block_on(follow(&world, number, &steps));
        prop_assert_eq!(ended, Ok(()));
    });
}

async fn follow(world: &World, number: u32, steps: &[Step]) -> Result<(), String> {
    let asked = question("pay", &json!({"number": number}));
    let token = world.hold(&asked).await;
    let path = format!("/v1/enforce/hold/{token}");
    let headers = [("x-api-key", world.key.as_str())];
    let page = world.approvals("pending").await;
    let id = page["data"][0]["id"].as_str().unwrap().to_owned();
    let now = simulated();
    let mut model = Approval::pending(now, now + approvals::LASTS);
    let mut spent = false;
    for (at, step) in steps.iter().enumerate() {
        let now = simulated();
        let (seen, expected) = match step {
            Step::Answer(reply) => {
                let answered = by("ann", Assurance::Oidc, now);
                let approve = *reply == Reply::Approve;
                let tenant = acme();
                let ended = approvals::resolve(&world.app, &tenant, &id, approve, answered.clone());
                (
                    ended.await.is_ok().to_string(),
                    model.answer(*reply, answered).is_ok().to_string(),
                )
            }
            Step::Look => (world.look(&token).await, told(&mut model, &mut spent, now)),
            Step::Withdraw => {
                world.send(Method::DELETE, &path, &headers, "").await;
                model.withdraw(now);
                (String::new(), String::new())
            }
            Step::Sweep => {
                approvals::sweep(&world.app).await.unwrap();
                model.expire(now);
                (String::new(), String::new())
            }
            Step::Pass(seconds) => {
                PASSED.fetch_add(*seconds, Ordering::Relaxed);
                (String::new(), String::new())
            }
        };
        if seen != expected {
            return Err(format!("step {at} of {steps:?}: {seen}, not {expected}"));
        }
    }
    let seen = world.look(&token).await;
    let expected = told(&mut model, &mut spent, simulated());
    if seen == expected { Ok(()) } else { Err(format!("after {steps:?}: {seen}, not {expected}")) }
}
