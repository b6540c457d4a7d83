//! `POST /v1/explain`: what a refusal means, for the person or model that met it.
//!
//! The body is the question once more, with what was answered. It is judged once more, so that what
//! is said is what the rules say, not what the caller says they did; nothing is recorded or held.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::violation;
use super::question::Question;
use super::ruling::Ruling;
use crate::gate::verdict::Effect;
use crate::server::body::Sent;
use crate::server::caller::Caller;
use crate::server::decisions::Word;
use crate::server::{App, Fault};

/// The explanation. The first six members are what clients require.
#[derive(Serialize)]
struct Body<'a> {
    violation_id: String,
    what_happened: String,
    why_it_was_blocked: String,
    what_to_do_next: &'static str,
    business_impact: String,
    severity: &'static str,
    decision: &'static str,
    matched_rule_ids: &'a [String],
    regulatory_context: &'a [String],
}

/// Explains a decision.
pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Sent(body): Sent<Box<RawValue>>,
) -> Result<Response, Fault> {
    caller.must(|may| may.execute, "ask for explanations")?;
    let question = Question::read(body.get())?;
    question.of(&caller)?;
    let verdict = app.judges.judge(&app.rules.current(), &question);
    let Ruling { effect, grounds, .. } = Ruling::new(question.mode, verdict);
    let (happened, next, severity) = match effect {
        Effect::Block => (
            "was refused",
            "Do something else, or ask whoever keeps the policy to change the rule.",
            "high",
        ),
        Effect::StepUp(_) => (
            "waits for a person to approve it",
            "Ask an approver to answer, and make the same call again.",
            "medium",
        ),
        Effect::Defer(_) => ("was put off", "Make the same call again later.", "low"),
        Effect::Modify(_) => {
            ("may be made with other arguments", "Nothing needs to be done.", "low")
        }
        Effect::Allow => {
            ("may be made by the rules as they are now", "Make the call again.", "low")
        }
    };
    let impact = match grounds.control_ids.as_slice() {
        [] => "The call was kept from taking effect.".to_owned(),
        controls => format!("The call is subject to {}.", controls.join(", ")),
    };
    let body = Body {
        violation_id: question
            .violation
            .clone()
            .unwrap_or_else(|| violation(&caller.tenant, &question)),
        what_happened: format!("The call of `{}` {happened}.", question.tool),
        why_it_was_blocked: grounds.reason.clone().unwrap_or_default(),
        what_to_do_next: next,
        business_impact: impact,
        severity,
        decision: Word::of(&effect).as_str(),
        matched_rule_ids: &grounds.rule_ids,
        regulatory_context: &grounds.control_ids,
    };
    let text = serde_json::to_vec(&body).unwrap_or_else(|_| unreachable!("texts are JSON"));
    Ok(super::json(text))
}
