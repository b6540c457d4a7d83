//! A report as JSON: for scripts. Described by `docs/report.schema.json`.
//!
//! Texts are as they stand in the events, cut to their length. What would act on whoever looks at the
//! text (controls, directions, what is invisible) is written as `\u` escapes, so the file is harmless
//! to show and its values are what they were.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use crate::friction::report::Limits;
use crate::friction::report::detect::End;
use crate::friction::report::finding::{Evidence, Finding, Subject};
use crate::friction::report::session::{Annotation, Call, Decision, Reading, Session, Software};
use crate::friction::report::story::{Counts, Refusal, Story, Tool};
use crate::friction::report::text::{Excerpt, is_active};

/// The form of the JSON. Members may be added under the same number; none changes its meaning.
pub const SCHEMA: u32 = 1;

/// A report as JSON, indented, with a line end.
pub fn json(session: &Session, limits: Limits) -> String {
    let story = Story::of(session, limits);
    let text = serde_json::to_string_pretty(&Form::of(&story))
        .unwrap_or_else(|_| unreachable!("texts and numbers are always written"));
    harmless(&text) + "\n"
}

/// Escapes what acts. Outside of texts there is nothing but ASCII.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_active(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

#[derive(Serialize)]
struct Form<'a> {
    schema: u32,
    session: Header<'a>,
    findings: Vec<FindingForm<'a>>,
    more_findings: usize,
    tools: Vec<ToolForm<'a>>,
    more_tools: usize,
    refusals: Vec<RefusalForm<'a>>,
    more_refusals: usize,
    requests: Vec<RequestForm>,
    annotations: Vec<AnnotationForm<'a>>,
    more_annotations: usize,
    calls: Vec<CallForm<'a>>,
    more_calls: usize,
}

#[derive(Serialize)]
struct Header<'a> {
    id: &'a str,
    vendor: Option<&'a str>,
    tenant: Option<&'a str>,
    software: Option<&'a str>,
    runtime: Option<&'a str>,
    client: Option<&'a Software>,
    server: Option<&'a Software>,
    surface: Option<SurfaceForm<'a>>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    lasted_ms: u64,
    over: bool,
    calls: CountsForm,
    scrubbed: &'a BTreeMap<String, u64>,
    reading: Reading,
}

#[derive(Serialize)]
struct SurfaceForm<'a> {
    hash: &'a str,
    tools: usize,
    offers: usize,
}

#[derive(Serialize)]
struct CountsForm {
    calls: usize,
    succeeded: usize,
    errors: usize,
    refusals: usize,
    unanswered: usize,
}

#[derive(Serialize)]
struct FindingForm<'a> {
    signal: &'static str,
    priority: &'static str,
    source: &'static str,
    tool: Option<&'a str>,
    request: Option<About<'a>>,
    error_type: Option<&'a str>,
    count: usize,
    intent: Option<String>,
    expected: Option<String>,
    what_happened: Option<String>,
    suggested_improvement: Option<String>,
    suggested_fix: &'static str,
    context: BTreeMap<&'a str, String>,
    evidence: Vec<EvidenceForm<'a>>,
}

#[derive(Serialize)]
struct About<'a> {
    method: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct EvidenceForm<'a> {
    event: u64,
    end_event: Option<u64>,
    at: Option<Timestamp>,
    duration_ms: Option<u64>,
    outcome: Option<End>,
    error_type: Option<&'a str>,
    text: Option<String>,
    arguments: Option<String>,
}

#[derive(Serialize)]
struct ToolForm<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: CountsForm,
    p50_ms: Option<u64>,
    p95_ms: Option<u64>,
    max_ms: Option<u64>,
}

#[derive(Serialize)]
struct RefusalForm<'a> {
    tool: &'a str,
    decision: &'a str,
    rule_ids: &'a [String],
    reason_code: Option<&'a str>,
    reason: Option<String>,
    count: usize,
    event: u64,
}

#[derive(Serialize)]
struct RequestForm {
    method: &'static str,
    count: usize,
    errors: usize,
}

#[derive(Serialize)]
struct AnnotationForm<'a> {
    event: u64,
    at: Option<Timestamp>,
    kind: &'static str,
    tool: Option<&'a str>,
    signal_type: Option<&'a str>,
    intent: Option<String>,
    expected: Option<String>,
    what_happened: Option<String>,
    workflow: Option<String>,
    suggested_improvement: Option<String>,
}

#[derive(Serialize)]
struct CallForm<'a> {
    event: u64,
    end_event: Option<u64>,
    call_id: Option<&'a str>,
    tool: &'a str,
    at: Option<Timestamp>,
    offset_ms: u64,
    duration_ms: Option<u64>,
    outcome: End,
    error_type: Option<&'a str>,
    failure_kind: Option<&'a str>,
    error: Option<String>,
    arguments: Option<String>,
    intent: Option<String>,
    expected: Option<String>,
    decision: Option<&'a Decision>,
}

// === impl Form ===

impl<'a> Form<'a> {
    fn of(story: &'a Story<'a>) -> Self {
        let (session, limits) = (story.session, &story.limits);
        let (notes, calls) = (&session.annotations, &session.calls);
        Self {
            schema: SCHEMA,
            session: Header::of(story),
            findings: story.findings.iter().map(|one| FindingForm::of(one, limits)).collect(),
            more_findings: story.more_findings,
            tools: story.tools.iter().map(ToolForm::of).collect(),
            more_tools: story.more_tools,
            refusals: story.refusals.iter().map(|one| RefusalForm::of(one, limits)).collect(),
            more_refusals: story.more_refusals,
            requests: story
                .requests
                .iter()
                .map(|&(method, count, errors)| RequestForm { method, count, errors })
                .collect(),
            annotations: notes
                .iter()
                .take(limits.rows)
                .map(|one| AnnotationForm::of(one, limits))
                .collect(),
            more_annotations: notes.len().saturating_sub(limits.rows),
            calls: calls.iter().take(limits.calls).map(|one| CallForm::of(one, limits)).collect(),
            more_calls: calls.len().saturating_sub(limits.calls),
        }
    }
}

impl<'a> Header<'a> {
    fn of(story: &Story<'a>) -> Self {
        let session = story.session;
        let surface = session.surface.as_ref();
        Self {
            id: &session.id,
            vendor: session.vendor.as_deref(),
            tenant: session.tenant.as_deref(),
            software: session.software.as_deref(),
            runtime: session.runtime.as_deref(),
            client: session.client.as_ref(),
            server: surface.and_then(|surface| surface.server.as_ref()),
            surface: surface.map(|surface| SurfaceForm {
                hash: &surface.hash,
                tools: surface.tools,
                offers: session.surfaces,
            }),
            started_at: session.window.map(|(first, _)| first),
            ended_at: session.window.map(|(_, last)| last),
            lasted_ms: session.lasted_ms(),
            over: story.limits.over,
            calls: story.total.into(),
            scrubbed: &session.scrubbed,
            reading: session.reading,
        }
    }
}

impl From<Counts> for CountsForm {
    fn from(counts: Counts) -> Self {
        let Counts { calls, succeeded, errors, refusals, unanswered } = counts;
        Self { calls, succeeded, errors, refusals, unanswered }
    }
}

impl<'a> FindingForm<'a> {
    fn of(finding: &'a Finding, limits: &Limits) -> Self {
        let request = match &finding.subject {
            Subject::Request(method, name) => Some(About { method, name }),
            Subject::Tool(_) | Subject::Session => None,
        };
        let context = finding.context.iter();
        Self {
            signal: finding.signal.word(),
            priority: finding.priority.word(),
            source: finding.source.word(),
            tool: finding.subject.tool(),
            request,
            error_type: finding.error_type.as_deref(),
            count: finding.count,
            intent: shown(finding.intent.as_ref(), limits),
            expected: shown(finding.expected.as_ref(), limits),
            what_happened: shown(finding.what_happened.as_ref(), limits),
            suggested_improvement: shown(finding.improvement.as_ref(), limits),
            suggested_fix: finding.advice,
            context: context
                .map(|(name, text)| (&**name, text.shown(limits.excerpt).into_owned()))
                .collect(),
            evidence: finding.evidence.iter().map(|one| EvidenceForm::of(one, limits)).collect(),
        }
    }
}

impl<'a> EvidenceForm<'a> {
    fn of(evidence: &'a Evidence, limits: &Limits) -> Self {
        Self {
            event: evidence.sequence,
            end_event: evidence.ended,
            at: evidence.at,
            duration_ms: evidence.took_ms,
            outcome: evidence.end,
            error_type: evidence.error_type.as_deref(),
            text: shown(evidence.text.as_ref(), limits),
            arguments: shown(evidence.params.as_ref(), limits),
        }
    }
}

impl<'a> ToolForm<'a> {
    fn of(tool: &Tool<'a>) -> Self {
        Self {
            name: tool.name,
            counts: tool.counts.into(),
            p50_ms: tool.took.map(|took| took.p50),
            p95_ms: tool.took.map(|took| took.p95),
            max_ms: tool.took.map(|took| took.max),
        }
    }
}

impl<'a> RefusalForm<'a> {
    fn of(refusal: &Refusal<'a>, limits: &Limits) -> Self {
        Self {
            tool: refusal.tool,
            decision: refusal.decision,
            rule_ids: refusal.rule_ids,
            reason_code: refusal.reason_code,
            reason: shown(refusal.reason.as_ref(), limits),
            count: refusal.count,
            event: refusal.first,
        }
    }
}

impl<'a> AnnotationForm<'a> {
    fn of(annotation: &'a Annotation, limits: &Limits) -> Self {
        Self {
            event: annotation.sequence,
            at: annotation.at,
            kind: if annotation.is_report() { "report" } else { "note" },
            tool: annotation.tool.as_deref(),
            signal_type: annotation.signal_type.as_deref(),
            intent: shown(annotation.intent.as_ref(), limits),
            expected: shown(annotation.expected.as_ref(), limits),
            what_happened: shown(annotation.what_happened.as_ref(), limits),
            workflow: shown(annotation.workflow.as_ref(), limits),
            suggested_improvement: shown(annotation.improvement.as_ref(), limits),
        }
    }
}

impl<'a> CallForm<'a> {
    fn of(call: &'a Call, limits: &Limits) -> Self {
        Self {
            event: call.sequence,
            end_event: call.ended,
            call_id: call.id.as_deref(),
            tool: &call.tool,
            at: call.at,
            offset_ms: call.at_ms,
            duration_ms: call.took_ms,
            outcome: call.end,
            error_type: call.error_type.as_deref(),
            failure_kind: call.failure_kind.as_deref(),
            error: shown(call.error_body.as_ref(), limits),
            arguments: shown(call.params.as_ref(), limits),
            intent: shown(call.intent.as_ref(), limits),
            expected: shown(call.expected.as_ref(), limits),
            decision: call.decision.as_ref(),
        }
    }
}

fn shown(text: Option<&Excerpt>, limits: &Limits) -> Option<String> {
    text.map(|text| text.shown(limits.excerpt).into_owned())
}
