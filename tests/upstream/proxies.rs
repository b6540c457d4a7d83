//! Proxies that the environment names: only where they are asked for, and then nothing but a tunnel.
//!
//! The server is `other.example`, a name that only the proxy can make anything of; or `0.0.0.0`, an
//! address that is none of this machine's by the letter, and is reached at once all the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::client::Setup;
use crate::fake::Certificate;
use crate::server::Server;

/// `user:pass-hunter2`, as it is shown to the proxy.
const BASIC: &str = "dXNlcjpwYXNzLWh1bnRlcjI=";
const PASSWORD: &str = "pass-hunter2";

/// Every variable that names a proxy somewhere.
const ALL: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// A proxy, and everything it heard from those who use it.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Tunnels to this server, whatever its name is.
    async fn to(server: SocketAddr) -> Self {
        Self::start(Some(server), "HTTP/1.1 200 Connection established\r\n\r\n").await
    }

    /// Answers so, and closes.
    async fn refusing(answer: &'static str) -> Self {
        Self::start(None, answer).await
    }

    async fn start(server: Option<SocketAddr>, answer: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let memory = Arc::clone(&heard);
        let serving = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let at = {
                    let mut heard = memory.lock().unwrap();
                    heard.push(Vec::new());
                    heard.len() - 1
                };
                let memory = Arc::clone(&memory);
                let remember = move |bytes: &[u8]| memory.lock().unwrap()[at].extend(bytes);
                connections.spawn(serve(stream, server, answer, remember));
            }
        };
        Self { address, heard, _serving: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    fn url(&self) -> String {
        format!("http://user:{PASSWORD}@{}", self.address)
    }

    /// What each connection said, as far as it is text.
    fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

async fn serve(
    mut client: TcpStream,
    server: Option<SocketAddr>,
    answer: &'static str,
    remember: impl Fn(&[u8]),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { break };
        head.push(byte);
    }
    remember(&head);
    let _ = client.write_all(answer.as_bytes()).await;
    let Some(server) = server else { return };
    let (mut up, mut down) = TcpStream::connect(server).await.unwrap().into_split();
    let (mut from_client, mut to_client) = client.into_split();
    let there = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            remember(&bytes[..count]);
            if down.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = down.shutdown().await;
    };
    let back = async {
        let _ = tokio::io::copy(&mut up, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}

/// A server that is `other.example` to whoever trusts its authority.
async fn server() -> Server {
    let server = Server::over_tls_as(Certificate::WrongName).await;
    server.accept_only(&["s3cret"]);
    server
}

/// A sidecar for the server under a name that nobody here knows.
fn setup(server: &Server, host: &str) -> Setup {
    Setup::at(&format!("https://{host}:{}/mcp", server.address().port()))
        .token("s3cret")
        .variable("THOTH_TLS_CA_BUNDLE", server.ca().to_str().unwrap())
}

#[tokio::test]
async fn without_being_asked_for_no_proxy_hears_anything() {
    for flags in [&[][..], &["--upstream-proxy", "off"]] {
        let server = server().await;
        let proxy = Proxy::to(server.address()).await;
        let setup = ALL.iter().fold(setup(&server, "other.example"), |setup, name| {
            setup.variable(name, &proxy.url())
        });
        let setup = setup.flags(flags);
        let mut client = setup.start();
        let answer = client.shakes_hands("2025-11-25").await;
        assert_eq!(answer["error"]["data"]["reason_code"], "upstream_unreachable", "{answer}");
        let _ = client.ends().await;
        assert_eq!(proxy.heard(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn where_it_is_asked_for_the_proxy_is_shown_its_own_credentials_and_no_others() {
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        let server = server().await;
        let proxy = Proxy::to(server.address()).await;
        let setup = setup(&server, "other.example")
            .flags(&["--upstream-proxy", "environment"])
            .variable(name, &proxy.url());
        let mut client = setup.begin().await;
        client.all_succeed(1..=3).await;
        let ended = client.ends().await;
        setup.holds(&server, &ended, 3);
        assert!(!ended.stderr.contains(PASSWORD) && !ended.stderr.contains(BASIC), "{name}");

        let all = proxy.heard();
        assert!(!all.is_empty(), "{name}");
        let port = server.address().port();
        for said in all {
            let (head, tunnelled) = said.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("CONNECT other.example:{port} HTTP/1.1")), "{head}");
            let lower = head.to_ascii_lowercase();
            let shown = format!("proxy-authorization: basic {}", BASIC.to_ascii_lowercase());
            assert!(lower.contains(&shown), "{head}");
            assert!(!lower.contains("\r\nauthorization:"), "{head}");
            for secret in ["s3cret", "tools/call", PASSWORD, BASIC] {
                assert!(!tunnelled.contains(secret), "{secret} is readable in the tunnel");
            }
            assert!(!head.contains("s3cret"), "{head}");
        }
        for seen in server.seen() {
            assert_eq!(seen.header("proxy-authorization"), "", "{name}");
            assert_eq!(seen.token(), "s3cret");
        }
    }
}

/// Whoever named it would not have the server reached directly.
#[tokio::test]
async fn a_proxy_of_a_kind_that_is_not_known_is_not_passed_by() {
    for kind in ["socks5", "socks5h", "socks4", "https", "ftp", "htp", "", " http"] {
        let server = server().await;
        let setup = setup(&server, "other.example")
            .flags(&["--upstream-proxy", "environment"])
            .variable("HTTPS_PROXY", &format!("{kind}://user:{PASSWORD}@127.0.0.1:9"));
        let ended = setup.start().ends().await;
        assert_eq!(ended.code, 78, "{kind}: {}", ended.stderr);
        assert!(ended.stderr.contains("`http://"), "{kind}: {}", ended.stderr);
        assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
        assert_eq!(server.look(|state| state.connections), 0, "{kind}");
    }
}

/// `HTTP_PROXY` is for what is not encrypted, and that stays on this machine.
#[tokio::test]
async fn a_proxy_for_plain_http_is_not_taken_for_one_of_https() {
    let server = server().await;
    let proxy = Proxy::to(server.address()).await;
    let setup = setup(&server, "other.example")
        .flags(&["--upstream-proxy", "environment"])
        .variable("HTTP_PROXY", &proxy.url())
        .variable("http_proxy", &proxy.url());
    let mut client = setup.start();
    let answer = client.shakes_hands("2025-11-25").await;
    assert_eq!(answer["error"]["data"]["reason_code"], "upstream_unreachable", "{answer}");
    let _ = client.ends().await;
    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_is_excepted_is_not_reached_through_the_proxy() {
    for (except, is_excepted) in [
        ("other.example", true),
        (".example", true),
        ("example", true),
        ("elsewhere.test, other.example", true),
        ("*", true),
        ("another.example", false),
        ("ther.example", false),
        ("", false),
    ] {
        let server = server().await;
        let proxy = Proxy::to(server.address()).await;
        for name in ["NO_PROXY", "no_proxy"] {
            let setup = setup(&server, "other.example")
                .flags(&["--upstream-proxy", "environment"])
                .variable("HTTPS_PROXY", &proxy.url())
                .variable(name, except);
            let mut client = setup.start();
            let answer = client.shakes_hands("2025-11-25").await;
            let _ = client.ends().await;
            assert_eq!(answer["error"].is_object(), is_excepted, "{name}={except}: {answer}");
        }
        assert_eq!(proxy.heard().is_empty(), is_excepted, "{except}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_nothing_goes_past_it() {
    let direct = {
        // The same server, and nobody between: it is reached, and not trusted by this name.
        let server = server().await;
        let setup = setup(&server, "0.0.0.0");
        let mut client = setup.start();
        let answer = client.shakes_hands("2025-11-25").await;
        let _ = client.ends().await;
        (answer["error"]["data"]["reason_code"].clone(), server.look(|state| state.connections))
    };
    assert_eq!(direct.0, "upstream_not_trusted");
    assert!(direct.1 >= 1, "a connection past the proxy would be seen");

    for refusal in [
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://0.0.0.0/\r\ncontent-length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "",
    ] {
        let server = server().await;
        let proxy = Proxy::refusing(refusal).await;
        let setup = setup(&server, "0.0.0.0")
            .flags(&["--upstream-proxy", "environment"])
            .variable("HTTPS_PROXY", &proxy.url());
        let mut client = setup.start();
        let answer = client.call(1).await;
        let error = &answer["error"];
        assert_eq!(error["data"]["reason_code"], "upstream_unreachable", "{answer}");
        assert_eq!(error["data"]["retryable"], true, "nothing was executed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("tunnel") || message.contains("proxy"), "{refusal:?}: {message}");
        let ended = client.ends().await;
        assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");

        assert_eq!(server.look(|state| state.connections), 0, "{refusal:?}: it was reached");
        assert!(server.executed().is_empty());
        let heard = proxy.heard();
        assert!(!heard.is_empty());
        assert!(heard.iter().all(|said| said.starts_with("CONNECT 0.0.0.0:")), "{heard:?}");
        assert!(heard.iter().all(|said| !said.contains("s3cret")), "{heard:?}");
        setup.audit().has(1);
    }
}
