//! Which servers are wrapped, with what, and which are not.

use clap::Parser as _;

use super::*;
use crate::config;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::{self, Transport};

/// An entry with these headers.
fn address(url: &str, headers: &[(&str, &str)]) -> Address {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Address {
        member: "url".to_owned(),
        url: url.to_owned(),
        kind: None,
        headers: headers.iter().map(pair).collect(),
        header_variables: Vec::new(),
        token_variable: None,
        helper: None,
        login: None,
        env: Vec::new(),
    }
}

const URL: &str = "https://a.example/mcp";

/// What becomes of one header: the flags behind the address, the variables, the secrets.
fn header(client: &str, name: &str, value: &str) -> String {
    match plan(client, &address(URL, &[(name, value)])) {
        Ok(plan) => {
            let env = plan.env.iter().map(|(name, value)| format!("{name}={value}"));
            let secrets = plan.secrets.iter().map(|kept| {
                format!("{}:{}", kept.hole.header.as_deref().unwrap_or("token"), kept.secret)
            });
            let all = plan.words().into_iter().skip(2).chain(env).chain(secrets);
            all.collect::<Vec<_>>().join(" | ")
        }
        Err(why) => why,
    }
}

#[test]
fn each_header_goes_where_it_belongs() {
    for (client, name, value, expected) in [
        ("cursor", "Authorization", "Bearer ${env:T}", "THOTH_UPSTREAM_TOKEN=${env:T}"),
        ("vscode", "authorization", "bearer ${input:x}", "THOTH_UPSTREAM_TOKEN=${input:x}"),
        ("crush", "Authorization", "Bearer $T", "THOTH_UPSTREAM_TOKEN=$T"),
        ("opencode", "Authorization", "Bearer {env:T}", "THOTH_UPSTREAM_TOKEN={env:T}"),
        (
            "continue",
            "Authorization",
            "Bearer ${{ secrets.T }}",
            "THOTH_UPSTREAM_TOKEN=${{ secrets.T }}",
        ),
        ("goose", "Authorization", "Bearer ${T}", "--upstream-token-env | T"),
        ("goose", "X-Key", "$T", "--upstream-header-env | X-Key=T"),
        (
            "cursor",
            "X-API-Key",
            "${env:K}",
            "--upstream-header-env | X-API-Key=THOTH_UPSTREAM_VALUE_X_API_KEY | \
             THOTH_UPSTREAM_VALUE_X_API_KEY=${env:K}",
        ),
        (
            "cursor",
            "Authorization",
            "Basic ${env:K}",
            "--upstream-header-env | Authorization=THOTH_UPSTREAM_VALUE_AUTHORIZATION | \
             THOTH_UPSTREAM_VALUE_AUTHORIZATION=Basic ${env:K}",
        ),
        ("cursor", "Authorization", "Bearer abc", "token:abc"),
        ("cursor", "Authorization", "Basic abc", "Authorization:Basic abc"),
        ("cursor", "Authorization", "abc", "Authorization:abc"),
        ("cursor", "Cookie", "a=b", "Cookie:a=b"),
        ("cursor", "X-Api-Key", "abc", "X-Api-Key:abc"),
        ("cursor", "X-Thing", "hunter2", "X-Thing:hunter2"),
        ("cursor", "X-Thing", "ghp_abcdefgh", "X-Thing:ghp_abcdefgh"),
        ("cursor", "X-Thing", "abcdefghijklmnopqrstuvwxyz", "X-Thing:abcdefghijklmnopqrstuvwxyz"),
        ("cursor", "X-Region", "eu", "--upstream-header | X-Region: eu"),
        ("cursor", "X-Region", "us-east-1", "--upstream-header | X-Region: us-east-1"),
        (
            "cursor",
            "Accept-Language",
            "de, en;q=0.5",
            "--upstream-header | Accept-Language: de, en;q=0.5",
        ),
        ("cursor", "X-Toolsets", "repos,issues", "--upstream-header | X-Toolsets: repos,issues"),
        ("cursor", "Content-Type", "application/json", ""),
        ("cursor", "Mcp-Protocol-Version", "2025-06-18", ""),
        ("cursor", "Host", "x", "its `Host` header is the transport's own"),
        ("cursor", "a b", "x", "it has a header whose name is none"),
        ("cursor", "X-Key", "", "its `X-Key` header is empty"),
        ("cursor", "X-Key", "a\nb", "its `X-Key` header has a character that cannot be sent"),
        (
            "cursor",
            "X-Key",
            "a\"b",
            "the value of its `X-Key` header has quotes in it, and cannot be moved",
        ),
        (
            "cursor",
            "X-Key",
            "${env:K}hunter2hunter2",
            "its `X-Key` header has a placeholder with more beside it",
        ),
        (
            "claude-code",
            "X-Key",
            "${K:-hunter2hunter2}",
            "its `X-Key` header has a placeholder with more beside it",
        ),
        (
            "zed",
            "X-Key",
            "${K}",
            "its `X-Key` header has a placeholder, which its client (zed) is not known to fill in",
        ),
    ] {
        assert_eq!(header(client, name, value), expected, "{client} {name}: {value}");
    }
}

#[test]
fn which_addresses_are_taken_over() {
    for (url, told) in [
        ("https://a.example/mcp", ""),
        ("https://my-mcp-server-2025-eu.example:8443/v1/projects/my-project-1/mcp", ""),
        ("http://127.0.0.1:3845/sse", ""),
        ("http://[::1]:1/", ""),
        ("http://localhost/", ""),
        ("${env:BASE}/mcp", ""),
        ("https://${env:HOST}/mcp", ""),
        ("${BASE:-https://a.example}/mcp", ""),
        ("${SCHEME}://a.example/mcp", ""),
        ("${BASE:-https://a.example/?token=x}/mcp", "hold a secret"),
        ("http://a.example/mcp", "without TLS"),
        ("http://localhost.a.example/", "without TLS"),
        ("http://10.0.0.1/", "without TLS"),
        ("unix:///tmp/mcp.sock", "a socket"),
        ("pipe:///mcp", "a socket"),
        ("ftp://a.example", "not https"),
        ("a.example", "is none"),
        ("https://", "is none"),
        ("https://a.example/#x", "fragment"),
        ("https://me:word@a.example/", "hold a secret"),
        ("https://a.example/?token=x", "hold a secret"),
        ("https://a.example/?x=${env:Y}", "hold a secret"),
        ("https://${env:TOKEN}.example/", "hold a secret"),
        ("https://a.example/s/0a1b2c3d4e5f60718293/mcp", "hold a secret"),
    ] {
        let found = plan("cursor", &address(url, &[])).map(|plan| plan.proof);
        match found {
            Ok(proof) => assert_eq!((told, proof), ("", Proof::Nothing), "{url}"),
            Err(why) => assert!(!told.is_empty() && why.contains(told), "{url}: {why}"),
        }
    }
    assert!(plan("codex", &address("https://${X}/mcp", &[])).is_err());
}

#[test]
fn what_any_client_fills_in_is_left_for_it() {
    for value in ["Bearer ${T}", "Bearer ${input:t}", "Bearer $T", "Bearer {env:T}"] {
        let plan = plan_anywhere(&address(URL, &[("Authorization", value)])).unwrap();
        let token = value.strip_prefix("Bearer ").unwrap().to_owned();
        assert_eq!(plan.env, [("THOTH_UPSTREAM_TOKEN".to_owned(), token)]);
        assert!(plan.secrets.is_empty());
    }
    let plan = plan_anywhere(&address(URL, &[("Authorization", "Bearer {x}")])).unwrap();
    assert_eq!(plan.secrets.len(), 1);
}

#[test]
fn the_transport_that_the_entry_demands_is_kept() {
    for (client, member, kind, expected) in [
        ("cursor", "url", None, None),
        ("cursor", "url", Some("sse"), Some("sse")),
        ("cline", "url", Some("streamablehttp"), Some("http")),
        ("goose", "uri", Some("streamable_http"), Some("http")),
        ("roo-code", "url", Some("streamable-http"), Some("http")),
        ("opencode", "url", Some("remote"), None),
        ("gemini", "url", None, Some("sse")),
        ("gemini", "httpUrl", None, Some("http")),
        ("gemini", "serverUrl", None, None),
        ("gemini", "url", Some("http"), Some("http")),
    ] {
        let kind = kind.map(str::to_owned);
        let address = Address { member: member.to_owned(), kind, ..address(URL, &[]) };
        let plan = plan(client, &address).unwrap();
        let found = plan.flags.iter().find(|(flag, _)| *flag == "--transport");
        assert_eq!(found.map(|(_, values)| &*values[0]), expected, "{client} {member}");
    }
    let socket = Address { kind: Some("ws".to_owned()), ..address(URL, &[]) };
    assert!(plan("cursor", &socket).is_err());
}

#[test]
fn what_clients_keep_elsewhere_is_named() {
    let codex = Address {
        token_variable: Some("TOKEN".to_owned()),
        header_variables: vec![("X-Key".to_owned(), "KEY".to_owned())],
        ..address(URL, &[])
    };
    let codex = plan("codex", &codex).unwrap();
    let words = ["--upstream-token-env", "TOKEN", "--upstream-header-env", "X-Key=KEY"];
    assert_eq!(codex.words()[2..], words.map(str::to_owned));
    assert_eq!(
        (codex.passed, codex.proof),
        (vec!["TOKEN".to_owned(), "KEY".to_owned()], Proof::Given)
    );

    let helper = Address { helper: Some("h --x 'y'".to_owned()), ..address(URL, &[]) };
    let plan_of_it = plan("claude-code", &helper).unwrap();
    let line = r#"["sh","-c","h --x 'y'"]"#;
    assert_eq!(plan_of_it.words()[2..], ["--upstream-headers-command", line].map(str::to_owned));
    let secret =
        Address { helper: Some("h --token abc1".to_owned() + "=ghp_abcdefghijk"), ..helper };
    assert!(plan("claude-code", &secret).is_err());

    let login = Address { login: Some("oauth".to_owned()), ..address(URL, &[]) };
    assert_eq!(plan("cursor", &login).unwrap().proof, Proof::Login);
    let taken = Address {
        env: vec!["thoth_upstream_token".to_owned()],
        ..address(URL, &[("Authorization", "Bearer ${env:T}")])
    };
    assert!(plan("cursor", &taken).unwrap_err().contains("already"));
}

#[test]
fn a_login_is_called_as_thoth_auth_takes_it() {
    for (name, called) in [
        ("notion", "notion"),
        ("Far Away", "far-away"),
        ("_a.b/C", "a.b-c"),
        ("", "server"),
        ("工具", "server"),
    ] {
        assert_eq!(login(name), called);
    }
}

/// What `thoth run` is told on the command line.
fn told(plan: &Plan) -> RunFlags {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: RunFlags,
    }

    let words = ["run".to_owned()].into_iter().chain(plan.words());
    Line::try_parse_from(words).unwrap().flags
}

/// What `thoth run` makes of it, where the client fills every variable of its entry with this.
fn run(plan: &Plan, filled: &str) -> settings::Upstream {
    let names = plan.env.iter().map(|(name, _)| name).chain(&plan.passed);
    let env = names.map(|name| (name.as_str(), filled)).chain([("HOME", "/home/a")]).collect();
    let reading = config::read(&told(plan), None, &env, &Layers::default());
    reading.into_config().unwrap().upstream.unwrap()
}

#[test]
fn what_is_written_is_what_thoth_run_reads() {
    let said = |header: &str, value: &str| vec![(header.to_owned(), value.to_owned())];
    let mut all = address(URL, &[("Authorization", "Bearer ${T}"), ("X-Key", "${K}")]);
    all.headers.extend(said("X-Team", "blue, or green"));
    all.kind = Some("sse".to_owned());
    let all = run(&plan("cursor", &all).unwrap(), "filled");
    assert_eq!((all.url.to_string().as_str(), all.transport), (URL, Transport::Sse));
    let token = all.token.as_ref().unwrap();
    assert_eq!((token.header.as_str(), token.bearer), ("authorization", true));
    assert_eq!(
        (&all.headers["x-key"], &all.headers["x-team"]),
        (&"filled".parse().unwrap(), &"blue, or green".parse().unwrap())
    );
    assert!(all.headers["x-key"].is_sensitive() && !all.headers["x-team"].is_sensitive());
    assert_eq!(all.headers.len(), 2);

    let codex = Address {
        token_variable: Some("MY_TOKEN".to_owned()),
        header_variables: said("X-Key", "MY_KEY"),
        ..address(URL, &[])
    };
    let plan = plan_anywhere(&codex).unwrap();
    assert_eq!(plan.passed, ["MY_TOKEN", "MY_KEY"]);
    let codex = run(&plan, "filled");
    assert!(codex.token.is_some() && codex.headers["x-key"] == "filled");

    let helper = Some(r#"cat "$HOME/a b" | jq ."#.to_owned());
    let printed = run(&plan_anywhere(&Address { helper, ..address(URL, &[]) }).unwrap(), "");
    assert!(printed.secret_headers.is_some() && printed.token.is_none());

    let secrets = [("Authorization", "Bearer hunter2hunter2hunter2"), ("X-Key", "hunter2")];
    let mut kept = super::plan("cursor", &address(URL, &secrets)).unwrap();
    let vault = Vault { token: "/v/token".to_owned(), headers: "/v/headers".to_owned() };
    assert_eq!(kept.keep(&vault).len(), 2);
    let RunFlags { upstream, .. } = told(&kept);
    assert_eq!(upstream.upstream_token_file.unwrap(), "/v/token");
    assert_eq!(upstream.upstream_header_file.unwrap(), "/v/headers");
}
