//! What is done with a request that was let in.
//!
//! The era is a property of each message. One that names its protocol's version in `params._meta`
//! (MCP 2026-07-28) needs no session: it is held against its headers, goes to whichever lane has room
//! for it, and is cancelled when its client closes the connection. Any other belongs to the session
//! that its header names; `initialize` begins one.

use std::future::poll_fn;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request;
use hyper::{Request, Response, StatusCode};
use tokio::time::timeout;

use super::connection::Service;
use super::door::{Accepts, Asked, only};
use super::members;
use super::message::{Message, MessageKind, Parts};
use super::reply::{self, Body, Names, Problem, SESSION};
use super::session::{NotTaken, Place, Session};
use super::sessions::NoRoom;
use super::switch::{Event, First, Number};
use super::{Bounds, Open, body};
use crate::gate::answer::INVALID_REQUEST;
use crate::gate::json::Lenient;
use crate::gate::message::RequestId;
use crate::mirror;

/// The revisions of the protocol that have sessions, the oldest first.
const WITH_SESSIONS: [&str; 5] =
    ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The first of them whose clients take an event without a message.
const PRIMED: &str = "2025-11-25";

/// Errors that have a status of their own without sessions: a header that does not fit its body, a
/// version that the server does not speak, a method or parameters that are not known.
const HEADER_MISMATCH: i64 = -32_020;
const UNSUPPORTED_VERSION: i64 = -32_022;
const METHOD_NOT_FOUND: i64 = -32_601;
const INVALID_PARAMS: i64 = -32_602;

/// How soon to ask again where there is no room.
const RETRY_AFTER: &str = "5";

/// What a message is refused with, before anything was done about it.
type Refusal = Box<Response<Body>>;

impl<O: Open> Service<O> {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let answered = match self.door.admit(&head) {
            Err(status) => Err(status),
            Ok(Asked::Get) => Ok(self.listen(&head)),
            Ok(Asked::Delete) => Ok(self.end(&head)),
            Ok(Asked::Post(accepts)) => {
                let Bounds { longest_body, body: patience, .. } = self.bounds;
                let body = body::read(body, longest_body, patience).await;
                match body {
                    Ok(body) => Ok(self.post(&head, accepts, &body).await),
                    Err(status) => Err(status),
                }
            }
        };
        answered.unwrap_or_else(refused)
    }

    /// A message: answered, or taken.
    async fn post(&self, head: &request::Parts, accepts: Accepts, body: &[u8]) -> Response<Body> {
        let headers = &head.headers;
        let Some(message) = Message::read(body) else {
            return problem(StatusCode::BAD_REQUEST, "empty_body", "the body holds no message");
        };
        let answered = if message.is_modern() {
            self.stateless(headers, accepts, &message).await
        } else {
            self.in_session(headers, accepts, &message).await
        };
        answered.unwrap_or_else(|refusal| *refusal)
    }
}

impl<O: Open> Service<O> {
    /// A message of the era without sessions.
    async fn stateless(
        &self,
        headers: &HeaderMap,
        accepts: Accepts,
        message: &Message,
    ) -> Result<Response<Body>, Refusal> {
        let MessageKind::Request(id) = &message.kind else {
            // The protocol has no notification from clients over HTTP; and whose request one that
            // cancels would mean, nobody could tell.
            return Ok(reply::empty(StatusCode::ACCEPTED));
        };
        self.sessions.check(headers, message).map_err(|mismatch| {
            refusal(Problem {
                status: StatusCode::BAD_REQUEST,
                code: HEADER_MISMATCH,
                reason_code: "header_mismatch",
                message: &mismatch.to_string(),
                id: Some(id.literal()),
            })
        })?;
        let lane = self.sessions.lane(message).map_err(no_room)?;
        let place = lane.ask(message, accepts == Accepts::Json).await.map_err(not_taken)?;
        let status = |event: &Event| {
            // Nothing of this version will be answered there.
            if event.code == Some(UNSUPPORTED_VERSION) {
                lane.end();
            }
            modern_status(event, &message.parts)
        };
        Ok(self.respond(place, accepts, Names::None, status).await)
    }

    /// A message of a session, or one that begins one.
    async fn in_session(
        &self,
        headers: &HeaderMap,
        accepts: Accepts,
        message: &Message,
    ) -> Result<Response<Body>, Refusal> {
        if let (MessageKind::Doubtful(doubt), false) =
            (&message.kind, headers.contains_key(SESSION))
        {
            let (id, said) = (doubt.id.as_ref(), doubt.why.to_string());
            return Err(refusal(Problem {
                status: StatusCode::BAD_REQUEST,
                code: doubt.why.code(),
                reason_code: doubt.why.reason_code(),
                message: &said,
                id: id.map(RequestId::literal),
            }));
        }
        let begins = message.parts.method.as_deref() == Some("initialize");
        if !begins {
            check_version(headers, &message.kind)?;
        }
        if begins && !headers.contains_key(SESSION) {
            return self.initialize(accepts, message).await;
        }
        let session = self.session(headers)?;
        if matches!(message.kind, MessageKind::Cancelled(_) | MessageKind::Notice) {
            session.tell(message).await.map_err(not_taken)?;
            return Ok(reply::empty(StatusCode::ACCEPTED));
        }
        let place = session.ask(message, accepts == Accepts::Json).await.map_err(not_taken)?;
        let names = match session.version() {
            Some(version) if *version >= *PRIMED => Names::ToldFirst,
            Some(_) | None => Names::Told,
        };
        let status = match message.kind {
            MessageKind::Doubtful(_) => |_: &Event| StatusCode::BAD_REQUEST,
            MessageKind::Request(_) | MessageKind::Cancelled(_) | MessageKind::Notice => {
                |_: &Event| StatusCode::OK
            }
        };
        Ok(self.respond(place, accepts, names, status).await)
    }

    /// Begins a session. It has a name for the client only where the server has greeted it, or takes
    /// its time to.
    async fn initialize(
        &self,
        accepts: Accepts,
        message: &Message,
    ) -> Result<Response<Body>, Refusal> {
        let (name, session) = self.sessions.begin().map_err(no_room)?;
        let unnamed = Unnamed(Some(Rc::clone(&session)));
        let place = session.ask(message, accepts == Accepts::Json).await.map_err(not_taken)?;
        let mut greeted = None;
        let mut response = self
            .respond(place, accepts, Names::Told, |event| {
                greeted = Some(event.code.is_none());
                session.agree_on(agreed_version(event));
                StatusCode::OK
            })
            .await;
        if greeted == Some(false) {
            return Ok(response);
        }
        unnamed.named();
        if let Ok(name) = HeaderValue::try_from(name) {
            response.headers_mut().insert(SESSION, name);
        }
        Ok(response)
    }

    /// Answers with what comes to this place: as JSON where that is the answer, and comes soon; else
    /// as a stream of events.
    async fn respond(
        &self,
        place: Place,
        accepts: Accepts,
        names: Names,
        status: impl FnOnce(&Event) -> StatusCode,
    ) -> Response<Body> {
        let Bounds { prompt, keep_alive, .. } = self.bounds;
        // A server that is only starting has nothing to say yet but its answer.
        let patience = if place.session().has_answered() { prompt } else { keep_alive };
        let first = poll_fn(|cx| place.poll_first(accepts == Accepts::Stream, cx));
        let first = match accepts {
            Accepts::Json => Ok(first.await),
            Accepts::Both | Accepts::Stream => timeout(patience, first).await,
        };
        match first {
            Ok(First::Answer(event)) => reply::json(status(&event), event.text),
            Ok(First::Nothing) => reply::empty(StatusCode::ACCEPTED),
            Ok(First::Other) | Err(_) => reply::events(place, names, keep_alive),
        }
    }

    /// What the server has to say by itself; or what was missed, where a lost stream is named.
    fn listen(&self, head: &request::Parts) -> Response<Body> {
        let headers = &head.headers;
        let listened =
            without_modern(headers).and_then(|()| self.session(headers)).and_then(|session| {
                let after = match only(headers, "last-event-id") {
                    None => None,
                    Some(name) => Some(event_name(name).ok_or_else(unknown_event)?),
                };
                session.listen(after).ok_or_else(unknown_event)
            });
        match listened {
            Ok(place) => reply::events(place, Names::Told, self.bounds.keep_alive),
            Err(refusal) => *refusal,
        }
    }

    /// Ends the session.
    fn end(&self, head: &request::Parts) -> Response<Body> {
        let headers = &head.headers;
        match without_modern(headers).and_then(|()| self.session(headers)) {
            Ok(session) => {
                session.end();
                reply::empty(StatusCode::OK)
            }
            Err(refusal) => *refusal,
        }
    }

    /// The session that the headers name.
    fn session(&self, headers: &HeaderMap) -> Result<Rc<Session>, Refusal> {
        if !headers.contains_key(SESSION) {
            return Err(Box::new(problem(
                StatusCode::BAD_REQUEST,
                "session_missing",
                "this needs the header Mcp-Session-Id; `initialize` begins a session",
            )));
        }
        let name = only(headers, SESSION).and_then(|name| name.to_str().ok());
        name.and_then(|name| self.sessions.named(name)).ok_or_else(|| {
            Box::new(problem(
                StatusCode::NOT_FOUND,
                "session_not_found",
                "there is no such session, or no longer: begin another",
            ))
        })
    }
}

/// A session that its client does not know of yet: it ends where nobody will.
struct Unnamed(Option<Rc<Session>>);

impl Unnamed {
    fn named(mut self) {
        self.0 = None;
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.end();
        }
    }
}

/// The status of an answer in the era without sessions (MCP 2026-07-28, basic and
/// basic/transports).
fn modern_status(event: &Event, message: &Parts) -> StatusCode {
    match event.code {
        Some(METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(UNSUPPORTED_VERSION..=HEADER_MISMATCH) => StatusCode::BAD_REQUEST,
        Some(INVALID_PARAMS) if !message.has_capabilities => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// The version that an answer to `initialize` names.
fn agreed_version(event: &Event) -> Option<String> {
    let mut version = None;
    members::each::<Lenient>(&event.text, |name, value| {
        if name == "result" {
            members::each::<Lenient>(value.text, |name, value| {
                if name == "protocolVersion" {
                    version = value.string();
                }
            });
        }
    });
    version
}

/// Refuses a version that no message of a session can have. Of those that have none each message
/// says so itself: this one lacks what it needs.
fn check_version(headers: &HeaderMap, kind: &MessageKind) -> Result<(), Refusal> {
    if is_version_of_sessions(headers) {
        return Ok(());
    }
    let id = match kind {
        MessageKind::Request(id) => Some(id.literal()),
        MessageKind::Cancelled(_) | MessageKind::Notice | MessageKind::Doubtful(_) => None,
    };
    Err(refusal(Problem {
        status: StatusCode::BAD_REQUEST,
        code: INVALID_PARAMS,
        reason_code: "version_mismatch",
        message: "the header MCP-Protocol-Version names no version with sessions, and the message \
            no version in `params._meta`",
        id,
    }))
}

/// Whether the version that the headers name has sessions, where they name one.
fn is_version_of_sessions(headers: &HeaderMap) -> bool {
    let mut versions = headers.get_all(mirror::VERSION).iter();
    versions.all(|version| WITH_SESSIONS.iter().any(|known| known == version))
}

/// Refuses what the era without sessions does not have.
fn without_modern(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_version_of_sessions(headers) {
        return Ok(());
    }
    Err(Box::new(refused(StatusCode::METHOD_NOT_ALLOWED)))
}

/// The stream and the place in it that an event's name means.
fn event_name(name: &HeaderValue) -> Option<(Number, u64)> {
    let (stream, place) = name.to_str().ok()?.split_once('-')?;
    Some((stream.parse().ok()?, place.parse().ok()?))
}

fn unknown_event() -> Refusal {
    let message = "nothing is kept of the stream that Last-Event-ID names";
    Box::new(problem(StatusCode::BAD_REQUEST, "unknown_event", message))
}

fn no_room(_: NoRoom) -> Refusal {
    busy("too_many_sessions", "too many sessions are open")
}

fn not_taken(why: NotTaken) -> Refusal {
    match why {
        NotTaken::Over => Box::new(problem(
            StatusCode::NOT_FOUND,
            "session_not_found",
            "the session has ended: begin another",
        )),
        NotTaken::IdInUse => Box::new(problem(
            StatusCode::BAD_REQUEST,
            "id_in_use",
            "its id belongs to a request that is still open",
        )),
        NotTaken::Full => busy("too_many_in_flight", "too many requests are open"),
    }
}

/// Come again.
fn busy(reason_code: &str, message: &str) -> Refusal {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, reason_code, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    Box::new(response)
}

fn refusal(problem: Problem<'_>) -> Refusal {
    Box::new(problem.response())
}

/// A refusal that is about no request in particular.
fn problem(status: StatusCode, reason_code: &str, message: &str) -> Response<Body> {
    Problem { status, code: INVALID_REQUEST, reason_code, message, id: None }.response()
}

/// A refusal at the door: nothing is said to whoever may be nobody's client.
fn refused(status: StatusCode) -> Response<Body> {
    let mut response = reply::empty(status);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    }
    response
}
