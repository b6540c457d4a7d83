//! Events taken in and passed on.
