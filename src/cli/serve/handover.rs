//! Tells whoever launched `thoth serve` where it listens, and the secret: once, as one line of JSON,
//! to a descriptor, to a file, or on standard output.
//!
//! # Invariants
//!
//! - The descriptor is closed before any server is started: none inherits it.
//! - The file is made anew and 0600: nobody else reads it, and none that somebody put there is
//!   written to.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::listener::Secret;
use crate::profile;

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) port: u16,
}

/// Whom it is told to.
#[derive(Debug)]
pub(super) enum Handover {
    /// A pipe or a file, opened by its number.
    File(File),
    /// A socket, which cannot be opened by its number but written to.
    #[cfg(unix)]
    Socket(i32),
    /// A file that is not there yet.
    NewFile(PathBuf),
    /// Standard output.
    Output,
}

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor of --ready-fd cannot be written to: is it open, and not thoth's own?")]
pub(super) struct Unopened(#[source] io::Error);

#[derive(Serialize)]
struct Told<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    port: u16,
    pid: u32,
}

// === impl Handover ===

impl Handover {
    /// Opens the descriptor, where one is named. To be called before anything else is opened that
    /// could be given its number.
    ///
    /// # Errors
    ///
    /// [`Unopened`].
    pub(super) fn new(fd: Option<i32>, file: Option<&Path>) -> Result<Self, Unopened> {
        match (fd, file) {
            #[cfg(unix)]
            (Some(fd), _) => Self::of_descriptor(fd).map_err(Unopened),
            (_, Some(path)) => Ok(Self::NewFile(path.to_owned())),
            (..) => Ok(Self::Output),
        }
    }

    #[cfg(unix)]
    fn of_descriptor(fd: i32) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;

        // Opened by its name, it is a descriptor of our own, which no child inherits.
        let path = format!("/dev/fd/{fd}");
        if std::fs::metadata(&path)?.file_type().is_socket() {
            return Ok(Self::Socket(fd));
        }
        let file = File::options().append(true).open(path)?;
        nix::unistd::close(fd)?;
        Ok(Self::File(file))
    }

    /// Tells it, once.
    ///
    /// # Errors
    ///
    /// Where it could not be.
    pub(super) fn tell(
        self,
        address: Address,
        secret: Option<&Secret>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let line = line(address, secret)?;
        match self {
            Self::File(mut file) => file.write_all(line.as_bytes()),
            #[cfg(unix)]
            Self::Socket(fd) => send(fd, line.as_bytes()),
            Self::NewFile(path) => {
                profile::new_file().write(true).open(path)?.write_all(line.as_bytes())
            }
            Self::Output => out.write_all(line.as_bytes()).and_then(|()| out.flush()),
        }
    }
}

fn line(Address { port }: Address, secret: Option<&Secret>) -> io::Result<String> {
    let secret = secret.map(Secret::text);
    let told = Told {
        url: format!("http://127.0.0.1:{port}/mcp"),
        path_url: secret.map(|secret| format!("http://127.0.0.1:{port}/{secret}/mcp")),
        secret,
        port,
        pid: std::process::id(),
    };
    Ok(serde_json::to_string(&told)? + "\n")
}

/// Node gives its children sockets for pipes.
#[cfg(unix)]
fn send(fd: i32, mut bytes: &[u8]) -> io::Result<()> {
    use nix::sys::socket::{MsgFlags, send};

    while !bytes.is_empty() {
        let sent = send(fd, bytes, MsgFlags::empty())?;
        bytes = &bytes[sent..];
    }
    nix::unistd::close(fd)?;
    Ok(())
}
