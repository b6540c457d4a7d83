//! The settings of one run: flags before environment, read once into one typed [`Config`].
//!
//! This is the only place that knows a variable's name, and the only one that reads the
//! environment. What it hands out is final: nothing downstream parses a string or checks a range
//! again. The managed file and the profile are to become further layers of `sources`.
//!
//! # Invariants
//!
//! - Everything is read before any problem is reported, so that a person mends it in one go.
//! - A problem names its flag or variable and never shows its value.
//! - Nothing is sent anywhere because of a tenant's name alone: the enforcer is where
//!   `THOTH_ENFORCER_URL` or `THOTH_APEX_DOMAIN` says, and there is no built-in domain.
//! - In staging and prod something is there to decide: rules, an enforcer, or both.

mod address;
mod enforcer;
pub mod flags;
mod key;
mod local;
mod parse;
mod reader;
pub mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod trust;
pub mod variables;

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use self::flags::RunFlags;
use self::reader::Reader;
use self::settings::{Config, Environment, Log};
use self::sources::Setting;
use self::variables as name;
use self::variables::Env;
use crate::secret::ApiKey;

pub use self::enforcer::{CONNECT_TIMEOUT, ENFORCER_TIMEOUT, STEP_UP_WAIT};
pub use self::local::MAX_MESSAGE_BYTES;
pub use self::parse::Wrong;
pub use self::parse::{environment as read_environment, mode as read_mode};
pub use self::reader::{Problem, Shown};
pub use self::sources::Origin;

/// What came of reading the configuration.
#[derive(Debug)]
pub struct Reading {
    draft: Config,
    problems: Vec<Problem>,
    shown: Vec<Shown>,
}

/// Everything that is wrong with the configuration, in the order of reading.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidConfig(Vec<Problem>);

/// Reads every setting. `command` is the server's command, which the agent is named after where
/// nothing else is said; `thoth doctor` may have none.
pub fn read(flags: &RunFlags, command: Option<&OsStr>, env: &Env) -> Reading {
    let mut read = Reader::new(env);

    let environment = read.optional(
        Setting::of(&[&name::ENV, &name::ENVIRONMENT]).or_flag("--env", flags.env.as_ref()),
        parse::environment,
    );
    let strict = environment.is_some_and(Environment::is_strict);
    let mode = read.optional(
        Setting::of(&[&name::ENFORCEMENT_MODE, &name::ENFORCEMENT])
            .or_flag("--enforcement-mode", flags.enforcement_mode.as_ref()),
        parse::mode,
    );
    let identity = local::identity(&mut read, flags, command);
    let policies = flags.policy.clone();
    let (api_key, key_file) = enforcer::api_key(&mut read, flags);
    let enforcer = enforcer::read(&mut read, flags, &identity, strict, api_key);
    let tls = trust::tls(&mut read, strict, enforcer.as_ref());
    let preflight = trust::preflight(&mut read, strict, enforcer.as_ref(), &tls, key_file);
    let denial =
        read.optional(Setting::flag_only("--denial", flags.denial.as_ref(), "auto"), parse::denial);
    let journal = local::journal(&mut read, flags);
    let max_message_bytes = local::max_message_bytes(&mut read, flags);
    let home = local::home(&mut read);
    let log = local::log(&mut read);

    if enforcer.is_none() {
        trust::nobody_remote(&mut read, strict, policies.is_empty(), &identity);
    } else if read.origin(name::ENV.name) == Origin::Default {
        read.notice(
            Origin::Variable(name::ENV.name),
            "is not set, so the checks are those of a developer's machine; \
             set staging or prod where it matters",
        );
    }
    read.tell_of_idle_variables(env);

    Reading {
        draft: Config {
            identity,
            environment: environment.unwrap_or(Environment::Dev),
            mode: mode.unwrap_or_default(),
            policies,
            enforcer,
            tls,
            denial: denial.unwrap_or_default(),
            journal,
            preflight,
            max_message_bytes,
            home,
            log,
            notices: read.notices,
        },
        problems: read.problems,
        shown: read.shown,
    }
}

/// Reads what thoth logs, and nothing else: for the subcommands that have no other setting. What
/// cannot be read there counts as not set.
pub fn read_log(env: &Env) -> Log {
    local::log(&mut Reader::new(env))
}

/// The keys that are known here: of the environment, and of the key file. For keeping them out of
/// what is written; what cannot be read counts as not there.
pub fn known_keys(env: &Env) -> Vec<ApiKey> {
    let told = env.get(&name::API_KEY).and_then(|text| text.to_str().map(str::to_owned));
    let usual = || read(&RunFlags::default(), None, env).draft().home.join("proxy_api_key.json");
    let file = env.get(&name::API_KEY_FILE).map_or_else(usual, PathBuf::from);
    // A pipe could be read once only, and not by us.
    let kept = file.is_file().then(|| key::read(&file).ok()).flatten();
    told.into_iter().chain(kept).filter_map(|text| ApiKey::parse(&text).ok()).collect()
}

// === impl Reading ===

impl Reading {
    /// The configuration, if all of it can be used.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`], which lists every problem.
    pub fn into_config(self) -> Result<Config, InvalidConfig> {
        if self.problems.is_empty() { Ok(self.draft) } else { Err(InvalidConfig(self.problems)) }
    }

    /// What the configuration would be if every faulty setting were left out. To look at, not to
    /// run with.
    pub fn draft(&self) -> &Config {
        &self.draft
    }

    /// What is wrong, in the order of reading.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every setting and where it was found, in the order of reading.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }
}

// === impl InvalidConfig ===

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
