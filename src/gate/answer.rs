//! (to be written)

/// The shape of a refusal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Denial {
    /// By the era of the message: see the design, §5.
    #[default]
    Auto,
    /// Always a JSON-RPC error.
    Error,
    /// Always a tool result with `isError`, where the call can take one.
    Result,
}
