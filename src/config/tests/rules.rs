//! What follows from what: the environment, the enforcer's address, its failures, the key, notices.

use std::path::Path;

use super::*;

#[test]
fn staging_and_prod_need_something_that_decides() {
    let wanted = "THOTH_ENFORCER_URL: is not set, and no rules are given";
    for environment in ["staging", "prod", "production"] {
        let env = [("THOTH_ENV", environment)];
        assert!(refused(&[], &env).contains(wanted), "{environment}");
        assert!(config(&["--policy=p.toml"], &env).enforcer.is_none());
        assert_eq!(config(&[], &[env[0], URL]).policies.count(), 0);
    }
    assert!(config(&[], &[("THOTH_ENV", "dev")]).enforcer.is_none());
}

#[test]
fn staging_and_prod_are_strict_without_being_asked() {
    for environment in ["staging", "prod"] {
        let strict = config(&[], &[("THOTH_ENV", environment), URL]);
        assert!(strict.preflight.require_non_root);
        let unverified = [("THOTH_ENV", environment), URL, ("THOTH_TLS_VERIFY", "false")];
        assert!(refused(&[], &unverified).contains("THOTH_TLS_VERIFY: may not be off"));
    }
    let dev = config(&[], &[URL, ("THOTH_TLS_VERIFY", "0")]);
    assert!(dev.tls.unverified && !dev.preflight.require_non_root);
    assert!(dev.notices.iter().any(|notice| notice.starts_with("THOTH_TLS_VERIFY: is off")));
}

#[test]
fn pins_are_probed_where_they_matter() {
    let hash = "ab".repeat(32);
    let pin = ("THOTH_TLS_PINNED_CERT_SHA256", &*hash);
    let local = ("THOTH_ENFORCER_URL", "http://127.0.0.1:1");
    for (env, probed) in [
        (&[PROD, URL, pin][..], true),
        (&[PROD, URL], false),
        (&[URL, pin], false),
        (&[PROD, local, pin], false),
    ] {
        assert_eq!(config(&[], env).preflight.probe_pins, probed, "{env:?}");
    }
    let idle = config(&[], &[local, pin]).notices;
    assert!(idle.iter().any(|notice| notice.contains("not asked over TLS")));
}

#[test]
fn an_enforcers_silence_means_what_was_said_and_allowing_takes_two_words_in_prod() {
    const SAID: &str = "THOTH_ENFORCER_FAILURE_DECISION";
    const OPEN: (&str, &str) = ("THOTH_FAIL_OPEN", "true");
    const OVERRIDE: (&str, &str) = ("THOTH_ENFORCER_ALLOW_FALLBACK_OVERRIDE", "true");
    for (env, dev, prod) in [
        (&[][..], Outage::Block, Outage::Block),
        (&[(SAID, "block")], Outage::Block, Outage::Block),
        (&[(SAID, "step_up")], Outage::StepUp, Outage::StepUp),
        (&[(SAID, "allow")], Outage::Allow, Outage::Block),
        (&[(SAID, "allow"), OVERRIDE], Outage::Allow, Outage::Allow),
        (&[OPEN], Outage::Allow, Outage::Block),
        (&[OPEN, OVERRIDE], Outage::Allow, Outage::Allow),
        (&[OPEN, (SAID, "block")], Outage::Block, Outage::Block),
        (&[OPEN, (SAID, "step_up")], Outage::StepUp, Outage::StepUp),
        (&[OVERRIDE], Outage::Block, Outage::Block),
    ] {
        let of = |environment| {
            let env = [env, &[URL, ("THOTH_ENV", environment)]].concat();
            config(&[], &env).enforcer.unwrap().outage
        };
        assert_eq!((of("dev"), of("prod"), of("staging")), (dev, prod, prod), "{env:?}");
    }
    let told = config(&[], &[PROD, URL, OPEN]).notices;
    assert!(told[0].starts_with("THOTH_FAIL_OPEN: allowing is ignored"), "{told:?}");
}

#[test]
fn a_tenant_alone_makes_no_address() {
    let tenant = ("THOTH_TENANT_ID", "acme");
    let apex = ("THOTH_APEX_DOMAIN", "example.com");

    let alone = config(&["--tenant-id=acme"], &[]);
    assert!(alone.enforcer.is_none());
    assert!(alone.notices[0].starts_with("--tenant-id: has no effect without an enforcer"));

    let url = |env: &[_]| config(&[], env).enforcer.unwrap().url;
    assert_eq!(url(&[tenant, apex]), "https://enforce.acme.example.com");
    assert_eq!(url(&[tenant, apex, URL]), "https://e.example");
    assert_eq!(url(&[apex, URL]), "https://e.example");

    assert!(refused(&[], &[apex]).contains("THOTH_APEX_DOMAIN: needs a tenant"));
    let sly = ("THOTH_TENANT_ID", "a.example/");
    assert!(refused(&[], &[sly, apex]).contains("THOTH_APEX_DOMAIN: makes no host name"));
    let broken = ("THOTH_ENFORCER_URL", "e.example");
    assert!(!refused(&[], &[broken, tenant, apex]).contains("THOTH_APEX_DOMAIN"));
}

#[test]
fn a_key_is_shown_as_a_fingerprint_and_what_cannot_be_used_not_at_all() {
    let missing = ("THOTH_API_KEY_FILE", "/nowhere/hunter2");
    let url = ("THOTH_ENFORCER_URL", "https://hunter2@e.example");
    let context = ("THOTH_AUTH_CONTEXT_JSON", "{\"token\":\"hunter2\"}");
    let shown = format!("{:?}", reading(&[], &[missing, url, context]));
    let settings = shown.split("shown:").nth(1).unwrap();
    assert!(!settings.contains("hunter2"), "{settings}");

    let reading = reading(&[], &[("THOTH_API_KEY", "abc")]);
    let key = reading.shown().iter().find(|shown| shown.name == "THOTH_API_KEY");
    assert_eq!(key.unwrap().value, "sha256:ba7816bf");
}

#[test]
fn what_follows_from_others_is_shown_as_what_it_comes_to() {
    let env = [PROD, ("THOTH_TENANT_ID", "acme"), ("THOTH_APEX_DOMAIN", "example.com")];
    let reading = reading(&[], &env);
    for (name, value, origin) in [
        ("THOTH_AGENT_ID", "npx", Origin::Default),
        (
            "THOTH_ENFORCER_URL",
            "https://enforce.acme.example.com",
            Origin::Variable("THOTH_APEX_DOMAIN"),
        ),
        ("THOTH_REQUIRE_NON_ROOT", "true", Origin::Default),
        ("THOTH_HOME_DIR", "/home/a/.thoth", Origin::Variable("HOME")),
    ] {
        let shown: Vec<_> = reading
            .shown()
            .iter()
            .filter(|shown| shown.name == name)
            .map(|shown| (&*shown.value, shown.origin))
            .collect();
        assert_eq!(shown, [(value, origin)], "{name}");
    }
}

#[test]
fn what_does_nothing_is_said() {
    let notices = config(
        &["--policy=p"],
        &[
            ("THOTH_ENFORCR_URL", "https://e.example"),
            ("THOTH_SOMETHING", "x"),
            ("THOTH_EVENT_INGEST_TOKEN", "x"),
            ("BATON_GUEST_MODE", "on"),
            ("BATON_FOO", "x"),
            ("THOTH_USER_ID", " "),
            ("THOTH_VERSION", "1"),
            ("THOTH_TLS_PIN_CACHE_SECONDS", "300"),
            ("THOTH_ENFORCEMENT_MODE", "block"),
            ("THOTH_ENFORCEMENT", "observe"),
            ("THOTH_ENV", "dev"),
            ("THOTH_ENVIRONMENT", "dev"),
            ("LOG_LEVEL", "chatty"),
        ],
    )
    .notices;
    assert_eq!(
        notices,
        [
            "THOTH_ENFORCEMENT: says something else than THOTH_ENFORCEMENT_MODE, which counts",
            "BATON_GUEST_MODE: is not read by this version of thoth",
            "THOTH_ENFORCR_URL: is no variable that thoth knows; was THOTH_ENFORCER_URL meant?",
            "THOTH_EVENT_INGEST_TOKEN: is not read by this version of thoth",
            "THOTH_SOMETHING: is no variable that thoth knows",
            "THOTH_USER_ID: is empty, which counts as not set",
        ]
    );
}

#[test]
fn an_enforcer_without_a_word_on_the_environment_is_noticed() {
    let silent = config(&[], &[URL]).notices;
    assert!(silent[0].starts_with("THOTH_ENV: is not set"), "{silent:?}");
    assert!(config(&["--env=dev"], &[URL]).notices.is_empty());
}

#[test]
fn the_home_is_found_as_the_installers_find_it() {
    let home = |env: &[(&str, &str)]| {
        let env = env.iter().copied().collect();
        read(&RunFlags::default(), None, &env, &Layers::default())
            .into_config()
            .map(|config| config.home)
            .map_err(|error| error.to_string())
    };
    let own = ("THOTH_HOME_DIR", "/srv/thoth");
    let (unix, windows) = (("HOME", "/home/a"), ("USERPROFILE", "/users/b"));
    let drive = [("HOMEDRIVE", "/drive"), ("HOMEPATH", "/c")];
    for (env, expected) in [
        (&[own, unix, windows][..], "/srv/thoth"),
        (&[unix, windows], "/home/a/.thoth"),
        (&[("HOME", ""), windows], "/users/b/.thoth"),
        (&[windows, drive[0], drive[1]], "/users/b/.thoth"),
        (&drive, "/drive/c/.thoth"),
    ] {
        assert_eq!(home(env).as_deref(), Ok(Path::new(expected)), "{env:?}");
    }
    assert!(home(&[]).unwrap_err().contains("THOTH_HOME_DIR: is not set"));
    assert!(home(&[("HOME", "here")]).unwrap_err().contains("HOME: is not an absolute"));
}
