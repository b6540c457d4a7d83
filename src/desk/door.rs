//! The way in for `thoth approvals`: a Unix socket in the profile, for this user alone.
//!
//! # Invariants
//!
//! - A socket has its name only once it is listened to: so whoever finds one that refuses a connection
//!   may remove it.
//! - A few connections at once, each for one request, within [`PATIENCE`].

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::kin::{Kin, Peer};
use super::place::{self, Reached};
use super::wire::{Answer, LONGEST_REQUEST, Refusal, Request};
use crate::profile::Unsafe;

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are served at once; further ones wait.
const AT_ONCE: usize = 4;

/// The socket, and the task that serves it. Dropped, it is closed and its name removed.
#[derive(Debug)]
pub(super) struct Door {
    path: PathBuf,
    cancel: CancellationToken,
    serving: Option<AbortOnDropHandle<()>>,
}

/// Why there is no way in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Shut {
    /// The profile is not safe to use.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    /// The session's name could lead elsewhere.
    #[error("the session's id is no name for a socket")]
    Name,
    /// The socket cannot be made.
    #[error("cannot listen at {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl Door ===

impl Door {
    /// Makes the socket and serves it. Needs a tokio runtime.
    pub(super) fn open(shared: &Arc<Shared>, kin: Kin) -> Result<Self, Shut> {
        let (home, session) = (&shared.settings.home, &shared.settings.session_id);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if session.is_empty() || !session.bytes().all(is_name) {
            return Err(Shut::Name);
        }
        let directory = place::open(home)?;
        let path = directory.join(format!("{session}.sock"));
        let listener =
            listen(&path).map_err(|source| Shut::Socket { path: path.clone(), source })?;
        let cancel = CancellationToken::new();
        let serving = serve(listener, Arc::clone(shared), kin, cancel.clone());
        let serving = Some(AbortOnDropHandle::new(tokio::spawn(serving)));
        Ok(Self { path, cancel, serving })
    }

    /// Serves who is there, and nobody else; then the socket is gone.
    pub(super) async fn close(mut self) {
        let _ = fs::remove_file(&self.path);
        self.cancel.cancel();
        if let Some(serving) = self.serving.take() {
            let _ = serving.await; // a task that panicked has said so
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // What stays is swept up by whoever looks.
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds under another name and moves the socket into place when it listens.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let birth = path.with_extension("birth");
    let listening = Reached::new(&birth).and_then(|reached| {
        let listener = UnixListener::bind(reached.path())?;
        fs::set_permissions(&birth, fs::Permissions::from_mode(0o600))?;
        fs::rename(&birth, path)?;
        Ok(listener)
    });
    if listening.is_err() {
        let _ = fs::remove_file(&birth);
    }
    listening
}

async fn serve(listener: UnixListener, shared: Arc<Shared>, kin: Kin, cancel: CancellationToken) {
    let mut visits = JoinSet::new();
    while let Some(visitor) = cancel.run_until_cancelled(listener.accept()).await {
        while visits.try_join_next().is_some() {}
        if visits.len() >= AT_ONCE {
            visits.join_next().await; // within their patience
        }
        match visitor {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                visits.spawn(async move { timeout(PATIENCE, visit(stream, &shared, kin)).await });
            }
            Err(error) => {
                // Out of descriptors, most likely: a moment later there may be some.
                tracing::warn!(%error, "thoth approvals cannot be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    while visits.join_next().await.is_some() {}
}

/// One request and its answer. What breaks off is the visitor's own affair.
async fn visit(mut stream: UnixStream, shared: &Shared, kin: Kin) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let peer = Peer { uid: peer.uid(), pid: peer.pid() };
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    // Read before it is judged: closing with something unread would cut off the answer.
    let read = BufReader::new(reader.take(LONGEST_REQUEST)).read_line(&mut line).await;
    let answer = match (kin.admit(peer), read) {
        (Err(refusal), _) => {
            tracing::warn!(pid = peer.pid, uid = peer.uid, %refusal, "an answer was not heard");
            Answer::Refused(refusal)
        }
        (Ok(()), Err(_)) => Answer::Refused(Refusal::Unreadable),
        (Ok(()), Ok(_)) => match serde_json::from_str::<Request>(&line) {
            Ok(request) if line.ends_with('\n') => shared.serve(request, &name(peer.uid)),
            Ok(_) | Err(_) => Answer::Refused(Refusal::Unreadable),
        },
    };
    let mut text = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    text.push(b'\n');
    writer.write_all(&text).await?;
    writer.shutdown().await
}

/// The account's name, or its number.
fn name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}
