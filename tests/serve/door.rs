//! Who is let in. Nothing of a request that is refused reaches a server: none is even started.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::http::{Request, Response};
use crate::launch::{Served, Setup, call, initialize, text};

/// One request that is refused: what is wrong with it, and how.
type Row = (&'static str, fn(Request, &Served) -> Request, u16);

/// From the first check to the last. Each request is good but for what is said.
const REFUSED: &[Row] = &[
    ("no host", |request, _| request.without("host"), 403),
    ("two hosts", |request, served| request.and("host", &host(served)), 403),
    (
        "a name that was rebound",
        |request, served| request.with("host", &format!("evil.example:{}", served.port())),
        403,
    ),
    ("no port", |request, _| request.with("host", "127.0.0.1"), 403),
    ("another port", |request, _| request.with("host", "127.0.0.1:1"), 403),
    (
        "another loopback address",
        |request, served| request.with("host", &format!("127.0.0.2:{}", served.port())),
        403,
    ),
    (
        "a name that only begins so",
        |request, served| request.with("host", &format!("{}.evil.example", host(served))),
        403,
    ),
    (
        "another host in the target",
        |request, served| request.to("POST", &format!("http://evil.example:{}/mcp", served.port())),
        403,
    ),
    ("an origin", |request, _| request.and("origin", "https://evil.example"), 403),
    (
        "its own origin",
        |request, served| request.and("origin", &format!("http://{}", host(served))),
        403,
    ),
    ("no origin in particular", |request, _| request.and("origin", "null"), 403),
    (
        "an allowed origin and another",
        |request, _| request.and("origin", "app://allowed").and("origin", "https://evil.example"),
        403,
    ),
    ("another site", |request, _| request.and("sec-fetch-site", "cross-site"), 403),
    ("the same site", |request, _| request.and("sec-fetch-site", "same-site"), 403),
    ("the same origin", |request, _| request.and("sec-fetch-site", "same-origin"), 403),
    ("no secret", |request, _| request.without("authorization"), 404),
    (
        "another secret",
        |request, _| request.with("authorization", &format!("Bearer {}", "A".repeat(43))),
        404,
    ),
    (
        "most of the secret",
        |request, served| {
            request.with("authorization", &format!("Bearer {}", &served.secret()[..42]))
        },
        404,
    ),
    (
        "another scheme",
        |request, served| request.with("authorization", &format!("Basic {}", served.secret())),
        404,
    ),
    ("two secrets", |request, _| request.and("authorization", "Bearer x"), 404),
    (
        "the secret in the query",
        |request, served| {
            request.without("authorization").to("POST", &format!("/mcp?key={}", served.secret()))
        },
        404,
    ),
    ("another path", |request, _| request.to("POST", "/"), 404),
    ("a path beyond", |request, _| request.to("POST", "/mcp/"), 404),
    (
        "the secret and another path",
        |request, served| request.to("POST", &format!("/{}/sse", served.secret())),
        404,
    ),
    (
        "metadata of a resource",
        |request, _| request.to("GET", "/.well-known/oauth-protected-resource/mcp"),
        404,
    ),
    (
        "metadata of an authorization server",
        |request, _| request.to("GET", "/.well-known/oauth-authorization-server"),
        404,
    ),
    ("a registration", |request, _| request.to("POST", "/register"), 404),
    ("its health", |request, _| request.to("GET", "/healthz"), 404),
    (
        "a preflight without secret",
        |request, _| request.to("OPTIONS", "/mcp").without("authorization"),
        404,
    ),
    ("a preflight", |request, _| request.to("OPTIONS", "/mcp"), 405),
    ("another method", |request, _| request.to("PUT", "/mcp"), 405),
    ("a head", |request, _| request.to("HEAD", "/mcp"), 405),
    ("no form that we have", |request, _| request.with("accept", "text/html"), 406),
    (
        "a GET that takes no events",
        |request, _| request.to("GET", "/mcp").with("accept", "application/json").saying(""),
        406,
    ),
    ("a form that a page can send", |request, _| request.with("content-type", "text/plain"), 415),
    (
        "a form's fields",
        |request, _| request.with("content-type", "application/x-www-form-urlencoded"),
        415,
    ),
    ("no type", |request, _| request.without("content-type"), 415),
    ("a body that says it is too long", |request, _| request.and("content-length", "4194305"), 413),
    ("a body that is too long", |request, _| request.saying(vec![b' '; 4_194_305]), 413),
    (
        "one without a length",
        |request, _| request.and("transfer-encoding", "chunked").saying(chunks(65)),
        413,
    ),
    ("no message", |request, _| request.saying("  \n"), 400),
    ("no JSON", |request, _| request.saying("{"), 400),
    ("a batch", |request, _| request.saying(format!("[{}]", initialize())), 400),
    ("no session", |request, _| request.saying(call(1, "echo").to_string()), 400),
    (
        "another's session",
        |request, _| {
            request.and("mcp-session-id", &"A".repeat(43)).saying(call(1, "echo").to_string())
        },
        404,
    ),
    (
        "nobody's session at its end",
        |request, _| request.and("mcp-session-id", "x").to("DELETE", "/mcp").saying(""),
        404,
    ),
];

fn host(served: &Served) -> String {
    format!("127.0.0.1:{}", served.port())
}

/// A chunk of 64 KiB.
fn chunk() -> Vec<u8> {
    [b"10000\r\n".as_slice(), &vec![b' '; 0x1_0000], b"\r\n"].concat()
}

/// So many of them.
fn chunks(count: usize) -> Vec<u8> {
    [chunk().repeat(count), b"0\r\n\r\n".to_vec()].concat()
}

#[test]
fn what_is_refused_reaches_no_server() {
    let served = Setup::new().flags(&["--allow-origin", "app://allowed"]).start();
    for (what, change, status) in REFUSED {
        let mut response = served.send(&change(served.post(&initialize()), &served));
        assert_eq!(response.status, *status, "{what}");
        for name in ["www-authenticate", "server", "set-cookie", "mcp-session-id", "location"] {
            assert_eq!(response.header(name), None, "{what}");
        }
        let has_cors = response.headers.iter().any(|(name, _)| name.starts_with("access-control"));
        assert!(!has_cors, "{what}");
        if matches!(status, 403..=405) && !what.contains("session") {
            assert_eq!(response.text(), "", "{what}: nothing is said");
        }
    }
    assert_eq!(served.setup.starts(), [""; 0], "no server was started");
    // And all that stood between them and one is what was wrong.
    served.initialize();
    assert_eq!(served.setup.starts().len(), 1);
}

/// What a web page, another user or a rebound name lacks or shows: each is enough by itself.
const STRANGERS: &[Row] = &[
    ("a name that was rebound", |request, _| request.with("host", "evil.example"), 403),
    ("a page's origin", |request, _| request.and("origin", "https://evil.example"), 403),
    ("a page's site", |request, _| request.and("sec-fetch-site", "cross-site"), 403),
    ("no secret", |request, _| request.without("authorization"), 404),
    (
        "another secret",
        |request, _| request.with("authorization", &format!("Bearer {}", "A".repeat(43))),
        404,
    ),
];

#[test]
fn a_stranger_who_knows_a_session_neither_calls_in_it_nor_hears_it_nor_ends_it() {
    let served = Setup::new().start();
    let session = served.initialize();
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}});
    let mut hanging = served.call(&session, 1, "wait");
    for (what, change, status) in STRANGERS {
        for request in [
            served.within(&session, &call(2, "echo")),
            served.within(&session, &cancel),
            served.listening(&session),
            served.listening(&session).to("DELETE", "/mcp"),
        ] {
            let mut response = served.send(&change(request, &served));
            assert_eq!((response.status, &*response.text()), (*status, ""), "{what}");
        }
    }
    served.open_gate();
    assert_eq!(text(&hanging.message()), "waited", "the call of the client goes on");
    let lines = served.setup.seen();
    assert_eq!(lines.len(), 2, "the greeting and the call: {lines:?}");
    assert_eq!(served.setup.starts().len(), 1);
}

#[test]
fn a_stranger_makes_no_connection_to_a_server_behind_an_address() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", upstream.local_addr().unwrap());
    let served = Setup::new().url(&url).start();
    upstream.set_nonblocking(true).unwrap();
    let modern = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo", "arguments": {},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
    let modern = served
        .post(&modern)
        .and("mcp-protocol-version", "2026-07-28")
        .and("mcp-method", "tools/call")
        .and("mcp-name", "echo");
    for (what, change, status) in STRANGERS {
        for request in [served.post(&initialize()), modern.clone()] {
            assert_eq!(served.send(&change(request, &served)).status, *status, "{what}");
        }
    }
    assert!(upstream.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    // The client itself does.
    upstream.set_nonblocking(false).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    stream.write_all(&modern.bytes()).unwrap();
    drop(upstream.accept().unwrap());
}

#[test]
fn whoever_has_the_secret_comes_in_by_any_of_its_names() {
    let served = Setup::new().flags(&["--allow-origin", "app://allowed"]).start();
    let greeting = served.post(&initialize());
    let inside = format!("/{}/mcp", served.secret());
    assert_eq!(
        served.told["path_url"],
        format!("http://127.0.0.1:{}{inside}", served.port()).as_str()
    );
    for request in [
        greeting.clone().with("host", &format!("localhost:{}", served.port())),
        greeting.clone().with("host", &format!("[::1]:{}", served.port())),
        greeting.clone().and("sec-fetch-site", "none"),
        greeting.clone().and("origin", "app://allowed"),
        greeting.clone().and("origin", "app://allowed").and("sec-fetch-site", "cross-site"),
        greeting.clone().to("POST", &inside).without("authorization"),
        greeting.clone().to("POST", &inside).with("authorization", "Bearer of-elsewhere"),
        greeting.clone().and("transfer-encoding", "chunked").saying(format!(
            "{:x}\r\n{}\r\n0\r\n\r\n",
            initialize().to_string().len(),
            initialize()
        )),
    ] {
        let response = served.send(&request);
        assert_eq!(response.status, 200, "{request:?}");
    }
}

#[test]
fn a_body_is_not_read_before_its_head_is_good_nor_beyond_its_bound() {
    let served = Setup::new().start();
    // The body never comes, and the refusal does.
    let request = served.post(&initialize()).without("authorization").saying("");
    let head = request.and("content-length", "1000000").bytes();
    let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    stream.write_all(&head).unwrap();
    assert_eq!(Response::read(stream).status, 404);
    // A body without end is refused where it is too long, and the connection closed.
    let request = served.post(&initialize()).and("transfer-encoding", "chunked").saying("");
    let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    stream.write_all(&request.bytes()).unwrap();
    let chunk = chunk();
    let sent = (0..10_000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1_000, "{sent}");
}

#[test]
fn a_head_without_end_is_refused() {
    let served = Setup::new().start();
    let port = served.port();
    let many = (0..150).fold(served.post(&initialize()), |request, number| {
        request.and(&format!("x-{number}"), "x")
    });
    let long = served.post(&initialize()).and("x-long", &"x".repeat(70_000));
    for request in [many, long] {
        assert_eq!(request.send(port).status, 431);
    }
    assert_eq!(served.setup.starts(), [""; 0]);
}

#[test]
fn a_hundred_silent_connections_keep_nobody_out() {
    let served = Setup::new().start();
    let silent: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
            stream.write_all(b"POST /mcp HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    served.initialize();
    drop(silent);
}

#[test]
fn beyond_so_many_connections_none_is_taken() {
    let served = Setup::new().start();
    let mut open: Vec<_> =
        (0..512).map(|_| TcpStream::connect(("127.0.0.1", served.port())).unwrap()).collect();
    let mut beyond = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
    let _ = beyond.write_all(&served.post(&initialize()).bytes());
    let mut nothing = Vec::new();
    assert!(matches!(beyond.read_to_end(&mut nothing), Ok(0) | Err(_)), "{nothing:?}");
    // One goes, another comes.
    open.truncate(500);
    let mut response = loop {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
        let mut first = [0];
        if stream.write_all(&served.post(&initialize()).bytes()).is_ok()
            && stream.peek(&mut first).is_ok_and(|bytes| bytes > 0)
        {
            break Response::read(stream);
        }
    };
    assert_eq!(response.json()["result"]["serverInfo"]["name"], "sh");
}

#[test]
fn the_secret_is_in_no_log_and_no_argument() {
    let served = Setup::new().variable("THOTH_LOG_LEVEL", "trace").start();
    let session = served.initialize();
    served.call(&session, 1, "echo").json();
    let request = served.post(&initialize()).to("POST", &format!("/{}/nothing", served.secret()));
    assert_eq!(served.send(&request).status, 404);
    let secret = served.secret().to_owned();
    let arguments = std::fs::read(format!("/proc/{}/cmdline", served.process.id()));
    if let Ok(arguments) = arguments {
        assert!(!String::from_utf8_lossy(&arguments).contains(&secret));
    }
    let (_, said, setup) = served.closes();
    assert!(!said.contains(&secret) && !said.contains(&session), "{said}");
    for line in setup.seen() {
        assert!(!line.contains(&secret));
    }
}
