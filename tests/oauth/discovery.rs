//! Which documents are asked for, in which order, and which are refused.

use serde_json::{Value, json};

use super::fake::Fake;
use super::person::{begin, log_in, said};

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// The paths that are asked for up to the login itself.
async fn asked(fake: &Fake) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let output = log_in(home.path(), fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    fake.paths().into_iter().take_while(|path| path != "/register").collect()
}

#[tokio::test]
async fn the_challenge_says_where_the_metadata_is() {
    let fake = Fake::plain().await;
    let base = fake.base();
    {
        let mut manners = fake.manners();
        let document = manners.documents.remove(&format!("{RESOURCE}/mcp")).unwrap();
        manners.documents.insert("/custom/place.json".to_owned(), document);
        manners.challenge = Some(format!("Bearer resource_metadata=\"{base}/custom/place.json\""));
    }
    assert_eq!(asked(&fake).await, ["/mcp", "/custom/place.json", SERVER]);
}

#[tokio::test]
async fn a_server_that_lets_everybody_shake_hands_is_asked_what_it_refuses() {
    // The second is what servers without a handshake say to one (MCP 2026-07-28).
    for greeting in [200, 400] {
        let fake = Fake::plain().await;
        let base = fake.base();
        {
            let mut manners = fake.manners();
            manners.greets = Some(greeting);
            let document = manners.documents.remove(&format!("{RESOURCE}/mcp")).unwrap();
            manners.documents.insert("/custom/place.json".to_owned(), document);
            let place = format!("{base}/custom/place.json");
            manners.challenge =
                Some(format!("Bearer resource_metadata=\"{place}\", scope=\"files:read\""));
        }
        assert_eq!(asked(&fake).await, ["/mcp", "/mcp", "/custom/place.json", SERVER]);
        let seen = fake.memory().seen.clone();
        let login = seen.iter().find(|seen| seen.target.starts_with("/authorize")).unwrap();
        assert!(login.target.contains("scope=files%3Aread"), "{}", login.target);
    }
}

#[tokio::test]
async fn without_a_challenge_the_servers_path_goes_before_its_root() {
    let fake = Fake::plain().await;
    fake.manners().challenge = None;
    assert_eq!(asked(&fake).await, ["/mcp", &format!("{RESOURCE}/mcp"), SERVER]);

    let fake = Fake::plain().await;
    {
        let mut manners = fake.manners();
        manners.challenge = Some("Bearer".to_owned());
        let mut document = manners.documents.remove(&format!("{RESOURCE}/mcp")).unwrap();
        document["resource"] = fake.base().into();
        manners.documents.insert(RESOURCE.to_owned(), document);
    }
    assert_eq!(asked(&fake).await, ["/mcp", &format!("{RESOURCE}/mcp"), RESOURCE, SERVER]);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_looked_for_in_three_places() {
    for (found, tried) in [
        (format!("{SERVER}/tenant/1"), 1),
        (format!("{OPENID}/tenant/1"), 2),
        (format!("/tenant/1{OPENID}"), 3),
    ] {
        let fake = Fake::plain().await;
        let issuer = format!("{}/tenant/1", fake.base());
        {
            let mut manners = fake.manners();
            let mut document = manners.documents.remove(SERVER).unwrap();
            document["issuer"] = issuer.clone().into();
            manners.documents.insert(found, document);
            manners.iss = Some(issuer.clone());
        }
        fake.say(&format!("{RESOURCE}/mcp"), "authorization_servers", json!([issuer]));
        let order = [
            "/mcp".to_owned(),
            format!("{RESOURCE}/mcp"),
            format!("{SERVER}/tenant/1"),
            format!("{OPENID}/tenant/1"),
            format!("/tenant/1{OPENID}"),
        ];
        assert_eq!(asked(&fake).await, order[..2 + tried]);
    }
}

#[tokio::test]
async fn a_server_of_2025_03_26_is_its_own_authorization_server() {
    for (place, issuer) in [(SERVER, ""), (OPENID, "/")] {
        let fake = Fake::plain().await;
        {
            let mut manners = fake.manners();
            manners.challenge = None;
            manners.documents.remove(&format!("{RESOURCE}/mcp"));
            let mut document = manners.documents.remove(SERVER).unwrap();
            let issuer = format!("{}{issuer}", fake.base());
            document["issuer"] = issuer.clone().into();
            manners.documents.insert(place.to_owned(), document);
            manners.iss = Some(issuer);
        }
        let asked = asked(&fake).await;
        assert_eq!(asked.last().unwrap(), place);
    }
}

#[tokio::test]
async fn what_is_not_safe_is_refused_before_anybody_is_sent_anywhere() {
    let evil = "https://evil.example";
    let metadata = format!("{RESOURCE}/mcp");
    for (document, member, value, expected) in [
        (&*metadata, "resource", json!(format!("{evil}/mcp")), "not of this server"),
        (&metadata, "resource", Value::Null, "cannot be read"),
        (&metadata, "authorization_servers", json!([]), "names no authorization server"),
        (&metadata, "authorization_servers", json!(["http://evil.example"]), "must be https"),
        (&metadata, "authorization_servers", json!(["ftp://evil.example"]), "is not https"),
        (SERVER, "issuer", json!(evil), "which must be the same"),
        (SERVER, "code_challenge_methods_supported", Value::Null, "S256"),
        (SERVER, "code_challenge_methods_supported", json!(["plain"]), "S256"),
        (SERVER, "token_endpoint", json!("http://evil.example/token"), "must be https"),
        (SERVER, "authorization_endpoint", json!("javascript:alert(1)"), "is not https"),
        (SERVER, "registration_endpoint", json!("http://evil.example/"), "must be https"),
    ] {
        let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
        fake.say(document, member, value.clone());
        let output = log_in(home.path(), &fake, &[]).await;
        assert_eq!(output.status.code(), Some(1), "{member} {value}: {}", said(&output));
        assert!(said(&output).contains(expected), "{member} {value}: {}", said(&output));
        let paths = fake.paths();
        assert!(!paths.iter().any(|path| ["/register", "/authorize"].contains(&&**path)));
        assert!(!home.path().join("logins").exists());
    }
}

#[tokio::test]
async fn metadata_of_another_host_is_not_even_asked_for() {
    let (fake, other, home) =
        (Fake::plain().await, Fake::plain().await, tempfile::tempdir().unwrap());
    fake.manners().challenge =
        Some(format!("Bearer resource_metadata=\"{}{RESOURCE}/mcp\"", other.base()));
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("another host's"), "{}", said(&output));
    assert_eq!(other.paths(), [""; 0]);
}

#[tokio::test]
async fn redirections_are_not_followed_and_pages_are_no_documents() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    fake.manners().instead = [
        (format!("{RESOURCE}/mcp"), (302, String::new())),
        (RESOURCE.to_owned(), (200, "<!doctype html>".to_owned())),
        (SERVER.to_owned(), (200, "<!doctype html>".to_owned())),
    ]
    .into();
    fake.manners().challenge = None;
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("does it want a login at all?"), "{}", said(&output));
    let expected = ["/mcp", &format!("{RESOURCE}/mcp"), RESOURCE, SERVER, OPENID];
    assert_eq!(fake.paths(), expected);
}

#[tokio::test]
async fn an_answer_has_an_end() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let endless = format!("{{\"a\":\"{}\"}}", "x".repeat(300 * 1024));
    fake.manners().instead = [(SERVER.to_owned(), (200, endless))].into();
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("is longer than"), "{}", said(&output));
}

#[tokio::test]
async fn who_is_asked_is_asked_over_tls_or_on_this_machine() {
    let (fake, home) = (Fake::tls().await, tempfile::tempdir().unwrap());
    for (url, code, expected) in [
        ("http://mcp.acme.example/mcp", 64, "must be https"),
        ("ftp://mcp.acme.example/mcp", 64, "is not https"),
        ("https://user:pass@mcp.acme.example/mcp", 64, "holds a user"),
        ("mcp.acme.example", 64, "is no address"),
    ] {
        let output = begin(home.path(), &fake, &["--url", url]).await.err().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    // A certificate that nobody vouches for ends it before anything is sent.
    let stranger = Fake::plain().await;
    let url = fake.mcp();
    let output = begin(home.path(), &stranger, &["--url", &url]).await.err().unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert_eq!(fake.paths(), [""; 0]);
}
