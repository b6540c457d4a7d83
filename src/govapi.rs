//! The GovAPI: registers this machine, checks in, reports tools, and takes directives back.
//! Nothing here ever touches a call. (to be written)

pub mod wire;
