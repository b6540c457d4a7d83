//! The statements about recent decisions.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError, micros, time};
use crate::gate::decide::Mode;
use crate::server::Tenant;
use crate::server::decisions::{Decided, Word};

/// The columns, in the order in which they are bound.
const COLUMNS: &str = "id, tenant, at, agent, server, tool, user_id, environment, session, mode, \
     decision, authorization_decision, rule_ids, reason, reason_code, violation_id, approval, \
     latency_us";
const COLUMN_COUNT: usize = 18;

/// How many rows one statement inserts: few different statements, so that each is prepared once.
const SIZES: [usize; 4] = [128, 32, 8, 1];
/// How many rows one statement deletes of those that are too old.
const AT_ONCE: u32 = 500;

/// Writes a batch, all or none of it.
pub(in crate::server) async fn insert(
    store: &Store,
    batch: &[(String, Tenant, Decided)],
) -> Result<(), StoreError> {
    let mut transaction = store.write().begin().await?;
    let mut rest = batch;
    while !rest.is_empty() {
        let fits = |size: &&usize| **size <= rest.len();
        let size = SIZES.iter().find(fits).copied().unwrap_or(1);
        let (rows, after) = rest.split_at(size);
        rest = after;
        // Numbers only are put into the text.
        let mut query = sqlx::query(AssertSqlSafe(statement(size)));
        for (id, tenant, decided) in rows {
            query = query
                .bind(id)
                .bind(tenant.as_str())
                .bind(micros(decided.at))
                .bind(&decided.agent)
                .bind(&decided.server)
                .bind(&decided.tool)
                .bind(&decided.user)
                .bind(&decided.environment)
                .bind(&decided.session)
                .bind(decided.mode.word())
                .bind(decided.decision.as_str())
                .bind(decided.authorization.as_str())
                .bind(serde_json::to_string(&decided.rule_ids).unwrap_or_default())
                .bind(decided.reason.as_deref())
                .bind(decided.reason_code.as_deref())
                .bind(decided.violation_id.as_deref())
                .bind(decided.approval.as_deref())
                .bind(i64::try_from(decided.took.as_micros()).unwrap_or(i64::MAX));
        }
        query.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The newest decisions of a tenant.
pub(in crate::server) async fn recent(
    store: &Store,
    tenant: &Tenant,
    limit: u32,
) -> Result<Vec<Decided>, StoreError> {
    let rows = sqlx::query(
        "SELECT at, agent, server, tool, user_id, environment, session, mode, decision, \
         authorization_decision, rule_ids, reason, reason_code, violation_id, approval, latency_us \
         FROM decisions WHERE tenant = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(tenant.as_str())
    .bind(i64::from(limit))
    .fetch_all(store.read())
    .await?;
    rows.iter().map(decided).collect()
}

/// Deletes a tenant's decisions beyond the newest `kept`.
pub(in crate::server) async fn keep(
    store: &Store,
    tenant: &Tenant,
    kept: u32,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM decisions WHERE tenant = $1 AND id <= (SELECT id FROM decisions \
         WHERE tenant = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(tenant.as_str())
    .bind(i64::from(kept))
    .execute(store.write())
    .await?;
    Ok(())
}

/// Deletes the decisions made before a time, of all tenants; some at once, so that nobody waits long.
///
/// Cancel safe: each statement stands for itself.
pub(in crate::server) async fn forget(store: &Store, before: Timestamp) -> Result<(), StoreError> {
    loop {
        let gone = sqlx::query(
            "DELETE FROM decisions WHERE id IN (SELECT id FROM decisions \
             WHERE at < $1 ORDER BY at LIMIT $2)",
        )
        .bind(micros(before))
        .bind(i64::from(AT_ONCE))
        .execute(store.write())
        .await?;
        if gone.rows_affected() < u64::from(AT_ONCE) {
            return Ok(());
        }
    }
}

fn decided(row: &AnyRow) -> Result<Decided, StoreError> {
    let unreadable = || StoreError::Unreadable { what: "decision" };
    let text = |name| row.try_get::<String, _>(name);
    let maybe = |name| row.try_get::<Option<String>, _>(name);
    let word = |name| -> Result<Word, StoreError> {
        let text = text(name)?;
        Word::ALL.into_iter().find(|word| word.as_str() == text).ok_or_else(unreadable)
    };
    let mode = text("mode")?;
    let modes = [Mode::Observe, Mode::Progressive, Mode::StepUp, Mode::Block];
    let micros = u64::try_from(row.try_get::<i64, _>("latency_us")?).unwrap_or(0);
    Ok(Decided {
        at: time(row.try_get("at")?)?,
        agent: text("agent")?,
        server: text("server")?,
        tool: text("tool")?,
        user: text("user_id")?,
        environment: text("environment")?,
        session: text("session")?,
        mode: modes.into_iter().find(|known| known.word() == mode).ok_or_else(unreadable)?,
        decision: word("decision")?,
        authorization: word("authorization_decision")?,
        rule_ids: serde_json::from_str(&text("rule_ids")?).map_err(|_| unreadable())?,
        reason: maybe("reason")?,
        reason_code: maybe("reason_code")?,
        violation_id: maybe("violation_id")?,
        approval: maybe("approval")?,
        took: Duration::from_micros(micros),
    })
}

fn statement(rows: usize) -> String {
    let row = |row: usize| {
        let places = (1..=COLUMN_COUNT).map(|column| format!("${}", row * COLUMN_COUNT + column));
        format!("({})", places.collect::<Vec<_>>().join(", "))
    };
    let rows = (0..rows).map(row).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO decisions ({COLUMNS}) VALUES {rows}")
}
