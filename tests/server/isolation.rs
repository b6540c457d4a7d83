//! Each operation of the `OpenAPI` document, tried with keys that must not do: another tenant's, none,
//! and one of too few permissions. The document is held against the routes in the source, so that no
//! route can be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use thoth::server::caller::{Permissions, Scope};
use thoth::server::openapi::DOCUMENT;

use crate::database::Database;
use crate::world::{World, question, with};

/// What is in whatever `acme` has, and must be in nothing that others see.
const MARK: &str = "acmes-own";
const UNKNOWN: &str = "unknown-to-all";
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// One operation of the document.
#[derive(Clone, Debug)]
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The permission it needs; none where it is open to everybody.
    permission: Option<String>,
    /// Whether it has a request's body.
    has_body: bool,
}

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// All operations of the document.
fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                permission: operation["x-permission"].as_str().map(str::to_owned),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    operations
}

/// An enforcer in which `acme` has one of everything.
struct Acme {
    world: World,
    approval: String,
    token: String,
    /// The id of a key of its own.
    issued: String,
    _database: Database,
}

impl Acme {
    async fn new() -> Self {
        let (world, database) = World::new().await;
        let token = world.hold(&question("mail", &json!({"to": MARK}))).await;
        let approval = world.pending().await;
        let issued = String::new();
        let acme = Self { world, approval, token, issued, _database: database };
        let key = acme.does("createApiKey").await;
        let acme = Self { issued: key["id"].as_str().unwrap().to_owned(), ..acme };
        for id in ["registerEndpoint", "checkIn", "quarantineEndpoint", "changeSettings"] {
            acme.does(id).await;
        }
        for id in ["reportTools", "sendEvents", "sendBatonEvent"] {
            acme.does(id).await;
        }
        acme
    }

    /// Lets `acme`'s own people do something.
    async fn does(&self, id: &str) -> Value {
        let operation = operations().into_iter().find(|operation| operation.id == id).unwrap();
        let admin = self.world.admin.clone();
        let (status, answer) = self.send(&operation, Some(&admin), true).await;
        assert!(status.is_success(), "{id}: {status} {answer}");
        answer
    }

    /// Tries an operation on what `acme` has, or on what nobody has.
    async fn send(
        &self,
        operation: &Operation,
        key: Option<&str>,
        exists: bool,
    ) -> (StatusCode, Value) {
        let known = |known: &str| if exists { known.to_owned() } else { UNKNOWN.to_owned() };
        let id = if operation.path.contains("/approvals/") {
            known(&self.approval)
        } else if operation.path.contains("/api-keys/") {
            known(&self.issued)
        } else {
            known(&format!("{MARK}-mac"))
        };
        let path = operation
            .path
            .replace("{tenant}", if exists { "acme" } else { "nobodys" })
            .replace("{token}", &known(&self.token))
            .replace("{id}", &id);
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let body = if operation.has_body { sample(operation).to_string() } else { String::new() };
        self.world.send(operation.method.clone(), &path, &headers, body).await
    }

    /// All that `acme` has, as its own people see it.
    async fn has(&self) -> BTreeMap<String, Value> {
        let mut seen = BTreeMap::new();
        for operation in operations() {
            if operation.method == Method::GET && operation.permission.is_some() {
                let (status, answer) = self.send(&operation, Some(&self.world.admin), true).await;
                assert_eq!(status, StatusCode::OK, "{} {answer}", operation.id);
                seen.insert(operation.id, answer);
            }
        }
        let rows =
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM events WHERE tenant = 'acme'");
        let events = rows.fetch_one(self.world.app.store.read()).await.unwrap();
        seen.insert("events".to_owned(), json!(events));
        let rows = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM approvals");
        let approvals = rows.fetch_one(self.world.app.store.read()).await.unwrap();
        seen.insert("approvals".to_owned(), json!(approvals));
        seen
    }
}

/// A body that the operation takes, and that speaks of `acme` where it can.
fn sample(operation: &Operation) -> Value {
    let machine = json!({"endpoint_id": format!("{MARK}-mac"), "hostname": MARK});
    match operation.id.as_str() {
        "enforce" => question("read", &json!({"path": MARK})),
        "explain" => with(question("drop", &json!({})), &json!({"violation_id": "v"})),
        "replyToHold" | "resolveApproval" => json!({"decision": "approve"}),
        "sendEvents" => json!([{"event_id": MARK, "event_type": "X", "tenant_id": "acme"}]),
        "sendBatonEvent" => json!({
            "event_id": format!("{MARK}-baton"), "event_type": "annotation", "session_id": MARK,
            "captured_at": "2026-11-21T10:00:00Z", "consent_token": "yes", "tenant_id": "acme",
            "payload": {},
        }),
        "registerEndpoint" => machine,
        "checkIn" => json!({"health": "healthy"}),
        "quarantineEndpoint" => json!({"reason": MARK}),
        "changeSettings" => json!({"minimum_version": "0.0.1", "revoked_key_ids": [MARK]}),
        "reportTools" | "reportToolsOwn" => {
            json!({"agent_id": MARK, "source": "thoth", "tools": [{"name": "read"}]})
        }
        "createApiKey" => json!({"name": MARK, "permissions": ["read"]}),
        "authorizeApiKey" => json!({"permission": "read"}),
        other => panic!("write a body for {other}"),
    }
}

/// What an answer says, without what is new in each.
fn in_short(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(error) = answer.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("requestId");
    }
    answer
}

#[tokio::test]
async fn another_tenants_key_reaches_nothing_and_learns_nothing() {
    let acme = Acme::new().await;
    let before = acme.has().await;
    let rival = acme.world.key("rival", Permissions::ALL, Scope::Organization).await;
    for operation in operations().iter().filter(|operation| operation.permission.is_some()) {
        let id = &operation.id;
        let (status, answer) = acme.send(operation, Some(&rival), true).await;
        let (other_status, other) = acme.send(operation, Some(&rival), false).await;
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&status);
        if operation.path.contains('{') {
            // Whether there is such a thing, or such a tenant, cannot be told.
            assert_eq!((status, in_short(&answer)), (other_status, in_short(&other)), "{id}");
        }
        match id.as_str() {
            // Nothing to be told either way.
            "withdrawHold" => assert_eq!(status, StatusCode::NO_CONTENT),
            // Each event is refused by itself.
            "sendEvents" => assert_eq!(answer["rejected"], 1, "{answer}"),
            // These are about the rival's own.
            "getMetrics" | "listToolsOwn" | "reportToolsOwn" | "sendBatonEvent" => {
                assert!(status.is_success(), "{id}: {status} {answer}");
            }
            _ => assert!(refused, "{id}: {status} {answer}"),
        }
        let own = ["sendBatonEvent", "listToolsOwn", "reportToolsOwn"].contains(&id.as_str());
        assert!(own || !answer.to_string().contains(MARK), "{id}: {answer}");
    }
    assert_eq!(acme.has().await, before);
    let rivals =
        acme.world.send(Method::GET, "/tool-inventory", &[("x-api-key", &rival)], "").await;
    assert_eq!(rivals.1["total"], 1, "what it reported, and nothing of acme's: {}", rivals.1);
    assert_eq!(acme.world.look(&acme.token).await, "STEP_UP", "the hold stands");
}

#[tokio::test]
async fn without_a_key_nothing_is_answered() {
    let acme = Acme::new().await;
    let before = acme.has().await;
    for operation in operations() {
        for key in [None, Some(""), Some("thoth_live_0"), Some(acme.token.as_str())] {
            let (status, answer) = acme.send(&operation, key, true).await;
            let id = &operation.id;
            if operation.permission.is_some() {
                // Whoever guesses keys is told to slow down, and no more than that.
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
                assert!(refused.contains(&status), "{id} {status} {answer}");
            } else {
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{id} {answer}");
            }
            assert!(!answer.to_string().contains(MARK), "{id}: {answer}");
        }
    }
    assert_eq!(acme.has().await, before);
}

#[tokio::test]
async fn a_key_does_what_its_permission_says_and_nothing_else() {
    let acme = Acme::new().await;
    let table = |word: &str, given: bool| Permissions {
        read: (word == "read") == given,
        write: (word == "write") == given,
        execute: (word == "execute") == given,
        admin: given && word == "admin",
    };
    let scope = || Scope::Organization;
    let mut withs = BTreeMap::new();
    let mut withouts = BTreeMap::new();
    for word in ["read", "write", "execute", "admin"] {
        withs.insert(word, acme.world.key("acme", table(word, true), scope()).await);
        withouts.insert(word, acme.world.key("acme", table(word, false), scope()).await);
    }
    let before = acme.has().await;
    for operation in operations() {
        let (id, Some(word)) = (&operation.id, operation.permission.as_deref()) else { continue };
        let without = &withouts[word];
        let (status, answer) = acme.send(&operation, Some(without), true).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{id} {answer}");
        assert!(!answer.to_string().contains(MARK), "{id}: {answer}");
    }
    assert_eq!(acme.has().await, before);
    for operation in operations() {
        let (id, Some(word)) = (&operation.id, operation.permission.as_deref()) else { continue };
        let (status, answer) = acme.send(&operation, Some(&withs[word]), true).await;
        // Some have been undone by those before them; none is refused for the key's sake.
        let fit = status.is_success() || status == StatusCode::CONFLICT;
        assert!(fit, "{id}: {status} {answer}");
    }
}

/// The paths of the routes in the source.
fn routed(folder: &Path, routes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routed(&path, routes);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for behind in text.split(".route(").skip(1) {
                let literal = behind.trim_start().strip_prefix('"').unwrap_or_else(|| {
                    panic!("{}: write a route's path as a literal", path.display())
                });
                routes.insert(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
}

#[test]
fn every_route_of_the_source_is_in_the_document() {
    let mut routes = BTreeSet::new();
    routed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server"), &mut routes);
    // Pages for people are the console's own, and its tests'.
    routes.retain(|route| route != "/" && !route.starts_with("/console"));
    let served: BTreeSet<_> = operations().into_iter().map(|operation| operation.path).collect();
    assert_eq!(routes, served, "left: the source; right: the document");
}

#[tokio::test]
async fn every_method_of_a_route_is_in_the_document() {
    let (world, _directory) = World::new().await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in operations() {
        let methods = documented.entry(operation.path).or_default();
        methods.insert(operation.method.to_string().to_lowercase());
    }
    for (path, methods) in documented {
        let place = path.replace("{tenant}", "acme").replace(['{', '}'], "");
        let mut answered = BTreeSet::new();
        for method in METHODS {
            let key = [("x-api-key", world.admin.as_str())];
            let sent = method.to_uppercase().parse().unwrap();
            let (status, _) = world.send(sent, &place, &key, "").await;
            if status != StatusCode::METHOD_NOT_ALLOWED {
                answered.insert(method.to_owned());
            }
        }
        assert_eq!(answered, methods, "{path}");
    }
}

/// Calls `look` with each object in a document that has a member of this name.
fn each<'a>(value: &'a Value, name: &str, look: &mut impl FnMut(&'a Value)) {
    match value {
        Value::Object(members) => {
            if let Some(member) = members.get(name) {
                look(member);
            }
            members.values().for_each(|member| each(member, name, look));
        }
        Value::Array(elements) => elements.iter().for_each(|element| each(element, name, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_document_is_whole_and_served() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut used = BTreeSet::new();
    each(&document, "$ref", &mut |place| {
        let place = place.as_str().unwrap();
        assert!(document.pointer(place.strip_prefix('#').unwrap()).is_some(), "{place}");
        used.insert(place.to_owned());
    });
    for (kind, parts) in document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys() {
            let place = format!("#/components/{kind}/{name}");
            assert!(kind == "securitySchemes" || used.contains(&place), "{place} is not used");
        }
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}");
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
            let is_open = operation["security"] == json!([]);
            assert_eq!(is_open, operation.get("x-permission").is_none(), "{place}");
            for status in ["401", "403", "429", "503"] {
                assert!(is_open || responses.contains_key(status), "{place} {status}");
            }
            let has_body = operation.get("requestBody").is_some();
            assert!(!has_body || responses.contains_key("400"), "{place}");
            let named = operation["parameters"].as_array().into_iter().flatten();
            let named: Vec<_> = named
                .map(|one| match one["$ref"].as_str() {
                    Some(place) => document.pointer(&place[1..]).unwrap(),
                    None => one,
                })
                .filter(|one| one["in"] == "path")
                .map(|one| format!("{{{}}}", one["name"].as_str().unwrap()))
                .collect();
            assert!(named.iter().all(|name| path.contains(name.as_str())), "{place}");
            assert_eq!(named.len(), path.matches('{').count(), "{place}");
        }
    }
    let (world, _directory) = World::new().await;
    let (status, served) = world.send(Method::GET, "/openapi.json", &[], "").await;
    assert_eq!((status, served), (StatusCode::OK, document));
}
