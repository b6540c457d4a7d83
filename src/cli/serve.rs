//! `thoth serve`: sidecars behind a URL of this machine, one for each session of a client.
//!
//! Wiring only: the configuration, the address, who is told of it, and what ends it all. HTTP is the
//! business of `listener`, a session that of `sidecar`.

mod handover;
mod parent;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use self::handover::{Address, Handover};
use super::exit;
use super::expected;
use super::fault::Fault;
use super::run::{read, server};
use super::sidecar::{DRAIN, Parts, Server, Surroundings, tell};
use crate::clients::table::Places;
use crate::config::flags::RunFlags;
use crate::config::settings::Config;
use crate::config::variables::Env;
use crate::listener::{Access, Bounds, Input, Listener, NotASecret, Open, Origin, Output, Secret};
use crate::machine::Machine;
use crate::pump::Signals;
use crate::stop::{self, Signal, Stop};
use crate::trace;

/// Run an MCP server behind the gate, for clients that accept only a URL
///
/// Listens at 127.0.0.1 and nowhere else. Each session of a client is a session of its own: with its
/// own server, its own decisions and its own journal, as with `thoth run`. A client must know the
/// secret of this launch: in the header `Authorization: Bearer SECRET` at `/mcp`, or, where it can set
/// no header, in the path: `/SECRET/mcp`.
///
/// Where it listens is told once, as one line of JSON: to --ready-fd, to --ready-file, or else on
/// standard output.
///
/// Ends with SIGTERM or ctrl-c, and where standard input is a pipe, when that ends: with whoever
/// started it.
///
/// Exit status: 0 it was asked to end and did, 64 usage, 69 the address cannot be had, 77 preflight
/// refused, 78 configuration; 128 + n a second signal ended it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth serve --agent-id files --policy rules.toml -- npx -y \
    @modelcontextprotocol/server-filesystem /srv\n  thoth serve --url https://mcp.example.com/mcp \
    --upstream-token-file ~/.secrets/example --ready-file /run/user/1000/serve.json")]
pub(super) struct Args {
    #[command(flatten)]
    flags: RunFlags,

    /// The port; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,

    /// Listen at `[::1]`, too
    #[arg(long)]
    ipv6: bool,

    /// Take requests that say they come from here, such as `vscode-file://vscode-app`; may be given
    /// more than once. Pages of browsers cannot read the answers all the same
    #[arg(long, value_name = "ORIGIN", value_parser = Origin::parse)]
    allow_origin: Vec<Origin>,

    /// A descriptor to tell where it listens to; it is closed then
    #[cfg(unix)]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(3..), conflicts_with = "ready_file")]
    ready_fd: Option<i32>,

    /// A file to tell it to: it must not be there yet, and nobody else can read it
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// The variable with the secret, `THOTH_…`; it is not told to anybody then [default: a new one]
    #[arg(long, value_name = "NAME", value_parser = own_name)]
    secret_env: Option<String>,

    /// Go on when standard input ends
    #[arg(long)]
    detached: bool,

    /// The most sessions at one time
    #[arg(long, value_name = "COUNT", default_value_t = Bounds::default().sessions)]
    max_sessions: usize,

    /// After how many seconds without use a session ends
    #[arg(long, value_name = "SECONDS", default_value_t = Bounds::default().idle.as_secs())]
    idle_timeout: u64,

    /// The MCP server's command and its arguments
    #[arg(
        last = true,
        required_unless_present = "url",
        conflicts_with = "url",
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
enum NotServed {
    #[error("cannot listen at this port of 127.0.0.1")]
    Address(#[source] io::Error),
    #[error("{0} is not set")]
    NoSecret(String),
    #[error("the value of {0} {1}")]
    BadSecret(String, NotASecret),
}

/// Opens a sidecar for each session.
struct Sidecars {
    config: Config,
    server: Server,
    around: Surroundings,
}

// === impl Args ===

impl Args {
    /// Serves until it is asked to end.
    ///
    /// # Errors
    ///
    /// Why nothing was served, with the exit code that says so.
    pub(super) fn run(self, env: &Env, out: &mut impl Write) -> Result<ExitCode, Fault> {
        // Before anything else is opened: from here on its number means what the launcher meant.
        #[cfg(unix)]
        let ready_fd = self.ready_fd;
        #[cfg(not(unix))]
        let ready_fd = None;
        let handover =
            Handover::new(ready_fd, self.ready_file.as_deref()).map_err(Fault::of(exit::USAGE))?;
        let mut env = env.clone();
        let given = self.secret_env.as_deref().map(|name| given(&mut env, name)).transpose();
        let given = given.map_err(Fault::of(exit::CONFIGURATION))?;

        let reading = read(&self.flags, &self.command, &env);
        let machine = Machine::gather();
        let expected = expected::managed(&reading, &machine);
        let around = Surroundings { machine, places: Places::of(&env), expected };
        let config = reading.into_config().map_err(Fault::of(exit::CONFIGURATION))?;
        let flush = trace::init(config.log);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        let defaults = Bounds::default();
        let bounds = Bounds {
            sessions: self.max_sessions,
            idle: Duration::from_secs(self.idle_timeout),
            longest_body: defaults.longest_body.min(config.max_message_bytes),
            longest_line: config.max_message_bytes,
            ..defaults
        };
        let access = Access {
            secret: given.clone().unwrap_or_else(Secret::random),
            origins: self.allow_origin,
        };
        let listens = Listens { port: self.port, ipv6: self.ipv6, detached: self.detached };
        let told = given.is_none().then(|| access.secret.clone());
        let sidecars = Sidecars { server: server(&config, self.command), config, around };
        let serving = serve(sidecars, listens, access, bounds, |address| {
            handover.tell(address, told.as_ref(), out)
        });
        let ended = LocalSet::new().block_on(&runtime, serving);
        // A read of a terminal cannot be called back; it must not keep the process.
        runtime.shutdown_background();
        drop(flush);
        ended.map(ExitCode::from)
    }
}

/// Where to listen, and for whom to end.
struct Listens {
    port: u16,
    ipv6: bool,
    detached: bool,
}

async fn serve(
    sidecars: Sidecars,
    listens: Listens,
    access: Access,
    bounds: Bounds,
    told: impl FnOnce(Address) -> io::Result<()>,
) -> Result<u8, Fault> {
    let mut stop = stop::listen().map_err(Fault::of(exit::UNAVAILABLE))?;
    // Whatever refuses to start does so now, and not when the first client comes.
    let prepared = match stop.unless_stopped(sidecars.prepare()).await {
        Ok(parts) => parts?,
        Err(signal) => return Ok(signal.exit_code_alone()),
    };
    prepared.notices().for_each(tell);
    drop(prepared);

    let listener = Listener::bind(listens.port, listens.ipv6).await;
    let listener = listener.map_err(NotServed::Address).map_err(Fault::of(exit::UNAVAILABLE))?;
    let mut parent = parent::Parent::of_standard_input(listens.detached);
    told(Address { port: listener.port() }).map_err(Fault::of(exit::UNAVAILABLE))?;
    if io::stdout().is_terminal() {
        tell("listening; ctrl-c ends it");
    }
    let over = CancellationToken::new();
    let serving = listener.serve(sidecars, access, bounds, over.clone());
    end_with(&mut stop, &mut parent, over, serving).await
}

/// Serves until a signal comes or the parent is gone; a second signal waits for nothing.
async fn end_with(
    stop: &mut Stop,
    parent: &mut parent::Parent,
    over: CancellationToken,
    serving: impl Future<Output = ()>,
) -> Result<u8, Fault> {
    let mut serving = std::pin::pin!(serving);
    let asked = async {
        parent.gone().await;
        over.cancel();
        std::future::pending::<Infallible>().await
    };
    let served = async { tokio::join!(serving.as_mut(), over.run_until_cancelled(asked)).0 };
    if stop.unless_stopped(served).await.is_ok() {
        return Ok(exit::OK);
    }
    over.cancel();
    let ended = stop.unless_stopped(serving).await;
    Ok(ended.map_or_else(Signal::exit_code_alone, |()| exit::OK))
}

/// The name of a variable that no server is shown.
fn own_name(text: &str) -> Result<String, &'static str> {
    if text.starts_with("THOTH_") && text.len() > 6 {
        Ok(text.to_owned())
    } else {
        Err("name a variable that begins with THOTH_: those are not passed on to the server")
    }
}

/// The secret in the variable of this name, which is taken out.
fn given(env: &mut Env, name: &str) -> Result<Secret, NotServed> {
    let text = env.take(name).ok_or_else(|| NotServed::NoSecret(name.to_owned()))?;
    let parsed = Secret::parse(text.to_str().unwrap_or_default());
    parsed.map_err(|why| NotServed::BadSecret(name.to_owned(), why))
}

// === impl Sidecars ===

impl Sidecars {
    async fn prepare(&self) -> Result<Parts, Fault> {
        Parts::prepare(self.config.clone(), self.server.clone(), self.around.clone()).await
    }
}

impl Open for Sidecars {
    async fn hold(
        &self,
        input: Input,
        output: Output,
        stop: CancellationToken,
    ) -> Result<(), String> {
        let cannot = |fault: Fault| {
            let why = fault.to_string();
            tell(why.trim_end().trim_start_matches("thoth: "));
            "the server cannot be started; whoever runs `thoth serve` sees why on its standard error"
                .to_owned()
        };
        let prepared = stop.run_until_cancelled(self.prepare()).await;
        let Some(prepared) = prepared else { return Ok(()) };
        let (conversation, mut company) = prepared.map_err(cannot)?.start().map_err(cannot)?;
        let signals = Signals { stop, ..Signals::default() };
        let held = conversation.hold(input, output, &mut company, signals).await;
        company.part(DRAIN).await;
        if let Err(error) = held {
            tracing::warn!(%error, "the server's end cannot be told");
        }
        Ok(())
    }
}
