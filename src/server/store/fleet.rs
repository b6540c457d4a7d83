//! The statements of the fleet.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::{Store, StoreError, micros, time};
use crate::server::Tenant;
use crate::server::fleet::beats::Beat;
use crate::server::fleet::endpoint::{
    Endpoint, JournalConflict, Quarantine, Sequel, Stats, sequel,
};
use crate::server::fleet::orders::{Amendment, Orders, Settings};
use crate::server::fleet::reach::Reach;
use crate::server::fleet::report::{EndpointId, Head, Registration};

/// The columns of an [`Endpoint`], in the order in which [`endpoint`] reads them.
const COLUMNS: &str = "endpoint_id, hostname, employee_email, fleet_id, environment, enrollment, \
     proxy_version, details, labels, status, health, config_drifted, blocks_calls, last_seen, \
     key_id, quarantined_at, quarantine_reason, quarantined_by, journal_conflict_at, \
     journal_conflict, created_at, updated_at";

/// The endpoints within a reach: tenant, fleet, endpoint.
const WITHIN: &str = "FROM endpoints WHERE tenant = $1 AND ($2 = '' OR fleet_id = $2) \
     AND ($3 = '' OR endpoint_id = $3)";

/// Those of them that a [`Filter`] wants: environment, fleet.
const WANTED: &str = "FROM endpoints WHERE tenant = $1 AND ($2 = '' OR fleet_id = $2) \
     AND ($3 = '' OR endpoint_id = $3) AND ($4 = '' OR environment = $4) \
     AND ($5 = '' OR fleet_id = $5)";

/// What is asked for of the list of endpoints.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Filter {
    pub(in crate::server) environment: Option<String>,
    pub(in crate::server) fleet: Option<String>,
    /// How many are passed over.
    pub(in crate::server) offset: i64,
    /// How many are wanted.
    pub(in crate::server) limit: i64,
}

/// Registers an endpoint, or brings its registration up to date. `false` where there is one of that
/// name beyond this reach.
pub(in crate::server) async fn register(
    store: &Store,
    reach: &Reach,
    registration: &Registration,
    key_id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let facts = &registration.facts;
    let done = sqlx::query(
        "INSERT INTO endpoints (tenant, endpoint_id, hostname, employee_email, fleet_id, \
         environment, enrollment, proxy_version, details, labels, status, health, config_drifted, \
         blocks_calls, report, key_id, created_at, updated_at) \
         VALUES ($1, $2, COALESCE($3, ''), COALESCE($4, ''), COALESCE($5, ''), COALESCE($6, ''), \
         COALESCE($7, ''), COALESCE($8, ''), COALESCE($9, '{}'), COALESCE($10, '{}'), '', '', 0, \
         0, '{}', $11, $12, $12) \
         ON CONFLICT (tenant, endpoint_id) DO UPDATE SET \
         hostname = COALESCE($3, endpoints.hostname), \
         employee_email = COALESCE($4, endpoints.employee_email), \
         fleet_id = COALESCE($5, endpoints.fleet_id), \
         environment = COALESCE($6, endpoints.environment), \
         enrollment = COALESCE($7, endpoints.enrollment), \
         proxy_version = COALESCE($8, endpoints.proxy_version), \
         details = COALESCE($9, endpoints.details), labels = COALESCE($10, endpoints.labels), \
         key_id = $11, updated_at = $12 \
         WHERE $13 = '' OR endpoints.fleet_id = $13",
    )
    .bind(reach.tenant.as_str())
    .bind(registration.endpoint_id.as_str())
    .bind(facts.hostname.as_deref())
    .bind(facts.employee_email.as_deref())
    .bind(facts.fleet_id.as_deref())
    .bind(facts.environment.as_deref())
    .bind(facts.enrollment.as_deref())
    .bind(facts.proxy_version.as_deref())
    .bind(object(&facts.details))
    .bind(object(&facts.labels))
    .bind(key_id)
    .bind(micros(now))
    .bind(reach.fleet_word())
    .execute(store.write())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What holds for an endpoint; `None` where there is none of that name.
pub(in crate::server) async fn orders(
    store: &Store,
    reach: &Reach,
    id: &EndpointId,
) -> Result<Option<Orders>, StoreError> {
    let row = sqlx::query(
        "SELECT s.minimum_version, s.heartbeat_interval_seconds, s.revoked_key_ids, \
         e.quarantined_at, e.quarantine_reason, \
         (SELECT string_agg(id || ' sha256:' || substr(hash, 1, 16), ' ') FROM (SELECT id, hash \
         FROM api_keys WHERE tenant = $1 AND revoked_at IS NOT NULL ORDER BY revoked_at DESC \
         LIMIT 1000) AS revoked) \
         FROM endpoints e LEFT JOIN fleet_settings s ON s.tenant = e.tenant \
         WHERE e.tenant = $1 AND e.endpoint_id = $2 AND ($3 = '' OR e.fleet_id = $3) \
         AND ($4 = '' OR e.endpoint_id = $4)",
    )
    .bind(reach.tenant.as_str())
    .bind(id.as_str())
    .bind(reach.fleet_word())
    .bind(reach.endpoint_word())
    .fetch_optional(store.read())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let is_quarantined = row.try_get::<Option<i64>, _>(3)?.is_some();
    let reason = row.try_get::<Option<String>, _>(4)?.unwrap_or_default();
    let revoked = row.try_get::<Option<String>, _>(5)?.unwrap_or_default();
    Ok(Some(Orders {
        quarantine: is_quarantined.then_some(reason),
        settings: settings_in(&row)?,
        revoked: revoked.split_whitespace().map(str::to_owned).collect(),
    }))
}

/// Writes check-ins, in their order, all or none. The endpoints whose journals are in conflict.
pub(in crate::server) async fn check_in(
    store: &Store,
    beats: &[Beat],
) -> Result<Vec<(Tenant, String)>, StoreError> {
    let mut conflicts = Vec::new();
    let mut transaction = store.write().begin().await?;
    for beat in beats {
        write_beat(&mut transaction, beat).await?;
        for head in &beat.check_in.journals {
            if !write_head(&mut transaction, beat, head).await? {
                conflicts.push((beat.tenant.clone(), beat.endpoint.as_str().to_owned()));
            }
        }
    }
    transaction.commit().await?;
    Ok(conflicts)
}

async fn write_beat(connection: &mut AnyConnection, beat: &Beat) -> Result<(), StoreError> {
    let (check_in, facts) = (&beat.check_in, &beat.check_in.facts);
    sqlx::query(
        "UPDATE endpoints SET hostname = COALESCE($3, hostname), \
         employee_email = COALESCE($4, employee_email), fleet_id = COALESCE($5, fleet_id), \
         environment = COALESCE($6, environment), enrollment = COALESCE($7, enrollment), \
         proxy_version = COALESCE($8, proxy_version), details = COALESCE($9, details), \
         labels = COALESCE($10, labels), status = $11, health = $12, config_drifted = $13, \
         blocks_calls = $14, report = $15, key_id = $16, last_seen = $17 \
         WHERE tenant = $1 AND endpoint_id = $2 AND (last_seen IS NULL OR last_seen <= $17)",
    )
    .bind(beat.tenant.as_str())
    .bind(beat.endpoint.as_str())
    .bind(facts.hostname.as_deref())
    .bind(facts.employee_email.as_deref())
    .bind(facts.fleet_id.as_deref())
    .bind(facts.environment.as_deref())
    .bind(facts.enrollment.as_deref())
    .bind(facts.proxy_version.as_deref())
    .bind(object(&facts.details))
    .bind(object(&facts.labels))
    .bind(if check_in.is_stopping { "stopping" } else { "online" })
    .bind(check_in.health.as_str())
    .bind(i64::from(check_in.config_drifted))
    .bind(i64::from(check_in.blocks_calls))
    .bind(check_in.report.as_str())
    .bind(beat.key_id.as_str())
    .bind(beat.at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps a head that follows the one before. `false`, and a mark at the endpoint, for one that does
/// not. One that is older than what is kept (two replicas wrote out of turn) says nothing.
async fn write_head(
    connection: &mut AnyConnection,
    beat: &Beat,
    head: &Head,
) -> Result<bool, StoreError> {
    let (tenant, endpoint) = (beat.tenant.as_str(), beat.endpoint.as_str());
    let kept = sqlx::query(
        "INSERT INTO journal_heads (tenant, endpoint_id, session_id, agent_id, records, head, \
         is_over, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (tenant, endpoint_id, session_id) DO UPDATE SET agent_id = excluded.agent_id, \
         records = excluded.records, head = excluded.head, is_over = excluded.is_over, \
         seen_at = excluded.seen_at WHERE journal_heads.seen_at <= excluded.seen_at \
         AND (journal_heads.records < excluded.records \
         OR (journal_heads.records = excluded.records AND journal_heads.head = excluded.head))",
    )
    .bind(tenant)
    .bind(endpoint)
    .bind(head.session_id.as_str())
    .bind(head.agent_id.as_str())
    .bind(head.records)
    .bind(head.head.as_str())
    .bind(i64::from(head.is_over))
    .bind(beat.at)
    .execute(&mut *connection)
    .await?;
    if kept.rows_affected() == 1 {
        return Ok(true);
    }
    let row = sqlx::query(
        "SELECT records, head, seen_at FROM journal_heads \
         WHERE tenant = $1 AND endpoint_id = $2 AND session_id = $3",
    )
    .bind(tenant)
    .bind(endpoint)
    .bind(head.session_id.as_str())
    .fetch_one(&mut *connection)
    .await?;
    let (records, kept): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let is_older = beat.at < row.try_get::<i64, _>(2)?;
    if is_older || sequel((records, &kept), head) == Sequel::Follows {
        return Ok(true);
    }
    let what = json!({
        "session_id": head.session_id,
        "kept": {"records": records, "head": kept},
        "reported": {"records": head.records, "head": head.head},
    });
    // The first is what there is to look at; those after it follow from it.
    sqlx::query(
        "UPDATE endpoints SET journal_conflict_at = $3, journal_conflict = $4 \
         WHERE tenant = $1 AND endpoint_id = $2 AND journal_conflict_at IS NULL",
    )
    .bind(tenant)
    .bind(endpoint)
    .bind(beat.at)
    .bind(what.to_string())
    .execute(connection)
    .await?;
    Ok(false)
}

/// Some of the endpoints, by name, and how many there are in all.
pub(in crate::server) async fn list(
    store: &Store,
    reach: &Reach,
    filter: &Filter,
) -> Result<(Vec<Endpoint>, i64), StoreError> {
    let (environment, fleet) = (filter.environment.as_deref(), filter.fleet.as_deref());
    let count = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) {WANTED}")))
        .bind(reach.tenant.as_str())
        .bind(reach.fleet_word())
        .bind(reach.endpoint_word())
        .bind(environment.unwrap_or_default())
        .bind(fleet.unwrap_or_default())
        .fetch_one(store.read())
        .await?;
    let page = format!("SELECT {COLUMNS} {WANTED} ORDER BY endpoint_id LIMIT $6 OFFSET $7");
    let rows = sqlx::query(AssertSqlSafe(page))
        .bind(reach.tenant.as_str())
        .bind(reach.fleet_word())
        .bind(reach.endpoint_word())
        .bind(environment.unwrap_or_default())
        .bind(fleet.unwrap_or_default())
        .bind(filter.limit)
        .bind(filter.offset)
        .fetch_all(store.read())
        .await?;
    let endpoints = rows.iter().map(endpoint).collect::<Result<_, _>>()?;
    Ok((endpoints, count.try_get(0)?))
}

/// One endpoint, what it reported last, and its journals.
pub(in crate::server) async fn one(
    store: &Store,
    reach: &Reach,
    id: &EndpointId,
) -> Result<Option<(Endpoint, Value, Vec<Head>)>, StoreError> {
    let one = format!("SELECT {COLUMNS}, report {WITHIN} AND endpoint_id = $4");
    let row = sqlx::query(AssertSqlSafe(one))
        .bind(reach.tenant.as_str())
        .bind(reach.fleet_word())
        .bind(reach.endpoint_word())
        .bind(id.as_str())
        .fetch_optional(store.read())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let report = serde_json::from_str(&row.try_get::<String, _>("report")?).unwrap_or_default();
    let heads = sqlx::query(
        "SELECT session_id, agent_id, records, head, is_over FROM journal_heads \
         WHERE tenant = $1 AND endpoint_id = $2 ORDER BY seen_at DESC, session_id LIMIT 100",
    )
    .bind(reach.tenant.as_str())
    .bind(id.as_str())
    .fetch_all(store.read())
    .await?;
    let head = |row: &AnyRow| -> Result<Head, StoreError> {
        Ok(Head {
            session_id: row.try_get(0)?,
            agent_id: row.try_get(1)?,
            records: row.try_get(2)?,
            head: row.try_get(3)?,
            is_over: row.try_get::<i64, _>(4)? == 1,
        })
    };
    let heads = heads.iter().map(head).collect::<Result<_, _>>()?;
    Ok(Some((endpoint(&row)?, report, heads)))
}

/// All endpoints within reach, counted; those that were seen before `stale` are stale.
pub(in crate::server) async fn stats(
    store: &Store,
    reach: &Reach,
    settings: &Settings,
    stale: Timestamp,
) -> Result<Stats, StoreError> {
    let rows = sqlx::query(
        "SELECT proxy_version, COUNT(*), \
         COUNT(CASE WHEN status = 'online' AND last_seen >= $2 THEN 1 END), \
         COUNT(CASE WHEN status = 'online' AND last_seen < $2 THEN 1 END), \
         COUNT(CASE WHEN journal_conflict_at IS NOT NULL OR health = 'unhealthy' \
         OR config_drifted = 1 THEN 1 END), \
         COUNT(quarantined_at), \
         COUNT(CASE WHEN enrollment = 'unmanaged' OR enrollment = '' THEN 1 END) \
         FROM endpoints WHERE tenant = $1 AND ($3 = '' OR fleet_id = $3) \
         AND ($4 = '' OR endpoint_id = $4) GROUP BY proxy_version",
    )
    .bind(reach.tenant.as_str())
    .bind(micros(stale))
    .bind(reach.fleet_word())
    .bind(reach.endpoint_word())
    .fetch_all(store.read())
    .await?;
    let mut stats = Stats::default();
    let mut versions = Vec::new();
    for row in rows {
        let one = Stats {
            total: row.try_get(1)?,
            online: row.try_get(2)?,
            stale: row.try_get(3)?,
            at_risk: row.try_get(4)?,
            quarantined: row.try_get(5)?,
            unmanaged: row.try_get(6)?,
            ..Stats::default()
        };
        stats.add(&one);
        versions.push((row.try_get(0)?, one.total));
    }
    stats.judge(&versions, settings.minimum_version.as_deref());
    Ok(stats)
}

/// Orders an endpoint to block every call, or no longer to. `false` where there is none of that name.
pub(in crate::server) async fn quarantine(
    store: &Store,
    reach: &Reach,
    id: &EndpointId,
    order: Option<&Quarantine>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE endpoints SET quarantined_at = $3, quarantine_reason = $4, quarantined_by = $5 \
         WHERE tenant = $1 AND endpoint_id = $2 AND ($6 = '' OR fleet_id = $6) \
         AND ($7 = '' OR endpoint_id = $7)",
    )
    .bind(reach.tenant.as_str())
    .bind(id.as_str())
    .bind(order.map(|order| micros(order.at)))
    .bind(order.map(|order| order.reason.as_str()))
    .bind(order.map(|order| order.by.as_str()))
    .bind(reach.fleet_word())
    .bind(reach.endpoint_word())
    .execute(store.write())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What holds for all endpoints of a tenant.
pub(in crate::server) async fn settings(
    store: &Store,
    tenant: &Tenant,
) -> Result<Settings, StoreError> {
    let row = sqlx::query(
        "SELECT minimum_version, heartbeat_interval_seconds, revoked_key_ids \
         FROM fleet_settings WHERE tenant = $1",
    )
    .bind(tenant.as_str())
    .fetch_optional(store.read())
    .await?;
    row.as_ref().map_or(Ok(Settings::default()), settings_in)
}

/// Changes what is said to be changed.
pub(in crate::server) async fn amend(
    store: &Store,
    tenant: &Tenant,
    amendment: &Amendment,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Amendment { minimum_version, heartbeat_interval_seconds, revoked_key_ids } = amendment;
    let keys = revoked_key_ids.clone().map(Option::unwrap_or_default);
    sqlx::query(
        "INSERT INTO fleet_settings (tenant, minimum_version, heartbeat_interval_seconds, \
         revoked_key_ids, updated_at, updated_by) VALUES ($1, $3, $5, COALESCE($6, '[]'), $7, $8) \
         ON CONFLICT (tenant) DO UPDATE SET \
         minimum_version = CASE WHEN $2 = 1 THEN $3 ELSE fleet_settings.minimum_version END, \
         heartbeat_interval_seconds = CASE WHEN $4 = 1 THEN $5 \
         ELSE fleet_settings.heartbeat_interval_seconds END, \
         revoked_key_ids = COALESCE($6, fleet_settings.revoked_key_ids), \
         updated_at = $7, updated_by = $8",
    )
    .bind(tenant.as_str())
    .bind(i64::from(minimum_version.is_some()))
    .bind(minimum_version.clone().flatten())
    .bind(i64::from(heartbeat_interval_seconds.is_some()))
    .bind(heartbeat_interval_seconds.flatten())
    .bind(keys.map(|keys| json!(keys).to_string()))
    .bind(micros(now))
    .bind(by)
    .execute(store.write())
    .await?;
    Ok(())
}

/// Forgets the heads of journals that were not heard of since then.
pub(in crate::server) async fn sweep(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM journal_heads WHERE seen_at < $1")
        .bind(micros(before))
        .execute(store.write())
        .await?;
    Ok(done.rows_affected())
}

/// Reads the first three columns.
fn settings_in(row: &AnyRow) -> Result<Settings, StoreError> {
    let keys = row.try_get::<Option<String>, _>(2)?;
    let keys = keys.map_or(Ok(Vec::new()), |keys| serde_json::from_str(&keys));
    Ok(Settings {
        minimum_version: row.try_get(0)?,
        heartbeat_interval_seconds: row.try_get(1)?,
        revoked_key_ids: keys.map_err(|_| StoreError::Unreadable { what: "list of keys" })?,
    })
}

/// Reads [`COLUMNS`].
fn endpoint(row: &AnyRow) -> Result<Endpoint, StoreError> {
    let object = |column: usize| -> Result<Map<String, Value>, StoreError> {
        serde_json::from_str(&row.try_get::<String, _>(column)?)
            .map_err(|_| StoreError::Unreadable { what: "registration" })
    };
    let moment = |column: usize| -> Result<Option<Timestamp>, StoreError> {
        row.try_get::<Option<i64>, _>(column)?.map(time).transpose()
    };
    let text = |column: usize| -> Result<String, StoreError> {
        Ok(row.try_get::<Option<String>, _>(column)?.unwrap_or_default())
    };
    let quarantine = match moment(15)? {
        None => None,
        Some(at) => Some(Quarantine { at, reason: text(16)?, by: text(17)? }),
    };
    let journal_conflict = match moment(18)? {
        None => None,
        Some(at) => {
            Some(JournalConflict { at, what: serde_json::from_str(&text(19)?).unwrap_or_default() })
        }
    };
    Ok(Endpoint {
        endpoint_id: text(0)?,
        hostname: text(1)?,
        employee_email: text(2)?,
        fleet_id: text(3)?,
        environment: text(4)?,
        enrollment: text(5)?,
        proxy_version: text(6)?,
        details: object(7)?,
        labels: object(8)?,
        is_stopping: text(9)? == "stopping",
        health: text(10)?,
        config_drifted: row.try_get::<i64, _>(11)? == 1,
        blocks_calls: row.try_get::<i64, _>(12)? == 1,
        last_seen: moment(13)?,
        key_id: text(14)?,
        quarantine,
        journal_conflict,
        created_at: time(row.try_get(20)?)?,
        updated_at: time(row.try_get(21)?)?,
    })
}

/// The text of an object that says anything.
fn object(members: &Map<String, Value>) -> Option<String> {
    (!members.is_empty()).then(|| Value::from(members.clone()).to_string())
}
