//! Holds that this sidecar keeps itself: a local rule's step-up where no enforcer keeps it.
//!
//! In memory only: what is pending ends with the sidecar, and nothing that an agent could write is
//! ever read as an answer.
