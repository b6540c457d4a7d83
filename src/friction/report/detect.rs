//! The detectors: pure functions over a session's calls, in the order they were made.
//!
//! A call that succeeds and is made again is no finding: paging looks like that. What is still under
//! way is none either: it may yet succeed.

use std::collections::BTreeMap;

use super::Limits;

#[cfg(test)]
mod tests;

/// One call, as far as detectors look at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call<'a> {
    /// The number of its first event in the session's stream.
    pub sequence: u64,
    /// The number of the event that ended it, where one did.
    pub ended: Option<u64>,
    /// The tool's name.
    pub tool: &'a str,
    /// Equal for equal arguments, however they are spelled; `None` where they are not known.
    pub arguments: Option<u64>,
    /// When it started: milliseconds since the session did.
    pub at_ms: u64,
    /// How long it took, in milliseconds, where that is known.
    pub took_ms: Option<u64>,
    /// How it ended.
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum End {
    /// With a result.
    Succeeded,
    /// With an error.
    Failed,
    /// Refused by thoth.
    Refused,
    /// The client cancelled it.
    Cancelled,
    /// The session ended, or the server died, before an answer came.
    Unanswered,
    /// No event tells of an end: it is under way, or the stream was cut.
    Open,
}

/// What a detector found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<'a> {
    /// The tool it is about.
    pub tool: &'a str,
    /// The calls it rests on, by the numbers of their first events, in their order.
    pub calls: Vec<u64>,
}

// === impl End ===

impl End {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "ok",
            Self::Failed => "error",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Unanswered => "unanswered",
            Self::Open => "open",
        }
    }
}

/// `retry_loop`: the same tool with the same arguments, [`Limits::retries`] times or more within
/// [`Limits::window_ms`] (ends included), without success in between.
///
/// Refusals and cancellations count: an agent that runs against a wall loops, too. Calls of other
/// tools in between change nothing. A call that was made before the one before it had ended was not
/// made because of that, and does not count; one whose arguments are not known does not either.
pub fn retry_loops<'a>(calls: &[Call<'a>], limits: &Limits) -> Vec<Found<'a>> {
    let mut runs: BTreeMap<(&str, u64), Vec<&Call<'a>>> = BTreeMap::new();
    let mut found = Vec::new();
    for call in calls {
        let Some(arguments) = call.arguments else { continue };
        let run = runs.entry((call.tool, arguments)).or_default();
        match call.end {
            End::Failed | End::Refused | End::Cancelled => {
                let is_answer =
                    |last: &&Call<'_>| last.ended.is_some_and(|end| end < call.sequence);
                if run.last().is_none_or(is_answer) {
                    run.push(call);
                }
            }
            // What never ended was no attempt that failed.
            End::Open | End::Unanswered => {}
            // The call that succeeds is the end of the loop, and no part of it.
            End::Succeeded => found.extend(loops(&std::mem::take(run), limits)),
        }
    }
    found.extend(runs.into_values().flat_map(|run| loops(&run, limits)));
    found.sort_by_key(|found| found.calls[0]);
    found
}

/// The parts of a run that are dense enough; parts that overlap or touch are one.
fn loops<'a>(run: &[&Call<'a>], limits: &Limits) -> Vec<Found<'a>> {
    let least = limits.retries.max(2);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for start in 0..(run.len() + 1).saturating_sub(least) {
        let end = start + least;
        if run[end - 1].at_ms.saturating_sub(run[start].at_ms) > limits.window_ms {
            continue;
        }
        match found.last_mut() {
            Some(part) if part.1 > start => part.1 = end,
            _ => found.push((start, end)),
        }
    }
    let part = |(start, end): (usize, usize)| Found {
        tool: run[start].tool,
        calls: run[start..end].iter().map(|call| call.sequence).collect(),
    };
    found.into_iter().map(part).collect()
}

/// `slow_performance`: calls that took [`Limits::slow_ms`] or longer, whatever came of them; one
/// finding for each tool. A refused call waited for a person or for an enforcer, not for the tool.
pub fn slow_calls<'a>(calls: &[Call<'a>], limits: &Limits) -> Vec<Found<'a>> {
    let mut slow: BTreeMap<&'a str, Vec<u64>> = BTreeMap::new();
    for call in calls {
        let took_long = call.took_ms.is_some_and(|took| took >= limits.slow_ms);
        if took_long && call.end != End::Refused {
            slow.entry(call.tool).or_default().push(call.sequence);
        }
    }
    let mut found: Vec<_> = slow.into_iter().map(|(tool, calls)| Found { tool, calls }).collect();
    found.sort_by_key(|found| found.calls[0]);
    found
}

/// `abandonment`: the session is over, and its last call had no success: it failed, was refused, was
/// cancelled, or was never answered.
pub fn abandonment<'a>(calls: &[Call<'a>], limits: &Limits) -> Option<Found<'a>> {
    let last = calls.last().filter(|last| limits.over && last.end != End::Succeeded)?;
    Some(Found { tool: last.tool, calls: vec![last.sequence] })
}

/// `blocked_then_gave_up`: the session is over, its last call that was answered was refused, and so
/// were at least [`Limits::refusals`] since anything succeeded. Failures in between neither count nor
/// end the row, nor do calls that were cancelled or never answered.
pub fn blocked_then_gave_up<'a>(calls: &[Call<'a>], limits: &Limits) -> Option<Found<'a>> {
    let is_answered =
        |call: &&Call<'_>| !matches!(call.end, End::Cancelled | End::Unanswered | End::Open);
    let last = calls.iter().rev().find(is_answered)?;
    if !limits.over || last.end != End::Refused {
        return None;
    }
    let row = calls.iter().rev().take_while(|call| call.end != End::Succeeded);
    let refused = row.filter(|call| call.end == End::Refused);
    let mut calls: Vec<_> = refused.map(|call| call.sequence).collect();
    calls.reverse();
    (calls.len() >= limits.refusals.max(1)).then_some(Found { tool: last.tool, calls })
}
