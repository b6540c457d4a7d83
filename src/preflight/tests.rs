//! Every requirement, met and not met, written out.

use std::io::ErrorKind;

use super::*;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::Pin;
use crate::config::variables::Env;

/// A machine on which user 501, alone in group 501, runs thoth.
fn machine() -> Machine {
    Machine {
        os: "linux",
        user: Some("ann".into()),
        uid: Some(501),
        private_gid: Some(501),
        is_root: Some(false),
        ancestors: Some(vec!["zsh".into()]),
        ..Machine::default()
    }
}

fn config(strict: bool) -> Config {
    let environment = if strict { "prod" } else { "dev" };
    let env = Env::from_iter([
        ("HOME", "/home/ann"),
        ("THOTH_ENV", environment),
        ("THOTH_ENFORCER_URL", "https://e.example"),
    ]);
    crate::config::read(&RunFlags::default(), None, &env, &Layers::default()).into_config().unwrap()
}

/// The kind of failure that `check` finds for one requirement.
fn failure(id: &str, config: &Config, facts: &Facts) -> Option<Kind> {
    let findings = check(config, facts);
    let of_id: Vec<_> = findings.iter().filter(|finding| finding.id == id).collect();
    assert_eq!(of_id.len(), 1, "{id}: {findings:#?}");
    of_id[0].failure.as_ref().map(|failure| {
        assert!(!failure.fix.is_empty());
        failure.kind
    })
}

fn of(machine: Machine) -> Facts {
    Facts { machine, ..Facts::default() }
}

#[test]
fn a_sound_machine_passes() {
    for strict in [false, true] {
        let findings = check(&config(strict), &of(machine()));
        assert_eq!(pass(findings), Ok(()));
    }
}

#[test]
fn root_is_refused_where_it_must_not_be() {
    let mut settings = config(false);
    for (required, is_root, expected) in [
        (false, Some(false), None),
        (false, Some(true), None),
        (false, None, None),
        (true, Some(false), None),
        (true, Some(true), Some(Kind::Refused)),
        (true, None, Some(Kind::Refused)),
    ] {
        settings.preflight.require_non_root = required;
        let facts = of(Machine { is_root, ..machine() });
        let found = failure("non-root", &settings, &facts);
        assert_eq!(found, expected, "{required} {is_root:?}");
    }
    assert!(config(true).preflight.require_non_root);
}

#[test]
fn only_the_expected_user_may_run_it() {
    let mut settings = config(false);
    for (os, expected, user, found) in [
        ("linux", None, Some("ann"), None),
        ("linux", None, None, None),
        ("linux", Some("ann"), Some("ann"), None),
        ("linux", Some("ann"), Some("Ann"), Some(Kind::Refused)),
        ("linux", Some("ann"), Some("bob"), Some(Kind::Refused)),
        ("linux", Some("ann"), None, Some(Kind::Refused)),
        ("linux", Some("ann"), Some("corp\\ann"), Some(Kind::Refused)),
        ("windows", Some("ann"), Some("corp\\Ann"), None),
        ("windows", Some("CORP\\ann"), Some("corp\\ann"), None),
        ("windows", Some("other\\ann"), Some("corp\\ann"), Some(Kind::Refused)),
        ("windows", Some("ann"), Some("corp\\joann"), Some(Kind::Refused)),
    ] {
        settings.preflight.expected_user = expected.map(str::to_owned);
        let facts = of(Machine { os, user: user.map(str::to_owned), ..machine() });
        let kind = failure("expected-user", &settings, &facts);
        assert_eq!(kind, found, "{os} {expected:?} {user:?}");
    }
}

#[test]
fn only_the_expected_user_number_may_run_it() {
    let mut settings = config(false);
    for (expected, uid, found) in [
        (None, Some(501), None),
        (None, None, None),
        (Some(501), Some(501), None),
        (Some(501), Some(0), Some(Kind::Refused)),
        (Some(501), None, Some(Kind::Configuration)),
    ] {
        settings.preflight.expected_uid = expected;
        let facts = of(Machine { uid, ..machine() });
        let kind = failure("expected-uid", &settings, &facts);
        assert_eq!(kind, found, "{expected:?} {uid:?}");
    }
}

#[test]
fn nobody_else_can_get_at_what_thoth_depends_on() {
    use Role::{CaBundle, Home, Key, Policy};
    const REFUSED: Option<Kind> = Some(Kind::Refused);
    const ALONE: u32 = 501;
    const STAFF: u32 = 20;
    // role, mode, owner, group; what dev says, what prod says
    for (role, mode, uid, gid, dev, prod) in [
        (Key, 0o600, 501, ALONE, None, None),
        (Key, 0o400, 501, ALONE, None, None),
        (Key, 0o600, 0, 0, None, None),
        (Key, 0o640, 501, ALONE, None, None),
        (Key, 0o660, 501, ALONE, None, None),
        (Key, 0o640, 501, STAFF, REFUSED, REFUSED),
        (Key, 0o620, 501, STAFF, REFUSED, REFUSED),
        (Key, 0o604, 501, ALONE, REFUSED, REFUSED),
        (Key, 0o602, 501, ALONE, REFUSED, REFUSED),
        (Key, 0o644, 501, ALONE, REFUSED, REFUSED),
        (Key, 0o611, 501, STAFF, None, None),
        (Key, 0o600, 502, STAFF, None, REFUSED),
        (Policy, 0o644, 501, STAFF, None, None),
        (Policy, 0o664, 501, ALONE, None, None),
        (Policy, 0o664, 501, STAFF, REFUSED, REFUSED),
        (Policy, 0o646, 501, ALONE, REFUSED, REFUSED),
        (Policy, 0o666, 501, ALONE, REFUSED, REFUSED),
        (Policy, 0o644, 0, 0, None, None),
        (Policy, 0o644, 502, STAFF, None, REFUSED),
        (CaBundle, 0o644, 0, 0, None, None),
        (CaBundle, 0o666, 0, 0, REFUSED, REFUSED),
        (Home, 0o700, 501, ALONE, None, None),
        (Home, 0o755, 501, STAFF, None, None),
        (Home, 0o777, 501, ALONE, REFUSED, REFUSED),
        (Home, 0o1777, 501, ALONE, REFUSED, REFUSED),
    ] {
        let facts = facts_of(role, Access { mode, uid, gid }, &[]);
        for (strict, expected) in [(false, dev), (true, prod)] {
            let kind = failure(role.id(), &config(strict), &facts);
            assert_eq!(kind, expected, "{role:?} {mode:o} {uid} {gid} {strict}");
        }
    }
}

#[test]
fn nobody_else_can_put_another_file_in_its_place() {
    const REFUSED: Option<Kind> = Some(Kind::Refused);
    let own = Access { mode: 0o600, uid: 501, gid: 501 };
    for (mode, uid, gid, dev, prod) in [
        (0o755, 501, 20, None, None),
        (0o755, 0, 0, None, None),
        (0o775, 501, 501, None, None),
        (0o775, 501, 20, REFUSED, REFUSED),
        (0o777, 501, 501, REFUSED, REFUSED),
        (0o1777, 0, 0, None, None),
        (0o755, 502, 20, None, REFUSED),
    ] {
        let facts = facts_of(Role::Policy, own, &[own, Access { mode, uid, gid }]);
        for (strict, expected) in [(false, dev), (true, prod)] {
            let kind = failure("policy-file", &config(strict), &facts);
            assert_eq!(kind, expected, "{mode:o} {uid} {gid} {strict}");
        }
    }
}

fn facts_of(role: Role, access: Access, folders: &[Access]) -> Facts {
    Facts {
        files: vec![FileFacts {
            role,
            path: "/x".into(),
            readable: Ok(()),
            access: Some(access),
            folders: folders.to_vec(),
        }],
        ..of(machine())
    }
}

#[test]
fn what_is_named_must_be_there_but_for_the_home() {
    for (role, why, expected) in [
        (Role::Policy, ErrorKind::NotFound, Some(Kind::Configuration)),
        (Role::Key, ErrorKind::PermissionDenied, Some(Kind::Configuration)),
        (Role::CaBundle, ErrorKind::NotFound, Some(Kind::Configuration)),
        (Role::Home, ErrorKind::PermissionDenied, Some(Kind::Configuration)),
        (Role::Home, ErrorKind::NotFound, None),
    ] {
        let mut facts = of(machine());
        facts.files.push(FileFacts {
            role,
            path: "/x".into(),
            readable: Err(why),
            access: None,
            folders: Vec::new(),
        });
        let kind = failure(role.id(), &config(false), &facts);
        assert_eq!(kind, expected, "{role:?} {why}");
    }
}

#[test]
fn where_permissions_cannot_be_seen_the_finding_says_so() {
    let mut facts = facts_of(Role::Key, Access { mode: 0, uid: 0, gid: 0 }, &[]);
    facts.files[0].access = None;
    let findings = check(&config(true), &facts);
    let key = findings.iter().find(|finding| finding.id == "key-file");
    assert!(key.unwrap().text.contains("not checked on this system"));
}

#[test]
fn blocked_ancestors_need_a_system_that_tells_them() {
    let mut settings = config(false);
    let unknown = of(Machine { ancestors: None, ..machine() });
    assert_eq!(failure("ancestors", &settings, &unknown), None);
    settings.identity.blocked_ancestors = vec!["evil".into()];
    let kind = failure("ancestors", &settings, &unknown);
    assert_eq!(kind, Some(Kind::Configuration));
    assert_eq!(failure("ancestors", &settings, &of(machine())), None);
}

#[test]
fn aws_backed_certificates_are_named_where_they_are_required() {
    let mut settings = config(true);
    let arn = Some("arn:aws:acm:eu-west-1:1:certificate/x".to_owned());
    let word = Some("yes".to_owned());
    for (required, acm, authority, expected) in [
        (false, &None, &None, None),
        (true, &None, &None, Some(Kind::Configuration)),
        (true, &arn, &None, None),
        (true, &None, &arn, None),
        (true, &word, &word, Some(Kind::Configuration)),
    ] {
        settings.tls.require_aws_backed = required;
        settings.tls.aws_acm_cert_arn.clone_from(acm);
        settings.tls.aws_private_ca_arn.clone_from(authority);
        let kind = failure("aws-backed-certificates", &settings, &of(machine()));
        assert_eq!(kind, expected, "{required} {acm:?} {authority:?}");
    }
}

#[test]
fn a_live_pin_is_compared_where_it_must_be() {
    const REFUSED: Option<Kind> = Some(Kind::Refused);
    let mut settings = config(true);
    for (pinned, probe, probed, expected) in [
        (false, false, None, None),
        (true, false, None, None),
        (true, true, None, REFUSED),
        (true, true, Some(Ok(())), None),
        (true, true, Some(Err("another key".to_owned())), REFUSED),
        (true, false, Some(Err("another key".to_owned())), REFUSED),
    ] {
        settings.tls.pins = pinned.then_some(Pin::Leaf([0; 32])).into_iter().collect();
        settings.preflight.probe_pins = probe;
        let facts = Facts { pins: probed.clone(), ..of(machine()) };
        let kind = failure("pins", &settings, &facts);
        assert_eq!(kind, expected, "{pinned} {probe} {probed:?}");
    }
}

#[test]
fn a_refusal_lists_all_that_failed_and_what_to_do() {
    let mut settings = config(true);
    settings.preflight.expected_user = Some("thoth".into());
    let facts = of(Machine { is_root: Some(true), ..machine() });
    let refusal = pass(check(&settings, &facts)).unwrap_err();
    assert_eq!(refusal.kind(), Kind::Refused);
    assert_eq!(
        refusal.to_string(),
        "the server is not started\
         \n  non-root: thoth runs as root; start it as another user; or, if it must be root, \
         set THOTH_REQUIRE_NON_ROOT=false\
         \n  expected-user: thoth runs as ann, not as thoth; start it as thoth, \
         or change THOTH_EXPECTED_PROXY_USER"
    );

    settings.tls.require_aws_backed = true;
    let refusal = pass(check(&settings, &facts)).unwrap_err();
    assert_eq!(refusal.kind(), Kind::Configuration);
}
