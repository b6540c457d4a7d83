//! Processes that are killed while they write.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use thoth::spool::{Drain, Limits, Losses, Spool, Writer};
use uuid::Uuid;

use super::event;
use super::fake::noon;

/// Says that the current directory is a home to write to.
const HERE: &str = "to-be-killed";

fn spool(home: &Path) -> Spool {
    let limits = Limits { segment_bytes: 2_000, ..Limits::default() };
    Spool::open(home, "s", "a place", limits).unwrap()
}

#[test]
#[ignore = "the test below runs it in a process of its own, and kills it"]
fn writes_until_it_is_killed() {
    if !Path::new(HERE).exists() {
        return; // run by a person: nobody would kill it
    }
    let mut writer = Writer::new(spool(Path::new(".")));
    loop {
        let id = Uuid::now_v7();
        writer.append(&[event(id)], noon()).unwrap();
        // Only now is it taken.
        std::io::stdout().write_all(format!("\ntaken {id}\n").as_bytes()).unwrap();
    }
}

#[test]
fn whoever_is_killed_what_was_taken_comes_out_once() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(HERE), "").unwrap();
    let mut taken = HashSet::new();
    for count in [1, 2, 7, 40, 100] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "deaths::writes_until_it_is_killed", "--nocapture"])
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ids = lines.map_while(Result::ok);
        let mut ids = ids.filter_map(|line| line.strip_prefix("taken ")?.parse::<Uuid>().ok());
        taken.extend(ids.by_ref().take(count));
        child.kill().unwrap();
        taken.extend(ids); // what it said before it died
        child.wait().unwrap();
    }
    let spool = spool(home.path());
    let mut drain = Drain::try_hold(spool.clone()).unwrap().unwrap();
    let mut given = Vec::new();
    loop {
        let window = drain.window(10, usize::MAX, noon()).unwrap();
        if window.is_empty() {
            break;
        }
        let ids: HashSet<_> = window.events().map(thoth::sink::Event::id).collect();
        given.extend(window.events().map(thoth::sink::Event::id));
        drain.settle(&window, &ids, 0).unwrap();
    }
    let count = given.len();
    let given: HashSet<_> = given.into_iter().collect();
    assert_eq!(given.len(), count, "nothing twice");
    assert!(given.is_superset(&taken), "{} of {}", given.len(), taken.len());
    assert!(given.len() <= taken.len() + 5, "at most one of each that it could not say any more");
    assert_eq!(spool.losses(), Losses::default());
    assert_eq!(spool.stock().segments, 0);
}
