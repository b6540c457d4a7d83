//! An enforcer with a store of its own in a temporary directory.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use thoth::machine::clock;
use thoth::policy::{Pack, PolicySet};
use thoth::server::caller::{Permissions, Scope};
use thoth::server::events::Forward;
use thoth::server::keys::{self, NewKey};
use thoth::server::rulebook::{Book, Rulebook};
use thoth::server::store::Store;
use thoth::server::{App, Parts, Tenant, router};
use tower::ServiceExt;

use crate::database::Database;

/// An enforcer without a socket.
pub(crate) struct Enforcer {
    pub(crate) app: App,
    pub(crate) router: Router,
    _database: Database,
}

impl Enforcer {
    /// One that decides by the baseline pack.
    pub(crate) async fn new() -> Self {
        Self::forwarding(Forward::default()).await
    }

    /// The same, which sends events on.
    pub(crate) async fn forwarding(forward: Forward) -> Self {
        let database = Database::new().await;
        let store = Store::open(database.url()).await.unwrap();
        let pack = Pack::named("baseline").unwrap().policy().unwrap();
        let set = PolicySet::new(vec![pack]).unwrap();
        let app = App::new(Parts {
            store,
            rules: Rulebook::new(Book { set, revision: "r1".to_owned() }),
            bus: Default::default(),
            limits: Default::default(),
            metrics: Default::default(),
            judges: Default::default(),
            polls: Default::default(),
            decisions: Default::default(),
            beats: Default::default(),
            forward,
            clock: clock::now,
            public_url: "https://127.0.0.1:8443".to_owned(),
        });
        Self { router: router(app.clone()), app, _database: database }
    }

    /// A key of a tenant with these permissions.
    pub(crate) async fn key(&self, tenant: &str, permissions: Permissions) -> String {
        self.key_within(tenant, permissions, Scope::Organization).await
    }

    /// A key that is good for a part of its tenant.
    pub(crate) async fn key_within(
        &self,
        tenant: &str,
        permissions: Permissions,
        scope: Scope,
    ) -> String {
        let new = NewKey { name: "test".to_owned(), permissions, scope, expires_at: None };
        let tenant = Tenant::parse(tenant).unwrap();
        keys::issue(&self.app.store, &tenant, &new, clock::now()).await.unwrap().key
    }

    /// Sends one request and reads the answer; a body that is no JSON is null.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}
