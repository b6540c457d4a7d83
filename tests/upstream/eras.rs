//! Every revision of the protocol, each message as its own says.

use serde_json::{Value, json};

use crate::client::{Client, Era, Setup, stateless_meta};
use crate::server::{Answers, Eras, Seen, Server};

/// A call of 2026-07-28.
fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments, "_meta": stateless_meta()})
}

async fn succeeds(client: &mut Client, n: u64) {
    let answer = client.ask("tools/call", &call("echo", &json!({"n": n}))).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}\n{}", client.told());
    assert_eq!(answer["result"]["resultType"], "complete");
}

#[tokio::test]
async fn each_revision_with_a_handshake_is_spoken_to_as_it_says() {
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        for answers in [Answers::Json, Answers::Sse] {
            let server = Server::start().await;
            server.accept_only(&["old"]).with(|state| {
                state.eras = Eras::Handshake(version);
                state.answers = answers;
            });
            let setup = Setup::new(&server).token("old");
            let mut client = setup.begin_as(Era::Handshake(version)).await;
            client.all_succeed(1..=10).await;
            server.accept_only(&["new"]).drop_sessions();
            let rotating = async {
                server.until_refused(1).await;
                setup.rotate("new");
            };
            tokio::join!(client.succeeds(11), rotating);
            client.all_succeed(12..=20).await;
            let ended = client.ends().await;
            setup.holds(&server, &ended, 20);
            assert_eq!((server.refusals(), server.openings()), (1, 2), "{version}");
            let told = |seen: &Seen| seen.header("mcp-protocol-version").to_owned();
            let calls: Vec<_> =
                server.look(|state| state.requests("tools/call").map(told).collect());
            let wanted = if version == "2025-03-26" { vec!["", version] } else { vec![version] };
            assert!(calls.iter().all(|told| wanted.contains(&&**told)), "{version}: {calls:?}");
            let accepts = "application/json, text/event-stream";
            let posts = server.seen().into_iter().filter(|seen| seen.http == "POST");
            assert!(posts.clone().all(|seen| seen.header("accept") == accepts));
            assert!(posts.clone().all(|seen| seen.header("mcp-method").is_empty()));
        }
    }
}

/// A client that asks for more than the server knows is answered by the server.
#[tokio::test]
async fn the_server_says_which_revision_it_will_be() {
    let server = Server::start().await;
    server.with(|state| state.eras = Eras::Handshake("2025-06-18"));
    let setup = Setup::new(&server);
    let mut client = setup.start();
    let answer = client.shakes_hands("2025-11-25").await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
}

#[tokio::test]
async fn a_call_of_2026_says_in_headers_what_it_says_in_its_body() {
    for answers in [Answers::Json, Answers::Sse] {
        let server = Server::start().await;
        server.accept_only(&["old"]).with(|state| {
            state.eras = Eras::Stateless;
            state.answers = answers;
        });
        let setup = Setup::new(&server).token("old");
        let mut client = setup.begin_as(Era::Stateless).await;
        let meta = json!({"_meta": stateless_meta()});
        let found = client.ask("server/discover", &meta).await;
        assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28", "{found}");
        let list = client.ask("tools/list", &meta).await;
        assert!(list["result"]["tools"].is_array(), "{list}");
        for n in 1..=10 {
            succeeds(&mut client, n).await;
        }
        server.accept_only(&["new"]);
        let rotating = async {
            server.until_refused(1).await;
            setup.rotate("new");
        };
        tokio::join!(succeeds(&mut client, 11), rotating);
        let ended = client.ends().await;
        setup.holds(&server, &ended, 11);
        assert_eq!((server.refusals(), server.openings()), (1, 0));
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.http == "POST"), "no GET, no DELETE");
        assert!(seen.iter().all(|seen| seen.header("mcp-session-id").is_empty()));
    }
}

/// What a server of that revision says of a method that it does not know: no lost session.
#[tokio::test]
async fn a_method_that_is_not_known_in_2026_is_an_answer_and_not_a_lost_session() {
    let server = Server::start().await;
    server.with(|state| state.eras = Eras::Stateless);
    let setup = Setup::new(&server);
    let mut client = setup.begin_as(Era::Stateless).await;
    succeeds(&mut client, 1).await;
    for method in ["ping", "unheard/of", "tasks/get"] {
        let answer = client.ask(method, &json!({"_meta": stateless_meta()})).await;
        assert_eq!(answer["error"]["code"], -32_601, "as the server said it: {answer}");
        let sent = server.look(|state| state.requests(method).count());
        assert_eq!(sent, 1, "{method}");
    }
    succeeds(&mut client, 2).await;
    let ended = client.ends().await;
    assert_eq!(ended.errors().len(), 3);
    assert_eq!((server.executed(), server.openings()), (vec![1, 2], 0));
    setup.audit().has(2);
}

/// The same method, in a session: an error in a 200.
#[tokio::test]
async fn a_method_that_is_not_known_before_2026_is_an_answer_as_well() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    let answer = client.ask("unheard/of", &json!({})).await;
    assert_eq!(answer["error"]["code"], -32_601);
    client.succeeds(1).await;
    let _ = client.ends().await;
    assert_eq!(server.openings(), 1);
}

/// A rule that changes an argument changes the header that repeats it.
#[tokio::test]
async fn a_call_that_a_rule_changes_says_the_new_argument_in_its_headers() {
    let server = Server::start().await;
    server.with(|state| {
        state.eras = Eras::Stateless;
        state.tools.push("capped".to_owned());
    });
    let setup = Setup::new(&server);
    let mut client = setup.begin_as(Era::Stateless).await;
    client.ask("tools/list", &json!({"_meta": stateless_meta()})).await;
    let arguments = json!({"n": 1, "region": "us"});
    let answer = client.ask("tools/call", &call("capped", &arguments)).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}\n{}", client.told());
    let ended = client.ends().await;
    let audit = setup.holds(&server, &ended, 1);
    assert_eq!(audit.decisions[0]["decision"], "modify");
    let seen = server.look(|state| state.requests("tools/call").last().cloned()).unwrap();
    assert_eq!(seen.body["params"]["arguments"]["region"], "eu");
    assert_eq!(seen.header("mcp-param-region"), "eu");
    assert_eq!(seen.header("mcp-name"), "capped");
}

/// The headers need the tool's schema, which nobody has listed: it is asked for once.
#[tokio::test]
async fn a_call_before_the_tools_were_listed_finds_out_which_headers_it_needs() {
    let server = Server::start().await;
    server.with(|state| state.eras = Eras::Stateless);
    let setup = Setup::new(&server);
    let mut client = setup.begin_as(Era::Stateless).await;
    for n in 1..=5 {
        let arguments = json!({"n": n, "region": "eu"});
        let answer = client.ask("tools/call", &call("echo", &arguments)).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}\n{}", client.told());
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 5);
    let lists = server.look(|state| state.requests("tools/list").count());
    assert!(lists <= 1, "{lists}");
    let answers = ended.lines.iter().filter(|line| line.get("id").is_some());
    assert_eq!(answers.count(), 5, "what thoth asked for itself is not the client's");
}

#[tokio::test]
async fn names_that_do_not_fit_a_header_are_encoded() {
    let server = Server::start().await;
    server.with(|state| {
        state.eras = Eras::Stateless;
        state.tools.push("größe ☂".to_owned());
    });
    let setup = Setup::new(&server);
    let mut client = setup.begin_as(Era::Stateless).await;
    client.ask("tools/list", &json!({"_meta": stateless_meta()})).await;
    for (n, region) in (1..).zip(["ünïcode", " blanks ", "=?base64?YQ==?="]) {
        let arguments = json!({"n": n, "region": region});
        let answer = client.ask("tools/call", &call("größe ☂", &arguments)).await;
        assert_eq!(answer["result"]["isError"], false, "{region:?}: {answer}\n{}", client.told());
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
}

/// One client that speaks both, as those do that look before they speak.
#[tokio::test]
async fn a_client_that_looks_first_is_answered_as_it_would_be_without_thoth() {
    let server = Server::start().await;
    server.with(|state| state.eras = Eras::Handshake("2025-11-25"));
    let setup = Setup::new(&server);
    let mut client = setup.start();
    let answer = client.ask("server/discover", &json!({"_meta": stateless_meta()})).await;
    let code = answer["error"]["code"].as_i64().unwrap();
    assert!(![-32_020, -32_021, -32_022].contains(&code), "the server is of before: {answer}");
    client.shakes_hands("2025-11-25").await;
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    assert_eq!(ended.errors().len(), 1);
    assert_eq!(server.executed(), [1, 2, 3]);

    let server = Server::start().await;
    server.with(|state| state.eras = Eras::Stateless);
    let setup = Setup::new(&server);
    let mut client = setup.start();
    let answer = client.shakes_hands("2025-11-25").await;
    assert_eq!(answer["error"]["code"], -32_022, "as the server said it: {answer}");
    succeeds(&mut client, 1).await;
    let _ = client.ends().await;
    assert_eq!(server.executed(), [1]);
}
