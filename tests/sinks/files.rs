//! Events in files.

use std::fs;
use std::slice;
use std::time::Duration;

use thoth::config::settings::SinkPlace;

use super::{LONG, events, ids, offer, sinks, soon, until};

fn written(path: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event_id"].as_str().unwrap().to_owned()
    };
    text.lines().map(id).collect()
}

#[tokio::test]
async fn every_event_is_a_line_in_order_and_the_file_is_this_users_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("events.jsonl");
    fs::write(&path, "").unwrap();
    let sinks = sinks(home.path(), &[SinkPlace::File(path.clone())]);
    let events = events(500);
    offer(&sinks, &events);
    sinks.close(soon(LONG)).await;
    assert_eq!(written(&path), ids(&events));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn who_waits_until_all_is_written_finds_it_in_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("events.jsonl");
    let dead = super::http(format!("http://{}", super::fake::collector::nobody()));
    let sinks = sinks(home.path(), &[dead, SinkPlace::File(path.clone())]);
    for (number, event) in events(300).iter().enumerate() {
        sinks.offer(slice::from_ref(event));
        if number % 100 == 99 {
            sinks.flushed(soon(LONG)).await;
            assert_eq!(written(&path).len(), number + 1);
        }
    }
    sinks.close(soon(Duration::from_millis(50))).await;
}

#[tokio::test]
async fn processes_share_a_file_without_mixing_lines() {
    let home = tempfile::tempdir().unwrap();
    let place = [SinkPlace::File(home.path().join("events.jsonl"))];
    let all: Vec<_> = (0..4).map(|_| sinks(home.path(), &place)).collect();
    let events = events(800);
    for (number, event) in events.iter().enumerate() {
        all[number % 4].offer(slice::from_ref(event));
    }
    for sinks in all {
        sinks.close(soon(LONG)).await;
    }
    let mut found = written(&home.path().join("events.jsonl"));
    found.sort();
    assert_eq!(found, ids(&events));
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_not_followed_and_what_is_lost_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let (path, victim) = (home.path().join("events.jsonl"), home.path().join("victim"));
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let sinks = sinks(home.path(), &[SinkPlace::File(path.clone())]);
    offer(&sinks, &events(3));
    until(&sinks, |all| all[0].dropped == 3).await;
    fs::remove_file(&path).unwrap();
    offer(&sinks, &events(2));
    sinks.close(soon(LONG)).await;
    assert_eq!(written(&path).len(), 2, "and it goes on where it can");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
}
