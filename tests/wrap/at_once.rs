//! Several at once: no edit is lost, of ours or of a client.

use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::room::{Room, THREE, text};

fn start(room: &Room, args: &[&str]) -> Child {
    let program = room.installed();
    let line = [&["wrap-config", "--thoth-bin", program.to_str().unwrap()], args].concat();
    room.thoth(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn every_one_of_many_edits_is_there_in_the_end() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    let names: Vec<_> = (0..12).map(|at| format!("V{at}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| start(&room, &["--env", &format!("{name}=1"), "mcp.json"]))
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let after: Value = serde_json::from_str(&text(&path)).unwrap();
    for name in &names {
        assert_eq!(after["mcpServers"]["plain"]["env"][name], "1", "{name} was lost");
        assert_eq!(after["mcpServers"]["files"]["env"][name], "1", "{name} was lost");
    }
    room.unwrap(&["mcp.json"]);
    assert_eq!(text(&path), THREE);
}

#[test]
fn wrapping_and_unwrapping_at_once_end_in_one_or_the_other() {
    let room = Room::new();
    let path = room.file("mcp.json", THREE);
    room.wrap(&["mcp.json"]);
    let wrapped = text(&path);
    let mut children = Vec::new();
    for _ in 0..6 {
        children.push(start(&room, &["mcp.json"]));
        let unwrap = room.thoth(["unwrap-config", "mcp.json"]).stdout(Stdio::null()).spawn();
        children.push(unwrap.unwrap());
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let end = text(&path);
    assert!(end == wrapped || end == THREE, "{end}");
}

/// Claude Code writes its state after every message.
#[test]
fn a_client_that_writes_all_the_time_loses_nothing() {
    let room = Room::new();
    let path = room.file(".claude.json", THREE);
    let done = AtomicBool::new(false);
    let writes = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0_u64;
            while !done.load(Ordering::Acquire) || count < 100 {
                let mut state: Value = serde_json::from_str(&text(&path)).unwrap();
                count += 1;
                state["numStartups"] = count.into();
                let draft = room.path(".claude.json.client");
                fs::write(&draft, serde_json::to_string_pretty(&state).unwrap()).unwrap();
                fs::rename(&draft, &path).unwrap();
                thread::yield_now();
            }
            count
        });
        for _ in 0..10 {
            // Whether it gets a turn is the client's affair; that it breaks nothing is ours.
            for args in
                [&["--client", "claude-code"][..], &["--client", "claude-code", "--env", "A=1"]]
            {
                let code = start(&room, args).wait().unwrap().code();
                assert!(matches!(code, Some(0 | 1)), "{code:?}");
            }
        }
        done.store(true, Ordering::Release);
        client.join().unwrap()
    });
    let state: Value = serde_json::from_str(&text(&path)).unwrap();
    assert_eq!(state["numStartups"], writes, "the client's last word stands");
    assert_eq!(room.wrap(&["--client", "claude-code"]).code, 0);
    let state: Value = serde_json::from_str(&text(&path)).unwrap();
    assert_eq!(state["numStartups"], writes);
    assert!(state["mcpServers"]["plain"]["args"].to_string().contains("--agent-id"));
}
