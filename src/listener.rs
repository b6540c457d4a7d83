//! The loopback listener of `thoth serve`: for clients that accept only a URL.
