//! `POST /v1/enforce`, `GET /v1/enforce/hold/{token}`, `POST /v1/explain`.
//!
//! ```text
//!  body ─▶ question ─▶ judges (scope, then rules) ─▶ ruling (mode) ─▶ answer
//!                                                       │ step-up
//!                                                       ▼
//!                                                   approvals
//! ```
//!
//! The same `policy` module as in the sidecar decides. The store is asked about step-ups only.
//!
//! # Invariants
//!
//! - A question that cannot be read in one way is not decided about: 400, which clients take for a
//!   block.
//! - A question is about the key's own tenant, and about what the key is good for.

mod answer;
mod explain;
mod hold;
mod judges;
mod question;
mod ruling;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::value::RawValue;
use tokio::time::Instant;

pub use self::hold::Polls;
pub use self::judges::Judges;

use self::answer::Answer;
use self::question::Question;
use self::ruling::Ruling;
use super::approvals::{self, Wanted};
use super::body::Sent;
use super::caller::Caller;
use super::{App, Fault};
use crate::gate::verdict::Effect;

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    let hold = get(hold::look).delete(hold::withdraw);
    Router::new()
        .route("/v1/enforce", post(enforce))
        .route("/v1/enforce/hold/{token}", hold)
        .route("/v1/enforce/hold/{token}/reply", post(hold::reply))
        .route("/v1/explain", post(explain::explain))
}

/// Decides about one call.
async fn enforce(
    State(app): State<App>,
    caller: Caller,
    Sent(body): Sent<Box<RawValue>>,
) -> Result<Response, Fault> {
    let began = Instant::now();
    caller.must(|may| may.execute, "ask for decisions")?;
    let question = Question::read(body.get())?;
    question.of(&caller)?;
    let book = app.rules.current();
    let verdict = app.judges.judge(&book, &question);
    let ruling = Ruling::new(question.mode, verdict);
    let answer = match ruling.effect {
        Effect::StepUp(_) => {
            let wanted = Wanted {
                who: &question.who,
                session: &question.session,
                tool: &question.tool,
                arguments: question.arguments.as_str(),
                grounds: &ruling.grounds,
                revision: &book.revision,
                trace: question.trace.as_deref(),
                attestation: question.attestation.as_deref(),
            };
            let asked = approvals::ask(&app, &caller.tenant, wanted).await?;
            Answer::asked(&app, &caller.tenant, &question, ruling, asked)
        }
        Effect::Allow | Effect::Modify(_) | Effect::Defer(_) | Effect::Block => {
            Answer::decided(&caller.tenant, &question, ruling)
        }
    };
    let took = began.elapsed();
    app.metrics.decided(answer.decision().as_str(), took);
    app.decisions.record(&caller.tenant, answer.record(app.now(), &question, took));
    Ok(json(answer.body(took)))
}

/// An answer of JSON text.
fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
