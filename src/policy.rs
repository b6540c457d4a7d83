//! The local rules: policy files, read once and strictly, and what they say about a call.
//!
//! ```text
//!  text ──▶ file ──▶ Policy ─┐
//!  text ──▶ file ──▶ Policy ─┴▶ PolicySet ──bind(Who)──▶ BoundPolicy ─┐
//!                                     scope, intent, lineage ▶ Scope ─┴▶ Local : Judge
//! ```
//!
//! Pure: no file, clock or environment is read here; texts and facts come in as arguments. The
//! format is described for its users in `docs/policy.md`.
//!
//! # Invariants
//!
//! - A policy is used as a whole or not at all; all problems of a file are reported at once.
//! - Judging a call always comes to a verdict, in bounded time; what cannot be evaluated counts
//!   against the call.
//! - The strictest matching rule wins, whatever the order of rules and policies.

pub mod case;
mod check;
pub mod condition;
pub mod explain;
mod fields;
mod file;
pub mod glob;
pub mod judge;
mod meter;
pub mod pack;
pub mod pointer;
pub mod problem;
pub mod proof;
pub mod rule;
mod scene;
pub mod scope;
mod value;

pub use judge::{BoundPolicy, PolicySet};
pub use pack::Pack;
pub use problem::{Problem, Problems};
pub use proof::{Proof, prove};
pub use rule::Policy;
pub use scope::{Local, Scope};

/// Whose calls are judged: the same for a whole session. What is not known is empty, and then
/// matched by the glob `*` but not by `?*`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Who {
    /// The agent.
    pub agent: String,
    /// The server that is called.
    pub server: String,
    /// The person.
    pub user: String,
    /// What the session is for.
    pub intent: String,
    /// `dev`, `staging` or `prod`.
    pub environment: String,
}
