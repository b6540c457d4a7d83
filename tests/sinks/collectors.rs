//! Collectors that are well, slow, silent, rude, or away.

use std::time::Duration;

use thoth::config::settings::{SinkPlace, Tls};
use thoth::sink::{Event, MOST_BYTES};
use uuid::Uuid;

use super::fake::collector::{FakeCollector, nobody, taken};
use super::fake::{Certificate, KEY, Script};
use super::{
    LONG, event, events, http, ids, offer, sinks, sinks_trusting, sinks_with, small, soon, until,
};

fn once(events: &[Event]) -> Vec<(String, usize)> {
    ids(events).into_iter().map(|id| (id, 1)).collect()
}

fn received(collector: &FakeCollector) -> Vec<(String, usize)> {
    collector.received().into_iter().collect()
}

#[tokio::test]
async fn an_event_goes_out_as_a_collector_expects_it() {
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain([taken()]).await);
    let sinks = sinks(home.path(), &[http(format!("{}/base", collector.fake().url()))]);
    offer(&sinks, &events(1));
    sinks.close(soon(LONG)).await;
    let seen = &collector.seen()[0];
    assert_eq!((&*seen.method, &*seen.path), ("POST", "/base/v0/events"));
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("thoth/"));
    assert_eq!(seen.text.as_bytes(), &events(1)[0].bytes()[..]);
}

#[tokio::test]
async fn a_collector_that_takes_200_ms_gets_every_event_once() {
    let late = Script::Late(Duration::from_millis(200), 201, "{}".to_owned());
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain([late]).await);
    let sinks = sinks(home.path(), &[http(collector.fake().url())]);
    let events = events(100);
    offer(&sinks, &events);
    sinks.close(soon(LONG)).await;
    assert_eq!(received(&collector), once(&events));
    assert!(collector.fake().accepted() <= 16, "connections are kept");
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_no_more_than_the_deadline_and_no_event() {
    let (home, silent) = (tempfile::tempdir().unwrap(), FakeCollector::plain([Script::Hang]).await);
    let place = [http(silent.fake().url())];
    let events = events(20);
    let one = sinks(home.path(), &place);
    offer(&one, &events);
    silent.until(1).await;
    one.close(soon(Duration::from_millis(50))).await;
    silent.treats(taken());
    let next = sinks(home.path(), &place);
    offer(&next, &[event(Uuid::from_u128(99))]);
    next.close(soon(LONG)).await;
    assert_eq!(silent.received().len(), 21);
}

#[tokio::test]
async fn a_collector_that_resets_gets_every_event_in_the_end() {
    let scripts = [Script::HangUp, Script::HangUp, Script::Broken(500), taken()];
    let (home, rude) = (tempfile::tempdir().unwrap(), FakeCollector::plain(scripts).await);
    let sinks = sinks(home.path(), &[http(rude.fake().url())]);
    let events = events(10);
    offer(&sinks, &events);
    until(&sinks, |all| all[0].collector.as_ref().unwrap().delivered == 10).await;
    sinks.close(soon(LONG)).await;
    assert_eq!(rude.received().len(), 10);
    assert_eq!(rude.seen().len(), 13, "what was taken is not sent again");
}

#[tokio::test]
async fn a_collector_that_is_away_for_the_session_gets_its_events_from_the_next() {
    let (home, address) = (tempfile::tempdir().unwrap(), nobody());
    let place = [http(format!("http://{address}"))];
    let events = events(51);
    let (one, other) = (sinks(home.path(), &place), sinks(home.path(), &place));
    offer(&one, &events[..25]);
    offer(&other, &events[25..50]);
    one.close(soon(LONG)).await;
    other.close(soon(LONG)).await;
    let back = FakeCollector::plain_at(address).await;
    let next = sinks(home.path(), &place);
    assert_eq!(next.standings().remove(0).collector.unwrap().stock.segments, 2);
    offer(&next, &events[50..]);
    until(&next, |all| all[0].collector.as_ref().unwrap().delivered == 51).await;
    next.close(soon(LONG)).await;
    let after = sinks(home.path(), &place).standings().remove(0).collector.unwrap();
    assert_eq!((after.stock.bytes, after.losses.total()), (0, 0));
    assert_eq!(received(&back), once(&events));
}

#[tokio::test]
async fn a_burst_that_no_session_has_time_for_arrives_with_the_next() {
    let late = Script::Late(Duration::from_millis(20), 201, "{}".to_owned());
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain([late]).await);
    let place = [http(collector.fake().url())];
    let events = events(3001);
    let one = sinks(home.path(), &place);
    offer(&one, &events[..3000]);
    collector.until(1).await;
    until(&one, |all| all[0].written == 3000).await;
    one.close(soon(Duration::from_millis(100))).await;
    let so_far = collector.received().len();
    assert!(so_far < 3000, "the session was to be too short");
    let next = sinks(home.path(), &place);
    offer(&next, &events[3000..]);
    collector.until(3001).await;
    next.close(soon(LONG)).await;
    let at = sinks(home.path(), &place).standings().remove(0).collector.unwrap();
    assert_eq!((at.stock.bytes, at.losses.total()), (0, 0));
    let again: usize = collector.received().values().map(|count| count - 1).sum();
    assert!(again <= 16, "at most what was under way goes out again: {again}");
}

#[tokio::test]
async fn what_a_collector_knows_by_its_id_already_has_arrived() {
    // It takes the event and dies before it can say so; asked again, it says that it knows it.
    let scripts = [Script::HangUp, Script::Answer(200, "{}".to_owned())];
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain(scripts).await);
    let sinks = sinks(home.path(), &[http(collector.fake().url())]);
    offer(&sinks, &events(1));
    until(&sinks, |all| all[0].collector.as_ref().unwrap().delivered == 1).await;
    sinks.close(soon(LONG)).await;
    assert_eq!(received(&collector), [(ids(&events(1)).remove(0), 2)]);
}

#[tokio::test]
async fn a_dead_collector_costs_bounded_memory_and_a_bounded_spool() {
    let (home, limits) = (tempfile::tempdir().unwrap(), small(200_000, 20_000));
    let dead = [http(format!("http://{}", nobody()))];
    let sinks = sinks_with(home.path(), &dead, &Tls::default(), limits);
    let long = "x".repeat(10_000);
    let offered = 2 * (MOST_BYTES / long.len()) as u64;
    for number in 0..offered {
        let id = Uuid::from_u128(number.into());
        let json = serde_json::json!({ "event_id": id.to_string(), "long": long });
        sinks.offer(&[Event::new(id, json.to_string().into()).unwrap()]);
    }
    until(&sinks, |all| all[0].written + all[0].dropped == offered).await;
    let at = sinks.standings().remove(0);
    let (stock, losses) = (at.collector.as_ref().unwrap().stock, at.collector.unwrap().losses);
    // The bound, and two segments of a living process: the open one, and the one that it has just
    // closed. Each may be longer by a batch, which is never split.
    let most = 200_000 + 2 * (20_000 + 1_100_000);
    assert!(stock.bytes <= most, "{stock:?}");
    assert!(losses.evicted > 0 && losses.evicted <= at.written, "{losses:?}");
    sinks.close(soon(Duration::from_millis(50))).await;
}

#[tokio::test]
async fn nothing_is_made_or_asked_before_the_first_event() {
    let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain([taken()]).await);
    let file = SinkPlace::File(home.path().join("events.jsonl"));
    let inner = home.path().join("home");
    let sinks = sinks(&inner, &[http(collector.fake().url()), file, SinkPlace::Stderr]);
    assert!(sinks.standings().iter().all(|one| one.written + one.dropped == 0));
    sinks.flushed(soon(LONG)).await;
    sinks.close(soon(LONG)).await;
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    assert_eq!(collector.fake().accepted(), 0);
}

#[test]
fn sinks_need_no_runtime_to_be_offered_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let home = tempfile::tempdir().unwrap();
    let collector = runtime.block_on(FakeCollector::plain([taken()]));
    let sinks = sinks(home.path(), &[http(collector.fake().url())]);
    offer(&sinks, &events(3));
    runtime.block_on(collector.until(3));
    runtime.block_on(sinks.close(soon(LONG)));
}

#[tokio::test]
async fn what_the_collector_does_not_want_is_dropped_and_counted() {
    let bad = Script::Answer(400, r#"{"error":{"code":"payload_malformed"}}"#.to_owned());
    let (home, collector) =
        (tempfile::tempdir().unwrap(), FakeCollector::plain([bad, taken()]).await);
    let sinks = sinks(home.path(), &[http(collector.fake().url())]);
    offer(&sinks, &events(3));
    until(&sinks, |all| {
        let at = all[0].collector.as_ref().unwrap();
        (at.delivered, at.losses.refused) == (2, 1)
    })
    .await;
    sinks.close(soon(LONG)).await;
    assert_eq!(collector.seen().len(), 3, "not sent again");
}

#[tokio::test]
async fn what_a_collector_cannot_take_now_is_sent_again_after_what_it_asks_for() {
    for status in [429, 503, 401] {
        let wait = "1".to_owned();
        let busy = Script::AnswerWith(status, "retry-after", wait, "{}".to_owned());
        let scripts = [busy, taken()];
        let (home, collector) = (tempfile::tempdir().unwrap(), FakeCollector::plain(scripts).await);
        let sinks = sinks(home.path(), &[http(collector.fake().url())]);
        offer(&sinks, &events(1));
        collector.fake().until_seen(2).await;
        sinks.close(soon(LONG)).await;
        assert_eq!(collector.seen().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_redirection_takes_neither_the_event_nor_the_key_elsewhere() {
    for status in [301, 302, 307, 308] {
        let home = tempfile::tempdir().unwrap();
        let thief = FakeCollector::plain([taken()]).await;
        let to = format!("{}/v0/events", thief.fake().url());
        let astray = Script::AnswerWith(status, "location", to, String::new());
        let collector = FakeCollector::plain([astray]).await;
        let sinks = sinks(home.path(), &[http(collector.fake().url())]);
        offer(&sinks, &events(1));
        until(&sinks, |all| all[0].collector.as_ref().unwrap().trouble.is_some()).await;
        let at = sinks.standings().remove(0).collector.unwrap();
        assert_eq!((at.delivered, at.losses.total()), (0, 0));
        sinks.close(soon(LONG)).await;
        assert_eq!(thief.fake().accepted(), 0);
    }
}

#[tokio::test]
async fn a_collector_is_trusted_by_its_certificate_or_gets_nothing() {
    for (certificate, count) in [(Certificate::Good, 1), (Certificate::WrongName, 0)] {
        let home = tempfile::tempdir().unwrap();
        let collector = FakeCollector::with(certificate).await;
        let place = [http(collector.fake().url())];
        let sinks = sinks_trusting(home.path(), &place, &collector.fake().tls());
        offer(&sinks, &events(1));
        sinks.close(soon(LONG)).await;
        assert_eq!(collector.seen().len(), count, "{certificate:?}");
    }
}

#[tokio::test]
async fn a_dead_collector_delays_no_other_sink() {
    let (home, dead) = (tempfile::tempdir().unwrap(), FakeCollector::plain([Script::Hang]).await);
    let well = FakeCollector::plain([taken()]).await;
    let file = home.path().join("events.jsonl");
    let places = [http(dead.fake().url()), SinkPlace::File(file.clone()), http(well.fake().url())];
    let sinks = sinks(home.path(), &places);
    let events = events(30);
    offer(&sinks, &events);
    dead.until(1).await;
    well.until(30).await;
    until(&sinks, |all| all[1].written == 30).await;
    assert_eq!(sinks.standings()[0].written, 30, "they wait on the disk");
    sinks.close(soon(Duration::from_millis(50))).await;
    assert_eq!(received(&well), once(&events));
}

#[tokio::test]
async fn one_event_that_a_collector_fails_on_does_not_hold_up_the_others() {
    let home = tempfile::tempdir().unwrap();
    let collector = FakeCollector::plain([Script::Answer(500, String::new()), taken()]).await;
    let sinks = sinks(home.path(), &[http(collector.fake().url())]);
    offer(&sinks, &events(40));
    collector.until(40).await;
    offer(&sinks, &[event(Uuid::from_u128(99))]);
    collector.until(41).await;
    sinks.close(soon(LONG)).await;
}
