//! Tokens that are rotated under a session.

use crate::client::Setup;
use crate::server::{Refusal, Server};

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

#[tokio::test]
async fn a_token_that_is_revoked_before_the_new_one_is_written_costs_one_refusal() {
    for refusal in [Refusal::Challenge, Refusal::Bare, Refusal::Invalid] {
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
        setup.holds(&server, &ended, 30);
        assert_eq!((server.refusals(), server.openings()), (1, 1), "{refusal:?}");
    }
}
