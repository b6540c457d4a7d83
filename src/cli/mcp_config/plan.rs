//! From what is asked for to what is written.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Wish;
use crate::cli::fault::{Fault, chain};
use crate::cli::wrap_config::wish;
use crate::cli::{exit, expected, policy};
use crate::clients::document::{Malformed, Shape, Syntax, Transport, Value, Words};
use crate::clients::launch::choose::{Choice, Wanted, Why, choose};
use crate::clients::launch::consent::Answer;
use crate::clients::launch::emit::{Emission, Served, emit, emit_served};
use crate::clients::launch::govern::govern;
use crate::clients::launch::secrets::Known;
use crate::clients::launch::trusted::{Hash, Trusted};
use crate::clients::launch::{
    Beside, Candidate, Consent, Delivery, Governed, Guard, Off, Recipe, Whose, consent, inputs,
    known, recipe, sources,
};
use crate::clients::table::Places;
use crate::config::ambient::Ambient;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::variables::{Env, LAUNCH_SECRET};
use crate::config::{self, agents};
use crate::machine::Machine;

/// How a server is written that was given on the command line.
static GIVEN: Shape = Shape {
    syntax: Syntax::Json,
    servers: &[],
    words: Words { command: "command", args: "args", env: "env", remote: &["url"], is_one: false },
};

/// What is to be written, and what to know about it.
pub(in crate::cli) struct Plan {
    pub(in crate::cli) recipe: &'static Recipe,
    servers: Vec<Governed>,
    /// Servers that the client finds by itself and must not start.
    off: Vec<String>,
    /// What the file has besides.
    base: Value,
    known: Known,
    trusted: Trusted,
    newly: Vec<(PathBuf, String, Hash)>,
}

/// What is asked for cannot be done.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{client} is no client that is known here; there are {}", known())]
    Client { client: String },
    #[error("the project {} cannot be used", path.display())]
    Project { path: PathBuf, source: std::io::Error },
    #[error("--server {0} wants an address, as in {0}=https://example.com/mcp{1}")]
    NoAddress(String, &'static str),
    #[error("the command after -- belongs to a --server NAME, of which there is none")]
    NoServer,
    #[error("cannot tell where the policy {name} is")]
    Policy { name: String, source: std::io::Error },
    #[error("this program cannot be found by its path, so no client could start it")]
    NoProgram,
    #[error("the variable {variable}: {at}")]
    Variable { variable: &'static str, at: Malformed },
    #[error("it is not known how {0} is told of an address; leave out --serve")]
    NoServe(&'static str),
    #[error(
        "the input {0} is defined in two files, and not alike; rename one, or leave out a server \
         that asks for it with --without"
    )]
    Inputs(String),
    #[error("not every server can be governed:{}", .0.concat())]
    Flaws(Vec<String>),
}

/// A line for people.
fn note(err: &mut impl Write, text: &str) {
    let _ = writeln!(err, "thoth: {text}");
}

/// Words as a shell reads them.
pub(super) fn quoted(words: &[String]) -> String {
    let quote = |word: &String| {
        let is_plain = !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte));
        if is_plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

// === impl Plan ===

impl Plan {
    /// Reads, chooses and governs. What is left out is told on `err`.
    pub(in crate::cli) fn make(
        wish: &Wish,
        command: &[String],
        serve: bool,
        env: &Env,
        err: &mut impl Write,
    ) -> Result<Self, Fault> {
        let recipe = recipe(&wish.client).ok_or_else(|| {
            Fault::new(exit::USAGE, Unusable::Client { client: wish.client.clone() })
        })?;
        let own = wish.own(command)?;
        let guard = wish.guard(env)?;
        for name in agents::idle(env) {
            note(
                err,
                &format!("{name}: has no effect; only _CWD and _OUT can be said of an agent"),
            );
        }
        let path = wish.project.clone().or(wish.overrides(env).cwd).unwrap_or_else(|| ".".into());
        let project = sources::project(&path)
            .map_err(|source| Unusable::Project { path, source })
            .map_err(Fault::of(exit::USAGE))?;
        let places = Places::of(env);
        let home = config::home(env);

        let found =
            sources::read(recipe, &places, &project).map_err(Fault::of(exit::CONFIGURATION))?;
        let approvals = consent::approvals(recipe.consent, &places, &project)
            .map_err(Fault::of(exit::CONFIGURATION))?;
        let files: BTreeSet<_> = found
            .iter()
            .filter(|found| found.is_of_project())
            .filter_map(|found| found.file.clone())
            .collect();
        let trusted = Trusted::read(&home, files.iter().map(PathBuf::as_path))
            .map_err(Fault::of(exit::CONFIGURATION))?;
        let known = Known::of(found.iter().chain(&own), config::known_keys(env));
        let whose: Vec<_> = found
            .iter()
            .map(|found| (found.name.clone(), found.file.clone(), found.whose))
            .collect();
        let wanted = Wanted {
            trust_project: wish.trust_project,
            without: wish.without.iter().cloned().collect(),
        };
        let Choice { taken, left, trusted: newly } =
            choose(found, own, &approvals, &trusted, &wanted);

        let (mut servers, mut off, mut flaws) = (Vec::new(), Vec::new(), Vec::new());
        for left in &left {
            let is_users =
                whose.contains(&(left.name.clone(), Some(left.file.clone()), Whose::User));
            if left.why != Why::Behind && left.why != Why::Own {
                // Codex does not read the files of a project that is not trusted, and refuses an
                // entry that is switched off and nothing else.
                let is_read = recipe.consent != Consent::Codex
                    || is_users
                    || approvals.of(&left.name) == Answer::Yes;
                if is_read {
                    off.push(left.name.clone());
                }
                let (name, file) = (&left.name, left.file.display());
                let still = match recipe.off {
                    Off::Nothing => "; the client may start it all the same, ungoverned",
                    Off::Unneeded | Off::Member(_) | Off::Flag(_) | Off::Only(..) => "",
                };
                note(err, &format!("{name} of {file} is left out: {}{still}", left.why.text()));
            } else if left.why == Why::Own {
                let (name, file) = (&left.name, left.file.display());
                note(err, &format!("{name} of {file} gives way: {}", left.why.text()));
            }
        }
        for candidate in &taken {
            match govern(candidate, &guard) {
                Ok(governed)
                    if recipe.beside == Beside::Merged
                        && governed.was_remote
                        && governed.is_found
                        && !serve =>
                {
                    let (name, client) = (&governed.name, recipe.name);
                    note(
                        err,
                        &format!(
                            "{name} is left out: {client} merges what it is told with its own file, \
                         which says where {name} is; `thoth launch --serve` governs it, or `thoth wrap-config`"
                        ),
                    );
                    off.push(governed.name);
                }
                Ok(governed) => servers.push(governed),
                Err(flaw) => {
                    let file = candidate.file.as_deref().unwrap_or(Path::new("the command line"));
                    flaws.push(format!(
                        "\n  {} in {}: {}",
                        candidate.name,
                        file.display(),
                        chain(&flaw)
                    ));
                }
            }
        }
        if !flaws.is_empty() {
            return Err(Fault::new(exit::CONFIGURATION, Unusable::Flaws(flaws)));
        }
        if servers.is_empty() {
            note(err, "there is no server to be started");
        }
        let base = asking(recipe, &servers, base(recipe, &places, env)?)?;
        Ok(Self { recipe, servers, off, base, known, trusted, newly })
    }

    /// What the client is given. It was searched for every secret that was seen.
    pub(in crate::cli) fn emit(&self) -> Result<Emission, Fault> {
        self.searched(emit(self.recipe, &self.servers, &self.off, &self.base))
    }

    /// The same where the servers are served on this machine.
    pub(in crate::cli) fn emit_served(&self, served: &[Served]) -> Result<Emission, Fault> {
        let variable = LAUNCH_SECRET.name;
        let emission =
            emit_served(self.recipe, &self.servers, served, variable, &self.off, &self.base);
        let name = self.recipe.name;
        self.searched(emission.ok_or_else(|| Fault::new(exit::USAGE, Unusable::NoServe(name)))?)
    }

    fn searched(&self, emission: Emission) -> Result<Emission, Fault> {
        let texts = emission.text.iter().chain(&emission.words);
        texts
            .map(String::as_str)
            .try_for_each(|text| self.known.search(text))
            .map_err(Fault::of(exit::CONFIGURATION))?;
        Ok(emission)
    }

    /// The servers, governed.
    pub(in crate::cli) fn servers(&self) -> &[Governed] {
        &self.servers
    }

    /// Remembers what was trusted.
    pub(in crate::cli) fn remember(&self, home: &Path) -> Result<(), Fault> {
        self.trusted.clone().remember(home, &self.newly).map_err(Fault::of(exit::NO))
    }

    /// Says how the client is told of a file, with words besides.
    pub(super) fn tell_use(&self, file: &Path, words: &[String], err: &mut impl Write) {
        let (client, file) = (self.recipe.name, file.display().to_string());
        let how = match self.recipe.delivery {
            Delivery::Flag { flag, mark, with, .. } => {
                let mut line = vec![flag.to_owned(), format!("{mark}{file}")];
                line.extend(with.iter().map(|word| (*word).to_owned()));
                line.extend_from_slice(words);
                quoted(&line)
            }
            Delivery::Path(variable) => format!("{variable}={}", quoted(&[file])),
            Delivery::Text(variable) => format!("{variable}=\"$(cat {})\"", quoted(&[file])),
            Delivery::Place(place) => format!("it must lie at {place}"),
            Delivery::Words { .. } => "in its command line".to_owned(),
        };
        note(err, &format!("{client} takes it so: {how}"));
    }
}

/// The same, with what the servers have the person asked for.
fn asking(recipe: &Recipe, servers: &[Governed], mut base: Value) -> Result<Value, Fault> {
    let asked = inputs::all(servers).map_err(Unusable::Inputs);
    let asked = asked.map_err(Fault::of(exit::CONFIGURATION))?;
    if let (Some(member), Value::Map(members)) = (recipe.dialect.inputs, &mut base)
        && !asked.is_empty()
    {
        members.push((member.to_owned(), Value::List(asked)));
    }
    Ok(base)
}

/// What the file has besides servers: the system's settings, which it would hide.
fn base(recipe: &Recipe, places: &Places, env: &Env) -> Result<Value, Fault> {
    let said = |variable| Ambient::of(env, &[variable]).get(variable).map(str::to_owned);
    match recipe.delivery {
        Delivery::Path(variable) => {
            let named = said(variable).map(PathBuf::from);
            sources::base(recipe, places, named).map_err(Fault::of(exit::CONFIGURATION))
        }
        Delivery::Text(variable) => {
            let text = said(variable).unwrap_or_default();
            Value::read(text.as_bytes())
                .map_err(|at| Unusable::Variable { variable, at })
                .map_err(Fault::of(exit::CONFIGURATION))
        }
        Delivery::Flag { .. } | Delivery::Words { .. } | Delivery::Place(_) => {
            Ok(Value::Map(Vec::new()))
        }
    }
}

// === impl Wish ===

impl Wish {
    /// The servers of the command line.
    fn own(&self, command: &[String]) -> Result<Vec<Candidate>, Fault> {
        let mut own = Vec::new();
        let mut command = Some(command).filter(|command| !command.is_empty());
        for text in &self.server {
            let text_value = |text: &str| Value::Text(text.to_owned());
            let (name, value, transport) = match (text.split_once('='), command) {
                (Some((name, url)), _) => {
                    let members = vec![("url".to_owned(), text_value(url))];
                    let transport =
                        Transport::Remote { member: "url".to_owned(), url: url.to_owned() };
                    (name, Value::Map(members), transport)
                }
                (None, Some([program, args @ ..])) => {
                    command = None;
                    let members = vec![
                        ("command".to_owned(), text_value(program)),
                        ("args".to_owned(), Value::texts(args)),
                    ];
                    let (command, args, env) = (program.clone(), args.to_vec(), Vec::new());
                    (&text[..], Value::Map(members), Transport::Stdio { command, args, env })
                }
                (None, _) => {
                    let or = "; or, the last one, a command after --";
                    return Err(Fault::new(exit::USAGE, Unusable::NoAddress(text.clone(), or)));
                }
            };
            own.push(Candidate {
                name: name.to_owned(),
                whose: Whose::User,
                file: None,
                transport,
                shape: &GIVEN,
                value,
                inputs: Vec::new(),
            });
        }
        if command.is_some() {
            return Err(Fault::new(exit::USAGE, Unusable::NoServer));
        }
        Ok(own)
    }

    /// What every server is governed with. Every value is one that `thoth run` takes.
    fn guard(&self, env: &Env) -> Result<Guard, Fault> {
        let os = |text: &Option<String>| text.as_ref().map(OsString::from);
        let run = RunFlags {
            agent_id: os(&self.agent_id),
            tenant_id: os(&self.tenant_id),
            user_id: os(&self.user_id),
            enforcer_url: os(&self.enforcer_url),
            enforcement_mode: os(&self.enforcement_mode),
            session_intent: os(&self.session_intent),
            approved_scope: os(&self.approved_scope),
            step_up: os(&self.step_up),
            env: os(&self.env),
            ..RunFlags::default()
        };
        wish::check(&run).map_err(Fault::of(exit::CONFIGURATION))?;
        let mut flags = Vec::new();
        for (name, value) in [
            ("--tenant-id", &self.tenant_id),
            ("--user-id", &self.user_id),
            ("--enforcer-url", &self.enforcer_url),
            ("--enforcement-mode", &self.enforcement_mode),
            ("--session-intent", &self.session_intent),
            ("--approved-scope", &self.approved_scope),
            ("--step-up", &self.step_up),
            ("--env", &self.env),
        ] {
            flags.extend(value.as_ref().map(|value| (name, value.trim().to_owned())));
        }
        for name in &self.policy {
            policy::load(name).map_err(Fault::of(exit::CONFIGURATION))?;
            let whole = wish::policy(name)
                .map_err(|source| Unusable::Policy { name: name.clone(), source })
                .map_err(Fault::of(exit::CONFIGURATION))?;
            flags.push(("--policy", whole));
        }
        let machine = Machine::gather();
        let program = machine.executable.as_deref().and_then(Path::to_str).map(str::to_owned);
        let program = program.ok_or_else(|| Fault::new(exit::NO, Unusable::NoProgram))?;
        let managed = config::read(&RunFlags::default(), None, env, &Layers::of_system(env));
        Ok(Guard {
            program,
            agent: self.agent_id.as_ref().map(|agent| agent.trim().to_owned()),
            flags,
            expected: expected::managed(&managed, &machine),
        })
    }
}
