//! Asks the desks of this user's sidecars what they hold, and brings them a person's answer.
//!
//! Sockets that nobody listens to any more are removed on the way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::place::{self, Reached};
use super::wire::{Answer, Decision, Holds, LONGEST_ANSWER, Refusal, Request};
use crate::profile;

/// The longest one desk is waited for: longer than it waits for others that say nothing.
const PATIENCE: Duration = Duration::from_secs(15);
/// A socket that has not taken its name after this time never will.
const STILLBORN: Duration = Duration::from_mins(1);

/// What all desks said.
#[derive(Debug, Default)]
pub struct Round {
    /// Those that said what they hold, by their sessions.
    pub heard: Vec<Holds>,
    /// Those that did not, with their sessions.
    pub unheard: Vec<(String, Unheard)>,
}

/// Why a desk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody listens.
    #[error("the sidecar is gone")]
    Gone,
    /// It takes too long.
    #[error("the sidecar did not answer within {} s", PATIENCE.as_secs())]
    Late,
    /// The socket is another user's.
    #[error("the socket is not one of this user's")]
    Foreign,
    /// It answers something else.
    #[error("the sidecar answered something that is no answer")]
    Unreadable(#[source] serde_json::Error),
    /// The connection failed.
    #[error("cannot talk to the sidecar")]
    Broken(#[source] io::Error),
}

/// Asks every desk of this profile what it holds.
///
/// Cancel safe: dropping the future drops the questions.
pub async fn list(home: &Path) -> Round {
    let mut asking = JoinSet::new();
    for (session, path) in sockets(home) {
        asking.spawn(async move {
            let said = ask(&path, &Request::List {}).await;
            (session, said)
        });
    }
    let mut round = Round::default();
    for (session, said) in asking.join_all().await {
        match said {
            Ok(Answer::Holds(holds)) if holds.session_id == session => round.heard.push(holds),
            Ok(Answer::Refused(refusal)) => round.unheard.push((session, refusal.into())),
            Ok(Answer::Holds(_) | Answer::Resolved) => {
                round.unheard.push((session, Refusal::Unreadable.into()));
            }
            Err(Unheard::Gone) => {}
            Err(why) => round.unheard.push((session, why)),
        }
    }
    round.heard.sort_by(|one, other| one.session_id.cmp(&other.session_id));
    round.unheard.sort_by(|(one, _), (other, _)| one.cmp(other));
    round
}

/// Answers one hold of one sidecar.
///
/// # Errors
///
/// [`Unheard`]: nothing was answered, unless the connection broke after the request.
pub async fn resolve(
    home: &Path,
    session: &str,
    id: &str,
    decision: Decision,
    note: Option<String>,
) -> Result<(), Unheard> {
    let path = place::directory(home).join(format!("{session}.sock"));
    match ask(&path, &Request::Resolve { id: id.to_owned(), decision, note }).await? {
        Answer::Resolved => Ok(()),
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Holds(_) => Err(Refusal::Unreadable.into()),
    }
}

/// The sockets there are, with their sessions. A profile that others can change is not relied on.
fn sockets(home: &Path) -> Vec<(String, PathBuf)> {
    let directory = place::directory(home);
    if profile::check_private(&directory).is_err() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
    let mut sockets = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let session = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sock") => sockets.extend(session.map(|session| (session, path))),
            Some("birth") if is_stillborn(&path) => drop(fs::remove_file(&path)),
            _ => {}
        }
    }
    sockets
}

fn is_stillborn(birth: &Path) -> bool {
    let made = fs::symlink_metadata(birth).and_then(|facts| facts.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > STILLBORN))
}

/// One line there, one back.
async fn ask(path: &Path, request: &Request) -> Result<Answer, Unheard> {
    let asked = async {
        let reached = Reached::new(path).map_err(Unheard::Broken)?;
        let mut stream = UnixStream::connect(reached.path()).await.map_err(|error| {
            let is_over =
                [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound].contains(&error.kind());
            if is_over {
                let _ = fs::remove_file(path); // another one may have been quicker
                Unheard::Gone
            } else {
                Unheard::Broken(error)
            }
        })?;
        let owner = stream.peer_cred().map_err(Unheard::Broken)?.uid();
        if owner != nix::unistd::geteuid().as_raw() && !nix::unistd::geteuid().is_root() {
            return Err(Unheard::Foreign);
        }
        let mut line = serde_json::to_vec(request).map_err(Unheard::Unreadable)?;
        line.push(b'\n');
        stream.write_all(&line).await.map_err(Unheard::Broken)?;
        let mut answer = Vec::new();
        let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await;
        read.map_err(Unheard::Broken)?;
        serde_json::from_slice(&answer).map_err(Unheard::Unreadable)
    };
    timeout(PATIENCE, asked).await.unwrap_or(Err(Unheard::Late))
}
