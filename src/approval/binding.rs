//! What one approval is good for: one call, told by the SHA-256 of its canonical form.
//!
//! # Invariants
//!
//! - Two calls that some server could take for different ones have different hashes: number literals
//!   keep their spelling, strings their characters, arrays their order.
//! - The order of an object's members, blanks between tokens and the spelling of a string's
//!   characters change nothing: a model that makes the same call again may write it differently.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The call that a person is asked about. Whose it is (tenant, user, environment) is compared beside it.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The agent.
    pub agent: &'a str,
    /// The server that is called.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The text of the arguments that would be sent: one JSON object, strictly read before.
    pub arguments: &'a str,
    /// Which rules were in force: a changed policy asks anew.
    pub policy: &'a str,
}

/// The SHA-256 of a [`Binding`]. Shown in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallHash([u8; 32]);

/// The arguments are not one JSON object that every reader reads alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the call's arguments are not one unambiguous JSON object")]
pub struct NotCanonical;

impl Binding<'_> {
    /// The hash of the canonical call.
    ///
    /// # Errors
    ///
    /// [`NotCanonical`]
    pub fn hash(&self) -> Result<CallHash, NotCanonical> {
        let mut hash = Sha256::new();
        for part in [self.agent, self.server, self.tool, self.arguments, self.policy] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Ok(CallHash(hash.finalize().into()))
    }
}

impl fmt::Display for CallHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}
