//! Puts thoth around one server.

use super::entry::{REMOTE_ONLY, reach};
use super::{Candidate, Input, inputs, secrets};
use crate::clients::document::{Transport, Value, wrapped};
use crate::clients::scan::{Expected, weaker_flags};

/// What every server is governed with.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The thoth to start: a whole path.
    pub program: String,
    /// The agent; without, each server's name.
    pub agent: Option<String>,
    /// What `thoth run` is told besides, each with its value.
    pub flags: Vec<(&'static str, String)>,
    /// What is managed: flags of an entry that is wrapped already and are weaker are not kept.
    pub expected: Expected,
}

/// A server as a client is to start it.
#[derive(Clone, Debug)]
pub struct Governed {
    /// Its name.
    pub name: String,
    /// The program: thoth.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its variables: references, and values that are no secrets.
    pub env: Vec<(String, Value)>,
    /// Names of variables that the client is to hand on.
    pub pass: Vec<String>,
    /// The other members of the entry, as they were.
    pub rest: Vec<(String, Value)>,
    /// What it has the client ask the person for.
    pub inputs: Vec<Input>,
    /// Whether the entry stands in a file of the client's own.
    pub is_found: bool,
    /// Whether it was reached at an address.
    pub was_remote: bool,
}

/// Why an entry cannot be governed in a file without secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Flaw {
    /// It holds a secret.
    #[error(
        "{0} holds a secret, which is not copied; write a reference to a variable there, such as \
         ${{NAME}}, or let `thoth wrap-config --migrate-secrets` do so, or leave the server out \
         with --without"
    )]
    Literal(String),
    /// It is no server that can be started or reached.
    #[error("{0}; mend it, or leave the server out with --without")]
    Odd(String),
}

/// Puts thoth around a server, or leaves it there.
///
/// # Errors
///
/// [`Flaw`].
pub fn govern(candidate: &Candidate, guard: &Guard) -> Result<Governed, Flaw> {
    secrets::refuse(candidate)?;
    inputs::check(&candidate.inputs)?;
    let words = &candidate.shape.words;
    let kept = |name: &str| ![words.command, words.args, words.env, "type"].contains(&name);
    let member = |(name, value): &(String, Value)| (name.clone(), value.clone());
    let rest = candidate.value.members().iter().filter(|(name, _)| kept(name)).map(member);
    let env = candidate.value.get(words.env).map_or(&[][..], Value::members).iter().map(member);
    let mut governed = Governed {
        name: candidate.name.clone(),
        command: guard.program.clone(),
        args: vec!["run".to_owned()],
        env: env.collect(),
        pass: Vec::new(),
        rest: rest.collect(),
        inputs: candidate.inputs.clone(),
        is_found: candidate.file.is_some(),
        was_remote: false,
    };
    match &candidate.transport {
        Transport::Stdio { command, args, .. } => {
            if let Some(inner) = wrapped(command, args) {
                governed.args.extend(guard.over(&governed.name, inner.flags));
                governed.args.extend(["--".to_owned(), inner.command.to_owned()]);
                governed.args.extend_from_slice(inner.args);
            } else if is_bridge(command, args) {
                governed.args.extend(guard.over(&governed.name, &args[1..]));
            } else {
                governed.args.extend(guard.over(&governed.name, &[]));
                governed.args.extend(["--".to_owned(), command.clone()]);
                governed.args.extend_from_slice(args);
            }
        }
        Transport::Remote { url, .. } => {
            let reach = reach(candidate, &guard.expected.logins)?;
            governed.was_remote = true;
            governed.rest.retain(|(name, _)| !REMOTE_ONLY.contains(&name.as_str()));
            governed.args.extend(guard.over(&governed.name, &[]));
            governed.args.extend(["--url".to_owned(), url.clone()]);
            governed.args.extend(reach.flags);
            governed.env.retain(|(name, _)| !reach.env.iter().any(|(ours, _)| ours == name));
            governed.env.extend(reach.env);
            governed.pass = reach.pass;
        }
        Transport::Other { what } => return Err(Flaw::Odd(what.clone())),
    }
    Ok(governed)
}

/// Whether an entry is a `thoth run --url` already.
fn is_bridge(command: &str, args: &[String]) -> bool {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    let is_thoth = name == "thoth" || name.eq_ignore_ascii_case("thoth.exe");
    let is_url = |arg: &String| arg == "--url" || arg.starts_with("--url=");
    is_thoth && args.first().is_some_and(|run| run == "run") && args.iter().any(is_url)
}

/// A flag and its value as two words; as one where the value could be taken for a flag.
fn written(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        vec![format!("{name}={value}")]
    } else {
        vec![name.to_owned(), value.to_owned()]
    }
}

// === impl Guard ===

impl Guard {
    /// What a server's `run` is told, over what its entry says by itself.
    fn over(&self, server: &str, had: &[String]) -> Vec<String> {
        let mut had = without(had, &weaker_flags(had, &self.expected));
        let mut given: Vec<(&str, String)> = self.flags.clone();
        let has_agent = had.iter().any(|flag| flag.split('=').next() == Some("--agent-id"));
        match &self.agent {
            Some(agent) => given.insert(0, ("--agent-id", agent.clone())),
            None if !has_agent => given.insert(0, ("--agent-id", agent(server))),
            None => {}
        }
        let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
        had = without(&had, &names);
        let mut flags: Vec<_> =
            given.iter().flat_map(|(name, value)| written(name, value)).collect();
        flags.append(&mut had);
        flags
    }
}

/// A server's name as an agent's: without what `thoth run` would not take.
fn agent(name: &str) -> String {
    let name = name.replace(char::is_control, "_");
    if name.trim().is_empty() { "server".to_owned() } else { name }
}

/// Flags without some, and without what they are told.
fn without(flags: &[String], names: &[&str]) -> Vec<String> {
    let (mut kept, mut flags) = (Vec::new(), flags.iter().peekable());
    while let Some(flag) = flags.next() {
        let name = flag.split('=').next().unwrap_or(flag);
        let is_dropped = names.contains(&name) || name == "--undo";
        if !is_dropped {
            kept.push(flag.clone());
        }
        if name.starts_with("--") && name == flag {
            let value = flags.next_if(|value| !value.starts_with("--")).cloned();
            kept.extend(value.filter(|_| !is_dropped));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::launch::{Whose, recipe};
    use crate::gate::decide::Mode;

    #[test]
    fn a_wrapped_entry_keeps_its_flags_but_those_that_are_weaker_than_what_is_managed() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let expected = Expected { mode: Some(Mode::Block), ..Expected::default() };
        for (mode, expected, kept) in [
            ("observe", expected.clone(), &[][..]),
            ("block", expected, &["--enforcement-mode", "block"]),
            ("observe", Expected::default(), &["--enforcement-mode", "observe"]),
        ] {
            let flags = ["run", "--agent-id", "me", "--enforcement-mode", mode];
            let candidate = Candidate {
                name: "files".to_owned(),
                whose: Whose::User,
                file: None,
                transport: Transport::Stdio {
                    command: "/opt/bin/thoth".to_owned(),
                    args: words(&[&flags[..], &["--", "npx", "x"]].concat()),
                    env: Vec::new(),
                },
                shape: recipe("claude").unwrap().sources[0].shape,
                value: Value::Map(Vec::new()),
                inputs: Vec::new(),
            };
            let guard = Guard { program: "thoth".to_owned(), expected, ..Guard::default() };
            let governed = govern(&candidate, &guard).unwrap();
            let told = [&["run", "--agent-id", "me"], kept, &["--", "npx", "x"]].concat();
            assert_eq!(governed.args, words(&told));
        }
    }
}
