//! What refuses to start: with a clear text, the documented exit code, and no server started.

use crate::sidecar::{Setup, answers, call, said};

/// Starts, expects an exit code before the server was started, and gives what was said.
fn refused(setup: &Setup, code: i32) -> String {
    let output = setup.pipe((call(1, "a", "{}") + "\n").as_bytes());
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    assert!(output.stdout.is_empty(), "standard output is the protocol's");
    assert!(setup.seen().is_empty());
    said(&output)
}

#[test]
fn nothing_that_decides_is_refused_in_staging_and_prod() {
    for environment in ["staging", "prod"] {
        let setup = Setup::new()
            .variable("THOTH_ENV", environment)
            .variable("THOTH_REQUIRE_NON_ROOT", "false");
        assert!(refused(&setup, 78).contains("policy"));
    }
}

#[test]
fn in_dev_the_built_in_pack_decides_and_says_so_in_one_line() {
    let setup = Setup::new();
    let output = setup.pipe((call(1, "delete_everything", "{}") + "\n").as_bytes());
    assert_eq!(answers(&output)[0]["error"]["code"], -32_001);
    let told = said(&output);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("baseline") && told.contains("sha256"), "{told}");
}

#[test]
fn all_problems_are_told_at_once_and_no_value_is() {
    let setup = Setup::new()
        .flags(&["--enforcement-mode", "hunter2", "--enforcer-url", "http://hunter2.example"])
        .variable("THOTH_TLS_PINNED_CERT_SHA256", "hunter2");
    let told = refused(&setup, 78);
    assert!(told.contains("--enforcement-mode") && told.contains("--enforcer-url"), "{told}");
    assert!(told.contains("THOTH_TLS_PINNED_CERT_SHA256") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_policy_that_cannot_be_used_is_refused_with_its_place() {
    let setup = Setup::new();
    let path = setup.home.path().join("bad.toml");
    std::fs::write(&path, "[policy]\nid = \"x\"\nversion = 1\ndefault = \"allow\"\nnonsense = 1\n")
        .unwrap();
    let setup = setup.flags(&["--policy", path.to_str().unwrap()]);
    assert!(refused(&setup, 78).contains("bad.toml:5:"));

    let setup = Setup::new().flags(&["--policy", "/nowhere/rules.toml"]);
    assert!(refused(&setup, 78).contains("/nowhere/rules.toml"));
}

#[test]
fn another_user_than_the_expected_one_is_refused() {
    let setup =
        Setup::deciding(&[], "allow").variable("THOTH_EXPECTED_PROXY_USER", "nobody-we-know");
    assert!(refused(&setup, 77).contains("THOTH_EXPECTED_PROXY_USER"));
    let setup = Setup::deciding(&[], "allow").variable("THOTH_EXPECTED_PROXY_UID", "4294967000");
    assert!(refused(&setup, 77).contains("THOTH_EXPECTED_PROXY_UID"));
}

#[test]
fn a_policy_that_others_can_write_is_refused_in_prod() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::deciding(&[], "allow")
        .variable("THOTH_ENV", "prod")
        .variable("THOTH_REQUIRE_NON_ROOT", "false");
    let policy = setup.home.path().join("policy.toml");
    std::fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refused(&setup, 77).contains("policy.toml"));
}

#[test]
fn a_command_that_cannot_be_started_says_which() {
    let setup = Setup::deciding(&[], "allow").server(&["no-such-mcp-server"]);
    assert!(refused(&setup, 127).contains("no-such-mcp-server"));
    let setup = Setup::deciding(&[], "allow").server(&["/etc/hostname"]);
    assert!(refused(&setup, 126).contains("/etc/hostname"));
}

#[test]
fn a_command_line_that_cannot_be_read_is_64() {
    let setup = Setup::deciding(&[], "allow").flag("--no-such-flag");
    assert!(refused(&setup, 64).contains("--no-such-flag"));
}
