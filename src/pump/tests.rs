//! The loop over in-memory pipes, with an enforcer and a journal of the test's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::gate::decide::{Rules, StepUp};
use crate::gate::extras::{Called, Extras, Listed, Own};
use crate::gate::happening::{Ended, Happening};
use crate::gate::session::Settings;
use crate::gate::verdict::{
    Answer, Effect as Verb, Facts, Grounds, Hold, Judge, Keeper, Question, Reply, SteppedUp,
    Verdict,
};

/// Answers by the tool's name; `never` is never answered, `panic` panics.
#[derive(Clone)]
struct ByName {
    report: &'static str,
}

impl Ask for ByName {
    async fn hold(&self, stepped_up: SteppedUp) -> Answer {
        Answer::Said(Verdict { effect: Verb::StepUp(None), grounds: stepped_up.grounds })
    }

    async fn release(&self, _: Hold) {}

    async fn reply(&self, _: Hold, _: Reply) {}

    async fn ask(&self, question: Question) -> Answer {
        match &*question.tool {
            "never" => std::future::pending().await,
            "panic" => panic!("a question panics"),
            "block" => Answer::Said(Verdict::block("no", "no")),
            "hold" => Answer::Said(Verdict {
                effect: Verb::StepUp(Some(held())),
                grounds: Grounds::default(),
            }),
            _ => Answer::Said(Verdict::allow()),
        }
    }

    async fn report(&self) -> String {
        match self.report {
            "never" => std::future::pending().await,
            "panic" => panic!("a report panics"),
            text => text.to_owned(),
        }
    }

    async fn wait(&self, _hold: Hold) -> Answer {
        std::future::pending().await
    }
}

/// Counts what it is told to let go.
#[derive(Clone, Default)]
struct Counts(Arc<AtomicUsize>);

impl Ask for Counts {
    async fn hold(&self, stepped_up: SteppedUp) -> Answer {
        Answer::Said(Verdict { effect: Verb::StepUp(None), grounds: stepped_up.grounds })
    }

    async fn release(&self, _: Hold) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn reply(&self, _: Hold, _: Reply) {}

    async fn ask(&self, _: Question) -> Answer {
        Answer::Said(Verdict::allow())
    }

    async fn report(&self) -> String {
        String::new()
    }

    async fn wait(&self, _: Hold) -> Answer {
        std::future::pending().await
    }
}

struct AllowAll;

impl Judge for AllowAll {
    fn judge(&self, _facts: &Facts<'_>) -> Verdict {
        Verdict::allow()
    }
}

/// Remembers what it wrote down.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<String>>>,
    told: Arc<Mutex<Vec<String>>>,
}

/// Its only tool is `report`.
struct Reports;

impl Extras for Reports {
    fn greeted(&mut self, _result: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn listed(&mut self, _result: &[u8], _first: bool) -> Option<Listed> {
        None
    }

    fn called(&self, tool: &str, _arguments: &[u8]) -> Called {
        if tool == "report" { Called::Own(Own::Report) } else { Called::Nothing }
    }
}

impl Recorder for Paper {
    fn record(&mut self, record: &Record) -> bool {
        let word = match record {
            Record::Decision(decided) => format!("decision {}", decided.tool),
            Record::Outcome(outcome) => format!("outcome {}", outcome.tool),
            Record::Unreadable { .. } => "unreadable".to_owned(),
        };
        self.written.lock().unwrap().push(word);
        true
    }

    fn happened(&mut self, happening: Happening) {
        let word = match &happening {
            Happening::CallMade(made) => format!("{} {}", made.ticket.0, made.tool),
            Happening::CallEnded(ticket, Ended::Result { .. }) => format!("{} result", ticket.0),
            Happening::CallEnded(ticket, end) => format!("{} {end:?}", ticket.0),
            Happening::RequestMade { .. }
            | Happening::RequestEnded { .. }
            | Happening::Noted { .. } => format!("{happening:?}"),
        };
        self.told.lock().unwrap().push(word);
    }
}

/// A sidecar, seen from both sides.
struct Sidecar {
    client: Option<DuplexStream>,
    client_reads: Lines<BufReader<DuplexStream>>,
    server: Option<DuplexStream>,
    server_reads: Lines<BufReader<DuplexStream>>,
    paper: Paper,
    signals: Signals,
    task: JoinHandle<()>,
}

impl Sidecar {
    /// With pipes that hold `room` bytes.
    fn start(room: usize, remote: bool) -> Self {
        Self::reporting(room, remote, "so far so good")
    }

    /// With a report that says this.
    fn reporting(room: usize, remote: bool, report: &'static str) -> Self {
        // One stream a direction, so that dropping one end closes it, as it does with a pipe.
        let ((client, client_in), (client_reads, client_out)) = (duplex(room), duplex(room));
        let ((server, server_out), (server_reads, server_in)) = (duplex(room), duplex(room));
        let settings = Settings {
            remote,
            tells: true,
            rules: Rules { step_up: StepUp::Wait, ..Rules::default() },
            ..Settings::default()
        };
        let session = Session::new(settings, Some(Box::new(AllowAll)));
        let session = session.adding(Box::new(Reports));
        let signals = Signals::default();
        let paper = Paper::default();
        let (mut recorder, seen) = (paper.clone(), signals.clone());
        let task = tokio::spawn(async move {
            let pipes = Pipes { client_in, client_out, server_in, server_out };
            run(pipes, session, ByName { report }, &mut recorder, seen, 1024 * 1024).await;
        });
        Self {
            client: Some(client),
            client_reads: BufReader::new(client_reads).lines(),
            server: Some(server),
            server_reads: BufReader::new(server_reads).lines(),
            paper,
            signals,
            task,
        }
    }

    async fn client_says(&mut self, text: &str) {
        let client = self.client.as_mut().unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        client.write_all(b"\n").await.unwrap();
    }

    async fn calls(&mut self, id: u32, tool: &str) {
        self.client_says(&call(id, tool)).await;
    }

    async fn server_says(&mut self, text: &str) {
        let server = self.server.as_mut().unwrap();
        server.write_all(text.as_bytes()).await.unwrap();
        server.write_all(b"\n").await.unwrap();
    }

    async fn server_answers(&mut self, id: u32) {
        self.server_says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).await;
    }

    async fn server_reads(&mut self) -> Option<String> {
        self.server_reads.next_line().await.unwrap()
    }

    async fn client_reads(&mut self) -> Option<String> {
        self.client_reads.next_line().await.unwrap()
    }

    /// The server ends: it stops writing.
    fn server_ends(&mut self) {
        drop(self.server.take());
    }

    fn client_closes(&mut self) {
        drop(self.client.take());
    }
}

fn held() -> Hold {
    Hold {
        token: "t".to_owned(),
        approval_url: None,
        expires_at: None,
        timeout: None,
        keeper: Keeper::Enforcer,
    }
}

fn call(id: u32, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

#[tokio::test]
async fn a_call_that_waits_holds_up_nothing_else() {
    let mut sidecar = Sidecar::start(64, true);
    sidecar.calls(1, "never").await;
    sidecar.client_says(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    sidecar.calls(3, "hold").await;
    sidecar.calls(4, "a").await;

    assert!(sidecar.server_reads().await.unwrap().contains("ping"));
    assert_eq!(sidecar.server_reads().await.unwrap(), call(4, "a"));
}

#[tokio::test]
async fn a_record_stands_before_its_call_and_an_outcome_after_its_answer() {
    let mut sidecar = Sidecar::start(1024, true);
    sidecar.calls(1, "a").await;
    sidecar.server_reads().await.unwrap();
    assert_eq!(*sidecar.paper.written.lock().unwrap(), ["decision a"]);
    assert_eq!(*sidecar.paper.told.lock().unwrap(), ["1 a"]);
    sidecar.server_answers(1).await;
    sidecar.client_reads().await.unwrap();
    sidecar.server_ends();
    (&mut sidecar.task).await.unwrap();
    assert_eq!(*sidecar.paper.written.lock().unwrap(), ["decision a", "outcome a"]);
    assert_eq!(*sidecar.paper.told.lock().unwrap(), ["1 a", "1 result"]);
}

#[tokio::test]
async fn calls_that_are_cancelled_in_one_breath_are_all_let_go() {
    let counts = Counts::default();
    let mut questions = Questions::new(counts.clone());
    for _ in 0..500 {
        questions.release(held());
    }
    questions.end().await;
    assert_eq!(counts.0.load(Ordering::Relaxed), 500);
}

#[tokio::test]
async fn a_question_that_panics_blocks_its_call() {
    let mut sidecar = Sidecar::start(1024, true);
    sidecar.calls(1, "panic").await;
    assert!(sidecar.client_reads().await.unwrap().contains("internal_error"));
}

#[tokio::test]
async fn a_report_is_made_with_and_without_an_enforcer_and_holds_up_nothing() {
    for remote in [false, true] {
        let mut sidecar = Sidecar::start(1024, remote);
        sidecar.calls(1, "report").await;
        assert!(sidecar.client_reads().await.unwrap().contains("so far so good"));

        let mut sidecar = Sidecar::reporting(1024, remote, "never");
        sidecar.calls(1, "report").await;
        sidecar.calls(2, "a").await;
        assert!(sidecar.server_reads().await.unwrap().contains("\"id\":2"));
        sidecar.server_ends();
        let answers =
            [sidecar.client_reads().await.unwrap(), sidecar.client_reads().await.unwrap()];
        assert!(answers[0].contains("the session is over"), "{answers:?}");
        assert_eq!(sidecar.client_reads().await, None);
        sidecar.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_report_that_panics_says_so() {
    let mut sidecar = Sidecar::reporting(1024, false, "panic");
    sidecar.calls(1, "report").await;
    assert!(sidecar.client_reads().await.unwrap().contains("failed inside thoth"));
}

#[tokio::test]
async fn all_that_was_piped_in_is_answered_before_the_end() {
    let mut sidecar = Sidecar::start(64 * 1024, true);
    for id in 0..20 {
        sidecar.calls(id, if id % 2 == 0 { "a" } else { "block" }).await;
    }
    sidecar.client_closes();
    let mut answered = 0;
    for _ in 0..10 {
        let line = sidecar.server_reads().await.unwrap();
        let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_u64().unwrap();
        sidecar.server_answers(u32::try_from(id).unwrap()).await;
    }
    assert_eq!(sidecar.server_reads().await, None, "its input is closed when all is answered");
    assert!(sidecar.signals.server_over.is_cancelled());
    sidecar.server_ends();
    while sidecar.client_reads().await.is_some() {
        answered += 1;
    }
    assert_eq!(answered, 20);
    sidecar.task.await.unwrap();
}

#[tokio::test]
async fn a_last_line_without_its_newline_is_judged_like_any_other() {
    let mut sidecar = Sidecar::start(1024, true);
    let client = sidecar.client.as_mut().unwrap();
    client.write_all(call(1, "block").as_bytes()).await.unwrap();
    sidecar.client_closes();
    assert!(sidecar.client_reads().await.unwrap().contains("-32001"));
    assert_eq!(sidecar.server_reads().await, None);
}

#[tokio::test]
async fn ten_thousand_calls_are_answered_each_once() {
    let mut sidecar = Sidecar::start(4096, false);
    let mut client = sidecar.client.take().unwrap();
    let writes = tokio::spawn(async move {
        for id in 0..10_000 {
            client.write_all((call(id, "a") + "\n").as_bytes()).await.unwrap();
        }
        client
    });
    let mut server = sidecar.server.take().unwrap();
    let mut server_reads = sidecar.server_reads;
    let echo = tokio::spawn(async move {
        while let Some(line) = server_reads.next_line().await.unwrap() {
            let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].clone();
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
            server.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        let line = sidecar.client_reads.next_line().await.unwrap().unwrap();
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(message["result"].is_object());
        assert!(seen.insert(message["id"].as_u64().unwrap()));
    }
    drop(writes.await.unwrap());
    echo.await.unwrap();
    sidecar.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_costs_bounded_memory_and_is_not_waited_for() {
    let mut sidecar = Sidecar::start(64 * 1024, false);
    let mut server = sidecar.server.take().unwrap();
    let line = format!("{}\n", "x".repeat(100_000));
    let mut taken = 0;
    // The server talks until nobody takes it any more.
    while let Ok(written) = timeout(Duration::from_mins(1), server.write_all(line.as_bytes())).await
    {
        written.unwrap();
        taken += line.len();
    }
    assert!((HIGH_WATER..HIGH_WATER + 2 * 1024 * 1024).contains(&taken), "{taken}");

    // The other direction still flows.
    sidecar.client_says(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#).await;
    assert!(sidecar.server_reads().await.unwrap().contains("cancelled"));

    drop((server, sidecar.client, sidecar.client_reads));
    sidecar.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_costs_bounded_memory_and_stalls_only_its_direction() {
    let mut sidecar = Sidecar::start(64 * 1024, false);
    let mut client = sidecar.client.take().unwrap();
    let line = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/x","params":{{"x":"{}"}}}}{}"#,
        "x".repeat(100_000),
        "\n"
    );
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_mins(1), client.write_all(line.as_bytes())).await
    {
        written.unwrap();
        taken += line.len();
    }
    assert!((HIGH_WATER..HIGH_WATER + 2 * 1024 * 1024).contains(&taken), "{taken}");
    sidecar.server_says("still here").await;
    assert_eq!(sidecar.client_reads().await.unwrap(), "still here");
    sidecar.signals.stop.cancel();
    sidecar.server_ends();
    sidecar.task.await.unwrap();
}

#[tokio::test]
async fn told_to_stop_it_answers_what_waits_and_closes_the_server() {
    let mut sidecar = Sidecar::start(1024, true);
    sidecar.calls(1, "never").await;
    sidecar.client_says(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    sidecar.server_reads().await.unwrap();
    sidecar.signals.stop.cancel();
    assert!(sidecar.client_reads().await.unwrap().contains("stopping"));
    assert_eq!(sidecar.server_reads().await, None);
    sidecar.server_ends();
    assert_eq!(sidecar.client_reads().await, None);
    sidecar.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_after_the_end_of_input_it_does_not_wait_for_answers() {
    let mut sidecar = Sidecar::start(1024, true);
    sidecar.calls(1, "a").await;
    sidecar.server_reads().await.unwrap();
    sidecar.client_closes();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!sidecar.signals.server_over.is_cancelled(), "an answer is outstanding");
    sidecar.signals.stop.cancel();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(sidecar.signals.server_over.is_cancelled());
    sidecar.server_ends();
    assert!(sidecar.client_reads().await.unwrap().contains("server_gone"));
    sidecar.task.await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_leaves_no_call_unanswered() {
    let mut sidecar = Sidecar::start(1024, true);
    sidecar.calls(1, "a").await;
    sidecar.server_reads().await.unwrap();
    sidecar.calls(2, "never").await;
    sidecar.client_says(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#).await;
    sidecar.server_reads().await.unwrap();
    sidecar.server_ends();
    let mut ids = Vec::new();
    while let Some(line) = sidecar.client_reads().await {
        assert!(line.contains("server_gone"));
        ids.push(serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, [1, 2]);
    sidecar.task.await.unwrap();
}

#[tokio::test]
async fn a_client_that_went_away_ends_the_session() {
    let mut sidecar = Sidecar::start(1024, true);
    drop(sidecar.client.take());
    drop(sidecar.client_reads);
    assert_eq!(sidecar.server_reads.next_line().await.unwrap(), None);
}
