//! Carries the bus between replicas, through Postgres' `LISTEN` and `NOTIFY`.
//!
//! Two connections of its own: one listens, one tells. Whatever is lost while one is away is made
//! good by telling of a gap once it is back: to the listeners here, or to the other replicas.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{CAPACITY, Change, Heard, Others, word};

/// Carries the bus to the other replicas and back, while [`Relay::run`] runs.
#[derive(Debug)]
pub struct Relay(Option<Carrier>);

#[derive(Debug)]
struct Carrier {
    pool: PgPool,
    /// This replica, among those that tell.
    origin: Uuid,
    here: broadcast::Sender<Heard>,
    told: mpsc::Receiver<Change>,
    others: Arc<Others>,
}

/// The channel of all replicas on one store, which is a schema of a database.
const CHANNEL: &str = "SELECT 'thoth_' || \
     left(encode(sha256(convert_to(current_schema(), 'UTF8')), 'hex'), 16)";
/// Tells several things on it.
const TELL: &str = "SELECT pg_notify('thoth_' || \
     left(encode(sha256(convert_to(current_schema(), 'UTF8')), 'hex'), 16), word) \
     FROM unnest($1::text[]) AS word";
/// How long anything may take that Postgres is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing is heard before the connection is tried: a firewall may have forgotten it.
const QUIET: Duration = Duration::from_secs(15);
/// How long to wait before another attempt: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Failed(#[from] sqlx::Error),
    #[error("the connection was lost")]
    Lost,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
}

// === impl Relay ===

impl Relay {
    /// There are no other replicas.
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    pub(super) fn through(
        options: PgConnectOptions,
        here: broadcast::Sender<Heard>,
        told: mpsc::Receiver<Change>,
        others: Arc<Others>,
    ) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(3) // two, and one that is still being given up
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self(Some(Carrier { pool, origin: Uuid::new_v4(), here, told, others }))
    }

    /// Carries until it is told to stop, through whatever outages. What has been told by then is
    /// still passed on, where that is quick. With a SQLite store it only waits.
    pub async fn run(self, stop: CancellationToken) {
        let Some(Carrier { pool, origin, here, told, others }) = self.0 else {
            return stop.cancelled().await;
        };
        let mut mouth = Mouth { pool: pool.clone(), origin, told, others };
        let ear = Ear { pool: pool.clone(), origin, here };
        tokio::join!(mouth.tell(&stop), stop.run_until_cancelled(ear.hear()));
        let _ = timeout(PAUSES.1, pool.close()).await;
    }
}

/// Tells the other replicas.
struct Mouth {
    pool: PgPool,
    origin: Uuid,
    told: mpsc::Receiver<Change>,
    others: Arc<Others>,
}

// === impl Mouth ===

impl Mouth {
    /// Tells what is told until it is to stop, and then what is left, where that is quick: who
    /// misses it looks at the store a little later.
    async fn tell(&mut self, stop: &CancellationToken) {
        let mut changes = Vec::new();
        // What was taken out of the queue is told to the end: to stop is to take no more.
        while let Some(1..) = stop.run_until_cancelled(self.take(&mut changes)).await {
            let mut pauses = pauses();
            while let Err(away) = self.say(&mut changes).await {
                tracing::warn!(error = %away, "the other replicas cannot be told what changes");
                let pause = sleep(pauses.next().unwrap_or(PAUSES.1));
                if stop.run_until_cancelled(pause).await.is_none() {
                    return;
                }
            }
        }
        self.told.close();
        while self.take(&mut changes).await > 0 && self.say(&mut changes).await.is_ok() {}
    }

    /// Takes what was told, as soon as there is something, or nothing can come any more. Cancel
    /// safe.
    async fn take(&mut self, changes: &mut Vec<Change>) -> usize {
        self.told.recv_many(changes, CAPACITY).await
    }

    /// Tells these changes, and of a gap where some were lost. Changes that cannot be told are lost.
    async fn say(&self, changes: &mut Vec<Change>) -> Result<(), Away> {
        let changes: HashSet<_> = changes.drain(..).collect();
        let mut heard: Vec<_> = changes.into_iter().map(Heard::Change).collect();
        if self.others.lost.swap(false, Ordering::AcqRel) {
            heard.push(Heard::Gap);
        }
        if heard.is_empty() {
            return Ok(());
        }
        let words: Vec<_> = heard.iter().map(|one| word::write(self.origin, one)).collect();
        let said = timeout(PATIENCE, sqlx::query(TELL).bind(words).execute(&self.pool)).await;
        let outcome = said.map_err(Away::from).and_then(|said| Ok(said?));
        if outcome.is_err() {
            self.others.lost.store(true, Ordering::Release);
        }
        outcome.map(drop)
    }
}

/// Hears the other replicas.
struct Ear {
    pool: PgPool,
    origin: Uuid,
    here: broadcast::Sender<Heard>,
}

// === impl Ear ===

impl Ear {
    /// Hears, for ever.
    async fn hear(&self) -> Infallible {
        let mut pauses = pauses();
        loop {
            let away = match timeout(PATIENCE, self.connect()).await {
                Ok(Ok(listener)) => {
                    pauses = self::pauses();
                    // What was told until now was not heard.
                    let _ = self.here.send(Heard::Gap);
                    self.listen(listener).await
                }
                Ok(Err(error)) => Away::from(error),
                Err(silent) => Away::from(silent),
            };
            tracing::warn!(error = %away, "the other replicas cannot be heard");
            sleep(pauses.next().unwrap_or(PAUSES.1)).await;
        }
    }

    async fn connect(&self) -> Result<PgListener, sqlx::Error> {
        let channel: String = sqlx::query_scalar(CHANNEL).fetch_one(&self.pool).await?;
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false); // said here, with a pause
        listener.listen(&channel).await?;
        Ok(listener)
    }

    /// Listens until the connection is lost.
    async fn listen(&self, mut listener: PgListener) -> Away {
        loop {
            match timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(told))) => {
                    if let Some(heard) = word::read(self.origin, told.payload()) {
                        let _ = self.here.send(heard);
                    }
                }
                Ok(Ok(None)) => return Away::Lost,
                Ok(Err(error)) => return error.into(),
                Err(_quiet) => match timeout(PATIENCE, listener.execute("SELECT 1")).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return error.into(),
                    Err(silent) => return silent.into(),
                },
            }
        }
    }
}

/// How long to wait before each further attempt.
fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(PAUSES.0), |pause| Some((*pause * 2).min(PAUSES.1)))
}
