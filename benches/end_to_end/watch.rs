//! Ends a run in which nothing happens any more.
//!
//! The client reads its pipes without a timeout, because a timed read costs a system call that
//! would be measured. So a thread beside it looks on, and kills what does not answer: then the
//! read ends.

use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest a process may stay silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_secs(1);

/// A thread that looks on. Dropping it ends the thread.
pub(crate) struct Watch {
    seen: Arc<Seen>,
    thread: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// What the thread looks at.
#[derive(Default)]
struct Seen {
    beats: AtomicU64,
    expired: AtomicBool,
    children: Mutex<Vec<Weak<Mutex<Child>>>>,
}

// === impl Watch ===

impl Watch {
    pub(crate) fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = mpsc::channel();
        let looking = Arc::clone(&seen);
        let thread = thread::spawn(move || looking.look_on(&stopped));
        Self { seen, thread: Some((stop, thread)) }
    }

    /// Makes this process one of those that are killed.
    pub(crate) fn over(&self, child: &Arc<Mutex<Child>>) {
        let mut children = lock(&self.seen.children);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(child));
    }

    /// Something was answered.
    pub(crate) fn beat(&self) {
        self.seen.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether processes were killed for their silence.
    pub(crate) fn expired(&self) -> bool {
        self.seen.expired.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

// === impl Seen ===

impl Seen {
    fn look_on(&self, stopped: &mpsc::Receiver<()>) {
        let mut last = 0;
        let mut silence = Duration::ZERO;
        while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(GLANCE) {
            let beats = self.beats.load(Ordering::Relaxed);
            silence = if beats == last { silence + GLANCE } else { Duration::ZERO };
            last = beats;
            if silence >= PATIENCE {
                self.expired.store(true, Ordering::Release);
                for child in lock(&self.children).iter().filter_map(Weak::upgrade) {
                    let _ = lock(&child).kill();
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
