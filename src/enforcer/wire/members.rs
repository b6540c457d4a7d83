//! Reads one JSON object strictly, and its members leniently.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The longest text taken from an enforcer, in characters; the rest is cut off.
const MAX_TEXT: usize = 2_000;
/// How many texts are taken from a list.
const MAX_LIST: usize = 64;

/// The members of one JSON object, each as its own text.
#[derive(Debug)]
pub struct Members<'a>(BTreeMap<String, &'a RawValue>);

/// The bytes are not one JSON object in which each member stands once.
#[derive(Debug, thiserror::Error)]
#[error("not one JSON object in which each member stands once")]
pub struct Unreadable(#[source] serde_json::Error);

// === impl Members ===

impl<'a> Members<'a> {
    /// Reads one object.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], where it is none, where something follows it, or where two members have the
    /// same name but for case and underscores.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(bytes).map_err(Unreadable)
    }

    /// The text of a member, found by its `snake_case` name in either spelling. `null` is absent.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.0.get(name).or_else(|| self.0.get(&camel(name)))?;
        Some(found.get()).filter(|text| *text != "null")
    }

    /// A string that is not blank, trimmed, and cut where it is overlong.
    pub fn text(&self, name: &str) -> Option<String> {
        let text: String = self.parsed(name)?;
        Some(text.trim().chars().take(MAX_TEXT).collect()).filter(|text: &String| !text.is_empty())
    }

    /// The strings of a list, without those that are blank; other elements are skipped.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list: Vec<serde_json::Value> = self.parsed(name).unwrap_or_default();
        list.iter()
            .filter_map(|element| element.as_str())
            .map(|text| text.trim().chars().take(MAX_TEXT).collect())
            .filter(|text: &String| !text.is_empty())
            .take(MAX_LIST)
            .collect()
    }

    /// A finite number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.parsed(name).filter(|number: &f64| number.is_finite())
    }

    /// A positive number of seconds.
    pub fn seconds(&self, name: &str) -> Option<Duration> {
        let seconds = self.number(name).filter(|seconds| *seconds > 0.0)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.parsed(name)
    }

    /// The members of an object inside.
    pub fn inner(&self, name: &str) -> Option<Members<'a>> {
        Members::read(self.raw(name)?.as_bytes()).ok()
    }

    /// All members, by name.
    pub(super) fn into_map(self) -> BTreeMap<String, &'a RawValue> {
        self.0
    }

    fn parsed<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                let mut names = HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if !names.insert(folded(&name)) {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A name without what its spellings differ in.
pub(super) fn folded(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_makes_the_object_unreadable() {
        for (text, good) in [
            ("{}", true),
            (r#"{"a_b":1,"a_c":2}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"hold_token":1,"holdToken":2}"#, false),
            (r#"{"decision":1,"Decision":2}"#, false),
            (r#"{"x":{"a":1,"a":2}}"#, true), // read where it is used
            (r#"{"a":1}{"a":1}"#, false),
            (r#"{"a":1} x"#, false),
            ("{\"a\":1}\n", true),
            ("[]", false),
            ("null", false),
            ("", false),
            ("{\"a\":", false),
            ("\u{feff}{}", false),
            (r#"{"a":"\ud800"}"#, true), // not read before it is asked for, and then no text
            (r#"{"\ud800":1}"#, false),
        ] {
            assert_eq!(Members::read(text.as_bytes()).is_ok(), good, "{text}");
        }
        assert!(Members::read(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn members_are_found_in_both_spellings() {
        let members = Members::read(
            br#"{"hold_token":" t ","approvalUrl":"u","stepUpTimeoutSeconds":1.5,"resolved":true,
                "reason":"  ","violation_id":7,"pack_id":null,"matchedRuleIds":["a",1," b ",""],
                "defer_timeout_seconds":-1,"odd":"\ud800","risk_score":1e999}"#,
        )
        .unwrap();
        assert_eq!(members.text("hold_token").as_deref(), Some("t"));
        assert_eq!(members.text("approval_url").as_deref(), Some("u"));
        assert_eq!(members.seconds("step_up_timeout_seconds"), Some(Duration::from_millis(1500)));
        assert_eq!(members.flag("resolved"), Some(true));
        assert_eq!(members.texts("matched_rule_ids"), ["a", "b"]);
        for absent in ["reason", "violation_id", "pack_id", "odd", "nothing"] {
            assert_eq!(members.text(absent), None, "{absent}");
        }
        assert_eq!(members.seconds("defer_timeout_seconds"), None);
        assert_eq!(members.number("risk_score"), None);
        assert_eq!(members.flag("hold_token"), None);
    }

    #[test]
    fn what_is_overlong_is_cut() {
        let text = format!(
            r#"{{"a":"{}","b":[{}]}}"#,
            "é".repeat(MAX_TEXT + 1),
            vec![r#""x""#; MAX_LIST + 1].join(",")
        );
        let members = Members::read(text.as_bytes()).unwrap();
        assert_eq!(members.text("a").unwrap().chars().count(), MAX_TEXT);
        assert_eq!(members.texts("b").len(), MAX_LIST);
    }
}
