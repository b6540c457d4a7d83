//! Which one is meant, and what a person is shown before they say yes.

use serde_json::value::RawValue;

use super::*;

fn one(id: &str) -> Waiting {
    Waiting {
        place: Place::Enforcer,
        id: id.to_owned(),
        agent_id: "files".to_owned(),
        server: "npx".to_owned(),
        tool_name: "delete".to_owned(),
        arguments: RawValue::from_string(r#"{"path":"/srv/a"}"#.to_owned()).unwrap(),
        user_id: None,
        rule_ids: Vec::new(),
        reason: None,
        self_approval: None,
        created_at: None,
        expires_at: None,
    }
}

fn picked(ids: &[&str], word: &str) -> Result<String, &'static str> {
    let waiting = ids.iter().map(|id| one(id)).collect();
    match pick(waiting, word) {
        Ok(one) => Ok(one.id),
        Err(NotOne::None { .. }) => Err("none"),
        Err(NotOne::Several(_)) => Err("several"),
    }
}

#[test]
fn which_one_is_meant() {
    let ids = &["3f2a11", "3f2b22", "3f", "apr_7-1"];
    for (word, meant) in [
        ("3f2a", Ok("3f2a11")),
        ("3f2a11", Ok("3f2a11")),
        (" 3f2a11\n", Ok("3f2a11")),
        ("3f2a11-2", Ok("3f2a11")), // a token that a client was told
        ("3f2", Err("several")),
        ("3f", Ok("3f")), // the whole id of one, and the beginning of others
        ("apr_7-1", Ok("apr_7-1")),
        ("apr_7", Ok("apr_7-1")),
        ("", Err("none")),
        ("-", Err("none")),
        ("3F2A", Err("none")),
        ("3f2a11-", Err("none")),
        ("3f2a11-x", Err("none")),
        ("3f2a111", Err("none")),
    ] {
        assert_eq!(picked(ids, word), meant.map(str::to_owned), "{word}");
    }
    assert_eq!(picked(&[], "3f"), Err("none"));
}

#[test]
fn an_id_is_shown_by_enough_of_its_beginning() {
    let waiting = ["0123456789ab", "0123456789cd", "abcdefghij", "x", "äöüäöü"].map(one);
    let short: Vec<_> = waiting.iter().map(|one| one.short(&waiting)).collect();
    assert_eq!(short, ["0123456789a", "0123456789c", "abcdefgh", "x", "äöüä"]);
}

#[test]
fn a_person_is_shown_the_call_and_must_say_yes() {
    for (typed, yes) in [
        ("y\n", true),
        ("Yes\n", true),
        ("\n", false),
        ("", false),
        ("n\n", false),
        ("yy\n", false),
        (&"y".repeat(1000), false),
    ] {
        let mut screen = Vec::new();
        let asked = confirm(&one("a"), Some(typed.as_bytes()), &mut screen).unwrap();
        assert_eq!(asked, yes, "{typed}");
        let screen = String::from_utf8(screen).unwrap();
        assert!(screen.starts_with("a  delete on npx, for files\n"), "{screen}");
        assert!(screen.contains(r#"{"path":"/srv/a"}"#), "{screen}");
        assert!(screen.contains("[y/N]"), "{screen}");
    }
    let nobody = confirm(&one("a"), None::<&[u8]>, &mut Vec::new());
    assert!(matches!(nobody, Err(Unanswered::NoTerminal)));
}

#[test]
fn the_json_says_who_keeps_it_and_keeps_numbers_as_they_are() {
    let mut held = one("a");
    held.place = Place::Sidecar { session_id: "s".to_owned() };
    held.arguments = RawValue::from_string("{\"n\":1.50e3}".to_owned()).unwrap();
    let text = serde_json::to_string(&held).unwrap();
    assert!(text.starts_with(r#"{"keeper":"sidecar","session_id":"s","id":"a""#), "{text}");
    assert!(text.contains(r#""arguments":{"n":1.50e3}"#), "{text}");
}

#[test]
fn trouble_says_nothing_that_a_terminal_would_act_on() {
    let evil = || "a\u{1b}[2J\u{202e}b".to_owned();
    for trouble in [Trouble::Lost(evil()), Trouble::Distrusted(evil())] {
        let told = trouble.to_string();
        assert!(!told.chars().any(crate::gate::plain::is_active), "{told}");
        assert!(told.ends_with('b'), "{told}");
    }
}
