//! Clients that run: what they are given, what becomes of it, and how they end.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::room::{Room, THOTH, below};

/// Says what it was given, one line each, waits for a line, and ends as that says. A signal that it
/// hears is its last word.
const CLIENT: &str = r#"#!/bin/sh
for signal in TERM HUP INT USR1; do trap "echo heard $signal; exit 42" $signal; done
for word in "$@"; do printf 'arg %s\n' "$word"; done
env | sed 's/^/env /'
echo "pwd $(pwd)"
echo "pid $$"
echo ready
while :; do
  if read -r line; then eval "$line"; else exit 0; fi
done
"#;

/// A client that was launched and runs.
struct Launched {
    thoth: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    told: Vec<String>,
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn script(room: &Room) -> PathBuf {
    let path = room.file("bin/client", CLIENT);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A project with one server that bears witness, approved.
fn furnish(room: &Room) {
    let witness = room.path("witness");
    let server = json!({"command": THOTH, "args": ["demo-server", "--witness", witness]});
    room.file("app/.mcp.json", json!({"mcpServers": {"library": server}}).to_string());
    room.claude(&json!({"enabledMcpjsonServers": ["library"]}), &json!({}));
    room.file(
        "policy.toml",
        "[policy]\nid = \"t\"\nversion = 1\ndefault = \"block\"\n[[rule]]\nid = \"names\"\n\
         tools = [\"list_documents\"]\neffect = \"allow\"\nreason = \"names\"\n",
    );
}

impl Launched {
    fn start(mut command: Command) -> Self {
        let mut thoth = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = thoth.stdin.take();
        let output = BufReader::new(thoth.stdout.take().unwrap());
        let mut launched = Self { thoth, input, output, told: Vec::new() };
        loop {
            match launched.line() {
                Some(line) if line == "ready" => return launched,
                Some(line) => launched.told.push(line),
                None => {
                    let mut said = String::new();
                    let mut err = launched.thoth.stderr.take().unwrap();
                    std::io::Read::read_to_string(&mut err, &mut said).unwrap();
                    assert_eq!(said, "", "the client did not start");
                }
            }
        }
    }

    fn of(room: &Room, client: &str, flags: &[&str], arguments: &[&str]) -> Self {
        let script = script(room);
        let mut words = vec!["launch", "--client", client];
        words.extend(flags);
        words.extend(["--", script.to_str().unwrap()]);
        words.extend(arguments);
        Self::start(room.thoth(words))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.output.read_line(&mut line).unwrap();
        (count > 0).then(|| line.trim_end().to_owned())
    }

    fn all(&self, what: &str) -> Vec<&str> {
        self.told.iter().filter_map(|line| line.strip_prefix(what)?.strip_prefix(' ')).collect()
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.all("env").into_iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    /// The file that Claude was told of.
    fn config(&self) -> PathBuf {
        let args = self.all("arg");
        let at = args.iter().position(|word| *word == "--mcp-config").unwrap();
        PathBuf::from(args[at + 1])
    }

    /// Lets the client do something, and waits for thoth.
    fn end(mut self, line: &str) -> std::process::ExitStatus {
        writeln!(self.input.take().unwrap(), "{line}").unwrap();
        self.thoth.wait().unwrap()
    }
}

/// Starts a server as its entry says, shakes hands and makes calls: the answers.
fn converse(room: &Room, entry: &Value, calls: &[&str]) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut command = Command::new(text(&entry["command"]));
    command.args(entry["args"].as_array().unwrap().iter().map(text)).env_clear();
    command.env("HOME", room.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    for (name, value) in entry["env"].as_object().into_iter().flatten() {
        command.env(name, text(value));
    }
    let mut server = command.spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}
    }});
    let mut answers = Vec::new();
    let lines = calls.iter().zip(1..).map(|(tool, id)| {
        let params = json!({"name": tool, "arguments": {}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    });
    for line in [hello].into_iter().chain(lines) {
        writeln!(input, "{line}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        answers.push(serde_json::from_str(&answer).unwrap());
    }
    drop(input);
    assert!(server.wait().unwrap().success());
    answers
}

#[test]
fn claude_starts_governed_servers_from_a_file_that_is_gone_afterwards() {
    let room = Room::new();
    furnish(&room);
    let policy = room.path("policy.toml");
    let client = Launched::of(
        &room,
        "claude",
        &["--policy", policy.to_str().unwrap()],
        &["-p", "a b", "--", "--mcp-config"],
    );
    let path = client.config();
    let args = client.all("arg");
    assert_eq!(args[0], "--mcp-config");
    assert_eq!(args[2..], ["--strict-mcp-config", "-p", "a b", "--", "--mcp-config"]);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(path.starts_with(room.path(".thoth/run/launch")), "{}", path.display());

    let config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let entry = &config["mcpServers"]["library"];
    assert_eq!(entry["type"], "stdio");
    let answers = converse(&room, entry, &["list_documents", "delete_document"]);
    assert!(answers[0]["result"]["serverInfo"].is_object(), "{}", answers[0]);
    assert!(answers[1]["result"]["content"].is_array(), "{}", answers[1]);
    assert_eq!(answers[2]["error"]["code"], -32001, "{}", answers[2]);
    let witness = fs::read_to_string(room.path("witness")).unwrap();
    assert!(witness.contains("list_documents") && !witness.contains("delete_document"));

    assert_eq!(client.end("exit 7").code(), Some(7));
    assert!(!path.parent().unwrap().exists());
}

#[test]
fn a_private_runtime_directory_is_used() {
    let room = Room::new();
    furnish(&room);
    let runtime = room.path("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    let script = script(&room);
    let mut command = room.thoth(["launch", "--client", "claude", "--", script.to_str().unwrap()]);
    command.env("XDG_RUNTIME_DIR", &runtime);
    let client = Launched::start(command);
    assert!(client.config().starts_with(runtime.join("thoth")));
    client.end("exit 0");
    assert!(below(&runtime).iter().all(|path| !path.is_dir() || *path == runtime.join("thoth")));
}

#[test]
fn the_client_s_end_is_thoth_s() {
    let room = Room::new();
    furnish(&room);
    for (line, code) in
        [("exit 0", 0), ("exit 3", 3), ("trap - TERM; kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        let client = Launched::of(&room, "claude", &[], &[]);
        let path = client.config();
        assert_eq!(client.end(line).code(), Some(code), "{line}");
        assert!(!path.parent().unwrap().exists());
    }
    for (command, code) in [("/no/such/client", 127), ("/etc/passwd", 126)] {
        let said = room.run(["launch", "--client", "claude", "--", command]);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(said.err.contains(command), "{}", said.err);
    }
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}

/// Directories of launches that are there.
fn left(room: &Room) -> Vec<PathBuf> {
    let mut found = below(&room.path(".thoth/run/launch"));
    found.retain(|path| path.is_dir());
    found
}

#[test]
fn a_signal_to_thoth_is_handed_on() {
    let room = Room::new();
    furnish(&room);
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGINT, "INT"), // there is no terminal
    ] {
        let mut client = Launched::of(&room, "claude", &[], &[]);
        kill(Pid::from_raw(i32::try_from(client.thoth.id()).unwrap()), signal).unwrap();
        // The shell hears it while it waits for a line.
        assert_eq!(client.line().as_deref(), Some(format!("heard {name}").as_str()));
        assert_eq!(client.thoth.wait().unwrap().code(), Some(42));
        assert_eq!(left(&room), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_a_killed_launch_left_is_collected_by_the_next() {
    let room = Room::new();
    furnish(&room);
    let mut killed = Launched::of(&room, "claude", &[], &[]);
    let path = killed.config();
    killed.thoth.kill().unwrap();
    assert_eq!(killed.thoth.wait().unwrap().signal(), Some(9));
    assert!(path.exists(), "nobody was there to remove it");

    let living = Launched::of(&room, "claude", &[], &[]);
    assert!(!path.parent().unwrap().exists());
    let next = Launched::of(&room, "claude", &[], &[]);
    assert!(living.config().exists(), "its launch lives");
    next.end("exit 0");
    assert!(living.config().exists());
    living.end("exit 0");
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}

#[test]
fn no_secret_is_in_a_command_line_or_a_file() {
    let room = Room::new();
    furnish(&room);
    room.file(".thoth/proxy_api_key.json", r#"{"api_key": "canary-key-0123456789"}"#);
    let script = script(&room);
    let mut command = room.thoth(["launch", "--client", "claude", "--", script.to_str().unwrap()]);
    command.env("MY_TOKEN", "canary-token-0123456789");
    let client = Launched::start(command);
    assert_eq!(client.variable("MY_TOKEN"), Some("canary-token-0123456789"));
    let started = [client.thoth.id().to_string(), client.all("pid")[0].to_owned()];
    for pid in started {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&words).contains("canary"));
    }
    for path in below(&room.path(".thoth/run")).iter().filter(|path| path.is_file()) {
        assert!(!fs::read_to_string(path).unwrap_or_default().contains("canary"));
    }
    client.end("exit 0");
}

#[test]
fn codex_is_told_in_its_command_line() {
    let room = Room::new();
    let client = Launched::of(
        &room,
        "codex",
        &["--server", "far=https://x.example/mcp"],
        &["exec", "-c", "model=\"m\"", "hi"],
    );
    let args = client.all("arg");
    assert_eq!(args[0], "-c");
    assert!(args[1].starts_with("mcp_servers.far={command = \""), "{}", args[1]);
    assert!(args[1].contains("tool_timeout_sec = 3600"));
    assert_eq!(args[2..], ["exec", "-c", "model=\"m\"", "hi"]);
    assert_eq!(client.end("exit 0").code(), Some(0));
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}

#[test]
fn the_client_works_where_its_variable_says() {
    let room = Room::new();
    let script = script(&room);
    let mut command = room.thoth([
        "launch",
        "--client",
        "claude",
        "--agent-id",
        "x",
        "--",
        script.to_str().unwrap(),
    ]);
    command.current_dir(room.path("")).env("THOTH_AGENT_X_CWD", room.path("app"));
    let client = Launched::start(command);
    assert_eq!(client.all("pwd"), [room.app()]);
    client.end("exit 0");
}

#[test]
fn a_directory_that_a_variable_names_keeps_what_is_in_it() {
    let room = Room::new();
    furnish(&room);
    // Private, and called as directories of launches are: another program's cache, say.
    let cache = room.path("place/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join("kept"), "").unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let script = script(&room);
    let words = ["launch", "--client", "claude", "--agent-id", "x", "--"];
    let mut command = room.thoth([&words[..], &[script.to_str().unwrap()]].concat());
    command.env("THOTH_AGENT_X_OUT", room.path("place"));
    let client = Launched::start(command);
    assert!(client.config().starts_with(room.path("place/thoth")), "{:?}", client.config());
    assert!(cache.join("kept").exists());
    client.end("exit 0");
    assert!(cache.join("kept").exists());
}

/// Asks a server on this machine: the status and the body.
fn ask(url: &str, secret: Option<&str>, message: &Value) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let body = message.to_string();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let authorization =
        secret.map(|secret| format!("Authorization: Bearer {secret}\r\n")).unwrap_or_default();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[test]
fn a_served_server_is_asked_at_an_address_with_the_secret_in_a_variable() {
    let room = Room::new();
    furnish(&room);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}
    }});
    let client = Launched::of(&room, "claude", &["--serve"], &[]);
    let text = fs::read_to_string(client.config()).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let entry = &config["mcpServers"]["library"];
    assert_eq!(entry["type"], "http");
    assert_eq!(entry["headers"]["Authorization"], "Bearer ${THOTH_LAUNCH_SECRET}");
    let secret = client.variable("THOTH_LAUNCH_SECRET").unwrap().to_owned();
    assert_eq!(secret.len(), 43);
    assert!(!text.contains(&secret));
    let url = entry["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let (status, answer) = ask(&url, Some(&secret), &hello);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("serverInfo"), "{answer}");
    assert_eq!(ask(&url, None, &hello).0, 404);

    // Nobody's command line has the secret: not the client's, thoth's, or the servers'.
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&words).contains(&secret));
    }
    let host = url.split('/').nth(2).unwrap().to_owned();
    assert_eq!(client.end("exit 5").code(), Some(5));
    assert!(std::net::TcpStream::connect(&host).is_err(), "nobody listens any more");
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}

#[test]
fn served_servers_end_with_a_killed_launch() {
    let room = Room::new();
    furnish(&room);
    let mut client = Launched::of(&room, "claude", &["--serve"], &[]);
    let config: Value = serde_json::from_slice(&fs::read(client.config()).unwrap()).unwrap();
    let url = config["mcpServers"]["library"]["url"].as_str().unwrap();
    let host = url.split('/').nth(2).unwrap();
    client.thoth.kill().unwrap();
    client.thoth.wait().unwrap();
    // It notices by the end of its input; until then it listens.
    while std::net::TcpStream::connect(host).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_server_that_cannot_be_served_stops_the_launch() {
    let room = Room::new();
    let entry = json!({"command": "x", "env": {"T": "${input:t}"}});
    room.claude(&json!({}), &json!({"odd": entry}));
    let said = room.run(["launch", "--client", "claude", "--serve", "--", "true"]);
    assert_eq!(said.code, 69, "{}", said.err);
    assert!(said.err.contains("odd") && said.err.contains("--serve"), "{}", said.err);
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}

#[test]
fn a_client_without_a_way_says_where_its_file_must_lie() {
    let room = Room::new();
    let said = room.run(["launch", "--client", "cursor", "--", "cursor", "."]);
    assert_eq!(said.code, 64);
    assert!(
        said.err.contains("mcp-config") && said.err.contains(".cursor/mcp.json"),
        "{}",
        said.err
    );
}

#[test]
fn gemini_is_told_by_a_variable_and_kilo_is_told_in_one() {
    let room = Room::new();
    let client = Launched::of(&room, "gemini", &["--server", "far=https://x.example/mcp"], &["hi"]);
    assert_eq!(client.all("arg"), ["hi"]);
    let path = PathBuf::from(client.variable("GEMINI_CLI_SYSTEM_SETTINGS_PATH").unwrap());
    let config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(config["mcp"]["allowed"], json!(["far"]));
    client.end("exit 0");
    assert!(!path.exists());

    let client = Launched::of(&room, "kilo", &["--server", "far=https://x.example/mcp"], &[]);
    // The text has several lines, of which `env` gives the first the name.
    assert_eq!(client.variable("KILO_CONFIG_CONTENT"), Some("{"));
    assert!(client.all("env").contains(&"      \"type\": \"local\","));
    client.end("exit 0");
    assert_eq!(left(&room), Vec::<PathBuf>::new());
}
