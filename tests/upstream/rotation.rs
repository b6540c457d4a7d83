//! Tokens that are rotated under a session: nobody notices.

use serde_json::json;

use crate::client::Setup;
use crate::server::{Refusal, Server, Stage};

#[tokio::test]
async fn a_token_that_is_written_before_the_old_one_is_revoked_is_never_refused() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    setup.rotate("new");
    server.accept_only(&["new"]);
    client.all_succeed(21..=30).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 30);
    assert_eq!((server.refusals(), server.openings()), (0, 1));
}

/// Makes 20 calls, revokes the token, writes the next one once the old one was refused, and makes
/// ten calls more. Gives how often a token was refused.
async fn revoke_first(refusal: Refusal) -> usize {
    let server = Server::start().await;
    server.accept_only(&["old"]).with(|state| state.refusal = refusal);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.all_succeed(1..=20).await;
    server.accept_only(&["new"]);
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    tokio::join!(client.succeeds(21), rotating);
    client.all_succeed(22..=30).await;
    let ended = client.ends().await;
    let audit = setup.holds(&server, &ended, 30);
    assert_eq!(audit.attempts(), 31, "one call was sent twice");
    assert_eq!(server.openings(), 1);
    server.refusals()
}

#[tokio::test]
async fn a_token_that_is_revoked_before_the_new_one_is_written_costs_one_refusal() {
    assert_eq!(revoke_first(Refusal::Challenge).await, 1);
}

#[tokio::test]
async fn a_refusal_without_a_challenge_is_understood_as_well() {
    assert_eq!(revoke_first(Refusal::Bare).await, 1);
}

#[tokio::test]
async fn a_403_that_says_the_token_is_invalid_is_understood_as_well() {
    assert_eq!(revoke_first(Refusal::Invalid).await, 1);
}

/// The counterpart: what the time of grace is worth.
#[tokio::test]
async fn without_grace_a_token_that_is_revoked_first_fails_calls_until_the_new_one_is_there() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old").flags(&["--credential-grace", "0"]);
    let mut client = setup.begin().await;
    client.all_succeed(1..=3).await;
    server.accept_only(&["new"]);
    for n in 4..=6 {
        let answer = client.call(n).await;
        assert!(answer["error"].is_object(), "{answer}");
    }
    setup.rotate("new");
    client.all_succeed(4..=6).await;
    let ended = client.ends().await;
    assert_eq!(ended.errors().len(), 3);
    assert_eq!(server.executed(), [1, 2, 3, 4, 5, 6]);
    setup.audit().has(9);
}

#[tokio::test]
async fn a_token_file_that_is_gone_while_its_token_is_good_fails_no_call() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.all_succeed(1..=10).await;
    std::fs::remove_file(setup.token_file()).unwrap();
    client.all_succeed(11..=30).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 30);
    assert_eq!((server.refusals(), server.openings()), (0, 1));
}

#[tokio::test]
async fn two_hundred_calls_at_once_survive_a_rotation_in_their_middle() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    server.with(|state| state.after(50, |state| state.accept_only(&["new"])));
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    client.at_once(1..=200, rotating).await;
    let ended = client.ends().await;
    let audit = setup.holds(&server, &ended, 200);
    let refused =
        server.look(|state| state.requests("tools/call").filter(|seen| seen.refused).count());
    assert!((1..=150).contains(&refused), "each call at most once: {refused}");
    assert_eq!(audit.attempts(), 200 + refused as u64);
    assert_eq!(server.openings(), 1);
}

#[tokio::test]
async fn two_hundred_calls_at_once_survive_ten_rotations_of_both_kinds() {
    let server = Server::start().await;
    server.accept_only(&["t0"]);
    let setup = Setup::new(&server).token("t0");
    let mut client = setup.begin().await;
    for round in 0..10_u64 {
        let (old, new) = (format!("t{round}"), format!("t{}", round + 1));
        let (first, before) = (round * 200, server.refusals());
        let middle = usize::try_from(first).unwrap() + 50;
        if round % 2 == 0 {
            let new = new.clone();
            server.with(|state| state.after(middle, move |state| state.accept_only(&[&new])));
        }
        let rotating = async {
            if round % 2 == 0 {
                server.until_refused(before + 1).await;
                setup.rotate(&new);
            } else {
                server.until_executed(middle).await;
                server.accept_only(&[&old, &new]);
                setup.rotate(&new);
            }
        };
        client.at_once(first + 1..=first + 200, rotating).await;
        server.accept_only(&[&new]);
    }
    let ended = client.ends().await;
    setup.holds(&server, &ended, 2_000);
    assert_eq!(server.openings(), 1);
}

#[tokio::test]
async fn a_reply_that_is_still_streaming_outlives_the_token_it_was_asked_with() {
    let server = Server::start().await;
    server.accept_only(&["old"]).with(|state| state.stop(Stage::Done, "slow"));
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    let id = client.calls("slow", 1).await;
    let stream = server.stopped().await.streams().without_ids();
    let progress = |progress: u32| {
        json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": "p", "progress": progress}})
    };
    stream.says(&progress(1));
    client.hears("the first half", |line| line["params"]["progress"] == 1).await;

    server.accept_only(&["new"]);
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    tokio::join!(client.succeeds(2), rotating);
    stream.says(&progress(2));
    client.hears("the second half", |line| line["params"]["progress"] == 2).await;
    client.succeeds(3).await;
    stream.answer(&json!({"content": [], "isError": false}));
    assert_eq!(client.answer(id).await["result"]["isError"], false);
    let ended = client.ends().await;
    setup.holds(&server, &ended, 3);
    assert_eq!((server.refusals(), server.openings()), (1, 1));
}

/// The server has forgotten the session; while a new one is being opened, the token goes, too.
#[tokio::test]
async fn a_token_that_is_revoked_while_a_session_is_opened_again_fails_no_call() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    server.drop_sessions().with(|state| state.stop(Stage::Arrived, "initialize"));
    let rotating = async {
        let opening = server.stopped().await;
        server.with(|state| {
            state.stop_no_more();
            state.accept_only(&["new"]);
        });
        opening.goes_on();
        server.until_refused(1).await;
        setup.rotate("new");
    };
    tokio::join!(client.succeeds(6), rotating);
    client.all_succeed(7..=10).await;
    let ended = client.ends().await;
    setup.holds(&server, &ended, 10);
    assert_eq!((server.refusals(), server.openings()), (1, 2));
}

#[tokio::test]
async fn a_token_that_was_never_good_is_tried_a_bounded_number_of_times() {
    let server = Server::start().await;
    server.accept_only(&["good"]);
    let setup = Setup::new(&server).token("bad");
    let mut client = setup.start();
    let answer = client.shakes_hands("2025-11-25").await;
    assert!(answer["error"].is_object(), "{answer}");
    for n in 1..=20 {
        let answer = client.call(n).await;
        assert!(answer["error"].is_object(), "{answer}");
        assert!(answer["error"]["data"]["reason_code"].is_string(), "{answer}");
        assert_ne!(answer["error"]["code"], -32_001, "not thoth's code for a refusal of its own");
    }
    let storm = server.seen().len();
    assert!(storm <= 22, "each of 22 messages once: {storm}");
    let paths: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert!(paths.iter().all(|path| path == "/mcp"), "nobody registers anywhere: {paths:?}");

    // A good one is found without a restart.
    setup.rotate("good");
    client.shakes_hands("2025-11-25").await;
    client.succeeds(1).await;
    let ended = client.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(server.executed(), [1]);
    setup.audit().has(21);
}

/// Scope is not rotation: the same token again would be refused again, and a newer one, too.
#[tokio::test]
async fn a_403_for_want_of_scope_is_told_and_not_tried_again() {
    let server = Server::start().await;
    server.accept_only(&["old"]);
    let setup = Setup::new(&server).token("old");
    let mut client = setup.begin().await;
    client.succeeds(1).await;
    server.accept_only(&["wider"]).with(|state| state.refusal = Refusal::Scope);
    setup.rotate("narrow");
    let answer = client.call(2).await;
    assert!(answer["error"].is_object(), "{answer}");
    assert!(answer["error"].to_string().contains("scope"), "it says what is missing: {answer}");
    assert_eq!(server.refusals(), 1);
    let _ = client.ends().await;
    assert_eq!(server.executed(), [1]);
    setup.audit().has(2);
}

/// Texts that look like a refusal are nobody's business but the model's.
#[tokio::test]
async fn what_a_tool_says_of_tokens_is_no_refusal() {
    for refusal in [Refusal::InWords, Refusal::InBand(-32_001), Refusal::InBand(-32_000)] {
        let server = Server::start().await;
        server.accept_only(&["old"]).with(|state| state.refusal = refusal);
        let setup = Setup::new(&server).token("old");
        let mut client = setup.begin().await;
        client.succeeds(1).await;
        server.accept_only(&["newer"]);
        setup.rotate("not yet");
        let answer = client.call(2).await;
        let told = answer.to_string();
        assert!(told.contains("the token is no good"), "as the server said it: {told}");
        assert_eq!(server.refusals(), 1, "{refusal:?}");
        let _ = client.ends().await;
        setup.audit().has(2);
    }
}

/// Unless it was told which code of this server's means that.
#[tokio::test]
async fn a_code_that_was_named_is_understood_as_a_refusal() {
    let server = Server::start().await;
    server.accept_only(&["old"]).with(|state| state.refusal = Refusal::InBand(-31_401));
    let setup = Setup::new(&server).token("old").flags(&["--upstream-auth-error-code", "-31401"]);
    let mut client = setup.begin().await;
    client.all_succeed(1..=5).await;
    server.accept_only(&["new"]);
    let rotating = async {
        server.until_refused(1).await;
        setup.rotate("new");
    };
    tokio::join!(client.succeeds(6), rotating);
    let ended = client.ends().await;
    setup.holds(&server, &ended, 6);
    assert_eq!(server.refusals(), 1);
}
