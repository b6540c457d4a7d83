//! Configurations as they are found in the wild: wrap, wrap, check, unwrap, and the bytes are
//! those that were there.

use std::fs;
use std::path::Path;

use crate::room::{Room, text};

/// What becomes of a file.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// So many servers are wrapped, and so many stay ungoverned.
    Wrapped(usize, usize),
    /// The same, and so many of the latter wait for a person.
    Waiting(usize, usize),
    /// It cannot be read; this is where.
    Broken(&'static str),
    /// Something in it is wrapped already, so that unwrapping leads elsewhere: so many are
    /// governed.
    Before(usize),
}

use Fate::{Before, Broken, Waiting, Wrapped};

pub(crate) const CLIENTS: &[&str] = &[
    "claude-code",
    "claude-desktop",
    "cline",
    "codex",
    "continue",
    "copilot-cli",
    "crush",
    "cursor",
    "gemini",
    "goose",
    "junie",
    "kiro",
    "lm-studio",
    "opencode",
    "roo-code",
    "vscode",
    "windsurf",
    "zed",
];

/// Each file of `wild`; its name begins with its client's.
const FILES: &[(&str, Fate)] = &[
    ("claude-code-helper.json", Wrapped(1, 0)),
    ("claude-code-project.json", Wrapped(2, 0)),
    ("claude-code-remote.json", Waiting(3, 5)),
    ("claude-code-state.json", Wrapped(5, 0)),
    ("claude-desktop-args-null.json", Wrapped(3, 0)),
    ("claude-desktop-array-of-servers.json", Wrapped(1, 0)),
    ("claude-desktop-bom.json", Wrapped(1, 0)),
    ("claude-desktop-comma-missing.json", Broken("3:30")),
    ("claude-desktop-dashes-in-args.json", Wrapped(3, 0)),
    ("claude-desktop-deep-indent.json", Wrapped(1, 0)),
    ("claude-desktop-duplicate-members.json", Wrapped(1, 1)),
    ("claude-desktop-duplicate-servers.json", Wrapped(3, 0)),
    ("claude-desktop-empty-object.json", Wrapped(0, 0)),
    ("claude-desktop-empty-servers.json", Wrapped(0, 0)),
    ("claude-desktop-half-written.json", Broken("7:9")),
    ("claude-desktop-hand-wrapped.json", Before(3)),
    ("claude-desktop-html.json", Broken("1:1")),
    ("claude-desktop-latin1.json", Broken("1:18")),
    ("claude-desktop-minified.json", Wrapped(2, 0)),
    ("claude-desktop-no-servers.json", Wrapped(0, 0)),
    ("claude-desktop-not-json.json", Broken("1:1")),
    ("claude-desktop-numbers-in-args.json", Wrapped(1, 1)),
    ("claude-desktop-odd-names.json", Wrapped(7, 0)),
    ("claude-desktop-one-line-each.json", Wrapped(3, 0)),
    ("claude-desktop-only-blanks.json", Wrapped(0, 0)),
    ("claude-desktop-preferences.json", Wrapped(1, 0)),
    ("claude-desktop-typical.json", Wrapped(3, 0)),
    ("claude-desktop-utf16.json", Broken("1:1")),
    ("claude-desktop-windows.json", Wrapped(3, 0)),
    ("claude-desktop-wrapped-by-old-thoth.json", Before(2)),
    ("claude-desktop-zero-bytes.json", Wrapped(0, 0)),
    ("cline-remote.json", Waiting(1, 1)),
    ("cline-settings.json", Wrapped(2, 0)),
    ("codex-broken.toml", Broken("2:15")),
    ("codex-crlf.toml", Wrapped(2, 0)),
    ("codex-duplicate.toml", Broken("4:14")),
    ("codex-inline.toml", Wrapped(2, 0)),
    ("codex-multiline.toml", Wrapped(1, 0)),
    ("codex-nothing.toml", Wrapped(0, 0)),
    ("codex-one-inline.toml", Wrapped(2, 0)),
    ("codex-remote.toml", Waiting(2, 3)),
    ("codex-tables.toml", Wrapped(3, 0)),
    ("continue-config.yaml", Wrapped(3, 0)),
    ("continue-remote.yaml", Wrapped(2, 1)),
    ("copilot-cli-config.json", Wrapped(1, 0)),
    ("copilot-cli-remote.json", Waiting(0, 1)),
    ("crush-config.json", Wrapped(2, 0)),
    ("crush-remote.json", Wrapped(2, 0)),
    ("cursor-both.json", Wrapped(1, 1)),
    ("cursor-comments.json", Wrapped(2, 0)),
    ("cursor-escapes.json", Wrapped(1, 0)),
    ("cursor-merge-conflict.json", Broken("3:1")),
    ("cursor-nothing.json", Wrapped(1, 4)),
    ("cursor-placeholders.json", Wrapped(1, 0)),
    ("cursor-remote-odd.json", Waiting(2, 11)),
    ("cursor-remote.json", Waiting(1, 1)),
    ("cursor-trailing-garbage.json", Broken("2:1")),
    ("gemini-antigravity.json", Wrapped(2, 0)),
    ("gemini-remote.json", Waiting(2, 2)),
    ("gemini-settings.json", Waiting(2, 1)),
    ("goose-anchors.yaml", Wrapped(1, 1)),
    ("goose-broken.yaml", Broken("3:10")),
    ("goose-config.yaml", Wrapped(3, 1)),
    ("goose-crlf.yaml", Wrapped(1, 0)),
    ("goose-flow.yaml", Wrapped(1, 1)),
    ("goose-remote.yaml", Waiting(2, 2)),
    ("junie-mcp.json", Wrapped(1, 0)),
    ("kiro-mcp.json", Wrapped(1, 0)),
    ("kiro-remote.json", Wrapped(1, 0)),
    ("lm-studio-mcp.json", Waiting(1, 1)),
    ("opencode-config.json", Wrapped(3, 0)),
    ("opencode-remote.json", Waiting(2, 1)),
    ("roo-code-remote.json", Wrapped(1, 0)),
    ("roo-code-settings.json", Wrapped(2, 0)),
    ("vscode-crlf-tabs.json", Wrapped(2, 0)),
    ("vscode-inputs.json", Wrapped(3, 0)),
    ("vscode-mixed-line-ends.json", Wrapped(1, 0)),
    ("vscode-remote.json", Wrapped(3, 1)),
    ("vscode-sandboxed.json", Wrapped(1, 1)),
    ("windsurf-disabled.json", Wrapped(3, 0)),
    ("windsurf-remote.json", Wrapped(2, 0)),
    ("zed-remote.json", Waiting(1, 2)),
    ("zed-settings.json", Wrapped(4, 1)),
];

fn wild(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrap/wild");
    fs::read(directory.join(name)).unwrap()
}

fn client(name: &str) -> &'static str {
    CLIENTS.iter().find(|client| name.starts_with(**client)).unwrap()
}

fn count(text: &str, word: &str) -> usize {
    text.lines().filter(|line| line.starts_with(&format!("  {word} "))).count()
}

/// Wraps, wraps, checks and unwraps one file.
fn journey(name: &str, original: &[u8], fate: Fate) {
    let room = Room::new();
    let path = room.file(name, original);
    let file = ["--client", client(name), name];

    let said = room.wrap(&file);
    let once = fs::read(&path).unwrap();
    match fate {
        Broken(place) => {
            assert_eq!(said.code, 1, "{name}: {}", said.err);
            let place = format!("{name}:{place}: ");
            assert!(said.err.contains(&place), "{name}: no {place} in {}", said.err);
            assert_eq!(once, original, "{name} was changed");
        }
        Wrapped(wrapped, ungoverned) | Waiting(wrapped, ungoverned) => {
            let code = if matches!(fate, Waiting(..)) { 10 } else { 0 };
            assert_eq!(said.code, code, "{name}: {}\n{}", said.err, said.out);
            let found = (count(&said.out, "wrapped"), count(&said.out, "UNGOVERNED"));
            assert_eq!(found, (wrapped, ungoverned), "{name}: {}", said.out);
            assert_eq!(said.err.contains("UNGOVERNED"), ungoverned > 0, "{name}: {}", said.err);
            assert_eq!(once == original, wrapped == 0, "{name}");
        }
        Before(governed) => {
            let words = ["wrapped", "updated", "already"];
            let found: usize = words.iter().map(|word| count(&said.out, word)).sum();
            assert_eq!(found, governed, "{name}: {}", said.out);
        }
    }

    room.wrap(&file);
    assert_eq!(fs::read(&path).unwrap(), once, "{name}: wrapping twice is not wrapping once");

    let said = room.wrap(&[&["--check"], &file[..]].concat());
    let governed = matches!(fate, Wrapped(_, 0) | Before(_));
    let drift = room.wrap(&[&["--check", "--drift"], &file[..]].concat());
    let mendable = matches!(fate, Broken(_));
    assert_eq!(drift.code, if mendable { 10 } else { 0 }, "{name}: {}", drift.out);
    assert_eq!(said.code, if governed { 0 } else { 10 }, "{name}: {}", said.out);
    assert_eq!(fs::read(&path).unwrap(), once, "{name}: --check changed it");

    let said = room.unwrap(&file);
    let back = fs::read(&path).unwrap();
    assert_eq!(said.code, i32::from(matches!(fate, Broken(_))), "{name}: {}", said.err);
    if let Before(_) = fate {
        room.wrap(&file);
        room.unwrap(&file);
        assert_eq!(fs::read(&path).unwrap(), back, "{name}: unwrapping is not the end of it");
    } else {
        assert_eq!(back, original, "{name}: unwrapping did not bring it back");
    }
}

#[test]
fn every_file_is_wrapped_once_and_comes_back_byte_for_byte() {
    for (name, fate) in FILES {
        journey(name, &wild(name), *fate);
    }
}

#[test]
fn every_file_is_in_the_table() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrap/wild");
    let mut found = crate::room::names(&directory);
    found.retain(|name| name != ".gitattributes");
    let known: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, known);
    assert!(known.len() >= 50);
}

#[test]
fn a_file_of_a_megabyte_comes_back_as_well() {
    let history: Vec<_> = (0..5000)
        .map(|at| format!("{{\"display\": \"mcpServers {at} {}\"}}", "x".repeat(200)))
        .collect();
    let servers: Vec<_> = (0..200)
        .map(|at| {
            format!("\"server {at}\": {{\"command\": \"npx\", \"args\": [\"-y\", \"s{at}\"]}}")
        })
        .collect();
    let text = format!(
        "{{\n  \"history\": [{}],\n  \"mcpServers\": {{\n    {}\n  }}\n}}\n",
        history.join(",\n    "),
        servers.join(",\n    ")
    );
    assert!(text.len() > 1_000_000);
    journey("claude-code-large.json", text.as_bytes(), Wrapped(200, 0));
    let minified: String = text.lines().map(str::trim).collect();
    journey("claude-code-large.json", minified.as_bytes(), Wrapped(200, 0));
}

#[test]
fn what_an_older_thoth_wrapped_becomes_the_command_behind_its_dashes() {
    let room = Room::new();
    let name = "claude-desktop-wrapped-by-old-thoth.json";
    let path = room.file(name, wild(name));
    room.unwrap(&["--client", "claude-desktop", name]);
    let after: serde_json::Value = serde_json::from_str(&text(&path)).unwrap();
    let expected = serde_json::json!({
        "command": "/usr/bin/env",
        "args": [
            "PATH=/opt/homebrew/bin:/usr/bin", "npx", "-y", "@modelcontextprotocol/server-gdrive"
        ],
    });
    assert_eq!(after["mcpServers"]["gdrive"], expected);
    assert_eq!(after["mcpServers"]["plain"]["command"], "npx");
}

#[test]
fn what_is_wrapped_keeps_the_flags_that_are_not_given() {
    let room = Room::new();
    let name = "claude-desktop-hand-wrapped.json";
    let path = room.file(name, wild(name));
    room.wrap(&["--tenant-id", "acme", name]);
    let after: serde_json::Value = serde_json::from_str(&text(&path)).unwrap();
    let expected = [
        "run",
        "--agent-id=files",
        "--policy",
        "/etc/thoth/files.toml",
        "--tenant-id",
        "acme",
        "--",
        "npx",
        "-y",
        "files",
    ];
    assert_eq!(after["mcpServers"]["files"]["args"], serde_json::json!(expected));
    let once = text(&path);
    room.wrap(&[name]);
    assert_eq!(text(&path), once, "a plain wrap-config takes nothing away");
}

#[test]
fn every_file_of_a_user_is_found_and_comes_back() {
    let room = Room::new();
    let places = [
        (".config/Claude/claude_desktop_config.json", "claude-desktop-typical.json"),
        (".claude.json", "claude-code-state.json"),
        (".cursor/mcp.json", "cursor-comments.json"),
        (".config/Code/User/mcp.json", "vscode-inputs.json"),
        (".codeium/windsurf/mcp_config.json", "windsurf-disabled.json"),
        (".gemini/settings.json", "gemini-settings.json"),
        (".codex/config.toml", "codex-tables.toml"),
        (".config/zed/settings.json", "zed-settings.json"),
        (".cline/data/settings/cline_mcp_settings.json", "cline-settings.json"),
        (".config/goose/config.yaml", "goose-config.yaml"),
        (".lmstudio/mcp.json", "lm-studio-mcp.json"),
        (".kiro/settings/mcp.json", "kiro-mcp.json"),
        (".continue/config.yaml", "continue-config.yaml"),
        (".config/opencode/opencode.json", "opencode-config.json"),
        ("project/.mcp.json", "claude-code-project.json"),
        ("project/.vscode/mcp.json", "vscode-crlf-tabs.json"),
    ];
    if !cfg!(target_os = "linux") {
        return; // the places of the others are in the table of clients, and tested there
    }
    for (place, name) in places {
        room.file(place, wild(name));
    }
    let all = ["--all", "--project", "project"];
    let said = room.wrap(&all);
    assert_eq!(said.code, 10, "some wait for a login: {}", said.err);
    for (place, name) in places {
        assert_ne!(fs::read(room.path(place)).unwrap(), wild(name), "{place} was not wrapped");
    }
    let said = room.wrap(&[&all[..], &["--check", "--drift"]].concat());
    assert_eq!(said.code, 0, "{}", said.out);
    let said = room.wrap(&[&all[..], &["--check"]].concat());
    assert_eq!(said.code, 10, "remote servers are ungoverned: {}", said.out);
    assert_eq!(room.unwrap(&all).code, 0);
    for (place, name) in places {
        assert_eq!(fs::read(room.path(place)).unwrap(), wild(name), "{place} did not come back");
    }
}

#[test]
fn an_extension_of_claude_desktop_is_wrapped_in_both_its_manifests_and_comes_back() {
    if !cfg!(target_os = "linux") {
        return; // the place is another one, and nothing else
    }
    let room = Room::new();
    let manifest = r#"{
  "manifest_version": "0.2",
  "name": "notes",
  "version": "1.0.0",
  "server": {
    "type": "python",
    "entry_point": "server/main.py",
    "mcp_config": {
      "command": "python3",
      "args": ["${__dirname}/server/main.py", "${user_config.folder}"],
      "env": { "API_KEY": "${user_config.key}" }
    }
  },
  "user_config": { "key": { "type": "string", "sensitive": true } }
}
"#;
    let list = format!(
        r#"{{"extensions":{{"local.notes":{{"id":"local.notes","hash":"0","manifest":{},"signatureInfo":{{"status":"unsigned"}}}}}}}}"#,
        manifest.split_whitespace().collect::<String>()
    );
    let app = ".config/Claude";
    let one = room.file(&format!("{app}/Claude Extensions/local.notes/manifest.json"), manifest);
    let two = room.file(&format!("{app}/extensions-installations.json"), &list);
    room.file(
        &format!("{app}/Claude Extensions Settings/local.notes.json"),
        r#"{"isEnabled": true}"#,
    );

    let check = ["--client", "claude-desktop", "--check"];
    assert_eq!(room.wrap(&check).code, 10);
    let said = room.wrap(&["--client", "claude-desktop"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(count(&said.out, "wrapped"), 2, "{}", said.out);
    for file in [&one, &two] {
        let wrapped = text(file);
        assert!(wrapped.contains("local.notes") && wrapped.contains("--agent-id"), "{wrapped}");
        assert!(wrapped.contains("${__dirname}/server/main.py"), "{wrapped}");
    }
    let said = room.wrap(&check);
    assert_eq!(said.code, 0, "{}", said.out);
    room.unwrap(&["--client", "claude-desktop"]);
    assert_eq!((text(&one).as_str(), text(&two)), (manifest, list));
}

#[test]
fn an_extension_that_cannot_be_wrapped_is_one_server() {
    if !cfg!(target_os = "linux") {
        return; // the place is another one, and nothing else
    }
    let room = Room::new();
    let manifest = r#"{"name": "n", "server": {"type": "uv", "entry_point": "m.py"}}"#;
    let app = ".config/Claude";
    room.file(&format!("{app}/Claude Extensions/local.notes/manifest.json"), manifest);
    let list = format!(r#"{{"extensions": {{"local.notes": {{"manifest": {manifest}}}}}}}"#);
    room.file(&format!("{app}/extensions-installations.json"), list);
    for flag in ["--dry-run", "--check"] {
        let said = room.wrap(&["--all", "--json", flag]);
        let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((&told["governed"], &told["ungoverned"]), (&0.into(), &1.into()), "{flag}");
    }
    let said = room.wrap(&["--all"]);
    assert!(said.err.contains("1 server is UNGOVERNED: local.notes\n"), "{}", said.err);
}
