//! Entries that somebody else wrapped: an older version, a hand, a client that wrote its file anew.

use super::*;

/// Unwraps the only entry of a map in JSON.
fn unwrapped(entry: &str) -> String {
    let text = format!(r#"{{"mcpServers":{{"a":{entry}}}}}"#);
    let edited = read(&text, &STANDARD).unwrap(|_| true);
    assert_eq!(edited.refused, []);
    assert_eq!(edited.changed, [0]);
    let text = super::text(&edited).strip_prefix(r#"{"mcpServers":{"a":"#).unwrap();
    text.strip_suffix("}}").unwrap().to_owned()
}

#[test]
fn what_others_wrapped_is_unwrapped_to_what_follows_the_separator() {
    for (entry, expected) in [
        // By hand.
        (
            r#"{"command": "thoth", "args": ["run", "--agent-id", "a", "--", "npx", "-y"]}"#,
            r#"{"command": "npx", "args": ["-y"]}"#,
        ),
        (
            r#"{"command": "thoth", "args": [ "run", "--", "npx" ]}"#,
            r#"{"command": "npx", "args": []}"#,
        ),
        (
            r#"{"command": "thoth", "args": ["run", "--", "npx",]}"#,
            r#"{"command": "npx", "args": []}"#,
        ),
        (
            "{\"command\": \"thoth\", \"args\": [\n \"run\", // it\n \"--\",\n \"npx\", // that\n \"-y\"\n]}",
            "{\"command\": \"npx\", \"args\": [\n // that\n \"-y\"\n]}",
        ),
        // The original product, and its PATH through env(1).
        (
            r#"{"command":"thoth","args":["run","--agent-id","a","--tenant-id","t","--","/usr/bin/env","PATH=/x","npx","-y"]}"#,
            r#"{"command":"/usr/bin/env","args":["PATH=/x","npx","-y"]}"#,
        ),
        // Twice, from different places.
        (
            r#"{"command": "/b/thoth", "args": ["run", "--", "C:\\x\\THOTH.exe", "run", "--env", "prod", "--", "npx", "--", "z"]}"#,
            r#"{"command": "npx", "args": ["--", "z"]}"#,
        ),
        // A client wrote the file anew, with its own order and indentation.
        (
            r#"{
  "args": [
    "run",
    "--undo",
    "args,env,env.PATH",
    "--",
    "npx"
  ],
  "command": "/opt/thoth",
  "env": {
    "PATH": "/usr/bin"
  }
}"#,
            "{\n  \"command\": \"npx\"\n}",
        ),
        // Somebody added to what we had added.
        (
            r#"{"command": "thoth", "args": ["run", "--undo", "args,env,env.PATH", "--", "npx", "new"], "env": {"PATH": "/usr/bin", "MINE": "1"}}"#,
            r#"{"command": "npx", "args": ["new"], "env": {"MINE": "1"}}"#,
        ),
        // Our variable among others, and one that is gone.
        (
            r#"{"command": "thoth", "args": ["run", "--undo=env.PATH,env.GONE", "--", "npx"], "env": {"A": "1", /* ours */ "PATH": "x", "B": "2"}}"#,
            r#"{"command": "npx", "args": [], "env": {"A": "1" /* ours */ , "B": "2"}}"#,
        ),
    ] {
        assert_eq!(unwrapped(entry), expected, "{entry}");
    }
}

#[test]
fn an_older_wrapping_is_brought_up_to_date() {
    let original = r#"{"mcpServers": {"a": {"command": "thoth", "args": ["run", "--undo", "env.OLD", "--", "npx", "-y"], "env": {"OLD": "1"}}}}"#;
    let document = read(original, &STANDARD);
    let edited = document.wrap(with_path);
    assert_eq!(
        text(&edited),
        r#"{"mcpServers": {"a": {"command": "/opt/thoth", "args": ["run", "--agent-id", "a", "--undo", "env.PATH", "--", "npx", "-y"], "env": {"PATH": "/usr/bin"}}}}"#
    );
    assert_eq!(edited.changed, [0]);
    let twice = read(text(&edited), &STANDARD).wrap(with_path);
    assert_eq!((text(&twice), &twice.changed[..]), (text(&edited), &[][..]));
}

#[test]
fn what_cannot_be_brought_up_to_date_stays_wrapped() {
    let original = r#"{"mcpServers": {"a": {"command": "thoth", "args": ["run", "--", "npx"], "env": ["B=c"]}, "b": {"command": "b"}, "c": {}}}"#;
    let edited = read(original, &STANDARD).wrap(with_path);
    let refused: Vec<_> = edited.refused.iter().map(|(at, why)| (*at, why.as_str())).collect();
    assert_eq!(refused, [(0, "its `env` is not a map"), (2, "neither a command nor an address")]);
    assert_eq!(edited.changed, [1]);
    assert!(text(&edited).starts_with(&original[..original.find("\"b\": {").unwrap()]));
}

#[test]
fn the_list_may_come_back_among_the_flags() {
    let document = read(r#"{"mcpServers": {"a": {"command": "a"}}}"#, &STANDARD);
    let wrapped_text = document.wrap(plainly);
    let again = read(text(&wrapped_text), &STANDARD).wrap(|server| {
        let flags = ["--undo", "env.X", "--agent-id", "a"].map(str::to_owned).to_vec();
        plainly(server).map(|wrapping| Wrapping { flags, ..wrapping })
    });
    assert_eq!(text(&again), text(&wrapped_text));
}

#[test]
fn what_a_newer_version_wrapped_is_left_alone() {
    let original = r#"{"mcpServers": {"a": {"command": "thoth", "args": ["run", "--undo", "type", "--", "npx"]}}}"#;
    let document = read(original, &STANDARD);
    for edited in [document.unwrap(|_| true), document.wrap(plainly)] {
        assert_eq!(text(&edited), original);
        assert!(edited.refused[0].1.contains("newer"), "{:?}", edited.refused);
    }
}

#[test]
fn what_only_looks_like_thoth_is_wrapped_as_it_is() {
    for entry in [
        r#"{"command": "thoth", "args": ["run", "--agent-id", "a"]}"#,
        r#"{"command": "thoth", "args": ["run", "--"]}"#,
        r#"{"command": "thoth", "args": ["doctor", "--", "a"]}"#,
        r#"{"command": "/x/thoth.sh", "args": ["run", "--", "a"]}"#,
        r#"{"command": "env", "args": ["thoth", "run", "--", "a"]}"#,
    ] {
        let original = format!(r#"{{"mcpServers": {{"a": {entry}}}}}"#);
        let document = read(&original, &STANDARD);
        assert_eq!(text(&document.unwrap(|_| true)), original);
    }
}

#[test]
fn a_table_that_codex_made_of_ours_goes_away_with_it() {
    let text_before = "[mcp_servers.a]\ncommand = \"thoth\"\nargs = [\"run\", \"--undo\", \
                       \"args,env,env.PATH\", \"--\", \"npx\"]\n\n[mcp_servers.a.env]\n\
                       PATH = \"/usr/bin\"\n\n[mcp_servers.b]\ncommand = \"b\"\n";
    let edited = read(text_before, &CODEX).unwrap(|_| true);
    assert_eq!(
        text(&edited),
        "[mcp_servers.a]\ncommand = \"npx\"\n\n\n[mcp_servers.b]\ncommand = \"b\"\n"
    );
}

#[test]
fn blocks_that_goose_made_of_ours_go_away() {
    for (before, after) in [
        (
            "extensions:\n  a:\n    args:\n    - run\n    - --undo\n    - args,env,env.PATH\n    - --\n    \
             - npx\n    cmd: thoth\n    envs:\n      PATH: x\n    type: stdio\n",
            "extensions:\n  a:\n    cmd: npx\n    type: stdio\n",
        ),
        (
            "extensions:\n  a:\n    cmd: thoth\n    args:\n    - run\n    - --undo\n    - env.PATH\n    - --\n    \
             - npx\n    envs:\n      PATH: x\n    type: stdio\n",
            "extensions:\n  a:\n    cmd: npx\n    args: []\n    envs: {}\n    type: stdio\n",
        ),
        (
            "extensions:\n  a:\n    cmd: thoth\n    args:\n    - run\n    - # c\n      --\n    - npx\n    - -y\n",
            "extensions:\n  a:\n    cmd: npx\n    args:\n    - -y\n",
        ),
        // Nothing that is taken for wrapped, because it cannot be wrapped.
        (
            "extensions:\n  a:\n    cmd: thoth\n    args:\n    - run\n    - --\n    - |-\n      npx\n    - -y\n",
            "extensions:\n  a:\n    cmd: thoth\n    args:\n    - run\n    - --\n    - |-\n      npx\n    - -y\n",
        ),
    ] {
        assert_eq!(text(&read(before, &GOOSE).unwrap(|_| true)), after);
    }
}

#[test]
fn what_would_not_come_out_right_is_left_alone() {
    let before = "extensions:\n  a:\n    cmd: thoth\n    args:\n    - # c\n      run\n    - --\n    - npx\n    - -y\n";
    let edited = read(before, &GOOSE).unwrap(|_| true);
    assert_eq!((text(&edited), edited.refused.len()), (before, 1));
}
