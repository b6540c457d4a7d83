//! The Linux packages' `each-user`: everybody with a home, as themselves.

use std::fs;
use std::process::Command;

use crate::mac::{Ended, program, run};

/// Runs `each-user` among five accounts, of which two are people; they get codes 10 and 0.
fn each_user(id: &str, arguments: &[&str]) -> (Ended, String) {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name).display().to_string();
    fs::create_dir_all(at("alice")).unwrap();
    fs::create_dir_all(at("bob")).unwrap();
    let accounts = [
        ("root", "0", "alice", "/bin/bash"),
        ("alice", "1000", "alice", "/bin/bash"),
        ("bob", "1001", "bob", "/bin/zsh"),
        ("gone", "1002", "gone", "/bin/bash"),
        ("service", "1003", "bob", "/usr/sbin/nologin"),
        ("nobody", "65534", "bob", "/bin/sh"),
    ];
    let accounts =
        accounts.map(|(name, id, home, shell)| format!("{name}:x:{id}:{id}::{}:{shell}", at(home)));
    let stubs = root.path().join("stubs");
    let text = format!("#!/bin/sh\n[ $# -gt 1 ] || cat <<'X'\n{}\nX\n", accounts.join("\n"));
    program(&stubs.join("getent"), &text);
    program(&stubs.join("id"), &format!("#!/bin/sh\necho {id}\n"));
    let text =
        format!("#!/bin/sh\necho \"$*\" >>'{}'\n[ \"$2\" != alice ] || exit 10\n", at("calls"));
    program(&stubs.join("runuser"), &text);
    let path = format!("{}:/usr/bin:/bin", stubs.display());
    let ended = run(Command::new("packaging/linux/each-user").args(arguments).env("PATH", path));
    let calls = fs::read_to_string(at("calls")).unwrap_or_default();
    (ended, calls.replace(&root.path().display().to_string(), ""))
}

#[test]
fn everybody_with_a_home_is_reached_and_the_highest_code_counts() {
    let (ended, calls) = each_user("0", &["wrap-config", "--all", "--check"]);
    assert_eq!(ended.code, 10);
    assert_eq!(ended.out, "== alice\n== bob\n");
    let call = |name: &str| {
        format!(
            "-u {name} -- env -i HOME=/{name} USER={name} LOGNAME={name} \
             PATH=/usr/local/bin:/usr/bin:/bin /usr/bin/thoth wrap-config --all --check\n"
        )
    };
    assert_eq!(calls, call("alice") + &call("bob"));
}

#[test]
fn only_root_acts_for_others_and_only_when_told_what() {
    let (ended, calls) = each_user("1000", &["wrap-config"]);
    assert_eq!((ended.code, calls.as_str()), (77, ""));
    let (ended, calls) = each_user("0", &[]);
    assert_eq!((ended.code, calls.as_str()), (64, ""));
    assert!(ended.out.contains("Needs root."), "{ended:?}");
}
