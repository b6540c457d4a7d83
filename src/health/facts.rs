//! What a report is made of.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::friction::Spool;
use crate::clients::coverage::Coverage;
use crate::config::settings::Environment;
use crate::credential::Standing;
use crate::endpoint::sidecar::Sidecar;
use crate::endpoint::state::State;
use crate::gate::decide::Outage;
use crate::gate::verdict::PolicyRef;

/// All that is known of this machine at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The moment.
    pub now: Timestamp,
    /// The version of the thoth that looks.
    pub version: &'static str,
    /// The machine's name in the network.
    pub hostname: Option<String>,
    /// `linux`, `macos` or `windows`.
    pub os: &'static str,
    /// How the machine came under management, where that is said.
    pub enrollment: Option<String>,
    /// What the machine is called where no registration is remembered.
    pub endpoint_id: Option<String>,
    /// Where the machine stands.
    pub environment: Environment,
    /// What would keep `thoth run` from starting, or from starting as it was told.
    pub troubles: Vec<Trouble>,
    /// The managed file.
    pub managed: Option<Managed>,
    /// The policies in force, each with where it comes from: a path, or `built-in`.
    pub policies: Vec<(PolicyRef, String)>,
    /// The enforcer, where one is configured.
    pub enforcer: Option<Configured>,
    /// What the enforcer's silence means.
    pub outage: Outage,
    /// The GovAPI, where one is configured.
    pub govapi: Option<Configured>,
    /// How often this machine checks in.
    pub heartbeat: Duration,
    /// Friction.
    pub friction: Friction,
    /// What is remembered of the GovAPI.
    pub state: State,
    /// The configured credentials, as they can be read now.
    pub credentials: Vec<Standing>,
    /// The sidecars that run.
    pub sidecars: Vec<Sidecar>,
    /// The clients, and their servers.
    pub coverage: Coverage,
}

/// What is known of friction, besides what sidecars say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Friction {
    /// `on`, `events` or `off`.
    pub mode: &'static str,
    /// Where events go.
    pub sinks: Vec<String>,
    /// What lies in the spools.
    pub spools: Vec<Spool>,
}

/// Something `thoth run` would refuse to start with, or would not heed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// Of which kind.
    pub kind: Unsound,
    /// What is wrong, without a value that could be secret.
    pub text: String,
    /// What to do.
    pub fix: String,
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsound {
    /// A setting cannot be used.
    Configuration,
    /// The managed file cannot be used.
    Managed,
    /// The managed file can be changed by others than an administrator.
    ManagedFile,
    /// A locked setting is to be overridden.
    Override,
    /// A policy cannot be used.
    Policy,
    /// Preflight refuses.
    Preflight,
    /// What is remembered of the GovAPI cannot be read.
    State,
    /// There is no home directory to look for clients' files in.
    Homeless,
}

/// The managed file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Managed {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Whether it is there.
    pub present: bool,
    /// The settings it locks.
    pub locked: Vec<String>,
}

/// A peer that is configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configured {
    /// Its address.
    pub url: String,
    /// What came of connecting to it just now; `None` where nobody tried.
    pub probed: Option<Probe>,
}

/// What came of one connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// There was none, or no whole handshake, for this reason.
    Silent(String),
    /// There was one.
    Reached {
        /// How long it took.
        latency: Duration,
        /// What was shown in the handshake; `None` without TLS.
        certificate: Option<Certificate>,
    },
}

/// What a peer showed, and what is thought of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// When it ends; `None` where it cannot be read.
    pub expires_at: Option<Timestamp>,
    /// Whether chain and name are good (or are not to be verified), or why not.
    pub chain: Result<(), String>,
    /// Whether it matches a pin, where there are pins.
    pub pinned: bool,
}
