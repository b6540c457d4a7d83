//! Processes that are killed while they write or send, and one that nobody listens to.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use thoth::config::settings::SinkPlace;
use thoth::spool::{Drain, Limits, Losses, Spool, Writer};
use uuid::Uuid;

use super::fake::collector::{FakeCollector, taken};
use super::fake::{Script, noon};
use super::{LONG, event, events, http, offer, sinks, soon, until};

/// Says that the current directory is a home to write to.
const HERE: &str = "to-be-killed";
/// Holds the address of a collector to send to, in the current directory as a home.
const COLLECTOR: &str = "collector";
/// Says that standard error is read by the test below, and the current directory is a home.
const HEARD: &str = "heard";
/// Says that standard error is read by nobody, and the current directory is a home.
const UNHEARD: &str = "unheard";

/// Runs one of the tests below in a process of its own.
fn run(test: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test, "--nocapture"]).current_dir(home);
    command.stdout(Stdio::piped());
    command
}

/// The ids that a process says were taken, as it says them.
fn told(child: &mut Child) -> impl Iterator<Item = Uuid> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("taken ")?.parse().ok())
}

fn tell(id: Uuid) {
    std::io::stdout().write_all(format!("\ntaken {id}\n").as_bytes()).unwrap();
}

fn spool(home: &Path) -> Spool {
    let limits = Limits { segment_bytes: 2_000, ..Limits::default() };
    Spool::open(home, "s", "a place", limits).unwrap()
}

#[test]
#[ignore = "no test but a process: `whoever_is_killed_what_was_taken_comes_out_once` starts and kills it"]
fn writes_until_it_is_killed() {
    if !Path::new(HERE).exists() {
        return; // run by a person: nobody would kill it
    }
    let mut writer = Writer::new(spool(Path::new(".")));
    loop {
        let id = Uuid::now_v7();
        writer.append(&[event(id)], noon()).unwrap();
        tell(id); // only now is it taken
    }
}

#[test]
fn whoever_is_killed_what_was_taken_comes_out_once() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(HERE), "").unwrap();
    let mut taken = HashSet::new();
    for count in [1, 2, 7, 40, 100] {
        let mut child = run("deaths::writes_until_it_is_killed", home.path()).spawn().unwrap();
        let mut ids = told(&mut child);
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

#[tokio::test]
#[ignore = "no test but a process: `whoever_is_killed_while_it_sends_what_was_taken_arrives` starts and kills it"]
async fn sends_until_it_is_killed() {
    let Ok(url) = fs::read_to_string(COLLECTOR) else {
        return; // run by a person: nobody would kill it
    };
    let sinks = sinks(Path::new("."), &[http(url)]);
    for written in 1.. {
        let id = Uuid::now_v7();
        offer(&sinks, &[event(id)]);
        until(&sinks, |all| all[0].written == written).await;
        tell(id);
    }
}

#[tokio::test]
async fn whoever_is_killed_while_it_sends_what_was_taken_arrives() {
    let home = tempfile::tempdir().unwrap();
    let late = Script::Late(std::time::Duration::from_millis(3), 201, "{}".to_owned());
    let collector = FakeCollector::plain([late]).await;
    fs::write(home.path().join(COLLECTOR), collector.fake().url()).unwrap();
    let mut taken_ids = BTreeSet::new();
    let deaths = [1, 5, 20, 60];
    for more in deaths {
        let mut child = run("deaths::sends_until_it_is_killed", home.path()).spawn().unwrap();
        let ids = told(&mut child);
        let listening = tokio::task::spawn_blocking(move || ids.collect::<Vec<_>>());
        collector.until(collector.received().len() + more).await;
        child.kill().unwrap();
        taken_ids.extend(listening.await.unwrap().iter().map(ToString::to_string));
        child.wait().unwrap();
    }
    collector.treats(taken());
    let next = sinks(home.path(), &[http(collector.fake().url())]);
    let last = Uuid::now_v7();
    offer(&next, &[event(last)]);
    next.close(soon(LONG)).await;
    let received = collector.received();
    assert!(received.contains_key(&last.to_string()));
    assert!(taken_ids.iter().all(|id| received.contains_key(id)));
    let again: usize = received.values().map(|count| count - 1).sum();
    assert!(again <= 16 * deaths.len(), "at most what was under way goes out again: {again}");
}

#[tokio::test]
#[ignore = "no test but a process: `on_standard_error_every_event_is_a_line` starts it and reads its stderr"]
async fn talks_to_whoever_listens() {
    if Path::new(HEARD).exists() {
        let sinks = sinks(Path::new("."), &[SinkPlace::Stderr]);
        offer(&sinks, &events(20));
        sinks.close(soon(LONG)).await;
    }
}

#[test]
fn on_standard_error_every_event_is_a_line() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(HEARD), "").unwrap();
    let output = run("deaths::talks_to_whoever_listens", home.path()).output().unwrap();
    let heard = String::from_utf8(output.stderr).unwrap();
    let said = events(20);
    let said = said.iter().map(|event| std::str::from_utf8(event.bytes()).unwrap());
    assert_eq!(heard.lines().collect::<Vec<_>>(), said.collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "no test but a process: `standard_error_that_nobody_reads_keeps_neither_a_file_nor_the_end_waiting` starts it"]
async fn talks_although_nobody_listens() {
    if !Path::new(UNHEARD).exists() {
        return; // run by a person: somebody might listen
    }
    let file = SinkPlace::File(fs::canonicalize(".").unwrap().join("events.jsonl"));
    let sinks = sinks(Path::new("."), &[SinkPlace::Stderr, file]);
    offer(&sinks, &events(5_000));
    until(&sinks, |all| all[1].written == 5_000).await;
    assert!(sinks.standings()[0].written < 5_000, "its pipe takes less");
    sinks.close(soon(std::time::Duration::from_millis(50))).await;
}

#[tokio::test]
async fn standard_error_that_nobody_reads_keeps_neither_a_file_nor_the_end_waiting() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(UNHEARD), "").unwrap();
    let mut command = run("deaths::talks_although_nobody_listens", home.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let _unread = child.stderr.take();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let status = tokio::time::timeout(LONG, ended).await.unwrap().unwrap();
    assert!(status.success());
    let text = fs::read_to_string(home.path().join("events.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 5_000);
}
