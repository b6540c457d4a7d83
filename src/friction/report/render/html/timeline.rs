//! The timeline: a lane for each tool, a bar for each call.
//!
//! Drawn with SVG attributes in percent: they need no script, no inline style and no width in pixels,
//! so the same picture fits a telephone, a screen and paper. Colour is never the only sign: an error
//! is a taller bar, a refusal a hollow one, a call without an answer a thin one.

use std::fmt::{self, Write as _};

use super::{Text, took};
use crate::friction::report::detect::End;
use crate::friction::report::render::axis::Axis;
use crate::friction::report::session::{Annotation, Call, since};
use crate::friction::report::story::Story;
use crate::friction::report::text::{cut, duration};

/// How many tools have a lane of their own.
const LANES: usize = 24;
/// The narrowest bar, in percent.
const NARROWEST: f64 = 0.35;
/// How many parts the axis has.
const TICKS: u64 = 4;

/// A lane and its calls.
struct Lane<'a> {
    name: &'a str,
    calls: Vec<&'a Call>,
}

/// Writes the timeline. Nothing where nothing was called or said.
pub(super) fn write(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let session = story.session;
    let calls = &session.calls[..session.calls.len().min(story.limits.calls)];
    let reports: Vec<_> = session.annotations.iter().take(story.limits.rows).collect();
    if calls.is_empty() && reports.is_empty() {
        return Ok(());
    }
    let lasted = session.lasted_ms();
    // No call lasts longer than the session, whatever an event says.
    let until = |call: &Call| {
        let took = call.took_ms.or((call.end == End::Open).then_some(u64::MAX)).unwrap_or(0);
        call.at_ms.saturating_add(took).min(lasted).max(call.at_ms)
    };
    let axis = Axis::of(calls.iter().map(|call| (call.at_ms, until(call))).collect(), lasted);

    out.write_str("<section aria-labelledby=\"timeline\"><h2 id=\"timeline\">Timeline</h2>\n")?;
    legend(out)?;
    out.write_str("<div class=\"timeline\">\n")?;
    for lane in lanes(calls) {
        let count = lane.calls.len();
        let name = Text(lane.name);
        let bad = lane.calls.iter().filter(|call| call.end != End::Succeeded).count();
        writeln!(
            out,
            "<div class=\"lane\"><p class=\"lane-name\"><bdi>{name}</bdi> <span>{count}</span></p>\
             <svg role=\"img\" aria-label=\"{name}: {count} calls, {bad} of them without success\" \
             width=\"100%\" height=\"22\">"
        )?;
        pauses(out, &axis)?;
        for call in lane.calls {
            bar(out, call, &axis, until(call))?;
        }
        out.write_str("</svg></div>\n")?;
    }
    if !reports.is_empty() {
        said(out, &reports, story, &axis)?;
    }
    scale(out, &axis)?;
    out.write_str("</div>\n")?;
    let more = session.calls.len() - calls.len();
    if more > 0 {
        writeln!(out, "<p class=\"quiet\">And {more} more calls, which are not drawn.</p>")?;
    }
    if !axis.pauses.is_empty() {
        out.write_str(
            "<p class=\"quiet\">Shaded: pauses without a call, drawn shorter than they were.</p>\n",
        )?;
    }
    out.write_str("</section>\n")
}

fn legend(out: &mut String) -> fmt::Result {
    out.write_str("<ul class=\"legend\" aria-label=\"Legend\">")?;
    for (end, word) in [
        (End::Succeeded, "ok"),
        (End::Failed, "error"),
        (End::Refused, "refused"),
        (End::Open, "no answer"),
    ] {
        write!(out, "<li><svg width=\"22\" height=\"22\" aria-hidden=\"true\">")?;
        rect(out, end, 4.0, 14.0, "")?;
        write!(out, "</rect></svg> {word}</li>")?;
    }
    out.write_str("</ul>\n")
}

/// In the order of the first call; what is beyond [`LANES`] shares the last one.
fn lanes(calls: &[Call]) -> Vec<Lane<'_>> {
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    let mut others = Vec::new();
    for call in calls {
        match lanes.iter().position(|lane| lane.name == call.tool) {
            Some(place) => lanes[place].calls.push(call),
            None if lanes.len() < LANES => {
                lanes.push(Lane { name: &call.tool, calls: vec![call] });
            }
            None => others.push(call),
        }
    }
    if !others.is_empty() {
        lanes.push(Lane { name: "other tools", calls: others });
    }
    lanes
}

/// Opens a bar; its title and its end are the caller's. `unit` is `%`, or empty for pixels.
fn rect(out: &mut String, end: End, x: f64, width: f64, unit: &str) -> fmt::Result {
    let (class, y, height) = match end {
        End::Succeeded => ("ok", 5, 12),
        End::Failed => ("error", 1, 20),
        End::Refused => ("refused", 3, 16),
        End::Cancelled | End::Unanswered | End::Open => ("unanswered", 8, 6),
    };
    write!(
        out,
        "<rect class=\"{class}\" x=\"{x:.3}{unit}\" y=\"{y}\" width=\"{width:.3}{unit}\" \
         height=\"{height}\" rx=\"2\">"
    )
}

fn bar(out: &mut String, call: &Call, axis: &Axis, until: u64) -> fmt::Result {
    let from = axis.place(call.at_ms);
    let width = (axis.place(until) - from).max(NARROWEST);
    let x = from.min(100.0 - width);
    let number = call.sequence;
    write!(out, "<a href=\"#call-{number}\" tabindex=\"-1\">")?;
    rect(out, call.end, x, width, "%")?;
    write!(
        out,
        "<title>{}: {} at {}, {}",
        Text(&cut(&call.tool, 60)),
        call.end.word(),
        offset(call.at_ms),
        took(call.took_ms)
    )?;
    if let Some(error) = &call.error_body {
        write!(out, "\n{}", Text(&error.shown(120)))?;
    }
    writeln!(out, "</title></rect></a>")
}

/// A lane for what the agent said.
fn said(
    out: &mut String,
    annotations: &[&Annotation],
    story: &Story<'_>,
    axis: &Axis,
) -> fmt::Result {
    let count = annotations.len();
    write!(
        out,
        "<div class=\"lane\"><p class=\"lane-name said\">the agent said <span>{count}</span></p>\
         <svg role=\"img\" aria-label=\"the agent reported or noted something {count} times\" \
         width=\"100%\" height=\"22\">"
    )?;
    pauses(out, axis)?;
    let began = story.session.window.map(|(first, _)| first);
    for annotation in annotations {
        let at = annotation.at.zip(began).map_or(0, |(at, began)| since(began, at));
        let class = if annotation.is_report() { "report" } else { "note" };
        let text = annotation.what_happened.as_ref().or(annotation.intent.as_ref());
        let text = text.map(|text| text.shown(120)).unwrap_or_default();
        writeln!(
            out,
            "<circle class=\"{class}\" cx=\"{:.3}%\" cy=\"11\" r=\"5\"><title>{class} at {}\n{}</title></circle>",
            axis.place(at).clamp(1.0, 99.0),
            offset(at),
            Text(&text)
        )?;
    }
    out.write_str("</svg></div>\n")
}

fn pauses(out: &mut String, axis: &Axis) -> fmt::Result {
    for (from, to) in &axis.pauses {
        let x = axis.place(*from);
        write!(
            out,
            "<rect class=\"pause\" x=\"{x:.3}%\" y=\"0\" width=\"{:.3}%\" height=\"22\">\
             <title>no call for {}</title></rect>",
            axis.place(*to) - x,
            duration(to - from)
        )?;
    }
    Ok(())
}

/// The times at even distances.
fn scale(out: &mut String, axis: &Axis) -> fmt::Result {
    out.write_str(
        "<div class=\"lane scale\"><p class=\"lane-name\"></p>\
         <svg width=\"100%\" height=\"22\" aria-hidden=\"true\">",
    )?;
    for tick in 0..=TICKS {
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let x = 100 * tick / TICKS;
        write!(
            out,
            "<line x1=\"{x}%\" x2=\"{x}%\" y1=\"0\" y2=\"5\"/>\
             <text x=\"{x}%\" y=\"18\" text-anchor=\"{anchor}\"{}>{}</text>",
            if tick % 2 == 1 { " class=\"minor\"" } else { "" },
            offset(axis.moment(100 * tick / TICKS))
        )?;
    }
    out.write_str("</svg></div>\n")
}

fn offset(ms: u64) -> String {
    format!("+{}", duration(ms))
}
