//! Several enforcers on one store: what one changes, the others hear of.
//!
//! Where there is no Postgres to test with, those that need one pass, having done nothing:
//! `tests/postgres` runs them.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use sqlx::{Executor as _, Row as _};
use tempfile::TempDir;
use thoth::server::Tenant;
use thoth::server::bus::{Bus, Change, Listener, Topic};
use thoth::server::store::Store;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::process::Process;

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

// === whole enforcers ===

/// So many enforcers that start at the same time on a Postgres that is empty.
async fn together<const COUNT: usize>(database: &Database) -> [(Process, TempDir); COUNT] {
    let mut starts = JoinSet::new();
    for _ in 0..COUNT {
        let url = database.url().to_owned();
        starts.spawn(async move {
            let home = tempfile::tempdir().unwrap();
            (Process::start(&url, &home).await, home)
        });
    }
    starts.join_all().await.try_into().unwrap_or_else(|_| unreachable!("as many as were started"))
}

#[tokio::test]
async fn a_hold_made_on_one_replica_is_resolved_on_another_and_answered_on_all() {
    let Some(database) = Database::postgres().await else { return };
    let [(one, _home_1), (two, _home_2), (three, _home_3)] = together(&database).await;
    for (number, (made, resolved, asked)) in
        [(&one, &two, &three), (&two, &three, &one), (&one, &two, &one)].into_iter().enumerate()
    {
        let hold = made.peer.hold("ada", number).await.unwrap().unwrap();
        let peer = asked.peer.clone();
        let token = hold.token.clone();
        let waiting = tokio::spawn(async move { peer.look(&token).await.unwrap() });
        assert!(resolved.peer.approve(&hold.approval).await.unwrap().is_success());
        assert_eq!(waiting.await.unwrap(), "200 ALLOW approved");
        // The same claim, asked again anywhere, has the same answer.
        assert_eq!(made.peer.look(&hold.token).await.unwrap(), "200 ALLOW approved");
    }
}

#[tokio::test]
async fn an_approval_that_two_replicas_claim_at_once_is_spent_once() {
    let Some(database) = Database::postgres().await else { return };
    let [(one, _home_1), (two, _home_2)] = together(&database).await;
    for number in 0..20 {
        let first = one.peer.hold("ada", number).await.unwrap().unwrap();
        let second = two.peer.hold("ada", number).await.unwrap().unwrap();
        assert_eq!(first.approval, second.approval, "the same call has one approval");
        assert!(one.peer.approve(&first.approval).await.unwrap().is_success());
        let (at_one, at_two) =
            tokio::join!(one.peer.look(&first.token), two.peer.look(&second.token));
        let mut said = [at_one.unwrap(), at_two.unwrap()];
        said.sort();
        assert_eq!(said, ["200 ALLOW approved", "200 BLOCK approval_used"]);
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_on_one_replica_is_refused_on_another() {
    let Some(database) = Database::postgres().await else { return };
    let [(one, _home_1), (two, _home_2)] = together(&database).await;
    let (id, key) = one.peer.new_key().await.unwrap().unwrap();
    assert!(one.peer.is_good(&key).await.unwrap());
    assert!(two.peer.is_good(&key).await.unwrap());
    let path = format!("/default/thoth/api-keys/{id}");
    let revoked = one.peer.send(Method::DELETE, &path, &one.peer.admin, &Value::Null).await;
    assert!(revoked.unwrap().0.is_success());
    assert!(!one.peer.is_good(&key).await.unwrap(), "where it was revoked, at once");
    let soon = async { while two.peer.is_good(&key).await.unwrap() {} };
    timeout(LONG, soon).await.unwrap();
}
