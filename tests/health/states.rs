//! Every state a machine can be in, and what is said of it.

use thoth::credential::{self, State as KeyState};
use thoth::endpoint::sidecar::{Contact, Sidecar};
use thoth::endpoint::state::{Directives, State};

use crate::machine::{Machine, SECRET};

const ENFORCER: &str = "https://enforce.example";

/// A state, how to come by it, and what is said of it.
type Row = (&'static str, Machine, &'static str);

fn hold(rows: Vec<Row>) {
    for (state, machine, expected) in rows {
        let told = machine.health(&[]);
        assert_eq!(told.in_short(), expected, "{state}: {:#}", told.report);
    }
}

/// A machine that is told of a GovAPI.
fn reporting() -> Machine {
    Machine::new()
        .variable("THOTH_TENANT_ID", "acme")
        .variable("THOTH_GOVAPI_URL", "https://grid.example")
        .variable("THOTH_GOVAPI_API_KEY", SECRET)
}

fn asking() -> Machine {
    Machine::new().variable("THOTH_ENFORCER_URL", ENFORCER).variable("THOTH_API_KEY", SECRET)
}

#[test]
fn without_anything_to_govern() {
    let denying = "[policy]\nid = 'p'\nversion = 3\ndefault = 'block'\n";
    hold(vec![
        ("fresh", Machine::new(), "healthy 0 []"),
        ("no home", Machine::new().without("HOME"), "unhealthy 2 [configuration_invalid]"),
        (
            "a relative home",
            Machine::new().variable("HOME", "here"),
            "unhealthy 2 [configuration_invalid]",
        ),
        (
            "nothing decides",
            Machine::new().variable("THOTH_ENV", "prod"),
            "unhealthy 2 [configuration_invalid]",
        ),
        (
            "rules decide",
            Machine::new()
                .variable("THOTH_ENV", "prod")
                .file("rules.toml", denying)
                .mode("", 0o700)
                .file(".thoth/thoth-config.json", r#"{"policy": ["HOME/rules.toml"]}"#),
            "healthy 0 []",
        ),
        (
            "two bad settings",
            Machine::new().variable("THOTH_ENV", "moon").variable("THOTH_ENFORCER_URL", "moon"),
            "unhealthy 2 [configuration_invalid configuration_invalid]",
        ),
        (
            "a profile that is not JSON",
            Machine::new().file(".thoth/thoth-config.json", "{"),
            "unhealthy 2 [configuration_invalid]",
        ),
        (
            "a policy that does not parse",
            Machine::new()
                .file("rules.toml", "[policy")
                .file(".thoth/thoth-config.json", r#"{"policy": ["HOME/rules.toml"]}"#),
            "unhealthy 2 [policy_invalid]",
        ),
        (
            "a profile open to others",
            Machine::new().file(".thoth/intent_map.json", "{}").mode(".thoth", 0o777),
            "unhealthy 2 [preflight_refused]",
        ),
        (
            "somebody else",
            Machine::new().variable("THOTH_EXPECTED_PROXY_USER", "nobody-at-all"),
            "unhealthy 2 [preflight_refused]",
        ),
        (
            "a CA bundle without certificates",
            asking().file("ca/ca.pem", "x").variable("THOTH_TLS_CA_BUNDLE", "HOME/ca/ca.pem"),
            "unhealthy 2 [configuration_invalid]",
        ),
    ]);
}

#[test]
fn the_govapis_token_is_looked_at_where_it_lies() {
    let filed = |name: &str| {
        let reporting = reporting().without("THOTH_GOVAPI_API_KEY");
        reporting.variable(&format!("THOTH_GOVAPI_{name}_FILE"), "HOME/keys/token")
    };
    hold(vec![
        (
            "a token",
            filed("BEARER_TOKEN").file("keys/token", SECRET),
            "degraded 1 [not_registered]",
        ),
        ("a key", filed("API_KEY").file("keys/token", SECRET), "degraded 1 [not_registered]"),
        ("no file", filed("API_KEY"), "degraded 1 [not_registered govapi_credential]"),
        (
            "open to others",
            filed("BEARER_TOKEN").file("keys/token", SECRET).mode("keys/token", 0o666),
            "degraded 1 [not_registered govapi_credential]",
        ),
    ]);
}

#[test]
fn what_the_govapi_said_is_remembered() {
    let registered = || State {
        endpoint_id: Some("mac-7".to_owned()),
        registration_ok: Some(true),
        last_check_in: Some(jiff::Timestamp::now()),
        ..State::default()
    };
    let failed = State {
        registration_ok: Some(false),
        last_error: Some(format!("https://u:{SECRET}@grid.example/?k={SECRET} answered 403")),
        ..State::default()
    };
    let long_ago =
        State { last_check_in: Some("2020-01-01T00:00:00Z".parse().unwrap()), ..registered() };
    let directed = |directives| State { directives, ..registered() };
    let quarantined = directed(Directives { quarantined: true, ..Directives::default() });
    let ahead =
        directed(Directives { minimum_version: Some("99.0".to_owned()), ..Directives::default() });
    hold(vec![
        ("never registered", reporting(), "degraded 1 [not_registered]"),
        ("registered", reporting().remembering(&registered()), "healthy 0 []"),
        ("refused", reporting().remembering(&failed), "degraded 1 [registration_failed]"),
        (
            "refused once, and no GovAPI now",
            Machine::new().remembering(&failed),
            "degraded 1 [registration_failed]",
        ),
        ("idle", reporting().remembering(&long_ago), "healthy 0 []"),
        (
            "overdue",
            reporting().remembering(&long_ago).running(|_| ()),
            "degraded 1 [check_in_overdue]",
        ),
        ("quarantined", reporting().remembering(&quarantined), "unhealthy 2 [quarantined]"),
        ("too old", reporting().remembering(&ahead), "degraded 1 [version_below_minimum]"),
        (
            "garbled",
            reporting().remembering(&registered()).file(".thoth/run/endpoint.json", "{"),
            "unhealthy 2 [state_unreadable not_registered]",
        ),
        (
            "open to others",
            reporting().remembering(&quarantined).mode(".thoth/run/endpoint.json", 0o666),
            "unhealthy 2 [state_unreadable not_registered]",
        ),
    ]);
}

#[test]
fn what_sidecars_recorded_counts() {
    let contact = |reachable, pin_ok| {
        move |sidecar: &mut Sidecar| {
            sidecar.enforcer = Some(Contact {
                url: ENFORCER.to_owned(),
                asked_at: Some(sidecar.started_at),
                reachable: Some(reachable),
                latency_ms: Some(3.25),
                pin_ok: Some(pin_ok),
            });
        }
    };
    let rejected = |sidecar: &mut Sidecar| {
        sidecar.credentials = vec![credential::Standing {
            name: "api_key".to_owned(),
            source: "THOTH_API_KEY".to_owned(),
            fingerprint: Some("sha256:00000000".to_owned()),
            key_id: Some("k-1".to_owned()),
            generation: 1,
            loaded_at: None,
            expires_at: None,
            state: KeyState::Rejected,
        }];
    };
    hold(vec![
        ("one runs", asking().running(|_| ()), "healthy 0 []"),
        ("it asked", asking().running(contact(true, true)), "healthy 0 []"),
        ("in vain", asking().running(contact(false, true)), "degraded 1 [enforcer_unreachable]"),
        (
            "in vain, and that means allow",
            asking()
                .variable("THOTH_ENFORCER_FAILURE_DECISION", "allow")
                .running(contact(false, true)),
            "unhealthy 2 [failing_open]",
        ),
        ("a stranger", asking().running(contact(false, false)), "unhealthy 2 [pin_mismatch]"),
        ("its key is rejected", asking().running(rejected), "unhealthy 2 [api_key_rejected]"),
        (
            "an older one",
            asking().running(|sidecar| sidecar.version = "0.0.1".to_owned()),
            "degraded 1 [mixed_versions]",
        ),
    ]);
    let told = asking().running(contact(true, true)).health(&[]).report;
    assert_eq!(told["enforcer"]["source"], "recorded");
    assert_eq!(told["enforcer"]["latency_ms"], 3.25);
    assert_eq!(told["sidecars"][0]["decisions"]["allow"], 5);
}

#[test]
fn a_sidecar_that_has_ended_is_not_told_of() {
    let machine = Machine::new();
    let mut machine = machine.running(|_| ()).running(|_| ());
    assert_eq!(machine.health(&[]).report["sidecars"].as_array().unwrap().len(), 2);
    machine.end_one();
    assert_eq!(machine.health(&[]).report["sidecars"].as_array().unwrap().len(), 1);
}

#[test]
fn there_is_always_an_answer() {
    for (state, machine) in [
        ("a profile that is a file", Machine::new().file(".thoth", "x")),
        ("a home that is no directory", Machine::new().variable("HOME", "/dev/null")),
        ("a home that is not there", Machine::new().variable("HOME", "/nowhere/at/all")),
        ("a file in place of a directory", Machine::new().file(".thoth/run", "x")),
        ("a directory in place of a file", Machine::new().file(".thoth/run/endpoint.json/x", "x")),
        ("a pipe in place of a file", Machine::new().pipe(".thoth/run/endpoint.json")),
        ("a pipe in place of a key", Machine::new().pipe(".thoth/proxy_api_key.json")),
        ("a pipe in place of a sidecar", Machine::new().pipe(".thoth/run/sidecars/s.lock")),
        ("a pipe in place of a configuration", Machine::new().pipe(".thoth/thoth-config.json")),
        ("a pipe in place of a client's file", Machine::new().pipe(".cursor/mcp.json")),
        (
            "garbage",
            Machine::new()
                .file(".thoth/run/sidecars/s.json", "{")
                .file(".thoth/run/sidecars/s.lock", ""),
        ),
    ] {
        let told = machine.health(&[]);
        let status = machine.thoth(&["status", "--json"]);
        assert_eq!(status.status.code(), Some(0), "{state}");
        let proof: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(proof["clients"], told.report["clients"], "{state}");
    }
}

/// Of Cursor, with this entry.
fn cursor(entry: &str) -> Machine {
    let text = format!(r#"{{"mcpServers": {{"files": {entry}}}}}"#);
    Machine::new().file(".cursor/mcp.json", &text)
}

#[test]
fn servers_are_held_against_what_they_should_be() {
    let thoth = env!("CARGO_BIN_EXE_thoth");
    let wrapped =
        format!(r#"{{"command": "{thoth}", "args": ["run", "--agent-id", "files", "--", "npx"]}}"#);
    let imitated = r#"{"command": "HOME/thoth", "args": ["run", "--", "npx"]}"#;
    let weakened =
        format!(r#"{{"command": "{thoth}", "args": ["run", "--no-such-flag", "--", "npx"]}}"#);
    hold(vec![
        ("a client without servers", Machine::new().file(".cursor/mcp.json", "{}"), "healthy 0 []"),
        ("wrapped", cursor(&wrapped), "healthy 0 []"),
        ("bypassing", cursor(r#"{"command": "npx"}"#), "degraded 1 [config_drifted]"),
        (
            "remote",
            cursor(&format!(r#"{{"url": "https://u:{SECRET}@mcp.example/?k={SECRET}"}}"#)),
            "degraded 1 [server_ungoverned]",
        ),
        ("an imitation", cursor(imitated), "unhealthy 2 [server_tampered]"),
        ("a thoth that would not start", cursor(&weakened), "unhealthy 2 [server_tampered]"),
        (
            "half written",
            Machine::new().file(".cursor/mcp.json", r#"{"mcpServers": {"#),
            "degraded 1 [client_unreadable]",
        ),
        ("strange", cursor("7"), "degraded 1 [client_unreadable]"),
        (
            "nobody knows where",
            cursor(&wrapped).variable("THOTH_HOME_DIR", "HOME/.thoth").variable("HOME", ""),
            "degraded 1 [client_unreadable]",
        ),
    ]);

    let machine = cursor(&wrapped)
        .file(".gemini/settings.json", r#"{"mcpServers": {"git": {"command": "git-server"}}}"#);
    let told = machine.health(&[]).report;
    assert_eq!((&told["governed"], &told["ungoverned"]), (&1.into(), &1.into()));
    assert_eq!(told["config_drifted"], true);
    let clients = told["clients"].as_array().unwrap();
    let of = |id| clients.iter().find(|client| client["id"] == id).unwrap();
    assert_eq!(of("cursor")["servers"][0]["standing"], "wrapped");
    assert_eq!(of("cursor")["name"], "Cursor");
    assert_eq!(of("gemini")["servers"][0]["standing"], "bypassing");
    assert_eq!(of("gemini")["servers"][0]["can_be_wrapped"], true);
}

#[test]
fn keys_are_read_where_they_lie() {
    let key = format!(r#"{{"api_key": "{SECRET}", "key_id": "k-1"}}"#);
    let filed = |text: &str| {
        Machine::new()
            .variable("THOTH_ENFORCER_URL", ENFORCER)
            .variable("THOTH_API_KEY_FILE", "HOME/keys/key.json")
            .file("keys/key.json", text)
    };
    let revoking = filed(&key)
        .variable("THOTH_REVOKED_API_KEY_IDS_FILE", "HOME/lists/revoked")
        .file("lists/revoked", "k-1\n");
    let directed = State {
        registration_ok: Some(true),
        directives: Directives { revoked_key_ids: vec!["k-1".to_owned()], ..Directives::default() },
        ..State::default()
    };
    let printed = Machine::new()
        .variable("THOTH_ENV", "staging")
        .variable("THOTH_ENFORCER_URL", ENFORCER)
        .variable("THOTH_API_KEY_COMMAND", "/bin/false");
    let keyless =
        Machine::new().variable("THOTH_ENV", "staging").variable("THOTH_ENFORCER_URL", ENFORCER);
    hold(vec![
        ("a key in a file", filed(&key), "healthy 0 []"),
        ("a list names it", revoking, "unhealthy 2 [api_key_revoked]"),
        (
            "the GovAPI names it",
            filed(&key).remembering(&directed),
            "unhealthy 2 [api_key_revoked]",
        ),
        ("no key", keyless, "unhealthy 2 [api_key_missing]"),
        ("a program has it", printed, "healthy 0 []"),
    ]);
    let told = filed(&key).health(&[]).report;
    assert_eq!(told["api_key"]["key_id"], "k-1");
    assert_eq!(told["api_key"]["source"], "file");
    assert_eq!(told["api_key"]["state"], "ok");
    assert_eq!(told["credentials"][0]["name"], "api_key");

    for (state, machine) in [
        ("no such file", filed(&key).variable("THOTH_API_KEY_FILE", "HOME/keys/none")),
        ("an empty file", filed("")),
        ("half a file", filed(r#"{"api_key": "hun"#)),
        ("open to others", filed(&key).mode("keys/key.json", 0o644)),
    ] {
        let told = machine.health(&[]);
        assert_eq!(told.exit, 2, "{state}: {:#}", told.report);
    }
}
