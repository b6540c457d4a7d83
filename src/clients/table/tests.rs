//! Where clients' files are looked for, and which are found.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::clients::document::{Document, Syntax};
use crate::config::variables::Env;

/// Every path that is looked at on a system, `*` as it stands.
fn looked_at(places: &Places) -> Vec<PathBuf> {
    let spots = ALL.iter().flat_map(|client| client.spots);
    spots.flat_map(|spot| find::paths(spot, places, &places.projects)).collect()
}

fn on(system: System, env: &[(&str, &str)]) -> Vec<PathBuf> {
    looked_at(&Places::on(system, &env.iter().copied().collect()))
}

/// A home with these files in it, each with its text.
fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, Places) {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut places = Places::on(System::Linux, &Env::default());
    home.path().clone_into(&mut places.home);
    places.root = home.path().join("root");
    (home, places)
}

fn found(home: &Path, places: &Places) -> Vec<String> {
    let tell = |file: File| {
        let path = file.path.strip_prefix(home).unwrap().display().to_string();
        format!("{} {} {path}", file.client.id, file.kind.word())
    };
    files(places).into_iter().map(tell).collect()
}

#[test]
fn each_variable_adds_a_place_and_takes_none_away() {
    let unix = ("HOME", "/home/a");
    let windows = ("USERPROFILE", "C:\\Users\\a");
    let table = [
        (System::Linux, unix, ("XDG_CONFIG_HOME", "/x"), "/x/zed/settings.json"),
        (System::Macos, unix, ("XDG_CONFIG_HOME", "/x"), "/x/goose/config.yaml"),
        (System::Linux, unix, ("CLAUDE_CONFIG_DIR", "/x"), "/x/.claude.json"),
        (System::Linux, unix, ("CODEX_HOME", "/x"), "/x/config.toml"),
        (System::Linux, unix, ("CLINE_DIR", "/x"), "/x/data/settings/cline_mcp_settings.json"),
        (System::Windows, windows, ("APPDATA", "D:\\x"), "D:\\x/Zed/settings.json"),
        (System::Windows, windows, ("LOCALAPPDATA", "D:\\x"), "D:\\x/crush/crush.json"),
    ];
    for (system, home, variable, path) in table {
        let (with, without) = (on(system, &[home, variable]), on(system, &[home]));
        assert!(with.contains(&PathBuf::from(path)), "{}: {with:?}", variable.0);
        assert!(!without.contains(&PathBuf::from(path)), "{}", variable.0);
        assert!(without.iter().all(|path| with.contains(path)), "{}", variable.0);
    }
    // Administrators' directories are elsewhere, not in two places.
    for (variable, path) in [
        ("PROGRAMFILES", "D:\\x/ClaudeCode/managed-mcp.json"),
        ("PROGRAMDATA", "D:\\x/gemini-cli/settings.json"),
    ] {
        let with = on(System::Windows, &[windows, (variable, "D:\\x")]);
        assert!(with.contains(&PathBuf::from(path)), "{variable}: {with:?}");
    }
    let path = Places::on(System::Linux, &[("PATH", "/bin:relative:/opt/b")].into_iter().collect());
    assert_eq!(path.path, [Path::new("/bin"), Path::new("/opt/b")]);
    let path = Places::on(System::Windows, &[("PATH", "C:\\a;.;D:/b")].into_iter().collect());
    assert_eq!(path.path, [Path::new("C:\\a"), Path::new("D:/b")]);
}

#[test]
fn a_relative_directory_in_a_variable_does_not_count() {
    let home = ("HOME", "/home/a");
    for variable in ["XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "CLINE_DIR"] {
        assert_eq!(on(System::Linux, &[home, (variable, "x")]), on(System::Linux, &[home]));
    }
    let home = ("USERPROFILE", "C:\\Users\\a");
    for relative in ["x", "\\x", "C:x", ""] {
        let with = on(System::Windows, &[home, ("APPDATA", relative)]);
        assert_eq!(with, on(System::Windows, &[home]), "{relative}");
    }
}

#[test]
fn windows_has_its_own_ways_to_name_the_home_directory() {
    let path = PathBuf::from("C:\\Users\\a/.cursor/mcp.json");
    for env in [
        &[("USERPROFILE", "C:\\Users\\a"), ("HOME", "/c/Users/b")][..],
        &[("HOMEDRIVE", "C:"), ("HOMEPATH", "\\Users\\a"), ("HOME", "/c/Users/b")],
    ] {
        assert!(on(System::Windows, env).contains(&path), "{env:?}");
    }
}

#[test]
fn without_a_home_there_are_the_administrators_files_alone() {
    let places = Places::on(System::Linux, &Env::default());
    let paths = looked_at(&places);
    assert!(paths.iter().all(|path| path.starts_with("/etc")), "{paths:?}");
    assert!(looked_at(&Places::default()).iter().all(|path| path.has_root()));
}

#[test]
fn ids_and_spots_are_of_the_right_form() {
    for (index, client) in ALL.iter().enumerate() {
        assert!(client.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", client.id);
        assert!(ALL[..index].iter().all(|other| other.id != client.id), "{}", client.id);
        for spot in client.spots {
            for path in choices(spot.path) {
                assert!(!path.starts_with('/') && !path.contains(['\\', '{', '}', ',']), "{path}");
                assert!(path.split('/').all(|name| name.matches('*').count() <= 1), "{path}");
            }
        }
    }
    assert_eq!(client("zed").unwrap().name, "Zed");
    assert!(client("emacs").is_none());
}

#[test]
fn files_are_found_in_the_order_of_the_table_each_once() {
    let state = r#"{"projects": {"/nowhere": {}, "relative": {}}}"#;
    let (root, mut places) = home(&[
        (".config/Code/User/profiles/b2/mcp.json", ""),
        (".config/Code/User/profiles/a1/mcp.json", ""),
        (".config/Code/User/mcp.json", ""),
        (".config/Claude/Claude Extensions/ant.dir.x/manifest.json", ""),
        (".config/Claude/Claude Extensions/not-one", ""),
        (".claude.json", state),
        ("work/.cursor/mcp.json", ""),
        ("work/.mcp.json", ""),
        ("root/etc/claude-code/managed-mcp.json", ""),
    ]);
    places.projects = vec![root.path().join("work"), root.path().join("work")];
    assert_eq!(
        found(root.path(), &places),
        [
            "claude-desktop extension .config/Claude/Claude Extensions/ant.dir.x/manifest.json",
            "claude-code user .claude.json",
            "claude-code project work/.mcp.json",
            "claude-code managed root/etc/claude-code/managed-mcp.json",
            "cursor project work/.cursor/mcp.json",
            "vscode user .config/Code/User/mcp.json",
            "vscode user .config/Code/User/profiles/a1/mcp.json",
            "vscode user .config/Code/User/profiles/b2/mcp.json",
        ]
    );
}

#[test]
fn a_claude_from_the_store_is_found_by_its_packages_name() {
    let package = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude";
    let config = format!("{package}/claude_desktop_config.json");
    let manifest = format!("{package}/Claude Extensions/a.b/manifest.json");
    let (root, mut places) = home(&[
        (&config, ""),
        (&manifest, ""),
        ("AppData/Local/Packages/Other_1/LocalCache/Roaming/Claude/claude_desktop_config.json", ""),
        ("AppData/Roaming/Claude/claude_desktop_config.json", ""),
    ]);
    places.system = System::Windows;
    assert_eq!(
        found(root.path(), &places),
        [
            "claude-desktop user AppData/Roaming/Claude/claude_desktop_config.json".to_owned(),
            format!("claude-desktop user {config}"),
            format!("claude-desktop extension {manifest}"),
        ]
    );
}

#[test]
fn a_project_that_claude_code_knows_is_looked_at() {
    let (root, places) = home(&[("work/.vscode/mcp.json", ""), ("work/.codex/config.toml", "")]);
    let work = serde_json::to_string(&root.path().join("work")).unwrap();
    for state in [
        format!(r#"{{"numStartups": 3, "projects": {{{work}: {{"history": []}}}}}}"#),
        format!("\u{feff}{{\"projects\": {{{work}: null}}}}"),
    ] {
        fs::write(root.path().join(".claude.json"), state).unwrap();
        assert_eq!(
            found(root.path(), &places)[1..],
            ["vscode project work/.vscode/mcp.json", "codex project work/.codex/config.toml"]
        );
    }
    for broken in ["{", r#"{"projects": []}"#, "", "[1]"] {
        fs::write(root.path().join(".claude.json"), broken).unwrap();
        assert_eq!(found(root.path(), &places), ["claude-code user .claude.json"], "{broken}");
    }
}

#[cfg(unix)]
#[test]
fn two_names_of_one_file_are_one_file() {
    let (root, places) = home(&[(".cursor/mcp.json", "{}"), (".kiro/settings/x", "")]);
    let link = root.path().join(".kiro/settings/mcp.json");
    std::os::unix::fs::symlink(root.path().join(".cursor/mcp.json"), &link).unwrap();
    assert_eq!(found(root.path(), &places), ["cursor user .cursor/mcp.json"]);
    // A link that leads nowhere is no file, for its client neither.
    fs::remove_file(root.path().join(".cursor/mcp.json")).unwrap();
    assert_eq!(found(root.path(), &places), [""; 0]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let (root, places) = home(&[]);
    let pipe = root.path().join(".claude.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(read(&pipe).unwrap_err().to_string(), "is no regular file");
    assert_eq!(read(root.path()).unwrap_err().to_string(), "is no regular file");
    assert_eq!(found(root.path(), &places), ["claude-code user .claude.json"]);
}

#[test]
fn a_file_of_more_than_16_mib_is_not_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(find::LONGEST as u64).unwrap();
    assert_eq!(read(file.path()).unwrap().len(), find::LONGEST);
    file.as_file().set_len(find::LONGEST as u64 + 1).unwrap();
    assert_eq!(read(file.path()).unwrap_err().to_string(), "has more than 16 MiB");
}

#[test]
fn servers_of_projects_are_found_in_a_copy_of_any_name() {
    let entry = r#"{"a": {"command": "npx"}}"#;
    for text in [
        format!(r#"{{"mcpServers": {entry}, "projects": {{"/srv": {{"mcpServers": {entry}}}}}}}"#),
        format!(r#"{{"projects": {{"/srv": {{"mcpServers": {entry}}}, "/b": {{}}}}}}"#),
    ] {
        let file = recognise(&Places::default(), Path::new("copy.json"), text.as_bytes());
        let document = Document::read(text.as_bytes(), file.shape).unwrap();
        let within = document.servers().last().unwrap().within.join("/");
        assert_eq!(within, "projects//srv/mcpServers", "{text}");
        assert_eq!(document.servers().len(), text.matches("npx").count(), "{text}");
    }
}

#[test]
fn a_path_is_recognised_by_its_place_its_name_or_its_contents() {
    let (root, places) = home(&[(".config/Code/User/settings.json", "{}")]);
    // path, text, the client, where its servers are
    let table: &[(&str, &str, &str, &[&str])] = &[
        (".config/Code/User/settings.json", "{}", "vscode", &["mcp", "servers"]),
        ("claude_desktop_config.json", "{}", "claude-desktop", &["mcpServers"]),
        ("copy/.claude.json", "{}", "claude-code", &["mcpServers"]),
        ("a/.vscode/mcp.json", "{}", "vscode", &["servers"]),
        ("a/.cursor/mcp.json", "{}", "cursor", &["mcpServers"]),
        ("a/.codex/config.toml", "", "codex", &["mcp_servers"]),
        ("a/goose/config.yaml", "", "goose", &["extensions"]),
        ("a/.continue/config.yaml", "", "continue", &["mcpServers"]),
        (
            "a/Claude/extensions-installations.json",
            "{}",
            "claude-desktop",
            &["extensions", "*", "manifest", "server"],
        ),
        ("a/mcp.json", "{}", "file", &["mcpServers"]),
        ("a/b.json", r#"{"mcpServers": {"a": {}}, "projects": []}"#, "file", &["mcpServers"]),
        ("a/mcp.toml", "", "file", &["mcp_servers"]),
        ("a/mcp.YML", "", "file", &["extensions"]),
    ];
    for (path, text, client, servers) in table {
        let file = recognise(&places, &root.path().join(path), text.as_bytes());
        assert_eq!((file.client.id, file.shape.servers[0]), (*client, *servers), "{path}");
    }
    let toml = recognise(&places, Path::new("x.toml"), b"");
    assert_eq!(toml.shape.syntax, Syntax::Toml);
}
