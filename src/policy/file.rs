//! A policy file's text (TOML) → [`Policy`]: parsed as a whole, or refused with all its problems.
//!
//! This file knows the keys and what they may say; [`super::fields`] knows how to ask a table for
//! them. The format is described for its users in `docs/policy.md`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Who;
use super::condition::{self, Condition};
use super::fields::Fields;
use super::glob::Glob;
use super::pointer::Pointer;
use super::problem::{Collector, Problems};
use super::rule::{Action, Case, Fallback, Names, Policy, Rule, Set, Word};
use crate::gate::verdict::PolicyRef;

/// The longest file, in bytes.
const LONGEST: usize = 1 << 20;

const POLICY_KEYS: &[&str] = &["id", "version", "default", "description"];
const RULE_KEYS: &[&str] = &[
    "id",
    "tools",
    "agents",
    "servers",
    "intents",
    "environments",
    "when",
    "effect",
    "reason",
    "controls",
    "set",
    "retry_after_seconds",
    "self_approval",
];
const CASE_KEYS: &[&str] = &[
    "name",
    "tool",
    "arguments",
    "agent",
    "server",
    "user",
    "intent",
    "environment",
    "annotations",
    "calls",
    "expect",
    "rule",
    "expect_arguments",
];

type Table<'t> = Spanned<DeValue<'t>>;

/// Reads a policy file.
pub(super) fn parse(name: &str, text: &str) -> Result<Policy, Problems> {
    condition::on_a_deep_stack(|| {
        let mut problems = Collector::new(text);
        let policy = file(name, &mut problems);
        problems.finish(name, policy)
    })
    .unwrap_or_else(|| {
        let mut problems = Collector::new(text);
        problems.at(0, "this file cannot be read: the parser broke");
        problems.finish(name, None)
    })
}

fn file(name: &str, problems: &mut Collector<'_>) -> Option<Policy> {
    let text = problems.text();
    if text.len() > LONGEST {
        problems.at(
            0,
            format!("the file is longer than {LONGEST} bytes; split it"),
        );
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        problems.at(error.span().map_or(0, |span| span.start), error.message());
    }
    if !errors.is_empty() {
        // What a broken text still yields says nothing about what was meant.
        return None;
    }
    let span = root.span();
    let mut root = Fields::new("a policy file", root.get_ref(), span, problems);
    root.only(&["policy", "rule", "case"]);
    let head = root.table("policy");
    let (rule_tables, cases) = (root.tables("rule"), root.tables("case"));
    let head = head.map(|table| policy_head(table, problems));
    let rules: Vec<_> = rule_tables
        .iter()
        .filter_map(|table| rule(table, problems))
        .collect();
    let cases: Vec<_> = cases
        .iter()
        .filter_map(|table| case(table, problems))
        .collect();
    unique(
        rules.iter().map(|(rule, span)| (rule.id.as_str(), span)),
        "rule id",
        problems,
    );
    unique(
        cases.iter().map(|(case, span)| (case.name.as_str(), span)),
        "case name",
        problems,
    );
    let all_read = rules.len() == rule_tables.len();
    let rules: Vec<_> = rules.into_iter().map(|(rule, _)| rule).collect();
    for (case, span) in &cases {
        if let Some(id) = &case.rule
            && all_read
            && !rules.iter().any(|rule| rule.id == *id)
        {
            problems.over(
                span,
                format!("no rule has the id `{id}` that this case names"),
            );
        }
    }
    let (id, version, default, description) = head??;
    Some(Policy {
        name: name.to_owned(),
        reference: PolicyRef {
            id,
            version,
            sha256: Some(hex::encode(Sha256::digest(text))),
        },
        description,
        default,
        rules,
        cases: cases.into_iter().map(|(case, _)| case).collect(),
    })
}

fn unique<'n>(
    names: impl Iterator<Item = (&'n str, &'n Range<usize>)>,
    kind: &str,
    problems: &mut Collector<'_>,
) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, span) in names {
        let (line, _) = super::problem::place(problems.text(), span.start);
        if let Some(first) = seen.get(name) {
            problems.over(
                span,
                format!("the {kind} `{name}` was used on line {first}; change one"),
            );
        } else {
            seen.insert(name, line);
        }
    }
}

fn policy_head(
    table: &Table<'_>,
    problems: &mut Collector<'_>,
) -> Option<(String, String, Fallback, Option<String>)> {
    let mut fields = Fields::of("[policy]", table, problems)?;
    fields.only(POLICY_KEYS);
    let id = fields.required_name("id");
    let version = fields.version("version");
    let description = fields
        .string("description")
        .map(|(text, _)| text.to_owned());
    let words = [
        ("allow", Fallback::Allow),
        ("block", Fallback::Block),
        ("step_up", Fallback::StepUp),
    ];
    let default = fields.required_word("default", &words);
    Some((id?, version?, default?, description))
}

fn rule(table: &Table<'_>, problems: &mut Collector<'_>) -> Option<(Rule, Range<usize>)> {
    let mut fields = Fields::of("a rule", table, problems)?;
    fields.only(RULE_KEYS);
    let id = fields.required_name("id");
    let span = fields.span_of("id");
    let tools = names(&mut fields, "tools");
    let agents = names(&mut fields, "agents");
    let servers = names(&mut fields, "servers");
    let intents = names(&mut fields, "intents");
    let environments = names(&mut fields, "environments");
    let when = match fields.string("when") {
        Some((source, span)) => Some(condition(source, &span, &mut fields)),
        None => None,
    };
    let reason = fields.string("reason").map(|(text, _)| text.to_owned());
    let controls = fields.strings("controls").unwrap_or_default();
    let controls = controls
        .into_iter()
        .map(|(text, _)| text.to_owned())
        .collect();
    let action = action(&mut fields);
    let line = fields.line();
    let rule = Rule {
        id: id?,
        line,
        tools: tools?,
        agents: agents?,
        servers: servers?,
        intents: intents?,
        environments: environments?,
        // `None` inside means a condition that could not be compiled, never "no condition".
        when: when.map_or(Some(None), |when| when.map(Some))?,
        action: action?,
        reason,
        controls,
    };
    Some((rule, span))
}

/// The globs of a key; `None` where there was a problem.
fn names(fields: &mut Fields<'_, '_, '_>, key: &'static str) -> Option<Names> {
    if !fields.has(key) {
        return Some(Names::Any);
    }
    let texts = fields.strings(key)?;
    if texts.is_empty() {
        let message = format!("`{key}` matches nothing; leave it out to match everything");
        fields.problem_at(key, message);
        return None;
    }
    let mut globs = Vec::with_capacity(texts.len());
    for (text, span) in &texts {
        match Glob::parse(text) {
            Ok(glob) => globs.push(glob),
            Err(bad) => fields.problem(span, bad.to_string()),
        }
    }
    (globs.len() == texts.len()).then_some(Names::OneOf(globs))
}

fn condition(
    source: &str,
    span: &Range<usize>,
    fields: &mut Fields<'_, '_, '_>,
) -> Option<Condition> {
    match Condition::compile(source) {
        Ok(condition) => Some(condition),
        Err(faults) => {
            for fault in faults {
                fields.problem_within(span, source, (fault.line, fault.column), &fault.message);
            }
            None
        }
    }
}

fn action(fields: &mut Fields<'_, '_, '_>) -> Option<Action> {
    let words = Word::ALL.map(|word| (word.as_str(), word));
    let word = fields.required_word("effect", &words);
    for (key, needed) in [
        ("set", Word::Modify),
        ("retry_after_seconds", Word::Defer),
        ("self_approval", Word::StepUp),
    ] {
        if word.is_some_and(|word| word != needed) && fields.has(key) {
            let needed = needed.as_str();
            fields.problem_at(
                key,
                format!("`{key}` goes with `effect = \"{needed}\"` only"),
            );
        }
    }
    let retry_after = fields
        .integer("retry_after_seconds")
        .map(Duration::from_secs);
    let self_approval = fields.bool("self_approval");
    let sets = if fields.has("set") {
        sets(fields)
    } else {
        None
    };
    Some(match word? {
        Word::Allow => Action::Allow,
        Word::Block => Action::Block,
        Word::Defer => Action::Defer { retry_after },
        Word::StepUp => Action::StepUp { self_approval },
        Word::Modify if fields.has("set") => Action::Modify(sets?),
        Word::Modify => {
            let message = "`effect = \"modify\"` needs `set = { \"/pointer\" = \"CEL\" }`";
            fields.problem_at("effect", message.to_owned());
            return None;
        }
    })
}

fn sets(fields: &mut Fields<'_, '_, '_>) -> Option<Vec<Set>> {
    let entries = fields.string_entries("set")?;
    if entries.is_empty() {
        fields.problem_at("set", "`set` sets nothing; give it a pointer".to_owned());
        return None;
    }
    let count = entries.len();
    let mut sets = Vec::with_capacity(count);
    for ((key, key_span), (source, span)) in entries {
        let pointer = Pointer::parse(key);
        if let Err(bad) = &pointer {
            fields.problem(&key_span, bad.to_string());
        }
        let value = condition(source, &span, fields);
        if let (Ok(pointer), Some(value)) = (pointer, value) {
            sets.push(Set { pointer, value });
        }
    }
    (sets.len() == count).then_some(sets)
}

fn case(table: &Table<'_>, problems: &mut Collector<'_>) -> Option<(Case, Range<usize>)> {
    let mut fields = Fields::of("a case", table, problems)?;
    fields.only(CASE_KEYS);
    let name = fields.required_name("name");
    let span = fields.span_of("name");
    let tool = fields.required_name("tool");
    let mut text = |key| fields.string(key).map(|(text, _)| text.to_owned());
    let (agent, server, user) = (text("agent"), text("server"), text("user"));
    let (intent, environment, rule) = (text("intent"), text("environment"), text("rule"));
    let words = Word::ALL.map(|word| (word.as_str(), word));
    let expect = fields.required_word("expect", &words);
    let arguments = fields.json_object("arguments");
    let annotations = fields.json_object("annotations");
    let expect_arguments = fields.json_object("expect_arguments");
    let calls = fields.strings("calls").unwrap_or_default();
    if expect.is_some_and(|word| word != Word::Modify) && fields.has("expect_arguments") {
        let message = "`expect_arguments` goes with `expect = \"modify\"` only";
        fields.problem_at("expect_arguments", message.to_owned());
    }
    let case = Case {
        name: name?,
        line: fields.line(),
        who: Who {
            agent: agent.unwrap_or_default(),
            server: server.unwrap_or_default(),
            user: user.unwrap_or_default(),
            intent: intent.unwrap_or_default(),
            environment: environment.unwrap_or_else(|| "dev".to_owned()),
        },
        tool: tool?,
        arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
        annotations,
        calls: calls.into_iter().map(|(text, _)| text.to_owned()).collect(),
        expect: expect?,
        rule,
        expect_arguments,
    };
    Some((case, span))
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(
            policy.rules[3].action,
            Action::StepUp {
                self_approval: Some(false)
            }
        ));
        let case = &policy.cases[0];
        assert_eq!(
            case.arguments,
            r#"{"n":[1,2.5,true,{"a":"b"}],"path":"/etc/shadow"}"#
        );
        assert_eq!(
            (case.who.environment.as_str(), case.who.agent.as_str()),
            ("dev", "")
        );
    }

    #[test]
    fn each_mistake_is_refused_where_it_stands() {
        let rule = |text: &str| format!("{HEAD}[[rule]]\nid = 'r'\n{text}");
        let case = |text: &str| format!("{HEAD}[[case]]\nname = 'c'\ntool = 't'\n{text}");
        for (text, expected) in [
            (String::new(), "1:1: `[policy]` is missing"),
            (
                "[policy]\nid='p'\nversion=1".to_owned(),
                "1:1: `default` is missing: [policy] needs it",
            ),
            (
                HEAD.replace("'block'", "'defer'"),
                "4:11: `default` is one of allow, block, step_up",
            ),
            (
                HEAD.replace('1', "1.5"),
                "3:11: `version` is an integer or a string",
            ),
            (HEAD.replace("'p'", "' '"), "2:6: `id` is empty"),
            (
                format!("{HEAD}x = 1"),
                "5:1: unknown key `x`; [policy] has id, version, default, description",
            ),
            (
                format!("{HEAD}[rule]\nid = 'r'"),
                "5:1: write `[[rule]]`, with two brackets",
            ),
            (
                format!("{HEAD}[[rules]]"),
                "5:3: unknown key `rules`; a policy file has policy, rule, case",
            ),
            (
                format!("{HEAD}[[rule]]\neffect = 'allow'"),
                "5:1: `id` is missing: a rule needs it",
            ),
            (rule(""), "5:1: `effect` is missing: a rule needs it"),
            (
                rule("effect = 'log'"),
                "7:10: `effect` is one of allow, modify, step_up, defer, block",
            ),
            (
                rule("effect = 'allow'\ntool = 'x'"),
                "8:1: unknown key `tool`; a rule has id, tools, ",
            ),
            (
                rule("effect = 'allow'\ntools = 'x'"),
                "8:9: `tools` is a list of strings",
            ),
            (
                rule("effect = 'allow'\ntools = []"),
                "8:9: `tools` matches nothing",
            ),
            (
                rule("effect = 'allow'\ntools = ['a', '[b]']"),
                "8:15: `[` has no meaning in a glob",
            ),
            (
                rule("effect = 'allow'\nset = { '/a' = '1' }"),
                "8:7: `set` goes with `effect = \"modify\"` only",
            ),
            (
                rule("effect = 'modify'"),
                "7:10: `effect = \"modify\"` needs `set",
            ),
            (
                rule("effect = 'modify'\nset = {}"),
                "8:7: `set` sets nothing",
            ),
            (
                rule("effect = 'modify'\nset = { 'a' = '1' }"),
                "8:9: not a JSON pointer",
            ),
            (
                rule("effect = 'modify'\nset = { '/a' = 1 }"),
                "8:7: `set` is a table of strings",
            ),
            (
                rule("effect = 'modify'\nset = { '/a' = 'argh' }"),
                "8:17: no variable `argh`",
            ),
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
            (
                rule("effect = 'block'\nwhen = \"\\u0061rgs.a && foo(1)\""),
                "8:8: no function `foo`",
            ),
            (
                rule("effect = 'block'\n[[rule]]\nid = 'r'\neffect = 'block'"),
                "9:6: the rule id `r` was used on line 6; change one",
            ),
            (case("expect = 'deny'"), "8:10: `expect` is one of"),
            (
                case("expect = 'block'\nrule = 'nowhere'"),
                "6:8: no rule has the id `nowhere`",
            ),
            (
                case("expect = 'block'\narguments = '[1]'"),
                "9:13: `arguments` is a table",
            ),
            (
                case("expect = 'block'\narguments = { a = 2026-01-01 }"),
                "9:13: `arguments` is a table",
            ),
            (
                case("expect = 'block'\nexpect_arguments = {}"),
                "9:20: `expect_arguments` goes with",
            ),
            (
                format!(
                    "{}[[case]]\nname='c'\ntool='t'\nexpect='block'",
                    case("expect = 'block'\n")
                ),
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
        let places: Vec<_> = found
            .iter()
            .map(|p| p.splitn(4, ':').nth(1).unwrap())
            .collect();
        assert_eq!(
            places,
            ["2", "4", "7", "8", "8", "9", "10", "10"],
            "{found:#?}"
        );
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
        (
            prop::collection::vec(piece, 0..14),
            any::<prop::sample::Index>(),
        )
            .prop_map(|(pieces, cut)| {
                let text = pieces.concat();
                text.chars()
                    .take(cut.index(text.chars().count() + 20))
                    .collect()
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
}
