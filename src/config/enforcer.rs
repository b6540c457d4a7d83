//! Reads what is said about the remote enforcer: its address, the key, its failures, and what is
//! sent along.

use std::time::Duration;

use super::address;
use super::credential::{self, Around, Given, Way, Ways};
use super::flags::RunFlags;
use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Enforcer, Identity, RequestContext};
use super::sources::Setting;
use super::variables as name;
use crate::credential::{Credential, GRACE};
use crate::gate::decide::Outage;

/// The longest a question to the enforcer may take. The public SDKs wait as long.
pub const ENFORCER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest connecting to the enforcer may take. The public SDKs wait as long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn read(
    read: &mut Reader<'_>,
    flags: &RunFlags,
    identity: &Identity,
    strict: bool,
    api_key: Option<Credential>,
) -> Option<Enforcer> {
    let url = url(read, flags, identity);
    let outage = outage(read, strict);
    let context = context(read);
    Some(Enforcer {
        url: url?,
        api_key,
        timeout: ENFORCER_TIMEOUT,
        connect_timeout: CONNECT_TIMEOUT,
        outage,
        context,
    })
}

/// The key for the enforcer.
pub(super) fn api_key(read: &mut Reader<'_>, flags: &RunFlags, around: &Around<'_>) -> Given {
    let given = flags.api_key.as_ref().map(|key| &key.0);
    let ways = Ways {
        called: "api_key",
        each: &[
            (Way::Value, Setting::of(&[&name::API_KEY]).or_flag("--api-key", given).secret()),
            (
                Way::File,
                Setting::of(&[&name::API_KEY_FILE])
                    .or_flag("--api-key-file", flags.api_key_file.as_ref()),
            ),
            (
                Way::Command,
                Setting::of(&[&name::API_KEY_COMMAND])
                    .or_flag("--api-key-command", flags.api_key_command.as_ref()),
            ),
        ],
        key_id: Some(Setting::of(&[&name::API_KEY_ID])),
        grace: GRACE,
    };
    credential::read(read, around, &ways)
}

/// The address that was given, or else the tenant's under the apex domain that was given.
fn url(read: &mut Reader<'_>, flags: &RunFlags, identity: &Identity) -> Option<String> {
    let setting = Setting::of(&[&name::ENFORCER_URL, &name::API_URL])
        .or_flag("--enforcer-url", flags.enforcer_url.as_ref());
    let is_given = read.is_given(setting);
    let url = read.optional(setting, address::base_url);
    let apex = read.optional(Setting::of(&[&name::APEX_DOMAIN]), parse::text);
    let (false, Some(apex)) = (is_given, apex) else {
        return url;
    };
    let origin = read.origin(name::APEX_DOMAIN.name);
    let Some(tenant) = &identity.tenant_id else {
        read.problem(
            origin,
            Wrong::new(
                "needs a tenant to make an address with",
                "set THOTH_TENANT_ID, or THOTH_ENFORCER_URL",
            ),
        );
        return None;
    };
    let url = address::derived_url("enforce", tenant, &apex);
    if let Some(url) = &url {
        read.follows(setting, url, origin);
    } else {
        read.problem(
            origin,
            Wrong::new("makes no host name together with the tenant", "write a domain and a tenant of letters, digits and hyphens, or set THOTH_ENFORCER_URL"),
        );
    }
    url
}

/// What the enforcer's silence means. Failing open is for developers: in staging and prod it takes
/// a second variable that says so.
fn outage(read: &mut Reader<'_>, strict: bool) -> Outage {
    let said = read.optional(Setting::of(&[&name::FAILURE_DECISION]), parse::outage);
    let fail_open = read.optional(Setting::of(&[&name::FAIL_OPEN]), parse::boolean);
    let overridden = read.optional(Setting::of(&[&name::ALLOW_FALLBACK_OVERRIDE]), parse::boolean);
    let (outage, origin) = match (said, fail_open) {
        (Some(said), fail_open) => {
            if fail_open == Some(true) && said != Outage::Allow {
                read.notice(
                    read.origin(name::FAIL_OPEN.name),
                    "is not used, since THOTH_ENFORCER_FAILURE_DECISION is given",
                );
            }
            (said, name::FAILURE_DECISION.name)
        }
        (None, Some(true)) => (Outage::Allow, name::FAIL_OPEN.name),
        (None, _) => (Outage::default(), name::FAILURE_DECISION.name),
    };
    if outage == Outage::Allow && strict && overridden != Some(true) {
        read.notice(
            read.origin(origin),
            "allowing is ignored in staging and prod: calls are blocked while the enforcer is \
             silent; to allow them, set THOTH_ENFORCER_ALLOW_FALLBACK_OVERRIDE=true",
        );
        return Outage::Block;
    }
    outage
}

fn context(read: &mut Reader<'_>) -> RequestContext {
    let mut text = |variable| read.optional(Setting::of(variable), parse::text);
    let context = RequestContext {
        purpose: text(&[&name::PURPOSE]),
        data_classification: text(&[&name::DATA_CLASSIFICATION]),
        model_name: text(&[&name::MODEL_NAME]),
        model_provider: text(&[&name::MODEL_PROVIDER]),
        model_artifact_id: text(&[&name::MODEL_ARTIFACT_ID]),
        model_artifact_version: text(&[&name::MODEL_ARTIFACT_VERSION]),
        enforcement_trace_id: text(&[&name::ENFORCEMENT_TRACE_ID]),
        action_attestation_id: text(&[&name::ACTION_ATTESTATION_ID]),
        mcp_runtime_identity: text(&[&name::RUNTIME_IDENTITY]),
        endpoint_id: text(&[&name::ENDPOINT_ID]),
        ..RequestContext::default()
    };
    // These may hold tokens and personal data, so they are shown as fingerprints.
    let mut object = |variable| read.optional(Setting::of(variable).secret(), parse::object);
    RequestContext {
        task_context: object(&[&name::TASK_CONTEXT]),
        delegation_context: object(&[&name::DELEGATION_CONTEXT]),
        auth_context: object(&[&name::AUTH_CONTEXT]),
        metadata: object(&[&name::REQUEST_METADATA]),
        ..context
    }
}
