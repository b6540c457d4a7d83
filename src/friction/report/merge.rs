//! Puts what an agent said beside what the events show.
//!
//! A report is about the tool it names, in `tool_name` or `context.tool`; without that, about the one
//! tool that failed and that its text mentions, if there is exactly one. It joins the failure of that
//! tool that came last before it (else the first one after it), and what the agent said wins: the
//! signal, the goal, what would help. A report that joins nothing stands alone; a note, which reports
//! no friction, lends its goal to findings that have none.

use super::finding::{Evidence, Finding, Source, Subject};
use super::session::Annotation;
use super::{Signal, text::Excerpt};

/// Merges annotations into findings, in their order.
pub(super) fn annotations(findings: &mut Vec<Finding>, annotations: &[Annotation]) {
    lend(findings, annotations);
    let detected = findings.len();
    let mut is_taken = vec![false; detected];
    for report in annotations.iter().filter(|annotation| annotation.is_report()) {
        let tool = about(report, &findings[..detected]);
        let joined = tool
            .as_deref()
            .and_then(|tool| nearest(report, &findings[..detected], &is_taken, tool));
        match joined {
            Some(place) => {
                is_taken[place] = true;
                join(&mut findings[place], report);
            }
            None => findings.push(alone(report, tool, annotations)),
        }
    }
}

/// A goal for findings whose calls say none: the note before the first of them.
fn lend(findings: &mut [Finding], annotations: &[Annotation]) {
    for finding in findings.iter_mut().filter(|finding| finding.intent.is_none()) {
        let begins = finding.begins();
        finding.intent = note_before(annotations, begins).and_then(|note| note.intent.clone());
    }
}

fn note_before(annotations: &[Annotation], sequence: u64) -> Option<&Annotation> {
    let notes = annotations.iter().filter(|annotation| !annotation.is_report());
    notes.take_while(|note| note.sequence < sequence).last()
}

/// The tool a report is about.
fn about(report: &Annotation, findings: &[Finding]) -> Option<String> {
    if report.tool.is_some() {
        return report.tool.clone();
    }
    let said = [&report.what_happened, &report.intent, &report.expected, &report.improvement];
    let said: Vec<_> = said.into_iter().flatten().map(Excerpt::as_str).collect();
    let mut named: Vec<_> = findings
        .iter()
        .filter(|finding| finding.evidence.iter().any(|evidence| evidence.error_type.is_some()))
        .filter_map(|finding| finding.subject.tool())
        .filter(|tool| said.iter().any(|text| mentions(text, tool)))
        .collect();
    named.sort_unstable();
    named.dedup();
    match named[..] {
        [one] => Some(one.to_owned()),
        _ => None,
    }
}

/// Whether a text has the name as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "_-".contains(character);
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !text[..at].chars().next_back().is_some_and(is_part)
                && !text[at + name.len()..].chars().next().is_some_and(is_part)
        })
}

/// The finding about the tool that a report joins: the last one before it, else the first after it.
/// One that an earlier report has joined is passed over.
fn nearest(
    report: &Annotation,
    findings: &[Finding],
    is_taken: &[bool],
    tool: &str,
) -> Option<usize> {
    let same = || {
        let all = findings.iter().enumerate();
        all.filter(|(place, finding)| !is_taken[*place] && finding.subject.tool() == Some(tool))
    };
    // Errors first: that is what reports are about.
    let rank = |finding: &Finding| matches!(finding.signal, Signal::RetryLoop | Signal::Failure);
    let before = same().filter(|(_, finding)| finding.begins() < report.sequence);
    let last = before.max_by_key(|(_, finding)| (rank(finding), finding.begins()));
    last.or_else(|| same().min_by_key(|(_, finding)| finding.begins())).map(|(place, _)| place)
}

fn join(finding: &mut Finding, report: &Annotation) {
    finding.source = Source::Both;
    if let Some(word) = &report.signal_type {
        finding.signal = Signal::parse(word);
        finding.advice = finding.signal.advice();
    }
    say(finding, report);
    finding.evidence.push(evidence(report));
}

fn alone(report: &Annotation, tool: Option<String>, annotations: &[Annotation]) -> Finding {
    let signal = report.signal_type.as_deref().map_or(Signal::Other, Signal::parse);
    let subject = tool.map_or(Subject::Session, Subject::Tool);
    let mut finding = Finding::new(signal, Source::Reported, subject);
    finding.count = 1;
    finding.intent = note_before(annotations, report.sequence).and_then(|note| note.intent.clone());
    say(&mut finding, report);
    finding.evidence.push(evidence(report));
    finding
}

/// What the agent said wins over what was guessed.
fn say(finding: &mut Finding, report: &Annotation) {
    let win = |kept: &mut Option<Excerpt>, said: &Option<Excerpt>| {
        if said.is_some() {
            kept.clone_from(said);
        }
    };
    win(&mut finding.intent, &report.intent);
    win(&mut finding.expected, &report.expected);
    win(&mut finding.what_happened, &report.what_happened);
    win(&mut finding.improvement, &report.improvement);
    finding.context.clone_from(&report.context);
    finding.priority = finding.signal.priority(report.blocks);
}

fn evidence(report: &Annotation) -> Evidence {
    Evidence {
        sequence: report.sequence,
        ended: None,
        at: report.at,
        took_ms: None,
        end: None,
        error_type: None,
        text: report.what_happened.clone().or_else(|| report.intent.clone()),
        params: None,
    }
}
