//! Which servers are wrapped, with what, and which are not.

use super::*;

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
