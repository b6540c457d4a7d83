//! Two enforcers on one store.
