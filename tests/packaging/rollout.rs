//! A rollout from end to end: the scripts as an MDM runs them, and the thoth that was built.

use std::fs;

use crate::mac::Mac;

/// A server that can be wrapped, and one that waits for a person: its secret would have to move.
const CONFIG: &str = r#"{
  "mcpServers": {
    "files": {"command": "npx", "args": ["-y", "some-server"]},
    "remote": {"url": "https://mcp.example/", "headers": {"Authorization": "Bearer hunter2-hunter2"}}
  }
}
"#;

fn attribute(mac: &Mac, name: &str) -> String {
    let ended = mac.run(&format!("jamf/extension-attributes/{name}.sh"), &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.out.trim().replace("<result>", "").replace("</result>", "")
}

#[test]
fn a_fleet_is_watched_wrapped_and_given_back_to_the_byte() {
    let mac = Mac::with_real_thoth();
    let files = ["Users/alice/.cursor/mcp.json", "Users/bob the second/.cursor/mcp.json"]
        .map(|path| mac.path(path));
    for file in &files {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, CONFIG).unwrap();
    }
    assert_eq!(attribute(&mac, "governed-servers"), "0");
    assert_eq!(attribute(&mac, "ungoverned-servers"), "2");
    assert_eq!(attribute(&mac, "config-drifted"), "true");
    assert_eq!(attribute(&mac, "environment"), "dev");
    let audit = mac.run("kandji/audit.sh", &[]);
    assert_eq!(audit.code, 1, "{audit:?}");
    assert!(audit.out.contains("files"), "{audit:?}");

    let ended = mac.run("jamf/policies/remediate.sh", &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("bob: the servers above are left"), "{ended:?}");
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("\"run\"") && text.contains("some-server"), "{text}");
    }
    assert_eq!(attribute(&mac, "governed-servers"), "1");
    assert_eq!(attribute(&mac, "ungoverned-servers"), "1");
    assert_eq!(attribute(&mac, "config-drifted"), "false");
    assert!(attribute(&mac, "status").starts_with("degraded: "), "{}", attribute(&mac, "status"));
    let audit = mac.run("kandji/audit.sh", &[]);
    assert_eq!(audit.code, 0, "{audit:?}");
    assert!(audit.out.contains("remote"), "{audit:?}");

    let key = mac.path("key");
    fs::write(&key, "thoth_live_0123456789").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, mode).unwrap();
    let ended = mac.run("jamf/policies/set-key.sh", &[key.to_str().unwrap()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    // Nobody asks for a key while there is no enforcer, so the attribute does not tell.
    let kept = fs::read_to_string(mac.path("Users/bob the second/.thoth/proxy_api_key.json"));
    assert!(kept.unwrap().contains("thoth_live_0123456789"));

    let ended = mac.run("jamf/policies/uninstall.sh", &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    for file in &files {
        assert_eq!(fs::read_to_string(file).unwrap(), CONFIG);
    }
    assert!(!mac.path("usr/local/bin/thoth").exists());
}

#[test]
fn the_units_of_the_linux_packages_watch_files_that_are_wrapped() {
    let unit = fs::read_to_string("packaging/linux/systemd/thoth-heal.path").unwrap();
    let watched: Vec<_> =
        unit.lines().filter_map(|line| line.strip_prefix("PathChanged=%h/")).collect();
    assert!(watched.len() >= 10, "{watched:?}");
    for path in watched {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // What is looked at and cannot be read is told by its path.
        fs::write(&file, "\t{").unwrap();
        let told = crate::mac::run(
            std::process::Command::new(env!("CARGO_BIN_EXE_thoth"))
                .args(["status", "--json"])
                .env_clear()
                .env("HOME", home.path()),
        );
        assert!(told.out.contains(path), "{path} is in no client's row: {told:?}");
    }
}
