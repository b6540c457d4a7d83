//! API keys.

use axum::http::{Method, StatusCode};

use crate::live::Enforcer;
use thoth::machine::clock;
use thoth::server::caller::Permissions;
use thoth::server::keys;

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
