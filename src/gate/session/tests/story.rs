//! Sessions told in words: what is done to one, and what it told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::super::extras::{Called, Extras, Listed, Own};
use super::super::super::happening::{CallMade, Ended, Happening};
use super::*;

/// Adds the member `goal` to every tool, and the tool `note`, unless the server has one of that name.
#[derive(Default)]
pub(super) struct Adds {
    taken: bool,
}

impl Extras for Adds {
    fn greeted(&mut self, result: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(result).unwrap();
        text.contains("serverInfo").then(|| text.replacen('{', r#"{"added":1,"#, 1).into_bytes())
    }

    fn listed(&mut self, result: &[u8], first: bool) -> Option<Listed> {
        let text = std::str::from_utf8(result).unwrap();
        if text.contains(r#""name":"note""#) {
            self.taken = true;
        }
        let own =
            if first && !self.taken { r#""tools":[{"name":"note"},"# } else { r#""tools":["# };
        text.contains(r#""tools":["#).then(|| Listed {
            result: text.replacen(r#""tools":["#, own, 1).into_bytes(),
            added: usize::from(own.contains("note")),
        })
    }

    fn called(&self, tool: &str, arguments: &[u8]) -> Called {
        let text = std::str::from_utf8(arguments).unwrap();
        if tool == "note" && !self.taken {
            return Called::Own(match text {
                r#"{"report":1}"# => Own::Report,
                "{}" => Own::Refused("say something".to_owned()),
                _ => Own::Noted("thank you".to_owned()),
            });
        }
        for (own, said) in
            [(",\"goal\":\"g\"", ""), ("\"goal\":\"g\",", ""), ("\"goal\":\"g\"", "")]
        {
            if text.contains(own) {
                let own = text.replacen(own, said, 1).into_bytes();
                return Called::Arguments { own, said: br#"{"goal":"g"}"#.to_vec() };
            }
        }
        Called::Nothing
    }
}

/// Judges by the tool's name, under an order where one is in force.
pub(super) struct Under(pub(super) Arc<AtomicBool>);

impl Judge for Under {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        assert!(!facts.arguments.contains("\"goal\""), "judged with what was added");
        ByName.judge(facts)
    }

    fn order(&self) -> Option<Grounds> {
        self.0.load(Ordering::Relaxed).then(|| Grounds::coded("endpoint_quarantined", "lost"))
    }
}

/// One happening, in a line.
pub(super) fn words(happening: &Happening) -> String {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match happening {
        Happening::CallMade(CallMade { ticket, tool, arguments, said, meta }) => {
            let said = said.as_ref().map_or(String::new(), |said| format!(" said {}", text(said)));
            let meta = meta.as_ref().map_or(String::new(), |meta| format!(" meta {}", text(meta)));
            format!("call {} {tool} {}{said}{meta}", ticket.0, text(arguments))
        }
        Happening::CallEnded(ticket, end) => format!("call {} {}", ticket.0, ending(end)),
        Happening::RequestMade { number, method, params } => {
            format!("request {number} {method:?} {}", text(params))
        }
        Happening::RequestEnded { number, end, added } => {
            format!("request {number} {} +{added}", ending(end))
        }
        Happening::Noted { arguments, meta } => {
            let meta = meta.as_ref().map_or(String::new(), |meta| format!(" meta {}", text(meta)));
            format!("noted {}{meta}", text(arguments))
        }
    }
}

fn ending(end: &Ended) -> String {
    match end {
        Ended::Result { is_error: false, .. } => "result".to_owned(),
        Ended::Result { is_error: true, .. } => "failed".to_owned(),
        Ended::Error { code, .. } => format!("error {code:?}"),
        Ended::Refused { code, reason_code, message } => {
            assert!(!message.is_empty());
            format!("refused {code} {}", reason_code.as_deref().unwrap_or("-"))
        }
        Ended::Cancelled => "cancelled".to_owned(),
        Ended::Unanswered => "unanswered".to_owned(),
    }
}

// === impl Run ===

impl Run {
    /// A session that tells, with something added to it or not.
    pub(super) fn telling(remote: bool, adds: bool) -> (Self, Arc<AtomicBool>) {
        let rules = Rules { step_up: StepUp::Wait, ..Rules::default() };
        let settings = Settings { remote, rules, tells: true, ..Settings::default() };
        let order = Arc::new(AtomicBool::new(false));
        let mut run = Self::new(settings);
        run.session = Session::new(settings, Some(Box::new(Under(Arc::clone(&order)))));
        if adds {
            run.session = run.session.adding(Box::<Adds>::default());
        }
        (run, order)
    }

    /// Does what the words say.
    pub(super) fn does(&mut self, words: &str) {
        let parts: Vec<_> = words.splitn(3, ' ').collect();
        let id = || parts[1].to_owned();
        match parts[0] {
            "call" => self.call_with(parts[1].parse().unwrap(), parts[2], r#""arguments":{"a":1}"#),
            "request" => self.client(&format!(
                r#"{{"jsonrpc":"2.0","id":{},"method":"{}"}}"#,
                parts[1], parts[2]
            )),
            "says" => self.client(&words[5..]),
            "cancel" => self.cancel(parts[1]),
            "answer" => self.answers(&id(), r#""result":{"content":[]}"#),
            "fails" => self.answers(&id(), r#""result":{"isError":true}"#),
            "errs" => self.answers(&id(), r#""error":{"code":-32602,"message":"no"}"#),
            "asks" => self.answers(&id(), r#""method":"sampling/createMessage""#),
            "floods" => {
                let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, parts[1]);
                let mut framer = Framer::new(10);
                framer.space().put_slice(text.as_bytes());
                self.handle(Input::Server(Err(framer.last_line().unwrap().unwrap_err())));
            }
            "asked" => {
                let ticket = self.asked[parts[1].parse::<usize>().unwrap()].ticket;
                self.handle(Input::Asked(ticket, opinion(parts[2])));
            }
            "waited" => {
                let ticket = self.waits[parts[1].parse::<usize>().unwrap()];
                self.handle(Input::Waited(ticket, opinion(parts[2])));
            }
            "reported" => {
                let ticket = self.reports[parts[1].parse::<usize>().unwrap()];
                self.handle(Input::Reported(ticket, "so far so good".to_owned()));
            }
            "journal" => self.paper.broken = parts[1] == "breaks",
            "leaves" => self.handle(Input::ClientClosed),
            "dies" => self.handle(Input::ServerClosed),
            "stop" => self.handle(Input::Stop),
            other => panic!("{other}"),
        }
    }

    fn answers(&mut self, id: &str, rest: &str) {
        self.server(&format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}}}"#));
    }
}

fn opinion(word: &str) -> Answer {
    match word {
        "allow" => said(Verb::Allow),
        "block" => said(Verb::Block),
        "step_up" => said(Verb::StepUp(None)),
        "hold" => said(Verb::StepUp(Some(hold()))),
        "defer" => said(Verb::Defer(None)),
        "modify" => said(modify(r#"{"new":2}"#)),
        "nothing" => Answer::Silent(Grounds::coded("enforcer_unavailable", "no answer")),
        other => panic!("{other}"),
    }
}
