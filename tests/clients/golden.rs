//! A file of each client as found in the wild, and what it is once its servers are wrapped.
//!
//! Beside each `golden/NAME` lies `golden/NAME.wrapped`, which says byte for byte what wrapping
//! does to it.

use std::fs;
use std::path::{Path, PathBuf};

use thoth::clients::document::{
    Bridge, Document, Edited, Hole, Server, Transport, Wrapping, bridged,
};
use thoth::clients::remote::{Proof, Vault, plan};
use thoth::clients::scan::Entries;
use thoth::clients::table::{ALL, File, Places, System, recognise};

use super::usual;

/// Each golden file, and the path below a home at which it lies; a project is at `work`.
pub(crate) const GOLDEN: &[(&str, System, &str)] = &[
    (
        "claude-desktop.json",
        System::Macos,
        "Library/Application Support/Claude/claude_desktop_config.json",
    ),
    (
        "claude-desktop-manifest.json",
        System::Macos,
        "Library/Application Support/Claude/Claude Extensions/ant.dir.ant.anthropic.filesystem/manifest.json",
    ),
    (
        "claude-desktop-installations.json",
        System::Macos,
        "Library/Application Support/Claude/extensions-installations.json",
    ),
    ("claude-code.json", System::Linux, ".claude.json"),
    ("claude-code-project.json", System::Linux, "work/.mcp.json"),
    ("cursor.json", System::Linux, ".cursor/mcp.json"),
    ("vscode.json", System::Linux, ".config/Code/User/mcp.json"),
    ("vscode-settings.json", System::Linux, ".config/Code/User/settings.json"),
    ("windsurf.json", System::Windows, ".codeium/windsurf/mcp_config.json"),
    ("gemini.json", System::Linux, ".gemini/settings.json"),
    ("codex.toml", System::Linux, ".codex/config.toml"),
    ("zed.json", System::Linux, ".config/zed/settings.json"),
    (
        "cline.json",
        System::Linux,
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
    ),
    ("goose.yaml", System::Linux, ".config/goose/config.yaml"),
    ("lm-studio.json", System::Linux, ".lmstudio/mcp.json"),
    ("kiro.json", System::Linux, ".kiro/settings/mcp.json"),
    (
        "roo-code.json",
        System::Windows,
        "AppData/Roaming/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
    ),
    ("continue.yaml", System::Linux, ".continue/config.yaml"),
    ("continue-block.json", System::Linux, ".continue/mcpServers/block.json"),
    ("opencode.jsonc", System::Linux, ".config/opencode/opencode.jsonc"),
    ("crush.json", System::Linux, ".config/crush/crush.json"),
    ("copilot-cli.json", System::Linux, ".copilot/mcp-config.json"),
    ("jetbrains-copilot.json", System::Linux, ".config/github-copilot/intellij/mcp.json"),
    ("amazon-q.json", System::Linux, ".aws/amazonq/mcp.json"),
    ("junie.json", System::Linux, ".junie/mcp/mcp.json"),
    ("qwen.json", System::Linux, ".qwen/settings.json"),
    ("factory.json", System::Linux, ".factory/mcp.json"),
    ("visual-studio.json", System::Windows, ".mcp.json"),
];

/// A golden file of the client it is named after, at its place.
fn file(name: &str, system: System, below: &str) -> (File, Places, Vec<u8>) {
    let mut places = usual(system);
    // Nothing is read from there: the file is recognised by its name.
    places.home = PathBuf::from("/nowhere");
    // Where the system's programs are; this directory has a file `bin/node`.
    places.root = PathBuf::from("tests/clients/root");
    let text = fs::read(Path::new("tests/clients/golden").join(name)).unwrap();
    (recognise(&places, &places.home.join(below), &text), places, text)
}

fn wrapping(agent: &str) -> Wrapping {
    Wrapping {
        program: "/usr/local/bin/thoth".to_owned(),
        flags: ["--agent-id", agent, "--tenant-id", "acme"].map(str::to_owned).into(),
        env: vec![("THOTH_ENV".to_owned(), "prod".to_owned())],
        bridge: Bridge::default(),
    }
}

/// Wraps every server that may be.
fn wrap(file: &File, document: &Document, text: &[u8], places: &Places) -> Edited {
    let entries = Entries::new(places).of(file, document, text);
    let mut index = 0..;
    let agent = |server: &Server| {
        let at = index.next()?;
        let mut open = entries.iter().filter(|entry| entry.barrier.is_none());
        let entry = open.find(|entry| entry.server == Some(at))?;
        let wrapping = wrapping(&entry.name);
        match &server.transport {
            Transport::Stdio { command, args, .. } => Some(match bridged(command, args) {
                Some(bridged) => {
                    Wrapping { flags: bridged.flags, env: document.added(at), ..wrapping }
                }
                None => wrapping,
            }),
            Transport::Remote { .. } => {
                let mut plan = plan(file.client.id, &document.address(at)?.ok()?).ok()?;
                if plan.proof == Proof::Login {
                    return None; // there is no login
                }
                let [token, headers] = ["/secrets/token", "/secrets/headers"].map(str::to_owned);
                plan.keep(&Vault { token, headers });
                let flags = [wrapping.flags, plan.words()].concat();
                Some(plan.wrapping(wrapping.program, flags, wrapping.env))
            }
            Transport::Other { .. } => None,
        }
    };
    document.wrap(agent)
}

#[test]
fn every_client_has_a_golden_file_that_is_recognised_as_its_own() {
    for (name, system, below) in GOLDEN {
        let (file, ..) = file(name, *system, below);
        assert!(name.starts_with(file.client.id), "{name} is {}'s", file.client.id);
    }
    for client in ALL {
        assert!(GOLDEN.iter().any(|(name, ..)| name.starts_with(client.id)), "{}", client.id);
    }
    let there = fs::read_dir("tests/clients/golden").unwrap().count();
    assert_eq!(there, GOLDEN.len() * 2);
}

#[test]
fn wrapping_and_unwrapping_leave_everything_else_as_it_was() {
    for (name, system, below) in GOLDEN {
        let (file, places, text) = file(name, *system, below);
        let read = |text: &[u8]| Document::read(text, file.shape).unwrap();

        let once = wrap(&file, &read(&text), &text, &places);
        assert_eq!(once.refused, [], "{name}");
        let golden = Path::new("tests/clients/golden").join(format!("{name}.wrapped"));
        let expected = fs::read(&golden).unwrap_or_default();
        let [found, expected] = [&once.text, &expected].map(|text| String::from_utf8_lossy(text));
        assert_eq!(found, expected, "{name}");

        let twice = wrap(&file, &read(&once.text), &once.text, &places);
        assert_eq!((&twice.text, twice.changed.len()), (&once.text, 0), "{name}");
        let original = read(&text);
        let secret = |at, hole: &Hole| {
            let plan = plan(file.client.id, &original.address(at)?.ok()?).ok()?;
            plan.secrets.into_iter().find(|kept| kept.hole == *hole).map(|kept| kept.secret)
        };
        let back = read(&once.text).unwrap_filled(|_| true, secret);
        assert_eq!(back.refused, [], "{name}");
        assert!(back.text == text, "{name}: {}", String::from_utf8_lossy(&back.text));
    }
}

#[test]
#[ignore = "writes the wrapped golden files anew: look at the difference before you keep them"]
fn write_golden_files() {
    for (name, system, below) in GOLDEN {
        let (file, places, text) = file(name, *system, below);
        let document = Document::read(&text, file.shape).unwrap();
        let wrapped = wrap(&file, &document, &text, &places);
        fs::write(format!("tests/clients/golden/{name}.wrapped"), wrapped.text).unwrap();
    }
}
