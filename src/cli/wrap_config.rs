//! `thoth wrap-config`: puts thoth around every server in the clients' configuration files.
//!
//! One file is one piece of work: where one cannot be read or written, the others are still done.
//! The text is edited by [`crate::clients::document`], the file replaced by
//! [`crate::clients::place`]; here is which files, with what, and what is told.

mod diff;
mod far;
mod intents;
mod probe;
mod program;
pub(super) mod report;
pub(super) mod rows;
pub(super) mod select;
mod vault;
pub(super) mod wish;
pub(super) mod work;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::far::Far;
use self::intents::Intents;
use self::program::Program;
use self::report::{Report, Tense, Told};
use self::rows::Row;
use self::select::{Lost, Selection};
use self::wish::Wish;
use self::work::{Done, Goal, Task, Trouble, Work};
use super::fault::Fault;
use super::paint::Paint;
use super::{exit, expected, policy};
use crate::clients::scan::{self, Expected};
use crate::clients::table::{File, Places};
use crate::config;
use crate::config::flags::{KeyText, RunFlags};
use crate::config::layers::Layers;
use crate::config::variables::{API_KEY, Env, PATH};
use crate::machine::{Machine, clock};
use crate::secret::ApiKey;

/// Wrap the servers in MCP clients' configuration files, so that each starts under thoth.
///
/// A server behind a URL becomes one that thoth reaches for its client. Only the entries of servers change; everything else of a file stays as it is, byte for byte, and
/// `thoth unwrap-config` brings the very same file back. Flags that are not given here keep the
/// values that a wrapped entry has.
///
/// Exit status: 0 done (servers that cannot be wrapped are told on stderr), 1 a file could not be
/// read or written, 10 a server behind a URL waits for --migrate-secrets or for a login, 64 the
/// command line, 78 a value of a flag or the intent map cannot be used; with --check: 0 every server
/// is governed, 10 some are not.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Examples:
  thoth wrap-config --all --policy /etc/thoth/policy.toml
  thoth wrap-config --client cursor --client claude-code --dry-run
  thoth wrap-config --all --check || thoth wrap-config --all
  thoth wrap-config claude_desktop_config.json --output claude_desktop_config.json")]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    manner: Manner,

    /// Change nothing, and say whether every server is governed
    #[arg(long, conflicts_with_all = ["dry_run", "output"])]
    check: bool,

    /// With --check: mind only what wrap-config would wrap, not servers that it cannot
    #[arg(long, requires = "check")]
    drift: bool,

    /// The tenant at the enforcer
    #[arg(long, value_name = "TENANT")]
    tenant_id: Option<OsString>,

    /// The person, for most enforcers an e-mail address
    #[arg(long, value_name = "USER")]
    user_id: Option<OsString>,

    /// How verdicts are enforced: observe (or shadow), progressive, `step_up`, block
    #[arg(long, value_name = "MODE")]
    enforcement_mode: Option<OsString>,

    /// What every session is for; without, `intent_map.json` in thoth's directory says it by server
    #[arg(long, value_name = "INTENT")]
    session_intent: Option<OsString>,

    /// What the sessions are approved for, separated by commas
    #[arg(long, value_name = "A,B")]
    approved_scope: Option<OsString>,

    /// A rule file, or the name of a built-in pack; may be repeated
    #[arg(long, value_name = "FILE")]
    policy: Vec<String>,

    /// The key for the enforcer. It is not written into any file without --embed-api-key
    #[arg(long, value_name = "KEY")]
    api_key: Option<KeyText>,

    /// Write the key of --api-key, or of `THOTH_API_KEY`, into the environment of each entry
    #[arg(long)]
    embed_api_key: bool,

    /// The thoth that clients are to start: an absolute path
    #[arg(long, value_name = "PATH")]
    thoth_bin: Option<PathBuf>,

    /// Let clients start this very program, by a path that stays; this is so without --thoth-bin
    #[arg(long, conflicts_with = "thoth_bin")]
    auto_thoth_bin: bool,

    /// A variable for each wrapped server, unless its entry has it; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE")]
    variables: Vec<String>,

    /// Move secrets that stand in headers to files of this user's, and wrap their servers; without,
    /// they stay as they are
    #[arg(
        long,
        value_name = "WHERE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "file"
    )]
    migrate_secrets: Option<Place>,

    /// Ask servers behind a URL that have no credential whether they want one, and wrap those that do
    /// not; one request each, which calls no tool
    #[arg(long, conflicts_with = "check")]
    probe: bool,

    /// Give each wrapped server the PATH of this command
    #[arg(long)]
    inherit_path: bool,
}

/// Where secrets are moved to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Place {
    /// A file of its own for each, which only this user may read.
    File,
}

/// What is asked of both ways, wrapping and unwrapping.
#[derive(Debug, clap::Args)]
pub(super) struct Manner {
    /// Write to this file (`-`: standard output) and leave the one that is read; for one PATH
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    output: Option<PathBuf>,

    /// Change nothing, and show what would change; secrets are not shown
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The command line cannot be followed.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("cannot tell where the policy {name} is")]
    PolicyPath { name: String, source: io::Error },
    #[error("the key of --api-key cannot be sent in an HTTP header")]
    Key,
    #[error("--embed-api-key needs the key: give --api-key, or set THOTH_API_KEY")]
    NoKey,
    #[error("--inherit-path: there is no PATH to inherit, or it is not UTF-8")]
    NoPath,
    #[error("--output is for one file: give one PATH")]
    Output,
    #[error("--migrate-secrets changes more than what is printed: give a file to --output")]
    Printed,
}

// === impl Args ===

impl Args {
    pub(crate) fn run(
        self,
        env: &Env,
        paint: Paint,
        out: &mut impl Write,
    ) -> Result<ExitCode, Fault> {
        let err = &mut io::stderr();
        let home = config::home(env);
        let key = self.key(env)?;
        if self.migrate_secrets.is_some() && self.manner.prints() {
            return Err(Fault::new(exit::USAGE, Unusable::Printed));
        }
        let mut wish = self.wish(env, &home, key.as_ref())?;
        let mut secrets = config::known_keys(env);
        if self.embed_api_key {
            let embedded = key.as_ref().map(ApiKey::embedded).unwrap_or_default();
            secrets.retain(|secret| secret.occurrences(&embedded) == 0);
        } else {
            secrets.extend(key);
        }
        if self.api_key.is_some() && !self.embed_api_key {
            note(err, "--api-key is not written into any file; `thoth set-api-key` keeps it");
        }
        if !Path::new(&wish.program.path).exists() {
            let path = &wish.program.path;
            note(err, &format!("there is no {path} yet; until there is, no wrapped server starts"));
        }
        if !wish.program.stays {
            let path = &wish.program.path;
            note(err, &format!("entries start {path}, which may not stay; see --thoth-bin"));
        }

        let goal = self.manner.goal(&self.selection)?;
        let places = self.selection.places(env).map_err(Fault::of(exit::USAGE))?;
        let files = self.selection.files(&places).map_err(Fault::of(exit::USAGE))?;
        if self.check {
            let report = look(files, &places, &self.expected(&wish));
            self.manner
                .tell(&report, Tense::Looked, paint, out, err)
                .map_err(Fault::of(exit::NO))?;
            let minded = |row: &Row| !row.state.is_governed() && (row.mendable || !self.drift);
            let drifted = report.troubles() > 0 || report.rows().any(|(_, row)| minded(row));
            return Ok(ExitCode::from(if drifted { exit::DRIFT } else { exit::OK }));
        }
        if self.probe {
            let found: Vec<_> = files.iter().flatten().collect();
            wish.far.probed = Some(probe::ask(&found, &places, env)?);
        }
        let (task, now) = (Task::Wrap(&wish), clock::now());
        let work = Work { task, goal, places: &places, home: &home, secrets: &secrets, now };
        let report = self.manner.work(&work, files);
        self.manner
            .tell(&report, self.manner.tense(), paint, out, err)
            .map_err(Fault::of(exit::NO))?;
        if let Some(line) = report::loud(&report) {
            let _ = writeln!(err, "{line}");
        }
        let waits = report.rows().any(|(_, row)| row.waits);
        Ok(if waits && report.troubles() == 0 {
            ExitCode::from(exit::DRIFT)
        } else {
            code(&report)
        })
    }

    /// What wrapped entries are held against: what is managed, and, to look at them, what is asked
    /// for now.
    fn expected(&self, wish: &Wish) -> Expected {
        let text = |flag: &Option<OsString>| Some(flag.as_ref()?.to_str()?.trim().to_owned());
        let mode = text(&self.enforcement_mode).and_then(|mode| config::read_mode(&mode).ok());
        let managed = wish.expected.clone();
        Expected {
            program: PathBuf::from(&wish.program.path),
            mode: mode.or(managed.mode),
            tenant_id: text(&self.tenant_id).or(managed.tenant_id),
            ..managed
        }
    }

    /// The key that was given, or that of the environment.
    fn key(&self, env: &Env) -> Result<Option<ApiKey>, Fault> {
        if let Some(text) = &self.api_key {
            let key = text.key().map_err(|_| Fault::new(exit::CONFIGURATION, Unusable::Key))?;
            return Ok(Some(key));
        }
        let key = env.get(&API_KEY).and_then(|text| ApiKey::parse(text.to_str()?).ok());
        if key.is_none() && self.embed_api_key {
            return Err(Fault::new(exit::USAGE, Unusable::NoKey));
        }
        Ok(key)
    }

    /// What entries are wrapped with. Every value is one that `thoth run` takes.
    fn wish(&self, env: &Env, home: &Path, key: Option<&ApiKey>) -> Result<Wish, Fault> {
        let run = RunFlags {
            tenant_id: self.tenant_id.clone(),
            user_id: self.user_id.clone(),
            enforcement_mode: self.enforcement_mode.clone(),
            session_intent: self.session_intent.clone(),
            approved_scope: self.approved_scope.clone(),
            ..RunFlags::default()
        };
        wish::check(&run).map_err(Fault::of(exit::CONFIGURATION))?;
        let mut flags = Vec::new();
        for (name, value) in [
            ("--tenant-id", &self.tenant_id),
            ("--user-id", &self.user_id),
            ("--enforcement-mode", &self.enforcement_mode),
            ("--session-intent", &self.session_intent),
            ("--approved-scope", &self.approved_scope),
        ] {
            // Not UTF-8 would be among the problems.
            let value = value.as_ref().and_then(|value| value.to_str());
            flags.extend(value.map(|value| (name, vec![value.trim().to_owned()])));
        }
        let mut policies = Vec::new();
        for name in &self.policy {
            policy::load(name).map_err(Fault::of(exit::CONFIGURATION))?;
            let unplaced = |source| Unusable::PolicyPath { name: name.clone(), source };
            policies.push(
                wish::policy(name).map_err(unplaced).map_err(Fault::of(exit::CONFIGURATION))?,
            );
        }
        if !policies.is_empty() {
            flags.push(("--policy", policies));
        }
        Ok(Wish {
            program: self.program(env)?,
            flags,
            intents: Intents::read(home).map_err(Fault::of(exit::CONFIGURATION))?,
            env: self.variables(env, key)?,
            expected: Expected {
                moves_secrets: self.migrate_secrets.is_some(),
                ..expected::managed(
                    &config::read(&RunFlags::default(), None, env, &Layers::of_system(env)),
                    &Machine::gather(),
                )
            },
            far: Far { vaults: home.join(vault::DIRECTORY), probed: None },
        })
    }

    fn program(&self, env: &Env) -> Result<Program, Fault> {
        let program = match &self.thoth_bin {
            Some(path) => program::given(path),
            None => program::own(Machine::gather().executable.as_deref(), &Places::of(env).path),
        };
        program.map_err(Fault::of(exit::USAGE))
    }

    fn variables(&self, env: &Env, key: Option<&ApiKey>) -> Result<Vec<(String, String)>, Fault> {
        let mut variables = Vec::new();
        for text in &self.variables {
            let (name, value) = wish::variable(text).map_err(Fault::of(exit::USAGE))?;
            variables.retain(|(other, _)| *other != name); // the last one counts
            variables.push((name, value));
        }
        if self.inherit_path && !variables.iter().any(|(name, _)| name == PATH.name) {
            let path = env.get(&PATH).and_then(|path| path.to_str());
            let path = path.ok_or_else(|| Fault::new(exit::USAGE, Unusable::NoPath))?;
            variables.push((PATH.name.to_owned(), path.to_owned()));
        }
        if let (true, Some(key)) = (self.embed_api_key, key) {
            variables.push((API_KEY.name.to_owned(), key.embedded()));
        }
        Ok(variables)
    }
}

// === impl Manner ===

impl Manner {
    /// Where the outcome goes.
    pub(super) fn goal(&self, selection: &Selection) -> Result<Goal, Fault> {
        let Some(output) = &self.output else {
            return Ok(if self.dry_run { Goal::Nowhere } else { Goal::InPlace });
        };
        let path = selection.single_path();
        let path = path.ok_or_else(|| Fault::new(exit::USAGE, Unusable::Output))?;
        let is_same = output
            .canonicalize()
            .is_ok_and(|output| path.canonicalize().is_ok_and(|path| path == output));
        Ok(if output.as_os_str() == "-" {
            Goal::Nowhere
        } else if is_same {
            Goal::InPlace
        } else {
            Goal::File(output.clone())
        })
    }

    pub(super) fn tense(&self) -> Tense {
        if self.dry_run { Tense::Would } else { Tense::Done }
    }

    /// Whether the new text is printed instead of a report.
    fn prints(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.as_os_str() == "-")
    }

    /// Does the work with each file.
    pub(super) fn work(&self, work: &Work<'_>, files: Vec<Result<File, Lost>>) -> Report {
        let told = files.into_iter().map(|file| match file {
            Ok(file) => {
                let outcome = work.on(&file);
                let diff = outcome.as_ref().ok().filter(|_| self.dry_run);
                let diff = diff.map(|done| Work::diff(&file, done));
                let client = Some((file.client.id, file.client.name));
                Told { client, path: file.path, outcome, diff }
            }
            Err(lost) => lost.into(),
        });
        Report { files: told.collect() }
    }

    /// Tells what was done: the report on `out`, troubles on `err`.
    pub(super) fn tell(
        &self,
        report: &Report,
        tense: Tense,
        paint: Paint,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<()> {
        if self.prints() {
            for done in report.files.iter().filter_map(|told| told.outcome.as_ref().ok()) {
                out.write_all(&done.after)?;
            }
        } else if self.json {
            writeln!(out, "{}", report.json())?;
        } else if report.files.is_empty() {
            writeln!(out, "no configuration file of such a client was found")?;
        } else {
            report.write(tense, paint, out)?;
        }
        out.flush()?;
        report.write_troubles(err)
    }
}

/// Looks at files, and changes nothing.
fn look(files: Vec<Result<File, Lost>>, places: &Places, expected: &Expected) -> Report {
    let mut report = Report::default();
    let mut found = Vec::new();
    for file in files {
        match file {
            Ok(file) => found.push(file),
            Err(lost) => report.files.push(lost.into()),
        }
    }
    let coverage = scan::scan_files(&found, places, expected);
    for (file, looked) in found.into_iter().zip(coverage.files) {
        let outcome = match looked.unreadable {
            Some(why) => Err(Trouble::Unreadable { path: file.path.clone(), why }),
            None => Ok(Done::of(looked.servers.into_iter().map(Row::from).collect())),
        };
        let client = Some((file.client.id, file.client.name));
        report.files.push(Told { client, path: file.path, outcome, diff: None });
    }
    report
}

/// 0, or 1 where nothing could be done with a file.
pub(super) fn code(report: &Report) -> ExitCode {
    ExitCode::from(if report.troubles() == 0 { exit::OK } else { exit::NO })
}

fn note(err: &mut impl Write, text: &str) {
    let _ = writeln!(err, "thoth: {text}");
}
