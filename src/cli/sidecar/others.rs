//! Whom a session asks: the enforcer about calls, the keepers of holds about people's answers, the
//! events of the session for a report.
//!
//! A hold is its keeper's: what is said about one goes to whoever keeps it, and to nobody else. How
//! the enforcer answers is kept for whoever asks about this sidecar.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::record::Tally;
use super::report::Reporter;
use crate::config::settings::{Config, Environment, LocalApprovals};
use crate::desk::{self, Desk};
use crate::endpoint::sidecar::Contact;
use crate::enforcer::Enforcer;
use crate::gate::verdict::{
    Answer, Effect, Hold, Keeper, PolicyRef, Question, Reply, SteppedUp, Verdict,
};
use crate::machine::clock;
use crate::pump::Ask;

/// Whom the pump asks.
#[derive(Clone)]
pub(super) struct Others {
    pub(super) enforcer: Option<Enforcer>,
    /// Where a person at this machine may answer for the local rules.
    pub(super) desk: Option<Desk>,
    /// Where events go to a file of this machine.
    pub(super) reporter: Option<Reporter>,
    pub(super) tally: Tally,
}

/// The desk of a session; `None` where it is not to have one. Makes nothing before the first hold.
pub(super) fn desk(
    config: &Config,
    policies: &[PolicyRef],
    server: &str,
    session_id: &str,
) -> Option<Desk> {
    match config.local_approvals {
        LocalApprovals::Off => None,
        LocalApprovals::Auto => Some(Desk::open(desk::Settings {
            home: config.home.clone(),
            agent: config.identity.agent_id.clone(),
            server: server.to_owned(),
            user: config.identity.user_id.clone(),
            environment_is_dev: config.environment == Environment::Dev,
            policy_revision: revision(policies),
            step_up_wait: config.step_up_wait,
            session_id: session_id.to_owned(),
            clock: clock::now,
        })),
    }
}

/// Which rules are in force, in one word: a call that was approved under others is asked about anew.
fn revision(policies: &[PolicyRef]) -> String {
    let mut hash = Sha256::new();
    for policy in policies {
        hash.update(policy.sha256.as_deref().unwrap_or_default());
        hash.update("\n");
    }
    hex::encode(hash.finalize())
}

// === impl Others ===

impl Ask for Others {
    async fn ask(&self, question: Question) -> Answer {
        let Some(enforcer) = &self.enforcer else { return nobody() };
        let asked = Instant::now();
        let answer = enforcer.ask(question).await;
        if let Some(contact) = &mut self.tally.lock().contact {
            met(contact, &answer, asked.elapsed());
        }
        answer
    }

    async fn hold(&self, stepped_up: SteppedUp) -> Answer {
        match &self.desk {
            Some(desk) => desk.hold(stepped_up).await,
            None => {
                Answer::Said(Verdict { effect: Effect::StepUp(None), grounds: stepped_up.grounds })
            }
        }
    }

    async fn release(&self, hold: Hold) {
        match (hold.keeper, &self.enforcer, &self.desk) {
            (Keeper::Enforcer, Some(enforcer), _) => enforcer.release(&hold).await,
            (Keeper::Sidecar, _, Some(desk)) => desk.release(hold).await,
            (Keeper::Enforcer, None, _) | (Keeper::Sidecar, _, None) => {}
        }
    }

    async fn reply(&self, hold: Hold, reply: Reply) {
        match (hold.keeper, &self.enforcer, &self.desk) {
            (Keeper::Enforcer, Some(enforcer), _) => enforcer.reply(&hold, reply).await,
            (Keeper::Sidecar, _, Some(desk)) => desk.reply(hold, reply).await,
            (Keeper::Enforcer, None, _) | (Keeper::Sidecar, _, None) => {}
        }
    }

    async fn report(&self) -> String {
        match &self.reporter {
            Some(reporter) => reporter.report().await,
            None => "There is no report: the events of this session are not kept here.".to_owned(),
        }
    }

    async fn wait(&self, hold: Hold) -> Answer {
        match (hold.keeper, &self.enforcer, &self.desk) {
            (Keeper::Enforcer, Some(enforcer), _) => enforcer.wait(hold).await,
            (Keeper::Sidecar, _, Some(desk)) => desk.wait(hold).await,
            (Keeper::Enforcer, None, _) | (Keeper::Sidecar, _, None) => nobody(),
        }
    }
}

/// A session asks nobody whom it does not have ([`Settings`](crate::gate::session::Settings)); if it
/// did, the call is blocked.
fn nobody() -> Answer {
    Answer::Said(Verdict::block("no_decision", "there is nobody to ask"))
}

/// What an answer says of the enforcer itself.
fn met(contact: &mut Contact, answer: &Answer, took: Duration) {
    contact.asked_at = Some(clock::now());
    contact.latency_ms = Some((took.as_secs_f64() * 1e6).round() / 1e3);
    let code = match answer {
        Answer::Said(verdict) => verdict.grounds.reason_code.as_deref(),
        Answer::Silent(_) => {
            contact.reachable = Some(false);
            return;
        }
    };
    let is_trusted =
        !matches!(code, Some("enforcer_pin_mismatch" | "enforcer_certificate_invalid"));
    contact.reachable = Some(is_trusted);
    if contact.url.starts_with("https:") {
        contact.pin_ok = Some(is_trusted);
    }
}
