//! Which servers are wrapped, with what, and which are not.
