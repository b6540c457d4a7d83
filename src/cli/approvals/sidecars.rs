//! What the sidecars of this account hold, and how they are answered.

use std::path::Path;

use super::waiting::Waiting;
use crate::desk::wire::Decision;
use crate::friction::scrub::Scrubber;

/// What waits at every sidecar, and what to say of those that did not tell.
#[cfg(unix)]
pub(super) async fn waiting(home: &Path, scrubber: &Scrubber) -> (Vec<Waiting>, Vec<String>) {
    use super::waiting::{Place, scrubbed};
    use crate::cli::fault::chain;
    use crate::desk::visit;

    let round = visit::list(home).await;
    let silent = round.unheard.iter();
    let silent =
        silent.map(|(session, why)| format!("the sidecar of session {session}: {}", chain(why)));
    let mut waiting = Vec::new();
    for sidecar in round.heard {
        for hold in sidecar.holds {
            waiting.push(Waiting {
                place: Place::Sidecar { session_id: sidecar.session_id.clone() },
                id: hold.id,
                agent_id: sidecar.agent_id.clone(),
                server: sidecar.server.clone(),
                tool_name: hold.tool_name,
                arguments: scrubbed(scrubber, &hold.arguments),
                user_id: sidecar.user_id.clone(),
                rule_ids: hold.rule_ids,
                reason: hold.reason,
                self_approval: hold.self_approval,
                created_at: Some(hold.created_at),
                expires_at: Some(hold.expires_at),
            });
        }
    }
    (waiting, silent.collect())
}

/// Answers one hold; why not, in one sentence.
#[cfg(unix)]
pub(super) async fn resolve(
    home: &Path,
    session: &str,
    id: &str,
    decision: Decision,
    note: Option<String>,
) -> Result<(), String> {
    use crate::cli::fault::chain;
    use crate::desk::visit;

    visit::resolve(home, session, id, decision, note).await.map_err(|why| chain(&why))
}

/// On Windows a sidecar has no socket: its holds are answered inside the client.
#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "as on Unix")]
pub(super) async fn waiting(_: &Path, _: &Scrubber) -> (Vec<Waiting>, Vec<String>) {
    let why =
        "sidecars cannot be asked on this system: what they hold is answered inside the client";
    (Vec::new(), vec![why.to_owned()])
}

#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "as on Unix")]
pub(super) async fn resolve(
    _: &Path,
    _: &str,
    _: &str,
    _: Decision,
    _: Option<String>,
) -> Result<(), String> {
    Err("sidecars cannot be asked on this system".to_owned())
}
