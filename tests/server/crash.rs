//! What was acknowledged is there after a crash: of the program, at any moment, and of Postgres.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use hyper::Method;
use serde_json::Value;
use thoth::machine::clock;
use thoth::server::store::Store;
use thoth::server::{Tenant, keys};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::database::{Database, said};
use crate::process::{Gone, Hold, Peer, Process};
use crate::store::new_key;

/// Holds the address of a store to write to, in the current directory.
const STORE: &str = "store-to-write-to";
/// How many write at once.
const CLIENTS: usize = 8;

async fn issue(store: &Store) -> Option<String> {
    let tenant = Tenant::parse("acme").unwrap();
    keys::issue(store, &tenant, &new_key(), clock::now()).await.ok().map(|issued| issued.key)
}

async fn are_there(store: &Store, keys: &[String]) {
    assert!(!keys.is_empty());
    for key in keys {
        assert!(keys::find(store, key, clock::now()).await.unwrap().is_some(), "of {}", keys.len());
    }
}

// === the store alone ===

#[tokio::test]
#[ignore = "no test but a process: `whoever_is_killed_what_the_store_took_is_there` starts and kills it"]
async fn writes_until_it_is_killed() {
    let Ok(url) = fs::read_to_string(STORE) else {
        return; // run by a person: nobody would kill it
    };
    let store = Store::open(&url).await.unwrap();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            while let Some(key) = issue(&store).await {
                // Only now is it acknowledged.
                std::io::stdout().write_all(format!("\ntaken {key}\n").as_bytes()).unwrap();
            }
        });
    }
    clients.join_all().await;
}

#[tokio::test]
async fn whoever_is_killed_what_the_store_took_is_there() {
    for database in Database::all().await {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(STORE), database.url()).unwrap();
        let mut taken = Vec::new();
        for count in [1, 2, 7, 40, 150] {
            let mut writer = Command::new(std::env::current_exe().unwrap());
            writer.args([
                "--ignored",
                "--exact",
                "crash::writes_until_it_is_killed",
                "--nocapture",
            ]);
            let mut writer =
                writer.current_dir(home.path()).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
            let mut said = lines.map_while(Result::ok).filter_map(|line| {
                line.strip_prefix("taken ").filter(|key| key.len() == 75).map(ToOwned::to_owned)
            });
            taken.extend(said.by_ref().take(count));
            writer.kill().unwrap();
            taken.extend(said); // what it said before it died
            writer.wait().unwrap();
        }
        assert!(taken.len() >= 200);
        let store = Store::open(database.url()).await.unwrap();
        are_there(&store, &taken).await;
        store.close().await;
    }
}

#[tokio::test]
#[ignore = "ends the Postgres of all tests, and starts it again: `tests/postgres` runs it by itself"]
async fn what_was_taken_is_there_after_postgres_crashes() {
    let (Some(database), Some(crash)) =
        (Database::postgres().await, said("THOTH_TEST_POSTGRES_CRASH"))
    else {
        return;
    };
    let store = Store::open(database.url()).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..3 {
        let at_work = Arc::new(Barrier::new(CLIENTS + 1));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (store, at_work) = (store.clone(), Arc::clone(&at_work));
            clients.spawn(async move {
                let mut taken = Vec::new();
                // The connections that the crash before left behind may each fail once more.
                while taken.is_empty() {
                    taken.extend(issue(&store).await);
                }
                at_work.wait().await;
                while let Some(key) = issue(&store).await {
                    taken.push(key);
                }
                taken
            });
        }
        at_work.wait().await;
        let crashed = tokio::process::Command::new(&crash).status();
        let (crashed, keys) = tokio::join!(crashed, clients.join_all());
        assert!(crashed.unwrap().success());
        taken.extend(keys.into_iter().flatten());
    }
    store.close().await;
    let store = Store::open(database.url()).await.unwrap();
    are_there(&store, &taken).await;
    store.close().await;
}

// === the whole enforcer ===

/// What an enforcer has acknowledged.
#[derive(Default)]
struct Taken {
    holds: Vec<Hold>,
    approved: Vec<Hold>,
    keys: Vec<String>,
}

/// Makes holds, approves every other one, and makes keys, until the enforcer is gone.
async fn work(peer: Peer, client: String) -> Taken {
    let mut taken = Taken::default();
    for number in 0.. {
        let Ok(()) = step(&peer, &client, number, &mut taken).await else { break };
    }
    taken
}

async fn step(peer: &Peer, user: &str, number: usize, taken: &mut Taken) -> Result<(), Gone> {
    let hold = peer.hold(user, number).await?.ok_or(Gone)?;
    if number.is_multiple_of(2) {
        taken.holds.push(hold);
    } else if peer.approve(&hold.approval).await?.is_success() {
        taken.approved.push(hold);
    }
    if let Some((_, key)) = peer.new_key().await? {
        taken.keys.push(key);
    }
    Ok(())
}

#[tokio::test]
async fn an_enforcer_that_is_killed_loses_nothing_it_has_acknowledged() {
    for database in Database::all().await {
        let home = tempfile::tempdir().unwrap();
        let mut all = Taken::default();
        for (round, until) in [1, 10, 40].into_iter().enumerate() {
            let process = Process::start(database.url(), &home).await;
            let watched = process.peer.clone();
            let mut clients = JoinSet::new();
            for client in 0..CLIENTS {
                clients.spawn(work(process.peer.clone(), format!("user-{round}-{client}")));
            }
            // Killed as soon as so many keys were made, whatever is under way then.
            let before = made(&watched).await;
            while made(&watched).await < before + until {}
            process.kill().await;
            for taken in clients.join_all().await {
                all.holds.extend(taken.holds);
                all.approved.extend(taken.approved);
                all.keys.extend(taken.keys);
            }
        }
        assert!(all.holds.len() > 10 && all.approved.len() > 10 && all.keys.len() > 20);

        let process = Process::start(database.url(), &home).await;
        let peer = &process.peer;
        for key in &all.keys {
            assert!(peer.is_good(key).await.unwrap());
        }
        for hold in &all.approved {
            assert_eq!(peer.look(&hold.token).await.unwrap(), "200 ALLOW approved", "{hold:?}");
        }
        for hold in &all.holds {
            assert!(peer.approve(&hold.approval).await.unwrap().is_success(), "{hold:?}");
            assert_eq!(peer.look(&hold.token).await.unwrap(), "200 ALLOW approved", "{hold:?}");
        }
        process.kill().await;
    }
}

/// How many keys there are.
async fn made(peer: &Peer) -> usize {
    let path = "/default/thoth/api-keys/metrics";
    let (_, body) = peer.send(Method::GET, path, &peer.admin, &Value::Null).await.unwrap();
    usize::try_from(body["total"].as_u64().unwrap()).unwrap()
}
