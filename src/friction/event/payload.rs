//! What an event says, by its type; and which members of it a generation admits.
//!
//! What a generation has no member for goes where collectors of that generation look for it: a
//! report's own words into `context`, its tool too. Nothing else is lost but what only describes
//! the capture itself.

use super::Wire;
use super::failure::{Failure, FailureKind};
use super::object::Object;
use crate::friction::raw::{Raw, RawObject};

/// What an event says. 20 types in all.
#[derive(Clone, Debug)]
pub enum Payload<'a> {
    /// `annotation`: what an agent says of its own accord.
    Annotation(Annotation<'a>),
    /// `tool_call_start`, `_end`, `_error`
    Call {
        /// The same in both events of a call, and in no other.
        call_id: &'a str,
        /// The tool's name.
        tool: &'a str,
        /// Start or end.
        step: CallStep<'a>,
    },
    /// `tool_list_start` …, `resource_list_start` …, `prompt_list_start` …
    List {
        /// What is listed.
        of: Listed,
        /// Start or end.
        step: ListStep<'a>,
    },
    /// `prompt_get_start`, `_end`, `_error`
    Prompt {
        /// The prompt's name.
        name: &'a str,
        /// Start or end; the parameters are its `arguments`.
        step: FetchStep<'a>,
    },
    /// `resource_read_start`, `_end`, `_error`
    Read {
        /// The resource.
        uri: &'a str,
        /// Start or end; the parameters are the request's, without `_meta`.
        step: FetchStep<'a>,
    },
    /// `surface_snapshot`: what a server offers.
    Surface(Surface<'a>),
}

/// A call starts or ends.
#[derive(Clone, Debug)]
pub enum CallStep<'a> {
    /// It was made.
    Start {
        /// The arguments that are the tool's own.
        params: RawObject<'a>,
        /// What the agent said it wants.
        intent: Intent<'a>,
    },
    /// It was answered.
    End {
        /// The whole result; `None` where it is not captured.
        result: Option<Raw<'a>>,
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
    /// It failed, or was refused.
    Error {
        /// Why.
        failure: Failure<'a>,
        /// The whole result, where it failed with one.
        result: Option<Raw<'a>>,
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
}

/// What a listing lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listed {
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `tools/list`
    Tools,
}

/// A listing starts or ends.
#[derive(Clone, Debug)]
pub enum ListStep<'a> {
    /// It was asked for.
    Start,
    /// It was answered, with so many entries.
    End {
        /// How many entries the client was shown.
        count: u64,
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
    /// It failed.
    Error {
        /// Why.
        failure: Failure<'a>,
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
}

/// A resource is read, or a prompt is got. Their contents are never captured.
#[derive(Clone, Debug)]
pub enum FetchStep<'a> {
    /// It was asked for.
    Start {
        /// The parameters, where there are any.
        params: Option<RawObject<'a>>,
    },
    /// It was answered.
    End {
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
    /// It failed.
    Error {
        /// Why.
        failure: Failure<'a>,
        /// Whole milliseconds, where it is known.
        duration_ms: Option<u64>,
    },
}

/// What an agent says it wants with one call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Intent<'a> {
    /// The user's goal.
    pub goal: Option<&'a str>,
    /// What the agent expects of this call.
    pub expected: Option<&'a str>,
    /// The task it is a part of.
    pub workflow: Option<&'a str>,
    /// How it was said.
    pub source: IntentSource,
}

/// How an agent said what it wants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IntentSource {
    /// In a parameter that was added to the tool.
    #[default]
    InjectedParam,
    /// Through the Rust interface.
    LibraryArg,
}

/// What an agent says of its own accord.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Annotation<'a> {
    /// What the user wants.
    pub intent: Option<&'a str>,
    /// What should have come of it.
    pub expected_outcome: Option<&'a str>,
    /// What came of it: with this, it is a report; without, a note.
    pub what_happened: Option<&'a str>,
    /// One of the eight words for friction, or another.
    pub signal_type: Option<&'a str>,
    /// The task it is a part of.
    pub workflow: Option<&'a str>,
    /// What would have helped.
    pub suggested_improvement: Option<&'a str>,
    /// Whatever else was said.
    pub context: Option<RawObject<'a>>,
    /// The tool it is about.
    pub tool_name: Option<&'a str>,
}

/// What a server offers, and what was added to it.
#[derive(Clone, Debug)]
pub struct Surface<'a> {
    /// See [`crate::friction::surface`].
    pub hash: &'a str,
    /// `serverInfo`
    pub server_info: Option<RawObject<'a>>,
    /// `capabilities`
    pub capabilities: Option<RawObject<'a>>,
    /// `instructions`, without what was added.
    pub instructions: Option<&'a str>,
    /// The tools, without what was added.
    pub tools: &'a [RawObject<'a>],
    /// What was added.
    pub added: Added<'a>,
}

/// What was added to what a server offers.
#[derive(Clone, Debug, Default)]
pub struct Added<'a> {
    /// Names of the added tools, sorted.
    pub tools: &'a [&'a str],
    /// Names of the added parameters, sorted, and which of them are required; `None` for none.
    pub params: Option<AddedParams<'a>>,
    /// Whether the instructions have a suffix.
    pub instructions: bool,
}

/// The parameters that were added to every tool.
#[derive(Clone, Copy, Debug)]
pub struct AddedParams<'a> {
    /// Their names, sorted.
    pub names: &'a [&'a str],
    /// Those advertised as required, sorted.
    pub required: &'a [&'a str],
    /// The mode's word.
    pub mode: &'a str,
}

// === impl Payload ===

impl<'a> Payload<'a> {
    /// The event's type on the wire.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Annotation(_) => "annotation",
            Self::Call { step, .. } => match step {
                CallStep::Start { .. } => "tool_call_start",
                CallStep::End { .. } => "tool_call_end",
                CallStep::Error { .. } => "tool_call_error",
            },
            Self::List { of, step } => of.event_type(step),
            Self::Prompt { step, .. } => match step {
                FetchStep::Start { .. } => "prompt_get_start",
                FetchStep::End { .. } => "prompt_get_end",
                FetchStep::Error { .. } => "prompt_get_error",
            },
            Self::Read { step, .. } => match step {
                FetchStep::Start { .. } => "resource_read_start",
                FetchStep::End { .. } => "resource_read_end",
                FetchStep::Error { .. } => "resource_read_error",
            },
            Self::Surface(_) => "surface_snapshot",
        }
    }

    /// The call it belongs to.
    pub fn call_id(&self) -> Option<&'a str> {
        match self {
            Self::Call { call_id, .. } => Some(call_id),
            Self::Annotation(_)
            | Self::List { .. }
            | Self::Prompt { .. }
            | Self::Read { .. }
            | Self::Surface(_) => None,
        }
    }

    /// Writes the members that the generation admits.
    pub(super) fn write(&self, wire: Wire, object: &mut Object<'_>) {
        match self {
            Self::Annotation(annotation) => annotation.write(wire, object),
            Self::Call { tool, step, .. } => {
                object.text("tool_name", tool);
                step.write(wire, object);
            }
            Self::List { step, .. } => step.write(object),
            Self::Prompt { name, step } => {
                object.text("name", name);
                step.write(object);
            }
            Self::Read { uri, step } => {
                object.text("uri", uri);
                step.write(object);
            }
            Self::Surface(surface) => surface.write(wire, object),
        }
    }
}

// === impl CallStep ===

impl CallStep<'_> {
    fn write(&self, wire: Wire, object: &mut Object<'_>) {
        match self {
            Self::Start { params, intent } => {
                object.raw("params", params.text());
                if wire > Wire::W1 {
                    intent.write(object);
                }
            }
            Self::End { result, duration_ms } => {
                if let Some(result) = result {
                    object.raw("result", result.text());
                } else if wire == Wire::W3 {
                    object.text("result_capture", "off");
                }
                duration(object, *duration_ms);
            }
            Self::Error { failure, result, duration_ms } => {
                failed(object, failure, *duration_ms);
                if wire == Wire::W3 {
                    if let Some(result) = result {
                        object.raw("result", result.text());
                    }
                    object.text_if("failure_kind", failure.kind.map(FailureKind::word));
                }
            }
        }
    }
}

// === impl Intent ===

impl Intent<'_> {
    fn write(&self, object: &mut Object<'_>) {
        let said = |text: Option<&'_ str>| text.is_some_and(|text| !text.trim().is_empty());
        object.text_if("call_intent", self.goal.filter(|&text| said(Some(text))));
        object.text_if("call_expected", self.expected.filter(|&text| said(Some(text))));
        object.text_if("call_workflow", self.workflow.filter(|&text| said(Some(text))));
        // The task alone is no intent.
        if said(self.goal) || said(self.expected) {
            object.text("intent_source", self.source.word());
        }
    }
}

// === impl IntentSource ===

impl IntentSource {
    fn word(self) -> &'static str {
        match self {
            Self::InjectedParam => "injected_param",
            Self::LibraryArg => "library_arg",
        }
    }
}

// === impl Listed ===

impl Listed {
    fn event_type(self, step: &ListStep<'_>) -> &'static str {
        match (self, step) {
            (Self::Prompts, ListStep::Start) => "prompt_list_start",
            (Self::Prompts, ListStep::End { .. }) => "prompt_list_end",
            (Self::Prompts, ListStep::Error { .. }) => "prompt_list_error",
            (Self::Resources, ListStep::Start) => "resource_list_start",
            (Self::Resources, ListStep::End { .. }) => "resource_list_end",
            (Self::Resources, ListStep::Error { .. }) => "resource_list_error",
            (Self::Tools, ListStep::Start) => "tool_list_start",
            (Self::Tools, ListStep::End { .. }) => "tool_list_end",
            (Self::Tools, ListStep::Error { .. }) => "tool_list_error",
        }
    }
}

// === impl ListStep ===

impl ListStep<'_> {
    fn write(&self, object: &mut Object<'_>) {
        match self {
            Self::Start => {}
            Self::End { count, duration_ms } => {
                object.number("count", *count);
                duration(object, *duration_ms);
            }
            Self::Error { failure, duration_ms } => failed(object, failure, *duration_ms),
        }
    }
}

// === impl FetchStep ===

impl FetchStep<'_> {
    fn write(&self, object: &mut Object<'_>) {
        match self {
            Self::Start { params } => {
                if let Some(params) = params {
                    object.raw("params", params.text());
                }
            }
            Self::End { duration_ms } => duration(object, *duration_ms),
            Self::Error { failure, duration_ms } => failed(object, failure, *duration_ms),
        }
    }
}

// === impl Annotation ===

impl Annotation<'_> {
    /// Whether it reports friction, rather than note an intent.
    pub fn is_report(&self) -> bool {
        self.what_happened.is_some_and(|text| !text.trim().is_empty()) || self.signal_type.is_some()
    }

    fn write(&self, wire: Wire, object: &mut Object<'_>) {
        object.text_if("intent", self.intent);
        object.text_if("expected_outcome", self.expected_outcome);
        if wire == Wire::W3 {
            object.text_if("what_happened", self.what_happened);
            object.text_if("signal_type", self.signal_type);
        } else if self.is_report() {
            // There, a report is what has a signal.
            object.text("signal_type", self.signal_type.unwrap_or("other"));
        }
        object.text_if("workflow", self.workflow);
        object.text_if("suggested_improvement", self.suggested_improvement);
        self.write_context(wire, object);
        if wire > Wire::W1 {
            object.text_if("tool_name", self.tool_name);
        }
    }

    fn write_context(&self, wire: Wire, object: &mut Object<'_>) {
        let has = |name| self.context.is_some_and(|context| context.member(name).is_some());
        let what = self.what_happened.filter(|_| wire < Wire::W3 && !has("what_happened"));
        let tool = self.tool_name.filter(|_| wire == Wire::W1 && !has("tool"));
        if what.is_none() && tool.is_none() {
            if let Some(context) = self.context {
                object.raw("context", context.text());
            }
            return;
        }
        object.object("context", |object| {
            object.text_if("what_happened", what);
            object.text_if("tool", tool);
            if let Some(context) = self.context {
                context.each(|name, value| object.raw(name, value.text()));
            }
        });
    }
}

// === impl Surface ===

impl Surface<'_> {
    fn write(&self, wire: Wire, object: &mut Object<'_>) {
        object.text("surface_hash", self.hash);
        if let Some(info) = self.server_info {
            object.raw("server_info", info.text());
        }
        if let Some(capabilities) = self.capabilities {
            object.raw("capabilities", capabilities.text());
        }
        object.text_if("instructions", self.instructions);
        let tools: Vec<&[u8]> = self.tools.iter().map(|tool| tool.text()).collect();
        object.raw("tools", &[b"[", &tools.join(&b","[..])[..], b"]"].concat());
        object.object("seam_augmentations", |object| self.added.write(wire, object));
    }
}

// === impl Added ===

impl Added<'_> {
    fn write(&self, wire: Wire, object: &mut Object<'_>) {
        object.texts("injected_tools", self.tools.iter().copied());
        match self.params {
            None => object.raw("intent_param", b"null"),
            Some(params) => object.object("intent_param", |object| {
                object.texts("names", params.names.iter().copied());
                if wire == Wire::W3 {
                    object.texts("required_names", params.required.iter().copied());
                }
                object.text("mode", params.mode);
            }),
        }
        object.flag("instructions_suffix", self.instructions);
    }
}

fn failed(object: &mut Object<'_>, failure: &Failure<'_>, duration_ms: Option<u64>) {
    object.text("error_type", &failure.error_type);
    object.text("error_body", &failure.body);
    duration(object, duration_ms);
}

fn duration(object: &mut Object<'_>, duration_ms: Option<u64>) {
    if let Some(duration_ms) = duration_ms {
        object.number("duration_ms", duration_ms);
    }
}
