//! The sentences of the session's header, held against whatever may happen in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::super::super::happening as told;
use super::story::{Adds, Under};
use super::*;

/// What may happen, in any order, with ids that collide.
#[derive(Clone, Debug)]
enum Happening {
    Call {
        id: u32,
        tool: usize,
        arguments: usize,
        modern: bool,
    },
    /// A request that is told, or one that is not.
    Request(u32, usize),
    Cancel(u32),
    /// The person at the client answers one of the questions: in the era without handshake, by a call
    /// with this id.
    Person(u32, usize, usize),
    /// The server makes a request under the name of one of the questions.
    Guess(usize),
    Asked(usize, usize),
    Waited(usize, usize),
    Answered(u32, usize),
    Reported(usize),
    JournalFails(bool),
    Garbage,
    Time,
}

const TOOLS: [&str; 9] =
    ["allow", "block", "step_up", "self", "defer", "modify", "once", "note", "note"];

/// Some with a member that is added to tools, where anything is.
const ARGUMENTS: [&str; 5] =
    ["{}", r#"{"goal":"g"}"#, r#"{"a":1,"goal":"g"}"#, r#"{"report":1}"#, r#"{"x":1}"#];

const REQUESTS: [&str; 4] = ["ping", "tools/list", "initialize", "resources/read"];

/// Answers, and what is none: an error, a server's request, a list and a greeting.
const ANSWERS: [&str; 5] = [
    r#""result":{"content":[]}"#,
    r#""error":{"code":1,"message":"no"}"#,
    r#""method":"roots/list""#,
    r#""result":{"tools":[{"name":"t"}]}"#,
    r#""result":{"serverInfo":{}}"#,
];

/// What a person may answer, and what is no answer.
const WORDS: [&str; 6] = [
    r#"{"action":"accept","content":{"approve":true}}"#,
    r#"{"action":"accept","content":{"approve":true}}"#,
    r#"{"action":"accept","content":{"approve":false}}"#,
    r#"{"action":"decline"}"#,
    r#"{"action":"cancel"}"#,
    r#"{"roots":[]}"#,
];

/// A step-up that the person at the client may be asked about.
fn asks() -> Answer {
    let approval_url = Some("https://thoth.example/a/1".to_owned());
    let effect = Verb::StepUp(Some(Hold { approval_url, ..hold() }));
    let grounds = Grounds { self_approval: Some(true), ..Grounds::default() };
    Answer::Said(Verdict { effect, grounds })
}

fn verdicts(which: usize) -> Answer {
    match which {
        7 | 8 => asks(),
        0 => said(Verb::Allow),
        1 => said(Verb::Block),
        2 => said(Verb::StepUp(Some(hold()))),
        3 => said(modify(r#"{"new":2}"#)),
        4 => said(Verb::Defer(None)),
        5 => said(Verb::StepUp(None)),
        _ => Answer::Silent(Grounds::default()),
    }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
            5 => (0_u32..4, 0..TOOLS.len(), 0..ARGUMENTS.len(), any::<bool>())
    .prop_map(|(id, tool, arguments, modern)| Happening::Call { id, tool, arguments, modern }),
            4 => (0_u32..4, 0_usize..6, 0..WORDS.len())
                .prop_map(|(id, which, word)| Happening::Person(id, which, word)),
            1 => (0_usize..6).prop_map(Happening::Guess),
            2 => (0_u32..4, 0..REQUESTS.len()).prop_map(|(id, which)| Happening::Request(id, which)),
            1 => (0_u32..4).prop_map(Happening::Cancel),
            6 => (0_usize..8, 0_usize..9).prop_map(|(which, verdict)| Happening::Asked(which, verdict)),
            2 => (0_usize..8, 0_usize..9).prop_map(|(which, verdict)| Happening::Waited(which, verdict)),
            3 => (0_u32..4, 0..ANSWERS.len()).prop_map(|(id, which)| Happening::Answered(id, which)),
            1 => (0_usize..4).prop_map(Happening::Reported),
            1 => any::<bool>().prop_map(Happening::JournalFails),
            1 => Just(Happening::Garbage),
            1 => Just(Happening::Time),
        ];
    prop::collection::vec(one, 0..80)
}

/// What is the same in all that happens to one session.
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of a session")]
#[derive(Clone, Copy, Debug)]
struct Setting {
    remote: bool,
    desk: bool,
    step_up: StepUp,
    tells: bool,
    adds: bool,
    /// How it ends: the client leaves, thoth is told to stop, or the server dies.
    end: u8,
}

fn setting() -> impl Strategy<Value = Setting> {
    let step_up = prop_oneof![
        Just(StepUp::Return),
        Just(StepUp::Wait),
        Just(StepUp::Elicit),
        Just(StepUp::Auto),
        Just(StepUp::Auto),
    ];
    let flags = (any::<bool>(), any::<bool>(), step_up, any::<bool>(), any::<bool>(), 0_u8..3);
    flags.prop_map(|(remote, desk, step_up, tells, adds, end)| Setting {
        remote,
        desk,
        step_up,
        tells,
        adds,
        end,
    })
}

/// A session that is over, and how much was sent to it.
struct Over {
    run: Run,
    calls: u32,
    own: u32,
    cancels: u32,
    /// The serial number of each call that has waited.
    serials: BTreeMap<Ticket, u32>,
    /// Those that were cancelled while they did.
    withdrawn: BTreeSet<u64>,
    /// How often a person has agreed.
    agreed: usize,
    /// How the calls were spelled that were answered with a question: the tool, and its arguments.
    spelled: BTreeMap<u32, (usize, usize)>,
}

impl Over {
    fn of(happenings: &[Happening], setting: Setting) -> Self {
        let Setting { remote, desk, step_up, tells, adds, end } = setting;
        let rules = Rules { step_up, ..Rules::default() };
        let settings = Settings { rules, remote, desk, tells, ..Settings::default() };
        let mut run = Run::new(settings);
        if adds {
            let judge = Under(Arc::new(AtomicBool::new(false)));
            run.session =
                Session::new(settings, Some(Box::new(judge))).adding(Box::<Adds>::default());
        }
        run.session = run.session.eliciting([3; 16]);
        run.client(&format!(
            r#"{{"jsonrpc":"2.0","id":"greeting","method":"initialize","params":{{"capabilities":{CAN}}}}}"#
        ));
        run.to_server.clear();
        let mut over = Self {
            run,
            calls: 0,
            own: 0,
            cancels: 0,
            serials: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            agreed: 0,
            spelled: BTreeMap::new(),
        };
        for happening in happenings {
            over.happens(happening, adds);
        }
        match end {
            0 => over.run.handle(Input::ClientClosed),
            1 => over.run.handle(Input::Stop),
            _ => {}
        }
        over.run.handle(Input::ServerClosed);
        over
    }

    fn happens(&mut self, happening: &Happening, adds: bool) {
        let run = &mut self.run;
        match *happening {
            Happening::Call { id, tool, arguments, modern } => {
                let more = if modern { format!(",{MODERN}") } else { String::new() };
                self.calls(id, tool, arguments, adds, &more);
            }
            Happening::Person(id, which, word) => self.person(id, which, word, adds),
            Happening::Guess(which) => {
                if let Some(Question::Request(name)) = self.questions().get(which) {
                    let shown = self.run.to_client.len();
                    self.run.server(&format!(
                        r#"{{"jsonrpc":"2.0","id":"{name}","method":"elicitation/create"}}"#
                    ));
                    assert_eq!(self.run.to_client.len(), shown, "the client never sees it");
                }
            }
            Happening::Request(id, which) => {
                run.does(&format!("request {id} {}", REQUESTS[which]));
            }
            Happening::Cancel(id) => {
                self.cancels += 1;
                let waiting = self.waiting(id);
                if let Some(serial) = waiting.and_then(|ticket| self.serials.get(&ticket)) {
                    self.withdrawn.insert(u64::from(*serial));
                }
                self.run.cancel(&id.to_string());
            }
            Happening::Asked(which, verdict) => {
                let held = run.held.iter().map(|held| &held.question);
                let all: Vec<_> =
                    run.asked.iter().chain(held).map(|question| question.ticket).collect();
                if let Some(ticket) = all.get(all.len().wrapping_sub(which + 1)).copied() {
                    // What is asked about a held call is whether its person has answered.
                    let is_held = run.waits.contains(&ticket);
                    if !is_held {
                        run.handle(Input::Asked(ticket, verdicts(verdict)));
                    }
                }
            }
            Happening::Waited(which, verdict) => {
                if let Some(ticket) = run.waits.get(which).copied() {
                    run.handle(Input::Waited(ticket, verdicts(verdict)));
                }
            }
            Happening::Reported(which) => {
                if let Some(ticket) = run.reports.get(which).copied() {
                    run.handle(Input::Reported(ticket, "so far so good".to_owned()));
                }
            }
            Happening::Answered(id, which) => {
                run.server(&format!(r#"{{"jsonrpc":"2.0","id":{id},{}}}"#, ANSWERS[which]));
            }
            Happening::JournalFails(fails) => run.paper.broken = fails,
            Happening::Garbage => run.client("{garbage"),
            Happening::Time => {
                run.now += Duration::from_secs(7);
                run.session.handle_timeout(run.now);
                run.settle();
            }
        }
    }
}

const CAN: &str = r#"{"elicitation":{"form":{},"url":{}}}"#;

const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{},"url":{}}}}"#;

/// What the person at the client was asked.
enum Question {
    /// By a request with this id.
    Request(String),
    /// By an answer to the call with this id: under this key, with this state.
    Answer { id: u32, key: String, state: String },
}

impl Over {
    fn calls(&mut self, id: u32, tool: usize, arguments: usize, adds: bool, more: &str) {
        let is_own = adds && TOOLS[tool] == "note";
        *(if is_own { &mut self.own } else { &mut self.calls }) += 1;
        // Each carries a serial number, so that it is known among others of its id.
        let serial = self.calls + self.own;
        let rest = format!(r#""serial":{serial},"arguments":{}{more}"#, ARGUMENTS[arguments]);
        self.run.call_with(id, TOOLS[tool], &rest);
        if let Some(ticket) = self.waiting(id) {
            self.serials.entry(ticket).or_insert(serial);
        }
        self.spelled.insert(id, (tool, arguments));
    }

    /// The call that waits under this id.
    fn waiting(&mut self, id: u32) -> Option<Ticket> {
        let ping = line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
        let Ok(client::Message::Request(ping)) = client::read(ping) else { return None };
        match self.run.session.requests.get(&ping.id) {
            Some(Open::Waiting(ticket)) => Some(*ticket),
            _ => None,
        }
    }

    /// All that the person was asked, the latest first.
    fn questions(&self) -> Vec<Question> {
        let lines = self.run.to_client.iter().rev();
        lines
            .filter_map(|text| {
                let message: serde_json::Value = serde_json::from_str(text).unwrap();
                let own = |value: &serde_json::Value| {
                    value.as_str().filter(|text| text.starts_with("thoth-ask-")).map(str::to_owned)
                };
                if let Some(name) = own(&message["id"]) {
                    return Some(Question::Request(name));
                }
                let state = own(&message["result"]["requestState"])?;
                let (key, _) = message["result"]["inputRequests"].as_object()?.iter().next()?;
                let id = u32::try_from(message["id"].as_u64()?).unwrap();
                Some(Question::Answer { id, key: key.clone(), state })
            })
            .collect()
    }

    fn person(&mut self, id: u32, which: usize, word: usize, adds: bool) {
        let Some(question) = self.questions().into_iter().nth(which) else { return };
        self.agreed += usize::from(word < 2);
        let word = WORDS[word];
        match question {
            Question::Request(name) => {
                self.run.client(&format!(r#"{{"jsonrpc":"2.0","id":"{name}","result":{word}}}"#));
            }
            Question::Answer { id: first, key, state } => {
                let (tool, arguments) = self.spelled[&first];
                let more = format!(
                    r#",{MODERN},"inputResponses":{{"{key}":{word}}},"requestState":"{state}""#
                );
                self.calls(id, tool, arguments, adds, &more);
            }
        }
    }
}

proptest! {
    /// The sentences of the module's header, whatever happens in whatever order.
    #[test]
    fn no_call_is_forwarded_undecided_none_twice_and_none_is_forgotten(
        happenings in happenings(),
        setting in setting(),
    ) {
        let Over { run, calls, own, cancels, withdrawn, agreed, .. } =
            Over::of(&happenings, setting);

        // No call without a forwarding decision on record; none twice.
        let mut permits: BTreeMap<(String, String), u32> = BTreeMap::new();
        for record in &run.paper.records {
            if let Record::Decision(decided) = record && decided.forwarded {
                *permits.entry((decided.id.clone(), decided.tool.clone())).or_default() += 1;
            }
        }
        let mut serials = BTreeSet::new();
        for text in run.to_server.iter().filter(|text| text.contains("tools/call")) {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            let name = message["params"]["name"].as_str().unwrap().to_owned();
            prop_assert!(name != "block", "forwarded although blocked");
            let serial = message["params"]["serial"].as_u64().unwrap();
            prop_assert!(serials.insert(serial), "forwarded twice");
            prop_assert!(!withdrawn.contains(&serial), "forwarded although it was cancelled");
            let left = permits.entry((message["id"].to_string(), name)).or_default();
            prop_assert!(*left > 0, "forwarded without a decision on record: {text}");
            *left -= 1;
        }

        // As many answers as calls, but for those that were cancelled.
        let answers = run.to_client.iter().filter(|text| {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            message["method"].is_null() && (message["id"].is_u64() || message["error"]["data"]["reason_code"] == "id_in_use")
        });
        let answers = u32::try_from(answers.count()).unwrap();
        let requests = run.to_server.iter().filter(|text| REQUESTS.iter().any(|method| text.contains(method)));
        let requests = u32::try_from(requests.count()).unwrap();
        prop_assert!(answers + cancels + requests >= calls + own, "{answers} answers, {cancels} cancels, {calls} and {own} calls");
        prop_assert_eq!(run.session.requests.tickets(), []);
        prop_assert_eq!(run.session.requests.own(), []);

        // What thoth asks in its own name is between it and the client, and ends.
        for text in &run.to_server {
            prop_assert!(!text.contains("thoth-ask-"), "{}", text);
        }
        prop_assert!(run.session.asking.open.is_empty());
        let passed_on = run.replies.iter().filter(|(_, reply)| *reply == Reply::Approve).count();
        let held = run.held.iter().map(|held| &held.question);
        let brought = run.asked.iter().chain(held);
        let brought = brought.filter(|question| question.reply.is_some()).count();
        prop_assert!(passed_on + brought <= agreed, "{passed_on} and {brought} of {agreed}");
    }

    /// Each call and each request that is told has one beginning and then one end; each call is told.
    #[test]
    fn every_beginning_has_exactly_one_end_and_it_comes_later(
        happenings in happenings(),
        setting in setting(),
    ) {
        let Over { run, calls, .. } = Over::of(&happenings, setting);
        let mut begun = BTreeSet::new();
        let mut open = BTreeSet::new();
        for happening in &run.told {
            match happening {
                told::Happening::CallMade(made) => {
                    prop_assert!(begun.insert(("call", made.ticket.0)), "begun twice");
                    open.insert(("call", made.ticket.0));
                }
                told::Happening::RequestMade { number, .. } => {
                    prop_assert!(begun.insert(("request", *number)), "begun twice");
                    open.insert(("request", *number));
                }
                told::Happening::CallEnded(ticket, _) => {
                    prop_assert!(open.remove(&("call", ticket.0)), "ended unbegun: {}", ticket.0);
                }
                told::Happening::RequestEnded { number, .. } => {
                    prop_assert!(open.remove(&("request", *number)), "ended unbegun: {number}");
                }
                told::Happening::Noted { .. } => {}
            }
        }
        prop_assert_eq!(open, BTreeSet::new(), "never ended: {:?}", run.log);
        let told = begun.iter().filter(|(what, _)| *what == "call").count();
        prop_assert_eq!(told, if setting.tells { calls as usize } else { 0 });
    }

    /// What was added is thoth's: neither its tools nor its members reach the server.
    #[test]
    fn no_own_tool_and_nothing_that_was_taken_out_reaches_the_server(
        happenings in happenings(),
        setting in setting(),
    ) {
        let Over { run, own, .. } = Over::of(&happenings, Setting { adds: true, ..setting });
        for text in &run.to_server {
            prop_assert!(!text.contains("\"note\"") && !text.contains("\"goal\""), "{text}");
        }
        for record in &run.paper.records {
            if let Record::Decision(decided) = record {
                let arguments = String::from_utf8(decided.arguments.to_vec()).unwrap();
                prop_assert!(decided.tool != "note" && !arguments.contains("\"goal\""));
            }
        }
        for question in &run.asked {
            let arguments = String::from_utf8(question.arguments.to_vec()).unwrap();
            prop_assert!(&*question.tool != "note" && !arguments.contains("\"goal\""));
        }
        let said = ["thank you", "say something", "so far so good", "No report was made"];
        let answers = run.to_client.iter().filter(|text| said.iter().any(|said| text.contains(said)));
        prop_assert!(answers.count() <= own as usize, "answered twice");
    }
}
