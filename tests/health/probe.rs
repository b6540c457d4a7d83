//! `--probe`: against real servers that are good, away, or somebody else.

use std::net::{Ipv4Addr, TcpListener};

use crate::fake::{Certificate, FakeEnforcer, Manner};
use crate::machine::{Machine, SECRET, Told};

fn asking(url: &str) -> Machine {
    Machine::new().variable("THOTH_ENFORCER_URL", url).variable("THOTH_API_KEY", SECRET)
}

fn trusting(fake: &FakeEnforcer) -> Machine {
    asking(&fake.url()).variable("THOTH_TLS_CA_BUNDLE", fake.ca().to_str().unwrap())
}

async fn probed(machine: Machine) -> Told {
    tokio::task::spawn_blocking(move || machine.health(&["--probe"])).await.unwrap()
}

#[tokio::test]
async fn a_good_enforcer_is_seen_with_its_certificate_and_sent_nothing() {
    let fake = FakeEnforcer::start().await;
    let pins = fake.leaf_pin().to_string();
    let told = probed(trusting(&fake).variable("THOTH_TLS_PINNED_CERT_SHA256", &pins)).await;

    assert_eq!(told.in_short(), "healthy 0 []", "{:#}", told.report);
    let enforcer = &told.report["enforcer"];
    assert_eq!(enforcer["source"], "probe");
    assert_eq!(enforcer["reachable"], true);
    assert_eq!(enforcer["pin_ok"], true);
    assert!(enforcer["latency_ms"].as_f64().unwrap() > 0.0);
    assert!(enforcer["certificate_expires_at"].as_str().unwrap() > "2027");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_bad_certificate_is_told_by_what_is_wrong_with_it() {
    for (certificate, expected) in [
        (Certificate::Expired, "unhealthy 2 [certificate_expired]"),
        (Certificate::NotYetValid, "unhealthy 2 [certificate_untrusted]"),
        (Certificate::WrongName, "unhealthy 2 [certificate_untrusted]"),
        (Certificate::SelfSigned, "unhealthy 2 [certificate_untrusted]"),
    ] {
        let fake = FakeEnforcer::with(certificate, Manner::Both).await;
        let told = probed(trusting(&fake)).await;
        assert_eq!(told.in_short(), expected, "{certificate:?}");
        assert_eq!(told.report["enforcer"]["pin_ok"], false);
        assert_eq!(told.report["enforcer"]["reachable"], true);
    }
}

#[tokio::test]
async fn another_pin_is_a_mismatch() {
    let (fake, other) = (FakeEnforcer::start().await, FakeEnforcer::start().await);
    let pins = other.leaf_pin().to_string();
    let told = probed(trusting(&fake).variable("THOTH_TLS_PINNED_CERT_SHA256", &pins)).await;
    assert_eq!(told.in_short(), "unhealthy 2 [pin_mismatch]");
    assert_eq!(told.report["enforcer"]["pin_ok"], false);
}

#[tokio::test]
async fn an_enforcer_that_is_away_is_a_warning() {
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let told = probed(asking(&format!("https://127.0.0.1:{port}"))).await;
    assert_eq!(told.in_short(), "degraded 1 [enforcer_unreachable]");
    assert_eq!(told.report["enforcer"]["reachable"], false);

    let told = probed(asking(&format!("http://127.0.0.1:{port}"))).await;
    assert_eq!(told.in_short(), "degraded 1 [enforcer_unreachable]");
}

#[tokio::test]
async fn a_silent_enforcer_is_waited_for_as_long_as_the_limit() {
    for manner in [Manner::Deaf, Manner::Garbage] {
        let fake = FakeEnforcer::with(Certificate::Good, manner).await;
        let told = probed(trusting(&fake)).await;
        assert_eq!(told.in_short(), "degraded 1 [enforcer_unreachable]", "{manner:?}");
    }
}

#[tokio::test]
async fn an_enforcer_without_tls_shows_no_certificate() {
    let fake = FakeEnforcer::plain().await;
    let told = probed(asking(&fake.url())).await;
    assert_eq!(told.in_short(), "healthy 0 []");
    assert_eq!(told.report["enforcer"]["pin_ok"], serde_json::Value::Null);
}

#[tokio::test]
async fn the_govapi_is_looked_at_as_well() {
    let (enforcer, govapi) = (FakeEnforcer::plain().await, FakeEnforcer::plain().await);
    let registered = thoth::endpoint::state::State {
        registration_ok: Some(true),
        ..thoth::endpoint::state::State::default()
    };
    let machine =
        || asking(&enforcer.url()).variable("THOTH_TENANT_ID", "acme").remembering(&registered);
    let told = probed(machine().variable("THOTH_GOVAPI_URL", &govapi.url())).await;
    assert_eq!(told.in_short(), "healthy 0 []", "{:#}", told.report);
    assert_eq!(told.report["govapi"]["reachable"], true);

    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let away = format!("http://127.0.0.1:{port}");
    let told = probed(machine().variable("THOTH_GOVAPI_URL", &away)).await;
    assert_eq!(told.in_short(), "degraded 1 [govapi_unreachable]");
}
