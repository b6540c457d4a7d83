//! Where a session got stuck, told from its calls: the detectors behind the report.
//!
//! Pure functions over the calls in their order. Each finding names the events it rests on, and what
//! would help.
//!
//! A call that succeeds and is made again is no finding: paging looks like that.

use std::collections::BTreeMap;

/// One call, as far as detectors look at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call<'a> {
    /// The number of its start in the session's stream.
    pub sequence: u64,
    /// The tool's name.
    pub tool: &'a str,
    /// Equal for equal arguments.
    pub arguments: u64,
    /// When it started: milliseconds since the session did.
    pub at_ms: u64,
    /// How long it took, in milliseconds, where that is known.
    pub took_ms: Option<u64>,
    /// How it ended.
    pub end: End,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// With a result.
    Succeeded,
    /// With an error.
    Failed,
    /// Refused by thoth.
    Refused,
    /// Without an answer.
    Open,
}

/// Something that got in an agent's way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding<'a> {
    /// What it is.
    pub signal: Signal,
    /// The tool it is about.
    pub tool: &'a str,
    /// The numbers of the events it rests on, in their order.
    pub evidence: Vec<u64>,
}

/// What got in an agent's way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Signal {
    /// Refused again and again, and the session ended without any success after it.
    BlockedThenGaveUp,
    /// The session ended with a failure or in the middle of a call.
    Abandonment,
    /// The same call, made again after it failed.
    RetryLoop,
    /// So slow that a user may give up.
    SlowPerformance,
}

/// From when on something is a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many times one call is made within the window without success.
    pub retries: usize,
    /// How long the window is, in milliseconds.
    pub window_ms: u64,
    /// How long a slow call takes, in milliseconds.
    pub slow_ms: u64,
    /// How many refusals in a row precede giving up.
    pub refusals: usize,
}

/// The durations of calls, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Percentiles {
    /// Half of the calls took no longer.
    pub p50: u64,
    /// 95 of 100 took no longer.
    pub p95: u64,
}

// === impl Signal ===

impl Signal {
    /// Its word: that of the format, where it has one.
    pub fn word(self) -> &'static str {
        match self {
            Self::BlockedThenGaveUp => "blocked_then_gave_up",
            Self::Abandonment => "abandonment",
            Self::RetryLoop => "retry_loop",
            Self::SlowPerformance => "slow_performance",
        }
    }

    /// What would help.
    pub fn advice(self) -> &'static str {
        match self {
            Self::BlockedThenGaveUp => {
                "Say in the rule's reason what is allowed instead, or let a person approve such calls."
            }
            Self::Abandonment => {
                "Look at the last failure: its message should say what to do next."
            }
            Self::RetryLoop => {
                "Say in the error what is wrong with the arguments, and whether trying again can help."
            }
            Self::SlowPerformance => "Report progress, answer in pages, or offer a narrower query.",
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { retries: 3, window_ms: 120_000, slow_ms: 10_000, refusals: 3 }
    }
}

/// All findings about one session's calls, in their order; the most urgent signal first.
pub fn findings<'a>(calls: &[Call<'a>], limits: Limits) -> Vec<Finding<'a>> {
    let gave_up = blocked_then_gave_up(calls, limits);
    // Giving up after refusals is the better word for the same end.
    let abandoned = if gave_up.is_none() { abandonment(calls) } else { None };
    let mut findings: Vec<_> = gave_up.into_iter().chain(abandoned).collect();
    findings.extend(retry_loops(calls, limits));
    findings.extend(slow_calls(calls, limits));
    findings
}

/// The same tool with the same arguments, without success in between, often enough within a window
/// that slides with the calls. Refusals count: an agent that runs against a wall loops, too.
pub fn retry_loops<'a>(calls: &[Call<'a>], limits: Limits) -> Vec<Finding<'a>> {
    let mut runs: BTreeMap<(&str, u64), Vec<&Call<'a>>> = BTreeMap::new();
    let mut findings: Vec<Finding<'a>> = Vec::new();
    let mut finish = |run: Vec<&Call<'a>>| {
        if run.len() >= limits.retries.max(2) {
            let evidence = run.iter().map(|call| call.sequence).collect();
            findings.push(Finding { signal: Signal::RetryLoop, tool: run[0].tool, evidence });
        }
    };
    for call in calls {
        let run = runs.entry((call.tool, call.arguments)).or_default();
        let late =
            run.last().is_some_and(|last| call.at_ms.saturating_sub(last.at_ms) > limits.window_ms);
        if late {
            finish(std::mem::take(run));
        }
        match call.end {
            End::Failed | End::Refused => run.push(call),
            // What is still open may yet succeed.
            End::Open => {}
            // The call that succeeds is the end of the loop, and no part of it.
            End::Succeeded => finish(std::mem::take(run)),
        }
    }
    runs.into_values().for_each(&mut finish);
    findings.sort_by_key(|finding| finding.evidence[0]);
    findings
}

/// Calls that took long, one finding for each tool.
pub fn slow_calls<'a>(calls: &[Call<'a>], limits: Limits) -> Vec<Finding<'a>> {
    let mut slow: BTreeMap<&'a str, Vec<u64>> = BTreeMap::new();
    for call in calls {
        if call.took_ms.is_some_and(|took| took >= limits.slow_ms) {
            slow.entry(call.tool).or_default().push(call.sequence);
        }
    }
    let signal = Signal::SlowPerformance;
    let finding = |(tool, evidence)| Finding { signal, tool, evidence };
    let mut findings: Vec<_> = slow.into_iter().map(finding).collect();
    findings.sort_by_key(|finding| finding.evidence[0]);
    findings
}

/// The session ended with a failure, a refusal, or in the middle of a call.
pub fn abandonment<'a>(calls: &[Call<'a>]) -> Option<Finding<'a>> {
    let last = calls.last().filter(|last| last.end != End::Succeeded)?;
    Some(Finding { signal: Signal::Abandonment, tool: last.tool, evidence: vec![last.sequence] })
}

/// The session's last calls were refused, often enough, and nothing succeeded after the first of
/// them. Other failures in between neither count nor end the row.
pub fn blocked_then_gave_up<'a>(calls: &[Call<'a>], limits: Limits) -> Option<Finding<'a>> {
    let last = calls.last().filter(|last| last.end == End::Refused)?;
    let row = calls.iter().rev().take_while(|call| call.end != End::Succeeded);
    let mut evidence: Vec<_> =
        row.filter(|call| call.end == End::Refused).map(|call| call.sequence).collect();
    evidence.reverse();
    let signal = Signal::BlockedThenGaveUp;
    (evidence.len() >= limits.refusals.max(1)).then_some(Finding {
        signal,
        tool: last.tool,
        evidence,
    })
}

/// The durations of a tool's answered calls; `None` where there are none. Each is the duration of a
/// call, not a mean of two (nearest rank).
pub fn percentiles(calls: &[Call<'_>], tool: &str) -> Option<Percentiles> {
    let same = calls.iter().filter(|call| call.tool == tool);
    let mut times: Vec<_> = same.filter_map(|call| call.took_ms).collect();
    times.sort_unstable();
    let rank = |hundredths: usize| {
        let rank = (times.len() * hundredths).div_ceil(100);
        times.get(rank.checked_sub(1)?).copied()
    };
    Some(Percentiles { p50: rank(50)?, p95: rank(95)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls as words: tool, arguments, second of the start, seconds it took, `+` success,
    /// `-` failure, `!` refusal, `?` open.
    fn calls(table: &[(&'static str, u64, u64, u64, char)]) -> Vec<Call<'static>> {
        let call = |(nth, &(tool, arguments, at, took, end)): (usize, &(_, _, u64, u64, _))| Call {
            sequence: nth as u64,
            tool,
            arguments,
            at_ms: at * 1000,
            took_ms: (end != '?').then_some(took * 1000),
            end: match end {
                '+' => End::Succeeded,
                '-' => End::Failed,
                '!' => End::Refused,
                _ => End::Open,
            },
        };
        table.iter().enumerate().map(call).collect()
    }

    fn found(
        table: &[(&'static str, u64, u64, u64, char)],
    ) -> Vec<(Signal, &'static str, Vec<u64>)> {
        let findings = findings(&calls(table), Limits::default());
        findings
            .into_iter()
            .map(|finding| (finding.signal, finding.tool, finding.evidence))
            .collect()
    }

    #[test]
    fn each_detector_finds_what_it_is_for() {
        use Signal::{Abandonment, BlockedThenGaveUp, RetryLoop, SlowPerformance};
        // Nothing.
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[("a", 1, 0, 0, '+'), ("a", 1, 1, 0, '+'), ("a", 1, 2, 0, '+')]), []);
        // The same call, failing; a success ends the loop.
        assert_eq!(
            found(&[
                ("a", 1, 0, 0, '-'),
                ("b", 1, 1, 0, '+'),
                ("a", 1, 2, 0, '-'),
                ("a", 1, 3, 0, '-'),
                ("a", 1, 4, 0, '+'),
                ("a", 1, 5, 0, '-'),
                ("b", 1, 6, 0, '+'),
            ]),
            [(RetryLoop, "a", vec![0, 2, 3])]
        );
        // Other arguments, or too much time in between, are no loop.
        assert_eq!(
            found(&[
                ("a", 1, 0, 0, '-'),
                ("a", 2, 1, 0, '-'),
                ("a", 3, 2, 0, '-'),
                ("a", 1, 121, 0, '-'),
                ("a", 1, 242, 0, '-'),
                ("a", 1, 363, 0, '+'),
            ]),
            []
        );
        // Slow calls, by tool.
        assert_eq!(
            found(&[("a", 1, 0, 10, '+'), ("b", 1, 1, 9, '+'), ("a", 2, 2, 60, '+')]),
            [(SlowPerformance, "a", vec![0, 2])]
        );
        // The end.
        assert_eq!(
            found(&[("a", 1, 0, 0, '+'), ("b", 1, 1, 0, '-')]),
            [(Abandonment, "b", vec![1])]
        );
        assert_eq!(found(&[("b", 1, 1, 0, '?')]), [(Abandonment, "b", vec![0])]);
        assert_eq!(found(&[("b", 1, 1, 0, '!')]), [(Abandonment, "b", vec![0])]);
        // Blocked three times, then nothing more.
        assert_eq!(
            found(&[
                ("a", 1, 0, 0, '+'),
                ("b", 1, 1, 0, '!'),
                ("b", 2, 2, 0, '!'),
                ("a", 1, 3, 0, '-'),
                ("c", 3, 4, 0, '!'),
            ]),
            [(BlockedThenGaveUp, "c", vec![1, 2, 4])]
        );
        // A way around was found.
        assert_eq!(
            found(&[
                ("b", 1, 1, 0, '!'),
                ("b", 2, 2, 0, '!'),
                ("b", 3, 3, 0, '!'),
                ("a", 1, 4, 0, '+'),
            ]),
            []
        );
    }

    #[test]
    fn percentiles_are_durations_of_calls() {
        let row: Vec<_> = (1..=20).map(|took| ("a", 1, 0, took, '+')).collect();
        let all = calls(&row);
        assert_eq!(percentiles(&all, "a"), Some(Percentiles { p50: 10_000, p95: 19_000 }));
        assert_eq!(percentiles(&all[..1], "a"), Some(Percentiles { p50: 1000, p95: 1000 }));
        assert_eq!(percentiles(&all, "b"), None);
        assert_eq!(percentiles(&calls(&[("a", 1, 0, 0, '?')]), "a"), None);
    }
}
