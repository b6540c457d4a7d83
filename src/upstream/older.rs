//! A server that knows only HTTP+SSE (MCP 2024-11-05): one stream on which everything comes, and an
//! address to post to, which that stream says first.
//!
//! The session is bound to the stream: where that has ended, the session is gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::answers::Answers;
use super::authority::Presented;
use super::body::{Bounds, Stream};
use super::exchange::{Answered, Failed, Says, is_events, shut_out};
use super::fault::Fault;
use super::letter::{Letter, LetterKind};
use super::remote::Remote;
use super::reply::{self, Reply};
use super::retry::Happened;
use super::session::Seen;
use crate::config::settings::Transport;
use crate::gate::message::RequestId;

/// How long the first event, which says where to post to, is waited for.
const FIRST_EVENT: Duration = Duration::from_secs(10);

/// What is known of the server's age, and the stream.
#[derive(Debug)]
pub(super) struct Older {
    /// Whether it may turn out to know only HTTP+SSE.
    may_be: bool,
    is_known: AtomicBool,
    link: Mutex<Option<Link>>,
}

/// One stream, while it lasts.
#[derive(Clone, Debug)]
struct Link {
    /// Where to post to.
    endpoint: Uri,
    shared: Arc<Shared>,
    /// Reads the stream. Ends with the last clone.
    _reading: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Who waits for which answer; nobody once the stream has ended.
    waiting: Mutex<Waiting>,
    /// How many events have come: signs of life.
    events: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    has_ended: bool,
    by_id: BTreeMap<RequestId, oneshot::Sender<Reply>>,
}

// === impl Older ===

impl Older {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            may_be: transport == Transport::Auto,
            is_known: AtomicBool::new(transport == Transport::Sse),
            link: Mutex::default(),
        }
    }

    /// Whether the server is known to speak HTTP+SSE.
    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Whether it may be found out that it does.
    pub(super) fn may_be(&self) -> bool {
        self.may_be
    }

    /// The stream, where it has not ended.
    fn link(&self) -> Option<Link> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        link.filter(|link| !link.shared.waiting().has_ended)
    }

    /// Ends the stream, and so the session.
    pub(super) fn close(&self) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

// === impl Shared ===

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what comes, until the stream ends: answers to whoever waits for them, the rest to
    /// the client.
    async fn read(self: Arc<Self>, mut stream: Stream, answers: Answers) {
        loop {
            let event = match stream.next().await {
                Ok(Some(event)) => event,
                Err(Fault::TooLong(bytes)) => {
                    tracing::warn!(bytes, "dropped a message of the server: too long");
                    continue;
                }
                Ok(None) | Err(_) => break,
            };
            self.events.fetch_add(1, Ordering::Relaxed);
            for reply in reply::of_event(&event) {
                let id = reply.answer.as_ref().and_then(|answer| answer.id.as_ref());
                let waiting = id.and_then(|id| self.waiting().by_id.remove(id));
                match waiting {
                    // Who has stopped waiting wants no answer.
                    Some(waiting) => drop(waiting.send(reply)),
                    None => answers.say(reply.line).await,
                }
            }
        }
        let mut waiting = self.waiting();
        waiting.has_ended = true;
        waiting.by_id.clear();
    }
}

impl Remote {
    /// Opens the stream, and learns where to post to.
    ///
    /// # Errors
    ///
    /// Why there is none: the server may not know HTTP+SSE.
    pub(super) async fn connect_older(&self, presented: &Presented) -> Result<(), Failed> {
        let seen = Seen::default();
        let headers = self.session_headers(presented, &seen);
        let response = self.send(Method::GET, &self.url, headers, Bytes::new()).await?;
        self.note(response.status(), presented);
        if !response.status().is_success() {
            let (head, _) = response.into_parts();
            return Err(shut_out(&head, self.authority.login())
                .unwrap_or_else(|| Fault::Status(head.status).into()));
        }
        let broken = |why: &str| Failed::from(Fault::Broken(why.to_owned()));
        if !is_events(response.headers()) {
            return Err(broken("a GET gives no events"));
        }
        let bounds = Bounds { silence: None, ..self.bounds() };
        let mut stream = Stream::new(response.into_body(), bounds);
        let first = timeout(FIRST_EVENT, stream.next())
            .await
            .map_err(|_| Fault::Timeout(FIRST_EVENT.as_secs()))??
            .filter(|event| &*event.name == "endpoint")
            .ok_or_else(|| broken("the stream does not begin with where to post to"))?;
        let endpoint = str::from_utf8(&first.data).ok().and_then(|to| joined(&self.url, to));
        let endpoint =
            endpoint.ok_or_else(|| broken("it is to be posted to another host, or to nowhere"))?;
        let shared = Arc::new(Shared::default());
        let reading = tokio::spawn(Arc::clone(&shared).read(stream, self.answers.clone()));
        let link = Link { endpoint, shared, _reading: Arc::new(AbortOnDropHandle::new(reading)) };
        *self.older.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        self.older.is_known.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Posts one message, and waits for its answer on the stream. A stream that has ended is
    /// opened anew for `initialize` only; or where no session was begun.
    pub(super) async fn exchange_older(
        &self,
        letter: &Letter,
        presented: &Presented,
        seen: &Seen,
    ) -> Result<Answered, Failed> {
        let begins = &*letter.method == "initialize" || seen.epoch == 0;
        let link = match self.older.link() {
            Some(link) if &*letter.method != "initialize" || seen.epoch == 0 => link,
            _ if begins => {
                self.connect_older(presented).await?;
                self.older.link().ok_or_else(gone)?
            }
            _ => return Err(gone()),
        };
        let id = match &letter.kind {
            LetterKind::Request(id) => Some(id),
            LetterKind::Notification | LetterKind::Answer => None,
        };
        let waiting = match id {
            Some(id) => Some(link.shared.expect(id).ok_or_else(gone)?),
            None => None,
        };
        let headers: HeaderMap = self.message_headers(letter, presented, seen);
        let body = letter.body.clone();
        let response = self.send(Method::POST, &link.endpoint, headers, body).await?;
        self.note(response.status(), presented);
        if !response.status().is_success() {
            return Err(self.refused(response, letter, true).await);
        }
        let Some(mut waiting) = waiting else {
            return Ok(Answered { reply: None, rest: None, session_id: None });
        };
        let reply = loop {
            let before = link.shared.events.load(Ordering::Relaxed);
            match timeout(self.silence, &mut waiting.answer).await {
                Ok(Ok(reply)) => break reply,
                Ok(Err(_)) => {
                    return Err(Fault::Broken("the stream ended before it".to_owned()).into());
                }
                Err(_) if link.shared.events.load(Ordering::Relaxed) != before => {}
                Err(_) => return Err(Fault::Timeout(self.silence.as_secs()).into()),
            }
        };
        match self.in_band(&reply, letter) {
            Some(failed) => Err(failed),
            None => Ok(Answered { reply: Some(reply), rest: None, session_id: None }),
        }
    }
}

/// Someone who waits for an answer. Dropped, they no longer do.
struct Expecting {
    shared: Arc<Shared>,
    id: RequestId,
    answer: oneshot::Receiver<Reply>,
}

// === impl Expecting ===

impl Shared {
    /// Waits for the answer to this request from now on. `None` where the stream has ended.
    fn expect(self: &Arc<Self>, id: &RequestId) -> Option<Expecting> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.has_ended {
            return None;
        }
        waiting.by_id.insert(id.clone(), sender);
        drop(waiting);
        Some(Expecting { shared: Arc::clone(self), id: id.clone(), answer })
    }
}

impl Drop for Expecting {
    fn drop(&mut self) {
        self.answer.close(); // so that this entry is told from a newer one with its id
        let mut waiting = self.shared.waiting();
        if waiting.by_id.get(&self.id).is_some_and(oneshot::Sender::is_closed) {
            waiting.by_id.remove(&self.id);
        }
    }
}

fn gone() -> Failed {
    let fault = Fault::SessionLost("its stream has ended".to_owned());
    Failed { happened: Happened::SessionGone, says: Says::Fault(fault), may_be_older: false }
}

/// Where the server wants to be posted to, seen from its own address: at the same scheme, host and
/// port, or nowhere.
fn joined(base: &Uri, to: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let to = to.trim();
    if to.is_empty() || to.starts_with("//") {
        return None;
    }
    if to.contains("://") && !to.starts_with(['/', '?']) {
        let absolute: Uri = to.parse().ok()?;
        let port = |uri: &Uri| {
            uri.port_u16().or(match uri.scheme_str()? {
                "https" => Some(443),
                _ => Some(80),
            })
        };
        let is_same = absolute.scheme_str() == Some(scheme)
            && absolute.host().is_some_and(|host| host.eq_ignore_ascii_case(authority.host()))
            && port(&absolute) == port(base)
            && !absolute.authority()?.as_str().contains('@');
        return is_same.then_some(absolute);
    }
    let path = base.path();
    let path_and_query = if to.starts_with('/') {
        to.to_owned()
    } else if to.starts_with('?') {
        format!("{path}{to}")
    } else {
        let directory = path.rfind('/').map_or("", |at| &path[..at]);
        format!("{directory}/{to}")
    };
    Uri::builder()
        .scheme(scheme)
        .authority(authority.clone())
        .path_and_query(path_and_query)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::json::Kind;

    #[test]
    fn who_stops_waiting_is_forgotten_and_nobody_else() {
        let shared = Arc::new(Shared::default());
        let id = RequestId::read(Kind::Number, b"7").unwrap();
        let first = shared.expect(&id).unwrap();
        let second = shared.expect(&id).unwrap();
        drop(first);
        assert!(shared.waiting().by_id.contains_key(&id), "it came again");
        drop(second);
        assert!(shared.waiting().by_id.is_empty());
    }

    #[test]
    fn where_is_posted_to_is_at_the_same_origin() {
        let base: Uri = "https://mcp.example.com/v1/sse?key=1".parse().unwrap();
        for (to, expected) in [
            ("/messages?sessionId=7", Some("https://mcp.example.com/messages?sessionId=7")),
            ("messages/?s=7", Some("https://mcp.example.com/v1/messages/?s=7")),
            ("?s=7", Some("https://mcp.example.com/v1/sse?s=7")),
            (" /m\n", Some("https://mcp.example.com/m")),
            ("https://mcp.example.com/m", Some("https://mcp.example.com/m")),
            ("https://MCP.example.com:443/m", Some("https://mcp.example.com:443/m")),
            (
                "/m?to=https://other.example",
                Some("https://mcp.example.com/m?to=https://other.example"),
            ),
            ("http://mcp.example.com/m", None),
            ("https://mcp.example.com:8443/m", None),
            ("https://mcp.example.com@other.example/m", None),
            ("https://user@mcp.example.com/m", None),
            ("https://other.example/m", None),
            ("//other.example/m", None),
            ("", None),
            ("/a b", None),
        ] {
            let found = joined(&base, to).map(|uri| uri.to_string().to_lowercase());
            let expected = expected.map(str::to_lowercase);
            assert_eq!(found, expected, "{to:?}");
        }
    }
}
