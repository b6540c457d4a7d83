//! Checks a parsed CEL expression and makes it safe to evaluate on what a caller sends.
//!
//! CEL has no declared variables here, so a misspelt one would only be found when a call comes:
//! everything that can be checked beforehand is. And expressions are rewritten:
//!
//! - what takes longer on larger arguments is weighed first (see [`super::meter`]);
//! - `x.matches("…")` uses a regular expression that was compiled when the policy was loaded;
//! - `session.calls`, `session.count(n)` and `count(n)` become what [`super::scene`] provides;
//! - `args` as a whole, and not one of its members, becomes the variable [`WHOLE`].
//!
//! The names this uses begin with `@`, which no name in a policy can.

use std::collections::BTreeSet;

use cel::common::ast::operators as op;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
};
use regex::{Regex, RegexBuilder};

use super::meter::{GOING, METER, WEIGH};

/// The variable that holds all of the arguments as one map.
pub(super) const WHOLE: &str = "@args";
/// The variable that holds the names of the calls so far.
pub(super) const CALLS: &str = "@calls";
/// The variable that gives, indexed by a name, how often that tool was called.
pub(super) const COUNT: &str = "@count";
/// Begins the names of the variables that hold the expression's regular expressions.
pub(super) const PATTERN: &str = "@pattern:";

/// The deepest nesting of an expression; a chain such as `a + b + c` nests, too (`&&` and `||` do
/// not). An unoptimised build takes 80 KB of stack for each level.
const DEEPEST: usize = 16;
/// The most memory, in bytes, that a compiled regular expression may take.
const LARGEST_PATTERN: usize = 1 << 20;

const VARIABLES: [&str; 9] =
    ["args", "tool", "agent", "server", "user", "intent", "environment", "annotations", "session"];
const TYPES: [&str; 9] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];
const FUNCTIONS: [&str; 10] =
    ["bool", "bytes", "count", "double", "dyn", "int", "size", "string", "type", "uint"];
const METHODS: [&str; 6] = ["contains", "endsWith", "lowerAscii", "matches", "size", "startsWith"];

/// What an expression turned out to be.
#[derive(Debug)]
pub(super) struct Checked {
    /// The rewritten expression.
    pub(super) expr: IdedExpr,
    /// Its regular expressions, in the order of their numbers.
    pub(super) patterns: Vec<Regex>,
    /// The members of `args` it reads by name.
    pub(super) members: BTreeSet<String>,
    /// The literals in it, as JSON.
    pub(super) literals: BTreeSet<String>,
}

/// Something wrong with an expression: where, as a character offset, and what.
pub(super) type Fault = (usize, String);

struct Checker<'s> {
    places: &'s SourceInfo,
    /// The variables that the macros around the current place define.
    locals: Vec<String>,
    faults: Vec<Fault>,
    patterns: Vec<Regex>,
    members: BTreeSet<String>,
    literals: BTreeSet<String>,
}

/// Checks and rewrites an expression.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn check(expr: &IdedExpr, places: &SourceInfo) -> Result<Checked, Vec<Fault>> {
    if depth(expr, 0) > DEEPEST {
        let fault = format!("the expression nests deeper than {DEEPEST}; split it into rules");
        return Err(vec![(0, fault)]);
    }
    let mut checker = Checker {
        places,
        locals: Vec::new(),
        faults: Vec::new(),
        patterns: Vec::new(),
        members: BTreeSet::new(),
        literals: BTreeSet::new(),
    };
    let expr = checker.expr(expr);
    if !checker.faults.is_empty() {
        return Err(checker.faults);
    }
    Ok(Checked {
        expr,
        patterns: checker.patterns,
        members: checker.members,
        literals: checker.literals,
    })
}

/// How deep an expression nests; stops counting where it is too deep in any case.
fn depth(expr: &IdedExpr, above: usize) -> usize {
    let here = above + 1;
    if here > DEEPEST {
        return here;
    }
    parts(&expr.expr).into_iter().map(|part| depth(part, here)).max().unwrap_or(here)
}

fn parts(expr: &Expr) -> Vec<&IdedExpr> {
    match expr {
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(loops) => vec![&loops.iter_range, &loops.loop_step, &loops.result],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| sides(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Vec::new(),
    }
}

fn sides(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

fn is_literal(expr: &IdedExpr) -> bool {
    if let Expr::List(list) = &expr.expr {
        return list.elements.iter().all(is_literal);
    }
    matches!(expr.expr, Expr::Literal(_))
}

fn is_ident(expr: &IdedExpr, name: &str) -> bool {
    matches!(&expr.expr, Expr::Ident(found) if found == name)
}

fn call(id: u64, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let expr = Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args });
    IdedExpr { id, expr }
}

fn ident(id: u64, name: &str) -> IdedExpr {
    let expr = Expr::Ident(name.to_owned());
    IdedExpr { id, expr }
}

/// `value`, weighed before it is used, unless the policy itself says how large it is.
fn weighed(value: IdedExpr) -> IdedExpr {
    if is_literal(&value) {
        return value;
    }
    let id = value.id;
    call(id, WEIGH, vec![ident(id, METER), value])
}

// === impl Checker ===

impl Checker<'_> {
    fn fault(&mut self, at: &IdedExpr, message: String) {
        let offset = self.places.offset_for(at.id).map_or(0, |(start, _)| start);
        self.faults.push((offset as usize, message));
    }

    /// The parser places a call at its bracket; people look for its name.
    fn call_fault(&mut self, at: &IdedExpr, name: &str, message: String) {
        self.fault(at, message);
        let length = name.chars().count();
        if let Some((offset, _)) = self.faults.last_mut() {
            let before: String = self.places.source.chars().take(*offset).collect();
            if before.ends_with(name) {
                *offset -= length;
            }
        }
    }

    fn expr(&mut self, expr: &IdedExpr) -> IdedExpr {
        let id = expr.id;
        let rewritten = match &expr.expr {
            Expr::Call(inner) => return self.call(expr, inner),
            Expr::Comprehension(inner) => self.comprehension(expr, inner),
            Expr::Ident(name) => return self.ident(expr, name),
            Expr::List(inner) => {
                let mut list = inner.clone();
                list.elements = inner.elements.iter().map(|e| weighed(self.expr(e))).collect();
                Expr::List(list)
            }
            Expr::Literal(literal) => {
                self.note(literal);
                Expr::Literal(literal.clone())
            }
            Expr::Map(inner) => {
                let mut map = inner.clone();
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        entry.key = weighed(self.expr(&entry.key));
                        entry.value = weighed(self.expr(&entry.value));
                    }
                }
                Expr::Map(map)
            }
            Expr::Select(select) => return self.select(expr, select),
            Expr::Struct(_) | Expr::Unspecified => {
                self.fault(expr, "there are no messages to construct here".to_owned());
                expr.expr.clone()
            }
        };
        IdedExpr { id, expr: rewritten }
    }

    fn note(&mut self, literal: &LiteralValue) {
        let mut json = String::new();
        if super::value::write(literal.to_val().as_ref(), &mut json) {
            self.literals.insert(json);
        }
    }

    fn ident(&mut self, expr: &IdedExpr, name: &str) -> IdedExpr {
        if self.locals.iter().any(|local| local == name) || TYPES.contains(&name) {
            return expr.clone();
        }
        match name {
            "args" => ident(expr.id, WHOLE),
            "session" => {
                let message = "`session` has `session.calls` and `session.count(name)`";
                self.fault(expr, message.to_owned());
                expr.clone()
            }
            _ if VARIABLES.contains(&name) => expr.clone(),
            _ => {
                let known = VARIABLES.join(", ");
                self.fault(expr, format!("no variable `{name}`; there are {known}"));
                expr.clone()
            }
        }
    }

    fn select(&mut self, expr: &IdedExpr, select: &SelectExpr) -> IdedExpr {
        let (id, operand) = (expr.id, &*select.operand);
        if self.is_variable(operand, "session") && select.field == "calls" && !select.test {
            return ident(id, CALLS);
        }
        let is_args = self.is_variable(operand, "args");
        if is_args {
            self.members.insert(select.field.clone());
        }
        if !select.test && (is_args || self.is_variable(operand, "annotations")) {
            // The same, without the interpreter's search for a variable called `args.member`.
            let key = LiteralValue::String(select.field.clone().into());
            let expr = Expr::Literal(key);
            return call(id, op::INDEX, vec![operand.clone(), IdedExpr { id, expr }]);
        }
        let operand = if is_args { operand.clone() } else { self.expr(operand) };
        let select = SelectExpr { operand: Box::new(operand), ..select.clone() };
        IdedExpr { id, expr: Expr::Select(select) }
    }

    fn is_variable(&self, expr: &IdedExpr, name: &str) -> bool {
        is_ident(expr, name) && !self.locals.iter().any(|local| local == name)
    }

    fn comprehension(&mut self, expr: &IdedExpr, loops: &ComprehensionExpr) -> Expr {
        let iter_range = weighed(self.expr(&loops.iter_range));
        let names = [Some(&loops.iter_var), loops.iter_var2.as_ref()];
        for name in names.into_iter().flatten() {
            if VARIABLES.contains(&name.as_str()) || TYPES.contains(&name.as_str()) {
                self.fault(expr, format!("`{name}` is taken; call the loop's variable otherwise"));
            }
        }
        let outside = self.locals.len();
        self.locals.extend(names.into_iter().flatten().cloned());
        self.locals.push(loops.accu_var.clone());
        let looped = ComprehensionExpr {
            iter_range,
            loop_cond: going(loops),
            loop_step: self.loop_step(&loops.loop_step, &loops.accu_var),
            ..loops.clone()
        };
        self.locals.truncate(outside);
        Expr::Comprehension(Box::new(looped))
    }

    /// The step of a loop, without weighing what the macro itself appends to or counts: it is
    /// not copied at each step, and the interpreter knows these shapes.
    fn loop_step(&mut self, step: &IdedExpr, accu: &str) -> IdedExpr {
        let Expr::Call(inner) = &step.expr else {
            return self.expr(step);
        };
        let args = match (inner.func_name.as_str(), inner.args.as_slice()) {
            (op::ADD, [left, right]) if is_ident(left, accu) => {
                vec![left.clone(), self.expr(right)]
            }
            (op::CONDITIONAL, [guard, then, otherwise]) if is_ident(otherwise, accu) => {
                let guard = self.expr(guard);
                vec![guard, self.loop_step(then, accu), otherwise.clone()]
            }
            _ => return self.expr(step),
        };
        call(step.id, &inner.func_name, args)
    }

    fn call(&mut self, expr: &IdedExpr, inner: &CallExpr) -> IdedExpr {
        match &inner.target {
            Some(target) => self.method(expr, target, inner),
            None => self.function(expr, inner),
        }
    }

    fn function(&mut self, expr: &IdedExpr, inner: &CallExpr) -> IdedExpr {
        let name = inner.func_name.as_str();
        if name == op::INDEX {
            return self.index(expr, inner);
        }
        let mut args: Vec<_> = inner.args.iter().map(|arg| self.expr(arg)).collect();
        match name {
            "count" if args.len() == 1 => return counted(expr.id, args.remove(0)),
            op::EQUALS
            | op::NOT_EQUALS
            | op::LESS
            | op::LESS_EQUALS
            | op::GREATER
            | op::GREATER_EQUALS => {
                // Comparing takes no longer than the shorter of both.
                if let [left, right] = args.as_mut_slice()
                    && !is_literal(left)
                    && !is_literal(right)
                {
                    *left = weighed(std::mem::take(left));
                }
            }
            op::IN => {
                if let Some(list) = args.pop() {
                    args.push(weighed(list));
                }
            }
            op::ADD => args = args.into_iter().map(weighed).collect(),
            op::CONDITIONAL
            | op::LOGICAL_AND
            | op::LOGICAL_OR
            | op::LOGICAL_NOT
            | op::NEGATE
            | op::SUBSTRACT
            | op::MULTIPLY
            | op::DIVIDE
            | op::MODULO
            | op::NOT_STRICTLY_FALSE => {}
            _ if FUNCTIONS.contains(&name) && args.len() == 1 => {
                args = args.into_iter().map(weighed).collect();
            }
            _ => self.unknown(expr, name, &FUNCTIONS),
        }
        call(expr.id, name, args)
    }

    /// `a[b]`; `args["b"]` stays a look at one member.
    fn index(&mut self, expr: &IdedExpr, inner: &CallExpr) -> IdedExpr {
        let mut args = inner.args.iter();
        let (Some(value), Some(key)) = (args.next(), args.next()) else {
            return expr.clone();
        };
        let rewritten = if self.is_variable(value, "args") {
            if let Expr::Literal(LiteralValue::String(name)) = &key.expr {
                self.members.insert(name.inner().to_owned());
            }
            value.clone()
        } else {
            self.expr(value)
        };
        let key = weighed(self.expr(key));
        call(expr.id, op::INDEX, vec![rewritten, key])
    }

    fn method(&mut self, expr: &IdedExpr, target: &IdedExpr, inner: &CallExpr) -> IdedExpr {
        let name = inner.func_name.as_str();
        let mut args: Vec<_> = inner.args.iter().map(|arg| self.expr(arg)).collect();
        if name == "count" && self.is_variable(target, "session") && args.len() == 1 {
            return counted(expr.id, args.remove(0));
        }
        let target = self.expr(target);
        let args = match (name, args.len()) {
            ("matches", 1) => return self.matches(expr, target, &args[0]),
            ("contains" | "startsWith" | "endsWith", 1) | ("lowerAscii" | "size", 0) => {
                args.into_iter().map(weighed).collect()
            }
            _ => {
                self.unknown(expr, name, &METHODS);
                args
            }
        };
        let target = match name {
            "startsWith" | "endsWith" => target,
            _ => weighed(target),
        };
        let method = CallExpr { func_name: name.to_owned(), target: Some(Box::new(target)), args };
        IdedExpr { id: expr.id, expr: Expr::Call(method) }
    }

    fn matches(&mut self, expr: &IdedExpr, target: IdedExpr, pattern: &IdedExpr) -> IdedExpr {
        let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
            let message = "the pattern of `matches` must be a string in quotes";
            self.fault(expr, message.to_owned());
            return expr.clone();
        };
        let compiled = RegexBuilder::new(text.inner()).size_limit(LARGEST_PATTERN).build();
        match compiled {
            Ok(regex) => self.patterns.push(regex),
            Err(error) => {
                // The last line says what is wrong; those before it draw a picture of where.
                let text = error.to_string();
                let what = text.lines().last().unwrap_or_default();
                let what = what.trim_start_matches("error: ");
                self.fault(pattern, format!("not a regular expression: {what}"));
                return expr.clone();
            }
        }
        let number = self.patterns.len() - 1;
        let variable = ident(expr.id, &format!("{PATTERN}{number}"));
        call(expr.id, op::INDEX, vec![variable, target])
    }

    fn unknown(&mut self, expr: &IdedExpr, name: &str, known: &[&str]) {
        let known = known.join(", ");
        let message = format!("no function `{name}` to be used like this; there are {known}");
        self.call_fault(expr, name, message);
    }
}

/// When a loop goes on: as the macro says, and as long as there are steps left. A loop that builds
/// a list ends with the first error in any case; the interpreter knows it by its condition.
fn going(loops: &ComprehensionExpr) -> IdedExpr {
    let cond = loops.loop_cond.clone();
    if matches!(loops.accu_init.expr, Expr::List(_)) {
        return cond;
    }
    call(cond.id, op::LOGICAL_AND, vec![ident(cond.id, GOING), cond])
}

fn counted(id: u64, name: IdedExpr) -> IdedExpr {
    call(id, op::INDEX, vec![ident(id, COUNT), weighed(name)])
}
