//! What must hold before the server is started.
//!
//! [`check`] is pure: settings and facts in, findings out. `thoth run` starts nothing unless all
//! of them are fine; `thoth doctor` shows the same list. [`Facts::gather`] looks at the files.
//!
//! On Windows, "root" means elevated, there are no user numbers, and the permissions of files are
//! not checked: they are lists there, which this version does not read, and says so.
//!
//! # Invariants
//!
//! - A fact that is required and unknown is a failure.
//! - A finding that failed always says what to do.

mod files;

use std::fmt;

pub use self::files::{Access, FileFacts, Role};

use crate::config::settings::{Config, Preflight};
use crate::machine::Machine;

/// What was found out about one requirement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// A stable word for programs, such as `non-root`.
    pub id: &'static str,
    /// What was found, for people.
    pub text: String,
    /// What is wrong with that, if anything.
    pub failure: Option<Failure>,
}

/// What is wrong with a finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Of which kind it is.
    pub kind: Kind,
    /// What to do about it.
    pub fix: String,
}

/// Kinds of failure: each has its exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The settings themselves cannot be used: exit code 78.
    Configuration,
    /// thoth could run, and must not, here or like this: exit code 77.
    Refused,
}

/// What the findings are made of, beside the settings.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// This machine and this process.
    pub machine: Machine,
    /// The files thoth depends on.
    pub files: Vec<FileFacts>,
    /// How the live enforcer's certificate compares with the pins; `None` where nobody looked.
    pub pins: Option<Result<(), String>>,
}

/// Every finding that failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Refusal(Vec<Finding>);

/// Checks every requirement, met or not.
pub fn check(config: &Config, facts: &Facts) -> Vec<Finding> {
    let machine = &facts.machine;
    let strict = config.environment.is_strict();
    let mut findings = vec![
        non_root(&config.preflight, machine),
        expected_user(&config.preflight, machine),
        expected_uid(&config.preflight, machine),
    ];
    findings.extend(facts.files.iter().map(|file| file.judge(machine, strict)));
    findings.push(ancestors(config, machine));
    findings.push(aws_backed(config));
    findings.push(pins(config, facts.pins.as_ref()));
    findings
}

/// Whether the server may be started.
///
/// # Errors
///
/// [`Refusal`], which lists every finding that failed.
pub fn pass(findings: Vec<Finding>) -> Result<(), Refusal> {
    let failed: Vec<_> = findings.into_iter().filter(|finding| finding.failure.is_some()).collect();
    if failed.is_empty() { Ok(()) } else { Err(Refusal(failed)) }
}

fn non_root(wanted: &Preflight, machine: &Machine) -> Finding {
    let id = "non-root";
    match (wanted.require_non_root, machine.is_root) {
        (_, Some(false)) => Finding::fine(id, "thoth does not run as root"),
        (false, Some(true)) => Finding::fine(id, "thoth runs as root, which is not forbidden here"),
        (false, None) => Finding::fine(id, "whether thoth runs as root is unknown, and allowed"),
        (true, Some(true)) => Finding::refused(
            id,
            "thoth runs as root",
            "start it as another user; or, if it must be root, set THOTH_REQUIRE_NON_ROOT=false",
        ),
        (true, None) => Finding::refused(
            id,
            "whether thoth runs as root cannot be found out",
            "set THOTH_REQUIRE_NON_ROOT=false if you know that it does not",
        ),
    }
}

fn expected_user(wanted: &Preflight, machine: &Machine) -> Finding {
    let id = "expected-user";
    let Some(expected) = &wanted.expected_user else {
        return Finding::fine(id, "no particular user is expected");
    };
    match &machine.user {
        Some(user) if is_same_user(machine.os, expected, user) => {
            Finding::fine(id, format!("thoth runs as {user}, as expected"))
        }
        user => Finding::refused(
            id,
            format!(
                "thoth runs as {}, not as {expected}",
                user.as_deref().unwrap_or("a user without a name")
            ),
            format!("start it as {expected}, or change THOTH_EXPECTED_PROXY_USER"),
        ),
    }
}

/// Windows has `DOMAIN\user`, in any case, and people leave the domain out.
fn is_same_user(os: &str, expected: &str, user: &str) -> bool {
    if os != "windows" {
        return expected == user;
    }
    let without_domain = user.rsplit_once('\\').map_or(user, |(_, name)| name);
    user.eq_ignore_ascii_case(expected) || without_domain.eq_ignore_ascii_case(expected)
}

fn expected_uid(wanted: &Preflight, machine: &Machine) -> Finding {
    let id = "expected-uid";
    match (wanted.expected_uid, machine.uid) {
        (None, _) => Finding::fine(id, "no particular user number is expected"),
        (Some(expected), Some(uid)) if expected == uid => {
            Finding::fine(id, format!("thoth runs as user {uid}, as expected"))
        }
        (Some(expected), Some(uid)) => Finding::refused(
            id,
            format!("thoth runs as user {uid}, not as user {expected}"),
            format!("start it as user {expected}, or change THOTH_EXPECTED_PROXY_UID"),
        ),
        (Some(_), None) => Finding::configuration(
            id,
            "a user number is expected, and this system has none",
            "unset THOTH_EXPECTED_PROXY_UID, and set THOTH_EXPECTED_PROXY_USER instead",
        ),
    }
}

fn ancestors(config: &Config, machine: &Machine) -> Finding {
    let id = "ancestors";
    match (config.identity.blocked_ancestors.len(), &machine.ancestors) {
        (0, _) => Finding::fine(id, "no ancestor process is blocked"),
        (count, Some(_)) => Finding::fine(id, format!("{count} names of ancestors are blocked")),
        (_, None) => Finding::configuration(
            id,
            "names of ancestor processes are blocked, and this system does not tell them",
            "unset THOTH_BLOCKED_LINEAGE_ANCESTOR_TOKENS, which works on Linux only",
        ),
    }
}

fn aws_backed(config: &Config) -> Finding {
    let id = "aws-backed-certificates";
    let tls = &config.tls;
    let is_arn = |arn: &Option<String>| arn.as_ref().is_some_and(|arn| arn.starts_with("arn:aws"));
    if !tls.require_aws_backed {
        Finding::fine(id, "AWS-backed certificates are not required")
    } else if is_arn(&tls.aws_acm_cert_arn) || is_arn(&tls.aws_private_ca_arn) {
        Finding::fine(id, "AWS-backed certificates are required, and named")
    } else {
        Finding::configuration(
            id,
            "AWS-backed certificates are required, and no ARN names one",
            "set THOTH_TLS_AWS_ACM_CERT_ARN or THOTH_TLS_AWS_PRIVATE_CA_ARN to an arn:aws:...",
        )
    }
}

fn pins(config: &Config, probed: Option<&Result<(), String>>) -> Finding {
    let id = "pins";
    match (config.tls.pins.len(), probed) {
        (0, _) => Finding::fine(id, "no certificate is pinned"),
        (_, Some(Ok(()))) => Finding::fine(id, "the enforcer shows a pinned certificate"),
        (_, Some(Err(why))) => Finding::refused(
            id,
            format!("the enforcer does not show a pinned certificate: {why}"),
            "compare THOTH_TLS_PINNED_CERT_SHA256 with `thoth doctor --tls URL`",
        ),
        (count, None) if !config.preflight.probe_pins => {
            Finding::fine(id, format!("{count} pins, checked in every handshake"))
        }
        (_, None) => Finding::refused(
            id,
            "the enforcer's certificate was not compared with the pins",
            "start thoth where the enforcer can be reached",
        ),
    }
}

// === impl Finding ===

impl Finding {
    /// Whether the requirement is met.
    pub fn is_fine(&self) -> bool {
        self.failure.is_none()
    }

    /// A requirement that is met.
    pub fn fine(id: &'static str, text: impl Into<String>) -> Self {
        Self { id, text: text.into(), failure: None }
    }

    /// A setting that cannot be used.
    pub fn configuration(
        id: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::failed(id, text, Kind::Configuration, fix)
    }

    fn refused(id: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::failed(id, text, Kind::Refused, fix)
    }

    fn failed(
        id: &'static str,
        text: impl Into<String>,
        kind: Kind,
        fix: impl Into<String>,
    ) -> Self {
        let fix = fix.into();
        Self { id, text: text.into(), failure: Some(Failure { kind, fix }) }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The kind of the whole: configuration, where any finding is of that kind, since that must
    /// be mended first.
    pub fn kind(&self) -> Kind {
        let is_configuration = |failure: &Failure| failure.kind == Kind::Configuration;
        if self.0.iter().any(|finding| finding.failure.as_ref().is_some_and(is_configuration)) {
            Kind::Configuration
        } else {
            Kind::Refused
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server is not started")?;
        for finding in &self.0 {
            write!(f, "\n  {}: {}", finding.id, finding.text)?;
            if let Some(failure) = &finding.failure {
                write!(f, "; {}", failure.fix)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
