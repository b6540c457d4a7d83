//! Load: as fast as it is answered, or at a pace of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Trouble;
use crate::client::{Ask, Connection};
use crate::clock::now;
use crate::stats::Samples;

/// What an open loop has seen.
#[derive(Default)]
pub(crate) struct Paced {
    /// From when each request was due, or its connection was free for it, until it was answered.
    pub(crate) waits: Samples,
    /// How late requests left because this process had not woken up: not the enforcer's doing.
    pub(crate) lateness: Samples,
}

/// Asks on all connections, one request at a time on each, for as long. Gives the connections back,
/// and how many were answered in a second.
pub(crate) async fn flat_out(
    connections: Vec<Connection>,
    ask: &Arc<Ask>,
    how_long: Duration,
) -> Result<(Vec<Connection>, f64), Trouble> {
    let mut clients = JoinSet::new();
    let start = now();
    for mut connection in connections {
        let ask = Arc::clone(ask);
        clients.spawn(async move {
            let mut answered = 0_u32;
            while start.elapsed() < how_long {
                connection.send(&ask).await?;
                answered += 1;
            }
            Ok::<_, Trouble>((connection, answered))
        });
    }
    let (mut connections, mut all) = (Vec::new(), 0);
    for client in clients.join_all().await {
        let (connection, answered) = client?;
        connections.push(connection);
        all += answered;
    }
    Ok((connections, f64::from(all) / start.elapsed().as_secs_f64()))
}

/// Asks so often in a second, each connection in turn, whether or not the answers keep up: a
/// request that had to wait for the answer before it has waited since it was due.
pub(crate) async fn paced(
    connections: Vec<Connection>,
    ask: &Arc<Ask>,
    per_second: u32,
    how_long: Duration,
) -> Result<Paced, Trouble> {
    let count = u32::try_from(connections.len())?;
    let step = Duration::from_secs(1) / per_second;
    let start = Instant::now() + Duration::from_millis(50);
    let mut clients = JoinSet::new();
    for (index, mut connection) in (0..count).zip(connections) {
        let ask = Arc::clone(ask);
        clients.spawn(async move {
            let mut samples = Vec::new();
            let mut due = start + step * index;
            while due < start + how_long {
                let was_free = Instant::now() <= due;
                tokio::time::sleep_until(due).await;
                let left = Instant::now();
                connection.send(&ask).await?;
                let began = if was_free { left } else { due };
                samples.push((began.elapsed(), if was_free { left - due } else { Duration::ZERO }));
                due += step * count;
            }
            Ok::<_, Trouble>(samples)
        });
    }
    let mut paced = Paced::default();
    for client in clients.join_all().await {
        for (wait, late) in client? {
            paced.waits.push(wait);
            paced.lateness.push(late);
        }
    }
    Ok(paced)
}
