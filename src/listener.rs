//! The loopback listener of `thoth serve`: for clients that accept only a URL.
//!
//! ```text
//!  accept ─▶ door ─▶ body ─▶ message ─▶ sessions ─▶ session ─lines─▶ gate ─▶ server
//!                                                  switch ◀─lines─ gate ◀─
//!  ◀─ JSON, or a stream of events ─────────────────┘
//! ```
//!
//! HTTP on one side, lines on the other: each session of a client is a governed session of its own,
//! with its own server, journal and decisions. What is decided about a line is not known here.
//!
//! # Invariants
//!
//! - It listens at the loopback address and at no other.
//! - Who is refused reaches nothing: no session is opened and no line written for it.
//! - No line is sent twice, and none is changed but for line ends between its parts.
//! - Everything is bounded: connections, heads, bodies, sessions, requests, what nobody reads; and
//!   every wait ends.
//! - It runs on one thread: all it shares is shared without locks.

mod body;
mod connection;
mod door;
mod headers;
mod members;
mod message;
mod reply;
mod route;
mod secret;
mod session;
mod sessions;
mod spoken;
mod switch;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use self::door::{NotAnOrigin, Origin};
pub use self::secret::{NotASecret, Secret};
pub use self::session::{Input, Output};

use self::connection::Service;
use self::door::Door;
use self::sessions::Sessions;

/// Holds governed sessions: all that the listener knows of what stands behind it.
pub trait Open: 'static {
    /// Holds one session between these two pipes until its server has ended; cancelled `stop` ends
    /// it, in bounded time. `output` is dropped at the end.
    ///
    /// # Errors
    ///
    /// Why there is no server, as a sentence for the client.
    fn hold(
        &self,
        input: Input,
        output: Output,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), String>>;
}

/// How much of everything there may be, and how long it may take.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections at one time. Default 512.
    pub connections: usize,
    /// Sessions at one time. Default 64.
    pub sessions: usize,
    /// Requests without an answer in one session. Default 256.
    pub requests: usize,
    /// The longest body, in bytes. Default 4 MiB.
    pub longest_body: usize,
    /// The longest line that comes from behind the gate, in bytes. Default 64 MiB.
    pub longest_line: usize,
    /// How long the head of a request may take, and how long a connection may rest between two
    /// requests. Default 30 s.
    pub head: Duration,
    /// How long a body may take. Default 20 s.
    pub body: Duration,
    /// How long a client may leave what was sent to it unread. Default 60 s.
    pub stalled: Duration,
    /// How long an answer may take to be sent as JSON; later it is a stream of events. Default
    /// 100 ms.
    pub prompt: Duration,
    /// How long a stream may be silent before a comment is sent. Default 15 s.
    pub keep_alive: Duration,
    /// How long a session may be unused. Default 30 min.
    pub idle: Duration,
    /// How long all sessions may take to end. Default 5 s.
    pub farewell: Duration,
}

/// Who may come in.
#[derive(Clone, Debug)]
pub struct Access {
    /// What a client must know.
    pub secret: Secret,
    /// The origins from which requests are taken; where there is none, requests that say where they
    /// come from are refused.
    pub origins: Vec<Origin>,
}

/// A listener that takes connections.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 512,
            sessions: 64,
            requests: 256,
            longest_body: 4 * 1024 * 1024,
            longest_line: 64 * 1024 * 1024,
            head: seconds(30),
            body: seconds(20),
            stalled: seconds(60),
            prompt: Duration::from_millis(100),
            keep_alive: seconds(15),
            idle: seconds(30 * 60),
            farewell: seconds(5),
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Listens at 127.0.0.1, and with `ipv6` at `[::1]` too; at a free port where `port` is 0.
    ///
    /// # Errors
    ///
    /// Where the port is in use, or the system has no such address.
    pub async fn bind(port: u16, ipv6: bool) -> io::Result<Self> {
        let socket = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let port = socket.local_addr()?.port();
        let mut sockets = vec![socket];
        if ipv6 {
            sockets.push(TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await?);
        }
        Ok(Self { sockets, port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until `stop` is cancelled, and then until every session has ended, for
    /// [`Bounds::farewell`] at most.
    ///
    /// Must run inside a `LocalSet`. Cancel safe: dropping the future ends every connection and
    /// every session where it stands.
    pub async fn serve<O: Open>(
        self,
        opener: O,
        access: Access,
        bounds: Bounds,
        stop: CancellationToken,
    ) {
        let door = Door::new(self.port, access.origins, access.secret);
        let farewell = bounds.farewell;
        let places = Arc::new(Semaphore::new(bounds.connections));
        let sessions = Rc::new(Sessions::new(Rc::new(opener), bounds.clone()));
        let service = Rc::new(Service { door, sessions: Rc::clone(&sessions), bounds });
        let ended = CancellationToken::new();
        let mut doors = JoinSet::new();
        for socket in self.sockets {
            let service = Rc::clone(&service);
            let places = Arc::clone(&places);
            doors.spawn_local(accept(socket, service, places, stop.clone(), ended.clone()));
        }
        stop.cancelled().await;
        if timeout(farewell, sessions.end()).await.is_err() {
            tracing::warn!("sessions took too long to end, and were cut off");
        }
        // What the sessions had to say last is on its way.
        ended.cancel();
        while doors.join_next().await.is_some() {}
    }
}

/// Takes connections until `stop`, and serves them until `ended`.
async fn accept<O: Open>(
    socket: TcpListener,
    service: Rc<Service<O>>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    ended: CancellationToken,
) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = stop.run_until_cancelled(socket.accept()).await {
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                hesitate(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("too many connections");
            continue;
        };
        let serving = Rc::clone(&service).serve(stream, ended.clone());
        connections.spawn_local(async move {
            serving.await;
            drop(place);
        });
    }
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// A connection that its peer gave up already is no trouble. Anything else is the system's: out of
/// file descriptors, most likely, and asking again at once would not help.
async fn hesitate(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "no connection can be taken");
        sleep(Duration::from_millis(100)).await;
    }
}
