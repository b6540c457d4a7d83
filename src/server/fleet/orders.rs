//! What the fleet is told: the orders of one endpoint, and the settings that all endpoints of a
//! tenant share. Pure.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::server::Fault;

/// The bounds of a heartbeat's interval, in seconds: those of the client.
const INTERVALS: std::ops::RangeInclusive<i64> = 1..=86_400;
/// How many keys can be named, and how long a name is, in bytes: an answer stays under 256 KiB.
const MOST_KEYS: usize = 1000;
const LONGEST_KEY: usize = 128;
/// The longest reason of a quarantine, in characters: the client cuts there.
pub const LONGEST_REASON: usize = 300;

/// How often endpoints check in where nobody said otherwise, in seconds.
const HEARTBEAT: i64 = 60;

/// What holds for one endpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Orders {
    /// Why every call is to be blocked, where it is; the reason may be empty.
    pub quarantine: Option<String>,
    /// What holds for all.
    pub settings: Settings,
    /// The API keys of the tenant that were revoked here, by id and by fingerprint.
    pub revoked: Vec<String>,
}

/// What holds for all endpoints of a tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// The oldest version of thoth that is good enough.
    pub minimum_version: Option<String>,
    /// How often endpoints check in.
    pub heartbeat_interval_seconds: Option<i64>,
    /// Keys that are not to be used any more, beside those revoked here.
    pub revoked_key_ids: Vec<String>,
}

/// What is to be changed in the settings. `None`: stays as it is. `Some(None)`: is lifted.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// See [`Settings::minimum_version`].
    #[serde(deserialize_with = "said")]
    pub minimum_version: Option<Option<String>>,
    /// See [`Settings::heartbeat_interval_seconds`].
    #[serde(deserialize_with = "said")]
    pub heartbeat_interval_seconds: Option<Option<i64>>,
    /// See [`Settings::revoked_key_ids`].
    #[serde(deserialize_with = "said")]
    pub revoked_key_ids: Option<Option<Vec<String>>>,
}

/// What is there is said, `null` included.
#[expect(clippy::option_option, reason = "missing, null and a value are three things here")]
fn said<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

// === impl Orders ===

impl Orders {
    /// As an answer says them: each of them, always, so that what does not hold is lifted.
    pub fn directives(&self) -> Value {
        let quarantine = match self.quarantine.as_deref() {
            None => Value::Bool(false),
            Some("") => json!({"active": true}),
            Some(reason) => json!({"active": true, "reason": reason}),
        };
        let revoked: Vec<_> = self.settings.revoked_key_ids.iter().chain(&self.revoked).collect();
        json!({
            "quarantine": quarantine,
            "revoked_key_ids": revoked,
            "minimum_version": self.settings.minimum_version,
            "heartbeat_interval_seconds": self.settings.heartbeat_interval_seconds,
        })
    }
}

// === impl Settings ===

impl Settings {
    /// How often endpoints check in, in seconds.
    pub fn heartbeat(&self) -> i64 {
        self.heartbeat_interval_seconds.unwrap_or(HEARTBEAT)
    }

    /// How long an endpoint may say nothing before it is stale, in seconds: three heartbeats, and a
    /// minute at least.
    pub fn patience(&self) -> i64 {
        (3 * self.heartbeat()).max(60)
    }
}

// === impl Amendment ===

impl Amendment {
    /// Refuses what endpoints would not take.
    ///
    /// # Errors
    ///
    /// 400
    pub fn check(self) -> Result<Self, Fault> {
        if let Some(Some(version)) = &self.minimum_version
            && numbers(version).is_none()
        {
            return Err(Fault::malformed("minimum_version is three numbers like 1.2.3, or null"));
        }
        if let Some(Some(seconds)) = self.heartbeat_interval_seconds
            && !INTERVALS.contains(&seconds)
        {
            return Err(Fault::malformed("heartbeat_interval_seconds is 1 to 86400, or null"));
        }
        if let Some(Some(keys)) = &self.revoked_key_ids {
            let is_name = |key: &String| (1..=LONGEST_KEY).contains(&key.len());
            if keys.len() > MOST_KEYS || !keys.iter().all(is_name) {
                let most = format!("{MOST_KEYS} names of 1 to {LONGEST_KEY} bytes");
                return Err(Fault::malformed(format!("revoked_key_ids is at most {most}")));
            }
        }
        Ok(self)
    }
}

/// `1.2.3`, with or without a `v`; what follows a hyphen or a plus is not looked at.
pub fn numbers(version: &str) -> Option<[u64; 3]> {
    let version = version.trim().trim_start_matches(['v', 'V']);
    let core = version.split(['-', '+']).next()?;
    let mut numbers = [0; 3];
    let mut parts = core.split('.');
    for (number, part) in numbers.iter_mut().zip(parts.by_ref()) {
        *number = part.parse().ok()?;
    }
    (parts.next().is_none() && version.len() <= 64).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_said_whether_it_holds_or_not() {
        let free = json!({
            "quarantine": false, "revoked_key_ids": [], "minimum_version": null,
            "heartbeat_interval_seconds": null,
        });
        assert_eq!(Orders::default().directives(), free);
        let orders = Orders {
            quarantine: Some("lost".to_owned()),
            settings: Settings {
                minimum_version: Some("0.2.0".to_owned()),
                heartbeat_interval_seconds: Some(30),
                revoked_key_ids: vec!["by-hand".to_owned()],
            },
            revoked: vec!["key_1".to_owned()],
        };
        let all = json!({
            "quarantine": {"active": true, "reason": "lost"},
            "revoked_key_ids": ["by-hand", "key_1"],
            "minimum_version": "0.2.0",
            "heartbeat_interval_seconds": 30,
        });
        assert_eq!(orders.directives(), all);
        let unexplained = Orders { quarantine: Some(String::new()), ..Orders::default() };
        assert_eq!(unexplained.directives()["quarantine"], json!({"active": true}));
    }

    #[test]
    fn settings_are_taken_as_endpoints_take_them() {
        let long = "k".repeat(LONGEST_KEY + 1);
        for (body, is_taken) in [
            (json!({}), true),
            (json!({"minimum_version": "0.2.0", "heartbeat_interval_seconds": 30}), true),
            (json!({"minimum_version": null, "revoked_key_ids": null}), true),
            (json!({"revoked_key_ids": ["a"]}), true),
            (json!({"minimum_version": "soon"}), false),
            (json!({"minimum_version": "1.2.3.4"}), false),
            (json!({"heartbeat_interval_seconds": 0}), false),
            (json!({"heartbeat_interval_seconds": 86_401}), false),
            (json!({"revoked_key_ids": [""]}), false),
            (json!({"revoked_key_ids": [long]}), false),
            (json!({"revoked_key_ids": vec!["k"; MOST_KEYS + 1]}), false),
            (json!({"webhook_url": "https://x.example"}), false),
        ] {
            let read = serde_json::from_value::<Amendment>(body.clone()).ok();
            let read = read.and_then(|amendment| amendment.check().ok());
            assert_eq!(read.is_some(), is_taken, "{body}");
        }
        let lifted: Amendment = serde_json::from_value(json!({"minimum_version": null})).unwrap();
        assert_eq!(lifted, Amendment { minimum_version: Some(None), ..Amendment::default() });
    }

    #[test]
    fn a_silence_of_three_heartbeats_is_too_long() {
        for (seconds, patience) in [(None, 180), (Some(1), 60), (Some(600), 1800)] {
            let settings = Settings { heartbeat_interval_seconds: seconds, ..Settings::default() };
            assert_eq!(settings.patience(), patience);
        }
    }
}
