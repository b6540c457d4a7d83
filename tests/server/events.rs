//! Events taken in and passed on.

use std::num::NonZeroU32;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use thoth::server::caller::{Permissions, Scope};
use thoth::server::events::{self, Recent, Retention};
use thoth::server::limits::Limits;
use thoth::server::{Parts, Tenant};
use tower::ServiceExt as _;

use crate::live::Enforcer;

const BATCH: &str = "/v1/events/batch";

const WRITE: Permissions = Permissions { read: false, write: true, execute: false, admin: false };
const ASK: Permissions = Permissions { read: false, write: false, execute: true, admin: false };

/// One enforcer, and a key that may send events.
struct Intake {
    enforcer: Enforcer,
    key: String,
}

impl Intake {
    async fn new() -> Self {
        let enforcer = Enforcer::new().await;
        let key = enforcer.key("acme", WRITE).await;
        Self { enforcer, key }
    }

    async fn send(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.enforcer.send(Method::POST, path, Some(&self.key), Some(body)).await
    }

    async fn kept(&self) -> Vec<Recent> {
        let tenant = Tenant::parse("acme").unwrap();
        events::recent(&self.enforcer.app, &tenant, 100).await.unwrap()
    }
}

fn event(id: &str) -> Value {
    json!({"event_id": id, "event_type": "TOOL_CALL_PRE", "tenant_id": "acme", "session_id": "s"})
}

fn baton(id: &str) -> Value {
    json!({
        "event_id": id, "event_type": "tool_call_start", "session_id": "s", "sequence_number": 0,
        "captured_at": "2026-11-21T10:00:00.000000Z", "tenant_id": "local", "vendor_id": "files",
        "consent_token": "yes", "sdk_version": "baton-proxy/0.6.18", "agent_runtime": "mcp-proxy",
        "payload": {"tool_name": "read", "params": {}},
    })
}

fn counts(answer: &Value) -> [&Value; 3] {
    [&answer["accepted"], &answer["duplicates"], &answer["rejected"]]
}

#[tokio::test]
async fn one_bad_event_rejects_no_other_and_each_is_accounted_for() {
    let intake = Intake::new().await;
    let mut foreign = event("e3");
    foreign["tenant_id"] = json!("other");
    let body = json!([event("e1"), 7, event("e2"), foreign, {"content": "x"}, event("e1")]);
    let (status, answer) = intake.send(BATCH, body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(counts(&answer), [&json!(2), &json!(1), &json!(3)]);
    assert_eq!(answer["duplicate_indexes"], json!([5]));
    let errors: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["index"].clone(), e["code"].clone()))
        .collect();
    let expected = [(1, "payload_malformed"), (3, "wrong_tenant"), (4, "payload_malformed")];
    assert_eq!(errors, expected.map(|(index, code)| (json!(index), json!(code))));
    assert_eq!(intake.kept().await.len(), 2);

    let (_, again) = intake.send(BATCH, json!({"events": [event("e2")]})).await;
    assert_eq!(counts(&again), [&json!(0), &json!(1), &json!(0)]);
    let camel = json!({"events": [{"eventId": "e2", "eventType": "X"}, {"eventId": "e4", "eventType": "X"}]});
    let (_, again) = intake.send(BATCH, camel).await;
    assert_eq!(counts(&again), [&json!(1), &json!(1), &json!(0)]);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let intake = Intake::new().await;
    for (body, expected) in [
        (json!(7), StatusCode::BAD_REQUEST),
        (event("e1"), StatusCode::BAD_REQUEST),
        (json!({"events": 7}), StatusCode::BAD_REQUEST),
        (json!(vec![event("e"); 1001]), StatusCode::PAYLOAD_TOO_LARGE),
        (json!([]), StatusCode::ACCEPTED),
        (json!(vec![event("e"); 1000]), StatusCode::ACCEPTED),
    ] {
        let (status, answer) = intake.send(BATCH, body).await;
        assert_eq!(status, expected, "{answer}");
    }
    assert_eq!(intake.kept().await.len(), 1);
}

#[tokio::test]
async fn what_is_kept_was_scrubbed() {
    let intake = Intake::new().await;
    let mut sdk = event("e1");
    sdk["metadata"] = json!({"tool_args": {"api_key": "hunter2", "to": "ada@example.com"}});
    let mut of_baton = baton("e2");
    of_baton["payload"]["params"] = json!({"password": "hunter2"});
    assert_eq!(intake.send(BATCH, json!([sdk])).await.0, StatusCode::ACCEPTED);
    assert_eq!(intake.send("/v0/events", of_baton).await.0, StatusCode::CREATED);
    let kept = intake.kept().await;
    assert_eq!(kept.len(), 2);
    for event in kept {
        let Recent { body, .. } = &event;
        assert!(body.contains("REDACTED") && !body.contains("hunter2"), "{body}");
        assert!(!body.contains("ada@") && !body.contains("consent"), "{body}");
        assert_eq!(serde_json::from_str::<Value>(body).unwrap()["tenant_id"], "acme");
    }
}

#[tokio::test]
async fn a_baton_collector_is_answered_as_it_expects() {
    let intake = Intake::new().await;
    let mut torn = baton("e2");
    torn.as_object_mut().unwrap().remove("payload");
    let mut unwilling = baton("e3");
    unwilling["consent_token"] = json!("");
    for (body, status, code) in [
        (baton("e1"), StatusCode::CREATED, None),
        (baton("e1"), StatusCode::OK, None),
        (torn, StatusCode::BAD_REQUEST, Some("payload_malformed")),
        (unwilling, StatusCode::UNAUTHORIZED, Some("consent_token_invalid")),
        (json!([baton("e4")]), StatusCode::BAD_REQUEST, Some("payload_malformed")),
    ] {
        let (found, answer) = intake.send("/v0/events", body).await;
        assert_eq!((found, answer["error"]["code"].as_str()), (status, code), "{answer}");
    }
    let kept = intake.kept().await;
    assert_eq!(kept.len(), 1);
    assert_eq!((&*kept[0].dialect, &*kept[0].tool_name), ("baton", "read"));
}

#[tokio::test]
async fn the_ingest_token_stands_in_for_a_key_that_may_not_write() {
    let intake = Intake::new().await;
    let asks = intake.enforcer.key("acme", ASK).await;
    let foreign = intake.enforcer.key("other", WRITE).await;
    let (good, none) = (intake.key.as_str(), None);
    for (key, token, expected) in [
        (none, Some(good), StatusCode::ACCEPTED),
        (Some(asks.as_str()), Some(good), StatusCode::ACCEPTED),
        (Some("thoth_live_x"), Some(good), StatusCode::ACCEPTED),
        (Some(good), Some("of another service"), StatusCode::ACCEPTED),
        (Some(asks.as_str()), none, StatusCode::FORBIDDEN),
        (Some(asks.as_str()), Some(foreign.as_str()), StatusCode::FORBIDDEN),
        (Some(asks.as_str()), Some(asks.as_str()), StatusCode::FORBIDDEN),
        (none, Some("thoth_live_x"), StatusCode::UNAUTHORIZED),
        (none, none, StatusCode::UNAUTHORIZED),
    ] {
        let mut request = Request::post(BATCH);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        if let Some(token) = token {
            request = request.header("x-thoth-event-ingest-token", token);
        }
        let request = request.body(Body::from("[]")).unwrap();
        let answer = intake.enforcer.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert_eq!(status, expected, "{key:?} {token:?} {body:?}");
    }
}

/// The status of a request with this token and no key.
async fn by_token(enforcer: &Enforcer, token: &str) -> u16 {
    let request = Request::post(BATCH).header("x-thoth-event-ingest-token", token);
    let request = request.body(Body::from("[]")).unwrap();
    enforcer.router.clone().oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn who_guesses_ingest_tokens_is_slowed_down_and_slows_down_nobody_known() {
    let intake = Intake::new().await;
    assert_eq!(by_token(&intake.enforcer, &intake.key).await, 202);
    let mut last = 0;
    for guess in 0..40 {
        last = by_token(&intake.enforcer, &guess.to_string()).await;
    }
    assert_eq!(last, 429);
    assert_eq!(by_token(&intake.enforcer, &intake.key).await, 202);
}

#[tokio::test]
async fn an_ingest_token_has_the_limit_of_its_key() {
    let limits = Limits::per_second(NonZeroU32::MIN);
    let enforcer = Enforcer::with(|parts| Parts { limits, ..parts }).await;
    let key = enforcer.key("acme", WRITE).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&429) {
        assert!(seen.len() < 10_000, "nobody is stopped");
        seen.push(by_token(&enforcer, &key).await);
    }
    assert!(seen.len() > 2 && seen[0] == 202, "{seen:?}");
}

#[tokio::test]
async fn a_key_of_one_agent_speaks_for_no_other() {
    let intake = Intake::new().await;
    let key = intake.enforcer.key_for("acme", WRITE, Scope::Agent("mine".to_owned())).await;
    let of = |agent: &str| json!({"event_type": "X", "agent_id": agent});
    let body = Some(json!([of("mine"), of("yours")]));
    let (_, answer) = intake.enforcer.send(Method::POST, BATCH, Some(&key), body).await;
    assert_eq!(counts(&answer), [&json!(1), &json!(0), &json!(1)]);
    assert_eq!(answer["errors"][0]["code"], "insufficient_scope");
}

#[tokio::test]
async fn what_is_too_old_or_too_much_goes_and_nothing_else() {
    let intake = Intake::new().await;
    for number in 0..5 {
        intake.send(BATCH, json!([event(&format!("e{number}"))])).await;
    }
    let names = |kept: Vec<Recent>| kept.into_iter().map(|one| one.event_id).collect::<Vec<_>>();
    let app = &intake.enforcer.app;
    let week = Retention::default();
    assert_eq!(events::sweep(app, &week).await.unwrap(), 0);
    assert_eq!(events::sweep(app, &Retention { most: 3, ..week }).await.unwrap(), 2);
    assert_eq!(names(intake.kept().await), ["e4", "e3", "e2"]);
    sqlx::query("UPDATE events SET received_at = 1 WHERE event_id = 'e2'")
        .execute(app.store.write())
        .await
        .unwrap();
    let age = SignedDuration::from_hours(1);
    assert_eq!(events::sweep(app, &Retention { age, ..week }).await.unwrap(), 1);
    assert_eq!(names(intake.kept().await), ["e4", "e3"]);
}

#[tokio::test]
async fn very_much_that_is_too_old_goes_from_every_tenant() {
    let intake = Intake::new().await;
    let app = &intake.enforcer.app;
    let other = intake.enforcer.key("other", WRITE).await;
    let event_of = |number: usize| json!({"event_id": number.to_string(), "event_type": "X"});
    let many: Vec<_> = (0..1000).map(event_of).collect();
    for key in [&intake.key, &other] {
        let body = Some(json!(many));
        let (status, _) = intake.enforcer.send(Method::POST, BATCH, Some(key), body).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }
    let aged = sqlx::query("UPDATE events SET received_at = 1").execute(app.store.write());
    assert_eq!(aged.await.unwrap().rows_affected(), 2000);
    intake.send(BATCH, json!([event("new")])).await;
    assert_eq!(events::sweep(app, &Retention::default()).await.unwrap(), 2000);
    let kept = intake.kept().await;
    assert_eq!(kept.into_iter().map(|one| one.event_id).collect::<Vec<_>>(), ["new"]);
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_that_cannot_send_on_says_so() {
    use thoth::config::ambient::Ambient;
    use thoth::config::settings::Tls;
    use thoth::machine::clock;
    use thoth::server::events::Forward;

    let home = tempfile::tempdir().unwrap();
    let url = "http://127.0.0.1:1/v1/logs";
    let opened = Forward::open(url, Ambient::default(), &Tls::default(), home.path(), clock::now);
    assert!(opened.unwrap_err().to_string().contains("--features otlp"));
}

#[cfg(feature = "otlp")]
mod sent_on {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::routing::post;
    use thoth::config::ambient::Ambient;
    use thoth::config::settings::Tls;
    use thoth::machine::clock;
    use thoth::server::events::Forward;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::plain::Plain;

    #[tokio::test]
    async fn what_is_new_arrives_at_the_collector_once_and_scrubbed() {
        let (sender, mut received) = mpsc::unbounded_channel::<Bytes>();
        let collector = Router::new()
            .route(
                "/v1/logs",
                post(
                    |State(sender): State<mpsc::UnboundedSender<Bytes>>, body: Bytes| async move {
                        sender.send(body).unwrap();
                    },
                ),
            )
            .with_state(sender);
        let collector = Plain::serve(collector).await;
        let home = tempfile::tempdir().unwrap();
        let url = format!("{}/v1/logs", collector.url);
        let (headers, tls) = (Ambient::default(), Tls::default());
        let forward = Forward::open(&url, headers, &tls, home.path(), clock::now).unwrap();
        let enforcer = Enforcer::forwarding(forward).await;
        let key = enforcer.key("acme", WRITE).await;
        let intake = Intake { enforcer, key };
        let mut secret = event("e1");
        secret["content"] = json!("mail ada@example.com");
        intake.send(BATCH, json!([secret, 7])).await;
        intake.send(BATCH, json!([event("e1")])).await;
        intake.send("/v0/events", baton("e2")).await;

        let mut records = Vec::new();
        for _ in 0..2 {
            let body = received.recv().await.unwrap();
            records.push(String::from_utf8_lossy(&body).into_owned());
        }
        records.sort_by_key(|record| record.contains("\"e2\""));
        assert!(records[0].contains("[REDACTED:email]"), "{records:?}");
        assert!(records[1].contains("tool_call_start"), "{records:?}");
        intake.enforcer.app.forward.close(Instant::now() + Duration::from_secs(20)).await;
        assert!(received.try_recv().is_err(), "nothing twice");
    }
}
