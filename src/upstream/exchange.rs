//! One message there, and what comes back: an answer as one body, or as a stream of events.
//!
//! What else comes on the way is said to the client at once; the answer itself is given to whoever
//! asked, since some of it is learnt from before the client has it.

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::response;
use hyper::{Method, Response, StatusCode};
use tokio::time::{Instant, timeout};

use super::authority::Presented;
use super::body::{self, Stream};
use super::fault::Fault;
use super::headers;
use super::letter::{Letter, LetterKind};
use super::remote::{ERROR_PAGE_TIME, Remote};
use super::reply::{self, Reply};
use super::retry::Happened;
use super::session::Seen;
use super::sse::Event;
use crate::gate::message::RequestId;
use crate::https::Challenge;

/// The code of JSON-RPC for an unknown method: with 404, an answer and no lost session.
const METHOD_NOT_FOUND: i64 = -32_601;
/// What servers made after the older examples of the TypeScript SDK say to a message whose session
/// they do not know, in place of 404: status 400, the code -32000, nobody's id, and one of these.
/// They say it before they look at what they are asked.
const UNKNOWN_SESSION: [&str; 2] =
    ["Bad Request: No valid session ID provided", "Bad Request: Server not initialized"];
const UNKNOWN_SESSION_CODE: i64 = -32_000;
/// `HeaderMismatch` (MCP 2026-07-28).
const HEADER_MISMATCH: i64 = -32_020;
/// The errors that only servers of MCP 2026-07-28 and later give: -32020 to -32022.
const MODERN: std::ops::RangeInclusive<i64> = -32_022..=HEADER_MISMATCH;
/// What servers of some SDKs say of a lost session, and clients of a time-out, and thoth of a
/// block: passed on from a status, it would mean the wrong one.
const SESSION_ERROR: i64 = -32_001;

/// How an exchange went well.
#[derive(Debug)]
pub(super) struct Answered {
    /// The answer to a request; `None` where none was asked for.
    pub(super) reply: Option<Reply>,
    /// What of the stream is left.
    pub(super) rest: Option<Stream>,
    /// The session's id, where the server gave one.
    pub(super) session_id: Option<HeaderValue>,
}

/// How an exchange did not.
#[derive(Debug)]
pub(super) struct Failed {
    /// What that means for another attempt.
    pub(super) happened: Happened,
    /// What is said of it where there is none.
    pub(super) says: Says,
    /// Whether the server may know only HTTP+SSE (MCP 2025-11-25, transports §Backwards
    /// Compatibility).
    pub(super) may_be_older: bool,
}

/// What is said of a request that was not answered in order.
#[derive(Debug)]
pub(super) enum Says {
    /// An error of the server's own.
    Reply(Box<Reply>),
    /// One of thoth's.
    Fault(Fault),
}

impl Remote {
    /// Sends one message once, in the session that is `seen`.
    ///
    /// Cancel safe: dropped, the exchange ends.
    pub(super) async fn exchange(
        &self,
        letter: &Letter,
        presented: &Presented,
        seen: &Seen,
    ) -> Result<Answered, Failed> {
        let headers = self.message_headers(letter, presented, seen);
        let response = self.send(Method::POST, &self.url, headers, letter.body.clone()).await?;
        self.note(response.status(), presented);
        let session_id = response.headers().get(headers::SESSION_ID).cloned();
        if !response.status().is_success() {
            return Err(self.refused(response, letter, seen.id.is_some()).await);
        }
        let LetterKind::Request(id) = &letter.kind else {
            return Ok(Answered { reply: None, rest: None, session_id });
        };
        let (head, body) = response.into_parts();
        let (reply, rest) = match content(&head)? {
            Content::Json => (self.body(body, id).await?, None),
            Content::Events => {
                let stream = Stream::new(body, self.bounds());
                // The session that `initialize` opens begins with the head: the rest of its answer
                // is asked for in it.
                let opened = session_id.clone().map(|id| Seen { id: Some(id), ..seen.clone() });
                let seen = opened.as_ref().unwrap_or(seen);
                let (reply, rest) = self.events(stream, id, letter, seen).await?;
                (reply, Some(rest))
            }
        };
        if let Some(failed) = self.in_band(&reply, letter) {
            return Err(failed);
        }
        Ok(Answered { reply: Some(reply), rest, session_id })
    }

    /// Reads a body that holds the answer, and says what else it holds.
    async fn body(&self, body: Incoming, id: &RequestId) -> Result<Reply, Failed> {
        let body = body::whole(body, &self.bounds()).await?;
        let mut answer = None;
        let messages = reply::messages(&body);
        let is_alone = messages.len() == 1;
        for message in messages {
            let is_it = message.answers(id) || is_alone && message.is_nobodys_error();
            if answer.is_none() && is_it {
                answer = Some(message.to(id));
            } else {
                self.answers.say(message.line).await;
            }
        }
        answer.ok_or_else(|| Fault::Broken("it holds no answer".to_owned()).into())
    }

    /// Reads events until the answer, and says what else comes. Where the stream ends before, and
    /// says where it stood, the rest is asked for.
    async fn events(
        &self,
        mut stream: Stream,
        id: &RequestId,
        letter: &Letter,
        seen: &Seen,
    ) -> Result<(Reply, Stream), Failed> {
        let mut since = Instant::now();
        loop {
            let cut = match stream.next().await {
                Ok(Some(event)) => {
                    since = Instant::now();
                    let mut answer = None;
                    for message in reply::of_event(&event) {
                        if answer.is_none() && message.answers(id) {
                            answer = Some(message);
                        } else {
                            self.answers.say(message.line).await;
                        }
                    }
                    match answer {
                        Some(answer) => return Ok((answer, stream)),
                        None => continue,
                    }
                }
                Ok(None) => Fault::Broken("the stream ended before it".to_owned()),
                Err(Fault::Broken(why)) => Fault::Broken(why),
                Err(other) => return Err(other.into()),
            };
            if letter.is_modern() || stream.parser.last_id().is_none() {
                return Err(cut.into());
            }
            stream = self.resume(&stream, since, seen).await.ok_or(cut)?;
        }
    }

    /// Says what an event holds, where nothing is waited for in particular.
    pub(super) async fn pass(&self, event: &Event) {
        for message in reply::of_event(event) {
            self.answers.say(message.line).await;
        }
    }

    /// What an error in the answer itself means for another attempt.
    pub(super) fn in_band(&self, reply: &Reply, letter: &Letter) -> Option<Failed> {
        let code = reply.error_code()?;
        let happened = if self.auth_error_code == Some(code) {
            Happened::Rejected
        } else if code == HEADER_MISMATCH && letter.is_modern() {
            Happened::HeaderMismatch
        } else {
            return None;
        };
        Some(Failed { happened, says: Says::Reply(Box::new(reply.clone())), may_be_older: false })
    }

    /// What a status other than success means. `in_session` is whether the message was one of a
    /// session's.
    pub(super) async fn refused(
        &self,
        response: Response<Incoming>,
        letter: &Letter,
        in_session: bool,
    ) -> Failed {
        let (head, body) = response.into_parts();
        let status = head.status;
        if let Some(failed) = shut_out(&head, self.authority.login()) {
            return failed;
        }
        let error = self.error_page(body).await;
        let code = error.as_ref().and_then(Reply::error_code);
        if let Some(failed) = error.as_ref().and_then(|error| self.in_band(error, letter)) {
            return failed.to(letter);
        }
        let is_unknown = match status {
            StatusCode::NOT_FOUND => code != Some(METHOD_NOT_FOUND),
            StatusCode::BAD_REQUEST => error.as_ref().is_some_and(is_unknown_session),
            _ => false,
        };
        if is_unknown && in_session {
            let fault =
                Fault::SessionLost("the server does not know the new one either".to_owned());
            return Failed { happened: Happened::SessionGone, ..fault.into() };
        }
        let may_be_older = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        ) && !code
            .is_some_and(|code| MODERN.contains(&code) || code == METHOD_NOT_FOUND);
        let says = match error {
            Some(error) if is_for(&error, letter, status) => Says::Reply(Box::new(error)),
            _ => Says::Fault(Fault::Status(status)),
        };
        Failed { happened: Happened::Other, says, may_be_older }.to(letter)
    }

    /// The one JSON-RPC error that a page is, where it is one.
    async fn error_page(&self, body: Incoming) -> Option<Reply> {
        // However slowly it comes: what is known of it is enough to go on.
        let bounds = self.error_bounds();
        let body = timeout(ERROR_PAGE_TIME, body::whole(body, &bounds)).await.ok()?.ok()?;
        let mut messages = reply::messages(&body);
        messages.pop().filter(|reply| messages.is_empty() && reply.is_error())
    }
}

/// What a status means that is about who asks, or where.
pub(super) fn shut_out(head: &response::Parts, login: Option<&str>) -> Option<Failed> {
    let login = || login.map(str::to_owned);
    let rejected =
        || Failed { happened: Happened::Rejected, ..Fault::Unauthorized { login: login() }.into() };
    if head.status.is_redirection() {
        return Some(Fault::Redirect(head.status).into());
    }
    let challenge = Challenge::of(&head.headers).unwrap_or_default();
    match head.status {
        StatusCode::UNAUTHORIZED => Some(rejected()),
        StatusCode::FORBIDDEN if challenge.says("invalid_token") => Some(rejected()),
        StatusCode::FORBIDDEN => {
            let lacks = challenge.says("insufficient_scope");
            let lacks = lacks.then(|| challenge.scopes.unwrap_or_default());
            Some(Fault::Forbidden { lacks, login: login() }.into())
        }
        _ => None,
    }
}

/// Whether an error that came with a status answers this request: it says so, or says nothing else.
fn is_for(error: &Reply, letter: &Letter, status: StatusCode) -> bool {
    let LetterKind::Request(id) = &letter.kind else { return false };
    let is_nobodys = error.is_nobodys_error();
    let is_plain = status.is_client_error() && error.error_code() != Some(SESSION_ERROR);
    error.answers(id) && error.error_code() != Some(SESSION_ERROR) || is_nobodys && is_plain
}

/// Whether an error that came with 400 says that the session is not known.
fn is_unknown_session(error: &Reply) -> bool {
    error.is_nobodys_error()
        && error.error_code() == Some(UNKNOWN_SESSION_CODE)
        && error.error_message().is_some_and(|said| UNKNOWN_SESSION.contains(&&*said))
}

/// What a body is.
enum Content {
    Json,
    Events,
}

/// What the answer to a request is, by its head.
fn content(head: &response::Parts) -> Result<Content, Fault> {
    let encoding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Fault::Broken("it is compressed, which was not asked for".to_owned()));
    }
    let kind =
        head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(Content::Json)
    } else if is_events(&head.headers) {
        Ok(Content::Events)
    } else {
        let status = head.status.as_u16();
        Err(Fault::Broken(format!("status {status} came with no JSON and no events")))
    }
}

/// Whether a body is a stream of events.
pub(super) fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/event-stream")
}

// === impl Says ===

impl Says {
    /// The same as a fault of its own.
    pub(super) fn into_fault(self) -> Fault {
        match self {
            Self::Reply(_) => Fault::Broken(self.in_words()),
            Self::Fault(fault) => fault,
        }
    }

    /// The same for a log.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Reply(reply) => {
                let code = reply.error_code();
                code.map_or_else(|| "an error".to_owned(), |code| format!("error {code}"))
            }
            Self::Fault(fault) => fault.to_string(),
        }
    }
}

// === impl Failed ===

impl Failed {
    /// The same, where what is said is an error of the server's: as the answer to this request.
    fn to(self, letter: &Letter) -> Self {
        let says = match (self.says, &letter.kind) {
            (Says::Reply(reply), LetterKind::Request(id)) => Says::Reply(Box::new(reply.to(id))),
            (says, _) => says,
        };
        Self { says, ..self }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { happened: Happened::Other, says: Says::Fault(fault), may_be_older: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_403_means_is_for_its_challenge_to_say() {
        for (text, expected) in [
            (r#"Bearer error="invalid_token""#, "rejected"),
            (r#"Bearer realm="a", error="invalid_token", error_description="x""#, "rejected"),
            ("Bearer error=invalid_token", "rejected"),
            (r#"Bearer error = "insufficient_scope", scope="a b""#, "lacks a+b"),
            (r#"Bearer error="insufficient_scope""#, "lacks "),
            (r#"Bearer error="invalid_token_x""#, "forbidden"),
            (r#"Bearer xerror="invalid_token""#, "forbidden"),
            (r#"Bearer error="invalid_request""#, "forbidden"),
            ("Bearer", "forbidden"),
            ("", "forbidden"),
        ] {
            let response = Response::builder().status(403).header("www-authenticate", text);
            let (head, ()) = response.body(()).unwrap().into_parts();
            let found = match shut_out(&head, None).map(|failed| failed.says) {
                Some(Says::Fault(Fault::Unauthorized { .. })) => "rejected".to_owned(),
                Some(Says::Fault(Fault::Forbidden { lacks: Some(lacks), .. })) => {
                    format!("lacks {}", lacks.join("+"))
                }
                Some(Says::Fault(Fault::Forbidden { lacks: None, .. })) => "forbidden".to_owned(),
                _ => "something else".to_owned(),
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
