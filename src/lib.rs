//! A governance sidecar for MCP: one process between an MCP client and an MCP server, in which
//! every `tools/call` is held until it is decided.
//!
//! ```text
//!  client ──stdin──▶ pipe ▶ framing ▶ message ▶ session ──Permit──▶ pipe ──▶ server
//!         ◀─stdout──  ▲                          │  ▲                 │
//!                     └───────── answers ────────┼──┼─────────────────┘
//!                                           Facts ▼  │ Verdict
//!                                local rules · remote enforcer (pinned TLS)
//! ```
//!
//! # Where to look
//!
//! [`gate`] decides and is pure; [`policy`] reads and evaluates rule files; [`enforcer`] asks a
//! remote decision source over [`tls`]; [`journal`] writes down what was decided, chained by
//! [`seal`]; [`upstream`] is a server behind a URL, as two pipes, and [`listener`] the mirror of it
//! for clients that accept only a URL; [`pump`] is the only loop; [`cli`] wires it all together. A
//! layer imports downwards only, and `tests/architecture.rs` fails with file and line when one does
//! not.
//!
//! # Invariants
//!
//! - No call reaches the server without a permit ([`gate::decide::Permit`]), none twice.
//! - Every refused call is answered exactly once.
//! - A line that cannot be read is never forwarded; what is judged is what is sent.
//! - A waiting call holds up nothing else; every queue is bounded and every wait ends.
//! - A record is in the journal before its call is forwarded.
//! - Nothing secret reaches a log, an error, argv or the child's environment.
//! - Standard output carries the protocol only.

pub mod approval;
pub mod child;
pub mod cli;
pub mod clients;
pub mod config;
pub mod credential;
pub mod desk;
pub mod emitter;
pub mod endpoint;
pub mod enforcer;
pub mod friction;
pub mod gate;
pub mod govapi;
pub mod health;
pub mod https;
pub mod journal;
pub mod listener;
pub mod machine;
pub mod mirror;
#[cfg(feature = "login")]
pub mod oauth;
pub mod pipe;
pub mod policy;
pub mod preflight;
pub mod profile;
pub mod pump;
pub mod rhythm;
pub mod seal;
pub mod secret;
#[cfg(feature = "enforcer")]
pub mod server;
pub mod sink;
pub mod spool;
pub mod stop;
pub mod tls;
pub mod trace;
pub mod upstream;
