//! A disk that is really full: a small file system of its own, in a mount namespace.

use std::fs;
use std::path::Path;
use std::process::Command;

use thoth::config::settings::{SinkPlace, Tls};
use thoth::sink::Event;
use thoth::spool::Limits;
use uuid::Uuid;

use super::fake::collector::{FakeCollector, nobody, taken};
use super::{LONG, event, http, offer, sinks_with, soon, until};

/// Says that the current directory is a small file system.
const SMALL: &str = "small";

#[tokio::test]
#[ignore = "no test but a process: `a_full_disk_costs_what_does_not_fit_is_counted_and_is_over_when_there_is_room` starts it"]
async fn writes_to_a_full_disk_and_goes_on_when_there_is_room() {
    if !Path::new(SMALL).exists() {
        return; // run by a person: the disk is big
    }
    let here = fs::canonicalize(".").unwrap();
    let (file, address) = (here.join("events.jsonl"), nobody());
    let places = [SinkPlace::File(file.clone()), http(format!("http://{address}"))];
    let sinks = sinks_with(&here, &places, &Tls::default(), Limits::default());
    let long = "x".repeat(4_000);
    let mut offered = 0;
    let full = |all: &[thoth::sink::Standing]| all.iter().all(|one| one.dropped > 0);
    while !full(&sinks.standings()) {
        let id = Uuid::from_u128(offered);
        let json = serde_json::json!({ "event_id": id.to_string(), "long": long });
        offer(&sinks, &[Event::new(id, json.to_string().into()).unwrap()]);
        offered += 1;
        until(&sinks, |all| all.iter().all(|one| u128::from(one.written + one.dropped) == offered))
            .await;
    }
    fs::remove_file("filler").unwrap();
    let before = sinks.standings();
    offer(&sinks, &[event(Uuid::from_u128(u128::MAX))]);
    until(&sinks, |all| (0..2).all(|each| all[each].written == before[each].written + 1)).await;

    let collector = FakeCollector::plain_at(address).await;
    collector.treats(taken());
    until(&sinks, |all| all[1].collector.as_ref().unwrap().delivered == all[1].written).await;
    let (written, in_spool) = (sinks.standings()[0].written, sinks.standings()[1].written);
    sinks.close(soon(LONG)).await;
    let text = fs::read_to_string(&file).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    assert_eq!(whole.count() as u64, written, "what counts as written is there, whole");
    assert_eq!(collector.received().len() as u64, in_spool);
}

/// As root, or where users may have namespaces of their own.
#[test]
#[ignore = "mounts a small disk, for which it needs root or user namespaces: `.ci/run` runs it"]
fn a_full_disk_costs_what_does_not_fit_is_counted_and_is_over_when_there_is_room() {
    let home = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m,mode=0700 tmpfs "$1" && cd "$1" && touch small &&
        head -c 262144 /dev/zero >filler && exec "$0" --ignored --exact "$2" --nocapture"#;
    let test = "disks::writes_to_a_full_disk_and_goes_on_when_there_is_room";
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let status = command
        .args(["--", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([home.path().as_os_str(), test.as_ref()])
        .status()
        .unwrap();
    assert!(status.success());
}
