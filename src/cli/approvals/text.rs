//! The list and one call, for people. What others wrote is made safe to print.

use std::io::{self, Write};

use jiff::Timestamp;

use super::super::printable::Printable;
use super::waiting::{Place, Waiting};
use crate::desk::wire::Decision;
use crate::friction::report::text::{cut, duration};

/// How much of the arguments the list shows, in characters.
const GLANCE: usize = 300;
/// How much of them is shown before they are approved.
const WHOLE: usize = 16 * 1024;

/// Everything that waits.
pub(super) fn list(waiting: &[Waiting], now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    if waiting.is_empty() {
        return writeln!(out, "Nothing waits for an answer.");
    }
    for one in waiting {
        writeln!(out, "{}", line(one, waiting))?;
        details(one, GLANCE, now, out)?;
        writeln!(out, "  answer     thoth approvals approve {}", Printable(one.short(waiting)))?;
    }
    Ok(())
}

/// One call, before it is answered.
pub(super) fn whole(one: &Waiting, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", line(one, &[]))?;
    details(one, WHOLE, now, out)
}

/// What was done.
pub(super) fn answered(one: &Waiting, decision: Decision, out: &mut impl Write) -> io::Result<()> {
    let (id, tool) = (Printable(&one.id), Printable(&one.tool_name));
    match decision {
        Decision::Approve => writeln!(
            out,
            "{tool} is approved, for one call ({id}). Where its caller no longer waits, it goes through \
             when it is made again."
        ),
        Decision::Deny => {
            writeln!(
                out,
                "{tool} is denied ({id}), also when it is made again, until that expires."
            )
        }
    }
}

/// One call on one line: what would be called, and by whom.
pub(super) fn line(one: &Waiting, among: &[Waiting]) -> String {
    let id = if among.is_empty() { &one.id } else { one.short(among) };
    let (id, tool) = (Printable(id), Printable(&one.tool_name));
    let server = if one.server.is_empty() {
        String::new()
    } else {
        format!(" on {}", Printable(&one.server))
    };
    let agent = Printable(&one.agent_id);
    let user = one.user_id.as_ref().filter(|user| !user.is_empty());
    let user = user.map(|user| format!(" ({})", Printable(user))).unwrap_or_default();
    format!("{id}  {tool}{server}, for {agent}{user}")
}

fn details(one: &Waiting, most: usize, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
    let rules = one.rule_ids.join(", ");
    if one.reason.is_some() || !rules.is_empty() {
        let reason = one.reason.as_deref().unwrap_or("a person must agree");
        let rules = if rules.is_empty() { rules } else { format!(" (rule {rules})") };
        writeln!(out, "  why        {}{}", Printable(reason), Printable(&rules))?;
    }
    writeln!(out, "  arguments  {}", Printable(&cut(one.arguments.get(), most)))?;
    let left = one.expires_at.map(|end| end.duration_since(now).as_millis());
    let left = left.map(|left| duration(u64::try_from(left).unwrap_or(0)));
    let kept = match &one.place {
        Place::Enforcer => "the enforcer".to_owned(),
        Place::Sidecar { session_id } => format!("the sidecar of session {session_id}"),
    };
    let kept = Printable(&kept);
    match left {
        Some(left) => writeln!(out, "  kept by    {kept}, for {left} more"),
        None => writeln!(out, "  kept by    {kept}"),
    }
}
