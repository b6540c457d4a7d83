//! The report as the two MDMs read it: one line each.

use serde_json::json;

use super::problem::Code;
use super::report::{Report, Status};
use crate::credential::State;

/// What a Jamf Pro extension attribute stores: `<result>healthy</result>`, or
/// `<result>unhealthy: pin_mismatch, config_drifted</result>`, the codes in the order of
/// `docs/health.md`, each once. Made of fixed words only, none of which XML would read otherwise.
pub fn jamf(report: &Report) -> String {
    let codes = codes(report).join(", ");
    match report.status {
        Status::Healthy => "<result>healthy</result>".to_owned(),
        Status::Degraded | Status::Unhealthy => {
            format!("<result>{}: {codes}</result>", report.status.word())
        }
    }
}

/// What an Intune discovery script prints: one flat JSON object. Every key is there in every
/// state, with one type: a rule whose key is missing or `null` is an error at Intune, not an
/// answer.
pub fn intune(report: &Report) -> String {
    let mismatched = report.enforcer.as_ref().and_then(|enforcer| enforcer.pin_ok) == Some(false);
    json!({
        "ThothInstalled": true,
        "ThothVersion": release(report.version),
        "ThothStatus": report.status.word(),
        "ThothRegistered": report.registration_ok == Some(true),
        "ThothConfigDrifted": report.config_drifted,
        "ThothUngovernedServers": report.ungoverned,
        "ThothGovernedServers": report.governed,
        "ThothEnforcerPinOk": !mismatched,
        "ThothApiKeyState": key(report),
        "ThothEnvironment": report.environment,
        "ThothProblems": codes(report).join(", "),
    })
    .to_string()
}

/// Each code once.
fn codes(report: &Report) -> Vec<&'static str> {
    let mut codes: Vec<_> = report.problems.iter().map(|problem| problem.code).collect();
    codes.dedup(); // problems are in the order of their codes
    codes.into_iter().map(Code::word).collect()
}

/// The numbers alone: a version of .NET, as Intune compares them, has nothing else.
fn release(version: &str) -> &str {
    version.split(['-', '+']).next().unwrap_or_default()
}

fn key(report: &Report) -> &'static str {
    match &report.api_key {
        None => "none",
        Some(key) => key.state.map_or("unknown", State::word),
    }
}
