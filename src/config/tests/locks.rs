//! Whatever a user tries, what is locked stays as it is: every key, by every way there is.

use std::ffi::OsString;

use super::*;
use crate::config::Overridden;
use crate::config::keys::{self, ALIASES, ALSO, Key, Kind, Of};

/// A user's way to say something else.
#[derive(Clone, Debug)]
enum Way {
    Flag(String, OsString),
    Variable(&'static str, OsString),
    Profile(&'static str, String),
}

/// What the managed file says in these tests beside the lock: an enforcer, so that what is said
/// about one counts.
fn beside(key: &Key) -> &'static str {
    match key.name {
        "enforcer_url" | "api_url" => "",
        "apex_domain" => r#""tenant_id": "acme","#,
        _ => r#""enforcer_url": "https://e.example","#,
    }
}

/// Values of a key as they stand in a variable: at least one differs from what holds without.
fn values(key: &Key) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    match (key.name, key.kind) {
        (_, Kind::Boolean) => vec!["true".into(), "false".into()],
        (_, Kind::Number { least, .. }) => vec![least.to_string(), (least + 60).to_string()],
        (_, Kind::Word(rows)) => rows.iter().map(|row| row[0].to_owned()).collect(),
        (_, Kind::Object) => one(r#"{"weak":1}"#),
        (_, Kind::Path { .. } | Kind::Policies) => one("/nowhere/weak"),
        ("tls_pinned_cert_sha256", _) => one(&"cd".repeat(32)),
        ("intent_tool_allowlist", _) => one("a=b"),
        ("apex_domain", _) => one("weak.example"),
        (name, _) if name.ends_with("url") => one("https://weak.example"),
        (_, Kind::Command | Kind::Text | Kind::List | Kind::Secret) => one("weak"),
    }
}

/// The JSON of a value.
fn json(key: &Key, value: &str) -> String {
    match key.kind {
        Kind::Boolean | Kind::Number { .. } | Kind::Object => value.to_owned(),
        Kind::Policies => format!("[{value:?}]"),
        Kind::Command
        | Kind::List
        | Kind::Path { .. }
        | Kind::Secret
        | Kind::Text
        | Kind::Word(_) => {
            format!("{value:?}")
        }
    }
}

/// Every way to say a value, by every name of the setting.
fn ways(key: &'static Key, value: &str) -> Vec<Way> {
    let mut names = vec![key];
    for (one, other) in ALIASES {
        names.extend((key.name == *one).then(|| keys::find(other).unwrap()));
        names.extend((key.name == *other).then(|| keys::find(one).unwrap()));
    }
    let mut ways = Vec::new();
    for key in names {
        if let Of::Variable(variable) = key.of {
            ways.push(Way::Variable(variable.name, value.into()));
        }
        let flag = key.name.replace('_', "-");
        for flag in [flag.as_str()].into_iter().chain(flag.strip_prefix("upstream-")) {
            let flag = format!("--{flag}");
            if Line::try_parse_from(["thoth", &format!("{flag}={value}")]).is_ok() {
                ways.push(Way::Flag(flag, value.into()));
            }
        }
        if !matches!(key.kind, Kind::Secret) {
            ways.push(Way::Profile(key.name, json(key, value)));
        }
    }
    ways
}

/// What is read under a managed file where a user goes these ways.
fn under(managed: &str, ways: &[Way]) -> Reading {
    let mut env: Env = Env::from_iter([("HOME", OsString::from("/home/a"))]);
    let mut words = ["thoth", "--url=https://u.example/mcp"].map(OsString::from).to_vec();
    let mut profile = None;
    for way in ways {
        match way {
            Way::Variable(name, value) => {
                env = Env::from_iter([("HOME", "/home/a".into()), (*name, value.clone())]);
            }
            Way::Flag(flag, value) => words.extend([OsString::from(flag), value.clone()]),
            Way::Profile(key, value) => profile = Some(format!("{{{key:?}: {value}}}")),
        }
    }
    let layers = Layers::of_text(Some(managed.as_bytes()), profile.as_deref().map(str::as_bytes));
    let flags = Line::parse_from(words).flags;
    read(&flags, Some(OsStr::new("npx")), &env, &layers)
}

/// All that is read, but for what is told about it.
fn outcome(reading: &Reading) -> String {
    let mut draft = reading.draft().clone();
    draft.notices.clear();
    format!("{draft:?} {:?} {:?}", reading.shown(), reading.problems())
}

fn lockable() -> impl Iterator<Item = &'static Key> {
    keys::ALL
        .iter()
        .filter(|key| !matches!(key.of, Of::Variable(variable) if variable.used != Used::Read))
}

/// Every setting, each with a managed value and without one, against every way and value.
#[test]
fn nobody_says_anything_else_than_what_is_locked() {
    for key in lockable() {
        let name = key.name;
        let mut can_be_said = false;
        let said = values(key).into_iter().map(|value| json(key, &value)).map(Some);
        let said = said.filter(|_| !matches!(key.kind, Kind::Secret)).chain([None]);
        for said in said {
            let said = said.map(|said| format!("{name:?}: {said},")).unwrap_or_default();
            let free = format!("{{{}{said}\"locked\": []}}", beside(key));
            let locked = format!("{{{}{said}\"locked\": [{name:?}]}}", beside(key));
            let before = outcome(&under(&locked, &[]));
            for way in values(key).iter().flat_map(|value| ways(key, value)) {
                let reading = under(&locked, std::slice::from_ref(&way));
                assert_eq!(outcome(&reading), before, "{locked} {way:?}");

                let counts = outcome(&under(&free, &[]))
                    != outcome(&under(&free, std::slice::from_ref(&way)));
                can_be_said |= counts;
                let told = reading.overridden();
                // What would be the same says nothing else, so it is not told; and the name of a
                // managed value that is said again is the same value from elsewhere.
                for Overridden { name, by } in told {
                    let notices = &reading.draft().notices;
                    let told = format!("{by}: is not used, since {name} is locked by");
                    assert!(notices.iter().any(|notice| notice.starts_with(&told)), "{notices:?}");
                }
            }
        }
        assert!(can_be_said, "{name}: no way and value of this test counts even without the lock");
    }
}

#[test]
fn an_attempt_is_told_and_saying_the_same_is_none() {
    let managed = r#"{"enforcement_mode": "block", "environment": "production",
        "enforcer_url": "https://e.example", "locked": "all"}"#;
    let by = |ways: &[Way]| -> Vec<_> {
        under(managed, ways).overridden().iter().map(|attempt| (attempt.name, attempt.by)).collect()
    };
    let variable = |name, value: &str| [Way::Variable(name, value.into())];
    let flag = |name: &str, value: &str| [Way::Flag(name.into(), value.into())];
    for (ways, expected) in [
        (variable("THOTH_ENFORCEMENT_MODE", "observe"), Some(("enforcement_mode", true))),
        (variable("THOTH_ENFORCEMENT", "shadow"), Some(("enforcement_mode", true))),
        (variable("THOTH_ENFORCEMENT_MODE", "BLOCK"), None),
        (variable("THOTH_ENFORCEMENT_MODE", ""), None),
        (variable("THOTH_ENFORCEMENT_MODE", "  "), None),
        (variable("THOTH_ENV", "prod"), None),
        (variable("THOTH_ENV", "dev"), Some(("environment", true))),
        (variable("THOTH_API_URL", "https://e.example/"), None),
        (variable("THOTH_API_URL", "http://127.0.0.1"), Some(("enforcer_url", true))),
        (variable("THOTH_TLS_VERIFY", "true"), None),
        (variable("THOTH_TLS_VERIFY", "0"), Some(("tls_verify", true))),
        (flag("--enforcement-mode", "observe"), Some(("enforcement_mode", false))),
        (flag("--enforcement-mode", ""), Some(("enforcement_mode", false))),
        (flag("--enforcement-mode", "block"), None),
        (flag("--journal", "best-effort"), Some(("journal", false))),
        (flag("--journal", "required"), None),
        (flag("--agent-id", "files"), None), // every wrapped server has its own
    ] {
        let told: Vec<_> = by(&ways)
            .into_iter()
            .map(|(name, by)| (name, matches!(by, Origin::Variable(_))))
            .collect();
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{ways:?}");
    }
    let profile = [Way::Profile("enforcement_mode", "\"observe\"".into())];
    assert_eq!(by(&profile), [("enforcement_mode", Origin::Profile("enforcement_mode"))]);
}

/// Programs of all kinds heed these two, and so do the libraries that read the system's roots.
#[test]
fn the_systems_roots_are_not_moved_where_it_is_locked_whose_are_trusted() {
    let (enforcer, bundle) =
        (r#""enforcer_url": "https://e.example""#, r#""tls_ca_bundle": "/ca""#);
    for (managed, is_fixed) in [
        (format!("{{{enforcer}}}"), false),
        (format!("{{{enforcer}, \"locked\": [\"enforcer_url\"]}}"), true),
        (format!("{{{enforcer}, \"locked\": [\"tls_verify\"]}}"), true),
        (format!("{{{enforcer}, {bundle}, \"locked\": \"all\"}}"), false),
    ] {
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            let reading = under(&managed, &[Way::Variable(name, "/home/me/ca".into())]);
            let by = Origin::Variable(name);
            let told = [Overridden { name: "tls_ca_bundle", by }];
            assert_eq!(reading.draft().tls.is_store_fixed, is_fixed, "{managed}");
            assert_eq!(reading.overridden(), &told[..usize::from(is_fixed)], "{managed}");
        }
        assert!(!under(&managed, &[]).draft().tls.is_store_fixed);
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_utf_8_is_an_attempt_and_breaks_nothing() {
    use std::os::unix::ffi::OsStringExt;
    let managed = r#"{"enforcement_mode": "block", "locked": ["enforcement_mode"]}"#;
    let way = Way::Variable("THOTH_ENFORCEMENT_MODE", OsString::from_vec(vec![0xff]));
    let reading = under(managed, &[way]);
    assert_eq!(reading.overridden().len(), 1);
    assert_eq!(reading.into_config().unwrap().mode, Mode::Block);
}

#[test]
fn what_goes_together_is_locked_together() {
    for row in ALSO {
        let managed = format!("{{\"locked\": [{:?}]}}", row.key);
        let before = outcome(&under(&managed, &[]));
        for key in row.also.iter().map(|name| keys::find(name).unwrap()) {
            for way in values(key).iter().flat_map(|value| ways(key, value)) {
                let after = outcome(&under(&managed, std::slice::from_ref(&way)));
                assert_eq!(after, before, "{} {way:?}: {}", row.key, row.why);
            }
        }
    }
}

#[test]
fn policies_add_up_and_where_they_are_locked_only_the_managed_ones_count() {
    let policies = |managed: &str, ways: &[Way]| {
        let config = under(managed, ways).into_config().unwrap();
        [config.managed, config.policies].map(|policies| {
            let packs = policies.packs.iter().map(|pack| pack.name.to_owned());
            let files = policies.files.iter().map(|path| path.display().to_string());
            packs.chain(files).collect::<Vec<_>>().join(" ")
        })
    };
    let ways = [
        Way::Profile("policy", r#"["/p.toml", "/m.toml", "filesystem"]"#.into()),
        Way::Flag("--policy".into(), "baseline".into()),
    ];
    let locked = r#"{"policy": ["/m.toml"], "locked": ["policy"]}"#;
    for (managed, expected) in [
        ("{}", ["", "filesystem /p.toml /m.toml baseline"]),
        (r#"{"policy": ["/m.toml", "baseline"]}"#, ["baseline /m.toml", "filesystem /p.toml"]),
        (r#"{"policy": ["/m.toml"]}"#, ["/m.toml", "filesystem /p.toml baseline"]),
        (locked, ["/m.toml", ""]),
        (r#"{"locked": ["policy"]}"#, ["", ""]),
    ] {
        assert_eq!(policies(managed, &ways), expected, "{managed}");
    }

    let told: Vec<_> = under(locked, &ways).overridden().to_vec();
    let by = [Origin::Profile("policy"), Origin::Flag("--policy")];
    assert_eq!(told, by.map(|by| Overridden { name: "policy", by }));
}

#[test]
fn managed_rules_are_rules_in_production() {
    let managed = r#"{"environment": "production", "policy": ["filesystem"]}"#;
    assert!(under(managed, &[]).into_config().is_ok());
    let managed = r#"{"environment": "production"}"#;
    assert!(under(managed, &[]).into_config().is_err());
}

#[test]
fn a_flag_goes_before_a_variable_before_the_managed_file_before_the_profile() {
    let all = [
        Way::Flag("--tenant-id".into(), "flag".into()),
        Way::Variable("THOTH_TENANT_ID", "variable".into()),
        Way::Profile("tenant_id", "\"profile\"".into()),
    ];
    let managed = r#"{"tenant_id": "managed"}"#;
    for (managed, ways, value, origin) in [
        (managed, &all[..], "flag", Origin::Flag("--tenant-id")),
        (managed, &all[1..], "variable", Origin::Variable("THOTH_TENANT_ID")),
        (managed, &all[2..], "managed", Origin::Managed("tenant_id")),
        ("{}", &all[2..], "profile", Origin::Profile("tenant_id")),
        ("{}", &[], "-", Origin::Default),
    ] {
        let reading = under(managed, ways);
        let shown = reading.shown().iter().find(|shown| shown.name == "THOTH_TENANT_ID").unwrap();
        assert_eq!((&*shown.value, shown.origin, shown.locked), (value, origin, false));
    }
    let locked = under(r#"{"tenant_id": "managed", "locked": ["tenant_id"]}"#, &all);
    let shown = locked.shown().iter().find(|shown| shown.name == "THOTH_TENANT_ID").unwrap();
    assert_eq!(
        (&*shown.value, shown.origin, shown.locked),
        ("managed", Origin::Managed("tenant_id"), true)
    );
    assert_eq!(locked.overridden().len(), 3);
}
