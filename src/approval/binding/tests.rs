//! Which calls are one, and which are not.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn call(arguments: &str) -> Binding<'_> {
    Binding { agent: "a", server: "s", tool: "t", arguments, policy: "p" }
}

fn hash(arguments: &str) -> Result<CallHash, NotCanonical> {
    call(arguments).hash()
}

#[test]
fn the_form_is_what_its_table_says() {
    // Made by a program of a few lines that knows nothing but the table at the top.
    let arguments = r#" { "n" : 1.0, "a":[ true,"\u00e4",{ }], "b":{"y":null,"x":[]} } "#;
    assert_eq!(
        hash(arguments).unwrap().to_string(),
        "b9dbba406639ec6a3286b2adb8767e7fb14e6445d54180ab958d9aa543a7726d"
    );
}

#[test]
fn what_makes_two_calls_one_and_what_does_not() {
    for (one, other, is_same) in [
        // Spelling alone.
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, true),
        (r#"{"a":1,"b":2}"#, "\t{ \"a\" :\n1 , \"b\":2 } ", true),
        (r#"{"a":"é/"}"#, r#"{"\u0061":"\u00E9\/"}"#, true),
        (r#"{"a":"😀"}"#, r#"{"a":"\ud83d\ude00"}"#, true),
        (r#"{"a":{"x":{"p":1,"q":2},"y":3}}"#, r#"{"a":{"y":3,"x":{"q":2,"p":1}}}"#, true),
        (r#"[{"a":1,"b":2}]"#, r#"[{"b":2,"a":1}]"#, false), // neither is an object
        (r#"{"l":[{"a":1,"b":2}]}"#, r#"{"l":[{"b":2,"a":1}]}"#, true),
        ("{}", " { } ", true),
        // Values.
        (r#"{"a":1}"#, r#"{"a":2}"#, false),
        (r#"{"a":1}"#, r#"{"a":1.0}"#, false),
        (r#"{"a":1}"#, r#"{"a":1e0}"#, false),
        (r#"{"a":1e2}"#, r#"{"a":1E2}"#, false),
        (r#"{"a":0}"#, r#"{"a":-0}"#, false),
        (r#"{"a":12345678901234567890123}"#, r#"{"a":12345678901234567890124}"#, false),
        (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
        (r#"{"a":true}"#, r#"{"a":"true"}"#, false),
        (r#"{"a":null}"#, "{}", false),
        (r#"{"a":[]}"#, r#"{"a":{}}"#, false),
        (r#"{"a":""}"#, r#"{"a":[]}"#, false),
        (r#"{"a":"é"}"#, "{\"a\":\"e\u{301}\"}", false), // never normalised
        (r#"{"a":"x"}"#, r#"{"a":"X"}"#, false),
        (r#"{"a":"x"}"#, r#"{"a":"x "}"#, false),
        // Names.
        (r#"{"a":1}"#, r#"{"b":1}"#, false),
        (r#"{"a":1}"#, r#"{"a":1,"b":1}"#, false),
        (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#, false),
        (r#"{"":1}"#, r#"{"\u0000":1}"#, false),
        // Places.
        (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
        (r#"{"a":[1,[2]]}"#, r#"{"a":[[1],2]}"#, false),
        (r#"{"a":[1,2]}"#, r#"{"a":[12]}"#, false),
        (r#"{"a":["x","y"]}"#, r#"{"a":["x\",\"y"]}"#, false),
        (r#"{"a":{"b":1}}"#, r#"{"a":1,"b":1}"#, false),
        (r#"{"a":{"b":{}}}"#, r#"{"a":{},"b":{}}"#, false),
        (r#"{"a":[{"b":1}]}"#, r#"{"a":{"b":1}}"#, false),
    ] {
        let (one, other) = (hash(one), hash(other));
        let same = matches!((one, other), (Ok(one), Ok(other)) if one == other);
        assert_eq!(same, is_same, "{one:?} {other:?}");
    }
}

#[test]
fn every_part_of_a_call_counts_and_stays_in_its_place() {
    let hash = |[agent, server, tool, policy]: [&str; 4]| {
        Binding { agent, server, tool, arguments: "{}", policy }.hash().unwrap()
    };
    let table = [
        ["a", "s", "t", "p"],
        ["b", "s", "t", "p"],
        ["a", "z", "t", "p"],
        ["a", "s", "u", "p"],
        ["a", "s", "t", "q"],
        ["as", "", "t", "p"],
        ["", "as", "t", "p"],
        ["s", "a", "t", "p"],
        ["a", "s", "tp", ""],
        ["a", "s", "", "tp"],
        ["", "", "", ""],
    ];
    let mut hashes = table.map(hash).to_vec();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), table.len());
}

#[test]
fn what_readers_may_read_differently_has_no_hash() {
    for (arguments, why) in [
        ("", Fault::Syntax),
        ("null", Fault::Syntax),
        ("[]", Fault::Syntax),
        ("{", Fault::Syntax),
        (r#"{"a":1,}"#, Fault::Syntax),
        (r#"{"a":NaN}"#, Fault::Syntax),
        (r#"{"a":1}{}"#, Fault::Trailing),
        (r#"{"a":1,"a":1}"#, Fault::Repeated),
        (r#"{"a":1,"\u0061":2}"#, Fault::Repeated),
        (r#"{"x":[{"a":1,"a":1}]}"#, Fault::Repeated),
        (r#"{"a":1e999}"#, Fault::Infinite),
        (r#"{"a":"\ud800"}"#, Fault::LoneSurrogate),
        ("{\"a\":1\r}", Fault::CarriageReturn),
    ] {
        assert_eq!(hash(arguments), Err(NotCanonical(why)), "{arguments}");
    }
}

#[test]
fn nesting_is_walked_to_the_readers_limit_and_no_further() {
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"a\":{open}{close}}}")
    };
    assert!(hash(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(hash(&nested(MAX_DEPTH + 1)), Err(NotCanonical(Fault::Depth)));
    assert_eq!(hash(&"{\"a\":".repeat(1_000_000)), Err(NotCanonical(Fault::Depth)));
    assert!(crate::gate::json::object(&nested(MAX_DEPTH)).is_ok());
    assert!(crate::gate::json::object(&nested(MAX_DEPTH + 1)).is_err());
}

/// Some value, not too deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["\"", "\\", "\u{0}", "\u{2028}", "/", "😀"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-dé\"\\\\]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn arguments() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-dé\"]{0,2}", value(), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Writes a value as some other program might: blanks, escapes, members in another order.
fn respelled(value: &Value, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    let mut roll = |sides: u8| dice.next().unwrap_or(0) % sides;
    let blanks = ["", " ", "\n\t"];
    out.push_str(blanks[usize::from(roll(3))]);
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            let turn = usize::from(roll(7)) % members.len().max(1);
            members.rotate_left(turn);
            if roll(2) == 1 {
                members.reverse();
            }
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                quoted(name, dice, out);
                out.push(':');
                respelled(value, dice, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                respelled(element, dice, out);
            }
            out.push_str("\t]");
        }
        Value::String(text) => quoted(text, dice, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
    out.push(' ');
}

fn quoted(text: &str, dice: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let must = matches!(character, '"' | '\\') || character < ' ';
        if must || dice.next().unwrap_or(0).is_multiple_of(3) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        } else {
            out.push(character);
        }
    }
    out.push('"');
}

/// Changes one thing in a value: the `at`th of its leaves and names. Says whether it did.
fn changed(value: &mut Value, at: &mut usize) -> bool {
    if *at == 0 {
        *value = match &*value {
            Value::Null => Value::Bool(false),
            Value::Bool(said) => Value::Bool(!said),
            Value::Number(number) => Value::String(number.to_string()),
            Value::String(text) => Value::String(format!("{text}x")),
            Value::Array(elements) => {
                Value::Array(elements.iter().cloned().chain([Value::Null]).collect())
            }
            Value::Object(members) => {
                let mut members = members.clone();
                members.insert("another".to_owned(), Value::Null);
                Value::Object(members)
            }
        };
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(elements) => elements.iter_mut().any(|element| changed(element, at)),
        Value::Object(members) => members.values_mut().any(|member| changed(member, at)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

proptest! {
    #[test]
    fn the_same_call_written_otherwise_has_the_same_hash(
        arguments in arguments(), dice in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let mut other = String::new();
        respelled(&arguments, &mut dice.into_iter(), &mut other);
        prop_assert_eq!(hash(&arguments.to_string()).unwrap(), hash(&other).unwrap(), "{}", other);
    }

    #[test]
    fn another_call_has_another_hash(arguments in arguments(), at in 0_usize..30) {
        let mut other = arguments.clone();
        let mut at = at;
        if changed(&mut other, &mut at) {
            prop_assert_ne!(
                hash(&arguments.to_string()).unwrap(), hash(&other.to_string()).unwrap(), "{}", other
            );
        }
    }

    #[test]
    fn two_values_have_one_hash_only_if_they_are_one(one in arguments(), other in arguments()) {
        // Equal values are written alike: their maps are sorted.
        let (one, other) = (one.to_string(), other.to_string());
        prop_assert_eq!(hash(&one).unwrap() == hash(&other).unwrap(), one == other);
    }

    #[test]
    fn what_has_a_hash_is_what_the_strict_reader_accepts(text in "[{}\\[\\]\",:a1\\\\ \n\r]{0,24}") {
        prop_assert_eq!(hash(&text).is_ok(), crate::gate::json::object(&text).is_ok());
    }
}
