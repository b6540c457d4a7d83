//! Standard input and output where there is nothing better than tokio's own.
//!
//! Windows pipes made by a client are not opened for overlapped I/O, and that cannot be changed
//! afterwards: a thread that blocks is the only way to read them.

use std::io;

/// Standard input.
pub type Stdin = tokio::io::Stdin;

/// Standard output. Flush it before the process ends.
pub type Stdout = tokio::io::Stdout;

/// Opens standard input and output.
///
/// # Errors
///
/// None on this platform.
pub fn open() -> io::Result<(Stdin, Stdout)> {
    Ok((tokio::io::stdin(), tokio::io::stdout()))
}
