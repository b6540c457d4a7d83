//! The page around the timeline: header, findings, tables.

use std::fmt::{self, Write as _};

use jiff::Timestamp;

use super::{STYLE, Text, policy, timeline, took};
use crate::friction::report::detect::End;
use crate::friction::report::finding::{Evidence, Finding, Subject};
use crate::friction::report::session::{Call, Software};
use crate::friction::report::story::Story;
use crate::friction::report::text::{Excerpt, duration};

/// Writes the whole page.
pub(super) fn write(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let session = story.session;
    let title = session.vendor.as_deref().unwrap_or(&session.id);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>Session report: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        policy(),
        Text(title)
    )?;
    header(out, story)?;
    out.write_str("<main>\n")?;
    timeline::write(out, story)?;
    findings(out, story)?;
    tools(out, story)?;
    refusals(out, story)?;
    requests(out, story)?;
    notes(out, story)?;
    calls(out, story)?;
    out.write_str("</main>\n")?;
    footer(out, story)?;
    out.write_str("</body>\n</html>\n")
}

fn header(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let (session, total) = (story.session, story.total);
    out.write_str("<header>\n<p class=\"kicker\">Session report</p>\n")?;
    let title = session.vendor.as_deref().unwrap_or("a server without a label");
    writeln!(out, "<h1><bdi>{}</bdi></h1>", Text(title))?;
    if let Some((first, last)) = session.window {
        writeln!(
            out,
            "<p class=\"window\"><time datetime=\"{first}\">{}</time> to \
             <time datetime=\"{last}\">{}</time> · {}</p>",
            moment(first),
            moment(last),
            duration(session.lasted_ms())
        )?;
    }
    out.write_str("<ul class=\"figures\">")?;
    for (class, count, one, many) in [
        ("calls", total.calls, "call", "calls"),
        ("ok", total.succeeded, "ok", "ok"),
        ("error", total.errors, "error", "errors"),
        ("refused", total.refusals, "refused", "refused"),
        ("unanswered", total.unanswered, "no answer", "no answer"),
        ("found", story.findings.len() + story.more_findings, "finding", "findings"),
    ] {
        let quiet = if count == 0 { " zero" } else { "" };
        let word = if count == 1 { one } else { many };
        write!(out, "<li class=\"{class}{quiet}\"><strong>{count}</strong> {word}</li>")?;
    }
    out.write_str("</ul>\n<dl class=\"facts\">\n")?;
    let surface = session.surface.as_ref();
    fact(out, "Session", Some(&session.id))?;
    fact(out, "Client", session.client.as_ref().map(named).as_deref())?;
    fact(out, "Agent", session.runtime.as_deref())?;
    let server = surface.and_then(|surface| surface.server.as_ref()).map(named);
    fact(out, "Server", server.as_deref())?;
    if let Some(surface) = surface {
        let changes = match session.surfaces {
            0 | 1 => String::new(),
            more => format!(", changed {} times", more - 1),
        };
        writeln!(out, "<dt>Offer</dt><dd>{} tools{changes}</dd>", surface.tools)?;
        fact(out, "Offer's hash", Some(&surface.hash))?;
    }
    fact(out, "Tenant", session.tenant.as_deref())?;
    if !session.scrubbed.is_empty() {
        out.write_str("<dt>Scrubbed</dt><dd>")?;
        for (category, count) in &session.scrubbed {
            write!(out, "<span class=\"tag\">{} {count}</span> ", Text(category))?;
        }
        out.write_str("</dd>\n")?;
    }
    out.write_str("</dl>\n</header>\n")
}

fn fact(out: &mut String, name: &str, text: Option<&str>) -> fmt::Result {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => writeln!(out, "<dt>{name}</dt><dd><bdi>{}</bdi></dd>", Text(text)),
        None => Ok(()),
    }
}

fn findings(out: &mut String, story: &Story<'_>) -> fmt::Result {
    out.write_str("<section aria-labelledby=\"findings\"><h2 id=\"findings\">Findings</h2>\n")?;
    if story.findings.is_empty() {
        out.write_str("<p>None: nothing got in the agent's way that can be seen.</p>\n")?;
    }
    for finding in &story.findings {
        let priority = finding.priority.word();
        write!(
            out,
            "<article class=\"finding {priority}\"><h3>{}{}</h3>\n<p class=\"tags\">\
             <span class=\"tag priority\">{priority}</span> <span class=\"tag\">{}</span>",
            finding.signal.word().replace('_', " "),
            subject(&finding.subject),
            finding.source.word()
        )?;
        if finding.count > 1 {
            write!(out, " <span class=\"tag\">{} times</span>", finding.count)?;
        }
        if let Some(error_type) = &finding.error_type {
            write!(out, " <span class=\"tag\">error <code>{}</code></span>", Text(error_type))?;
        }
        out.write_str("</p>\n<dl>\n")?;
        for (label, text) in [
            ("Goal", &finding.intent),
            ("Expected", &finding.expected),
            ("What happened", &finding.what_happened),
            ("Agent's suggestion", &finding.improvement),
        ] {
            if let Some(text) = text {
                writeln!(out, "<dt>{label}</dt><dd><bdi>{}</bdi></dd>", said(text, story))?;
            }
        }
        for (name, text) in &finding.context {
            let (name, text) = (Text(name), said(text, story));
            writeln!(out, "<dt><bdi>{name}</bdi></dt><dd><bdi>{text}</bdi></dd>")?;
        }
        writeln!(out, "<dt>Suggested fix</dt><dd class=\"fix\">{}</dd>\n</dl>", finding.advice)?;
        evidence(out, finding, story)?;
        out.write_str("</article>\n")?;
    }
    more(out, story.more_findings, "findings")?;
    out.write_str("</section>\n")
}

fn evidence(out: &mut String, finding: &Finding, story: &Story<'_>) -> fmt::Result {
    out.write_str("<h4>Evidence</h4>\n<ol class=\"evidence\">\n")?;
    for Evidence { sequence, at, took_ms, end, error_type, text, params, .. } in &finding.evidence {
        write!(out, "<li><span class=\"where\">event {sequence}")?;
        if let Some(at) = at {
            write!(out, " · {}", clock(*at))?;
        }
        match end {
            Some(end) => write!(out, " · <b class=\"{}\">{}</b>", class(*end), end.word())?,
            None => out.write_str(" · the agent's report")?,
        }
        if let Some(error_type) = error_type {
            write!(out, " <code>{}</code>", Text(error_type))?;
        }
        if let Some(took_ms) = took_ms {
            write!(out, " · {}", duration(*took_ms))?;
        }
        out.write_str("</span>")?;
        if let Some(text) = text {
            write!(out, "<p><bdi>{}</bdi></p>", said(text, story))?;
        }
        if let Some(params) = params {
            write!(out, "<pre><bdi>{}</bdi></pre>", said(params, story))?;
        }
        out.write_str("</li>\n")?;
    }
    out.write_str("</ol>\n")?;
    match finding.count.saturating_sub(finding.evidence.len()) {
        0 => Ok(()),
        earlier => writeln!(out, "<p class=\"quiet\">And {earlier} earlier.</p>"),
    }
}

fn tools(out: &mut String, story: &Story<'_>) -> fmt::Result {
    out.write_str("<section aria-labelledby=\"tools\"><h2 id=\"tools\">Tools</h2>\n")?;
    if story.tools.is_empty() {
        return out.write_str("<p>No tool was called.</p></section>\n");
    }
    let titles = ["Tool", "Calls", "Errors", "Refused", "No answer", "p50", "p95", "Max"];
    table(out, &titles)?;
    for tool in &story.tools {
        let counts = tool.counts;
        write!(out, "<tr><th scope=\"row\"><bdi>{}</bdi></th>", Text(tool.name))?;
        for (title, count, class) in [
            ("Calls", counts.calls, ""),
            ("Errors", counts.errors, "error"),
            ("Refused", counts.refusals, "refused"),
            ("No answer", counts.unanswered, "unanswered"),
        ] {
            let class = if count == 0 { "zero" } else { class };
            write!(out, "<td data-title=\"{title}\" class=\"number {class}\">{count}</td>")?;
        }
        let times = tool.took;
        for (title, ms) in [
            ("p50", times.map(|took| took.p50)),
            ("p95", times.map(|took| took.p95)),
            ("Max", times.map(|took| took.max)),
        ] {
            write!(out, "<td data-title=\"{title}\" class=\"number\">{}</td>", took(ms))?;
        }
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody></table>\n")?;
    more(out, story.more_tools, "tools")?;
    out.write_str("</section>\n")
}

fn refusals(out: &mut String, story: &Story<'_>) -> fmt::Result {
    if story.refusals.is_empty() {
        return Ok(());
    }
    out.write_str("<section aria-labelledby=\"refused\"><h2 id=\"refused\">Refused calls</h2>\n")?;
    table(out, &["Tool", "Calls", "Decision", "Rules", "Why"])?;
    for refusal in &story.refusals {
        let code = refusal
            .reason_code
            .map_or(String::new(), |code| format!(" <code>{}</code>", Text(code)));
        let why = refusal.reason.as_ref().map(|reason| said(reason, story)).unwrap_or_default();
        let rules: Vec<_> =
            refusal.rule_ids.iter().map(|rule| format!("<code>{}</code>", Text(rule))).collect();
        let rules = if rules.is_empty() { "–".to_owned() } else { rules.join(" ") };
        writeln!(
            out,
            "<tr><th scope=\"row\"><bdi>{}</bdi></th>\
             <td data-title=\"Calls\" class=\"number\"><a href=\"#call-{}\">{}</a></td>\
             <td data-title=\"Decision\">{}</td><td data-title=\"Rules\">{rules}</td>\
             <td data-title=\"Why\"><bdi>{why}</bdi>{code}</td></tr>",
            Text(refusal.tool),
            refusal.first,
            refusal.count,
            Text(refusal.decision),
        )?;
    }
    out.write_str("</tbody></table>\n")?;
    more(out, story.more_refusals, "reasons")?;
    out.write_str("</section>\n")
}

fn requests(out: &mut String, story: &Story<'_>) -> fmt::Result {
    if story.requests.is_empty() {
        return Ok(());
    }
    out.write_str("<section aria-labelledby=\"other\"><h2 id=\"other\">Other requests</h2>\n")?;
    table(out, &["Method", "Requests", "Errors"])?;
    for (method, count, errors) in &story.requests {
        let class = if *errors == 0 { "zero" } else { "error" };
        writeln!(
            out,
            "<tr><th scope=\"row\">{method}</th>\
             <td data-title=\"Requests\" class=\"number\">{count}</td>\
             <td data-title=\"Errors\" class=\"number {class}\">{errors}</td></tr>"
        )?;
    }
    out.write_str("</tbody></table></section>\n")
}

fn notes(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let notes = || story.session.annotations.iter().filter(|note| !note.is_report());
    if notes().next().is_none() {
        return Ok(());
    }
    out.write_str(
        "<section aria-labelledby=\"notes\"><h2 id=\"notes\">What the agent noted</h2>\n<ol class=\"evidence\">\n",
    )?;
    for note in notes().take(story.limits.rows) {
        write!(out, "<li><span class=\"where\">event {}", note.sequence)?;
        if let Some(workflow) = &note.workflow {
            write!(out, " · <bdi>{}</bdi>", said(workflow, story))?;
        }
        out.write_str("</span>")?;
        for (label, text) in [("", &note.intent), ("Expects: ", &note.expected)] {
            if let Some(text) = text {
                write!(out, "<p>{label}<bdi>{}</bdi></p>", said(text, story))?;
            }
        }
        out.write_str("</li>\n")?;
    }
    out.write_str("</ol>\n")?;
    more(out, notes().count().saturating_sub(story.limits.rows), "notes")?;
    out.write_str("</section>\n")
}

fn calls(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let calls = &story.session.calls;
    if calls.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section aria-labelledby=\"calls\"><h2 id=\"calls\">All calls</h2>\n\
         <details><summary>{} calls, one by one</summary>",
        calls.len()
    )?;
    table(out, &["Event", "Time (UTC)", "Tool", "Outcome", "Took", "Details"])?;
    for call in calls.iter().take(story.limits.calls) {
        row(out, call, story)?;
    }
    out.write_str("</tbody></table>\n")?;
    more(out, calls.len().saturating_sub(story.limits.calls), "calls")?;
    out.write_str("</details></section>\n")
}

fn row(out: &mut String, call: &Call, story: &Story<'_>) -> fmt::Result {
    let sequence = call.sequence;
    write!(
        out,
        "<tr id=\"call-{sequence}\"><td data-title=\"Event\" class=\"number\">{sequence}</td>\
         <td data-title=\"Time\">{}</td><th scope=\"row\" data-title=\"Tool\"><bdi>{}</bdi></th>\
         <td data-title=\"Outcome\"><b class=\"{}\">{}</b>",
        call.at.map_or("–".to_owned(), clock),
        Text(&call.tool),
        class(call.end),
        call.end.word()
    )?;
    if let Some(error_type) = &call.error_type {
        write!(out, " <code>{}</code>", Text(error_type))?;
    }
    write!(
        out,
        "</td><td data-title=\"Took\" class=\"number\">{}</td><td data-title=\"Details\">",
        took(call.took_ms)
    )?;
    for text in [&call.intent, &call.error_body].into_iter().flatten() {
        write!(out, "<p><bdi>{}</bdi></p>", said(text, story))?;
    }
    if let Some(params) = &call.params {
        write!(out, "<pre><bdi>{}</bdi></pre>", said(params, story))?;
    }
    out.write_str("</td></tr>\n")
}

fn footer(out: &mut String, story: &Story<'_>) -> fmt::Result {
    let session = story.session;
    let reading = session.reading;
    out.write_str("<footer><p>")?;
    write!(out, "Made by thoth {} from {} events", env!("CARGO_PKG_VERSION"), reading.events)?;
    for (count, what) in [
        (reading.duplicates, "repeated"),
        (reading.malformed, "lines that are no event"),
        (reading.left_out, "beyond what is read"),
        (usize::try_from(reading.missing).unwrap_or(usize::MAX), "missing"),
    ] {
        if count > 0 {
            write!(out, ", {count} {what}")?;
        }
    }
    if let Some(software) = &session.software {
        write!(out, ", told by <bdi>{}</bdi>", Text(software))?;
    }
    out.write_str(
        ". Names, arguments, errors and goals are the session's own words, scrubbed before they were \
         written, and cut. This page fetches nothing and runs no script.</p></footer>\n",
    )
}

/// Opens a table, up to its body.
fn table(out: &mut String, titles: &[&str]) -> fmt::Result {
    out.write_str("<table><thead><tr>")?;
    for title in titles {
        write!(out, "<th scope=\"col\">{title}</th>")?;
    }
    out.write_str("</tr></thead><tbody>\n")
}

fn more(out: &mut String, more: usize, what: &str) -> fmt::Result {
    match more {
        0 => Ok(()),
        more => writeln!(out, "<p class=\"quiet\">And {more} more {what}.</p>"),
    }
}

/// A finding's subject, behind its signal.
fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Tool(tool) => format!(": <bdi><code>{}</code></bdi>", Text(tool)),
        Subject::Request(method, name) => {
            format!(": {method} <bdi><code>{}</code></bdi>", Text(name))
        }
        Subject::Session => String::new(),
    }
}

fn class(end: End) -> &'static str {
    match end {
        End::Succeeded => "ok",
        End::Failed => "error",
        End::Refused => "refused",
        End::Cancelled | End::Unanswered | End::Open => "unanswered",
    }
}

fn said(text: &Excerpt, story: &Story<'_>) -> String {
    Text(&text.shown(story.limits.excerpt)).to_string()
}

fn named(software: &Software) -> String {
    format!("{} {}", software.name, software.version).trim_end().to_owned()
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S.%3f").to_string()
}
