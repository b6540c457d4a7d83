//! One HTTP peer of this machine: pooled connections whose peers are verified and pinned in the
//! handshake, one request there, one outcome back, in bounded time and memory ([`Line`]); or an
//! answer that is streamed ([`Wire`]).
//!
//! What a request says and what an answer means is for the modules that ask: the enforcer, the
//! GovAPI, the courier.
//!
//! # Invariants
//!
//! - Nothing is sent to a peer that was not verified and did not match a pin ([`crate::tls`]).
//!   Without TLS, only a loopback address is spoken to.
//! - A redirection is never followed; proxy variables are not honoured, but where a [`Wire`] is
//!   given the [`Proxy`] they name.
//! - Every exchange of a [`Line`] ends within its limit, its wait for a place included, and its
//!   answer takes at most [`Limits::answer`] bytes of memory.

mod address;
mod challenge;
mod connector;
mod line;
mod stream;

pub use self::address::{BadAddress, base, segment};
pub use self::challenge::{Challenge, is_scope, scopes};
pub use self::connector::NotConnected;
pub use self::line::{Cut, Limits, Line, Outcome, Place, Reply, root};
pub use self::stream::{Lost, Proxy, UnknownProxy, Wire};
