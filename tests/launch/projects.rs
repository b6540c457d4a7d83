//! Which servers are taken, and what is told of the others.

use std::fs;

use serde_json::{Value, json};

use crate::room::{Room, THOTH, below};

fn stdio(command: &str) -> Value {
    json!({"command": command, "args": ["a", "--", "b"]})
}

fn project(room: &Room, servers: &Value) {
    room.file("app/.mcp.json", json!({"mcpServers": servers}).to_string());
}

#[test]
fn a_project_s_server_is_wrapped_with_everything_else_as_it_was() {
    let room = Room::new();
    project(
        &room,
        &json!({"files": {
            "command": "npx", "args": ["-y", "files", "--", "x"], "env": {"A": "1", "T": "${TOKEN}"},
            "timeout": 1.50e3, "mine": {"b": [1, null]}, "cwd": "/srv"
        }}),
    );
    room.claude(&json!({"enabledMcpjsonServers": ["files"]}), &json!({}));
    let said = room.config("claude", &["--enforcement-mode", "block", "--policy", "baseline"]);
    let said = if said.code == 78 {
        room.config("claude", &["--enforcement-mode", "block"])
    } else {
        said
    };
    let entry = &said.json()["mcpServers"]["files"];
    assert_eq!(entry["type"], "stdio");
    assert_eq!(entry["command"], fs::canonicalize(THOTH).unwrap().to_str().unwrap());
    let args: Vec<_> =
        entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert_eq!(args[..3], ["run", "--agent-id", "files"]);
    assert!(args.windows(2).any(|pair| pair == ["--enforcement-mode", "block"]), "{args:?}");
    assert_eq!(args[args.len() - 6..], ["--", "npx", "-y", "files", "--", "x"]);
    assert_eq!(entry["env"], json!({"A": "1", "T": "${TOKEN}"}));
    assert_eq!(entry["cwd"], "/srv");
    assert_eq!(entry["mine"], json!({"b": [1, null]}));
    assert!(said.out.contains("1500.0") || said.out.contains("1.50e3"), "{}", said.out);
}

#[test]
fn only_what_was_approved_in_the_client_is_taken() {
    let room = Room::new();
    project(&room, &json!({"yes": stdio("a"), "no": stdio("b"), "asked": stdio("c")}));
    room.claude(
        &json!({"enabledMcpjsonServers": ["yes"], "disabledMcpjsonServers": ["no"]}),
        &json!({}),
    );
    let said = room.config("claude", &[]);
    assert_eq!(said.names(), ["yes"]);
    assert!(said.err.contains("no of") && said.err.contains("rejected"), "{}", said.err);
    assert!(said.err.contains("asked of") && said.err.contains("--trust-project"), "{}", said.err);
}

#[test]
fn a_project_does_not_approve_itself() {
    let room = Room::new();
    project(&room, &json!({"evil": stdio("a")}));
    room.claude(&json!({"hasTrustDialogAccepted": true}), &json!({}));
    room.file("app/.claude/settings.json", r#"{"enableAllProjectMcpServers": true}"#);
    assert!(room.config("claude", &[]).names().is_empty());
    room.file("app/.claude/settings.local.json", r#"{"enabledMcpjsonServers": ["evil"]}"#);
    assert_eq!(room.config("claude", &[]).names(), ["evil"]);
    room.claude(&json!({"hasTrustDialogAccepted": false}), &json!({}));
    assert!(room.config("claude", &[]).names().is_empty());
}

#[test]
fn what_is_trusted_is_remembered_until_it_changes() {
    let room = Room::new();
    project(&room, &json!({"files": stdio("a")}));
    assert!(room.config("claude", &[]).names().is_empty());
    assert_eq!(room.config("claude", &["--trust-project"]).names(), ["files"]);
    assert_eq!(room.config("claude", &[]).names(), ["files"]);
    let kept = below(&room.path(".thoth/trusted"));
    assert_eq!(kept.len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
    }
    project(&room, &json!({"files": {"command": "a", "args": ["a", "--", "c"]}}));
    let said = room.config("claude", &[]);
    assert!(said.names().is_empty());
    assert!(said.err.contains("changed since it was trusted"), "{}", said.err);
    project(&room, &json!({"files": stdio("a"), "other": stdio("a")}));
    assert_eq!(room.config("claude", &[]).names(), ["files"]);
    room.claude(&json!({"disabledMcpjsonServers": ["files"]}), &json!({}));
    assert_eq!(room.config("claude", &["--trust-project"]).names(), ["other"]);
}

#[test]
fn a_refused_command_trusts_nothing() {
    let room = Room::new();
    project(&room, &json!({"files": {"command": "a", "env": {"TOKEN": "hunter2-hunter2"}}}));
    assert_eq!(room.config("claude", &["--trust-project"]).code, 78);
    assert!(below(&room.path(".thoth/trusted")).is_empty());
}

#[test]
fn a_malformed_file_is_an_error_and_never_an_empty_one() {
    for (name, text) in [
        ("app/.mcp.json", "{"),
        ("app/.mcp.json", "[]"),
        ("app/.mcp.json", r#"{"mcpServers": "x"}"#),
        ("app/.mcp.json", r#"{"mcpServers": {"a": {"command": "x", "command": "y"}}}"#),
        (".claude.json", "{"),
        (".claude.json", r#"{"projects": []}"#),
        ("app/.claude/settings.local.json", "{"),
        (".claude/settings.json", r#"{"enabledMcpjsonServers": "all"}"#),
    ] {
        let room = Room::new();
        let path = room.file(name, text);
        let said = room.config("claude", &["--trust-project"]);
        assert_eq!((said.code, said.out.as_str()), (78, ""), "{name} {text}: {}", said.err);
        assert!(said.err.contains(path.to_str().unwrap()), "{}", said.err);
    }
}

#[test]
fn the_user_s_servers_come_along_and_the_nearest_of_a_name_is_taken() {
    let room = Room::new();
    let local = json!({"both": stdio("local"), "local": stdio("local")});
    room.claude(
        &json!({"mcpServers": local, "enabledMcpjsonServers": ["both", "mid", "deep"]}),
        &json!({"both": stdio("user"), "mid": stdio("user"), "user": stdio("user")}),
    );
    project(
        &room,
        &json!({"both": stdio("project"), "mid": stdio("project"), "deep": stdio("near")}),
    );
    room.file(".mcp.json", json!({"mcpServers": {"deep": stdio("far")}}).to_string());
    let said = room.config("claude", &[]);
    let started = |name: &str| {
        let args = said.json()["mcpServers"][name]["args"].clone();
        let args = args.as_array().unwrap().clone();
        args[args.len() - 4].as_str().unwrap().to_owned()
    };
    assert_eq!(said.names().len(), 5);
    for (name, command) in [
        ("both", "local"),
        ("local", "local"),
        ("mid", "project"),
        ("user", "user"),
        ("deep", "near"),
    ] {
        assert_eq!(started(name), command, "{name}");
    }
}

#[test]
fn a_server_of_the_command_line_goes_before_its_namesake() {
    let room = Room::new();
    project(&room, &json!({"files": stdio("theirs")}));
    let said = room.config("claude", &["--trust-project", "--server", "files", "--", "mine", "x"]);
    let args = said.json()["mcpServers"]["files"]["args"].clone();
    assert_eq!(args.as_array().unwrap()[3..], ["--", "mine", "x"]);
    assert!(said.err.contains("gives way"), "{}", said.err);
    let said = room.config("claude", &["--server", "far=https://x.example/mcp"]);
    let args = said.json()["mcpServers"]["far"]["args"].clone();
    assert_eq!(args, json!(["run", "--agent-id", "far", "--url", "https://x.example/mcp"]));
}

#[test]
fn a_server_that_wants_a_login_is_given_the_one_of_its_name() {
    let room = Room::new();
    room.file(".thoth/logins/far.json", "{}");
    for (server, entry, login) in [
        ("far", json!({"type": "http", "url": "https://x.example/mcp"}), true),
        ("near", json!({"type": "http", "url": "https://x.example/mcp"}), false),
        (
            "far",
            json!({"type": "http", "url": "https://x.example/mcp", "headers": {"Authorization": "Bearer ${FAR}"}}),
            false,
        ),
    ] {
        project(&room, &json!({server: entry}));
        let said = room.config("claude", &["--trust-project"]);
        let args = said.json()["mcpServers"][server]["args"].to_string();
        assert_eq!(args.contains(r#""--upstream-login","far""#), login, "{args}");
    }
}

#[test]
fn what_is_wrapped_already_is_not_wrapped_twice() {
    let room = Room::new();
    let args = json!(["run", "--agent-id", "me", "--enforcement-mode", "block", "--", "npx", "x"]);
    let entry = json!({"command": "/opt/bin/thoth", "args": args});
    room.claude(&json!({}), &json!({"files": entry}));
    let said = room.config("claude", &[]).json();
    assert_eq!(said["mcpServers"]["files"]["args"], args);
    assert_eq!(
        said["mcpServers"]["files"]["command"],
        fs::canonicalize(THOTH).unwrap().to_str().unwrap(),
        "this thoth, not any program of that name"
    );
}

#[test]
fn a_client_that_is_not_known_is_told_with_those_that_are() {
    let said = Room::new().config("emacs", &[]);
    assert_eq!(said.code, 64);
    for client in
        ["claude", "codex", "gemini", "copilot", "kimi", "qwen", "kilo", "cursor", "vscode"]
    {
        assert!(said.err.contains(client), "{}", said.err);
    }
}

#[test]
fn the_command_line_says_what_is_missing() {
    let room = Room::new();
    for (args, code, told) in [
        (&["mcp-config", "--client", "claude"][..], 64, "--out"),
        (&["mcp-config", "--client", "claude", "--out", "-", "--server", "a"], 64, "a=https://"),
        (&["mcp-config", "--client", "claude", "--out", "-", "--", "x"], 64, "--server NAME"),
        (
            &["mcp-config", "--client", "claude", "--out", "-", "--project", "/no/such"],
            64,
            "/no/such",
        ),
        (
            &["mcp-config", "--client", "claude", "--out", "-", "--enforcement-mode", "x"],
            78,
            "--enforcement-mode",
        ),
        (
            &["mcp-config", "--client", "claude", "--out", "-", "--policy", "/no/such"],
            78,
            "/no/such",
        ),
        (&["launch", "--client", "claude"], 64, "COMMAND"),
        (&["launch", "--client", "claude", "--", "true", "--mcp-config=x"], 64, "--mcp-config"),
        (
            &["launch", "--client", "claude", "--", "true", "--strict-mcp-config"],
            64,
            "--strict-mcp-config",
        ),
        (
            &["launch", "--client", "codex", "--", "true", "-c", "mcp_servers.a.command=1"],
            64,
            "mcp_servers",
        ),
        (&["launch", "--client", "codex", "--", "true", "-cmcp_servers={}"], 64, "mcp_servers"),
        (
            &["launch", "--client", "codex", "--", "true", "--config=mcp_servers.a.url=1"],
            64,
            "mcp_servers",
        ),
    ] {
        let said = room.run(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(told), "{args:?}: {}", said.err);
        assert!(below(&room.path(".thoth/run/launch")).iter().all(|path| !path.is_dir()));
    }
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let room = Room::new();
    let path = room.file("app/out.json", "mine");
    let args = ["mcp-config", "--client", "claude", "--out", "out.json"];
    assert_eq!(room.run(args).code, 64);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let said = room.run([&args[..], &["--force"]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(fs::read_to_string(&path).unwrap().contains("mcpServers"));
    assert!(said.err.contains("--mcp-config") && said.err.contains("--strict-mcp-config"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_committed_variable_may_say_where_and_nothing_else() {
    let room = Room::new();
    project(&room, &json!({"files": stdio("a")}));
    let mut command = room.thoth(["mcp-config", "--client", "claude", "--agent-id", "code-review"]);
    command.current_dir(room.path("")).env("THOTH_AGENT_CODE_REVIEW_CWD", room.path("app"));
    command.env("THOTH_AGENT_CODE_REVIEW_OUT", room.path("there.json"));
    command.env("THOTH_AGENT_CODE_REVIEW_POLICY", "/evil.toml");
    command.env("THOTH_AGENT_CODE_REVIEW_ENFORCEMENT_MODE", "observe");
    command.arg("--trust-project");
    let said = crate::room::said(&command.output().unwrap());
    assert_eq!(said.code, 0, "{}", said.err);
    let text = fs::read_to_string(room.path("there.json")).unwrap();
    assert!(text.contains("\"files\"") && text.contains("code-review"), "{text}");
    assert!(!text.contains("evil") && !text.contains("observe"), "{text}");
    for name in ["POLICY", "ENFORCEMENT_MODE"] {
        let told = format!("THOTH_AGENT_CODE_REVIEW_{name}: has no effect");
        assert!(said.err.contains(&told), "{}", said.err);
    }
}

/// VS Code's files: the user's own, and one of the project that is trusted.
fn vscode(room: &Room, user: &Value, project: &Value) -> crate::room::Said {
    room.file(".config/Code/User/mcp.json", user.to_string());
    room.file("app/.vscode/mcp.json", project.to_string());
    room.config("vscode", &["--trust-project"])
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_server_has_the_person_asked_for_comes_along_with_it_and_with_no_other() {
    let room = Room::new();
    let token =
        json!({"type": "promptString", "id": "token", "description": "A token", "password": true});
    let team =
        json!({"type": "pickString", "id": "team", "options": ["core", "web"], "default": "core"});
    let unused = json!({"type": "command", "id": "unused", "command": "x.y"});
    let user = json!({
        "inputs": [unused, token],
        "servers": {"far": {"type": "http", "url": "https://x.example/mcp",
            "headers": {"Authorization": "Bearer ${input:token}"}}},
    });
    let project = json!({
        "servers": {
            "near": {"command": "x", "args": ["--team", "${input:team}", "${input:token}"]},
            "gone": {"command": "x", "args": ["${input:unused}"]},
        },
        "inputs": [team, token, unused],
    });
    room.file(".config/Code/User/mcp.json", user.to_string());
    room.file("app/.vscode/mcp.json", project.to_string());
    let said = room.config("vscode", &["--trust-project", "--without", "gone"]);
    assert_eq!(said.json()["inputs"], json!([token, team]));
    assert_eq!(said.json()["servers"]["far"]["env"]["THOTH_UPSTREAM_TOKEN"], "${input:token}");

    // Without anything to ask for, nothing is said of it.
    let room = Room::new();
    let plain = json!({"servers": {"a": {"command": "x"}}, "inputs": [unused]});
    let said = vscode(&room, &plain, &json!({}));
    assert_eq!(said.json().get("inputs"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn an_input_that_is_not_defined_or_defined_twice_or_holds_a_password_stops_everything() {
    let asks = json!({"a": {"command": "x", "env": {"T": "${input:t}"}}});
    let other = json!({"b": {"command": "x", "env": {"T": "${input:t}"}}});
    let input = |more: Value| {
        let mut input = json!({"type": "promptString", "id": "t"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([input])
    };
    for (user, project, told) in [
        (json!({"servers": asks}), json!({}), "the input t, which its file does not define"),
        (
            json!({"servers": asks}),
            json!({"inputs": input(json!({}))}),
            "the input t, which its file does not define",
        ),
        (
            json!({"servers": asks, "inputs": input(json!({}))}),
            json!({"servers": other, "inputs": input(json!({"description": "another"}))}),
            "the input t is defined in two files, and not alike",
        ),
        (
            json!({"servers": asks,
                "inputs": input(json!({"password": true, "default": "hunter2-of-t"}))}),
            json!({}),
            "the input t that it asks for holds a secret",
        ),
    ] {
        let room = Room::new();
        let said = vscode(&room, &user, &project);
        assert_eq!((said.code, &*said.out), (78, ""), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_input_that_changes_makes_another_entry_of_what_was_trusted() {
    let room = Room::new();
    let project = |command: &str| {
        json!({"servers": {"a": {"command": "x", "args": ["${input:t}"]}},
            "inputs": [{"type": "command", "id": "t", "command": command}]})
    };
    assert_eq!(vscode(&room, &json!({}), &project("ask.kindly")).code, 0);
    assert!(room.config("vscode", &[]).json()["servers"]["a"].is_object());
    room.file("app/.vscode/mcp.json", project("run.anything").to_string());
    let said = room.config("vscode", &[]);
    assert!(said.json()["servers"].get("a").is_none(), "{}", said.out);
    assert!(said.err.contains("it has changed since it was trusted"), "{}", said.err);
}

/// A trusted project with one server, which settings approve that are the user's own.
fn approved_by_oneself() -> Room {
    let room = Room::new();
    project(&room, &json!({"a": stdio("a")}));
    room.claude(&json!({"hasTrustDialogAccepted": true}), &json!({}));
    let settings = json!({"enabledMcpjsonServers": ["a"]}).to_string();
    room.file("app/.claude/settings.local.json", settings);
    room
}

/// git in the project; `None` where there is none.
fn git(room: &Room, args: &[&str]) -> Option<()> {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b.example"]).args(args);
    command.current_dir(room.path("app")).env_clear().env("HOME", room.path(""));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.output().ok().filter(|output| output.status.success()).map(drop)
}

#[cfg(unix)]
#[test]
fn settings_of_ones_own_approve_until_the_project_has_them() {
    let room = approved_by_oneself();
    let names = || {
        let mut command = room.thoth(["mcp-config", "--client", "claude", "--out", "-"]);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        crate::room::said(&command.output().unwrap()).names()
    };
    assert_eq!(names(), ["a"], "there is no repository");
    if git(&room, &["init", "-q"]).is_none() {
        return; // this machine has no git
    }
    assert_eq!(names(), ["a"], "git does not have the file");
    git(&room, &["add", "-f", ".claude/settings.local.json"]).unwrap();
    assert_eq!(names(), [""; 0], "whoever writes to the project could have written it");
    git(&room, &["commit", "-q", "-m", "x"]).unwrap();
    assert_eq!(names(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_git_that_never_answers_approves_nothing_and_keeps_nobody_waiting() {
    use std::os::unix::fs::PermissionsExt as _;

    let room = approved_by_oneself();
    room.file("app/.git/HEAD", "ref: refs/heads/main\n");
    let git = room.file("bin/git", "#!/bin/sh\nexec sleep 600\n");
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = room.thoth(["mcp-config", "--client", "claude", "--out", "-"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", room.path("bin").display()));
    let said = crate::room::said(&command.output().unwrap());
    assert_eq!(said.names(), [""; 0], "{}", said.err);
}

#[test]
fn a_folder_that_codex_was_told_not_to_trust_stays_so() {
    for (level, flags, is_taken) in [
        (Some("trusted"), &[][..], true),
        (Some("untrusted"), &[], false),
        (Some("untrusted"), &["--trust-project"], false),
        (None, &[], false),
        (None, &["--trust-project"], true),
    ] {
        let room = Room::new();
        room.file("app/.codex/config.toml", "[mcp_servers.a]\ncommand = \"x\"\n");
        let level =
            level.map(|level| format!("[projects.'{}']\ntrust_level = '{level}'\n", room.app()));
        room.file(".codex/config.toml", level.unwrap_or_default());
        let said = room.config("codex", flags);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(said.out.contains("mcp_servers.a={command = "), is_taken, "{}", said.out);
    }
}
