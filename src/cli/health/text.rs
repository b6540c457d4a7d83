//! A report for people.

use std::io::{self, Write};

use jiff::Timestamp;

use crate::cli::paint::Paint;
use crate::cli::printable::Printable;
use crate::credential::State;
use crate::health::Severity;
use crate::health::report::{Peer, Report};

/// Writes the report: what is wrong first, then what is.
pub(super) fn print(report: &Report, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let host = report.endpoint.hostname.as_deref().unwrap_or("a machine without a name");
    let status = paint.heading(report.status.word());
    writeln!(out, "thoth {} on {} is {status}", report.version, Printable(host))?;
    if !report.problems.is_empty() {
        writeln!(out, "\n{}", paint.heading("Problems"))?;
    }
    for problem in &report.problems {
        let mark = match problem.severity {
            Severity::Error => paint.wrong(),
            Severity::Warning => paint.doubtful(),
        };
        let code = problem.code.word();
        writeln!(out, "  {mark} {code:<24} {}", Printable(&problem.text))?;
        writeln!(out, "       fix: {}", Printable(&problem.fix))?;
    }
    writeln!(out, "\n{}", paint.heading("Machine"))?;
    for (name, value) in rows(report) {
        writeln!(out, "  {name:<14} {}", Printable(&value))?;
    }
    Ok(())
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let servers = format!("{} governed, {} not", report.governed, report.ungoverned);
    let policies = report.policy.iter().map(|policy| {
        let source = policy.source.as_deref().unwrap_or("unknown");
        format!("{} v{} ({source})", policy.id, policy.version)
    });
    let policies: Vec<_> = policies.collect();
    let sidecars: Vec<_> = report.sidecars.iter().map(|sidecar| &*sidecar.agent_id).collect();
    vec![
        ("environment", report.environment.to_owned()),
        ("endpoint", endpoint(report)),
        ("servers", servers),
        ("sidecars", or_none(&sidecars.join(", "))),
        ("policy", or_none(&policies.join(", "))),
        ("enforcer", peer(report.enforcer.as_ref())),
        ("key", key(report)),
        ("GovAPI", govapi(report)),
        ("friction", report.friction.in_words()),
        ("managed file", managed(report)),
    ]
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.to_owned() }
}

fn endpoint(report: &Report) -> String {
    let endpoint = &report.endpoint;
    let enrollment = endpoint.enrollment.as_deref();
    let enrollment = enrollment.map(|word| format!(" ({word})")).unwrap_or_default();
    format!("{}{enrollment}", endpoint.id.as_deref().unwrap_or("unnamed"))
}

fn key(report: &Report) -> String {
    let Some(key) = &report.api_key else {
        return "none".to_owned();
    };
    let named = key.key_id.as_deref().unwrap_or("without a name");
    let fingerprint = key.fingerprint.as_deref().unwrap_or("not read");
    let state = key.state.map_or("not known yet", State::word);
    format!("{named}, from {} ({fingerprint}): {}", key.source, state)
}

fn govapi(report: &Report) -> String {
    let registered = match report.registration_ok {
        Some(true) => "registered",
        Some(false) => "not registered",
        None => "never registered",
    };
    let seen = report.last_check_in.map(|at| format!(", last check-in {}", to_the_second(at)));
    match &report.govapi {
        None if report.registration_ok.is_none() => "none".to_owned(),
        told => format!("{}, {registered}{}", peer(told.as_ref()), seen.unwrap_or_default()),
    }
}

fn managed(report: &Report) -> String {
    match &report.managed {
        None => "none".to_owned(),
        Some(managed) if !managed.present => format!("{} is not there", managed.path),
        Some(managed) if managed.locked.is_empty() => format!("{}, nothing locked", managed.path),
        Some(managed) => format!("{}, locked: {}", managed.path, managed.locked.join(", ")),
    }
}

/// A peer in one line.
pub(in crate::cli) fn peer(peer: Option<&Peer>) -> String {
    let Some(peer) = peer else {
        return "none".to_owned();
    };
    let mut told = vec![peer.url.clone()];
    told.extend(peer.reachable.map(|reachable| match (reachable, peer.latency_ms) {
        (true, Some(latency)) => format!("reached in {latency:.1} ms"),
        (true, None) => "reached".to_owned(),
        (false, _) => "not reached".to_owned(),
    }));
    told.extend(peer.pin_ok.map(|is_ok| {
        let word = if is_ok { "trusted" } else { "NOT trusted" };
        format!("certificate {word}")
    }));
    told.extend(peer.certificate_expires_at.map(|at| format!("until {}", to_the_second(at))));
    told.join(", ")
}

/// A time that people read.
pub(in crate::cli) fn to_the_second(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => text,
    }
}
