//! The session as a whole, case by case.

mod asking;
mod chance;
mod desk;
mod ending;
mod extras;
mod orders;
mod returning;
mod story;
mod telling;

use bytes::BufMut;

use super::super::decide::{Mode, Outage, StepUp};
use super::super::framing::Framer;
use super::super::verdict::{
    Arguments, Effect as Verb, Facts, Grounds, Keeper, Reply, SteppedUp, Verdict,
};
use super::*;

/// Judges by the tool's name: the effect's word, or allow.
struct ByName;

impl Judge for ByName {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let effect = match facts.tool {
            "defer" => Verb::Defer(Some(Duration::from_secs(3))),
            "later_self" | "later_other" if facts.calls.total() > 0 => Verb::StepUp(None),
            "modify" | "modify_step_up" if !facts.arguments.contains("new") => {
                modify(r#"{"new":1}"#)
            }
            "once_step_up" if facts.calls.count("once_step_up") == 0 => Verb::StepUp(None),
            "step_up" | "self" | "other" | "then_other" | "modify_step_up" => Verb::StepUp(None),
            "block" | "once_step_up" => Verb::Block,
            "annotated" if facts.annotations.is_none() => Verb::Block,
            "once" if facts.calls.count("once") > 0 => Verb::Block,
            _ if facts.arguments.contains("forbidden") => Verb::Block,
            _ => Verb::Allow,
        };
        let self_approval = match facts.tool {
            "self" | "later_self" => Some(true),
            "other" | "later_other" => Some(false),
            "then_other" if facts.calls.total() > 0 => Some(false),
            _ => None,
        };
        let rule_ids = if effect == Verb::Allow { vec![] } else { vec![facts.tool.to_owned()] };
        Verdict { effect, grounds: Grounds { rule_ids, self_approval, ..Grounds::default() } }
    }
}

fn modify(arguments: &str) -> Verb {
    Verb::Modify(Arguments::parse(arguments).unwrap())
}

fn line(text: &str) -> Line {
    let mut framer = Framer::new(1024 * 1024);
    framer.space().put_slice(text.as_bytes());
    framer.last_line().unwrap().unwrap()
}

fn said(effect: Verb) -> Answer {
    Answer::Said(Verdict { effect, grounds: Grounds::default() })
}

fn hold() -> Hold {
    Hold {
        token: "tok".to_owned(),
        approval_url: None,
        expires_at: None,
        timeout: None,
        keeper: Keeper::Enforcer,
    }
}

/// Remembers what it was told to write down, unless it is broken.
struct Paper {
    broken: bool,
    records: Vec<Record>,
}

impl Recorder for Paper {
    fn record(&mut self, record: &Record) -> bool {
        if !self.broken {
            self.records.push(record.clone());
        }
        !self.broken
    }
}

/// A session, and all that it did.
struct Run {
    session: Session,
    now: Instant,
    paper: Paper,
    to_client: Vec<String>,
    to_server: Vec<String>,
    asked: Vec<Question>,
    waits: Vec<Ticket>,
    withdrawn: Vec<Ticket>,
    reports: Vec<Ticket>,
    held: Vec<SteppedUp>,
    released: Vec<Hold>,
    replies: Vec<(Hold, Reply)>,
    told: Vec<Happening>,
    /// What was told and written, in its order: `>` is a line to the server, `<` one to the client.
    log: Vec<String>,
    notes: Vec<Note>,
    server_closed: bool,
    server_ended: bool,
}

impl Run {
    #[expect(clippy::disallowed_methods, reason = "the session only compares it")]
    fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(settings, Some(Box::new(ByName))),
            now: Instant::now(),
            paper: Paper { broken: false, records: Vec::new() },
            to_client: Vec::new(),
            to_server: Vec::new(),
            asked: Vec::new(),
            waits: Vec::new(),
            withdrawn: Vec::new(),
            reports: Vec::new(),
            held: Vec::new(),
            released: Vec::new(),
            replies: Vec::new(),
            told: Vec::new(),
            log: Vec::new(),
            notes: Vec::new(),
            server_closed: false,
            server_ended: false,
        }
    }

    fn remote() -> Self {
        Self::new(Settings {
            remote: true,
            rules: Rules { step_up: StepUp::Wait, ..Rules::default() },
            ..Settings::default()
        })
    }

    fn handle(&mut self, input: Input) {
        self.session.handle(input, self.now, &mut self.paper);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(effect) = self.session.poll_effect() {
            match effect {
                Effect::Ask(question) => self.asked.push(question),
                Effect::CloseServer => self.server_closed = true,
                Effect::EndServer => self.server_ended = true,
                Effect::Note(note) => self.notes.push(note),
                Effect::Record(record) => {
                    self.paper.record(&record);
                }
                Effect::Hold(stepped_up) => self.held.push(*stepped_up),
                Effect::Release(hold) => self.released.push(hold),
                Effect::Reply(hold, reply) => self.replies.push((hold, reply)),
                Effect::Report(ticket) => self.reports.push(ticket),
                Effect::Tell(happening) => {
                    self.log.push(story::words(&happening));
                    self.told.push(*happening);
                }
                Effect::ToClient(line) => {
                    self.log.push("<".to_owned());
                    self.to_client.push(text(&line));
                }
                Effect::ToServer(line) => {
                    self.log.push(">".to_owned());
                    self.to_server.push(text(line.as_wire()));
                }
                Effect::Wait(ticket, _) => self.waits.push(ticket),
                Effect::Withdraw(ticket) => self.withdrawn.push(ticket),
            }
        }
    }

    fn client(&mut self, text: &str) {
        self.handle(Input::Client(Ok(line(text))));
    }

    fn server(&mut self, text: &str) {
        self.handle(Input::Server(Ok(line(text))));
    }

    fn call(&mut self, id: u32, tool: &str) {
        self.call_with(id, tool, r#""arguments":{}"#);
    }

    fn call_with(&mut self, id: u32, tool: &str, rest: &str) {
        self.client(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}",{rest}}}}}"#
        ));
    }

    fn cancel(&mut self, id: &str) {
        self.client(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        ));
    }

    fn answer(&mut self, id: u32) {
        self.server(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#));
    }

    /// The code with which the last line to the client refuses; `None` for a result.
    fn last_code(&self) -> Option<i64> {
        let last: serde_json::Value = serde_json::from_str(self.to_client.last().unwrap()).unwrap();
        last["error"]["code"].as_i64()
    }

    fn last(&self) -> serde_json::Value {
        serde_json::from_str(self.to_client.last().unwrap()).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "one line, one newline: {text:?}");
    text.trim_end().to_owned()
}

#[test]
fn each_local_verdict_has_its_answer() {
    for (tool, forwarded, code) in [
        ("allow", true, None),
        ("modify", true, None),
        ("block", false, Some(-32_001)),
        ("step_up", false, Some(-32_002)),
        ("defer", false, Some(-32_001)),
    ] {
        let mut run = Run::new(Settings::default());
        run.call(1, tool);
        assert_eq!(run.to_server.len(), usize::from(forwarded), "{tool}");
        assert_eq!(run.to_client.len(), usize::from(!forwarded), "{tool}");
        if !forwarded {
            assert_eq!(run.last_code(), code, "{tool}");
        }
        assert!(
            matches!(&run.paper.records[..], [Record::Decision(decided)] if decided.forwarded == forwarded)
        );
    }
}

#[test]
fn a_modified_call_is_sent_with_its_new_arguments() {
    let mut run = Run::new(Settings::default());
    run.call_with(1, "modify", r#""arguments":{"old":1}"#);
    assert!(run.to_server[0].contains(r#""arguments":{"new":1}"#), "{}", run.to_server[0]);
    assert!(
        matches!(&run.paper.records[0], Record::Decision(decided) if decided.modified.as_deref() == Some(r#"{"new":1}"#))
    );
}

#[test]
fn lines_leave_in_the_order_they_came_whoever_polls_when() {
    let mut run = Run::new(Settings::default());
    let says = |text: &str| Input::Client(Ok(line(text)));
    let call = |id| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a"}}}}"#)
    };
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    for text in [call(1).as_str(), cancel, &call(2)] {
        run.session.handle(says(text), run.now, &mut run.paper);
    }
    run.settle();
    assert_eq!(run.to_server, [call(1).as_str(), cancel, &call(2)]);
}

#[test]
fn observe_forwards_everything_as_it_is() {
    let rules = Rules { mode: Mode::Observe, ..Rules::default() };
    for tool in ["allow", "block", "step_up", "defer", "modify"] {
        let mut run = Run::new(Settings { rules, ..Settings::default() });
        run.call(1, tool);
        assert_eq!(run.to_server.len(), 1, "{tool}");
        assert!(run.to_server[0].contains(r#""arguments":{}"#));
        assert!(
            matches!(&run.paper.records[0], Record::Decision(decided) if decided.basis == "observed")
        );
    }
}

#[test]
fn a_call_is_not_forwarded_unrecorded() {
    let mut run = Run::new(Settings::default());
    run.paper.broken = true;
    run.call(1, "allow");
    assert!(run.to_server.is_empty());
    assert_eq!(run.last()["error"]["data"]["reason_code"], "journal_unavailable");
    assert_eq!(run.last()["error"]["data"]["retryable"], true);

    run.paper.broken = false;
    run.call(1, "allow");
    assert_eq!(run.to_server.len(), 1, "the id is free again");
}

#[test]
fn a_local_block_asks_nobody() {
    let mut run = Run::remote();
    run.call(1, "block");
    assert!(run.asked.is_empty());
    assert_eq!(run.last_code(), Some(-32_001));
}

#[test]
fn a_held_call_delays_nothing_else() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.client(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#);
    run.call(3, "b");
    let second = run.asked[1].ticket;
    run.handle(Input::Asked(second, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 2);
    assert!(run.to_server[1].contains("\"b\""));
}

#[test]
fn a_step_up_with_a_hold_waits_and_tells() {
    let mut run = Run::remote();
    run.call_with(1, "a", r#""_meta":{"progressToken":"p"}"#);
    let ticket = run.asked[0].ticket;
    run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold())))));
    assert_eq!(run.waits, [ticket]);
    assert_eq!(run.last()["params"]["progressToken"], "p");

    run.now = run.session.poll_timeout().unwrap();
    run.session.handle_timeout(run.now);
    run.settle();
    assert_eq!(run.to_client.len(), 2);

    run.handle(Input::Waited(ticket, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 1);
    run.answer(1);
    assert!(run.last()["result"].is_object());
    let told = run.session.poll_timeout().unwrap();
    run.session.handle_timeout(told);
    assert_eq!(run.session.poll_timeout(), None, "nothing is told about a call that is over");
}

#[test]
fn how_waiting_for_a_person_ends() {
    for (answer, code) in [
        (said(Verb::Block), Some(-32_001)),
        (said(Verb::StepUp(Some(hold()))), Some(-32_002)),
        (Answer::Silent(Grounds::default()), Some(-32_001)),
    ] {
        let mut run = Run::remote();
        run.call(1, "a");
        let ticket = run.asked[0].ticket;
        run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold())))));
        run.handle(Input::Waited(ticket, answer.clone()));
        assert!(run.to_server.is_empty(), "{answer:?}");
        assert_eq!(run.last_code(), code, "{answer:?}");
    }
}

#[test]
fn a_held_call_that_is_cancelled_is_dropped_and_never_executed() {
    for held in [false, true] {
        let mut run = Run::remote();
        run.call(1, "a");
        let ticket = run.asked[0].ticket;
        if held {
            run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold())))));
        }
        run.cancel("\"1\"");
        assert!(run.withdrawn.is_empty(), "the string is another id than the number");
        run.cancel("1");
        assert_eq!(run.withdrawn, [ticket]);
        run.handle(Input::Asked(ticket, said(Verb::Allow)));
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert!(run.to_server.iter().all(|line| !line.contains("tools/call")));
        assert!(run.to_client.is_empty(), "a cancelled request is not answered");
    }
}

#[test]
fn a_forwarded_call_is_the_servers_to_cancel() {
    let mut run = Run::new(Settings::default());
    run.call(1, "allow");
    run.cancel("1");
    assert_eq!(run.to_server.len(), 2);
    run.answer(1);
    assert_eq!(run.to_client.len(), 1, "a late answer is passed on");
    run.answer(1);
    assert_eq!(run.to_client.len(), 1, "a second one is not");
}

#[test]
fn the_second_request_with_an_open_id_is_refused_and_the_first_goes_on() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.call(1, "b");
    assert_eq!(run.last()["error"]["data"]["reason_code"], "id_in_use");
    assert!(run.last()["id"].is_null());
    run.client(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert!(run.last()["id"].is_null());
    assert!(run.to_server.is_empty());

    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert!(run.to_server[0].contains("\"a\""));
    run.answer(1);
    run.call(1, "c");
    assert_eq!(run.asked.len(), 2, "an id may be used again once it is answered");
}

#[test]
fn the_server_cannot_answer_for_thoth() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.answer(1);
    run.answer(2);
    run.server(r#"{"jsonrpc":"2.0","id":1,"id":9,"result":{}}"#);
    assert!(run.to_client.is_empty());
    assert_eq!(run.notes, [Note::UnexpectedAnswer, Note::UnexpectedAnswer, Note::AmbiguousAnswer]);
}

#[test]
fn ids_of_both_sides_are_two_namespaces() {
    let mut run = Run::new(Settings::default());
    run.call(0, "allow");
    run.server(r#"{"jsonrpc":"2.0","id":0,"method":"roots/list"}"#);
    run.client(r#"{"jsonrpc":"2.0","id":0,"result":{"roots":[]}}"#);
    assert_eq!(run.to_server.len(), 2);
    run.answer(0);
    assert_eq!(run.to_client.len(), 2);
    run.client(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
    assert_eq!(run.to_server.len(), 2, "an answer to nobody is dropped");
}

#[test]
fn server_lines_that_are_no_answers_pass_as_they_are() {
    let mut run = Run::new(Settings::default());
    for text in [
        "Server ready",
        "[1,2]",
        "7",
        "null",
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#,
    ] {
        run.server(text);
        assert_eq!(run.to_client.last().unwrap(), text);
    }
}

#[test]
fn rules_see_annotations_and_earlier_calls() {
    let mut run = Run::new(Settings::default());
    run.call(1, "annotated");
    assert_eq!(run.last_code(), Some(-32_001));
    run.client(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    run.server(
        r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"annotated","annotations":{}}]}}"#,
    );
    run.call(3, "annotated");
    assert_eq!(run.to_server.len(), 2);

    run.call(4, "once");
    run.call(5, "once");
    assert_eq!(run.to_server.len(), 3);
}

#[test]
fn what_the_enforcer_modifies_is_judged_by_the_rules_too() {
    let mut run = Run::remote();
    run.call(1, "a");
    run.handle(Input::Asked(run.asked[0].ticket, said(modify(r#"{"x":"forbidden"}"#))));
    assert!(run.to_server.is_empty());
    assert_eq!(run.last_code(), Some(-32_001));

    run.call(2, "modify");
    assert_eq!(run.asked[1].arguments, r#"{"new":1}"#, "the enforcer judges what would be sent");
    run.handle(Input::Asked(run.asked[1].ticket, said(Verb::Allow)));
    assert!(run.to_server[0].contains(r#"{"new":1}"#));

    run.call(3, "modify");
    run.handle(Input::Asked(run.asked[2].ticket, said(modify(r#"{"old":1}"#))));
    assert_eq!(run.last()["error"]["data"]["reason_code"], "modify_conflict");
}

#[test]
fn a_person_approves_what_was_asked_about() {
    let mut run = Run::remote();
    run.call(1, "modify");
    let ticket = run.asked[0].ticket;
    run.handle(Input::Asked(ticket, said(Verb::StepUp(Some(hold())))));
    run.handle(Input::Waited(ticket, said(Verb::Allow)));
    assert!(run.to_server[0].contains(r#"{"new":1}"#), "{}", run.to_server[0]);
}

#[test]
fn a_rule_about_sequences_sees_the_calls_that_overtook() {
    let mut run = Run::remote();
    run.call(1, "once");
    run.call(2, "once");
    run.call(3, "once");
    run.handle(Input::Asked(run.asked[2].ticket, said(Verb::StepUp(Some(hold())))));
    run.handle(Input::Asked(run.asked[0].ticket, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 1);
    run.handle(Input::Asked(run.asked[1].ticket, said(Verb::Allow)));
    assert_eq!(run.last_code(), Some(-32_001), "asked at once, and only one may go");
    run.handle(Input::Waited(run.asked[2].ticket, said(Verb::Allow)));
    assert_eq!(run.last_code(), Some(-32_001), "approved, but overtaken");
    assert_eq!(run.to_server.len(), 1);
}

#[test]
fn an_outage_is_decided_by_the_setting() {
    for (outage, forwarded, code) in [
        (Outage::Block, false, Some(-32_001)),
        (Outage::StepUp, false, Some(-32_002)),
        (Outage::Allow, true, None),
    ] {
        let mut run = Run::new(Settings {
            remote: true,
            rules: Rules { outage, ..Rules::default() },
            ..Settings::default()
        });
        run.call(1, "a");
        let silent = Answer::Silent(Grounds::coded("enforcer_unavailable", "no answer"));
        run.handle(Input::Asked(run.asked[0].ticket, silent));
        assert_eq!(run.to_server.len() == 1, forwarded, "{outage:?}");
        if !forwarded {
            assert_eq!(run.last_code(), code);
            assert_eq!(run.last()["error"]["data"]["retryable"], true);
            assert_eq!(run.last()["error"]["data"]["reason_code"], "enforcer_unavailable");
        }
    }
}

#[test]
fn refusals_take_the_shape_of_the_messages_era() {
    let modern = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    for (denial, rest, is_result) in [
        (Denial::Auto, r#""arguments":{}"#, false),
        (Denial::Auto, modern, true),
        (Denial::Error, modern, false),
        (Denial::Result, r#""arguments":{}"#, true),
        (Denial::Result, r#""task":{}"#, false),
    ] {
        let mut run = Run::new(Settings { denial, ..Settings::default() });
        run.call_with(1, "block", rest);
        let last = run.last();
        assert_eq!(last["id"], 1);
        assert_eq!(last["result"]["isError"] == true, is_result, "{denial:?} {rest}");
        assert_eq!(last["result"]["resultType"] == "complete", is_result);
        let data =
            if is_result { &last["result"]["_meta"]["decision"] } else { &last["error"]["data"] };
        assert_eq!(data["decision"], "BLOCK");
        assert_eq!(data["retryable"], false);
    }
}

#[test]
fn the_number_of_open_requests_is_bounded() {
    let mut run = Run::new(Settings::default());
    for id in 0..=super::super::waiting::MOST_OPEN {
        run.client(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"slow"}}"#));
    }
    assert_eq!(run.to_server.len(), super::super::waiting::MOST_OPEN);
    assert_eq!(run.last()["error"]["data"]["reason_code"], "too_many_in_flight");
}

#[test]
fn an_overlong_line_is_answered_on_either_side() {
    let long = |text: &str| {
        let mut framer = Framer::new(10);
        framer.space().put_slice(text.as_bytes());
        framer.last_line().unwrap().unwrap_err()
    };
    let mut run = Run::new(Settings::default());
    run.handle(Input::Client(Err(long(r#"{"jsonrpc":"2.0","id":5,"method":"tools/call"}"#))));
    assert_eq!(run.last()["error"]["data"]["reason_code"], "message_too_long");
    assert_eq!(run.last()["id"], 5);
    assert!(run.to_server.is_empty());

    run.call(6, "allow");
    run.handle(Input::Server(Err(long(r#"{"jsonrpc":"2.0","id":6,"result":{"content":[]}}"#))));
    assert_eq!(run.last()["error"]["data"]["reason_code"], "answer_too_long");
    assert_eq!(run.last()["id"], 6);
}
