//! How servers stand, from files as clients write them.

use serde_json::{Value, json};

use super::*;
use crate::clients::coverage::Standing;
use crate::clients::table::System;
use crate::config::variables::Env;

use Standing::{Bypassing, Tampered, Unreadable, Wrapped};

/// A home, and a thoth in it at `bin/thoth`.
struct Home {
    root: tempfile::TempDir,
    places: Places,
    expected: Expected,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut places = Places::on(System::Linux, &Env::default());
        root.path().clone_into(&mut places.home);
        places.root = root.path().join("root");
        places.path = vec![root.path().join("bin")];
        let program = root.path().join("bin/thoth");
        let home = Self { root, places, expected: Expected { program, ..Expected::default() } };
        home.program("bin/thoth", "this very thoth", 0o755);
        home
    }

    fn path(&self, below: &str) -> String {
        self.root.path().join(below).to_str().unwrap().to_owned()
    }

    fn write(&self, below: &str, text: impl AsRef<[u8]>) {
        let path = self.root.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, below: &str, text: &str, mode: u32) {
        self.write(below, text);
        chmod(&self.root.path().join(below), mode);
    }

    fn scan(&self) -> Coverage {
        scan(&self.places, &self.expected)
    }

    /// How one entry of Cursor's stands.
    fn stands(&self, entry: &Value) -> FoundServer {
        self.write(".cursor/mcp.json", json!({"mcpServers": {"s": entry}}).to_string());
        let mut found = self.scan();
        assert_eq!(found.files[0].unreadable, None);
        found.files.remove(0).servers.remove(0)
    }

    /// How an entry stands that is wrapped with these flags, and given these variables.
    fn wrapped(&self, flags: &[&str], env: &Value) -> FoundServer {
        let args = [&["run"], flags, &["--", "npx", "server"]].concat();
        self.stands(&json!({"command": self.path("bin/thoth"), "args": args, "env": env}))
    }
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn chmod(_: &Path, _: u32) {}

fn said(server: &FoundServer) -> (Standing, bool, &str) {
    (server.standing, server.can_be_wrapped, server.why.as_deref().unwrap_or_default())
}

#[test]
fn an_entry_stands_by_what_it_starts() {
    let home = Home::new();
    let thoth = home.path("bin/thoth");
    let run = ["run", "--agent-id", "s", "--", "npx", "-y", "x"];
    let shell = ["run", "--agent-id=s", "--", "sh", "-c", "thoth help; exec npx x"];
    let in_vain = ["run", "--agent-id", "s", "--"];
    let table = [
        (json!({"command": "npx", "args": ["-y", "x"]}), Bypassing, true, ""),
        (json!({"command": thoth, "args": run}), Wrapped, false, ""),
        (json!({"command": thoth, "args": shell}), Wrapped, false, ""),
        (
            json!({"command": "thoth", "args": run}),
            Wrapped,
            false,
            "found by its name: which thoth is started depends on the client's PATH",
        ),
        (json!({"command": "sh", "args": ["-c", "thoth run -- npx"]}), Bypassing, true, ""),
        (
            json!({"command": thoth, "args": ["doctor", "--", "npx"]}),
            Tampered,
            false,
            "it starts thoth, but not thoth run",
        ),
        (json!({"command": thoth}), Tampered, false, "it starts thoth, but not thoth run"),
        (
            json!({"command": thoth, "args": in_vain}),
            Tampered,
            false,
            "it starts thoth run with nothing after --",
        ),
        (
            json!({"command": "C:\\p\\Thoth.EXE", "args": ["run", "npx"]}),
            Tampered,
            false,
            "it starts thoth run without a server: neither -- and a command, nor --url",
        ),
        (json!({"type": "builtin"}), Bypassing, false, "a built-in of the client"),
        (json!({}), Unreadable, false, "neither a command nor an address"),
        (json!(7), Unreadable, false, "the entry is not a map"),
    ];
    for (entry, standing, can_be_wrapped, why) in table {
        let server = home.stands(&entry);
        assert_eq!(said(&server), (standing, can_be_wrapped, why), "{entry}");
    }
}

#[test]
fn an_entry_stands_by_what_it_reaches() {
    let home = Home::new();
    let thoth = home.path("bin/thoth");
    let table = [
        (
            json!({"url": "https://u:hunter2@mcp.example:8443/hunter2?key=hunter2"}),
            Bypassing,
            false,
            "reached by URL (https://mcp.example:8443); its address seems to hold a secret, which \
             would stand among the arguments where everybody on this machine can see it; give it in \
             a header",
        ),
        (
            json!({"httpUrl": "${env:HUNTER2}"}),
            Bypassing,
            true,
            "reached by URL (an address that is not written out)",
        ),
        (
            json!({"url": "https://a.example/mcp", "headers": {"X-Key": "${env:K}"}}),
            Bypassing,
            true,
            "reached by URL (https://a.example)",
        ),
        (
            json!({"url": "https://a.example/mcp", "headers": {"X-Key": "hunter2"}}),
            Bypassing,
            false,
            "reached by URL (https://a.example); a header of it holds a secret: `thoth wrap-config \
             --migrate-secrets` moves it to a file of this user's, and wraps it",
        ),
        (
            json!({"url": "https://a.example/mcp", "oauth": {}}),
            Bypassing,
            false,
            "reached by URL (https://a.example); its client logs in to it by itself: run `thoth auth \
             login s --url` with its address, then `thoth wrap-config` again",
        ),
        (
            json!({"command": thoth, "args": ["run", "--agent-id", "a", "--url", "https://a.example"]}),
            Wrapped,
            false,
            "",
        ),
        (
            json!({"command": thoth, "args": ["run", "--url=https://a.example", "--agent-id=a",
                "--transport", "sse", "--upstream-header", "X-A: b", "--undo", "remote=x"]}),
            Wrapped,
            false,
            "",
        ),
        (
            json!({"command": thoth, "args": ["run", "--url", "https://a.example"]}),
            Tampered,
            true,
            "it has no --agent-id, so its calls have no name",
        ),
        (
            json!({"command": "/nowhere/thoth", "args": ["run", "--agent-id", "a", "--url", "https://a.example"]}),
            Tampered,
            true,
            "/nowhere/thoth does not exist",
        ),
    ];
    for (entry, standing, can_be_wrapped, why) in table {
        let server = home.stands(&entry);
        assert_eq!(said(&server), (standing, can_be_wrapped, why), "{entry}");
    }
}

#[test]
fn an_address_is_told_by_its_scheme_and_host_alone() {
    let home = Home::new();
    for url in [
        "https://hunter2@h.example/",
        "https://h.example?hunter2",
        "https://h.example#hunter2",
        "https://h.example\\hunter2",
        "hunter2://hunter2 hunter2@",
        "hunter2",
        "https://hunter2%20.example",
        "https://${HUNTER2:-hunter2}.example/hunter2",
        "",
    ] {
        let server = home.stands(&json!({"url": url, "headers": {"Authorization": "hunter2"}}));
        let told = serde_json::to_string(&server).unwrap();
        assert!(!told.contains("hunter2"), "{url}: {told}");
    }
}

#[cfg(unix)]
#[test]
fn what_looks_like_thoth_and_is_not_is_tampered_with() {
    let home = Home::new();
    home.program("copy/thoth", "this very thoth", 0o755);
    home.program("old/thoth", "an older thoth", 0o755);
    home.program("alike/thoth", "THIS very thoth", 0o755);
    home.program("plain/thoth", "this very thoth", 0o644);
    home.program("open/thoth", "this very thoth", 0o757);
    home.program("shared/thoth", "this very thoth", 0o775);
    home.program("anybodys/thoth", "this very thoth", 0o755);
    chmod(&home.root.path().join("anybodys"), 0o777);
    home.program("sticky/thoth", "this very thoth", 0o755);
    chmod(&home.root.path().join("sticky"), 0o1777);
    fs::create_dir_all(home.root.path().join("directory/thoth")).unwrap();
    fs::create_dir_all(home.root.path().join("link")).unwrap();
    std::os::unix::fs::symlink("../bin/thoth", home.root.path().join("link/thoth")).unwrap();

    let another = "is another program than the thoth that looks";
    let table = [
        ("copy/thoth", ""),
        ("link/thoth", ""),
        ("sticky/thoth", ""),
        ("old/thoth", another),
        ("alike/thoth", another),
        ("none/thoth", "does not exist"),
        ("plain/thoth", "is not executable"),
        ("directory/thoth", "is no program"),
        ("open/thoth", "can be changed by everybody"),
        ("anybodys/thoth", "can be changed by everybody"),
        ("shared/thoth", "can be changed by its group"),
    ];
    for (program, why) in table {
        let program = home.path(program);
        let server = home
            .stands(&json!({"command": program, "args": ["run", "--agent-id", "s", "--", "npx"]}));
        if why.is_empty() {
            assert_eq!(said(&server), (Wrapped, false, ""), "{program}");
        } else {
            let why = format!("{program} {why}");
            assert_eq!(said(&server), (Tampered, true, why.as_str()), "{program}");
        }
    }
    for (program, why) in [
        ("./thoth", "its program has a relative path, which leads elsewhere from elsewhere"),
        ("../bin/thoth", "its program has a relative path, which leads elsewhere from elsewhere"),
        (
            "${userHome}/bin/thoth",
            "its client replaces a part of the program's path, which is not known here",
        ),
        (
            "~/bin/thoth",
            "its client replaces a part of the program's path, which is not known here",
        ),
        ("Thoth.exe", "Thoth.exe is not in PATH"),
    ] {
        let server = home
            .stands(&json!({"command": program, "args": ["run", "--agent-id", "s", "--", "npx"]}));
        assert_eq!(said(&server), (Tampered, true, why), "{program}");
    }
}

#[cfg(unix)]
#[test]
fn a_private_group_is_nobody_else() {
    use std::os::unix::fs::MetadataExt as _;

    let mut home = Home::new();
    home.program("bin/thoth", "this very thoth", 0o775);
    let group = fs::metadata(home.path("bin/thoth")).unwrap().gid();
    assert_eq!(home.wrapped(&["--agent-id", "s"], &json!({})).standing, Tampered);
    home.expected.private_gid = Some(group);
    assert_eq!(home.wrapped(&["--agent-id", "s"], &json!({})).standing, Wrapped);
}

#[test]
fn flags_that_thoth_run_does_not_have_are_told_without_their_values() {
    let home = Home::new();
    for flags in [
        &["--agent-id", "s", "--hunter2"][..],
        &["--agent-id", "s", "hunter2"],
        &["--agent-id", "s", "--api-key", "hunter2", "--api-key-file", "f"],
        &["--agent-id"],
    ] {
        let server = home.wrapped(flags, &json!({}));
        let why = "its flags are not those of thoth run";
        assert_eq!(said(&server), (Tampered, true, why), "{flags:?}");
    }
    let nameless = home.wrapped(&["--enforcement-mode", "block"], &json!({}));
    let why = "it has no --agent-id, so its calls have no name";
    assert_eq!(said(&nameless), (Tampered, true, why));
}

#[test]
fn what_is_told_less_than_what_is_managed_is_tampered_with() {
    let mut home = Home::new();
    home.expected.mode = Some(Mode::Progressive);
    home.expected.environment = Some(Environment::Staging);
    home.expected.enforcer_url = Some("https://e.example/base/".to_owned());
    home.expected.tenant_id = Some("acme".to_owned());
    home.expected.policies = Some(vec!["/etc/thoth/p.toml".into()]);
    home.expected.journal_required = true;
    let none = json!({});
    // flags, variables, what is not what is managed
    let table: &[(&[&str], Value, &str)] = &[
        (&[], none.clone(), ""),
        (&["--enforcement-mode", "progressive"], none.clone(), ""),
        (&["--enforcement-mode=BLOCK"], none.clone(), ""),
        (&["--enforcement-mode", "step-up"], none.clone(), "--enforcement-mode"),
        (&["--enforcement-mode", "shadow"], none.clone(), "--enforcement-mode"),
        (&["--enforcement-mode", "${input:mode}"], none.clone(), "--enforcement-mode"),
        (&[], json!({"THOTH_ENFORCEMENT_MODE": "observe"}), "THOTH_ENFORCEMENT_MODE"),
        (&[], json!({"THOTH_ENFORCEMENT": "observe"}), "THOTH_ENFORCEMENT"),
        (&[], json!({"THOTH_ENFORCEMENT_MODE": "block"}), ""),
        // A flag goes before a variable.
        (&["--enforcement-mode", "block"], json!({"THOTH_ENFORCEMENT_MODE": "observe"}), ""),
        (&["--env", "prod"], none.clone(), ""),
        (&["--env", "dev"], none.clone(), "--env"),
        (&[], json!({"THOTH_ENV": "development"}), "THOTH_ENV"),
        (&["--enforcer-url", "https://e.example/base"], none.clone(), ""),
        (&["--enforcer-url", "https://evil.example"], none.clone(), "--enforcer-url"),
        (&[], json!({"THOTH_API_URL": "https://evil.example"}), "THOTH_API_URL"),
        (&["--tenant-id", "acme"], none.clone(), ""),
        (&["--tenant-id", "other"], none.clone(), "--tenant-id"),
        (&["--policy", "/etc/thoth/p.toml"], none.clone(), ""),
        (&["--policy", "/tmp/all.toml"], none.clone(), "--policy"),
        (&["--policy", "/etc/thoth/p.toml", "--policy", "/tmp/all.toml"], none.clone(), "--policy"),
        (&["--journal", "required"], none.clone(), ""),
        (&["--journal", "best-effort"], none.clone(), "--journal"),
    ];
    for (flags, env, weaker) in table {
        let server = home.wrapped(&[&["--agent-id", "s"], *flags].concat(), env);
        if weaker.is_empty() {
            assert_eq!(said(&server), (Wrapped, false, ""), "{flags:?} {env}");
        } else {
            let why = format!("{weaker} is not what is managed, or weaker");
            assert_eq!(said(&server), (Tampered, true, why.as_str()), "{flags:?} {env}");
        }
    }
    // Where nothing is managed, everything is somebody's own choice.
    home.expected = Expected { program: home.expected.program, ..Expected::default() };
    for (flags, env, _) in table {
        let server = home.wrapped(&[&["--agent-id", "s"], *flags].concat(), env);
        assert_eq!(said(&server), (Wrapped, false, ""), "{flags:?} {env}");
    }
}

#[test]
fn on_windows_a_variable_counts_in_any_case() {
    let mut home = Home::new();
    home.expected.mode = Some(Mode::Block);
    let env = json!({"Thoth_Enforcement_Mode": "observe"});
    assert_eq!(home.wrapped(&["--agent-id", "s"], &env).standing, Wrapped);
    home.places.system = System::Windows;
    assert_eq!(home.wrapped(&["--agent-id", "s"], &env).standing, Tampered);
}

#[test]
fn a_program_that_is_not_expected_is_not_held_against_anything() {
    let mut home = Home::new();
    home.expected.program = PathBuf::new();
    assert_eq!(home.wrapped(&["--agent-id", "s"], &json!({})).standing, Wrapped);
}

#[test]
fn scopes_are_kept_apart_and_disabled_servers_are_shown() {
    let home = Home::new();
    let state = json!({
        "mcpServers": {"fs": {"command": "npx"}},
        "projects": {
            "/srv/a.b": {"mcpServers": {"fs": {"command": "uvx", "disabled": true}}},
            "/srv/none": {"mcpServers": {}},
            "/srv/older": {},
        },
    });
    home.write(".claude.json", state.to_string());
    home.write(
        "root/etc/claude-code/managed-mcp.json",
        r#"{"mcpServers": {"fs": {"command": "x"}}}"#,
    );
    let found = home.scan();
    let told: Vec<_> = found
        .files
        .iter()
        .flat_map(|file| &file.servers)
        .map(|server| {
            let within = server.within.as_deref();
            (server.name.as_str(), within, server.disabled, server.can_be_wrapped)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("fs", None, false, true),
            ("fs", Some("/srv/a.b"), true, true),
            ("fs", None, false, false),
        ]
    );
    let managed = &found.files[1].servers[0];
    let why = "an administrator's file, which is changed by administrators";
    assert_eq!(said(managed), (Bypassing, false, why));
    let counts = found.counts();
    assert_eq!((counts.governed, counts.ungoverned, counts.drifted), (0, 3, 2));
}

#[test]
fn what_wrapping_would_refuse_is_told_before() {
    let home = Home::new();
    let text =
        "extensions:\n  odd:\n    cmd: npx\n      --yes\n    args: []\n  plain:\n    cmd: npx\n";
    home.write(".config/goose/config.yaml", text);
    let found = home.scan().files.remove(0).servers;
    let why = "its command is written over several lines: write it on one";
    assert_eq!(said(&found[0]), (Bypassing, false, why));
    assert_eq!(said(&found[1]), (Bypassing, true, ""));
}

#[cfg(unix)]
#[test]
fn a_read_only_file_is_told_of() {
    let home = Home::new();
    home.write(".cursor/mcp.json", r#"{"mcpServers": {"a": {"command": "npx"}, "b": {}}}"#);
    chmod(&home.root.path().join(".cursor/mcp.json"), 0o444);
    let found = home.scan().files.remove(0).servers;
    assert_eq!(said(&found[0]), (Bypassing, false, "the file is read-only"));
    assert_eq!(said(&found[1]), (Unreadable, false, "neither a command nor an address"));
}

#[test]
fn files_that_cannot_be_read_are_told_of_with_the_place() {
    let home = Home::new();
    home.write(".cursor/mcp.json", "{\n  \"mcpServers\": {\"hunter2\": ");
    fs::create_dir_all(home.root.path().join(".kiro/settings/mcp.json")).unwrap();
    home.write(".codex/config.toml", "[mcp_servers\nhunter2 = 1");
    home.write(".config/goose/config.yaml", "extensions: [hunter2: {\n");
    home.write(".factory/mcp.json", vec![b' '; 16 * 1024 * 1024 + 1]);
    home.write(".lmstudio/mcp.json", b"{\"mcpServers\": \"\xff\xfe\"}");
    let coverage = home.scan();
    assert_eq!(coverage.files.len(), 6);
    for file in &coverage.files {
        let why = file.unreadable.as_deref().unwrap();
        assert!(!why.contains("hunter2") && !why.is_empty(), "{}: {why}", file.client);
        let is_malformed = !matches!(file.client, "kiro" | "factory");
        assert_eq!(why.starts_with("line "), is_malformed, "{}: {why}", file.client);
    }
    assert_eq!(coverage.counts().ungoverned, 6);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_files_place_holds_nothing_up() {
    let home = Home::new();
    for below in [".cursor/mcp.json", ".claude.json"] {
        home.write(&format!("{below}.x"), "");
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&home.root.path().join(below), mode).unwrap();
    }
    let coverage = home.scan();
    let why: Vec<_> = coverage.files.iter().map(|file| file.unreadable.as_deref()).collect();
    assert_eq!(why, [Some("is no regular file"); 2]);
}

#[test]
fn what_is_told_has_the_form_that_health_and_status_print() {
    let home = Home::new();
    home.write(".cursor/mcp.json", r#"{"mcpServers": {"fs": {"command": "npx"}}}"#);
    let told = serde_json::to_value(home.scan()).unwrap();
    let path = home.path(".cursor/mcp.json");
    let server = json!({
        "name": "fs",
        "standing": "bypassing",
        "can_be_wrapped": true,
        "disabled": false,
    });
    let expected = json!({"files": [{"client": "cursor", "path": path, "servers": [server]}]});
    assert_eq!(told, expected);
}

proptest::proptest! {
    #[test]
    fn no_contents_of_any_file_make_the_scan_panic(
        text in "(\\PC|[{}\\[\\]:,\"\n ]|mcpServers|command|thoth|run|--|url|extensions|server){0,60}",
    ) {
        let home = Home::new();
        for below in [
            ".cursor/mcp.json",
            ".claude.json",
            ".codex/config.toml",
            ".config/goose/config.yaml",
            ".config/Claude/extensions-installations.json",
            ".config/Claude/Claude Extensions/a/manifest.json",
            ".config/Claude/Claude Extensions Settings/a.json",
        ] {
            home.write(below, &text);
        }
        proptest::prop_assert_eq!(home.scan().files.len(), 6);
    }
}
