//! What a question that needs a person comes to, and how it learns what the person said.

use axum::http::StatusCode;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::rows::{self, NewClaim, Whose};
use super::{Claim, LASTS, Record, Refused, resolve, tell};
use crate::approval::record::Claim as Told;
use crate::approval::{Answered, Approval, Assurance, Binding, State};
use crate::friction::raw::Raw;
use crate::friction::scrub::{Counts, Scrubber};
use crate::gate::verdict::Grounds;
use crate::policy::Who;
use crate::server::store::StoreError;
use crate::server::{App, Fault, Tenant};

/// How many live approvals a tenant has at most: an agent must not be able to bury the one that
/// matters.
const MOST: i64 = 1000;
/// How much of the arguments is stored and shown, in bytes.
const SHOWN: usize = 64 * 1024;
/// How often asking begins anew because somebody else was faster.
const ATTEMPTS: usize = 8;

/// A call that a person is to agree to.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Wanted<'a> {
    /// Whose call of which server.
    pub(in crate::server) who: &'a Who,
    /// The session it is made in.
    pub(in crate::server) session: &'a str,
    /// The tool.
    pub(in crate::server) tool: &'a str,
    /// Its arguments, strictly read.
    pub(in crate::server) arguments: &'a str,
    /// Why a person is to agree.
    pub(in crate::server) grounds: &'a Grounds,
    /// The revision of the rulebook.
    pub(in crate::server) revision: &'a str,
    /// What the question is called by whoever asked.
    pub(in crate::server) trace: Option<&'a str>,
    /// The same, for this one question.
    pub(in crate::server) attestation: Option<&'a str>,
}

/// What asking came to.
#[derive(Debug)]
pub(in crate::server) enum Asked {
    /// A person has answered about this very call: approved it, which this question has used up, or
    /// denied it.
    Answered(Record, Told),
    /// A person is asked; the answer is to be had by this token.
    Held(Record, String),
    /// So many are waiting already that nobody would find this one.
    TooMany,
}

/// Where a claim stands.
#[derive(Debug)]
pub(in crate::server) struct Look {
    /// The claim.
    pub(in crate::server) claim: Claim,
    /// What it is told; that it may make the call, every further look says again.
    pub(in crate::server) told: Told,
}

/// Asks a person, unless one has answered about this very call.
///
/// # Errors
///
/// 400 for arguments that have no canonical form, 503 where the store fails.
pub(in crate::server) async fn ask(
    app: &App,
    tenant: &Tenant,
    wanted: Wanted<'_>,
) -> Result<Asked, Fault> {
    let binding = Binding {
        agent: &wanted.who.agent,
        server: &wanted.who.server,
        tool: wanted.tool,
        arguments: wanted.arguments,
        policy: wanted.revision,
    };
    let call = binding.hash().map_err(|error| Fault::malformed(error.to_string()))?.to_string();
    let whose =
        Whose { tenant, user: &wanted.who.user, environment: &wanted.who.environment, call: &call };
    for _ in 0..ATTEMPTS {
        if let Some(asked) = attempt(app, whose, wanted).await? {
            return Ok(asked);
        }
    }
    let message = "too many ask about this call at once; try again";
    Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "contended", message))
}

/// One attempt; `None` where something has changed meanwhile.
async fn attempt(
    app: &App,
    whose: Whose<'_>,
    wanted: Wanted<'_>,
) -> Result<Option<Asked>, StoreError> {
    let (store, tenant, now) = (&app.store, whose.tenant, app.now());
    let token = token();
    let token_hash = hash(&token);
    let claim = NewClaim {
        token_hash: &token_hash,
        session: wanted.session,
        trace: wanted.trace,
        attestation: wanted.attestation,
    };
    let Some(record) = rows::live(store, whose, now).await? else {
        if rows::count_live(store, tenant).await? >= MOST {
            return Ok(Some(Asked::TooMany));
        }
        let record = record(whose, wanted, now);
        if !rows::open(store, tenant, &record, claim).await? {
            return Ok(None);
        }
        tell(app, tenant, &record.id);
        return Ok(Some(Asked::Held(record, token)));
    };
    let mut approval = record.approval.clone();
    match approval.claim(now) {
        Told::Pending => {
            rows::attach(store, tenant, &record.id, claim, now).await?;
            // It may have been withdrawn before the claim was there to keep it.
            let found = rows::one(store, tenant, &record.id, now).await?;
            let is_over = |state: &State| matches!(state, State::Withdrawn | State::Expired);
            let kept = found.filter(|record| !is_over(&record.approval.state));
            Ok(kept.map(|record| Asked::Held(record, token)))
        }
        told @ Told::Approved(_) => {
            // Names this question, so that no claim takes the approval for its own.
            let by = format!("question {}", Uuid::now_v7().simple());
            let is_mine = rows::spend(store, tenant, &record.id, &by, now).await?;
            if is_mine {
                app.metrics.approvals("spent", 1);
                tell(app, tenant, &record.id);
            }
            Ok(is_mine.then_some(Asked::Answered(record, told)))
        }
        told @ Told::Denied(_) => Ok(Some(Asked::Answered(record, told))),
        Told::Used(_) | Told::Withdrawn | Told::Expired => Ok(None),
    }
}

/// What the claim with this token is on; `None` for a token nobody knows. Changes nothing.
///
/// # Errors
///
/// [`StoreError`]
pub(in crate::server) async fn claimed(
    app: &App,
    tenant: &Tenant,
    token: &str,
) -> Result<Option<Record>, StoreError> {
    let claim = rows::claim(&app.store, tenant, &hash(token), app.now()).await?;
    Ok(claim.map(|claim| claim.record))
}

/// Where the claim with this token stands; `None` for a token nobody knows. An approval that is
/// seen here is spent by it.
///
/// # Errors
///
/// [`StoreError`]
pub(in crate::server) async fn look(
    app: &App,
    tenant: &Tenant,
    token: &str,
) -> Result<Option<Look>, StoreError> {
    let token_hash = hash(token);
    // Once more where another one was faster: then it is spent.
    for _ in 0..2 {
        let now = app.now();
        let Some(claim) = rows::claim(&app.store, tenant, &token_hash, now).await? else {
            return Ok(None);
        };
        let (id, mut approval) = (&claim.record.id, claim.record.approval.clone());
        let told = match approval.claim(now) {
            Told::Used(by) if claim.record.spent_by.as_deref() == Some(&*token_hash) => {
                Told::Approved(by)
            }
            Told::Pending | Told::Approved(_) if claim.is_withdrawn => Told::Withdrawn,
            told @ Told::Approved(_) => {
                if !rows::spend(&app.store, tenant, id, &token_hash, now).await? {
                    continue;
                }
                app.metrics.approvals("spent", 1);
                tell(app, tenant, id);
                told
            }
            told @ (Told::Pending
            | Told::Denied(_)
            | Told::Used(_)
            | Told::Withdrawn
            | Told::Expired) => told,
        };
        return Ok(Some(Look { claim, told }));
    }
    Err(StoreError::Unreadable { what: "approval" })
}

/// Gives a claim up, and the approval with it where no other session waits for it. Nothing happens
/// to a claim that has let its call through, or that nobody knows.
///
/// # Errors
///
/// [`StoreError`]
pub(in crate::server) async fn withdraw(
    app: &App,
    tenant: &Tenant,
    token: &str,
) -> Result<(), StoreError> {
    let now = app.now();
    if let Some(claim) = rows::claim(&app.store, tenant, &hash(token), now).await? {
        if rows::withdraw(&app.store, tenant, &claim, now).await? {
            app.metrics.approvals("withdrawn", 1);
        }
        tell(app, tenant, &claim.record.id);
    }
    Ok(())
}

/// Takes the answer of whoever made the call, given inside the client. The same answer once more
/// changes nothing.
///
/// # Errors
///
/// [`Refused`]
pub(in crate::server) async fn reply(
    app: &App,
    tenant: &Tenant,
    token: &str,
    approve: bool,
) -> Result<(), Refused> {
    let now = app.now();
    let claim = rows::claim(&app.store, tenant, &hash(token), now).await?;
    let claim = claim.ok_or(Refused::Unknown)?;
    if claim.is_withdrawn {
        return Err(Refused::NotPending(Box::new(claim.record)));
    }
    let answered = Answered {
        by: claim.record.user.clone(),
        assurance: Assurance::Elicitation,
        at: now,
        note: None,
    };
    let ended = resolve(app, tenant, &claim.record.id, approve, answered).await;
    let Err(Refused::NotPending(record)) = ended else { return ended.map(drop) };
    match &record.approval.state {
        State::Approved(_) | State::Spent(_) if approve => Ok(()),
        State::Denied(_) if !approve => Ok(()),
        State::Approved(_)
        | State::Spent(_)
        | State::Denied(_)
        | State::Pending
        | State::Withdrawn
        | State::Expired => Err(Refused::NotPending(record)),
    }
}

/// A token that cannot be guessed: 244 random bits.
fn token() -> String {
    format!("hold_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// The record of a call that nobody was asked about before.
fn record(whose: Whose<'_>, wanted: Wanted<'_>, now: jiff::Timestamp) -> Record {
    let (arguments, hidden) = scrubbed(wanted.arguments);
    let (arguments, is_cut) = cut(arguments);
    let grounds = wanted.grounds;
    Record {
        id: format!("apr_{}", Uuid::now_v7().simple()),
        user: whose.user.to_owned(),
        environment: whose.environment.to_owned(),
        call: whose.call.to_owned(),
        agent: wanted.who.agent.clone(),
        server: wanted.who.server.clone(),
        tool: wanted.tool.to_owned(),
        arguments,
        hidden,
        is_cut,
        rule_ids: grounds.rule_ids.clone(),
        control_ids: grounds.control_ids.clone(),
        reason: grounds.reason.clone(),
        reason_code: grounds.reason_code.clone(),
        policy: grounds.policy.clone(),
        revision: wanted.revision.to_owned(),
        self_approval: grounds.self_approval,
        approval: Approval::pending(now, now.saturating_add(LASTS).unwrap_or(now)),
        spent_by: None,
    }
}

/// The arguments as people may see them, and how much was taken out.
fn scrubbed(arguments: &str) -> (String, u64) {
    let mut counts = Counts::default();
    match Raw::read(arguments.as_bytes()) {
        Some(raw) => (Scrubber::default().scrub(raw, &mut counts), counts.total()),
        // They were read strictly before; what cannot be scrubbed is not shown.
        None => (String::from("{}"), 1),
    }
}

/// The beginning of the text, and whether it is less than the whole.
fn cut(mut text: String) -> (String, bool) {
    let is_cut = text.len() > SHOWN;
    if is_cut {
        text.truncate(text.floor_char_boundary(SHOWN));
    }
    (text, is_cut)
}
