//! What machines send: registrations and check-ins, read and cut to bounds. Pure.
//!
//! `docs/govapi.md` describes both. Other clients of the GovAPI register machines, too, and know more
//! of them (a department) or less: what is not said leaves what is known as it is.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::server::Fault;

/// The longest text of one member, in characters; a longer one is cut.
const LONGEST: usize = 256;
/// How many agents a machine can have.
const MOST_AGENTS: usize = 256;
/// How many journals one check-in can tell of.
const MOST_JOURNALS: usize = 2048;
/// The longest report that is kept, in bytes; of a longer one only its length is.
const LONGEST_REPORT: usize = 32 * 1024;

/// A registration, and the part of a check-in that is one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    endpoint_id: Option<String>,
    hostname: Option<String>,
    employee_name: Option<String>,
    employee_email: Option<String>,
    department: Option<String>,
    os: Option<String>,
    os_version: Option<String>,
    enrollment: Option<String>,
    status: Option<String>,
    enforcement_mode: Option<String>,
    environment: Option<String>,
    proxy_version: Option<String>,
    fleet_id: Option<String>,
    provider: Option<String>,
    risk_score: Option<f64>,
    violations_today: Option<u64>,
    sessions_today: Option<u64>,
    agent_ids: Option<Vec<String>>,
}

/// The part of a check-in that is none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    checked_in_at: Option<Box<RawValue>>,
    health: Option<String>,
    quarantined: bool,
    config_drifted: bool,
    servers: Option<Box<RawValue>>,
    policies: Option<Box<RawValue>>,
    credentials: Option<Box<RawValue>>,
    decisions: Option<Box<RawValue>>,
    sidecars: Option<Box<RawValue>>,
    journals: Vec<SaidHead>,
}

#[derive(Debug, Deserialize)]
struct SaidHead {
    session_id: String,
    #[serde(default)]
    agent_id: String,
    #[serde(default)]
    is_over: bool,
    records: u64,
    head: String,
}

/// The name of an endpoint: 1 to 128 letters, digits, hyphens, underscores, dots and colons.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointId(String);

/// What a machine is. `None`: not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its name in the network.
    pub hostname: Option<String>,
    /// Who works there.
    pub employee_email: Option<String>,
    /// The fleet it belongs to.
    pub fleet_id: Option<String>,
    /// `dev`, `staging` or `prod`.
    pub environment: Option<String>,
    /// `jamf`, `intune`, `manual` or `unmanaged`.
    pub enrollment: Option<String>,
    /// The version of thoth.
    pub proxy_version: Option<String>,
    /// What machines say of themselves: system, mode, agents. Empty: nothing.
    pub details: Map<String, Value>,
    /// What people say of machines: department, risk. Empty: nothing.
    pub labels: Map<String, Value>,
}

/// A registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// What the machine is called.
    pub endpoint_id: EndpointId,
    /// What it is.
    pub facts: Facts,
}

/// A check-in.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckIn {
    /// What the machine is.
    pub facts: Facts,
    /// Whether it goes on reporting.
    pub is_stopping: bool,
    /// `healthy`, `degraded` or `unhealthy`, or nothing.
    pub health: String,
    /// Whether it says that it is not governed as it should be.
    pub config_drifted: bool,
    /// Whether it says that it blocks every call.
    pub blocks_calls: bool,
    /// All else that it says: the text of one JSON object.
    pub report: String,
    /// Where its journals stand.
    pub journals: Vec<Head>,
}

/// Where one journal stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// The session.
    pub session_id: String,
    /// Its agent.
    pub agent_id: String,
    /// How many records it has.
    pub records: i64,
    /// The seal of the last one.
    pub head: String,
    /// Whether this is its end.
    pub is_over: bool,
}

/// Reads a request's body.
///
/// # Errors
///
/// 400, with the place and nothing of the text.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "is not what is asked for here" } else { "is no JSON" };
        Fault::malformed(format!("the body {what}: line {line}, column {column}"))
    })
}

// === impl EndpointId ===

impl EndpointId {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// 400
    pub fn parse(name: &str) -> Result<Self, Fault> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if (1..=128).contains(&name.len()) && name.bytes().all(is_plain) {
            Ok(Self(name.to_owned()))
        } else {
            let what = "1 to 128 letters, digits, hyphens, underscores, dots and colons";
            Err(Fault::malformed(format!("an endpoint_id is {what}")))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Registration ===

impl Registration {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// 400
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let said: Said = read(body)?;
        let id = said.endpoint_id.as_deref().unwrap_or_default().trim();
        let endpoint_id = EndpointId::parse(id)?;
        let facts = said.facts();
        if facts.hostname.is_none() {
            return Err(Fault::malformed("a registration needs a hostname"));
        }
        Ok(Self { endpoint_id, facts })
    }
}

// === impl CheckIn ===

impl CheckIn {
    /// Reads the body of a check-in of this endpoint. No body at all is a sign of life.
    ///
    /// # Errors
    ///
    /// 400
    pub fn read(id: &EndpointId, body: &[u8]) -> Result<Self, Fault> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let (said, told): (Said, Told) = (read(body)?, read(body)?);
        if said.endpoint_id.as_deref().is_some_and(|said| said != id.as_str()) {
            return Err(Fault::malformed("the body names another endpoint than the path"));
        }
        if told.journals.len() > MOST_JOURNALS {
            let most = format!("a check-in tells of {MOST_JOURNALS} journals at most");
            return Err(Fault::malformed(most));
        }
        let journals: Option<_> = told.journals.iter().map(SaidHead::head).collect();
        let malformed = || Fault::malformed("a journal's head cannot be that long");
        Ok(Self {
            is_stopping: said.status.as_deref() == Some("stopping"),
            facts: said.facts(),
            health: told.health.as_deref().map(line).unwrap_or_default(),
            config_drifted: told.config_drifted,
            blocks_calls: told.quarantined,
            report: told.report(),
            journals: journals.ok_or_else(malformed)?,
        })
    }
}

// === impl Told ===

impl Told {
    fn report(&self) -> String {
        let members = [
            ("checked_in_at", &self.checked_in_at),
            ("servers", &self.servers),
            ("policies", &self.policies),
            ("credentials", &self.credentials),
            ("decisions", &self.decisions),
            ("sidecars", &self.sidecars),
        ];
        let said: Vec<_> = members
            .into_iter()
            .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value.as_ref()?)))
            .collect();
        let report = format!("{{{}}}", said.join(","));
        if report.len() > LONGEST_REPORT {
            return format!("{{\"left_out_bytes\":{}}}", report.len());
        }
        report
    }
}

// === impl SaidHead ===

impl SaidHead {
    fn head(&self) -> Option<Head> {
        let is_short = [&self.session_id, &self.head].into_iter().all(|text| text.len() <= 128);
        is_short.then_some(())?;
        Some(Head {
            session_id: line(&self.session_id),
            agent_id: line(&self.agent_id),
            records: self.records.try_into().ok()?,
            head: line(&self.head),
            is_over: self.is_over,
        })
    }
}

// === impl Said ===

impl Said {
    fn facts(self) -> Facts {
        let agents = self.agent_ids.map(|agents| {
            agents.iter().take(MOST_AGENTS).map(|agent| Value::from(line(agent))).collect()
        });
        let text = |text| known(text).map(Value::from);
        let details = object([
            ("os", text(self.os)),
            ("os_version", text(self.os_version)),
            ("enforcement_mode", text(self.enforcement_mode)),
            ("agent_ids", agents.map(Value::Array)),
        ]);
        let labels = object([
            ("employee_name", text(self.employee_name)),
            ("department", text(self.department)),
            ("provider", text(self.provider)),
            ("risk_score", self.risk_score.map(Value::from)),
            ("violations_today", self.violations_today.map(Value::from)),
            ("sessions_today", self.sessions_today.map(Value::from)),
        ]);
        Facts {
            hostname: known(self.hostname),
            employee_email: known(self.employee_email),
            fleet_id: known(self.fleet_id),
            environment: known(self.environment),
            enrollment: known(self.enrollment),
            proxy_version: known(self.proxy_version),
            details,
            labels,
        }
    }
}

/// The members that are known.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let known = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
    members.into_iter().filter_map(known).collect()
}

fn known(text: Option<String>) -> Option<String> {
    text.map(|text| line(&text)).filter(|text| !text.is_empty())
}

/// One line that drives no terminal, cut to [`LONGEST`].
pub(in crate::server) fn line(text: &str) -> String {
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let text: String = text.chars().take(LONGEST).map(plain).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_registration_needs_two_names() {
        for (body, read) in [
            (r#"{"endpoint_id": "mac-7", "hostname": "mac"}"#, true),
            (r#"{"endpoint_id": "mac-7"}"#, false),
            (r#"{"endpoint_id": "mac-7", "hostname": " "}"#, false),
            (r#"{"hostname": "mac"}"#, false),
            (r#"{"endpoint_id": "a/b", "hostname": "mac"}"#, false),
            (r#"{"endpoint_id": "mac-7", "hostname": 7}"#, false),
            (r#"{"endpoint_id": "mac-7", "hostname": "mac", "agent_ids": "a"}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(Registration::read(body.as_bytes()).is_ok(), read, "{body}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let id = EndpointId::parse("mac-7").unwrap();
        let bare = CheckIn::read(&id, b"").unwrap();
        assert_eq!(bare.facts, Facts::default());
        assert_eq!((bare.report.as_str(), bare.is_stopping), ("{}", false));

        let long = "x".repeat(LONGEST + 1);
        let body = json!({
            "endpoint_id": "mac-7", "department": "a\u{1b}[2Jb", "os": long, "agent_ids": ["a"],
            "status": "stopping", "sidecars": 2, "servers": {"governed": []},
        });
        let said = CheckIn::read(&id, body.to_string().as_bytes()).unwrap();
        assert_eq!(said.facts.labels["department"], "a [2Jb");
        assert_eq!(said.facts.details["os"], long[1..]);
        assert_eq!(said.facts.details["agent_ids"], json!(["a"]));
        assert!(said.is_stopping);
        assert_eq!(said.report, r#"{"servers":{"governed":[]},"sidecars":2}"#);
    }

    #[test]
    fn a_check_in_is_bounded_and_its_own() {
        let id = EndpointId::parse("mac-7").unwrap();
        let other = CheckIn::read(&id, br#"{"endpoint_id": "mac-8"}"#);
        assert!(other.is_err());
        let long = json!({"servers": "x".repeat(LONGEST_REPORT)}).to_string();
        let cut = CheckIn::read(&id, long.as_bytes()).unwrap();
        assert_eq!(cut.report, format!("{{\"left_out_bytes\":{}}}", long.len()));
        let head = json!({"session_id": "s", "records": 1, "head": "00"});
        let many = json!({"journals": vec![&head; MOST_JOURNALS + 1]}).to_string();
        assert!(CheckIn::read(&id, many.as_bytes()).is_err());
        for bad in [
            json!({"session_id": "s", "records": u64::MAX, "head": "00"}),
            json!({"session_id": "s", "records": 1, "head": "0".repeat(129)}),
            json!({"session_id": "s", "records": -1, "head": "00"}),
        ] {
            let body = json!({"journals": [bad]}).to_string();
            assert!(CheckIn::read(&id, body.as_bytes()).is_err(), "{body}");
        }
    }
}
