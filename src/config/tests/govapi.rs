//! The GovAPI and this machine's name there.

use super::*;
use crate::config::settings::{Enrollment, GovApi};
use crate::credential::Credential;

const TENANT: (&str, &str) = ("THOTH_TENANT_ID", "acme");
const GOVAPI: (&str, &str) = ("THOTH_GOVAPI_URL", "https://g.example");

fn govapi(env: &[(&str, &str)]) -> GovApi {
    config(&[], env).govapi.unwrap()
}

/// A credential in a word: where it comes from.
fn from(credential: Option<&Credential>) -> Option<String> {
    credential.map(|credential| credential.standing().source)
}

#[test]
fn every_variable_of_the_govapi_arrives_where_it_belongs() {
    let config = config(&[], RIGHT);
    let govapi = config.govapi.unwrap();
    assert_eq!(govapi.url, "https://g.example");
    assert_eq!(govapi.tenant, "acme");
    assert_eq!(from(govapi.bearer_token.as_ref()).unwrap(), "THOTH_GOVAPI_BEARER_TOKEN");
    assert_eq!(from(govapi.api_key.as_ref()).unwrap(), "THOTH_GOVAPI_API_KEY");
    assert!(govapi.fallback_key.is_none());
    assert_eq!(govapi.heartbeat, Duration::from_secs(5));
    assert!(!govapi.tool_inventory);
    assert_eq!(config.endpoint.managed_id.as_deref(), Some("B2-7"));
    assert_eq!(config.endpoint.own_id.as_deref(), Some("mac-7"));
    assert_eq!(config.endpoint.enrollment, Enrollment::Manual);
    assert_eq!(config.endpoint.fleet_id.as_deref(), Some("laptops"));
}

#[test]
fn where_the_govapi_is() {
    let apex = ("THOTH_APEX_DOMAIN", "example.com");
    for (env, expected) in [
        (&[][..], None),
        (&[TENANT], None),
        (&[GOVAPI], None), // with a notice
        (&[TENANT, GOVAPI], Some("https://g.example")),
        (&[TENANT, ("THOTH_GOV_API_URL", "https://old.example")], Some("https://old.example")),
        (&[TENANT, apex], Some("https://grid.acme.example.com")),
        (&[TENANT, apex, GOVAPI], Some("https://g.example")),
    ] {
        let config = config(&[], env);
        assert_eq!(config.govapi.map(|govapi| govapi.url).as_deref(), expected, "{env:?}");
    }
    let notices = config(&[], &[GOVAPI]).notices;
    assert!(notices[0].starts_with("THOTH_GOVAPI_URL: has no effect without a tenant"));
    let alone = config(&[], &[TENANT, GOVAPI]);
    assert!(alone.enforcer.is_none() && alone.notices.is_empty(), "{:?}", alone.notices);
    let told = refused(&[], &[TENANT, ("THOTH_GOVAPI_URL", "http://g.example")]);
    assert!(told.contains("THOTH_GOVAPI_URL: is http to another machine"), "{told}");
}

#[test]
fn what_is_sent_to_the_govapi() {
    let key = ("THOTH_API_KEY", "k");
    let token_file = ("THOTH_GOVAPI_BEARER_TOKEN_FILE", "/run/token");
    for (env, token, own, fallback) in [
        (&[][..], None, None, None),
        (&[key], None, None, Some("THOTH_API_KEY")),
        (&[key, token_file], Some("file"), None, None),
        (&[key, ("THOTH_GOVAPI_API_KEY", "g")], None, Some("THOTH_GOVAPI_API_KEY"), None),
        (
            &[token_file, ("THOTH_GOVAPI_BEARER_TOKEN", "t")],
            Some("THOTH_GOVAPI_BEARER_TOKEN"),
            None,
            None,
        ),
    ] {
        let govapi = govapi(&[&[TENANT, GOVAPI], env].concat());
        let found = [&govapi.bearer_token, &govapi.api_key, &govapi.fallback_key]
            .map(|source| from(source.as_ref()));
        assert_eq!(found.each_ref().map(Option::as_deref), [token, own, fallback], "{env:?}");
    }
    let told = refused(&[], &[("THOTH_GOVAPI_BEARER_TOKEN", "two words")]);
    assert!(told.contains("THOTH_GOVAPI_BEARER_TOKEN: holds a character"), "{told}");
}

#[test]
fn who_manages_a_machine_names_it() {
    for (env, id, enrollment) in [
        (&[][..], None, Enrollment::Unmanaged),
        (&[("INTUNE_DEVICE_ID", "i")], Some("i"), Enrollment::Intune),
        (&[("JAMF_COMPUTER_ID", "j")], Some("j"), Enrollment::Jamf),
        (
            &[("THOTH_JAMF_COMPUTER_ID", "j"), ("INTUNE_DEVICE_ID", "i")],
            Some("i"),
            Enrollment::Intune,
        ),
        (
            &[("JAMF_COMPUTER_ID", "j"), ("THOTH_ENROLLMENT_SOURCE", "Manual")],
            Some("j"),
            Enrollment::Manual,
        ),
    ] {
        let endpoint = config(&[], env).endpoint;
        assert_eq!(endpoint.managed_id.as_deref(), id, "{env:?}");
        assert_eq!(endpoint.enrollment, enrollment, "{env:?}");
    }
}

#[test]
fn a_heartbeat_has_bounds() {
    let interval =
        |seconds| govapi(&[TENANT, GOVAPI, ("THOTH_HEARTBEAT_INTERVAL_SECONDS", seconds)]);
    assert_eq!(interval("1").heartbeat, Duration::from_secs(1));
    assert_eq!(govapi(&[TENANT, GOVAPI]).heartbeat, Duration::from_mins(1));
    for wrong in ["0", "-1", "86401", "1.5", "soon"] {
        refused(&[], &[("THOTH_HEARTBEAT_INTERVAL_SECONDS", wrong)]);
    }
}
