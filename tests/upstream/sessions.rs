//! Sessions that the server forgets: they are opened again, and nobody notices.

use serde_json::json;

use crate::client::Setup;
use crate::server::{Server, Stage};

#[tokio::test]
async fn a_session_that_is_gone_is_opened_again_once() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    server.drop_sessions();
    client.all_succeed(21..=30).await;
    let ended = client.ends().await;
    let audit = setup.holds(&server, &ended, 30);
    assert_eq!((server.openings(), audit.attempts()), (2, 31));
    let answers = ended.lines.iter().filter(|line| line["result"]["serverInfo"].is_object());
    assert_eq!(answers.count(), 1, "the client shook hands once");
}

/// As where a server was restarted with another key.
#[tokio::test]
async fn a_session_that_goes_with_the_token_is_opened_again_once() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    server.accept_only(&["new"]).drop_sessions();
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    tokio::join!(client.succeeds(21), rotating);
    client.all_succeed(22..=30).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 30);
    assert_eq!((server.refusals(), server.openings()), (1, 2));
}

/// The new token is another person's, who does not know the session.
#[tokio::test]
async fn a_new_principal_gets_a_session_of_its_own() {
    let server = Server::start().await;
    server.accept_only(&["ada's"]).with(|state| {
        for name in ["ada", "bob"] {
            state.principals.insert(format!("{name}'s"), name.to_owned());
        }
    });
    let setup = Setup::new(&server).token("ada's");
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    server.accept_only(&["bob's"]);
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("bob's");
    };
    tokio::join!(client.succeeds(6), rotating);
    client.all_succeed(7..=10).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
    assert_eq!((server.refusals(), server.openings()), (1, 2));
}

#[tokio::test]
async fn two_hundred_calls_at_once_open_one_session_where_theirs_is_dropped() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    server.with(|state| state.after(50, crate::server::State::drop_sessions));
    client.at_once(1..=200, async {}).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 200);
    assert_eq!(server.openings(), 2, "exactly one was opened anew");
}

/// A server that knows one session for each person: two openings at once would never end.
#[tokio::test]
async fn two_hundred_calls_at_once_do_not_take_sessions_from_each_other() {
    let server = Server::start().await;
    server.with(|state| state.one_each = true);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    for round in 0..5_u64 {
        let middle = usize::try_from(round).unwrap() * 200 + 30;
        server.with(|state| state.after(middle, crate::server::State::drop_sessions));
        client.at_once(round * 200 + 1..=round * 200 + 200, async {}).await;
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1_000);
    assert_eq!(server.openings(), 6, "one for each time it was dropped");
}

/// A server that forgets every session at once is not asked for ever.
#[tokio::test]
async fn a_server_that_keeps_no_session_is_not_asked_for_ever() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    server.drop_sessions().with(|state| state.stop(Stage::Done, "notifications/initialized"));
    let forgetting = async {
        let opened = server.stopped().await;
        server.drop_sessions();
        opened.goes_on();
    };
    let asking = async {
        let answer = client.call(2).await;
        assert!(answer["error"].is_object(), "{answer}");
        assert_ne!(answer["error"]["code"], -32_001, "the server's -32001 is not thoth's");
    };
    tokio::join!(asking, forgetting);
    assert_eq!(server.openings(), 2);
    server.with(crate::server::State::stop_no_more);
    client.all_succeed(2..=3).await;
    let _ = client.ends().await;
    assert_eq!(server.executed(), [1, 2, 3]);
}

#[tokio::test]
async fn what_a_session_was_told_its_successor_is_told_again() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.ask("logging/setLevel", &json!({"level": "warning"})).await;
    client.ask("resources/subscribe", &json!({"uri": "memory://a"})).await;
    client.ask("resources/subscribe", &json!({"uri": "memory://b"})).await;
    client.ask("resources/unsubscribe", &json!({"uri": "memory://b"})).await;
    client.succeeds(1).await;
    server.drop_sessions();
    client.succeeds(2).await;
    let told = server
        .until("the level and the subscription", |state| {
            let session = state.sessions.get("session-2")?;
            let level = session.level.clone()?;
            let uris: Vec<_> = session.subscribed.iter().cloned().collect();
            (!uris.is_empty()).then_some((level, uris))
        })
        .await;
    assert_eq!(told, ("warning".to_owned(), vec!["memory://a".to_owned()]));
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2);
    let said = ended.lines.iter().filter(|line| line.get("method").is_none());
    assert_eq!(said.count(), 1 + 4 + 2, "each of the client's requests has one answer");
}

/// A successor with other tools than were listed: whoever lists them is told.
#[tokio::test]
async fn a_successor_with_other_tools_says_so() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.ask("tools/list", &json!({})).await;
    server.drop_sessions().with(|state| state.tools.push("unheard-of".to_owned()));
    client.succeeds(1).await;
    client.hears_of("notifications/tools/list_changed").await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 1);
}

#[tokio::test]
async fn a_successor_with_the_same_tools_says_nothing() {
    let server = Server::start().await;
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.ask("tools/list", &json!({})).await;
    server.drop_sessions();
    client.all_succeed(1..=3).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
    assert!(ended.lines.iter().all(|line| line.get("method").is_none()), "{:?}", ended.lines);
}

#[tokio::test]
async fn a_session_is_ended_when_the_client_goes() {
    for keeps in [false, true] {
        let server = Server::start().await;
        server.accept_only(&["t"]).with(|state| state.keeps_sessions = keeps);
        let setup = Setup::new(&server).token("t");
        let mut client = setup.begin().await;
        client.succeeds(1).await;
        let ended = client.ends().await;
        setup.holds(&server, &ended, 1);
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert_eq!((&*last.http, last.header("mcp-session-id")), ("DELETE", "session-1"));
        assert_eq!((last.token(), last.refused), ("t", false));
    }
}

#[tokio::test]
async fn a_server_without_sessions_is_sent_none() {
    let server = Server::start().await;
    server.with(|state| state.sessionless = true);
    let setup = Setup::new(&server);
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 5);
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.header("mcp-session-id").is_empty()));
    assert!(seen.iter().all(|seen| seen.http != "DELETE"), "there is nothing to end");
}
