//! The credentials: as they can be read now, and as running sidecars found them.
//!
//! Only a sidecar learns that a key was rejected. What it says counts unless the key it speaks of
//! has been replaced since, which the fingerprints show, and it will read the new one by itself.
//! What a program prints is known to sidecars alone, too: it may ask a person for a finger.

use jiff::Timestamp;
use serde::Serialize;

use super::facts::Facts;
use super::problem::{Code, Problem};
use crate::credential::{Standing, State};
use crate::endpoint::sidecar::Sidecar;

/// The name of the enforcer's key among the credentials.
const API_KEY: &str = "api_key";
/// What the names of credentials begin with that a server behind a URL is shown. Each belongs to
/// one server, whose name stands behind it in a report.
const UPSTREAM: &str = "upstream_";

/// One credential.
#[derive(Clone, Debug, Serialize)]
pub struct Credential {
    /// Which: `api_key`, `govapi_bearer_token`, `govapi_api_key`, or `upstream_token@HOST` and its
    /// like.
    pub name: String,
    /// The rest.
    #[serde(flatten)]
    pub held: Held,
}

/// How a credential stands.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Its name at the issuer.
    pub key_id: Option<String>,
    /// Where it comes from: a variable's or flag's name, `file`, `command`, `keychain`.
    pub source: String,
    /// The start of its SHA-256.
    pub fingerprint: Option<String>,
    /// Counts up with every change, in the process that knows it best.
    pub generation: u64,
    /// How it is; `null` where only a program could tell, and no sidecar has run it yet.
    pub state: Option<State>,
    /// When it was read.
    pub loaded_at: Option<Timestamp>,
    /// When it ends, where its source says so.
    pub expires_at: Option<Timestamp>,
}

/// The credentials for the report; what is wrong with them is added to `problems`.
pub(super) fn judge(facts: &Facts, problems: &mut Vec<Problem>) -> (Option<Held>, Vec<Credential>) {
    let mut standings = facts.credentials.clone();
    for other in facts.sidecars.iter().flat_map(known) {
        match standings.iter_mut().find(|standing| standing.name == other.name) {
            None => standings.push(other),
            Some(standing) if is_unknown(standing) => *standing = other,
            Some(standing) if is_outdated(&other, standing) => {}
            Some(standing) => standing.state = worse(standing.state, other.state),
        }
    }
    for standing in standings.iter().filter(|standing| !is_unknown(standing)) {
        problems.extend(if standing.name == API_KEY {
            of_key(standing, facts)
        } else if standing.name.starts_with(UPSTREAM) {
            of_upstream(standing)
        } else {
            of_govapi(standing)
        });
    }
    let api_key = standings.iter().find(|standing| standing.name == API_KEY);
    if api_key.is_none() && facts.enforcer.is_some() && facts.environment.is_strict() {
        problems.push(missing("no key is configured"));
    }
    let api_key = api_key.map(Held::of);
    (api_key, standings.iter().map(Credential::of).collect())
}

/// The credentials of a running sidecar.
fn known(sidecar: &Sidecar) -> impl Iterator<Item = Standing> {
    sidecar.credentials.iter().cloned().map(|standing| match standing.name.strip_prefix(UPSTREAM) {
        None => standing,
        Some(_) => Standing { name: format!("{}@{}", standing.name, sidecar.server), ..standing },
    })
}

/// Whether `theirs` is about a secret that is no longer the one to be read.
fn is_outdated(theirs: &Standing, ours: &Standing) -> bool {
    let differ = match (&theirs.fingerprint, &ours.fingerprint) {
        (Some(theirs), Some(ours)) => theirs != ours,
        (None, _) | (_, None) => false,
    };
    differ
        && theirs.source == ours.source
        && matches!(&*theirs.source, "file" | "command" | "keychain")
}

/// Whether nobody has run the program yet that prints it.
fn is_unknown(standing: &Standing) -> bool {
    matches!(&*standing.source, "command" | "keychain")
        && standing.generation == 0
        && standing.state == State::Missing
}

/// The graver of two.
fn worse(one: State, other: State) -> State {
    let gravity = |state| match state {
        State::Ok => 0,
        State::Stale => 1,
        State::Missing => 2,
        State::Rejected => 3,
        State::Revoked => 4,
    };
    if gravity(other) > gravity(one) { other } else { one }
}

fn of_key(standing: &Standing, facts: &Facts) -> Option<Problem> {
    let named = standing.key_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let from = &standing.source;
    let renew = "give this machine another key; `thoth set-api-key` takes it";
    let problem = match standing.state {
        State::Revoked => Problem::new(
            Code::ApiKeyRevoked,
            format!("the key{named} from {from} is revoked, and not used"),
            renew,
        ),
        State::Rejected => Problem::new(
            Code::ApiKeyRejected,
            format!("the enforcer does not accept the key{named} from {from}"),
            renew,
        ),
        State::Missing => missing(&format!("{from} holds none")),
        State::Ok | State::Stale if standing.expires_at.is_some_and(|end| end < facts.now) => {
            Problem::new(
                Code::ApiKeyExpired,
                format!("the key{named} from {from} has expired"),
                renew,
            )
        }
        State::Stale => Problem::new(
            Code::ApiKeyStale,
            format!("the key{named} cannot be read again from {from}; the last one is used"),
            "put the key back where it was",
        ),
        State::Ok => return None,
    };
    Some(problem)
}

fn missing(why: &str) -> Problem {
    Problem::new(
        Code::ApiKeyMissing,
        format!("there is no key for the enforcer: {why}"),
        "run `thoth set-api-key`, or set THOTH_API_KEY_FILE",
    )
}

fn of_govapi(standing: &Standing) -> Option<Problem> {
    let what = wrong_with(standing.state)?;
    Some(Problem::new(
        Code::GovapiCredential,
        format!("the GovAPI's {} from {} {what}", standing.name, standing.source),
        "give this machine another one",
    ))
}

fn of_upstream(standing: &Standing) -> Option<Problem> {
    let what = wrong_with(standing.state)?;
    Some(Problem::new(
        Code::UpstreamCredential,
        format!("{} from {} {what}", standing.name, standing.source),
        "put another one where it comes from, or log in again",
    ))
}

fn wrong_with(state: State) -> Option<&'static str> {
    match state {
        State::Ok => None,
        State::Stale => Some("cannot be read again; the last one is used"),
        State::Missing => Some("is missing"),
        State::Rejected => Some("is not accepted"),
        State::Revoked => Some("is revoked, and not used"),
    }
}

// === impl Credential ===

impl Credential {
    fn of(standing: &Standing) -> Self {
        Self { name: standing.name.clone(), held: Held::of(standing) }
    }
}

// === impl Held ===

impl Held {
    fn of(standing: &Standing) -> Self {
        Self {
            key_id: standing.key_id.clone(),
            source: standing.source.clone(),
            fingerprint: standing.fingerprint.clone(),
            generation: standing.generation,
            state: (!is_unknown(standing)).then_some(standing.state),
            loaded_at: standing.loaded_at,
            expires_at: standing.expires_at,
        }
    }
}
