//! A bucket of S3, or of something that speaks like it: one object for each event, under
//! `{prefix/}{tenant_id}/{session_id}/{event_id}.json`, as baton-proxy names them. An event that is
//! put twice is the same object.
//!
//! What a request looks like is ours, and goes over a [`Line`]; its signature (`SigV4`) and the search
//! for credentials are `reqsign`'s, which is given our files and our lines ([`ambient`]).
//!
//! AWS is asked at `https://{bucket}.s3.{region}.amazonaws.com`, anything else
//! (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) at `{endpoint}/{bucket}`.

mod ambient;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::Signer;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::{EXCHANGE, Fate, answered, fate, line};
use crate::config::settings::S3Place;
use crate::https::{self, Line, Reply, segment};
use crate::sink::{Event, Setup, SinkError};

/// What S3 says of an object that it will never take. All else can be mended: a key that has ended, a
/// clock that is wrong, a bucket that is not there yet.
const UNWANTED: [&str; 2] = ["EntityTooLarge", "KeyTooLongError"];

/// What S3 says with a 400 or a 403 of credentials that newer ones may replace.
const OUTDATED: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];

/// One bucket, and the connections to it.
#[derive(Debug)]
pub(in crate::sink) struct S3 {
    line: Line,
    /// Where keys begin, without a slash at the end.
    base: String,
    /// What each key begins with: nothing, or text with a slash at the end.
    prefix: String,
    tenant: String,
    region: String,
    context: reqsign_core::Context,
    /// Remembers the credential until it ends, or is not accepted.
    signer: Mutex<Signer<Credential>>,
}

/// What a key is made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts<'a> {
    #[serde(borrow)]
    tenant_id: Cow<'a, str>,
    #[serde(borrow)]
    session_id: Cow<'a, str>,
}

// === impl S3 ===

impl S3 {
    pub(super) fn new(place: &S3Place, setup: &Setup) -> Result<Self, SinkError> {
        let region = ambient::region(&place.ambient);
        let base = base(place, &region);
        let line = line(&base, &setup.tls, setup.clock)?;
        let context = ambient::context(&place.ambient, &setup.tls, setup.clock)?;
        let steps = place.prefix.split('/').filter(|step| !step.is_empty());
        let prefix = steps.fold(String::new(), |prefix, step| prefix + &segment(step) + "/");
        let signer = Mutex::new(signer(&context, &region));
        let tenant = setup.tenant.clone();
        Ok(Self { line, base, prefix, tenant, region, context, signer })
    }

    pub(super) async fn send(&self, event: Event) -> Fate {
        let deadline = Instant::now() + EXCHANGE;
        let path = self.path(&event);
        let headers = match timeout_at(deadline, self.sign(&path, event.bytes())).await {
            Ok(Ok(headers)) => headers,
            Ok(Err(why)) => return Fate::later(&why),
            Err(_) => return Fate::later("the credentials for S3 cannot be found in time"),
        };
        let place = match self.line.place(deadline).await {
            Ok(place) => place,
            Err(outcome) => return answered(outcome).err().unwrap_or(Fate::later("no place")),
        };
        let body = event.bytes().clone();
        let outcome = self.line.exchange(place, Method::PUT, &path, headers, body, deadline).await;
        let reply = match answered(outcome) {
            Ok(reply) => reply,
            Err(fate) => return fate,
        };
        if OUTDATED.contains(&reply.status) {
            *self.signer.lock().unwrap_or_else(PoisonError::into_inner) =
                signer(&self.context, &self.region);
        }
        meaning(&reply)
    }

    /// `/{prefix/}{tenant_id}/{session_id}/{event_id}.json`
    fn path(&self, event: &Event) -> String {
        let facts: Facts<'_> = serde_json::from_slice(event.bytes()).unwrap_or_default();
        let tenant = if facts.tenant_id.is_empty() { &*self.tenant } else { &*facts.tenant_id };
        let session = if facts.session_id.is_empty() { "unknown" } else { &*facts.session_id };
        let (prefix, tenant, session) = (&self.prefix, segment(tenant), segment(session));
        format!("/{prefix}{tenant}/{session}/{}.json", event.id())
    }

    /// The headers of a request that puts this there.
    async fn sign(&self, path: &str, body: &Bytes) -> Result<HeaderMap, String> {
        let request = Request::put(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, "application/json")
            .header("x-amz-content-sha256", hex::encode(Sha256::digest(body)))
            .body(());
        let mut parts = request.map_err(|error| error.to_string())?.into_parts().0;
        let signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        signer.sign(&mut parts, None).await.map_err(|error| {
            format!("no credentials for S3; set AWS_PROFILE or AWS_ACCESS_KEY_ID: {}", error.kind())
        })?;
        parts.headers.remove(HOST); // the line's own, and the same
        Ok(parts.headers)
    }
}

fn signer(context: &reqsign_core::Context, region: &str) -> Signer<Credential> {
    let provider = DefaultCredentialProvider::new();
    Signer::new(context.clone(), provider, RequestSigner::new("s3", region))
}

/// Whether the endpoint can be asked as configured.
pub(in crate::sink) fn check(place: &S3Place) -> Result<(), SinkError> {
    let base = base(place, &ambient::region(&place.ambient));
    https::base(&base).map(drop).map_err(SinkError::Address)
}

/// What tells this place from others.
pub(super) fn identity(place: &S3Place) -> String {
    let S3Place { bucket, prefix, ambient } = place;
    format!("{}/{bucket}/{prefix}", ambient::endpoint(ambient).unwrap_or_default())
}

/// Where keys begin. A bucket whose name has dots is no part of a host name: no certificate covers it.
fn base(place: &S3Place, region: &str) -> String {
    let bucket = &place.bucket;
    if let Some(endpoint) = ambient::endpoint(&place.ambient) {
        return format!("{}/{bucket}", endpoint.trim_end_matches('/'));
    }
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    if bucket.contains(['.', '_']) {
        format!("https://s3.{region}.{domain}/{bucket}")
    } else {
        format!("https://{bucket}.s3.{region}.{domain}")
    }
}

fn meaning(reply: &Reply) -> Fate {
    let said = reply.body.as_ref().map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
    let code = said.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match fate(reply.status, reply.retry_after) {
        Fate::Taken => Fate::Taken,
        Fate::Unwanted(_) if UNWANTED.contains(&code) => Fate::Unwanted(format!("S3 says {code}")),
        Fate::Unwanted(why) | Fate::Later { why, .. } => Fate::Later {
            why: if is_code { format!("{why}: {code}") } else { why },
            retry_after: reply.retry_after,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ambient::Ambient;

    fn place(bucket: &str, variables: &[(&str, &str)]) -> S3Place {
        let ambient: Ambient = variables.iter().copied().collect();
        S3Place { bucket: bucket.to_owned(), prefix: String::new(), ambient }
    }

    #[test]
    fn where_keys_begin() {
        for (bucket, variables, expected) in [
            ("events", &[][..], "https://events.s3.us-east-1.amazonaws.com"),
            (
                "my.events",
                &[("AWS_REGION", "eu-west-1")],
                "https://s3.eu-west-1.amazonaws.com/my.events",
            ),
            (
                "events",
                &[("AWS_DEFAULT_REGION", "cn-north-1")],
                "https://events.s3.cn-north-1.amazonaws.com.cn",
            ),
            (
                "events",
                &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/"), ("AWS_REGION", "")],
                "http://127.0.0.1:9000/events",
            ),
            (
                "events",
                &[("AWS_ENDPOINT_URL", "x"), ("AWS_ENDPOINT_URL_S3", "https://m.example/s3")],
                "https://m.example/s3/events",
            ),
        ] {
            let place = place(bucket, variables);
            assert_eq!(base(&place, &ambient::region(&place.ambient)), expected);
            assert!(check(&place).is_ok(), "{expected}");
        }
        assert!(check(&place("events", &[("AWS_ENDPOINT_URL", "http://10.0.0.1:9000")])).is_err());
    }

    #[test]
    fn what_an_answer_means_for_an_object() {
        for (status, code, expected) in [
            (200, "", "taken"),
            (400, "EntityTooLarge", "unwanted"),
            (400, "KeyTooLongError", "unwanted"),
            (400, "ExpiredToken", "later"),
            (400, "", "later"),
            (403, "RequestTimeTooSkewed", "later"),
            (301, "PermanentRedirect", "later"),
            (404, "NoSuchBucket", "later"),
            (503, "SlowDown", "later"),
        ] {
            let body = format!("<Error><Code>{code}</Code><Message>x</Message></Error>");
            let status = StatusCode::from_u16(status).unwrap();
            let reply = Reply { status, retry_after: None, body: Ok(body.into()) };
            let found = match meaning(&reply) {
                Fate::Taken => "taken",
                Fate::Unwanted(_) => "unwanted",
                Fate::Later { why, .. } => {
                    assert!(why.ends_with(code), "{why}");
                    "later"
                }
            };
            assert_eq!(found, expected, "{status} {code}");
        }
    }
}
