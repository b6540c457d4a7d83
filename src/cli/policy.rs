//! `thoth policy`: checks policy files, runs their cases, explains decisions.

mod text;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::gate::verdict::{Arguments, Facts};
use crate::policy::case::{Ran, calls};
use crate::policy::rule::Case;
use crate::policy::{Pack, Policy, PolicySet, Problem, Problems, Who};

/// Check policy files, run their cases, explain decisions.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(Check),
    Test(Test),
    Explain(Box<Explain>),
}

/// Check that policy files are valid.
///
/// Prints every problem as `file:line:column: what is wrong and what to do`.
///
/// Example: `thoth policy check rules.toml`
///
/// Exit status: 0 all are valid, 1 some are not.
#[derive(Debug, clap::Args)]
struct Check {
    /// The policy files, or names of packs: baseline, database, filesystem,
    /// hipaa-minimum-necessary, soc2-change-control
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Run the cases of policy files, each against its own file.
///
/// Prints for each case what was decided, and by which rule.
///
/// Example: `thoth policy test rules.toml`
///
/// Exit status: 0 all cases are decided as they expect, 1 some are not, a file is not valid, or a
/// file has no cases.
#[derive(Debug, clap::Args)]
struct Test {
    /// The policy files, or names of packs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Do not mind files without cases
    #[arg(long)]
    allow_no_cases: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Explain what is decided about one call: what every rule says, the verdict, and the arguments
/// where they are modified.
///
/// Example: `thoth policy explain --policy rules.toml --tool read_file --arguments '{"path":"/a"}'`
///
/// Exit status: 0 explained, 1 a file is not valid.
#[derive(Debug, clap::Args)]
struct Explain {
    /// A policy file or the name of a pack; several decide together [default: baseline]
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,
    /// The tool that is called
    #[arg(long)]
    tool: String,
    /// Its arguments: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    arguments: String,
    /// The agent that calls
    #[arg(long, value_name = "ID", default_value = "")]
    agent: String,
    /// The server that is called
    #[arg(long, value_name = "NAME", default_value = "")]
    server: String,
    /// The person
    #[arg(long, value_name = "ID", default_value = "")]
    user: String,
    /// What the session is for
    #[arg(long, default_value = "")]
    intent: String,
    /// dev, staging or prod
    #[arg(long, default_value = "dev")]
    environment: String,
    /// The tool's annotations: a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    annotations: Option<String>,
    /// The tools that were called before, in their order
    #[arg(long, value_name = "TOOL,…", value_delimiter = ',')]
    calls: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A policy could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLoaded {
    /// The file cannot be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file, as it was given.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not a valid policy.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Loads a policy by its file, or by the name of its pack.
///
/// # Errors
///
/// [`NotLoaded`] where there is no such file or pack, or where it is not valid.
pub(crate) fn load(name: &str) -> Result<Policy, NotLoaded> {
    if let Some(pack) = Pack::named(name) {
        return Ok(pack.policy()?);
    }
    let text = std::fs::read_to_string(name)
        .map_err(|source| NotLoaded::Unreadable { path: name.to_owned(), source })?;
    Ok(Policy::parse(name, &text)?)
}

fn object(text: &str) -> Result<String, String> {
    let parsed = Arguments::parse(text).map_err(|_| "not a JSON object".to_owned())?;
    if parsed.as_str().starts_with('{') {
        Ok(parsed.as_str().to_owned())
    } else {
        Err("not a JSON object".to_owned())
    }
}

// === impl Args ===

impl Args {
    /// Runs the subcommand; what it found decides the exit code.
    ///
    /// # Errors
    ///
    /// Where `out` cannot be written.
    pub(crate) fn run(self, out: &mut impl Write) -> io::Result<ExitCode> {
        let good = match self.command {
            Command::Check(check) => check.run(out)?,
            Command::Test(test) => test.run(out)?,
            Command::Explain(explain) => explain.run(out)?,
        };
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

// === impl Check ===

impl Check {
    fn run(self, out: &mut impl Write) -> io::Result<bool> {
        let loaded: Vec<_> = self.files.iter().map(|name| (name, load(name))).collect();
        if self.json {
            let files: Vec<_> = loaded.iter().map(|(name, loaded)| checked(name, loaded)).collect();
            writeln!(out, "{}", Value::from(files))?;
        } else {
            for (name, loaded) in &loaded {
                match loaded {
                    Ok(policy) => text::checked(out, name, policy)?,
                    Err(error) => text::not_loaded(out, error)?,
                }
            }
        }
        Ok(loaded.iter().all(|(_, loaded)| loaded.is_ok()))
    }
}

fn checked(name: &str, loaded: &Result<Policy, NotLoaded>) -> Value {
    match loaded {
        Ok(policy) => json!({
            "file": name,
            "ok": true,
            "policy": reference(policy),
            "rules": policy.rules().len(),
            "cases": policy.cases().len(),
            "problems": [],
        }),
        Err(error) => json!({ "file": name, "ok": false, "problems": problems(error) }),
    }
}

fn reference(policy: &Policy) -> Value {
    let reference = policy.reference();
    json!({ "id": reference.id, "version": reference.version, "sha256": reference.sha256 })
}

fn problems(error: &NotLoaded) -> Value {
    match error {
        NotLoaded::Unreadable { source, .. } => {
            json!([{ "message": format!("cannot be read: {source}") }])
        }
        NotLoaded::Invalid(problems) => problems
            .list
            .iter()
            .map(
                |Problem {
                     line,
                     column,
                     message,
                 }| {
                    json!({ "line": line, "column": column, "message": message })
                },
            )
            .collect(),
    }
}

// === impl Test ===

impl Test {
    fn run(self, out: &mut impl Write) -> io::Result<bool> {
        let mut good = true;
        let mut files = Vec::new();
        for name in &self.files {
            let policy = match load(name) {
                Ok(policy) => policy,
                Err(error) => {
                    good = false;
                    files.push(json!({ "file": name, "problems": problems(&error) }));
                    if !self.json {
                        text::not_loaded(out, &error)?;
                    }
                    continue;
                }
            };
            let none = policy.cases().is_empty();
            let ran = run_cases(policy);
            let failed = ran.iter().filter(|(_, ran)| ran.differs.is_some()).count();
            good &= failed == 0 && (!none || self.allow_no_cases);
            if self.json {
                let cases: Vec<_> = ran.iter().map(|(case, ran)| tested(case, ran)).collect();
                files.push(json!({ "file": name, "failed": failed, "cases": cases }));
            } else {
                text::tested(out, name, &ran)?;
            }
        }
        if self.json {
            writeln!(out, "{}", Value::from(files))?;
        }
        Ok(good)
    }
}

fn run_cases(policy: Policy) -> Vec<(Case, Ran)> {
    let set = PolicySet::new(vec![policy]);
    let policies = set.iter().flat_map(|set| set.policies().iter().map(move |p| (set, p)));
    policies
        .flat_map(|(set, policy)| policy.cases().iter().map(move |case| (set, case)))
        .map(|(set, case)| (case.clone(), case.run(set)))
        .collect()
}

fn tested(case: &Case, ran: &Ran) -> Value {
    json!({
        "name": case.name(),
        "line": case.line(),
        "ok": ran.differs.is_none(),
        "expected": case.expect().as_str(),
        "decision": ran.verdict.effect.word(),
        "rule_ids": ran.verdict.grounds.rule_ids,
        "reason_code": ran.verdict.grounds.reason_code,
        "differs": ran.differs,
    })
}

// === impl Explain ===

impl Explain {
    fn run(mut self, out: &mut impl Write) -> io::Result<bool> {
        if self.policy.is_empty() {
            self.policy.push(crate::policy::pack::BASELINE.name.to_owned());
        }
        let mut policies = Vec::new();
        let mut failed = Vec::new();
        for name in &self.policy {
            match load(name) {
                Ok(policy) => policies.push(policy),
                Err(error) => failed.push((name, error)),
            }
        }
        let set = PolicySet::new(policies);
        let (Some(set), true) = (set, failed.is_empty()) else {
            for (name, error) in &failed {
                if self.json {
                    writeln!(out, "{}", json!({ "file": name, "problems": problems(error) }))?;
                } else {
                    text::not_loaded(out, error)?;
                }
            }
            return Ok(false);
        };
        let bound = set.bind(Who {
            agent: self.agent,
            server: self.server,
            user: self.user,
            intent: self.intent,
            environment: self.environment,
        });
        let explanation = bound.explain(&Facts {
            tool: &self.tool,
            arguments: &self.arguments,
            annotations: self.annotations.as_deref(),
            calls: &calls(&self.calls),
        });
        if self.json {
            writeln!(out, "{}", text::explanation_json(&explanation))?;
        } else {
            text::explained(out, &explanation)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        args: Args,
    }

    fn run(args: &[&str]) -> (ExitCode, String) {
        let whole = Whole::try_parse_from([&["policy"], args].concat()).unwrap();
        let mut out = Vec::new();
        let code = whole.args.run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    const GOOD: &str = "[policy]\nid='p'\nversion=1\ndefault='block'\n\
        [[rule]]\nid='cap'\ntools=['query']\nwhen='args.limit > 9'\neffect='modify'\nset={'/limit'='9'}\n\
        [[case]]\nname='capped'\ntool='query'\narguments={limit=10}\nexpect='modify'\nrule='cap'\n";

    #[test]
    fn check_names_every_problem_with_its_place() {
        let bad = file("[policy]\nid='p'\nversion=1\ndefault='maybe'\nfoo=1\n");
        let path = bad.path().to_str().unwrap();
        let (code, said) = run(&["check", path, "baseline", "/does/not/exist"]);
        assert_eq!(code, ExitCode::FAILURE);
        assert!(said.contains(&format!("{path}:4:9: `default` is one of allow, block, step_up")));
        assert!(said.contains(&format!("{path}:5:1: unknown key `foo`")), "{said}");
        assert!(said.contains("baseline: ok"), "{said}");
        assert!(said.contains("/does/not/exist: cannot be read: "), "{said}");
        let (code, said) = run(&["check", "--json", path]);
        assert_eq!(code, ExitCode::FAILURE);
        let json: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json[0]["problems"][0]["line"], 4);
        assert_eq!(run(&["check", "baseline"]).0, ExitCode::SUCCESS);
    }

    #[test]
    fn test_says_which_rule_decided_and_fails_with_a_case() {
        let good = file(GOOD);
        let (code, said) = run(&["test", good.path().to_str().unwrap()]);
        assert_eq!(code, ExitCode::SUCCESS, "{said}");
        assert!(said.contains("ok    capped  modify  cap"), "{said}");
        let wrong = file(&GOOD.replace("limit=10", "limit=1"));
        let (code, said) = run(&["test", wrong.path().to_str().unwrap()]);
        assert_eq!(code, ExitCode::FAILURE);
        assert!(said.contains("FAIL  capped"), "{said}");
        assert!(said.contains("expected modify, not block"), "{said}");
        let (code, said) = run(&["test", "--json", wrong.path().to_str().unwrap()]);
        assert_eq!(code, ExitCode::FAILURE);
        let json: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json[0]["failed"], 1);
    }

    #[test]
    fn test_minds_which_rule_decides_and_what_is_forwarded() {
        for (change, to, part) in [
            ("rule='cap'", "rule='other'", "expected rule `other` to decide"),
            (
                "rule='cap'",
                "expect_arguments={limit=8}",
                "expected {\"limit\":8}, not {\"limit\":9}",
            ),
        ] {
            let other = "[[rule]]\nid='other'\neffect='allow'\n";
            let wrong = file(&(GOOD.replace(change, to) + other));
            let (code, said) = run(&["test", wrong.path().to_str().unwrap()]);
            assert_eq!(code, ExitCode::FAILURE, "{said}");
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn test_minds_a_file_without_cases() {
        let none = file("[policy]\nid='p'\nversion=1\ndefault='block'\n");
        let path = none.path().to_str().unwrap();
        assert_eq!(run(&["test", path]).0, ExitCode::FAILURE);
        assert_eq!(run(&["test", "--allow-no-cases", path]).0, ExitCode::SUCCESS);
    }

    #[test]
    fn explain_shows_every_rule_the_verdict_and_the_arguments() {
        let good = file(GOOD);
        let path = good.path().to_str().unwrap();
        let call = ["explain", "--policy", path, "--tool", "query", "--arguments"];
        let (code, said) = run(&[&call[..], &[r#"{ "limit" : 1e1 }"#]].concat());
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(said.contains("cap") && said.contains("matches"), "{said}");
        assert!(said.contains("verdict: modify (rule_matched)"), "{said}");
        assert!(said.contains(r#"arguments: { "limit" : 9 }"#), "{said}");
        let (_, said) = run(&[&call[..], &["{}", "--json"]].concat());
        let json: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json["decision"], "block");
        assert_eq!(json["reason_code"], "condition_failed");
        assert_eq!(json["rules"][0]["says"], "failed");
        let (_, said) = run(&["explain", "--tool", "delete_it", "--calls", "a,b"]);
        assert!(said.contains("verdict: block"), "{said}");
    }
}
