//! The server as all tasks of one courier know it: where it is, what is sent with each exchange,
//! and what is remembered between them.

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{self, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::answers::Answers;
use super::authority::{Authority, Presented};
use super::body::{Bounds, Room};
use super::exchange::Failed;
use super::fault::Fault;
use super::headers;
use super::ledger::Ledger;
use super::letter::Letter;
use super::older::Older;
use super::retry::Happened;
use super::session::{Seen, Session};
use crate::https::{Lost, Wire};
use crate::mirror::Parameters;

/// The longest page that is read of a status other than success, in bytes.
const ERROR_PAGE: usize = 64 * 1024;

/// How long such a page is waited for.
pub(super) const ERROR_PAGE_TIME: Duration = Duration::from_secs(10);

/// The server, and the session with it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) wire: Wire,
    pub(super) url: Uri,
    pub(super) authority: Authority,
    pub(super) session: Session,
    /// Held while a lost session is begun anew.
    pub(super) renewing: Mutex<()>,
    pub(super) answers: Answers,
    /// The same server, where it knows only HTTP+SSE.
    pub(super) older: Older,
    /// Which arguments are said in headers.
    pub(super) parameters: sync::Mutex<Parameters>,
    /// How calls were carried.
    pub(super) ledger: Ledger,
    /// The longest message, in bytes.
    pub(super) limit: usize,
    /// The longest silence of an answer.
    pub(super) silence: Duration,
    /// The code of an error that means what 401 does.
    pub(super) auth_error_code: Option<i64>,
    pub(super) room: Room,
    /// For digests that nobody can foresee.
    pub(super) hashing: RandomState,
    /// How many requests of thoth's own there have been.
    pub(super) own: AtomicU64,
}

impl Remote {
    /// The headers of a POST.
    pub(super) fn message_headers(
        &self,
        letter: &Letter,
        presented: &Presented,
        seen: &Seen,
    ) -> HeaderMap {
        let mut headers = presented.headers.clone();
        headers::accept("application/json, text/event-stream", &mut headers);
        headers::join(seen, &mut headers);
        headers::describe(letter, &self.parameters(letter), &mut headers);
        headers
    }

    /// The headers of a GET or a DELETE.
    #[expect(clippy::unused_self, reason = "reads as what it is: what this server is told")]
    pub(super) fn session_headers(&self, presented: &Presented, seen: &Seen) -> HeaderMap {
        let mut headers = presented.headers.clone();
        headers::accept("text/event-stream", &mut headers);
        headers::join(seen, &mut headers);
        headers
    }

    /// What is said in headers of a call's arguments.
    fn parameters(&self, letter: &Letter) -> Vec<(HeaderName, String)> {
        match (letter.tool(), letter.arguments()) {
            (Some(tool), Some(arguments)) if letter.is_modern() => {
                let parameters = self.parameters.lock().unwrap_or_else(PoisonError::into_inner);
                parameters.values(&tool, arguments)
            }
            _ => Vec::new(),
        }
    }

    /// Sends a request, and waits for the head of its answer, as long as a silence may last.
    pub(super) async fn send(
        &self,
        method: Method,
        to: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = headers;
        match timeout(self.silence, self.wire.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(lost)) => Err(lost.into()),
            Err(_) => Err(Fault::Timeout(self.silence.as_secs()).into()),
        }
    }

    /// Takes note of whether what was presented is good.
    pub(super) fn note(&self, status: StatusCode, presented: &Presented) {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.authority.accepted(presented.generation);
        }
    }

    /// How the body of an answer is read.
    pub(super) fn bounds(&self) -> Bounds {
        let (limit, silence) = (self.limit, Some(self.silence));
        Bounds { limit, silence, room: self.room.clone() }
    }

    /// How the body of a refusal is read.
    pub(super) fn error_bounds(&self) -> Bounds {
        Bounds { limit: ERROR_PAGE, silence: Some(ERROR_PAGE_TIME), room: self.room.clone() }
    }

    /// An id for a request of thoth's own: no client has it.
    pub(super) fn own_id(&self) -> String {
        format!("thoth-{}-{}", std::process::id(), self.own.fetch_add(1, Ordering::Relaxed))
    }
}

impl From<Lost> for Failed {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unconnected(why) => {
                Self { happened: Happened::Unsent, ..Fault::Unreachable(why).into() }
            }
            Lost::Distrusted { why, detail } => {
                Fault::NotTrusted(format!("{why} ({detail})")).into()
            }
            Lost::Broken(why) => Fault::Broken(why).into(),
        }
    }
}
