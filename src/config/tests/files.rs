//! The two files: what is refused in them, and where that is said to be.

use std::fs;

use super::*;

fn managed(text: &str) -> Vec<String> {
    problems(Some(text), None)
}

fn problems(managed: Option<&str>, profile: Option<&str>) -> Vec<String> {
    let layers = Layers::of_text(managed.map(str::as_bytes), profile.map(str::as_bytes));
    layers.problems().iter().map(ToString::to_string).collect()
}

fn layered(managed: &str) -> Reading {
    let layers = Layers::of_text(Some(managed.as_bytes()), None);
    let env = Env::from_iter([("HOME", "/home/a")]);
    read(&RunFlags::default(), None, &env, &layers)
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told_at_once_with_its_place() {
    let told = managed(
        r#"{
  "enforcment_mode": "hunter2",
  "env": "PROD", "env": "hunter2",
  "tls_verify": "hunter2",
  "step_up_wait": 0,
  "policy": ["hunter2", "x/hunter2"],
  "api_key": "hunter2",
  "tenant_id": "",
  "approved_scope": ["hunter2", 7],
  "tls_ca_bundle": "hunter2.pem",
  "enforcer_url": "https://e.example", "api_url": "https://e.example",
  "locked": ["mode", "policy"],
  "x": {}
}"#,
    );
    let path = crate::config::layers::MANAGED;
    let expected = [
        ":2:3: `enforcment_mode` is no key that thoth knows; was `enforcement_mode` meant?",
        ":3:3: `env` is none of its words; write one of dev, development, staging, prod, production",
        ":3:18: `env` stands twice; leave one of them out",
        ":4:3: `tls_verify` is neither yes nor no; write true or false",
        ":5:3: `step_up_wait` is no such number; write a whole number from 1 to 86400",
        ":6:3: `policy` names a pack that thoth does not have; write one of baseline, database, filesystem, hipaa-minimum-necessary, soc2-change-control, or a path from the root on",
        ":7:3: `api_key` is a secret, and others can read this file; name a file that only the user can read, or a command, in a key of its own",
        ":8:3: `tenant_id` is empty; write a value or leave it out",
        ":9:3: `approved_scope` is no list of texts; write [\"one\", \"another\"]",
        ":10:3: `tls_ca_bundle` is not an absolute path; write it from the root on",
        ":12:3: `locked` names `mode`, which is no key; leave it out; docs/managed-configuration.md lists the keys",
        ":13:3: `x` is no key that thoth knows; leave it out; docs/managed-configuration.md lists the keys",
        ": `enforcer_url` and `api_url` are one setting; leave one of them out",
    ];
    assert_eq!(told, expected.map(|line| format!("{path}{line}")));
    assert!(!told.concat().contains("hunter2"));
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, place) in [
        ("", ":1:1: "),
        ("[]", ":1:1: "),
        ("{\n  \"tenant_id\": \"a\",\n}", ":3:1: "),
        ("{\n  // why\n  \"tenant_id\": \"a\"}", ":2:3: "),
        ("{\"tenant_id\": \"a\"} x", ":1:20: "),
        ("{\"tenant_id\": 'a'}", ":1:16: "),
        ("{\"task_context_json\": {\"a\": 1, \"a\": 2}}", ":1:"),
    ] {
        let told = managed(text);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].contains(place), "{text}: {told:?}");
    }
    let latin = Layers::of_text(Some(b"{\n \"tenant_id\": \"\xe4\"}"), None);
    assert!(latin.problems()[0].to_string().contains(":2:16: the text is not UTF-8"));
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(!Layers::of_text(Some(&utf16), None).problems().is_empty());
}

#[test]
fn a_file_may_be_as_editors_on_windows_write_it() {
    let text = "\u{feff}{\r\n  \"$schema\": \"x\",\r\n  \"environment\": \"production\",\r\n  \"policy\": [\"baseline\"]\r\n}\r\n";
    assert!(managed(text).is_empty());
    assert_eq!(layered(text).into_config().unwrap().environment, Environment::Prod);
}

#[test]
fn what_does_nothing_is_accepted_and_said() {
    let reading = layered(r#"{"allowed_paths": {"macos": "/x"}, "tls_pin_cache_seconds": 300}"#);
    let notices = &reading.draft().notices;
    assert!(
        notices[0].ends_with("`allowed_paths` is not used: write rules instead"),
        "{notices:?}"
    );
    assert!(notices[1].ends_with("`tls_pin_cache_seconds` has no effect in this version of thoth"));
    assert!(reading.into_config().is_ok());
}

#[test]
fn a_profile_locks_nothing() {
    let told = problems(None, Some(r#"{"locked": ["policy"]}"#));
    assert!(told[0].contains("`locked` stands in a file that is the user's own"), "{told:?}");
}

#[test]
fn a_value_that_is_well_formed_and_wrong_is_told_by_its_key() {
    let reading = layered(r#"{"enforcer_url": "http://hunter2.example", "tls_verify": false}"#);
    let told: Vec<_> = reading.problems().iter().map(ToString::to_string).collect();
    let path = crate::config::layers::MANAGED;
    assert_eq!(told, [format!("enforcer_url in {path}: is http to another machine; write https")]);
    let prod = r#"{"env": "prod", "policy": ["baseline"], "tls_verify": false}"#;
    let told = layered(prod).into_config().unwrap_err().to_string();
    assert!(told.contains(&format!("tls_verify in {path}: may not be off")), "{told}");
}

#[test]
fn values_of_every_kind_arrive() {
    let config = layered(
        r#"{"approved_scope": ["read", "tool_call:write"], "expected_proxy_uid": 501,
            "request_metadata_json": {"a": [1.0]}, "require_non_root": false, "step_up_wait": 6e1,
            "journal": "best-effort", "tls_pinned_cert_sha256":
            "abababababababababababababababababababababababababababababababab",
            "enforcer_url": "https://e.example", "denial": "result", "max_message_bytes": 2048}"#,
    )
    .into_config()
    .unwrap();
    assert_eq!(config.identity.approved_scope, ["read", "tool_call:write"]);
    assert_eq!(config.preflight.expected_uid, Some(501));
    assert_eq!(config.tls.pins, [Pin::Leaf([0xab; 32])]);
    assert_eq!(config.denial, Denial::Result);
    assert_eq!(config.max_message_bytes, 2048);
    assert!(config.journal.best_effort);
    assert_eq!(config.step_up_wait, Duration::from_mins(1));
    let enforcer = config.enforcer.unwrap();
    assert_eq!(enforcer.context.metadata.as_deref(), Some(r#"{"a": [1.0]}"#));
}

#[test]
fn the_profiles_own_key_is_the_weakest_and_an_empty_one_is_none() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("proxy_api_key.json");
    let nowhere = Path::new("/nowhere/thoth-config.json");
    let key_file = |env: &[(&str, &str)]| {
        let layers = Layers::read(nowhere, home.path());
        let url = ("THOTH_ENFORCER_URL", "https://e.example");
        let env = [url, ("HOME", "/home/a")].iter().chain(env).copied().collect();
        let reading = read(&RunFlags::default(), None, &env, &layers);
        assert_eq!(reading.draft().notices.len(), 1, "{:?}", reading.draft().notices);
        let shown = reading.shown().iter().find(|shown| shown.name == "THOTH_API_KEY_FILE");
        shown.map(|shown| (shown.value.clone(), shown.origin)).unwrap()
    };
    assert_eq!(key_file(&[]).1, Origin::Default);
    crate::profile::furnish(home.path(), "host").unwrap();
    assert_eq!(key_file(&[]).1, Origin::Default);
    crate::profile::replace(home.path(), "proxy_api_key.json", br#"{"api_key":"k"}"#).unwrap();
    let text = file.to_string_lossy().into_owned();
    assert_eq!(key_file(&[]), (text, Origin::Profile("api_key_file")));
    assert_eq!(key_file(&[("THOTH_API_KEY", "k")]).1, Origin::Default);
}

#[cfg(unix)]
#[test]
fn only_a_file_that_is_not_there_is_none() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    let root = tempfile::tempdir().unwrap();
    let (home, folder) = (root.path().join("home"), root.path().join("Thoth"));
    let path = folder.join("thoth-config.json");
    let told = || {
        let layers = Layers::read(&path, &home);
        layers.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(told(), "");
    fs::write(&folder, "").unwrap();
    assert!(told().contains("cannot look at"), "{}", told());
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    mode(&folder, 0o755);
    symlink("/nowhere", &path).unwrap();
    assert!(told().contains("cannot look at"), "{}", told());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(told().contains("is not a file of its own"), "{}", told());
    fs::remove_dir(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(told().contains("is not a file of its own"), "{}", told());
    fs::remove_file(&path).unwrap();

    fs::write(&path, "{\"locked\": \"all\"}").unwrap();
    if !nix::unistd::geteuid().is_root() {
        assert!(told().contains("not to root; run chown root"), "{}", told());
        return;
    }
    assert_eq!(told(), "");
    for (of, bits) in [(&path, 0o666), (&path, 0o620), (&folder, 0o777), (&folder, 0o775)] {
        mode(of, bits);
        assert!(told().contains("can be changed by others"), "{bits:o} {}", told());
        mode(of, 0o755);
    }
    for of in [&path, &folder] {
        chown(of, Some(501), None).unwrap();
        assert!(told().contains("belongs to uid 501, not to root; run chown root"), "{}", told());
        chown(of, Some(0), None).unwrap();
    }

    // What it names must be as safe as it is itself.
    let rules = root.path().join("rules.toml");
    fs::write(&path, format!("{{\"policy\": [{rules:?}], \"tls_ca_bundle\": {rules:?}}}")).unwrap();
    assert!(told().contains(&format!("cannot look at {}", rules.display())), "{}", told());
    mode(root.path(), 0o755);
    fs::write(&rules, "").unwrap();
    mode(&rules, 0o644);
    assert_eq!(told(), "");
    mode(&rules, 0o666);
    let both = told();
    assert!(both.contains(&format!("policy in {}: {}", path.display(), rules.display())), "{both}");
    assert!(both.contains("tls_ca_bundle in "), "{both}");

    // And the user's own file, by the user.
    fs::write(&path, "{}").unwrap();
    fs::create_dir(&home).unwrap();
    fs::write(home.join("thoth-config.json"), "{}").unwrap();
    mode(&home.join("thoth-config.json"), 0o666);
    assert!(told().starts_with("the profile's configuration: "), "{}", told());
}

#[test]
fn a_managed_proxy_counts_also_where_no_server_is_named() {
    assert!(layered(r#"{"upstream_proxy": "environment"}"#).is_proxied());
    assert!(!layered(r#"{"upstream_proxy": "off"}"#).is_proxied());
    assert!(!layered("{}").is_proxied());
}
