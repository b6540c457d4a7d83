//! Who is told where it listens, and what ends it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::http::Response;
use crate::launch::{Served, Setup, initialize, text};

/// Whether no server of these is there any more.
fn all_gone(setup: &Setup) -> bool {
    let gone = |pid: &String| kill(Pid::from_raw(pid.parse().unwrap()), None).is_err();
    setup.starts().iter().all(gone)
}

fn with_two_sessions() -> Served {
    let served = Setup::new().start();
    for _ in 0..2 {
        let session = served.initialize();
        assert!(text(&served.call(&session, 1, "echo").json()).starts_with("pid"));
    }
    assert_eq!(served.setup.starts().len(), 2);
    served
}

#[test]
fn it_ends_with_whoever_started_it() {
    let (status, said, setup) = with_two_sessions().closes();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(all_gone(&setup));
}

#[test]
fn a_signal_ends_it_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let served = with_two_sessions();
        let session = served.initialize();
        let mut hanging = served.call(&session, 1, "hang");
        hanging.event().unwrap();
        served.signal(signal);
        let answer = hanging.message();
        assert_eq!(answer["error"]["data"]["reason_code"], "server_gone", "{answer}");
        let (status, said, setup) = served.ends();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(all_gone(&setup));
        for journal in setup.journals() {
            assert!(thoth::journal::verify(&journal, None).unwrap().report.closed);
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let stubborn = r#"echo $$ >>"$0/starts"; trap '' TERM; read -r line
        echo '{"jsonrpc":"2.0","id":0,"result":{"serverInfo":{"name":"sh"}}}'; while :; do sleep 1; done"#;
    let setup = Setup::new();
    let home = setup.home.path().to_str().unwrap().to_owned();
    let served = setup.server(&["sh", "-c", stubborn, &home]).start();
    served.initialize();
    served.signal(Signal::SIGTERM);
    // Connections are refused as soon as the first was heard.
    while std::net::TcpStream::connect(("127.0.0.1", served.port())).is_ok() {
        std::thread::yield_now();
    }
    served.signal(Signal::SIGTERM);
    let (status, said, setup) = served.ends();
    assert_eq!(status.code(), Some(128 + 15), "{said}");
    while !all_gone(&setup) {
        std::thread::yield_now();
    }
}

#[test]
fn a_stubborn_server_is_ended_all_the_same() {
    let setup = Setup::new();
    let home = setup.home.path().to_str().unwrap().to_owned();
    let stubborn = r#"echo $$ >>"$0/starts"; trap '' TERM; read -r line
        echo '{"jsonrpc":"2.0","id":0,"result":{"serverInfo":{"name":"sh"}}}'; while :; do sleep 1; done"#;
    let served = setup.server(&["sh", "-c", stubborn, &home]).start();
    served.initialize();
    let (status, said, setup) = served.closes();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(all_gone(&setup));
}

#[test]
fn detached_it_does_not_end_with_its_input() {
    let mut served = Setup::new().flags(&["--detached"]).start();
    served.stdin = None;
    served.initialize();
    served.signal(Signal::SIGTERM);
    assert_eq!(served.ends().0.code(), Some(0));
}

#[test]
fn it_tells_a_file_that_nobody_else_reads() {
    let setup = Setup::new();
    let path = setup.home.path().join("ready.json");
    let setup = setup.flags(&["--ready-file", path.to_str().unwrap()]);
    let mut process = setup.command().spawn().unwrap();
    let told: Value = loop {
        match fs::read_to_string(&path) {
            Ok(text) if text.ends_with('\n') => break serde_json::from_str(&text).unwrap(),
            _ => std::thread::yield_now(),
        }
    };
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut said = String::new();
    let mut out = process.stdout.take().unwrap();
    let served = Served { stdin: process.stdin.take(), process, told, setup };
    served.initialize();
    served.closes();
    out.read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "nobody else is told");

    // One that is there already is not written to.
    let setup = Setup::new();
    let path = setup.home.path().join("ready.json");
    fs::write(&path, "mine").unwrap();
    let setup = setup.flags(&["--ready-file", path.to_str().unwrap()]);
    let output = setup.command().output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn it_tells_a_descriptor_and_no_server_inherits_it() {
    // A launcher that opens descriptor 9 for it, and whose server shows what it has.
    let setup = Setup::new();
    let home = setup.home.path().to_str().unwrap().to_owned();
    let script = r#"ls -l /dev/fd >"$0/fds"; read -r line
        echo '{"jsonrpc":"2.0","id":0,"result":{"serverInfo":{"name":"sh"}}}'; read -r line"#;
    let setup = setup.server(&["sh", "-c", script, &home]).flags(&["--ready-fd", "9"]);
    let thoth = setup.command();
    let told = setup.home.path().join("told");
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", r#"exec "$@" 9>"$TOLD""#, "sh"])
        .arg(thoth.get_program())
        .args(thoth.get_args());
    shell.env_clear().envs(thoth.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("TOLD", &told).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = shell.spawn().unwrap();
    let told: Value = loop {
        match fs::read_to_string(&told) {
            Ok(text) if text.ends_with('\n') => break serde_json::from_str(&text).unwrap(),
            _ => std::thread::yield_now(),
        }
    };
    assert_eq!(told["pid"], process.id());
    let served = Served { stdin: process.stdin.take(), process, told, setup };
    served.initialize();
    let descriptors = fs::read_to_string(served.setup.home.path().join("fds")).unwrap();
    assert!(!descriptors.contains("told") && !descriptors.contains("socket"), "{descriptors}");
    served.closes();
}

#[test]
fn it_tells_a_socket_too() {
    // Node's children get sockets where they asked for pipes.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let setup = Setup::new().flags(&["--ready-fd", "9"]);
    let thoth = setup.command();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", r#"exec "$@" 9>&0 0</dev/null"#, "sh"])
        .arg(thoth.get_program())
        .args(thoth.get_args());
    shell.env_clear().envs(thoth.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = shell.spawn().unwrap();
    drop(shell);
    let mut told = String::new();
    ours.read_to_string(&mut told).unwrap();
    let told: Value =
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{told:?}: {error}"));
    let served = Served { stdin: None, process, told, setup };
    served.initialize();
    served.signal(Signal::SIGTERM);
    assert_eq!(served.ends().0.code(), Some(0));
}

#[test]
fn a_descriptor_that_is_not_open_is_a_mistake() {
    for descriptor in ["9", "2", "x"] {
        let setup = Setup::new().flags(&["--ready-fd", descriptor]);
        let output = setup.command().stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{descriptor}");
    }
}

#[test]
fn a_launcher_may_choose_the_secret_and_then_nobody_is_told() {
    let secret = "s".repeat(43);
    let mut served = Setup::new()
        .flags(&["--secret-env", "THOTH_LAUNCH_SECRET"])
        .variable("THOTH_LAUNCH_SECRET", &secret)
        .start();
    assert_eq!((&served.told["secret"], &served.told["path_url"]), (&Value::Null, &Value::Null));
    served.told["secret"] = secret.as_str().into();
    served.initialize();
    let (_, said, _) = served.closes();
    assert!(!said.contains("THOTH_LAUNCH_SECRET"), "it is known, and no slip: {said}");

    for (name, value, code) in [
        ("THOTH_LAUNCH_SECRET", "short", 78),
        ("THOTH_NOT_THERE", "", 78),
        ("LAUNCH_SECRET", &*secret, 64),
    ] {
        let setup =
            Setup::new().flags(&["--secret-env", name]).variable("THOTH_LAUNCH_SECRET", value);
        let output = setup.command().output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("short"));
    }
}

#[test]
fn what_refuses_to_start_does_so_before_anybody_is_told() {
    let setup = Setup::new().flags(&["--policy", "/no/such/policy.toml"]);
    let output = setup.command().output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(78), 0));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Setup::new().flags(&["--port", &port]).command().output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0));
}

#[test]
fn it_listens_at_the_loopback_address_alone() {
    let served = Setup::new().start();
    let port = format!(":{:04X} ", served.port());
    let mut tables = String::new();
    for name in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(mut table) = File::open(name) {
            table.read_to_string(&mut tables).unwrap();
        }
    }
    let here: Vec<_> =
        tables.lines().filter(|line| line.contains(&port) && line.contains(" 0A ")).collect();
    assert!(here.iter().all(|line| line.contains("0100007F:")), "{here:?}");
}

#[test]
fn it_listens_at_the_other_loopback_address_where_that_is_asked_for() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return; // this machine has no such address
    }
    for (flags, is_there) in [(&[][..], false), (&["--ipv6"], true)] {
        let served = Setup::new().flags(flags).start();
        let stream = std::net::TcpStream::connect(("::1", served.port()));
        assert_eq!(stream.is_ok(), is_there, "{flags:?}");
        let Ok(mut stream) = stream else { continue };
        // The checks are the same at this door.
        let greeting = served.post(&initialize()).with("host", &format!("[::1]:{}", served.port()));
        stream.write_all(&greeting.clone().without("authorization").bytes()).unwrap();
        assert_eq!(Response::read(stream).status, 404);
        let mut stream = std::net::TcpStream::connect(("::1", served.port())).unwrap();
        stream.write_all(&greeting.bytes()).unwrap();
        assert_eq!(Response::read(stream).json()["result"]["serverInfo"]["name"], "sh");
        served.initialize();
    }
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_call_leaves_nobody_waiting() {
    let served = with_two_sessions();
    let session = served.initialize();
    let mut waiting = served.call(&session, 1, "hang");
    waiting.event().unwrap();
    let victim = served.setup.starts().pop().unwrap().parse().unwrap();
    kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    let answer = waiting.message();
    assert_eq!(answer["error"]["data"]["reason_code"], "server_gone", "{answer}");
    // Whoever comes while it is being cleared away is told the same; later there is no such session.
    let mut late = served.call(&session, 2, "echo");
    while late.status != 404 {
        let answer = late.json();
        assert!(answer["error"].is_object(), "{answer}");
        late = served.call(&session, 2, "echo");
    }
    let (status, said, setup) = served.closes();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(all_gone(&setup), "the others ended with it");
}

#[cfg(target_os = "linux")]
#[test]
fn killed_itself_it_leaves_no_server_behind() {
    let setup = Setup::new();
    let home = setup.home.path().to_str().unwrap().to_owned();
    // One that does not mind the end of its input.
    let stubborn = r#"echo $$ >>"$0/starts"; read -r line
        echo '{"jsonrpc":"2.0","id":0,"result":{"serverInfo":{"name":"sh"}}}'; while :; do sleep 1; done"#;
    let served = setup.server(&["sh", "-c", stubborn, &home]).start();
    served.initialize();
    served.signal(Signal::SIGKILL);
    let (_, _, setup) = served.ends();
    while !all_gone(&setup) {
        std::thread::yield_now();
    }
}
