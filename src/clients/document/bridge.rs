//! Makes an entry that is reached at an address one that starts a command, and back again.
//!
//! The member with the address becomes the command, in its place; the arguments stand behind it.
//! What only an address has is cut out, and remembered in the entry (`memory`) with its place, so
//! that it comes back to the byte, and to a sensible place where the entry was edited meanwhile.

use std::collections::BTreeSet;
use std::ops::Range;

use super::entry::{Form, Stdio};
use super::far::Far;
use super::memory::{Cut, Hole, Memory, Part};
use super::pen::Pen;
use super::quote::{key, quote};
use super::rewrite::{self, divide};
use super::tree::{Map, Member};
use super::undo::{self, Former, Undo};
use super::{Kept, Syntax, Wrapping, bridged};

/// Codex's list of variables that a command is given of the client's own.
const PASSED: &str = "env_vars";

/// Wraps an entry that is reached at an address. Gives the names of the variables that the entry
/// had already.
///
/// # Errors
///
/// Why it cannot be wrapped. Nothing is to be written then.
pub(super) fn wrap(
    pen: &mut Pen<'_>,
    syntax: Syntax,
    far: &Far<'_>,
    wrapping: &Wrapping,
) -> Result<Vec<String>, String> {
    let mut flags = undo::without(&wrapping.flags);
    let address = &far.holder.members[far.address];
    let url = address.value.text().unwrap_or_default();
    check(wrapping, &flags, url)?;
    let (added, kept) = divide(far.holder, far.env, &wrapping.env)?;
    if let Some(name) = kept.iter().find(|name| wrapping.bridge.needs.contains(name)) {
        return Err(format!("its `{}` has {name} already, which thoth needs", far.words.env));
    }

    let raw = pen.raw(&address.value);
    let kind = far.kind.map(|at| &far.holder.members[at]);
    let mut undo = Undo {
        added: added.iter().map(|(name, _)| name.clone()).collect(),
        remote: Some(Memory {
            key: pen.text(address.key.clone()).to_owned(),
            url: (raw != quote(url)).then(|| (raw.to_owned(), url.to_owned())),
            kind: kind.map(|kind| pen.raw(&kind.value).to_owned()),
            passes: !wrapping.bridge.passed.is_empty(),
            cuts: cut(pen, syntax, far, &wrapping.bridge.kept)?,
        }),
        ..Undo::default()
    };
    if !added.is_empty() && far.env().is_none() {
        undo.env = Some(match far.env {
            None => Former::Absent,
            Some(at) => Former::Null(pen.raw(&far.holder.members[at].value).to_owned()),
        });
    }
    flags.extend(undo.write().into_iter().flat_map(|list| [undo::FLAG.to_owned(), list]));

    let words: Vec<_> = ["run".to_owned()].into_iter().chain(flags).collect();
    let program = &wrapping.program;
    let mut new = Vec::new();
    pen.rewrite(address.key.clone(), &key(far.words.command, syntax));
    if far.words.is_one {
        pen.replace(&address.value, &one(program, &words));
    } else {
        pen.replace(&address.value, &quote(program));
        new.push((far.words.args.to_owned(), list(&words)));
    }
    if let Some(kind) = kind {
        let is_remote = kind.value.text().is_some_and(|text| text.eq_ignore_ascii_case("remote"));
        pen.replace(&kind.value, &quote(if is_remote { "local" } else { "stdio" }));
    }
    if !wrapping.bridge.passed.is_empty() {
        new.push((PASSED.to_owned(), list(&wrapping.bridge.passed)));
    }
    let variables: Vec<_> =
        added.iter().map(|(name, value)| (name.clone(), quote(value))).collect();
    if !variables.is_empty() {
        match (far.env, far.env()) {
            (_, Some(env)) => pen.append_members(env, &variables)?,
            (Some(env), None) => {
                let all = pen.flow_map(&variables);
                pen.fill(&far.holder.members[env], &all);
            }
            (None, None) => new.push((far.words.env.to_owned(), pen.flow_map(&variables))),
        }
    }
    if !new.is_empty() {
        pen.insert_members(far.holder, far.address, &new)?;
    }
    Ok(kept)
}

/// Brings a wrapped entry up to date: another program, other flags, more variables.
///
/// # Errors
///
/// Why that cannot be done. Nothing is to be written then.
pub(super) fn renew(
    pen: &mut Pen<'_>,
    stdio: &Stdio<'_>,
    wrapping: &Wrapping,
) -> Result<Vec<String>, String> {
    let (command, args) = stdio.line();
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let mut flags = undo::without(&wrapping.flags);
    let had = bridged(command, &args).ok_or("it is not wrapped")?;
    check(wrapping, &flags, &had.url)?;
    let mut undo = Undo::default();
    undo.read(&args)?;

    let is_ours = |name: &String| undo.added.contains(name);
    let (ours, others): (Vec<_>, Vec<_>) =
        wrapping.env.iter().cloned().partition(|(name, _)| is_ours(name));
    for member in stdio.env().into_iter().flat_map(|env| &env.members) {
        let new = ours.iter().find(|(name, _)| *name == member.name);
        if let Some((_, value)) = new.filter(|(_, value)| member.value.text() != Some(value)) {
            pen.replace(&member.value, &quote(value));
        }
    }
    let (added, kept) = divide(stdio.holder, stdio.env, &others)?;
    let variables: Vec<_> =
        added.iter().map(|(name, value)| (name.clone(), quote(value))).collect();
    if !variables.is_empty() {
        match (stdio.env, stdio.env()) {
            (_, Some(env)) => pen.append_members(env, &variables)?,
            (Some(at), None) => {
                let member = &stdio.holder.members[at];
                undo.env = Some(Former::Null(pen.raw(&member.value).to_owned()));
                let all = pen.flow_map(&variables);
                pen.fill(member, &all);
            }
            (None, None) => {
                let new = [(stdio.words.env.to_owned(), pen.flow_map(&variables))];
                let behind = match stdio.form {
                    Form::Two(Some(args), _) => args,
                    Form::Two(None, _) | Form::One(_) => stdio.command,
                };
                undo.env = Some(Former::Absent);
                pen.insert_members(stdio.holder, behind, &new)?;
            }
        }
    }
    undo.added.extend(added.into_iter().map(|(name, _)| name));
    flags.extend(undo.write().into_iter().flat_map(|list| [undo::FLAG.to_owned(), list]));
    let words: Vec<_> = ["run".to_owned()].into_iter().chain(flags).collect();
    let program = &wrapping.program;
    if command == program && args == words {
        return Ok(kept);
    }
    match stdio.form {
        Form::One(_) => pen.replace(stdio.command(), &one(program, &words)),
        Form::Two(Some(at), _) => {
            pen.replace(stdio.command(), &quote(program));
            pen.clear(&stdio.holder.members[at], &list(&words));
        }
        Form::Two(None, _) => unreachable!("what is wrapped has arguments"),
    }
    Ok(kept)
}

/// Makes a wrapped entry what it was. `fill` gives the secrets that were taken out.
///
/// # Errors
///
/// Why it cannot be unwrapped. Nothing is to be written then.
pub(super) fn unwrap(
    pen: &mut Pen<'_>,
    syntax: Syntax,
    stdio: &Stdio<'_>,
    fill: &mut dyn FnMut(&Hole) -> Option<String>,
) -> Result<(), String> {
    let (command, args) = stdio.line();
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let url = bridged(command, &args).ok_or("it is not wrapped")?.url;
    let mut undo = Undo::default();
    undo.read(&args)?;
    let memory = undo.remote.as_ref().ok_or(
        "it starts thoth with --url and was not written by wrap-config: nothing tells what it was",
    )?;

    let (holder, member) = (stdio.holder, &stdio.holder.members[stdio.command]);
    let mut gone = BTreeSet::new();
    if let Form::Two(Some(at), _) = stdio.form {
        gone.insert(at);
    }
    if memory.passes {
        gone.extend(holder.find(PASSED).map(|(at, _)| at));
    }
    rewrite::restore_env(pen, syntax, stdio, &undo, &mut gone);
    // What was inserted stands in one piece behind the command.
    let mut end = stdio.command;
    while gone.contains(&(end + 1)) {
        end += 1;
    }

    // Before what else is written at the same places: it comes first there.
    for cut in &memory.cuts {
        let at = place(pen, syntax, holder, cut, stdio.command, end);
        let mut text = String::new();
        for part in &cut.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Hole(hole) => text.push_str(
                    &fill(hole)
                        .ok_or("a secret of it was moved to a file, and is not there any more")?,
                ),
            }
        }
        pen.insert(at, &text);
    }
    pen.rewrite(member.key.clone(), &memory.key);
    match &memory.url {
        Some((raw, meant)) if *meant == url => pen.replace(&member.value, raw),
        _ => pen.replace(&member.value, &quote(&url)),
    }
    if let (Some(raw), Some(kind)) = (&memory.kind, holder.get("type")) {
        pen.replace(kind, raw);
    }
    pen.remove_members(holder, &gone);
    Ok(())
}

/// Whether what is to be written would be known as wrapped again, with the same address.
fn check(wrapping: &Wrapping, flags: &[String], url: &str) -> Result<(), String> {
    let args: Vec<_> = ["run".to_owned()].into_iter().chain(flags.iter().cloned()).collect();
    match bridged(&wrapping.program, &args) {
        None => Err("it is reached at an address, and is not to be wrapped as such".to_owned()),
        Some(read) if read.flags != flags || read.url != url => {
            Err("its address is not the one that is to be wrapped".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// The words of a list in brackets.
fn list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A command and its arguments in one list.
fn one(program: &str, words: &[String]) -> String {
    let words: Vec<_> = [program].into_iter().chain(words.iter().map(String::as_str)).collect();
    list(&words.into_iter().map(str::to_owned).collect::<Vec<_>>())
}

/// Takes the members out that only an address has; what was taken, and from where.
fn cut(
    pen: &mut Pen<'_>,
    syntax: Syntax,
    far: &Far<'_>,
    kept: &[Kept],
) -> Result<Vec<Cut>, String> {
    let holes = holes(pen, far, kept)?;
    if far.gone.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = pen.cut_members(far.holder, &far.gone);
    let mut filled = 0;
    let mut cuts = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let inside: Vec<_> = holes
            .iter()
            .filter(|(hole, _)| hole.start >= piece.start && hole.end <= piece.end)
            .collect();
        filled += inside.len();
        let mut parts = Vec::new();
        let mut done = piece.start;
        for (hole, what) in inside {
            parts.push(Part::Text(pen.text(done..hole.start).to_owned()));
            parts.push(Part::Hole(what.clone()));
            done = hole.end;
        }
        parts.push(Part::Text(pen.text(done..piece.end).to_owned()));
        let (member, before, distance) = anchor(pen, syntax, far, &pieces, at)?;
        cuts.push(Cut { member, before, distance, parts });
    }
    if filled != holes.len() {
        return Err("a secret of it stands apart from it in the file".to_owned());
    }
    Ok(cuts)
}

/// The member that stayed beside a piece, and the bytes between them that stay.
fn anchor(
    pen: &Pen<'_>,
    syntax: Syntax,
    far: &Far<'_>,
    pieces: &[Range<usize>],
    at: usize,
) -> Result<(Option<String>, bool, usize), String> {
    let piece = &pieces[at];
    let stays = |(index, _): &(usize, &Member)| !far.gone.contains(index);
    let name =
        |(index, member): (usize, &Member)| (index != far.address).then(|| member.name.clone());
    let end = |(index, member): (usize, &Member)| {
        if index == far.address { pen.behind(far.holder, member) } else { member.value.span.end }
    };
    let members = || far.holder.members.iter().enumerate().filter(stays);
    let behind =
        members().filter(|member| end(*member) <= piece.start).max_by_key(|member| end(*member));
    // What stays between two places: all but the other pieces.
    let left = |between: Range<usize>| -> Result<usize, String> {
        let (mut from, mut length) = (between.start, 0);
        for other in pieces.iter().filter(|other| between.contains(&other.start)) {
            length += gap(pen, syntax, from..other.start.max(from))?;
            from = from.max(other.end);
        }
        Ok(length + gap(pen, syntax, from..between.end.max(from))?)
    };
    if let Some(member) = behind {
        let distance = left(end(member)..piece.start)?;
        return Ok((name(member), false, distance));
    }
    let next = members().find(|(_, member)| member.key.start >= piece.end);
    let next = next.ok_or("its members stand apart from each other in the file")?;
    Ok((name(next), true, left(piece.end..next.1.key.start)?))
}

/// How long a part is that stays, where it says nothing.
fn gap(pen: &Pen<'_>, syntax: Syntax, part: Range<usize>) -> Result<usize, String> {
    let length = part.len();
    if pen.says_nothing(part, syntax) {
        Ok(length)
    } else {
        Err("its headers stand apart from it in the file".to_owned())
    }
}

/// Where the secrets stand that are kept elsewhere.
fn holes(pen: &Pen<'_>, far: &Far<'_>, kept: &[Kept]) -> Result<Vec<(Range<usize>, Hole)>, String> {
    let mut holes = Vec::new();
    for Kept { header, hole, secret } in kept {
        let node = far.header(header).ok_or("a header to be moved is not there")?;
        let raw = pen.raw(node);
        let mut found = raw.match_indices(secret.as_str());
        let (Some((at, _)), None) = (found.next(), found.next()) else {
            return Err(format!("the value of its `{header}` is written with escapes"));
        };
        let start = node.span.start + at;
        holes.push((start..start + secret.len(), hole.clone()));
    }
    holes.sort_by_key(|(range, _)| range.start);
    Ok(holes)
}

/// Where a piece is put back: beside its member, or behind what became of the address. `end` is the
/// last member of those.
fn place(
    pen: &Pen<'_>,
    syntax: Syntax,
    holder: &Map,
    cut: &Cut,
    command: usize,
    end: usize,
) -> usize {
    let behind_address = holder.members[end].value.span.end;
    let at = match &cut.member {
        None => Some(command),
        Some(name) => holder.find(name).map(|(at, _)| at),
    };
    let Some(at) = at else { return behind_address };
    let member = &holder.members[at];
    if cut.before {
        let place = member.key.start.checked_sub(cut.distance);
        let place = place.filter(|place| pen.says_nothing(*place..member.key.start, syntax));
        return place.unwrap_or(member.key.start);
    }
    let from = if at == command { behind_address } else { member.value.span.end };
    let place = from.saturating_add(cut.distance);
    if pen.says_nothing(from..place, syntax) { place } else { from }
}
