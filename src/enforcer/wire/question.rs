//! The body of `POST /v1/enforce`: who asks, and what about.
//!
//! The member names, and what clients put in them, are those of Aten's SDKs and documentation
//! (`thoth-py` 0.5.25, `thoth-go` 0.1.18, the REST reference). Choices of our own:
//!
//! - `tenant_id` is required by the enforcer; without one it is `default`. `user_id` is `system`,
//!   as the SDKs have it.
//! - `session_tool_calls` holds the calls that went before, not this one.
//! - `tool_args` is the text the server would get, byte for byte, and absent where it is `{}`.
//! - `metadata` carries the server's name as `mcp_server`, and what the server claims of the tool as
//!   `mcp_tool_annotations`. Rules at an enforcer may look at both, so both are thoth's alone to say:
//!   a member of the configured metadata that has one of these names, in whichever spelling, is not
//!   sent, also where there is nothing to say in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::Members;
use super::members::folded;
use crate::config::settings::{Environment, Identity, RequestContext};
use crate::gate::decide::Mode;
use crate::gate::verdict::{Calls, Question};

/// The members of `metadata` that are thoth's to say.
const SERVER: &str = "mcp_server";
const ANNOTATIONS: &str = "mcp_tool_annotations";

/// Who is to ask, and from where.
#[derive(Clone, Copy, Debug)]
pub struct AskedBy<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// Where this machine stands.
    pub environment: Environment,
    /// How verdicts are enforced.
    pub mode: Mode,
    /// The name of the server whose tools are called, as rules know it.
    pub server: &'a str,
    /// The session.
    pub session_id: &'a str,
}

/// Who asks: what stands in every question of one session.
#[derive(Debug)]
pub struct Asker {
    agent_id: String,
    tenant_id: String,
    user_id: String,
    session_id: String,
    session_intent: Option<String>,
    approved_scope: Vec<String>,
    mode: Mode,
    environment: Environment,
    /// The session's trace, checked on the way back.
    trace: String,
    /// The configured attestation id, where it is not made anew for each question.
    attestation: Option<String>,
    context: RequestContext,
    task_context: Option<Box<RawValue>>,
    delegation_context: Option<Box<RawValue>>,
    auth_context: Option<Box<RawValue>>,
    metadata: BTreeMap<String, Box<RawValue>>,
}

/// What makes one question different from the next.
#[derive(Clone, Copy, Debug)]
pub struct Particulars<'a> {
    /// What is asked about.
    pub question: &'a Question,
    /// `request_id`
    pub request: &'a str,
    /// `action_attestation_id`, checked on the way back.
    pub attestation: &'a str,
    /// `occurred_at`
    pub at: jiff::Timestamp,
}

/// A part of the configured context is not the text of one JSON object.
#[derive(Debug, thiserror::Error)]
#[error("the configured {member} is not a JSON object in which each member stands once")]
pub struct NotContext {
    /// Which member of the question it was meant for.
    pub member: &'static str,
}

/// The call's arguments are not JSON, so nobody can be asked about them.
#[derive(Debug, thiserror::Error)]
#[error("the call's arguments are not JSON")]
pub struct NotAsked(#[source] Option<serde_json::Error>);

/// The eight members that are required come first.
#[derive(Serialize)]
struct Body<'a> {
    agent_id: &'a str,
    tenant_id: &'a str,
    tool_name: &'a str,
    session_id: &'a str,
    user_id: &'a str,
    approved_scope: &'a [String],
    enforcement_mode: &'a str,
    session_tool_calls: Vec<&'a str>,
    request_id: &'a str,
    occurred_at: String,
    environment: &'a str,
    enforcement_trace_id: &'a str,
    action_attestation_id: &'a str,
    identity_binding: Binding<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_args: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_intent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_classification: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation_context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_artifact_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_artifact_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<&'a str>,
}

/// What is the same in all questions of a session, and what is not.
struct Metadata<'a> {
    of_session: &'a BTreeMap<String, Box<RawValue>>,
    annotations: Option<&'a RawValue>,
}

/// Whom the enforcer should bind the decision to. Self-declared, as everything here.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct Binding<'a> {
    agent_id: &'a str,
    tenant_id: &'a str,
    user_id: &'a str,
}

/// The body of one question.
///
/// # Errors
///
/// [`NotAsked`] where the arguments are not JSON; the gate's reader lets no such call through.
pub fn question(asker: &Asker, particulars: Particulars<'_>) -> Result<Vec<u8>, NotAsked> {
    let arguments = str::from_utf8(&particulars.question.arguments).map_err(|_| NotAsked(None))?;
    let arguments: &RawValue =
        serde_json::from_str(arguments).map_err(|error| NotAsked(Some(error)))?;
    let context = &asker.context;
    let body = Body {
        agent_id: &asker.agent_id,
        tenant_id: &asker.tenant_id,
        tool_name: &particulars.question.tool,
        session_id: &asker.session_id,
        user_id: &asker.user_id,
        approved_scope: &asker.approved_scope,
        enforcement_mode: asker.mode.word(),
        session_tool_calls: last(&particulars.question.calls_so_far),
        request_id: particulars.request,
        occurred_at: particulars.at.to_string(),
        environment: environment(asker.environment),
        enforcement_trace_id: &asker.trace,
        action_attestation_id: particulars.attestation,
        identity_binding: Binding {
            agent_id: &asker.agent_id,
            tenant_id: &asker.tenant_id,
            user_id: &asker.user_id,
        },
        tool_args: Some(arguments).filter(|arguments| !is_empty_object(arguments.get())),
        session_intent: asker.session_intent.as_deref(),
        purpose: context.purpose.as_deref(),
        data_classification: context.data_classification.as_deref(),
        task_context: asker.task_context.as_deref(),
        delegation_context: asker.delegation_context.as_deref(),
        auth_context: asker.auth_context.as_deref(),
        metadata: Metadata {
            of_session: &asker.metadata,
            annotations: particulars.question.annotations.as_deref().and_then(one_object),
        },
        model_name: context.model_name.as_deref(),
        model_provider: context.model_provider.as_deref(),
        model_artifact_id: context.model_artifact_id.as_deref(),
        model_artifact_version: context.model_artifact_version.as_deref(),
        endpoint_id: context.endpoint_id.as_deref(),
    };
    serde_json::to_vec(&body).map_err(|error| NotAsked(Some(error)))
}

/// Whether the text is an object without members, or nothing worth sending.
pub(super) fn is_empty_object(text: &str) -> bool {
    let inside = text.trim().strip_prefix('{');
    inside.and_then(|text| text.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
}

fn last(calls: &[Arc<str>]) -> Vec<&str> {
    let from = calls.len().saturating_sub(Calls::KEPT);
    calls[from..].iter().map(AsRef::as_ref).collect()
}

fn environment(environment: Environment) -> &'static str {
    match environment {
        Environment::Dev => "dev",
        Environment::Prod => "prod",
        Environment::Staging => "staging",
    }
}

// === impl Asker ===

impl Asker {
    /// Binds the configuration to one session.
    ///
    /// `mcp_runtime_identity` goes into `metadata`, and into `auth_context.service_identity` where
    /// none is given there, as in `thoth-py` 0.5.25.
    ///
    /// # Errors
    ///
    /// [`NotContext`], where a part of the context is not the text of one JSON object.
    pub fn new(by: AskedBy<'_>, context: RequestContext) -> Result<Self, NotContext> {
        let AskedBy { identity, environment, mode, server, session_id } = by;
        let or = |value: &Option<String>, default: &str| {
            value.clone().unwrap_or_else(|| default.to_owned())
        };
        let runtime = context.mcp_runtime_identity.as_deref();
        let object = |member, text: &Option<String>, extra: Option<(&str, &str)>| {
            object(text.as_deref(), extra).map_err(|()| NotContext { member })
        };
        let metadata = metadata(context.metadata.as_deref(), runtime, server)
            .map_err(|()| NotContext { member: "metadata" })?;
        Ok(Self {
            agent_id: identity.agent_id.clone(),
            tenant_id: or(&identity.tenant_id, "default"),
            user_id: or(&identity.user_id, "system"),
            session_id: session_id.to_owned(),
            session_intent: identity.session_intent.clone(),
            approved_scope: identity.approved_scope.clone(),
            mode,
            environment,
            trace: or(&context.enforcement_trace_id, session_id),
            attestation: context.action_attestation_id.clone(),
            task_context: object("task_context", &context.task_context, None)?,
            delegation_context: object("delegation_context", &context.delegation_context, None)?,
            auth_context: object(
                "auth_context",
                &context.auth_context,
                runtime.map(|identity| ("service_identity", identity)),
            )?,
            metadata,
            context,
        })
    }

    /// The trace id every question of the session carries.
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// The attestation id every question of the session carries, where one is configured.
    pub fn attestation(&self) -> Option<&str> {
        self.attestation.as_deref()
    }
}

/// The configured object, with one member more where it has none of that name.
fn object(text: Option<&str>, extra: Option<(&str, &str)>) -> Result<Option<Box<RawValue>>, ()> {
    if text.is_none() && extra.is_none() {
        return Ok(None);
    }
    to_raw_value(&members(text, extra)?).map(Some).map_err(|_| ())
}

/// What `metadata` carries in every question of a session: what is configured, but for what is
/// thoth's to say.
fn metadata(
    text: Option<&str>,
    runtime: Option<&str>,
    server: &str,
) -> Result<BTreeMap<String, Box<RawValue>>, ()> {
    let runtime = runtime.map(|identity| ("mcp_runtime_identity", identity));
    let mut members = members(text, runtime)?;
    let is_ours = |name: &str| [SERVER, ANNOTATIONS].iter().any(|our| folded(our) == folded(name));
    members.retain(|name, _| !is_ours(name));
    if !server.is_empty() {
        members.insert(SERVER.to_owned(), to_raw_value(server).map_err(|_| ())?);
    }
    Ok(members)
}

/// The members of a configured object, with one more where it has none of that name. The values keep
/// the spelling they were given in.
fn members(
    text: Option<&str>,
    extra: Option<(&str, &str)>,
) -> Result<BTreeMap<String, Box<RawValue>>, ()> {
    let configured = match text {
        Some(text) => Members::read(text.as_bytes()).map_err(|_| ())?.into_map(),
        None => BTreeMap::new(),
    };
    let mut members: BTreeMap<String, Box<RawValue>> =
        configured.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    if let Some((name, value)) = extra
        && !members.contains_key(name)
    {
        members.insert(name.to_owned(), to_raw_value(value).map_err(|_| ())?);
    }
    Ok(members)
}

/// The text, where it is one object that every reader reads alike at its top.
fn one_object(text: &str) -> Option<&RawValue> {
    Members::read(text.as_bytes()).ok()?;
    serde_json::from_str(text).ok()
}

// === impl Metadata ===

impl Metadata<'_> {
    fn is_empty(&self) -> bool {
        self.of_session.is_empty() && self.annotations.is_none()
    }
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.of_session {
            map.serialize_entry(name, value)?;
        }
        if let Some(annotations) = self.annotations {
            map.serialize_entry(ANNOTATIONS, annotations)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gate::record::Ticket;

    fn asked(asker: &Asker, arguments: &str, calls: usize) -> String {
        let question = Question {
            ticket: Ticket(1),
            tool: "read_file".into(),
            arguments: arguments.to_owned().into(),
            calls_so_far: (0..calls).map(|n| n.to_string().into()).collect(),
            annotations: None,
            reply: None,
        };
        body_of(asker, &question)
    }

    fn body_of(asker: &Asker, question: &Question) -> String {
        let body = super::question(
            asker,
            Particulars {
                question,
                request: "r-1",
                attestation: "att-1",
                at: "2026-11-21T10:00:00Z".parse().unwrap(),
            },
        )
        .unwrap();
        String::from_utf8(body).unwrap()
    }

    fn asker(identity: &Identity, context: RequestContext) -> Asker {
        Asker::new(by(identity), context).unwrap()
    }

    fn by(identity: &Identity) -> AskedBy<'_> {
        let (environment, mode) = (Environment::Staging, Mode::StepUp);
        AskedBy { identity, environment, mode, server: "npx", session_id: "s-1" }
    }

    #[test]
    fn the_least_that_is_asked() {
        let identity = Identity { agent_id: "fs".to_owned(), ..Identity::default() };
        let body = asked(&asker(&identity, RequestContext::default()), "{ }", 0);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            json!({
                "agent_id": "fs", "tenant_id": "default", "tool_name": "read_file",
                "session_id": "s-1", "user_id": "system", "approved_scope": [],
                "enforcement_mode": "step_up", "session_tool_calls": [],
                "request_id": "r-1", "occurred_at": "2026-11-21T10:00:00Z",
                "environment": "staging", "enforcement_trace_id": "s-1",
                "action_attestation_id": "att-1",
                "identity_binding":
                    {"agent_id": "fs", "tenant_id": "default", "user_id": "system"},
                "metadata": {"mcp_server": "npx"},
            })
        );
    }

    #[test]
    fn the_most_that_is_asked() {
        let some = |text: &str| Some(text.to_owned());
        let identity = Identity {
            agent_id: "fs".to_owned(),
            tenant_id: some("acme"),
            user_id: some("ann@acme.example"),
            session_intent: some("billing"),
            approved_scope: vec!["read_file".to_owned()],
            ..Identity::default()
        };
        let context = RequestContext {
            purpose: some("p"),
            data_classification: some("phi"),
            task_context: some(r#"{"task_id":1.0}"#),
            delegation_context: some(r#"{"chain":[]}"#),
            auth_context: some(r#"{"service_identity":"own"}"#),
            metadata: some(r#"{"big":12345678901234567890123}"#),
            model_name: some("m"),
            model_provider: some("mp"),
            model_artifact_id: some("ma"),
            model_artifact_version: some("mv"),
            enforcement_trace_id: some("t-9"),
            action_attestation_id: some("ignored here: the caller puts it in"),
            mcp_runtime_identity: some("spiffe://x"),
            endpoint_id: some("e-1"),
        };
        let body = asked(&asker(&identity, context), r#"{"a":1}"#, 1);
        for member in [
            r#""tenant_id":"acme""#,
            r#""user_id":"ann@acme.example""#,
            r#""identity_binding":{"agent_id":"fs","tenant_id":"acme","user_id":"ann@acme.example"}"#,
            r#""session_intent":"billing""#,
            r#""approved_scope":["read_file"]"#,
            r#""session_tool_calls":["0"]"#,
            r#""purpose":"p""#,
            r#""data_classification":"phi""#,
            r#""task_context":{"task_id":1.0}"#,
            r#""delegation_context":{"chain":[]}"#,
            r#""auth_context":{"service_identity":"own"}"#,
            r#""metadata":{"big":12345678901234567890123,"mcp_runtime_identity":"spiffe://x","mcp_server":"npx"}"#,
            r#""model_name":"m""#,
            r#""model_provider":"mp""#,
            r#""model_artifact_id":"ma""#,
            r#""model_artifact_version":"mv""#,
            r#""enforcement_trace_id":"t-9""#,
            r#""endpoint_id":"e-1""#,
            r#""tool_args":{"a":1}"#,
        ] {
            assert!(body.contains(member), "{member} not in {body}");
        }
    }

    #[test]
    fn arguments_are_sent_as_they_are_written() {
        let asker = asker(&Identity::default(), RequestContext::default());
        let text = r#"{ "b" : 1.00, "a":12345678901234567890123, "\u0061b":"\u00e9" }"#;
        assert!(asked(&asker, text, 0).contains(&format!(r#""tool_args":{text}"#)));
    }

    #[test]
    fn the_last_128_calls_are_told() {
        let asker = asker(&Identity::default(), RequestContext::default());
        let body: Value = serde_json::from_str(&asked(&asker, "{}", 200)).unwrap();
        let calls = body["session_tool_calls"].as_array().unwrap();
        assert_eq!((calls.len(), &calls[0], &calls[127]), (128, &json!("72"), &json!("199")));
    }

    #[test]
    fn what_the_server_is_and_claims_is_told_beside_the_configured_metadata() {
        let metadata = |configured: Option<&str>, annotations: Option<&str>| {
            let context = RequestContext {
                metadata: configured.map(str::to_owned),
                ..RequestContext::default()
            };
            let question = Question {
                ticket: Ticket(1),
                tool: "t".into(),
                arguments: "{}".into(),
                calls_so_far: Vec::new(),
                annotations: annotations.map(Into::into),
                reply: None,
            };
            let body = body_of(&asker(&Identity::default(), context), &question);
            let start = body.find(r#""metadata":"#).unwrap() + r#""metadata":"#.len();
            let end = body.rfind('}').unwrap();
            body[start..end].to_owned()
        };
        let hints = r#"{ "readOnlyHint" : true, "n":1.00 }"#;
        for (configured, annotations, expected) in [
            (None, None, r#"{"mcp_server":"npx"}"#),
            (
                Some(r#"{"z":1.0}"#),
                Some(hints),
                r#"{"mcp_server":"npx","z":1.0,"mcp_tool_annotations":{ "readOnlyHint" : true, "n":1.00 }}"#,
            ),
            // Nobody else says these, by accident or not.
            (
                Some(r#"{"mcp_server":"evil","mcpToolAnnotations":{"readOnlyHint":true},"a":1}"#),
                None,
                r#"{"a":1,"mcp_server":"npx"}"#,
            ),
            (Some(r#"{"MCP_Server":7}"#), None, r#"{"mcp_server":"npx"}"#),
            // What is not one object that every reader reads alike is not told.
            (None, Some("[]"), r#"{"mcp_server":"npx"}"#),
            (None, Some("null"), r#"{"mcp_server":"npx"}"#),
            (None, Some(r#"{"a":1,"a":2}"#), r#"{"mcp_server":"npx"}"#),
            (None, Some("{"), r#"{"mcp_server":"npx"}"#),
        ] {
            assert_eq!(metadata(configured, annotations), expected, "{configured:?}");
        }
    }

    #[test]
    fn without_anything_to_say_there_is_no_metadata() {
        let nobody = Identity::default();
        let by = AskedBy { server: "", ..by(&nobody) };
        let asker = Asker::new(by, RequestContext::default()).unwrap();
        assert!(!asked(&asker, "{}", 0).contains("metadata"));
    }

    #[test]
    fn a_context_that_is_no_object_is_named() {
        for text in ["", "[]", "1", "{", r#"{"a":1,"a":2}"#] {
            let context = RequestContext {
                delegation_context: Some(text.to_owned()),
                ..RequestContext::default()
            };
            let error = Asker::new(by(&Identity::default()), context).unwrap_err();
            assert_eq!(error.member, "delegation_context", "{text:?}");
        }
    }
}
