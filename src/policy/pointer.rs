//! JSON pointers (RFC 6901), and changing what they point at inside a text.
//!
//! Only the pointed values change: every other byte of the text stays, number literals, order and
//! white space included. So the arguments are never rebuilt from a value tree.
//!
//! # Invariants
//!
//! - Changes do not depend on their order; two that touch the same value, or one of which lies
//!   within the other, are refused unless they say the same.

use std::fmt;

use serde_json::value::RawValue;

use super::value::{RawMembers, write_string};

/// A pointer to a value below the root.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pointer {
    /// Unescaped. Never empty.
    tokens: Vec<String>,
}

/// A text that is no pointer to anything below the root.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a JSON pointer below the root; write `/member` or `/list/0`, with `~1` for `/`")]
pub struct BadPointer;

/// Why the arguments could not be changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unchanged {
    /// Two changes contradict each other.
    #[error("`{0}` and `{1}` cannot both be set")]
    Conflict(Pointer, Pointer),
    /// There is nothing that the pointer could name.
    #[error("`{0}` points at nothing that could be set")]
    Nowhere(Pointer),
    /// The text is not JSON, or members repeat on the way.
    #[error("`{0}` points into text that is ambiguous")]
    Ambiguous(Pointer),
}

/// One replacement within a text.
struct Splice {
    start: usize,
    end: usize,
    text: String,
}

/// The text with each pointer's value set to the JSON text beside it.
///
/// A pointed member that is not there is added at the end of its object, where that is there; an
/// item of a list must be there, or be `-`, which appends.
///
/// # Errors
///
/// [`Unchanged`] where a pointer names nothing, or where two contradict each other.
pub(super) fn set(text: &str, changes: &[(&Pointer, String)]) -> Result<String, Unchanged> {
    let changes = distinct(changes)?;
    let mut splices = Vec::with_capacity(changes.len());
    for (pointer, value) in changes {
        splices.push(splice(text, pointer, value)?);
    }
    // Stable: members that are added at the same place keep the order in which they were given.
    splices.sort_by_key(|splice| splice.start);
    let mut out = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    let mut last_added = None;
    for Splice { start, end, text: new } in splices {
        out.push_str(&text[copied..start]);
        // The second of two additions to a container that was empty needs the comma.
        if start == end && last_added == Some(start) && !new.starts_with(',') {
            out.push(',');
        }
        out.push_str(&new);
        last_added = (start == end).then_some(start);
        copied = end;
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// The changes without those that say the same twice.
fn distinct<'c>(
    changes: &'c [(&'c Pointer, String)],
) -> Result<Vec<(&'c Pointer, &'c str)>, Unchanged> {
    let mut distinct: Vec<(&Pointer, &str)> = Vec::with_capacity(changes.len());
    for (pointer, value) in changes {
        match distinct.iter().find(|(other, _)| pointer.overlaps(other)) {
            Some((other, said)) if other == pointer && said == value => {}
            Some((other, _)) => {
                return Err(Unchanged::Conflict((*other).clone(), (*pointer).clone()));
            }
            None => distinct.push((pointer, value)),
        }
    }
    Ok(distinct)
}

fn splice(text: &str, pointer: &Pointer, value: &str) -> Result<Splice, Unchanged> {
    let nowhere = || Unchanged::Nowhere(pointer.clone());
    let ambiguous = || Unchanged::Ambiguous(pointer.clone());
    let Some((last, way)) = pointer.tokens.split_last() else {
        return Err(nowhere());
    };
    let mut here: &str = text.trim_matches([' ', '\t', '\n', '\r']);
    for token in way {
        here = match container(here).ok_or_else(ambiguous)? {
            Container::Object(members) => find(&members, token).ok_or_else(nowhere)?,
            Container::List(items) => item(&items, token).ok_or_else(nowhere)?,
            Container::Scalar => return Err(nowhere()),
        };
    }
    let found = match container(here).ok_or_else(ambiguous)? {
        Container::Object(members) => {
            let Some(found) = find(&members, last) else {
                let mut member = String::new();
                write_string(last, &mut member);
                member.push(':');
                let tail = members.last().map(|(_, value)| *value);
                return Ok(added(text, here, tail, member + value));
            };
            found
        }
        Container::List(items) if last == "-" => {
            let tail = items.last().copied();
            return Ok(added(text, here, tail, value.to_owned()));
        }
        Container::List(items) => item(&items, last).ok_or_else(nowhere)?,
        Container::Scalar => return Err(nowhere()),
    };
    let start = offset(text, found);
    Ok(Splice { start, end: start + found.len(), text: value.to_owned() })
}

/// An addition behind the last value of a container, or inside an empty one.
fn added(text: &str, container: &str, last: Option<&RawValue>, new: String) -> Splice {
    let (at, new) = match last.map(RawValue::get) {
        Some(last) => (offset(text, last) + last.len(), format!(",{new}")),
        None => (offset(text, container) + 1, new),
    };
    Splice { start: at, end: at, text: new }
}

enum Container<'a> {
    Object(Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>),
    List(Vec<&'a RawValue>),
    Scalar,
}

fn container(text: &str) -> Option<Container<'_>> {
    match text.as_bytes().first()? {
        b'{' => {
            let RawMembers(members) = serde_json::from_str(text).ok()?;
            Some(Container::Object(members))
        }
        b'[' => serde_json::from_str(text).ok().map(Container::List),
        _ => Some(Container::Scalar),
    }
}

fn find<'a>(members: &[(std::borrow::Cow<'a, str>, &'a RawValue)], name: &str) -> Option<&'a str> {
    let (_, value) = members.iter().find(|(found, _)| found == name)?;
    Some(value.get())
}

fn item<'a>(items: &[&'a RawValue], token: &str) -> Option<&'a str> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    let index: usize = token.parse().ok().filter(|_| plain)?;
    items.get(index).map(|value| value.get())
}

/// Where a slice of a text begins in it.
fn offset(text: &str, slice: &str) -> usize {
    slice.as_ptr().addr() - text.as_ptr().addr()
}

// === impl Pointer ===

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    ///
    /// [`BadPointer`] where it does not begin with `/`, or holds `~` without `0` or `1` behind it.
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        let below = text.strip_prefix('/').ok_or(BadPointer)?;
        let unescape = |token: &str| {
            let plain = token.replace("~0", "").replace("~1", "");
            if plain.contains('~') {
                return Err(BadPointer);
            }
            Ok(token.replace("~1", "/").replace("~0", "~"))
        };
        let tokens = below.split('/').map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// Whether one of both points at or into what the other points at.
    fn overlaps(&self, other: &Self) -> bool {
        self.tokens.iter().zip(&other.tokens).all(|(one, two)| one == two)
            // Each appends a value of its own.
            && !(self == other && self.tokens.last().is_some_and(|last| last == "-"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(text: &str, changes: &[(&str, &str)]) -> Result<String, Unchanged> {
        let pointers: Vec<_> = changes
            .iter()
            .map(|(pointer, value)| (Pointer::parse(pointer).unwrap(), (*value).to_owned()))
            .collect();
        let changes: Vec<_> = pointers.iter().map(|(p, v)| (p, v.clone())).collect();
        set(text, &changes)
    }

    #[test]
    fn only_the_pointed_values_change() {
        let text = " { \"n\" : 1.50 ,\"l\":[ 1e2, {\"a~/b\":\"x\"} ],\"\\u006d\" : { } } ";
        for (changes, expected) in [
            (
                &[("/n", "2")][..],
                " { \"n\" : 2 ,\"l\":[ 1e2, {\"a~/b\":\"x\"} ],\"\\u006d\" : { } } ",
            ),
            (
                &[("/l/0", "0"), ("/l/1/a~0~1b", "null"), ("/m", "7")],
                " { \"n\" : 1.50 ,\"l\":[ 0, {\"a~/b\":null} ],\"\\u006d\" : 7 } ",
            ),
            (
                &[("/m/new", "1"), ("/m/newer", "2"), ("/l/-", "3"), ("/z", "{}")],
                " { \"n\" : 1.50 ,\"l\":[ 1e2, {\"a~/b\":\"x\"},3 ],\"\\u006d\" : {\"new\":1,\"newer\":2 },\"z\":{} } ",
            ),
        ] {
            assert_eq!(changed(text, changes).as_deref(), Ok(expected));
        }
        assert_eq!(changed("{}", &[("/a", "1"), ("/b", "2")]).unwrap(), r#"{"a":1,"b":2}"#);
        assert_eq!(
            changed("{\"a\":[]}", &[("/a/-", "1"), ("/a/-", "2")]).unwrap(),
            r#"{"a":[1,2]}"#
        );
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for (text, pointer) in [
            ("{}", "/a/b"),
            (r#"{"a":5}"#, "/a/b"),
            (r#"{"a":[1]}"#, "/a/1"),
            (r#"{"a":[1]}"#, "/a/00"),
            (r#"{"a":[1]}"#, "/a/x"),
            (r#"{"a":{"b":1,"\u0062":2}}"#, "/a/b"),
            (r#"{"a":1,"a":2}"#, "/c"),
        ] {
            assert!(changed(text, &[(pointer, "1")]).is_err(), "{text} {pointer}");
        }
    }

    #[test]
    fn changes_that_contradict_each_other_are_refused() {
        let text = r#"{"a":{"b":1},"ab":2}"#;
        assert!(changed(text, &[("/ab", "1"), ("/ab", "2")]).is_err());
        assert!(changed(text, &[("/a", "1"), ("/a/b", "2")]).is_err());
        assert!(changed(text, &[("/a/b", "1"), ("/a", "2")]).is_err());
        assert!(changed(text, &[("/a", "1"), ("/ab", "2")]).is_ok());
        assert_eq!(
            changed(text, &[("/ab", "1"), ("/ab", "1")]).unwrap(),
            r#"{"a":{"b":1},"ab":1}"#
        );
    }

    #[test]
    fn bad_pointers_are_refused() {
        for bad in ["", "a", "a/b", "/~", "/a~2", "#/a"] {
            assert_eq!(Pointer::parse(bad), Err(BadPointer), "{bad}");
        }
        for good in ["/", "/a", "/a//b", "/~0~1~01", "/0/-"] {
            assert_eq!(Pointer::parse(good).unwrap().to_string(), good);
        }
    }

    /// Objects of numbers with free white space; the values are literals that a value tree loses.
    fn object() -> impl Strategy<Value = Vec<(String, String)>> {
        let literal = prop::sample::select(vec![
            "1.0",
            "1e2",
            "-0",
            "10000000000000000001",
            "{ }",
            "[1 ,2]",
            "\"\\u0041\"",
        ]);
        prop::collection::vec(("[ab]{1,3}", literal, "[ \t]{0,2}"), 1..6).prop_map(|members| {
            let mut seen = std::collections::BTreeSet::new();
            members
                .into_iter()
                .filter(|(name, ..)| seen.insert(name.clone()))
                .map(|(name, literal, space)| {
                    (name.clone(), format!("{space}\"{name}\"{space}:{space}{literal}{space}"))
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_other_byte_survives(members in object(), pick in 0_usize..6, value in "[1-9]{1,4}") {
            let parts: Vec<_> = members.iter().map(|(_, text)| text.as_str()).collect();
            let text = format!("{{{}}}", parts.join(","));
            let (name, _) = &members[pick % members.len()];
            let new = changed(&text, &[(&format!("/{name}"), &value)]).unwrap();
            let kept: Vec<_> = members.iter().map(|(n, part)| {
                if n == name {
                    let at = part.find(':').unwrap() + 1;
                    let literal = part[at..].trim();
                    format!("{}{}", &part[..at], part[at..].replacen(literal, &value, 1))
                } else {
                    part.clone()
                }
            }).collect();
            prop_assert_eq!(new, format!("{{{}}}", kept.join(",")));
        }

        #[test]
        fn setting_never_panics(text in ".{0,40}", pointer in "/[a-c0/~1-]{0,6}") {
            if let Ok(pointer) = Pointer::parse(&pointer) {
                let _ = set(&text, &[(&pointer, "1".to_owned())]);
            }
        }
    }
}
