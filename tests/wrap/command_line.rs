//! What is said and done on the command line: choices, flags, exit codes, output.

use std::fs;

use serde_json::{Value, json};

use crate::room::{Room, THREE, said, text};

fn servers(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["mcpServers"].clone()
}

#[test]
fn without_a_choice_the_choices_are_told() {
    let room = Room::new();
    for args in [&["wrap-config"][..], &["unwrap-config"], &["wrap-config", "--check"]] {
        let said = room.run(args);
        assert_eq!(said.code, 64, "{args:?}");
        for word in ["PATH", "--client", "--all", "claude-desktop", "goose"] {
            assert!(said.err.contains(word), "{args:?}: no {word} in {}", said.err);
        }
    }
    assert_eq!(room.wrap(&["--client", "emacs"]).code, 64);
    assert_eq!(room.wrap(&["--all", "--client", "cursor"]).code, 64);
    assert_eq!(room.wrap(&["--output", "x", "--all"]).code, 64);
    assert!(room.kept().is_empty());
}

#[test]
fn a_machine_without_clients_is_fine() {
    let room = Room::new();
    for check in [&["--all"][..], &["--all", "--check"], &["--client", "cursor"]] {
        let said = room.wrap(check);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{check:?}");
    }
    assert_eq!(room.unwrap(&["--all"]).code, 0);
}

#[test]
fn without_a_home_nothing_is_said_to_be_governed() {
    let room = Room::new();
    room.file(".cursor/mcp.json", THREE);
    let without = |home: &str, args: &[&str]| {
        let mut thoth = room.thoth(args);
        thoth.env("HOME", home).env("USERPROFILE", home);
        said(thoth.env("THOTH_HOME_DIR", room.path(".thoth")).output().unwrap())
    };
    for home in ["", "relative"] {
        for args in [
            &["wrap-config", "--all"][..],
            &["wrap-config", "--all", "--check"],
            &["wrap-config", "--client", "cursor", "--check", "--json"],
            &["unwrap-config", "--all"],
        ] {
            let said = without(home, args);
            assert_eq!((said.code, said.out.as_str()), (64, ""), "{home} {args:?}");
            assert!(said.err.contains("no home directory"), "{}", said.err);
        }
        assert_eq!(without(home, &["wrap-config", ".cursor/mcp.json", "--check"]).code, 10);
    }
}

#[test]
fn what_an_entry_says_of_friction_stays_its_own() {
    let room = Room::new();
    let environment = json!({
        "BATON_EVENT_SINK": "https://c.example",
        "BATON_CONSENT_TOKEN": "yes",
        "BATON_VENDOR_ID": "files",
        "THOTH_FRICTION": "events",
        "OTHER": "x",
    });
    let entry = json!({ "command": "files", "args": ["/srv"], "env": environment });
    let text = json!({ "mcpServers": { "files": entry } }).to_string();
    let path = room.file("mcp.json", &text);
    assert_eq!(room.run(["wrap-config", "mcp.json"]).code, 0);
    let wrapped = fs::read_to_string(&path).unwrap();
    assert_eq!(servers(&wrapped)["files"]["env"], environment, "{wrapped}");
    assert!(!wrapped.contains("--friction"), "{wrapped}");
}

#[test]
fn flags_are_written_behind_run_and_before_the_command() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let policy = room.file("rules.toml", "[policy]\nid='p'\nversion=1\ndefault='block'\n");
    let said = room.wrap(&[
        "--tenant-id",
        "acme",
        "--enforcement-mode",
        "block",
        "--session-intent",
        "work",
        "--user-id",
        "a@b.example",
        "--approved-scope",
        "a,b",
        "--policy",
        "rules.toml",
        "--policy",
        "baseline",
        "--env",
        "A=1",
        "--env",
        "TOKEN=2",
        "mcp.json",
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    let after = servers(&text(&path));
    assert_eq!(after["files"]["command"], json!(room.installed()));
    let expected = json!([
        "run",
        "--agent-id",
        "files",
        "--tenant-id",
        "acme",
        "--user-id",
        "a@b.example",
        "--enforcement-mode",
        "block",
        "--session-intent",
        "work",
        "--approved-scope",
        "a,b",
        "--policy",
        policy,
        "--policy",
        "baseline",
        "--undo",
        "env.A",
        "--",
        "npx",
        "-y",
        "files",
    ]);
    assert_eq!(after["files"]["args"], expected);
    assert_eq!(after["files"]["env"], json!({"TOKEN": "hunter2-files", "A": "1"}));
    assert_eq!(after["plain"]["env"], json!({"A": "1", "TOKEN": "2"}));
    assert!(said.out.contains("files: its own TOKEN stays"), "{}", said.out);
    assert!(said.err.contains("1 server is UNGOVERNED: far"), "{}", said.err);

    room.wrap(&["--env", "A=3", "mcp.json"]);
    let after = servers(&text(&path));
    assert_eq!(after["files"]["args"], expected, "flags that are not given stay");
    assert_eq!(after["plain"]["env"], json!({"A": "3", "TOKEN": "2"}), "as do variables");
    room.unwrap(&["mcp.json"]);
    assert_eq!(text(&path), THREE);
}

#[test]
fn a_value_that_run_would_refuse_is_refused_here() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    room.file("broken.toml", "[policy]\nid='p'\n");
    for (args, code, part) in [
        (&["--enforcement-mode", "maybe"][..], 78, "--enforcement-mode"),
        (&["--tenant-id", "a\nb"], 78, "--tenant-id"),
        (&["--policy", "nowhere.toml"], 78, "nowhere.toml"),
        (&["--policy", "broken.toml"], 78, "broken.toml:"),
        (&["--api-key", "a b"], 78, "--api-key"),
        (&["--env", "novalue"], 64, "NAME=VALUE"),
        (&["--env", "THOTH_API_KEY=hunter2"], 64, "--embed-api-key"),
        (&["--embed-api-key"], 64, "THOTH_API_KEY"),
        (&["--thoth-bin", "/usr/bin/baton", "--thoth-bin", "x"], 64, "--thoth-bin"),
    ] {
        let said = room.wrap(&[args, &["mcp.json"]].concat());
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(part), "{args:?}: no {part} in {}", said.err);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
        assert_eq!(text(&path), THREE, "{args:?}");
    }
    for program in ["thoth", "./bin/thoth", "/usr/bin/baton"] {
        let said = room.run(["wrap-config", "--thoth-bin", program, "mcp.json"]);
        assert_eq!(said.code, 64, "{program}: {}", said.err);
    }
}

#[test]
fn intents_come_from_the_map_by_the_servers_name() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let map = room.file(".thoth/intent_map.json", "{\"files\": \"review\",\n \"plain\": }");
    let said = room.wrap(&["mcp.json"]);
    assert_eq!(said.code, 78);
    assert!(
        said.err.contains("intent_map.json") && said.err.contains("line 2 column"),
        "{}",
        said.err
    );
    assert_eq!(text(&path), THREE);

    fs::write(map, r#"{"files": {"session_intent": "review"}}"#).unwrap();
    room.wrap(&["mcp.json"]);
    let after = servers(&text(&path));
    assert_eq!(after["files"]["args"][3], "--session-intent");
    assert_eq!(after["files"]["args"][4], "review");
    assert!(!after["plain"]["args"].to_string().contains("--session-intent"));
    room.wrap(&["--session-intent", "all", "mcp.json"]);
    let after = servers(&text(&path));
    assert_eq!(after["files"]["args"][4], "all");
}

#[test]
fn another_file_takes_the_outcome_and_the_first_stays() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let said = room.wrap(&["mcp.json", "--output", "new.json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(text(&path), THREE);
    let wrapped = text(&room.path("new.json"));
    assert!(wrapped.contains("--agent-id"));

    let printed = room.wrap(&["mcp.json", "--output", "-"]);
    assert_eq!(printed.out, wrapped, "nothing but the file on standard output");
    let back = room.unwrap(&["new.json", "--output", "-"]);
    assert_eq!(back.out, THREE);

    let old = room.file("old.json", "precious");
    room.wrap(&["mcp.json", "--output", "old.json"]);
    assert_eq!(text(&old), wrapped);
    assert!(room.kept().iter().any(|kept| fs::read(kept).unwrap() == b"precious"));

    room.wrap(&["mcp.json", "--output", "./mcp.json"]);
    assert_eq!(text(&path), wrapped, "the same file, as the original's examples have it");
    assert_eq!(room.wrap(&["mcp.json", "new.json", "--output", "x.json"]).code, 64);
    assert_eq!(room.wrap(&["mcp.json", "--output", "no/where.json"]).code, 1);
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let (here, program) = (path.to_str().unwrap(), room.installed());
    let said = room.wrap(&[here, "--dry-run"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let expected = format!(
        r#"a file: {here}, would be changed
  wrapped       files
  wrapped       plain
  UNGOVERNED    far: reached at http://x.example, without TLS on another machine, which thoth refuses; use https
--- {here}
+++ {here}
@@ -1,6 +1,6 @@
 {{
   "mcpServers": {{
-    "files": {{ "command": "npx", "args": ["-y", "files"], "env": {{ "TOKEN": "***" }} }},
-    "plain": {{ "command": "plain" }},
+    "files": {{ "command": "{0}", "args": ["run", "--agent-id", "files", "--", "npx", "-y", "files"], "env": {{ "TOKEN": "***" }} }},
+    "plain": {{ "command": "{0}", "args": ["run", "--agent-id", "plain", "--undo", "args", "--", "plain"] }},
     "far": {{ "url": "http://x.example/mcp", "headers": {{ "Authorization": "***" }} }}
   }}
"#,
        program.display()
    );
    // How wide a list is set is not the point here.
    assert_eq!(said.out.replace("\",\"", "\", \""), expected);
    assert_eq!(text(&path), THREE);
    assert!(room.kept().is_empty(), "not even a lock");

    room.wrap(&["mcp.json"]);
    let said = room.unwrap(&["mcp.json", "--dry-run"]);
    assert!(said.out.contains("+    \"plain\": { \"command\": \"plain\" },"), "{}", said.out);
    assert_ne!(text(&path), THREE);
}

#[test]
fn json_says_the_same_to_scripts() {
    let room = Room::new();
    let path = room.file(".cursor/mcp.json", THREE);
    let said = room.wrap(&["--client", "cursor", "--json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let file = &told["files"][0];
    assert_eq!(file["client"], "cursor");
    assert_eq!(file["path"], json!(path));
    assert_eq!(file["changed"], true);
    assert_eq!(text(file["backup"].as_str().unwrap().as_ref()), THREE);
    assert_eq!(file["servers"][0]["state"], "wrapped");
    assert_eq!(file["servers"][2]["state"], "ungoverned");
    assert_eq!(
        (&told["governed"], &told["ungoverned"], &told["unreadable"]),
        (&json!(2), &json!(1), &json!(0))
    );
    let said = room.wrap(&["--client", "cursor", "--json", "--dry-run", "--tenant-id", "t"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert!(told["files"][0]["diff"].as_str().unwrap().contains("--tenant-id"));
    room.file(".cursor/mcp.json", "{");
    let said = room.wrap(&["--client", "cursor", "--json", "--check"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &told["unreadable"]), (10, &json!(1)));
    assert!(told["files"][0]["error"].as_str().unwrap().contains("line 1"));
}

#[test]
fn check_tells_drift_by_its_exit_code() {
    let room = Room::new();
    let local = r#"{"mcpServers": {"a": {"command": "a"}}}"#;
    let path = room.file(".cursor/mcp.json", local);
    let check = |more: &[&str]| room.wrap(&[&["--all", "--check"], more].concat());
    let said = check(&[]);
    assert_eq!(said.code, 10);
    assert!(
        said.out.contains("UNGOVERNED    a: its client starts it without thoth"),
        "{}",
        said.out
    );
    assert_eq!(text(&path), local);
    assert!(room.kept().is_empty());

    room.wrap(&["--all"]);
    assert_eq!(check(&[]).code, 0);
    assert_eq!(check(&["--enforcement-mode", "block"]).code, 0, "not said is not weaker");
    let weak = text(&path).replace(r#""--","#, r#""--enforcement-mode", "observe", "--","#);
    fs::write(&path, weak).unwrap();
    assert_eq!(check(&["--enforcement-mode", "block"]).code, 10);
    room.wrap(&["--all", "--enforcement-mode", "block"]);
    assert_eq!(check(&["--enforcement-mode", "block"]).code, 0);

    fs::write(&path, text(&path).replace("bin/thoth", "elsewhere/thoth")).unwrap();
    let said = check(&[]);
    assert_eq!(said.code, 10);
    assert!(said.out.contains("TAMPERED") && said.out.contains("does not exist"), "{}", said.out);
    assert_eq!(room.wrap(&["--all"]).code, 0);
    assert_eq!(check(&[]).code, 0, "wrapping mends it");

    room.file(".cursor/mcp.json", THREE);
    room.wrap(&["--all"]);
    assert_eq!(check(&[]).code, 10, "a remote server is not governed");
    assert_eq!(check(&["--drift"]).code, 0, "but wrapping would not help");
    assert_eq!(room.wrap(&["--all", "--drift"]).code, 64);
    room.file(".cursor/mcp.json", "{");
    assert_eq!(check(&["--drift"]).code, 10, "what cannot be read is not known to be governed");
}

#[test]
fn a_file_can_be_said_to_be_of_a_client() {
    let room = Room::new();
    let text_of = r#"{"mcpServers": {"a": {"command": "a"}}, "servers": {"b": {"command": "b"}}}"#;
    let path = room.file("any.json", text_of);
    room.wrap(&["--client", "vscode", "any.json"]);
    let after: Value = serde_json::from_str(&text(&path)).unwrap();
    assert_eq!(after["mcpServers"]["a"]["command"], "a");
    assert_eq!(after["servers"]["b"]["command"], json!(room.installed()));
    assert_eq!(room.wrap(&["--client", "goose", "any.json"]).code, 64, "it has no JSON");
    assert_eq!(room.wrap(&["--client", "goose", "--client", "zed", "any.json"]).code, 64);
}

#[test]
fn without_a_home_nothing_is_changed_and_nothing_is_made() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let mut command = room.thoth(["wrap-config", "mcp.json"]);
    let said = said(command.env_clear().output().unwrap());
    assert_eq!(said.code, 1);
    assert!(said.err.contains("set HOME"), "{}", said.err);
    assert_eq!(text(&path), THREE);
    assert_eq!(crate::room::names(path.parent().unwrap()), ["mcp.json"]);
}

#[cfg(unix)]
#[test]
fn entries_start_the_link_that_stays_and_not_what_is_behind_it() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let said = said(
        room.thoth(["wrap-config", "mcp.json"])
            .env("PATH", format!("relative:{}", room.installed().parent().unwrap().display()))
            .output()
            .unwrap(),
    );
    assert_eq!(said.code, 0, "{}", said.err);
    // The room is a temporary directory, so that neither stays; then it is the program itself.
    assert_eq!(servers(&text(&path))["files"]["command"], crate::room::THOTH);
    assert!(said.err.contains("may not stay"), "{}", said.err);
}

#[test]
fn the_path_is_inherited_where_that_is_asked_for() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    room.wrap(&["--inherit-path", "mcp.json"]);
    assert_eq!(servers(&text(&path))["plain"]["env"]["PATH"], "/usr/bin:/bin");
    room.wrap(&["--inherit-path", "--env", "PATH=/x", "mcp.json"]);
    assert_eq!(servers(&text(&path))["plain"]["env"]["PATH"], "/x");
}
