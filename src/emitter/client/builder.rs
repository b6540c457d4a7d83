//! How a client is made: settings given by name, read as the sidecar reads its variables.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::json;
use uuid::Uuid;

use super::told::{Library, Told};
use super::{Client, Shared, Way};
use crate::config::variables::{self as name, Env, Variable};
use crate::config::{self, InvalidConfig, settings};
use crate::emitter::{Emitter, Means, open_sinks};
use crate::friction::event::{Origin, Principal, Stream, Wire};
use crate::friction::raw::RawObject;
use crate::friction::scrub::Scrubber;
use crate::friction::scrub::custom::{BadRules, Custom};
use crate::machine::clock;

/// The settings of a client to be. What is not given is as `docs/friction.md` has it.
#[derive(Default)]
#[must_use = "a builder does nothing before `build`"]
pub struct Builder {
    reads_environment: bool,
    given: Vec<(&'static Variable, OsString)>,
    sinks: Vec<String>,
    session: Option<String>,
    agent: Option<(String, String)>,
    principal: Option<Principal>,
    scrub_rules: Option<String>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A setting cannot be used, or one is missing that a collector asks for: consent, vendor, key.
    /// Every problem is listed, by the name of the variable that says the same.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// The scrubbing rules cannot be used.
    #[error("cannot use the scrubbing rules")]
    Rules(#[source] BadRules),
}

/// What says where thoth's directory is.
const OF_HOME: [&Variable; 5] =
    [&name::HOME_DIR, &name::HOME, &name::USER_PROFILE, &name::HOME_DRIVE, &name::HOME_PATH];

// === impl Builder ===

impl Builder {
    /// Takes what the `BATON_*` variables of this process say, and those of `THOTH_*` that are about
    /// friction, TLS and directories. What is given by the methods below goes before. Without this,
    /// the environment says no more than where thoth's directory is.
    pub fn from_env(mut self) -> Self {
        self.reads_environment = true;
        self
    }

    /// A place that events go to, as in `BATON_EVENT_SINK`: `stderr:`, `file:///path`, `https://HOST`.
    /// Given more than once, to each of them. Without any, to `friction/events.jsonl` in thoth's
    /// directory.
    pub fn sink(mut self, place: impl Into<String>) -> Self {
        self.sinks.push(place.into());
        self
    }

    /// The account at the collector: `BATON_TENANT_ID`.
    pub fn tenant(self, id: impl Into<OsString>) -> Self {
        self.given(&name::BATON_TENANT_ID, id)
    }

    /// Whose tools these are: `BATON_VENDOR_ID`. A collector asks for it.
    pub fn vendor(self, id: impl Into<OsString>) -> Self {
        self.given(&name::BATON_VENDOR_ID, id)
    }

    /// What says that events may be sent: `BATON_CONSENT_TOKEN`. A collector asks for it.
    pub fn consent(self, token: impl Into<OsString>) -> Self {
        self.given(&name::BATON_CONSENT_TOKEN, token)
    }

    /// The key at the collector: `BATON_API_KEY`. A collector asks for it.
    pub fn api_key(self, key: impl Into<OsString>) -> Self {
        self.given(&name::BATON_API_KEY, key)
    }

    /// Which collectors accept the events: `BATON_WIRE`.
    pub fn wire(self, wire: Wire) -> Self {
        self.given(&name::BATON_WIRE, wire.word())
    }

    /// thoth's directory: `THOTH_HOME_DIR`. Events on their way to a collector are kept there.
    pub fn home(self, path: impl Into<PathBuf>) -> Self {
        self.given(&name::HOME_DIR, path.into())
    }

    /// The session's id, where it has one already. Without, it is `sdk-` and a `UUIDv7`.
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.session = Some(id.into());
        self
    }

    /// The agent that calls, by name and version.
    pub fn agent(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.agent = Some((name.into(), version.into()));
        self
    }

    /// Who uses the agent. Told as it is: see [`Principal`].
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// What to scrub besides what always is: the text of a rule file, as `BATON_SCRUB_RULES` names one.
    pub fn scrub_rules(mut self, toml: impl Into<String>) -> Self {
        self.scrub_rules = Some(toml.into());
        self
    }

    /// Makes the client. Nothing is opened before there is something to tell, and no thread started.
    ///
    /// Where the environment is read and says that friction is off (`BATON_DISABLED`,
    /// `THOTH_FRICTION=off`), the client tells nothing, and nothing else is judged.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: as the sidecar, which would not start with these settings.
    pub fn build(self) -> Result<Client, ClientError> {
        let env = self.env();
        let scrub = match &self.scrub_rules {
            Some(rules) => Some(Custom::parse(rules).map_err(ClientError::Rules)?),
            None => None,
        };
        let read = config::read_friction(&env)?;
        let minted = || format!("sdk-{}", Uuid::now_v7());
        let session_minted = self.session.is_none();
        let session = self.session.unwrap_or_else(minted);
        let way = read.settings.map(|settings| {
            let origin = Origin {
                session: session.clone(),
                session_minted,
                tenant: settings.tenant_id.clone(),
                vendor: settings.vendor_id.clone(),
                consent: settings.consent_token.clone(),
                software: concat!("thoth/", env!("CARGO_PKG_VERSION")).to_owned(),
                principal: self.principal.or_else(|| settings.principal.clone()),
            };
            let scrub = scrub.unwrap_or_else(|| settings.scrub.clone());
            Beginning { settings, tls: read.tls, home: read.home, origin, agent: self.agent, scrub }
                .way()
        });
        let shared = Shared { way, next: AtomicU64::new(1), session };
        Ok(Client { shared: Arc::new(shared) })
    }

    fn given(mut self, variable: &'static Variable, value: impl Into<OsString>) -> Self {
        self.given.push((variable, value.into()));
        self
    }

    /// What is given, as an environment would say it: so it is read and guarded by the same code.
    fn env(&self) -> Env {
        let process = Env::of_process();
        let kept: Vec<&Variable> =
            if self.reads_environment { name::ALL.iter().collect() } else { OF_HOME.to_vec() };
        let is_on = [(&name::FRICTION, OsString::from("events"))];
        let of_process =
            kept.into_iter().filter_map(|variable| Some((variable, process.get(variable)?.into())));
        let sinks = (!self.sinks.is_empty())
            .then(|| (&name::BATON_EVENT_SINK, OsString::from(self.sinks.join(","))));
        is_on
            .into_iter()
            .chain(of_process)
            .chain(self.given.iter().cloned())
            .chain(sinks)
            .map(|(variable, value)| (variable.name, value))
            .collect()
    }
}

impl fmt::Debug for Builder {
    /// Names what is given, and no value: one is a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.given.iter().map(|(variable, _)| variable.name);
        f.debug_struct("Builder")
            .field("reads_environment", &self.reads_environment)
            .field("given", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// What the emitter is made of, once there is something to tell.
struct Beginning {
    settings: settings::Friction,
    tls: settings::Tls,
    home: PathBuf,
    origin: Origin,
    agent: Option<(String, String)>,
    scrub: Custom,
}

impl Beginning {
    fn way(self) -> Way {
        let emitter = Emitter::new(clock::now, move || self.means());
        Way { handle: emitter.handle(), emitter: Some(emitter).into() }
    }

    fn means(self) -> Means<Told> {
        let sinks = open_sinks(&self.settings, &self.tls, &self.home);
        let mut stream = Stream::new(self.settings.wire, self.origin).of_library();
        if let Some((name, version)) = self.agent {
            let info = json!({"name": name, "version": version}).to_string();
            stream.client(RawObject::read(info.as_bytes()).unwrap_or(RawObject::EMPTY));
        }
        Means::new(Library::new(stream), Scrubber::new(self.scrub), sinks)
    }
}
