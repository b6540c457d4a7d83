//! What can be wrong with a machine: one stable word for each thing, for Smart Groups and rules.
//!
//! `docs/health.md` is held against [`ALL`] in both directions by `tests/documents_health.rs`.

use serde::{Serialize, Serializer};

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Which thing.
    pub code: Code,
    /// How bad it is; follows from the code.
    pub severity: Severity,
    /// What is wrong here, in a sentence without a secret.
    pub text: String,
    /// What to do about it.
    pub fix: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The machine is governed, less well than it should be: degraded.
    Warning,
    /// Calls are refused that should not be, or go on that should not: unhealthy.
    Error,
}

/// An enum with a word, a severity and a meaning for each variant, and the table of all.
macro_rules! codes {
    ($($variant:ident $severity:ident $word:literal $meaning:literal)*) => {
        /// Which thing is wrong.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        /// Every code, the errors first, in the order of the documentation.
        pub const ALL: &[Code] = &[$(Code::$variant),*];

        impl Code {
            /// Its stable word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)*
                }
            }

            /// What it means, in one line.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }
    };
}

codes! {
    // `thoth run` would refuse to start.
    ConfigurationInvalid Error "configuration_invalid" "a setting cannot be used, or in staging and prod nothing would decide: `thoth run` refuses to start"
    ManagedInvalid Error "managed_invalid" "the managed file cannot be read or used: `thoth run` refuses to start"
    ManagedUnsafe Error "managed_unsafe" "others than an administrator can change the managed file: `thoth run` refuses to start"
    PreflightRefused Error "preflight_refused" "`thoth run` refuses to start here: the user, or a file that others can reach"
    PolicyInvalid Error "policy_invalid" "a policy cannot be used: `thoth run` refuses to start"
    // Calls are refused, or go on undecided.
    StateUnreadable Error "state_unreadable" "what the GovAPI said to do cannot be read, so a quarantine may go unheeded"
    Quarantined Error "quarantined" "the GovAPI has put this machine under quarantine: every call is blocked"
    ApiKeyMissing Error "api_key_missing" "there is an enforcer and no key to ask it with"
    ApiKeyRejected Error "api_key_rejected" "the enforcer does not accept the key: calls are blocked"
    ApiKeyRevoked Error "api_key_revoked" "the key is on a list of revoked ones: calls are blocked"
    ApiKeyExpired Error "api_key_expired" "the key's own end has passed"
    PinMismatch Error "pin_mismatch" "the enforcer or the GovAPI shows a certificate that is not pinned: nothing is sent to it"
    CertificateExpired Error "certificate_expired" "the certificate of the enforcer or the GovAPI has expired"
    CertificateUntrusted Error "certificate_untrusted" "the certificate of the enforcer or the GovAPI is not trusted"
    FailingOpen Error "failing_open" "the enforcer cannot be reached, its silence means `allow`, and no rules stand beside it: calls go on undecided"
    ServerTampered Error "server_tampered" "a client starts something that looks like thoth around a server, and is not or is told less than it should be"
    // Governed, less well than it should be.
    ConfigDrifted Warning "config_drifted" "a client starts a server without thoth; `thoth wrap-config` would govern it"
    ServerUngoverned Warning "server_ungoverned" "a client uses a server that cannot be wrapped"
    ClientUnreadable Warning "client_unreadable" "a client's configuration, or one of its servers, cannot be read, so what it starts cannot be told"
    LockedOverride Warning "locked_override" "something tries to override a setting that the managed file locks; it has no effect"
    EnforcerUnreachable Warning "enforcer_unreachable" "the enforcer cannot be reached; its silence is decided as configured"
    ApiKeyStale Warning "api_key_stale" "the key's source cannot be read now; the last key is used"
    CertificateExpiring Warning "certificate_expiring" "the certificate of the enforcer or the GovAPI expires within 14 days"
    NotRegistered Warning "not_registered" "a GovAPI is configured, and this machine never registered"
    RegistrationFailed Warning "registration_failed" "the last registration at the GovAPI failed"
    CheckInOverdue Warning "check_in_overdue" "a sidecar runs, and the last check-in is more than three intervals ago"
    GovapiUnreachable Warning "govapi_unreachable" "the GovAPI cannot be reached"
    GovapiCredential Warning "govapi_credential" "a credential for the GovAPI is missing, rejected, revoked or cannot be read"
    UpstreamCredential Warning "upstream_credential" "what a server behind a URL is shown is missing, rejected, revoked or cannot be read: its calls may fail"
    VersionBelowMinimum Warning "version_below_minimum" "the GovAPI asks for a newer thoth"
    FrictionLost Warning "friction_lost" "friction events were lost: the spool was full or they were too old, the collector refused them, or they could not be read back"
    FrictionDropped Warning "friction_dropped" "a running sidecar could not tell all friction events: too many waited, or a place could not be written"
    FrictionWaiting Warning "friction_waiting" "a collector cannot be reached or does not take friction events now; they wait on this machine"
    MixedVersions Warning "mixed_versions" "a running sidecar is of another version than this thoth"
}

// === impl Problem ===

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, severity: code.severity(), text: text.into(), fix: fix.into() }
    }
}

// === impl Severity ===

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
