//! Gathers the facts: reads the settings, the profile and the clients' files, and connects to
//! nobody.

use std::time::Duration;

use super::probe::Probed;
use crate::cli::fault::chain;
use crate::cli::{local, remote};
use crate::clients::scan::{self, Expected};
use crate::clients::table::Places;
use crate::config::flags::RunFlags;
use crate::config::settings::Config;
use crate::config::variables::Env;
use crate::config::{self, Reading};
use crate::endpoint::{sidecar, state};
use crate::gate::decide::Outage;
use crate::gate::verdict::PolicyRef;
use crate::health::Facts;
use crate::health::facts::{Configured, Trouble, Unsound};
use crate::machine::{Machine, clock};
use crate::preflight;

/// The settings of this machine, as `thoth run` would read them without flags.
pub(super) struct Setup {
    reading: Reading,
    places: Places,
}

// === impl Setup ===

impl Setup {
    pub(super) fn read(env: &Env) -> Self {
        let reading = config::read(&RunFlags::default(), None, env);
        Self { reading, places: Places::of(env) }
    }

    /// The settings that can be used.
    pub(super) fn config(&self) -> &Config {
        self.reading.draft()
    }

    /// All that is known. Blocking.
    pub(super) fn facts(&self, probed: Probed) -> Facts {
        let config = self.config();
        let machine = Machine::gather();
        let mut troubles = self.troubles(&machine);
        let policies = policies(config, &machine, &mut troubles);
        let peer = |url: &str, probed| Configured { url: url.to_owned(), probed };
        // Without a home there is no profile, and the working directory is none.
        let home = Some(&*config.home).filter(|home| home.is_absolute());
        Facts {
            now: clock::now(),
            version: env!("CARGO_PKG_VERSION"),
            hostname: machine.hostname,
            os: machine.os,
            enrollment: None,
            endpoint_id: None,
            environment: config.environment,
            troubles,
            managed: None,
            policies,
            enforcer: config.enforcer.as_ref().map(|it| peer(&it.url, probed.enforcer)),
            outage: config.enforcer.as_ref().map_or(Outage::default(), |it| it.outage),
            govapi: None,
            heartbeat: Duration::from_secs(60),
            state: home.map(state::read).unwrap_or_default(),
            credentials: Vec::new(),
            sidecars: home.map(sidecar::list).unwrap_or_default(),
            coverage: scan::scan(&self.places, &Expected::default()),
        }
    }

    /// What `thoth run` would not start with.
    fn troubles(&self, machine: &Machine) -> Vec<Trouble> {
        let mut config = self.config().clone();
        let unusable = self.reading.problems().iter().map(|problem| Trouble {
            kind: Unsound::Configuration,
            text: format!("{}: {}", problem.origin, problem.wrong.what),
            fix: problem.wrong.fix.to_owned(),
        });
        let mut troubles: Vec<_> = unusable.collect();
        // The system's roots are a matter of the system, and take a while to load.
        if config.tls.ca_bundle.is_some()
            && let Err(error) = remote::enforcer(&config, "health")
        {
            troubles.push(Trouble {
                kind: Unsound::Configuration,
                text: chain(&error),
                fix: "correct the enforcer's address, or the files it is verified with".to_owned(),
            });
        }
        // Pins are compared by `--probe`; preflight would refuse what nobody compared.
        config.preflight.probe_pins = false;
        let facts = preflight::Facts::gather(&config, machine.clone(), None);
        let failed = preflight::check(&config, &facts).into_iter().filter_map(|finding| {
            let fix = finding.failure?.fix;
            let text = format!("{}: {}", finding.id, finding.text);
            Some(Trouble { kind: Unsound::Preflight, text, fix })
        });
        troubles.extend(failed);
        troubles
    }
}

/// The policies in force, each with where it comes from.
fn policies(
    config: &Config,
    machine: &Machine,
    troubles: &mut Vec<Trouble>,
) -> Vec<(PolicyRef, String)> {
    // Nothing decides: the configuration says so already, and the baseline is for developers.
    let is_nobody = config.policies.is_empty() && config.enforcer.is_none();
    if is_nobody && config.environment.is_strict() {
        return Vec::new();
    }
    match local::judge(config, machine, "") {
        Ok(judge) => {
            let paths = config.policies.iter().map(|path| path.to_string_lossy().into_owned());
            let sources = paths.chain(["built-in".to_owned()]);
            judge.policies.into_iter().zip(sources).collect()
        }
        Err(error) => {
            troubles.push(Trouble {
                kind: Unsound::Policy,
                text: chain(&error),
                fix: "correct the file; `thoth policy check` tells more".to_owned(),
            });
            Vec::new()
        }
    }
}
