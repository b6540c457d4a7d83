//! thoth's own log: on stderr, never on stdout, which is the protocol's.
//!
//! Lines go through a queue to a thread of their own, because many clients start thoth with a pipe
//! for stderr and then do not read it: a log must not stop a call. Where the queue is full, lines
//! are dropped, counted, and reported as soon as somebody reads again.
//!
//! # Invariants
//!
//! - Logging never waits.
//! - Other crates log warnings at most: what they write in detail may hold headers.
//! - No colours, no control sequences.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::settings::{Log, LogFormat, LogLevel};

/// How many lines wait at most.
const QUEUE: usize = 256;
/// How long the end of thoth waits for them at most.
const FLUSH: Duration = Duration::from_millis(200);

/// Starts logging. The first call in a process counts.
///
/// Keep what is returned until the end: dropping it waits for the lines that are still on their
/// way, for 200 ms at most.
pub fn init(log: Log) -> Flush {
    let (queue, flush) = Queue::start(io::stderr(), log.format);
    let lines = move || queue.clone();
    let layer = match log.format {
        LogFormat::Text => fmt::layer().with_writer(lines).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(lines).boxed(),
    };
    // A second call finds a log in place, and leaves it there.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(log.level))).try_init();
    flush
}

/// thoth at the given level, everybody else at warnings at most.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target("thoth", level).with_default(level.min(LevelFilter::WARN))
}

/// Waits, when dropped, for the lines that are still on their way.
#[derive(Debug)]
#[must_use = "dropping it ends nothing, but waits"]
pub struct Flush(SyncSender<Entry>);

/// The writing end of the queue.
#[derive(Clone, Debug)]
struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before this is written; say so.
    Flush(Sender<()>),
}

// === impl Queue ===

impl Queue {
    fn start(out: impl Write + Send + 'static, format: LogFormat) -> (Self, Flush) {
        let (sender, receiver) = sync_channel(QUEUE);
        let queue = Self { entries: sender.clone(), dropped: Arc::default() };
        let dropped = Arc::clone(&queue.dropped);
        // Not joined: it may stand in a write that never ends, and it owns nothing but stderr.
        std::thread::spawn(move || write_all(out, format, &receiver, &dropped));
        (queue, Flush(sender))
    }
}

impl Write for Queue {
    /// Takes a whole line, or drops it. Never fails, never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.entries.try_send(Entry::Line(line.to_owned())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Errors are dropped as well: there is no one left to tell.
fn write_all(
    mut out: impl Write,
    format: LogFormat,
    entries: &Receiver<Entry>,
    dropped: &AtomicU64,
) {
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let _ = out.write_all(&line);
                let count = dropped.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let _ = out.write_all(gap(count, format).as_bytes());
                }
            }
            Entry::Flush(done) => {
                let _ = out.flush();
                let _ = done.send(());
            }
        }
    }
}

/// The line that stands for those that were dropped.
fn gap(count: u64, format: LogFormat) -> String {
    let what = "log lines were dropped: nobody read them";
    match format {
        LogFormat::Text => format!("thoth: {count} {what}\n"),
        LogFormat::Json => {
            format!("{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{count} {what}\"}}}}\n")
        }
    }
}

// === impl Flush ===

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = channel();
        if self.0.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    /// A reader that reads only when it is told to.
    struct Stalled {
        arrived: Sender<Vec<u8>>,
        go_on: Receiver<()>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.arrived.send(bytes.to_owned());
            let _ = self.go_on.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_lines_and_no_time() {
        let (arrived, arrivals) = channel();
        let (go_on, wait) = channel();
        let (mut queue, flush) = Queue::start(Stalled { arrived, go_on: wait }, LogFormat::Text);
        queue.write_all(b"first").unwrap();
        assert_eq!(arrivals.recv().unwrap(), b"first");
        for _ in 0..QUEUE + 10 {
            queue.write_all(b"line").unwrap(); // would never return if it waited
        }
        drop(flush); // the queue is full: nothing to wait for
        drop(go_on);
        let told = arrivals
            .iter()
            .find(|bytes| bytes != b"line")
            .map(|bytes| String::from_utf8(bytes).unwrap());
        let gap = "thoth: 10 log lines were dropped: nobody read them\n";
        assert_eq!(told.as_deref(), Some(gap));
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_gap_in_a_json_log_is_json() {
        let gap: serde_json::Value = serde_json::from_str(&gap(3, LogFormat::Json)).unwrap();
        assert_eq!(gap["level"], "WARN");
    }

    #[test]
    fn what_was_logged_is_written_before_the_end() {
        let (arrived, arrivals) = channel();
        let (go_on, wait) = channel();
        drop(go_on);
        let (mut queue, flush) = Queue::start(Stalled { arrived, go_on: wait }, LogFormat::Text);
        queue.write_all(b"last words").unwrap();
        drop(flush);
        assert_eq!(arrivals.try_recv().unwrap(), b"last words");
    }

    #[test]
    fn other_crates_are_kept_short() {
        for (level, ours, theirs) in [
            (LogLevel::Off, None, None),
            (LogLevel::Error, Some(Level::ERROR), Some(Level::ERROR)),
            (LogLevel::Warn, Some(Level::WARN), Some(Level::WARN)),
            (LogLevel::Info, Some(Level::INFO), Some(Level::WARN)),
            (LogLevel::Debug, Some(Level::DEBUG), Some(Level::WARN)),
            (LogLevel::Trace, Some(Level::TRACE), Some(Level::WARN)),
        ] {
            let filter = filter(level);
            let most = |target| {
                [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
                    .into_iter()
                    .filter(|level| filter.would_enable(target, level))
                    .max()
            };
            assert_eq!(most("thoth::pump"), ours, "{level:?}");
            assert_eq!(most("h2::codec"), theirs, "{level:?}");
        }
    }
}
