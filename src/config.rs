//! The settings of one run: flags before environment before the managed file before the profile,
//! read once into one typed [`Config`].
//!
//! This is the only place that knows a variable's name, and the only one that reads the
//! environment. What it hands out is final: nothing downstream parses a string or checks a range
//! again. What the managed file locks, nobody else can say.
//!
//! # Invariants
//!
//! - Everything is read before any problem is reported, so that a person mends it in one go.
//! - A problem names its flag or variable and never shows its value.
//! - Nothing is sent anywhere because of a tenant's name alone: the enforcer is where
//!   `THOTH_ENFORCER_URL` or `THOTH_APEX_DOMAIN` says, and there is no built-in domain.
//! - In staging and prod something is there to decide: rules, an enforcer, or both.

mod address;
pub mod agents;
pub mod ambient;
mod approvals;
mod credential;
mod enforcer;
mod file;
pub mod flags;
mod friction;
mod govapi;
mod headers;
pub mod keys;
pub mod layers;
mod local;
mod parse;
mod reader;
pub mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod trust;
mod upstream;
pub mod variables;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::credential::Around;
use self::flags::RunFlags;
use self::layers::Layers;
use self::reader::Reader;
use self::settings::{Config, Environment, Log, SinkPlace};
use self::sources::Setting;
use self::variables as name;
use self::variables::Env;
use crate::credential::Revocations;
use crate::secret::ApiKey;

pub use self::approvals::STEP_UP_WAIT;
pub use self::enforcer::{CONNECT_TIMEOUT, ENFORCER_TIMEOUT};
pub use self::friction::EVENTS;
pub use self::govapi::HEARTBEAT;
pub use self::headers::is_for_secrets;
pub use self::local::MAX_MESSAGE_BYTES;
pub use self::parse::Wrong;
pub use self::parse::{environment as read_environment, mode as read_mode};
pub use self::reader::{Problem, Shown};
pub use self::sources::{Origin, Overridden};
pub use self::upstream::UPSTREAM_TIMEOUT;

/// What came of reading the configuration.
#[derive(Debug)]
pub struct Reading {
    draft: Config,
    problems: Vec<Problem>,
    shown: Vec<Shown>,
    overridden: Vec<Overridden>,
    patience: Duration,
    proxied: bool,
}

/// Everything that is wrong with the configuration, in the order of reading.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidConfig(Vec<Problem>);

/// Reads every setting. `command` is the server's command, which the agent is named after where
/// nothing else is said; `thoth doctor` may have none. `layers` are the files below the
/// environment: [`Layers::of_system`].
pub fn read(flags: &RunFlags, command: Option<&OsStr>, env: &Env, layers: &Layers) -> Reading {
    let mut read = Reader::new(env, layers);

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
    let (managed, policies) = local::policies(&mut read, flags);
    let revocations = credential::revocations(&mut read);
    let joined = upstream::Joined::of(&flags.upstream);
    let mut withheld = env.ours();
    withheld.extend(upstream::withheld(&read, &flags.upstream, &joined));
    let around = Around { env, withheld, revocations: &revocations };
    let api_key = enforcer::api_key(&mut read, flags, &around);
    let fallback = api_key.credential.clone();
    let enforcer = enforcer::read(&mut read, flags, &identity, strict, api_key.credential);
    let approvals = approvals::read(&mut read, flags);
    let endpoint = govapi::endpoint(&mut read);
    let govapi = govapi::govapi(&mut read, &identity, fallback, &revocations);
    let remote = upstream::read(&mut read, &flags.upstream, &joined, &around);
    let key_files = api_key.file.into_iter().chain(remote.files).collect();
    let tls = trust::tls(&mut read, strict, enforcer.as_ref());
    let preflight = trust::preflight(&mut read, strict, enforcer.as_ref(), &tls, key_files);
    let denial =
        read.optional(Setting::flag_only("--denial", flags.denial.as_ref(), "auto"), parse::denial);
    let journal = local::journal(&mut read, flags);
    let max_message_bytes = local::max_message_bytes(&mut read, flags);
    let home = local::home(&mut read);
    let upstream = remote.upstream.map(|it| settings::Upstream { home: home.clone(), ..it });
    let friction = friction::friction(&mut read, flags, &identity, &home, &revocations);
    let log = local::log(&mut read);

    if enforcer.is_none() {
        let tenant = identity.tenant_id.as_deref().filter(|_| govapi.is_none());
        let no_rules = managed.count() + policies.count() == 0;
        trust::nobody_remote(&mut read, strict, no_rules, tenant);
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
            managed,
            policies,
            enforcer,
            upstream,
            step_up: approvals.step_up,
            step_up_wait: approvals.step_up_wait,
            local_approvals: approvals.local,
            endpoint,
            govapi,
            friction,
            revocations,
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
        overridden: read.overridden,
        patience: read.patience,
        proxied: remote.proxied,
    }
}

/// Reads what thoth logs, and nothing else: for the subcommands that have no other setting. What
/// cannot be read there counts as not set.
pub fn read_log(env: &Env) -> Log {
    local::log(&mut Reader::new(env, &Layers::default()))
}

/// thoth's own directory, which no file can move; empty where there is no home directory.
pub fn home(env: &Env) -> PathBuf {
    local::home(&mut Reader::new(env, &Layers::default()))
}

/// What is read for programs that tell their own friction: [`read_friction`].
#[derive(Debug)]
pub struct OwnFriction {
    /// `None` where it is switched off.
    pub settings: Option<settings::Friction>,
    /// How collectors are verified.
    pub tls: settings::Tls,
    /// thoth's own directory.
    pub home: PathBuf,
}

/// Reads what is said about friction, and nothing else: for a program that tells its own
/// ([`crate::friction::Client`]).
///
/// # Errors
///
/// [`InvalidConfig`], which lists every problem; none where it is switched off.
pub fn read_friction(env: &Env) -> Result<OwnFriction, InvalidConfig> {
    let layers = Layers::default();
    let mut read = Reader::new(env, &layers);
    let home = local::home(&mut read);
    let (flags, revocations) = (RunFlags::default(), Revocations::default());
    let identity = settings::Identity::default();
    let before = read.problems.len();
    let settings = friction::friction(&mut read, &flags, &identity, &home, &revocations);
    if settings.is_none() && read.problems.len() == before {
        return Ok(OwnFriction { settings, tls: settings::Tls::default(), home }); // it is off
    }
    let tls = trust::tls(&mut read, false, None);
    if !read.problems.is_empty() {
        return Err(InvalidConfig(read.problems));
    }
    Ok(OwnFriction { settings, tls, home })
}

/// The keys that are known here: of the environment, and of the key file. For keeping them out of
/// what is written; what cannot be read counts as not there.
pub fn known_keys(env: &Env) -> Vec<ApiKey> {
    let told = env.get(&name::API_KEY).and_then(|text| text.to_str().map(str::to_owned));
    let usual = || home(env).join(crate::profile::KEY_FILE);
    let file = env.get(&name::API_KEY_FILE).map_or_else(usual, PathBuf::from);
    // A pipe could be read once only, and not by us.
    let kept = file.is_file().then(|| key_of(&file)).flatten();
    told.into_iter().chain(kept).filter_map(|text| ApiKey::parse(&text).ok()).collect()
}

/// The key in a file: its text, or the member `api_key` where that is JSON.
fn key_of(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let json = serde_json::from_str::<serde_json::Value>(&text).ok();
    let member = json.and_then(|json| Some(json.get("api_key")?.as_str()?.to_owned()));
    Some(member.unwrap_or(text))
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

    /// The files that friction events go to; the one they go to by default, where none is named.
    /// For reading them.
    pub fn event_files(&self) -> Vec<PathBuf> {
        let sinks = self.draft.friction.iter().flat_map(|friction| &friction.sinks);
        let mut files: Vec<_> = sinks.filter_map(SinkPlace::file).map(Path::to_owned).collect();
        if files.is_empty() {
            files.push(self.draft.home.join(EVENTS));
        }
        files
    }

    /// How long reading again may do better: the grace of a credential whose file looks as it does
    /// while it is being replaced. Zero where there is none.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether servers behind a URL, and where one logs in to them, are reached by the environment's
    /// proxy.
    pub fn is_proxied(&self) -> bool {
        self.proxied
    }

    /// What is wrong, in the order of reading.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Who said something else than what the managed file locks. It does not count.
    pub fn overridden(&self) -> &[Overridden] {
        &self.overridden
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
