//! What comes back to the address of this machine, from the browser and from others.

use hyper::{Request, StatusCode};
use oauth2::url::Url;

use super::fake::Fake;
use super::person::{ask, begin, follow, said, visit};

fn with(address: &Url, name: &str, value: Option<&str>) -> Url {
    let mut changed = address.clone();
    let kept = address.query_pairs().filter(|(known, _)| known != name);
    changed.query_pairs_mut().clear().extend_pairs(kept);
    if let Some(value) = value {
        changed.query_pairs_mut().append_pair(name, value);
    }
    changed
}

#[tokio::test]
async fn forgeries_change_nothing_and_the_browser_is_still_waited_for() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let waiting = begin(home.path(), &fake, &["--url", &fake.mcp()]).await.unwrap();
    let back = follow(&fake, &waiting.address).await;
    let other = begin(home.path(), &fake, &["--url", &fake.mcp()]).await.unwrap();
    let state = other.get("state");
    assert_eq!(state.len(), 43, "256 bits");
    assert_ne!(state, waiting.get("state"));

    let port = back.port().unwrap();
    let mut elsewhere = back.clone();
    elsewhere.set_path("/callback/");
    let get = |address: &Url| Request::get(address.as_str());
    for (request, expected) in [
        (get(&with(&back, "state", Some("x"))), StatusCode::BAD_REQUEST),
        (get(&with(&back, "state", Some(&state))), StatusCode::BAD_REQUEST),
        (get(&with(&back, "state", None)), StatusCode::BAD_REQUEST),
        (get(&elsewhere), StatusCode::NOT_FOUND),
        (get(&back).header("host", format!("evil.example:{port}")), StatusCode::FORBIDDEN),
        (get(&back).header("host", format!("localhost:{port}")), StatusCode::FORBIDDEN),
        (get(&back).header("host", "127.0.0.1"), StatusCode::FORBIDDEN),
        (Request::post(back.as_str()), StatusCode::METHOD_NOT_ALLOWED),
        (Request::head(back.as_str()), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let shown = format!("{request:?}");
        let (status, page) = ask(request).await;
        assert_eq!(status, expected, "{shown}");
        assert!(!page.contains("hunter2"), "{page}");
    }
    assert!(!fake.paths().contains(&"/token".to_owned()), "no code was exchanged");

    let (status, page) = visit(&back).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("You can close this page"), "{page}");
    assert_eq!(waiting.end().await.status.code(), Some(0));
    let used = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(used.is_err(), "one use");
}

#[tokio::test]
async fn an_answer_of_another_server_is_not_used() {
    for (iss, says) in [(Some("https://evil.example"), true), (None, true), (Some(""), false)] {
        let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
        let member = "authorization_response_iss_parameter_supported";
        fake.say("/.well-known/oauth-authorization-server", member, says.into());
        let waiting = begin(home.path(), &fake, &["--url", &fake.mcp()]).await.unwrap();
        let back = with(&follow(&fake, &waiting.address).await, "iss", iss);
        visit(&back).await;
        let output = waiting.end().await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("nothing of it was used"), "{}", said(&output));
        assert!(!fake.paths().contains(&"/token".to_owned()), "no code was exchanged");
    }
    // Who does not say it names itself need not.
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let member = "authorization_response_iss_parameter_supported";
    fake.say("/.well-known/oauth-authorization-server", member, false.into());
    fake.manners().iss = None;
    let waiting = begin(home.path(), &fake, &["--url", &fake.mcp()]).await.unwrap();
    visit(&follow(&fake, &waiting.address).await).await;
    assert_eq!(waiting.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_refusal_is_told() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    fake.manners().error = Some("access_denied");
    let waiting = begin(home.path(), &fake, &["--url", &fake.mcp()]).await.unwrap();
    let back = follow(&fake, &waiting.address).await;
    let (_, page) = visit(&with(&back, "error_description", Some("no\u{1b}[2J way"))).await;
    assert!(page.contains("You are not logged in"), "{page}");
    assert!(!page.contains("way"), "nothing of the answer is shown: {page}");
    let output = waiting.end().await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("access_denied (no[2J way)"), "{}", said(&output));
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let url = fake.mcp();
    let words = ["--url", &*url, "--redirect-port", &port];
    let output = begin(home.path(), &fake, &words).await.err().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("try another --redirect-port"), "{}", said(&output));

    drop(taken);
    let waiting = begin(home.path(), &fake, &words).await.unwrap();
    assert_eq!(waiting.redirect().port().unwrap().to_string(), port);
    visit(&follow(&fake, &waiting.address).await).await;
    assert_eq!(waiting.end().await.status.code(), Some(0));
}
