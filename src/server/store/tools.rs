//! The statements of the tool inventory.
