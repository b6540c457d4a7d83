//! What an agent, or a program for it, says of its own accord.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::friction::event::payload;

/// A note on an intent, or a report on friction: with [`Annotation::what_happened`] or a
/// [`Signal`] it is a report.
///
/// ```
/// use thoth::friction::client::{Annotation, Signal};
///
/// let report = Annotation::report("no tool can change an invoice once it is sent")
///     .intent("correct the address on invoice 7")
///     .signal(Signal::FeatureGap)
///     .suggested_improvement("a tool that cancels and sends anew")
///     .context("downstream_blocked", true);
/// # let _ = report;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotation {
    intent: Option<String>,
    expected_outcome: Option<String>,
    what_happened: Option<String>,
    signal: Option<Signal>,
    workflow: Option<String>,
    suggested_improvement: Option<String>,
    tool: Option<String>,
    context: Map<String, Value>,
}

/// What kind of friction it is: `signal_type` on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// The session ended without success.
    Abandonment,
    /// What the user wants cannot be done, and nothing says so well.
    DeadEnd,
    /// A tool failed, or took too long.
    Failure,
    /// What is needed is not there as a tool.
    FeatureGap,
    /// Something else.
    Other,
    /// A tool's parameters were misunderstood.
    ParameterConfusion,
    /// The same call was made again and again.
    RetryLoop,
    /// So slow that the user may give up.
    SlowPerformance,
}

// === impl Annotation ===

impl Annotation {
    /// A note: what the user wants.
    pub fn note(intent: impl Into<String>) -> Self {
        Self::default().intent(intent)
    }

    /// A report: what happened that should not have.
    pub fn report(what_happened: impl Into<String>) -> Self {
        Self::default().what_happened(what_happened)
    }

    /// What the user wants.
    #[must_use]
    pub fn intent(mut self, intent: impl Into<String>) -> Self {
        self.intent = Some(intent.into());
        self
    }

    /// What should have come of it.
    #[must_use]
    pub fn expected_outcome(mut self, outcome: impl Into<String>) -> Self {
        self.expected_outcome = Some(outcome.into());
        self
    }

    /// What came of it.
    #[must_use]
    pub fn what_happened(mut self, what: impl Into<String>) -> Self {
        self.what_happened = Some(what.into());
        self
    }

    /// What kind of friction it is.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.signal = Some(signal);
        self
    }

    /// The task that it is a part of.
    #[must_use]
    pub fn workflow(mut self, task: impl Into<String>) -> Self {
        self.workflow = Some(task.into());
        self
    }

    /// What would have helped.
    #[must_use]
    pub fn suggested_improvement(mut self, what: impl Into<String>) -> Self {
        self.suggested_improvement = Some(what.into());
        self
    }

    /// The tool that it is about.
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>) -> Self {
        self.tool = Some(name.into());
        self
    }

    /// Anything else, by name. A value that cannot be written as JSON is left out.
    #[must_use]
    pub fn context(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.context.insert(name.into(), value);
        }
        self
    }

    /// What was said by [`Annotation::context`], which is told apart from the rest.
    pub(super) fn take_context(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.context)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &Option<String>> {
        [
            &self.intent,
            &self.expected_outcome,
            &self.what_happened,
            &self.workflow,
            &self.suggested_improvement,
            &self.tool,
        ]
        .into_iter()
    }

    pub(super) fn payload(&self) -> payload::Annotation<'_> {
        payload::Annotation {
            intent: self.intent.as_deref(),
            expected_outcome: self.expected_outcome.as_deref(),
            what_happened: self.what_happened.as_deref(),
            signal_type: self.signal.map(Signal::word),
            workflow: self.workflow.as_deref(),
            suggested_improvement: self.suggested_improvement.as_deref(),
            context: None,
            tool_name: self.tool.as_deref(),
        }
    }
}

// === impl Signal ===

impl Signal {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Abandonment => "abandonment",
            Self::DeadEnd => "dead_end",
            Self::Failure => "failure",
            Self::FeatureGap => "feature_gap",
            Self::Other => "other",
            Self::ParameterConfusion => "parameter_confusion",
            Self::RetryLoop => "retry_loop",
            Self::SlowPerformance => "slow_performance",
        }
    }
}
