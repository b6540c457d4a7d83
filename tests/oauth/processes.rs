//! Many processes, one login.
