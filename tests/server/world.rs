//! An enforcer with rules and a clock of the test's own, asked as a client asks.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use thoth::machine::clock;
use thoth::policy::{Policy, PolicySet};
use thoth::server::caller::{Permissions, Scope};
use thoth::server::keys::{self, NewKey};
use thoth::server::listen::bounds::{Bounds, bounded};
use thoth::server::rulebook::{Book, Rulebook};
use thoth::server::store::Store;
use thoth::server::{App, Parts, Tenant};
use tower::ServiceExt;

use crate::database::Database;

/// One tool for each effect.
pub(crate) const RULES: &str = r#"
[policy]
id = "shop"
version = 3
default = "block"

[[rule]]
id = "reads"
tools = ["read"]
effect = "allow"

[[rule]]
id = "no-drops"
tools = ["drop"]
effect = "block"
reason = "nothing is dropped here"
controls = ["SOC2 CC6.1"]

[[rule]]
id = "payments"
tools = ["pay"]
effect = "step_up"
reason = "payments need a person"

[[rule]]
id = "mails"
tools = ["mail"]
effect = "step_up"
self_approval = true

[[rule]]
id = "wires"
tools = ["wire"]
effect = "step_up"
self_approval = false

[[rule]]
id = "cap"
tools = ["query"]
effect = "modify"
set = { "/limit" = "100" }
reason = "a hundred rows at most"

[[rule]]
id = "nights"
tools = ["batch"]
effect = "defer"
retry_after_seconds = 7

[[rule]]
id = "harmless"
tools = ["hinted"]
when = 'has(annotations.readOnlyHint) && annotations.readOnlyHint && server == "files"'
effect = "allow"

[[rule]]
id = "twice"
tools = ["twice"]
when = 'session.count("twice") < 2'
effect = "allow"
"#;

/// An enforcer without a socket.
pub(crate) struct World {
    pub(crate) app: App,
    router: Router,
    /// A sidecar's key of the tenant `acme`.
    pub(crate) key: String,
    /// A key of the same tenant that may resolve approvals.
    pub(crate) admin: String,
}

impl World {
    /// One with these rules, on this store, with a bus that nobody else hears.
    pub(crate) async fn on(store: Store, rules: &str, clock: fn() -> Timestamp) -> Self {
        let rules = Rulebook::new(book(rules));
        let app = App::new(Parts { clock, ..Parts::of(store, rules) });
        let key = key(&app, "acme", Permissions::SIDECAR, Scope::Organization).await;
        let admin = key_named(&app, "acme", Permissions::ALL, Scope::Organization, "ann").await;
        Self { router: bounded(app.clone(), Bounds::default()), app, key, admin }
    }

    /// One in this database, with the usual rules.
    pub(crate) async fn open(database: &Database) -> Self {
        Self::on(Store::open(database.url()).await.unwrap(), RULES, clock::now).await
    }

    /// One with the usual rules, and its database.
    pub(crate) async fn new() -> (Self, Database) {
        Self::at(clock::now).await
    }

    /// The same by another clock.
    pub(crate) async fn at(clock: fn() -> Timestamp) -> (Self, Database) {
        let database = Database::new().await;
        let store = Store::open(database.url()).await.unwrap();
        (Self::on(store, RULES, clock).await, database)
    }

    /// Ends it, as a process ends.
    pub(crate) async fn end(self) {
        let store = self.app.store.clone();
        drop(self);
        store.close().await;
    }

    /// Another key of a tenant.
    pub(crate) async fn key(&self, tenant: &str, permissions: Permissions, scope: Scope) -> String {
        key(&self.app, tenant, permissions, scope).await
    }

    /// Sends one request with these headers; a body that is no JSON is null.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/json");
        let request = request.body(body.into()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Asks about one call, as a sidecar of `acme` does.
    pub(crate) async fn ask(&self, question: &Value) -> (StatusCode, Value) {
        let headers = [("x-api-key", self.key.as_str())];
        self.send(Method::POST, "/v1/enforce", &headers, question.to_string()).await
    }

    /// Asks about one call that is stepped up; the hold's token.
    pub(crate) async fn hold(&self, question: &Value) -> String {
        let (status, answer) = self.ask(question).await;
        assert_eq!((status, &answer["decision"]), (StatusCode::OK, &json!("STEP_UP")), "{answer}");
        answer["hold_token"].as_str().unwrap().to_owned()
    }

    /// Looks at a hold: its decision and reason code.
    pub(crate) async fn look(&self, token: &str) -> String {
        let bearer = format!("Bearer {}", self.key);
        let path = format!("/v1/enforce/hold/{token}");
        let (status, body) = self.send(Method::GET, &path, &[("authorization", &bearer)], "").await;
        word(status, &body)
    }

    /// The pending approval's id; there must be exactly one.
    pub(crate) async fn pending(&self) -> String {
        let page = self.approvals("pending").await;
        assert_eq!(page["total"], 1, "{page}");
        page["data"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The approvals in a state.
    pub(crate) async fn approvals(&self, status: &str) -> Value {
        let path = format!("/acme/thoth/approvals?status={status}");
        self.send(Method::GET, &path, &[("x-api-key", &self.admin)], "").await.1
    }

    /// Resolves an approval; the status, and what is said.
    pub(crate) async fn resolve(&self, id: &str, decision: &str) -> (StatusCode, Value) {
        let path = format!("/acme/thoth/approvals/{id}/resolve");
        let body = json!({"decision": decision, "note": "seen"}).to_string();
        self.send(Method::POST, &path, &[("x-api-key", &self.admin)], body).await
    }

    /// Puts other rules in force.
    pub(crate) fn rules(&self, rules: &str) {
        self.app.rules.replace(book(rules));
    }
}

/// What an answer says, in one line: `BLOCK approval_denied`, or `404`.
pub(crate) fn word(status: StatusCode, body: &Value) -> String {
    if status != StatusCode::OK {
        return status.as_u16().to_string();
    }
    let decision = body["decision"].as_str().unwrap_or("?");
    match body["decision_reason_code"].as_str() {
        Some(code) => format!("{decision} {code}"),
        None => decision.to_owned(),
    }
}

/// The least that can be asked, about a call of this tool.
pub(crate) fn question(tool: &str, arguments: &Value) -> Value {
    json!({
        "agent_id": "agent", "tenant_id": "acme", "tool_name": tool, "session_id": "s-1",
        "user_id": "bob@acme.example", "approved_scope": [], "enforcement_mode": "progressive",
        "session_tool_calls": [], "tool_args": arguments,
    })
}

/// The same with other members.
pub(crate) fn with(mut question: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        question[name] = value.clone();
    }
    question
}

fn book(rules: &str) -> Book {
    let policy = Policy::parse("rules.toml", rules).unwrap();
    Book::new(PolicySet::new(vec![policy]).unwrap())
}

async fn key(app: &App, tenant: &str, permissions: Permissions, scope: Scope) -> String {
    key_named(app, tenant, permissions, scope, "test").await
}

async fn key_named(
    app: &App,
    tenant: &str,
    permissions: Permissions,
    scope: Scope,
    name: &str,
) -> String {
    let new = NewKey { name: name.to_owned(), permissions, scope, expires_at: None };
    let tenant = Tenant::parse(tenant).unwrap();
    keys::issue(&app.store, &tenant, &new, clock::now()).await.unwrap().key
}
