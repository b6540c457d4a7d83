//! The statements of events.

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, micros, time};
use crate::server::Tenant;
use crate::server::events::intake::Taken;
use crate::server::events::{Recent, Retention};

/// How many events one statement forgets: who writes meanwhile waits for no more than that.
const AT_ONCE: u32 = 500;

/// Stores events, all or none. For each whether it is new.
pub(in crate::server) async fn add(
    store: &Store,
    tenant: &Tenant,
    events: &[Taken],
    now: Timestamp,
) -> Result<Vec<bool>, StoreError> {
    let mut transaction = store.write().begin().await?;
    let mut new = Vec::with_capacity(events.len());
    for event in events {
        let done = sqlx::query(
            "INSERT INTO events (tenant, event_id, dialect, event_type, agent_id, session_id, \
             tool_name, occurred_at, received_at, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, event_id) DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(event.event_id.as_str())
        .bind(event.dialect)
        .bind(event.event_type.as_str())
        .bind(event.agent_id.as_str())
        .bind(event.session_id.as_str())
        .bind(event.tool_name.as_str())
        .bind(event.occurred_at.map(micros))
        .bind(micros(now))
        .bind(event.kept())
        .execute(&mut *transaction)
        .await?;
        new.push(done.rows_affected() == 1);
    }
    transaction.commit().await?;
    Ok(new)
}

/// The events that came last, newest first.
pub(in crate::server) async fn recent(
    store: &Store,
    tenant: &Tenant,
    most: u32,
) -> Result<Vec<Recent>, StoreError> {
    let rows = sqlx::query(
        "SELECT event_id, dialect, event_type, agent_id, session_id, tool_name, occurred_at, \
         received_at, body FROM events WHERE tenant = $1 \
         ORDER BY received_at DESC, event_id LIMIT $2",
    )
    .bind(tenant.as_str())
    .bind(i64::from(most))
    .fetch_all(store.read())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Recent {
                event_id: row.try_get(0)?,
                dialect: row.try_get(1)?,
                event_type: row.try_get(2)?,
                agent_id: row.try_get(3)?,
                session_id: row.try_get(4)?,
                tool_name: row.try_get(5)?,
                occurred_at: row.try_get::<Option<i64>, _>(6)?.map(time).transpose()?,
                received_at: time(row.try_get(7)?)?,
                body: row.try_get(8)?,
            })
        })
        .collect()
}

/// Forgets what is too old, and of what is too much the oldest. How many events.
///
/// Cancel safe: each statement stands for itself.
pub(in crate::server) async fn sweep(
    store: &Store,
    retention: &Retention,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let too_old = micros(now.checked_sub(retention.age).unwrap_or(Timestamp::MIN));
    let (mut gone, mut last) = (0, String::new());
    // One after the other along the index: to list all tenants would be to read all events.
    while let Some(tenant) = tenant_after(store, &last).await? {
        // Where the count's last one stands, all before it go; those of its microsecond may stay.
        let too_much = nth(store, &tenant, retention.most).await?;
        let before = too_much.map_or(too_old, |too_much| too_much.max(too_old));
        loop {
            let done = forget(store, &tenant, before).await?;
            gone += done;
            if done < u64::from(AT_ONCE) {
                break;
            }
        }
        last = tenant;
    }
    Ok(gone)
}

/// The first tenant after this one that has events.
async fn tenant_after(store: &Store, tenant: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT tenant FROM events WHERE tenant > $1 ORDER BY tenant LIMIT 1")
        .bind(tenant)
        .fetch_optional(store.read())
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// When the last one of this many came, counted from the newest.
async fn nth(store: &Store, tenant: &str, count: u32) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "SELECT received_at FROM events WHERE tenant = $1 \
         ORDER BY received_at DESC LIMIT 1 OFFSET $2",
    )
    .bind(tenant)
    .bind(i64::from(count.saturating_sub(1)))
    .fetch_optional(store.read())
    .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Forgets some of the events that came before this time. How many.
async fn forget(store: &Store, tenant: &str, before: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM events WHERE tenant = $1 AND event_id IN (SELECT event_id FROM events \
         WHERE tenant = $1 AND received_at < $2 ORDER BY received_at LIMIT $3)",
    )
    .bind(tenant)
    .bind(before)
    .bind(i64::from(AT_ONCE))
    .execute(store.write())
    .await?;
    Ok(done.rows_affected())
}
