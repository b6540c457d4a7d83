//! The pieces of pages.

use jiff::Timestamp;

use super::*;

fn then() -> Timestamp {
    "2026-11-21T10:00:00.7Z".parse().unwrap()
}

#[test]
fn distances_are_for_people() {
    for (seconds, shown) in [
        (-5, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (1_000_000, "11 d"),
    ] {
        assert_eq!(distance(seconds), shown);
    }
}

#[test]
fn a_time_says_when_for_programs_and_how_far_for_people() {
    let later = then() + std::time::Duration::from_secs(59);
    assert_eq!(
        ago(then(), later).into_string(),
        "<time datetime=\"2026-11-21T10:00:00Z\" title=\"21 Nov 2026, 10:00:00 UTC\" data-age>59 s ago</time>"
    );
    assert!(left(later, then()).into_string().contains("class=\"left soon\""));
    assert!(
        !left(later + std::time::Duration::from_secs(1), then()).into_string().contains("soon")
    );
}

#[test]
fn what_others_say_is_text_that_turns_nothing_round() {
    for (text, most, html) in [
        ("a<b>&\"", 99, "<bdi>a&lt;b&gt;&amp;&quot;</bdi>"),
        ("\u{202e}x\n", 99, "<bdi>\\u{202e}x\\n</bdi>"),
        ("abcdef", 3, "<bdi>abc […3 more]</bdi>"),
    ] {
        assert_eq!(shown(text, most).into_string(), html);
    }
}
