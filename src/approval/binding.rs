//! What one approval is good for: one call, told by the SHA-256 of its canonical form.
//!
//! The form is a sequence of bytes that goes straight into the hash. A *text* is its length in bytes
//! (8 bytes, big-endian) and its UTF-8. The call is the label `thoth-call-v1`, the agent, the server,
//! the tool and the policy as texts, and the arguments as a value:
//!
//! | value | bytes |
//! |---|---|
//! | string | `"`, its characters as a text |
//! | number, `true`, `false`, `null` | `#`, its literal as a text, as it was spelled |
//! | array | `[`, its elements in their order, `]` |
//! | object | `{`, how many members (8 bytes), and of each, by the bytes of its name: the name as a text, the SHA-256 of its value's bytes |
//!
//! # Invariants
//!
//! - Two calls that some server could take for different ones have different hashes: number literals
//!   keep their spelling, strings their characters, arrays their order.
//! - The order of an object's members, blanks between tokens and the spelling of a string's
//!   characters change nothing: a model that makes the same call again may write it differently.
//! - Time is linear in the text, but for the members of one object: n log n. Memory is one entry for
//!   each member of the objects that are open, and the depth is that of
//!   [`MAX_DEPTH`].

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::gate::json::{Fault, Kind, MAX_DEPTH, Reader, Strict, unescape};

/// What a hash of another form would not begin with.
const LABEL: &[u8] = b"thoth-call-v1";

/// The call that a person is asked about. Whose it is (tenant, user, environment) is compared beside it.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The agent.
    pub agent: &'a str,
    /// The server that is called.
    pub server: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The text of the arguments that would be sent: one JSON object.
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
pub struct NotCanonical(#[from] Fault);

/// A walk over the arguments, once.
struct Walk<'a> {
    text: &'a [u8],
}

// === impl Binding ===

impl Binding<'_> {
    /// The hash of the canonical call.
    ///
    /// # Errors
    ///
    /// [`NotCanonical`] for what is no object, names a member twice, or is not JSON that every reader
    /// reads alike.
    pub fn hash(&self) -> Result<CallHash, NotCanonical> {
        let mut hash = Sha256::new_with_prefix(LABEL);
        for part in [self.agent, self.server, self.tool, self.policy] {
            text(&mut hash, part.as_bytes());
        }
        let mut reader = Reader::new(self.arguments.as_bytes());
        let walk = Walk { text: self.arguments.as_bytes() };
        if walk.opening(&reader) != Some(b'{') {
            return Err(NotCanonical(Fault::Syntax));
        }
        walk.value(&mut reader, &mut hash, 0)?;
        reader.end()?;
        Ok(CallHash(hash.finalize().into()))
    }
}

// === impl Walk ===

impl Walk<'_> {
    /// Puts the value at the cursor into the hash. `depth` containers are open around it.
    fn value(
        &self,
        reader: &mut Reader<'_, Strict>,
        hash: &mut Sha256,
        depth: usize,
    ) -> Result<(), Fault> {
        let opening = self.opening(reader);
        if matches!(opening, Some(b'{' | b'[')) && depth >= MAX_DEPTH {
            return Err(Fault::Depth);
        }
        match opening {
            Some(b'{') => self.object(reader, hash, depth),
            Some(b'[') => {
                hash.update(b"[");
                reader.array(|reader| self.value(reader, hash, depth + 1))?;
                hash.update(b"]");
                Ok(())
            }
            _ => {
                let span = reader.value(depth)?;
                let literal = &self.text[span.range];
                if span.kind == Kind::Text {
                    hash.update(b"\"");
                    text(hash, unescape(literal).as_bytes());
                } else {
                    hash.update(b"#");
                    text(hash, literal);
                }
                Ok(())
            }
        }
    }

    fn object(
        &self,
        reader: &mut Reader<'_, Strict>,
        hash: &mut Sha256,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut members: Vec<(Box<str>, [u8; 32])> = Vec::new();
        reader.object(|reader, name| {
            let mut value = Sha256::new();
            self.value(reader, &mut value, depth + 1)?;
            members.push((name.into(), value.finalize().into()));
            Ok(())
        })?;
        // No two are alike: the reader refuses that.
        members.sort_unstable();
        hash.update(b"{");
        hash.update((members.len() as u64).to_be_bytes());
        for (name, value) in members {
            text(hash, name.as_bytes());
            hash.update(value);
        }
        Ok(())
    }

    /// The byte that the next value begins with.
    fn opening(&self, reader: &Reader<'_, Strict>) -> Option<u8> {
        let rest = &self.text[reader.position()..];
        rest.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n'))
    }
}

fn text(hash: &mut Sha256, text: &[u8]) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

// === impl CallHash ===

impl fmt::Display for CallHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests;
