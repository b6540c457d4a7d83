//! The console: pages for people. Server-rendered, no foreign origin, usable without its script.
//!
//! ```text
//!  one-time link ─┐                        ┌▶ holds, decisions, endpoints ◀── rows of other wings
//!  OpenID ────────┴▶ session (cookie) ─▶ guard ─▶ an answer (form, token) ──▶ approvals
//!                                          └▶ live: "ask again" ◀── bus
//! ```
//!
//! # Invariants
//!
//! - Nothing is shown and nothing is changed without a session; a session shows one tenant.
//! - A request that changes something comes from a page of this console (`Sec-Fetch-Site` or `Origin`)
//!   and, within a session, carries that session's form token. A GET changes nothing, but for the end of an
//!   OpenID login, which only the browser that began it can bring about.
//! - No text of somebody else's becomes markup or script: maud escapes it, and the policy of each answer
//!   admits no script but ours.
//! - No answer says whether a person, a link or a session exists.

mod assets;
mod guard;
mod link;
mod live;
mod login;
pub mod oidc;
mod page;
mod rows;
mod session;
mod token;
mod view;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use serde::Deserialize;

pub use self::link::{LIFE, link};
pub use self::live::STREAMS;

use self::live::Streams;
use self::login::Attempts;
use self::page::{Frame, Notice, Page};
use self::session::Session;
use super::App;
use super::approvals::Refused;
use super::store::StoreError;
use crate::approval::Answered;

/// The most a form of ours can hold, in bytes.
const FORM: usize = 16 * 1024;

/// What the console remembers besides the store. One for each process.
#[derive(Debug, Default)]
struct Console {
    streams: Streams,
    attempts: Attempts,
    provider: oidc::Lazy,
}

/// Why there is no page.
#[derive(Debug)]
enum Trouble {
    /// A form that no page of this session holds, or of another site.
    Foreign,
    /// Nothing is there, or not for this tenant.
    NotFound,
    /// A form with something else in it than its page offers.
    Malformed,
    /// The rule wants somebody else.
    SelfApproval,
    /// Too many at once.
    Busy,
    /// The store failed.
    Store(StoreError),
}

/// Somebody who is logged in. Everybody else is sent to the door.
struct Viewer(Session);

/// The routes of this wing.
pub(super) fn routes() -> Router<App> {
    let pages = Router::new()
        .route("/console", get(holds))
        .route("/console/approvals/{id}", get(hold).post(answer))
        .route("/console/decisions", get(decisions))
        .route("/console/endpoints", get(endpoints))
        .route("/console/live", get(stream))
        .route("/console/login", get(login::door).post(login::by_link))
        .route("/console/login/oidc", post(login::to_provider))
        .route("/console/login/callback", get(login::from_provider))
        .route("/console/logout", post(login::log_out))
        .route("/console/style.css", get(assets::get_style))
        .route("/console/script.js", get(assets::get_script))
        .route("/console/icon.svg", get(assets::get_icon))
        .route("/console/{*rest}", get(async || Trouble::NotFound))
        .layer(DefaultBodyLimit::max(FORM))
        .layer(Extension(Arc::<Console>::default()))
        .layer(from_fn(guard::guard));
    Router::new().route("/", get(async || Redirect::to("/console"))).merge(pages)
}

/// What the list of holds may be asked.
#[derive(Debug, Default, Deserialize)]
struct HoldsQuery {
    /// The approval that was just answered.
    #[serde(default)]
    done: String,
}

/// `GET /console`
async fn holds(
    State(app): State<App>,
    Viewer(session): Viewer,
    Query(query): Query<HoldsQuery>,
) -> Result<Page, Trouble> {
    let (holds, is_all) = rows::holds(&app, &session.tenant).await?;
    let done = match ApprovalId::read(&query.done) {
        Some(id) => rows::hold(&app, &session.tenant, id.as_str()).await?,
        None => None,
    };
    let notice = done.as_ref().map(|hold| Notice { hold });
    Ok(page::holds(frame(&app, &session), &holds, is_all, notice.as_ref()))
}

/// `GET /console/approvals/{id}`
async fn hold(
    State(app): State<App>,
    Viewer(session): Viewer,
    Path(id): Path<String>,
) -> Result<Page, Trouble> {
    let id = ApprovalId::read(&id).ok_or(Trouble::NotFound)?;
    let hold = rows::hold(&app, &session.tenant, id.as_str()).await?.ok_or(Trouble::NotFound)?;
    Ok(page::hold(frame(&app, &session), &hold))
}

/// What an answer's form holds.
#[derive(Debug, Deserialize)]
struct Answer {
    form_token: String,
    decision: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    from: String,
}

/// `POST /console/approvals/{id}`
async fn answer(
    State(app): State<App>,
    Viewer(session): Viewer,
    Path(id): Path<String>,
    Form(form): Form<Answer>,
) -> Result<Redirect, Trouble> {
    if !session.is_own_form(&form.form_token) {
        return Err(Trouble::Foreign);
    }
    let id = ApprovalId::read(&id).ok_or(Trouble::NotFound)?;
    let approve = match form.decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(Trouble::Malformed),
    };
    let note = form.note.trim();
    let answered = Answered {
        by: session.person.name.clone(),
        assurance: session.person.assurance,
        at: app.now(),
        note: (!note.is_empty()).then(|| note.to_owned()),
    };
    match rows::answer(&app, &session.tenant, id.as_str(), approve, answered).await {
        // Where somebody was first, the page says who, and what they said.
        Ok(()) | Err(Refused::NotPending(_)) => {}
        Err(Refused::Unknown) => return Err(Trouble::NotFound),
        Err(Refused::SelfApproval) => return Err(Trouble::SelfApproval),
        Err(Refused::Store(error)) => return Err(Trouble::Store(error)),
    }
    Ok(Redirect::to(&match form.from.as_str() {
        "list" => format!("/console?done={}", id.as_str()),
        _ => format!("/console/approvals/{}", id.as_str()),
    }))
}

/// `GET /console/decisions`
async fn decisions(State(app): State<App>, Viewer(session): Viewer) -> Result<Page, Trouble> {
    let decisions = rows::decisions(&app, &session.tenant).await?;
    Ok(page::decisions(frame(&app, &session), &decisions))
}

/// `GET /console/endpoints`
async fn endpoints(State(app): State<App>, Viewer(session): Viewer) -> Result<Page, Trouble> {
    let (endpoints, counts) = rows::endpoints(&app, &session.tenant).await?;
    Ok(page::endpoints(frame(&app, &session), &endpoints, counts))
}

/// `GET /console/live`
async fn stream(
    State(app): State<App>,
    Extension(console): Extension<Arc<Console>>,
    Viewer(session): Viewer,
) -> Result<Response, Trouble> {
    let body = console.streams.open(&app, session).ok_or(Trouble::Busy)?;
    let kind = HeaderValue::from_static("text/event-stream");
    // Some proxies hold back what does not end; this header asks them not to.
    let unbuffered = ("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(([(CONTENT_TYPE.as_str(), kind), unbuffered], body).into_response())
}

fn frame<'a>(app: &App, session: &'a Session) -> Frame<'a> {
    Frame { session, now: app.now() }
}

/// An approval's id, as it may stand in an address.
struct ApprovalId<'a>(&'a str);

// === impl ApprovalId ===

impl<'a> ApprovalId<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((1..=80).contains(&text.len()) && text.bytes().all(plain)).then_some(Self(text))
    }

    fn as_str(&self) -> &'a str {
        self.0
    }
}

// === impl Viewer ===

impl FromRequestParts<App> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let now = app.now();
        let found = Session::find(&app.store, &parts.headers, now).await;
        let session = match found.map_err(|error| Trouble::Store(error).into_response())? {
            Some(session) if oidc::still_allows(app, &session.person) => session,
            _ => return Err(login::away(parts)),
        };
        // What a page does by itself keeps no session alive.
        let by_itself =
            parts.headers.contains_key("x-thoth-live") || parts.uri.path() == "/console/live";
        if !by_itself {
            let touched = session.touch(&app.store, now).await;
            touched.map_err(|error| Trouble::Store(error).into_response())?;
        }
        Ok(Self(session))
    }
}

// === impl Trouble ===

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, sentence) = match self {
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "Not from here",
                "This form is not one of this login’s. Open the page again and repeat what you did.",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing at this address, or not any more.",
            ),
            Self::Malformed => {
                (StatusCode::BAD_REQUEST, "Not understood", "The form cannot be read.")
            }
            Self::SelfApproval => (
                StatusCode::FORBIDDEN,
                "Not yours to approve",
                "The rule wants somebody else than the call’s own user to approve it.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Busy",
                "Too many pages are open; this one does not update itself.",
            ),
            Self::Store(error) => {
                tracing::error!(%error, source = std::error::Error::source(&error), "the store failed");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Not now",
                    "The store is away. Try again in a moment.",
                )
            }
        };
        (status, page::trouble(title, sentence)).into_response()
    }
}
