//! Reports as text: Markdown, JSON, and one HTML page.
//!
//! Each escapes what is not its own at the one place where it writes it.

mod axis;
mod html;
mod json;
mod markdown;

pub use self::html::html;
pub use self::json::{SCHEMA, json};
pub use self::markdown::markdown;

#[cfg(test)]
mod tests;
