//! Approvals: what a person is asked to agree to, and what has become of it.
//!
//! The same record wherever it is kept: by the reference enforcer in its store, or by one sidecar for
//! its own local rules. A record is bound to one call ([`binding`]) and goes through the states of
//! [`record`], whoever answers it and by whatever screen.
//!
//! Pure: times come in as arguments; nothing is stored or sent here.

pub mod binding;
pub mod record;

pub use binding::{Binding, CallHash, NotCanonical};
pub use record::{Answered, Approval, Assurance, Claim, Closed, State};
