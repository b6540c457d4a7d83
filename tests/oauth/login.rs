//! Whole logins, from the command to the file, and what is told of them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::fake::{Fake, SECRET};
use super::person::{begin, follow, log_in, run, said, thoth, visit};

fn file(home: &Path) -> Value {
    serde_json::from_slice(&fs::read(home.join("logins/acme.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_logs_in_and_nothing_secret_is_shown() {
    for fake in [Fake::plain().await, Fake::tls().await] {
        let home = tempfile::tempdir().unwrap();
        let output = log_in(home.path(), &fake, &[]).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let record = file(home.path());
        assert!(fake.is_good(record["tokens"]["access"].as_str().unwrap()), "{record}");
        assert_eq!(record["url"], fake.mcp());
        assert_eq!(record["issuer"], fake.base());
        assert_eq!(record["scopes_asked"], json!(["files:read", "offline_access"]));

        let mut told = said(&output);
        for words in
            [&["list"][..], &["list", "--json"], &["status", "acme"], &["status", "acme", "--json"]]
        {
            let output = run(home.path(), &fake, words).await;
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
            assert!(said(&output).contains(&fake.mcp()), "{}", said(&output));
            told.push_str(&said(&output));
        }
        assert!(told.contains("state        ok"), "{told}");
        // All of the fake's tokens, codes and secrets hold this.
        assert!(!told.contains("hunter2"), "{told}");
        // And none is in an address.
        for seen in &fake.memory().seen {
            assert!(!seen.target.contains("hunter2"), "{seen:?}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_nobody_elses() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    let logins = home.path().join("logins");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&logins), 0o700);
    for entry in fs::read_dir(&logins).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    assert_eq!(fs::read_dir(&logins).unwrap().count(), 2, "the login, its lock, and no drafts");

    for open in [0o644, 0o620] {
        let path = logins.join("acme.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let output = run(home.path(), &fake, &["status", "acme"]).await;
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains("run chmod"), "{}", said(&output));
    }
    fs::set_permissions(&logins, fs::Permissions::from_mode(0o777)).unwrap();
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
}

#[tokio::test]
async fn the_tokens_are_asked_for_this_server_and_with_proof() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    let memory = fake.memory();
    let of = |path: &str| memory.seen.iter().find(|seen| seen.target.starts_with(path)).unwrap();
    let resource = format!("resource={}", fake.mcp().replace(':', "%3A").replace('/', "%2F"));
    assert!(of("/authorize").target.contains(&resource));
    assert!(of("/token").body.contains(&resource));
    assert!(of("/token").body.contains("code_verifier="));
    let wish: Value = serde_json::from_str(&of("/register").body).unwrap();
    assert_eq!(wish["application_type"], "native");
    assert_eq!(wish["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert!(wish["redirect_uris"][0].as_str().unwrap().starts_with("http://127.0.0.1:"));
    for seen in &memory.seen {
        assert!(!seen.headers.contains_key("authorization"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_client_proves_itself_as_the_server_wants_it() {
    for auth in ["none", "client_secret_basic", "client_secret_post"] {
        let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
        fake.say(
            "/.well-known/oauth-authorization-server",
            "token_endpoint_auth_methods_supported",
            json!([auth]),
        );
        fake.manners().auth = auth;
        let output = log_in(home.path(), &fake, &[]).await;
        assert_eq!(output.status.code(), Some(0), "{auth}: {}", said(&output));

        // The same with a client that was registered by hand, again and again.
        if auth != "none" {
            let secret = home.path().join("secret");
            fs::write(&secret, format!("{SECRET}\n")).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;

                let output = log_in(
                    home.path(),
                    &fake,
                    &["--client-id", "mine", "--client-secret-file", secret.to_str().unwrap()],
                )
                .await;
                assert_eq!(output.status.code(), Some(78), "others can read it: {}", said(&output));
                fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
            }
            let registered = fake.paths().iter().filter(|path| *path == "/register").count();
            for words in [
                &["--client-id", "mine", "--client-secret-file", secret.to_str().unwrap()][..],
                &[],
            ] {
                let output = log_in(home.path(), &fake, words).await;
                assert_eq!(output.status.code(), Some(0), "{auth}: {}", said(&output));
                assert_eq!(file(home.path())["client"]["id"], "mine");
            }
            let now = fake.paths().iter().filter(|path| *path == "/register").count();
            assert_eq!(now, registered, "it was not registered again");
        }
    }
}

#[tokio::test]
async fn a_document_names_the_client_where_the_server_takes_one() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let words = ["--registration", "https://thoth.example/client.json"];
    let output = log_in(home.path(), &fake, &words).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("does not take documents about clients"), "{}", said(&output));

    let metadata = "/.well-known/oauth-authorization-server";
    fake.say(metadata, "client_id_metadata_document_supported", json!(true));
    let output = log_in(home.path(), &fake, &words).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(file(home.path())["client"]["id"], words[1]);
    assert!(!fake.paths().contains(&"/register".to_owned()));

    // Without a document, and without a way to make oneself known.
    fake.say(metadata, "registration_endpoint", Value::Null);
    let output = log_in(home.path(), &fake, &["--registration", "dynamic"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("--client-id"), "{}", said(&output));
}

#[tokio::test]
async fn a_login_is_renewed_with_more_scopes_and_without_its_address() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let challenge = fake.manners().challenge.clone().unwrap();
    fake.manners().challenge = Some(format!("{challenge}, scope=\"files:list\""));
    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    assert_eq!(file(home.path())["scopes_asked"], json!(["files:list", "offline_access"]));

    let waiting = begin(home.path(), &fake, &["--scope", "files:write"]).await.unwrap();
    assert_eq!(waiting.get("scope"), "files:list offline_access files:write");
    visit(&follow(&fake, &waiting.address).await).await;
    assert_eq!(waiting.end().await.status.code(), Some(0));
    assert_eq!(file(home.path())["url"], fake.mcp());

    // At another server of the same name, nothing of that counts.
    let other = Fake::plain().await;
    assert_eq!(log_in(home.path(), &other, &[]).await.status.code(), Some(0));
    assert_eq!(file(home.path())["scopes_asked"], json!(["files:read", "offline_access"]));
    assert_eq!(file(home.path())["url"], other.mcp());
}

#[tokio::test]
async fn a_login_that_fails_leaves_the_one_there_was() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    let before = file(home.path());
    for (break_it, code, expected) in [
        (("/token", 503, ""), 69, "has trouble: it answered 503"),
        (("/token", 400, r#"{"error":"invalid_grant"}"#), 1, "refused: invalid_grant"),
        (("/token", 200, "{}"), 1, "cannot be read"),
        (("/token", 307, ""), 69, "307"),
        (("/register", 400, r#"{"error":"invalid_redirect_uri"}"#), 1, "invalid_redirect_uri"),
    ] {
        let (path, status, body) = break_it;
        fake.manners().instead = [(path.to_owned(), (status, body.to_owned()))].into();
        let output = log_in(home.path(), &fake, &[]).await;
        assert_eq!(output.status.code(), Some(code), "{path} {status}: {}", said(&output));
        assert!(said(&output).contains(expected), "{path} {status}: {}", said(&output));
        assert_eq!(file(home.path()), before);
    }
}

#[tokio::test]
async fn a_login_ends_here_in_any_case_and_there_where_that_is_offered() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    let token = file(home.path())["tokens"]["access"].as_str().unwrap().to_owned();
    let output = run(home.path(), &fake, &["logout", "acme"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("revoked"), "{}", said(&output));
    assert!(!fake.is_good(&token));
    assert!(!home.path().join("logins/acme.json").exists());
    let hints: Vec<_> = {
        let memory = fake.memory();
        let revoked = memory.seen.iter().filter(|seen| seen.target == "/revoke");
        revoked.map(|seen| seen.body.contains("token_type_hint=refresh_token")).collect()
    };
    assert_eq!(hints, [true, false], "the one it is refreshed with, and then the other");

    for words in [["logout", "acme"], ["status", "acme"]] {
        let output = run(home.path(), &fake, &words).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    }
    assert!(said(&run(home.path(), &fake, &["list"]).await).contains("There are no logins"));

    for (status, endpoint, code) in [(503, true, 1), (503, false, 0)] {
        fake.manners().instead.clear();
        if !endpoint {
            fake.say("/.well-known/oauth-authorization-server", "revocation_endpoint", Value::Null);
        }
        assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
        fake.manners().instead = [("/revoke".to_owned(), (status, String::new()))].into();
        let output = run(home.path(), &fake, &["logout", "acme"]).await;
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(!home.path().join("logins/acme.json").exists(), "removed in any case");
    }

    assert_eq!(log_in(home.path(), &fake, &[]).await.status.code(), Some(0));
    fs::write(home.path().join("logins/acme.json"), "{").unwrap();
    let output = run(home.path(), &fake, &["logout", "acme"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("may still be good"), "{}", said(&output));
    assert!(!home.path().join("logins/acme.json").exists(), "removed in any case");
}

#[tokio::test]
async fn what_is_said_of_the_enforcers_certificate_does_not_count_for_logins() {
    let (fake, home) = (Fake::tls().await, tempfile::tempdir().unwrap());
    let url = fake.mcp();
    let output = thoth(home.path(), &fake, &["login", "acme", "--no-browser", "--url", &url])
        .env_remove("THOTH_TLS_CA_BUNDLE")
        .env("THOTH_TLS_VERIFY", "false")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("is not trusted"), "{}", said(&output));
    assert_eq!(fake.paths(), Vec::<String>::new());
}
