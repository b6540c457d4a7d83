//! JSON text as CEL values, read no further than a condition looks; and CEL values as JSON text.
//!
//! Integers keep their exact value over the whole range of `int` (i64) and `uint` (u64). A number
//! that would have to become another number to be looked at, such as 2^64, is not looked at: the
//! condition that asks for the member it stands in fails. So does one over text in which members
//! repeat, or with more values than [`MOST_VALUES`].
//!
//! # Invariants
//!
//! - A value read here equals the value in the text, or is refused.
//! - Reading takes time and memory in proportion to the text, and at most [`MOST_VALUES`] values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, MAP_TYPE,
    Type,
};
use cel::common::value::{CowVal, Val};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most JSON values that one text may hold for a condition to look into it.
pub(super) const MOST_VALUES: usize = 1_000_000;

/// The function that an error names when a text cannot be read as exact CEL values.
pub(super) const UNREADABLE: &str = "@unreadable";

/// The members of one JSON object, each read when it is first looked at.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    text: &'a str,
    read: OnceLock<Option<BTreeMap<Cow<'a, str>, Member<'a>>>>,
}

#[derive(Clone, Debug)]
struct Member<'a> {
    text: &'a str,
    value: OnceLock<Option<Box<dyn Val + 'a>>>,
}

/// The members of one object, unread. Refuses members that repeat.
pub(super) struct RawMembers<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads one JSON value.
struct Tree;

/// The value of a text, where it can be had exactly.
pub(super) fn read(text: &str) -> Option<Box<dyn Val + '_>> {
    if !is_small_enough(text) {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Tree.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Writes a value as JSON; `false` where it is nothing that JSON has, such as a type or infinity.
///
/// Object members are written in the order of their names. No character that some reader takes
/// for a line break is written raw.
pub(super) fn write(value: &dyn Val, out: &mut String) -> bool {
    if let Some(string) = value.downcast_ref::<CelString<'_>>() {
        write_string(string.inner(), out);
    } else if let Some(int) = value.downcast_ref::<CelInt>() {
        out.push_str(&int.inner().to_string());
    } else if let Some(uint) = value.downcast_ref::<CelUInt>() {
        out.push_str(&uint.inner().to_string());
    } else if let Some(double) = value.downcast_ref::<CelDouble>() {
        let Some(number) = serde_json::Number::from_f64(*double.inner()) else {
            return false;
        };
        out.push_str(&number.to_string());
    } else if let Some(bool) = value.downcast_ref::<CelBool>() {
        out.push_str(if *bool.inner() { "true" } else { "false" });
    } else if value.downcast_ref::<CelNull>().is_some() {
        out.push_str("null");
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return write_list(list, out);
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return write_map(map, out);
    } else {
        return false;
    }
    true
}

/// Writes a string as JSON.
pub(super) fn write_string(string: &str, out: &mut String) {
    for char in serde_json::Value::from(string).to_string().chars() {
        match char {
            '\u{85}' => out.push_str("\\u0085"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            char => out.push(char),
        }
    }
}

fn write_list(list: &CelList<'_>, out: &mut String) -> bool {
    out.push('[');
    for (nth, item) in list.inner().iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        if !write(item.as_ref(), out) {
            return false;
        }
    }
    out.push(']');
    true
}

fn write_map(map: &CelMap<'_>, out: &mut String) -> bool {
    let mut members = BTreeMap::new();
    for (key, value) in map.inner() {
        let CelMapKey::String(name) = key else {
            return false;
        };
        members.insert(name.inner(), value);
    }
    out.push('{');
    for (nth, (name, value)) in members.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        if !write(value.as_ref(), out) {
            return false;
        }
    }
    out.push('}');
    true
}

/// Whether a text holds at most [`MOST_VALUES`] values: every value but the outermost follows a
/// comma or is the first in its list or object.
fn is_small_enough(text: &str) -> bool {
    text.len() < 2 * MOST_VALUES
        || memchr::memchr3_iter(b',', b'[', b'{', text.as_bytes()).count() < MOST_VALUES
}

fn unreadable() -> ExecutionError {
    ExecutionError::function_error(UNREADABLE, "")
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members of the object in this text. Nothing is read yet.
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, read: OnceLock::new() }
    }

    fn value(&self, name: &str) -> Result<&(dyn Val + 'a), ExecutionError> {
        let members = self.read.get_or_init(|| members(self.text));
        let member = members
            .as_ref()
            .ok_or_else(unreadable)?
            .get(name)
            .ok_or_else(|| ExecutionError::no_such_key(name))?;
        let value = member.value.get_or_init(|| read(member.text));
        value.as_deref().ok_or_else(unreadable)
    }
}

fn members(text: &str) -> Option<BTreeMap<Cow<'_, str>, Member<'_>>> {
    if !is_small_enough(text) {
        return None;
    }
    let RawMembers(members) = serde_json::from_str(text).ok()?;
    Some(
        members
            .into_iter()
            .map(|(name, raw)| {
                let text = raw.get();
                let value = OnceLock::new();
                (name, Member { text, value })
            })
            .collect(),
    )
}

impl Val for Members<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Indexer for Members<'_> {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let Some(name) = name.downcast_ref::<CelString<'_>>() else {
            let types = vec!["map".to_owned(), name.get_type().name().to_owned()];
            return Err(ExecutionError::no_such_overload("_[_]", types));
        };
        Ok(CowVal::Borrowed(self.value(name.inner())?))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

// === impl RawMembers ===

impl<'de: 'a, 'a> Deserialize<'de> for RawMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom("a repeated member"));
                    }
                    members.push((name, value));
                }
                Ok(RawMembers(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A member's name, borrowed where it is written without escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

// === impl Tree ===

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Box<dyn Val + 'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Box<dyn Val + 'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    /// The parser turns an integer beyond u64 into the nearest double without a word, so no double
    /// from 2^63 on is taken: it may stand for an integer that is not what it seems.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        const FIRST_REFUSED: f64 = 9_223_372_036_854_775_808.0;
        if value.abs() < FIRST_REFUSED {
            Ok(Box::new(CelDouble::from(value)))
        } else {
            Err(E::custom("a number out of range"))
        }
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Tree)? {
            items.push(item);
        }
        Ok(Box::new(CelList::from(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: HashMap<CelMapKey<'de>, Box<dyn Val + 'de>> = HashMap::new();
        while let Some(Name(name)) = map.next_key()? {
            let key = match name {
                Cow::Borrowed(name) => CelMapKey::from(name),
                Cow::Owned(name) => CelMapKey::from(name),
            };
            if members.insert(key, map.next_value_seed(Tree)?).is_some() {
                return Err(A::Error::custom("a repeated member"));
            }
        }
        Ok(Box::new(CelMap::from(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        let mut out = String::new();
        let value = read(text)?;
        write(value.as_ref(), &mut out).then_some(out)
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        for text in [
            "null",
            "true",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "1.5",
            r#""a\"\\\n\u2028é""#,
            r#"[1,[2,{"a":"b","c":[]}],{}]"#,
        ] {
            assert_eq!(written(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn numbers_that_would_change_are_not_read() {
        for text in [
            "18446744073709551616",
            "-9223372036854775809",
            "1e400",
            "1e19",
            "[18446744073709551617]",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn repeated_members_are_not_read() {
        assert_eq!(written(r#"{"a":1,"\u0061":2}"#), None);
        assert!(Members::of(r#"{"a":1,"\u0061":2}"#).value("a").is_err());
        let members = Members::of(r#"{"a":{"x":1,"x":2},"b":3}"#);
        assert!(members.value("a").is_err());
        assert!(members.value("b").is_ok());
    }

    #[test]
    fn a_text_of_too_many_values_is_not_read() {
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(read(&many(MOST_VALUES - 2)).is_some());
        assert!(read(&many(MOST_VALUES + 1)).is_none());
        assert!(read(&format!("\"{}\"", "x".repeat(3 * MOST_VALUES))).is_some());
    }
}
