//! Standard input and output as non-blocking pipes and sockets.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// Standard input.
///
/// Drop it together with [`Stdout`], and the flags of what both read and wrote are as they were.
#[derive(Debug)]
pub struct Stdin {
    source: Source,
    _flags: Arc<Flags>,
}

/// Standard output. Writes of several slices go out in one system call.
///
/// Flush it before the process ends; shutting it down flushes and closes nothing.
#[derive(Debug)]
pub struct Stdout {
    target: Target,
    _flags: Arc<Flags>,
}

#[derive(Debug)]
enum Source {
    Fifo(pipe::Receiver),
    Socket(UnixStream),
    Other(tokio::io::Stdin),
}

#[derive(Debug)]
enum Target {
    Fifo(pipe::Sender),
    Socket(UnixStream),
    Other(tokio::io::Stdout),
}

/// A descriptor of our own that does not block, or the news that there can be none.
enum Opened {
    Fifo(OwnedFd),
    Socket(OwnedFd),
    Other,
}

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

/// The descriptions that were made non-blocking, with the flags they had: set back on drop.
///
/// One value for both directions, because they may be one socket: set back when only one of them
/// is done, it would block the thread in the other.
#[derive(Debug, Default)]
struct Flags(Vec<(OwnedFd, OFlag)>);

/// Opens standard input and output. Call it once, inside a runtime with I/O enabled, before
/// anything else reads or writes them.
///
/// - An anonymous pipe on Linux is opened a second time through `/proc/self/fd`: the new
///   description is ours alone, so even a thoth that is killed leaves nobody's flags changed.
///   A *named* pipe is not: `poll` hides from a description opened late that the last writer left.
/// - Other pipes, and sockets, are made non-blocking where they are, and set back on drop. Only a
///   SIGKILL in between leaves the flag behind.
/// - Where standard error is that same pipe or socket, our child would inherit the flag and lose
///   what it writes while the pipe is full: tokio's own is used instead.
///
/// # Errors
///
/// Where a descriptor cannot be duplicated or registered, or is open in the wrong direction.
///
/// # Panics
///
/// Outside a tokio runtime with I/O enabled.
pub fn open() -> io::Result<(Stdin, Stdout)> {
    between(io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd())
}

fn between(
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
    errors: BorrowedFd<'_>,
) -> io::Result<(Stdin, Stdout)> {
    let mut flags = Flags::default();
    let source = match flags.open(input, errors, Direction::In)? {
        Opened::Fifo(fd) => Source::Fifo(pipe::Receiver::from_owned_fd(fd)?),
        Opened::Socket(fd) => Source::Socket(UnixStream::from_std(fd.into())?),
        Opened::Other => Source::Other(tokio::io::stdin()),
    };
    let target = match flags.open(output, errors, Direction::Out)? {
        Opened::Fifo(fd) => Target::Fifo(pipe::Sender::from_owned_fd(fd)?),
        Opened::Socket(fd) => Target::Socket(UnixStream::from_std(fd.into())?),
        Opened::Other => Target::Other(tokio::io::stdout()),
    };
    let flags = Arc::new(flags);
    Ok((Stdin { source, _flags: Arc::clone(&flags) }, Stdout { target, _flags: flags }))
}

// === impl Flags ===

impl Flags {
    fn open(
        &mut self,
        fd: BorrowedFd<'_>,
        errors: BorrowedFd<'_>,
        direction: Direction,
    ) -> io::Result<Opened> {
        let file = File::from(fd.try_clone_to_owned()?);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() {
            if let Some(own) = reopen(&file, direction) {
                return Ok(Opened::Fifo(own.into()));
            }
        } else if !kind.is_socket() {
            return Ok(Opened::Other);
        }

        let before = flags_of(&file)?;
        if !before.contains(OFlag::O_NONBLOCK) {
            if same_file(&file, &File::from(errors.try_clone_to_owned()?))? {
                return Ok(Opened::Other);
            }
            fcntl(&file, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK))?;
            self.0.push((file.try_clone()?.into(), before));
        }
        Ok(if kind.is_fifo() { Opened::Fifo(file.into()) } else { Opened::Socket(file.into()) })
    }
}

impl Drop for Flags {
    fn drop(&mut self) {
        for (fd, before) in &self.0 {
            // Fails for a descriptor that is not open only, and this one is.
            let _ = fcntl(fd, FcntlArg::F_SETFL(*before));
        }
    }
}

fn flags_of(fd: impl AsFd) -> io::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?))
}

fn same_file(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Opens an anonymous pipe again, as a description of our own. `None` for a named one, and where
/// `/proc` is not mounted or the pipe is another user's (`sudo -u`).
#[cfg(target_os = "linux")]
fn reopen(file: &File, direction: Direction) -> Option<File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;

    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = std::fs::read_link(&path).ok()?;
    if !name.as_os_str().as_bytes().starts_with(b"pipe:[") {
        return None;
    }
    File::options()
        .read(matches!(direction, Direction::In))
        .write(matches!(direction, Direction::Out))
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .ok()
}

#[cfg(not(target_os = "linux"))]
fn reopen(_: &File, _: Direction) -> Option<File> {
    None
}

// === impl Stdin ===

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().source {
            Source::Fifo(fifo) => Pin::new(fifo).poll_read(cx, buf),
            Source::Socket(socket) => Pin::new(socket).poll_read(cx, buf),
            Source::Other(other) => Pin::new(other).poll_read(cx, buf),
        }
    }
}

// === impl Stdout ===

impl Stdout {
    fn target(self: Pin<&mut Self>) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match &mut self.get_mut().target {
            Target::Fifo(fifo) => Pin::new(fifo),
            Target::Socket(socket) => Pin::new(socket),
            Target::Other(other) => Pin::new(other),
        }
    }
}

impl AsyncWrite for Stdout {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.target().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.target().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.target {
            Target::Fifo(fifo) => fifo.is_write_vectored(),
            Target::Socket(socket) => socket.is_write_vectored(),
            Target::Other(other) => other.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.target().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read, Write};
    use std::os::unix::net::UnixStream as Pair;

    use nix::sys::stat::Mode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn blocks(fd: impl AsFd) -> bool {
        !flags_of(fd).unwrap().contains(OFlag::O_NONBLOCK)
    }

    fn terminal_like() -> File {
        File::options().read(true).write(true).open("/dev/null").unwrap()
    }

    /// Reads `ping` from one end, writes `pong` in two slices to the other.
    async fn play((mut stdin, mut stdout): (Stdin, Stdout)) {
        let mut buf = [0; 64];
        let length = stdin.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..length], b"ping\n");
        let slices = [IoSlice::new(b"po"), IoSlice::new(b"ng\n")];
        assert!(stdout.is_write_vectored());
        assert_eq!(stdout.write_vectored(&slices).await.unwrap(), 5);
        stdout.shutdown().await.unwrap();
        assert_eq!(stdin.read(&mut buf).await.unwrap(), 0, "the writer left");
    }

    fn pong(mut from: impl Read) {
        let mut line = [0; 5];
        from.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"pong\n");
    }

    #[tokio::test]
    async fn pipes_are_read_and_written_without_a_thread_and_stay_as_they_were() {
        let (input, mut client) = io::pipe().unwrap();
        let (reader, output) = io::pipe().unwrap();
        let stdio = between(input.as_fd(), output.as_fd(), terminal_like().as_fd()).unwrap();
        assert!(matches!(stdio.0.source, Source::Fifo(_)), "{stdio:?}");
        assert!(matches!(stdio.1.target, Target::Fifo(_)), "{stdio:?}");
        if cfg!(target_os = "linux") {
            assert!(blocks(&input) && blocks(&output), "not even meanwhile");
        }

        client.write_all(b"ping\n").unwrap();
        drop(client);
        play(stdio).await;
        pong(reader);
        assert!(blocks(&input) && blocks(&output));
    }

    #[tokio::test]
    async fn a_named_pipe_whose_writer_left_before_we_came_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        let mut client = File::options().read(true).write(true).open(&path).unwrap();
        let input = File::open(&path).unwrap();
        client.write_all(b"ping\n").unwrap();
        drop(client);

        let (reader, output) = io::pipe().unwrap();
        let stdio = between(input.as_fd(), output.as_fd(), terminal_like().as_fd()).unwrap();
        assert!(matches!(stdio.0.source, Source::Fifo(_)), "{stdio:?}");
        assert!(!blocks(&input), "this one cannot be a description of our own");
        play(stdio).await;
        pong(reader);
        assert!(blocks(&input));
    }

    #[tokio::test]
    async fn sockets_are_read_and_written_without_a_thread_and_set_back() {
        let (input, mut client) = Pair::pair().unwrap();
        let (reader, output) = Pair::pair().unwrap();
        let stdio = between(input.as_fd(), output.as_fd(), terminal_like().as_fd()).unwrap();
        assert!(matches!(stdio.0.source, Source::Socket(_)), "{stdio:?}");
        assert!(matches!(stdio.1.target, Target::Socket(_)), "{stdio:?}");

        client.write_all(b"ping\n").unwrap();
        drop(client);
        play(stdio).await;
        pong(reader);
        assert!(blocks(&input) && blocks(&output));
    }

    #[tokio::test]
    async fn one_socket_for_both_directions_is_set_back_when_both_are_done() {
        let (both, mut client) = Pair::pair().unwrap();
        let (stdin, mut stdout) =
            between(both.as_fd(), both.as_fd(), terminal_like().as_fd()).unwrap();
        drop(stdin);
        assert!(!blocks(&both), "the other direction would block the thread");

        stdout.write_all(b"pong\n").await.unwrap();
        stdout.shutdown().await.unwrap();
        drop(stdout);
        assert!(blocks(&both));
        (&both).write_all(b"others may still write\n").unwrap();
        pong(&mut client);
    }

    #[tokio::test]
    async fn what_standard_error_shares_is_left_alone() {
        let (output, _client) = Pair::pair().unwrap();
        let errors = output.try_clone().unwrap();
        let (input, _writer) = io::pipe().unwrap();
        let stdio = between(input.as_fd(), output.as_fd(), errors.as_fd()).unwrap();
        assert!(matches!(stdio.0.source, Source::Fifo(_)), "{stdio:?}");
        assert!(matches!(stdio.1.target, Target::Other(_)), "{stdio:?}");
        assert!(blocks(&errors));
    }

    #[tokio::test]
    async fn files_and_devices_are_left_to_tokio() {
        let (null, file) = (terminal_like(), tempfile::tempfile().unwrap());
        let stdio = between(null.as_fd(), file.as_fd(), null.as_fd()).unwrap();
        assert!(matches!(stdio.0.source, Source::Other(_)), "{stdio:?}");
        assert!(matches!(stdio.1.target, Target::Other(_)), "{stdio:?}");
    }

    #[tokio::test]
    async fn a_reader_that_left_is_an_ordinary_end() {
        let writes_to_nobody = async |output: BorrowedFd<'_>| {
            let null = terminal_like();
            let (_, mut stdout) = between(null.as_fd(), output, null.as_fd()).unwrap();
            stdout.write_all(b"pong\n").await.unwrap_err()
        };
        let (reader, pipe): (PipeReader, _) = io::pipe().unwrap();
        drop(reader);
        assert!(super::super::is_closed(&writes_to_nobody(pipe.as_fd()).await));
        let (reader, socket) = Pair::pair().unwrap();
        drop(reader);
        assert!(super::super::is_closed(&writes_to_nobody(socket.as_fd()).await));
    }
}
