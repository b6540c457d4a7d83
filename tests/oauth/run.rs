//! `thoth run --url … --upstream-login`: the login at work, with nothing of it in sight.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::fake::Fake;
use super::person::{log_in, run, said};

/// A client, and its sidecar.
struct Client {
    sidecar: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Client {
    fn start(home: &Path, fake: &Fake) -> Self {
        let rules = home.join("rules.toml");
        std::fs::write(&rules, "[policy]\nid = \"all\"\nversion = 1\ndefault = \"allow\"\n")
            .unwrap();
        let mut sidecar = Command::new(env!("CARGO_BIN_EXE_thoth"))
            .args(["run", "--agent-id", "ada", "--url", &fake.mcp(), "--upstream-login", "acme"])
            .arg("--policy")
            .arg(rules)
            .env_clear()
            .env("THOTH_HOME_DIR", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = sidecar.stdin.take().unwrap();
        let output = BufReader::new(sidecar.stdout.take().unwrap());
        Self { sidecar, input, output, id: 0 }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        self.input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).await.unwrap(), 0, "it ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == self.id {
                return answer;
            }
        }
    }

    async fn greet(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = self.ask("initialize", params).await;
        if answer.get("result").is_some() {
            let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            self.input.write_all(format!("{told}\n").as_bytes()).await.unwrap();
        }
        answer
    }

    async fn call(&mut self) -> Value {
        self.ask("tools/call", json!({ "name": "look", "arguments": {} })).await
    }

    /// Ends it: what it said on standard error.
    async fn end(self) -> String {
        let Self { mut sidecar, input, .. } = self;
        drop(input);
        let mut told = String::new();
        let ending = async {
            sidecar.stderr.take().unwrap().read_to_string(&mut told).await.unwrap();
            sidecar.wait().await.unwrap()
        };
        let ended = timeout(Duration::from_mins(1), ending).await.unwrap();
        assert!(ended.success(), "{told}");
        told
    }
}

#[tokio::test]
async fn calls_go_on_while_tokens_come_and_go() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut client = Client::start(home.path(), &fake);
    assert!(client.greet().await["result"].is_object());
    for round in 0..20 {
        if round % 5 == 4 {
            fake.end_access();
        }
        let answer = client.call().await;
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{round}: {answer}");
    }
    let told = client.end().await;
    assert!(!told.contains("hunter2"), "{told}");
    let memory = fake.memory();
    assert_eq!(memory.refreshed, 4);
    assert_eq!(memory.reuses, 0);
    assert!(memory.seen.iter().all(|seen| !seen.target.contains("hunter2")));
}

#[tokio::test]
async fn two_sidecars_whose_token_is_rejected_at_once_refresh_it_once() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut one = Client::start(home.path(), &fake);
    let mut other = Client::start(home.path(), &fake);
    for client in [&mut one, &mut other] {
        assert!(client.greet().await["result"].is_object());
    }
    let kept = || {
        let text = std::fs::read(home.path().join("logins/acme.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["tokens"].clone()
    };
    let before = kept();

    // Whatever each has to say after its greeting, and its listening, was said with the first token.
    while fake.memory().served < 6 {
        tokio::task::yield_now().await;
    }
    // Neither call is told of its rejection before both are rejected: nobody can have refreshed before.
    fake.end_access();
    fake.manners().unwelcome = Some(Arc::new(Barrier::new(2)));
    let (mine, its) = tokio::join!(one.call(), other.call());
    for answer in [mine, its] {
        assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    }
    assert_eq!(fake.calls(), 4, "each was rejected once and sent once more");
    let after = kept();
    assert_ne!((&after["access"], &after["refresh"]), (&before["access"], &before["refresh"]));
    assert!(fake.is_good(after["access"].as_str().unwrap()));
    {
        let memory = fake.memory();
        assert_eq!((memory.refreshed, memory.reuses), (1, 0));
    }
    for client in [one, other] {
        let told = client.end().await;
        assert!(!told.contains("hunter2"), "{told}");
    }
    assert_eq!(fake.memory().refreshed, 1, "nothing is refreshed at the end either");
}

#[tokio::test]
async fn a_person_is_told_what_to_type_and_the_session_goes_on() {
    let (fake, home) = (Fake::plain().await, tempfile::tempdir().unwrap());
    let mut client = Client::start(home.path(), &fake);
    let answer = client.greet().await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("thoth auth login acme --url {}", fake.mcp())), "{message}");

    let output = log_in(home.path(), &fake, &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(client.greet().await["result"].is_object());

    // A scope is lacking: told once, and nobody is asked again.
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"files:write\"";
    fake.manners().forbids = Some(challenge.to_owned());
    let answer = client.call().await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("thoth auth login acme --scope files:write"), "{message}");
    assert_eq!(fake.calls(), 1);
    fake.manners().forbids = None;

    // All of it is over.
    fake.end_access();
    let refused = json!({ "error": "invalid_grant" }).to_string();
    fake.manners().instead = [("/token".to_owned(), (400, refused))].into();
    for _ in 0..2 {
        let answer = client.call().await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.ends_with("thoth auth login acme"), "{message}");
        assert_eq!(answer["error"]["data"]["reason_code"], "upstream_unauthorized");
    }
    let output = run(home.path(), &fake, &["status", "acme"]).await;
    assert!(said(&output).contains("invalid_grant"), "{}", said(&output));
    let told = client.end().await;
    assert!(!told.contains("hunter2"), "{told}");
}
