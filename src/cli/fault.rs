//! Why a subcommand could not do its work, and what to exit with.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// An error on its way to the person at the terminal.
#[derive(Debug)]
pub struct Fault {
    code: u8,
    error: Box<dyn Error>,
}

/// An error and its causes in one line: `what: why: why that`. A cause that only repeats what was
/// said is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut text = said.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !said.contains(&next) {
            text = format!("{text}: {next}");
        }
        said = next;
        cause = error.source();
    }
    text
}

// === impl Fault ===
impl Fault {
    /// An error that ends thoth with `code`.
    pub(super) fn new(code: u8, error: impl Into<Box<dyn Error>>) -> Self {
        Self { code, error: error.into() }
    }

    /// For `map_err`: any error, ending thoth with `code`.
    pub(super) fn of<E: Into<Box<dyn Error>>>(code: u8) -> impl FnOnce(E) -> Self {
        move |error| Self::new(code, error)
    }

    /// What to exit with.
    pub(super) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// Whether the reader of our output went away: for `thoth … | head`, that is success.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*self.error);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "thoth: {}", chain(&*self.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read /x")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_told_in_one_line() {
        let fault = Fault::new(2, Outer(io::Error::other("the disk is on fire")));
        assert_eq!(fault.to_string(), "thoth: cannot read /x: the disk is on fire\n");
        assert!(!fault.is_broken_pipe());
        assert!(Fault::new(2, Outer(io::ErrorKind::BrokenPipe.into())).is_broken_pipe());
    }
}
