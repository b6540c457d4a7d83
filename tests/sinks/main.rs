//! Sinks against real files and real collectors: slow, silent, rude, away for long.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod collectors;
mod deaths;
#[cfg(target_os = "linux")]
mod disks;
#[path = "../fake/mod.rs"]
mod fake;
mod files;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "s3")]
mod s3;

use std::path::Path;
use std::slice;
use std::time::Duration;

use thoth::config::settings::{Friction, SinkPlace, Tls};
use thoth::credential::{Credential, Source};
use thoth::secret::ApiKey;
use thoth::sink::{Event, Sinks, Standing};
use thoth::spool::Limits;
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

fn events(count: u128) -> Vec<Event> {
    (0..count).map(|number| event(Uuid::from_u128(number))).collect()
}

fn event(id: Uuid) -> Event {
    let json = serde_json::json!({ "event_id": id.to_string(), "event_type": "tool_call_start" });
    Event::new(id, json.to_string().into()).unwrap()
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id().to_string()).collect()
}

fn http(url: String) -> SinkPlace {
    SinkPlace::Http(url)
}

/// Sinks of a home, with a good key.
fn sinks(home: &Path, places: &[SinkPlace]) -> Sinks {
    sinks_trusting(home, places, &Tls::default())
}

fn sinks_trusting(home: &Path, places: &[SinkPlace], tls: &Tls) -> Sinks {
    sinks_with(home, places, tls, Limits::default())
}

/// Bounds that a test reaches.
fn small(bytes: u64, segment_bytes: u64) -> Limits {
    Limits { bytes, segment_bytes, ..Limits::default() }
}

fn sinks_with(home: &Path, places: &[SinkPlace], tls: &Tls, limits: Limits) -> Sinks {
    let secret = ApiKey::parse(fake::KEY).unwrap();
    let source = Source::Value { secret, from: "BATON_API_KEY", key_id: None };
    let friction = Friction {
        sinks: places.to_vec(),
        tenant_id: "acme".to_owned(),
        vendor_id: "files".to_owned(),
        consent_token: "yes".to_owned(),
        api_key: Some(Credential::new("friction_api_key", source, fake::noon)),
        wire: thoth::friction::event::Wire::default(),
        principal: None,
        scrub: thoth::friction::scrub::custom::Custom::default(),
        additions: None,
    };
    let (sinks, errors) = Sinks::open(&friction, tls, home, limits, fake::noon);
    assert!(errors.is_empty(), "{errors:?}");
    sinks
}

fn offer(sinks: &Sinks, events: &[Event]) {
    for event in events {
        sinks.offer(slice::from_ref(event));
    }
}

fn soon(time: Duration) -> Instant {
    Instant::now() + time
}

/// Waits until the sinks stand like this.
async fn until(sinks: &Sinks, holds: impl Fn(&[Standing]) -> bool) {
    let waiting = async {
        while !holds(&sinks.standings()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap();
}
