//! What may stand in a `thoth-config.json`: every key, what its value is, and what locking it
//! takes along.
//!
//! A key is a variable's name in lower case without `THOTH_`, or a flag's name with `_` for `-`,
//! so that there is one vocabulary. `docs/thoth-config.schema.json` is held against [`ALL`] by a
//! test, and so is every variable: it has a key here, or a reason not to.

use super::parse;
use super::variables::{self as name, Variable, distance};

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As it stands in the file.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The setting it writes.
    pub of: Of,
}

/// How else the same setting can be written.
#[derive(Debug)]
pub enum Of {
    /// In this variable, and in a flag perhaps.
    Variable(&'static Variable),
    /// In this flag only.
    Flag {
        /// With its hyphens.
        name: &'static str,
        /// What it says, in one line.
        meaning: &'static str,
    },
}

/// What a value is, in JSON and beyond.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A program and its arguments: one text, or an array of texts, one for each.
    Command,
    /// A text with entries separated by commas, or an array of texts, one for each.
    List,
    /// A whole number.
    Number {
        /// Not less than this.
        least: u64,
        /// Not more than this.
        most: u64,
    },
    /// An object.
    Object,
    /// The path of a file, from the root on.
    Path {
        /// Whether who can change the file can change what is decided: in the managed file, it
        /// must be as safe as that file itself.
        governs: bool,
    },
    /// An array of rule files, from the root on, and names of built-in packs.
    Policies,
    /// Never a value, since the file is for everybody to read. It can be locked all the same.
    Secret,
    /// Some words on one line.
    Text,
    /// One of these words; those of one row mean the same.
    Word(&'static [&'static [&'static str]]),
}

/// What is locked together with a key, so that no hole is left by accident.
#[derive(Debug)]
pub struct Also {
    /// The key.
    pub key: &'static str,
    /// What is locked with it, and in turn with those.
    pub also: &'static [&'static str],
    /// What a user could do otherwise.
    pub why: &'static str,
}

const ENVIRONMENTS: Kind =
    Kind::Word(&[&["dev", "development"], &["staging"], &["prod", "production"]]);
const MODES: Kind =
    Kind::Word(&[&["observe", "shadow"], &["progressive"], &["step_up"], &["block"]]);

/// Every key, in the order of the documentation.
pub const ALL: &[Key] = &[
    // Who calls.
    key("tenant_id", Kind::Text, &name::TENANT_ID),
    key("agent_id", Kind::Text, &name::AGENT_ID),
    key("user_id", Kind::Text, &name::USER_ID),
    key("session_intent", Kind::Text, &name::SESSION_INTENT),
    key("approved_scope", Kind::List, &name::APPROVED_SCOPE),
    key("intent_tool_allowlist", Kind::List, &name::INTENT_TOOL_ALLOWLIST),
    key("blocked_lineage_ancestor_tokens", Kind::List, &name::BLOCKED_ANCESTORS),
    key("blocked_lineage_upstream_binaries", Kind::List, &name::BLOCKED_BINARIES),
    // How strict thoth is, and by which rules.
    key("environment", ENVIRONMENTS, &name::ENVIRONMENT),
    key("env", ENVIRONMENTS, &name::ENV),
    key("enforcement_mode", MODES, &name::ENFORCEMENT_MODE),
    key("enforcement", MODES, &name::ENFORCEMENT),
    flag(
        "policy",
        Kind::Policies,
        "--policy",
        "rule files and built-in packs; always in force, whatever else is given",
    ),
    flag(
        "denial",
        Kind::Word(&[&["auto"], &["error"], &["result"]]),
        "--denial",
        "the shape of a refusal",
    ),
    // The enforcer.
    key("enforcer_url", Kind::Text, &name::ENFORCER_URL),
    key("api_url", Kind::Text, &name::API_URL),
    key("apex_domain", Kind::Text, &name::APEX_DOMAIN),
    key("api_key", Kind::Secret, &name::API_KEY),
    key("api_key_file", Kind::Path { governs: false }, &name::API_KEY_FILE),
    key("api_key_command", Kind::Command, &name::API_KEY_COMMAND),
    key("api_key_id", Kind::Text, &name::API_KEY_ID),
    key("revoked_api_key_ids_file", Kind::Path { governs: true }, &name::REVOKED_API_KEY_IDS),
    key(
        "enforcer_failure_decision",
        Kind::Word(&[&["block"], &["step_up"], &["allow"]]),
        &name::FAILURE_DECISION,
    ),
    key("fail_open", Kind::Boolean, &name::FAIL_OPEN),
    key("enforcer_allow_fallback_override", Kind::Boolean, &name::ALLOW_FALLBACK_OVERRIDE),
    key("step_up", Kind::Word(&[&["return"], &["wait"], &["elicit"], &["auto"]]), &name::STEP_UP),
    key("step_up_wait", Kind::Number { least: 1, most: 86_400 }, &name::STEP_UP_WAIT),
    key("local_approvals", Kind::Word(&[&["auto"], &["off"]]), &name::LOCAL_APPROVALS),
    key("purpose", Kind::Text, &name::PURPOSE),
    key("data_classification", Kind::Text, &name::DATA_CLASSIFICATION),
    key("task_context_json", Kind::Object, &name::TASK_CONTEXT),
    key("delegation_context_json", Kind::Object, &name::DELEGATION_CONTEXT),
    key("auth_context_json", Kind::Object, &name::AUTH_CONTEXT),
    key("request_metadata_json", Kind::Object, &name::REQUEST_METADATA),
    key("mcp_runtime_identity", Kind::Text, &name::RUNTIME_IDENTITY),
    key("model_name", Kind::Text, &name::MODEL_NAME),
    key("model_provider", Kind::Text, &name::MODEL_PROVIDER),
    key("model_artifact_id", Kind::Text, &name::MODEL_ARTIFACT_ID),
    key("model_artifact_version", Kind::Text, &name::MODEL_ARTIFACT_VERSION),
    key("enforcement_trace_id", Kind::Text, &name::ENFORCEMENT_TRACE_ID),
    key("action_attestation_id", Kind::Text, &name::ACTION_ATTESTATION_ID),
    // Servers behind URLs. What one of them is shown belongs to that one, and has no key.
    key(
        "upstream_transport",
        Kind::Word(&[&["auto"], &["http"], &["sse"]]),
        &name::UPSTREAM_TRANSPORT,
    ),
    key(
        "upstream_credential_grace",
        Kind::Number { least: 0, most: 60 },
        &name::UPSTREAM_CREDENTIAL_GRACE,
    ),
    key("upstream_timeout", Kind::Number { least: 1, most: 86_400 }, &name::UPSTREAM_TIMEOUT),
    key("upstream_proxy", Kind::Word(&[&["off"], &["environment"]]), &name::UPSTREAM_PROXY),
    // TLS.
    key("tls_verify", Kind::Boolean, &name::TLS_VERIFY),
    key("tls_ca_bundle", Kind::Path { governs: true }, &name::TLS_CA_BUNDLE),
    key("tls_pinned_cert_sha256", Kind::List, &name::TLS_PINS),
    key("tls_pin_cache_seconds", Kind::Number { least: 0, most: 86_400 }, &name::TLS_PIN_CACHE),
    key("tls_require_aws_backed_certs", Kind::Boolean, &name::TLS_REQUIRE_AWS),
    key("tls_aws_acm_cert_arn", Kind::Text, &name::TLS_AWS_ACM),
    key("tls_aws_private_ca_arn", Kind::Text, &name::TLS_AWS_PCA),
    // Preflight, and this side.
    key("require_non_root", Kind::Boolean, &name::REQUIRE_NON_ROOT),
    key("expected_proxy_user", Kind::Text, &name::EXPECTED_USER),
    key("expected_proxy_uid", Kind::Number { least: 0, most: 4_294_967_295 }, &name::EXPECTED_UID),
    flag(
        "journal",
        Kind::Word(&[&["required"], &["best-effort"]]),
        "--journal",
        "whether a call that cannot be journalled is refused",
    ),
    flag(
        "journal_arguments",
        Kind::Word(&[&["hash"], &["full"]]),
        "--journal-arguments",
        "how arguments are journalled",
    ),
    flag(
        "max_message_bytes",
        Kind::Number { least: 1_024, most: 1_073_741_824 },
        "--max-message-bytes",
        "the longest line that is read, in bytes",
    ),
    key(
        "log_level",
        Kind::Word(&[&["off"], &["error"], &["warn"], &["info"], &["debug"], &["trace"]]),
        &name::LOG_LEVEL,
    ),
    key("log_format", Kind::Word(&[&["text"], &["json"]]), &name::LOG_FORMAT),
    // The GovAPI.
    key("govapi_url", Kind::Text, &name::GOVAPI_URL),
    key("gov_api_url", Kind::Text, &name::GOV_API_URL),
    key("govapi_bearer_token", Kind::Secret, &name::GOVAPI_BEARER_TOKEN),
    key("govapi_bearer_token_file", Kind::Path { governs: false }, &name::GOVAPI_TOKEN_FILE),
    key("govapi_api_key_file", Kind::Path { governs: false }, &name::GOVAPI_KEY_FILE),
    key("govapi_api_key", Kind::Secret, &name::GOVAPI_API_KEY),
    key("event_ingest_token", Kind::Secret, &name::EVENT_INGEST_TOKEN),
    key("tool_inventory", Kind::Boolean, &name::TOOL_INVENTORY),
    key("fleet_id", Kind::Text, &name::FLEET_ID),
    key("endpoint_id", Kind::Text, &name::ENDPOINT_ID),
    key(
        "enrollment_source",
        Kind::Word(&[&["jamf"], &["intune"], &["manual"], &["unmanaged"]]),
        &name::ENROLLMENT_SOURCE,
    ),
    key(
        "heartbeat_interval_seconds",
        Kind::Number { least: 1, most: 86_400 },
        &name::HEARTBEAT_INTERVAL,
    ),
    key("jamf_computer_id", Kind::Text, &name::THOTH_JAMF_COMPUTER_ID),
    key("intune_device_id", Kind::Text, &name::THOTH_INTUNE_DEVICE_ID),
    // Friction events.
    key("friction", Kind::Word(&[&["on"], &["events"], &["off"]]), &name::FRICTION),
    key("baton_disabled", Kind::Boolean, &name::BATON_DISABLED),
    key("baton_event_sink", Kind::List, &name::BATON_EVENT_SINK),
    key("baton_dsn", Kind::Secret, &name::BATON_DSN),
    key("baton_tenant_id", Kind::Text, &name::BATON_TENANT_ID),
    key("baton_vendor_id", Kind::Text, &name::BATON_VENDOR_ID),
    key("baton_consent_token", Kind::Text, &name::BATON_CONSENT_TOKEN),
    key("baton_api_key", Kind::Secret, &name::BATON_API_KEY),
    key("baton_api_key_file", Kind::Path { governs: false }, &name::BATON_API_KEY_FILE),
    key("baton_wire", Kind::Word(&[&["w1"], &["w2"], &["w3"]]), &name::BATON_WIRE),
    key(
        "baton_intent_param",
        Kind::Word(&[&["required"], &["optional"], &["off"]]),
        &name::BATON_INTENT_PARAM,
    ),
    key("baton_proactive", Kind::Boolean, &name::BATON_PROACTIVE),
    key("baton_white_label", Kind::Boolean, &name::BATON_WHITE_LABEL),
    key("baton_tenant_type", Kind::Word(&[&["vendor"], &["customer"]]), &name::BATON_TENANT_TYPE),
    key("baton_principal_id_hmac_key", Kind::Secret, &name::BATON_PRINCIPAL_ID_HMAC_KEY),
    key("baton_user_id_hmac_key", Kind::Secret, &name::BATON_USER_ID_HMAC_KEY),
    key("baton_scrub_rules", Kind::Path { governs: true }, &name::BATON_SCRUB_RULES),
];

/// Two keys of one setting: only one of them may stand in a file.
pub const ALIASES: &[(&str, &str)] = &[
    ("environment", "env"),
    ("enforcement_mode", "enforcement"),
    ("enforcer_url", "api_url"),
    ("govapi_url", "gov_api_url"),
    ("baton_principal_id_hmac_key", "baton_user_id_hmac_key"),
];

/// What goes together. `docs/managed-configuration.md` shows this table.
pub const ALSO: &[Also] = &[
    Also {
        key: "policy",
        also: &["enforcement_mode"],
        why: "observing lets every call pass, whatever the rules say",
    },
    Also {
        key: "enforcer_url",
        also: &[
            "apex_domain",
            "tenant_id",
            "tls_verify",
            "tls_pinned_cert_sha256",
            "enforcement_mode",
        ],
        why: "another tenant, or a peer that nobody verified, is another enforcer; observing lets every call pass",
    },
    Also {
        key: "apex_domain",
        also: &["enforcer_url", "govapi_url"],
        why: "an address that is given goes before one that is made from domain and tenant",
    },
    Also {
        key: "govapi_url",
        also: &["tenant_id", "tls_verify"],
        why: "another tenant, or a peer that nobody verified, is another GovAPI",
    },
    Also {
        key: "tls_pinned_cert_sha256",
        also: &["enforcer_url"],
        why: "an enforcer on this machine is asked without TLS, and shows no certificate",
    },
    Also {
        key: "tls_verify",
        also: &["tls_ca_bundle"],
        why: "an authority of one's own vouches for anybody",
    },
    Also { key: "tls_ca_bundle", also: &["tls_verify"], why: "without verification nobody looks" },
    Also {
        key: "tls_require_aws_backed_certs",
        also: &["tls_aws_acm_cert_arn", "tls_aws_private_ca_arn"],
        why: "any name would do",
    },
    Also {
        key: "environment",
        also: &["require_non_root", "enforcer_allow_fallback_override"],
        why: "both switch off what staging and prod switch on",
    },
    Also {
        key: "enforcer_failure_decision",
        also: &["fail_open", "enforcer_allow_fallback_override"],
        why: "both can mean that calls pass while the enforcer is silent",
    },
    Also {
        key: "fail_open",
        also: &["enforcer_failure_decision"],
        why: "it is another spelling of failure decision `allow`",
    },
    Also {
        key: "intent_tool_allowlist",
        also: &["session_intent"],
        why: "another intent has another list, or none",
    },
    Also {
        key: "api_key_file",
        also: &["api_key", "api_key_command"],
        why: "a key that is given goes before a file",
    },
    Also {
        key: "api_key_command",
        also: &["api_key", "api_key_file"],
        why: "a key that is given, or a file, goes before a command",
    },
    Also {
        key: "api_key",
        also: &["api_key_file", "api_key_command"],
        why: "a file and a command are where a key comes from, too",
    },
    Also {
        key: "govapi_bearer_token_file",
        also: &["govapi_bearer_token"],
        why: "a token that is given goes before a file",
    },
    Also {
        key: "govapi_api_key_file",
        also: &["govapi_api_key"],
        why: "a key that is given goes before a file",
    },
    Also {
        key: "friction",
        also: &["baton_disabled", "baton_event_sink", "baton_scrub_rules"],
        why: "the first switches events off, a place that nobody looks at is none, and other rules leave in what yours take out",
    },
    Also {
        key: "baton_disabled",
        also: &["friction"],
        why: "it switches the same events on and off",
    },
    Also {
        key: "baton_event_sink",
        also: &["friction", "baton_dsn", "baton_tenant_id", "baton_wire", "tls_verify"],
        why: "another tenant, or a peer that nobody verified, is another collector; one refuses the events of another generation; what is off goes nowhere",
    },
    Also {
        key: "baton_dsn",
        also: &["baton_event_sink"],
        why: "a place that is given goes before it",
    },
    Also {
        key: "baton_api_key_file",
        also: &["baton_api_key"],
        why: "a key that is given goes before a file",
    },
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    ALL.iter().find(|key| key.name == name)
}

/// The key that was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    const FAR: usize = 4;
    let folded = name.to_ascii_lowercase().replace('-', "_");
    let bare = folded.strip_prefix("thoth_").unwrap_or(&folded);
    ALL.iter()
        .map(|key| (distance(bare, key.name), key.name))
        .filter(|(distance, key)| *distance < FAR.min(key.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

const fn key(name: &'static str, kind: Kind, variable: &'static Variable) -> Key {
    Key { name, kind, of: Of::Variable(variable) }
}

const fn flag(key: &'static str, kind: Kind, name: &'static str, meaning: &'static str) -> Key {
    Key { name: key, kind, of: Of::Flag { name, meaning } }
}

// === impl Key ===

impl Key {
    /// What it says, in one line.
    pub fn meaning(&self) -> &'static str {
        match self.of {
            Of::Variable(variable) => variable.meaning,
            Of::Flag { meaning, .. } => meaning,
        }
    }

    /// Whether two texts say the same.
    pub(super) fn is_same(&self, one: &str, other: &str) -> bool {
        let (one, other) = (one.trim(), other.trim());
        if one == other {
            return true;
        }
        match self.kind {
            Kind::Boolean => {
                parse::boolean(one).is_ok_and(|value| parse::boolean(other) == Ok(value))
            }
            Kind::List => parse::entries(one).eq(parse::entries(other)),
            Kind::Word(rows) => {
                let (one, other) = (parse::folded(one), parse::folded(other));
                let has = |row: &[&str], word: &str| row.iter().any(|w| parse::folded(w) == word);
                one == other || rows.iter().any(|row| has(row, &one) && has(row, &other))
            }
            // An address with and without a slash at its end.
            Kind::Text => one.trim_end_matches('/') == other.trim_end_matches('/'),
            Kind::Command
            | Kind::Number { .. }
            | Kind::Object
            | Kind::Path { .. }
            | Kind::Policies
            | Kind::Secret => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::Used;

    const OF_ONE_SERVER: &str =
        "it belongs to one server, and from a file for all of them every URL would be shown it";

    /// Variables without a key, and why.
    const WITHOUT: &[(&str, &str)] = &[
        (
            "THOTH_HOME_DIR",
            "the profile is the user's, wherever it lies, and is found before any file",
        ),
        ("BATON_GUEST_MAX_CALLS", "it has no effect"),
        ("BATON_GUEST_MODE", "it has no effect"),
        ("BATON_PROXY_LOG_FILE", "it has no effect"),
        ("BATON_UPSTREAM_AUTH_TOKEN", OF_ONE_SERVER),
        ("BATON_UPSTREAM_TIMEOUT", "it is another name for a variable with a key"),
        ("THOTH_UPSTREAM_AUTH_ERROR_CODE", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_AUTH_HEADER", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_AUTH_SCHEME", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_HEADER", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_HEADERS_COMMAND", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_HEADER_ENV", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_HEADER_FILE", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_LOGIN", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_TOKEN", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_TOKEN_COMMAND", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_TOKEN_ENV", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_TOKEN_FILE", OF_ONE_SERVER),
        ("THOTH_UPSTREAM_TOKEN_KEYCHAIN", OF_ONE_SERVER),
    ];

    #[test]
    fn every_variable_has_its_key_or_a_reason() {
        for variable in name::ALL.iter().filter(|variable| variable.used != Used::Elsewhere) {
            let bare = match variable.name.strip_prefix("THOTH_") {
                Some(bare) => bare,
                None if variable.name.starts_with("BATON_") => variable.name,
                None => continue, // of other programs, too
            };
            let key = find(&bare.to_ascii_lowercase());
            let is_without = WITHOUT.iter().any(|(name, _)| *name == variable.name);
            assert!(
                key.is_some() != is_without,
                "{} wants a row in `config::keys::ALL`, so that it can be managed and locked",
                variable.name
            );
            if let Some(Key { of: Of::Variable(of), .. }) = key {
                assert_eq!(of.name, variable.name);
            }
        }
    }

    #[test]
    fn every_flag_has_its_key() {
        use clap::Args as _;
        let command = crate::config::flags::RunFlags::augment_args(clap::Command::new("run"));
        let told = command.get_arguments().filter(|flag| !flag.is_hide_set());
        for flag in told.filter_map(clap::Arg::get_long) {
            let key = flag.replace('-', "_");
            let upstream = format!("upstream_{key}");
            let variable = format!("THOTH_{}", key.to_ascii_uppercase());
            let is_without = flag == "url" // what is meant stands on the command line only
                || WITHOUT.iter().any(|(name, _)| *name == variable);
            let has_key = find(&key).is_some() || find(&upstream).is_some();
            assert!(has_key != is_without, "--{flag} wants a row in `config::keys::ALL`");
        }
    }

    #[test]
    fn every_name_that_is_named_is_a_key_and_no_key_stands_twice() {
        let mut names: Vec<_> = ALL.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let aliases = ALIASES.iter().flat_map(|(one, other)| [one, other]);
        let also = ALSO.iter().flat_map(|row| row.also.iter().chain([&row.key]));
        for name in aliases.chain(also) {
            assert!(find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_key_that_was_meant() {
        for (typed, meant) in [
            ("enforcment_mode", Some("enforcement_mode")),
            ("enforcementMode", Some("enforcement_mode")),
            ("THOTH_ENV", Some("env")),
            ("tls-verify", Some("tls_verify")),
            ("policies", Some("policy")),
            ("x", None),
            ("something_else", None),
        ] {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
    }

    #[test]
    fn texts_that_say_the_same_are_the_same() {
        let same = |key: &str, one, other| find(key).unwrap().is_same(one, other);
        assert!(same("env", "PROD", "production"));
        assert!(!same("env", "prod", "staging"));
        assert!(same("enforcement_mode", "Step-Up", "step_up"));
        assert!(same("tls_verify", "1", "true"));
        assert!(!same("tls_verify", "1", "maybe"));
        assert!(same("approved_scope", "a, b,", "a,b"));
        assert!(!same("approved_scope", "b,a", "a,b"));
        assert!(same("enforcer_url", "https://e.example/", "https://e.example"));
        assert!(!same("enforcer_url", "https://e.example:1", "https://e.example"));
    }
}
