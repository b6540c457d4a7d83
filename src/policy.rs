//! Local rules.

mod check;
pub mod condition;
pub mod glob;
mod meter;
pub mod problem;
mod scene;
mod value;

/// Who calls
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Who {
    /// a
    pub agent: String,
    /// s
    pub server: String,
    /// u
    pub user: String,
    /// i
    pub intent: String,
    /// e
    pub environment: String,
}
