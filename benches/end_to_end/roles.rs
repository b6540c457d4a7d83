//! What this executable is when it was started as part of a measurement.

mod echo;
mod enforcer;
mod relay;

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

/// Plays a role until its standard input ends.
pub(crate) fn play(role: &str, arguments: &[String]) -> ExitCode {
    let played = match role {
        "echo" => echo::play(arguments),
        "enforcer" => enforcer::play(arguments),
        "relay" => relay::play(arguments),
        #[cfg(unix)]
        "relay-tokio" => relay::play_on_tokio(arguments),
        unknown => Err(io::Error::other(format!("no role {unknown:?}"))),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number after a flag.
fn number(arguments: &[String], flag: &str) -> Option<usize> {
    let at = arguments.iter().position(|argument| argument == flag)?;
    arguments.get(at + 1)?.parse().ok()
}

/// Standard input and output as they are: std's own are buffered, and by lines.
fn pipes() -> io::Result<(File, File)> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
        Ok((own(io::stdin().as_fd())?, own(io::stdout().as_fd())?))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle;
        let own = |pipe: std::os::windows::io::BorrowedHandle<'_>| {
            pipe.try_clone_to_owned().map(File::from)
        };
        Ok((own(io::stdin().as_handle())?, own(io::stdout().as_handle())?))
    }
}
