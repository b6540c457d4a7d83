//! Jamf's policy scripts and Kandji's: what they do, and what they refuse.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use thoth::config::layers::Layers;

use crate::mac::{Ended, Mac};

const CONFIGURATION: &str = "Library/Application Support/Thoth/thoth-config.json";

/// Calls without the count of variables: who, in which home, with what.
fn calls(mac: &Mac) -> Vec<String> {
    let short = |call: String| {
        let words: Vec<_> = call.split(' ').filter(|word| word.parse::<u32>().is_err()).collect();
        words.join(" ")
    };
    mac.calls().into_iter().map(short).collect()
}

// === wrap, remediate, audit ===

#[test]
fn wrapping_reaches_everybody_with_a_home_or_the_one_at_the_screen() {
    let mac = Mac::with_thoth("exit 0");
    assert_eq!(mac.run("jamf/policies/wrap.sh", &[]).code, 0);
    let everybody = ["alice alice wrap-config --all", "bob bob the second wrap-config --all"];
    assert_eq!(calls(&mac), everybody);
    let mac = Mac::with_thoth("exit 0");
    assert_eq!(mac.run("jamf/policies/wrap.sh", &["console"]).code, 0);
    assert_eq!(calls(&mac), everybody[..1]);
    let mac = Mac::with_thoth("exit 0");
    let ended = mac.run("jamf/policies/wrap.sh", &["evrybody"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.err, "thoth: $4 is 'evrybody', and must be everyone or console\n");
    assert!(mac.calls().is_empty());
}

#[test]
fn what_fails_for_one_is_tried_for_the_next_and_told() {
    for script in ["jamf/policies/wrap.sh", "kandji/remediation.sh"] {
        let mac = Mac::with_thoth("[ \"$USER\" != alice ] || exit 74");
        assert_eq!(mac.run(script, &[]).code, 1, "{script}");
        assert_eq!(mac.calls().len(), 2, "{script}");
    }
}

#[test]
fn without_thoth_nothing_pretends_to_work() {
    for script in ["jamf/policies/wrap.sh", "jamf/policies/remediate.sh", "kandji/audit.sh"] {
        let mac = Mac::new();
        let Ended { code, out, err } = mac.run(script, &[]);
        assert_eq!(code, 1, "{script}");
        assert!(format!("{out}{err}").contains("there is no "), "{script}: {out}{err}");
    }
}

#[test]
fn remediation_wraps_only_where_something_has_drifted() {
    // Drifted until it is wrapped.
    let body = r#"case "$*" in
        *--check*) [ -e "$HOME/wrapped" ] || exit 10 ;;
        *) : >"$HOME/wrapped" ;;
    esac"#;
    let mac = Mac::with_thoth(body);
    fs::write(mac.path("Users/bob the second/wrapped"), "").unwrap();
    let ended = mac.run("jamf/policies/remediate.sh", &[]);
    assert_eq!(ended.code, 0);
    assert_eq!(ended.out, "== alice\nbob: nothing to wrap\n");
    assert_eq!(
        calls(&mac),
        [
            "alice alice wrap-config --all --check --drift",
            "alice alice wrap-config --all",
            "alice alice wrap-config --all --check",
            "bob bob the second wrap-config --all --check --drift",
            "bob bob the second wrap-config --all --check",
        ]
    );
}

#[test]
fn remediation_tells_what_cannot_be_wrapped_and_fails_where_wrapping_does() {
    let mac = Mac::with_thoth(r#"case "$*" in *--check) echo UNGOVERNED remote; exit 10 ;; esac"#);
    let ended = mac.run("jamf/policies/remediate.sh", &[]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.contains("UNGOVERNED remote\nalice: the servers above are left\n"));
    let mac = Mac::with_thoth(r#"case "$*" in *--check*) exit 10 ;; *) exit 1 ;; esac"#);
    assert_eq!(mac.run("jamf/policies/remediate.sh", &[]).code, 1);
    let mac = Mac::with_thoth("exit 78");
    let ended = mac.run("jamf/policies/remediate.sh", &[]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("alice: cannot be checked, exit code 78\n"), "{ended:?}");
}

#[test]
fn an_audit_passes_only_where_everybody_is_governed() {
    for (body, code) in [
        ("exit 0", 0),
        // All are wrapped, and the enforcer is away: nothing wrapping could mend.
        (r#"[ "$1" != health ] || exit 2"#, 0),
        (r#"[ "$USER $1" != 'bob wrap-config' ] || exit 10"#, 1),
        (r#"[ "$1" != wrap-config ] || exit 78"#, 1),
    ] {
        let mac = Mac::with_thoth(body);
        assert_eq!(mac.run("kandji/audit.sh", &[]).code, code, "{body}");
        assert!(
            mac.calls().iter().all(|call| !call.ends_with("--all")),
            "{body}: a file was changed"
        );
    }
}

// === configure ===

fn configuration(mac: &Mac) -> Option<Value> {
    let text = fs::read_to_string(mac.path(CONFIGURATION)).ok()?;
    let layers = Layers::of_text(Some(text.as_bytes()), None);
    assert!(layers.problems().is_empty(), "{text}: {:?}", layers.problems());
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_managed_configuration_holds_what_was_given_and_locks_it() {
    let mac = Mac::new();
    let given =
        ["acme", "prod", "https://enforce.acme.example/", "block", "sha256:ab,spki-sha256:cd"];
    let ended = mac.run("jamf/policies/configure.sh", &given);
    assert_eq!(ended.code, 0, "{ended:?}");
    let expected = json!({
        "tenant_id": "acme",
        "env": "prod",
        "enforcer_url": "https://enforce.acme.example/",
        "enforcement_mode": "block",
        "tls_pinned_cert_sha256": ["sha256:ab", "spki-sha256:cd"],
        "enrollment_source": "jamf",
        "locked": ["tenant_id", "env", "enforcer_url", "enforcement_mode", "tls_pinned_cert_sha256"],
    });
    assert_eq!(configuration(&mac), Some(expected));
    let mode = fs::metadata(mac.path(CONFIGURATION)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let ended = mac.run("jamf/policies/configure.sh", &given);
    assert!(ended.out.ends_with("is as it should be\n"), "{ended:?}");
    let left = fs::read_dir(mac.path(CONFIGURATION).parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "a half-written file is left");
}

#[test]
fn only_the_named_keys_are_locked() {
    let mac = Mac::new();
    let given = ["acme", "dev", "", "", "", "", "", "env,enforcement_mode"];
    assert_eq!(mac.run("jamf/policies/configure.sh", &given).code, 0);
    let found = configuration(&mac).unwrap();
    assert_eq!(found["locked"], json!(["env", "enforcement_mode"]));
    let given = ["", "", "", "", "", "", "/Rules of ours/a.toml,filesystem", "all"];
    assert_eq!(mac.run("jamf/policies/configure.sh", &given).code, 0);
    let expected = json!({
        "policy": ["/Rules of ours/a.toml", "filesystem"],
        "enrollment_source": "jamf",
        "locked": ["*"],
    });
    assert_eq!(configuration(&mac).unwrap(), expected);
}

#[test]
fn a_value_that_cannot_be_right_changes_nothing() {
    for given in [
        &["", "", "", "", "", "", "", ""] as &[&str],
        &["ac\"me"],
        &["ac\nme"],
        &["a\\u0022"],
        &["acme", "production!"],
        &["acme", "prod", "http://enforce.example"],
        &["acme", "prod", "https://"],
        &["acme", "prod", "https://e/\", \"env\": \"dev"],
        &["acme", "prod", "", "blocks"],
        &["acme", "prod", "", "block", "", "ftp://x"],
        &["acme", "prod", "", "block", "", "", "a\"b"],
        &["acme", "prod", "", "block", "", "", "", "env; rm"],
    ] {
        let mac = Mac::new();
        let ended = mac.run("jamf/policies/configure.sh", given);
        assert_eq!(ended.code, 1, "{given:?}: {ended:?}");
        assert!(ended.err.ends_with("; nothing was changed\n"), "{given:?}: {ended:?}");
        assert_eq!(configuration(&mac), None, "{given:?}");
    }
}

// === set-key ===

#[test]
fn everybody_gets_the_key_through_a_pipe_and_the_file_goes() {
    let mac = Mac::with_thoth("cat >\"$HOME/key\"");
    let key = mac.path("key");
    fs::write(&key, "thoth_live_abc").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = mac.run("jamf/policies/set-key.sh", &[key.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(calls(&mac), ["alice alice set-api-key", "bob bob the second set-api-key"]);
    for home in ["alice", "bob the second"] {
        let held = fs::read_to_string(mac.path("Users").join(home).join("key")).unwrap();
        assert_eq!(held, "thoth_live_abc");
    }
    assert!(!key.exists());
    assert!(!format!("{ended:?}").contains("thoth_live"));
}

#[test]
fn a_key_is_kept_until_everybody_has_it_and_one_that_others_can_read_is_refused() {
    let mac = Mac::with_thoth("[ \"$USER\" = alice ]");
    let key = mac.path("key");
    fs::write(&key, "k").unwrap();
    let told = |mode: u32| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        mac.run("jamf/policies/set-key.sh", &[key.to_str().unwrap()])
    };
    assert!(told(0o644).err.ends_with("must be root's, with mode 600\n"));
    assert!(mac.calls().is_empty());
    let ended = told(0o600);
    assert_eq!(ended.code, 1);
    assert!(key.exists(), "{ended:?}");
}

// === install, uninstall ===

const SIGNED: &str = "Package \"x.pkg\":
   Status: signed by a developer certificate issued by Apple for distribution
   Certificate Chain:
    1. Developer ID Installer: Thoth (AB12CD34EF)
    2. Developer ID Certification Authority
";

/// A Mac with a package that brings `thoth 0.2.0`, and the package's SHA-256.
fn packaged(signature: &str) -> (Mac, String, String) {
    let mac = Mac::with_thoth("echo thoth 0.1.9");
    let thoth = mac.path("usr/local/bin/thoth");
    let package = mac.path("thoth.pkg");
    let text = format!("printf '#!/bin/sh\\necho thoth 0.2.0\\n' >'{}'\n", thoth.display());
    fs::write(&package, &text).unwrap();
    fs::write(mac.path("signature"), signature).unwrap();
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&text));
    let package = package.to_str().unwrap().to_owned();
    (mac, package, sha256)
}

#[test]
fn a_package_is_installed_where_the_version_does_not_suffice() {
    let (mac, package, sha256) = packaged(SIGNED);
    let install = |least: &str| {
        mac.run("jamf/policies/install.sh", &[least, &package, &sha256, "AB12CD34EF"])
    };
    assert_eq!(install("0.1.9").out, "thoth 0.1.9 is installed\n");
    assert_eq!(install("0.1.10").out, "installed thoth 0.2.0\n");
    assert_eq!(install("0.2").out, "thoth 0.2.0 is installed\n");
    let ended = install("1.0.0");
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (1, "thoth: the package is installed, and thoth 0.2.0\n")
    );
}

#[test]
fn a_package_that_is_not_the_one_is_not_installed() {
    let (_, _, right) = packaged(SIGNED);
    let zero = "0".repeat(64);
    let team = "AB12CD34EF";
    let untrusted = SIGNED.replace("issued by Apple for distribution", "by nobody");
    for (signature, sha256, team, told) in [
        (SIGNED, zero.as_str(), team, "is not what $6 says"),
        (SIGNED, "", team, "needs its SHA-256 as $6"),
        (SIGNED, right.as_str(), "", "needs its team as $7"),
        (SIGNED, right.as_str(), "XX00XX00XX", "is not signed by XX00XX00XX"),
        (untrusted.as_str(), right.as_str(), team, "is not signed by AB12CD34EF"),
    ] {
        let (mac, package, own) = packaged(signature);
        // The package's text holds the Mac's path, so each has a hash of its own.
        let sha256 = if sha256 == right { own.as_str() } else { sha256 };
        let ended = mac.run("jamf/policies/install.sh", &["0.2.0", &package, sha256, team]);
        assert_eq!(ended.code, 1, "{told}");
        assert!(ended.err.contains(told), "{told}: {ended:?}");
        assert!(mac.run("jamf/policies/install.sh", &[]).out.contains("0.1.9"), "{told}");
    }
}

#[test]
fn removal_unwraps_first_and_stays_where_it_cannot() {
    let mac = Mac::with_thoth("[ \"$USER\" = alice ]");
    let agent = mac.path("Library/LaunchAgents/io.github.thoth-mcp.heal.plist");
    let thoth = mac.path("usr/local/bin/thoth");
    let managed = mac.path(CONFIGURATION);
    fs::create_dir_all(managed.parent().unwrap()).unwrap();
    fs::write(&managed, "{}").unwrap();
    fs::write(&agent, "").unwrap();
    let ended = mac.run("jamf/policies/uninstall.sh", &[]);
    assert_eq!(ended.code, 1);
    assert!(thoth.exists() && !agent.exists());
    assert_eq!(
        calls(&mac),
        ["alice alice unwrap-config --all", "bob bob the second unwrap-config --all"]
    );
    let booted = fs::read_to_string(mac.path("launchctl")).unwrap();
    assert_eq!(booted.lines().next(), Some("bootout gui/501/io.github.thoth-mcp.heal"));
    assert_eq!(mac.run("jamf/policies/uninstall.sh", &["force"]).code, 0);
    assert!(!thoth.exists() && managed.exists());
    assert_eq!(mac.run("jamf/policies/uninstall.sh", &["", "purge"]).code, 0);
    assert!(!managed.exists());
}
