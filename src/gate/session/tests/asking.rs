//! The person at a client of the handshake era is asked.

use super::*;

const SECRET: [u8; 16] = [7; 16];

/// The id in a request of thoth's own.
fn id_of(text: &str) -> String {
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    message["id"].as_str().unwrap().to_owned()
}

fn greeting(elicitation: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"greeting","method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{"elicitation":{elicitation}}}}}}}"#
    )
}

/// A hold with a page.
fn paged() -> Hold {
    Hold { approval_url: Some("https://thoth.example/a/1".to_owned()), ..hold() }
}

fn stepped_up(hold: Hold, self_approval: Option<bool>) -> Answer {
    let grounds = Grounds {
        self_approval,
        reason: Some("deletions need approval".to_owned()),
        ..Grounds::default()
    };
    Answer::Said(Verdict { effect: Verb::StepUp(Some(hold)), grounds })
}

impl Run {
    /// A session with an enforcer, and a client that declares this.
    fn eliciting(step_up: StepUp, elicitation: &str) -> Self {
        let rules = Rules { step_up, ..Rules::default() };
        let mut run = Self::new(Settings { remote: true, rules, ..Settings::default() });
        run.session = run.session.eliciting(SECRET);
        run.client(&greeting(elicitation));
        run.to_server.clear();
        run
    }

    /// A session in which the person is asked about one call by a form; the question's id.
    fn with_form(step_up: StepUp) -> (Self, Ticket, String) {
        let mut run = Self::eliciting(step_up, "{}");
        let ticket = run.held_call(1, "a", stepped_up(hold(), Some(true)));
        let id = run.asked_person();
        (run, ticket, id)
    }

    fn held_call(&mut self, id: u32, tool: &str, answer: Answer) -> Ticket {
        self.call_with(id, tool, r#""arguments":{"path":"/srv/x"}"#);
        let ticket = self.asked.last().unwrap().ticket;
        self.handle(Input::Asked(ticket, answer));
        ticket
    }

    /// The id of the last line to the client, which asks the person.
    fn asked_person(&self) -> String {
        assert_eq!(self.last()["method"], "elicitation/create", "{:?}", self.to_client);
        id_of(self.to_client.last().unwrap())
    }

    fn person(&mut self, id: &str, body: &str) {
        self.client(&format!(r#"{{"jsonrpc":"2.0","id":"{id}",{body}}}"#));
    }

    fn takes_back(&self, id: &str) -> bool {
        self.to_client.iter().any(|text| {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            message["method"] == "notifications/cancelled" && message["params"]["requestId"] == id
        })
    }

    fn nothing_left(&self) {
        assert!(self.to_server.iter().all(|text| !text.contains("thoth-ask-")));
    }
}

const AGREE: &str = r#""result":{"action":"accept","content":{"approve":true}}"#;
const DISAGREE: &str = r#""result":{"action":"accept","content":{"approve":false}}"#;
const DECLINE: &str = r#""result":{"action":"decline"}"#;
const DISMISS: &str = r#""result":{"action":"cancel"}"#;
const OPEN: &str = r#""result":{"action":"accept"}"#;
const NO_METHOD: &str = r#""error":{"code":-32601,"message":"no"}"#;

#[test]
fn a_person_agrees_and_the_call_goes_through_once_its_keeper_says_so() {
    for step_up in [StepUp::Elicit, StepUp::Auto] {
        let (mut run, ticket, id) = Run::with_form(step_up);
        assert_eq!(run.waits, [ticket]);
        let message = run.last()["params"]["message"].as_str().unwrap().to_owned();
        for part in ["`a`", "deletions need approval", r#"{"path":"/srv/x"}"#] {
            assert!(message.contains(part), "{message}");
        }
        run.person(&id, AGREE);
        assert_eq!(run.replies, [(hold(), Reply::Approve)]);
        assert!(run.to_server.is_empty(), "the keeper decides");
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert_eq!(run.to_server.len(), 1);
        assert!(!run.takes_back(&id), "it was answered");
        run.nothing_left();
        let Some(Record::Decision(last)) = run.paper.records.last() else { panic!("a decision") };
        assert_eq!((last.decision, last.basis, last.forwarded), ("allow", "approved", true));
    }
}

#[test]
fn a_person_who_does_not_agree_is_passed_on_as_that() {
    for body in [DISAGREE, DECLINE] {
        let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
        run.person(&id, body);
        assert_eq!(run.replies, [(hold(), Reply::Deny)], "{body}");
        run.handle(Input::Waited(ticket, said(Verb::Block)));
        assert_eq!(run.last_code(), Some(-32_001));
        assert!(run.to_server.is_empty() && run.released.is_empty());

        let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
        run.person(&id, body);
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert!(run.to_server.is_empty(), "whoever sits there has said no");
        assert_eq!(run.last()["error"]["data"]["reason_code"], "approval_denied");
    }
}

#[test]
fn a_question_that_is_not_answered_leaves_the_call_as_it_was() {
    for body in [DISMISS, NO_METHOD] {
        let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
        run.person(&id, body);
        assert!(run.replies.is_empty() && run.withdrawn.is_empty(), "{body}");
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert_eq!(run.to_server.len(), 1, "somebody else has agreed");

        let (mut run, ticket, id) = Run::with_form(StepUp::Elicit);
        run.person(&id, body);
        assert_eq!(run.last_code(), Some(-32_002), "{body}");
        assert_eq!(run.last()["error"]["data"]["hold_token"], "tok");
        assert_eq!(run.withdrawn, [ticket]);
        assert!(run.replies.is_empty() && run.released.is_empty());
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert!(run.to_server.is_empty());
    }
}

#[test]
fn an_answer_of_another_shape_is_no_answer_and_the_question_stays() {
    let (mut run, ticket, id) = Run::with_form(StepUp::Elicit);
    for body in [
        r#""result":{"roots":[]}"#,
        r#""result":{"action":"accept","content":{"approve":"true"}}"#,
        OPEN,
        r#""result":[]"#,
        r#""result":{"action":"ACCEPT","content":{"approve":true}}"#,
    ] {
        run.person(&id, body);
        assert_eq!(run.notes.last(), Some(&Note::ForeignAnswer), "{body}");
    }
    assert!(run.replies.is_empty() && run.withdrawn.is_empty() && run.to_server.is_empty());
    run.person(&id, AGREE);
    assert_eq!(run.replies.len(), 1);
    run.handle(Input::Waited(ticket, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 1);
}

#[test]
fn an_answer_counts_once_and_late_ones_go_nowhere() {
    let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
    run.person(&id, DECLINE);
    run.person(&id, AGREE);
    assert_eq!(run.replies, [(hold(), Reply::Deny)]);
    assert_eq!(run.notes, [Note::AnswerToNobody]);
    run.handle(Input::Waited(ticket, said(Verb::Block)));
    run.person(&id, AGREE);
    assert_eq!(run.notes.len(), 2);
    assert_eq!(run.replies.len(), 1);
    run.nothing_left();
}

#[test]
fn a_page_is_opened_and_decided_there() {
    let mut run = Run::eliciting(StepUp::Elicit, r#"{"url":{}}"#);
    let ticket = run.held_call(1, "a", stepped_up(paged(), Some(false)));
    let id = run.asked_person();
    let params = run.last()["params"].clone();
    assert_eq!(params["mode"], "url");
    assert_eq!(params["url"], "https://thoth.example/a/1");
    let page = params["elicitationId"].as_str().unwrap().to_owned();
    assert_ne!(page, id);
    run.person(&id, OPEN);
    assert!(run.replies.is_empty() && run.withdrawn.is_empty(), "to open it is not to agree");
    run.handle(Input::Waited(ticket, said(Verb::Allow)));
    assert_eq!(run.to_server.len(), 1);
    assert_eq!(run.last()["method"], "notifications/elicitation/complete");
    assert_eq!(run.last()["params"]["elicitationId"], *page);
}

#[test]
fn a_page_that_is_declined_lets_the_call_go() {
    for step_up in [StepUp::Elicit, StepUp::Auto] {
        let mut run = Run::eliciting(step_up, r#"{"form":{},"url":{}}"#);
        let ticket = run.held_call(1, "a", stepped_up(paged(), None));
        let id = run.asked_person();
        run.person(&id, DECLINE);
        assert_eq!(run.last_code(), Some(-32_002));
        assert_eq!(run.last()["error"]["data"]["reason_code"], "approval_declined");
        assert_eq!(run.last()["error"]["data"].get("hold_token"), None);
        assert_eq!(run.withdrawn, [ticket]);
        assert_eq!(run.released, [paged()]);
        assert!(run.replies.is_empty());
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        assert!(run.to_server.is_empty());
    }
}

#[test]
fn whom_nobody_may_ask_is_not_asked() {
    for (row, step_up, elicitation, hold, self_approval) in [
        ("no capability", StepUp::Auto, "null", paged(), Some(true)),
        ("forms only", StepUp::Auto, "{}", paged(), Some(false)),
        ("nobody said", StepUp::Auto, "{}", paged(), None),
        ("pages only, no page", StepUp::Auto, r#"{"url":{}}"#, hold(), Some(true)),
        ("not to be asked", StepUp::Wait, r#"{"form":{},"url":{}}"#, paged(), Some(true)),
    ] {
        let mut run = Run::eliciting(step_up, elicitation);
        run.held_call(1, "a", stepped_up(hold.clone(), self_approval));
        assert!(run.to_client.is_empty(), "{row}");
        assert_eq!(run.waits.len(), 1, "{row}");

        let returned = if step_up == StepUp::Wait { StepUp::Return } else { StepUp::Elicit };
        let mut run = Run::eliciting(returned, elicitation);
        run.held_call(1, "a", stepped_up(hold, self_approval));
        assert_eq!(run.last_code(), Some(-32_002), "{row}");
        assert!(run.waits.is_empty(), "{row}");
    }
    let rules = Rules { step_up: StepUp::Auto, ..Rules::default() };
    let mut run = Run::new(Settings { remote: true, rules, ..Settings::default() });
    run.client(&greeting("{}"));
    run.held_call(1, "a", stepped_up(hold(), Some(true)));
    assert!(run.to_client.is_empty(), "without a secret nobody is asked");
}

#[test]
fn a_question_is_taken_back_when_its_call_ends_otherwise() {
    for (row, end) in [
        ("approved elsewhere", Some(said(Verb::Allow))),
        ("denied elsewhere", Some(said(Verb::Block))),
        ("timeout", Some(stepped_up(hold(), None))),
        ("cancelled", None),
        ("stop", None),
        ("client closes", None),
        ("server ends", None),
    ] {
        let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
        match (row, end) {
            (_, Some(answer)) => run.handle(Input::Waited(ticket, answer)),
            ("cancelled", None) => run.cancel("1"),
            ("stop", None) => run.handle(Input::Stop),
            ("client closes", None) => run.handle(Input::ClientClosed),
            (_, None) => run.handle(Input::ServerClosed),
        }
        assert!(run.takes_back(&id), "{row}");
        run.person(&id, AGREE);
        assert!(run.replies.is_empty(), "{row}: a late yes counts for nothing");
        run.nothing_left();
        let forwarded = run.to_server.iter().any(|text| text.contains("tools/call"));
        assert_eq!(forwarded, row == "approved elsewhere", "{row}");
        assert_eq!(run.released.len(), usize::from(row == "cancelled"), "{row}");
        let answered = run.to_client.iter().any(|text| text.contains("\"id\":1,"));
        assert_eq!(answered, !matches!(row, "cancelled" | "approved elsewhere"), "{row}");
    }
}

#[test]
fn a_call_that_is_cancelled_after_its_person_agreed_is_not_executed() {
    let (mut run, ticket, id) = Run::with_form(StepUp::Auto);
    run.person(&id, AGREE);
    run.cancel("1");
    assert_eq!(run.released, [hold()]);
    run.handle(Input::Waited(ticket, said(Verb::Allow)));
    assert!(run.to_server.is_empty());
}

#[test]
fn a_server_that_knew_the_name_of_a_question_gains_nothing() {
    let (mut run, _, id) = Run::with_form(StepUp::Auto);
    // It asks something harmless under the same id, before and after it is answered.
    for at in 0..2 {
        let shown = run.to_client.len();
        run.server(&format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"elicitation/create","params":{{"message":"Do you like cats?"}}}}"#
        ));
        let escaped = id.replacen("thoth", "t\\u0068oth", 1);
        run.server(&format!(r#"{{"jsonrpc":"2.0","id":"{escaped}","method":"roots/list"}}"#));
        assert_eq!(run.to_client.len(), shown, "the client never sees it");
        assert_eq!(run.notes[at * 2..], [Note::GuessedName, Note::GuessedName]);
        if at == 0 {
            run.person(&id, DECLINE);
        }
    }
    run.person(&id, AGREE);
    assert_eq!(run.replies, [(hold(), Reply::Deny)]);
    run.nothing_left();
}

#[test]
fn a_name_that_the_server_has_used_before_is_not_used_again() {
    let (known, _, first) = Run::with_form(StepUp::Auto);
    drop(known);
    // The server knows the secret, which it cannot, and asks before thoth does: a session with
    // another secret shows the client what it asks.
    let mut run = Run::eliciting(StepUp::Auto, "{}");
    run.session.asked.insert(RequestId::of_text(&first));
    run.held_call(1, "a", stepped_up(hold(), Some(true)));
    assert_ne!(run.asked_person(), first);
}

#[test]
fn the_servers_own_questions_pass_both_ways() {
    let (mut run, _, id) = Run::with_form(StepUp::Auto);
    // One of them is a sidecar's, too.
    for theirs in ["7", "\"q\"", "\"thoth-ask-1-00000000000000000000000000000000\""] {
        let asks = format!(r#"{{"jsonrpc":"2.0","id":{theirs},"method":"elicitation/create"}}"#);
        run.server(&asks);
        assert_eq!(run.to_client.last(), Some(&asks));
        let answers = format!(r#"{{"jsonrpc":"2.0","id":{theirs},{AGREE}}}"#);
        run.client(&answers);
        assert_eq!(run.to_server.last(), Some(&answers));
    }
    assert!(run.replies.is_empty());
    run.person(&id, AGREE);
    assert_eq!(run.replies.len(), 1);
}

#[test]
fn many_calls_are_held_each_with_its_own_question_and_their_number_is_bounded() {
    let mut run = Run::eliciting(StepUp::Elicit, "{}");
    let most = u32::try_from(super::super::asking::MOST_OPEN).unwrap();
    let tickets: Vec<_> = (0..most)
        .map(|id| (run.held_call(id, "a", stepped_up(hold(), Some(true))), run.asked_person()))
        .collect();
    run.held_call(99, "a", stepped_up(hold(), Some(true)));
    assert_eq!(run.last_code(), Some(-32_002), "as if the client could not be asked");

    let (third, id) = tickets[3].clone();
    run.person(&id, DISMISS);
    assert_eq!(run.last()["id"], 3);
    assert_eq!(*run.withdrawn, [third], "only the call in question");
    run.held_call(100, "a", stepped_up(hold(), Some(true)));
    let new = run.asked_person();
    assert!(tickets.iter().all(|(_, id)| *id != new), "no name is used twice");
}

#[test]
fn rules_hold_and_agree_at_the_desk_as_at_the_enforcer() {
    let rules = Rules { step_up: StepUp::Auto, ..Rules::default() };
    for (tool, asked) in [("self", true), ("step_up", false)] {
        let mut run = Run::new(Settings { desk: true, rules, ..Settings::default() });
        run.session = run.session.eliciting(SECRET);
        run.client(&greeting("{}"));
        run.call(1, tool);
        let kept = Hold { keeper: Keeper::Sidecar, ..hold() };
        let ticket = run.held[0].question.ticket;
        // What the desk says about self-approval is the rule's to say.
        run.handle(Input::Asked(ticket, stepped_up(kept.clone(), Some(true))));
        assert_eq!(run.waits, [ticket]);
        assert_eq!(!run.to_client.is_empty(), asked, "{tool}");
        if asked {
            let id = run.asked_person();
            run.person(&id, AGREE);
            assert_eq!(run.replies, [(kept, Reply::Approve)]);
        }
    }
}

#[test]
fn a_word_in_the_client_does_not_satisfy_a_rule_that_does_not_let_it() {
    // While the person at the client is asked about a step-up of the enforcer's, another call goes
    // through, and by now a local rule wants somebody else.
    for (tool, agreed, forwarded) in
        [("later_self", true, true), ("later_other", true, false), ("later_other", false, true)]
    {
        let mut run = Run::eliciting(StepUp::Auto, "{}");
        let ticket = run.held_call(1, tool, stepped_up(hold(), Some(true)));
        let id = run.asked_person();
        if agreed {
            run.person(&id, AGREE);
        }
        run.call(2, "allow");
        run.handle(Input::Asked(run.asked[1].ticket, said(Verb::Allow)));
        run.handle(Input::Waited(ticket, said(Verb::Allow)));
        let found = run.to_server.iter().any(|text| text.contains(tool));
        assert_eq!(found, forwarded, "{tool} {agreed}");
        if !forwarded {
            assert_eq!(run.last_code(), Some(-32_002));
        }
    }
}

#[test]
fn a_greeting_that_cannot_be_read_asks_for_nothing_and_passes() {
    for params in ["7", "[]", r#"{"capabilities":[]}"#, r#"{"capabilities":{"elicitation":true}}"#]
    {
        let rules = Rules { step_up: StepUp::Elicit, ..Rules::default() };
        let mut run = Run::new(Settings { remote: true, rules, ..Settings::default() });
        run.session = run.session.eliciting(SECRET);
        let text = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{params}}}"#);
        run.client(&text);
        assert_eq!(run.to_server, [text]);
        run.held_call(1, "a", stepped_up(hold(), Some(true)));
        assert_eq!(run.last_code(), Some(-32_002), "{params}");
    }
}
