//! Tables and properties for the JSON reader; `serde_json` is the independent judge.

use proptest::prelude::*;

use super::*;

fn strict(text: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::<Strict>::new(text);
    reader.value(0)?;
    reader.end()
}

fn lenient(text: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::<Lenient>::new(text);
    reader.value(0)?;
    reader.end()
}

#[test]
fn what_every_reader_reads_alike_is_accepted() {
    for text in [
        "{}",
        "[]",
        " {\t} ",
        r#"{"a":1,"b":[true,false,null,-0.5e-3,1E+2,0]}"#,
        r#"{"a":{"a":{"a":[]}},"b":[{"a":1},{"a":1}]}"#,
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀""#,
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        r#"{"__proto__":1,"constructor":{}}"#,
        "\"\u{7f}\"",
    ] {
        assert_eq!(strict(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn what_readers_may_read_differently_is_refused_with_its_reason() {
    for (text, fault) in [
        (&b""[..], Fault::Syntax),
        (b"{", Fault::Syntax),
        (b"{\"a\"}", Fault::Syntax),
        (b"{\"a\":1,}", Fault::Syntax),
        (b"[1,]", Fault::Syntax),
        (b"[,1]", Fault::Syntax),
        (b"[1 2]", Fault::Syntax),
        (b"{a:1}", Fault::Syntax),
        (b"{'a':1}", Fault::Syntax),
        (b"[1}", Fault::Syntax),
        (b"{\"a\":1]", Fault::Syntax),
        (b"// x\n{}", Fault::Syntax),
        (b"/* */{}", Fault::Syntax),
        (b"NaN", Fault::Syntax),
        (b"[Infinity]", Fault::Syntax),
        (b"[-Infinity]", Fault::Syntax),
        (b"+1", Fault::Syntax),
        (b"007", Fault::Syntax),
        (b"1.", Fault::Syntax),
        (b".5", Fault::Syntax),
        (b"1e", Fault::Syntax),
        (b"0x10", Fault::Syntax),
        (b"truefalse", Fault::Syntax),
        (b"[1e400]", Fault::Infinite),
        (b"[-1e999]", Fault::Infinite),
        (b"\"\\x41\"", Fault::Syntax),
        (b"\"\\u12\"", Fault::Syntax),
        (b"\"\\u12g4\"", Fault::Syntax),
        (b"\"\\ud800\"", Fault::LoneSurrogate),
        (b"\"\\ud800\\u0041\"", Fault::LoneSurrogate),
        (b"\"\\ud800\\n0041\"", Fault::LoneSurrogate),
        (b"\"\\udc00\"", Fault::LoneSurrogate),
        (b"\"a\tb\"", Fault::Syntax),
        (b"\"a\0b\"", Fault::Syntax),
        (b"\"a\rb\"", Fault::CarriageReturn),
        (b"{\r}", Fault::CarriageReturn),
        (b"{}\r", Fault::CarriageReturn),
        (b"{}\r{}", Fault::CarriageReturn),
        (b"{}{}", Fault::Trailing),
        (b"{} []", Fault::Trailing),
        (b"{}\x0b", Fault::Trailing),
        (b"{}\xc2\x85", Fault::Trailing),
        (b"\xef\xbb\xbf{}", Fault::Syntax),
        (b"{\"a\":1,\"a\":2}", Fault::Repeated),
        (b"{\"a\":1,\"\\u0061\":2}", Fault::Repeated),
        (b"{\"x\":[{\"a\":{\"b\":1,\"b\":1}}]}", Fault::Repeated),
        (b"{\"\":1,\"\":1}", Fault::Repeated),
    ] {
        assert_eq!(strict(text), Err(fault), "{}", text.escape_ascii());
    }
}

#[test]
fn a_repeated_name_is_found_among_many() {
    let many = |last: &str| {
        let names: Vec<_> = (0..5_000).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{},{last}}}", names.join(","))
    };
    assert_eq!(strict(many("\"k\":0").as_bytes()), Ok(()));
    assert_eq!(strict(many("\"k7\":0").as_bytes()), Err(Fault::Repeated));
    assert_eq!(strict(many("\"k\\u0037\":0").as_bytes()), Err(Fault::Repeated));
}

#[test]
fn nesting_is_read_to_its_limit_and_costs_no_stack_beyond() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(strict(nested(MAX_DEPTH).as_bytes()), Ok(()));
    assert_eq!(strict(nested(MAX_DEPTH + 1).as_bytes()), Err(Fault::Depth));
    assert_eq!(strict(nested(1_000_000).as_bytes()), Err(Fault::Depth));
    assert_eq!(lenient(nested(1_000_000).as_bytes()), Ok(()));
    assert!(serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH)).is_ok());
}

#[test]
fn lenient_reading_finds_its_way_through_what_servers_send() {
    for text in [
        &b"{\"a\":NaN,\"b\":[Infinity,-Infinity]}"[..],
        b"{\"a\":1,\"a\":2}",
        b"\"\\ud800\"",
        b"\"\xff\xfe\"",
        b"{\r\n}",
        b"[1e999]",
        b"\"raw\ttab\"",
    ] {
        assert_eq!(lenient(text), Ok(()), "{}", text.escape_ascii());
    }
}

#[test]
fn line_separators_are_noticed_and_respelled_without_other_change() {
    let text = "{\"a\":\"x\u{85}y\u{2028}z\u{2029} \u{2027}é\",\"n\":1.50}";
    let mut reader = Reader::<Strict>::new(text.as_bytes());
    reader.value(0).unwrap();
    assert!(reader.has_line_breaks());

    let spelled = respell(text);
    assert_eq!(spelled, "{\"a\":\"x\\u0085y\\u2028z\\u2029 \u{2027}é\",\"n\":1.50}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(text).unwrap(),
        serde_json::from_str::<serde_json::Value>(&spelled).unwrap()
    );
}

/// Text that is JSON, or nearly so.
fn nearly_json() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud800\"",
        "\"é\u{2028}\"",
        "1",
        "-0",
        "1.5",
        "1e5",
        "1e999",
        "01",
        "true",
        "null",
        "NaN",
        " ",
        "\t",
        "\r",
        "\n",
        "\"",
        "\\",
        "{\"a\":1}",
        "[1,2]",
        "{\"a\":{\"b\":[]}}",
        "\u{feff}",
        "/",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,4}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What is accepted strictly is JSON for `serde_json`, too.
    #[test]
    fn nothing_is_accepted_that_is_not_json(text in nearly_json()) {
        if strict(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        } else if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            // What is refused although it is JSON is refused for a reason of ours.
            let fault = strict(text.as_bytes()).unwrap_err();
            prop_assert!(
                matches!(fault, Fault::CarriageReturn | Fault::Repeated | Fault::Infinite | Fault::Depth),
                "{text}: {fault:?} {value}"
            );
        }
    }

    #[test]
    fn every_value_that_is_written_is_read(value in any_json()) {
        prop_assert_eq!(strict(value.to_string().as_bytes()), Ok(()));
        prop_assert_eq!(strict(serde_json::to_string_pretty(&value).unwrap().as_bytes()), Ok(()));
        prop_assert_eq!(lenient(value.to_string().as_bytes()), Ok(()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = strict(&bytes);
        let _ = lenient(&bytes);
    }

    #[test]
    fn strict_is_a_part_of_lenient(text in nearly_json()) {
        if strict(text.as_bytes()).is_ok() {
            prop_assert!(lenient(text.as_bytes()).is_ok());
        }
    }
}
