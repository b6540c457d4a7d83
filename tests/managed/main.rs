//! The real program under a real managed file at its real place.
//!
//! `/etc/thoth` is made in a mount namespace of each test's own: as root, or with a user namespace
//! where the system allows those. `.ci/run` runs these tests; elsewhere they are ignored, by name.

#![cfg(target_os = "linux")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says what broke by panicking")]

mod health;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_all","arguments":{}}}"#;

/// A user's rule for everything, which would answer a default of the same set.
const ALLOW: &str = "[policy]\nid = \"mine\"\nversion = 1\ndefault = \"allow\"\n[[rule]]\nid = \"all\"\neffect = \"allow\"\n";
const BLOCK: &str = "[policy]\nid = \"theirs\"\nversion = 1\ndefault = \"block\"\n";

/// A managed machine.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new(config: &str) -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["etc", "thoth", "home"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        machine.chmod("thoth", 0o755);
        machine.write("thoth/thoth-config.json", config);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.chmod(name, 0o644);
        self.path(name)
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs thoth there as a user who sets these variables, with these lines as its input.
    fn thoth(&self, words: &[&str], env: &[(&str, &str)], input: &str) -> Output {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let enter = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/managed/enter.sh");
        command.args(["--", "sh", enter]).arg(self.root.path());
        command.arg(env!("CARGO_BIN_EXE_thoth")).args(words);
        command.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("HOME", self.path("home")).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        // A thoth that refuses to start reads nothing.
        let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
        process.wait_with_output().unwrap()
    }

    /// What a governed call is answered, and what is told.
    fn call(&self, words: &[&str], env: &[(&str, &str)]) -> (Value, String) {
        let server = r#"sed -u 's/.*/{"jsonrpc":"2.0","id":1,"result":{"passed":true}}/'"#;
        let words = [&["run"], words, &["--", "sh", "-c", server]].concat();
        let output = self.thoth(&words, env, &format!("{CALL}\n"));
        let told = String::from_utf8(output.stderr).unwrap();
        let answer = serde_json::from_slice(&output.stdout);
        (answer.unwrap_or_else(|error| panic!("{error}: {told}")), told)
    }

    /// How `run` refuses to start.
    fn refusal(&self) -> String {
        let started = self.path("started");
        let words = ["run", "--", "touch", started.to_str().unwrap()];
        let output = self.thoth(&words, &[], "");
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        assert!(!started.exists());
        String::from_utf8(output.stderr).unwrap()
    }
}

const LOCKED: &str = r#"{
  "policy": ["/etc/thoth/rules.toml"],
  "environment": "dev",
  "locked": ["policy", "environment"]
}"#;

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn a_user_cannot_weaken_what_is_locked() {
    let machine = Machine::new(LOCKED);
    machine.write("thoth/rules.toml", BLOCK);
    let mine = machine.write("home/mine.toml", ALLOW);
    let mine = ["--policy", mine.to_str().unwrap()];
    fs::create_dir(machine.path("home/.thoth")).unwrap();
    machine.write("home/.thoth/thoth-config.json", r#"{"enforcement": "shadow"}"#);

    for (words, env, by) in [
        (&[][..], &[][..], "enforcement in the profile"),
        (&[], &[("THOTH_ENFORCEMENT_MODE", "observe")], "THOTH_ENFORCEMENT_MODE"),
        (&[], &[("THOTH_ENFORCEMENT", "shadow")], "THOTH_ENFORCEMENT"),
        (&["--enforcement-mode", "observe"], &[], "--enforcement-mode"),
        (&mine, &[], "--policy"),
        // Nothing of these is where the file is looked for.
        (&[], &[("ProgramData", "/nowhere"), ("XDG_CONFIG_DIRS", "/nowhere")], "the profile"),
        (&[], &[("THOTH_CONFIG", "/nowhere"), ("THOTH_MANAGED_CONFIG", "/nowhere")], "the profile"),
    ] {
        let (answer, told) = machine.call(words, env);
        assert_eq!(answer["error"]["code"], -32001, "{words:?} {env:?}: {answer} {told}");
        assert_eq!(answer["error"]["data"]["policy"]["id"], "theirs", "{answer}");
        let line = format!("{by}: is not used, since ");
        assert!(told.contains(&line), "{words:?} {env:?}: {told}");
        assert!(told.contains(" is locked by /etc/thoth/thoth-config.json"), "{told}");
    }

    // Without the lock, they all count: so the table above shows something.
    let free = Machine::new(r#"{"policy": ["/etc/thoth/rules.toml"]}"#);
    free.write("thoth/rules.toml", BLOCK);
    let (answer, _) = free.call(&["--enforcement-mode", "observe"], &[]);
    assert_eq!(answer["result"]["passed"], true, "{answer}");
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn rules_of_the_user_add_to_managed_ones_that_are_not_locked() {
    let machine = Machine::new(r#"{"policy": ["/etc/thoth/rules.toml"]}"#);
    machine.write("thoth/rules.toml", BLOCK);
    let mine = machine.write("home/mine.toml", ALLOW);
    let (answer, _) = machine.call(&["--policy", mine.to_str().unwrap()], &[]);
    assert_eq!(answer["error"]["data"]["policy"]["id"], "theirs", "{answer}");
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn doctor_shows_what_is_managed_and_who_says_something_else() {
    let machine = Machine::new(LOCKED);
    machine.write("thoth/rules.toml", BLOCK);
    let report = |env: &[_]| -> (Option<i32>, Value) {
        let output = machine.thoth(&["doctor", "--json"], env, "");
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    };
    let (code, fine) = report(&[]);
    assert_eq!(code, Some(0), "{fine:#}");
    let setting = |report: &Value, name: &str| {
        let settings = report["settings"].as_array().unwrap().clone();
        settings.into_iter().find(|setting| setting["name"] == name).unwrap()
    };
    for (name, value, from) in [
        ("THOTH_ENV", "dev", "managed".into()),
        ("--policy", "/etc/thoth/rules.toml", "managed".into()),
        ("THOTH_ENFORCEMENT_MODE", "progressive", Value::Null),
    ] {
        let found = setting(&fine, name);
        assert_eq!((&found["value"], &found["from"]), (&value.into(), &from), "{name}");
        assert_eq!(found["locked"], true, "{name}");
    }
    assert_eq!(setting(&fine, "THOTH_TENANT_ID")["locked"], false);

    let (code, report) = report(&[("THOTH_ENV", "staging")]);
    assert_eq!(code, Some(1));
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "locked").unwrap();
    assert_eq!(check["ok"], false);
    assert!(check["text"].as_str().unwrap().starts_with("THOTH_ENV says something else"));

    let text = machine.thoth(&["doctor"], &[], "").stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("  dev  (managed, locked)\n"), "{text}");
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn a_managed_file_that_others_can_change_stops_the_start() {
    for (name, mode) in [
        ("thoth/thoth-config.json", 0o666),
        ("thoth/thoth-config.json", 0o664),
        ("thoth", 0o777),
        ("thoth/rules.toml", 0o666),
    ] {
        let machine = Machine::new(LOCKED);
        machine.write("thoth/rules.toml", BLOCK);
        machine.chmod(name, mode);
        let told = machine.refusal();
        let path = format!("/etc/{name} can be changed by others (mode {mode:o})");
        assert!(told.contains(&path) && told.contains("run chmod go-w"), "{told}");
        let doctor = machine.thoth(&["doctor"], &[], "");
        assert_eq!(doctor.status.code(), Some(1));
        assert!(String::from_utf8(doctor.stdout).unwrap().contains(&path));
    }
}

#[test]
#[ignore = "needs root, or user namespaces, for the real /etc: `.ci/run` runs it"]
fn a_managed_file_with_a_mistake_stops_the_start_and_says_where() {
    let told = Machine::new("{\n  \"enforcment_mode\": \"block\"\n}").refusal();
    let place = "/etc/thoth/thoth-config.json:2:3: `enforcment_mode` is no key that thoth knows";
    assert!(told.contains(place), "{told}");
    let told = Machine::new("{\"policy\": [\"/etc/thoth/none.toml\"]}").refusal();
    assert!(told.contains("/etc/thoth/none.toml"), "{told}");
}
