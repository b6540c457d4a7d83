//! One sidecar: a session between a client's two pipes and one server, and all that goes beside it.
//!
//! Wiring only: each part is made, checked and handed to the pump. What refuses to start does so
//! before the server is started, with everything that is wrong told at once. Whose pipes they are,
//! and what a signal means, is for `run` and `serve` to say.

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
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use uuid::Uuid;

use self::fleet::{Beginning, Fleet, Orders};
use self::friction::Friction;
use self::order::Obedient;
use self::others::Others;
use self::record::{Journalist, Tally};
use self::report::Reporter;
use super::exit;
use super::fault::{Fault, chain};
use super::local::{self, Judge};
use super::remote;
use crate::child::{Child, Exit, Ladder, Launch};
use crate::clients::scan::Expected;
use crate::clients::table::Places;
use crate::config::settings::{self, Config, LocalApprovals};
use crate::config::variables::Env;
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
use crate::upstream::Upstream;

/// The longest a session's end waits for its events.
pub(super) const DRAIN: Duration = Duration::from_secs(3);

/// The MCP server: what is started, or where it is.
#[derive(Clone, Debug)]
pub(super) enum Server {
    /// A command and its arguments.
    Command(Vec<OsString>),
    /// A server behind a URL.
    Url(Box<settings::Upstream>),
}

/// What is known before anything is made.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) machine: Machine,
    pub(super) places: Places,
    /// What a client's wrapped entry is held against.
    pub(super) expected: Expected,
}

/// Everything that is needed before the server is started.
pub(super) struct Parts {
    server: Server,
    config: Config,
    judge: Judge,
    enforcer: Option<Enforcer>,
    desk: Option<Desk>,
    journal: Journal,
    beginning: Beginning,
}

/// A session that is about to begin, with its server.
pub(super) struct Conversation {
    peer: Peer,
    session: Session,
    asker: Others,
    limit: usize,
}

/// What goes on beside the session, and is closed after it.
pub(super) struct Company {
    journalist: Journalist,
    home: PathBuf,
    fleet: Fleet,
    desk: Option<Desk>,
    friction: Option<Friction>,
}

/// The server's end of a session.
enum Peer {
    Child(Box<Child>),
    Upstream(Box<Upstream>),
}

/// How the server ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Its process has.
    Process(Exit),
    /// The session with it was closed; it goes on.
    Closed,
}

// === impl Server ===

impl Server {
    /// Its name for rules: a command's last part, a URL's host.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Command(command) => {
                let name = command.first().map(Path::new).and_then(Path::file_name);
                name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Self::Url(upstream) => upstream.host().to_owned(),
        }
    }
}

// === impl Parts ===

impl Parts {
    /// Makes and checks everything, and starts nothing.
    ///
    /// # Errors
    ///
    /// Why there is nothing to start, with the exit code that says so.
    pub(super) async fn prepare(
        config: Config,
        server: Server,
        around: Surroundings,
    ) -> Result<Self, Fault> {
        let session_id = Uuid::new_v4().to_string();
        let name = server.name();
        let Surroundings { machine, places, expected } = around;
        let enforcer = remote::enforcer(&config, &name, &session_id)
            .map_err(Fault::of(exit::CONFIGURATION))?;
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
            local::judge(&config, &facts.machine, &name).map_err(Fault::of(exit::CONFIGURATION))?;
        let desk = others::desk(&config, &judge.policies, &name, &session_id);
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
            sidecar: entry(&config, &judge, session_id, name),
            tally,
            journal: journal.path().to_owned(),
            api_key: config.enforcer.as_ref().and_then(|enforcer| enforcer.api_key.clone()),
            upstream: None,
            machine: facts.machine,
            places,
            expected,
            orders: Orders::known(&config.home, config.revocations.clone()),
            friction: None,
        };
        Ok(Self { server, config, judge, enforcer, desk, journal, beginning })
    }

    /// What the person who looks at the client's log of its servers should know.
    pub(super) fn notices(&self) -> impl Iterator<Item = &str> {
        self.config.notices.iter().chain(&self.judge.notices).map(String::as_str)
    }

    /// Starts the server, or makes ready to reach it, and what goes on beside the session.
    ///
    /// # Errors
    ///
    /// Why there is no server, with the exit code that says so.
    pub(super) fn start(self) -> Result<(Conversation, Company), Fault> {
        let Self { server, config, judge, enforcer, desk, journal, beginning } = self;
        let home = config.home.clone();
        let limit = config.max_message_bytes;
        let peer = match server {
            Server::Command(command) => Peer::Child(Box::new(spawn(command)?)),
            Server::Url(upstream) => Peer::Upstream(
                Upstream::open(*upstream, &config.tls, limit)
                    .map(Box::new)
                    .map_err(Fault::of(exit::CONFIGURATION))?,
            ),
        };
        let (ledger, authority) = match &peer {
            Peer::Child(_) => (None, None),
            Peer::Upstream(upstream) => (Some(upstream.ledger()), Some(upstream.authority())),
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
        let beginning = Beginning { friction: teller.clone(), upstream: authority, ..beginning };
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
        let journalist =
            Journalist::new(journal, config.journal, tally.clone(), lists, teller, ledger);
        let asker = Others { enforcer, desk: desk.clone(), reporter, tally };
        let conversation = Conversation { peer, session, asker, limit };
        Ok((conversation, Company { journalist, home, fleet, desk, friction }))
    }
}

// === impl Conversation ===

impl Conversation {
    /// Runs the session until the server's output has ended, and ends the server.
    ///
    /// Not cancel safe: dropped, it loses what waits, and kills a server that was started. Cancel
    /// [`Signals::stop`] instead.
    pub(super) async fn hold(
        self,
        client_in: impl AsyncRead + Unpin,
        client_out: impl AsyncWrite + Unpin,
        company: &mut Company,
        signals: Signals,
    ) -> io::Result<End> {
        let Self { peer, session, asker, limit } = self;
        let recorder = &mut company.journalist;
        match peer {
            Peer::Child(mut child) => {
                let (Some(server_in), Some(server_out)) = (child.stdin.take(), child.stdout.take())
                else {
                    unreachable!("both were asked for, and are taken once");
                };
                let pipes = Pipes { client_in, client_out, server_in, server_out };
                let relay = pump::run(pipes, session, asker, recorder, signals.clone(), limit);
                tokio::join!(relay, end(&mut child, &signals)).1.map(End::Process)
            }
            Peer::Upstream(upstream) => {
                let (server_in, server_out, courier) = upstream.into_parts();
                let pipes = Pipes { client_in, client_out, server_in, server_out };
                let relay = pump::run(pipes, session, asker, recorder, signals.clone(), limit);
                tokio::join!(relay, courier.run(signals.server_over.clone()));
                Ok(End::Closed)
            }
        }
    }
}

// === impl Company ===

impl Company {
    /// Closes the journal, and what else went on beside the session; its events are waited for
    /// until `drain` is over.
    ///
    /// Cancel safe as far as the journal goes, which is closed before the first wait.
    pub(super) async fn part(self, drain: Duration) {
        let Self { mut journalist, home, fleet, desk, friction } = self;
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
        tokio::join!(fleet.end(), closing, telling);
    }
}

// === impl End ===

impl End {
    /// What thoth exits with.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Process(exit) => exit.code(),
            Self::Closed => exit::OK,
        }
    }
}

/// One line for the person who looks at the client's log of its servers.
pub(super) fn tell(notice: &str) {
    let _ = writeln!(io::stderr(), "thoth: {notice}");
}

/// This sidecar, before it has done anything.
fn entry(config: &Config, judge: &Judge, session_id: String, server: String) -> Sidecar {
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
