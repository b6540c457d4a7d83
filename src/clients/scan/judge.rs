//! How one server stands.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};

use super::program::Programs;
use super::{Entry, Expected};
use crate::clients::coverage::{FoundServer, Standing};
use crate::clients::document::{Document, Transport, bridged, wrapped};
use crate::clients::remote::{host, plan};
use crate::clients::table::{File, Places, System};
use crate::config::flags::RunFlags;
use crate::config::settings::Environment;
use crate::config::variables::{
    API_URL, ENFORCEMENT, ENFORCEMENT_MODE, ENFORCER_URL, ENV, ENVIRONMENT, TENANT_ID, Variable,
};
use crate::config::{read_environment, read_mode};
use crate::gate::decide::Mode;

/// Judges entries, and remembers what it has seen of programs.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    system: System,
    expected: &'a Expected,
    programs: Programs<'a>,
    run: Command,
}

/// What is said of a server.
struct Said {
    standing: Standing,
    /// Why it is not governed, or what should be known of how it is.
    why: Option<String>,
    /// Whether wrapping would help.
    can_be_wrapped: bool,
}

/// The settings of one wrapped entry: its flags, and behind them the variables it is given.
struct Told<'a> {
    flags: &'a RunFlags,
    /// The entry with the variables; `None` where only flags are looked at.
    entry: Option<(&'a Document, usize)>,
    system: System,
}

/// The flags of a wrapped entry that are weaker than what is managed, or not what is managed.
/// None where they are not flags of `thoth run` at all.
pub fn weaker_flags(flags: &[String], expected: &Expected) -> Vec<&'static str> {
    let run = RunFlags::augment_args(Command::new("run").no_binary_name(true));
    let parsed = run.try_get_matches_from(flags);
    let Ok(mut flags) = parsed.and_then(|matches| RunFlags::from_arg_matches(&matches)) else {
        return Vec::new();
    };
    let mut weaker = Vec::new();
    while let Some(flag) =
        (Told { flags: &flags, entry: None, system: System::here() }).weaker(expected)
    {
        match flag {
            "--enforcement-mode" => flags.enforcement_mode = None,
            "--env" => flags.env = None,
            "--enforcer-url" => flags.enforcer_url = None,
            "--tenant-id" => flags.tenant_id = None,
            "--journal" => flags.journal = None,
            "--policy" => flags.policy.clear(),
            _ => break, // a flag that is looked at and not named here would be found for ever
        }
        weaker.push(flag);
    }
    weaker
}

// === impl Judge ===

impl<'a> Judge<'a> {
    pub(super) fn new(places: &'a Places, expected: &'a Expected) -> Self {
        let run = RunFlags::augment_args(Command::new("run").no_binary_name(true));
        Self { system: places.system, expected, programs: Programs::new(places, expected), run }
    }

    /// Tells how a server stands, and whether `thoth wrap-config` would do something about it.
    pub(super) fn judge(&mut self, entry: Entry, document: &Document, file: &File) -> FoundServer {
        let mut said = match entry.server {
            Some(at) => self.stands(at, document, file, &entry.name),
            None => Said::of(Standing::Unreadable, None),
        };
        if let Some(barrier) = entry.barrier.filter(|_| !said.standing.is_governed()) {
            said.can_be_wrapped = false;
            said.why = Some(match said.why {
                Some(why) => format!("{why}; {barrier}"),
                None => barrier,
            });
        }
        FoundServer {
            name: entry.name,
            within: entry.within,
            standing: said.standing,
            why: said.why,
            can_be_wrapped: said.can_be_wrapped,
            disabled: entry.disabled,
        }
    }

    fn stands(&mut self, at: usize, document: &Document, file: &File, name: &str) -> Said {
        let (command, args) = match &document.servers()[at].transport {
            Transport::Stdio { command, args, .. } => (command, args),
            Transport::Remote { url, .. } => return self.remote(at, document, file, name, url),
            // What a client brings itself is known; it is only out of reach.
            Transport::Other { what } if what.ends_with("of the client") => {
                return Said::of(Standing::Bypassing, Some(what.clone()));
            }
            Transport::Other { what } => {
                return Said::of(Standing::Unreadable, Some(what.clone()));
            }
        };
        let around =
            wrapped(command, args).map(|wrapped| (wrapped.program, wrapped.flags.to_vec()));
        let around = around
            .or_else(|| bridged(command, args).map(|bridged| (bridged.program, bridged.flags)));
        if let Some((program, flags)) = around {
            return match self.trusted(program, &flags, at, document) {
                Ok(note) => Said::of(Standing::Wrapped, note),
                Err(why) => {
                    Said { can_be_wrapped: true, ..Said::of(Standing::Tampered, Some(why)) }
                }
            };
        }
        match imitation(command, args) {
            // Around what it should be wrapped, only its author knows.
            Some(why) => Said::of(Standing::Tampered, Some(why.to_owned())),
            None => Said { can_be_wrapped: true, ..Said::of(Standing::Bypassing, None) },
        }
    }

    /// How a server behind an address stands, which its client reaches itself.
    fn remote(&self, at: usize, document: &Document, file: &File, name: &str, url: &str) -> Said {
        let address = document.address(at).unwrap_or_else(|| Err("it is no address".to_owned()));
        let plan = address.and_then(|address| plan(file.client.id, &address));
        let why = match &plan {
            Ok(plan) => {
                let has_secrets = !plan.secrets.is_empty();
                super::obstacle(plan.proof, has_secrets, name, self.expected)
            }
            Err(why) => Some(why.clone()),
        };
        let can_be_wrapped = why.is_none();
        let reached = format!("reached by URL ({})", host(url));
        let why = why.map_or(reached.clone(), |why| format!("{reached}; {why}"));
        Said { can_be_wrapped, ..Said::of(Standing::Bypassing, Some(why)) }
    }

    /// Whether a wrapped entry can be relied on.
    ///
    /// # Errors
    ///
    /// Why not.
    fn trusted(
        &mut self,
        program: &str,
        flags: &[String],
        at: usize,
        document: &Document,
    ) -> Result<Option<String>, String> {
        let note = self.programs.check(program)?;
        let flags = self
            .run
            .try_get_matches_from_mut(flags)
            .and_then(|matches| RunFlags::from_arg_matches(&matches))
            // Its text may hold a value.
            .map_err(|_| "its flags are not those of thoth run".to_owned())?;
        if flags.agent_id.is_none() {
            return Err("it has no --agent-id, so its calls have no name".to_owned());
        }
        let told = Told { flags: &flags, entry: Some((document, at)), system: self.system };
        match told.weaker(self.expected) {
            Some(setting) => Err(format!("{setting} is not what is managed, or weaker")),
            None => Ok(note),
        }
    }
}

// === impl Said ===

impl Said {
    fn of(standing: Standing, why: Option<String>) -> Self {
        Self { standing, why, can_be_wrapped: false }
    }
}

// === impl Told ===

impl Told<'_> {
    /// The setting that is weaker than the managed one, if one is.
    fn weaker(&self, expected: &Expected) -> Option<&'static str> {
        let flags = self.flags;
        let mode = expected.mode.map(|least| {
            move |text: &str| {
                read_mode(text).is_ok_and(|mode| strictness(mode) >= strictness(least))
            }
        });
        let environment = expected.environment.map(|least| {
            move |text: &str| read_environment(text).is_ok_and(|is| stage(is) >= stage(least))
        });
        let address = expected
            .enforcer_url
            .as_deref()
            .map(|url| move |text: &str| text.trim_end_matches('/') == url.trim_end_matches('/'));
        let tenant = expected.tenant_id.as_deref().map(|tenant| move |text: &str| text == tenant);
        let journal = expected.journal_required.then_some(|text: &str| text == "required");

        let modes: &[_] = &[&ENFORCEMENT_MODE, &ENFORCEMENT];
        let addresses: &[_] = &[&ENFORCER_URL, &API_URL];
        self.fails("--enforcement-mode", flags.enforcement_mode.as_ref(), modes, mode)
            .or_else(|| self.fails("--env", flags.env.as_ref(), &[&ENV, &ENVIRONMENT], environment))
            .or_else(|| {
                self.fails("--enforcer-url", flags.enforcer_url.as_ref(), addresses, address)
            })
            .or_else(|| self.fails("--tenant-id", flags.tenant_id.as_ref(), &[&TENANT_ID], tenant))
            .or_else(|| self.fails("--journal", flags.journal.as_ref(), &[], journal))
            .or_else(|| {
                let managed = expected.policies.as_ref()?;
                (!flags.policy.is_empty() && flags.policy != *managed).then_some("--policy")
            })
    }

    /// Where a setting was found that is not enough: a flag, or the first of its variables.
    ///
    /// A word that cannot be read is not known to be enough.
    fn fails(
        &self,
        name: &'static str,
        flag: Option<&OsString>,
        variables: &[&Variable],
        enough: Option<impl Fn(&str) -> bool>,
    ) -> Option<&'static str> {
        let enough = enough?;
        let (found_in, text) = match flag {
            Some(text) => (name, text.to_string_lossy()),
            None => variables
                .iter()
                .find_map(|variable| Some((variable.name, self.variable(variable.name)?.into())))?,
        };
        (!enough(text.trim())).then_some(found_in)
    }

    /// The value of a variable that the entry is given. On Windows, names have no case.
    fn variable(&self, name: &str) -> Option<&str> {
        let (document, server) = self.entry?;
        let Transport::Stdio { env, .. } = &document.servers()[server].transport else {
            return None;
        };
        let is_it = |given: &&String| match self.system {
            System::Windows => given.eq_ignore_ascii_case(name),
            System::Macos | System::Linux => *given == name,
        };
        document.variable(server, env.iter().find(is_it)?)
    }
}

/// How strict a mode is: `observe` forwards everything, `step_up` lets a person overrule a block.
fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Observe => 0,
        Mode::StepUp => 1,
        Mode::Progressive => 2,
        Mode::Block => 3,
    }
}

fn stage(environment: Environment) -> u8 {
    match environment {
        Environment::Dev => 0,
        Environment::Staging => 1,
        Environment::Prod => 2,
    }
}

/// What is wrong with a command that is called thoth and starts no server behind the gate.
fn imitation(command: &str, args: &[String]) -> Option<&'static str> {
    let name = Path::new(command).file_name().unwrap_or_default().to_string_lossy();
    let name = name.rsplit('\\').next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(name.as_str(), "thoth" | "thoth.exe") {
        return None;
    }
    Some(if args.first().is_none_or(|first| first != "run") {
        "it starts thoth, but not thoth run"
    } else if args.iter().any(|arg| arg == "--") {
        "it starts thoth run with nothing after --"
    } else {
        "it starts thoth run without a server: neither -- and a command, nor --url"
    })
}
