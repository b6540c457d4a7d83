//! Where the courier must not go.

use crate::fake::{Answer, Asked, Server, call, reason};

#[tokio::test]
async fn a_redirection_is_not_followed_and_the_other_host_hears_nothing() {
    let canary = Server::start(|asked| async move { asked.plainly() }).await;
    let elsewhere = canary.url();
    let server = Server::start(move |_: Asked| {
        let answer = Answer::status(307).with("location", &elsewhere);
        async move { answer }
    })
    .await;
    assert_eq!(reason(&server.client().asks(&call(1)).await), "upstream_redirect");
    assert!(canary.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_sent_nothing() {
    // A server without TLS is no server with it: the handshake fails before a byte of a request.
    let server = Server::start(|asked| async move { asked.plainly() }).await;
    let url = format!("https://{}/mcp", server.address).parse().unwrap();
    let mut client = crate::fake::Client::of(thoth::config::settings::Upstream::new(url));
    assert_eq!(reason(&client.asks(&call(1)).await), "upstream_unreachable");
    assert!(server.asked().is_empty());
}
