//! `thoth scan` with an agent that keeps to a script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent;
use super::server;
use super::session::{call, initialize, request};

/// What must never be seen.
const SECRET: &str = "hunter2-correct-horse";

/// A home with a project in it.
struct World {
    home: TempDir,
    /// What the agent does.
    script: Vec<String>,
}

impl World {
    /// With one server, `files`, whose entry has this command line.
    fn with(line: &[String]) -> Self {
        let world = Self { home: tempfile::tempdir().unwrap(), script: Vec::new() };
        for folder in ["project", "tmp"] {
            fs::create_dir(world.home.path().join(folder)).unwrap();
        }
        let entry = json!({
            "command": line[0],
            "args": line[1..],
            "env": { "FAKE_SERVER": "Plain", "FAKE_SEEN": world.at("seen"), "SECRET_OF_FILES": SECRET,
                "BATON_API_KEY": SECRET },
        });
        world.puts(".mcp.json", &json!({ "mcpServers": { "files": entry } }));
        world
    }

    fn new() -> Self {
        Self::with(&server::command("server::serves"))
    }

    fn puts(&self, name: &str, file: &Value) {
        fs::write(self.at("project").join(name), file.to_string()).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn doing(mut self, lines: &[String]) -> Self {
        self.script = lines.to_vec();
        self
    }

    /// Runs a scan of this server under a policy that allows everything.
    fn scans_freely(&self, words: &[&str]) -> Output {
        let policy = self.at("all.toml");
        fs::write(&policy, "[policy]\nid = \"all\"\nversion = 1\ndefault = \"allow\"\n").unwrap();
        self.scans("files", &[&["--policy", policy.to_str().unwrap()], words].concat())
    }

    /// Runs a scan of this server, with more words before the agent's.
    fn scans(&self, name: &str, words: &[&str]) -> Output {
        fs::write(self.at("script"), self.script.join("\n")).unwrap();
        let agent = format!(
            r#"{}="$1" exec "$0" --ignored --exact agent::acts --nocapture"#,
            agent::CONFIG
        );
        let own = std::env::current_exe().unwrap();
        let agent = ["--agent", "sh", "-c", &agent, own.to_str().unwrap(), "{config}", "{plan}"];
        self.command(name).args(words).args(agent).output().unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "`sh` is found by the test's own PATH")]
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .args(["scan", "--config", name])
            .current_dir(self.at("project"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TMPDIR", self.at("tmp"))
            .env(agent::SCRIPT, self.at("script"));
        command
    }

    fn seen(&self) -> String {
        fs::read_to_string(self.at("seen")).unwrap_or_default()
    }

    /// What is left where temporary files are.
    fn left(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.at("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains(SECRET), "{said}");
    said
}

fn report(output: &Output) -> String {
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!report.contains(SECRET), "{report}");
    report
}

/// A session with an error, tried again, and a report of the agent's own.
fn stuck() -> Vec<String> {
    let mut lines =
        vec![initialize(1), "?".to_owned(), request(2, "tools/list", &json!({})), "?".to_owned()];
    for id in 3..7 {
        lines.extend([call(id, "boom", &json!({ "text": "no such city" })), "?".to_owned()]);
    }
    let note = json!({ "user_goal": "the weather in Oslo", "what_happened": "no city is known",
        "tool_name": "boom", "suggested_improvement": "list the cities" });
    lines.extend([call(9, "baton_annotate", &note), "?".to_owned()]);
    lines
}

#[test]
fn a_scan_tells_where_the_agent_got_stuck_and_leaves_nothing_behind() {
    let world = World::new().doing(&stuck());
    let output = world.scans_freely(&[]);
    let (said, report) = (said(&output), report(&output));
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in ["boom", "no such city", "the weather in Oslo", "list the cities", "retry_loop"] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
    assert_eq!(world.left(), Vec::<PathBuf>::new());
    assert!(world.seen().contains("tools/call"));
    assert!(!world.seen().contains("baton_annotate"));
}

#[test]
fn the_report_goes_where_it_is_wanted_and_in_the_form_that_is_wanted() {
    let world = World::new().doing(&stuck());
    let path = world.at("report.html");
    let words = ["--output", path.to_str().unwrap(), "--format", "html", "--timeout", "60"];
    let output = world.scans_freely(&words);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(report(&output), "");
    let html = fs::read_to_string(path).unwrap();
    assert!(html.starts_with("<!") && html.contains("boom"), "{html}");
}

#[test]
fn a_scan_without_an_event_keeps_what_the_agent_said_but_no_secret() {
    let world = World::new().doing(&[".".to_owned()]);
    let output = world.scans("files", &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let left = world.left();
    let [room] = &left[..] else { panic!("{left:?}") };
    assert!(said.contains(room.to_str().unwrap()), "{said}");
    assert!(room.join("agent.log").is_file());
    assert!(!room.join("mcp.json").exists(), "it holds the server's secrets");
}

#[test]
fn an_agent_whose_time_is_up_is_ended_with_all_it_started_and_reported_on() {
    let mut lines = stuck();
    lines.extend([call(10, "hold", &json!({})), "!".to_owned()]);
    let world = World::new().doing(&lines);
    let output = world.scans_freely(&["--timeout", "3"]);
    let (said, report) = (said(&output), report(&output));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("after 3 s"), "{said}");
    assert!(report.contains("boom"), "{report}");
    assert_eq!(world.left(), Vec::<PathBuf>::new());
    // All that it started held its standard output, which has come to an end: `output` waited for it.
}

#[test]
fn a_wrapped_entry_is_unwrapped_and_stays_governed_by_its_own_policy() {
    let home = tempfile::tempdir().unwrap();
    let policy = home.path().join("policy.toml");
    fs::write(
        &policy,
        "[policy]\nid = \"own\"\nversion = 1\ndefault = \"allow\"\n\n[[rule]]\nid = \"no-boom\"\n\
         tools = [\"boom\"]\neffect = \"block\"\nreason = \"nobody needs it\"\n",
    )
    .unwrap();
    let inner = server::command("server::serves");
    let ours = [
        "/elsewhere/thoth",
        "run",
        "--friction",
        "off",
        "--policy",
        policy.to_str().unwrap(),
        "--",
    ];
    let theirs = ["baton-proxy", "--"];
    let line: Vec<_> =
        ours.iter().chain(&theirs).map(|word| (*word).to_owned()).chain(inner).collect();
    let world = World::with(&line).doing(&stuck());
    let output = world.scans("files", &[]);
    let (said, report) = (said(&output), report(&output));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!world.seen().contains("tools/call"), "every call was refused: {}", world.seen());
    assert!(report.contains("nobody needs it"), "{report}");
}

#[test]
fn a_policy_of_the_command_line_counts_beside_those_of_the_entry() {
    let world = World::new().doing(&stuck());
    fs::write(
        world.at("project").join("none.toml"),
        "[policy]\nid = \"none\"\nversion = 1\ndefault = \"block\"\n",
    )
    .unwrap();
    let output = world.scans("files", &["--policy", "none.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!world.seen().contains("tools/call"), "{}", world.seen());
}

#[test]
fn what_cannot_be_scanned_is_told() {
    let world = World::new();
    for (name, words, code, part) in [
        ("nothing", &[][..], 78, "there are: files"),
        ("files", &["--config-file", "none.json"], 78, "none.json"),
        ("files", &["--timeout", "0"], 64, "--timeout"),
        ("files", &["--format", "pdf"], 64, "--format"),
    ] {
        let output = world.scans(name, words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(part), "{words:?}: {}", said(&output));
    }
    world.puts(
        "remote.json",
        &json!({ "mcpServers": { "files": { "url": "https://u:p@h.example" } } }),
    );
    let output = world.scans("files", &["--config-file", "remote.json"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(said(&output).contains("reached at an address") && !said(&output).contains("u:p"));

    for (agent, code, part) in [
        (&["--agent", "no-such-agent-anywhere", "{config}"][..], 127, "no-such-agent-anywhere"),
        (&["--agent", "sh", "-c", "exit 0"], 64, "{config}"),
    ] {
        let output = world.command("files").args(agent).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(part), "{}", said(&output));
    }
    assert_eq!(world.left(), Vec::<PathBuf>::new());
}

#[test]
fn whoever_pays_by_key_is_told_without_the_key() {
    let world = World::new().doing(&[".".to_owned()]);
    let key = format!("sk-ant-{SECRET}");
    let agent = ["--agent", "sh", "-c", "exit 3", "{config}"];
    let output = world.command("files").env("ANTHROPIC_API_KEY", key).args(agent).output().unwrap();
    let said = said(&output);
    assert!(said.contains("ANTHROPIC_API_KEY is set"), "{said}");
    assert!(said.contains("exit status: 3"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_usual_agent_gets_the_plan_and_the_configuration() {
    let world = World::new();
    let folder = world.at("bin");
    fs::create_dir(&folder).unwrap();
    let log = world.at("arguments");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\ncat \"$4\" >> '{}'\n",
        log.display(),
        log.display()
    );
    let claude = folder.join("claude");
    fs::write(&claude, script).unwrap();
    fs::set_permissions(&claude, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = world.command("files").env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output)); // it never came to the server
    let told = fs::read_to_string(log).unwrap();
    let (arguments, config) = told.split_once("{\"").unwrap();
    assert!(arguments.starts_with("-p\nYou are trying out an MCP server"), "{arguments}");
    for word in
        ["--strict-mcp-config", "--permission-mode\nbypassPermissions", "--output-format\ntext"]
    {
        assert!(arguments.contains(word), "{arguments}");
    }
    let config: Value = serde_json::from_str(&format!("{{\"{config}")).unwrap();
    let entry = &config["mcpServers"]["scan_target"];
    assert_eq!(entry["env"]["SECRET_OF_FILES"], SECRET, "the server needs it");
    assert_eq!(entry["env"]["BATON_API_KEY"], Value::Null, "events go nowhere but here");
    assert!(Path::new(entry["command"].as_str().unwrap()).is_absolute());
}
