//! Reads events: those of SDKs in both casings, and those of Baton. Scrubs them. Pure.
//!
//! What tells one event from another (ids, names, words, times) is cut to bounds and kept apart from the
//! rest, which is scrubbed: a digit in an id is nobody's phone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::friction::raw::Raw;
use crate::friction::scrub::{Counts, Scrubber};
use crate::server::Tenant;
use crate::server::fleet::report::line;

/// How many events one request holds.
pub const MOST: usize = 1000;
/// The longest rest of an event that is kept, in bytes; of a longer one only its length is.
const LONGEST_KEPT: usize = 32 * 1024;
/// The longest id, in bytes; a longer one is hashed.
const LONGEST_ID: usize = 128;

/// The members of an SDK's event that tell it from others, as both casings have them.
const SDK: [(&str, &str); 11] = [
    ("event_id", "eventId"),
    ("tenant_id", "tenantId"),
    ("agent_id", "agentId"),
    ("session_id", "sessionId"),
    ("user_id", "userId"),
    ("source_type", "sourceType"),
    ("event_type", "eventType"),
    ("tool_name", "toolName"),
    ("enforcement_mode", "enforcementMode"),
    ("violation_id", "violationId"),
    ("occurred_at", "occurredAt"),
];
/// The same of a Baton event. Its `principal` is there to say who it was, and is not scrubbed.
const BATON: [&str; 13] = [
    "event_id",
    "event_type",
    "session_id",
    "sequence_number",
    "captured_at",
    "tenant_id",
    "vendor_id",
    "call_id",
    "sdk_version",
    "agent_runtime",
    "session_id_origin",
    "transport_observed",
    "principal",
];

/// An event that can be stored and sent on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Taken {
    /// Its id; a hash of it where it came without.
    pub event_id: String,
    /// Whose format it has: `sdk` or `baton`.
    pub dialect: &'static str,
    /// What happened.
    pub event_type: String,
    /// By which agent. Empty: not said, as in what follows.
    pub agent_id: String,
    /// In which session.
    pub session_id: String,
    /// To which tool.
    pub tool_name: String,
    /// When, by the clock of whoever sent it.
    pub occurred_at: Option<Timestamp>,
    /// The text of an object: what tells it from others.
    head: String,
    /// The text of an object: the rest, scrubbed.
    rest: String,
}

/// Why an event is not taken: nothing of its text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: &'static str,
}

/// The events of one request, each as it was sent. `None` for what is neither an array nor an object
/// with `events`.
pub fn batch(body: &[u8]) -> Option<Vec<&RawValue>> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }

    match body.trim_ascii_start().first()? {
        b'[' => serde_json::from_slice(body).ok(),
        _ => serde_json::from_slice::<Wrapped<'_>>(body).ok().map(|wrapped| wrapped.events),
    }
}

/// Reads an event of an SDK, for this tenant.
///
/// # Errors
///
/// [`Refused`]
pub fn sdk(tenant: &Tenant, text: &str) -> Result<Taken, Refused> {
    let mut event = object(text)?;
    for (name, camel) in SDK {
        if let Some(value) = event.remove(camel)
            && !event.contains_key(name)
        {
            event.insert(name.to_owned(), value);
        }
    }
    if event.get("tenant_id").is_some_and(|said| !said.is_null() && said != tenant.as_str()) {
        return Err(Refused::WRONG_TENANT);
    }
    let tool = word(&event, "tool_name");
    let (agent, at) = (word(&event, "agent_id"), moment(&event, "occurred_at"));
    take(tenant, text, event, "sdk", SDK.map(|(name, _)| name).as_slice(), (agent, tool, at))
}

/// Reads a Baton event, for this tenant. Its `tenant_id` is a label of the operator's, and is kept as
/// one.
///
/// # Errors
///
/// [`Refused`]
pub fn baton(tenant: &Tenant, text: &str) -> Result<Taken, Refused> {
    let mut event = object(text)?;
    let is_said =
        |name: &str| event.get(name).and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    if !is_said("consent_token") {
        return Err(Refused::NO_CONSENT);
    }
    let is_whole = ["event_id", "session_id", "captured_at"].into_iter().all(is_said)
        && event.get("payload").is_some_and(Value::is_object);
    if !is_whole {
        return Err(Refused::INCOMPLETE);
    }
    event.remove("consent_token");
    let label = word(&event, "tenant_id");
    if !label.is_empty() && label != tenant.as_str() {
        event.insert("stated_tenant_id".to_owned(), label.into());
    }
    let payload = event.get("payload").and_then(Value::as_object);
    let tool = payload.map(|payload| word(payload, "tool_name")).unwrap_or_default();
    let (agent, at) = (word(&event, "agent_runtime"), moment(&event, "captured_at"));
    take(tenant, text, event, "baton", &BATON, (agent, tool, at))
}

fn take(
    tenant: &Tenant,
    text: &str,
    mut event: Map<String, Value>,
    dialect: &'static str,
    heads: &[&str],
    (agent_id, tool_name, occurred_at): (String, String, Option<Timestamp>),
) -> Result<Taken, Refused> {
    let event_type = word(&event, "event_type");
    if event_type.is_empty() {
        return Err(Refused::INCOMPLETE);
    }
    let said = event.get("event_id").and_then(Value::as_str).unwrap_or_default();
    let event_id = match said.len() {
        1..=LONGEST_ID if !said.contains(char::is_control) => said.to_owned(),
        0 => hash(tenant, text),
        _ => hash(tenant, said),
    };
    let session_id = word(&event, "session_id");
    let mut head = Map::new();
    for name in heads {
        match event.remove(*name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                head.insert((*name).to_owned(), line(&text).into());
            }
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                head.insert((*name).to_owned(), value);
            }
            Some(Value::Object(members)) => {
                let members = members.into_iter().take(8).filter_map(|(name, value)| {
                    Some((line(&name), Value::from(line(value.as_str()?))))
                });
                head.insert((*name).to_owned(), Value::Object(members.collect()));
            }
            Some(Value::Array(_)) => return Err(Refused::INCOMPLETE),
        }
    }
    head.insert("event_id".to_owned(), event_id.as_str().into());
    head.insert("tenant_id".to_owned(), tenant.as_str().into());
    let rest = Value::Object(event).to_string();
    let raw = Raw::read(rest.as_bytes()).unwrap_or_else(|| unreachable!("it was written as JSON"));
    Ok(Taken {
        event_id,
        dialect,
        event_type,
        agent_id,
        session_id,
        tool_name,
        occurred_at,
        head: Value::Object(head).to_string(),
        rest: Scrubber::default().scrub(raw, &mut Counts::default()),
    })
}

fn object(text: &str) -> Result<Map<String, Value>, Refused> {
    serde_json::from_str(text).map_err(|_| Refused::MALFORMED)
}

fn word(event: &Map<String, Value>, name: &str) -> String {
    event.get(name).and_then(Value::as_str).map(line).unwrap_or_default()
}

/// A time; one that says no zone is UTC, as older SDKs mean it.
fn moment(event: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let text = event.get(name)?.as_str()?;
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| civil().map(|time| time.timestamp()))
}

/// An id for an event that came without: the same for the same text.
fn hash(tenant: &Tenant, text: &str) -> String {
    let hash = Sha256::new().chain_update(tenant.as_str()).chain_update("\n").chain_update(text);
    format!("sha256:{}", hex::encode(hash.finalize()))
}

// === impl Taken ===

impl Taken {
    /// The event, whole: one JSON object on one line.
    pub fn whole(&self) -> String {
        join(&self.head, &self.rest)
    }

    /// The event as it is kept: without its rest where that is too long.
    pub fn kept(&self) -> String {
        if self.rest.len() <= LONGEST_KEPT {
            return self.whole();
        }
        join(&self.head, &format!("{{\"left_out_bytes\":{}}}", self.rest.len()))
    }

    /// The event as it is sent on: whole, with its time where records look for it.
    pub(super) fn sent_on(&self) -> String {
        match self.occurred_at {
            Some(at) if self.dialect == "sdk" => {
                join(&join(&self.head, &format!("{{\"captured_at\":\"{at}\"}}")), &self.rest)
            }
            Some(_) | None => self.whole(),
        }
    }

    /// Its id as collectors of logs want it: its own where it is one, else made of its id.
    pub fn uuid(&self) -> Uuid {
        Uuid::parse_str(&self.event_id).unwrap_or_else(|_| {
            let hash: [u8; 32] = Sha256::digest(&self.event_id).into();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash[..16]);
            uuid::Builder::from_custom_bytes(bytes).into_uuid()
        })
    }
}

/// One object of two, by their texts.
fn join(head: &str, rest: &str) -> String {
    let rest = rest.strip_prefix('{').unwrap_or(rest);
    let comma = if rest == "}" { "" } else { "," };
    format!("{}{comma}{rest}", head.strip_suffix('}').unwrap_or(head))
}

// === impl Refused ===

impl Refused {
    pub(super) const MALFORMED: Self =
        Self { code: "payload_malformed", message: "an event is one JSON object" };
    pub(super) const INCOMPLETE: Self =
        Self { code: "payload_malformed", message: "the event lacks what it must say" };
    pub(super) const NO_CONSENT: Self =
        Self { code: "consent_token_invalid", message: "the event says no consent_token" };
    pub(super) const WRONG_TENANT: Self =
        Self { code: "wrong_tenant", message: "the event names another tenant than the key's" };
    pub(super) const OUT_OF_SCOPE: Self =
        Self { code: "insufficient_scope", message: "this key is good for another agent only" };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant() -> Tenant {
        Tenant::parse("acme").unwrap()
    }

    fn whole(taken: &Taken) -> Value {
        serde_json::from_str(&taken.whole()).unwrap()
    }

    #[test]
    fn both_shapes_of_a_request_are_read() {
        for (body, count) in [
            ("[]", Some(0)),
            (r#" [{"a": 1}, 7]"#, Some(2)),
            (r#"{"events": [{}]}"#, Some(1)),
            (r#"{"events": []}"#, Some(0)),
            (r#"{"event_type": "x"}"#, None),
            ("7", None),
            ("", None),
            ("[", None),
        ] {
            assert_eq!(batch(body.as_bytes()).map(|events| events.len()), count, "{body}");
        }
        let deep = format!("[{}1{}, {{}}]", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(batch(deep.as_bytes()).map(|events| events.len()), Some(2));
    }

    #[test]
    fn both_casings_say_the_same() {
        let snake = json!({
            "event_id": "e1", "tenant_id": "acme", "agent_id": "a", "session_id": "s",
            "event_type": "TOOL_CALL_PRE", "tool_name": "read", "content": "x",
            "occurred_at": "2026-11-21T10:00:00Z",
        });
        let camel = json!({
            "eventId": "e1", "tenantId": "acme", "agentId": "a", "sessionId": "s",
            "eventType": "TOOL_CALL_PRE", "toolName": "read", "content": "x",
            "occurredAt": "2026-11-21T10:00:00Z",
        });
        let snake = sdk(&tenant(), &snake.to_string()).unwrap();
        assert_eq!(sdk(&tenant(), &camel.to_string()).unwrap(), snake);
        assert_eq!((snake.event_id.as_str(), snake.tool_name.as_str()), ("e1", "read"));
        assert!(snake.occurred_at.is_some());
        assert_eq!(whole(&snake)["content"], "x");
    }

    #[test]
    fn ids_stay_and_the_rest_is_scrubbed() {
        let event = json!({
            "event_id": "acme:415-555-1234", "session_id": "4111111111111111",
            "event_type": "X", "user_id": "ada@example.com",
            "content": "mail bob@example.com", "metadata": {"password": "hunter2"},
        });
        let taken = sdk(&tenant(), &event.to_string()).unwrap();
        let whole = whole(&taken);
        assert_eq!(whole["event_id"], "acme:415-555-1234");
        assert_eq!(whole["session_id"], "4111111111111111");
        assert_eq!(whole["user_id"], "ada@example.com");
        assert_eq!(whole["content"], "mail [REDACTED:email]");
        assert_eq!(whole["metadata"]["password"], "[REDACTED:field-password]");
        assert_eq!(whole["tenant_id"], "acme");
    }

    #[test]
    fn a_record_is_told_its_time() {
        for (occurred_at, captured_at) in [
            ("2026-11-21T10:00:00.5Z", json!("2026-11-21T10:00:00.5Z")),
            ("2026-11-21T12:00:00+02:00", json!("2026-11-21T10:00:00Z")),
            ("2026-11-21T10:00:00.000001", json!("2026-11-21T10:00:00.000001Z")),
            ("today", Value::Null),
        ] {
            let event = json!({"event_type": "X", "occurred_at": occurred_at}).to_string();
            let sent: Value =
                serde_json::from_str(&sdk(&tenant(), &event).unwrap().sent_on()).unwrap();
            assert_eq!(sent["captured_at"], captured_at, "{occurred_at}");
            assert_eq!(sent["occurred_at"], occurred_at);
        }
    }

    #[test]
    fn two_texts_of_objects_become_one() {
        for (head, rest, whole) in [
            (r#"{"a":{"b":{}}}"#, r#"{"c":{}}"#, r#"{"a":{"b":{}},"c":{}}"#),
            (r#"{"a":1}"#, "{}", r#"{"a":1}"#),
        ] {
            assert_eq!(join(head, rest), whole);
        }
    }

    #[test]
    fn an_event_without_an_id_has_the_same_one_each_time() {
        let id = |tenant, text| sdk(&Tenant::parse(tenant).unwrap(), text).unwrap().event_id;
        let text = r#"{"event_type": "X", "content": "1"}"#;
        assert_eq!(id("acme", text), id("acme", text));
        assert_ne!(id("acme", text), id("other", text));
        assert_ne!(id("acme", text), id("acme", r#"{"event_type": "X", "content": "2"}"#));
        let long = json!({"event_type": "X", "event_id": "e".repeat(LONGEST_ID + 1)}).to_string();
        assert_eq!(id("acme", &long).len(), "sha256:".len() + 64);
    }

    #[test]
    fn what_is_no_event_is_said_so() {
        let deep = format!("{{\"event_type\":\"x\",\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        for (text, refused) in [
            ("7", Refused::MALFORMED),
            ("[]", Refused::MALFORMED),
            (&deep, Refused::MALFORMED),
            ("{}", Refused::INCOMPLETE),
            (r#"{"event_type": 7}"#, Refused::INCOMPLETE),
            (r#"{"event_type": "X", "session_id": []}"#, Refused::INCOMPLETE),
            (r#"{"event_type": "X", "tenant_id": "other"}"#, Refused::WRONG_TENANT),
            (r#"{"event_type": "X", "tenantId": "other"}"#, Refused::WRONG_TENANT),
        ] {
            assert_eq!(sdk(&tenant(), text).unwrap_err(), refused, "{text}");
        }
    }

    #[test]
    fn a_baton_event_keeps_its_label_and_loses_its_consent_token() {
        let event = json!({
            "event_id": "0198c0de-0000-7000-8000-000000000001", "event_type": "tool_call_start",
            "session_id": "s", "sequence_number": 3, "captured_at": "2026-11-21T10:00:00.000000Z",
            "tenant_id": "local", "consent_token": "c0nsent", "agent_runtime": "claude-code",
            "principal": {"id": "ada@example.com", "form": "raw", "source": "asserted"},
            "payload": {"tool_name": "read", "params": {"token": "x"}},
        });
        let taken = baton(&tenant(), &event.to_string()).unwrap();
        assert_eq!((taken.tool_name.as_str(), taken.agent_id.as_str()), ("read", "claude-code"));
        assert_eq!(taken.uuid().to_string(), taken.event_id);
        let whole = whole(&taken);
        assert_eq!(
            (&whole["tenant_id"], &whole["stated_tenant_id"]),
            (&json!("acme"), &json!("local"))
        );
        assert_eq!((&whole["consent_token"], &whole["sequence_number"]), (&Value::Null, &json!(3)));
        assert_eq!(whole["principal"]["id"], "ada@example.com");
        assert_eq!(whole["payload"]["params"]["token"], "[REDACTED:field-token]");
        for (without, refused) in [
            ("consent_token", Refused::NO_CONSENT),
            ("event_id", Refused::INCOMPLETE),
            ("event_type", Refused::INCOMPLETE),
            ("session_id", Refused::INCOMPLETE),
            ("payload", Refused::INCOMPLETE),
        ] {
            let mut event = event.clone();
            event.as_object_mut().unwrap().remove(without);
            assert_eq!(baton(&tenant(), &event.to_string()).unwrap_err(), refused, "{without}");
        }
    }

    #[test]
    fn of_a_long_event_the_head_is_kept() {
        let event =
            json!({"event_type": "X", "event_id": "e", "content": "x ".repeat(LONGEST_KEPT)});
        let taken = sdk(&tenant(), &event.to_string()).unwrap();
        let kept: Value = serde_json::from_str(&taken.kept()).unwrap();
        assert_eq!(kept["event_id"], "e");
        assert!(kept["left_out_bytes"].as_u64().unwrap() > LONGEST_KEPT as u64);
        assert!(taken.whole().len() > LONGEST_KEPT);
    }
}
