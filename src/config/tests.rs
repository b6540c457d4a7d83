//! Reading the whole configuration: precedence, what follows from what, and what is said.

mod credentials;
mod files;
mod friction;
mod govapi;
mod locks;
mod rules;
mod upstream;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use proptest::prelude::*;

use super::flags::RunFlags;
use super::layers::Layers;
use super::settings::{
    Config, Environment, Journal, LocalApprovals, Log, LogFormat, LogLevel, Pin, Preflight, Tls,
};
use super::variables::{ALL, Env, Used};
use super::{InvalidConfig, Origin, Reading, read};
use crate::credential::Credential;
use crate::gate::answer::Denial;
use crate::gate::decide::{Mode, Outage, StepUp};
use crate::secret::fingerprint;

const URL: (&str, &str) = ("THOTH_ENFORCER_URL", "https://e.example");
const PROD: (&str, &str) = ("THOTH_ENV", "prod");

/// One right value for each variable that is read in a run.
const RIGHT: &[(&str, &str)] = &[
    ("THOTH_AGENT_ID", "agent-7"),
    ("THOTH_TENANT_ID", "acme"),
    ("THOTH_USER_ID", "a@example.com"),
    ("THOTH_SESSION_INTENT", "billing"),
    ("THOTH_APPROVED_SCOPE", "read, tool_call:write"),
    ("THOTH_INTENT_TOOL_ALLOWLIST", "billing=read|list"),
    ("THOTH_BLOCKED_LINEAGE_ANCESTOR_TOKENS", "evil,worse"),
    ("THOTH_BLOCKED_LINEAGE_UPSTREAM_BINARIES", "nc"),
    ("THOTH_ENV", "staging"),
    ("THOTH_ENVIRONMENT", "staging"),
    ("THOTH_ENFORCEMENT_MODE", "block"),
    ("THOTH_ENFORCEMENT", "block"),
    ("THOTH_ENFORCER_URL", "https://e.example/base/"),
    ("THOTH_API_URL", "https://e.example/base/"),
    ("THOTH_APEX_DOMAIN", "example.com"),
    ("THOTH_API_KEY", "thoth_live_1"),
    ("THOTH_ENFORCER_FAILURE_DECISION", "step_up"),
    ("THOTH_FAIL_OPEN", "no"),
    ("THOTH_ENFORCER_ALLOW_FALLBACK_OVERRIDE", "no"),
    ("THOTH_STEP_UP", "auto"),
    ("THOTH_STEP_UP_WAIT", "7"),
    ("THOTH_LOCAL_APPROVALS", "off"),
    ("THOTH_PURPOSE", "care"),
    ("THOTH_DATA_CLASSIFICATION", "phi"),
    ("THOTH_TASK_CONTEXT_JSON", "{\"t\":1}"),
    ("THOTH_DELEGATION_CONTEXT_JSON", "{\"d\":1}"),
    ("THOTH_AUTH_CONTEXT_JSON", "{\"a\":1}"),
    ("THOTH_REQUEST_METADATA_JSON", "{\"m\":1}"),
    ("THOTH_MCP_RUNTIME_IDENTITY", "spiffe"),
    ("THOTH_MODEL_NAME", "m"),
    ("THOTH_MODEL_PROVIDER", "p"),
    ("THOTH_MODEL_ARTIFACT_ID", "i"),
    ("THOTH_MODEL_ARTIFACT_VERSION", "v"),
    ("THOTH_ENFORCEMENT_TRACE_ID", "trace"),
    ("THOTH_ACTION_ATTESTATION_ID", "attestation"),
    ("THOTH_ENDPOINT_ID", "mac-7"),
    ("THOTH_INTUNE_DEVICE_ID", "B2-7"),
    ("INTUNE_DEVICE_ID", "B2-7"),
    ("THOTH_JAMF_COMPUTER_ID", "B2-7"),
    ("JAMF_COMPUTER_ID", "B2-7"),
    ("THOTH_FLEET_ID", "laptops"),
    ("THOTH_ENROLLMENT_SOURCE", "manual"),
    ("THOTH_GOVAPI_URL", "https://g.example/"),
    ("THOTH_GOV_API_URL", "https://g.example/"),
    ("THOTH_GOVAPI_BEARER_TOKEN", "eyJ0"),
    ("THOTH_GOVAPI_BEARER_TOKEN_FILE", "/run/token"),
    ("THOTH_GOVAPI_API_KEY", "thoth_live_2"),
    ("THOTH_GOVAPI_API_KEY_FILE", "/run/key"),
    ("THOTH_HEARTBEAT_INTERVAL_SECONDS", "5"),
    ("THOTH_TOOL_INVENTORY", "off"),
    ("THOTH_TLS_VERIFY", "yes"),
    ("THOTH_TLS_CA_BUNDLE", "/etc/ca.pem"),
    ("SSL_CERT_FILE", "/etc/other.pem"),
    ("SSL_CERT_DIR", "/etc/others"),
    (
        "THOTH_TLS_PINNED_CERT_SHA256",
        "abababababababababababababababababababababababababababababababab",
    ),
    ("THOTH_TLS_REQUIRE_AWS_BACKED_CERTS", "yes"),
    ("THOTH_TLS_AWS_ACM_CERT_ARN", "arn:aws:acm:x"),
    ("THOTH_TLS_AWS_PRIVATE_CA_ARN", "arn:aws:acm-pca:x"),
    ("THOTH_REQUIRE_NON_ROOT", "off"),
    ("THOTH_EXPECTED_PROXY_USER", "thoth"),
    ("THOTH_EXPECTED_PROXY_UID", "501"),
    ("THOTH_HOME_DIR", "/srv/thoth"),
    ("HOME", "/home/a"),
    ("USERPROFILE", "/home/a"),
    ("HOMEDRIVE", "C:"),
    ("HOMEPATH", "/home/a"),
    ("THOTH_LOG_LEVEL", "debug"),
    ("LOG_LEVEL", "debug"),
    ("THOTH_LOG_FORMAT", "json"),
    ("THOTH_API_KEY_COMMAND", "print-key"),
    ("THOTH_API_KEY_ID", "key-1"),
    ("BATON_EVENT_SINK", "stderr:, https://c.example/"),
    ("BATON_TENANT_ID", "ten_1"),
    ("BATON_CONSENT_TOKEN", "consented"),
    ("BATON_API_KEY", "baton_sk_1"),
    ("BATON_API_KEY_FILE", "/run/baton"),
    ("BATON_VENDOR_ID", "files"),
    ("THOTH_FRICTION", "on"),
    ("BATON_DISABLED", "no"),
    ("BATON_WIRE", "W2"),
    ("BATON_TENANT_TYPE", "customer"),
    ("BATON_INTENT_PARAM", "optional"),
    ("BATON_PROACTIVE", "on"),
    ("BATON_WHITE_LABEL", "1"),
    ("BATON_PRINCIPAL_ID_HMAC_KEY", "hmac-secret"),
    ("BATON_USER_ID_HMAC_KEY", "hmac-secret"),
    ("BATON_DSN", "https://baton_pk_1@d.example/ten_0123abcd/shelf"),
    ("THOTH_UPSTREAM_TOKEN", "up-1"),
    ("THOTH_UPSTREAM_TOKEN_ENV", "HOME"),
    ("THOTH_UPSTREAM_TOKEN_COMMAND", "print-token"),
    ("THOTH_UPSTREAM_TOKEN_KEYCHAIN", "thoth/ann"),
    ("THOTH_UPSTREAM_LOGIN", "linear"),
    ("THOTH_UPSTREAM_HEADER", "X-Team: blue"),
    ("THOTH_UPSTREAM_HEADER_ENV", "X-Home=HOME"),
    ("THOTH_UPSTREAM_HEADERS_COMMAND", "print-headers"),
    ("THOTH_UPSTREAM_AUTH_HEADER", "X-Token"),
    ("THOTH_UPSTREAM_AUTH_SCHEME", "none"),
    ("THOTH_UPSTREAM_AUTH_ERROR_CODE", "-32042"),
    ("THOTH_UPSTREAM_TRANSPORT", "sse"),
    ("THOTH_UPSTREAM_CREDENTIAL_GRACE", "0.5"),
    ("THOTH_UPSTREAM_TIMEOUT", "30"),
    ("THOTH_UPSTREAM_PROXY", "environment"),
    ("BATON_UPSTREAM_AUTH_TOKEN", "up-2"),
    ("BATON_UPSTREAM_TIMEOUT", "40"),
];

/// Read by the subcommands that print, in `cli::paint`, or with files of their own, below.
const READ_ELSEWHERE: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NO_COLOR",
    "XDG_RUNTIME_DIR",
    "BATON_SCRUB_RULES",
    "THOTH_UPSTREAM_HEADER_FILE",
    "THOTH_UPSTREAM_TOKEN_FILE",
    "THOTH_API_KEY_FILE",
    "THOTH_REVOKED_API_KEY_IDS_FILE",
];

/// Read by `clients::table`, and tested there.
const READ_FOR_CLIENTS: &[&str] = &[
    "APPDATA",
    "CLAUDE_CONFIG_DIR",
    "CLINE_DIR",
    "CODEX_HOME",
    "LOCALAPPDATA",
    "PATH",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "XDG_CONFIG_HOME",
];

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: RunFlags,
}

fn flags(words: &[&str]) -> RunFlags {
    Line::parse_from([&["thoth"], words].concat()).flags
}

fn reading(words: &[&str], env: &[(&str, &str)]) -> Reading {
    let home = ("HOME", "/home/a");
    let env: Env = [home].iter().chain(env).copied().collect();
    read(&flags(words), Some(OsStr::new("/usr/bin/npx")), &env, &Layers::default())
}

fn config(words: &[&str], env: &[(&str, &str)]) -> Config {
    reading(words, env).into_config().unwrap()
}

/// The fingerprint of the key, and its name at the issuer.
fn known(config: &Config) -> (Option<String>, Option<String>) {
    let key = config.enforcer.as_ref().and_then(|enforcer| enforcer.api_key.as_ref());
    let standing = key.map(Credential::standing);
    standing.map_or((None, None), |standing| (standing.fingerprint, standing.key_id))
}

fn refused(words: &[&str], env: &[(&str, &str)]) -> String {
    let error: InvalidConfig = reading(words, env).into_config().unwrap_err();
    error.to_string()
}

#[test]
fn with_nothing_set_a_newcomer_gets_the_safe_defaults_of_a_developers_machine() {
    let config = config(&[], &[]);

    assert_eq!(config.identity.agent_id, "npx");
    assert_eq!(config.environment, Environment::Dev);
    assert_eq!(config.mode, Mode::Progressive);
    assert_eq!(config.policies.count(), 0);
    assert!(config.enforcer.is_none());
    assert_eq!(config.tls, Tls::default());
    assert_eq!(config.denial, Denial::Auto);
    assert_eq!(config.step_up, StepUp::Return);
    assert_eq!(config.step_up_wait, Duration::from_secs(50));
    assert_eq!(config.local_approvals, LocalApprovals::Auto);
    assert_eq!(config.journal, Journal::default());
    assert_eq!(config.preflight, Preflight::default());
    assert_eq!(config.max_message_bytes, 64 * 1024 * 1024);
    assert_eq!(config.home, Path::new("/home/a/.thoth"));
    assert_eq!(config.log, Log::default());
    assert!(config.notices.is_empty(), "{:?}", config.notices);
}

#[test]
fn an_enforcer_is_asked_as_the_public_sdks_ask() {
    let enforcer = config(&[], &[URL]).enforcer.unwrap();
    assert_eq!(enforcer.timeout, Duration::from_secs(5));
    assert_eq!(enforcer.connect_timeout, Duration::from_secs(2));
    assert_eq!(enforcer.outage, Outage::Block);
    assert!(enforcer.api_key.is_none());
}

#[test]
fn every_variable_arrives_where_it_belongs() {
    let config = config(&[], RIGHT);

    let identity = &config.identity;
    assert_eq!(identity.agent_id, "agent-7");
    assert_eq!(identity.tenant_id.as_deref(), Some("acme"));
    assert_eq!(identity.user_id.as_deref(), Some("a@example.com"));
    assert_eq!(identity.session_intent.as_deref(), Some("billing"));
    assert_eq!(identity.approved_scope, ["read", "tool_call:write"]);
    let tools = vec!["read".to_owned(), "list".to_owned()];
    assert_eq!(identity.intent_tools, [("billing".to_owned(), tools)]);
    assert_eq!(identity.blocked_ancestors, ["evil", "worse"]);
    assert_eq!(identity.blocked_binaries, ["nc"]);

    assert_eq!(config.environment, Environment::Staging);
    assert_eq!(config.mode, Mode::Block);
    assert_eq!((config.step_up, config.step_up_wait), (StepUp::Auto, Duration::from_secs(7)));
    assert_eq!(config.local_approvals, LocalApprovals::Off);
    assert_eq!(config.home, Path::new("/srv/thoth"));
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.log.format, LogFormat::Json);

    assert_eq!(known(&config), (Some(fingerprint("thoth_live_1")), Some("key-1".to_owned())));
    let enforcer = config.enforcer.unwrap();
    assert_eq!(enforcer.url, "https://e.example/base");
    assert_eq!(enforcer.outage, Outage::StepUp);
    let context = enforcer.context;
    for (found, right) in [
        (context.purpose, "care"),
        (context.data_classification, "phi"),
        (context.task_context, "{\"t\":1}"),
        (context.delegation_context, "{\"d\":1}"),
        (context.auth_context, "{\"a\":1}"),
        (context.metadata, "{\"m\":1}"),
        (context.mcp_runtime_identity, "spiffe"),
        (context.model_name, "m"),
        (context.model_provider, "p"),
        (context.model_artifact_id, "i"),
        (context.model_artifact_version, "v"),
        (context.enforcement_trace_id, "trace"),
        (context.action_attestation_id, "attestation"),
        (context.endpoint_id, "mac-7"),
    ] {
        assert_eq!(found.as_deref(), Some(right));
    }

    assert_eq!(
        config.tls,
        Tls {
            unverified: false,
            ca_bundle: Some("/etc/ca.pem".into()),
            is_store_fixed: false,
            pins: vec![Pin::Leaf([0xab; 32])],
            require_aws_backed: true,
            aws_acm_cert_arn: Some("arn:aws:acm:x".into()),
            aws_private_ca_arn: Some("arn:aws:acm-pca:x".into()),
        }
    );
    assert_eq!(
        config.preflight,
        Preflight {
            require_non_root: false,
            expected_user: Some("thoth".into()),
            expected_uid: Some(501),
            probe_pins: true,
            key_files: Vec::new(),
        }
    );
}

#[test]
fn every_flag_arrives_where_it_belongs_and_goes_before_its_variable() {
    let words = [
        "--agent-id=f-agent",
        "--tenant-id=f-tenant",
        "--user-id=f-user",
        "--policy=a.toml",
        "--policy=b.toml",
        "--enforcer-url=http://localhost:1",
        "--enforcement-mode=shadow",
        "--session-intent=f-intent",
        "--approved-scope=f-scope",
        "--api-key=f-key",
        "--denial=result",
        "--step-up=wait",
        "--step-up-wait=60",
        "--local-approvals=auto",
        "--max-message-bytes=2048",
        "--journal=best-effort",
        "--journal-arguments=full",
        "--friction=events",
        "--env=dev",
    ];
    let config = config(&words, RIGHT);

    let identity = &config.identity;
    assert_eq!(identity.agent_id, "f-agent");
    assert_eq!(identity.tenant_id.as_deref(), Some("f-tenant"));
    assert_eq!(identity.user_id.as_deref(), Some("f-user"));
    assert_eq!(identity.session_intent.as_deref(), Some("f-intent"));
    assert_eq!(identity.approved_scope, ["f-scope"]);
    assert_eq!(config.policies.files, [Path::new("a.toml"), Path::new("b.toml")]);
    assert_eq!(config.mode, Mode::Observe);
    assert_eq!(config.environment, Environment::Dev);
    assert_eq!(config.denial, Denial::Result);
    assert_eq!(config.step_up, StepUp::Wait);
    assert_eq!(config.step_up_wait, Duration::from_mins(1));
    assert_eq!(config.local_approvals, LocalApprovals::Auto);
    assert_eq!(config.max_message_bytes, 2048);
    let journal = config.journal;
    assert!(journal.best_effort && journal.full_arguments);
    assert_eq!(known(&config).0, Some(fingerprint("f-key")));
    assert!(config.friction.unwrap().additions.is_none(), "events alone");
    let enforcer = config.enforcer.unwrap();
    assert_eq!(enforcer.url, "http://localhost:1");
    assert!(
        config.notices.iter().any(|notice| {
            notice.starts_with("--api-key: everybody on this machine can see it")
        })
    );
}

#[test]
fn a_variable_that_is_said_to_be_read_is_read() {
    for variable in ALL.iter().filter(|variable| variable.used == Used::Read) {
        if READ_ELSEWHERE.contains(&variable.name) || READ_FOR_CLIENTS.contains(&variable.name) {
            continue;
        }
        let right = RIGHT
            .iter()
            .find(|(name, _)| *name == variable.name)
            .unwrap_or_else(|| panic!("{} has no example", variable.name));
        let mut env = vec![*right];
        if variable.name.starts_with("HOME") {
            env.extend([("HOMEDRIVE", "C:"), ("HOMEPATH", "/home/a")]);
        }
        if variable.name == "THOTH_UPSTREAM_TOKEN_ENV" || variable.name.ends_with("HEADER_ENV") {
            env.push(("HOME", "/home/a")); // they name it
        }
        let flags = flags(&["--url=https://u.example/mcp"]);
        let reading = read(&flags, None, &env.into_iter().collect(), &Layers::default());
        let origin = Origin::Variable(variable.name);
        assert!(
            reading.shown().iter().any(|shown| shown.origin == origin),
            "{} is not read",
            variable.name
        );
    }
}

#[test]
fn all_problems_are_told_at_once_and_no_value_is() {
    let told = refused(
        &["--enforcement-mode=hunter2", "--step-up=hunter2"],
        &[
            ("THOTH_ENV", "hunter2"),
            ("THOTH_ENFORCER_URL", "http://hunter2.example"),
            ("THOTH_API_KEY", "hunter2 hunter2"),
            ("THOTH_TLS_PINNED_CERT_SHA256", "hunter2"),
            ("THOTH_AUTH_CONTEXT_JSON", "hunter2"),
            ("THOTH_EXPECTED_PROXY_UID", "hunter2"),
            ("THOTH_HOME_DIR", "hunter2"),
        ],
    );
    assert_eq!(
        told,
        "the configuration cannot be used\
         \n  THOTH_ENV: is no environment; write dev, staging or prod\
         \n  --enforcement-mode: is no enforcement mode; write observe, progressive, step_up or block\
         \n  THOTH_API_KEY: holds a character that cannot be sent in an HTTP header; write the key alone\
         \n  THOTH_ENFORCER_URL: is http to another machine; write https\
         \n  THOTH_AUTH_CONTEXT_JSON: is not a JSON object; write {\"name\": value}\
         \n  --step-up: is no way to step up; write return, wait, elicit or auto\
         \n  THOTH_TLS_PINNED_CERT_SHA256: has a pin that is not 64 hexadecimal digits; \
         `thoth doctor --tls URL` prints them\
         \n  THOTH_EXPECTED_PROXY_UID: is no user number; write what `id -u` prints\
         \n  THOTH_HOME_DIR: is not an absolute path; write it from the root on"
    );
}

/// A value nobody would write by chance, in the shapes that the parsers look into.
fn odd_value() -> impl Strategy<Value = (String, String)> {
    let token = "[a-z0-9]{6}".prop_map(|rest| format!("qz{rest}"));
    let shape = prop::sample::select(vec![
        "@",
        " @ ",
        "@,@",
        "@=@|@",
        "{\"@\":\"@\"}",
        "{\"@\":",
        "https://@.example",
        "http://@:80/@",
        "https://@@x.example",
        "sha256:@",
        "spki-sha256:@",
        "/@",
        "-@",
        "@\u{7}",
        "12@",
        "true@",
    ]);
    (token, shape).prop_map(|(token, shape)| (shape.replace('@', &token), token))
}

proptest! {
    #[test]
    fn no_value_of_any_variable_or_flag_is_ever_told(
        values in prop::collection::vec(
            (prop::sample::select(ALL.iter().map(|v| v.name).collect::<Vec<_>>()), odd_value()),
            1..12,
        ),
        flag in prop::sample::select(vec![
            "agent-id", "tenant-id", "user-id", "policy", "enforcer-url", "enforcement-mode",
            "session-intent", "approved-scope", "api-key", "api-key-file", "api-key-command",
            "denial", "step-up", "step-up-wait", "local-approvals", "max-message-bytes", "journal",
            "journal-arguments", "friction", "env", "url", "upstream-token-file",
            "upstream-token-env", "upstream-token-command", "upstream-token-keychain",
            "upstream-login", "upstream-header", "upstream-header-env", "upstream-header-file",
            "upstream-headers-command", "upstream-auth-header", "upstream-auth-scheme",
            "upstream-auth-error-code", "transport", "credential-grace", "upstream-timeout",
            "upstream-proxy",
        ]),
        (given, flag_token) in odd_value(),
        strict in any::<bool>(),
    ) {
        let env: Env = values
            .iter()
            .map(|(name, (value, _))| (*name, value.as_str()))
            .chain(strict.then_some(PROD))
            .collect();
        let given = format!("--{flag}={given}");
        let url = (flag != "url").then_some("--url=https://u.example/mcp");
        let words: Vec<_> = [&*given].into_iter().chain(url).collect();
        let reading = read(&flags(&words), None, &env, &Layers::default());
        let mut told = reading.draft().notices.clone();
        told.extend(reading.problems().iter().map(ToString::to_string));
        let told = told.join("\n");
        for token in values.iter().map(|(_, (_, token))| token).chain([&flag_token]) {
            prop_assert!(!told.contains(token.as_str()), "{told}");
        }
    }
}
