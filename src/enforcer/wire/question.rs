//! The body of `POST /v1/enforce`: who asks, and what about.
//!
//! The member names, and what clients put in them, are those of Aten's SDKs and documentation
//! (`thoth-py` 0.5.25, `thoth-go` 0.1.18, the REST reference). Choices of our own:
//!
//! - `tenant_id` is required by the enforcer; without one it is `default`. `user_id` is `system`,
//!   as the SDKs have it.
//! - `session_tool_calls` holds the calls that went before, not this one.
//! - `tool_args` is the text the server would get, byte for byte, and absent where it is `{}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Members;
use crate::config::settings::{Environment, Identity, RequestContext};
use crate::gate::decide::Mode;
use crate::gate::verdict::{Calls, Question};

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
    metadata: Option<Box<RawValue>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
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
        metadata: asker.metadata.as_deref(),
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
    pub fn new(
        identity: &Identity,
        environment: Environment,
        mode: Mode,
        session_id: &str,
        context: RequestContext,
    ) -> Result<Self, NotContext> {
        let or = |value: &Option<String>, default: &str| {
            value.clone().unwrap_or_else(|| default.to_owned())
        };
        let runtime = context.mcp_runtime_identity.as_deref();
        let object = |member, text: &Option<String>, extra: Option<(&str, &str)>| {
            object(text.as_deref(), extra).map_err(|()| NotContext { member })
        };
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
            metadata: object(
                "metadata",
                &context.metadata,
                runtime.map(|identity| ("mcp_runtime_identity", identity)),
            )?,
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

/// The configured object, with one member more where it has none of that name. The values keep
/// the spelling they were given in.
fn object(text: Option<&str>, extra: Option<(&str, &str)>) -> Result<Option<Box<RawValue>>, ()> {
    if text.is_none() && extra.is_none() {
        return Ok(None);
    }
    let mut members: BTreeMap<String, &RawValue> = match text {
        Some(text) => Members::read(text.as_bytes()).map_err(|_| ())?.into_map(),
        None => BTreeMap::new(),
    };
    let extra = extra.map(|(name, value)| (name, to_raw_value(value)));
    if let Some((name, Ok(value))) = &extra {
        members.entry((*name).to_owned()).or_insert(value);
    }
    to_raw_value(&members).map(Some).map_err(|_| ())
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
        let body = super::question(
            asker,
            Particulars {
                question: &question,
                request: "r-1",
                attestation: "att-1",
                at: "2026-11-21T10:00:00Z".parse().unwrap(),
            },
        )
        .unwrap();
        String::from_utf8(body).unwrap()
    }

    fn asker(identity: &Identity, context: RequestContext) -> Asker {
        Asker::new(identity, Environment::Staging, Mode::StepUp, "s-1", context).unwrap()
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
            r#""metadata":{"big":12345678901234567890123,"mcp_runtime_identity":"spiffe://x"}"#,
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
    fn a_context_that_is_no_object_is_named() {
        for text in ["", "[]", "1", "{", r#"{"a":1,"a":2}"#] {
            let context = RequestContext {
                delegation_context: Some(text.to_owned()),
                ..RequestContext::default()
            };
            let (who, env) = (Identity::default(), Environment::Dev);
            let error = Asker::new(&who, env, Mode::Block, "s", context).unwrap_err();
            assert_eq!(error.member, "delegation_context", "{text:?}");
        }
    }
}
