//! How long is waited for clients that are slow, or silent: by the listener itself, in virtual time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use thoth::listener::{Access, Bounds, Input, Listener, Open, Output, Secret};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Longer than anything is waited for.
const NEVER: Duration = Duration::from_hours(1);

/// How much a session says, in messages and in bytes of each.
const SAID: usize = 1000;
const NEWS: usize = 32 * 1024;

/// Opens sessions that greet, and a while later say more than any socket takes in.
struct Talkers(Rc<Cell<usize>>);

impl Open for Talkers {
    async fn hold(
        &self,
        mut input: Input,
        mut output: Output,
        stop: CancellationToken,
    ) -> Result<(), String> {
        self.0.set(self.0.get() + 1);
        let talk = async {
            let mut line = vec![0; 4096];
            let _ = input.read(&mut line).await;
            let greeting = b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"serverInfo\":{}}}\n";
            let news = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"data\":\"{}\"}}}}\n",
                "x".repeat(NEWS)
            );
            let _ = output.write_all(greeting).await;
            sleep(Duration::from_secs(5)).await;
            for _ in 0..SAID {
                let _ = output.write_all(news.as_bytes()).await;
            }
            stop.cancelled().await;
        };
        stop.run_until_cancelled(talk).await;
        Ok(())
    }
}

/// Opens sessions that answer each request after as many milliseconds as its id says.
struct Clocks(Rc<Cell<usize>>);

impl Open for Clocks {
    async fn hold(
        &self,
        input: Input,
        mut output: Output,
        stop: CancellationToken,
    ) -> Result<(), String> {
        self.0.set(self.0.get() + 1);
        let answering = async {
            let mut lines = BufReader::new(input).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let request: Value = serde_json::from_str(&line).unwrap();
                let id = request["id"].as_u64().unwrap();
                sleep(Duration::from_millis(id)).await;
                let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
                let _ = output.write_all(answer.as_bytes()).await;
            }
        };
        stop.run_until_cancelled(answering).await;
        Ok(())
    }
}

/// The listener, what it has opened, and how to be let in.
struct House {
    port: u16,
    opened: Rc<Cell<usize>>,
    secret: Secret,
}

impl House {
    /// A request that would be answered, but for what it lacks.
    fn head(&self, method: &str, more: &str) -> String {
        format!(
            "{method} /mcp HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {}\r\n\
             accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{more}\r\n",
            self.port,
            self.secret.text(),
        )
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends a request on a connection of its own, and hears the answer to its end.
    async fn ask(&self, body: &str, more: &str) -> String {
        let more = format!("content-length: {}\r\nconnection: close\r\n{more}", body.len());
        let mut stream = self.connect().await;
        stream.write_all((self.head("POST", &more) + body).as_bytes()).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        heard
    }

    /// Begins a session: the line that names it.
    async fn begin(&self) -> String {
        let greeting = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let heard = self.ask(greeting, "").await;
        let session = heard.lines().find(|line| line.starts_with("mcp-session-id: "));
        format!("{}\r\n", session.unwrap())
    }
}

/// Does this while the listener serves talkers, with the bounds it has.
async fn within<F: Future<Output = ()>>(test: impl FnOnce(House) -> F) {
    among(Talkers, test).await;
}

/// Does this while the listener serves these, with the bounds it has.
async fn among<O: Open + 'static, F: Future<Output = ()>>(
    servers: impl FnOnce(Rc<Cell<usize>>) -> O,
    test: impl FnOnce(House) -> F,
) {
    let listener = Listener::bind(0, false).await.unwrap();
    let (port, opened, secret) = (listener.port(), Rc::default(), Secret::random());
    let access = Access { secret: secret.clone(), origins: Vec::new() };
    let house = House { port, opened: Rc::clone(&opened), secret };
    let over = CancellationToken::new();
    let serving = listener.serve(servers(opened), access, Bounds::default(), over.clone());
    let testing = async {
        test(house).await;
        over.cancel();
    };
    LocalSet::new().run_until(async { tokio::join!(serving, testing) }).await;
}

/// Sends a text byte by byte, one each second, and hears what is said meanwhile, to the end of the
/// connection: what it was, and after how many seconds.
async fn trickle(stream: TcpStream, text: &str) -> (String, u64) {
    let begin = Instant::now();
    let (mut reads, mut writes) = stream.into_split();
    let hearing = async {
        let mut heard = Vec::new();
        let _ = reads.read_to_end(&mut heard).await;
        (String::from_utf8(heard).unwrap(), begin.elapsed().as_secs())
    };
    let saying = async {
        for byte in text.bytes() {
            sleep(Duration::from_secs(1)).await;
            if writes.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let heard = CancellationToken::new();
    let hearing = async {
        let it = timeout(NEVER, hearing).await.unwrap();
        heard.cancel();
        it
    };
    tokio::join!(hearing, heard.run_until_cancelled(saying)).0
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_is_cut_at_its_bound() {
    within(async |house| {
        let request = house.head("POST", "content-length: 2\r\n");
        let (heard, seconds) = trickle(house.connect().await, &request).await;
        assert!(!heard.contains(" 200 "), "{heard}");
        assert_eq!(seconds, Bounds::default().head.as_secs(), "{heard}");
        assert_eq!(house.opened.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_cut_at_the_same_bound() {
    within(async |house| {
        let (heard, seconds) = trickle(house.connect().await, "").await;
        assert_eq!(seconds, Bounds::default().head.as_secs(), "{heard}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_cut_at_its_bound() {
    within(async |house| {
        for how in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
            let mut stream = house.connect().await;
            stream.write_all(house.head("POST", how).as_bytes()).await.unwrap();
            let body =
                if how.starts_with('c') { " ".repeat(1000) } else { "1\r\n \r\n".repeat(100) };
            let (heard, seconds) = trickle(stream, &body).await;
            assert!(heard.starts_with("HTTP/1.1 408 "), "{how}: {heard}");
            let patience = Bounds::default().body.as_secs();
            assert!((patience..=patience + 1).contains(&seconds), "{how}: {seconds}");
        }
        assert_eq!(house.opened.get(), 0, "no server was started");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_the_next_request_for_so_long() {
    within(async |house| {
        let mut stream = house.connect().await;
        let refused = house.head("PUT", "");
        let patience = Bounds::default().head;
        for pause in [0, patience.as_secs() - 1] {
            sleep(Duration::from_secs(pause)).await;
            stream.write_all(refused.as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let count = stream.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(b"HTTP/1.1 405 "), "after {pause} s");
        }
        let (heard, seconds) = trickle(stream, "").await;
        assert_eq!((&*heard, seconds), ("", patience.as_secs()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_of_a_stream_is_not_written_to_for_ever() {
    within(async |house| {
        let session = house.begin().await;
        assert_eq!(house.opened.get(), 1);

        let mut listening = house.connect().await;
        listening.write_all(house.head("GET", &session).as_bytes()).await.unwrap();
        // Nothing is read until long after the last that could be written.
        sleep(2 * Bounds::default().stalled).await;
        let mut heard = Vec::new();
        let ended = timeout(NEVER, listening.read_to_end(&mut heard)).await;
        assert!(ended.is_ok(), "it is written to still");
        assert!(heard.len() < SAID * NEWS, "all of it was taken in, and nothing was shown");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_soon_is_json_and_later_it_is_a_stream() {
    among(Clocks, async |house| {
        let session = house.begin().await;
        let prompt = u64::try_from(Bounds::default().prompt.as_millis()).unwrap();
        for (after, form) in [
            (1, "application/json"),
            (prompt - 1, "application/json"),
            (prompt + 1, "text/event-stream"),
            (20 * prompt, "text/event-stream"),
        ] {
            let call = format!(r#"{{"jsonrpc":"2.0","id":{after},"method":"tools/list"}}"#);
            let heard = house.ask(&call, &session).await;
            assert!(heard.contains(&format!("content-type: {form}\r\n")), "{after}: {heard}");
            assert!(heard.contains(&format!(r#""id":{after},"result":{{}}"#)), "{after}: {heard}");
        }
    })
    .await;
}
