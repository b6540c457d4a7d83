//! Every environment variable that thoth knows, and the environment itself as a value.
//!
//! `docs/environment.md` is held against [`ALL`] in both directions by `tests/documents.rs`. A
//! variable of this table that is [`Used::Read`] is really read, which a test of [`super`] shows.
//!
//! # Invariants
//!
//! - The environment is read once, by [`Env::of_process`], and in no other place of the crate.
//! - [`Env`] does not print its values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// One environment variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it says, in one line.
    pub meaning: &'static str,
    /// What holds where it is not set; a dash where nothing does.
    pub default: &'static str,
    /// What this version does with it.
    pub used: Used,
}

/// What this version of thoth does with a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Used {
    /// It is read.
    Read,
    /// It is accepted for the sake of older set-ups, and has no effect.
    Ignored,
    /// It is kept for a later version. Setting it is reported, so that nobody relies on it.
    Reserved,
    /// It belongs to the installer or to the administration tool. thoth itself never reads it.
    Elsewhere,
}

/// The environment of a process, or a table in tests.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, OsString>);

/// A constant for each variable, and the table of all.
macro_rules! variables {
    ($($constant:ident $name:literal $used:ident $default:literal $meaning:literal)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning)]
            pub const $constant: Variable = Variable {
                name: $name,
                meaning: $meaning,
                default: $default,
                used: Used::$used,
            };
        )*

        /// Every variable that thoth knows, in the order of the documentation.
        pub const ALL: &[Variable] = &[$($constant),*];
    };
}

variables! {
    // Who calls.
    AGENT_ID "THOTH_AGENT_ID" Read "the wrapped command's name" "the agent, or the name of the wrapped server's entry"
    TENANT_ID "THOTH_TENANT_ID" Read "-" "the tenant at the enforcer"
    USER_ID "THOTH_USER_ID" Read "-" "the person; most enforcers want an e-mail address"
    SESSION_INTENT "THOTH_SESSION_INTENT" Read "-" "what the session is for, such as `phi_eligibility_check`"
    APPROVED_SCOPE "THOTH_APPROVED_SCOPE" Read "-" "what the session is approved for, separated by commas"
    INTENT_TOOL_ALLOWLIST "THOTH_INTENT_TOOL_ALLOWLIST" Read "-" "the only tools of an intent: `intent=tool|tool,intent=tool`"
    BLOCKED_ANCESTORS "THOTH_BLOCKED_LINEAGE_ANCESTOR_TOKENS" Read "-" "names of ancestor processes under which every call is blocked, separated by commas (Linux)"
    BLOCKED_BINARIES "THOTH_BLOCKED_LINEAGE_UPSTREAM_BINARIES" Read "-" "names of server commands for which every call is blocked, separated by commas"

    // Where this machine stands, and how strict thoth is.
    ENV "THOTH_ENV" Read "`dev`" "`dev`, `staging` or `prod` (or in full: `development`, `production`)"
    ENVIRONMENT "THOTH_ENVIRONMENT" Read "-" "another name for `THOTH_ENV`, which goes first"
    ENFORCEMENT_MODE "THOTH_ENFORCEMENT_MODE" Read "`progressive`" "`observe` (or `shadow`), `progressive`, `step_up` or `block`"
    ENFORCEMENT "THOTH_ENFORCEMENT" Read "-" "another name for `THOTH_ENFORCEMENT_MODE`, which goes first"

    // The enforcer.
    ENFORCER_URL "THOTH_ENFORCER_URL" Read "-" "base address of the enforcer: `https`, or `http` to this machine"
    API_URL "THOTH_API_URL" Read "-" "another name for `THOTH_ENFORCER_URL`, which goes first"
    APEX_DOMAIN "THOTH_APEX_DOMAIN" Read "-" "with a tenant: the enforcer is `https://enforce.TENANT.APEX` and the GovAPI `https://grid.TENANT.APEX`, where no address says otherwise"
    API_KEY "THOTH_API_KEY" Read "-" "the key for the enforcer; goes before `THOTH_API_KEY_FILE`"
    API_KEY_FILE "THOTH_API_KEY_FILE" Read "-" "a file with the key, read at every use: as it is, or as JSON `{\"api_key\": \"...\"}`"
    API_KEY_COMMAND "THOTH_API_KEY_COMMAND" Read "-" "a command that prints the key, run without a shell; the last of the three"
    API_KEY_ID "THOTH_API_KEY_ID" Read "-" "the key's name at its issuer, where the file with the key says none"
    REVOKED_API_KEY_IDS "THOTH_REVOKED_API_KEY_IDS_FILE" Read "-" "a file with the ids of revoked keys, read at every use"
    FAILURE_DECISION "THOTH_ENFORCER_FAILURE_DECISION" Read "`block`" "what an enforcer's silence means: `block`, `step_up` or `allow`"
    FAIL_OPEN "THOTH_FAIL_OPEN" Read "`false`" "true is another spelling of failure decision `allow`, which goes first"
    ALLOW_FALLBACK_OVERRIDE "THOTH_ENFORCER_ALLOW_FALLBACK_OVERRIDE" Read "`false`" "true lets failure decision `allow` count in staging and prod"
    STEP_UP "THOTH_STEP_UP" Read "`return`" "what happens to a call that a person must agree to: `return`, `wait`, `elicit` or `auto`"
    STEP_UP_WAIT "THOTH_STEP_UP_WAIT" Read "`50`" "the longest such a call waits, in seconds: 1 to 86400"
    LOCAL_APPROVALS "THOTH_LOCAL_APPROVALS" Read "`auto`" "`off`: nobody at this machine can answer for the local rules"
    PURPOSE "THOTH_PURPOSE" Read "-" "sent to the enforcer as `purpose`"
    DATA_CLASSIFICATION "THOTH_DATA_CLASSIFICATION" Read "-" "sent as `data_classification`"
    TASK_CONTEXT "THOTH_TASK_CONTEXT_JSON" Read "-" "a JSON object, sent as `task_context`"
    DELEGATION_CONTEXT "THOTH_DELEGATION_CONTEXT_JSON" Read "-" "a JSON object, sent as `delegation_context`"
    AUTH_CONTEXT "THOTH_AUTH_CONTEXT_JSON" Read "-" "a JSON object, sent as `auth_context`"
    REQUEST_METADATA "THOTH_REQUEST_METADATA_JSON" Read "-" "a JSON object, sent as `metadata`"
    RUNTIME_IDENTITY "THOTH_MCP_RUNTIME_IDENTITY" Read "-" "sent as `mcp_runtime_identity` inside `metadata`"
    MODEL_NAME "THOTH_MODEL_NAME" Read "-" "sent as `model_name`"
    MODEL_PROVIDER "THOTH_MODEL_PROVIDER" Read "-" "sent as `model_provider`"
    MODEL_ARTIFACT_ID "THOTH_MODEL_ARTIFACT_ID" Read "-" "sent as `model_artifact_id`"
    MODEL_ARTIFACT_VERSION "THOTH_MODEL_ARTIFACT_VERSION" Read "-" "sent as `model_artifact_version`"
    ENFORCEMENT_TRACE_ID "THOTH_ENFORCEMENT_TRACE_ID" Read "the session's id" "sent as `enforcement_trace_id`"
    ACTION_ATTESTATION_ID "THOTH_ACTION_ATTESTATION_ID" Read "a new id for each call" "sent as `action_attestation_id`"

    // This machine in a fleet, and the GovAPI.
    THOTH_INTUNE_DEVICE_ID "THOTH_INTUNE_DEVICE_ID" Read "-" "this machine's name in Intune: its name in the GovAPI"
    INTUNE_DEVICE_ID "INTUNE_DEVICE_ID" Read "-" "the same where it is not set"
    THOTH_JAMF_COMPUTER_ID "THOTH_JAMF_COMPUTER_ID" Read "-" "this machine's name in Jamf: its name in the GovAPI, where Intune gives none"
    JAMF_COMPUTER_ID "JAMF_COMPUTER_ID" Read "-" "the same where it is not set"
    ENDPOINT_ID "THOTH_ENDPOINT_ID" Read "made of the system's machine id" "this machine's name in the GovAPI, where neither gives one; sent to the enforcer as `endpoint_id`"
    FLEET_ID "THOTH_FLEET_ID" Read "-" "the fleet this machine belongs to"
    ENROLLMENT_SOURCE "THOTH_ENROLLMENT_SOURCE" Read "by the names above, or `unmanaged`" "`jamf`, `intune`, `manual` or `unmanaged`"
    GOVAPI_URL "THOTH_GOVAPI_URL" Read "with a tenant and `THOTH_APEX_DOMAIN`: `https://grid.TENANT.APEX`" "base address of the GovAPI: `https`, or `http` to this machine"
    GOV_API_URL "THOTH_GOV_API_URL" Read "-" "another name for `THOTH_GOVAPI_URL`, which goes first"
    GOVAPI_BEARER_TOKEN "THOTH_GOVAPI_BEARER_TOKEN" Read "-" "token for the GovAPI, sent as `Authorization: Bearer`"
    GOVAPI_TOKEN_FILE "THOTH_GOVAPI_BEARER_TOKEN_FILE" Read "-" "a file with that token, read at every use"
    GOVAPI_API_KEY "THOTH_GOVAPI_API_KEY" Read "-" "key for the GovAPI, sent as `X-Api-Key`; with neither, the enforcer's key is sent"
    GOVAPI_KEY_FILE "THOTH_GOVAPI_API_KEY_FILE" Read "-" "a file with that key, read at every use"
    HEARTBEAT_INTERVAL "THOTH_HEARTBEAT_INTERVAL_SECONDS" Read "`60`" "how often this machine checks in, in seconds: 1 to 86400"
    TOOL_INVENTORY "THOTH_TOOL_INVENTORY" Read "`on`" "`off`: the lists of tools are not reported to the GovAPI"

    // A server behind a URL.
    UPSTREAM_TOKEN "THOTH_UPSTREAM_TOKEN" Read "-" "the token for a server behind a URL; goes before `THOTH_UPSTREAM_TOKEN_FILE`, and cannot be rotated"
    UPSTREAM_TOKEN_FILE "THOTH_UPSTREAM_TOKEN_FILE" Read "-" "a file with that token, read at every use: as it is, or as JSON `{\"token\": \"...\", \"expires_at\": \"...\"}`"
    UPSTREAM_TOKEN_ENV "THOTH_UPSTREAM_TOKEN_ENV" Read "-" "the name of another variable that holds that token, which cannot be rotated either"
    UPSTREAM_TOKEN_COMMAND "THOTH_UPSTREAM_TOKEN_COMMAND" Read "-" "a command that prints that token, run without a shell"
    UPSTREAM_TOKEN_KEYCHAIN "THOTH_UPSTREAM_TOKEN_KEYCHAIN" Read "-" "the token's entry in the system's keychain, `SERVICE/ACCOUNT` (builds with the feature `keychain`)"
    UPSTREAM_LOGIN "THOTH_UPSTREAM_LOGIN" Read "-" "the tokens of `thoth auth login NAME`"
    UPSTREAM_HEADER "THOTH_UPSTREAM_HEADER" Read "-" "headers for that server that hold no secret: `Name: value`, one on each line"
    UPSTREAM_HEADER_ENV "THOTH_UPSTREAM_HEADER_ENV" Read "-" "headers whose values are in variables: `Name=VARIABLE`, separated by commas"
    UPSTREAM_HEADER_FILE "THOTH_UPSTREAM_HEADER_FILE" Read "-" "a file with secret headers, read at every use: lines `Name: value`, or a JSON object"
    UPSTREAM_HEADERS_COMMAND "THOTH_UPSTREAM_HEADERS_COMMAND" Read "-" "a command that prints a JSON object of headers, run without a shell"
    UPSTREAM_AUTH_HEADER "THOTH_UPSTREAM_AUTH_HEADER" Read "`authorization`" "the header that the token is sent in"
    UPSTREAM_AUTH_SCHEME "THOTH_UPSTREAM_AUTH_SCHEME" Read "`Bearer`" "what stands before the token: `Bearer` or `none`"
    UPSTREAM_AUTH_ERROR_CODE "THOTH_UPSTREAM_AUTH_ERROR_CODE" Read "-" "the code of the JSON-RPC errors with which that server rejects a token under HTTP's 200"
    UPSTREAM_TRANSPORT "THOTH_UPSTREAM_TRANSPORT" Read "`auto`" "how that server is spoken to: `auto`, `http` or `sse`"
    UPSTREAM_CREDENTIAL_GRACE "THOTH_UPSTREAM_CREDENTIAL_GRACE" Read "`2`" "how long whoever replaces a rejected token is waited for, in seconds: 0 to 60"
    UPSTREAM_TIMEOUT "THOTH_UPSTREAM_TIMEOUT" Read "`300`" "the longest silence of an answer, in seconds: up to 86400"
    UPSTREAM_PROXY "THOTH_UPSTREAM_PROXY" Read "`off`" "`environment`: that server is reached by the proxy that `HTTPS_PROXY` and its kin name"
    BATON_UPSTREAM_AUTH_TOKEN "BATON_UPSTREAM_AUTH_TOKEN" Read "-" "another name for `THOTH_UPSTREAM_TOKEN`, which goes first, as does every other source"
    BATON_UPSTREAM_TIMEOUT "BATON_UPSTREAM_TIMEOUT" Read "-" "another name for `THOTH_UPSTREAM_TIMEOUT`, which goes first"

    // TLS.
    TLS_VERIFY "THOTH_TLS_VERIFY" Read "`true`" "false leaves chain and name unverified; refused in staging and prod"
    TLS_CA_BUNDLE "THOTH_TLS_CA_BUNDLE" Read "the system's roots" "a PEM file whose certificates are trusted instead"
    CERT_FILE "SSL_CERT_FILE" Read "-" "a PEM file in place of the system's roots, where neither `THOTH_TLS_CA_BUNDLE` nor a lock says which"
    CERT_DIR "SSL_CERT_DIR" Read "-" "directories of certificates in place of the system's roots; see `SSL_CERT_FILE`"
    TLS_PINS "THOTH_TLS_PINNED_CERT_SHA256" Read "-" "SHA-256 pins, separated by commas: hexadecimal or `sha256:` for the leaf certificate, `spki-sha256:` for its key"
    TLS_PIN_CACHE "THOTH_TLS_PIN_CACHE_SECONDS" Ignored "-" "pins are checked in every handshake, so there is nothing to cache"
    TLS_REQUIRE_AWS "THOTH_TLS_REQUIRE_AWS_BACKED_CERTS" Read "`false`" "true demands one of the two names below"
    TLS_AWS_ACM "THOTH_TLS_AWS_ACM_CERT_ARN" Read "-" "ARN of the enforcer's certificate in AWS Certificate Manager"
    TLS_AWS_PCA "THOTH_TLS_AWS_PRIVATE_CA_ARN" Read "-" "ARN of the AWS private authority that issued it"

    // Preflight.
    REQUIRE_NON_ROOT "THOTH_REQUIRE_NON_ROOT" Read "`true` in staging and prod" "true refuses to run as root (Windows: elevated)"
    EXPECTED_USER "THOTH_EXPECTED_PROXY_USER" Read "-" "the only user thoth may run as, by name"
    EXPECTED_UID "THOTH_EXPECTED_PROXY_UID" Read "-" "the only user thoth may run as, by number (not on Windows)"

    // This machine.
    HOME_DIR "THOTH_HOME_DIR" Read "`.thoth` in the home directory" "thoth's own directory"
    HOME "HOME" Read "-" "the home directory"
    USER_PROFILE "USERPROFILE" Read "-" "the home directory, where `HOME` is not set"
    HOME_DRIVE "HOMEDRIVE" Read "-" "with `HOMEPATH` the home directory, where neither is set"
    HOME_PATH "HOMEPATH" Read "-" "see `HOMEDRIVE`"
    LOG_LEVEL "THOTH_LOG_LEVEL" Read "`warn`" "what is logged on stderr: `off`, `error`, `warn`, `info`, `debug` or `trace`"
    ANY_LOG_LEVEL "LOG_LEVEL" Read "-" "the same where `THOTH_LOG_LEVEL` is not set; a word that thoth does not know is ignored"
    LOG_FORMAT "THOTH_LOG_FORMAT" Read "`text`" "how it is logged: `text` or `json`"
    NO_COLOR "NO_COLOR" Read "-" "anything: no colour on terminals"
    LOCALE_ALL "LC_ALL" Read "-" "a UTF-8 locale: lists on terminals have ✓ and ✗"
    LOCALE_TYPE "LC_CTYPE" Read "-" "the same where `LC_ALL` is not set"
    LOCALE "LANG" Read "-" "the same where neither is set"

    // Where the files of MCP clients lie.
    APPDATA "APPDATA" Read "-" "where programs keep a user's settings (Windows): clients' files are looked for there"
    LOCALAPPDATA "LOCALAPPDATA" Read "-" "the same, for this machine alone"
    PROGRAM_DATA "PROGRAMDATA" Read "-" "the same, for all users"
    PROGRAM_FILES "PROGRAMFILES" Read "-" "where programs are (Windows): files of administrators are looked for there"
    XDG_CONFIG_HOME "XDG_CONFIG_HOME" Read "-" "where programs keep a user's settings (Linux): clients' files are looked for there, and in `~/.config`"
    CLAUDE_CONFIG_DIR "CLAUDE_CONFIG_DIR" Read "-" "where Claude Code keeps `.claude.json`; it is looked for there, and in the home directory"
    CODEX_HOME "CODEX_HOME" Read "-" "Codex's directory; its file is looked for there, and in `~/.codex`"
    CLINE_DIR "CLINE_DIR" Read "-" "Cline's directory; its file is looked for there, and in `~/.cline`"
    PATH "PATH" Read "-" "where commands are looked for"
    XDG_RUNTIME_DIR "XDG_RUNTIME_DIR" Read "-" "`thoth launch` writes below it, where nobody else may enter it; else in thoth's own directory"
    LAUNCH_SECRET "THOTH_LAUNCH_SECRET" Elsewhere "-" "set by `thoth launch --serve`, for the client: what it must know to use its servers"
    ANTHROPIC_API_KEY "ANTHROPIC_API_KEY" Read "-" "anything: `thoth scan` says that the agent may charge what it does to this key"

    // Known, for later versions.
    EVENT_INGEST_TOKEN "THOTH_EVENT_INGEST_TOKEN" Reserved "-" "token for sending events"
    BATON_GUEST_MODE "BATON_GUEST_MODE" Reserved "-" "of baton-proxy, unreleased: calls of read-only tools only; a policy does that here"
    BATON_GUEST_MAX_CALLS "BATON_GUEST_MAX_CALLS" Reserved "-" "of baton-proxy, unreleased: how many calls; a policy does that here"

    // Friction events.
    FRICTION "THOTH_FRICTION" Read "`on` where `BATON_EVENT_SINK` or `BATON_DSN` says where to, else `off`" "`on`: friction events, and what agents are asked for; `events`: nothing is added to the session; `off`: neither"
    BATON_DISABLED "BATON_DISABLED" Read "`off`" "neither, unless it says no; goes before `THOTH_FRICTION`"
    BATON_EVENT_SINK "BATON_EVENT_SINK" Read "`friction/events.jsonl` in thoth's own directory" "where friction events go, separated by commas: `stderr:`, `file:///path`, `https://HOST`"
    BATON_DSN "BATON_DSN" Read "-" "key, collector, tenant and vendor in one: `https://KEY@HOST/TENANT/SERVER`; the variables below go first"
    BATON_TENANT_ID "BATON_TENANT_ID" Read "`local`" "the tenant at the collector"
    BATON_CONSENT_TOKEN "BATON_CONSENT_TOKEN" Read "`local`" "consent to send friction events; a collector needs it"
    BATON_API_KEY "BATON_API_KEY" Read "-" "key for the collector; goes before `BATON_API_KEY_FILE`"
    BATON_API_KEY_FILE "BATON_API_KEY_FILE" Read "-" "a file with that key, read at every use"
    BATON_VENDOR_ID "BATON_VENDOR_ID" Read "`local`" "the wrapped server's vendor; a collector needs it"
    BATON_TENANT_TYPE "BATON_TENANT_TYPE" Read "`vendor`" "`vendor` or `customer`: a customer has the report tool also where events go to a collector"
    BATON_WIRE "BATON_WIRE" Read "`w3`" "the generation of collectors that events are for: `w1`, `w2` or `w3`"
    BATON_INTENT_PARAM "BATON_INTENT_PARAM" Read "`required`" "whether tools ask agents what they want: `required`, `optional` or `off`; never enforced"
    BATON_PROACTIVE "BATON_PROACTIVE" Read "`off`" "`on`: agents are asked to say what they are about to do, before anything went wrong"
    BATON_WHITE_LABEL "BATON_WHITE_LABEL" Read "`off`" "`on`: the names of the tools that are added begin with `BATON_VENDOR_ID`, not with `baton`"
    BATON_PRINCIPAL_ID_HMAC_KEY "BATON_PRINCIPAL_ID_HMAC_KEY" Read "-" "key that makes the pseudonym of `THOTH_USER_ID` in events; without one, events do not say who"
    BATON_USER_ID_HMAC_KEY "BATON_USER_ID_HMAC_KEY" Read "-" "another name for `BATON_PRINCIPAL_ID_HMAC_KEY`, which goes first"
    BATON_SCRUB_RULES "BATON_SCRUB_RULES" Read "-" "a TOML file of what to take out of events besides what always is"
    BATON_PROXY_LOG_FILE "BATON_PROXY_LOG_FILE" Ignored "-" "thoth logs on stderr, which clients keep; see `THOTH_LOG_LEVEL`"

    // Of other programs of the same name.
    INSTALL_DIR "THOTH_INSTALL_DIR" Elsewhere "-" "installer: where to"
    VERSION "THOTH_VERSION" Elsewhere "-" "installer: which version"
    ORG_API_KEY "THOTH_ORG_API_KEY" Elsewhere "-" "administration tool: key"
    ADMIN_BEARER_TOKEN "THOTH_ADMIN_BEARER_TOKEN" Elsewhere "-" "administration tool: token"
    ADMIN_BEARER_TOKEN_FILE "THOTH_ADMIN_BEARER_TOKEN_FILE" Elsewhere "-" "administration tool: a file with the token"
    AUTH_SESSION_FILE "THOTH_AUTH_SESSION_FILE" Elsewhere "-" "administration tool: where it keeps its session"
}

/// The variable of this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

/// The known variable whose name is most like this one, if any is like it at all: at most three
/// characters are added, left out, changed, or swapped with the next.
pub fn nearest(name: &str) -> Option<&'static Variable> {
    const FAR: usize = 4;
    ALL.iter()
        .map(|variable| (distance(name, variable.name), variable))
        .filter(|(distance, _)| *distance < FAR)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, variable)| variable)
}

/// How many single edits lead from one name to the other (optimal string alignment).
pub(super) fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut edits = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                edits = edits.min(before[j - 1] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

// === impl Env ===

impl Env {
    /// Reads the environment of this process. Names that are not UTF-8 are left out: none of
    /// thoth's is one.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .map(|(mut name, value)| {
                if cfg!(windows) {
                    name.make_ascii_uppercase(); // names have no case there
                }
                (name, value)
            })
            .collect()
    }

    /// Every variable of this process, as it is: for the child, which is not given ours.
    pub fn whole() -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }

    /// The value of a variable; `None` where it is not set.
    pub fn get(&self, variable: &Variable) -> Option<&OsStr> {
        self.0.get(variable.name).map(OsString::as_os_str)
    }

    /// Whether a variable is set to more than blanks.
    pub fn has(&self, variable: &Variable) -> bool {
        self.get(variable).is_some_and(|value| !value.to_string_lossy().trim().is_empty())
    }

    /// The names of those that are set and are thoth's own, which no program it runs is to see.
    pub fn ours(&self) -> Vec<String> {
        let is_ours = |name: &&str| name.starts_with("THOTH_") || name.starts_with("BATON_");
        self.names().filter(is_ours).map(str::to_owned).collect()
    }

    /// The value of a variable whose name is made of something.
    pub(super) fn of_name(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// The text of any variable, where it is set and UTF-8: for references to it.
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.text(name)
    }

    /// The text of a variable that is not thoth's, where it is set and UTF-8.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.to_str().map(str::to_owned)
    }

    /// Takes a variable out that another part of thoth is told by the user to read.
    pub fn take(&mut self, name: &str) -> Option<OsString> {
        self.0.remove(name)
    }

    /// The text of a variable that a setting names, without blanks around it, where it is set to
    /// more than blanks and is UTF-8.
    pub(super) fn named(&self, name: &str) -> Option<String> {
        let name = name.trim();
        let found = if cfg!(windows) {
            self.text(&name.to_ascii_uppercase()) // names have no case there
        } else {
            self.text(name)
        };
        found.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Every name that is set, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let mut names: Vec<_> = ALL.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name_that_was_meant() {
        for (typed, meant) in [
            ("THOTH_ENFORCR_URL", Some("THOTH_ENFORCER_URL")),
            ("THOTH_ENV_", Some("THOTH_ENV")),
            ("THOTH_TLS_VERFIY", Some("THOTH_TLS_VERIFY")),
            ("THOTH_APIKEY", Some("THOTH_API_KEY")),
            ("THOTH_REQUIRE_NONROOT", Some("THOTH_REQUIRE_NON_ROOT")),
            ("THOTH_SOMETHING_ELSE", None),
        ] {
            let found = nearest(typed).map(|variable| variable.name);
            assert_eq!(found, meant, "{typed}");
        }
    }

    #[test]
    fn a_swap_is_one_edit_and_an_equal_name_none() {
        for (one, other, edits) in [
            ("", "", 0),
            ("A", "", 1),
            ("", "AB", 2),
            ("AB", "BA", 1),
            ("ABC", "ABC", 0),
            ("ABC", "AXC", 1),
            ("ABCD", "ACBD", 1),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
        }
    }

    #[test]
    fn the_environment_does_not_print_its_values() {
        let env = Env::from_iter([("THOTH_API_KEY", "hunter2")]);
        assert_eq!(format!("{env:?}"), r#"{"THOTH_API_KEY"}"#);
    }

    #[test]
    fn the_environment_of_the_process_is_the_one_it_was_started_with() {
        assert!(Env::of_process().names().any(|name| name == "PATH"));
    }
}
