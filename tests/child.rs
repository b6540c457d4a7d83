//! The child, its end, and the signals that bring it about: with real processes and pipes.
//!
//! No test looks at a clock. Where a step of the ladder must be reached, the ones before it are
//! given no time; where it must not be, it is given more than the test may take. Whether a process
//! is gone is read off a named pipe that it holds open: see [`Lifeline`].

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgid, getpgrp};
use thoth::child::{Child, Ladder, Launch, Output, SpawnError};
use thoth::{pipe, stop};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::{OpenOptions, Receiver};

/// Longer than any test may take.
const NEVER: Duration = Duration::from_mins(5);
const AT_ONCE: Duration = Duration::ZERO;

/// A ladder of which no step may be reached.
const PATIENT: Ladder = Ladder { grace: NEVER, term: NEVER, drain: NEVER };

/// The variable without which the ignored tests of this file do nothing.
const ROLE: &str = "THOTH_TEST_ROLE";

async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_mins(1);
    tokio::time::timeout(limit, work).await.unwrap()
}

fn launch(command: &str, arguments: &[&str]) -> Launch {
    Launch {
        command: command.into(),
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: std::env::vars_os().collect(),
        withheld: Vec::new(),
    }
}

fn spawn(launch: Launch) -> (Child, BufReader<Output>) {
    let mut child = Child::spawn(launch).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

/// Starts a shell script; `$1` is `argument`.
fn script(text: &str, argument: &Path) -> (Child, BufReader<Output>) {
    spawn(launch("sh", &["-c", text, "sh", argument.to_str().unwrap()]))
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(child.id().unwrap().try_into().unwrap())
}

async fn line(output: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut line = String::new();
    within(output.read_line(&mut line)).await.unwrap();
    line.trim_end().to_owned()
}

async fn rest(output: &mut BufReader<Output>) -> Vec<u8> {
    let mut rest = Vec::new();
    within(output.read_to_end(&mut rest)).await.unwrap();
    rest
}

/// A named pipe that processes hold open for writing. Its end says that all of them are gone, which
/// a process id cannot: it may be a zombie's, or a stranger's by now.
struct Lifeline {
    directory: tempfile::TempDir,
    reader: Receiver,
}

impl Lifeline {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lifeline");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        let reader = OpenOptions::new().open_receiver(&path).unwrap();
        Self { directory, reader }
    }

    /// To be opened by a script before it says that it is ready.
    fn path(&self) -> PathBuf {
        self.directory.path().join("lifeline")
    }

    async fn all_gone(mut self) {
        assert_eq!(within(self.reader.read(&mut [0])).await.unwrap(), 0);
    }
}

// --- how it ends ---

#[tokio::test]
async fn a_closed_input_is_enough_for_a_child_that_listens() {
    let (mut child, mut output) = spawn(launch("cat", &[]));
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(b"over and out\n").await.unwrap();
    assert_eq!(line(&mut output).await, "over and out");

    let (exit, rest) = tokio::join!(child.end(PATIENT), rest(&mut output));
    assert_eq!((exit.unwrap().code(), rest.len()), (0, 0));
}

#[tokio::test]
async fn a_child_that_ignores_its_input_is_asked_to_end() {
    let (mut child, mut output) =
        script("trap 'exit 7' TERM; sleep 300 & echo ready; wait", Path::new(""));
    assert_eq!(line(&mut output).await, "ready");
    let ladder = Ladder { grace: AT_ONCE, term: NEVER, drain: AT_ONCE };
    assert_eq!(within(child.end(ladder)).await.unwrap().code(), 7);
}

#[tokio::test]
async fn a_child_that_ignores_everything_is_killed() {
    let lifeline = Lifeline::new();
    let (mut child, mut output) = script(
        "exec 3>$1; trap '' TERM; echo ready; while :; do sleep 300; done",
        &lifeline.path(),
    );
    assert_eq!(line(&mut output).await, "ready");
    let exit = within(child.end(Ladder::AT_ONCE)).await.unwrap();
    assert_eq!((exit.code(), exit.signal()), (137, Some(9)));
    lifeline.all_gone().await;
}

#[tokio::test]
async fn a_child_that_ends_by_itself_is_seen_with_its_own_code() {
    for (text, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let (mut child, _) = script(text, Path::new(""));
        assert_eq!(within(child.exited()).await.unwrap().code(), code, "{text}");
        for _ in 0..2 {
            let exit = within(child.end(PATIENT)).await.unwrap();
            assert_eq!(exit.code(), code, "{text}");
        }
    }
}

#[tokio::test]
async fn an_end_that_was_broken_off_can_be_hurried() {
    let (mut child, mut output) = script("trap '' TERM; echo ready; sleep 300", Path::new(""));
    assert_eq!(line(&mut output).await, "ready");
    let slowly = Ladder { grace: AT_ONCE, term: NEVER, drain: NEVER };
    let begun = tokio::time::timeout(Duration::from_millis(1), child.end(slowly));
    assert!(begun.await.is_err());
    let exit = within(child.end(Ladder::AT_ONCE)).await.unwrap();
    assert_eq!(exit.signal(), Some(9));
}

// --- what it leaves ---

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_does_not_survive() {
    let lifeline = Lifeline::new();
    let (mut child, mut output) = script(
        "exec 3>$1; trap '' TERM; sleep 300 & exec 3>&-; echo ready; exec cat",
        &lifeline.path(),
    );
    assert_eq!(line(&mut output).await, "ready");
    let ladder = Ladder { grace: NEVER, term: NEVER, drain: AT_ONCE };
    assert_eq!(within(child.end(ladder)).await.unwrap().code(), 0);
    lifeline.all_gone().await;
    assert!(rest(&mut output).await.is_empty());
}

#[tokio::test]
async fn nobody_of_the_group_is_left_not_even_a_zombie() {
    let (mut child, _output) = spawn(launch("cat", &[]));
    let group = group(&child);
    assert_ne!(group, getpgrp());
    assert_eq!(getpgid(Some(group)), Ok(group));
    within(child.end(Ladder::AT_ONCE)).await.unwrap();
    assert_eq!(killpg(group, None), Err(Errno::ESRCH));
}

#[tokio::test]
async fn a_child_that_is_dropped_is_killed_with_its_group() {
    let lifeline = Lifeline::new();
    let (child, mut output) =
        script("exec 3>$1; trap '' TERM; sleep 300 & echo ready; wait", &lifeline.path());
    assert_eq!(line(&mut output).await, "ready");
    drop(child);
    lifeline.all_gone().await;
    assert!(rest(&mut output).await.is_empty());
}

#[tokio::test]
async fn a_child_does_not_survive_a_thoth_that_is_killed() {
    let lifeline = Lifeline::new();
    let mut thoth = own_process("helper_spawns", &[lifeline.path().into()]);
    let mut stdout = BufReader::new(thoth.stdout.take().unwrap());
    while line(&mut stdout).await != "ready" {}
    thoth.start_kill().unwrap();
    within(thoth.wait()).await.unwrap();
    lifeline.all_gone().await;
}

// --- what it wrote ---

#[tokio::test]
async fn what_it_wrote_before_it_ended_is_read_to_the_end() {
    // Fits into a pipe, so that the child ends although nobody reads.
    let (mut child, mut output) = script("head -c 60000 /dev/zero; exit 5", Path::new(""));
    within(child.exited()).await.unwrap();
    let (exit, rest) = tokio::join!(within(child.end(PATIENT)), rest(&mut output));
    assert_eq!((exit.unwrap().code(), rest.len()), (5, 60_000));
}

#[tokio::test]
async fn what_its_grandchild_still_writes_is_read_while_there_is_time() {
    let gate = Lifeline::new();
    let (mut child, mut output) = script("(read -r _ <$1; echo late) & exit 5", &gate.path());
    within(child.exited()).await.unwrap();
    let (exit, late) = tokio::join!(within(child.end(PATIENT)), async {
        let mut gate = fs::OpenOptions::new().write(true).open(gate.path()).unwrap();
        gate.write_all(b"go\n").unwrap();
        rest(&mut output).await
    });
    assert_eq!((exit.unwrap().code(), late), (5, b"late\n".to_vec()));
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_it_even_after_the_end() {
    // A stranger keeps the pipe open, so that its end is the child's, not the pipe's.
    let (mut child, output) = script("head -c 60000 /dev/zero; sleep 300 & exit 5", Path::new(""));
    within(child.exited()).await.unwrap();
    within(child.end(Ladder::AT_ONCE)).await.unwrap();
    let (mut output, mut read, mut few) = (output.into_inner(), 0, [0; 16]);
    while let more @ 1.. = within(output.read(&mut few)).await.unwrap() {
        read += more;
    }
    assert_eq!(read, 60_000);
}

#[tokio::test]
async fn a_child_may_close_its_output_and_live_on() {
    let (mut child, mut output) = script("exec >&-; read -r _; exit 4", Path::new(""));
    assert!(rest(&mut output).await.is_empty());
    assert!(child.id().is_some());
    assert_eq!(within(child.end(PATIENT)).await.unwrap().code(), 4);
}

#[cfg(target_os = "linux")] // `setsid` is not a command everywhere
#[tokio::test]
async fn a_stranger_that_holds_the_output_holds_nothing_up_and_lives_on() {
    let text = "setsid sh -c 'echo $$; exec sleep 300' & exec cat";
    let (mut child, mut output) = script(text, Path::new(""));
    let stranger = Pid::from_raw(line(&mut output).await.parse().unwrap());
    let ladder = Ladder { grace: NEVER, term: NEVER, drain: Duration::from_millis(1) };
    let (exit, rest) = tokio::join!(within(child.end(ladder)), rest(&mut output));
    assert_eq!((exit.unwrap().code(), rest.len()), (0, 0));
    kill(stranger, Signal::SIGKILL).unwrap();
}

// --- how it begins ---

#[tokio::test]
async fn it_sees_nothing_of_ours_in_its_environment() {
    let mut launch = launch("env", &[]);
    launch.environment = [
        ("PATH", "/usr/bin:/bin"),
        ("THOTH_API_KEY", "secret"),
        ("BATON_COLLECTOR_TOKEN", "secret"),
        ("CREDENTIAL", "secret"),
        ("ITS_OWN", "kept"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    launch.withheld = vec!["CREDENTIAL".to_owned()];

    let (_child, mut output) = spawn(launch);
    let seen = String::from_utf8(rest(&mut output).await).unwrap();
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, ["ITS_OWN=kept", "PATH=/usr/bin:/bin"]);
}

#[tokio::test]
async fn a_script_beyond_the_path_finds_the_interpreter_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let programs = home.path().join(".local/bin");
    // Written by another process: a program that is open for writing in this one, which forks all
    // the time, cannot be run.
    let text = "mkdir -p $1; cd $1; echo '#!/usr/bin/env node-t' >npx-t; chmod +x npx-t; \
        printf '#!/bin/sh\\necho $0 runs $1\\n' >node-t; chmod +x node-t";
    let (mut writer, _) = script(text, &programs);
    assert_eq!(within(writer.exited()).await.unwrap().code(), 0);
    let mut launch = launch("npx-t", &[]);
    launch.environment =
        vec![("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), home.path().into())];

    let (_child, mut output) = spawn(launch);
    let (node, npx) = (programs.join("node-t"), programs.join("npx-t"));
    let expected = format!("{} runs {}", node.display(), npx.display());
    assert_eq!(line(&mut output).await, expected);
}

#[tokio::test]
async fn a_command_that_is_not_there_or_cannot_be_run_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", "text", 0o644);
    let lost = file("lost", "#!/nonexistent/interpreter\n", 0o755);
    for (command, code, text) in [
        ("no-such-command-t", 127, "`no-such-command-t` was found neither"),
        ("/nonexistent/command", 127, "`/nonexistent/command` was found"),
        (&plain, 126, "plain is there but cannot be run"),
        (&lost, 126, "lost is there but cannot be run"),
    ] {
        let error = Child::spawn(launch(command, &[])).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_is_gone_is_named_as_the_reason() {
    let thoth = own_process("helper_has_no_directory", &[]);
    let output = within(thoth.wait_with_output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

// --- signals ---

/// Runs a child under [`stop`] in a process of its own, sends it `signals`, each when the one
/// before was seen, and returns what thoth would exit with.
async fn stopped(text: &str, grace: Duration, signals: &[Signal]) -> String {
    let grace = OsString::from(grace.as_secs().to_string());
    let mut thoth = own_process("helper_stops", &[text.into(), grace]);
    let pid = Pid::from_raw(thoth.id().unwrap().try_into().unwrap());
    let mut stdout = BufReader::new(thoth.stdout.take().unwrap());
    while line(&mut stdout).await != "ready" {}
    for signal in signals {
        kill(pid, *signal).unwrap();
        assert_eq!(line(&mut stdout).await, "seen");
    }
    let code = line(&mut stdout).await;
    within(thoth.wait()).await.unwrap();
    code
}

#[tokio::test]
async fn a_signal_ends_the_child_in_order() {
    let polite = "trap 'exit 7' TERM; sleep 300 & echo ready; wait";
    let simple = "echo ready; exec sleep 300";
    let listens = "echo ready; cat; exit 5";
    for (text, grace, signal, code) in [
        (polite, AT_ONCE, Signal::SIGTERM, "7"),
        (simple, AT_ONCE, Signal::SIGTERM, "143"),
        (simple, AT_ONCE, Signal::SIGINT, "130"),
        (simple, AT_ONCE, Signal::SIGHUP, "129"),
        (listens, NEVER, Signal::SIGTERM, "5"),
    ] {
        let exit = stopped(text, grace, &[signal]).await;
        assert_eq!(exit, code, "{text} {signal}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let stubborn = "trap '' TERM; echo ready; while :; do sleep 300; done";
    let exit = stopped(stubborn, NEVER, &[Signal::SIGTERM, Signal::SIGINT]).await;
    assert_eq!(exit, "143");
}

// --- standard input and output ---

#[tokio::test]
async fn standard_input_and_output_are_sockets_where_the_client_is_node() {
    let (mut client, theirs) = UnixStream::pair().unwrap();
    let ours = theirs.try_clone().unwrap();
    let mut thoth = own_command("helper_echoes", &[])
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    client.write_all(b"ping\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(within(thoth.wait()).await.unwrap().success());

    let flags = fcntl(&ours, FcntlArg::F_GETFL).unwrap();
    assert_eq!(flags & OFlag::O_NONBLOCK.bits(), 0);
    drop(ours);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.contains("ping\n"), "{text}");
}

// --- processes of their own: this file again, one ignored test of it ---

fn own_command(helper: &str, arguments: &[OsString]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", helper, "--ignored", "--nocapture"])
        .env(ROLE, helper)
        .envs((0..).map(|i| format!("{ROLE}_{i}")).zip(arguments))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn own_process(helper: &str, arguments: &[OsString]) -> tokio::process::Child {
    own_command(helper, arguments).spawn().unwrap()
}

/// Whether this process was started to be `helper`, and not by somebody who runs ignored tests.
fn is(helper: &str) -> bool {
    variable(ROLE).is_some_and(|role| role == helper)
}

fn variable(name: &str) -> Option<OsString> {
    let mut all = std::env::vars_os();
    all.find_map(|(key, value)| (key == name).then_some(value))
}

fn argument(number: u32) -> String {
    let value = variable(&format!("{ROLE}_{number}")).unwrap();
    value.into_string().unwrap()
}

#[expect(clippy::print_stdout, reason = "the pipe to the test that started this process")]
fn say(text: &str) {
    println!("{text}");
}

#[tokio::test]
#[ignore = "a process of its own"]
async fn helper_spawns() {
    if !is("helper_spawns") {
        return;
    }
    let text = "exec 3>$1; trap '' TERM HUP; sleep 300 & echo ready; wait; sleep 300";
    let (_child, mut output) = script(text, Path::new(&argument(0)));
    say(&line(&mut output).await);
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "a process of its own"]
async fn helper_stops() {
    if !is("helper_stops") {
        return;
    }
    let mut stop = stop::listen().unwrap();
    let (mut child, mut output) = script(&argument(0), Path::new(""));
    say(&line(&mut output).await);
    let first = stop.next().await;
    say("seen");
    let ladder = Ladder {
        grace: Duration::from_secs(argument(1).parse().unwrap()),
        term: NEVER,
        drain: AT_ONCE,
    };
    let exit = match stop.unless_stopped(child.end(ladder)).await {
        Ok(exit) => exit.unwrap(),
        Err(_second) => {
            say("seen");
            child.end(Ladder::AT_ONCE).await.unwrap()
        }
    };
    say(&first.exit_code(exit).to_string());
}

#[tokio::test]
#[ignore = "a process of its own"]
async fn helper_has_no_directory() {
    if !is("helper_has_no_directory") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    drop(directory);
    let error = Child::spawn(launch("cat", &[])).unwrap_err();
    assert!(matches!(error, SpawnError::NoDirectory(_)), "{error}");
    assert_eq!(error.exit_code(), 126);
}

#[tokio::test]
#[ignore = "a process of its own"]
async fn helper_echoes() {
    if !is("helper_echoes") {
        return;
    }
    let (mut stdin, mut stdout) = pipe::open().unwrap();
    tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
    stdout.flush().await.unwrap();
}
