//! What `thoth run` can be told, as types: the outcome of reading the configuration.
//!
//! Values only, but for credentials, which are handles: what they hold may change while thoth
//! runs. A value of these types is valid; how it is written in a flag, a variable or a file is the
//! business of the other files of this folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName};

use super::UPSTREAM_TIMEOUT;
#[cfg(any(feature = "otlp", feature = "s3"))]
use super::ambient::Ambient;
use crate::credential::{Credential, Revocations};
use crate::friction::event::{Principal, Wire};
use crate::friction::inject::Additions;
use crate::friction::scrub::custom::Custom;
use crate::gate::answer::Denial;
use crate::gate::decide::{Mode, Outage, StepUp};
use crate::policy::Pack;
use crate::secret::SecretHeaders;

/// Everything `thoth run` was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who calls.
    pub identity: Identity,
    /// Where this machine stands.
    pub environment: Environment,
    /// How verdicts are enforced.
    pub mode: Mode,
    /// The policies of the managed file: nothing can make their verdict milder.
    pub managed: Policies,
    /// The policies of the profile and of the flags.
    pub policies: Policies,
    /// The remote enforcer, where one is configured.
    pub enforcer: Option<Enforcer>,
    /// The MCP server, where it is behind a URL.
    pub upstream: Option<Upstream>,
    /// What happens to a call that a person must agree to, where there is a hold to agree to.
    pub step_up: StepUp,
    /// The longest such a call waits, whatever the hold's own limit. Default 50 s.
    pub step_up_wait: Duration,
    /// Whether a person at this machine can answer for the local rules.
    pub local_approvals: LocalApprovals,
    /// What this machine says of itself to whoever manages it.
    pub endpoint: Endpoint,
    /// The GovAPI, where one is configured.
    pub govapi: Option<GovApi>,
    /// Where friction events go, where they go anywhere.
    pub friction: Option<Friction>,
    /// The keys that are not to be used: one list for all credentials.
    pub revocations: Revocations,
    /// How TLS peers are verified.
    pub tls: Tls,
    /// The shape of a refusal.
    pub denial: Denial,
    /// How the journal is kept.
    pub journal: Journal,
    /// What must hold before the child is started.
    pub preflight: Preflight,
    /// The longest line that is read, in bytes, newline excluded.
    pub max_message_bytes: usize,
    /// thoth's own directory: `~/.thoth`.
    pub home: PathBuf,
    /// What thoth logs on stderr.
    pub log: Log,
    /// What the reader of the configuration wants people to know, such as an ignored variable.
    pub notices: Vec<String>,
}

/// Where local rules are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policies {
    /// The built-in packs that a configuration file names. They are never looked for as files,
    /// which whoever owns the current directory could put there.
    pub packs: Vec<Pack>,
    /// The rule files, in the order given. From a flag, one that is not there may be a pack's name.
    pub files: Vec<PathBuf>,
}

/// Who calls, as far as rules and the enforcer are told. Self-declared by whoever starts thoth.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// The agent, or the name of the wrapped server's entry: `--agent-id`.
    pub agent_id: String,
    /// The tenant at the enforcer.
    pub tenant_id: Option<String>,
    /// The person.
    pub user_id: Option<String>,
    /// What the session is for, such as `phi_eligibility_check`.
    pub session_intent: Option<String>,
    /// Tools (and other permissions) this session is approved for.
    pub approved_scope: Vec<String>,
    /// Tool allow lists by session intent (`THOTH_INTENT_TOOL_ALLOWLIST`).
    pub intent_tools: Vec<(String, Vec<String>)>,
    /// Names of ancestor processes under which every call is blocked.
    pub blocked_ancestors: Vec<String>,
    /// Names of server commands for which every call is blocked.
    pub blocked_binaries: Vec<String>,
}

/// Where this machine stands. Decides the safe defaults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// A developer's machine. Built-in baseline rules apply where nothing is configured.
    Dev,
    /// Production.
    Prod,
    /// As strict as production.
    Staging,
}

/// The remote enforcer and how it is asked.
#[derive(Clone, Debug)]
pub struct Enforcer {
    /// Base URL without a trailing slash, `https`, or `http` to a loopback address.
    pub url: String,
    /// What thoth authenticates with; without one, no header is sent.
    pub api_key: Option<Credential>,
    /// The longest one question may take in all. Default 5 s.
    pub timeout: Duration,
    /// The longest connecting may take. Default 2 s.
    pub connect_timeout: Duration,
    /// What its silence means.
    pub outage: Outage,
    /// Optional members of the question, sent as they were given.
    pub context: RequestContext,
}

/// An MCP server behind a URL, and how it is reached.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `https`, or `http` to a loopback address; may have a path and a query, has no user and no
    /// fragment. Credentials are sent to its scheme, host and port, and nowhere else.
    pub url: hyper::Uri,
    /// How it is spoken to.
    pub transport: Transport,
    /// What thoth authenticates with, in one header.
    pub token: Option<Token>,
    /// Whose tokens it authenticates with: the name of a `thoth auth login`. Never beside a token.
    pub login: Option<String>,
    /// Secret headers that are replaced together. They go before the token, and before `headers`.
    pub secret_headers: Option<Credential<SecretHeaders>>,
    /// Headers that stay as they are, sent with every request. Those whose values came from a
    /// variable are marked sensitive.
    pub headers: HeaderMap,
    /// The longest silence of an answer. Default 300 s.
    pub timeout: Duration,
    /// Whether the proxy that the environment names is used. Default no.
    pub proxied: bool,
    /// The code of a JSON-RPC error that means what HTTP's 401 does, where the server has one.
    pub auth_error_code: Option<i64>,
    /// thoth's own directory, where logins are kept.
    pub home: PathBuf,
}

/// A secret, and how it is sent.
#[derive(Clone, Debug)]
pub struct Token {
    /// The secret.
    pub credential: Credential,
    /// The header's name. Default `authorization`.
    pub header: HeaderName,
    /// Whether `Bearer ` stands before it. Default yes.
    pub bearer: bool,
}

/// How a server behind a URL is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Transport {
    /// Streamable HTTP, or HTTP+SSE where the server knows only that.
    #[default]
    Auto,
    /// Streamable HTTP (MCP 2025-03-26 and later).
    Http,
    /// HTTP+SSE (MCP 2024-11-05).
    Sse,
}

/// Whether a person at this machine can answer for the local rules: whether this sidecar keeps holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LocalApprovals {
    /// Where the rule says that whoever made the call may agree to it; and in `dev` also where it
    /// does not say.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Optional members of an enforcement request; see `thoth-wire` §1.1 for their names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestContext {
    /// `purpose`
    pub purpose: Option<String>,
    /// `data_classification`
    pub data_classification: Option<String>,
    /// `task_context`: the text of a JSON object
    pub task_context: Option<String>,
    /// `delegation_context`: the text of a JSON object
    pub delegation_context: Option<String>,
    /// `auth_context`: the text of a JSON object
    pub auth_context: Option<String>,
    /// `metadata`: the text of a JSON object
    pub metadata: Option<String>,
    /// `model_name`
    pub model_name: Option<String>,
    /// `model_provider`
    pub model_provider: Option<String>,
    /// `model_artifact_id`
    pub model_artifact_id: Option<String>,
    /// `model_artifact_version`
    pub model_artifact_version: Option<String>,
    /// `enforcement_trace_id`, where it is not the session's id
    pub enforcement_trace_id: Option<String>,
    /// `action_attestation_id`, where it is not made anew for each call
    pub action_attestation_id: Option<String>,
    /// `mcp_runtime_identity`, sent inside `metadata`
    pub mcp_runtime_identity: Option<String>,
    /// `endpoint_id`
    pub endpoint_id: Option<String>,
}

/// What this machine says of itself to whoever manages it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    /// Its name in the device management: `THOTH_INTUNE_DEVICE_ID` and its like.
    pub managed_id: Option<String>,
    /// `THOTH_ENDPOINT_ID`.
    pub own_id: Option<String>,
    /// How it came under management.
    pub enrollment: Enrollment,
    /// The fleet it belongs to.
    pub fleet_id: Option<String>,
}

/// How a machine came under management.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Enrollment {
    /// By Intune.
    Intune,
    /// By Jamf.
    Jamf,
    /// By hand.
    Manual,
    /// It did not.
    #[default]
    Unmanaged,
}

/// The GovAPI: where this machine registers and checks in.
#[derive(Clone, Debug)]
pub struct GovApi {
    /// Base URL without a trailing slash, `https`, or `http` to a loopback address.
    pub url: String,
    /// The tenant, a part of every path.
    pub tenant: String,
    /// Sent as `Authorization: Bearer`.
    pub bearer_token: Option<Credential>,
    /// Sent as `X-Api-Key`.
    pub api_key: Option<Credential>,
    /// The enforcer's key, sent as both, where there is neither of the two.
    pub fallback_key: Option<Credential>,
    /// How often this machine checks in. Default 60 s.
    pub heartbeat: Duration,
    /// Whether the lists of tools are reported. Default yes.
    pub tool_inventory: bool,
}

/// Where friction events go, and what they are labelled with.
#[derive(Clone, Debug)]
pub struct Friction {
    /// The places; one at least.
    pub sinks: Vec<SinkPlace>,
    /// The account at the collector. `local` where nothing is said.
    pub tenant_id: String,
    /// Whose server is wrapped. `local` where nothing is said, which no collector is sent.
    pub vendor_id: String,
    /// What says that events may be sent. `local` where nothing is said, which no collector is
    /// sent.
    pub consent_token: String,
    /// What thoth authenticates with at the collectors.
    pub api_key: Option<Credential>,
    /// Which collectors accept the events.
    pub wire: Wire,
    /// Who uses the agent, as a pseudonym; `None` where that is not to be told.
    pub principal: Option<Principal>,
    /// What is scrubbed besides what always is.
    pub scrub: Custom,
    /// What is added to the session; `None` where nothing is.
    pub additions: Option<Additions>,
}

/// A place that events go to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SinkPlace {
    /// Standard error.
    Stderr,
    /// A file, by its whole path.
    File(PathBuf),
    /// A collector, by its base address without a trailing slash: `https`, or `http` to a loopback
    /// address.
    Http(String),
    /// An OpenTelemetry collector.
    #[cfg(feature = "otlp")]
    Otlp(OtlpPlace),
    /// A bucket of S3, or of something that speaks like it.
    #[cfg(feature = "s3")]
    S3(S3Place),
}

/// An OpenTelemetry collector that takes logs over HTTP.
#[cfg(feature = "otlp")]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct OtlpPlace {
    /// Where logs are posted to: `https`, or `http` to a loopback address.
    pub url: String,
    /// What its headers are read from: `OTEL_EXPORTER_OTLP_HEADERS` and the one for logs.
    pub ambient: Ambient,
}

/// A part of a bucket.
#[cfg(feature = "s3")]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// What stands before each key; may be empty, has no slash at either end.
    pub prefix: String,
    /// What credentials, region and endpoint are read from: the variables that AWS's own tools
    /// read.
    pub ambient: Ambient,
}

/// How TLS peers are verified.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tls {
    /// Whether the chain and the name are left unverified (`THOTH_TLS_VERIFY=false`). Pins are
    /// checked all the same. Never true in staging or prod.
    pub unverified: bool,
    /// PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Whether variables that move the system's roots (`SSL_CERT_FILE`, `SSL_CERT_DIR`) are set and
    /// must not count: which roots are trusted is locked.
    pub is_store_fixed: bool,
    /// The server's key or certificate must match one of these, where there are any.
    pub pins: Vec<Pin>,
    /// Whether an ARN of AWS-backed certificates must be configured, and whether one is.
    pub require_aws_backed: bool,
    /// `THOTH_TLS_AWS_ACM_CERT_ARN`
    pub aws_acm_cert_arn: Option<String>,
    /// `THOTH_TLS_AWS_PRIVATE_CA_ARN`
    pub aws_private_ca_arn: Option<String>,
}

/// A SHA-256 that a server must show in the handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pin {
    /// Of the leaf certificate, DER.
    Leaf([u8; 32]),
    /// Of the leaf's `SubjectPublicKeyInfo`, DER: survives a renewal with the same key.
    Spki([u8; 32]),
}

/// How the journal is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Journal {
    /// Whether calls go on where nothing can be written down (`--journal best-effort`).
    pub best_effort: bool,
    /// Whether arguments are written in full (`--journal-arguments full`), not as a salted hash.
    pub full_arguments: bool,
}

/// What must hold before the child is started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preflight {
    /// thoth must not run as root. Default on in staging and prod.
    pub require_non_root: bool,
    /// The user thoth must run as, by name.
    pub expected_user: Option<String>,
    /// The user thoth must run as, by number.
    pub expected_uid: Option<u32>,
    /// The enforcer's pins must match before the first call. On in staging and prod.
    pub probe_pins: bool,
    /// The files that credentials are read from: nobody else may read or write them.
    pub key_files: Vec<PathBuf>,
}

/// What thoth logs on stderr, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Log {
    /// How much.
    pub level: LogLevel,
    /// How it is written.
    pub format: LogFormat,
}

/// How much is logged: each level includes those before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What did not work.
    Error,
    /// What may not be as it was meant.
    #[default]
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// Every step.
    Trace,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object for each line.
    Json,
}

// === impl Policies ===

impl Policies {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.packs.len() + self.files.len()
    }
}

// === impl Upstream ===

impl Upstream {
    /// A server that is reached without credentials, and as it is where nothing else is said.
    pub fn new(url: hyper::Uri) -> Self {
        Self {
            url,
            transport: Transport::default(),
            token: None,
            login: None,
            secret_headers: None,
            headers: HeaderMap::new(),
            timeout: UPSTREAM_TIMEOUT,
            proxied: false,
            auth_error_code: None,
            home: PathBuf::new(),
        }
    }

    /// The host's name or address: what the server is called where nothing else names it.
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }
}

// === impl SinkPlace ===

impl SinkPlace {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        if let Self::File(path) = self { Some(path) } else { None }
    }

    /// Whether events leave this process for somebody else's.
    pub fn is_collector(&self) -> bool {
        match self {
            Self::Stderr | Self::File(_) => false,
            Self::Http(_) => true,
            #[cfg(feature = "otlp")]
            Self::Otlp(_) => true,
            #[cfg(feature = "s3")]
            Self::S3(_) => true,
        }
    }

    /// Whether it is shown the collector's key. Others have credentials of their own.
    pub fn is_shown_key(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}

/// As it is written in `BATON_EVENT_SINK`; holds nothing secret.
impl fmt::Display for SinkPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr:"),
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Http(url) => f.write_str(url),
            #[cfg(feature = "otlp")]
            Self::Otlp(OtlpPlace { url, .. }) => match url.strip_prefix("http") {
                Some(rest) => write!(f, "otlp{rest}"), // `https` becomes `otlps`
                None => f.write_str(url),
            },
            #[cfg(feature = "s3")]
            Self::S3(S3Place { bucket, prefix, .. }) if prefix.is_empty() => {
                write!(f, "s3://{bucket}")
            }
            #[cfg(feature = "s3")]
            Self::S3(S3Place { bucket, prefix, .. }) => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

// === impl Environment ===

impl Environment {
    /// The word for it in flags, in variables and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Prod => "prod",
            Self::Staging => "staging",
        }
    }

    /// Whether the strict defaults hold: everywhere but on a developer's machine.
    pub fn is_strict(self) -> bool {
        match self {
            Self::Dev => false,
            Self::Prod | Self::Staging => true,
        }
    }
}

// === impl Enrollment ===

impl Enrollment {
    /// The word for it in variables and on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intune => "intune",
            Self::Jamf => "jamf",
            Self::Manual => "manual",
            Self::Unmanaged => "unmanaged",
        }
    }
}
