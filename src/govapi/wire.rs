//! The GovAPI's messages: what is sent, and the directives in what comes back.
//!
//! Registration has the members of the public clients (`thoth-wire` §4); check-in and directives are thoth's
//! own, and `docs/govapi.md` describes them. An answer is read with suspicion: each member alone,
//! within bounds, and whatever is not understood is left out.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clients::coverage::{Coverage, Standing};
use crate::credential;
use crate::endpoint::sidecar::{Decisions, Policy, Sidecar};
use crate::endpoint::state::Directives;

/// How many names of revoked keys are remembered.
const MOST_KEYS: usize = 4096;
/// The longest name of a key, in bytes.
const LONGEST_KEY: usize = 256;
/// The longest reason of a quarantine, in characters: it stands in every refusal.
const LONGEST_REASON: usize = 300;
/// The longest demanded version, in bytes.
const LONGEST_VERSION: usize = 64;
/// The bounds of `heartbeat_interval_seconds`.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=86_400;

/// What this machine is: the body of a registration, and the first part of every check-in.
#[derive(Clone, Debug, Serialize)]
pub struct Registration {
    /// Its name; the same for ever.
    pub endpoint_id: String,
    /// Its name in the network.
    pub hostname: String,
    /// Who works there, where that is an e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_email: Option<String>,
    /// `macos`, `windows` or `linux`.
    pub os: &'static str,
    /// The system's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// `jamf`, `intune`, `manual` or `unmanaged`.
    pub enrollment: &'static str,
    /// How it is.
    pub status: Status,
    /// `enforce`, or `shadow` where any of its sidecars only observes.
    pub enforcement_mode: &'static str,
    /// `dev`, `staging` or `prod`.
    pub environment: &'static str,
    /// The version of thoth.
    pub proxy_version: &'static str,
    /// The fleet it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_id: Option<String>,
    /// The agents of its sidecars, each once.
    pub agent_ids: Vec<String>,
}

/// Whether this machine will go on reporting.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It will.
    Online,
    /// Its last sidecar ends.
    Stopping,
}

/// One check-in.
#[derive(Clone, Debug, Serialize)]
pub struct CheckIn {
    /// What this machine is.
    #[serde(flatten)]
    pub registration: Registration,
    /// When this was put together, by its own clock.
    pub checked_in_at: Timestamp,
    /// `healthy`, `degraded` or `unhealthy`.
    pub health: &'static str,
    /// Whether it blocks every call.
    pub quarantined: bool,
    /// Whether a server that could be governed is not, or is not as it should be.
    pub config_drifted: bool,
    /// The MCP servers of its clients.
    pub servers: Servers,
    /// The policies in force, each once.
    pub policies: Vec<Policy>,
    /// Where the journals of its sidecars stand, and those of sidecars that have ended since the last
    /// check-in.
    pub journals: Vec<JournalHead>,
    /// How the credentials of its sidecars stand. No secret is among them.
    pub credentials: Vec<credential::Standing>,
    /// What its running sidecars have decided so far.
    pub decisions: Decisions,
    /// How many sidecars run.
    pub sidecars: usize,
}

/// The MCP servers of a machine's clients: names only.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Servers {
    /// Whose calls thoth decides.
    pub governed: Vec<Server>,
    /// All others.
    pub ungoverned: Vec<Server>,
}

/// One entry of one client's configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// The client's word.
    pub client: &'static str,
    /// The entry's key. `None` for a file that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it stands.
    pub standing: Standing,
}

/// Where one journal stands: kept elsewhere, it shows later that nothing was cut off.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct JournalHead {
    /// The session.
    pub session_id: String,
    /// Its agent.
    pub agent_id: String,
    /// Whether the session is over, so that this is the journal's end.
    pub is_over: bool,
    /// How many records it has.
    pub records: u64,
    /// The seal of the last one, hexadecimal.
    pub head: String,
}

/// One part of a list of tools.
#[derive(Clone, Debug, Serialize)]
pub struct Inventory<'a> {
    /// The agent, which is the name of the wrapped server's entry.
    pub agent_id: &'a str,
    /// `thoth`.
    pub source: &'static str,
    /// At most 100.
    pub tools: &'a [super::tools::Tool],
}

/// What an answer orders.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Orders {
    /// Why, where a quarantine is imposed with a reason.
    quarantine: Order<Option<String>>,
    revoked_key_ids: Order<Vec<String>>,
    minimum_version: Order<String>,
    heartbeat_interval_seconds: Order<u32>,
}

/// One directive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Order<T> {
    /// Nothing was said about it that could be understood: what holds goes on to hold.
    #[default]
    Unsaid,
    /// It holds no longer.
    Lifted,
    /// It holds from now on.
    Given(T),
}

/// A body that is no answer of a GovAPI.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("its answer is not a JSON object")]
pub struct NotAnAnswer;

// === impl Servers ===

impl Servers {
    /// The names in what was found. Nothing else leaves the machine: no address, no argument.
    pub fn of(coverage: &Coverage) -> Self {
        let mut servers = Self::default();
        for file in &coverage.files {
            if file.unreadable.is_some() {
                let standing = Standing::Unreadable;
                servers.ungoverned.push(Server { client: file.client, name: None, standing });
            }
            for server in &file.servers {
                let name = Some(server.name.clone());
                let found = Server { client: file.client, name, standing: server.standing };
                if server.standing.is_governed() {
                    servers.governed.push(found);
                } else {
                    servers.ungoverned.push(found);
                }
            }
        }
        servers
    }
}

/// The mode of a machine in the words of the GovAPI: it enforces where all of its sidecars do.
pub fn enforcement_mode(sidecars: &[&Sidecar]) -> &'static str {
    let observes = |sidecar: &&Sidecar| sidecar.enforcement_mode == "observe";
    if sidecars.iter().any(observes) { "shadow" } else { "enforce" }
}

/// What all sidecars decided together.
pub fn decisions(sidecars: &[Sidecar]) -> Decisions {
    sidecars.iter().fold(Decisions::default(), |sum, sidecar| {
        let Decisions { allow, modify, block, step_up, defer } = sidecar.decisions;
        Decisions {
            allow: sum.allow.saturating_add(allow),
            modify: sum.modify.saturating_add(modify),
            block: sum.block.saturating_add(block),
            step_up: sum.step_up.saturating_add(step_up),
            defer: sum.defer.saturating_add(defer),
        }
    })
}

/// What one of several has, each once, in the order of the first.
pub fn each_once<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

// === impl Orders ===

impl Orders {
    /// The directives in an answer: in its member `directives`, or beside it; the same inside `data`.
    /// No body at all says nothing.
    ///
    /// # Errors
    ///
    /// [`NotAnAnswer`].
    pub fn read(body: &[u8]) -> Result<Self, NotAnAnswer> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Err(NotAnAnswer);
        };
        let within = |object: Option<&'_ Value>, name: &str| {
            object.and_then(|object| object.get(name)).and_then(Value::as_object).cloned()
        };
        let whole = Value::Object(body);
        let data = whole.get("data").cloned();
        let places: Vec<Map<String, Value>> = [
            within(Some(&whole), "directives"),
            whole.as_object().cloned(),
            within(data.as_ref(), "directives"),
            data.as_ref().and_then(Value::as_object).cloned(),
        ]
        .into_iter()
        .flatten()
        .collect();
        let member = |name: &str| places.iter().find_map(|place| place.get(name));
        Ok(Self {
            quarantine: Order::read(member("quarantine"), quarantine),
            revoked_key_ids: Order::read(member("revoked_key_ids"), revoked),
            minimum_version: Order::read(member("minimum_version"), version),
            heartbeat_interval_seconds: Order::read(member("heartbeat_interval_seconds"), interval),
        })
    }

    /// Does what is ordered; what an answer does not mention stays as it was.
    pub fn apply(self, directives: &mut Directives) {
        match self.quarantine {
            Order::Unsaid => {}
            Order::Lifted => {
                directives.quarantined = false;
                directives.quarantine_reason = None;
            }
            Order::Given(reason) => {
                directives.quarantined = true;
                directives.quarantine_reason = reason;
            }
        }
        let revoked = &mut directives.revoked_key_ids;
        *revoked = self.revoked_key_ids.after(Some(std::mem::take(revoked))).unwrap_or_default();
        let Directives { minimum_version, heartbeat_interval_seconds, .. } = directives;
        *minimum_version = self.minimum_version.after(minimum_version.take());
        *heartbeat_interval_seconds =
            self.heartbeat_interval_seconds.after(heartbeat_interval_seconds.take());
    }
}

// === impl Order ===

impl<T> Order<T> {
    fn read(value: Option<&Value>, read: impl FnOnce(&Value) -> Self) -> Self {
        match value {
            None => Self::Unsaid,
            Some(Value::Null) => Self::Lifted,
            Some(value) => read(value),
        }
    }

    /// What holds, where this held before.
    fn after(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Unsaid => before,
            Self::Lifted => None,
            Self::Given(now) => Some(now),
        }
    }
}

impl<T> From<Option<T>> for Order<T> {
    fn from(understood: Option<T>) -> Self {
        understood.map_or(Self::Unsaid, Self::Given)
    }
}

fn quarantine(value: &Value) -> Order<Option<String>> {
    let off = Some(&Value::Bool(false));
    match value {
        Value::Bool(true) => Order::Given(None),
        Value::Bool(false) => Order::Lifted,
        Value::Object(members) if members.get("active") == off => Order::Lifted,
        Value::Object(members) => {
            let reason = members.get("reason").and_then(Value::as_str).map(sentence);
            Order::Given(reason.filter(|reason| !reason.is_empty()))
        }
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => Order::Unsaid,
    }
}

/// One line that drives no terminal.
fn sentence(text: &str) -> String {
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let text: String = text.chars().take(LONGEST_REASON).map(plain).collect();
    text.trim().to_owned()
}

fn revoked(value: &Value) -> Order<Vec<String>> {
    let is_name = |name: &&str| (1..=LONGEST_KEY).contains(&name.len());
    let names = value.as_array().map(|all| {
        let names = all.iter().filter_map(Value::as_str).filter(is_name);
        names.take(MOST_KEYS).map(str::to_owned).collect()
    });
    names.into()
}

fn version(value: &Value) -> Order<String> {
    value.as_str().filter(|version| version.len() <= LONGEST_VERSION).map(sentence).into()
}

fn interval(value: &Value) -> Order<u32> {
    let seconds = value.as_u64().filter(|seconds| INTERVALS.contains(seconds));
    seconds.and_then(|seconds| u32::try_from(seconds).ok()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What holds after an answer, where this held before.
    fn after(before: &Directives, answer: &Value) -> Directives {
        let mut directives = before.clone();
        Orders::read(answer.to_string().as_bytes()).unwrap().apply(&mut directives);
        directives
    }

    fn quarantined(reason: Option<&str>) -> Directives {
        let quarantine_reason = reason.map(str::to_owned);
        Directives { quarantined: true, quarantine_reason, ..Directives::default() }
    }

    #[test]
    fn a_quarantine_is_imposed_and_lifted_in_these_words() {
        let free = Directives::default();
        for (answer, expected) in [
            (json!({"directives": {"quarantine": true}}), quarantined(None)),
            (json!({"directives": {"quarantine": {"reason": "lost"}}}), quarantined(Some("lost"))),
            (json!({"quarantine": {"reason": "a\u{1b}[2J\nb"}}), quarantined(Some("a [2J b"))),
            (json!({"data": {"quarantine": {}}}), quarantined(None)),
            (json!({"data": {"directives": {"quarantine": true}}}), quarantined(None)),
            (json!({"directives": {"quarantine": true}, "quarantine": false}), quarantined(None)),
            (json!({"directives": {"quarantine": "yes"}}), free.clone()),
            (json!({"directives": {"quarantine": 1}}), free.clone()),
            (json!({"directives": [{"quarantine": true}]}), free.clone()),
            (json!({"quarantined": true}), free.clone()), // our own word, echoed
        ] {
            assert_eq!(after(&free, &answer), expected, "{answer}");
        }
        let held = quarantined(Some("lost"));
        for (answer, lifted) in [
            (json!({"directives": {"quarantine": false}}), true),
            (json!({"directives": {"quarantine": null}}), true),
            (json!({"quarantine": {"active": false, "reason": "was lost"}}), true),
            (json!({"directives": {}}), false),
            (json!({"directives": null}), false),
            (json!({"directives": {"quarantine": 0}}), false),
            (json!({}), false),
        ] {
            let expected = if lifted { free.clone() } else { held.clone() };
            assert_eq!(after(&held, &answer), expected, "{answer}");
        }
    }

    #[test]
    fn the_other_directives_are_taken_one_by_one() {
        let answer = json!({"directives": {
            "revoked_key_ids": ["k1", 7, "", "x".repeat(300), "k2"],
            "minimum_version": "0.2.0",
            "heartbeat_interval_seconds": 30,
            "quarantine": [],
            "of a later version": {},
        }});
        let held = after(&Directives::default(), &answer);
        assert_eq!(held.revoked_key_ids, ["k1", "k2"]);
        assert_eq!(held.minimum_version.as_deref(), Some("0.2.0"));
        assert_eq!(held.heartbeat_interval_seconds, Some(30));
        assert!(!held.quarantined);
        for silent in [
            json!({"revoked_key_ids": "all", "minimum_version": 2, "heartbeat_interval_seconds": 0}),
            json!({"minimum_version": "x".repeat(65), "heartbeat_interval_seconds": 86_401}),
            json!({}),
        ] {
            assert_eq!(after(&held, &silent), held, "{silent}");
        }
        let lifted = json!({"revoked_key_ids": [], "minimum_version": null, "heartbeat_interval_seconds": null});
        assert_eq!(after(&held, &lifted), Directives::default());
        let many = json!({"revoked_key_ids": vec!["k"; MOST_KEYS + 1]});
        assert_eq!(after(&held, &many).revoked_key_ids.len(), MOST_KEYS);
    }

    #[test]
    fn what_is_no_object_is_no_answer() {
        for body in ["", " \n"] {
            assert_eq!(Orders::read(body.as_bytes()), Ok(Orders::default()));
        }
        let deep = "[".repeat(100_000);
        for body in ["ok", "<html>", "[]", "null", "7", "{", "{}x", &deep, "\u{feff}{}"] {
            assert_eq!(Orders::read(body.as_bytes()), Err(NotAnAnswer), "{}", body.len());
        }
        assert_eq!(Orders::read(b"{\"directives\":\"\xff\"}"), Err(NotAnAnswer));
    }

    #[test]
    fn only_names_of_servers_leave_the_machine() {
        use crate::clients::coverage::{FoundFile, FoundServer};

        let server = |name: &str, standing| FoundServer {
            name: name.to_owned(),
            within: Some("/home/ada/secret-project".to_owned()),
            standing,
            why: Some("starts https://token@x.example".to_owned()),
            can_be_wrapped: true,
            disabled: false,
        };
        let file = |unreadable: Option<&str>, servers| FoundFile {
            client: "cursor",
            path: "/home/ada/.cursor/mcp.json".into(),
            unreadable: unreadable.map(str::to_owned),
            servers,
        };
        let servers = vec![server("files", Standing::Wrapped), server("web", Standing::Bypassing)];
        let coverage = Coverage { files: vec![file(None, servers), file(Some("line 3"), vec![])] };
        let sent = serde_json::to_value(Servers::of(&coverage)).unwrap();
        let expected = json!({
            "governed": [{"client": "cursor", "name": "files", "standing": "wrapped"}],
            "ungoverned": [
                {"client": "cursor", "name": "web", "standing": "bypassing"},
                {"client": "cursor", "standing": "unreadable"},
            ],
        });
        assert_eq!(sent, expected);
    }
}
