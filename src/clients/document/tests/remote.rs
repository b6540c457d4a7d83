//! Entries that are reached at an address become commands, and come back.

use super::*;
use crate::clients::remote::{Vault, plan};

/// What the entries of a client's file are wrapped with, each with its secrets in files.
fn wrappings(document: &Document, client: &str) -> Vec<Option<Wrapping>> {
    let wrapping = |(at, server): (usize, &Server)| {
        let flags = vec!["--agent-id".to_owned(), server.name.clone()];
        if let Transport::Stdio { command, args, .. } = &server.transport {
            let flags = bridged(command, args).map_or(flags, |bridged| bridged.flags);
            let (program, env) = ("/opt/thoth".to_owned(), document.added(at));
            return Some(Wrapping { program, flags, env, bridge: Bridge::default() });
        }
        let mut plan = plan(client, &document.address(at)?.ok()?).ok()?;
        plan.keep(&Vault { token: "/s/token".to_owned(), headers: "/s/headers".to_owned() });
        let flags = [flags, plan.words()].concat();
        Some(plan.wrapping("/opt/thoth".to_owned(), flags, Vec::new()))
    };
    document.servers().iter().enumerate().map(wrapping).collect()
}

/// Wraps every entry of a file, wraps it again, and unwraps it. What it is wrapped.
fn journey(client: &str, shape: &Shape, original: &str) -> String {
    let document = read(original, shape);
    let wrappings_now = wrappings(&document, client);
    let mut each = wrappings_now.iter();
    let wrapped = document.wrap(|_| each.next().cloned().flatten());
    assert_eq!(wrapped.refused, [], "{original}");
    let again = read(text(&wrapped), shape);
    let mut each = wrappings(&again, client).into_iter();
    let twice = again.wrap(|_| each.next().flatten());
    assert_eq!(text(&twice), text(&wrapped), "wrapping twice is wrapping once");
    let back = again.unwrap_filled(
        |_| true,
        |at, hole| {
            let kept = &wrappings_now[at].as_ref()?.bridge.kept;
            kept.iter().find(|kept| kept.hole == *hole).map(|kept| kept.secret.clone())
        },
    );
    assert_eq!(back.refused, [], "{}", text(&wrapped));
    assert_eq!(text(&back), original, "there and back:\n{}", text(&wrapped));
    for server in again.servers() {
        assert!(matches!(server.transport, Transport::Stdio { .. }), "{}", text(&wrapped));
    }
    text(&wrapped).to_owned()
}

/// The wrapped text without what it remembers, which nobody reads.
fn shown(wrapped: &str) -> String {
    let mut text = String::new();
    let mut rest = wrapped;
    while let Some(at) = rest.find("remote=") {
        text.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches(|c: char| c != '"');
        text.push_str("remote=…");
    }
    text + rest
}

#[test]
fn an_address_becomes_a_command_in_its_place() {
    let original = r#"{
  "mcpServers": {
    "docs": {
      "type": "http",
      "url": "https://docs.example/mcp", // production
      "headers": { "Authorization": "Bearer ${DOCS_TOKEN}", "X-Region": "eu" },
      "timeout": 60 // seconds
    }
  }
}
"#;
    let expected = r#"{
  "mcpServers": {
    "docs": {
      "type": "stdio",
      "command": "/opt/thoth",
      "args": ["run", "--agent-id", "docs", "--url", "https://docs.example/mcp", "--transport", "http", "--upstream-header", "X-Region: eu", "--undo", "env,env.THOTH_UPSTREAM_TOKEN,remote=…"],
      "env": {"THOTH_UPSTREAM_TOKEN": "${DOCS_TOKEN}"} // production
      ,
      "timeout": 60 // seconds
    }
  }
}
"#;
    let wrapped = journey("claude-code", &STANDARD, original);
    assert_eq!(shown(&wrapped), expected, "{wrapped}");
}

#[test]
fn what_is_written_in_any_way_comes_back() {
    for original in [
        r#"{"mcpServers":{"a":{"url":"https://a.example"}}}"#,
        r#"{"mcpServers":{"a":{"url":"https:\/\/a.example","type":"sse","disabled":true}}}"#,
        r#"{"mcpServers":{"a":{"headers":{},"url":"https://a.example"}}}"#,
        r#"{"mcpServers":{"a":{"headers":{"X-A":"${A}"},"type":"http","url":"https://a.example",}}}"#,
        r#"{"mcpServers":{"a":{ /* 1 */ "headers" /* 2 */ : /* 3 */ {} /* 4 */ , /* 5 */ "url" : "https://a.example" /* 6 */ }}}"#,
        r#"{"mcpServers":{"a":{"url":"https://a.example","tools":["*"],"headers":{"Authorization":"Bearer hunter2-hunter2"},"x":1}}}"#,
        "{\"mcpServers\":{\"a\":{\r\n\t\"x\": 1,\r\n\t\"headers\": {\"X-Key\": \"hunter2-hunter2\", \"Cookie\": \"a=hunter3\"}, // secret\r\n\t// more\r\n\t\"url\": \"http://127.0.0.1:1/sse\" // here\r\n}}}",
        r#"{"mcpServers":{"a":{"url":"https://a.example","env":{"A":"b"},"headers":{"X-Key":"${K}"}}}}"#,
        r#"{"mcpServers":{"a":{"url":"https://a.example","env":{},"headers":{"X-Key":"${K}"}}}}"#,
        r#"{"mcpServers":{"a":{"url":"https://a.example","env":null,"headers":{"X-Key":"${K}"}}}}"#,
        r#"{"mcpServers":{"a":{"url":"https://a.example","headersHelper":"/bin/h --x 'y'"}, "b": {"command": "npx"}, "c": {"\u0075rl": "https://c.example"}}}"#,
        r#"{"mcpServers":{"":{"url":"https://a.example","":1,"headers":{}}}}"#,
    ] {
        let wrapped = journey("claude-code", &STANDARD, original);
        assert!(!wrapped.contains("hunter2") && !wrapped.contains("hunter3"), "{wrapped}");
    }
    let original = r#"{"mcp":{"a":{"type":"remote","url":"https://a.example","enabled":true,"headers":{"X-Key":"{env:K}"}}}}"#;
    let wrapped = journey("opencode", &OPENCODE, original);
    assert!(wrapped.contains(r#""type":"local","command":["/opt/thoth", "run""#), "{wrapped}");
    assert!(wrapped.contains(r#""environment":{"THOTH_UPSTREAM_VALUE_X_KEY": "{env:K}"}"#));
}

#[test]
fn toml_is_written_as_codex_wants_it() {
    for original in [
        "[mcp_servers.a]\nurl = \"https://a.example\"\n",
        "[mcp_servers.a]\nurl = 'https://a.example' # x\nbearer_token_env_var = \"A_TOKEN\" # y\nenabled = true\n",
        "[mcp_servers.a]\nhttp_headers = { \"X-Region\" = \"eu\" }\nurl = \"https://a.example\"",
        "[mcp_servers.a]\r\nurl = \"https://a.example\"\r\n\r\n# of a\r\n[mcp_servers.a.http_headers]\r\n\"X-Key\" = 'hunter2-hunter2'\r\nX-Region = \"eu\"\r\n\r\n[mcp_servers.b]\r\ncommand = \"b\"\r\n",
        "[mcp_servers.a]\nurl = \"https://a.example\"\nenv_http_headers = { \"X-Key\" = \"A_KEY\" }\n[mcp_servers.a.tools.x]\napproval = \"never\"\n",
        "mcp_servers.a.url = \"https://a.example\"\nmcp_servers.a.http_headers.X-Region = \"eu\"\n",
        "[mcp_servers]\na = { url = \"https://a.example\", bearer_token_env_var = \"A\", enabled = true }\n",
    ] {
        let wrapped = journey("codex", &CODEX, original);
        assert!(!wrapped.contains("hunter2"), "{wrapped}");
        assert!(!wrapped.contains("url =") && !wrapped.contains("http_headers"), "{wrapped}");
    }
    let original = "[mcp_servers.a]\nurl = \"https://a.example\"\nbearer_token_env_var = \"A_TOKEN\"\ntool_timeout_sec = 9\n";
    let expected = "[mcp_servers.a]\ncommand = \"/opt/thoth\"\nargs = [\"run\", \"--agent-id\", \"a\", \"--url\", \"https://a.example\", \"--upstream-token-env\", \"A_TOKEN\", \"--undo\", \"remote=…\"]\nenv_vars = [\"A_TOKEN\"]\ntool_timeout_sec = 9\n";
    assert_eq!(shown(&journey("codex", &CODEX, original)), expected);
}

#[test]
fn yaml_is_written_as_its_clients_want_it() {
    for original in [
        "extensions:\n  a:\n    type: streamable_http\n    uri: https://a.example\n    name: a\n",
        "extensions:\n  a:\n    headers: {}\n    uri: 'https://a.example' # x\n    envs: {}\n    type: sse\n",
        "extensions:\n  a:\n    uri: https://a.example\n    headers:   # y\n      Authorization: Bearer hunter2-hunter2   # z\n      X-Region: eu\n    enabled: true\n",
        "extensions:\r\n  a:\r\n    uri: https://a.example\r\n    headers:\r\n      X-Key: \"${A_KEY}\"\r\n    env_keys:\r\n    - A_KEY\r\n  b: {cmd: b}\r\n",
        "extensions:\n  a: {uri: \"https://a.example\", type: sse, headers: {Authorization: 'Bearer $A'}}\n",
    ] {
        let wrapped = journey("goose", &GOOSE, original);
        assert!(!wrapped.contains("hunter2"), "{wrapped}");
        assert!(!wrapped.contains("uri:") && !wrapped.contains("headers:"), "{wrapped}");
    }
    for original in [
        "mcpServers:\n  - name: a\n    type: streamable-http\n    url: https://a.example\n    requestOptions:\n      headers:\n        Authorization: Bearer ${{ secrets.A }}\n  - name: b\n    command: b\n",
        "mcpServers:\n- url: https://a.example\n  name: a\n",
        "mcpServers:\n- requestOptions: {headers: {X-Region: eu}}\n  url: https://a.example\n  name: a\n",
    ] {
        let wrapped = journey("continue", &CONTINUE, original);
        assert!(!wrapped.contains("url:") && !wrapped.contains("requestOptions"), "{wrapped}");
    }
}

#[test]
fn what_was_edited_since_stays_edited() {
    let original = r#"{"mcpServers": {"a": {"url": "https://a.example", "headers": {"X-A": "${A}"}, "disabled": false}}}"#;
    let wrapped = journey("cline", &STANDARD, original);
    let edited = wrapped
        .replace(r#""disabled": false"#, r#""disabled": true, "timeout": 5"#)
        .replace("https://a.example", "https://b.example");
    let back = read(&edited, &STANDARD).unwrap(|_| true);
    let expected = r#"{"mcpServers": {"a": {"url": "https://b.example", "headers": {"X-A": "${A}"}, "disabled": true, "timeout": 5}}}"#;
    assert_eq!((text(&back), &back.refused[..]), (expected, &[][..]));
    // Even where a client has written the whole file anew.
    let value: serde_json::Value = serde_json::from_str(&edited).unwrap();
    let anew = serde_json::to_string_pretty(&value).unwrap();
    let back = read(&anew, &STANDARD).unwrap(|_| true);
    assert_eq!(back.refused, []);
    let back: serde_json::Value = serde_json::from_slice(&back.text).unwrap();
    assert_eq!(back, serde_json::from_str::<serde_json::Value>(expected).unwrap());
}

#[test]
fn an_entry_with_a_secret_elsewhere_comes_back_only_with_it() {
    let original = r#"{"mcpServers": {"a": {"url": "https://a.example", "headers": {"Authorization": "Bearer hunter2-hunter2"}}}}"#;
    let wrapped = journey("cursor", &STANDARD, original);
    let document = read(&wrapped, &STANDARD);
    let back = document.unwrap(|_| true);
    assert_eq!((text(&back), back.changed.len(), back.refused.len()), (&*wrapped, 0, 1));
    let rotated = document.unwrap_filled(|_| true, |_, _| Some("another".to_owned()));
    assert_eq!(text(&rotated), original.replace("hunter2-hunter2", "another"));
}

#[test]
fn what_thoth_was_told_by_hand_is_not_unwrapped() {
    let text_of = r#"{"mcpServers": {"a": {"command": "/opt/thoth", "args": ["run", "--agent-id", "a", "--url=https://a.example"]}}}"#;
    let document = read(text_of, &STANDARD);
    let back = document.unwrap(|_| true);
    assert_eq!((text(&back), back.refused.len()), (text_of, 1));
    let wrapped = document.wrap(|_| {
        let flags = ["--agent-id", "a", "--url=https://a.example", "--env", "dev"];
        Some(Wrapping {
            program: "/new/thoth".to_owned(),
            flags: flags.map(str::to_owned).into(),
            env: Vec::new(),
            bridge: Bridge::default(),
        })
    });
    assert_eq!(wrapped.refused, []);
    assert!(text(&wrapped).contains("/new/thoth") && text(&wrapped).contains("\"dev\""));
}

#[test]
fn a_wrapped_entry_is_brought_up_to_date_and_still_comes_back() {
    let original = "{\"mcpServers\": {\n \"a\": {\n  \"url\": \"https:\\/\\/a.example\", // x\n  \"headers\": {\"X-Key\": \"${K}\"}\n }}}";
    let wrapped = journey("cursor", &STANDARD, original);
    let document = read(&wrapped, &STANDARD);
    let newer = document.wrap(|server| {
        let Transport::Stdio { command, args, .. } = &server.transport else { return None };
        let mut flags = bridged(command, args)?.flags;
        flags.extend(["--tenant-id".to_owned(), "acme".to_owned()]);
        let env = [document.added(0), vec![("PATH".to_owned(), "/bin".to_owned())]].concat();
        Some(Wrapping { program: "/new/thoth".to_owned(), flags, env, bridge: Bridge::default() })
    });
    assert_eq!((&newer.refused[..], &newer.changed[..]), (&[][..], &[0][..]));
    let back = read(text(&newer), &STANDARD).unwrap(|_| true);
    assert_eq!(text(&back), original, "{}", text(&newer));
}

#[test]
fn what_cannot_be_taken_over_is_refused() {
    for (entry, told) in [
        (r#"{"url": "https://a", "httpUrl": "https://b"}"#, "given twice"),
        (r#"{"url": "https://a", "args": []}"#, "`args` beside"),
        (r#"{"url": "https://a", "headers": ["A: b"]}"#, "not a map"),
        (r#"{"url": "https://a", "headers": {"A": 1}}"#, "not all strings"),
        (r#"{"url": "https://a", "headers": {"A": "b", "a": "c"}}"#, "twice"),
        (r#"{"url": "https://a", "headers": {}, "headers": {}}"#, "readers differ"),
        (r#"{"url": "https://a", "requestOptions": {"verifySsl": false}}"#, "cannot follow"),
        (r#"{"url": "https://a", "socket": "/s"}"#, "cannot follow"),
        (r#"{"url": "https://a", "headersHelper": 1}"#, "not a string"),
    ] {
        let text = format!("{{\"mcpServers\": {{\"a\": {entry}}}}}");
        let document = read(&text, &STANDARD);
        let why = document.address(0).unwrap().unwrap_err();
        assert!(why.contains(told), "{entry}: {why}");
    }
}
