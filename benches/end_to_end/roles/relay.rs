//! The floor: copies bytes between a client and a server, and looks at nothing.
//!
//! There are two, because neither is always the faster one: two threads that block in `read` and
//! `write`, which win on large lines, and tokio's current-thread runtime on non-blocking pipes,
//! which wins on small ones. The floor of each row is the faster one of that run. `splice` is not
//! used: bytes that stay in the kernel cannot be judged.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use super::pipes;

/// What a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Relays to the command in `arguments` until the client or the server has ended.
pub(super) fn play(arguments: &[String]) -> io::Result<()> {
    let mut child = server(arguments)?.spawn()?;
    let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both were asked for as pipes");
    };
    let (mut input, mut output) = pipes()?;
    let answers = thread::spawn(move || copy(&mut from, &mut output));
    copy(&mut input, &mut to)?;
    drop(to);
    answers.join().unwrap_or_else(|_| unreachable!("copying does not panic"))?;
    child.wait().map(drop)
}

fn server(arguments: &[String]) -> io::Result<Command> {
    let [program, rest @ ..] = arguments else {
        return Err(io::Error::other("no server to relay to"));
    };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

/// As `std::io::copy`, but through a buffer of ours: between pipes that one would splice.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            read => to.write_all(&chunk[..read])?,
        }
    }
}

/// The same on tokio.
#[cfg(unix)]
pub(super) fn play_on_tokio(arguments: &[String]) -> io::Result<()> {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::unix::pipe::{Receiver, Sender};

    async fn copy(
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk).await? {
                0 => return Ok(()),
                read => to.write_all(&chunk[..read]).await?,
            }
        }
    }

    let mut child = server(arguments)?.spawn()?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both were asked for as pipes");
    };
    let (input, output) = pipes()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async move {
        let to = Sender::from_owned_fd(to.into())?;
        let from = Receiver::from_owned_fd(from.into())?;
        let input = Receiver::from_file(input)?;
        let output = Sender::from_file(output)?;
        let questions = tokio::spawn(copy(input, to));
        let answered = copy(from, output).await;
        questions.abort();
        answered
    })?;
    child.wait().map(drop)
}
