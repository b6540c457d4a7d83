//! No secret of thoth's gets into a file, a report or a diff, unless that is asked for.

use std::fs;

use serde_json::Value;

use crate::room::{Room, Said, THREE, below, said, text};

const GIVEN: &str = "thoth_live_given_hunter2";
const VARIABLE: &str = "thoth_live_variable_hunter2";
const FILE: &str = "thoth_live_file_hunter2";

fn room() -> Room {
    let room = Room::new();
    room.file("mcp.json", THREE);
    let key = room.file(".thoth/proxy_api_key.json", format!("{{\"api_key\": \"{FILE}\"}}"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let home = key.parent().unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
    }
    room
}

fn wrap(room: &Room, args: &[&str]) -> Said {
    let mut command = room.thoth([&["wrap-config"], args, &["mcp.json"]].concat());
    said(command.env("THOTH_API_KEY", VARIABLE).output().unwrap())
}

/// Every file of the room that holds a text, but the key file.
fn holders(room: &Room, secret: &str) -> Vec<String> {
    let mut files = below(&room.path(""));
    files.retain(|file| {
        !file.ends_with("proxy_api_key.json") && !file.starts_with(room.path("bin"))
    });
    files.retain(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).contains(secret));
    files.iter().map(|file| file.display().to_string()).collect()
}

#[test]
fn a_key_is_not_written_without_being_asked_to() {
    for args in [&[][..], &["--json"], &["--dry-run"], &["--check"], &["--output", "new.json"]] {
        let room = room();
        let said = wrap(&room, &[&["--api-key", GIVEN], args].concat());
        assert!(matches!(said.code, 0 | 10), "{args:?}: {}", said.err);
        assert!(said.err.contains("--api-key is not written"), "{}", said.err);
        for secret in [GIVEN, VARIABLE, FILE] {
            assert!(holders(&room, secret).is_empty(), "{args:?}: {secret}");
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{args:?}");
        }
        assert!(!said.out.contains("hunter2"), "{args:?}: {}", said.out);
        assert!(!said.err.contains("hunter2"), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_key_does_not_get_in_by_another_way() {
    for secret in [GIVEN, VARIABLE, FILE] {
        let room = room();
        for args in [["--env", &format!("X={secret}")], ["--tenant-id", secret]] {
            let said = wrap(&room, &[&["--api-key", GIVEN], &args[..]].concat());
            assert_eq!(said.code, 1, "{args:?}: {}", said.err);
            assert!(said.err.contains("a secret of thoth's"), "{}", said.err);
            assert!(!said.err.contains(secret), "{}", said.err);
            assert_eq!(text(&room.path("mcp.json")), THREE);
            assert!(holders(&room, secret).is_empty());
        }
    }
}

#[test]
fn an_embedded_key_stands_in_the_environment_and_nowhere_else() {
    for (args, key) in
        [(&["--embed-api-key", "--api-key", GIVEN][..], GIVEN), (&["--embed-api-key"], VARIABLE)]
    {
        let room = room();
        let said = wrap(&room, args);
        assert_eq!(said.code, 0, "{}", said.err);
        let after = text(&room.path("mcp.json"));
        let read: Value = serde_json::from_str(&after).unwrap();
        for server in ["files", "plain"] {
            assert_eq!(read["mcpServers"][server]["env"]["THOTH_API_KEY"], key);
        }
        assert_eq!(after.matches(key).count(), 2, "{after}");
        assert!(!said.out.contains(key) && !said.err.contains(key));
        assert_eq!(holders(&room, key).len(), 1);

        let shown = wrap(&room, &["--dry-run", "--tenant-id", "t"]);
        assert!(!shown.out.contains(key), "{}", shown.out);
        room.unwrap(&["mcp.json"]);
        assert_eq!(text(&room.path("mcp.json")), THREE);
    }
}

#[test]
fn an_embedded_key_can_be_changed_and_stays_where_none_is_given() {
    let room = room();
    let key = || {
        let read: Value = serde_json::from_str(&text(&room.path("mcp.json"))).unwrap();
        read["mcpServers"]["plain"]["env"]["THOTH_API_KEY"].clone()
    };
    room.wrap(&["--embed-api-key", "--api-key", "first-key-of-all", "mcp.json"]);
    assert_eq!(key(), "first-key-of-all");
    room.wrap(&["--embed-api-key", "--api-key", "second-key-of-all", "mcp.json"]);
    assert_eq!(key(), "second-key-of-all");
    room.wrap(&["mcp.json"]);
    assert_eq!(key(), "second-key-of-all");
}
