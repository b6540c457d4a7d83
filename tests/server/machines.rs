//! The real sidecar and the library's own client against this server's GovAPI.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use thoth::config::settings::{self, Tls};
use thoth::credential::{Credential, Source};
use thoth::endpoint::sidecar::Decisions;
use thoth::endpoint::state::Directives;
use thoth::govapi::GovApi;
use thoth::govapi::wire::{CheckIn, JournalHead, Registration, Servers, Status};
use thoth::machine::clock;
use thoth::secret::ApiKey;
use thoth::server::caller::Permissions;

use crate::live::Enforcer;
use crate::plain::Plain;

fn client(plain: &Plain, tenant: &str, key: &str) -> GovApi {
    let secret = ApiKey::parse(key).unwrap();
    let source = Source::Value { secret, from: "THOTH_API_KEY", key_id: None };
    let settings = settings::GovApi {
        url: plain.url.clone(),
        tenant: tenant.to_owned(),
        bearer_token: None,
        api_key: None,
        fallback_key: Some(Credential::new("api_key", source, clock::now)),
        heartbeat: Duration::from_secs(1),
        tool_inventory: true,
    };
    GovApi::new(&settings, &Tls::default(), clock::now).unwrap()
}

fn check_in() -> CheckIn {
    CheckIn {
        registration: Registration {
            endpoint_id: "mac-7".to_owned(),
            hostname: "mac".to_owned(),
            employee_email: Some("ada@example.com".to_owned()),
            os: "macos",
            os_version: Some("15.1".to_owned()),
            enrollment: "jamf",
            status: Status::Online,
            enforcement_mode: "enforce",
            environment: "prod",
            proxy_version: env!("CARGO_PKG_VERSION"),
            fleet_id: Some("sales".to_owned()),
            agent_ids: vec!["files".to_owned()],
        },
        checked_in_at: clock::now(),
        health: "healthy",
        quarantined: false,
        config_drifted: false,
        servers: Servers::default(),
        policies: Vec::new(),
        journals: vec![JournalHead {
            session_id: "s".to_owned(),
            agent_id: "files".to_owned(),
            is_over: false,
            records: 7,
            head: "ab".repeat(32),
        }],
        credentials: Vec::new(),
        decisions: Decisions::default(),
        sidecars: 1,
    }
}

#[tokio::test]
async fn the_librarys_client_obeys_this_server() {
    let enforcer = Enforcer::new().await;
    let admin = enforcer.key("acme", Permissions::ALL).await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;
    let plain = Plain::serve(enforcer.router.clone()).await;
    let (govapi, check_in) = (client(&plain, "acme", &key), check_in());

    let unknown = govapi.check_in(&check_in).await.unwrap_err();
    assert!(unknown.is_unknown, "{unknown}");
    govapi.register(&check_in.registration).await.unwrap();
    for (method, path, body) in [
        (Method::POST, "/endpoints/mac-7/quarantine", json!({"reason": "lost"})),
        (
            Method::PUT,
            "/settings",
            json!({"minimum_version": "9.0.0", "heartbeat_interval_seconds": 30,
                   "revoked_key_ids": ["k"]}),
        ),
    ] {
        let path = format!("/acme/thoth{path}");
        let (status, _) = enforcer.send(method, &path, Some(&admin), Some(body)).await;
        assert_eq!(status, StatusCode::OK);
    }
    let mut held = Directives::default();
    govapi.check_in(&check_in).await.unwrap().apply(&mut held);
    let expected = Directives {
        quarantined: true,
        quarantine_reason: Some("lost".to_owned()),
        revoked_key_ids: vec!["k".to_owned()],
        minimum_version: Some("9.0.0".to_owned()),
        heartbeat_interval_seconds: Some(30),
    };
    assert_eq!(held, expected);

    let path = "/acme/thoth/endpoints/mac-7";
    let (_, seen) = enforcer.send(Method::GET, path, Some(&key), None).await;
    for (name, value) in [
        ("employee_email", json!("ada@example.com")),
        ("os", json!("macos")),
        ("fleet_id", json!("sales")),
        ("status", json!("online")),
        ("agent_ids", json!(["files"])),
    ] {
        assert_eq!(seen[name], value, "{name}");
    }
    assert_eq!(seen["journals"][0]["records"], 7);
    assert_eq!(seen["report"]["sidecars"], 1);

    let lift = "/acme/thoth/endpoints/mac-7/quarantine";
    enforcer.send(Method::DELETE, lift, Some(&admin), None).await;
    let free = json!({"minimum_version": null, "heartbeat_interval_seconds": null,
                      "revoked_key_ids": null});
    enforcer.send(Method::PUT, "/acme/thoth/settings", Some(&admin), Some(free)).await;
    govapi.check_in(&check_in).await.unwrap().apply(&mut held);
    assert_eq!(held, Directives::default());

    let foreign = client(&plain, "other", &key).register(&check_in.registration).await;
    assert!(foreign.unwrap_err().to_string().contains("404"));
}

#[cfg(unix)]
mod sidecars {
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::sidecar::{Setup, Sidecar, call};

    /// Calls until it is refused with this reason code, or answered.
    fn until_refused(mut sidecar: Sidecar, code: Option<&str>) -> Sidecar {
        for id in 1..6000 {
            sidecar.says(&call(id, "read", "{}"));
            let answer = sidecar.reads();
            if answer["error"]["data"]["reason_code"].as_str() == code {
                return sidecar;
            }
            std::thread::sleep(Duration::from_millis(10)); // calls are what is counted
        }
        panic!("never: {code:?}");
    }

    #[tokio::test]
    async fn a_real_sidecar_registers_is_quarantined_set_free_and_says_goodbye() {
        let enforcer = Enforcer::new().await;
        let admin = enforcer.key("acme", Permissions::ALL).await;
        let key = enforcer.key("acme", Permissions::SIDECAR).await;
        let plain = Plain::serve(enforcer.router.clone()).await;
        let send = async |method, path: &str| {
            let path = format!("/acme/thoth/endpoints{path}");
            enforcer.send(method, &path, Some(&admin), None).await
        };
        let until = async |path: &str, name: &str, value: Value| {
            for _ in 0..6000 {
                let (_, seen) = send(Method::GET, path).await;
                if seen[name] == value {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(10)).await; // another process works
            }
            panic!("never: {name} {value}");
        };
        let setup = Setup::new()
            .flags(&["--tenant-id", "acme"])
            .variable("THOTH_ENV", "dev")
            .variable("THOTH_GOVAPI_URL", &plain.url)
            .variable("THOTH_GOVAPI_API_KEY", &key)
            .variable("THOTH_HEARTBEAT_INTERVAL_SECONDS", "1")
            .variable("THOTH_ENDPOINT_ID", "mac-7");
        let sidecar = spawn_blocking(move || {
            let mut sidecar = setup.start();
            sidecar.says(r#"{"jsonrpc":"2.0","id":0,"method":"tools/list","params":{}}"#);
            sidecar.reads();
            (setup, until_refused(sidecar, None))
        });
        let (setup, sidecar) = sidecar.await.unwrap();
        let seen = until("/mac-7", "status", json!("online")).await;
        assert_eq!(seen["agent_ids"], json!(["test"]));

        assert_eq!(send(Method::POST, "/mac-7/quarantine").await.0, StatusCode::OK);
        let sidecar = spawn_blocking(|| until_refused(sidecar, Some("endpoint_quarantined")));
        let sidecar = sidecar.await.unwrap();
        until("/mac-7", "blocks_calls", json!(true)).await;
        assert_eq!(send(Method::DELETE, "/mac-7/quarantine").await.0, StatusCode::OK);
        let sidecar = spawn_blocking(|| until_refused(sidecar, None)).await.unwrap();

        assert_eq!(spawn_blocking(|| sidecar.ends()).await.unwrap(), 0);
        let seen = until("/mac-7", "status", json!("stopped")).await;
        let journal = &seen["journals"][0];
        assert!(journal["records"].as_i64().unwrap() > 3, "{journal}");
        assert_eq!(seen["journal_conflict"], Value::Null);
        drop(setup);
    }
}
