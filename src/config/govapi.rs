//! Reads what is said about the GovAPI, and what this machine is called there.
//!
//! The GovAPI is told things and decides about no call, so what is merely missing switches it off
//! with a notice; what is there and cannot be read is a problem like any other.

use std::path::PathBuf;
use std::time::Duration;

use super::address;
use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Endpoint, Enrollment, GovApi, Identity};
use super::sources::{Origin, Setting, Unusable};
use super::variables as name;
use crate::credential::{Credential, Revocations, Source};
use crate::machine::clock;
use crate::secret::ApiKey;

/// How often this machine reports, where nothing else is said.
pub const HEARTBEAT: Duration = Duration::from_mins(1);

/// What this machine says of itself to whoever manages it.
pub(super) fn endpoint(read: &mut Reader<'_>) -> Endpoint {
    let managed = Setting::of(&[
        &name::THOTH_INTUNE_DEVICE_ID,
        &name::INTUNE_DEVICE_ID,
        &name::THOTH_JAMF_COMPUTER_ID,
        &name::JAMF_COMPUTER_ID,
    ]);
    let managed_id = read.optional(managed, parse::text);
    // Shown with what the enforcer is told.
    let own = read.find(Setting::of(&[&name::ENDPOINT_ID]));
    let own_id = own.and_then(|own| parse::text(&own.text).ok());
    let of_enrollment = Setting::of(&[&name::ENROLLMENT_SOURCE]);
    let said = read.optional(of_enrollment, parse::enrollment);
    let managed_by = match read.origin(managed.name) {
        Origin::Variable(name) if name.contains("INTUNE") => Some(Enrollment::Intune),
        Origin::Variable(name) if name.contains("JAMF") => Some(Enrollment::Jamf),
        Origin::Managed("intune_device_id") | Origin::Profile("intune_device_id") => {
            Some(Enrollment::Intune)
        }
        Origin::Managed("jamf_computer_id") | Origin::Profile("jamf_computer_id") => {
            Some(Enrollment::Jamf)
        }
        Origin::Flag(_)
        | Origin::Variable(_)
        | Origin::Managed(_)
        | Origin::Profile(_)
        | Origin::Default => None,
    };
    if let (None, Some(managed_by)) = (said, managed_by) {
        let origin = read.origin(managed.name);
        read.follows(of_enrollment, managed_by.word(), origin);
    }
    Endpoint {
        managed_id,
        own_id,
        enrollment: said.or(managed_by).unwrap_or_default(),
        fleet_id: read.optional(Setting::of(&[&name::FLEET_ID]), parse::text),
    }
}

/// `fallback` is the enforcer's key, which counts where the GovAPI has no credential of its own.
pub(super) fn govapi(
    read: &mut Reader<'_>,
    identity: &Identity,
    fallback: Option<Credential>,
    revocations: &Revocations,
) -> Option<GovApi> {
    let url = url(read, identity);
    let of_token =
        [Setting::of(&[&name::GOVAPI_BEARER_TOKEN]), Setting::of(&[&name::GOVAPI_TOKEN_FILE])];
    let bearer_token = credential(read, "govapi_bearer_token", of_token, revocations);
    let of_key = [Setting::of(&[&name::GOVAPI_API_KEY]), Setting::of(&[&name::GOVAPI_KEY_FILE])];
    let api_key = credential(read, "govapi_api_key", of_key, revocations);
    let heartbeat = read.optional(Setting::of(&[&name::HEARTBEAT_INTERVAL]), parse::wait_seconds);
    let inventory = read.optional(Setting::of(&[&name::TOOL_INVENTORY]), parse::boolean);
    let (url, origin) = url?;
    let Some(tenant) = identity.tenant_id.clone() else {
        read.notice(
            origin,
            "has no effect without a tenant: this machine reports nowhere; set THOTH_TENANT_ID",
        );
        return None;
    };
    let own = bearer_token.is_some() || api_key.is_some();
    Some(GovApi {
        url,
        tenant,
        bearer_token,
        api_key,
        fallback_key: fallback.filter(|_| !own),
        heartbeat: heartbeat.map_or(HEARTBEAT, Duration::from_secs),
        tool_inventory: inventory.unwrap_or(true),
    })
}

/// The address that was given, or else the tenant's under the apex domain that was given.
fn url(read: &mut Reader<'_>, identity: &Identity) -> Option<(String, Origin)> {
    let setting = Setting::of(&[&name::GOVAPI_URL, &name::GOV_API_URL]);
    let is_given = read.is_given(setting);
    let url = read.optional(setting, address::base_url);
    if is_given {
        let origin = read.origin(setting.name);
        return url.map(|url| (url, origin));
    }
    // What is wrong with either is told where the enforcer's address is made of them.
    let apex = read.find(Setting::of(&[&name::APEX_DOMAIN]))?;
    let tenant = identity.tenant_id.as_deref()?;
    let url = address::derived_url("grid", tenant, &apex.text)?;
    read.follows(setting, &url, apex.origin);
    Some((url, apex.origin))
}

/// A secret, or a file with it; the secret itself goes before a file. The file is not read here:
/// one that is missing keeps this machine from reporting, and no call from being decided.
pub(super) fn credential(
    read: &mut Reader<'_>,
    called: &'static str,
    [of_value, of_file]: [Setting<'_>; 2],
    revocations: &Revocations,
) -> Option<Credential> {
    let of_value = of_value.secret();
    let file: Option<PathBuf> = read.optional(of_file, parse::path);
    let source = if let Some(found) = read.find(of_value) {
        if file.is_some() {
            let notice = format!("is not used, since {} is given", found.origin);
            read.notice(read.origin(of_file.name), notice);
        }
        let origin = found.origin;
        let Ok(secret) = ApiKey::parse(&found.text) else {
            let wrong = Wrong::new(
                "holds a character that cannot be sent in an HTTP header",
                "write the secret alone",
            );
            read.unusable(of_value, Unusable { origin, wrong });
            return None;
        };
        read.show(of_value, &found);
        Source::Value { secret, from: of_value.name, key_id: None }
    } else {
        read.show_default(of_value);
        Source::File(file?)
    };
    Some(Credential::new(called, source, clock::now).unless(revocations.clone()))
}
