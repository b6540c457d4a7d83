//! What reports say, held against a table of situations.

mod situations;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use self::situations::{certified, recorded};
use super::facts::*;
use super::*;
use crate::clients::coverage::{Coverage, FoundFile, FoundServer, Standing};
use crate::config::settings::Environment;
use crate::credential::{self, State as KeyState};
use crate::endpoint::sidecar::{self, Contact, Decisions, Sidecar};
use crate::endpoint::state::{Directives, State};
use crate::gate::decide::Outage;
use crate::gate::verdict::PolicyRef;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

fn in_days(days: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

/// A machine on which nothing was set up yet.
fn fresh() -> Facts {
    Facts {
        now: now(),
        version: "1.2.0",
        hostname: Some("host".into()),
        os: "linux",
        enrollment: None,
        endpoint_id: None,
        environment: Environment::Dev,
        troubles: Vec::new(),
        managed: None,
        policies: Vec::new(),
        enforcer: None,
        outage: Outage::Block,
        govapi: None,
        heartbeat: Duration::from_mins(1),
        friction: Friction { mode: "off", sinks: Vec::new(), spools: Vec::new() },
        state: State::default(),
        credentials: Vec::new(),
        sidecars: Vec::new(),
        coverage: Coverage::default(),
    }
}

/// A machine of a fleet, on which all is as it should be.
fn managed() -> Facts {
    Facts {
        enrollment: Some("jamf".into()),
        endpoint_id: Some("host".into()),
        environment: Environment::Prod,
        managed: Some(Managed {
            path: "/etc/thoth/thoth-config.json".into(),
            present: true,
            locked: vec!["environment".into()],
        }),
        policies: vec![(
            PolicyRef { id: "files".into(), version: "3".into(), sha256: Some("ab".into()) },
            "/etc/thoth/files.toml".into(),
        )],
        enforcer: Some(Configured {
            url: "https://enforce.example".into(),
            probed: Some(shown(Certificate {
                expires_at: Some(in_days(15)),
                chain: Ok(()),
                pinned: true,
            })),
        }),
        govapi: Some(Configured { url: "https://grid.example".into(), probed: None }),
        state: State {
            endpoint_id: Some("machine-7".into()),
            registration_ok: Some(true),
            registered_at: Some(ago(3600)),
            last_check_in: Some(ago(180)),
            ..State::default()
        },
        credentials: vec![key(KeyState::Ok)],
        sidecars: vec![sidecar()],
        coverage: covering(Standing::Wrapped, false),
        ..fresh()
    }
}

fn shown(certificate: Certificate) -> Probe {
    Probe::Reached { latency: Duration::from_micros(12_345), certificate: Some(certificate) }
}

fn key(state: KeyState) -> credential::Standing {
    credential::Standing {
        name: "api_key".into(),
        source: "file".into(),
        fingerprint: Some("sha256:ba7816bf".into()),
        key_id: Some("k-1".into()),
        generation: 1,
        loaded_at: Some(now()),
        expires_at: None,
        state,
    }
}

fn sidecar() -> Sidecar {
    Sidecar {
        pid: 7,
        session_id: "s-1".into(),
        started_at: ago(3600),
        updated_at: ago(1),
        version: "1.2.0".into(),
        agent_id: "files".into(),
        server: "npx".into(),
        environment: "prod".into(),
        enforcement_mode: "progressive".into(),
        policies: vec![sidecar::Policy { id: "files".into(), version: 3, sha256: None }],
        decisions: Decisions { allow: 5, block: 1, ..Decisions::default() },
        last_decision_at: Some(ago(9)),
        enforcer: Some(Contact {
            url: "https://enforce.example".into(),
            asked_at: Some(ago(9)),
            reachable: Some(true),
            latency_ms: Some(8.5),
            pin_ok: Some(true),
        }),
        credentials: vec![key(KeyState::Ok)],
        journal: None,
        friction: None,
    }
}

fn covering(standing: Standing, can_be_wrapped: bool) -> Coverage {
    Coverage {
        files: vec![FoundFile {
            client: "cursor",
            path: "/home/ann/.cursor/mcp.json".into(),
            unreadable: None,
            servers: vec![FoundServer {
                name: "files".into(),
                within: None,
                standing,
                why: None,
                can_be_wrapped,
                disabled: false,
            }],
        }],
    }
}

/// A managed machine whose enforcer was probed with this outcome.
fn probed(probe: Probe) -> Facts {
    let mut facts = managed();
    facts.enforcer.as_mut().unwrap().probed = Some(probe);
    facts
}

#[test]
fn every_situation_comes_to_what_is_written_here() {
    for (situation, facts, status, codes) in situations::all() {
        let report = Report::of(&facts);
        let found: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
        assert_eq!((report.status, &*found), (status, codes), "{situation}");
        for problem in &report.problems {
            assert!(!problem.text.is_empty() && !problem.fix.is_empty(), "{situation}");
        }
    }
}

#[test]
fn every_code_has_a_situation() {
    let table = situations::all();
    let told: BTreeSet<_> = table.iter().flat_map(|(.., codes)| codes.iter().copied()).collect();
    let all: BTreeSet<_> = problem::ALL.iter().copied().collect();
    assert_eq!(told, all);
}

#[test]
fn codes_are_words_for_smart_groups_and_errors_come_first() {
    let is_word =
        |code: &Code| code.word().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(problem::ALL.iter().all(is_word));
    assert!(problem::ALL.is_sorted_by_key(|code| std::cmp::Reverse(code.severity())));
    assert!(problem::ALL.is_sorted());
}

#[test]
fn an_mdm_reads_one_line() {
    for (situation, facts, _, _) in situations::all() {
        let report = Report::of(&facts);
        let jamf = mdm::jamf(&report);
        let inner = jamf.strip_prefix("<result>").unwrap().strip_suffix("</result>").unwrap();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:, ".contains(&byte);
        assert!(inner.bytes().all(plain), "{situation}: {inner}");

        let intune = mdm::intune(&report);
        assert!(!intune.contains('\n'));
        let intune: Value = serde_json::from_str(&intune).unwrap();
        let flat = intune.as_object().unwrap().values();
        let mut kinds = flat.map(|value| value.is_boolean() || value.is_string() || value.is_u64());
        assert!(kinds.all(|is_flat| is_flat), "{situation}: {intune}");
    }
}

#[test]
fn what_the_mdms_read_is_the_report() {
    let mut facts = certified(15, Ok(()), false);
    facts.coverage.files.extend(covering(Standing::Bypassing, true).files);
    facts.coverage.files.extend(covering(Standing::Bypassing, true).files);
    let report = Report::of(&facts);
    assert_eq!(mdm::jamf(&report), "<result>unhealthy: pin_mismatch, config_drifted</result>");
    let intune: Value = serde_json::from_str(&mdm::intune(&report)).unwrap();
    assert_eq!(
        intune,
        serde_json::json!({
            "ThothInstalled": true,
            "ThothVersion": "1.2.0",
            "ThothStatus": "unhealthy",
            "ThothRegistered": true,
            "ThothConfigDrifted": true,
            "ThothUngovernedServers": 2,
            "ThothGovernedServers": 1,
            "ThothEnforcerPinOk": false,
            "ThothApiKeyState": "ok",
            "ThothEnvironment": "prod",
            "ThothProblems": "pin_mismatch, config_drifted",
        })
    );
    assert_eq!(mdm::jamf(&Report::of(&fresh())), "<result>healthy</result>");
}

#[test]
fn a_probe_goes_before_what_was_recorded() {
    let told = |facts: &Facts| serde_json::to_value(Report::of(facts)).unwrap()["enforcer"].take();
    assert_eq!(
        told(&managed()),
        serde_json::json!({
            "url": "https://enforce.example", "configured": true, "reachable": true,
            "latency_ms": 12.345, "pin_ok": true, "source": "probe",
            "certificate_expires_at": "2026-12-06T12:00:00Z", "seen_at": "2026-11-21T12:00:00Z",
        })
    );
    assert_eq!(
        told(&recorded(Some(true), Some(true))),
        serde_json::json!({
            "url": "https://enforce.example", "configured": true, "reachable": true,
            "latency_ms": 8.5, "pin_ok": true, "source": "recorded",
            "certificate_expires_at": null, "seen_at": "2026-11-21T11:59:51Z",
        })
    );
    // What only a sidecar was told of is shown as such; another enforcer's silence is not ours.
    let mut facts = Facts { enforcer: None, ..recorded(Some(true), Some(true)) };
    assert_eq!(told(&facts)["configured"], false);
    facts.enforcer = Some(Configured { url: "https://other.example".into(), probed: None });
    assert_eq!(told(&facts)["source"], Value::Null);
    assert_eq!(told(&fresh()), Value::Null);
}

proptest! {
    /// Whatever an address hides, wherever it stands, it stays there.
    #[test]
    fn no_secret_of_an_address_is_told(
        secret in "[a-zA-Z0-9]{16}",
        shape in prop::sample::select(vec!["https://u:{}@h.example/p", "https://{}@h.example", "https://h.example/p?key={}", "wss://h.example#{}"]),
    ) {
        let url = shape.replace("{}", &secret);
        let told = |text: &str| format!("cannot use {text}: no");
        let mut facts = recorded(Some(false), Some(true));
        facts.enforcer = None;
        facts.sidecars[0].enforcer.as_mut().unwrap().url.clone_from(&url);
        facts.sidecars[0].agent_id.clone_from(&url);
        facts.govapi = Some(Configured { url: url.clone(), probed: Some(Probe::Silent(told(&url))) });
        facts.state.registration_ok = Some(false);
        facts.state.last_error = Some(told(&url));
        facts.state.directives.quarantined = true;
        facts.state.directives.quarantine_reason = Some(told(&url));
        let trouble = Trouble { kind: Unsound::Preflight, text: told(&url), fix: "mend it".into() };
        facts.troubles.push(trouble);
        facts.coverage.files[0].unreadable = Some(told(&url));
        let server = &mut facts.coverage.files[0].servers[0];
        server.name.clone_from(&url);
        server.standing = Standing::Bypassing;
        server.why = Some(told(&url));

        let report = Report::of(&facts);
        let json = serde_json::to_string(&report).unwrap();
        prop_assert!(!json.contains(&secret), "{json}");
        prop_assert!(json.contains("h.example"));
        prop_assert!(!mdm::jamf(&report).contains(&secret) && !mdm::intune(&report).contains(&secret));
    }
}
