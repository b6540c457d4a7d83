//! The statements about approvals and claims.
//!
//! # Invariants
//!
//! - An approval goes from one state to the next by one conditional `UPDATE`, which names the state
//!   it must be in and the time until which it may be: of several that try, one succeeds.
//! - At most one approval of a binding is live: the partial unique index says so.
//! - What is past its end is read as expired, whether a sweep has written so yet or not.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError, micros, time};
use crate::approval::{Answered, Approval, Assurance, State};
use crate::gate::verdict::PolicyRef;
use crate::server::Tenant;
use crate::server::approvals::{Claim, Record};

/// Whose approval of which call: what a question must share with an approval to be answered by it.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Whose<'a> {
    pub(in crate::server) tenant: &'a Tenant,
    pub(in crate::server) user: &'a str,
    pub(in crate::server) environment: &'a str,
    /// The hash of the binding.
    pub(in crate::server) call: &'a str,
}

/// One question's claim to be told how an approval ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct NewClaim<'a> {
    pub(in crate::server) token_hash: &'a str,
    pub(in crate::server) session: &'a str,
    pub(in crate::server) trace: Option<&'a str>,
    pub(in crate::server) attestation: Option<&'a str>,
}

/// Which approvals are listed.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Page<'a> {
    /// Only those in this state; all where it is empty.
    pub(in crate::server) state: &'a str,
    /// How many come before.
    pub(in crate::server) offset: u32,
    /// How many at most.
    pub(in crate::server) limit: u32,
}

/// How many claims one approval has at most: of more, the oldest are forgotten.
const CLAIMS: i64 = 256;

/// What [`record`] reads, in its order.
macro_rules! columns {
    () => {
        "id, user_id, environment, call_hash, agent, server, tool, arguments, arguments_hidden, \
         arguments_cut, rule_ids, control_ids, reason, reason_code, policy_id, policy_version, \
         policy_sha256, revision, self_approval, state, created_at, expires_at, answered_by, \
         assurance, answered_at, note, spent_by"
    };
}

/// The state as it is at `$2`.
macro_rules! state_at {
    () => {
        "CASE WHEN state IN ('pending', 'approved') AND expires_at <= $2 THEN 'expired' \
         ELSE state END"
    };
}

/// The live approval of this binding.
pub(in crate::server) async fn live(
    store: &Store,
    whose: Whose<'_>,
    now: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM approvals WHERE tenant = $1 AND user_id = $2 AND environment = $3 \
          AND call_hash = $4 AND live = 1 AND expires_at > $5"
    ))
    .bind(whose.tenant.as_str())
    .bind(whose.user)
    .bind(whose.environment)
    .bind(whose.call)
    .bind(micros(now))
    .fetch_optional(store.read())
    .await?;
    row.map(|row| record(&row, now)).transpose()
}

/// How many approvals of a tenant are live.
pub(in crate::server) async fn count_live(
    store: &Store,
    tenant: &Tenant,
) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT count(*) FROM approvals WHERE tenant = $1 AND live = 1")
        .bind(tenant.as_str())
        .fetch_one(store.read())
        .await?;
    Ok(row.try_get(0)?)
}

/// Opens a pending approval with its first claim; `false` where another one of the same binding is
/// live.
pub(in crate::server) async fn open(
    store: &Store,
    tenant: &Tenant,
    new: &Record,
    claim: NewClaim<'_>,
) -> Result<bool, StoreError> {
    let created_at = micros(new.approval.created_at);
    let mut transaction = store.write().begin().await?;
    // One whose time is up makes room.
    sqlx::query(
        "UPDATE approvals SET live = 0, \
         state = CASE WHEN state = 'denied' THEN state ELSE 'expired' END \
         WHERE tenant = $1 AND user_id = $2 AND environment = $3 AND call_hash = $4 AND live = 1 \
         AND expires_at <= $5",
    )
    .bind(tenant.as_str())
    .bind(&new.user)
    .bind(&new.environment)
    .bind(&new.call)
    .bind(created_at)
    .execute(&mut *transaction)
    .await?;
    let policy = new.policy.as_ref();
    let opened = sqlx::query(
        "INSERT INTO approvals (id, tenant, user_id, environment, call_hash, agent, server, tool, \
         arguments, arguments_hidden, arguments_cut, rule_ids, control_ids, reason, reason_code, \
         policy_id, policy_version, policy_sha256, revision, self_approval, state, live, \
         created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
         $19, $20, 'pending', 1, $21, $22) ON CONFLICT DO NOTHING",
    )
    .bind(&new.id)
    .bind(tenant.as_str())
    .bind(&new.user)
    .bind(&new.environment)
    .bind(&new.call)
    .bind(&new.agent)
    .bind(&new.server)
    .bind(&new.tool)
    .bind(&new.arguments)
    .bind(i64::try_from(new.hidden).unwrap_or(i64::MAX))
    .bind(i64::from(new.is_cut))
    .bind(list(&new.rule_ids))
    .bind(list(&new.control_ids))
    .bind(new.reason.as_deref())
    .bind(new.reason_code.as_deref())
    .bind(policy.map(|policy| policy.id.as_str()))
    .bind(policy.map(|policy| policy.version.as_str()))
    .bind(policy.and_then(|policy| policy.sha256.as_deref()))
    .bind(&new.revision)
    .bind(new.self_approval.map(i64::from))
    .bind(created_at)
    .bind(micros(new.approval.expires_at))
    .execute(&mut *transaction)
    .await?;
    if opened.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    insert(claim, tenant, &new.id, created_at).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Adds a claim to an approval.
pub(in crate::server) async fn attach(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    claim: NewClaim<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut transaction = store.write().begin().await?;
    insert(claim, tenant, id, micros(now)).execute(&mut *transaction).await?;
    sqlx::query(
        "DELETE FROM claims WHERE claim_tenant = $1 AND token_hash IN (SELECT token_hash \
         FROM claims WHERE approval = $2 ORDER BY claimed_at DESC LIMIT 64 OFFSET $3)",
    )
    .bind(tenant.as_str())
    .bind(id)
    .bind(CLAIMS)
    .execute(&mut *transaction)
    .await?;
    Ok(transaction.commit().await?)
}

fn insert<'q>(
    claim: NewClaim<'q>,
    tenant: &'q Tenant,
    id: &'q str,
    at: i64,
) -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query(
        "INSERT INTO claims (token_hash, claim_tenant, approval, claim_session, trace, \
         attestation, claimed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(claim.token_hash)
    .bind(tenant.as_str())
    .bind(id)
    .bind(claim.session)
    .bind(claim.trace)
    .bind(claim.attestation)
    .bind(at)
}

/// The claim with this token, and its approval.
pub(in crate::server) async fn claim(
    store: &Store,
    tenant: &Tenant,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<Claim>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        ", claim_session, trace, attestation, withdrawn_at FROM claims \
          JOIN approvals ON approvals.id = claims.approval \
          WHERE token_hash = $1 AND claim_tenant = $2 AND tenant = $2"
    ))
    .bind(token_hash)
    .bind(tenant.as_str())
    .fetch_optional(store.read())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Claim {
        token_hash: token_hash.to_owned(),
        record: record(&row, now)?,
        session: row.try_get("claim_session")?,
        trace: row.try_get("trace")?,
        attestation: row.try_get("attestation")?,
        is_withdrawn: row.try_get::<Option<i64>, _>("withdrawn_at")?.is_some(),
    }))
}

/// Spends an approval for whoever this names; `false` where it is not to be had (any more).
pub(in crate::server) async fn spend(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let spent = sqlx::query(
        "UPDATE approvals SET state = 'spent', live = 0, spent_by = $1, spent_at = $2 \
         WHERE tenant = $3 AND id = $4 AND state = 'approved' AND expires_at > $2",
    )
    .bind(by)
    .bind(micros(now))
    .bind(tenant.as_str())
    .bind(id)
    .execute(store.write())
    .await?;
    Ok(spent.rows_affected() == 1)
}

/// Writes a person's answer; `false` where the approval is not pending (any more).
pub(in crate::server) async fn answer(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    approve: bool,
    answered: &Answered,
) -> Result<bool, StoreError> {
    let written = sqlx::query(
        "UPDATE approvals SET state = $1, answered_by = $2, assurance = $3, answered_at = $4, \
         note = $5 WHERE tenant = $6 AND id = $7 AND state = 'pending' AND expires_at > $4",
    )
    .bind(if approve { "approved" } else { "denied" })
    .bind(&answered.by)
    .bind(answered.assurance.word())
    .bind(micros(answered.at))
    .bind(answered.note.as_deref())
    .bind(tenant.as_str())
    .bind(id)
    .execute(store.write())
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Withdraws a claim, and its approval, where no other session waits for it. Whether the approval
/// was.
///
/// Two statements, each by itself: of the last two sessions that withdraw at once, the later to ask
/// sees that nobody is left. A claim that has spent its approval stays as it is.
pub(in crate::server) async fn withdraw(
    store: &Store,
    tenant: &Tenant,
    claim: &Claim,
    now: Timestamp,
) -> Result<bool, StoreError> {
    sqlx::query(
        "UPDATE claims SET withdrawn_at = $1 WHERE claim_tenant = $2 AND token_hash = $3 \
         AND withdrawn_at IS NULL AND NOT EXISTS (SELECT 1 FROM approvals \
         WHERE approvals.id = claims.approval AND spent_by = claims.token_hash)",
    )
    .bind(micros(now))
    .bind(tenant.as_str())
    .bind(&claim.token_hash)
    .execute(store.write())
    .await?;
    let withdrawn = sqlx::query(
        "UPDATE approvals SET state = 'withdrawn', live = 0 WHERE tenant = $1 AND id = $2 \
         AND state IN ('pending', 'approved') AND expires_at > $3 AND NOT EXISTS (SELECT 1 \
         FROM claims WHERE approval = $2 AND withdrawn_at IS NULL AND claim_session <> $4)",
    )
    .bind(tenant.as_str())
    .bind(&claim.record.id)
    .bind(micros(now))
    .bind(&claim.session)
    .execute(store.write())
    .await?;
    Ok(withdrawn.rows_affected() == 1)
}

/// One approval.
pub(in crate::server) async fn one(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    now: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM approvals WHERE tenant = $1 AND id = $2"
    ))
    .bind(tenant.as_str())
    .bind(id)
    .fetch_optional(store.read())
    .await?;
    row.map(|row| record(&row, now)).transpose()
}

/// A page of approvals, the newest first, and how many there are.
pub(in crate::server) async fn page(
    store: &Store,
    tenant: &Tenant,
    page: Page<'_>,
    now: Timestamp,
) -> Result<(Vec<Record>, u64), StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM approvals WHERE tenant = $1 AND ($3 = '' OR $3 = ",
        state_at!(),
        ") ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5"
    ))
    .bind(tenant.as_str())
    .bind(micros(now))
    .bind(page.state)
    .bind(i64::from(page.limit))
    .bind(i64::from(page.offset))
    .fetch_all(store.read())
    .await?;
    let total = sqlx::query(concat!(
        "SELECT count(*) FROM approvals WHERE tenant = $1 AND ($3 = '' OR $3 = ",
        state_at!(),
        ")"
    ))
    .bind(tenant.as_str())
    .bind(micros(now))
    .bind(page.state)
    .fetch_one(store.read())
    .await?;
    let records = rows.iter().map(|row| record(row, now)).collect::<Result<_, _>>()?;
    Ok((records, u64::try_from(total.try_get::<i64, _>(0)?).unwrap_or(0)))
}

/// Ends what is past its end, for all tenants: whose, and which.
pub(in crate::server) async fn expire(
    store: &Store,
    now: Timestamp,
) -> Result<Vec<(Tenant, String)>, StoreError> {
    let rows = sqlx::query(
        "UPDATE approvals SET live = 0, \
         state = CASE WHEN state = 'denied' THEN state ELSE 'expired' END \
         WHERE live = 1 AND expires_at <= $1 RETURNING tenant, id",
    )
    .bind(micros(now))
    .fetch_all(store.write())
    .await?;
    let ended = rows.iter().map(|row| {
        let tenant = Tenant::parse(&row.try_get::<String, _>(0)?)
            .map_err(|_| StoreError::Unreadable { what: "tenant" })?;
        Ok((tenant, row.try_get(1)?))
    });
    ended.collect()
}

/// Forgets approvals that ended before this time, with their claims; some of them, so that nobody
/// waits long. How many.
pub(in crate::server) async fn prune(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut transaction = store.write().begin().await?;
    sqlx::query(
        "DELETE FROM claims WHERE approval IN (SELECT id FROM approvals \
         WHERE live = 0 AND expires_at < $1 ORDER BY expires_at, id LIMIT 500)",
    )
    .bind(micros(before))
    .execute(&mut *transaction)
    .await?;
    let gone = sqlx::query(
        "DELETE FROM approvals WHERE id IN (SELECT id FROM approvals \
         WHERE live = 0 AND expires_at < $1 ORDER BY expires_at, id LIMIT 500)",
    )
    .bind(micros(before))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(gone.rows_affected())
}

fn list(texts: &[String]) -> String {
    serde_json::to_string(texts).unwrap_or_else(|_| unreachable!("texts are JSON"))
}

/// Reads a row of `columns!`.
fn record(row: &AnyRow, now: Timestamp) -> Result<Record, StoreError> {
    let unreadable = || StoreError::Unreadable { what: "approval" };
    let text = |name| row.try_get::<String, _>(name);
    let maybe = |name| row.try_get::<Option<String>, _>(name);
    let number = |name| row.try_get::<i64, _>(name);
    let texts = |name| serde_json::from_str::<Vec<String>>(&text(name)?).map_err(|_| unreadable());
    let expires_at = time(number("expires_at")?)?;
    let answered = match (maybe("answered_by")?, maybe("assurance")?) {
        (Some(by), Some(word)) => Some(Answered {
            by,
            assurance: assurance(&word).ok_or_else(unreadable)?,
            at: time(row.try_get::<Option<i64>, _>("answered_at")?.ok_or_else(unreadable)?)?,
            note: maybe("note")?,
        }),
        _ => None,
    };
    let is_over = expires_at <= now;
    let state = match (text("state")?.as_str(), answered) {
        ("pending" | "approved", _) if is_over => State::Expired,
        ("pending", _) => State::Pending,
        ("approved", Some(answered)) => State::Approved(answered),
        ("denied", Some(answered)) => State::Denied(answered),
        ("spent", Some(answered)) => State::Spent(answered),
        ("withdrawn", _) => State::Withdrawn,
        ("expired", _) => State::Expired,
        _ => return Err(unreadable()),
    };
    let policy = maybe("policy_id")?.map(|id| -> Result<_, StoreError> {
        let version = maybe("policy_version")?.unwrap_or_default();
        Ok(PolicyRef { id, version, sha256: maybe("policy_sha256")? })
    });
    Ok(Record {
        id: text("id")?,
        user: text("user_id")?,
        environment: text("environment")?,
        call: text("call_hash")?,
        agent: text("agent")?,
        server: text("server")?,
        tool: text("tool")?,
        arguments: text("arguments")?,
        hidden: u64::try_from(number("arguments_hidden")?).unwrap_or(0),
        is_cut: number("arguments_cut")? != 0,
        rule_ids: texts("rule_ids")?,
        control_ids: texts("control_ids")?,
        reason: maybe("reason")?,
        reason_code: maybe("reason_code")?,
        policy: policy.transpose()?,
        revision: text("revision")?,
        self_approval: row.try_get::<Option<i64>, _>("self_approval")?.map(|said| said != 0),
        approval: Approval { state, created_at: time(number("created_at")?)?, expires_at },
        spent_by: maybe("spent_by")?,
    })
}

fn assurance(word: &str) -> Option<Assurance> {
    let all = [
        Assurance::Elicitation,
        Assurance::Terminal,
        Assurance::ApiKey,
        Assurance::Link,
        Assurance::Oidc,
    ];
    all.into_iter().find(|assurance| assurance.word() == word)
}
