//! `thoth auth`: logging in at MCP servers behind a URL.
//!
//! # Invariants
//!
//! - No token, code or secret is shown; a secret comes from a file, never from an argument.
//! - What others wrote is made safe to print.

mod browser;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use oauth2::ClientSecret;
use serde::Serialize;
use tokio::runtime;

use super::exit;
use super::fault::{Fault, chain};
use super::printable::Printable;
use crate::config;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::variables::Env;
use crate::https::is_scope;
use crate::machine::clock;
use crate::oauth::{
    Ended, Logins, Name, NoClient, NoLogin, NotGranted, NotLoggedIn, PATIENCE, Registration, State,
    StoreError, Summary, Wish,
};
use crate::profile;

/// The form of the JSON.
const SCHEMA: u32 = 1;
/// No file with a client's secret is longer, in bytes.
const LONGEST_SECRET: usize = 16 * 1024;

/// Log in at MCP servers behind a URL, and out again
///
/// A login is made once, in a browser, and used by `thoth run --url … --upstream-login NAME`,
/// which refreshes it by itself. It is kept in `~/.thoth/logins/NAME.json`, which nobody else can read.
///
/// Exit status: 0 done; 1 not logged in, or there is no such login; 69 a server cannot be reached; 78 the
/// profile cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth auth login acme --url https://mcp.acme.example/mcp\n  \
    thoth run --agent-id ada --url https://mcp.acme.example/mcp --upstream-login acme")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Login(Box<Login>),
    List(List),
    Status(Status),
    Logout(Logout),
}

/// Log in at an MCP server
///
/// Finds out from the server whom to log in with, shows the address to open in a browser, and waits for the
/// answer for five minutes. A login of the same name is replaced; without --url it is renewed, with
/// the scopes it had and those of --scope.
///
/// Exit status: 0 logged in; 1 not logged in; 64 the command line cannot be read; 69 a server cannot be reached;
/// 78 the profile, or the file with the secret, cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  thoth auth login acme --url https://mcp.acme.example/mcp\n  \
    thoth auth login acme --scope files:write\n  \
    thoth auth login acme --url https://mcp.acme.example/mcp --client-id thoth-7 \
    --client-secret-file ~/acme.secret --redirect-port 8765 --no-browser")]
struct Login {
    /// What the login is to be called
    #[arg(value_name = "NAME", value_parser = name)]
    name: Name,

    /// The MCP server's address: https, or http to this machine [default: that of the login]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The client that was registered for thoth by hand
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// A file with that client's secret, which nobody else can read
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,

    /// How the client becomes known without --client-id: `dynamic`, or the https address of a client
    /// metadata document [default: dynamic]
    #[arg(long, value_name = "dynamic|URL", value_parser = registration, conflicts_with = "client_id")]
    registration: Option<Registration>,

    /// A scope to ask for; may be repeated [default: those that the server wants]
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Vec<String>,

    /// The port of 127.0.0.1 that the browser comes back to [default: any that is free]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    redirect_port: u16,

    /// Show the address only, and open no browser
    #[arg(long)]
    no_browser: bool,
}

/// List all logins
///
/// Exit status: 0 listed; 78 the profile cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth auth list --json")]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show how a login is
///
/// Exit status: 0 it can be used; 1 a person must log in again, or there is no such login; 78 the profile cannot
/// be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth auth status acme")]
struct Status {
    /// The login
    #[arg(value_name = "NAME", value_parser = name)]
    name: Name,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// End a login: at the authorization server where that offers it, and here in any case
///
/// Exit status: 0 it is removed here; 1 there is no such login, or its tokens were not revoked and may still be
/// good; 78 the profile cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth auth logout acme")]
struct Logout {
    /// The login
    #[arg(value_name = "NAME", value_parser = name)]
    name: Name,
}

/// Why there is nothing to say of a login.
#[derive(Debug, thiserror::Error)]
#[error("there is no login {0}; `thoth auth list` shows all")]
struct Unknown(String);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
enum BadSecret {
    #[error("the client's secret cannot be read")]
    Unread(#[source] profile::Unsafe),
    #[error("{} holds no secret", .0.display())]
    Empty(PathBuf),
}

/// What is listed, in the form of `--json`.
#[derive(Serialize)]
struct Listing<'a> {
    schema: u32,
    logins: &'a [Summary],
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn scope(text: &str) -> Result<String, String> {
    let wanted = "write one scope, without blanks and quotes; repeat the flag for others";
    is_scope(text).then(|| text.to_owned()).ok_or_else(|| wanted.to_owned())
}

fn registration(text: &str) -> Result<Registration, String> {
    match text {
        "dynamic" => Ok(Registration::Dynamic),
        url => Registration::document(url).ok_or_else(|| {
            "write dynamic, or the https address of a client metadata document, with a path"
                .to_owned()
        }),
    }
}

// === impl Args ===

impl Args {
    /// Does what was asked.
    ///
    /// # Errors
    ///
    /// Where it could not be done, with the exit code that says so.
    pub(super) fn run(self, env: &Env, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let reading = config::read(&RunFlags::default(), None, env, &Layers::of_system(env));
        let (tls, is_proxied) = (&reading.draft().tls, reading.is_proxied());
        let logins = Logins::of(&config::home(env), tls, is_proxied, clock::now);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fault::of(exit::UNAVAILABLE))?;
        match self.command {
            Command::Login(login) => runtime.block_on(login.run(&logins, out)),
            Command::List(list) => list.run(&logins, out),
            Command::Status(status) => status.run(&logins, out),
            Command::Logout(logout) => runtime.block_on(logout.run(&logins, out)),
        }
    }
}

// === impl Login ===

impl Login {
    async fn run(self, logins: &Logins, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let registration = match (self.registration, self.client_id) {
            (_, Some(id)) => {
                let secret = self.client_secret_file.map(secret).transpose();
                let secret = secret.map_err(Fault::of(exit::CONFIGURATION))?;
                Some(Registration::Given { id, secret })
            }
            (registration, None) => registration,
        };
        let wish = Wish {
            name: self.name,
            url: self.url,
            registration,
            scopes: self.scope,
            port: self.redirect_port,
        };
        // What is shown comes in the midst of what may fail.
        let mut shown = Ok(());
        let done = logins
            .log_in(&wish, |address| {
                shown = show(address.as_str(), out);
                if !self.no_browser {
                    browser::open(address.as_str());
                }
            })
            .await;
        shown.map_err(Fault::of(exit::NO))?;
        let summary = done.map_err(|error| Fault::new(code(&error), error))?;
        told(&summary, logins, &wish.name, out).map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(address: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "Open this address in a browser, and log in within {} minutes:\n\n  {address}\n",
        PATIENCE.as_secs() / 60
    )?;
    out.flush()
}

fn told(summary: &Summary, logins: &Logins, name: &Name, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "Logged in at {} as {}. The login is in {}.",
        Printable(&summary.url),
        summary.name,
        logins.file(name).display()
    )?;
    writeln!(
        out,
        "Use it with: thoth run --url {} --upstream-login {}",
        Printable(&summary.url),
        summary.name
    )?;
    if !summary.refreshes {
        writeln!(
            out,
            "It cannot be refreshed: the authorization server gave no refresh token. Log in again when it ends."
        )?;
    }
    Ok(())
}

fn secret(path: PathBuf) -> Result<ClientSecret, BadSecret> {
    let bytes = profile::read_secret(&path, LONGEST_SECRET).map_err(BadSecret::Unread)?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(ClientSecret::new(text.to_owned())),
        Ok(_) | Err(_) => Err(BadSecret::Empty(path)),
    }
}

fn code(error: &NotLoggedIn) -> u8 {
    match error {
        NotLoggedIn::Store(_) => exit::CONFIGURATION,
        NotLoggedIn::NoUrl(_) | NotLoggedIn::Address(_) => exit::USAGE,
        NotLoggedIn::NoLogin(NoLogin::Silent(_))
        | NotLoggedIn::NoClient(NoClient::Silent(_))
        | NotLoggedIn::NotGranted(NotGranted::Trouble { .. }) => exit::UNAVAILABLE,
        NotLoggedIn::NoLogin(_)
        | NotLoggedIn::NoClient(_)
        | NotLoggedIn::NotGranted(_)
        | NotLoggedIn::NoPort { .. }
        | NotLoggedIn::Nobody(_)
        | NotLoggedIn::BadAnswer(_) => exit::NO,
    }
}

// === impl List ===

impl List {
    fn run(&self, logins: &Logins, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let names = logins.names().map_err(Fault::of(exit::CONFIGURATION))?;
        let mut all = Vec::new();
        let mut unread = Vec::new();
        for name in names {
            match logins.summary(&name) {
                Ok(summary) => all.extend(summary),
                Err(error) => unread.push((name, error)),
            }
        }
        self.tell(&all, &unread, out).map_err(Fault::of(exit::NO))?;
        match unread.into_iter().next() {
            None => Ok(ExitCode::SUCCESS),
            Some((_, error)) => Err(Fault::new(exit::CONFIGURATION, error)),
        }
    }

    fn tell(
        &self,
        all: &[Summary],
        unread: &[(Name, StoreError)],
        out: &mut impl Write,
    ) -> io::Result<()> {
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &Listing { schema: SCHEMA, logins: all })?;
            return writeln!(out);
        }
        if all.is_empty() && unread.is_empty() {
            return writeln!(out, "There are no logins. Make one: thoth auth login NAME --url URL");
        }
        for summary in all {
            writeln!(
                out,
                "{}  {}  {}  {}",
                summary.name,
                summary.state.word(),
                Printable(&summary.url),
                Printable(&summary.scopes.join(" "))
            )?;
        }
        for (name, error) in unread {
            writeln!(out, "{}  {}", name.as_str(), chain(error))?;
        }
        Ok(())
    }
}

// === impl Status ===

impl Status {
    fn run(&self, logins: &Logins, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let found = logins.summary(&self.name).map_err(Fault::of(exit::CONFIGURATION))?;
        let unknown = || Fault::new(exit::NO, Unknown(self.name.as_str().to_owned()));
        let summary = found.ok_or_else(unknown)?;
        self.tell(&summary, out).map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::from(match summary.state {
            State::Ok | State::Expired => exit::OK,
            State::LoginRequired => exit::NO,
        }))
    }

    fn tell(&self, summary: &Summary, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            serde_json::to_writer_pretty(&mut *out, summary)?;
            return writeln!(out);
        }
        let end = match (summary.expires_at, summary.refreshes) {
            (None, _) => "not known".to_owned(),
            (Some(end), true) => format!("{end:.0}, and is refreshed before"),
            (Some(end), false) => format!("{end:.0}"),
        };
        let scopes = match &*summary.scopes.join(" ") {
            "" => "those of the authorization server's choice".to_owned(),
            scopes => scopes.to_owned(),
        };
        for (what, value) in [
            ("login", &*summary.name),
            ("state", summary.state.word()),
            ("server", &summary.url),
            ("issuer", &summary.issuer),
            ("client", &summary.client_id),
            ("scopes", &scopes),
            ("logged in", &format!("{:.0}", summary.logged_in_at)),
            ("token since", &format!("{:.0}", summary.refreshed_at)),
            ("token ends", &end),
        ] {
            writeln!(out, "{what:<12} {}", Printable(value))?;
        }
        match &summary.advice {
            Some(advice) => writeln!(out, "{}", Printable(advice)),
            None => Ok(()),
        }
    }
}

// === impl Logout ===

impl Logout {
    async fn run(self, logins: &Logins, out: &mut impl Write) -> Result<ExitCode, Fault> {
        let name = self.name.as_str();
        let ended = logins.log_out(&self.name).await.map_err(Fault::of(exit::CONFIGURATION))?;
        let (text, code) = match ended {
            Ended::None => return Err(Fault::new(exit::NO, Unknown(name.to_owned()))),
            Ended::Revoked => {
                (format!("The login {name} is removed, and its tokens are revoked."), exit::OK)
            }
            Ended::Local => (
                format!(
                    "The login {name} is removed. The authorization server offers no way to revoke its \
                     tokens: the last one is good until it ends."
                ),
                exit::OK,
            ),
            Ended::Unread => (
                format!(
                    "The login {name} is removed. It could not be read, so its tokens were not revoked, and \
                     may still be good."
                ),
                exit::NO,
            ),
            Ended::NotRevoked(why) => (
                format!(
                    "The login {name} is removed. Its tokens were not revoked, and may still be good: {}",
                    Printable(&chain(&why))
                ),
                exit::NO,
            ),
        };
        writeln!(out, "{text}").map_err(Fault::of(exit::NO))?;
        Ok(ExitCode::from(code))
    }
}
