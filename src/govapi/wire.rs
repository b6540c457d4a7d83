//! The GovAPI's messages. (to be written)
