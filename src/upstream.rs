//! A server behind a URL, as two pipes: lines go in, and become requests of Streamable HTTP; what
//! comes back comes out as lines.
//!
//! What a line means for a policy is not known here: a call that arrives has its permit. What a
//! refusal, a lost session or a broken connection means for the line that met it is.
//!
//! # Invariants
//!
//! - One line in is one call for everybody above, however often it is sent: and it is sent again
//!   only where the server cannot have executed it.
//! - Every request that came in has one answer, unless the client cancelled it or the session ends.
//! - A credential goes to the scheme, host and port that were configured, and nowhere else; no
//!   redirection is followed.

mod answers;
pub mod authority;
mod body;
mod courier;
mod delivery;
mod exchange;
mod fault;
mod headers;
mod introduction;
pub mod ledger;
mod letter;
mod listen;
mod older;
mod open;
mod remote;
mod renewal;
mod reply;
mod retry;
mod session;
pub mod sse;

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::answers::answers;
use self::authority::Authority;
use self::body::Room;
use self::courier::{Lines, Round};
use self::ledger::Ledger;
use self::older::Older;
use self::remote::Remote;
use self::session::Session;
use crate::config::settings::{self, Tls};
use crate::https::{Proxy, UnknownProxy, Wire};
use crate::tls::client_config;

/// How many bytes wait between the pump and the courier, each way. Each pipe is used in one
/// direction only: dropped at one end, it ends at the other.
const PIPE: usize = 64 * 1024;

/// The longest making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// What the pump writes lines into.
pub type Input = DuplexStream;

/// What the pump reads lines from. Ends when the [`Courier`] has.
pub type Output = DuplexStream;

/// A server behind a URL. Nobody is connected to before the first line.
#[derive(Debug)]
pub struct Upstream {
    input: Input,
    output: Output,
    courier: Courier,
}

/// What carries lines to the server and back.
#[derive(Debug)]
pub struct Courier {
    settings: settings::Upstream,
    authority: Authority,
    wire: Wire,
    lines: DuplexStream,
    answers: DuplexStream,
    ledger: Ledger,
    limit: usize,
}

/// Why a server cannot be reached with these settings.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It is to be reached through a proxy of another kind.
    #[error("cannot reach the server through a proxy")]
    Proxy(#[source] UnknownProxy),
    /// The roots cannot be loaded.
    #[error("cannot set up TLS to the server")]
    Tls(#[source] crate::tls::TlsError),
}

// === impl Upstream ===

impl Upstream {
    /// Makes ready to reach a server. `limit` is the longest message that is taken, in bytes.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`].
    pub fn open(
        settings: settings::Upstream,
        tls: &Tls,
        limit: usize,
    ) -> Result<Self, UpstreamError> {
        let authority = Authority::new(&settings, tls);
        let is_plain = settings.url.scheme_str() == Some("http");
        let tls =
            if is_plain { None } else { Some(client_config(tls).map_err(UpstreamError::Tls)?) };
        let proxy =
            if settings.proxied { Proxy::from_environment(&settings.url) } else { Ok(None) };
        let proxy = proxy.map_err(UpstreamError::Proxy)?;
        let wire = Wire::new(tls, CONNECT, proxy);
        let (lines, input) = duplex(PIPE);
        let (output, answers) = duplex(PIPE);
        let ledger = Ledger::default();
        let courier = Courier { settings, authority, wire, lines, answers, ledger, limit };
        Ok(Self { input, output, courier })
    }

    /// What the server is shown: to report how that stands.
    pub fn authority(&self) -> Authority {
        self.courier.authority.clone()
    }

    /// How the calls of this session are carried.
    pub fn ledger(&self) -> Ledger {
        self.courier.ledger.clone()
    }

    /// Its two pipes, and what must run for anything to come out of them.
    pub fn into_parts(self) -> (Input, Output, Courier) {
        (self.input, self.output, self.courier)
    }
}

// === impl Courier ===

impl Courier {
    /// Carries lines until the input has ended and every answer is there; or, once `over` is
    /// cancelled, no longer than it takes to say goodbye (1 s). Then the output ends.
    ///
    /// Not cancel safe: dropped, the session with the server is left as it is.
    pub async fn run(self, over: CancellationToken) {
        let Self { settings, authority, wire, lines, answers: pipe, ledger, limit } = self;
        let (answers, outlet) = answers(pipe);
        let remote = Arc::new(Remote {
            wire,
            authority: authority.clone(),
            session: Session::new(),
            renewing: Mutex::new(()),
            answers,
            ledger,
            parameters: std::sync::Mutex::default(),
            older: Older::new(settings.transport),
            limit,
            silence: settings.timeout,
            auth_error_code: settings.auth_error_code,
            room: Room::new(),
            url: settings.url,
            hashing: RandomState::new(),
            own: AtomicU64::new(0),
        });
        Round::new(remote).run(Lines::new(lines), outlet, over).await;
        authority.settle().await;
    }
}
