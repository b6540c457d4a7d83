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
        problems.at(0, format!("the file is longer than {LONGEST} bytes; split it"));
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
    let rules: Vec<_> = rule_tables.iter().filter_map(|table| rule(table, problems)).collect();
    let cases: Vec<_> = cases.iter().filter_map(|table| case(table, problems)).collect();
    unique(rules.iter().map(|(rule, span)| (rule.id.as_str(), span)), "rule id", problems);
    unique(cases.iter().map(|(case, span)| (case.name.as_str(), span)), "case name", problems);
    let all_read = rules.len() == rule_tables.len();
    let rules: Vec<_> = rules.into_iter().map(|(rule, _)| rule).collect();
    for (case, span) in &cases {
        if let Some(id) = &case.rule
            && all_read
            && !rules.iter().any(|rule| rule.id == *id)
        {
            problems.over(span, format!("no rule has the id `{id}` that this case names"));
        }
    }
    let (id, version, default, description) = head??;
    Some(Policy {
        name: name.to_owned(),
        reference: PolicyRef { id, version, sha256: Some(hex::encode(Sha256::digest(text))) },
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
            problems
                .over(span, format!("the {kind} `{name}` was used on line {first}; change one"));
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
    let description = fields.string("description").map(|(text, _)| text.to_owned());
    let words =
        [("allow", Fallback::Allow), ("block", Fallback::Block), ("step_up", Fallback::StepUp)];
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
    let when = fields.string("when");
    let when = when.map(|(source, span)| condition(source, &span, &mut fields));
    let reason = fields.string("reason").map(|(text, _)| text.to_owned());
    let controls = fields.strings("controls").unwrap_or_default();
    let controls = controls.into_iter().map(|(text, _)| text.to_owned()).collect();
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
            fields.problem_at(key, format!("`{key}` goes with `effect = \"{needed}\"` only"));
        }
    }
    let retry_after = fields.integer("retry_after_seconds").map(Duration::from_secs);
    let self_approval = fields.bool("self_approval");
    let sets = if fields.has("set") { sets(fields) } else { None };
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
mod tests;
