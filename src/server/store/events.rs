//! The statements of events.

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, micros, time};
use crate::server::Tenant;
use crate::server::events::intake::Taken;
use crate::server::events::{Recent, Retention};

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
pub(in crate::server) async fn sweep(
    store: &Store,
    retention: &Retention,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let before = now.checked_sub(retention.age).unwrap_or(Timestamp::MIN);
    let tenants = sqlx::query("SELECT DISTINCT tenant FROM events").fetch_all(store.read()).await?;
    let mut gone = 0;
    for row in tenants {
        let tenant: String = row.try_get(0)?;
        // Where the count's last one stands, all before it go; those of its microsecond may stay.
        let done = sqlx::query(
            "DELETE FROM events WHERE tenant = $1 AND (received_at < $2 OR received_at < \
             (SELECT received_at FROM events WHERE tenant = $1 \
             ORDER BY received_at DESC LIMIT 1 OFFSET $3))",
        )
        .bind(&tenant)
        .bind(micros(before))
        .bind(i64::from(retention.most.saturating_sub(1)))
        .execute(store.write())
        .await?;
        gone += done.rows_affected();
    }
    Ok(gone)
}
