//! Reports the tools of this sidecar's server to the GovAPI, whenever they have changed.
//!
//! Best effort: what cannot be reported is tried again, later and later, until there is a newer
//! list or the session ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::fleet::Lazy;
use crate::endpoint::inventory;
use crate::govapi::tools::{Pages, Tools};
use crate::govapi::wire::Inventory;
use crate::govapi::{GovApi, Trouble};
use crate::rhythm::Rhythm;

/// How long the next page of a list is waited for.
const NEXT_PAGE: Duration = Duration::from_secs(10);

/// A list that is to be reported, and when.
struct Pending {
    tools: Tools,
    due: Instant,
}

/// Takes in results of `tools/list` and reports them, until nobody sends any more.
///
/// Cancel safe: what was not reported will be in the next session.
pub(super) async fn report(
    mut lists: mpsc::Receiver<Vec<u8>>,
    govapi: Arc<Lazy>,
    home: PathBuf,
    agent_id: String,
) {
    let mut pages = Pages::default();
    let mut pending: Option<Pending> = None;
    let mut rhythm = Rhythm::default();
    loop {
        let wake = match &pending {
            Some(pending) => Some(pending.due),
            None => pages.is_begun().then(|| Instant::now() + NEXT_PAGE),
        };
        let received = match wake {
            Some(wake) => timeout_at(wake, lists.recv()).await,
            None => Ok(lists.recv().await),
        };
        match (received, pending.take()) {
            (Ok(None), _) => return,
            (Ok(Some(result)), before) => {
                // A long list takes milliseconds to read.
                let read = spawn_blocking(move || {
                    let tools = pages.add(&result);
                    (pages, tools)
                });
                let Ok((rest, tools)) = read.await else { return };
                pages = rest;
                let now = Instant::now();
                pending = tools.map(|tools| Pending { tools, due: now }).or(before);
            }
            (Err(_), None) => {
                pending = Some(Pending { tools: pages.take(), due: Instant::now() });
            }
            (Err(_), Some(Pending { tools, .. })) => {
                let Some(govapi) = govapi.get().await else { return };
                if let Err(trouble) = send(govapi, &home, &agent_id, &tools).await {
                    tracing::debug!(error = %trouble, "the list of tools is not reported yet");
                    let dice = Uuid::new_v4().as_bytes()[0];
                    let wait = rhythm.after_failure(trouble.retry_after, dice);
                    pending = Some(Pending { tools, due: Instant::now() + wait });
                }
            }
        }
    }
}

/// Sends a list in its parts, unless it was sent before.
async fn send(
    govapi: &GovApi,
    home: &std::path::Path,
    agent_id: &str,
    tools: &Tools,
) -> Result<(), Trouble> {
    let digest = tools.digest(&[govapi.url(), agent_id]);
    let (at, agent, known) = (home.to_owned(), agent_id.to_owned(), digest.clone());
    let is_reported = spawn_blocking(move || inventory::is_reported(&at, &agent, &known));
    if is_reported.await.unwrap_or(false) {
        return Ok(());
    }
    for tools in tools.parts() {
        govapi.report_tools(&Inventory { agent_id, source: "thoth", tools }).await?;
    }
    let (at, agent) = (home.to_owned(), agent_id.to_owned());
    let remembered = spawn_blocking(move || inventory::reported(&at, &agent, &digest)).await;
    if let Ok(Err(error)) = remembered {
        tracing::debug!(%error, "the list of tools will be reported again");
    }
    Ok(())
}
