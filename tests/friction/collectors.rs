//! Collectors that are slow, silent, rude or away: every event that was acknowledged arrives once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::fake::Script;
use super::fake::collector::{FakeCollector, nobody, taken};
use super::session::{LONG, Setup, call, initialize, request};

/// A collector with a thread of its own, so that a test can wait for processes. Dropped, it is gone.
struct Collector {
    fake: Option<Arc<FakeCollector>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    fn plain(scripts: impl IntoIterator<Item = Script> + Send + 'static) -> Self {
        Self::start(async { FakeCollector::plain(scripts).await })
    }

    fn plain_at(address: SocketAddr) -> Self {
        Self::start(FakeCollector::plain_at(address))
    }

    fn start(making: impl Future<Output = FakeCollector> + Send + 'static) -> Self {
        let ((give, given), (stop, stopped)) = (channel(), oneshot::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                give.send(Arc::new(making.await)).unwrap();
                let _ = stopped.await;
            });
        });
        Self { fake: Some(given.recv().unwrap()), stop: Some(stop), thread: Some(thread) }
    }

    fn url(&self) -> String {
        self.fake().url()
    }

    /// Waits until all of these were received.
    fn until(&self, wanted: &BTreeSet<String>) {
        let mut left = LONG;
        loop {
            let received = self.received();
            if wanted.iter().all(|id| received.contains_key(id)) {
                return;
            }
            let pause = Duration::from_millis(250);
            left = left.checked_sub(pause).unwrap_or_else(|| panic!("{} received", received.len()));
            std::thread::sleep(pause);
        }
    }
}

impl Deref for Collector {
    type Target = FakeCollector;

    fn deref(&self) -> &FakeCollector {
        self.fake.as_ref().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.fake = None;
        drop(self.stop.take());
        let joined = self.thread.take().unwrap().join();
        assert!(joined.is_ok() || std::thread::panicking());
    }
}

/// A session of so many calls; the ids of its events, which are in the file.
fn play(setup: &Setup, calls: u32) -> BTreeSet<String> {
    let mut sidecar = setup.start();
    sidecar.opens();
    for id in 10..10 + calls {
        sidecar.asks(&call(id, "echo", &json!({ "n": id })));
    }
    let ended = sidecar.ends();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let ids = ids(&setup.stream().events);
    assert_eq!(ids.len(), 3 + 2 * calls as usize, "a list, a snapshot, and two for each call");
    ids
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}

/// Another sidecar, which sends what the first could not: it runs until all of it has arrived.
fn drain(setup: &Setup, collector: &Collector, wanted: &BTreeSet<String>) {
    std::fs::remove_file(setup.events()).unwrap();
    let mut sidecar = setup.start();
    sidecar.asks(&initialize(1));
    sidecar.asks(&call(2, "echo", &json!({}))); // some clients start it only to end it
    collector.until(wanted);
    sidecar.ends();
}

/// Each of these was received, and none more than once.
fn arrived_once(collector: &Collector, wanted: &BTreeSet<String>) {
    let received = collector.received();
    let missing: Vec<_> = wanted.iter().filter(|id| !received.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), wanted.len());
    let twice: Vec<_> = received.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn a_collector_that_takes_200_ms_gets_every_event_once() {
    let late = Script::Late(Duration::from_millis(200), 201, "{}".to_owned());
    let collector = Collector::plain([late]);
    let setup = Setup::new().sending_to(&collector.url());
    let wanted = play(&setup, 50);
    if collector.received().len() < wanted.len() {
        drain(&setup, &collector, &wanted);
    }
    arrived_once(&collector, &wanted);
}

#[test]
fn a_burst_does_not_outrun_a_slow_collector() {
    let late = Script::Late(Duration::from_millis(20), 201, "{}".to_owned());
    let collector = Collector::plain([late]);
    let setup = Setup::new().sending_to(&collector.url());
    let wanted = play(&setup, 500);
    drain(&setup, &collector, &wanted);
    arrived_once(&collector, &wanted);
}

#[test]
fn a_collector_that_never_answers_delays_no_call_and_no_file_and_costs_no_event() {
    let collector = Collector::plain([Script::Hang]);
    let setup = Setup::new().sending_to(&collector.url());
    let mut sidecar = setup.start();
    sidecar.opens();
    for id in 10..40 {
        sidecar.asks(&call(id, "echo", &json!({}))); // answered, while nothing is sent
    }
    setup.until(|events| events.len() == 63); // written, while nothing is sent
    sidecar.asks(&request(50, "ping", &json!({})));
    let ended = sidecar.ends();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let wanted = ids(&setup.stream().events);

    // What it may have read and not answered comes again: another one, in its place.
    let address = collector.url().trim_start_matches("http://").parse().unwrap();
    drop(collector);
    let collector = Collector::plain_at(address);
    drain(&setup, &collector, &wanted);
    arrived_once(&collector, &wanted);
}

#[test]
fn a_collector_that_resets_and_fails_gets_every_event() {
    let rude = [
        Script::HangUp,
        Script::Answer(500, String::new()),
        Script::Broken(503),
        Script::Answer(429, String::new()),
        Script::Answer(401, String::new()),
        taken(),
    ];
    let collector = Collector::plain(rude);
    let setup = Setup::new().sending_to(&collector.url());
    let wanted = play(&setup, 10);
    drain(&setup, &collector, &wanted);
    let received = collector.received();
    assert!(wanted.iter().all(|id| received.contains_key(id)));
    // An event is sent again only where it was not taken: five answers said so.
    let again: usize = received.values().map(|count| count - 1).sum();
    assert!(again <= 5, "{again}");
}

#[test]
fn a_collector_that_was_away_for_the_session_gets_its_events_later() {
    let address = nobody();
    let setup = Setup::new().sending_to(&format!("http://{address}"));
    let mut wanted = play(&setup, 20);
    std::fs::remove_file(setup.events()).unwrap();
    wanted.extend(play(&setup, 20)); // two sessions, one outage
    let collector = Collector::plain_at(address);
    drain(&setup, &collector, &wanted);
    arrived_once(&collector, &wanted);
}

#[test]
fn a_sidecar_that_is_killed_loses_nothing_that_was_spooled() {
    let address = nobody();
    let setup = Setup::new().sending_to(&format!("http://{address}"));
    let mut sidecar = setup.start();
    sidecar.opens();
    for id in 10..40 {
        sidecar.asks(&call(id, "echo", &json!({})));
    }
    let in_spool = || spooled(&setup);
    setup.until(|events| events.len() == 63 && in_spool().len() == 63);
    sidecar.says(&call(50, "hold", &json!({})));
    sidecar.signals(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(sidecar.ends().code, None);
    let wanted = spooled(&setup);

    let collector = Collector::plain_at(address);
    std::fs::write(setup.events(), "").unwrap();
    drain(&setup, &collector, &wanted);
    arrived_once(&collector, &wanted);
}

/// The ids of what lies in the spools of a home.
fn spooled(setup: &Setup) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let Ok(spools) = std::fs::read_dir(setup.home.path().join("home/spool")) else { return ids };
    for spool in spools {
        let Ok(files) = std::fs::read_dir(spool.unwrap().path()) else { continue };
        let segments = files.map(|file| file.unwrap().path());
        for segment in segments.filter(|path| path.extension().is_some_and(|end| end == "seg")) {
            let text = std::fs::read_to_string(segment).unwrap_or_default();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            ids.extend(whole.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned));
        }
    }
    ids
}

#[test]
fn a_redirection_takes_neither_event_nor_key_elsewhere() {
    let elsewhere = Collector::plain([taken()]);
    let there = elsewhere.url();
    let away = |status| Script::AnswerWith(status, "location", there.clone(), String::new());
    let collector = Collector::plain([away(302), away(307), away(301)]);
    let setup = Setup::new().sending_to(&collector.url());
    let wanted = play(&setup, 3);
    collector.treats(taken());
    drain(&setup, &collector, &wanted);
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
    let received = collector.received();
    assert!(wanted.iter().all(|id| received.contains_key(id)), "what was redirected is not lost");
}

#[test]
fn a_collector_sees_thoth_and_one_connection_for_many_events() {
    let collector = Collector::plain([taken()]);
    let setup = Setup::new().sending_to(&format!("{}/base/", collector.url()));
    let wanted = play(&setup, 100);
    if collector.received().len() < wanted.len() {
        drain(&setup, &collector, &wanted);
    }
    let seen = collector.seen();
    for seen in &seen {
        assert_eq!((&*seen.method, &*seen.path), ("POST", "/base/v0/events"));
        let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
        assert!(header("user-agent").starts_with("thoth/"), "{}", header("user-agent"));
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("authorization"), "Bearer test_0123456789");
        assert_eq!(seen.body["consent_token"], "they agreed");
    }
    let connections = seen.iter().map(|seen| seen.connection).max().unwrap();
    assert!(connections <= 40, "{connections} connections for {} events", seen.len());
}
