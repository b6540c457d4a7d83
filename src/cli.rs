//! (to be written)

#[cfg_attr(not(test), expect(dead_code, reason = "wired by the command line"))]
mod policy;
