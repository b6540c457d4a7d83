//! Sessions as tables: each detector, at its boundaries.

use super::*;

/// Calls as rows: tool, arguments, second of the start, seconds it took, and how it ended: `+` success,
/// `-` failure, `!` refusal, `x` cancelled, `~` unanswered, `?` open. Each has two events, and ends
/// before the next one begins.
type Row = (&'static str, u64, u64, u64, char);

/// The same, as it was found.
type Owned = (&'static str, Vec<u64>);

/// What is found: a tool, and the places of its calls in the table.
type Places = (&'static str, &'static [u64]);

/// The last call: a tool, and its place.
type Last = (&'static str, u64);

fn end(mark: char) -> End {
    match mark {
        '+' => End::Succeeded,
        '-' => End::Failed,
        '!' => End::Refused,
        'x' => End::Cancelled,
        '~' => End::Unanswered,
        _ => End::Open,
    }
}

fn calls(rows: &[Row]) -> Vec<Call<'static>> {
    let call = |(nth, &(tool, arguments, at, took, mark)): (usize, &Row)| Call {
        sequence: 2 * nth as u64,
        ended: (mark != '?').then_some(2 * nth as u64 + 1),
        tool,
        arguments: Some(arguments),
        at_ms: at * 1000,
        took_ms: (mark != '?').then_some(took * 1000),
        end: end(mark),
    };
    rows.iter().enumerate().map(call).collect()
}

/// What was found, by the places of calls in the table.
fn places(found: impl IntoIterator<Item = Found<'static>>) -> Vec<Owned> {
    let place = |found: Found<'static>| {
        (found.tool, found.calls.iter().map(|sequence| sequence / 2).collect())
    };
    found.into_iter().map(place).collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn a_call_that_fails_again_and_again_is_a_loop() {
    let table: &[(&str, &[Row], &[Places])] = &[
        ("nothing", &[], &[]),
        ("paging", &[("a", 1, 0, 0, '+'), ("a", 1, 1, 0, '+'), ("a", 1, 2, 0, '+')], &[]),
        ("twice is none", &[("a", 1, 0, 0, '-'), ("a", 1, 1, 0, '-')], &[]),
        (
            "three times",
            &[("a", 1, 0, 0, '-'), ("a", 1, 1, 0, '-'), ("a", 1, 2, 0, '-')],
            &[("a", &[0, 1, 2])],
        ),
        (
            "interleaved with others, and ended by success",
            &[
                ("a", 1, 0, 0, '-'),
                ("b", 1, 1, 0, '+'),
                ("a", 1, 2, 0, '-'),
                ("a", 2, 2, 0, '+'),
                ("a", 1, 3, 0, '-'),
                ("a", 1, 4, 0, '+'),
                ("a", 1, 5, 0, '-'),
            ],
            &[("a", &[0, 2, 4])],
        ),
        (
            "a success in between begins anew",
            &[
                ("a", 1, 0, 0, '-'),
                ("a", 1, 1, 0, '-'),
                ("a", 1, 2, 0, '+'),
                ("a", 1, 3, 0, '-'),
                ("a", 1, 4, 0, '-'),
            ],
            &[],
        ),
        (
            "two loops at once",
            &[
                ("b", 1, 0, 0, '-'),
                ("a", 1, 1, 0, '-'),
                ("b", 1, 2, 0, '-'),
                ("a", 1, 3, 0, '-'),
                ("b", 1, 4, 0, '-'),
                ("a", 1, 5, 0, '-'),
            ],
            &[("b", &[0, 2, 4]), ("a", &[1, 3, 5])],
        ),
        (
            "other arguments are other calls",
            &[("a", 1, 0, 0, '-'), ("a", 2, 1, 0, '-'), ("a", 3, 2, 0, '-')],
            &[],
        ),
        (
            "the same arguments of another tool, too",
            &[("a", 1, 0, 0, '-'), ("b", 1, 1, 0, '-'), ("c", 1, 2, 0, '-')],
            &[],
        ),
        (
            "refusals, failures and cancellations together",
            &[("a", 1, 0, 0, '!'), ("a", 1, 1, 0, '-'), ("a", 1, 2, 0, 'x')],
            &[("a", &[0, 1, 2])],
        ),
        (
            "open and unanswered calls are no failed attempts",
            &[("a", 1, 0, 0, '-'), ("a", 1, 1, 0, '-'), ("a", 1, 2, 0, '~'), ("a", 1, 3, 0, '?')],
            &[],
        ),
        (
            "the window's edge is inside",
            &[("a", 1, 0, 0, '-'), ("a", 1, 60, 0, '-'), ("a", 1, 120, 0, '-')],
            &[("a", &[0, 1, 2])],
        ),
        (
            "a second beyond it is not",
            &[("a", 1, 0, 0, '-'), ("a", 1, 60, 0, '-'), ("a", 1, 121, 0, '-')],
            &[],
        ),
        (
            "the window slides: what is too early is left out",
            &[
                ("a", 1, 0, 0, '-'),
                ("a", 1, 121, 0, '-'),
                ("a", 1, 181, 0, '-'),
                ("a", 1, 241, 0, '-'),
            ],
            &[("a", &[1, 2, 3])],
        ),
        (
            "windows that overlap are one loop",
            &[
                ("a", 1, 0, 0, '-'),
                ("a", 1, 60, 0, '-'),
                ("a", 1, 120, 0, '-'),
                ("a", 1, 180, 0, '-'),
                ("a", 1, 240, 0, '-'),
            ],
            &[("a", &[0, 1, 2, 3, 4])],
        ),
        (
            "windows that do not are two",
            &[
                ("a", 1, 0, 0, '-'),
                ("a", 1, 1, 0, '-'),
                ("a", 1, 2, 0, '-'),
                ("a", 1, 500, 0, '-'),
                ("a", 1, 501, 0, '-'),
                ("a", 1, 502, 0, '-'),
            ],
            &[("a", &[0, 1, 2]), ("a", &[3, 4, 5])],
        ),
    ];
    for (name, rows, expected) in table {
        let found = places(retry_loops(&calls(rows), &Limits::default()));
        let expected: Vec<_> =
            expected.iter().map(|(tool, places)| (*tool, places.to_vec())).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn calls_made_at_once_are_no_loop() {
    let mut at_once = calls(&[
        ("a", 1, 0, 5, '-'),
        ("a", 1, 0, 5, '-'),
        ("a", 1, 0, 5, '-'),
        ("a", 1, 9, 0, '-'),
    ]);
    for (nth, call) in at_once[..3].iter_mut().enumerate() {
        (call.sequence, call.ended) = (nth as u64, Some(nth as u64 + 3));
    }
    assert_eq!(retry_loops(&at_once, &Limits::default()), []);
    // Two more, each after the one before it.
    at_once.extend(calls(&[("a", 1, 10, 0, '-')]).into_iter().map(|call| Call {
        sequence: 20,
        ended: Some(21),
        ..call
    }));
    let found = retry_loops(&at_once, &Limits::default());
    assert_eq!(found, [Found { tool: "a", calls: vec![0, 6, 20] }]);
}

#[test]
fn calls_whose_arguments_are_not_known_are_not_compared() {
    let mut unknown = calls(&[("a", 1, 0, 0, '-'), ("a", 1, 1, 0, '-'), ("a", 1, 2, 0, '-')]);
    unknown[1].arguments = None;
    assert_eq!(retry_loops(&unknown, &Limits::default()), []);
}

#[test]
fn the_number_of_retries_and_the_window_are_limits() {
    let rows = calls(&[("a", 1, 0, 0, '-'), ("a", 1, 5, 0, '-')]);
    let found = |retries, window_ms| {
        let limits = Limits { retries, window_ms, ..Limits::default() };
        retry_loops(&rows, &limits).len()
    };
    assert_eq!([found(2, 5000), found(2, 4999), found(3, 5000)], [1, 0, 0]);
    // Once is no loop, whatever is asked for.
    assert_eq!([found(1, 4999), found(0, 4999), found(0, 5000)], [0, 0, 1]);
}

#[test]
fn calls_that_take_long_are_slow_whatever_came_of_them() {
    let table: &[(&str, &[Row], &[Places])] = &[
        ("nothing", &[], &[]),
        ("just below", &[("a", 1, 0, 9, '+')], &[]),
        ("the limit itself", &[("a", 1, 0, 10, '+')], &[("a", &[0])]),
        (
            "by tool, in the order of the first",
            &[
                ("b", 1, 0, 11, '-'),
                ("a", 1, 12, 10, '+'),
                ("c", 1, 23, 1, '+'),
                ("b", 2, 24, 60, 'x'),
                ("a", 2, 90, 10, '~'),
            ],
            &[("b", &[0, 3]), ("a", &[1, 4])],
        ),
        ("a refusal took its time elsewhere", &[("a", 1, 0, 60, '!')], &[]),
        ("of what is open nothing is known", &[("a", 1, 0, 60, '?')], &[]),
    ];
    for (name, rows, expected) in table {
        let found = places(slow_calls(&calls(rows), &Limits::default()));
        let expected: Vec<_> =
            expected.iter().map(|(tool, places)| (*tool, places.to_vec())).collect();
        assert_eq!(found, expected, "{name}");
    }
    let slow = Limits { slow_ms: 9001, ..Limits::default() };
    assert_eq!(slow_calls(&calls(&[("a", 1, 0, 9, '+')]), &slow), []);
}

#[test]
fn a_session_is_abandoned_where_its_last_call_had_no_success() {
    let table: &[(&str, &[Row], Option<Last>)] = &[
        ("nothing", &[], None),
        ("success", &[("a", 1, 0, 0, '-'), ("b", 1, 1, 0, '+')], None),
        ("failure", &[("a", 1, 0, 0, '+'), ("b", 1, 1, 0, '-')], Some(("b", 1))),
        ("refusal", &[("b", 1, 1, 0, '!')], Some(("b", 0))),
        ("cancellation", &[("b", 1, 1, 0, 'x')], Some(("b", 0))),
        ("no answer", &[("b", 1, 1, 0, '~')], Some(("b", 0))),
        ("in the middle of a call", &[("a", 1, 0, 0, '+'), ("b", 1, 1, 0, '?')], Some(("b", 1))),
    ];
    for (name, rows, expected) in table {
        let found = places(abandonment(&calls(rows), &Limits::default()));
        let expected: Vec<_> = expected.iter().map(|(tool, place)| (*tool, vec![*place])).collect();
        assert_eq!(found, expected, "{name}");
        let going_on = Limits { over: false, ..Limits::default() };
        assert_eq!(abandonment(&calls(rows), &going_on), None, "{name}");
    }
}

#[test]
fn who_is_refused_three_times_and_leaves_has_given_up() {
    let table: &[(&str, &[Row], Option<Places>)] = &[
        ("nothing", &[], None),
        ("twice is none", &[("a", 1, 0, 0, '!'), ("a", 1, 1, 0, '!')], None),
        (
            "three times, of whichever tools and arguments",
            &[("a", 1, 0, 0, '!'), ("b", 2, 1, 0, '!'), ("c", 3, 2, 0, '!')],
            Some(("c", &[0, 1, 2])),
        ),
        (
            "failures in between neither count nor end it",
            &[
                ("a", 1, 0, 0, '+'),
                ("b", 1, 1, 0, '!'),
                ("a", 1, 2, 0, '-'),
                ("b", 2, 3, 0, '!'),
                ("a", 1, 4, 0, '-'),
                ("c", 3, 5, 0, '!'),
            ],
            Some(("c", &[1, 3, 5])),
        ),
        (
            "two refusals and two failures are not enough",
            &[("b", 1, 0, 0, '!'), ("b", 1, 1, 0, '-'), ("b", 1, 2, 0, '-'), ("b", 1, 3, 0, '!')],
            None,
        ),
        (
            "a way around was found",
            &[("b", 1, 0, 0, '!'), ("b", 2, 1, 0, '!'), ("b", 3, 2, 0, '!'), ("a", 1, 3, 0, '+')],
            None,
        ),
        (
            "only those since the last success count",
            &[("b", 1, 0, 0, '!'), ("b", 2, 1, 0, '!'), ("a", 1, 2, 0, '+'), ("b", 3, 3, 0, '!')],
            None,
        ),
        (
            "a failure as the last answer is the better reason",
            &[("b", 1, 0, 0, '!'), ("b", 2, 1, 0, '!'), ("b", 3, 2, 0, '!'), ("a", 1, 3, 0, '-')],
            None,
        ),
        (
            "what has no answer says nothing",
            &[
                ("b", 1, 0, 0, '!'),
                ("b", 2, 1, 0, '!'),
                ("b", 3, 2, 0, '!'),
                ("a", 1, 3, 0, 'x'),
                ("a", 1, 4, 0, '~'),
                ("a", 1, 5, 0, '?'),
            ],
            Some(("b", &[0, 1, 2])),
        ),
    ];
    for (name, rows, expected) in table {
        let found = places(blocked_then_gave_up(&calls(rows), &Limits::default()));
        let expected: Vec<_> =
            expected.iter().map(|(tool, places)| (*tool, places.to_vec())).collect();
        assert_eq!(found, expected, "{name}");
        let going_on = Limits { over: false, ..Limits::default() };
        assert_eq!(blocked_then_gave_up(&calls(rows), &going_on), None, "{name}");
    }
    let one = calls(&[("a", 1, 0, 0, '!')]);
    let strict = Limits { refusals: 1, ..Limits::default() };
    assert!(blocked_then_gave_up(&one, &strict).is_some());
}
