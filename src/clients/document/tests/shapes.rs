//! The shapes of entries, and what is made of the odd ones.

use super::*;

fn other(what: &str) -> Transport {
    Transport::Other { what: what.to_owned() }
}

fn stdio(command: &str, args: &[&str], env: &[&str]) -> Transport {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Transport::Stdio { command: command.to_owned(), args: owned(args), env: owned(env) }
}

fn remote(member: &str, url: &str) -> Transport {
    Transport::Remote { member: member.to_owned(), url: url.to_owned() }
}

/// The only server's transport.
fn transport(entry: &str, shape: &Shape) -> Transport {
    let text = match shape.syntax {
        Syntax::Json => format!("{{\"{}\": {{\"a\": {entry}}}}}", shape.servers[0][0]),
        Syntax::Toml => format!("[mcp_servers]\na = {entry}"),
        Syntax::Yaml => format!("y: &x 1\n{}: {{a: {entry}}}", shape.servers[0][0]),
    };
    read(&text, shape).servers()[0].transport.clone()
}

#[test]
fn each_entry_is_taken_for_what_it_is() {
    let url = "https://x/";
    for (entry, shape, expected) in [
        (r#"{"command": "a"}"#, STANDARD, stdio("a", &[], &[])),
        (
            r#"{"command": "a", "args": ["b", ""], "env": {"C": "d", "E": 5}}"#,
            STANDARD,
            stdio("a", &["b", ""], &["C", "E"]),
        ),
        (
            r#"{"command": "a", "args": null, "env": null, "url": null}"#,
            STANDARD,
            stdio("a", &[], &[]),
        ),
        (r#"{"command": "a", "url": ""}"#, STANDARD, stdio("a", &[], &[])),
        (
            r#"{"command": "\u0061\/", "args": ["\ud83d\ude00", "\ud83d!"]}"#,
            STANDARD,
            stdio("a/", &["😀", "\u{fffd}!"], &[]),
        ),
        (
            r#"{"type": "stdio", "command": "a", "url": "https://x/"}"#,
            STANDARD,
            stdio("a", &[], &[]),
        ),
        (
            r#"{"command": ["a", "b"], "environment": {"C": ""}}"#,
            OPENCODE,
            stdio("a", &["b"], &["C"]),
        ),
        (r#"{"type": "local", "command": ["a"], "enabled": true}"#, OPENCODE, stdio("a", &[], &[])),
        (
            r#"{"command": {"path": "a", "args": ["b"], "env": {"C": ""}}}"#,
            ZED,
            stdio("a", &["b"], &["C"]),
        ),
        (r#"{"source": "custom", "command": "a"}"#, ZED, stdio("a", &[], &[])),
        (r#"{"url": "https://x/"}"#, STANDARD, remote("url", url)),
        (r#"{"httpUrl": "https://x/"}"#, STANDARD, remote("httpUrl", url)),
        (r#"{"serverUrl": "https://x/"}"#, STANDARD, remote("serverUrl", url)),
        (r#"{"type": "http", "url": "https://x/", "command": "a"}"#, STANDARD, remote("url", url)),
        (r#"{"type": "streamableHttp", "url": "https://x/"}"#, STANDARD, remote("url", url)),
        (r#"{"type": "streamable-http", "url": "https://x/"}"#, STANDARD, remote("url", url)),
        ("{type: streamable_http, uri: 'https://x/'}", GOOSE, remote("uri", url)),
        ("{cmd: a, args: [b], envs: {C: d}}", GOOSE, stdio("a", &["b"], &["C"])),
        ("{command='a', args=['b'], env={C='d'}}", CODEX, stdio("a", &["b"], &["C"])),
    ] {
        assert_eq!(transport(entry, &shape), expected, "{entry}");
    }
}

#[test]
fn each_entry_that_cannot_be_wrapped_is_told_why() {
    let repeated = |name: &str| format!("two members are called `{name}`, and readers differ");
    let (command, args) = (repeated("command"), repeated("args"));
    let (env, kind) = (repeated("env"), repeated("type"));
    let both = "both a command and an address, and clients differ in which they take";
    let none = "neither a command nor an address";
    for (entry, shape, expected) in [
        (r#"{"command": "a", "url": "https://x/"}"#, STANDARD, both),
        (r#"{"command": "a", "httpUrl": "https://x/"}"#, STANDARD, both),
        ("{}", STANDARD, none),
        (r#"{"command": null}"#, STANDARD, none),
        (r#"{"cmd": "a"}"#, STANDARD, none),
        (r#"{"type": "http"}"#, STANDARD, none),
        (r#"{"source": "extension", "settings": {}}"#, ZED, "an extension of the client"),
        ("{type: builtin, name: memory}", GOOSE, "a built-in of the client"),
        ("{type: platform, cmd: a}", GOOSE, "a built-in of the client"),
        (
            r#"{"type": "sse", "command": "a"}"#,
            STANDARD,
            "a remote one by its type, without an address",
        ),
        (r#"{"url": 5}"#, STANDARD, "its `url` is not a string"),
        (r#"{"command": ""}"#, STANDARD, "its command is empty"),
        (r#"{"command": 5}"#, STANDARD, "its command is not a string"),
        (r#"{"command": []}"#, OPENCODE, "its command is not a list of strings"),
        (r#"{"command": ["a", 5]}"#, OPENCODE, "its command is not a list of strings"),
        (
            r#"{"command": ["a"], "args": ["b"]}"#,
            OPENCODE,
            "a list as its command, and `args` beside it",
        ),
        (r#"{"command": {"args": []}}"#, ZED, "no command"),
        (r#"{"command": "a", "args": "b"}"#, STANDARD, "its `args` are not all strings"),
        (r#"{"command": "a", "args": ["b", 5]}"#, STANDARD, "its `args` are not all strings"),
        ("{cmd: a, args: [8080]}", GOOSE, "its `args` are not all strings"),
        ("{cmd: 0x1f}", GOOSE, "its command is not a string"),
        (r#"{"command": "a", "command": "b"}"#, STANDARD, &command),
        (r#"{"command": "a", "args": [], "args": []}"#, STANDARD, &args),
        (r#"{"command": "a", "env": {}, "env": {}}"#, STANDARD, &env),
        (r#"{"command": "a", "type": "stdio", "type": "http"}"#, STANDARD, &kind),
        (r#""npx a""#, STANDARD, "the entry is not a map"),
        ("null", STANDARD, "the entry is not a map"),
        ("*x", GOOSE, "it is an alias (`*`)"),
        ("&x {cmd: a}", GOOSE, "it has an anchor (`&`)"),
        ("{cmd: &x a}", GOOSE, "it has an anchor (`&`)"),
        ("{cmd: a, args: [*x]}", GOOSE, "its `args` are not all strings"),
        ("{cmd: a, args: &x [b]}", GOOSE, "it has an anchor (`&`)"),
        ("{cmd: a, envs: *x}", GOOSE, "it is an alias (`*`)"),
        ("{cmd: !!str a}", GOOSE, "it has a tag (`!`)"),
        ("{<<: *x, cmd: a}", GOOSE, "it takes members from elsewhere in the file (`<<`)"),
    ] {
        assert_eq!(transport(entry, &shape), other(expected), "{entry}");
    }
}

#[test]
fn what_cannot_be_wrapped_is_named_and_left_alone() {
    let original = r#"{"mcpServers": {
  "far": {"url": "https://example.com/mcp"}, "odd": {}, "near": {"command": "a"}, "near": {"command": "b"}
}}"#;
    let document = read(original, &STANDARD);
    let edited = document.wrap(plainly);
    assert_eq!(
        edited.refused,
        [
            (0, "it is reached at an address, and is not to be wrapped as such".to_owned()),
            (1, "neither a command nor an address".to_owned())
        ]
    );
    assert_eq!(edited.changed, [2, 3], "a name that occurs twice is two entries");
    let after = read(text(&edited), &STANDARD);
    assert_eq!(after.servers()[0], document.servers()[0]);
    assert_eq!(text(&after.unwrap(|_| true)), original);
}

#[test]
fn only_the_chosen_are_changed() {
    let original = r#"{"mcpServers": {"a": {"command": "a"}, "b": {"command": "b"}}}"#;
    let document = read(original, &STANDARD);
    let wrapped = document.wrap(|server| plainly(server).filter(|_| server.name == "b"));
    assert_eq!(wrapped.changed, [1]);
    assert!(text(&wrapped).starts_with(r#"{"mcpServers": {"a": {"command": "a"}, "b": {"#));
    let both = read(text(&wrapped), &STANDARD).wrap(plainly);
    assert_eq!(both.changed, [0], "the other one is wrapped the same already");
    let back = read(text(&both), &STANDARD).unwrap(|server| server.name == "a");
    assert_eq!((text(&back), &back.changed[..]), (text(&wrapped), &[0][..]));
}

#[test]
fn a_disabled_entry_is_known_and_can_be_wrapped() {
    let document = read(
        r#"{"mcpServers": {"a": {"command": "a", "disabled": true}, "b": {"command": "b", "enabled": false},
            "c": {"command": "c", "disabled": false, "enabled": true}, "d": {"url": "u", "disabled": true}}}"#,
        &STANDARD,
    );
    let disabled: Vec<bool> = document.servers().iter().map(|server| server.disabled).collect();
    assert_eq!(disabled, [true, true, false, true]);
    assert_eq!(document.wrap(plainly).changed, [0, 1, 2]);
}

#[test]
fn servers_of_projects_are_found_in_the_order_of_the_file() {
    let document = read(
        r#"{"projects": {"/srv/app": {"mcpServers": {"one": {"command": "1"}}}, "/x": {}, "/y": null},
            "mcpServers": {"two": {"command": "2"}}}"#,
        &STANDARD,
    );
    let found: Vec<_> = document
        .servers()
        .iter()
        .map(|server| (server.name.as_str(), server.within.join(" ")))
        .collect();
    assert_eq!(
        found,
        [("one", "projects /srv/app mcpServers".to_owned()), ("two", "mcpServers".to_owned())]
    );
}

#[test]
fn an_array_as_the_command_and_a_command_with_a_path() {
    let original =
        r#"{"mcp": {"a": {"type": "local", "command": ["npx", "-y"], "enabled": true}}}"#;
    assert_eq!(
        there_and_back(original, &OPENCODE, with_path),
        r#"{"mcp": {"a": {"type": "local", "command": ["/opt/thoth", "run", "--agent-id", "a", "--undo", "env,env.PATH", "--", "npx", "-y"], "environment": {"PATH": "/usr/bin"}, "enabled": true}}}"#
    );
    let original = r#"{"context_servers": {"a": {"command": { "path": "npx" }, "settings": {}}}}"#;
    assert_eq!(
        there_and_back(original, &ZED, with_path),
        r#"{"context_servers": {"a": {"command": { "path": "/opt/thoth", "args": ["run", "--agent-id", "a", "--undo", "args,env,env.PATH", "--", "npx"], "env": {"PATH": "/usr/bin"} }, "settings": {}}}}"#
    );
}

#[test]
fn placeholders_separators_and_escapes_survive() {
    let original = r#"{"servers": {"a": {"command": "${input:cmd}", "args": ["\u002d\/x", "--", "${env:B}", "run", "--"]},
      "b": {"command": "cmd", "args": ["/c", "npx", "é\t"]}}}"#;
    let shape = Shape { servers: &[&["servers"]], ..STANDARD };
    let wrapped_text = there_and_back(original, &shape, plainly);
    assert!(
        wrapped_text
            .contains(r#""--", "${input:cmd}", "\u002d\/x", "--", "${env:B}", "run", "--"]"#)
    );
    let document = read(&wrapped_text, &shape);
    let Transport::Stdio { command, args, .. } = &document.servers()[0].transport else { panic!() };
    let inner = wrapped(command, args).unwrap();
    assert_eq!((inner.program, inner.command), ("/opt/thoth", "${input:cmd}"));
    assert_eq!(inner.flags, ["--agent-id", "a"]);
    assert_eq!(inner.args, ["-/x", "--", "${env:B}", "run", "--"]);
}

#[test]
fn a_variable_that_is_there_stays_and_is_told() {
    let original = r#"{"mcpServers": {"a": {"command": "a", "env": {"Path": "mine"}}}}"#;
    let edited = read(original, &STANDARD).wrap(with_path);
    assert_eq!(edited.kept, [(0, "PATH".to_owned())]);
    assert!(text(&edited).contains(r#""env": {"Path": "mine"}"#));
    assert_eq!(text(&read(text(&edited), &STANDARD).unwrap(|_| true)), original);
}

#[test]
fn a_wrapping_that_could_not_be_undone_is_refused() {
    let document = read(r#"{"mcpServers": {"a": {"command": "a", "env": ["B=c"]}}}"#, &STANDARD);
    let good = plainly(&document.servers()[0]).unwrap();
    let variable = |name: &str| vec![(name.to_owned(), String::new())];
    for (wrapping, why) in [
        (Wrapping { program: "/bin/sh".to_owned(), ..good.clone() }, "called thoth"),
        (
            Wrapping { flags: vec!["--agent-id".to_owned(), "--".to_owned()], ..good.clone() },
            "`--`",
        ),
        (Wrapping { env: variable("a,b"), ..good.clone() }, "name"),
        (Wrapping { env: variable("PATH"), ..good }, "`env` is not a map"),
    ] {
        let edited = document.wrap(|_| Some(wrapping.clone()));
        assert_eq!(edited.text, document.bytes());
        assert!(edited.refused[0].1.contains(why), "{:?}", edited.refused);
    }
    assert_eq!(document.wrap(plainly).changed, [0]);
}

#[test]
fn yaml_that_cannot_be_moved_is_refused_by_name() {
    for (entry, why) in [
        ("cmd: |\n      npx\n", "a block of text"),
        ("cmd: npx\n      foo\n", "several lines"),
        ("cmd: a,b\n", "in quotes"),
        ("? cmd\n    : npx\n", "question mark"),
        ("cmd: \"a\\\n      b\"\n", "several lines"),
    ] {
        let original = format!("extensions:\n  a:\n    {entry}  b:\n    cmd: b\n");
        let edited = read(&original, &GOOSE).wrap(plainly);
        assert_eq!(edited.changed, [1], "{original}");
        assert!(edited.refused[0].1.contains(why), "{:?}", edited.refused);
        let back = read(text(&edited), &GOOSE).unwrap(|_| true);
        assert_eq!(text(&back), original);
    }
}
