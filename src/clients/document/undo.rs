//! What an entry remembers of what it was, where unwrapping could not tell: `run --undo LIST`.
//!
//! The list travels inside the entry, because files travel between machines. Its words, separated
//! by commas:
//!
//! | word | meaning: before it was wrapped, |
//! |---|---|
//! | `args` | the entry had no arguments member |
//! | `args=null` | it had one, and this was its value: `null`, `~` or nothing |
//! | `env` | it had no environment member |
//! | `env=null` | it had one, and this was its value |
//! | `env.NAME` | its environment did not have this variable |
//! | `remote=WORD` | it was reached at an address; the word says the rest ([`Memory`]) |
//!
//! `args` and `env` are the roles, whatever the client calls the members. `thoth run` takes the
//! flag and ignores it.

use std::fmt::Write as _;

use super::memory::Memory;

/// The flag before the list.
pub(super) const FLAG: &str = "--undo";

/// How null is written, in any of the syntaxes.
const NULLS: [&str; 5] = ["null", "Null", "NULL", "~", ""];

/// What has to be undone beside the command and the arguments.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Undo {
    /// What stood in the place of the arguments, if not a list.
    pub(super) args: Option<Former>,
    /// What stood in the place of the environment, if not a map.
    pub(super) env: Option<Former>,
    /// Variables that were added.
    pub(super) added: Vec<String>,
    /// What it was, if it was reached at an address.
    pub(super) remote: Option<Memory>,
}

/// What stood in the place of a member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Former {
    /// There was no such member.
    Absent,
    /// A null, written this way.
    Null(String),
}

// === impl Undo ===

impl Undo {
    /// The list, or nothing where nothing needs to be remembered.
    pub(super) fn write(&self) -> Option<String> {
        let mut words = Vec::new();
        for (role, former) in [("args", &self.args), ("env", &self.env)] {
            match former {
                Some(Former::Absent) => words.push(role.to_owned()),
                Some(Former::Null(null)) => words.push(format!("{role}={null}")),
                None => {}
            }
        }
        words.extend(self.added.iter().map(|name| format!("env.{name}")));
        words.extend(self.remote.iter().map(|memory| format!("remote={}", memory.write())));
        (!words.is_empty()).then(|| words.join(","))
    }

    /// Reads the lists among the flags of a `run`, adding to what is known.
    ///
    /// # Errors
    ///
    /// A word that is not known: a newer thoth wrapped the entry.
    pub(super) fn read(&mut self, flags: &[String]) -> Result<(), String> {
        for list in lists(flags) {
            for word in list.split(',') {
                self.learn(word).ok_or_else(|| {
                    let mut why = String::from("a newer thoth wrapped it");
                    let _ = write!(why, ": its {FLAG} list has a word that this one does not know");
                    why
                })?;
            }
        }
        Ok(())
    }

    fn learn(&mut self, word: &str) -> Option<()> {
        if let Some(name) = word.strip_prefix("env.") {
            self.added.push(name.to_owned());
            return Some(());
        }
        if let Some(word) = word.strip_prefix("remote=") {
            self.remote = Some(Memory::read(word)?);
            return Some(());
        }
        let (role, former) = match word.split_once('=') {
            None => (word, Former::Absent),
            Some((role, null)) => {
                (role, Former::Null(NULLS.contains(&null).then(|| null.to_owned())?))
            }
        };
        match role {
            "args" => self.args = Some(former),
            "env" => self.env = Some(former),
            _ => return None,
        }
        Some(())
    }
}

/// Whether a variable of this name can be remembered.
pub(super) fn can_remember(name: &str) -> bool {
    !name.is_empty() && !name.contains([',', '=', '\0'])
}

/// The flags without any list.
pub(super) fn without(flags: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(flags.len());
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match flag.strip_prefix(FLAG) {
            Some("") => drop(flags.next()),
            Some(rest) if rest.starts_with('=') => {}
            _ => kept.push(flag.clone()),
        }
    }
    kept
}

/// Every list among the flags.
fn lists(flags: &[String]) -> impl Iterator<Item = &str> {
    let after = flags.iter().skip(1).map(String::as_str);
    let after = flags.iter().zip(after).filter(|(flag, _)| *flag == FLAG).map(|(_, list)| list);
    let joined = flags.iter().filter_map(|flag| flag.strip_prefix(FLAG)?.strip_prefix('='));
    after.chain(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        for (undo, list) in [
            (Undo::default(), None),
            (Undo { args: Some(Former::Absent), ..Undo::default() }, Some("args")),
            (
                Undo {
                    args: Some(Former::Null(String::new())),
                    env: Some(Former::Null("~".to_owned())),
                    added: vec!["PATH".to_owned(), "a.b".to_owned()],
                    remote: None,
                },
                Some("args=,env=~,env.PATH,env.a.b"),
            ),
        ] {
            let written = undo.write();
            assert_eq!(written.as_deref(), list);
            let mut read = Undo::default();
            if let Some(list) = written {
                read.read(&flags(&format!("--agent-id x {FLAG} {list}"))).unwrap();
                let mut joined = Undo::default();
                joined.read(&flags(&format!("{FLAG}={list} --env dev"))).unwrap();
                assert_eq!(joined, undo);
            }
            assert_eq!(read, undo);
        }
    }

    #[test]
    fn a_word_of_a_newer_version_is_an_error() {
        for list in ["type", "args=[]", "env={}", "", "args,", "remote", "remote=x"] {
            let read = Undo::default().read(&flags(&format!("--undo {list}")));
            assert!(read.is_err(), "{list}");
        }
    }

    #[test]
    fn the_flags_without_the_lists_are_the_callers() {
        let all = flags("--undo args --agent-id --undoing --undo=env --env dev --undo");
        assert_eq!(without(&all), flags("--agent-id --undoing --env dev"));
    }
}
