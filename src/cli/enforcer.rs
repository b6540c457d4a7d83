//! `thoth enforcer`: the reference enforcer, from its flags to the end of its last request.
//!
//! Wiring only: each part is made and checked before the first connection is taken, and what was
//! made is told once, on standard output.

mod begin;
mod told;

use std::io::Write;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::begin::{Begun, begin};
use super::exit;
use super::fault::Fault;
use crate::config::variables::Env;
use crate::server::listen::{self, Bounds};
use crate::server::{approvals, fleet, limits, rulebook};
use crate::stop::Signal;
use crate::{config, stop, trace};

/// Run the reference enforcer: decide for sidecars, keep holds until people answer
///
/// With nothing given it listens on this machine alone, with a certificate of its own, a database
/// and keys in `~/.thoth/enforcer`, and the baseline pack for rules; and prints the line that makes
/// a sidecar ask it. Policies are read again when they change.
///
/// Exit status: 0 it was asked to end and did, 64 usage, 69 the address or the store cannot be had,
/// 78 something given cannot be used; 128 + n a second signal ended it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth enforcer\n  \
    thoth enforcer --listen 0.0.0.0:8443 --public-url https://enforcer.example.com:8443 \\\n    \
    --tls-cert chain.pem --tls-key key.pem --policy /etc/thoth/policies --api-keys keys.json")]
pub(super) struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// A directory with *.toml policies, a policy, or a built-in pack; may be given more than once
    /// [default: baseline]
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,

    /// Where everything is kept: sqlite:PATH, or postgres://… for several replicas, with its password
    /// in `PGPASSWORD` or ~/.pgpass [default: sqlite in ~/.thoth/enforcer]
    #[arg(long, value_name = "URL")]
    store: Option<String>,

    /// A PEM file with the certificate and those that lead to its authority
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// A PEM file with the certificate's key, which nobody else can read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Make a certificate, and keep it in ~/.thoth/enforcer; must be said where others can connect
    #[arg(long, conflicts_with = "tls_cert")]
    tls_self_signed: bool,

    /// A file of keys to begin with, which nobody else can read; none are made then
    #[arg(long, value_name = "FILE")]
    api_keys: Option<PathBuf>,

    /// Where sidecars and people reach it [default: https and the address listened at]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,

    /// Whose keys are made, and who may log in with the link
    #[arg(long, value_name = "TENANT", default_value = "default")]
    tenant: String,

    /// Requests per second for each key and kind of request; twice as many at once. Or `off`
    #[arg(long, value_name = "RATE|off", default_value_t = Rate(Some(limits::DEFAULT_PER_SECOND)))]
    rate_limit: Rate,

    /// The most connections at one time
    #[arg(long, value_name = "COUNT", default_value_t = Bounds::default().connections)]
    max_connections: usize,

    /// The most connections at one time from one address; behind a balancer, as many as in all
    #[arg(long, value_name = "COUNT", default_value_t = Bounds::default().connections_of_one)]
    max_connections_per_address: usize,

    /// Threads that serve [default: one for each processor]
    #[arg(long, value_name = "COUNT")]
    workers: Option<NonZeroUsize>,

    /// An OpenTelemetry collector that events are passed on to
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,

    /// An OpenID provider whose people may log in to the console
    #[arg(long, value_name = "URL", requires = "oidc_client_id")]
    oidc_issuer: Option<String>,

    /// What the provider calls this enforcer
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,

    /// A file with the client secret, which nobody else can read
    #[arg(long, value_name = "FILE", requires = "oidc_issuer")]
    oidc_client_secret_file: Option<PathBuf>,

    /// Who may log in: an e-mail address, or @domain; may be given more than once
    #[arg(long, value_name = "WHO", requires = "oidc_issuer")]
    oidc_allow: Vec<String>,

    /// Tell what was made as one line of JSON
    #[arg(long)]
    json: bool,
}

/// How many requests per second; `None` for as many as come.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<NonZeroU32>);

/// Why the enforcer could not be started.
#[derive(Debug, thiserror::Error)]
enum Unstarted {
    #[error("the enforcer cannot listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("the enforcer cannot start its threads")]
    Threads(#[source] std::io::Error),
    #[error("what was started cannot be told")]
    Untold(#[source] std::io::Error),
}

impl Args {
    /// Serves until it is asked to end.
    ///
    /// # Errors
    ///
    /// Why it was not started.
    pub(super) fn run(
        self,
        env: &Env,
        is_terminal: bool,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let flush = trace::init(config::read_log(env));
        let runtime =
            self.runtime().map_err(Unstarted::Threads).map_err(Fault::of(exit::UNAVAILABLE))?;
        let ended = runtime.block_on(self.serve(env, is_terminal, out));
        // A statement that hangs must not keep the process.
        runtime.shutdown_background();
        drop(flush);
        ended.map(ExitCode::from)
    }

    /// One thread where one is asked for: it has no locks to wait for.
    fn runtime(&self) -> std::io::Result<Runtime> {
        let workers = self.workers.or_else(|| available_parallelism().ok());
        match workers.map_or(1, NonZeroUsize::get) {
            1 => Builder::new_current_thread().enable_all().build(),
            count => Builder::new_multi_thread().worker_threads(count).enable_all().build(),
        }
    }

    async fn serve(self, env: &Env, is_terminal: bool, out: &mut impl Write) -> Result<u8, Fault> {
        let signals = stop::listen().map_err(Unstarted::Signals);
        let mut signals = signals.map_err(Fault::of(exit::UNAVAILABLE))?;
        let bounds = Bounds {
            connections: self.max_connections,
            connections_of_one: self.max_connections_per_address,
            ..Bounds::default()
        };
        let Begun { app, writer, listener, acceptor, sources, told } =
            match signals.unless_stopped(begin(&self, env)).await {
                Ok(begun) => begun?,
                Err(signal) => return Ok(signal.exit_code_alone()),
            };
        app.tasks.spawn(writer.run());
        let look = Arc::new(Notify::new());
        app.tasks.spawn({
            let (app, look) = (app.clone(), Arc::clone(&look));
            async move { rulebook::watch(&app, sources, rulebook::INTERVAL, &look).await }
        });
        app.tasks.spawn({
            let app = app.clone();
            async move { approvals::keep_swept(&app).await }
        });
        // Told once no request is left that could check an endpoint in.
        let answered = CancellationToken::new();
        app.tasks.spawn(fleet::keep(app.clone(), answered.clone()));
        let mut serving = tokio::spawn({
            let app = app.clone();
            async move {
                listen::serve(listener, acceptor, &app, bounds).await;
                answered.cancel();
                app.decisions.close();
                app.tasks.close();
                app.forward.close(Instant::now() + bounds.farewell).await;
                // What runs beside requests has its own time to write down what it holds.
                if timeout(bounds.farewell, app.tasks.wait()).await.is_err() {
                    tracing::warn!("some tasks had not ended in time");
                }
            }
        });
        let untold = |error| Fault::new(exit::UNAVAILABLE, Unstarted::Untold(error));
        told.write(self.json, out).and_then(|()| out.flush()).map_err(untold)?;

        loop {
            match signals.unless_stopped(&mut serving).await {
                Ok(_) => return Ok(exit::OK),
                // A service that is to read its settings again. Where there was a terminal, it has
                // gone, and with it whoever started this.
                Err(Signal::Hangup) if !is_terminal => look.notify_one(),
                Err(signal) if app.stop.is_cancelled() => {
                    serving.abort();
                    return Ok(signal.exit_code_alone());
                }
                Err(_) => app.stop.cancel(),
            }
        }
    }
}

// === impl Rate ===

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|rate| Self(Some(rate))).map_err(|_| "a whole number from 1, or `off`")
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(rate) => rate.fmt(f),
            None => f.write_str("off"),
        }
    }
}
