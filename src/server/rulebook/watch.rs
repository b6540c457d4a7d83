//! Looks whether the files have changed.
//!
//! By their contents, each second: file systems that tell of changes do so differently on every
//! system and not at all over networks and in containers, and a few policies are read in no time.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Book;
use super::read::{Sources, digest, parse};
use crate::server::App;

/// How often the files are looked at.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen at one look: a digest of the texts, or of why there are none.
type Seen = [u8; 32];

/// Reads the policies anew whenever their files change, until the enforcer ends; looks every
/// `interval`, and at once when nudged. What cannot be used leaves the book before in force, and is
/// told once: in the log, by the metric, and by [`Rulebook::problem`](super::Rulebook::problem).
///
/// Cancel safe.
pub async fn watch(app: &App, sources: Sources, interval: Duration, nudge: &Notify) {
    let sources = Arc::new(sources);
    let mut seen = None;
    while app.stop.run_until_cancelled(timeout(interval, nudge.notified())).await.is_some() {
        let from = Arc::clone(&sources);
        // A look that panicked has found nothing; the next one is near.
        let Ok((now, found)) = spawn_blocking(move || look(&from, seen)).await else { continue };
        seen = Some(now);
        match found {
            None => {}
            Some(Ok(book)) if book.revision == app.rules.current().revision => {
                app.rules.tell(None);
            }
            Some(Ok(book)) => {
                tracing::info!(revision = book.revision, "other policies are in force");
                app.rules.replace(book);
                app.metrics.reloaded(true);
            }
            Some(Err(problem)) => {
                tracing::error!(
                    problem,
                    "the policies have changed and cannot be used; those before stay in force"
                );
                app.rules.tell(Some(problem.into()));
                app.metrics.reloaded(false);
            }
        }
    }
}

/// What is there now and, where it is not what was seen before, what it comes to.
fn look(sources: &Sources, seen: Option<Seen>) -> (Seen, Option<Result<Book, String>>) {
    let texts = sources.texts().map_err(|error| chain(&error));
    let now = match &texts {
        Ok(texts) => digest(texts),
        Err(problem) => Sha256::digest(problem).into(),
    };
    if seen == Some(now) {
        return (now, None);
    }
    let book = texts.and_then(|texts| parse(&texts).map_err(|error| chain(&error)));
    (now, Some(book))
}

/// An error with its cause.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
