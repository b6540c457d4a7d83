//! A client on the pipes of one process: blocking, unbuffered, one thread.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::now;
use crate::request::{INITIALIZED, Request};
use crate::setup::Setup;
use crate::trouble::Trouble;
use crate::watch::{PATIENCE, Watch};

/// One process that is measured, and the pipes to it.
pub(crate) struct Peer<'a> {
    name: &'static str,
    child: Arc<Mutex<Child>>,
    /// `None` once the end of input was signalled.
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: PathBuf,
    watch: &'a Watch,
    next_id: u64,
    line: Vec<u8>,
    /// The last answer is in the first `answered` bytes; the rest is room that is kept, because
    /// making room would be measured.
    buffer: Vec<u8>,
    answered: usize,
}

/// How much is read at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;
/// How long a process may take to end after its input has ended.
const FAREWELL: Duration = Duration::from_secs(5);

impl<'a> Peer<'a> {
    /// Starts a process.
    pub(crate) fn spawn(
        name: &'static str,
        command: &mut Command,
        setup: &'a Setup,
    ) -> Result<Self, Trouble> {
        let errors = setup.directory().join(format!("{name}.stderr"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()
            .map_err(|source| Trouble::Start { who: name.to_owned(), source })?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for as pipes");
        };
        let child = Arc::new(Mutex::new(child));
        setup.watch().over(&child);
        Ok(Self {
            name,
            child,
            input: Some(input),
            output,
            errors,
            watch: setup.watch(),
            next_id: 1,
            line: Vec::new(),
            buffer: vec![0; CHUNK],
            answered: 0,
        })
    }

    /// Starts a process and does what a client does first: a handshake, and the list of tools.
    pub(crate) fn greeted(
        name: &'static str,
        command: &mut Command,
        setup: &'a Setup,
    ) -> Result<Self, Trouble> {
        let mut peer = Self::spawn(name, command, setup)?;
        peer.exchange(&Request::initialize())?;
        peer.send(INITIALIZED)?;
        peer.exchange(&Request::list_tools())?;
        Ok(peer)
    }

    /// Sends one request, waits for its answer, and says how long that took.
    pub(crate) fn exchange(&mut self, request: &Request) -> Result<Duration, Trouble> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        request.write(self.take_id(), &mut line);

        let start = now();
        self.send(&line)?;
        self.receive_line()?;
        let took = start.elapsed();

        self.line = line;
        self.watch.beat();
        let answer = &self.buffer[..self.answered];
        if request.is_answered_by(answer) {
            Ok(took)
        } else {
            let said = answer.get(..600).unwrap_or(answer);
            Err(Trouble::Refused {
                who: self.name.to_owned(),
                answer: String::from_utf8_lossy(said).into_owned(),
            })
        }
    }

    /// Calls, `window` of them in flight at any time, until `enough` says so of the number of calls
    /// made and the time spent. Returns how many calls were answered in a second.
    pub(crate) fn pipeline(
        &mut self,
        request: &Request,
        window: usize,
        enough: impl Fn(u32, Duration) -> bool,
    ) -> Result<f64, Trouble> {
        let mut chunk = vec![0; CHUNK];
        let mut lines = Vec::new();
        let (mut made, mut answered) = (0, 0);
        let mut room = window;

        let start = now();
        loop {
            lines.clear();
            while room > 0 && !enough(made, start.elapsed()) {
                request.write(self.take_id(), &mut lines);
                made += 1;
                room -= 1;
            }
            if answered == made {
                return Ok(f64::from(answered) / start.elapsed().as_secs_f64());
            }
            self.send(&lines)?;
            let read = self.receive(&mut chunk)?;
            for _ in memchr::memchr_iter(b'\n', &chunk[..read]) {
                answered += 1;
                room += 1;
            }
        }
    }

    /// Sends `calls` requests without reading, while another thread reads the answers: for a
    /// server that answers none of them before it has all.
    pub(crate) fn burst(&mut self, request: &Request, calls: usize) -> Result<(), Trouble> {
        let first_id = self.next_id;
        self.next_id += calls as u64;
        let mut input = self.input.take();
        let watch = self.watch;
        let sent = thread::scope(|scope| {
            let writer = scope.spawn(|| -> io::Result<()> {
                let mut line = Vec::new();
                for id in (first_id..).take(calls) {
                    line.clear();
                    request.write(id, &mut line);
                    if let Some(input) = &mut input {
                        input.write_all(&line)?;
                    }
                    watch.beat();
                }
                Ok(())
            });
            let mut chunk = vec![0; CHUNK];
            let mut unanswered = calls;
            while unanswered > 0 {
                let read = self.receive(&mut chunk)?;
                let answers = memchr::memchr_iter(b'\n', &chunk[..read]).count();
                unanswered = unanswered.saturating_sub(answers);
            }
            writer
                .join()
                .unwrap_or_else(|_| unreachable!("writing does not panic"))
                .map_err(|_| self.ended())
        });
        self.input = input;
        sent
    }

    /// The process's number, for `/proc`.
    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    /// Ends its input and waits until it has ended. What does not end is killed when dropped.
    pub(crate) fn stop(mut self) -> Result<(), Trouble> {
        self.input = None;
        let start = now();
        while start.elapsed() < FAREWELL {
            if self.child().try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(Trouble::Silent {
            who: format!("{} at the end of its input", self.name),
            seconds: FAREWELL.as_secs(),
            stderr: self.last_words(),
        })
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = self.input.as_mut().map(|input| input.write_all(bytes));
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(self.ended()),
        }
    }

    /// Reads on until the answer ends with a newline.
    fn receive_line(&mut self) -> Result<(), Trouble> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.answered = 0;
        while self.answered == 0 || buffer[self.answered - 1] != b'\n' {
            if buffer.len() - self.answered < CHUNK {
                buffer.resize(buffer.len() * 2, 0);
            }
            self.answered += self.receive(&mut buffer[self.answered..])?;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        match self.output.read(into) {
            Ok(0) | Err(_) => Err(self.ended()),
            Ok(read) => {
                self.watch.beat();
                Ok(read)
            }
        }
    }

    /// Why nothing can be sent to or read from it any more.
    fn ended(&self) -> Trouble {
        if self.watch.expired() {
            return Trouble::Silent {
                who: self.name.to_owned(),
                seconds: PATIENCE.as_secs(),
                stderr: self.last_words(),
            };
        }
        let mut child = self.child();
        let _ = child.kill(); // it may have closed its output and live on
        let status =
            child.wait().map_or_else(|_| "status unknown".to_owned(), |status| status.to_string());
        Trouble::Ended { who: self.name.to_owned(), status, stderr: self.last_words() }
    }

    /// The end of what it wrote to its standard error.
    fn last_words(&self) -> String {
        let text = fs::read(&self.errors).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
        match text.trim() {
            "" => String::new(),
            text => format!("; on stderr:\n{text}"),
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }
}
