//! A session's happenings as what can wait, and its tale as a story.

use bytes::Bytes;

use super::Story;
use super::room::{Key, Place, Waits};
use crate::friction::event::Draft;
use crate::friction::tale::{Moment, Tale};
use crate::gate::happening::{CallMade, Ended, Happening};

/// What stands where arguments were left out: an object, as arguments are.
const LEFT_OUT: &[u8] = br#"{"[left out]":"[too much to tell]"}"#;

/// How a request ends whose answer was left out.
const UNTOLD: &[u8] = br#"{"code":"proxy_result_left_out","message":"the server answered; too much waited to tell what"}"#;

/// How much of a name or a sentence stays, in bytes, where there is no room.
const KEPT: usize = 256;

impl Waits for Happening {
    fn place(&self) -> Place {
        match self {
            Self::CallMade(CallMade { ticket, .. }) => Place::Begins(Key::Call(ticket.0)),
            Self::CallEnded(ticket, _) => Place::Ends(Key::Call(ticket.0)),
            Self::RequestMade { number, .. } => Place::Begins(Key::Request(*number)),
            Self::RequestEnded { number, .. } => Place::Ends(Key::Request(*number)),
            Self::Noted { .. } => Place::Alone,
        }
    }

    fn each_text(&mut self, visit: &mut dyn FnMut(&mut Bytes)) {
        match self {
            Self::CallMade(CallMade { arguments, said, meta, .. }) => {
                visit(arguments);
                said.iter_mut().chain(meta).for_each(visit);
            }
            Self::RequestMade { params, .. } => visit(params),
            Self::Noted { arguments, meta } => {
                visit(arguments);
                meta.iter_mut().for_each(visit);
            }
            Self::CallEnded(_, end) | Self::RequestEnded { end, .. } => match end {
                Ended::Result { result: text, .. } | Ended::Error { error: text, .. } => {
                    visit(text);
                }
                Ended::Refused { .. } | Ended::Cancelled | Ended::Unanswered => {}
            },
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::CallMade(made) => made.tool.len(),
            Self::CallEnded(_, Ended::Refused { message, .. })
            | Self::RequestEnded { end: Ended::Refused { message, .. }, .. } => message.len(),
            Self::CallEnded(..)
            | Self::RequestMade { .. }
            | Self::RequestEnded { .. }
            | Self::Noted { .. } => 0,
        }
    }

    fn thin(&mut self) -> bool {
        match self {
            Self::CallMade(made) => {
                made.arguments = Bytes::from_static(LEFT_OUT);
                (made.said, made.meta) = (None, None);
                if made.tool.len() > KEPT {
                    made.tool = start(&made.tool).into();
                }
            }
            Self::RequestMade { params, .. } => *params = Bytes::from_static(b"{}"),
            Self::Noted { .. } => return false,
            Self::RequestEnded { end: end @ Ended::Result { .. }, .. } => thin_list(end),
            Self::CallEnded(_, end) | Self::RequestEnded { end, .. } => thin(end),
        }
        true
    }
}

/// Without its text, a list would be told as an empty one.
fn thin_list(end: &mut Ended) {
    if matches!(end, Ended::Result { result, .. } if !result.is_empty()) {
        *end = Ended::Error { code: None, error: Bytes::from_static(UNTOLD) };
    }
}

/// An end stays what it is, and loses its words. An empty result is one that was not captured.
fn thin(end: &mut Ended) {
    match end {
        Ended::Result { result, .. } => *result = Bytes::new(),
        Ended::Error { code, error } => {
            let code = code.map_or_else(|| "null".to_owned(), |code| code.to_string());
            *error = format!(r#"{{"code":{code},"message":"[left out]"}}"#).into();
        }
        Ended::Refused { message, .. } => *message = start(message).to_owned(),
        Ended::Cancelled | Ended::Unanswered => {}
    }
}

fn start(text: &str) -> &str {
    let end = (0..=KEPT.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

impl Story<Happening> for Tale {
    fn tell(
        &mut self,
        what: &Happening,
        moment: Moment,
        random: &mut dyn FnMut() -> u128,
    ) -> Vec<Draft> {
        Self::tell(self, what, moment, random)
    }

    fn end(&mut self, moment: Moment, random: &mut dyn FnMut() -> u128) -> Vec<Draft> {
        Self::end(self, moment, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::record::Ticket;

    fn refused(len: usize) -> Ended {
        Ended::Refused { code: -32001, message: "é".repeat(len), reason_code: None }
    }

    #[test]
    fn an_end_without_its_words_is_still_that_end() {
        let result = |is_error| Ended::Result { is_error, result: "[1]".into() };
        let table: [(Ended, &str); 6] = [
            (result(true), r#"Result { is_error: true, result: b"" }"#),
            (
                Ended::Error { code: Some(-7), error: r#"{"code":-7,"message":"long"}"#.into() },
                r#"Error { code: Some(-7), error: b"{\"code\":-7,\"message\":\"[left out]\"}" }"#,
            ),
            (
                Ended::Error { code: None, error: "7".into() },
                r#"Error { code: None, error: b"{\"code\":null,\"message\":\"[left out]\"}" }"#,
            ),
            (refused(3), &format!("{:?}", refused(3))),
            (refused(KEPT), &format!("{:?}", refused(KEPT / 2))),
            (Ended::Cancelled, "Cancelled"),
        ];
        for (end, expected) in table {
            let mut what = Happening::CallEnded(Ticket(1), end);
            assert!(what.thin());
            let Happening::CallEnded(_, end) = what else { panic!("it is another") };
            assert_eq!(format!("{end:?}"), expected);
        }
    }

    #[test]
    fn a_list_without_its_text_is_not_told_as_an_empty_one() {
        let end = |result: &'static str| Ended::Result { is_error: false, result: result.into() };
        for (result, is_told) in [(r#"{"tools":[]}"#, false), ("", true)] {
            let mut what = Happening::RequestEnded { number: 1, end: end(result), added: 2 };
            assert!(what.thin());
            let Happening::RequestEnded { end, .. } = what else { panic!("it is another") };
            assert_eq!(matches!(end, Ended::Result { .. }), is_told, "{end:?}");
        }
    }

    #[test]
    fn a_note_is_nothing_without_its_words() {
        assert!(!Happening::Noted { arguments: "{}".into(), meta: None }.thin());
    }
}
