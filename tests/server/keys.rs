//! API keys: who may make and use which.

use std::io::Write as _;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use thoth::machine::clock;
use thoth::server::Tenant;
use thoth::server::caller::{Permissions, Scope};
use thoth::server::keys::{self, Adopted, KeyFile, NewKey};

use crate::live::Enforcer;

const KEYS: &str = "/acme/thoth/api-keys";

#[tokio::test]
async fn a_key_is_found_by_itself_and_by_nothing_else() {
    let enforcer = Enforcer::new().await;
    let key = enforcer.key("acme", Permissions::SIDECAR).await;

    let found = keys::find(&enforcer.app.store, &key, clock::now()).await.unwrap().unwrap();
    assert_eq!((found.tenant.as_str(), found.permissions), ("acme", Permissions::SIDECAR));
    let other = keys::find(&enforcer.app.store, "thoth_live_0", clock::now()).await.unwrap();
    assert!(other.is_none());
    let (status, _) = enforcer.send(Method::GET, "/nothing", Some(&key), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_is_made_shown_once_listed_and_revoked_at_once() {
    let enforcer = Enforcer::new().await;
    let admin = enforcer.key("acme", Permissions::ALL).await;
    let wanted = json!({
        "name": "laptop 7",
        "permissions": ["enforcement:read", "step-up:read", "events:write"],
        "scope_level": "agent",
        "scope_target_id": "files",
        "ttl_seconds": 3600,
        "jit_reason": "an incident",
    });
    let (status, made) = enforcer.send(Method::POST, KEYS, Some(&admin), Some(wanted)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["permissions"], json!(["write", "execute"]));
    let (id, key) = (made["id"].as_str().unwrap(), made["api_key"].as_str().unwrap());

    let (_, listed) = enforcer.send(Method::GET, KEYS, Some(&admin), None).await;
    let of = |id: &str| {
        listed["api_keys"].as_array().unwrap().iter().find(|row| row["id"] == id).cloned().unwrap()
    };
    assert_eq!(of(id)["scope_target_id"], "files");
    assert_eq!(of(id)["status"], "active");
    assert!(!listed.to_string().contains(key), "it is shown once");

    let one = format!("{KEYS}/{id}");
    let authorize = format!("{one}/authorize");
    let ask = async |asked: Value| {
        enforcer.send(Method::POST, &authorize, Some(&admin), Some(asked)).await.1
    };
    let yes = ask(json!({"permission": "execute"})).await;
    assert_eq!((&yes["valid"], &yes["authorized"]), (&json!(true), &json!(true)));
    let no = ask(json!({"permission": "admin"})).await;
    assert_eq!((&no["permission_allowed"], &no["authorized"]), (&json!(false), &json!(false)));
    let no =
        ask(json!({"permission": "execute", "scope_level": "agent", "scope_target_id": "x"})).await;
    assert_eq!((&no["scope_allowed"], &no["authorized"]), (&json!(false), &json!(false)));

    // Known to this process from its use, and refused all the same once it is revoked.
    let known = async || enforcer.send(Method::GET, "/v1/enforce/hold/x", Some(key), None).await.0;
    assert_eq!(known().await, StatusCode::NOT_FOUND);
    let (status, _) = enforcer.send(Method::DELETE, &one, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(known().await, StatusCode::UNAUTHORIZED);
    let (status, _) = enforcer.send(Method::DELETE, &one, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "once more changes nothing");
    let metrics = format!("{KEYS}/metrics");
    let (_, counts) = enforcer.send(Method::GET, &metrics, Some(&admin), None).await;
    assert_eq!(counts, json!({"total": 2, "active": 1, "expired": 0, "revoked": 1}));
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_told_why() {
    let enforcer = Enforcer::new().await;
    let admin = enforcer.key("acme", Permissions::ALL).await;
    for wanted in [
        json!({}),
        json!({"permissions": []}),
        json!({"permissions": ["everything"]}),
        json!({"permissions": ["read"], "scope_level": "galaxy"}),
        json!({"permissions": ["read"], "scope_level": "agent"}),
        json!({"permissions": ["read"], "ttl_seconds": 0}),
        json!({"permissions": ["read"], "ttl_seconds": i64::MAX}),
        json!({"permissions": ["read"], "name": "n".repeat(201)}),
        json!({"permissions": ["read"], "name": "two\nlines"}),
        json!({"permissions": ["read"], "jit_reason": "two\nlines"}),
    ] {
        let (status, body) =
            enforcer.send(Method::POST, KEYS, Some(&admin), Some(wanted.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wanted} {body}");
        assert_eq!(body["error"]["code"], "malformed_request", "{wanted}");
    }
    let (_, list) = enforcer.send(Method::GET, KEYS, Some(&admin), None).await;
    assert_eq!(list["api_keys"].as_array().unwrap().len(), 1, "none was made: {list}");
}

#[tokio::test]
async fn the_last_key_that_makes_others_stays() {
    let enforcer = Enforcer::new().await;
    let admin = enforcer.key("acme", Permissions::ALL).await;
    enforcer.key("other", Permissions::ALL).await;
    let tenant = Tenant::parse("acme").unwrap();
    let partial = NewKey {
        name: "of one fleet".to_owned(),
        permissions: Permissions::ALL,
        scope: Scope::Fleet("f".to_owned()),
        expires_at: None,
    };
    keys::issue(&enforcer.app.store, &tenant, &partial, clock::now()).await.unwrap();
    let own = keys::find(&enforcer.app.store, &admin, clock::now()).await.unwrap().unwrap().key_id;
    let path = format!("{KEYS}/{own}");
    let (status, body) = enforcer.send(Method::DELETE, &path, Some(&admin), None).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::CONFLICT, &json!("last_admin_key")));
    enforcer.key("acme", Permissions::ALL).await;
    let (status, _) = enforcer.send(Method::DELETE, &path, Some(&admin), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

/// What each permission opens. 403 where it is not enough; anything else where it is: the requests
/// are not good ones beyond that.
#[tokio::test]
async fn each_permission_opens_its_own_doors() {
    let enforcer = Enforcer::new().await;
    let doors: [(Method, &str, &str); 9] = [
        (Method::POST, "/v1/enforce", "execute"),
        (Method::GET, "/v1/enforce/hold/x", "execute"),
        (Method::DELETE, "/v1/enforce/hold/x", "execute"),
        (Method::POST, "/v1/events/batch", "write"),
        (Method::POST, "/acme/thoth/endpoints", "write"),
        (Method::POST, "/acme/thoth/endpoints/e/checkin", "write"),
        (Method::GET, "/acme/thoth/endpoints", "read"),
        (Method::GET, KEYS, "admin"),
        (Method::POST, "/acme/thoth/approvals/a/resolve", "admin"),
    ];
    for word in ["read", "write", "execute", "admin"] {
        let key = enforcer.key("acme", Permissions::read(word).unwrap()).await;
        for (method, path, needs) in &doors {
            let body = (*method == Method::POST).then(|| json!({"decision": "deny"}));
            let (status, body) = enforcer.send(method.clone(), path, Some(&key), body).await;
            let is_open = status != StatusCode::FORBIDDEN;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{word} {path}");
            assert_eq!(is_open, word == *needs || word == "admin", "{word} {path} {status} {body}");
        }
    }
}

#[tokio::test]
async fn a_key_of_a_part_manages_no_keys() {
    let enforcer = Enforcer::new().await;
    for scope in [
        Scope::Fleet("f".to_owned()),
        Scope::Endpoint("e".to_owned()),
        Scope::Agent("a".to_owned()),
    ] {
        let key = enforcer.key_for("acme", Permissions::ALL, scope).await;
        let (status, _) = enforcer.send(Method::GET, KEYS, Some(&key), None).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_file_of_keys_is_put_in_place_again_and_again() {
    let enforcer = Enforcer::new().await;
    let (store, now) = (&enforcer.app.store, clock::now());
    let key = "a-key-that-a-deployment-has-made-up";
    let hash = hex::encode(keys::hash_of("another-key-of-the-same-deployment"));
    let json = file(&format!(
        r#"[{{"tenant": "acme", "name": "ci", "key": "{key}", "permissions": ["execute"]}},
            {{"tenant": "acme", "key_sha256": "{hash}", "permissions": ["admin"]}}]"#
    ));
    let toml = file(&format!(
        "[[key]]\ntenant = \"acme\"\nkey = \"{key}\"\npermissions = [\"execute\", \"write\"]\n\
         scope_level = \"agent\"\nscope_target_id = \"ci\"\n"
    ));
    for (file, words, agent) in
        [(&json, "execute", ""), (&json, "execute", ""), (&toml, "write execute", "ci")]
    {
        KeyFile::read(file.path()).unwrap().adopt(store, now).await.unwrap();
        let found = keys::find(store, key, now).await.unwrap().unwrap();
        assert_eq!((found.permissions.words(), found.scope.words().1), (words.to_owned(), agent));
    }
    let other = keys::find(store, "another-key-of-the-same-deployment", now).await.unwrap();
    assert_eq!(other.unwrap().permissions.words(), "admin");

    // An end that the file says comes, and goes when it says none.
    let ended = file(&format!(
        r#"[{{"tenant": "acme", "key": "{key}", "permissions": ["execute"],
            "expires_at": "2026-01-01T00:00:00Z"}}]"#
    ));
    KeyFile::read(ended.path()).unwrap().adopt(store, now).await.unwrap();
    assert!(keys::find(store, key, now).await.unwrap().is_none());
    KeyFile::read(json.path()).unwrap().adopt(store, now).await.unwrap();
    assert!(keys::find(store, key, now).await.unwrap().is_some());

    // Revoked stays revoked, and nobody's key becomes another tenant's.
    let admin = enforcer.key("acme", Permissions::ALL).await;
    let id = keys::find(store, key, now).await.unwrap().unwrap().key_id;
    enforcer.send(Method::DELETE, &format!("{KEYS}/{id}"), Some(&admin), None).await;
    KeyFile::read(json.path()).unwrap().adopt(store, now).await.unwrap();
    assert!(keys::find(store, key, now).await.unwrap().is_none());
    let new = NewKey {
        name: String::new(),
        permissions: Permissions::ALL,
        scope: Scope::Organization,
        expires_at: None,
    };
    let thief = Tenant::parse("thief").unwrap();
    let hash = keys::hash_of("another-key-of-the-same-deployment");
    let adopted = keys::adopt(store, &thief, &hash, &new, now).await.unwrap();
    assert_eq!(adopted, Adopted::Foreign);
}

#[test]
fn a_file_of_keys_that_cannot_be_used_is_told_without_its_keys() {
    let long = "k".repeat(40);
    for (text, says) in [
        ("", "is no file of keys"),
        ("[{]", "is no file of keys"),
        ("[{\"tenant\": 1}]", "is no file of keys"),
        (
            &format!(r#"[{{"tenant":"a","kye":"{long}","permissions":["read"]}}]"#),
            "is no file of keys",
        ),
        (r#"[{"tenant":"a","key":"hunter2","permissions":["read"]}]"#, "is too short"),
        (&format!(r#"[{{"tenant":"A","key":"{long}","permissions":["read"]}}]"#), "is of a tenant"),
        (&format!(r#"[{{"tenant":"a","key":"{long}","permissions":["x"]}}]"#), "has permissions"),
        (r#"[{"tenant":"a","key_sha256":"00","permissions":["read"]}]"#, "64 hexadecimal"),
        (r#"[{"tenant":"a","permissions":["read"]}]"#, "needs one of"),
    ] {
        let error = KeyFile::read(file(text).path()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(!error.contains("hunter2") && !error.contains(&long), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_of_keys_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let file = file("[]");
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = KeyFile::read(file.path()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("can be read by others"), "{cause}");
}
