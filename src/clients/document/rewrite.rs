//! Wraps one entry, and unwraps one.

use std::collections::BTreeSet;

use super::entry::{Form, Stdio};
use super::pen::Pen;
use super::quote::quote;
use super::tree::{Layout, Map};
use super::undo::{self, Former, Undo};
use super::{Syntax, Wrapping, wrapped};

/// Wraps an entry that is not wrapped. Gives the names of the variables that the entry had
/// already.
///
/// # Errors
///
/// Why it cannot be wrapped. Nothing is written then.
pub(super) fn wrap(
    pen: &mut Pen<'_>,
    syntax: Syntax,
    stdio: &Stdio<'_>,
    wrapping: &Wrapping,
) -> Result<Vec<String>, String> {
    let mut flags = undo::without(&wrapping.flags);
    check(wrapping, &flags)?;
    let (added, kept) = divide(stdio.holder, stdio.env, &wrapping.env)?;
    let mut undo =
        Undo { added: added.iter().map(|(name, _)| name.clone()).collect(), ..Undo::default() };
    let former = |member: Option<usize>| match member {
        None => Former::Absent,
        Some(at) => Former::Null(pen.raw(&stdio.holder.members[at].value).to_owned()),
    };
    if let Form::Two(args, None) = stdio.form {
        undo.args = Some(former(args));
    }
    if !added.is_empty() && stdio.env().is_none() {
        undo.env = Some(former(stdio.env));
    }
    if let Some(list) = undo.write() {
        flags.extend([undo::FLAG.to_owned(), list]);
    }

    let mut line = vec![quote("run")];
    line.extend(flags.iter().map(|flag| quote(flag)));
    line.push(quote("--"));
    let program = quote(&wrapping.program);
    let mut new = Vec::new();
    match stdio.form {
        Form::One(list) => {
            line.insert(0, program);
            pen.insert_items(list, &line)?;
        }
        Form::Two(args, list) => {
            let layout = list.map_or(Layout::Flow, |list| list.layout);
            line.push(movable(pen.raw(stdio.command()), syntax, layout)?.to_owned());
            match (args, list) {
                (_, Some(list)) => pen.insert_items(list, &line)?,
                (Some(args), None) => {
                    let all = format!("[{}]", line.join(", "));
                    pen.fill(&stdio.holder.members[args], &all);
                }
                (None, None) => {
                    new.push((stdio.words.args.to_owned(), format!("[{}]", line.join(", "))));
                }
            }
            pen.replace(stdio.command(), &program);
        }
    }

    let variables: Vec<_> =
        added.iter().map(|(name, value)| (name.clone(), quote(value))).collect();
    if !variables.is_empty() {
        match (stdio.env, stdio.env()) {
            (_, Some(env)) => pen.append_members(env, &variables)?,
            (Some(env), None) => {
                let all = pen.flow_map(&variables);
                pen.fill(&stdio.holder.members[env], &all);
            }
            (None, None) => new.push((stdio.words.env.to_owned(), pen.flow_map(&variables))),
        }
    }
    if !new.is_empty() {
        pen.insert_members(stdio.holder, stdio.command, &new)?;
    }
    Ok(kept)
}

/// Unwraps an entry until nothing of it is wrapped. Gives whether anything was.
///
/// # Errors
///
/// Why it cannot be unwrapped. Nothing is written then.
pub(super) fn unwrap(pen: &mut Pen<'_>, syntax: Syntax, stdio: &Stdio<'_>) -> Result<bool, String> {
    let (command, args) = stdio.line();
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let (mut undo, mut command, mut left) = (Undo::default(), command, &args[..]);
    while let Some(inner) = wrapped(command, left) {
        undo.read(&left[1..left.len() - inner.args.len() - 2])?;
        (command, left) = (inner.command, inner.args);
    }
    let gone = args.len() - left.len();
    if gone == 0 {
        return Ok(false);
    }

    let mut members = BTreeSet::new();
    match stdio.form {
        Form::One(list) => pen.remove_items(list, gone),
        Form::Two(at, list) => {
            let (Some(at), Some(list)) = (at, list) else {
                unreachable!("what is wrapped has arguments, and they were taken from this list")
            };
            let raw = pen.raw(&list.items[gone - 1]);
            let moved = movable(raw, syntax, Layout::Lines);
            pen.replace(stdio.command(), moved.unwrap_or(&quote(command)));
            match &undo.args {
                Some(Former::Absent) if left.is_empty() => drop(members.insert(at)),
                Some(Former::Null(null)) if left.is_empty() => {
                    pen.clear(&stdio.holder.members[at], null);
                }
                _ if left.is_empty() && list.layout == Layout::Lines => {
                    pen.clear(&stdio.holder.members[at], "[]");
                }
                _ => pen.remove_items(list, gone),
            }
        }
    }
    restore_env(pen, syntax, stdio, &undo, &mut members);
    if !members.is_empty() {
        pen.remove_members(stdio.holder, &members);
    }
    Ok(true)
}

/// Takes the variables out that were added. The whole environment, where nothing else is in it and
/// there was none, becomes one of the `gone` members.
pub(super) fn restore_env(
    pen: &mut Pen<'_>,
    syntax: Syntax,
    stdio: &Stdio<'_>,
    undo: &Undo,
    gone: &mut BTreeSet<usize>,
) {
    let (Some(at), Some(env)) = (stdio.env, stdio.env()) else { return };
    let ours: BTreeSet<&str> = undo.added.iter().map(String::as_str).collect();
    let ours = |at: &usize| ours.contains(env.members[*at].name.as_str());
    let variables: BTreeSet<usize> = (0..env.members.len()).filter(ours).collect();
    match &undo.env {
        Some(Former::Absent) if variables.len() == env.members.len() => {
            gone.insert(at);
        }
        Some(Former::Null(null)) if variables.len() == env.members.len() => {
            pen.clear(&stdio.holder.members[at], null);
        }
        _ if variables.is_empty() => {}
        _ if syntax == Syntax::Yaml
            && env.layout == Layout::Lines
            && variables.len() == env.members.len() =>
        {
            pen.clear(&stdio.holder.members[at], "{}");
        }
        _ => pen.remove_members(env, &variables),
    }
}

/// Whether what is to be written would be known as wrapped again, flags and all.
fn check(wrapping: &Wrapping, flags: &[String]) -> Result<(), String> {
    let mut args = vec!["run".to_owned()];
    args.extend(flags.iter().cloned());
    args.extend(["--".to_owned(), "command".to_owned()]);
    match wrapped(&wrapping.program, &args) {
        None => Err("the program to wrap it with is not called thoth".to_owned()),
        Some(read) if read.flags != flags => {
            Err("a flag that is `--` would end the flags: write --flag=-- instead".to_owned())
        }
        Some(_) => Ok(()),
    }
}

pub(super) type Variables = Vec<(String, String)>;

/// The variables that are new to an entry, and the names of those that are not. Windows knows a
/// variable in any case, so here they are the same in any.
pub(super) fn divide(
    holder: &Map,
    at: Option<usize>,
    env: &Variables,
) -> Result<(Variables, Vec<String>), String> {
    if !env.iter().all(|(name, _)| undo::can_remember(name)) {
        return Err("a variable to add has a name with `,` or `=`, or none".to_owned());
    }
    let member = at.map(|at| &holder.members[at]);
    let there: Vec<&str> = match member.map(|member| (member, member.value.map())) {
        Some((_, Some(map))) => map.members.iter().map(|member| member.name.as_str()).collect(),
        Some((member, None)) if !member.value.is_nothing() && !env.is_empty() => {
            return Err(format!("its `{}` is not a map", member.name));
        }
        _ => Vec::new(),
    };
    let (mut added, mut kept): (Variables, _) = (Vec::new(), Vec::new());
    for (name, value) in env {
        if there.iter().any(|there| there.eq_ignore_ascii_case(name)) {
            kept.push(name.clone());
        } else if !added.iter().any(|(added, _)| added == name) {
            added.push((name.clone(), value.clone()));
        }
    }
    Ok((added, kept))
}

/// A string as it is written, if it means the same in a list of this layout.
fn movable(raw: &str, syntax: Syntax, layout: Layout) -> Result<&str, String> {
    if syntax != Syntax::Yaml {
        return Ok(raw);
    }
    let quoted = raw.starts_with(['"', '\'']);
    let plain =
        layout == Layout::Lines || !(raw.contains(['[', ']', '{', '}', ',']) || raw.ends_with(':'));
    if raw.contains(['\n', '\r']) {
        Err("its command is written over several lines: write it on one".to_owned())
    } else if quoted || plain {
        Ok(raw)
    } else {
        Err("its command cannot stand in a list the way it is written: put it in quotes".to_owned())
    }
}
