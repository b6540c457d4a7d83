//! Answers that come as streams: nothing is held back, lost, or said twice.

use serde_json::{Value, json};

use crate::client::{Client, Era, Setup, stateless_meta};
use crate::server::{Answers, Eras, Server, Stage, Stream};

/// A call that is answered on a stream which the test writes.
async fn streamed(server: &Server, client: &mut Client, n: u64) -> (u64, Stream) {
    let id = client.calls("slow", n).await;
    (id, server.stopped().await.streams())
}

fn note(number: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/message",
        "params": {"level": "info", "data": number}})
}

async fn notes(client: &Client, number: u64) {
    client.hears(&format!("note {number}"), |line| line["params"]["data"] == number).await;
}

fn done() -> Value {
    json!({"content": [], "isError": false})
}

#[tokio::test]
async fn what_a_stream_says_is_heard_before_its_answer() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    let (id, stream) = streamed(&server, &mut client, 1).await;
    for number in 1..=5 {
        stream.says(&note(number));
        notes(&client, number).await; // heard while the stream is open
    }
    // Another call goes past it.
    client.succeeds(2).await;
    stream.raw(": still here\n\n").raw("id: x\n\n").answer(&done());
    client.answer(id).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2);
    assert_eq!(ended.lines.iter().filter(|line| line["params"]["data"].is_u64()).count(), 5);
}

#[tokio::test]
async fn a_server_may_ask_on_a_stream_and_is_answered() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    let (id, stream) = streamed(&server, &mut client, 1).await;
    for (number, method) in
        (100..).zip(["sampling/createMessage", "elicitation/create", "roots/list", "ping"])
    {
        stream.says(&json!({"jsonrpc": "2.0", "id": number, "method": method, "params": {}}));
        let asked = client.hears_of(method).await;
        assert_eq!(asked["id"], number);
        client.says(&json!({"jsonrpc": "2.0", "id": number, "result": {"is": method}})).await;
        let answer = server
            .until("the client's answer", |state| {
                let is_it = |body: &Value| body["id"] == number && body.get("method").is_none();
                state.seen.iter().map(|seen| &seen.body).find(|body| is_it(body)).cloned()
            })
            .await;
        assert_eq!(answer["result"]["is"], method);
    }
    stream.answer(&done());
    client.answer(id).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1);
}

#[tokio::test]
async fn a_server_may_speak_unasked() {
    let server = Server::start().await;
    server.accept_only(&["old"]).with(|state| state.pushes = true);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    let push = server
        .until("a listener", |state| state.sessions.values().find_map(|it| it.push.clone()))
        .await;
    push.until_heard().await;
    push.says(&note(1));
    notes(&client, 1).await;

    // It is broken off, and the token is another one when it is asked for again.
    server.accept_only(&["new"]);
    setup.rotate("new");
    push.says(&note(2)).breaks();
    push.says(&note(3));
    push.until_heard().await;
    for number in 2..=3 {
        notes(&client, number).await;
    }
    client.succeeds(2).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2);
    let heard: Vec<_> = ended.lines.iter().filter_map(|it| it["params"]["data"].as_u64()).collect();
    assert_eq!(heard, [1, 2, 3], "each once, in order");
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed_where_it_broke() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    let (id, stream) = streamed(&server, &mut client, 1).await;
    stream.raw("retry: 1\n\n").says(&note(1));
    notes(&client, 1).await;
    stream.breaks();
    stream.says(&note(2)).until_heard().await;
    notes(&client, 2).await;
    stream.closes(); // in order this time
    stream.says(&note(3)).until_heard().await;
    notes(&client, 3).await;
    stream.answer(&done());
    client.answer(id).await;
    let ended = client.ends().await;
    let audit = setup.holds(&server, &ended, 1);
    assert_eq!(audit.outcomes[0]["end"], "result");
    let heard: Vec<_> = ended.lines.iter().filter_map(|it| it["params"]["data"].as_u64()).collect();
    assert_eq!(heard, [1, 2, 3], "each once, in order");
    let resumed = server.look(|state| {
        state.requests("GET").filter(|seen| !seen.header("last-event-id").is_empty()).count()
    });
    assert_eq!(resumed, 2);
}

/// The server closes every stream before its answer, and expects to be asked for it.
#[tokio::test]
async fn a_server_that_wants_to_be_polled_is_polled() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    server.with(|state| state.answers = Answers::Polling);
    client.all_succeed(1..=10).await;
    client.at_once(11..=60, async {}).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 60);
}

/// From the first answer on: the session is known from its head, before the answer is.
#[tokio::test]
async fn a_server_that_wants_to_be_polled_for_its_handshake_is_polled() {
    let server = Server::start().await;
    server.with(|state| state.answers = Answers::Polling);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
}

#[tokio::test]
async fn answers_in_events_are_as_good_as_answers_in_json() {
    let server = Server::start().await;
    server.with(|state| state.answers = Answers::Sse);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.all_succeed(1..=10).await;
    client.at_once(11..=210, async {}).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 210);
}

/// In the era of the handshake, a call is cancelled by saying so.
#[tokio::test]
async fn a_call_that_the_client_cancels_is_cancelled_at_the_server() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    let id = client.calls("slow", 1).await;
    let exchange = server.stopped().await;
    let params = json!({"requestId": id, "reason": "the person left"});
    client
        .says(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        .await;
    let told = server
        .until("the cancellation", |state| {
            state.requests("notifications/cancelled").next().map(|seen| seen.body.clone())
        })
        .await;
    assert_eq!(told["params"]["requestId"], exchange.seen.body["id"]);
    exchange.goes_on();
    client.succeeds(2).await;
    let ended = client.ends().await;
    assert!(ended.errors().is_empty(), "{:?}", ended.errors());
    setup.audit().has(2);
}

/// In 2026-07-28, closing the stream is the cancellation.
#[tokio::test]
async fn a_call_of_2026_that_the_client_cancels_closes_its_stream() {
    let server = Server::start().await;
    server.with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server);
    let mut client = setup.begin_as(Era::Stateless).await;
    let params = json!({"name": "slow", "arguments": {"n": 1}, "_meta": stateless_meta()});
    let id = client.asks("tools/call", &params).await;
    let stream = server.stopped().await.streams().without_ids();
    stream.says(&note(1));
    notes(&client, 1).await;
    let params = json!({"requestId": id, "_meta": stateless_meta()});
    client
        .says(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
        .await;
    stream.until_left().await;
    let ended = client.ends().await;
    assert!(ended.errors().is_empty(), "{:?}", ended.errors());
    assert!(ended.lines.iter().all(|line| line["id"] != id), "a cancelled call has no answer");
    setup.audit().has(1);
}

/// HTTP+SSE: one stream for everything, and an address to post to.
#[tokio::test]
async fn a_server_of_2024_is_spoken_to_in_its_own_way() {
    for transport in ["sse", "auto"] {
        let server = Server::start().await;
        server.accept_only(&["t"]).with(|state| state.eras = Eras::HttpSse);
        let setup = Setup::new(&server).token("t").flags(&["--transport", transport]);
        let mut client = setup.begin_as(Era::Handshake("2024-11-05")).await;
        client.all_succeed(1..=10).await;
        client.at_once(11..=60, async {}).await;
        let ended = client.ends().await;
        setup.holds(&server, &ended, 60);
        assert_eq!((server.refusals(), server.openings()), (0, 1), "{transport}");
    }
}

/// Its stream breaks: the session is gone with it, and is opened again.
#[tokio::test]
async fn a_stream_of_2024_that_breaks_is_opened_again() {
    let server = Server::start().await;
    server.accept_only(&["old"]).with(|state| state.eras = Eras::HttpSse);
    let setup = Setup::new(&server).token("old").flags(&["--transport", "sse"]);
    let mut client = setup.begin_as(Era::Handshake("2024-11-05")).await;
    client.all_succeed(1..=5).await;
    server.accept_only(&["new"]);
    setup.rotate("new");
    server.with(|state| {
        let streams = std::mem::take(&mut state.streams);
        for stream in &streams {
            stream.breaks();
        }
    });
    client.all_succeed(6..=10).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
    assert_eq!(server.openings(), 2);
}
