//! One line of an event stream, as far as a report looks at it. All wire generations.
//!
//! Lenient where nothing is lost by it: members that a generation lacks or that are of another kind
//! than they should be count as absent. A line without a session, a type and a number is no event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::session::{Annotation, Software, Surface};
use super::text::{Excerpt, cut};
use crate::friction::surface;

/// What is kept of a name, in characters.
const NAME: usize = 200;
/// What is kept of arguments, in characters.
const ARGUMENTS: usize = 300;
/// What is kept of a goal, an error or an agent's words, in characters.
const WORDS: usize = 1000;
/// What is kept of an annotation's context, in members.
const CONTEXT: usize = 12;

/// Where a stream begins to tell of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The session's id.
    pub session: String,
    /// When the event happened.
    pub at: Option<Timestamp>,
    /// The label of the wrapped server.
    pub vendor: Option<String>,
    /// Whether the event tells of more than of what a server offers.
    pub is_doing: bool,
}

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) sequence: u64,
    pub(super) at: Option<Timestamp>,
    pub(super) labels: Labels,
    /// What tells the two events of one call from all others.
    pub(super) key: Option<String>,
    pub(super) what: What,
}

/// What an event says of the stream it stands in. Kept of the last event that says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    pub(super) vendor: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) software: Option<String>,
    pub(super) runtime: Option<String>,
    pub(super) client: Option<Software>,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    CallStart(CallStart),
    CallEnd(CallEnd),
    Annotation(Box<Annotation>),
    Surface(Surface),
    /// A listing, a resource or a prompt.
    RequestStart(Subject),
    RequestEnd(Subject, Ending),
    /// A type that is not known here.
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct CallStart {
    pub(super) tool: String,
    pub(super) arguments: u64,
    pub(super) params: Excerpt,
    pub(super) intent: Option<Excerpt>,
    pub(super) expected: Option<Excerpt>,
}

#[derive(Clone, Debug)]
pub(super) struct CallEnd {
    pub(super) tool: String,
    pub(super) ending: Ending,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// `None` for success.
    pub(super) error: Option<Wrong>,
    pub(super) took_ms: Option<u64>,
}

/// What an event says of an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    pub(super) error_type: String,
    pub(super) body: Excerpt,
    pub(super) kind: Option<String>,
}

/// What a request other than a call is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    List(&'static str),
    Resource(String),
    Prompt(String),
}

/// The envelope. What a report does not look at is passed over.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    sequence_number: u64,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    captured_at: Option<&'a RawValue>,
    #[serde(borrow)]
    vendor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow)]
    sdk_version: Option<&'a RawValue>,
    #[serde(borrow)]
    agent_runtime: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    runtime_meta: Option<&'a RawValue>,
    #[serde(borrow)]
    client_observed: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// The members of an object, the last of those that repeat; none of anything else.
struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

/// A line whose envelope was read.
pub(super) struct Line<'a>(Envelope<'a>);

/// Reads whose event a line is; `None` where it is no event.
pub fn begun(line: &[u8]) -> Option<Begun> {
    let line = Line::read(line)?;
    let envelope = &line.0;
    let kind = &*envelope.event_type;
    Some(Begun {
        session: line.session().to_owned(),
        at: line.at(),
        vendor: text(envelope.vendor_id).map(|vendor| cut(&vendor, NAME)),
        is_doing: kind.starts_with("tool_call_") || kind == "annotation",
    })
}

// === impl Line ===

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line.trim_ascii()).ok().map(Self)
    }

    pub(super) fn session(&self) -> &str {
        &self.0.session_id
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        text(self.0.captured_at)?.parse().ok()
    }

    /// What tells this event from all others.
    pub(super) fn id(&self) -> Option<u64> {
        text(self.0.event_id).filter(|id| !id.is_empty()).map(|id| hash(id.as_bytes()))
    }

    pub(super) fn told(&self) -> Told {
        let envelope = &self.0;
        let name = |member| text(member).map(|name| cut(&name, NAME));
        let payload = Members::of(envelope.payload);
        let observed = Members::of(envelope.client_observed);
        Told {
            sequence: envelope.sequence_number,
            at: self.at(),
            labels: Labels {
                vendor: name(envelope.vendor_id),
                tenant: name(envelope.tenant_id),
                software: name(envelope.sdk_version),
                runtime: name(envelope.agent_runtime),
                client: Software::of(&Members::of(observed.0.get("info").copied())),
            },
            key: self.key(),
            what: What::of(&envelope.event_type, &payload),
        }
    }

    /// The call's id, or what a client says of it.
    fn key(&self) -> Option<String> {
        let said = |text: &Cow<'_, str>| !text.is_empty();
        text(self.0.call_id).filter(said).map(|id| cut(&id, NAME)).or_else(|| {
            let meta = Members::of(self.0.runtime_meta);
            meta.text("claudecode/toolUseId").filter(said).map(|id| cut(&id, NAME))
        })
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    fn of(object: Option<&'a RawValue>) -> Self {
        let members = object.and_then(|object| serde_json::from_str(object.get()).ok());
        Self(members.unwrap_or_default())
    }

    fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.0.get(name).copied())
    }

    /// A text that is not blank.
    fn words(&self, name: &str) -> Option<Excerpt> {
        let text = self.text(name).filter(|text| !text.trim().is_empty())?;
        Some(Excerpt::new(&text, WORDS))
    }

    fn name(&self, name: &str) -> String {
        cut(&self.text(name).unwrap_or_default(), NAME)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.get().parse().ok()
    }
}

// === impl What ===

impl What {
    fn of(event_type: &str, payload: &Members<'_>) -> Self {
        let (what, step) = event_type.rsplit_once('_').unwrap_or_default();
        let subject = match what {
            "tool_list" => Subject::List("tools/list"),
            "resource_list" => Subject::List("resources/list"),
            "prompt_list" => Subject::List("prompts/list"),
            "resource_read" => Subject::Resource(payload.name("uri")),
            "prompt_get" => Subject::Prompt(payload.name("name")),
            "tool_call" => return Self::of_call(step, payload),
            _ => {
                return match event_type {
                    "annotation" => Self::Annotation(Box::new(Annotation::of(payload))),
                    "surface_snapshot" => Self::Surface(Surface::of(payload)),
                    _ => Self::Other,
                };
            }
        };
        match step {
            "start" => Self::RequestStart(subject),
            "end" => Self::RequestEnd(subject, Ending::of(false, payload)),
            "error" => Self::RequestEnd(subject, Ending::of(true, payload)),
            _ => Self::Other,
        }
    }

    fn of_call(step: &str, payload: &Members<'_>) -> Self {
        let tool = payload.name("tool_name");
        match step {
            "start" => {
                let params = payload.0.get("params").map_or("{}", |params| params.get());
                let canonical = surface::canonical(params.as_bytes());
                Self::CallStart(CallStart {
                    tool,
                    arguments: hash(canonical.as_deref().unwrap_or(params).as_bytes()),
                    params: Excerpt::new(params, ARGUMENTS),
                    intent: payload.words("call_intent"),
                    expected: payload.words("call_expected"),
                })
            }
            "end" => Self::CallEnd(CallEnd { tool, ending: Ending::of(false, payload) }),
            "error" => Self::CallEnd(CallEnd { tool, ending: Ending::of(true, payload) }),
            _ => Self::Other,
        }
    }
}

// === impl Ending ===

impl Ending {
    fn of(is_error: bool, payload: &Members<'_>) -> Self {
        let wrong = || {
            let error_type = payload.name("error_type");
            let error_type = if error_type.is_empty() { "unknown".to_owned() } else { error_type };
            let body = payload.text("error_body").unwrap_or_default();
            let kind = payload.text("failure_kind").map(|kind| cut(&kind, NAME));
            Wrong { error_type, body: Excerpt::new(&body, WORDS), kind }
        };
        Self { error: is_error.then(wrong), took_ms: payload.number("duration_ms") }
    }
}

// === impl Software ===

impl Software {
    fn of(info: &Members<'_>) -> Option<Self> {
        let name = info.name("name");
        let version = info.name("version");
        (!name.is_empty()).then_some(Self { name, version })
    }
}

// === impl Surface ===

impl Surface {
    fn of(payload: &Members<'_>) -> Self {
        let server = Members::of(payload.0.get("server_info").copied());
        let tools = payload.0.get("tools").and_then(|tools| {
            serde_json::from_str::<Vec<&RawValue>>(tools.get()).ok().map(|tools| tools.len())
        });
        Self {
            hash: payload.name("surface_hash"),
            server: Software::of(&server),
            tools: tools.unwrap_or(0),
        }
    }
}

// === impl Annotation ===

impl Annotation {
    /// The number and the time are the event's.
    fn of(payload: &Members<'_>) -> Self {
        let context = Members::of(payload.0.get("context").copied());
        let said = |name| payload.words(name).or_else(|| context.words(name));
        let is_true = |value: &&RawValue| !matches!(value.get(), "false" | "null" | "0" | "\"\"");
        let named = payload.text("tool_name").or_else(|| context.text("tool"));
        let shown = |(name, value): (&Cow<'_, str>, &&RawValue)| {
            let value = text(Some(value)).unwrap_or(Cow::Borrowed(value.get()));
            (cut(name, NAME), Excerpt::new(&value, WORDS))
        };
        Self {
            sequence: 0,
            at: None,
            intent: payload.words("intent"),
            expected: payload.words("expected_outcome"),
            what_happened: said("what_happened"),
            signal_type: payload.text("signal_type").map(|signal| cut(&signal, NAME)),
            workflow: payload.words("workflow"),
            improvement: payload.words("suggested_improvement"),
            // "none" is how an agent says that there is no such tool.
            tool: named
                .filter(|tool| !tool.is_empty() && tool != "none")
                .map(|tool| cut(&tool, NAME)),
            blocks: context.0.get("downstream_blocked").is_some_and(is_true),
            context: context.0.iter().take(CONTEXT).map(shown).collect(),
        }
    }
}

/// The text of a string; `None` of anything else.
fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(value?.get()).ok().map(|text| text.0)
}

/// Equal for equal texts, in this process.
fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
