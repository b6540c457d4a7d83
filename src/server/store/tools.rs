//! The statements of the tool inventory.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Store, StoreError, micros, time};
use crate::server::Tenant;
use crate::server::tools::{Row, Tool};

/// Keeps tools in place of those of the same names. `false`, and nothing is kept, where there would
/// be more than `most`.
pub(in crate::server) async fn add(
    store: &Store,
    tenant: &Tenant,
    tools: &[Row<'_>],
    most: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut transaction = store.write().begin().await?;
    for tool in tools {
        sqlx::query(
            "INSERT INTO tools (tenant, agent_id, name, source, description, input_schema, \
             first_seen, last_seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) \
             ON CONFLICT (tenant, agent_id, name) DO UPDATE SET source = excluded.source, \
             description = excluded.description, input_schema = excluded.input_schema, \
             last_seen = excluded.last_seen",
        )
        .bind(tenant.as_str())
        .bind(tool.agent_id)
        .bind(tool.name)
        .bind(tool.source)
        .bind(tool.description)
        .bind(tool.input_schema)
        .bind(micros(now))
        .execute(&mut *transaction)
        .await?;
    }
    let count: i64 = sqlx::query("SELECT COUNT(*) FROM tools WHERE tenant = $1")
        .bind(tenant.as_str())
        .fetch_one(&mut *transaction)
        .await?
        .try_get(0)?;
    if count > most {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// Some tools, by agent and name, and how many there are in all; of every agent where none is named.
pub(in crate::server) async fn list(
    store: &Store,
    tenant: &Tenant,
    agent: &str,
    offset: i64,
    most: i64,
) -> Result<(Vec<Tool>, i64), StoreError> {
    let count =
        sqlx::query("SELECT COUNT(*) FROM tools WHERE tenant = $1 AND ($2 = '' OR agent_id = $2)")
            .bind(tenant.as_str())
            .bind(agent)
            .fetch_one(store.read())
            .await?;
    let rows = sqlx::query(
        "SELECT agent_id, name, source, description, input_schema, first_seen, last_seen \
         FROM tools WHERE tenant = $1 AND ($2 = '' OR agent_id = $2) \
         ORDER BY agent_id, name LIMIT $3 OFFSET $4",
    )
    .bind(tenant.as_str())
    .bind(agent)
    .bind(most)
    .bind(offset)
    .fetch_all(store.read())
    .await?;
    let tools = rows.iter().map(|row| {
        Ok(Tool {
            agent_id: row.try_get(0)?,
            name: row.try_get(1)?,
            source: row.try_get(2)?,
            description: row.try_get(3)?,
            input_schema: serde_json::from_str(&row.try_get::<String, _>(4)?).unwrap_or_default(),
            first_seen: time(row.try_get(5)?)?,
            last_seen: time(row.try_get(6)?)?,
        })
    });
    Ok((tools.collect::<Result<_, StoreError>>()?, count.try_get(0)?))
}
