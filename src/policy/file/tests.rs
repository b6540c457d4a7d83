//! What reading a policy file refuses, and where it says the problem is.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "[policy]\nid = 'p'\nversion = 1\ndefault = 'block'\n";

fn problems(text: &str) -> Vec<String> {
    match parse("p.toml", text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    }
}

#[test]
fn the_example_of_the_design_is_a_policy() {
    let text = r#"
[policy]
id = "filesystem-baseline"
version = 3
default = "block"                       # required: allow | block | step_up

[[rule]]
id = "public-reads"
tools = ["read_*", "list_directory"]
when = 'args.path.startsWith("/srv/public/")'
effect = "allow"
reason = "public documents may be read"
controls = ["HIPAA 164.312(a)(1)"]

[[rule]]
id = "cap-page-size"
tools = ["query"]
when = 'has(args.limit) && args.limit > 100'
effect = "modify"
set = { "/limit" = "100" }

[[rule]]
id = "later"
effect = "defer"
retry_after_seconds = 60

[[rule]]
id = "ask"
effect = "step_up"
self_approval = false

[[case]]
name = "a private file stays private"
tool = "read_file"
arguments = { path = "/etc/shadow", n = [1, 2.5, true, { a = "b" }] }
expect = "block"
calls = ["a"]
"#;
    let policy = parse("p.toml", text).unwrap();
    assert_eq!(policy.reference.id, "filesystem-baseline");
    assert_eq!(policy.reference.version, "3");
    let digest = hex::encode(Sha256::digest(text));
    assert_eq!(policy.reference.sha256.as_deref(), Some(digest.as_str()));
    assert_eq!(policy.default, Fallback::Block);
    assert_eq!(policy.rules.len(), 4);
    assert_eq!(policy.rules[0].line, 7);
    assert!(
        matches!(policy.rules[2].action, Action::Defer { retry_after: Some(t) } if t.as_secs() == 60)
    );
    assert!(matches!(policy.rules[3].action, Action::StepUp { self_approval: Some(false) }));
    let case = &policy.cases[0];
    assert_eq!(case.arguments, r#"{"n":[1,2.5,true,{"a":"b"}],"path":"/etc/shadow"}"#);
    assert_eq!((case.who.environment.as_str(), case.who.agent.as_str()), ("dev", ""));
}

#[test]
fn each_mistake_is_refused_where_it_stands() {
    let rule = |text: &str| format!("{HEAD}[[rule]]\nid = 'r'\n{text}");
    let case = |text: &str| format!("{HEAD}[[case]]\nname = 'c'\ntool = 't'\n{text}");
    for (text, expected) in [
        (String::new(), "1:1: `[policy]` is missing"),
        ("[policy]\nid='p'\nversion=1".to_owned(), "1:1: `default` is missing: [policy] needs it"),
        (HEAD.replace("'block'", "'defer'"), "4:11: `default` is one of allow, block, step_up"),
        (HEAD.replace('1', "1.5"), "3:11: `version` is an integer or a string"),
        (HEAD.replace("'p'", "' '"), "2:6: `id` is empty"),
        (
            format!("{HEAD}x = 1"),
            "5:1: unknown key `x`; [policy] has id, version, default, description",
        ),
        (format!("{HEAD}[rule]\nid = 'r'"), "5:1: write `[[rule]]`, with two brackets"),
        (
            format!("{HEAD}[[rules]]"),
            "5:3: unknown key `rules`; a policy file has policy, rule, case",
        ),
        (format!("{HEAD}[[rule]]\neffect = 'allow'"), "5:1: `id` is missing: a rule needs it"),
        (rule(""), "5:1: `effect` is missing: a rule needs it"),
        (rule("effect = 'log'"), "7:10: `effect` is one of allow, modify, step_up, defer, block"),
        (rule("effect = 'allow'\ntool = 'x'"), "8:1: unknown key `tool`; a rule has id, tools, "),
        (rule("effect = 'allow'\ntools = 'x'"), "8:9: `tools` is a list of strings"),
        (rule("effect = 'allow'\ntools = []"), "8:9: `tools` matches nothing"),
        (rule("effect = 'allow'\ntools = ['a', '[b]']"), "8:15: `[` has no meaning in a glob"),
        (
            rule("effect = 'allow'\nset = { '/a' = '1' }"),
            "8:7: `set` goes with `effect = \"modify\"` only",
        ),
        (rule("effect = 'modify'"), "7:10: `effect = \"modify\"` needs `set"),
        (rule("effect = 'modify'\nset = {}"), "8:7: `set` sets nothing"),
        (rule("effect = 'modify'\nset = { 'a' = '1' }"), "8:9: not a JSON pointer"),
        (rule("effect = 'modify'\nset = { '/a' = 1 }"), "8:7: `set` is a table of strings"),
        (rule("effect = 'modify'\nset = { '/a' = 'argh' }"), "8:17: no variable `argh`"),
        (
            rule("effect = 'block'\nretry_after_seconds = 5"),
            "8:23: `retry_after_seconds` goes with `effect = \"defer\"`",
        ),
        (
            rule("effect = 'defer'\nretry_after_seconds = -5"),
            "8:23: `retry_after_seconds` is a whole number",
        ),
        (
            rule("effect = 'block'\nself_approval = true"),
            "8:17: `self_approval` goes with `effect = \"step_up\"`",
        ),
        (rule("effect = 'block'\nwhen = 'args.x =='"), "8:18: "),
        (
            rule("effect = 'block'\nwhen = '''\nargs.a == 1\n  && arg.b'''"),
            "10:6: no variable `arg`",
        ),
        (rule("effect = 'block'\nwhen = \"\\u0061rgs.a && foo(1)\""), "8:8: no function `foo`"),
        (
            rule("effect = 'block'\n[[rule]]\nid = 'r'\neffect = 'block'"),
            "9:6: the rule id `r` was used on line 6; change one",
        ),
        (case("expect = 'deny'"), "8:10: `expect` is one of"),
        (case("expect = 'block'\nrule = 'nowhere'"), "6:8: no rule has the id `nowhere`"),
        (case("expect = 'block'\narguments = '[1]'"), "9:13: `arguments` is a table"),
        (case("expect = 'block'\narguments = { a = 2026-01-01 }"), "9:13: `arguments` is a table"),
        (case("expect = 'block'\nexpect_arguments = {}"), "9:20: `expect_arguments` goes with"),
        (
            format!("{}[[case]]\nname='c'\ntool='t'\nexpect='block'", case("expect = 'block'\n")),
            "10:6: the case name `c` was used on line 6",
        ),
        (format!("{HEAD}[[rule]\nid = 1"), "5:"),
        (format!("{HEAD}id = 'q'"), "5:1: duplicate key"),
    ] {
        let found = problems(&text);
        let expected = format!("p.toml:{expected}");
        assert!(
            found.iter().any(|problem| problem.starts_with(&expected)),
            "{text}\nwanted {expected}\nfound {found:#?}"
        );
    }
}

#[test]
fn all_problems_of_a_file_are_reported_at_once_and_in_order() {
    let text = "[policy]\nid = ''\nversion = 1\ndefault = 'x'\n[[rule]]\nid = 'a'\neffect = 'y'\n\
                when = 'foo && bar'\ntools = ['{']\n[[case]]\nname = 'c'\n";
    let found = problems(text);
    let places: Vec<_> = found.iter().map(|p| p.split(':').nth(1).unwrap()).collect();
    assert_eq!(places, ["2", "4", "7", "8", "8", "9", "10", "10"], "{found:#?}");
}

/// Texts that are nearly policies: pieces of one, in any order and cut anywhere.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[policy]\n",
        "id = 'p'\n",
        "version = 1\n",
        "default = 'block'\n",
        "[[rule]]\n",
        "[[case]]\n",
        "effect = 'modify'\n",
        "set = { '/a' = 'args.b' }\n",
        "when = 'args.a.all(x, x > 1)'\n",
        "tools = ['*']\n",
        "name = 'c'\n",
        "tool = 't'\n",
        "expect = 'allow'\n",
        "arguments = { a = 1 }\n",
        "when = '''\n",
        "\"\u{0}é",
        "[",
        "}",
        "(((((((",
        "= [[[[[[",
    ]);
    (prop::collection::vec(piece, 0..14), any::<prop::sample::Index>()).prop_map(|(pieces, cut)| {
        let text = pieces.concat();
        text.chars().take(cut.index(text.chars().count() + 20)).collect()
    })
}

proptest! {
    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = parse("p", &text);
    }

    #[test]
    fn reading_something_like_a_policy_never_panics(text in nearly()) {
        if let Err(problems) = parse("p", &text) {
            prop_assert!(!problems.list.is_empty());
            prop_assert!(problems.list.iter().all(|problem| !problem.message.contains("broke")));
        }
    }

    #[test]
    fn reading_any_condition_never_panics(source in "[ -~]{0,60}") {
        let json = serde_json::Value::from(source.as_str()).to_string();
        let text = format!("{HEAD}[[rule]]\nid='r'\neffect='block'\nwhen = {json}");
        if let Err(problems) = parse("p", &text) {
            prop_assert!(problems.list.iter().all(|problem| !problem.message.contains("parser broke")));
        }
    }
}
