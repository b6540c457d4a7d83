//! Findings: what got in an agent's way, by what it shows, and what would help.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::detect::{self, End, Found};
use super::session::{Call, Request, Session};
use super::text::Excerpt;
use super::{Limits, merge};

/// What got in an agent's way: the format's eight words, and one of thoth's own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Signal {
    /// A tool failed.
    Failure,
    /// Refused again and again, and nothing succeeded after it. Not in the format.
    BlockedThenGaveUp,
    /// The same call, made again after it failed.
    RetryLoop,
    /// The user wants what the tool cannot do, and no error says so.
    DeadEnd,
    /// There is no tool for it.
    FeatureGap,
    /// The agent misused the tool, since its schema is unclear.
    ParameterConfusion,
    /// So slow that a user may give up.
    SlowPerformance,
    /// The session ended without success.
    Abandonment,
    /// Something else.
    Other,
}

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// First.
    Urgent,
    /// Then.
    High,
    /// Then.
    Medium,
}

/// Who told of a finding.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// The events show it.
    Detected,
    /// The agent said it.
    Reported,
    /// The agent said it, and the events show it.
    Both,
}

/// What a finding is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// A tool.
    Tool(String),
    /// A request that is no call: its method, and the resource or the prompt.
    Request(&'static str, String),
    /// No tool in particular, or one that does not exist.
    Session,
}

/// One event or call that a finding rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The number of the event.
    pub sequence: u64,
    /// The number of the event that ended it.
    pub ended: Option<u64>,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// How it ended; `None` of what an agent said.
    pub end: Option<End>,
    /// The type of its error.
    pub error_type: Option<String>,
    /// What was said about it.
    pub text: Option<Excerpt>,
    /// The arguments.
    pub params: Option<Excerpt>,
}

/// Something that got in an agent's way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is.
    pub signal: Signal,
    /// How urgent it is.
    pub priority: Priority,
    /// Who told of it.
    pub source: Source,
    /// What it is about.
    pub subject: Subject,
    /// The type of the errors, where it is about errors of one.
    pub error_type: Option<String>,
    /// How many events or calls it rests on.
    pub count: usize,
    /// What the user wanted, where anybody said so.
    pub intent: Option<Excerpt>,
    /// What should have come of it.
    pub expected: Option<Excerpt>,
    /// What came of it, in the agent's words.
    pub what_happened: Option<Excerpt>,
    /// What would help, in the agent's words.
    pub improvement: Option<Excerpt>,
    /// What would help, in ours.
    pub advice: &'static str,
    /// Whatever else the agent said.
    pub context: Vec<(String, Excerpt)>,
    /// What it rests on, in order; the last ones, where there are more than are told.
    pub evidence: Vec<Evidence>,
}

// === impl Signal ===

impl Signal {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Failure,
        Self::BlockedThenGaveUp,
        Self::RetryLoop,
        Self::DeadEnd,
        Self::FeatureGap,
        Self::ParameterConfusion,
        Self::SlowPerformance,
        Self::Abandonment,
        Self::Other,
    ];

    /// Its word: that of the format, where it has one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::BlockedThenGaveUp => "blocked_then_gave_up",
            Self::RetryLoop => "retry_loop",
            Self::DeadEnd => "dead_end",
            Self::FeatureGap => "feature_gap",
            Self::ParameterConfusion => "parameter_confusion",
            Self::SlowPerformance => "slow_performance",
            Self::Abandonment => "abandonment",
            Self::Other => "other",
        }
    }

    /// The signal of a word; a word that is not known is [`Signal::Other`].
    pub fn parse(word: &str) -> Self {
        let word = word.trim();
        Self::ALL.into_iter().find(|signal| signal.word() == word).unwrap_or(Self::Other)
    }

    /// How urgent it is: as baton-proxy ranks it, `blocked_then_gave_up` with what it comes from.
    pub fn priority(self, blocks: bool) -> Priority {
        match self {
            Self::Failure => Priority::Urgent,
            Self::DeadEnd | Self::FeatureGap | Self::RetryLoop | Self::BlockedThenGaveUp => {
                Priority::High
            }
            Self::ParameterConfusion | Self::SlowPerformance | Self::Abandonment | Self::Other
                if blocks =>
            {
                Priority::High
            }
            Self::ParameterConfusion | Self::SlowPerformance | Self::Abandonment | Self::Other => {
                Priority::Medium
            }
        }
    }

    /// What would help.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Failure => {
                "Mend the tool, or let its error say what the caller can do: which argument is wrong, \
                 what it should be, whether trying again can help."
            }
            Self::BlockedThenGaveUp => {
                "Say in the rule's reason what is allowed instead, or let a person approve such calls."
            }
            Self::RetryLoop => {
                "Say in the error what is wrong with the arguments, and whether trying again can help."
            }
            Self::DeadEnd => {
                "Answer with an error that names what the tool cannot do and what to use instead."
            }
            Self::FeatureGap => {
                "Offer a tool or a field for it, or say in the instructions that there is none."
            }
            Self::ParameterConfusion => {
                "Describe each parameter in the schema, with its form, an example and its default."
            }
            Self::SlowPerformance => "Report progress, answer in pages, or offer a narrower query.",
            Self::Abandonment => "Look at the last call: its answer should say what to do next.",
            Self::Other => "Read what the agent said, and what it called before.",
        }
    }
}

// === impl Priority ===

impl Priority {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::High => "high",
            Self::Medium => "medium",
        }
    }
}

// === impl Source ===

impl Source {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Reported => "reported",
            Self::Both => "detected and reported",
        }
    }
}

// === impl Subject ===

impl Subject {
    /// The tool, where it is about one.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Request(..) | Self::Session => None,
        }
    }
}

// === impl Evidence ===

impl Evidence {
    fn of_call(call: &Call) -> Self {
        let reason =
            || call.decision.as_ref()?.reason.as_deref().map(|text| Excerpt::new(text, 1000));
        Self {
            sequence: call.sequence,
            ended: call.ended,
            at: call.at,
            took_ms: call.took_ms,
            end: Some(call.end),
            error_type: call.error_type.clone(),
            text: call.error_body.clone().or_else(reason),
            params: call.params.clone(),
        }
    }

    fn of_request(request: &Request) -> Self {
        Self {
            sequence: request.sequence,
            ended: None,
            at: request.at,
            took_ms: request.took_ms,
            end: Some(request.end),
            error_type: request.error_type.clone(),
            text: request.error_body.clone(),
            params: None,
        }
    }
}

// === impl Finding ===

impl Finding {
    /// A finding of which the events tell nothing yet.
    pub(super) fn new(signal: Signal, source: Source, subject: Subject) -> Self {
        Self {
            signal,
            priority: signal.priority(false),
            source,
            subject,
            error_type: None,
            count: 0,
            intent: None,
            expected: None,
            what_happened: None,
            improvement: None,
            advice: signal.advice(),
            context: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// What the detectors found about calls of one tool.
    fn detected(signal: Signal, tool: &str, calls: &[&Call]) -> Self {
        let mut finding = Self::new(signal, Source::Detected, Subject::Tool(tool.to_owned()));
        finding.count = calls.len();
        finding.evidence = calls.iter().map(|call| Evidence::of_call(call)).collect();
        finding.intent = calls.iter().rev().find_map(|call| call.intent.clone());
        finding.expected = calls.iter().rev().find_map(|call| call.expected.clone());
        finding
    }

    fn failed(request: &Request, requests: &[&Request]) -> Self {
        let subject = Subject::Request(request.method, request.name.clone());
        let mut finding = Self::new(Signal::Failure, Source::Detected, subject);
        finding.error_type.clone_from(&request.error_type);
        finding.count = requests.len();
        finding.evidence = requests.iter().map(|request| Evidence::of_request(request)).collect();
        finding
    }

    /// The number of the first event it rests on.
    pub(super) fn begins(&self) -> u64 {
        self.evidence.first().map_or(0, |evidence| evidence.sequence)
    }
}

/// All findings about a session, the most urgent first, then in their order. Evidence is complete.
pub fn findings(session: &Session, limits: &Limits) -> Vec<Finding> {
    let calls = &session.calls;
    let seen: Vec<_> = calls.iter().map(Call::for_detectors).collect();
    let of = |signal| {
        move |found: Found<'_>| {
            // Calls are in the order of these numbers.
            let place = |sequence| calls.binary_search_by_key(sequence, |call| call.sequence).ok();
            let calls: Vec<_> =
                found.calls.iter().filter_map(place).map(|place| &calls[place]).collect();
            Finding::detected(signal, found.tool, &calls)
        }
    };
    let gave_up = detect::blocked_then_gave_up(&seen, limits);
    // Giving up after refusals is the better word for the same end.
    let abandoned = detect::abandonment(&seen, limits).filter(|_| gave_up.is_none());
    let loops = detect::retry_loops(&seen, limits);
    let failures = failures(session, &loops);

    let mut findings: Vec<_> = gave_up.into_iter().map(of(Signal::BlockedThenGaveUp)).collect();
    findings.extend(abandoned.map(of(Signal::Abandonment)));
    findings.extend(loops.into_iter().map(of(Signal::RetryLoop)));
    findings.extend(failures);
    findings.extend(detect::slow_calls(&seen, limits).into_iter().map(of(Signal::SlowPerformance)));
    merge::annotations(&mut findings, &session.annotations);
    findings.sort_by_key(|finding| (finding.priority, finding.begins()));
    findings
}

/// `failure`: errors by subject and type. What one loop tells of is not told again.
fn failures(session: &Session, loops: &[Found<'_>]) -> Vec<Finding> {
    let mut calls: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
    for call in session.calls.iter().filter(|call| call.end == End::Failed) {
        let error_type = call.error_type.as_deref().unwrap_or("unknown");
        calls.entry((&call.tool, error_type)).or_default().push(call);
    }
    let in_loops: HashMap<u64, usize> = loops
        .iter()
        .enumerate()
        .flat_map(|(nth, found)| found.calls.iter().map(move |sequence| (*sequence, nth)))
        .collect();
    calls.retain(|_, calls| {
        let nth = |call: &&Call| in_loops.get(&call.sequence);
        let first = nth(&calls[0]);
        first.is_none() || calls.iter().any(|call| nth(call) != first)
    });
    let of_calls = calls.into_iter().map(|((tool, error_type), calls)| {
        let mut finding = Finding::detected(Signal::Failure, tool, &calls);
        finding.error_type = Some(error_type.to_owned());
        finding
    });

    let mut requests: BTreeMap<(&str, &str, Option<&str>), Vec<&Request>> = BTreeMap::new();
    for request in session.requests.iter().filter(|request| request.end == End::Failed) {
        let key = (request.method, &*request.name, request.error_type.as_deref());
        requests.entry(key).or_default().push(request);
    }
    of_calls.chain(requests.values().map(|group| Finding::failed(group[0], group))).collect()
}

// === impl Call ===

impl Call {
    fn for_detectors(&self) -> detect::Call<'_> {
        detect::Call {
            sequence: self.sequence,
            ended: self.ended,
            tool: &self.tool,
            arguments: self.arguments,
            at_ms: self.at_ms,
            took_ms: self.took_ms,
            end: self.end,
        }
    }
}

impl Serialize for End {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests;
