//! Listens: TLS, connections, and the bounds around every request.
//!
//! ```text
//!  accept ─▶ room (how many) ─▶ handshake ─▶ HTTP/2 or 1.1 ─▶ bounds ─▶ router
//! ```
//!
//! # Invariants
//!
//! - Every wait for a peer ends: handshakes, heads, bodies, answers and idle connections all have
//!   their time, and how many there are is bounded, also for one address.
//! - Once the server is to end, no connection is taken, polls of holds and streams end at once, and
//!   what is under way has [`Bounds::farewell`].

pub mod bounds;
mod connection;
mod room;
pub mod route;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::bounds::Bounds;
pub use self::room::Neighbour;

use self::connection::Server;
use self::room::Room;
use super::App;
use crate::tls::serve::Acceptor;

/// Where a request comes from: the other end of its connection. What headers say of others is not
/// believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub SocketAddr);

/// Serves until [`Parts::stop`](super::Parts::stop) is told, and then until what is under way has
/// ended, for [`Bounds::farewell`] at most.
///
/// Cancel safe: dropping the future closes every connection.
pub async fn serve(listener: TcpListener, acceptor: Acceptor, app: &App, bounds: Bounds) {
    let server = Server {
        acceptor,
        router: bounds::bounded(app.clone(), bounds),
        bounds,
        stop: app.stop.clone(),
    };
    let room = Room::new(bounds.connections, bounds.connections_of_one);
    let mut connections = JoinSet::new();
    while let Some(accepted) = app.stop.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                hesitate(&error).await;
                continue;
            }
        };
        let Some(place) = room.enter(peer.ip().into()) else {
            app.metrics.refused_connection();
            continue;
        };
        let (server, open) = (server.clone(), app.metrics.connection());
        connections.spawn(async move {
            server.serve(stream, peer).await;
            drop((place, open));
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(bounds.farewell, ended).await.is_err() {
        tracing::warn!("requests were under way for too long, and were cut off");
    }
    connections.shutdown().await;
}

/// A connection that its peer gave up already is no trouble. Anything else is the system's: out of
/// file descriptors, most likely, and asking again at once would not help.
async fn hesitate(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "no connection can be taken");
        sleep(Duration::from_millis(100)).await;
    }
}
