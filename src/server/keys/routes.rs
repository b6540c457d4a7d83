//! The endpoints of keys, as the public API has them (`thoth-wire` §4).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{self, Revoked, Row};
use super::{Issued, NewKey};
use crate::server::body::Sent;
use crate::server::bus::{Change, Topic};
use crate::server::caller::{Caller, Permissions, Scope};
use crate::server::{App, Fault};

/// The longest name of a key or of what it is good for, in bytes.
const LONGEST_NAME: usize = 200;
/// The longest life a key may be given, in seconds: ten years.
const LONGEST_LIFE: i64 = 10 * 366 * 24 * 60 * 60;

/// The routes of this wing.
pub(in crate::server) fn routes() -> Router<App> {
    Router::new()
        .route("/{tenant}/thoth/api-keys", get(list).post(create))
        .route("/{tenant}/thoth/api-keys/metrics", get(metrics))
        .route("/{tenant}/thoth/api-keys/{id}", delete(revoke))
        .route("/{tenant}/thoth/api-keys/{id}/authorize", post(authorize))
}

/// What is asked for.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    name: String,
    permissions: Vec<String>,
    scope_level: Option<String>,
    scope_target_id: Option<String>,
    ttl_seconds: Option<i64>,
    jit_reason: Option<String>,
}

/// What a key would be used for.
#[derive(Deserialize)]
struct Use {
    permission: Option<String>,
    scope_level: Option<String>,
    scope_target_id: Option<String>,
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
    Sent(wanted): Sent<Wanted>,
) -> Result<impl IntoResponse, Fault> {
    let tenant = caller.at(&tenant)?;
    may_manage(&caller)?;
    let now = app.now();
    let new = wanted.read(now)?;
    // `admin` covers everything today; this holds if that ever changes.
    if !caller.permissions.cover(new.permissions) {
        return Err(Fault::forbidden("a key cannot make one that may do more than itself"));
    }
    let reason = wanted.jit_reason.as_deref().map(bounded).transpose()?;
    let Issued { id, key } = super::issue(&app.store, tenant, &new, now).await?;
    tracing::info!(
        tenant = tenant.as_str(),
        key = id,
        by = caller.key_id,
        reason,
        "a key was made"
    );
    let (level, target) = new.scope.words();
    let body = json!({
        "id": id,
        "api_key": key,
        "name": new.name,
        "permissions": words(new.permissions),
        "scope_level": level,
        "scope_target_id": target,
        "created_at": now.to_string(),
        "expires_at": new.expires_at.map(|end| end.to_string()),
    });
    Ok((StatusCode::CREATED, Json(body)))
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Fault> {
    let tenant = caller.at(&tenant)?;
    may_manage(&caller)?;
    let now = app.now();
    let rows = rows::all(&app.store, tenant).await?;
    let keys: Vec<_> = rows.iter().map(|row| row.shown(now)).collect();
    Ok(Json(json!({ "api_keys": keys })))
}

async fn metrics(
    State(app): State<App>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Fault> {
    let tenant = caller.at(&tenant)?;
    may_manage(&caller)?;
    let now = app.now();
    let rows = rows::all(&app.store, tenant).await?;
    let count = |status| rows.iter().filter(|row| row.status(now) == status).count();
    Ok(Json(json!({
        "total": rows.len(),
        "active": count("active"),
        "expired": count("expired"),
        "revoked": count("revoked"),
    })))
}

async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<StatusCode, Fault> {
    let tenant = caller.at(&tenant)?;
    may_manage(&caller)?;
    match rows::revoke(&app.store, tenant, &id, app.now()).await? {
        Revoked::Now => {
            let topic = Topic::Key(id.clone());
            app.bus.tell(Change { tenant: tenant.clone(), topic });
            tracing::info!(
                tenant = tenant.as_str(),
                key = id,
                by = caller.key_id,
                "a key was revoked"
            );
            Ok(StatusCode::NO_CONTENT)
        }
        Revoked::Before => Ok(StatusCode::NO_CONTENT),
        Revoked::Nowhere => Err(Fault::not_found("there is no such key")),
        Revoked::Last => Err(Fault::conflict(
            "last_admin_key",
            "this is the last key that can make others; make another one first",
        )),
    }
}

async fn authorize(
    State(app): State<App>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
    Sent(used): Sent<Use>,
) -> Result<Json<Value>, Fault> {
    let tenant = caller.at(&tenant)?;
    may_manage(&caller)?;
    let now = app.now();
    let row = rows::one(&app.store, tenant, &id).await?;
    let row = row.ok_or_else(|| Fault::not_found("there is no such key"))?;
    let wanted = used.permission.as_deref().unwrap_or_default();
    let wanted = Permissions::read(wanted)
        .ok_or_else(|| Fault::malformed("`permission` is none that is known here"))?;
    let target = used.scope_target_id.as_deref().unwrap_or_default();
    let scope_allowed = match used.scope_level.as_deref() {
        None => true,
        Some(level) => {
            let asked = Scope::read(level, target).ok_or_else(bad_scope)?;
            row.scope == Scope::Organization || row.scope == asked
        }
    };
    let status = row.status(now);
    let permission_allowed = row.permissions.cover(wanted);
    let (level, target) = row.scope.words();
    Ok(Json(json!({
        "valid": status == "active",
        "expired": status == "expired",
        "permission_allowed": permission_allowed,
        "scope_allowed": scope_allowed,
        "authorized": status == "active" && permission_allowed && scope_allowed,
        "scope_level": level,
        "scope_target_id": target,
        "validated_at": now.to_string(),
    })))
}

/// Keys are the whole tenant's affair.
fn may_manage(caller: &Caller) -> Result<(), Fault> {
    caller.must(|may| may.admin, "manage keys")?;
    caller.for_organization()
}

fn words(permissions: Permissions) -> Vec<String> {
    permissions.words().split_whitespace().map(ToOwned::to_owned).collect()
}

fn bad_scope() -> Fault {
    Fault::malformed(
        "`scope_level` is organization, fleet, endpoint or agent; all but the first need a \
         `scope_target_id`",
    )
}

/// Text that goes to people and logs.
fn bounded(text: &str) -> Result<&str, Fault> {
    if text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        let message = format!("names and reasons are one line of at most {LONGEST_NAME} bytes");
        return Err(Fault::malformed(message));
    }
    Ok(text)
}

// === impl Wanted ===

impl Wanted {
    fn read(&self, now: Timestamp) -> Result<NewKey, Fault> {
        let permissions = Permissions::read(&self.permissions.join(" "))
            .filter(|permissions| *permissions != Permissions::default())
            .ok_or_else(|| {
                Fault::malformed("`permissions` are some of read, write, execute, admin")
            })?;
        let level = self.scope_level.as_deref().unwrap_or("organization");
        let target = bounded(self.scope_target_id.as_deref().unwrap_or_default())?;
        let expires_at = match self.ttl_seconds {
            None => None,
            Some(life @ 1..=LONGEST_LIFE) => {
                now.checked_add(jiff::SignedDuration::from_secs(life)).ok()
            }
            Some(_) => {
                let message = format!("`ttl_seconds` is between 1 and {LONGEST_LIFE}");
                return Err(Fault::malformed(message));
            }
        };
        Ok(NewKey {
            name: bounded(self.name.trim())?.to_owned(),
            permissions,
            scope: Scope::read(level, target).ok_or_else(bad_scope)?,
            expires_at,
        })
    }
}

// === impl Row ===

impl Row {
    fn shown(&self, now: Timestamp) -> Value {
        let (level, target) = self.scope.words();
        json!({
            "id": self.id,
            "name": self.name,
            "permissions": words(self.permissions),
            "scope_level": level,
            "scope_target_id": target,
            "status": self.status(now),
            "created_at": self.created_at.to_string(),
            "expires_at": self.expires_at.map(|end| end.to_string()),
            "revoked_at": self.revoked_at.map(|end| end.to_string()),
        })
    }
}
