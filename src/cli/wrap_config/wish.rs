//! What entries are wrapped with: the flags that `thoth run` is to be told, variables, intents.
//!
//! An entry that is wrapped already keeps its flags and variables but for those that are given now: a
//! plain `wrap-config` must not take away what an administrator, or a person, has set. What it does
//! take away are flags that are weaker than what is managed.

use std::path::PathBuf;

use super::far::Far;
use super::intents::Intents;
use super::program::Program;
use crate::clients::document::{Bridge, Transport, Wrapping, bridged, wrapped};
use crate::clients::remote;
use crate::clients::scan::{Expected, weaker_flags};
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::variables::Env;
use crate::config::{self, Origin, Problem};

/// What [`crate::clients::document`] tells itself in an entry; it is not for us to hand on.
const UNDO: &str = "--undo";

/// What entries are wrapped with.
#[derive(Debug)]
pub(in crate::cli) struct Wish {
    pub(super) program: Program,
    /// Flags that were given, in the order in which they are written, each with its values.
    pub(super) flags: Vec<(&'static str, Vec<String>)>,
    /// Whether an intent was given for all, so that the map is not asked.
    pub(super) intents: Intents,
    pub(super) env: Vec<(String, String)>,
    /// What is managed: flags that an entry has and that are weaker are not kept.
    pub(super) expected: Expected,
    /// How servers behind an address are wrapped.
    pub(super) far: Far,
}

/// Flags for `thoth run` that it would not take.
#[derive(Debug, thiserror::Error)]
#[error("the command line cannot be used{}", list(.0))]
pub(in crate::cli) struct Unfit(Vec<Problem>);

/// A variable that cannot be added.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoVariable {
    #[error("--env wants NAME=VALUE")]
    NoName,
    #[error("--env {0}: a variable's name has no comma and no control character")]
    Name(String),
    #[error(
        "--env {0}: a secret in a client's file can be read by whoever reads the file; \
         use `thoth set-api-key`, or --api-key with --embed-api-key"
    )]
    Secret(String),
}

/// Flags with a value each, of a list as `thoth run` is given it.
#[derive(Debug, Eq, PartialEq)]
struct Flag {
    name: String,
    words: Vec<String>,
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    lines.concat()
}

/// Checks flags as `thoth run` will read them, whatever else this machine says to it.
///
/// # Errors
///
/// [`Unfit`], with all that is wrong.
pub(in crate::cli) fn check(flags: &RunFlags) -> Result<(), Unfit> {
    let reading = config::read(flags, None, &Env::default(), &Layers::default());
    let of_flag =
        |problem: &&Problem| matches!(problem, Problem::Setting { origin: Origin::Flag(_), .. });
    let wrong: Vec<_> = reading.problems().iter().filter(of_flag).cloned().collect();
    if wrong.is_empty() { Ok(()) } else { Err(Unfit(wrong)) }
}

/// Takes `NAME=VALUE` apart.
///
/// # Errors
///
/// [`NoVariable`], which never holds the value.
pub(super) fn variable(text: &str) -> Result<(String, String), NoVariable> {
    let (name, value) = text.split_once('=').ok_or(NoVariable::NoName)?;
    if name.is_empty() {
        return Err(NoVariable::NoName);
    }
    if name.contains(',') || name.chars().any(char::is_control) {
        return Err(NoVariable::Name(name.escape_default().to_string()));
    }
    if is_own_secret(name) {
        return Err(NoVariable::Secret(name.to_owned()));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Whether a variable of this name holds a secret of thoth's.
fn is_own_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let ours = name.starts_with("THOTH_") || name.starts_with("BATON_");
    let secret = ["KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|end| name.ends_with(end));
    ours && secret
}

/// The flags an entry has, changed by those that are given.
fn merged(had: &[String], given: &[(&str, Vec<String>)]) -> Vec<String> {
    let mut flags = parse(had);
    for (name, values) in given {
        let words: Vec<_> = values.iter().flat_map(|value| written(name, value)).collect();
        let flag = Flag { name: (*name).to_owned(), words };
        let at = flags.iter().position(|flag| flag.name == *name).unwrap_or(flags.len());
        flags.retain(|flag| flag.name != *name);
        flags.insert(at.min(flags.len()), flag);
    }
    flags.into_iter().flat_map(|flag| flag.words).collect()
}

/// The flags an entry has, without some.
pub(in crate::cli) fn without(had: &[String], names: &[&str]) -> Vec<String> {
    let mut flags = parse(had);
    flags.retain(|flag| !names.contains(&flag.name.as_str()));
    flags.into_iter().flat_map(|flag| flag.words).collect()
}

/// A flag and its value as two words; as one where the value could be taken for a flag, or for
/// the `--` before the command.
fn written(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') {
        vec![format!("{name}={value}")]
    } else {
        vec![name.to_owned(), value.to_owned()]
    }
}

fn parse(words: &[String]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        let mut flag = Flag { name: name.to_owned(), words: vec![word.clone()] };
        if name.starts_with("--") && name == word {
            flag.words.extend(words.next_if(|value| !value.starts_with("--")).cloned());
        }
        if name != UNDO {
            flags.push(flag);
        }
    }
    flags
}

// === impl Wish ===

impl Wish {
    /// What a server's entry is wrapped with; `None` where there is nothing to wrap. `added` are the
    /// variables that it was given when it was wrapped before.
    pub(super) fn wrapping(
        &self,
        name: &str,
        transport: &Transport,
        added: Vec<(String, String)>,
    ) -> Option<Wrapping> {
        let Transport::Stdio { command, args, .. } = transport else { return None };
        let mut more = Vec::new();
        let had = match (wrapped(command, args), bridged(command, args)) {
            (Some(wrapped), _) => wrapped.flags.to_vec(),
            (None, Some(bridged)) => {
                let login = remote::login(name);
                if self.expected.logins.contains(&login) && !proves_itself(&bridged.flags) {
                    more.push(("--upstream-login", vec![login]));
                }
                bridged.flags
            }
            (None, None) => Vec::new(),
        };
        let flags = self.merged(name, &had, &more);
        let mut env = added;
        for (name, value) in &self.env {
            match env.iter_mut().find(|(added, _)| added == name) {
                Some(added) => added.1.clone_from(value),
                None => env.push((name.clone(), value.clone())),
            }
        }
        let program = self.program.path.clone();
        Some(Wrapping { program, flags, env, bridge: Bridge::default() })
    }

    /// The flags of a server's entry: those it has, those that are given for all, and these.
    pub(super) fn merged(
        &self,
        name: &str,
        had: &[String],
        more: &[(&'static str, Vec<String>)],
    ) -> Vec<String> {
        let weaker = weaker_flags(had, &self.expected);
        let had = &without(had, &weaker);
        let mut given: Vec<(&str, Vec<String>)> = Vec::new();
        if !parse(had).iter().any(|flag| flag.name == "--agent-id") {
            given.push(("--agent-id", vec![agent(name)]));
        }
        given.extend(self.flags.iter().map(|(name, values)| (*name, values.clone())));
        if !self.flags.iter().any(|(name, _)| *name == "--session-intent") {
            let intent = self.intents.of(name);
            given.extend(intent.map(|intent| ("--session-intent", vec![intent.to_owned()])));
        }
        given.extend(more.iter().cloned());
        merged(had, &given)
    }
}

/// Whether thoth is told how to prove itself to a server behind an address.
fn proves_itself(flags: &[String]) -> bool {
    const PROOFS: [&str; 4] =
        ["--upstream-token-", "--upstream-login", "--upstream-header-", "--upstream-headers-"];
    flags.iter().any(|flag| PROOFS.iter().any(|proof| flag.starts_with(proof)))
}

/// A server's name as an agent's: without what `thoth run` would not take.
pub(in crate::cli) fn agent(name: &str) -> String {
    let name = name.replace(char::is_control, "_");
    if name.trim().is_empty() { "server".to_owned() } else { name }
}

/// The path of a policy as an entry needs it: whole, since clients start it from anywhere. A name
/// of a built-in pack stays a name.
pub(in crate::cli) fn policy(name: &str) -> std::io::Result<String> {
    if crate::policy::Pack::named(name).is_some() {
        return Ok(name.to_owned());
    }
    let path: PathBuf = std::path::absolute(name)?;
    Ok(path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::decide::Mode;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_that_are_given_replace_their_like_and_leave_the_rest() {
        let one = |value: &str| vec![value.to_owned()];
        for (had, given, expected) in [
            ("", vec![("--agent-id", one("a"))], "--agent-id a"),
            ("--agent-id a --policy p", vec![], "--agent-id a --policy p"),
            (
                "--agent-id a --policy p --policy=q --env dev",
                vec![("--policy", vec!["x".to_owned(), "y".to_owned()])],
                "--agent-id a --policy x --policy y --env dev",
            ),
            ("--env=dev", vec![("--env", one("prod"))], "--env prod"),
            (
                "--undo args --agent-id a --undo=env",
                vec![("--env", one("dev"))],
                "--agent-id a --env dev",
            ),
            ("--odd --agent-id a", vec![("--agent-id", one("b"))], "--odd --agent-id b"),
            ("", vec![("--agent-id", one("--"))], "--agent-id=--"),
            ("--agent-id=--", vec![("--agent-id", one("--"))], "--agent-id=--"),
        ] {
            let merged_once = merged(&words(had), &given);
            assert_eq!(merged_once, words(expected), "{had}");
            assert_eq!(merged(&merged_once, &given), merged_once, "twice is once: {had}");
        }
    }

    #[test]
    fn flags_that_are_weaker_than_what_is_managed_are_not_kept() {
        let wish = Wish {
            program: Program { path: "/usr/bin/thoth".to_owned(), stays: true },
            flags: Vec::new(),
            intents: Intents::default(),
            env: Vec::new(),
            far: Far::default(),
            expected: Expected {
                mode: Some(Mode::Progressive),
                tenant_id: Some("acme".to_owned()),
                policies: Some(vec![PathBuf::from("/etc/thoth/p.toml")]),
                ..Expected::default()
            },
        };
        for (had, kept) in [
            ("--agent-id a --enforcement-mode observe --user-id u", "--agent-id a --user-id u"),
            ("--agent-id a --enforcement-mode=block", "--agent-id a --enforcement-mode=block"),
            ("--agent-id a --tenant-id other --policy /tmp/p --policy x", "--agent-id a"),
            (
                "--agent-id a --tenant-id acme --policy /etc/thoth/p.toml",
                "--agent-id a --tenant-id acme --policy /etc/thoth/p.toml",
            ),
            ("--agent-id a --no-such-flag x", "--agent-id a --no-such-flag x"),
        ] {
            let args = [words("run"), words(had), words("-- npx")].concat();
            let command = "/usr/bin/thoth".to_owned();
            let transport = Transport::Stdio { command, args, env: Vec::new() };
            let wrapping = wish.wrapping("a", &transport, Vec::new()).unwrap();
            assert_eq!(wrapping.flags, words(kept), "{had}");
        }
    }

    #[test]
    fn a_secret_of_ours_is_no_variable_for_a_file() {
        for (text, taken) in [
            ("PATH=/usr/bin", true),
            ("A=", true),
            ("A=b=c", true),
            ("GITHUB_TOKEN=x", true), // the server's own, and the user's to give
            ("THOTH_API_KEY_FILE=/etc/key", true),
            ("THOTH_API_KEY=hunter2", false),
            ("thoth_api_key=hunter2", false),
            ("THOTH_GOVAPI_BEARER_TOKEN=hunter2", false),
            ("BATON_API_KEY=hunter2", false),
            ("hunter2", false),
            ("=hunter2", false),
            ("a,b=hunter2", false),
        ] {
            match variable(text) {
                Ok(_) => assert!(taken, "{text}"),
                Err(told) => {
                    assert!(!taken, "{text}");
                    assert!(!told.to_string().contains("hunter2"), "{told}");
                }
            }
        }
    }

    #[test]
    fn an_agent_is_called_as_run_takes_it() {
        for (name, called) in [
            ("files", "files"),
            ("Dateien 工具", "Dateien 工具"),
            ("a\nb", "a_b"),
            ("", "server"),
            (" ", "server"),
        ] {
            assert_eq!(agent(name), called);
        }
    }
}
