//! The statements of events.
