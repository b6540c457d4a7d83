//! What can go wrong with files: nothing is lost, and it is said what was wrong.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::room::{Room, THOTH, THREE, below, names, said, text};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn mode_owner_and_links_stay() {
    let room = Room::new();
    let real = room.file("dotfiles/mcp.json", THREE);
    fs::create_dir(room.path(".cursor")).unwrap();
    let link = room.path(".cursor/mcp.json");
    symlink("../dotfiles/mcp.json", &link).unwrap();
    chmod(&real, 0o640);
    if is_root() {
        std::os::unix::fs::chown(&real, Some(12345), Some(54321)).unwrap();
    }
    let before = fs::metadata(&real).unwrap();
    for command in ["wrap-config", "unwrap-config"] {
        assert_eq!(room.run([command, "--client", "cursor"]).code, 0);
        let after = fs::metadata(&real).unwrap();
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(mode(&real), 0o640);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("../dotfiles/mcp.json"));
        assert_eq!(names(&room.path("dotfiles")), ["mcp.json"]);
        assert_eq!(names(&room.path(".cursor")), ["mcp.json"]);
    }
    assert_eq!(text(&real), THREE);
}

#[test]
fn the_copy_is_the_original_for_its_user_alone() {
    let room = Room::new();
    let path = room.file(".cursor/mcp.json", THREE);
    chmod(&path, 0o644);
    let copies = || {
        let mut kept = below(&room.path(".thoth/backups"));
        kept.retain(|kept| kept.file_name() != Some("path".as_ref()));
        kept
    };
    room.wrap(&["--client", "cursor"]);
    let first = copies();
    assert_eq!(first.len(), 1);
    assert_eq!((text(&first[0]).as_str(), mode(&first[0])), (THREE, 0o600));
    let directory = first[0].parent().unwrap();
    assert_eq!(text(&directory.join("path")), path.to_str().unwrap());
    let name = directory.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("cursor-"), "{name}");
    for above in [directory, &room.path(".thoth/backups"), &room.path(".thoth")] {
        assert_eq!(mode(above), 0o700);
    }
    room.wrap(&["--client", "cursor"]);
    assert_eq!(copies(), first, "wrapping twice keeps no copy of what is wrapped");
    for tenant in 0..15 {
        room.wrap(&["--client", "cursor", "--tenant-id", &tenant.to_string()]);
    }
    let later = copies();
    assert_eq!(later.len(), 10);
    assert_eq!(later[0], first[0], "the first stays");
    assert_eq!(text(&later[0]), THREE);
}

#[test]
fn a_file_that_cannot_be_written_stays_as_it_is() {
    let room = Room::new();
    let path = room.file("etc/mcp.json", THREE);
    chmod(&path, 0o444);
    let refused = room.wrap(&["etc/mcp.json"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("etc/mcp.json is read-only"), "{}", refused.err);
    chmod(&path, 0o644);
    if !is_root() {
        chmod(&room.path("etc"), 0o555); // root may write there all the same
        let refused = room.wrap(&["etc/mcp.json"]);
        let drift = room.wrap(&["etc/mcp.json", "--check", "--drift"]);
        chmod(&room.path("etc"), 0o755);
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("cannot replace"), "{}", refused.err);
        assert_eq!(drift.code, 0, "wrapping would not help: {}", drift.out);
        assert!(drift.out.contains("nothing can be written beside"), "{}", drift.out);
    }
    assert_eq!(text(&path), THREE);
    assert_eq!(names(&room.path("etc")), ["mcp.json"]);
}

#[test]
fn without_space_everything_stays_as_it_is() {
    let room = Room::new();
    let long = THREE.replace("\"plain\":", &format!("\"{}\":", "x".repeat(20_000)));
    let path = room.file("etc/mcp.json", &long);
    // Files of at most 4 blocks of 512 or 1024 bytes, and an error instead of a signal.
    let run = || {
        let line = "trap '' XFSZ; ulimit -f 4; exec \"$0\" wrap-config etc/mcp.json";
        said(room.command("/bin/sh", ["-c", line, THOTH]).output().unwrap())
    };
    let refused = run();
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("cannot keep a copy"), "{}", refused.err);
    assert_eq!(
        (text(&path), names(&room.path("etc"))),
        (long.clone(), vec!["mcp.json".to_owned()])
    );

    // With the copy in place it is the new text for which there is no room.
    assert_eq!(room.wrap(&["etc/mcp.json"]).code, 0);
    assert_eq!(room.unwrap(&["etc/mcp.json"]).code, 0);
    let refused = run();
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("cannot replace"), "{}", refused.err);
    assert_eq!((text(&path), names(&room.path("etc"))), (long, vec!["mcp.json".to_owned()]));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let room = Room::new();
    room.file("etc/x", "");
    let pipe = room.path("etc/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    for path in ["etc/pipe", "etc", "/dev/zero", "etc/missing"] {
        for check in [false, true] {
            let args: &[&str] = if check { &[path, "--check"] } else { &[path] };
            let said = room.wrap(args);
            assert_eq!(said.code, if check { 10 } else { 1 }, "{path}: {}", said.err);
            assert!(said.err.contains(path.rsplit('/').next().unwrap()), "{}", said.err);
        }
    }
}

#[test]
fn one_broken_file_does_not_keep_the_others() {
    let room = Room::new();
    let broken = room.file(".cursor/mcp.json", "{\n  \"mcpServers\": {,}\n}\n");
    let good = room.file(".codeium/windsurf/mcp_config.json", THREE);
    let said = room.wrap(&["--all"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains(".cursor/mcp.json:2:"), "{}", said.err);
    assert!(said.err.contains("mend the file"), "{}", said.err);
    assert_eq!(text(&broken), "{\n  \"mcpServers\": {,}\n}\n");
    assert!(text(&good).contains("--agent-id"));
    assert_eq!(room.unwrap(&["--all"]).code, 1);
    assert_eq!(text(&good), THREE);
}

#[test]
fn whoever_is_killed_leaves_the_old_bytes_or_the_new() {
    let room = Room::new();
    let many: Vec<_> = (0..2000)
        .map(|at| format!("    \"server {at}\": {{ \"command\": \"npx\", \"args\": [\"s{at}\"] }}"))
        .collect();
    let old = format!("{{\n  \"mcpServers\": {{\n{}\n  }}\n}}\n", many.join(",\n"));
    let path = room.file("etc/mcp.json", &old);
    room.wrap(&["etc/mcp.json"]);
    let new = text(&path);
    fs::write(&path, &old).unwrap();

    let program = room.installed();
    let wrap = ["wrap-config", "--thoth-bin", program.to_str().unwrap(), "etc/mcp.json"];
    let mut seen = [0, 0];
    for step in 0..40 {
        let mut child = room.thoth(wrap).stdout(std::process::Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(4 * step)); // a different moment each time
        child.kill().unwrap();
        child.wait().unwrap();
        let left = text(&path);
        assert!(left == old || left == new, "neither old nor new after {step}");
        seen[usize::from(left == new)] += 1;
        fs::write(&path, &old).unwrap();
    }
    assert!(seen[0] > 0, "it was never killed early enough: {seen:?}");

    assert_eq!(room.run(wrap).code, 0);
    assert_eq!(text(&path), new);
    assert_eq!(names(&room.path("etc")), ["mcp.json"], "what the killed ones left is taken away");
}
