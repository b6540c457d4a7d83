//! Findings of whole sessions: failures in groups, and what agents said beside what is seen.

use super::*;
use crate::friction::report::session::Annotation;
use crate::friction::report::text::cut;

/// A session as lines: `tool arguments end`, where the end is `+`, `!` or the type of an error; or
/// `"tool signal text` for a report, with `-` for what is not said; or `=text` for a note.
fn session(lines: &[&str]) -> Session {
    let mut session = Session::default();
    for (nth, line) in lines.iter().enumerate() {
        let sequence = 2 * nth as u64;
        let words = |text: &str| Some(Excerpt::new(text, 1000));
        let named = |text: &str| (text != "-").then(|| text.to_owned());
        if let Some(text) = line.strip_prefix('=') {
            let intent = words(text);
            session.annotations.push(Annotation { sequence, intent, ..Annotation::default() });
        } else if let Some(rest) = line.strip_prefix('"') {
            let mut parts = rest.splitn(3, ' ');
            let (tool, signal, text) =
                (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            session.annotations.push(Annotation {
                sequence,
                tool: named(tool),
                signal_type: named(signal),
                what_happened: words(text),
                improvement: words("better"),
                blocks: text.contains("stuck"),
                ..Annotation::default()
            });
        } else {
            let parts: Vec<_> = line.split(' ').collect();
            let end = match parts[2] {
                "+" => End::Succeeded,
                "!" => End::Refused,
                _ => End::Failed,
            };
            session.calls.push(Call {
                sequence,
                ended: Some(sequence + 1),
                id: None,
                tool: cut(parts[0], 100),
                arguments: Some(parts[1].parse().unwrap()),
                params: None,
                intent: None,
                expected: None,
                at: None,
                at_ms: 1000 * nth as u64,
                took_ms: Some(1),
                end,
                error_type: (end != End::Succeeded).then(|| parts[2].to_owned()),
                error_body: None,
                failure_kind: None,
                decision: None,
            });
        }
    }
    session
}

/// Findings as `priority signal subject source: places`.
fn told(lines: &[&str]) -> Vec<String> {
    let shown = |finding: Finding| {
        let places: Vec<_> =
            finding.evidence.iter().map(|one| (one.sequence / 2).to_string()).collect();
        format!(
            "{} {} {} {}: {}",
            finding.priority.word(),
            finding.signal.word(),
            finding.subject.tool().unwrap_or("-"),
            finding.source.word(),
            places.join(" ")
        )
    };
    findings(&session(lines), &Limits::default()).into_iter().map(shown).collect()
}

#[test]
fn errors_are_grouped_by_tool_and_type() {
    assert_eq!(
        told(&["a 1 x", "b 1 x", "a 2 x", "a 3 y", "a 4 +"]),
        [
            "urgent failure a detected: 0 2",
            "urgent failure b detected: 1",
            "urgent failure a detected: 3"
        ]
    );
    // What a loop tells is not told twice; what it does not tell, is.
    assert_eq!(told(&["a 1 x", "a 1 x", "a 1 x", "b 1 +"]), ["high retry_loop a detected: 0 1 2"]);
    assert_eq!(
        told(&["a 1 x", "a 1 x", "a 1 x", "a 2 x", "b 1 +"]),
        ["urgent failure a detected: 0 1 2 3", "high retry_loop a detected: 0 1 2"]
    );
    // A refusal is no failure.
    assert_eq!(told(&["a 1 !", "b 1 +"]), Vec::<String>::new());
    assert_eq!(told(&["a 1 +", "a 1 +", "a 1 +"]), Vec::<String>::new());
}

#[test]
fn giving_up_is_the_better_word_for_the_end_after_refusals() {
    assert_eq!(told(&["a 1 !", "b 2 !", "c 3 !"]), ["high blocked_then_gave_up c detected: 0 1 2"]);
    assert_eq!(told(&["a 1 !", "b 2 !"]), ["medium abandonment b detected: 1"]);
}

#[test]
fn what_an_agent_says_joins_what_is_seen_and_wins() {
    let table: &[(&str, &[&str], &[&str])] = &[
        (
            "by its tool",
            &["a 1 x", "b 1 x", "\"a dead_end no way", "c 1 +"],
            &["urgent failure b detected: 1", "high dead_end a detected and reported: 0 2"],
        ),
        (
            "without a signal, the seen one stays",
            &["a 1 x", "\"a - no way", "c 1 +"],
            &["urgent failure a detected and reported: 0 1"],
        ),
        (
            "by the one failed tool that its text names",
            &["a_tool 1 x", "b_tool 1 x", "\"- - the a_tool is broken", "c 1 +"],
            &[
                "urgent failure a_tool detected and reported: 0 2",
                "urgent failure b_tool detected: 1",
            ],
        ),
        (
            "a part of a name is no name",
            &["a 1 x", "\"- - what a_tool says", "c 1 +"],
            &["urgent failure a detected: 0", "medium other - reported: 1"],
        ),
        (
            "two named tools are none",
            &["a1 1 x", "b1 1 x", "\"- - a1 or b1", "c 1 +"],
            &[
                "urgent failure a1 detected: 0",
                "urgent failure b1 detected: 1",
                "medium other - reported: 2",
            ],
        ),
        (
            "a tool that did not fail stands alone",
            &["a 1 x", "\"c feature_gap no", "c 1 +"],
            &["urgent failure a detected: 0", "high feature_gap c reported: 1"],
        ),
        (
            "the last before it",
            &["a 1 x", "a 2 y", "\"a - y", "a 3 z", "c 1 +"],
            &[
                "urgent failure a detected: 0",
                "urgent failure a detected and reported: 1 2",
                "urgent failure a detected: 3",
            ],
        ),
        (
            "one report for each finding",
            &["a 1 x", "\"a - first", "\"a slow_performance second", "c 1 +"],
            &[
                "urgent failure a detected and reported: 0 1",
                "medium slow_performance a reported: 2",
            ],
        ),
        (
            "an agent that is stuck is heard sooner",
            &["\"- slow_performance stuck", "c 1 +"],
            &["high slow_performance - reported: 0"],
        ),
        (
            "a word of its own is another",
            &["\"- my_signal hm", "c 1 +"],
            &["medium other - reported: 0"],
        ),
        ("a note is no finding", &["=do it", "c 1 +"], &[]),
    ];
    for (name, lines, expected) in table {
        assert_eq!(told(lines), *expected, "{name}");
    }
}

#[test]
fn a_note_lends_its_goal_to_what_comes_after_it() {
    let session = session(&["=first", "a 1 x", "=second", "b 1 x", "\"c dead_end no", "c 1 +"]);
    let goals: Vec<_> = findings(&session, &Limits::default())
        .iter()
        .map(|finding| finding.intent.as_ref().map(|text| text.as_str().to_owned()))
        .collect();
    assert_eq!(goals, ["first", "second", "second"].map(|goal| Some(goal.to_owned())));
}

#[test]
fn priorities_are_those_of_the_format() {
    for (word, plain, blocked) in [
        ("failure", "urgent", "urgent"),
        ("dead_end", "high", "high"),
        ("feature_gap", "high", "high"),
        ("retry_loop", "high", "high"),
        ("blocked_then_gave_up", "high", "high"),
        ("parameter_confusion", "medium", "high"),
        ("slow_performance", "medium", "high"),
        ("abandonment", "medium", "high"),
        ("other", "medium", "high"),
        ("whatever", "medium", "high"),
    ] {
        let signal = Signal::parse(word);
        assert_eq!((signal.priority(false).word(), signal.priority(true).word()), (plain, blocked));
        assert!(word == "whatever" || signal.word() == word);
    }
}
