//! A login in use.
