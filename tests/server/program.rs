//! `thoth enforcer` as it is started: the line it prints, what it keeps, how it ends.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const THOTH: &str = env!("CARGO_BIN_EXE_thoth");

/// A running `thoth enforcer` with a home of its own. Killed when dropped.
struct Program {
    process: Child,
    /// What it printed.
    text: String,
}

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(THOTH);
    command.args(["enforcer"]).args(args).env("THOTH_HOME_DIR", home.join("thoth"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// One that does not start.
fn refused(home: &Path, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = command(home, args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

impl Program {
    fn start(home: &Path, args: &[&str]) -> Self {
        let args = [&["--listen", "127.0.0.1:0"], args].concat();
        let mut process = command(home, &args).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.as_mut().unwrap()).lines();
        let mut text = String::new();
        for line in &mut lines {
            let line = line.unwrap();
            text += &line;
            text.push('\n');
            if line.contains("run --tenant-id") {
                break;
            }
        }
        Self { process, text }
    }

    fn line(&self) -> &str {
        self.text.lines().find(|line| line.contains("run --tenant-id")).unwrap().trim()
    }

    fn pin(&self) -> &str {
        let (_, after) = self.line().split_once("THOTH_TLS_PINNED_CERT_SHA256=").unwrap();
        after.split(' ').next().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    fn end(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn call(id: u32, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string() + "\n"
}

#[test]
fn the_printed_line_works_when_it_is_pasted() {
    let home = TempDir::new().unwrap();
    let enforcer = Program::start(home.path(), &[]);
    assert!(enforcer.text.contains("sha256:") && enforcer.text.contains("/console/login#"));

    let witness = home.path().join("witness");
    let server = format!("'{THOTH}' demo-server --witness '{}'", witness.display());
    let line = enforcer.line().replace("COMMAND", &server);
    let mut sidecar = Command::new("sh")
        .args(["-c", &line])
        .env("THOTH_HOME_DIR", home.path().join("thoth"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = sidecar.stdin.take().unwrap();
    let mut answers = BufReader::new(sidecar.stdout.take().unwrap()).lines();
    let mut ask = |id, tool, arguments: Value| -> Value {
        stdin.write_all(call(id, tool, &arguments).as_bytes()).unwrap();
        serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap()
    };
    let listed = ask(1, "list_documents", json!({}));
    assert!(listed["result"]["content"].is_array(), "{listed}");
    let refused = ask(2, "run_shell", json!({"command": "id"}));
    assert_eq!(refused["error"]["code"], -32001, "{refused}");
    assert_eq!(
        refused["error"]["data"]["rule_ids"],
        json!(["shells"]),
        "the enforcer's rules say so"
    );
    drop(stdin);
    assert!(sidecar.wait().unwrap().success());

    enforcer.signal(Signal::SIGTERM);
    assert_eq!(enforcer.end(), Some(0), "asked to end, it does");
}

#[test]
fn a_restart_keeps_the_pin_and_the_keys_and_nobody_else_can_read_them() {
    let home = TempDir::new().unwrap();
    let directory = home.path().join("thoth/enforcer");
    let first = Program::start(home.path(), &[]);
    let (pin, key) = (first.pin().to_owned(), fs::read(directory.join("sidecar.key")).unwrap());
    assert!(!first.text.contains("thoth_live_"), "{}", first.text);
    for name in ["sidecar.key", "admin.key", "certificate.key", "certificate.pem", "store.db"] {
        let mode = fs::metadata(directory.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let (code, told) = refused(home.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, 69, "{told}");
    assert!(told.contains("in use by another enforcer"), "{told}");
    first.signal(Signal::SIGINT);
    assert_eq!(first.end(), Some(0));

    let second = Program::start(home.path(), &["--json"]);
    let told: Value = serde_json::from_str(second.text.trim()).unwrap();
    assert_eq!(told["pin"], json!(pin));
    assert_eq!(fs::read(directory.join("sidecar.key")).unwrap(), key);
}

#[test]
fn what_cannot_be_used_is_told_with_its_exit_code() {
    let home = TempDir::new().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (made(), made());
    let write = |name: &str, text: &str, mode| {
        fs::write(at(name), text).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        at(name)
    };
    let cert = write("cert.pem", &one.cert.pem(), 0o644);
    let key = write("key.pem", &one.signing_key.serialize_pem(), 0o600);
    let open = write("open.pem", &one.signing_key.serialize_pem(), 0o644);
    let foreign = write("foreign.pem", &other.signing_key.serialize_pem(), 0o600);
    let broken = write("broken.toml", "[policy]\nid = 1\n", 0o600);
    fs::create_dir(at("empty")).unwrap();
    let free = "127.0.0.1:0";
    for (args, code, says) in [
        (&["--listen", &taken][..], 69, "cannot listen at"),
        (&["--listen", "nowhere"], 64, "--listen"),
        (&["--tls-cert", &cert], 64, "--tls-key"),
        (&["--tls-key", &key], 64, "--tls-cert"),
        (&["--tls-cert", &cert, "--tls-key", &foreign], 78, "cannot be used with this certificate"),
        (&["--tls-cert", &cert, "--tls-key", &open], 78, "can be read by others"),
        (&["--tls-cert", &at("none"), "--tls-key", &key], 78, "cannot be read"),
        (&["--tls-cert", &key, "--tls-key", &key], 78, "no certificate is in it"),
        (&["--listen", "0.0.0.0:0"], 78, "--tls-self-signed"),
        (&["--listen", free, "--policy", &broken], 78, "broken.toml"),
        (&["--listen", free, "--policy", &at("none")], 78, "cannot read the policy"),
        (&["--listen", free, "--policy", &at("empty")], 78, "holds no *.toml file"),
        (&["--listen", free, "--store", "mysql://a:hunter2@b/c"], 78, "write sqlite:PATH"),
        (&["--listen", free, "--store", "postgres://a:hunter2@127.0.0.1:1/c"], 69, "cannot open"),
        (&["--listen", free, "--tenant", "No Tenant"], 78, "--tenant"),
        (&["--listen", free, "--public-url", "http://e"], 78, "--public-url"),
        (&["--listen", free, "--rate-limit", "0"], 64, "off"),
        (&["--listen", free, "--api-keys", &open], 78, "can be read by others"),
        (&["--listen", free, "--oidc-issuer", "https://i"], 64, "--oidc-client-id"),
    ] {
        let (found, told) = refused(home.path(), args);
        assert_eq!(found, code, "{args:?}: {told}");
        assert!(told.contains(says), "{args:?}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let home = TempDir::new().unwrap();
    let mut enforcer = Program::start(home.path(), &[]);
    let address = enforcer.line().split_once("https://").unwrap().1;
    let address = address.split(' ').next().unwrap();
    // A handshake that never ends holds it for its farewell, which nobody has to wait for.
    let witness = std::net::TcpStream::connect(address).unwrap();
    enforcer.signal(Signal::SIGTERM);
    enforcer.signal(Signal::SIGINT);
    let code = enforcer.process.wait().unwrap().code();
    // Of two that come at once either may be the second; or the handshake was not seen to begin.
    assert!(matches!(code, Some(0 | 130 | 143)), "{code:?}");
    let mut rest = String::new();
    enforcer.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    drop(witness);
}
