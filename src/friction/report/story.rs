//! What a report tells of a session, the same in every format.

use std::collections::BTreeMap;

use super::Limits;
use super::detect::End;
use super::finding::{Finding, findings};
use super::session::{Call, Request, Session};
use super::text::Excerpt;

/// What a report tells of a session.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// The session itself.
    pub session: &'a Session,
    /// How much is told.
    pub limits: Limits,
    /// What got in the agent's way, the most urgent first; as many as are told.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: usize,
    /// The tools, the most called first; as many as are told.
    pub tools: Vec<Tool<'a>>,
    /// How many more there are.
    pub more_tools: usize,
    /// What was refused; as many as are told.
    pub refusals: Vec<Refusal<'a>>,
    /// How many more there are.
    pub more_refusals: usize,
    /// What was asked for besides: the method, how often, and how often that failed.
    pub requests: Vec<(&'static str, usize, usize)>,
    /// All calls together.
    pub total: Counts,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// All of them.
    pub calls: usize,
    /// With a result.
    pub succeeded: usize,
    /// With an error.
    pub errors: usize,
    /// Refused by thoth.
    pub refusals: usize,
    /// Without an answer: cancelled, cut off, or under way.
    pub unanswered: usize,
}

/// The calls of one tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its calls ended.
    pub counts: Counts,
    /// How long they took; `None` where that is not known of any.
    pub took: Option<Percentiles>,
}

/// Durations in milliseconds. Each is the duration of a call, not a mean of two (nearest rank).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Percentiles {
    /// Half of the calls took no longer.
    pub p50: u64,
    /// 95 of 100 took no longer.
    pub p95: u64,
    /// None took longer.
    pub max: u64,
}

/// Calls of one tool that were refused for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal<'a> {
    /// The tool.
    pub tool: &'a str,
    /// What was decided, from the journal; without it, the code.
    pub decision: &'a str,
    /// The rules, from the journal.
    pub rule_ids: &'a [String],
    /// Why, in a word, from the journal.
    pub reason_code: Option<&'a str>,
    /// Why: from the journal, else what the client was told.
    pub reason: Option<Excerpt>,
    /// How many calls.
    pub count: usize,
    /// The number of the first one.
    pub first: u64,
}

// === impl Story ===

impl<'a> Story<'a> {
    /// Tells of a session.
    pub fn of(session: &'a Session, limits: Limits) -> Self {
        let mut findings = findings(session, &limits);
        let more_findings = shorten(&mut findings, limits.findings);
        for finding in &mut findings {
            let beyond = finding.evidence.len().saturating_sub(limits.evidence);
            finding.evidence.drain(..beyond);
        }
        let mut tools = tools(&session.calls);
        let more_tools = shorten(&mut tools, limits.rows);
        let mut refusals = refusals(&session.calls);
        let more_refusals = shorten(&mut refusals, limits.rows);
        let mut total = Counts::default();
        session.calls.iter().for_each(|call| total.add(call.end));
        Self {
            session,
            limits,
            findings,
            more_findings,
            tools,
            more_tools,
            refusals,
            more_refusals,
            requests: requests(&session.requests),
            total,
        }
    }
}

/// Cuts a list, and says how much was cut off.
fn shorten<T>(list: &mut Vec<T>, most: usize) -> usize {
    let more = list.len().saturating_sub(most);
    list.truncate(most);
    more
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, end: End) {
        self.calls += 1;
        match end {
            End::Succeeded => self.succeeded += 1,
            End::Failed => self.errors += 1,
            End::Refused => self.refusals += 1,
            End::Cancelled | End::Unanswered | End::Open => self.unanswered += 1,
        }
    }
}

// === impl Percentiles ===

impl Percentiles {
    /// `None` where there are no durations.
    pub fn of(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let rank = |hundredths: usize| {
            let rank = (times.len() * hundredths).div_ceil(100);
            times.get(rank.checked_sub(1)?).copied()
        };
        Some(Self { p50: rank(50)?, p95: rank(95)?, max: *times.last()? })
    }
}

/// The most called first, then by name. Durations are of calls that the server answered.
fn tools(calls: &[Call]) -> Vec<Tool<'_>> {
    let mut tools: BTreeMap<&str, (Counts, Vec<u64>)> = BTreeMap::new();
    for call in calls {
        let (counts, times) = tools.entry(&call.tool).or_default();
        counts.add(call.end);
        if matches!(call.end, End::Succeeded | End::Failed) {
            times.extend(call.took_ms);
        }
    }
    let tool = |(name, (counts, times))| Tool { name, counts, took: Percentiles::of(times) };
    let mut tools: Vec<_> = tools.into_iter().map(tool).collect();
    tools.sort_by_key(|tool| std::cmp::Reverse(tool.counts.calls));
    tools
}

/// By method, in the order of the first of each.
fn requests(requests: &[Request]) -> Vec<(&'static str, usize, usize)> {
    let mut counts: Vec<(&'static str, usize, usize)> = Vec::new();
    for request in requests {
        let failed = usize::from(request.end == End::Failed);
        match counts.iter_mut().find(|(method, ..)| *method == request.method) {
            Some((_, all, errors)) => (*all, *errors) = (*all + 1, *errors + failed),
            None => counts.push((request.method, 1, failed)),
        }
    }
    counts
}

/// In the order of the first of them.
fn refusals(calls: &[Call]) -> Vec<Refusal<'_>> {
    let mut refusals: BTreeMap<_, Refusal<'_>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.end == End::Refused) {
        let decided = call.decision.as_ref();
        let decision = match decided {
            Some(decided) => &*decided.decision,
            None => call.error_type.as_deref().unwrap_or("refused"),
        };
        let rule_ids = decided.map_or(&[][..], |decided| &decided.rule_ids);
        let reason_code = decided.and_then(|decided| decided.reason_code.as_deref());
        let key = (&*call.tool, decision, rule_ids, reason_code);
        let refusal = refusals.entry(key).or_insert_with(|| {
            let reason = decided.and_then(|decided| decided.reason.as_deref());
            let reason = reason.map(|reason| Excerpt::new(reason, 1000));
            let reason = reason.or_else(|| call.error_body.clone());
            let (tool, first) = (&*call.tool, call.sequence);
            Refusal { tool, decision, rule_ids, reason_code, reason, count: 0, first }
        });
        refusal.count += 1;
    }
    let mut refusals: Vec<_> = refusals.into_values().collect();
    refusals.sort_by_key(|refusal| refusal.first);
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_durations_of_calls() {
        let took = |times: std::ops::RangeInclusive<u64>| {
            Percentiles::of(times.rev().collect()).map(|of| (of.p50, of.p95, of.max))
        };
        assert_eq!(took(1..=20), Some((10, 19, 20)));
        assert_eq!(took(1..=100), Some((50, 95, 100)));
        assert_eq!(took(7..=7), Some((7, 7, 7)));
        assert_eq!(took(1..=2), Some((1, 2, 2)));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }
}
