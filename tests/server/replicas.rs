//! Several enforcers on one store: what one changes, the others hear of.
//!
//! Where there is no Postgres to test with, those that need one pass, having done nothing:
//! `tests/postgres` runs them.

use std::time::Duration;

use sqlx::{Executor as _, Row as _};
use thoth::server::Tenant;
use thoth::server::bus::{Bus, Change, Listener, Topic};
use thoth::server::store::Store;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::database::Database;

/// So long nothing takes that works.
const LONG: Duration = Duration::from_secs(30);

/// One replica's bus, while it is carried.
struct Replica {
    bus: Bus,
    stop: CancellationToken,
    carrying: JoinHandle<()>,
    store: Store,
}

impl Replica {
    /// One that hears the others already, and a listener to it.
    async fn start(url: &str) -> (Self, Listener) {
        let store = Store::open(url).await.unwrap();
        let (bus, relay) = Bus::of(&store);
        let mut listener = bus.listen();
        let stop = CancellationToken::new();
        let carrying = tokio::spawn(relay.run(stop.clone()));
        assert_eq!(heard(&mut listener).await, None, "it hears from now on");
        (Self { bus, stop, carrying, store }, listener)
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(LONG, self.carrying).await.unwrap().unwrap();
        self.store.close().await;
    }
}

fn change(tenant: &str, topic: Topic) -> Change {
    Change { tenant: Tenant::parse(tenant).unwrap(), topic }
}

fn approval(id: &str) -> Change {
    change("acme", Topic::Approval(id.to_owned()))
}

/// What is heard next; `None` where some may have been missed.
async fn heard(listener: &mut Listener) -> Option<Change> {
    let heard = timeout(LONG, listener.recv()).await.unwrap();
    assert_ne!(heard, Err(RecvError::Closed), "the bus is there");
    heard.ok()
}

// === the bus ===

#[tokio::test]
async fn what_one_replica_tells_the_others_hear() {
    let Some(database) = Database::postgres().await else { return };
    let (one, mut at_one) = Replica::start(database.url()).await;
    let (two, mut at_two) = Replica::start(database.url()).await;
    let (three, mut at_three) = Replica::start(database.url()).await;
    let told = [
        approval("apr_1"),
        change("other-tenant", Topic::Endpoint("a laptop, unnamed".to_owned())),
        change("acme", Topic::Decisions),
        change("acme", Topic::Key("key_1".to_owned())),
    ];
    for change in &told {
        one.bus.tell(change.clone());
        for listener in [&mut at_one, &mut at_two, &mut at_three] {
            assert_eq!(heard(listener).await.as_ref(), Some(change));
        }
    }
    // Nobody heard anything twice, and all tell.
    two.bus.tell(approval("apr_2"));
    for listener in [&mut at_one, &mut at_two, &mut at_three] {
        assert_eq!(heard(listener).await, Some(approval("apr_2")));
    }
    for replica in [one, two, three] {
        replica.stop().await;
    }
}

#[tokio::test]
async fn replicas_of_another_store_in_the_same_postgres_hear_nothing() {
    let (Some(ours), Some(theirs)) = (Database::postgres().await, Database::postgres().await)
    else {
        return;
    };
    let (one, _listener) = Replica::start(ours.url()).await;
    let (two, mut at_two) = Replica::start(theirs.url()).await;
    let (three, _listener) = Replica::start(theirs.url()).await;
    one.bus.tell(approval("apr_ours"));
    one.stop().await; // it is told by now
    three.bus.tell(approval("apr_theirs"));
    assert_eq!(heard(&mut at_two).await, Some(approval("apr_theirs")));
    two.stop().await;
    three.stop().await;
}

#[tokio::test]
async fn who_may_have_missed_something_is_told_and_hears_on() {
    let Some(database) = Database::postgres().await else { return };
    let (one, mut at_one) = Replica::start(database.url()).await;
    let lost = format!("{}&application_name=lost_bus", database.url());
    let (two, mut at_two) = Replica::start(&lost).await;
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE application_name = 'lost_bus'";
    for round in 0..3 {
        let ended = database.connection().await.fetch_one(end).await.unwrap();
        assert!(ended.get::<i64, _>(0) > 0);
        assert_eq!(heard(&mut at_two).await, None);
        let (there, back) = (approval(&format!("apr_{round}")), approval(&format!("back_{round}")));
        one.bus.tell(there.clone());
        assert_eq!(heard(&mut at_two).await, Some(there.clone()));
        assert_eq!(heard(&mut at_one).await, Some(there));
        // Its own way to the others was cut too: it tells them this, or of a gap.
        two.bus.tell(back.clone());
        assert_eq!(heard(&mut at_two).await, Some(back.clone()));
        let said = heard(&mut at_one).await;
        assert!(said.is_none() || said == Some(back), "{said:?}");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn what_was_told_before_the_end_is_still_passed_on() {
    let Some(database) = Database::postgres().await else { return };
    let (one, _listener) = Replica::start(database.url()).await;
    let (two, mut at_two) = Replica::start(database.url()).await;
    let ids: Vec<_> = (0..200).map(|id| format!("apr_{id}")).collect();
    for id in &ids {
        one.bus.tell(approval(id));
    }
    one.stop().await;
    let mut missing: std::collections::HashSet<_> = ids.into_iter().collect();
    while !missing.is_empty() {
        match heard(&mut at_two).await {
            Some(Change { topic: Topic::Approval(id), .. }) => assert!(missing.remove(&id), "{id}"),
            other => panic!("{other:?}"),
        }
    }
    two.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_one_by_one_is_told_as_a_gap() {
    let Some(database) = Database::postgres().await else { return };
    let store = Store::open(database.url()).await.unwrap();
    let (bus, relay) = Bus::of(&store);
    for id in 0..5_000 {
        bus.tell(approval(&id.to_string())); // nobody carries them yet: most do not fit
    }
    let (two, mut at_two) = Replica::start(database.url()).await;
    let stop = CancellationToken::new();
    let carrying = tokio::spawn(relay.run(stop.clone()));
    while heard(&mut at_two).await.is_some() {}
    stop.cancel();
    timeout(LONG, carrying).await.unwrap().unwrap();
    two.stop().await;
    store.close().await;
}

#[tokio::test]
async fn with_sqlite_the_bus_ends_at_this_process() {
    let database = Database::sqlite();
    let store = Store::open(database.url()).await.unwrap();
    let (bus, relay) = Bus::of(&store);
    let stop = CancellationToken::new();
    let carrying = tokio::spawn(relay.run(stop.clone()));
    let (mut one, mut two) = (bus.listen(), bus.clone().listen());
    bus.tell(approval("apr_1"));
    for listener in [&mut one, &mut two] {
        assert_eq!(heard(listener).await, Some(approval("apr_1")));
    }
    stop.cancel();
    timeout(LONG, carrying).await.unwrap().unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_listener_that_is_far_behind_is_told_so() {
    let bus = Bus::default();
    let mut listener = bus.listen();
    for id in 0..2_000 {
        bus.tell(approval(&id.to_string()));
    }
    assert_eq!(heard(&mut listener).await, None);
    while heard(&mut listener).await != Some(approval("1999")) {}
}
