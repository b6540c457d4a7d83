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
//! - Evaluation ends in bounded time, see `policy::meter`.
//! - A failure's text holds nothing of the call it failed on: it goes into answers and journals.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Value};
use regex::Regex;

use super::check::{self, Checked};
use super::meter;
use super::scene::{Scene, View};
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
    patterns: Vec<Regex>,
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
        let fault = |message: String| vec![Fault { line: 1, column: 1, message }];
        if source.len() > LONGEST {
            return Err(fault(format!("the expression is longer than {LONGEST} bytes")));
        }
        // Former versions of the parser panicked on some texts.
        let program = catch_unwind(|| ENVIRONMENT.compile(source))
            .map_err(|_| fault("the CEL parser cannot read this expression".to_owned()))?
            .map_err(|errors| parse_faults(&errors))?;
        let Checked { expr, patterns, members, literals } =
            check::check(program.expression(), program.source_info())
                .map_err(|faults| placed(source, faults))?;
        Ok(Self { source: source.into(), expr, patterns, members, literals })
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
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and most hold values")]
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
        faults.push(Fault { line: 1, column: 1, message: "not a CEL expression".to_owned() });
    }
    faults
}

fn placed(source: &str, faults: Vec<check::Fault>) -> Vec<Fault> {
    faults
        .into_iter()
        .map(|(offset, message)| {
            let bytes = source.chars().take(offset).map(char::len_utf8).sum();
            let (line, column) = super::problem::place(source, bytes);
            Fault { line, column, message }
        })
        .collect()
}

#[cfg(test)]
mod tests;
