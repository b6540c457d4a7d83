//! `thoth doctor --tls`: what it says about servers that are trusted, and that are not.

use std::process::ExitCode;

use serde_json::Value;
use thoth::cli::doctor_tls;
use thoth::config::settings::{Pin, Tls};

use crate::fake::{Certificate, FakeEnforcer, Manner};

async fn text(fake: &FakeEnforcer, tls: &Tls) -> (String, bool) {
    let mut out = Vec::new();
    let code = doctor_tls::run(&fake.url(), tls, false, &mut out).await.unwrap();
    let good = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    (String::from_utf8(out).unwrap(), good)
}

async fn json(fake: &FakeEnforcer, tls: &Tls) -> Value {
    let mut out = Vec::new();
    doctor_tls::run(&fake.url(), tls, true, &mut out).await.unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[tokio::test]
async fn the_fingerprints_of_a_good_server_are_shown_as_pins() {
    let fake = FakeEnforcer::start().await;
    let tls = Tls { pins: vec![Pin::Leaf([7; 32]), fake.key_pin()], ..fake.tls() };
    let (text, good) = text(&fake, &tls).await;
    assert!(good, "{text}");
    for part in [
        "subject  CN=thoth test leaf\n",
        "issuer   CN=thoth test CA\n",
        "names    localhost, 127.0.0.1\n",
        "TLSv1_3, TLS13_AES_",
        "X25519MLKEM768",
        "application protocol: h2\n",
        "chain and name: good\n",
        &format!("     {}\n", fake.leaf_pin()),
        &format!("     {}\n", fake.key_pin()),
        &format!("pin {}: does not match\n", Pin::Leaf([7; 32])),
        &format!("pin {}: matches\n", fake.key_pin()),
        "thoth would trust this server\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(fake.seen().is_empty(), "the doctor asks nothing");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_shown_all_the_same() {
    for certificate in [Certificate::Expired, Certificate::WrongName, Certificate::SelfSigned] {
        let fake = FakeEnforcer::with(certificate, Manner::Http1).await;
        let (text, good) = text(&fake, &fake.tls()).await;
        assert!(!good, "{certificate:?}");
        assert!(text.contains(&fake.leaf_pin().to_string()), "{text}");
        assert!(text.contains("chain and name: NOT GOOD"), "{text}");
        assert!(text.contains("thoth would NOT trust this server"), "{text}");
    }
}

#[tokio::test]
async fn what_a_script_reads() {
    let fake = FakeEnforcer::start().await;
    let tls = Tls { pins: vec![Pin::Spki([7; 32])], ..fake.tls() };
    let report = json(&fake, &tls).await;
    assert_eq!(report["chain"][0]["fingerprint"], fake.leaf_pin().to_string());
    assert_eq!(report["chain"][0]["key"], fake.key_pin().to_string());
    assert_eq!(report["chain"][0]["names"][0], "localhost");
    assert_eq!(report["alpn"], "h2");
    assert_eq!(report["chain_good"], true);
    assert_eq!(report["pins"][0]["matches"], false);
    assert_eq!(report["pinned"], false);
    assert_eq!(report["trusted"], false);
}

#[tokio::test]
async fn verification_that_is_off_still_says_what_it_would_have_said() {
    let fake = FakeEnforcer::with(Certificate::Expired, Manner::Both).await;
    let tls = Tls { unverified: true, ..fake.tls() };
    let report = json(&fake, &tls).await;
    assert_eq!(report["chain_good"], false);
    assert_eq!(report["verification"], false);
    assert_eq!(report["trusted"], true);
}

#[tokio::test]
async fn a_server_that_shows_nothing_is_an_error() {
    let fake = FakeEnforcer::with(Certificate::Good, Manner::Garbage).await;
    let mut out = Vec::new();
    let error = doctor_tls::run(&fake.url(), &fake.tls(), false, &mut out).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("does not complete a TLS handshake"), "{error}");
    assert!(out.is_empty());
}
