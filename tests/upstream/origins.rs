//! Who is spoken to: the server that was configured, and nobody else.

use hyper::header::AUTHORIZATION;

use crate::client::Setup;
use crate::fake::Certificate;
use crate::server::canary::Canary;
use crate::server::{Fault, Server};

#[tokio::test]
async fn a_redirection_to_another_origin_gets_nothing_at_all() {
    for status in [301, 302, 303, 307, 308] {
        let (server, canary) = (Server::start().await, Canary::start().await);
        server.accept_only(&["s3cret"]);
        let setup = Setup::new(&server).token("s3cret");
        let mut client = setup.begin().await;
        for method in ["tools/call", "tools/list"] {
            let there = vec![("location", format!("{}/mcp", canary.url()))];
            server.with(|state| state.fails(method, Fault::Status(status, there, String::new())));
        }
        let answer = client.call(1).await;
        assert_eq!(answer["error"]["data"]["reason_code"], "upstream_redirect", "{answer}");
        let answer = client.ask("tools/list", &serde_json::json!({})).await;
        assert!(answer["error"].is_object(), "{answer}");
        client.succeeds(2).await;
        let _ = client.ends().await;
        assert_eq!(canary.heard(), Vec::<String>::new(), "{status}");
        assert_eq!(server.executed(), [1, 2]);
        setup.audit().has(2);
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_hears_nothing_unless_it_is_asked_for() {
    let (server, canary) = (Server::start().await, Canary::start().await);
    server.accept_only(&["s3cret"]);
    let mut setup = Setup::new(&server).token("s3cret");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        setup = setup.variable(name, &canary.url());
    }
    let mut client = setup.begin().await;
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
    assert_eq!(canary.heard(), Vec::<String>::new());
}

/// Even where a proxy is asked for, what stays on this machine does not go through it.
#[tokio::test]
async fn a_server_of_this_machine_is_reached_without_a_proxy() {
    for (server, is_tls) in [(Server::start().await, false), (Server::over_tls().await, true)] {
        let canary = Canary::start().await;
        server.accept_only(&["s3cret"]);
        let mut setup = Setup::new(&server)
            .token("s3cret")
            .flags(&["--upstream-proxy", "environment"])
            .variable("http_proxy", &canary.url())
            .variable("HTTPS_PROXY", &canary.url());
        if is_tls {
            setup = setup.variable("THOTH_TLS_CA_BUNDLE", server.ca().to_str().unwrap());
        }
        let mut client = setup.begin().await;
        client.succeeds(1).await;
        let ended = client.ends().await;
        setup.holds(&server, &ended, 1);
        assert_eq!(canary.heard(), Vec::<String>::new());
    }
}

/// HTTP+SSE lets the server say where to post: it may not name another origin.
#[tokio::test]
async fn an_endpoint_of_another_origin_gets_nothing() {
    let (server, canary) = (Server::start().await, Canary::start().await);
    let there = format!("{}/messages", canary.url());
    server.accept_only(&["s3cret"]).with(|state| {
        state.eras = crate::server::Eras::HttpSse;
        state.endpoint = Some(there);
    });
    let setup = Setup::new(&server).token("s3cret").flags(&["--transport", "sse"]);
    let mut client = setup.start();
    let answer = client.shakes_hands("2024-11-05").await;
    assert!(answer["error"].is_object(), "{answer}");
    let _ = client.ends().await;
    assert_eq!(canary.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_sent_nothing() {
    for (certificate, trusts_its_authority, said) in [
        (Certificate::Good, false, "issued by nobody this machine trusts"),
        (Certificate::SelfSigned, true, "issued by nobody this machine trusts"),
        (Certificate::WrongName, true, "other.example"),
        (Certificate::Expired, true, "expired"),
        (Certificate::NotYetValid, true, "not valid yet"),
        (
            Certificate::WrongPurpose,
            true,
            "not valid (invalid peer certificate: certificate does not allow",
        ),
    ] {
        let server = Server::over_tls_as(certificate).await;
        server.accept_only(&["s3cret"]);
        let mut setup = Setup::new(&server).token("s3cret");
        if trusts_its_authority {
            setup = setup.variable("THOTH_TLS_CA_BUNDLE", server.ca().to_str().unwrap());
        }
        let mut client = setup.start();
        for n in 1..=2 {
            let answer = client.call(n).await;
            let error = &answer["error"];
            assert_eq!(error["code"], -32_603, "{answer}");
            assert_eq!(error["data"]["reason_code"], "upstream_not_trusted", "{answer}");
            assert_eq!(error["data"]["retryable"], false, "{answer}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(said), "{certificate:?}: {message}");
        }
        let ended = client.ends().await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(server.seen().is_empty(), "{certificate:?}: a request came through");
        assert!(server.executed().is_empty());
        setup.audit().has(2);
    }
}

#[tokio::test]
async fn over_tls_everything_is_as_without() {
    let server = Server::over_tls().await;
    server.accept_only(&["old"]);
    let ca = server.ca().to_str().unwrap().to_owned();
    let setup = Setup::new(&server).token("old").variable("THOTH_TLS_CA_BUNDLE", &ca);
    let mut client = setup.begin().await;
    server.with(|state| {
        state.after(50, |state| {
            state.accept_only(&["new"]);
            state.drop_sessions();
        });
    });
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    client.at_once(1..=200, rotating).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 200);
    assert_eq!(server.openings(), 2);
}

/// What the client's own side says of credentials stays there.
#[tokio::test]
async fn the_token_is_in_its_header_and_nowhere_else_in_a_request() {
    let server = Server::start().await;
    server.accept_only(&["s3cret"]).with(|state| state.pushes = true);
    let setup = Setup::new(&server).token("s3cret").flags(&["--upstream-header", "X-Plain: yes"]);
    let mut client = setup.begin().await;
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
    for seen in server.seen() {
        assert_eq!(seen.token(), "s3cret", "{} {}", seen.http, seen.path);
        assert_eq!(seen.header("x-plain"), "yes");
        let elsewhere = seen.headers.iter().filter(|(name, _)| *name != AUTHORIZATION);
        let text = format!("{} {} {:?}", seen.path, seen.body, elsewhere.collect::<Vec<_>>());
        assert!(!text.contains("s3cret"), "{text}");
    }
}
