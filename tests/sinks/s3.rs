//! Events as objects, at a bucket that checks each signature itself, after AWS's specification of
//! Signature Version 4, and remembers what was put.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hyper::HeaderMap;
use sha2::{Digest as _, Sha256};
use thoth::config::ambient::Ambient;
use thoth::config::settings::{S3Place, SinkPlace};
use thoth::sink::Event;
use uuid::Uuid;

use super::fake::collector::{FakeCollector, nobody};
use super::fake::{Certificate, Script, Seen};
use super::{LONG, event, offer, sinks, sinks_trusting, soon, until};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn put() -> Script {
    Script::Answer(200, String::new())
}

fn place(prefix: &str, variables: &[(&str, &str)]) -> SinkPlace {
    let ambient: Ambient = variables.iter().copied().collect();
    let (bucket, prefix) = ("events".to_owned(), prefix.to_owned());
    SinkPlace::S3(S3Place { bucket, prefix, ambient })
}

/// Variables with a key, at this endpoint.
fn keyed(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ]
}

/// RFC 2104.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// What the signature of a request must be: "Signature Version 4 signing process", for S3.
fn signature(
    method: &str,
    path: &str,
    headers: &HeaderMap,
    signed: &str,
    scope: &str,
    secret: &str,
) -> String {
    let value = |name: &str| headers[name].to_str().unwrap().trim().to_owned();
    let lines = signed.split(';').map(|name| [name, ":", &value(name), "\n"].concat());
    let lines: String = lines.collect();
    let hash = value("x-amz-content-sha256");
    let canonical = format!("{method}\n{path}\n\n{lines}\n{signed}\n{hash}");
    let hash = hex::encode(Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", value("x-amz-date"));
    let key = scope
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    hex::encode(hmac(&key, to_sign.as_bytes()))
}

/// The example "PUT Object" of AWS's documentation judges the judge.
#[test]
fn the_bucket_of_these_tests_knows_the_signature_of_the_specification() {
    let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("host", "examplebucket.s3.amazonaws.com"),
        ("x-amz-content-sha256", hash),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let signed = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class";
    let scope = "20130524/us-east-1/s3/aws4_request";
    let found = signature("PUT", "/test%24file.text", &headers, signed, scope, SECRET);
    assert_eq!(found, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

/// Checks one request as S3 would, and says who signed it.
fn check(seen: &Seen, region: &str, secret: &str) -> String {
    assert_eq!(seen.method, "PUT");
    assert_eq!(seen.headers["content-type"], "application/json");
    let hash = hex::encode(Sha256::digest(&seen.bytes));
    assert_eq!(seen.headers["x-amz-content-sha256"], hash, "the body is signed, too");
    let authorization = seen.headers["authorization"].to_str().unwrap();
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(',');
    let fields: BTreeMap<_, _> =
        fields.map(|field| field.trim().split_once('=').unwrap()).collect();
    let (id, scope) = fields["Credential"].split_once('/').unwrap();
    let day = &seen.headers["x-amz-date"].to_str().unwrap()[..8];
    assert_eq!(scope, format!("{day}/{region}/s3/aws4_request"));
    let signed = fields["SignedHeaders"];
    for name in ["host", "x-amz-content-sha256", "x-amz-date", "content-type"] {
        assert!(signed.split(';').any(|each| each == name), "{name} is not signed: {signed}");
    }
    let is_amz = |name: &&str| name.starts_with("x-amz-");
    for name in seen.headers.keys().map(hyper::header::HeaderName::as_str).filter(is_amz) {
        assert!(signed.split(';').any(|each| each == name), "{name} is not signed: {signed}");
    }
    let expected = signature(&seen.method, &seen.path, &seen.headers, signed, scope, secret);
    assert_eq!(fields["Signature"], expected);
    id.to_owned()
}

fn full(number: u128, session: &str) -> Event {
    let id = Uuid::from_u128(number);
    let json = serde_json::json!({
        "event_id": id.to_string(), "tenant_id": "acme", "session_id": session,
    });
    Event::new(id, json.to_string().into()).unwrap()
}

#[tokio::test]
async fn an_event_is_an_object_under_its_tenant_its_session_and_its_id() {
    let (home, bucket) = (tempfile::tempdir().unwrap(), FakeCollector::plain([put()]).await);
    let url = bucket.fake().url();
    let sinks = sinks(home.path(), &[place("fric tion/raw", &keyed(&url))]);
    let all = [full(1, "s-1"), full(2, "../a b/ü~"), event(Uuid::from_u128(3))];
    offer(&sinks, &all);
    sinks.close(soon(LONG)).await;
    let mut objects = BTreeMap::new();
    for seen in bucket.seen() {
        assert_eq!(check(&seen, "eu-west-1", SECRET), ID);
        objects.insert(seen.path, seen.bytes);
    }
    let expected = [("s-1", &all[0]), ("..%2Fa%20b%2F%C3%BC~", &all[1]), ("unknown", &all[2])];
    assert_eq!(objects.len(), expected.len());
    for (session, event) in expected {
        let key = format!("/events/fric%20tion/raw/acme/{session}/{}.json", event.id());
        assert_eq!(objects.get(&key).unwrap(), event.bytes(), "{key}");
    }
}

#[tokio::test]
async fn a_session_token_goes_along_signed_and_tls_is_ours() {
    let (home, bucket) =
        (tempfile::tempdir().unwrap(), FakeCollector::with(Certificate::Good).await);
    bucket.treats(put());
    let url = bucket.fake().url();
    let mut variables = keyed(&url).to_vec();
    variables.push(("AWS_SESSION_TOKEN", "a-token"));
    let sinks = sinks_trusting(home.path(), &[place("", &variables)], &bucket.fake().tls());
    offer(&sinks, &[full(1, "s-1")]);
    sinks.close(soon(LONG)).await;
    let seen = bucket.seen().remove(0);
    assert_eq!(seen.headers["x-amz-security-token"], "a-token");
    assert!(seen.path.starts_with("/events/acme/s-1/"), "{}", seen.path);
}

#[tokio::test]
async fn credentials_are_found_where_people_keep_them() {
    let machine = FakeCollector::plain([Script::Answer(
        200,
        format!(
            r#"{{"AccessKeyId":"{ID}","SecretAccessKey":"of-container","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
        ),
    )])
    .await;
    let metadata = format!("{}/role", machine.fake().url());
    let folder = tempfile::tempdir().unwrap();
    let (credentials, config) = (folder.path().join("credentials"), folder.path().join("config"));
    let program = folder.path().join("program");
    fs::write(
        &credentials,
        format!("[work]\naws_access_key_id = {ID}\naws_secret_access_key = of-file\n"),
    )
    .unwrap();
    fs::write(
        &config,
        format!("[profile work]\nregion = eu-north-1\n[profile tool]\nregion = eu-north-1\ncredential_process = {}\n", program.display()),
    )
    .unwrap();
    script(&program);
    let files = [
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    for (secret, region, more) in [
        ("of-file", "eu-north-1", vec![("AWS_PROFILE", "work")]),
        ("of-container", "us-east-1", vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*metadata)]),
        #[cfg(unix)]
        ("of-program", "eu-north-1", vec![("AWS_PROFILE", "tool")]),
    ] {
        let (home, bucket) = (tempfile::tempdir().unwrap(), FakeCollector::plain([put()]).await);
        let url = bucket.fake().url();
        let mut variables = vec![("AWS_ENDPOINT_URL_S3", &*url)];
        variables.extend(files);
        variables.extend(more);
        let sinks = sinks(home.path(), &[place("", &variables)]);
        offer(&sinks, &[full(1, "s-1")]);
        until(&sinks, |all| {
            let at = all[0].collector.as_ref().unwrap();
            assert_eq!(at.trouble, None, "{secret}");
            at.delivered == 1
        })
        .await;
        sinks.close(soon(LONG)).await;
        assert_eq!(check(&bucket.seen().remove(0), region, secret), ID, "{secret}");
    }
    assert_eq!(machine.seen().len(), 1, "a credential is kept until it ends");
}

/// A program as `credential_process` names one.
#[cfg_attr(not(unix), expect(unused_variables, reason = "programs differ there"))]
fn script(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let said =
            format!(r#"{{"Version":1,"AccessKeyId":"{ID}","SecretAccessKey":"of-program"}}"#);
        fs::write(path, format!("#!/bin/sh\n[ -z \"$BATON_API_KEY\" ] && echo '{said}'\n"))
            .unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[tokio::test]
async fn without_credentials_or_a_bucket_events_wait() {
    let home = tempfile::tempdir().unwrap();
    let gone = format!("http://{}", nobody());
    let mut variables = keyed(&gone).to_vec();
    let lacking = [("AWS_ENDPOINT_URL", &*gone), ("AWS_EC2_METADATA_DISABLED", "true")];
    for (variables, says) in
        [(lacking.to_vec(), "no credentials for S3"), (variables.split_off(0), "")]
    {
        let sinks = sinks(home.path(), &[place("", &variables)]);
        offer(&sinks, &[full(1, "s-1")]);
        until(&sinks, |all| all[0].collector.as_ref().unwrap().trouble.is_some()).await;
        let at = sinks.standings().remove(0).collector.unwrap();
        assert!(at.trouble.clone().unwrap().contains(says), "{at:?}");
        assert!(!at.trouble.unwrap().contains(SECRET));
        assert_eq!((at.delivered, at.losses.total()), (0, 0));
        sinks.close(soon(std::time::Duration::from_millis(50))).await;
    }
}

#[tokio::test]
async fn what_a_bucket_cannot_take_now_is_put_again_and_what_is_too_long_never() {
    let says = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    let scripts = [
        Script::Answer(400, says("ExpiredToken")),
        Script::Answer(503, says("SlowDown")),
        Script::Answer(400, says("EntityTooLarge")),
        put(),
    ];
    let (home, bucket) = (tempfile::tempdir().unwrap(), FakeCollector::plain(scripts).await);
    let url = bucket.fake().url();
    let sinks = sinks(home.path(), &[place("", &keyed(&url))]);
    offer(&sinks, &[full(1, "s-1")]);
    until(&sinks, |all| all[0].collector.as_ref().unwrap().losses.refused == 1).await;
    offer(&sinks, &[full(2, "s-1")]);
    until(&sinks, |all| all[0].collector.as_ref().unwrap().delivered == 1).await;
    sinks.close(soon(LONG)).await;
    assert_eq!(bucket.seen().len(), 4);
}
