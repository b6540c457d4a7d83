//! HMAC-SHA-256 (RFC 2104): a hash that only the holder of a key can compute.
//!
//! Here so that guesses at short arguments cannot be tried by whoever holds nothing but a journal.
//! Twenty lines over `sha2`, held to the vectors of RFC 4231.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Digest;

/// SHA-256's block, in bytes.
const BLOCK: usize = 64;

/// A key, ready to use. Cloning it is cheap: the key is already hashed in. Does not print.
#[derive(Clone)]
pub struct Mac {
    inner: Sha256,
    outer: Sha256,
}

impl Mac {
    /// Takes a key of any length; 32 random bytes are what it is made for.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)),
            outer: Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c)),
        }
    }

    /// The same key, for messages that all begin with these bytes.
    #[must_use]
    pub fn with_prefix(mut self, bytes: &[u8]) -> Self {
        self.inner.update(bytes);
        self
    }

    /// The MAC of a message.
    pub fn of(&self, message: &[u8]) -> Digest {
        let inner = self.inner.clone().chain_update(message).finalize();
        Digest(self.outer.clone().chain_update(inner).finalize().into())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 1, 2, 3 and 6: a short key, a shorter one, a long message, a long key.
    #[test]
    fn the_vectors_of_rfc_4231() {
        let table: [(&[u8], &[u8], &str); 4] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, expected) in table {
            assert_eq!(Mac::new(key).of(message).to_string(), expected);
            let (front, rest) = message.split_at(message.len() / 2);
            let prefixed = Mac::new(key).with_prefix(front);
            assert_eq!(prefixed.of(rest).to_string(), expected);
            assert_eq!(format!("{prefixed:?}"), "Mac(…)");
        }
    }
}
