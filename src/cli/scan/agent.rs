//! The agent that tries the server: its command, and its life.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::room::Room;
use super::settled;
use crate::child::{Child, Exit, Ladder, Launch, Output, SpawnError};
use crate::cli::exit;
use crate::config::variables::Env;
use crate::stop::{self, Signal};

/// Stands for the plan's text.
const PLAN: &str = "{plan}";

/// Stands for the path of the configuration.
const CONFIG: &str = "{config}";

/// What is started where nothing else is said.
const USUAL: [&str; 10] = [
    "claude",
    "-p",
    PLAN,
    "--mcp-config",
    CONFIG,
    "--strict-mcp-config",
    "--permission-mode",
    "bypassPermissions",
    "--output-format",
    "text",
];

/// How much of what the agent says is kept, in bytes.
const MOST: usize = 16 * 1024 * 1024;

/// For whoever is left when all is told.
const AFTERWARDS: Ladder = Ladder {
    grace: Duration::ZERO,
    term: Duration::from_millis(400),
    drain: Duration::from_millis(200),
};

/// A command with gaps.
#[derive(Debug)]
pub(super) struct Agent(Vec<String>);

/// The command of an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("--agent has no {CONFIG}: the agent would not find the server")]
    NoConfig,
    #[error("--agent is not UTF-8")]
    NotText,
}

/// How the agent's life ended.
#[derive(Debug)]
pub(super) enum Driven {
    /// By itself.
    Ended(Exit),
    /// Its time was up.
    OutOfTime,
    /// A person wanted all of it to end.
    Stopped(Signal),
}

/// There is no agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("cannot start the agent; another can be named with --agent")]
    Spawn(#[from] SpawnError),
    #[error("lost the agent")]
    Process(#[from] io::Error),
}

/// Starts the agent and waits: until it ends, its time is up, or a person wants it to end. Nothing
/// that it started is left then, but what has left its process group.
///
/// # Errors
///
/// [`Lost`].
pub(super) async fn drive(
    mut command: Vec<OsString>,
    room: &Room,
    limit: Duration,
) -> Result<Driven, Lost> {
    let mut stop = stop::listen()?;
    let log = room.open_log()?;
    let arguments = command.split_off(1.min(command.len()));
    let mut child = Child::spawn(Launch {
        command: command.pop().unwrap_or_default(),
        arguments,
        environment: Env::whole(),
        withheld: Vec::new(),
    })?;
    drop(child.stdin.take());
    let listening = child.stdout.take().map(|output| tokio::spawn(keep(output, log)));

    let driven = match stop.unless_stopped(timeout(limit, child.exited())).await {
        Ok(Ok(exit)) => Driven::Ended(exit?),
        Ok(Err(_elapsed)) => Driven::OutOfTime,
        Err(signal) => Driven::Stopped(signal),
    };
    if !matches!(driven, Driven::Ended(_)) {
        child.terminate();
    }
    // A second signal does not wait for what they have to tell.
    let _ = stop.unless_stopped(settled::wait(&room.events())).await;
    child.end(AFTERWARDS).await?;
    if let Some(listening) = listening {
        let _ = listening.await; // the output has ended with the group
    }
    Ok(driven)
}

/// Writes down what the agent says, up to a bound; the rest is read and forgotten.
async fn keep(mut output: Output, mut log: File) {
    let (mut left, mut buffer) = (MOST, vec![0; 16 * 1024]);
    while let Ok(count @ 1..) = output.read(&mut buffer).await {
        let kept = count.min(left);
        left -= kept;
        let _ = log.write_all(&buffer[..kept]);
    }
}

// === impl Agent ===

impl Agent {
    /// Reads the words of `--agent`; none is the usual agent.
    ///
    /// # Errors
    ///
    /// [`Unfit`].
    pub(super) fn read(words: &[OsString]) -> Result<Self, Unfit> {
        if words.is_empty() {
            return Ok(Self(USUAL.map(str::to_owned).into()));
        }
        let words: Option<Vec<_>> =
            words.iter().map(|word| word.to_str().map(str::to_owned)).collect();
        let words = words.ok_or(Unfit::NotText)?;
        if !words.iter().any(|word| word.contains(CONFIG)) {
            return Err(Unfit::NoConfig);
        }
        Ok(Self(words))
    }

    /// What it is called: the first word.
    pub(super) fn name(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The command with its gaps filled.
    pub(super) fn command(&self, plan: &str, config: &Path) -> Vec<OsString> {
        let filled = |word: &String| {
            // Not one after the other: the plan might have a gap of its own.
            let parts =
                word.split(PLAN).map(|part| part.replace(CONFIG, &config.to_string_lossy()));
            OsString::from(parts.collect::<Vec<_>>().join(plan))
        };
        self.0.iter().map(filled).collect()
    }
}

// === impl Lost ===

impl Lost {
    /// What thoth exits with.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Spawn(error) => error.exit_code(),
            Self::Process(_) => exit::UNAVAILABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(words: &[&str]) -> Result<Vec<String>, Unfit> {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let command = Agent::read(&words)?.command("do {config}", Path::new("/r/mcp.json"));
        Ok(command.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn gaps_are_filled_once() {
        assert_eq!(
            filled(&["a", "{config}", "--x={plan};{config};{plan}", "{else}"]).unwrap(),
            ["a", "/r/mcp.json", "--x=do {config};/r/mcp.json;do {config}", "{else}"]
        );
        assert!(matches!(filled(&["a", "{plan}"]), Err(Unfit::NoConfig)));
    }

    #[test]
    fn the_usual_agent_is_claude_without_a_person() {
        assert_eq!(
            filled(&[]).unwrap().join(" "),
            "claude -p do {config} --mcp-config /r/mcp.json --strict-mcp-config \
             --permission-mode bypassPermissions --output-format text"
        );
    }
}
