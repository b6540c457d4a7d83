//! One HTTP peer of this machine: pooled connections whose peers are verified and pinned in the
//! handshake, one request there, one outcome back, in bounded time and memory.
//!
//! What a request says and what an answer means is for the modules that ask: the enforcer, the
//! GovAPI.
//!
//! # Invariants
//!
//! - Nothing is sent to a peer that was not verified and did not match a pin ([`crate::tls`]).
//!   Without TLS, only a loopback address is spoken to.
//! - A redirection is never followed; proxy variables are not honoured.
//! - Every exchange ends within its limit, its wait for a place included, and an answer takes at
//!   most [`Limits::answer`] bytes of memory.

mod address;
mod connector;
mod line;
mod once;

pub use self::address::{BadAddress, base, segment};
pub use self::connector::NotConnected;
pub use self::line::{Cut, Limits, Line, Outcome, Place, Reply, root};
pub use self::once::{NoAnswer, Once};
