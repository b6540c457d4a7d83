//! A person at a terminal, with a browser that does what addresses say.

use std::path::Path;
use std::process::{Output, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oauth2::url::Url;
use thoth::config::settings::Tls;
use thoth::https::Wire;
use thoth::tls;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::fake::Fake;

/// A `thoth auth login` that waits for the browser.
pub(crate) struct Waiting {
    child: Child,
    out: BufReader<ChildStdout>,
    said: String,
    /// The address that the person is to open.
    pub(crate) address: Url,
}

/// `thoth auth` with these words.
pub(crate) fn thoth(home: &Path, fake: &Fake, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
    command
        .arg("auth")
        .args(words)
        .env_clear()
        .env("THOTH_HOME_DIR", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(ca) = fake.ca() {
        command.env("THOTH_TLS_CA_BUNDLE", ca);
    }
    command
}

/// `thoth auth` with these words, to its end.
pub(crate) async fn run(home: &Path, fake: &Fake, words: &[&str]) -> Output {
    thoth(home, fake, words).output().await.unwrap()
}

/// Begins a login.
pub(crate) async fn begin(home: &Path, fake: &Fake, words: &[&str]) -> Result<Waiting, Output> {
    let words = [&["login", "acme", "--no-browser"], words].concat();
    let mut child = thoth(home, fake, &words).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).await.unwrap() == 0 {
            let mut output = child.wait_with_output().await.unwrap();
            output.stdout = said.into_bytes();
            return Err(output);
        }
        said.push_str(&line);
        if let Ok(address) = Url::parse(line.trim()) {
            return Ok(Waiting { child, out, said, address });
        }
    }
}

/// A whole login, at the MCP server of the fake.
pub(crate) async fn log_in(home: &Path, fake: &Fake, words: &[&str]) -> Output {
    let url = fake.mcp();
    match begin(home, fake, &[&["--url", &url], words].concat()).await {
        Err(output) => output,
        Ok(waiting) => {
            let back = follow(fake, &waiting.address).await;
            assert_eq!(visit(&back).await.0, StatusCode::OK);
            waiting.end().await
        }
    }
}

/// Opens an address of the authorization server: where it sends the browser.
pub(crate) async fn follow(fake: &Fake, address: &Url) -> Url {
    let tls = Tls { ca_bundle: fake.ca().map(Path::to_owned), ..Tls::default() };
    let tls = Tls { unverified: fake.ca().is_none(), ..tls };
    let uri: hyper::Uri = address.as_str().parse().unwrap();
    let patience = std::time::Duration::from_secs(30);
    let wire = Wire::new(Some(tls::client_config(&tls).unwrap()), patience, None);
    let request = Request::get(uri).body(Full::default()).unwrap();
    let (head, _) = wire.send(request).await.unwrap().into_parts();
    assert_eq!(head.status, StatusCode::FOUND);
    Url::parse(head.headers["location"].to_str().unwrap()).unwrap()
}

/// Opens an address of this machine.
pub(crate) async fn visit(address: &Url) -> (StatusCode, String) {
    ask(Request::get(address.as_str())).await
}

/// Sends any request.
pub(crate) async fn ask(request: hyper::http::request::Builder) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// What it said, on both streams.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

// === impl Waiting ===

impl Waiting {
    /// Where the browser is to come back to.
    pub(crate) fn redirect(&self) -> Url {
        Url::parse(&self.get("redirect_uri")).unwrap()
    }

    /// A parameter of the address.
    pub(crate) fn get(&self, name: &str) -> String {
        let mut found = self.address.query_pairs().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> Output {
        self.out.read_to_string(&mut self.said).await.unwrap();
        let mut output = self.child.wait_with_output().await.unwrap();
        output.stdout = self.said.into_bytes();
        output
    }
}
