//! `--probe`: asks servers behind an address, which have no credential, whether they want one.
//!
//! Each is asked once, by the message with which a session begins; no tool is called, and the session
//! that a server may open for it is not used. A redirection is never followed, and nothing but an
//! address over TLS, or of this machine, is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode, Uri};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::far::{self, Answer};
use crate::cli::exit;
use crate::cli::fault::{Fault, chain};
use crate::clients::document::Document;
use crate::clients::place;
use crate::clients::scan::Entries;
use crate::clients::table::{File, Places};
use crate::config;
use crate::config::flags::RunFlags;
use crate::config::layers::Layers;
use crate::config::settings::Tls;
use crate::config::variables::Env;
use crate::https::{Limits, Line, Outcome};
use crate::machine::clock;
use crate::tls::client_config;

/// The longest a server is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes: what is in it does not matter.
const ANSWER: usize = 64 * 1024;

/// How many are asked at once.
const AT_ONCE: usize = 8;

/// The first message of a session (MCP 2025-06-18, lifecycle).
const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"thoth","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

/// Asks every server of these files that has no credential.
///
/// # Errors
///
/// Where nothing can be asked at all.
pub(super) fn ask(
    files: &[&File],
    places: &Places,
    env: &Env,
) -> Result<BTreeMap<String, Answer>, Fault> {
    let urls = addresses(files, places);
    let reading = config::read(&RunFlags::default(), None, env, &Layers::of_system(env));
    let tls = reading.draft().tls.clone();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::of(exit::UNAVAILABLE))?;
    let answers = runtime.block_on(all(urls, &tls));
    // A name that is still looked up must not keep us.
    runtime.shutdown_background();
    Ok(answers)
}

/// The addresses that are to be asked. What cannot be read is told of later.
fn addresses(files: &[&File], places: &Places) -> BTreeSet<String> {
    let mut urls = BTreeSet::new();
    for file in files {
        let Ok(contents) = place::read(&file.path) else { continue };
        let Ok(document) = Document::read(&contents.bytes, file.shape) else { continue };
        for entry in Entries::new(places).of(file, &document, &contents.bytes) {
            let Some(at) = entry.server.filter(|_| entry.barrier.is_none()) else { continue };
            let transport = &document.servers()[at].transport;
            urls.extend(far::to_be_asked(file.client.id, transport, document.address(at)));
        }
    }
    urls
}

async fn all(urls: BTreeSet<String>, tls: &Tls) -> BTreeMap<String, Answer> {
    let (mut asked, mut answers) = (JoinSet::new(), BTreeMap::new());
    for url in urls {
        if asked.len() == AT_ONCE
            && let Some(Ok((url, answer))) = asked.join_next().await
        {
            answers.insert(url, answer);
        }
        let tls = tls.clone();
        asked.spawn(async move {
            let answer = one(&url, &tls).await;
            (url, answer)
        });
    }
    while let Some(answered) = asked.join_next().await {
        // None of them panics; one that did would be unclear, and so stay as it is.
        answers.extend(answered);
    }
    answers
}

async fn one(url: &str, tls: &Tls) -> Answer {
    let unclear = |why: &str| Answer::Unclear(why.to_owned());
    let Ok(uri) = url.parse::<Uri>() else { return unclear("its address cannot be read") };
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    let Ok(base) = Uri::from_parts(parts) else { return unclear("its address cannot be read") };
    let limits = Limits { time: LIMIT, connect: LIMIT, in_flight: 1, answer: ANSWER };
    let tls = match client_config(tls) {
        Ok(tls) => tls,
        Err(error) => return Answer::Unclear(chain(&error)),
    };
    let line = Line::new("the server", base, tls, limits, clock::now);
    let deadline = Instant::now() + LIMIT;
    let outcome = match line.place(deadline).await {
        Ok(place) => {
            let accept = HeaderValue::from_static("application/json, text/event-stream");
            let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
            let hello = Bytes::from_static(HELLO.as_bytes());
            line.exchange(place, Method::POST, &path, headers, hello, deadline).await
        }
        Err(outcome) => outcome,
    };
    read(outcome)
}

/// What an answer says.
fn read(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Answered(reply) => match reply.status {
            status if status.is_success() => Answer::Open,
            StatusCode::UNAUTHORIZED => Answer::Login,
            // An HTTP+SSE server has no POST at the address of its stream.
            StatusCode::METHOD_NOT_ALLOWED => Answer::Open,
            status => Answer::Unclear(format!("answered {}", status.as_u16())),
        },
        Outcome::Distrusted { .. } => {
            Answer::Unclear("its certificate is not one to be trusted".to_owned())
        }
        Outcome::Lost(why) => Answer::Unclear(why),
    }
}
