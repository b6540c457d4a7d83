//! Collectors that are well, slow, silent, rude, or away.

use std::time::Duration;

use thoth::config::settings::SinkPlace;
use uuid::Uuid;

use super::fake::collector::{FakeCollector, nobody, taken};
use super::fake::{Certificate, KEY, Script};
use super::{LONG, event, events, http, ids, offer, sinks, sinks_trusting, soon, until};

fn once(events: &[thoth::sink::Event]) -> Vec<(String, usize)> {
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
    sinks(home.path(), &place).close(soon(LONG)).await;
    assert_eq!(silent.received().len(), 20);
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
    let events = events(50);
    let (one, other) = (sinks(home.path(), &place), sinks(home.path(), &place));
    offer(&one, &events[..25]);
    offer(&other, &events[25..]);
    one.close(soon(LONG)).await;
    other.close(soon(LONG)).await;
    let back = FakeCollector::plain_at(address).await;
    let next = sinks(home.path(), &place);
    until(&next, |all| all[0].collector.as_ref().unwrap().stock.bytes == 0).await;
    let standing = next.standings().remove(0).collector.unwrap();
    assert_eq!((standing.delivered, standing.losses.total()), (50, 0));
    next.close(soon(LONG)).await;
    sinks(home.path(), &place).close(soon(LONG)).await;
    assert_eq!(received(&back), once(&events));
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
