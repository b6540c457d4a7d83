//! Calls of the era without handshake: answered with a question, and made again with its answer.

use super::*;

const SECRET: [u8; 16] = [9; 16];

const FORM: &str = r#"{"elicitation":{"form":{}}}"#;
const URL: &str = r#"{"elicitation":{"url":{}}}"#;

const AGREE: &str = r#"{"action":"accept","content":{"approve":true}}"#;
const DISAGREE: &str = r#"{"action":"accept","content":{"approve":false}}"#;
const DECLINE: &str = r#"{"action":"decline"}"#;
const DISMISS: &str = r#"{"action":"cancel"}"#;
const OPEN: &str = r#"{"action":"accept"}"#;

fn meta(capabilities: &str) -> String {
    format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}}}"#
    )
}

/// What a call was answered with: the question's name, and the state.
struct Asked {
    key: String,
    state: String,
}

impl Asked {
    /// The members with which the call is made again.
    fn with(&self, answer: &str) -> String {
        let Self { key, state } = self;
        format!(r#""inputResponses":{{"{key}":{answer}}},"requestState":"{state}""#)
    }
}

fn paged() -> Hold {
    Hold { approval_url: Some("https://thoth.example/a/1".to_owned()), ..hold() }
}

fn stepped_up(hold: Hold, self_approval: Option<bool>) -> Answer {
    let grounds =
        Grounds { self_approval, rule_ids: vec!["no-deletes".to_owned()], ..Grounds::default() };
    Answer::Said(Verdict { effect: Verb::StepUp(Some(hold)), grounds })
}

impl Run {
    fn returning(step_up: StepUp) -> Self {
        let rules = Rules { step_up, ..Rules::default() };
        let mut run = Self::new(Settings { remote: true, rules, ..Settings::default() });
        run.session = run.session.eliciting(SECRET);
        run
    }

    /// A call of the tool `a` in the era without handshake.
    fn modern(&mut self, id: u32, capabilities: &str, more: &str) {
        self.modern_call(id, "a", r#"{"path":"/srv/x","n":1.50}"#, capabilities, more);
    }

    fn modern_call(&mut self, id: u32, tool: &str, arguments: &str, can: &str, more: &str) {
        let comma = if more.is_empty() { "" } else { "," };
        let rest = format!(r#""arguments":{arguments},{}{comma}{more}"#, meta(can));
        self.call_with(id, tool, &rest);
    }

    fn enforcer(&mut self, answer: Answer) -> Ticket {
        let ticket = self.asked.last().unwrap().ticket;
        self.handle(Input::Asked(ticket, answer));
        ticket
    }

    fn asks_back(&self) -> Asked {
        let last = self.last();
        let result = &last["result"];
        assert_eq!(result["resultType"], "input_required", "{last}");
        let requests = result["inputRequests"].as_object().unwrap();
        assert_eq!(requests.len(), 1);
        let (key, request) = requests.iter().next().unwrap();
        assert_eq!(request["method"], "elicitation/create");
        assert!(request["params"]["message"].is_string());
        Asked { key: key.clone(), state: result["requestState"].as_str().unwrap().to_owned() }
    }

    /// A call that was answered with a form.
    fn with_question(step_up: StepUp) -> (Self, Asked) {
        let mut run = Self::returning(step_up);
        run.modern(1, FORM, "");
        run.enforcer(stepped_up(hold(), Some(true)));
        let asked = run.asks_back();
        (run, asked)
    }

    fn server_asks_back(&mut self, id: u32, state: Option<&str>) {
        let state = state.map_or(String::new(), |state| format!(r#","requestState":"{state}""#));
        self.server(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"q":{{}}}}{state}}}}}"#
        ));
    }
}

#[test]
fn a_person_agrees_and_the_call_that_is_made_again_goes_through() {
    for step_up in [StepUp::Elicit, StepUp::Auto] {
        let (mut run, asked) = Run::with_question(step_up);
        assert!(run.waits.is_empty() && run.to_client.len() == 1);
        assert_ne!(asked.key, asked.state);

        // Spelled another way, it is the same call.
        run.modern_call(2, "a", r#"{ "n":1.50, "p\u0061th":"/srv/x"}"#, FORM, &asked.with(AGREE));
        let question = run.asked.last().unwrap();
        assert_eq!(question.reply, Some((hold(), Reply::Approve)), "passed on first");
        assert!(run.replies.is_empty(), "and once");
        run.enforcer(said(Verb::Allow));
        let expected = format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"a","arguments":{{ "n":1.50, "p\u0061th":"/srv/x"}},{}}}}}"#,
            meta(FORM)
        );
        assert_eq!(run.to_server, [expected], "every other byte is the client's");
        let Some(Record::Decision(last)) = run.paper.records.last() else { panic!("a decision") };
        assert_eq!((last.basis, last.forwarded), ("approved", true));
    }
}

#[test]
fn an_answer_counts_for_the_call_that_was_asked_about_and_once() {
    let other = r#"{"path":"/srv/y","n":1.50}"#;
    let same = r#"{"path":"/srv/x","n":1.50}"#;
    for (tool, arguments) in [("a", other), ("b", same), ("a", r#"{"path":"/srv/x","n":1.5}"#)] {
        let (mut run, asked) = Run::with_question(StepUp::Elicit);
        run.modern_call(2, tool, arguments, FORM, &asked.with(AGREE));
        assert_eq!(run.asked.last().unwrap().reply, None, "{tool} {arguments}");
        run.enforcer(stepped_up(hold(), Some(true)));
        let again = run.asks_back();
        assert_ne!(again.state, asked.state, "it is asked about in its own right");
        assert!(run.to_server.is_empty());
        // What was asked about first still may be answered.
        run.modern(3, FORM, &asked.with(AGREE));
        assert!(run.asked.last().unwrap().reply.is_some());
    }

    let (mut run, asked) = Run::with_question(StepUp::Elicit);
    run.modern(2, FORM, &asked.with(AGREE));
    run.enforcer(said(Verb::Allow));
    run.modern(3, FORM, &asked.with(AGREE));
    assert_eq!(run.asked.last().unwrap().reply, None, "once");
    run.enforcer(stepped_up(hold(), Some(true)));
    run.asks_back();
    assert_eq!(run.to_server.len(), 1);
    assert!(run.to_server.iter().all(|text| !text.contains("thoth-ask-")));
}

#[test]
fn a_call_that_is_cancelled_once_its_person_has_agreed_takes_the_approval_along() {
    let (mut run, asked) = Run::with_question(StepUp::Elicit);
    run.modern(2, FORM, &asked.with(AGREE));
    let ticket = run.asked.last().unwrap().ticket;
    run.cancel("2");
    assert_eq!(run.withdrawn, [ticket]);
    assert_eq!(run.released, [hold()]);
    run.handle(Input::Asked(ticket, said(Verb::Allow)));
    assert!(run.to_server.is_empty());
}

#[test]
fn a_person_who_does_not_agree_ends_it() {
    for body in [DISAGREE, DECLINE] {
        let (mut run, asked) = Run::with_question(StepUp::Auto);
        run.modern(2, FORM, &asked.with(body));
        assert_eq!(run.replies, [(hold(), Reply::Deny)], "{body}");
        assert_eq!(run.asked.len(), 1, "nobody is asked again");
        let decision = run.last()["result"]["_meta"]["decision"].clone();
        assert_eq!(decision["decision"], "BLOCK");
        assert_eq!(decision["reason_code"], "approval_denied");
        assert_eq!(decision["rule_ids"][0], "no-deletes");
        assert!(run.to_server.is_empty());
    }
}

#[test]
fn a_question_that_was_not_answered_is_not_asked_again_at_once() {
    for body in [DISMISS, r#"{"roots":[]}"#, "7", r#"{"action":"accept","content":{}}"#] {
        let (mut run, asked) = Run::with_question(StepUp::Elicit);
        run.modern(2, FORM, &asked.with(body));
        assert_eq!(run.asked.last().unwrap().reply, None);
        run.enforcer(stepped_up(hold(), Some(true)));
        assert_eq!(run.last()["result"]["_meta"]["decision"]["hold_token"], "tok", "{body}");

        let (mut run, asked) = Run::with_question(StepUp::Auto);
        run.modern(2, FORM, &asked.with(body));
        let ticket = run.enforcer(stepped_up(hold(), Some(true)));
        assert_eq!(run.waits, [ticket], "{body}");
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert_eq!(run.to_server.len(), 1, "somebody else has agreed");
    }
    // Where the keeper does not take the person's word, nothing goes round in circles.
    let (mut run, asked) = Run::with_question(StepUp::Elicit);
    run.modern(2, FORM, &asked.with(AGREE));
    run.enforcer(stepped_up(hold(), Some(true)));
    assert_eq!(run.last()["result"]["isError"], true);
}

#[test]
fn a_page_is_opened_and_the_call_that_is_made_again_waits_for_it() {
    for step_up in [StepUp::Elicit, StepUp::Auto] {
        let mut run = Run::returning(step_up);
        run.modern(1, URL, "");
        run.enforcer(stepped_up(paged(), Some(false)));
        let asked = run.asks_back();
        let last = run.last();
        let params = &last["result"]["inputRequests"][&asked.key]["params"];
        assert_eq!(params["mode"], "url");
        assert_eq!(params["url"], "https://thoth.example/a/1");
        assert_eq!(params.get("elicitationId"), None);

        run.modern(2, URL, &asked.with(OPEN));
        assert_eq!(run.asked.last().unwrap().reply, None, "to open it is not to agree");
        let ticket = run.enforcer(stepped_up(paged(), Some(false)));
        assert_eq!(run.waits, [ticket]);
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert_eq!(run.to_server.len(), 1);
        assert!(run.replies.is_empty() && run.released.is_empty());
    }
    let mut run = Run::returning(StepUp::Auto);
    run.modern(1, URL, "");
    run.enforcer(stepped_up(paged(), None));
    let asked = run.asks_back();
    run.modern(2, URL, &asked.with(DECLINE));
    assert_eq!(run.released, [paged()]);
    assert_eq!(run.last()["result"]["_meta"]["decision"]["reason_code"], "approval_declined");
    assert!(run.replies.is_empty() && run.to_server.is_empty());
}

#[test]
fn whom_this_request_does_not_let_ask_is_not_asked() {
    let with_task = r#""task":{}"#;
    for (row, capabilities, more) in [
        ("no capability", "{}", ""),
        ("another one", URL, ""),
        ("unreadable", "7", ""),
        ("a task", FORM, with_task),
        ("the server's own round", FORM, THEIRS),
    ] {
        let mut run = Run::returning(StepUp::Elicit);
        // What was declared in a handshake says nothing about this request.
        run.client(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{"elicitation":{}}}}"#,
        );
        run.modern(1, capabilities, more);
        run.enforcer(stepped_up(hold(), Some(true)));
        assert!(!run.to_client[0].contains("input_required"), "{row}");
        assert!(run.to_client[0].contains("hold_token"), "{row}");

        let mut run = Run::returning(StepUp::Auto);
        run.modern(1, capabilities, more);
        let ticket = run.enforcer(stepped_up(hold(), Some(true)));
        assert_eq!(run.waits, [ticket], "{row}");
        assert!(run.to_client.is_empty(), "{row}");
    }
}

#[test]
fn the_servers_own_state_and_answers_pass_untouched() {
    let mut run = Run::returning(StepUp::Auto);
    for more in [
        r#""requestState":"s","inputResponses":{"q":{"action":"accept"}}"#,
        r#""inputResponses":{"thoth-ask-1-00":{"action":"accept"}}"#,
        r#""inputResponses":{},"requestState":"thoth-as""#,
        r#""inputResponses":[1],"requestState":7"#,
    ] {
        run.modern(1, FORM, more);
        run.enforcer(said(Verb::Allow));
        assert!(run.to_server.last().unwrap().contains(more), "{more}");
        run.answer(1);
    }
}

#[test]
fn what_is_thoths_is_taken_out_whatever_else_is_there() {
    let (run, asked) = Run::with_question(StepUp::Elicit);
    drop(run);
    let Asked { key, state } = &asked;
    let stale = "thoth-ask-1-00000000000000000000000000000000";
    for (row, more, left) in [
        ("unknown", asked.with(AGREE), ""),
        (
            "beside the server's",
            format!(r#""inputResponses":{{"q":{{}},"{key}":{AGREE}}},"requestState":"s""#),
            r#","inputResponses":{"q":{}},"requestState":"s""#,
        ),
        (
            "state alone, and another's answer",
            format!(r#""inputResponses":{{"q":{{}}}},"requestState":"{state}""#),
            r#","inputResponses":{"q":{}}"#,
        ),
        (
            "escaped",
            format!(
                r#""input\u0052esponses":{{"{}":{AGREE}}},"requestStat\u0065":"{}""#,
                key.replacen('t', "\\u0074", 1),
                state.replacen('t', "\\u0074", 1)
            ),
            "",
        ),
        (
            "of a sidecar that is gone",
            format!(r#""inputResponses":{{"{stale}":{AGREE}}},"requestState":"{stale}""#),
            "",
        ),
    ] {
        // A session with the same secret that remembers nothing.
        let mut run = Run::returning(StepUp::Elicit);
        run.modern(1, FORM, &more);
        assert_eq!(run.asked.last().unwrap().reply, None, "{row}");
        run.enforcer(said(Verb::Allow));
        let expected = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","arguments":{{"path":"/srv/x","n":1.50}},{}{left}}}}}"#,
            meta(FORM)
        );
        assert_eq!(run.to_server, [expected], "{row}");
    }
}

#[test]
fn what_a_server_that_is_a_sidecar_asks_passes_to_it() {
    let stale = "thoth-ask-1-00000000000000000000000000000000";
    let mut run = Run::returning(StepUp::Auto);
    run.modern(1, FORM, "");
    run.enforcer(said(Verb::Allow));
    run.server_asks_back(1, Some(stale));
    let more = format!(r#""inputResponses":{{"{stale}":{AGREE}}},"requestState":"{stale}""#);
    run.modern(2, FORM, &more);
    run.enforcer(said(Verb::Allow));
    assert!(run.to_server[1].contains(&more), "{}", run.to_server[1]);
}

#[test]
fn too_many_answers_are_not_looked_through() {
    let answers: Vec<_> = (0..17).map(|n| format!(r#""thoth-ask-{n}-0":1"#)).collect();
    let more = format!(r#""inputResponses":{{{}}}"#, answers.join(","));
    let mut run = Run::returning(StepUp::Auto);
    run.modern(1, FORM, &more);
    assert!(run.asked.is_empty() && run.to_server.is_empty());
    assert_eq!(run.last()["error"]["data"]["reason_code"], "internal_error");
}

#[test]
fn what_was_asked_is_forgotten_with_its_hold_and_when_there_is_too_much() {
    for (timeout, wait, known) in
        [(None, 14 * 60, true), (None, 16 * 60, false), (Some(60), 59, true), (Some(60), 61, false)]
    {
        let mut run = Run::returning(StepUp::Elicit);
        run.modern(1, FORM, "");
        let hold = Hold { timeout: timeout.map(Duration::from_secs), ..hold() };
        run.enforcer(stepped_up(hold, Some(true)));
        let asked = run.asks_back();
        run.now += Duration::from_secs(wait);
        run.modern(2, FORM, &asked.with(AGREE));
        assert_eq!(run.asked.last().unwrap().reply.is_some(), known, "{timeout:?} {wait}");
    }
    let mut run = Run::returning(StepUp::Elicit);
    let asked: Vec<_> = (0..=super::super::asking::MOST_RETURNED)
        .map(|_| {
            run.modern(1, FORM, "");
            run.enforcer(stepped_up(hold(), Some(true)));
            run.asks_back()
        })
        .collect();
    run.modern(2, FORM, &asked[0].with(AGREE));
    assert_eq!(run.asked.last().unwrap().reply, None);
    run.modern(3, FORM, &asked[1].with(AGREE));
    assert!(run.asked.last().unwrap().reply.is_some());
}

#[test]
fn at_the_desk_a_call_made_again_brings_its_persons_word() {
    let rules = Rules { step_up: StepUp::Elicit, ..Rules::default() };
    for remote in [false, true] {
        let mut run = Run::new(Settings { desk: true, remote, rules, ..Settings::default() });
        run.session = run.session.eliciting(SECRET);
        let kept = Hold { keeper: Keeper::Sidecar, ..hold() };
        for (id, says) in [(1, Verb::StepUp(Some(kept.clone()))), (2, Verb::Allow)] {
            let more = if id == 1 { String::new() } else { run.asks_back().with(AGREE) };
            run.modern_call(id, "self", "{}", FORM, &more);
            if remote {
                assert_eq!(run.asked.last().unwrap().reply, None, "not the enforcer's to know");
                run.enforcer(said(Verb::Allow));
            }
            let question = &run.held.last().unwrap().question;
            let ticket = question.ticket;
            let reply = (id == 2).then(|| (kept.clone(), Reply::Approve));
            assert_eq!(question.reply, reply);
            run.handle(Input::Asked(ticket, said(says)));
        }
        assert_eq!(run.to_server.len(), 1);
    }
}

#[test]
fn one_word_satisfies_enforcer_and_rules_where_both_let_it() {
    for (tool, forwarded) in [("self", true), ("step_up", false)] {
        let mut run = Run::returning(StepUp::Elicit);
        run.modern_call(1, tool, "{}", FORM, "");
        run.enforcer(stepped_up(hold(), Some(true)));
        if !forwarded {
            assert!(!run.to_client[0].contains("input_required"), "the rules do not let it");
            continue;
        }
        let asked = run.asks_back();
        run.modern_call(2, tool, "{}", FORM, &asked.with(AGREE));
        run.enforcer(said(Verb::Allow));
        assert_eq!(run.to_server.len(), 1, "{tool}");
    }
}

#[test]
fn a_call_that_is_answered_with_a_question_is_told_to_have_ended() {
    let rules = Rules { step_up: StepUp::Elicit, ..Rules::default() };
    let settings = Settings { remote: true, tells: true, rules, ..Settings::default() };
    let mut run = Run::new(settings);
    run.session = run.session.eliciting(SECRET);
    run.modern(1, FORM, "");
    run.enforcer(stepped_up(hold(), Some(true)));
    run.asks_back();
    assert!(
        run.log.iter().any(|words| words.starts_with("call 1 refused -32002")),
        "{:?}",
        run.log
    );
    run.modern(1, FORM, "");
    assert_eq!(run.asked.len(), 2, "its id is free");
}

/// An approved call that the server has asked back about, in this state.
fn continuing(state: Option<&str>) -> Run {
    let (mut run, asked) = Run::with_question(StepUp::Elicit);
    run.modern(2, FORM, &asked.with(AGREE));
    run.enforcer(said(Verb::Allow));
    run.server_asks_back(2, state);
    assert_eq!(run.last()["result"]["resultType"], "input_required");
    run
}

const THEIRS: &str = r#""inputResponses":{"q":{"action":"accept"}},"requestState":"s""#;

#[test]
fn what_the_server_asks_back_about_an_approved_call_needs_no_second_approval() {
    let mut run = continuing(Some("s"));
    for id in 3..6 {
        run.modern(id, FORM, THEIRS);
        assert_eq!(run.asked.len(), usize::try_from(id).unwrap(), "it is judged in full");
        run.enforcer(stepped_up(hold(), Some(true)));
        assert_eq!(run.released.len(), usize::try_from(id).unwrap() - 2, "no second hold stays");
        assert!(run.to_server.last().unwrap().contains(THEIRS));
        assert!(run.to_server.last().unwrap().contains(&format!("\"id\":{id},")));
        // And so on, as often as the server asks.
        run.server_asks_back(id, Some("s"));
    }
    run.modern(6, FORM, THEIRS);
    run.enforcer(stepped_up(hold(), Some(true)));
    let sent = run.to_server.len();
    run.answer(6);
    run.modern(7, FORM, THEIRS);
    run.enforcer(stepped_up(hold(), Some(true)));
    assert_eq!(run.to_server.len(), sent, "each is good once");
}

#[test]
fn a_server_that_keeps_no_state_may_ask_back_too() {
    let mut run = continuing(None);
    run.modern(3, FORM, r#""inputResponses":{"q":{}}"#);
    run.enforcer(stepped_up(hold(), Some(true)));
    assert_eq!(run.to_server.len(), 2);
}

#[test]
fn a_state_like_a_sidecars_is_remembered_only_while_it_is_short() {
    for (length, passes) in [(100, true), (70_000, false)] {
        let state = format!("thoth-ask-{}", "9".repeat(length));
        let mut run = continuing(Some(&state));
        run.modern(3, FORM, &format!(r#""requestState":"{state}""#));
        run.enforcer(said(Verb::Allow));
        assert_eq!(run.to_server.len(), 2);
        assert_eq!(run.to_server[1].contains(&state), passes, "{length}");
    }
}

#[test]
fn only_what_the_server_said_about_this_very_call_continues_it() {
    let same = r#"{"path":"/srv/x","n":1.50}"#;
    let stepped = || stepped_up(hold(), Some(true));
    let other_rule = || {
        let grounds = Grounds { rule_ids: vec!["another".to_owned()], ..Grounds::default() };
        Answer::Said(Verdict { effect: Verb::StepUp(Some(hold())), grounds })
    };
    for (row, tool, arguments, more, answer) in [
        ("another state", "a", same, r#""requestState":"t""#, stepped()),
        ("no state", "a", same, r#""inputResponses":{"q":{}}"#, stepped()),
        ("nothing at all", "a", same, "", stepped()),
        ("another tool", "b", same, THEIRS, stepped()),
        ("other arguments", "a", r#"{"path":"/srv/y","n":1.50}"#, THEIRS, stepped()),
        ("another rule", "a", same, THEIRS, other_rule()),
        ("no rule is named", "a", same, THEIRS, said(Verb::StepUp(Some(hold())))),
        ("blocked by now", "a", same, THEIRS, said(Verb::Block)),
        ("put off by now", "a", same, THEIRS, said(Verb::Defer(None))),
        ("an outage", "a", same, THEIRS, Answer::Silent(Grounds::default())),
        (
            "another keeper",
            "a",
            same,
            THEIRS,
            stepped_up(Hold { keeper: Keeper::Sidecar, ..hold() }, Some(true)),
        ),
    ] {
        let mut run = continuing(Some("s"));
        run.modern_call(3, tool, arguments, FORM, more);
        run.enforcer(answer);
        assert_eq!(run.to_server.len(), 1, "{row}");
        assert!(run.released.is_empty(), "{row}");
    }
    // A call that nobody had to approve continues nothing.
    let mut run = Run::returning(StepUp::Elicit);
    run.modern(1, FORM, "");
    run.enforcer(said(Verb::Allow));
    run.server_asks_back(1, Some("s"));
    run.modern(2, FORM, THEIRS);
    run.enforcer(stepped());
    assert_eq!(run.to_server.len(), 1);
}
