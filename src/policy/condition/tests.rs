//! What conditions say about calls, what they refuse to say, and when they give up.

use super::*;
use crate::gate::verdict::{Calls, Facts};
use crate::policy::Who;

fn on(source: &str, arguments: &str) -> Result<bool, Failure> {
    let mut calls = Calls::default();
    for tool in ["read", "read", "write"] {
        calls.add(&tool.into());
    }
    let who = Who { agent: "desk".into(), intent: "audit".into(), ..Who::default() };
    let facts = Facts {
        tool: "read_file",
        arguments,
        annotations: Some(r#"{"readOnlyHint":true}"#),
        calls: &calls,
    };
    let condition = on_a_deep_stack(|| Condition::compile(source))
        .unwrap()
        .unwrap_or_else(|faults| panic!("{source}: {faults:?}"));
    condition.holds(&Scene::new(&who, &facts))
}

fn faults(source: &str) -> Vec<(usize, usize, String)> {
    on_a_deep_stack(|| Condition::compile(source).unwrap_err())
        .unwrap()
        .into_iter()
        .map(|fault| (fault.line, fault.column, fault.message))
        .collect()
}

#[test]
fn conditions_see_the_call_and_who_makes_it() {
    for source in [
        r#"args.path.startsWith("/srv/")"#,
        r#"args["path"].endsWith(".txt") && args.path.contains("public")"#,
        r#"args.path.matches("^/srv/[a-z/.]+$") && "x".matches("X") == false"#,
        r#"args.path.lowerAscii() == "/srv/public/a.txt""#,
        "has(args.limit) && args.limit > 100 && args.limit < 100.5 + 1.0",
        "!has(args.nothing) && !has(args.nested.nothing) && has(args.nested.deep)",
        r#"args.nested.deep[1] == "b" && size(args.nested.deep) == 2"#,
        r#"args.nested.deep.all(x, x in ["a", "b"]) && args.nested.deep.exists(x, x == "a")"#,
        r#"args.nested.deep.map(x, x + x) == ["aa", "bb"]"#,
        r#"args.nested.deep.filter(x, x > "a") == ["b"] && size(args) == 3"#,
        r#""path" in args && args.all(k, k.size() > 3) && args == args"#,
        r#"tool == "read_file" && agent == "desk" && user == "" && intent == "audit""#,
        "annotations.readOnlyHint && !has(annotations.destructiveHint)",
        r#"session.count("read") == 2 && count("write") == 1 && session.count(tool) == 0"#,
        r#"session.calls == ["read", "read", "write"]"#,
        r#"type(args.limit) == int && string(args.limit) == "101" && int("7") == 7"#,
        "args.limit == 101.0 && 101u == args.limit",
        r#"(args.limit > 5 ? "big" : "small") == "big""#,
    ] {
        let arguments = r#"{"path":"/srv/public/a.txt","limit":101,
            "nested":{"deep":["a","\u0062"]}}"#;
        assert_eq!(on(source, arguments), Ok(true), "{source}");
    }
}

#[test]
fn what_cannot_be_evaluated_fails_and_says_nothing_of_the_call() {
    for (source, arguments, failure) in [
        ("args.path == 1", "{}", "there is no member `path`"),
        ("args[args.key] == 1", r#"{"key":"SECRET"}"#, "there is no member"),
        (
            r#"args.path.startsWith("/")"#,
            r#"{"path":["SECRET"]}"#,
            "`startsWith` has no meaning for list and string",
        ),
        ("args.limit > 100", r#"{"limit":"SECRET"}"#, "`>` has no meaning for string and int"),
        ("args.limit", r#"{"limit":5}"#, "it gives neither true nor false"),
        ("1 / args.n == 1", r#"{"n":0}"#, "it divides by zero"),
        ("int(args.s) == 1", r#"{"s":"SECRET"}"#, "`int` cannot be applied to this value"),
        ("args.n + 1 > 0", r#"{"n":9223372036854775807}"#, "a number overflows"),
        ("args.l[3] == 1", r#"{"l":["SECRET"]}"#, "an index is out of bounds"),
        ("has(args.a.b)", r#"{"a":"SECRET"}"#, "`.` has no meaning for string and string"),
        (r#"args.x.matches("a")"#, r#"{"x":7}"#, "`matches` cannot be applied to this value"),
        ("args.a", "not json", "it reads a value that is ambiguous or out of range"),
    ] {
        let failed = on(source, arguments).unwrap_err().to_string();
        assert_eq!(failed, failure, "{source}");
    }
}

#[test]
fn numbers_beyond_64_bits_change_no_verdict_in_silence() {
    let big = r#"{"n":18446744073709551616,"m":{"deep":[1e400]},"k":1}"#;
    for source in [
        "args.n > 100",
        "args.n != 5",
        "args.n == 18446744073709551615u",
        "!(args.n in [1, 2])",
        "has(args.n)",
        "has(args.m.deep)",
        "size(args) == 3",
    ] {
        assert_eq!(on(source, big), Err(Failure::Unreadable), "{source}");
    }
    assert_eq!(on("args.k == 1", big), Ok(true));
    let edge = r#"{"u":18446744073709551615,"i":-9223372036854775808,"p":9007199254740993}"#;
    assert_eq!(on("args.u == 18446744073709551615u", edge), Ok(true));
    assert_eq!(on("args.u > 9223372036854775807 && args.i < 0", edge), Ok(true));
    assert_eq!(on("args.p != 9007199254740992", edge), Ok(true));
}

/// An error beside `&&` and `||` is absorbed only where no value would change the result.
#[test]
fn logic_has_three_values_on_both_sides() {
    let failed = Err(Failure::Missing(Some("x".to_owned())));
    for (source, expected) in [
        ("args.x == 1 || true", Ok(true)),
        ("true || args.x == 1", Ok(true)),
        ("args.x == 1 && false", Ok(false)),
        ("false && args.x == 1", Ok(false)),
        ("args.x == 1 || false", failed.clone()),
        ("false || args.x == 1", failed.clone()),
        ("args.x == 1 && true", failed.clone()),
        ("true && args.x == 1", failed.clone()),
        ("!(args.x == 1)", failed.clone()),
        ("args.x == 1 ? true : true", failed.clone()),
        ("args.l.all(i, i > 0 && args.x == i)", failed.clone()),
        ("args.l.all(i, i == 1 && args.x == i)", Ok(false)),
        ("args.l.exists(i, args.x == i)", failed.clone()),
        ("args.l.exists(i, i == 2 || args.x == i)", Ok(true)),
    ] {
        assert_eq!(on(source, r#"{"l":[1,2]}"#), expected, "{source}");
    }
}

/// The interpreter asks for `args.a` as one name before it asks for `args`.
#[test]
fn a_dotted_member_stands_in_for_no_other() {
    let evil = r#"{"a.b":"good","args.a":{"b":"good"},"a":{"b":"evil"}}"#;
    assert_eq!(on(r#"args.a.b == "evil""#, evil), Ok(true));
    assert_eq!(on("has(args.c.d)", r#"{"c.d":1,"c":{}}"#), Ok(false));
}

#[test]
fn hostile_arguments_cannot_make_a_condition_run_for_long() {
    let list = |count: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(count));
    let nested = "args.a.all(x, args.a.all(y, args.a.all(z, x + y + z == 0)))";
    assert_eq!(on(nested, &list(10)), Ok(true));
    assert_eq!(on(nested, &list(10_000)), Err(Failure::TooLong));
    // Nothing outweighs giving up, not even a result that stood before.
    assert_eq!(on(&format!("{nested} || true"), &list(10_000)), Err(Failure::TooLong));
    let linear = "args.a.all(x, x == 0) && args.a.exists(x, x == 0) && 0 in args.a";
    assert_eq!(on(linear, &list(10_000)), Ok(true));
    let text = format!(r#"{{"a":[{}""],"s":"\n{}"}}"#, r#""","#.repeat(1_000), "x".repeat(500_000));
    for source in [
        "size(args.a.map(x, args.s + x)) > 0",
        "size(args.a.map(x, [args.s])) > 0",
        "args.a.all(x, !args.s.contains(x + \"y\"))",
        "args.a.all(x, args.s == args.s)",
        r#"args.a.all(x, !args.s.matches("(y|z)+q"))"#,
        "args.a.all(x, !(x in [args.s]))",
        "args.a.all(x, size(args.s) > 1)",
    ] {
        assert_eq!(on(source, &text), Err(Failure::TooLong), "{source}");
    }
    assert_eq!(on(r#"!args.s.matches("y+") && !args.s.contains("y")"#, &text), Ok(true));
}

#[test]
fn mistakes_are_found_when_a_policy_is_loaded() {
    for (source, line, column, part) in [
        ("args.path ==", 1, 13, ""),
        ("args.a &&\n  arg.b", 2, 3, "no variable `arg`"),
        (r#"args.a.startWith("x")"#, 1, 8, "no function `startWith`"),
        (r#"lower(args.a) == "x""#, 1, 1, "no function `lower`"),
        (r#"args.a.matches("(")"#, 1, 16, "not a regular expression: unclosed group"),
        ("args.a.matches(args.b)", 1, 15, "must be a string in quotes"),
        ("session.count == 1", 1, 1, "`session` has"),
        ("args.a.all(args, args == 1)", 1, 11, "`args` is taken"),
        ("optional.of(1) == 1", 1, 1, "no variable `optional`"),
        ("Foo{a: 1} == 1", 1, 4, "no messages"),
        (r#"args.a.replace("a", args.b) == """#, 1, 8, "no function `replace`"),
        ("", 1, 1, ""),
    ] {
        let found = faults(source);
        assert!(
            found.iter().any(|(l, c, m)| (*l, *c) == (line, column) && m.contains(part)),
            "{source}: {found:?}"
        );
    }
    assert!(faults(&format!("{}1 == 1", " ".repeat(LONGEST)))[0].2.contains("longer"));
}

#[test]
fn deep_and_long_expressions_are_refused() {
    let chain = format!("0{} == 0", " + 1".repeat(1000));
    assert!(faults(&chain)[0].2.contains("nests deeper"), "{:?}", faults(&chain));
    let parens = format!("{}1{} == 1", "(".repeat(500), ")".repeat(500));
    assert!(!faults(&parens).is_empty());
    let wide = vec!["args.a == 1"; 200].join(" || ");
    assert_eq!(on(&wide, r#"{"a":1}"#), Ok(true));
    let deepest = format!("{}args.a{} == 1", "int(".repeat(13), ")".repeat(13));
    assert_eq!(on(&deepest, r#"{"a":1}"#), Ok(true));
}
