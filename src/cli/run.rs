//! `thoth run`: one sidecar, from its flags to the exit code of its server.
//!
//! Wiring only: each part is made, checked and handed to the pump. What refuses to start does so
//! before the server is started, with everything that is wrong told at once.

mod findings;
mod fleet;
mod friction;
mod order;
mod others;
mod record;
mod report;
mod tools;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tokio::runtime;
use tokio::time::Instant;
use uuid::Uuid;

use self::fleet::{Beginning, Fleet, Orders};
use self::friction::{DRAIN, Friction};
use self::order::Obedient;
use self::others::Others;
use self::record::{Journalist, Tally};
use self::report::Reporter;
use super::exit;
use super::expected;
use super::fault::{Fault, chain};
use super::local::{self, Judge};
use super::remote;
use crate::child::{Child, Exit, Ladder, Launch};
use crate::clients::scan::Expected;
use crate::clients::table::Places;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::{Config, LocalApprovals};
use crate::config::variables::Env;
use crate::config::{self, Reading};
use crate::credential::GRACE;
use crate::desk::Desk;
use crate::endpoint::sidecar::{Contact, Decisions, Policy, Sidecar};
use crate::enforcer::Enforcer;
use crate::gate::decide::Rules;
use crate::gate::session::{Session, Settings};
use crate::journal::{Header, Journal};
use crate::machine::{Machine, clock};
use crate::preflight::{self, Facts, Kind};
use crate::profile;
use crate::pump::{self, Pipes, Signals};
use crate::{pipe, stop, trace};

/// How soon a credential's file that is not there yet is looked for again.
const AGAIN: Duration = Duration::from_millis(50);

/// Run an MCP server behind the gate
///
/// Every `tools/call` of the client is held until it is decided by the local rules and, where one is
/// configured, by the remote enforcer. Everything else passes as it is. Standard output carries the
/// protocol only.
///
/// Exit status: the server's own; 64 usage, 77 preflight refused, 78 configuration, 126 or 127 the
/// server's command cannot be run or was not found.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth run --agent-id files --policy rules.toml -- npx -y \
    @modelcontextprotocol/server-filesystem /srv")]
pub struct Args {
    #[command(flatten)]
    flags: RunFlags,

    /// The MCP server's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What is known before anything is made.
struct Surroundings {
    machine: Machine,
    places: Places,
    /// What a client's wrapped entry is held against.
    expected: Expected,
}

/// Everything that is needed before the server is started.
struct Parts {
    config: Config,
    judge: Judge,
    enforcer: Option<Enforcer>,
    desk: Option<Desk>,
    journal: Journal,
    beginning: Beginning,
}

impl Args {
    /// Runs the sidecar until its session is over.
    ///
    /// # Errors
    ///
    /// Why the server was not started, with the exit code that says so.
    pub fn run(self, env: &Env) -> Result<ExitCode, Fault> {
        let reading = self.read(env);
        let machine = Machine::gather();
        let expected = expected::managed(&reading, &machine);
        let around = Surroundings { machine, places: Places::of(env), expected };
        let config = reading.into_config().map_err(Fault::of(exit::CONFIGURATION))?;
        let flush = trace::init(config.log);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        let ended = runtime.block_on(self.session(config, around));
        // A read of a terminal cannot be called back; it must not keep the process.
        runtime.shutdown_background();
        drop(flush);
        ended.map(ExitCode::from)
    }

    /// Reads the configuration; again where a credential's file is just being replaced, until the
    /// grace for that is over. Blocking.
    fn read(&self, env: &Env) -> Reading {
        let command = self.command.first().map(OsString::as_os_str);
        let mut reading = config::read(&self.flags, command, env, &Layers::of_system(env));
        let mut left = GRACE;
        while reading.is_awaiting() && !left.is_zero() {
            thread::sleep(AGAIN);
            left = left.saturating_sub(AGAIN);
            reading = config::read(&self.flags, command, env, &Layers::of_system(env));
        }
        reading
    }

    async fn session(self, config: Config, around: Surroundings) -> Result<u8, Fault> {
        let mut stop = stop::listen().map_err(Fault::of(exit::UNAVAILABLE))?;
        let prepared = stop.unless_stopped(prepare(config, &self.command, around)).await;
        let parts = match prepared {
            Ok(parts) => parts?,
            Err(signal) => return Ok(signal.exit_code_alone()),
        };
        let Parts { config, judge, enforcer, desk, journal, beginning } = parts;
        let home = config.home.clone();
        for notice in config.notices.iter().chain(&judge.notices) {
            tell(notice);
        }

        let mut child = spawn(self.command)?;
        let (client_in, client_out) = pipe::open().map_err(Fault::of(exit::UNAVAILABLE))?;
        let (Some(server_in), Some(server_out)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both were asked for, and are taken once");
        };
        if let Some(enforcer) = &enforcer {
            enforcer.warm_up();
        }

        let quarantine = beginning.orders.quarantine.clone();
        let judge = Obedient { judge: judge.local, quarantine };
        let friction = Friction::of(&config, &beginning.sidecar.session_id);
        let teller = friction.as_ref().map(Friction::handle);
        let reporter = teller.clone().and_then(|handle| {
            Some(Reporter {
                handle,
                file: friction::file(config.friction.as_ref()?)?.to_owned(),
                journal: beginning.journal.clone(),
                session: beginning.sidecar.session_id.clone(),
            })
        });
        let beginning = Beginning { friction: teller.clone(), ..beginning };
        let mut session = Session::new(settings(&config), Some(Box::new(judge)));
        if config.step_up.elicits() {
            session = session.eliciting(*Uuid::new_v4().as_bytes());
        }
        if let Some(live) = friction::live(&config) {
            session = session.adding(Box::new(live));
        }
        let tally = beginning.tally.clone();
        let fleet = Fleet::begin(&config, beginning);
        let lists = fleet.lists();
        let mut journalist = Journalist::new(journal, config.journal, tally.clone(), lists, teller);
        let signals = Signals::default();
        let mut drain = DRAIN;
        let exit = {
            let pipes = Pipes { client_in, client_out, server_in, server_out };
            let asker = Others { enforcer, desk: desk.clone(), reporter, tally };
            let limit = config.max_message_bytes;
            let relay = pump::run(pipes, session, asker, &mut journalist, signals.clone(), limit);
            let both = async { tokio::join!(relay, end(&mut child, &signals)).1 };
            let mut both = pin!(both);
            match stop.unless_stopped(both.as_mut()).await {
                Ok(exit) => exit.map(Exit::code),
                Err(signal) => {
                    signals.stop.cancel();
                    match stop.unless_stopped(both.as_mut()).await {
                        Ok(exit) => exit.map(|exit| signal.exit_code(exit)),
                        // A second signal: nothing is waited for. The child is killed as it drops.
                        Err(second) => {
                            drain = Duration::ZERO;
                            Ok(second.exit_code_alone())
                        }
                    }
                }
            }
        };
        journalist.close();
        furnish(&home);
        let closing = async {
            if let Some(desk) = desk {
                desk.end().await;
            }
        };
        let telling = async {
            if let Some(friction) = friction {
                friction.end(Instant::now() + drain).await;
            }
        };
        // A second signal does not wait for what is said to others.
        let _ = stop.unless_stopped(async { tokio::join!(fleet.end(), closing, telling) }).await;
        exit.map_err(Fault::of(exit::UNAVAILABLE))
    }
}

/// Makes and checks everything, and starts nothing.
async fn prepare(
    config: Config,
    command: &[OsString],
    around: Surroundings,
) -> Result<Parts, Fault> {
    let session_id = Uuid::new_v4().to_string();
    let server = server_name(command);
    let Surroundings { machine, places, expected } = around;
    let enforcer =
        remote::enforcer(&config, &server, &session_id).map_err(Fault::of(exit::CONFIGURATION))?;
    let pins = remote::pins(&config, enforcer.as_ref()).await;
    let facts = Facts::gather(&config, machine, pins);
    preflight::pass(preflight::check(&config, &facts)).map_err(|refusal| {
        let code = match refusal.kind() {
            Kind::Configuration => exit::CONFIGURATION,
            Kind::Refused => exit::REFUSED,
        };
        Fault::new(code, refusal)
    })?;
    let judge =
        local::judge(&config, &facts.machine, &server).map_err(Fault::of(exit::CONFIGURATION))?;
    let desk = others::desk(&config, &judge.policies, &server, &session_id);
    let header = Header {
        tenant: config.identity.tenant_id.clone(),
        user: config.identity.user_id.clone(),
        intent: config.identity.session_intent.clone(),
        policies: judge.policies.clone(),
    };
    let agent = &config.identity.agent_id;
    let journal =
        Journal::create(&config.home, agent, &session_id, config.journal, header, clock::now());
    let tally = Tally::default();
    tally.lock().contact = config.enforcer.as_ref().map(|enforcer| Contact {
        url: enforcer.url.clone(),
        asked_at: None,
        reachable: None,
        latency_ms: None,
        pin_ok: None,
    });
    let beginning = Beginning {
        sidecar: sidecar(&config, &judge, session_id, server),
        tally,
        journal: journal.path().to_owned(),
        api_key: config.enforcer.as_ref().and_then(|enforcer| enforcer.api_key.clone()),
        machine: facts.machine,
        places,
        expected,
        orders: Orders::known(&config.home, config.revocations.clone()),
        friction: None,
    };
    Ok(Parts { config, judge, enforcer, desk, journal, beginning })
}

/// This sidecar, before it has done anything.
fn sidecar(config: &Config, judge: &Judge, session_id: String, server: String) -> Sidecar {
    let now = clock::now();
    let policies = judge.policies.iter().map(|policy| Policy {
        id: policy.id.clone(),
        version: policy.version.parse().unwrap_or_default(),
        sha256: policy.sha256.clone(),
    });
    Sidecar {
        pid: std::process::id(),
        session_id,
        started_at: now,
        updated_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agent_id: config.identity.agent_id.clone(),
        server,
        environment: config.environment.word().to_owned(),
        enforcement_mode: config.mode.word().to_owned(),
        policies: policies.collect(),
        decisions: Decisions::default(),
        last_decision_at: None,
        enforcer: None,
        credentials: Vec::new(),
        journal: None,
        friction: None,
    }
}

/// Completes a profile that a session has used: the first governed call made its journal, and
/// before that nothing is made, since some clients start the command twice. No session needs
/// the files, so a profile that cannot be completed is no failure.
fn furnish(home: &Path) {
    if !home.join("journal").is_dir() {
        return;
    }
    let key_id = Machine::gather().hostname.unwrap_or_default();
    if let Err(error) = profile::furnish(home, &key_id) {
        tracing::warn!("the profile is not complete: {}", chain(&error));
    }
}

/// Ends the server: when it has ended by itself, or once nothing it says is waited for.
async fn end(child: &mut Child, signals: &Signals) -> io::Result<Exit> {
    let _ = signals.server_over.run_until_cancelled(child.exited()).await;
    child.end(Ladder::default()).await
}

fn spawn(mut command: Vec<OsString>) -> Result<Child, Fault> {
    let arguments = command.split_off(1.min(command.len()));
    let launch = Launch {
        command: command.pop().unwrap_or_default(),
        arguments,
        environment: Env::whole(),
        withheld: Vec::new(),
    };
    Child::spawn(launch).map_err(|error| Fault::new(error.exit_code(), error))
}

fn settings(config: &Config) -> Settings {
    let enforcer = config.enforcer.as_ref();
    Settings {
        rules: Rules {
            mode: config.mode,
            outage: enforcer.map(|enforcer| enforcer.outage).unwrap_or_default(),
            step_up: config.step_up,
        },
        denial: config.denial,
        remote: enforcer.is_some(),
        desk: config.local_approvals == LocalApprovals::Auto,
        tells: config.friction.is_some(),
    }
}

/// The server's name for rules: its command's last part.
fn server_name(command: &[OsString]) -> String {
    let name = command.first().map(Path::new).and_then(Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// One line for the person who looks at the client's log of its servers.
fn tell(notice: &str) {
    let _ = writeln!(io::stderr(), "thoth: {notice}");
}
