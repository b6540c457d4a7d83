//! Endpoints, check-ins and orders.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thoth::machine::clock;
use thoth::server::Tenant;
use thoth::server::bus::Topic;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::fleet::{self, Standing};
use tokio_util::sync::CancellationToken;

use crate::live::Enforcer;

const FREE: &str = r#"{"quarantine": false, "revoked_key_ids": [], "minimum_version": null,
    "heartbeat_interval_seconds": null}"#;

/// One tenant's GovAPI.
struct Fleet {
    enforcer: Enforcer,
    admin: String,
    sidecar: String,
}

impl Fleet {
    async fn new() -> Self {
        let enforcer = Enforcer::new().await;
        let admin = enforcer.key("acme", Permissions::ALL).await;
        let sidecar = enforcer.key("acme", Permissions::SIDECAR).await;
        Self { enforcer, admin, sidecar }
    }

    async fn says(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let path = format!("/acme/thoth{path}");
        self.enforcer.send(method, &path, Some(&self.sidecar), body).await
    }

    async fn orders(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let path = format!("/acme/thoth{path}");
        self.enforcer.send(method, &path, Some(&self.admin), body).await
    }

    async fn register(&self, id: &str, more: Value) -> Value {
        let mut body = json!({"endpoint_id": id, "hostname": id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.says(Method::POST, "/endpoints", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn checks_in(&self, id: &str, body: Value) -> Value {
        let path = format!("/endpoints/{id}/checkin");
        let (status, answer) = self.says(Method::POST, &path, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["directives"].clone()
    }

    /// Revokes a key, whatever the address for it is.
    async fn revoke(&self, key: &str) {
        let hash = hex::encode(Sha256::digest(key));
        let revoked = sqlx::query("UPDATE api_keys SET revoked_at = 1 WHERE hash = $1")
            .bind(hash)
            .execute(self.enforcer.app.store.write());
        assert_eq!(revoked.await.unwrap().rows_affected(), 1);
    }

    async fn sees(&self, id: &str) -> Value {
        let (status, answer) = self.says(Method::GET, &format!("/endpoints/{id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

fn free() -> Value {
    serde_json::from_str(FREE).unwrap()
}

#[tokio::test]
async fn a_registration_is_kept_and_brought_up_to_date() {
    let fleet = Fleet::new().await;
    let first = fleet.register("mac-7", json!({"department": "it", "os": "macos"})).await;
    assert_eq!((&first["status"], &first["directives"]), (&json!("registered"), &free()));

    let second = fleet.register("mac-7", json!({"os": "linux", "proxy_version": "0.1.0"})).await;
    assert_eq!(second["department"], "it", "what people said of it stays");
    assert_eq!((&second["os"], &second["proxy_version"]), (&json!("linux"), &json!("0.1.0")));
    assert_eq!(second["created_at"], first["created_at"]);
    assert_eq!(fleet.sees("mac-7").await["hostname"], "mac-7");
}

#[tokio::test]
async fn an_endpoint_nobody_registered_is_told_to() {
    let fleet = Fleet::new().await;
    for path in ["/endpoints/mac-7/checkin", "/endpoints/a%2Fb/checkin"] {
        let (status, answer) = fleet.says(Method::POST, path, Some(json!({}))).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::NOT_FOUND, &json!("not_found"))
        );
    }
    fleet.register("mac-7", json!({})).await;
    assert_eq!(fleet.checks_in("mac-7", json!({})).await, free());
}

#[tokio::test]
async fn orders_are_told_at_the_next_check_in_and_lifted_in_the_next() {
    let fleet = Fleet::new().await;
    fleet.register("mac-7", json!({})).await;
    fleet.register("mac-8", json!({})).await;
    let reason = json!({"reason": "reported lost"});
    let (status, shown) =
        fleet.orders(Method::POST, "/endpoints/mac-7/quarantine", Some(reason)).await;
    assert_eq!((status, &shown["quarantined"]), (StatusCode::OK, &json!(true)));
    assert_eq!(shown["quarantine_order"]["reason"], "reported lost");
    let told = fleet.checks_in("mac-7", json!({})).await;
    assert_eq!(told["quarantine"], json!({"active": true, "reason": "reported lost"}));
    assert_eq!(fleet.checks_in("mac-8", json!({})).await, free());
    let registered = fleet.register("mac-7", json!({})).await;
    assert_eq!(registered["directives"]["quarantine"]["active"], true, "it survives that");

    let (status, _) = fleet.orders(Method::DELETE, "/endpoints/mac-7/quarantine", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(fleet.checks_in("mac-7", json!({})).await, free());
    let (status, _) = fleet.orders(Method::POST, "/endpoints/mac-9/quarantine", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = fleet.orders(Method::POST, "/endpoints/mac-7/quarantine", None).await;
    assert_eq!(status, StatusCode::OK, "a reason is not needed");
    let (status, _) = fleet.says(Method::POST, "/endpoints/mac-7/quarantine", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a sidecar's key gives no orders");
}

#[tokio::test]
async fn settings_hold_for_all_and_what_is_not_named_stays() {
    let fleet = Fleet::new().await;
    fleet.register("mac-7", json!({})).await;
    for (change, expected) in [
        (
            json!({"minimum_version": "0.2.0", "revoked_key_ids": ["k1"]}),
            [json!("0.2.0"), json!(null), json!(["k1"])],
        ),
        (json!({"heartbeat_interval_seconds": 30}), [json!("0.2.0"), json!(30), json!(["k1"])]),
        (json!({"minimum_version": null}), [json!(null), json!(30), json!(["k1"])]),
        (
            json!({"revoked_key_ids": null, "heartbeat_interval_seconds": null}),
            [json!(null), json!(null), json!([])],
        ),
    ] {
        let (status, shown) = fleet.orders(Method::PUT, "/settings", Some(change.clone())).await;
        assert_eq!(status, StatusCode::OK, "{change}");
        let told = fleet.checks_in("mac-7", json!({})).await;
        for (place, name) in ["minimum_version", "heartbeat_interval_seconds", "revoked_key_ids"]
            .into_iter()
            .enumerate()
        {
            assert_eq!(
                (&shown[name], &told[name]),
                (&expected[place], &expected[place]),
                "{change}"
            );
        }
    }
    let (status, _) = fleet.orders(Method::PUT, "/settings", Some(json!({"webhook": "x"}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = fleet.says(Method::GET, "/settings", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_revoked_api_key_is_told_by_its_id_and_its_fingerprint() {
    let fleet = Fleet::new().await;
    fleet.register("mac-7", json!({})).await;
    fleet.revoke(&fleet.admin).await;
    let told = fleet.checks_in("mac-7", json!({})).await;
    let told: Vec<_> =
        told["revoked_key_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("key_"), "{told:?}");
    let fingerprint = thoth::secret::fingerprint(&fleet.admin);
    assert!(told[1].starts_with(&fingerprint), "{told:?} {fingerprint}");
}

fn head(records: u64, head: &str) -> Value {
    json!({"journals": [{"session_id": "s", "agent_id": "a", "records": records, "head": head}]})
}

#[tokio::test]
async fn a_journal_that_goes_backwards_or_has_another_past_marks_its_endpoint() {
    let fleet = Fleet::new().await;
    for (id, last) in [("backwards", head(4, "aa")), ("another", head(5, "bb"))] {
        fleet.register(id, json!({})).await;
        for honest in [head(4, "aa"), head(5, "aa"), head(5, "aa")] {
            fleet.checks_in(id, honest).await;
        }
        let seen = fleet.sees(id).await;
        assert_eq!((&seen["at_risk"], &seen["journal_conflict"]), (&json!(false), &Value::Null));

        let mut listener = fleet.enforcer.app.bus.listen();
        fleet.checks_in(id, last.clone()).await;
        let seen = fleet.sees(id).await;
        assert_eq!(seen["at_risk"], true, "{id}");
        assert_eq!(listener.recv().await.unwrap().topic, Topic::Endpoint(id.to_owned()));
        let what = &seen["journal_conflict"]["what"];
        let reported = &last["journals"][0];
        assert_eq!(what["kept"], json!({"records": 5, "head": "aa"}));
        assert_eq!(what["reported"]["records"], reported["records"]);
        assert_eq!(seen["journals"][0]["head"], "aa", "the one before stands");

        fleet.checks_in(id, head(6, "cc")).await;
        let seen = fleet.sees(id).await;
        assert_eq!(seen["journals"][0]["records"], 6);
        assert_eq!(seen["at_risk"], true, "it is not forgotten");
        assert_eq!(&seen["journal_conflict"]["what"], what, "the first is shown");
    }
}

#[tokio::test]
async fn machines_are_counted_by_how_they_are() {
    let fleet = Fleet::new().await;
    let (own, old) = (env!("CARGO_PKG_VERSION"), "0.0.1");
    for (id, enrollment, version) in [
        ("new", "jamf", own),
        ("well", "intune", own),
        ("sick", "manual", old),
        ("gone", "unmanaged", old),
        ("silent", "jamf", own),
    ] {
        let more = json!({"enrollment": enrollment, "proxy_version": version});
        fleet.register(id, more).await;
    }
    fleet.checks_in("well", json!({"health": "healthy"})).await;
    fleet.checks_in("sick", json!({"health": "unhealthy"})).await;
    fleet.checks_in("gone", json!({"status": "stopping", "config_drifted": true})).await;
    fleet.checks_in("silent", json!({})).await;
    let tenant = Tenant::parse("acme").unwrap();
    fleet::stats(&fleet.enforcer.app, &tenant).await.unwrap(); // what waits is written
    sqlx::query("UPDATE endpoints SET last_seen = last_seen - 200000000 WHERE endpoint_id = $1")
        .bind("silent")
        .execute(fleet.enforcer.app.store.write())
        .await
        .unwrap();
    fleet.orders(Method::POST, "/endpoints/well/quarantine", None).await;

    let (status, counts) = fleet.says(Method::GET, "/endpoints/stats", None).await;
    let expected = json!({
        "total": 5, "online": 2, "stale": 1, "at_risk": 2, "quarantined": 1, "managed": 4,
        "unmanaged": 1, "proxy_outdated": 2, "latest_version": own,
    });
    assert_eq!((status, counts), (StatusCode::OK, expected));
    let settings = fleet::settings(&fleet.enforcer.app, &tenant).await.unwrap();
    let all = fleet::list(&fleet.enforcer.app, &tenant).await.unwrap();
    let standings: Vec<_> = all
        .iter()
        .map(|one| (one.endpoint_id.as_str(), one.standing(&settings, clock::now())))
        .collect();
    let expected = [
        ("gone", Standing::Stopped),
        ("new", Standing::Registered),
        ("sick", Standing::Online),
        ("silent", Standing::Stale),
        ("well", Standing::Online),
    ];
    assert_eq!(standings, expected);

    let demanded = json!({"minimum_version": "99.0.0"});
    fleet.orders(Method::PUT, "/settings", Some(demanded)).await;
    let (_, counts) = fleet.says(Method::GET, "/endpoints/stats", None).await;
    assert_eq!(counts["proxy_outdated"], 5);
}

#[tokio::test]
async fn the_list_is_filtered_and_comes_in_pages() {
    let fleet = Fleet::new().await;
    for (id, environment, of) in
        [("a", "prod", "f1"), ("b", "dev", "f1"), ("c", "prod", "f2"), ("d", "prod", "")]
    {
        fleet.register(id, json!({"environment": environment, "fleet_id": of})).await;
    }
    for (query, names, total) in [
        ("", vec!["a", "b", "c", "d"], 4),
        ("?env=prod", vec!["a", "c", "d"], 3),
        ("?env=prod&fleet_id=f1", vec!["a"], 1),
        ("?env=&fleet_id=", vec!["a", "b", "c", "d"], 4),
        ("?fleet_id=f3", vec![], 0),
        ("?page=2&per_page=3", vec!["d"], 4),
        ("?page=3&per_page=3", vec![], 4),
    ] {
        let (status, answer) = fleet.says(Method::GET, &format!("/endpoints{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{query}");
        let found: Vec<_> =
            answer["data"].as_array().unwrap().iter().map(|one| &one["endpoint_id"]).collect();
        assert_eq!(
            (found, &answer["total"]),
            (
                names.iter().map(|name| json!(name)).collect::<Vec<_>>().iter().collect(),
                &json!(total)
            ),
            "{query}"
        );
    }
    for query in ["?page=0", "?per_page=0", "?per_page=1001", "?page=9223372036854775807"] {
        let (status, _) = fleet.says(Method::GET, &format!("/endpoints{query}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_key_of_one_endpoint_or_fleet_is_good_for_no_other() {
    let fleet = Fleet::new().await;
    fleet.register("a", json!({"fleet_id": "f1"})).await;
    fleet.register("b", json!({"fleet_id": "f2"})).await;
    for scope in [Scope::Endpoint("a".to_owned()), Scope::Fleet("f1".to_owned())] {
        let key = fleet.enforcer.key_for("acme", Permissions::ALL, scope.clone()).await;
        let key = Some(key);
        let send = |method, path: &str, body| {
            let path = format!("/acme/thoth{path}");
            let (enforcer, key) = (&fleet.enforcer, key.clone());
            async move { enforcer.send(method, &path, key.as_deref(), body).await }
        };
        let body = || Some(json!({"endpoint_id": "b", "hostname": "b", "fleet_id": "f2"}));
        for (method, path, body, expected) in [
            (Method::GET, "/endpoints/a", None, StatusCode::OK),
            (Method::GET, "/endpoints/b", None, StatusCode::NOT_FOUND),
            (Method::POST, "/endpoints/a/checkin", None, StatusCode::OK),
            (Method::POST, "/endpoints/b/checkin", None, StatusCode::NOT_FOUND),
            (Method::POST, "/endpoints/b/quarantine", None, StatusCode::NOT_FOUND),
            (Method::DELETE, "/endpoints/b/quarantine", None, StatusCode::NOT_FOUND),
            (Method::POST, "/endpoints", body(), StatusCode::FORBIDDEN),
            (Method::GET, "/settings", None, StatusCode::FORBIDDEN),
        ] {
            let (status, _) = send(method.clone(), path, body).await;
            assert_eq!(status, expected, "{scope:?} {method} {path}");
        }
        let (_, listed) = send(Method::GET, "/endpoints", None).await;
        assert_eq!(listed["total"], 1, "{scope:?}");
        let (_, stats) = send(Method::GET, "/endpoints/stats", None).await;
        assert_eq!(stats["total"], 1, "{scope:?}");
    }
    // Whoever may only speak for one fleet moves nobody into it.
    let scope = Scope::Fleet("f1".to_owned());
    let key = fleet.enforcer.key_for("acme", Permissions::ALL, scope).await;
    let body = json!({"endpoint_id": "b", "hostname": "b", "fleet_id": "f1"});
    let (status, _) =
        fleet.enforcer.send(Method::POST, "/acme/thoth/endpoints", Some(&key), Some(body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(fleet.sees("b").await["fleet_id"], "f2");
}

#[tokio::test]
async fn what_was_acknowledged_is_written_when_the_server_stops() {
    let fleet = Fleet::new().await;
    fleet.register("mac-7", json!({})).await;
    fleet.checks_in("mac-7", json!({"health": "healthy"})).await;
    let stop = CancellationToken::new();
    stop.cancel();
    fleet::keep(fleet.enforcer.app.clone(), stop).await;
    let seen: (i64,) = sqlx::query_as("SELECT COUNT(last_seen) FROM endpoints")
        .fetch_one(fleet.enforcer.app.store.read())
        .await
        .unwrap();
    assert_eq!(seen.0, 1);
}

#[tokio::test]
async fn a_head_nobody_heard_of_for_long_is_forgotten() {
    let fleet = Fleet::new().await;
    fleet.register("mac-7", json!({})).await;
    fleet.checks_in("mac-7", head(1, "aa")).await;
    fleet.sees("mac-7").await;
    assert_eq!(fleet::sweep(&fleet.enforcer.app).await.unwrap(), 0);
    sqlx::query("UPDATE journal_heads SET seen_at = 1")
        .execute(fleet.enforcer.app.store.write())
        .await
        .unwrap();
    assert_eq!(fleet::sweep(&fleet.enforcer.app).await.unwrap(), 1);
    assert_eq!(fleet.sees("mac-7").await["journals"], json!([]));
}
