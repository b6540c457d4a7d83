//! Reads the text of a `thoth-config.json`. Pure.
//!
//! The text is read as strictly as a client's line: what two readers could read differently, such
//! as a key that stands twice, is refused. Everything that is wrong is told at once.
//!
//! # Invariants
//!
//! - What is told names keys and places, and never a value.
//! - A key that thoth does not know is refused: a policy that silently does not apply is worse
//!   than one that stops the start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::keys::{self, ALIASES, ALL, Key, Kind, Of};
use super::parse::Wrong;
use super::variables::Used;
use crate::gate::json::{self, Reader, Strict};
use crate::policy::Pack;

/// The longest file that is read, in bytes.
pub(super) const LONGEST: usize = 1024 * 1024;

/// Which of the two files it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    /// The administrator's.
    Managed,
    /// The user's.
    Profile,
}

/// What a file says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Layer {
    values: BTreeMap<&'static str, Value>,
    /// The keys that nobody else may set, as the file lists them.
    pub(super) locked: BTreeSet<&'static str>,
    /// What is in the file and does nothing.
    pub(super) idle: Vec<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Value {
    /// As it would stand in a variable.
    Text(String),
    /// Rule files and packs: paths may hold commas.
    Policies(Vec<String>),
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Flaw {
    /// Line and column, where there is a place to point at. Both count from 1, columns in
    /// characters.
    pub(super) place: Option<(usize, usize)>,
    /// What is wrong, in words that hold no value.
    pub(super) what: String,
    /// What to write instead.
    pub(super) fix: String,
}

/// Keys that are no settings: an editor's, and one of the product that thoth replaces.
const EXEMPT: [&str; 2] = ["$schema", "allowed_paths"];

struct Scan<'a> {
    text: &'a str,
    which: Which,
    seen: BTreeSet<String>,
    layer: Layer,
    flaws: Vec<Flaw>,
}

/// Reads a file's text. What is right in it is kept also where something else is wrong, to be
/// looked at.
pub(super) fn parse(bytes: &[u8], which: Which) -> (Layer, Vec<Flaw>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // PowerShell writes one
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let right = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let flaw = Flaw {
                place: Some(place(&right, right.len())),
                what: "the text is not UTF-8".into(),
                fix: "write it as UTF-8".into(),
            };
            return (Layer::default(), vec![flaw]);
        }
    };
    // Lines may end as they do on Windows. A raw line end inside a text stays one, and is refused.
    let text = text.replace("\r\n", " \n");
    let mut scan = Scan {
        text: &text,
        which,
        seen: BTreeSet::new(),
        layer: Layer::default(),
        flaws: Vec::new(),
    };
    scan.file();
    (scan.layer, scan.flaws)
}

// === impl Layer ===

impl Layer {
    /// The text of a key, as it would stand in a variable.
    pub(super) fn get(&self, key: &Key) -> Option<&str> {
        match self.values.get(key.name)? {
            Value::Text(text) => Some(text),
            Value::Policies(_) => None,
        }
    }

    /// The rule files and packs.
    pub(super) fn policies(&self) -> &[String] {
        match self.values.get("policy") {
            Some(Value::Policies(entries)) => entries,
            Some(Value::Text(_)) | None => &[],
        }
    }

    /// Sets what the file itself does not say.
    pub(super) fn set_default(&mut self, key: &'static str, text: String) {
        self.values.entry(key).or_insert(Value::Text(text));
    }

    /// The files on whose contents it depends what is decided, each with its key.
    pub(super) fn governing(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = self.policies().iter().filter(|entry| is_path(entry));
        let policies = files.map(|path| ("policy", Path::new(path)));
        let others = ALL.iter().filter(|key| matches!(key.kind, Kind::Path { governs: true }));
        policies.chain(others.filter_map(|key| Some((key.name, Path::new(self.get(key)?)))))
    }
}

// === impl Scan ===

impl Scan<'_> {
    fn file(&mut self) {
        let text = self.text;
        let mut reader = Reader::<Strict>::new(text.as_bytes());
        let mut end = 0;
        let read = reader
            .object(|reader, name| {
                let start = end + text[end..].find('"').unwrap_or_default();
                let span = reader.value(1)?;
                end = span.range.end;
                self.member(name, start, span.kind, &text[span.range]);
                Ok(())
            })
            .and_then(|_| reader.end());
        if let Err(fault) = read {
            // A repeated key of the outermost object was told where it stands.
            if fault != json::Fault::Repeated || self.flaws.is_empty() {
                let fix = "write one JSON object, without comments and trailing commas";
                self.flaw(reader.position(), format!("the text cannot be read: {fault}"), fix);
            }
        }
        for (one, other) in ALIASES {
            if self.layer.values.contains_key(one) && self.layer.values.contains_key(other) {
                self.flaws.push(Flaw {
                    place: None,
                    what: format!("`{one}` and `{other}` are one setting"),
                    fix: "leave one of them out".into(),
                });
            }
        }
    }

    fn member(&mut self, name: &str, at: usize, kind: json::Kind, value: &str) {
        if !self.seen.insert(name.to_owned()) {
            self.flaw(at, format!("{} stands twice", quoted(name)), "leave one of them out");
            return;
        }
        if EXEMPT.contains(&name) {
            if name == "allowed_paths" {
                self.layer.idle.push("`allowed_paths` is not used: write rules instead".to_owned());
            }
            return;
        }
        if name == "locked" {
            match self.which {
                Which::Managed => self.locks(at, kind, value),
                Which::Profile => self.flaw(
                    at,
                    "`locked` stands in a file that is the user's own".to_owned(),
                    "write it into the managed configuration",
                ),
            }
            return;
        }
        let Some(key) = keys::find(name) else {
            self.unknown(name, at);
            return;
        };
        match read(key, kind, value) {
            Ok(value) => {
                if let Of::Variable(variable) = key.of
                    && variable.used != Used::Read
                {
                    let idle = format!("`{name}` has no effect in this version of thoth");
                    self.layer.idle.push(idle);
                }
                self.layer.values.insert(key.name, value);
            }
            Err(Wrong { what, fix }) => {
                self.flaw(at, format!("`{name}` {what}"), &fix_of(key, fix));
            }
        }
    }

    /// `"all"`, or an array of keys.
    fn locks(&mut self, at: usize, kind: json::Kind, value: &str) {
        let entries = match kind {
            json::Kind::Text if json::unescape(value.as_bytes()) == "all" => vec!["*".to_owned()],
            _ => match texts(value) {
                Some(entries) => entries,
                None => {
                    let fix = "write [\"key\", \"key\"], or \"all\"";
                    return self.flaw(at, "`locked` is no list of keys".to_owned(), fix);
                }
            },
        };
        for entry in entries {
            if entry == "*" {
                // Each wrapped server has an agent's name of its own, so that one is locked by
                // name only.
                let all = ALL.iter().map(|key| key.name).filter(|name| *name != "agent_id");
                self.layer.locked.extend(all);
            } else if let Some(key) = keys::find(&entry) {
                self.layer.locked.insert(key.name);
            } else {
                let what = format!("`locked` names {}, which is no key", quoted(&entry));
                self.flaw(at, what, &meant(&entry));
            }
        }
    }

    fn unknown(&mut self, name: &str, at: usize) {
        self.flaw(at, format!("{} is no key that thoth knows", quoted(name)), &meant(name));
    }

    fn flaw(&mut self, at: usize, what: String, fix: &str) {
        self.flaws.push(Flaw { place: Some(place(self.text, at)), what, fix: fix.to_owned() });
    }
}

/// The value of a key, where its JSON is of the right kind.
fn read(key: &Key, kind: json::Kind, value: &str) -> Result<Value, Wrong> {
    const TEXT: Wrong = Wrong::new("is no text", "write \"...\"");
    let text = || match kind {
        json::Kind::Text => one_line(&json::unescape(value.as_bytes())),
        json::Kind::Array | json::Kind::Literal | json::Kind::Number | json::Kind::Object => {
            Err(TEXT)
        }
    };
    let text = match key.kind {
        Kind::Boolean if matches!(value, "true" | "false") => value.to_owned(),
        Kind::Boolean => return Err(Wrong::new("is neither yes nor no", "write true or false")),
        Kind::Number { least, most } => whole(value)
            .filter(|number| (least..=most).contains(number))
            .ok_or(Wrong::new("is no such number", ""))?
            .to_string(),
        Kind::Object if kind == json::Kind::Object => value.to_owned(),
        Kind::Object => return Err(Wrong::new("is no object", "write {\"name\": value}")),
        Kind::Text => text()?,
        Kind::Path { .. } => {
            let text = text()?;
            if !Path::new(&text).has_root() {
                return Err(Wrong::new("is not an absolute path", "write it from the root on"));
            }
            text
        }
        Kind::Word(rows) => {
            let text = text()?;
            if !rows.iter().any(|row| row.contains(&text.as_str())) {
                return Err(Wrong::new("is none of its words", ""));
            }
            text
        }
        Kind::List if kind == json::Kind::Array => {
            let entries = entries(value)?;
            if entries.iter().any(|entry| entry.contains(',')) {
                let fix = "write each entry as a text of its own";
                return Err(Wrong::new("has an entry with a comma", fix));
            }
            entries.join(",")
        }
        Kind::List => text()?,
        Kind::Command if kind == json::Kind::Array => {
            entries(value)?;
            value.to_owned() // as it would stand in the variable
        }
        Kind::Command => text()?,
        Kind::Policies => return policies(kind, value),
        Kind::Secret => {
            return Err(Wrong::new(
                "is a secret, and others can read this file",
                "name a file that only the user can read, or a command, in a key of its own",
            ));
        }
    };
    Ok(Value::Text(text))
}

fn policies(kind: json::Kind, value: &str) -> Result<Value, Wrong> {
    if kind != json::Kind::Array {
        return Err(Wrong::new("is no list", "write [\"/path/to/rules.toml\", \"baseline\"]"));
    }
    let entries = entries(value)?;
    for entry in &entries {
        if is_path(entry) && !Path::new(entry).has_root() {
            return Err(Wrong::new(
                "has a path that is not absolute",
                "write each from the root on",
            ));
        }
        if !is_path(entry) && Pack::named(entry).is_none() {
            return Err(Wrong::new(
                "names a pack that thoth does not have",
                "`thoth policy` lists the packs; write a file's path from the root on",
            ));
        }
    }
    Ok(Value::Policies(entries))
}

/// Whether an entry of `policy` is a path, not a pack's name.
pub(super) fn is_path(entry: &str) -> bool {
    entry.contains(['/', '\\'])
}

/// What to write, where it depends on the key.
fn fix_of(key: &Key, fix: &'static str) -> String {
    match key.kind {
        Kind::Number { least, most } => format!("write a whole number from {least} to {most}"),
        Kind::Word(rows) if fix.is_empty() => {
            let words: Vec<_> = rows.iter().flat_map(|row| row.iter().copied()).collect();
            format!("write one of {}", words.join(", "))
        }
        _ => fix.to_owned(),
    }
}

/// A whole number, as JSON Schema understands it: `60.0` is one.
fn whole(value: &str) -> Option<u64> {
    let exact = value.parse().ok();
    exact.or_else(|| {
        let number: f64 = value.parse().ok()?;
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole, not negative, and small enough"
        )]
        is_whole.then_some(number as u64)
    })
}

/// An array of texts with something in each.
fn entries(value: &str) -> Result<Vec<String>, Wrong> {
    texts(value)
        .filter(|entries| !entries.is_empty())
        .ok_or(Wrong::new("is no list of texts", "write [\"one\", \"another\"]"))?
        .iter()
        .map(|entry| one_line(entry))
        .collect()
}

fn texts(value: &str) -> Option<Vec<String>> {
    serde_json::from_str(value).ok()
}

fn one_line(text: &str) -> Result<String, Wrong> {
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("holds a control character", "write it on one line"));
    }
    if text.trim().is_empty() {
        return Err(Wrong::new("is empty", "write a value or leave it out"));
    }
    if text.trim() != text {
        return Err(Wrong::new("begins or ends with a blank", "write it without"));
    }
    Ok(text.to_owned())
}

/// A name that somebody wrote, short and without what would drive a terminal.
fn quoted(name: &str) -> String {
    const MOST: usize = 40;
    let short: String = name.chars().take(MOST).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    format!("`{}{more}`", short.escape_debug())
}

fn meant(name: &str) -> String {
    keys::nearest(name).map_or_else(
        || "leave it out; docs/managed-configuration.md lists the keys".to_owned(),
        |key| format!("was `{key}` meant?"),
    )
}

/// Line and column of a byte, both from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
