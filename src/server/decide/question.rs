//! The body of `POST /v1/enforce`, as any of its clients spells it.
//!
//! Members in `snake_case` and in `camelCase`; the eight that are required come first in
//! [`Question::read`], everything else may be missing, and unknown ones are passed over. A member
//! that stands twice, in whichever spelling, makes the question unreadable: the rules could be asked
//! about one of two readings, and the tool be called with the other.

use std::sync::Arc;

use crate::enforcer::wire::Members;
use crate::gate::decide::Mode;
use crate::gate::json;
use crate::gate::verdict::{Arguments, Calls};
use crate::policy::Who;
use crate::server::Fault;
use crate::server::caller::{Caller, Scope};

/// How long a name may be, in bytes.
const NAME: usize = 1024;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// Whose call of which server.
    pub(super) who: Who,
    /// The tenant that the caller names.
    pub(super) tenant: String,
    pub(super) session: String,
    pub(super) tool: String,
    pub(super) arguments: Arguments,
    /// The text of the tool's annotations.
    pub(super) annotations: Option<&'a str>,
    /// The calls made so far in the session.
    pub(super) calls: Calls,
    pub(super) approved_scope: Vec<String>,
    pub(super) mode: Mode,
    /// `enforcement_trace_id`, where it was sent.
    pub(super) trace: Option<String>,
    /// `action_attestation_id`, where it was sent.
    pub(super) attestation: Option<String>,
    /// What the caller was told that its refusal is called, where it asks about one.
    pub(super) violation: Option<String>,
    endpoint: Option<String>,
    fleet: Option<String>,
}

// === impl Question ===

impl<'a> Question<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// 400, saying which member is missing or cannot be read; never what it holds.
    pub(super) fn read(body: &'a str) -> Result<Self, Fault> {
        let members =
            Members::read(body.as_bytes()).map_err(|error| Fault::malformed(error.to_string()))?;
        let metadata = object(&members, "metadata")?;
        let inner = |name| metadata.as_ref().map_or(Ok(None), |inner| optional(inner, name));
        let required = |name| optional(&members, name)?.ok_or_else(|| missing(name));
        Ok(Self {
            who: Who {
                agent: required("agent_id")?,
                server: inner("mcp_server")?.unwrap_or_default(),
                user: required("user_id")?,
                intent: optional(&members, "session_intent")?.unwrap_or_default(),
                environment: environment(optional(&members, "environment")?),
            },
            tenant: required("tenant_id")?,
            tool: Some(required("tool_name")?)
                .filter(|tool| !tool.is_empty())
                .ok_or_else(|| missing("tool_name"))?,
            session: required("session_id")?,
            approved_scope: names(&members, "approved_scope")?,
            mode: mode(&required("enforcement_mode")?)?,
            calls: calls(&names(&members, "session_tool_calls")?),
            arguments: arguments(&members)?,
            annotations: metadata.as_ref().map_or(Ok(None), annotations)?,
            trace: optional(&members, "enforcement_trace_id")?.filter(|id| !id.is_empty()),
            attestation: optional(&members, "action_attestation_id")?.filter(|id| !id.is_empty()),
            violation: optional(&members, "violation_id")?.filter(|id| !id.is_empty()),
            endpoint: optional(&members, "endpoint_id")?,
            fleet: optional(&members, "fleet_id")?,
        })
    }

    /// Refuses a question about another tenant than the key's, or about what the key is not good for.
    ///
    /// # Errors
    ///
    /// 403
    pub(super) fn of(&self, caller: &Caller) -> Result<(), Fault> {
        if self.tenant != caller.tenant.as_str() {
            return Err(Fault::forbidden("this key is for another tenant than `tenant_id`"));
        }
        let is_in = match &caller.scope {
            Scope::Organization => true,
            Scope::Fleet(fleet) => self.fleet.as_ref() == Some(fleet),
            Scope::Endpoint(endpoint) => self.endpoint.as_ref() == Some(endpoint),
            Scope::Agent(agent) => self.who.agent == *agent,
        };
        if is_in {
            Ok(())
        } else {
            let level = caller.scope.words().0;
            Err(Fault::forbidden(format!("this key is for another {level}")))
        }
    }
}

fn missing(name: &str) -> Fault {
    Fault::malformed(format!("`{name}` is missing"))
}

fn wrong(name: &str, what: &str) -> Fault {
    Fault::malformed(format!("`{name}` is not {what}"))
}

/// A name: a text on one line, of some length at most.
fn optional(members: &Members<'_>, name: &str) -> Result<Option<String>, Fault> {
    let Some(raw) = members.raw(name) else { return Ok(None) };
    let text: String = serde_json::from_str(raw).map_err(|_| wrong(name, "a text"))?;
    if text.len() > NAME || text.chars().any(char::is_control) {
        return Err(wrong(name, "a text of at most 1024 bytes on one line"));
    }
    Ok(Some(text))
}

/// A list of names, which must be there.
fn names(members: &Members<'_>, name: &str) -> Result<Vec<String>, Fault> {
    let raw = members.raw(name).ok_or_else(|| missing(name))?;
    serde_json::from_str(raw).map_err(|_| wrong(name, "a list of texts"))
}

/// An object that may be missing, and must be readable where it is not.
fn object<'a>(members: &Members<'a>, name: &str) -> Result<Option<Members<'a>>, Fault> {
    match members.raw(name) {
        None => Ok(None),
        Some(_) => members
            .inner(name)
            .map(Some)
            .ok_or_else(|| wrong(name, "an object in which each member stands once")),
    }
}

fn arguments(members: &Members<'_>) -> Result<Arguments, Fault> {
    let text = members.raw("tool_args").unwrap_or("{}");
    let what = "one JSON object that every reader reads alike";
    Arguments::parse(text).map_err(|_| wrong("tool_args", what))
}

fn annotations<'a>(metadata: &Members<'a>) -> Result<Option<&'a str>, Fault> {
    let Some(text) = metadata.raw("mcp_tool_annotations") else { return Ok(None) };
    let what = "one JSON object that every reader reads alike";
    json::object(text).map_err(|_| wrong("metadata.mcp_tool_annotations", what))?;
    Ok(Some(text))
}

fn calls(names: &[String]) -> Calls {
    let mut calls = Calls::default();
    for name in names {
        calls.add(&Arc::from(name.as_str()));
    }
    calls
}

/// `shadow` is what older clients call observe.
fn mode(word: &str) -> Result<Mode, Fault> {
    match word.trim().to_ascii_lowercase().as_str() {
        "observe" | "shadow" => Ok(Mode::Observe),
        "progressive" => Ok(Mode::Progressive),
        "step_up" => Ok(Mode::StepUp),
        "block" => Ok(Mode::Block),
        _ => Err(wrong("enforcement_mode", "observe, progressive, step_up or block")),
    }
}

/// `prod` where nothing is said, as the clients have it.
fn environment(given: Option<String>) -> String {
    let given = given.filter(|given| !given.trim().is_empty());
    let Some(given) = given else { return "prod".to_owned() };
    match given.trim().to_ascii_lowercase().as_str() {
        "prod" | "production" => "prod".to_owned(),
        "dev" | "development" => "dev".to_owned(),
        "staging" => "staging".to_owned(),
        _ => given,
    }
}
