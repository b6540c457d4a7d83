//! The policies in force, read from files and read anew when those change.
//!
//! # Invariants
//!
//! - A book is in force as a whole: every file of it was read, parsed and proven, or the book
//!   before stays, and [`Rulebook::problem`] says why.

mod read;
mod watch;

use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use crate::policy::PolicySet;

pub use self::read::{Sources, Unusable};
pub use self::watch::{INTERVAL, watch};

/// Policies that decide together, and their name as a whole.
#[derive(Clone, Debug)]
pub struct Book {
    /// The policies.
    pub set: PolicySet,
    /// SHA-256 over the hashes of all its files, hexadecimal: approvals are bound to it.
    pub revision: String,
}

/// The book in force. A broken file leaves the one before in force.
#[derive(Debug)]
pub struct Rulebook {
    current: RwLock<Arc<Book>>,
    problem: RwLock<Option<Arc<str>>>,
}

// === impl Book ===

impl Book {
    /// Names a set: the SHA-256 of the SHA-256 of each of its policies' files, in hexadecimal,
    /// each followed by a line end, in their order. Names of files do not count.
    pub fn new(set: PolicySet) -> Self {
        let mut all = Sha256::new();
        for policy in set.policies() {
            all.update(policy.reference().sha256.as_deref().unwrap_or_default());
            all.update(b"\n");
        }
        Self { set, revision: hex::encode(all.finalize()) }
    }
}

// === impl Rulebook ===

impl Rulebook {
    /// A rulebook that begins with this book.
    pub fn new(book: Book) -> Self {
        Self { current: RwLock::new(Arc::new(book)), problem: RwLock::default() }
    }

    /// The book in force.
    pub fn current(&self) -> Arc<Book> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another book in force.
    pub fn replace(&self, book: Book) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        self.tell(None);
    }

    /// Why the files, as they are now, are not in force; `None` where they are.
    pub fn problem(&self) -> Option<Arc<str>> {
        self.problem.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, problem: Option<Arc<str>>) {
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}
