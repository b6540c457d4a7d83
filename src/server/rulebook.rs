//! The policies in force, read from a directory and read anew when it changes.

use std::sync::{Arc, PoisonError, RwLock};

use crate::policy::PolicySet;

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
}

// === impl Rulebook ===

impl Rulebook {
    /// A rulebook that begins with this book.
    pub fn new(book: Book) -> Self {
        Self { current: RwLock::new(Arc::new(book)) }
    }

    /// The book in force.
    pub fn current(&self) -> Arc<Book> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another book in force.
    pub fn replace(&self, book: Book) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
    }
}
