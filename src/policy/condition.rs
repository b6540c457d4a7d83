//! A CEL expression, compiled once when its policy is loaded, and evaluated for each call.
//!
//! Evaluation has three outcomes: true, false, or a [`Failure`]. CEL's logic has three values,
//! too: `e || true` is true and `e && false` is false whatever `e` fails with, on either side,
//! because no value that `e` could have had would change the result. Everything else that fails
//! somewhere fails as a whole.
//!
//! # Invariants
//!
//! - Nothing is compiled while a call waits.
//! - Evaluation ends in bounded time, see [`super::meter`].
//! - A failure's text holds nothing of the call it failed on: it goes into answers and journals.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Value};

use super::check::{self, Checked};
use super::meter;
use super::scene::{Pattern, Scene, View};
use super::value::{self, UNREADABLE};

/// The longest expression, in bytes.
pub const LONGEST: usize = 4096;

/// The one environment that all expressions are compiled for and evaluated in: building one takes
/// longer than all rules of a call together.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    env.add_extension(cel::extensions::strings)
        .and_then(|()| meter::declare(&mut env))
        .unwrap_or_else(|_| {
            unreachable!("the names are new: `policy::condition`'s tests use them")
        });
    Arc::new(env)
});

/// A compiled expression.
#[derive(Debug)]
pub struct Condition {
    source: Box<str>,
    expr: IdedExpr,
    patterns: Vec<Pattern>,
    members: BTreeSet<String>,
    literals: BTreeSet<String>,
}

/// Why an expression came to no result on one call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// It says something that is neither true nor false, or that JSON has no word for.
    #[error("it gives {0}")]
    NotThat(&'static str),
    /// A member it reads is not there; named where the expression names it.
    #[error("there is no member{}", named(.0.as_deref()))]
    Missing(Option<String>),
    /// The arguments or annotations hold what cannot be looked at exactly.
    #[error("it reads a value that is ambiguous or out of range")]
    Unreadable,
    /// It would take too long on these arguments.
    #[error("it takes too long on arguments like these")]
    TooLong,
    /// Values of types that do not go together, or another error of the language.
    #[error("{0}")]
    Other(String),
}

/// Something wrong with an expression: where, as (line, column) from 1 within it, and what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
}

/// Does work that compiles expressions, and returns what it returns; `None` where it could not be
/// done at all.
///
/// The parser recurses for each bracket, up to 96 deep, and an unoptimised build takes 45 KB for
/// each: more than the stacks of some threads hold.
pub(super) fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    const STACK_BYTES: usize = 32 << 20;
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("policy".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .ok()?
            .join()
            .ok()
    })
}

fn named(name: Option<&str>) -> String {
    name.map(|name| format!(" `{name}`")).unwrap_or_default()
}

// === impl Condition ===

impl Condition {
    /// Compiles an expression. To be called in [`on_a_deep_stack`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it. Never empty.
    pub(super) fn compile(source: &str) -> Result<Self, Vec<Fault>> {
        let fault = |message: String| {
            vec![Fault {
                line: 1,
                column: 1,
                message,
            }]
        };
        if source.len() > LONGEST {
            return Err(fault(format!(
                "the expression is longer than {LONGEST} bytes"
            )));
        }
        // Former versions of the parser panicked on some texts.
        let program = catch_unwind(|| ENVIRONMENT.compile(source))
            .map_err(|_| fault("the CEL parser cannot read this expression".to_owned()))?
            .map_err(|errors| parse_faults(&errors))?;
        let Checked {
            expr,
            patterns,
            members,
            literals,
        } = check::check(program.expression(), program.source_info())
            .map_err(|faults| placed(source, faults))?;
        Ok(Self {
            source: source.into(),
            expr,
            patterns: patterns.into_iter().map(Pattern).collect(),
            members,
            literals,
        })
    }

    /// The expression's text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The members of `args` that the expression reads by name.
    pub(super) fn members(&self) -> &BTreeSet<String> {
        &self.members
    }

    /// The literals in the expression, as JSON.
    pub(super) fn literals(&self) -> &BTreeSet<String> {
        &self.literals
    }

    /// Whether the expression is true for a call.
    pub(super) fn holds(&self, scene: &Scene<'_>) -> Result<bool, Failure> {
        self.evaluate(scene, |value| {
            value
                .downcast_ref::<CelBool>()
                .map(|bool| *bool.inner())
                .ok_or(Failure::NotThat("neither true nor false"))
        })
    }

    /// What the expression gives for a call, as JSON.
    pub(super) fn json(&self, scene: &Scene<'_>) -> Result<String, Failure> {
        self.evaluate(scene, |value| {
            let mut json = String::new();
            if value::write(value.as_ref(), &mut json) {
                Ok(json)
            } else {
                Err(Failure::NotThat("no JSON value"))
            }
        })
    }

    fn evaluate<T>(
        &self,
        scene: &Scene<'_>,
        then: impl FnOnce(&CowVal<'_, '_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let view = View::new(scene, &self.patterns);
        // Nothing of what unwinding could leave half done is used again: the scene's cells are
        // each filled by one step, or not at all.
        let said = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
            context.set_variable_resolver(&view);
            match Value::resolve_val(&self.expr, &context) {
                Ok(value) => then(&value),
                Err(error) => Err(self.failure(&error)),
            }
        }));
        if view.ran_out() {
            return Err(Failure::TooLong);
        }
        said.unwrap_or_else(|_| Err(Failure::Other("the CEL interpreter broke".to_owned())))
    }

    /// What an error means, in words that hold nothing of the call: some of the interpreter's own
    /// texts print the values they are about.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open, and most hold values"
    )]
    fn failure(&self, error: &ExecutionError) -> Failure {
        match error {
            ExecutionError::NoSuchKey(name) => {
                let name = name.as_str();
                Failure::Missing(self.source.contains(name).then(|| name.to_owned()))
            }
            ExecutionError::FunctionError { function, .. } if function == UNREADABLE => {
                Failure::Unreadable
            }
            // Only what could not be read is missing: unknown names are refused at load.
            ExecutionError::UndeclaredReference(_) => Failure::Unreadable,
            ExecutionError::NoSuchOverload(overload) => Failure::Other(format!(
                "`{}` has no meaning for {}",
                readable(overload.function()),
                overload.argument_types().join(" and "),
            )),
            ExecutionError::UnsupportedBinaryOperator(name, ..) => {
                Failure::Other(format!("`{name}` has no meaning for values of these types"))
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                Failure::Other("it divides by zero".to_owned())
            }
            ExecutionError::Overflow(..) => Failure::Other("a number overflows".to_owned()),
            ExecutionError::IndexOutOfBounds(_) => {
                Failure::Other("an index is out of bounds".to_owned())
            }
            ExecutionError::FunctionError { function, .. } => {
                Failure::Other(format!("`{function}` cannot be applied to this value"))
            }
            _ => Failure::Other("a value has an unexpected type".to_owned()),
        }
    }
}

/// An operator as it is written: the interpreter calls `<` `_<_`.
fn readable(function: &str) -> String {
    match function {
        "_[_]" => "[]".to_owned(),
        "_._" => ".".to_owned(),
        other => other.replace(['_', '@'], ""),
    }
}

fn parse_faults(errors: &cel::ParseErrors) -> Vec<Fault> {
    let mut faults: Vec<_> = errors
        .errors
        .iter()
        .map(|error| Fault {
            line: usize::try_from(error.pos.0).unwrap_or(1).max(1),
            column: usize::try_from(error.pos.1).unwrap_or(1).max(1),
            message: error.msg.trim_start_matches("Syntax error: ").to_owned(),
        })
        .collect();
    if faults.is_empty() {
        faults.push(Fault {
            line: 1,
            column: 1,
            message: "not a CEL expression".to_owned(),
        });
    }
    faults
}

fn placed(source: &str, faults: Vec<check::Fault>) -> Vec<Fault> {
    faults
        .into_iter()
        .map(|(offset, message)| {
            let bytes = source.chars().take(offset).map(char::len_utf8).sum();
            let (line, column) = super::problem::place(source, bytes);
            Fault {
                line,
                column,
                message,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::verdict::{Calls, Facts};
    use crate::policy::Who;

    fn on(source: &str, arguments: &str) -> Result<bool, Failure> {
        let mut calls = Calls::default();
        for tool in ["read", "read", "write"] {
            calls.add(&tool.into());
        }
        let who = Who {
            agent: "desk".into(),
            intent: "audit".into(),
            ..Who::default()
        };
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
            (
                "args[args.key] == 1",
                r#"{"key":"SECRET"}"#,
                "there is no member",
            ),
            (
                r#"args.path.startsWith("/")"#,
                r#"{"path":["SECRET"]}"#,
                "`startsWith` has no meaning for list and string",
            ),
            (
                "args.limit > 100",
                r#"{"limit":"SECRET"}"#,
                "`>` has no meaning for string and int",
            ),
            (
                "args.limit",
                r#"{"limit":5}"#,
                "it gives neither true nor false",
            ),
            ("1 / args.n == 1", r#"{"n":0}"#, "it divides by zero"),
            (
                "int(args.s) == 1",
                r#"{"s":"SECRET"}"#,
                "`int` cannot be applied to this value",
            ),
            (
                "args.n + 1 > 0",
                r#"{"n":9223372036854775807}"#,
                "a number overflows",
            ),
            (
                "args.l[3] == 1",
                r#"{"l":["SECRET"]}"#,
                "an index is out of bounds",
            ),
            (
                "has(args.a.b)",
                r#"{"a":"SECRET"}"#,
                "`.` has no meaning for string and string",
            ),
            (
                r#"args.x.matches("a")"#,
                r#"{"x":7}"#,
                "`matches` cannot be applied to this value",
            ),
            (
                "args.a",
                "not json",
                "it reads a value that is ambiguous or out of range",
            ),
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
        assert_eq!(
            on("args.u > 9223372036854775807 && args.i < 0", edge),
            Ok(true)
        );
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
        assert_eq!(
            on(&format!("{nested} || true"), &list(10_000)),
            Err(Failure::TooLong)
        );
        let linear = "args.a.all(x, x == 0) && args.a.exists(x, x == 0) && 0 in args.a";
        assert_eq!(on(linear, &list(10_000)), Ok(true));
        let text = format!(
            r#"{{"a":[{}""],"s":"\n{}"}}"#,
            r#""","#.repeat(1_000),
            "x".repeat(500_000)
        );
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
        assert_eq!(
            on(r#"!args.s.matches("y+") && !args.s.contains("y")"#, &text),
            Ok(true)
        );
    }

    #[test]
    fn mistakes_are_found_when_a_policy_is_loaded() {
        for (source, line, column, part) in [
            ("args.path ==", 1, 13, ""),
            ("args.a &&\n  arg.b", 2, 3, "no variable `arg`"),
            (r#"args.a.startWith("x")"#, 1, 8, "no function `startWith`"),
            (r#"lower(args.a) == "x""#, 1, 1, "no function `lower`"),
            (
                r#"args.a.matches("(")"#,
                1,
                16,
                "not a regular expression: unclosed group",
            ),
            (
                "args.a.matches(args.b)",
                1,
                15,
                "must be a string in quotes",
            ),
            ("session.count == 1", 1, 1, "`session` has"),
            ("args.a.all(args, args == 1)", 1, 11, "`args` is taken"),
            ("optional.of(1) == 1", 1, 1, "no variable `optional`"),
            ("Foo{a: 1} == 1", 1, 4, "no messages"),
            (
                r#"args.a.replace("a", args.b) == """#,
                1,
                8,
                "no function `replace`",
            ),
            ("", 1, 1, ""),
        ] {
            let found = faults(source);
            assert!(
                found
                    .iter()
                    .any(|(l, c, m)| (*l, *c) == (line, column) && m.contains(part)),
                "{source}: {found:?}"
            );
        }
        assert!(
            faults(&format!("{}1 == 1", " ".repeat(LONGEST)))[0]
                .2
                .contains("longer")
        );
    }

    #[test]
    fn deep_and_long_expressions_are_refused() {
        let chain = format!("0{} == 0", " + 1".repeat(1000));
        assert!(
            faults(&chain)[0].2.contains("nests deeper"),
            "{:?}",
            faults(&chain)
        );
        let parens = format!("{}1{} == 1", "(".repeat(500), ")".repeat(500));
        assert!(!faults(&parens).is_empty());
        let wide = vec!["args.a == 1"; 200].join(" || ");
        assert_eq!(on(&wide, r#"{"a":1}"#), Ok(true));
        let deepest = format!("{}args.a{} == 1", "int(".repeat(13), ")".repeat(13));
        assert_eq!(on(&deepest, r#"{"a":1}"#), Ok(true));
    }
}
