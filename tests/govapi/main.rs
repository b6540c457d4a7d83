//! `thoth run` and the GovAPI: real processes that share a home, a real TLS server with a memory.

#![cfg(unix)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[path = "../fake/mod.rs"]
mod fake;
mod orders;
mod reports;
#[path = "../run/sidecar.rs"]
#[expect(dead_code, reason = "other tests use another part of it")]
mod sidecar;
mod together;
mod tools;
mod trouble;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use fake::govapi::FakeGovApi;
use sidecar::{Setup, Sidecar, call};

/// A sidecar that reports to this GovAPI every second.
fn reporting(fake: &FakeGovApi) -> Setup {
    Setup::new()
        .flags(&["--tenant-id", "acme", "--user-id", "ada@example.com"])
        .variable("THOTH_GOVAPI_URL", &fake.url())
        .variable("THOTH_GOVAPI_API_KEY", fake::KEY)
        .variable("THOTH_TLS_CA_BUNDLE", fake.ca().to_str().unwrap())
        .variable("THOTH_HEARTBEAT_INTERVAL_SECONDS", "1")
        .variable("THOTH_ENDPOINT_ID", "Mac 7")
}

/// What the home remembers of the GovAPI; null where it remembers nothing.
fn remembered(home: &Path) -> Value {
    let text = std::fs::read_to_string(home.join("home/run/endpoint.json"));
    text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// Waits until something holds; looks every few milliseconds, for a minute at most.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

/// Makes one call. The reason code it was refused with; `None` where it was answered.
fn refused(sidecar: &mut Sidecar, id: u32) -> Option<String> {
    sidecar.says(&call(id, "read", "{}"));
    let answer = sidecar.reads();
    assert_eq!(answer["id"], id);
    let code = &answer["error"]["data"]["reason_code"];
    answer.get("error").map(|_| code.as_str().unwrap().to_owned())
}

/// Waits until calls are refused with this reason code, or are answered.
fn until_refused(sidecar: &mut Sidecar, code: Option<&str>) {
    for id in 1000..7000 {
        if refused(sidecar, id).as_deref() == code {
            return;
        }
        std::thread::sleep(Duration::from_millis(10)); // calls are what is counted
    }
    panic!("never: {code:?}");
}
