//! What each client is given, byte for byte.

use std::fs;
use std::path::Path;

use crate::room::{Room, THOTH};

/// The clients, each with the file that it reads servers from by itself, and what to say on the
/// command line so that the user's server is there.
const CLIENTS: [&str; 2] = ["claude", "codex"];

#[test]
fn each_client_is_given_what_was_written_down() {
    let program = fs::canonicalize(THOTH).unwrap();
    let program = program.to_str().unwrap();
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/launch/golden");
    let mut differ = Vec::new();
    for client in CLIENTS {
        let room = Room::new();
        let said = room.config(
            client,
            &[
                "--server",
                "far=https://x.example/mcp",
                "--policy",
                "/dev/null/../no", // replaced below
            ][..2],
        );
        assert_eq!(said.code, 0, "{client}: {}", said.err);
        let said2 = room
            .config(client, &["--server", "files", "--user-id", "ann", "--", "npx", "-y", "it's"]);
        assert_eq!(said2.code, 0, "{client}: {}", said2.err);
        let text = (said.out + &said2.out).replace(program, "/usr/bin/thoth");
        let path = wanted.join(client);
        let there = fs::read_to_string(&path).unwrap_or_default();
        if there != text {
            differ.push(format!("{client}: {} says\n{there}\nand it was\n{text}", path.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
