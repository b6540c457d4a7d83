//! Reads what must hold before thoth trusts a peer, this machine, or itself.

use std::path::PathBuf;

use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Enforcer, Preflight, Tls};
use super::sources::{Origin, Overridden, Setting};
use super::variables as name;

/// Whose roots are trusted.
const BUNDLE: &[&name::Variable] = &[&name::TLS_CA_BUNDLE];

pub(super) fn tls(read: &mut Reader<'_>, strict: bool, enforcer: Option<&Enforcer>) -> Tls {
    let verified = read.optional(Setting::of(&[&name::TLS_VERIFY]), parse::boolean);
    let ca_bundle = read.optional(Setting::of(BUNDLE), parse::path);
    let tls = Tls {
        unverified: verified == Some(false),
        is_store_fixed: ca_bundle.is_none() && is_store_fixed(read),
        ca_bundle,
        pins: read.optional(Setting::of(&[&name::TLS_PINS]), parse::pins).unwrap_or_default(),
        require_aws_backed: read
            .optional(Setting::of(&[&name::TLS_REQUIRE_AWS]), parse::boolean)
            .unwrap_or(false),
        aws_acm_cert_arn: read.optional(Setting::of(&[&name::TLS_AWS_ACM]), parse::text),
        aws_private_ca_arn: read.optional(Setting::of(&[&name::TLS_AWS_PCA]), parse::text),
    };

    let verify = read.origin(name::TLS_VERIFY.name);
    if tls.unverified && strict {
        read.problem(
            verify,
            Wrong::new(
                "may not be off in staging and prod",
                "for a private authority, set THOTH_TLS_CA_BUNDLE instead",
            ),
        );
    } else if tls.unverified {
        read.notice(verify, "is off: whoever sits between here and the enforcer can decide");
    }
    if !tls.pins.is_empty() && enforcer.is_some_and(|enforcer| !is_https(enforcer)) {
        read.notice(
            read.origin(name::TLS_PINS.name),
            "has no effect: the enforcer is not asked over TLS",
        );
    }
    tls
}

/// Whether somebody moves the system's roots who may not say which ones are trusted.
fn is_store_fixed(read: &mut Reader<'_>) -> bool {
    let moves = [Setting::of(&[&name::CERT_FILE]), Setting::of(&[&name::CERT_DIR])];
    let mut is_fixed = false;
    for setting in moves {
        if !read.is_given(setting) {
            continue;
        }
        if read.is_locked(Setting::of(BUNDLE)) {
            read.overrides(Overridden {
                name: "tls_ca_bundle",
                by: Origin::Variable(setting.name),
            });
            is_fixed = true;
        } else {
            read.shared(setting, parse::path);
        }
    }
    is_fixed
}

pub(super) fn preflight(
    read: &mut Reader<'_>,
    strict: bool,
    enforcer: Option<&Enforcer>,
    tls: &Tls,
    key_files: Vec<PathBuf>,
) -> Preflight {
    let non_root = Setting::of(&[&name::REQUIRE_NON_ROOT]);
    let require_non_root = read.optional(non_root, parse::boolean);
    if require_non_root.is_none() && !read.is_given(non_root) {
        read.follows(non_root, if strict { "true" } else { "false" }, Origin::Default);
    }
    Preflight {
        require_non_root: require_non_root.unwrap_or(strict),
        expected_user: read.optional(Setting::of(&[&name::EXPECTED_USER]), parse::text),
        expected_uid: read.optional(Setting::of(&[&name::EXPECTED_UID]), parse::uid),
        probe_pins: strict && !tls.pins.is_empty() && enforcer.is_some_and(is_https),
        key_files,
    }
}

/// Without an enforcer, local rules decide: in staging and prod there must be some, on a
/// developer's machine the built-in ones will do. `tenant` is one that nobody else is told, either.
pub(super) fn nobody_remote(
    read: &mut Reader<'_>,
    strict: bool,
    no_rules: bool,
    tenant: Option<&str>,
) {
    // An address that was given and cannot be read is a problem of its own already.
    if strict && no_rules && read.problems.is_empty() {
        read.problem(
            Origin::Variable(name::ENFORCER_URL.name),
            Wrong::new(
                "is not set, and no rules are given: in staging and prod nothing would decide",
                "set it, or give --policy FILE",
            ),
        );
    }
    if tenant.is_some() {
        read.notice(
            read.origin(name::TENANT_ID.name),
            "has no effect without an enforcer: only the rules on this machine decide; \
             set THOTH_ENFORCER_URL, or THOTH_APEX_DOMAIN",
        );
    }
}

fn is_https(enforcer: &Enforcer) -> bool {
    enforcer.url.starts_with("https:")
}
