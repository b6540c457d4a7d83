//! Gathers the facts: reads the settings, the profile and the clients' files. Connects to nobody,
//! and starts no program but those of [`Machine::gather`] on Windows.

use std::path::{Path, PathBuf};

use super::probe::Probed;
use crate::cli::fault::chain;
use crate::cli::{expected, friction, local, remote};
use crate::clients::scan;
use crate::clients::table::Places;
use crate::config::flags::RunFlags;
use crate::config::layers::{FileProblem, Layers};
use crate::config::settings::Config;
use crate::config::variables::Env;
use crate::config::{self, HEARTBEAT, Overridden, Problem, Reading};
use crate::credential::{Credential, Standing};
use crate::endpoint::{identity, sidecar, state};
use crate::gate::decide::Outage;
use crate::gate::verdict::PolicyRef;
use crate::health::Facts;
use crate::health::facts::{self, Configured, Managed, Trouble, Unsound};
use crate::machine::{Machine, clock};
use crate::preflight;
use crate::profile::{self, Unsafe};

/// The longest managed file, in bytes, that is looked at for its safety.
const LONGEST: usize = 1024 * 1024;

/// The settings of this machine, as `thoth run` would read them without flags.
pub(super) struct Setup {
    managed_file: PathBuf,
    layers: Layers,
    reading: Reading,
    places: Places,
}

// === impl Setup ===

impl Setup {
    /// Reads the settings; the managed file from where it is said to be.
    pub(super) fn read(env: &Env, managed: &Path) -> Self {
        let layers = Layers::read(managed, &config::home(env));
        let reading = config::read(&RunFlags::default(), None, env, &layers);
        Self { managed_file: managed.to_owned(), layers, reading, places: Places::of(env) }
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
        // Without a home there is no profile, and the working directory is none.
        let home = Some(&*config.home).filter(|home| home.is_absolute());
        let state = match home.map(state::load) {
            None | Some(Ok(None)) => state::State::default(),
            Some(Ok(Some(state))) => state,
            Some(Err(error)) => {
                troubles.push(Trouble {
                    kind: Unsound::State,
                    text: chain(&error),
                    fix: "remove the file; the next check-in writes it anew".to_owned(),
                });
                state::State::default()
            }
        };
        config.revocations.set(state.directives.revoked_key_ids.iter().cloned());
        let expected = expected::managed(&self.reading, &machine);
        let configured = |url: &str, probed| Configured { url: url.to_owned(), probed };
        Facts {
            now: clock::now(),
            version: env!("CARGO_PKG_VERSION"),
            endpoint_id: identity::at_hand(&config.endpoint, machine.hostname.as_deref()),
            hostname: machine.hostname,
            os: machine.os,
            enrollment: Some(config.endpoint.enrollment.word().to_owned()),
            environment: config.environment,
            troubles,
            managed: Some(Managed {
                path: self.managed_file.clone(),
                present: self.managed_file.symlink_metadata().is_ok(),
                locked: self.layers.locked().map(str::to_owned).collect(),
            }),
            policies,
            enforcer: config.enforcer.as_ref().map(|it| configured(&it.url, probed.enforcer)),
            outage: config.enforcer.as_ref().map_or(Outage::default(), |it| it.outage),
            govapi: config.govapi.as_ref().map(|it| configured(&it.url, probed.govapi)),
            heartbeat: config.govapi.as_ref().map_or(HEARTBEAT, |it| it.heartbeat),
            friction: facts::Friction {
                spools: home.map(friction::spools).unwrap_or_default(),
                ..friction::configured(config)
            },
            state,
            credentials: credentials(config),
            sidecars: home.map(sidecar::list).unwrap_or_default(),
            coverage: scan::scan(&self.places, &expected),
        }
    }

    /// What `thoth run` would not start with, or not heed.
    fn troubles(&self, machine: &Machine) -> Vec<Trouble> {
        let mut troubles = self.of_files();
        let settings = self.reading.problems().iter().filter_map(|problem| match problem {
            Problem::Setting { origin, wrong } => Some(Trouble {
                kind: Unsound::Configuration,
                text: format!("{origin}: {}", wrong.what),
                fix: wrong.fix.to_owned(),
            }),
            Problem::File(_) => None,
        });
        troubles.extend(settings);
        // Where thoth's own directory is missing too, the settings say so.
        if self.places.home.as_os_str().is_empty() && self.config().home.is_absolute() {
            troubles.push(Trouble {
                kind: Unsound::Homeless,
                text: "there is no home directory, so no client's files were looked for".to_owned(),
                fix: "set HOME (Windows: USERPROFILE), or run thoth as the person it is about"
                    .to_owned(),
            });
        }
        let attempts = self.reading.overridden().iter();
        troubles.extend(attempts.map(|Overridden { name, by }| Trouble {
            kind: Unsound::Override,
            text: format!("{by} says something else than the managed file, which locks {name}"),
            fix: format!("remove {by}; to change the setting, ask whoever manages this machine"),
        }));

        let mut config = self.config().clone();
        // The system's roots are a matter of the system, and take a while to load.
        if config.tls.ca_bundle.is_some()
            && let Err(error) = remote::enforcer(&config, "", "health")
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

    /// What is wrong with the managed file, and with the profile's.
    fn of_files(&self) -> Vec<Trouble> {
        let is_unsafe = match profile::read_managed(&self.managed_file, LONGEST) {
            Ok(_) | Err(Unsafe::Unseen { .. } | Unsafe::NotAFile { .. }) => false,
            Err(_) => true,
        };
        // Without a home, the managed file is the only one.
        let alone = Layers::read(&self.managed_file, Path::new(""));
        let problems = self.layers.problems().iter();
        let troubles = problems.map(|problem| {
            let kind = match (alone.problems().contains(problem), is_unsafe) {
                (true, true) => Unsound::ManagedFile,
                (true, false) => Unsound::Managed,
                (false, _) => Unsound::Configuration,
            };
            let FileProblem { place, what, fix } = problem;
            Trouble { kind, text: format!("{place}: {what}"), fix: fix.clone() }
        });
        troubles.collect()
    }
}

/// How the configured credentials stand. What a command would print is not known: it is run by
/// those who need the secret.
fn credentials(config: &Config) -> Vec<Standing> {
    let govapi = config.govapi.iter();
    let govapi = govapi.flat_map(|govapi| [&govapi.bearer_token, &govapi.api_key]);
    let enforcer = config.enforcer.iter().map(|enforcer| &enforcer.api_key);
    let credentials = enforcer.chain(govapi).flatten();
    let standing = |credential: &Credential| {
        // The GovAPI's were not read with the settings; what is wrong with a file, the standing says.
        let _ = credential.load_now();
        credential.standing()
    };
    credentials.map(standing).collect()
}

/// The policies in force, each with where it comes from.
fn policies(
    config: &Config,
    machine: &Machine,
    troubles: &mut Vec<Trouble>,
) -> Vec<(PolicyRef, String)> {
    // Nothing decides: the configuration says so already, and the baseline is for developers.
    let sets = [&config.managed, &config.policies];
    let is_nobody = sets.iter().all(|set| set.count() == 0) && config.enforcer.is_none();
    if is_nobody && config.environment.is_strict() {
        return Vec::new();
    }
    match local::judge(config, machine, "") {
        Ok(judge) => {
            let built_in = || "built-in".to_owned();
            let sources = sets.into_iter().flat_map(|set| {
                let files = set.files.iter().map(|path| path.to_string_lossy().into_owned());
                set.packs.iter().map(|_| built_in()).chain(files)
            });
            // Where they are none, it is the baseline.
            judge.policies.into_iter().zip(sources.chain([built_in()])).collect()
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
