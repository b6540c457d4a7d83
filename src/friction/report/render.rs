//! Reports as text.
//!
//! Each format escapes what is not its own at the one place where it writes it.

mod markdown;

pub use self::markdown::markdown;
