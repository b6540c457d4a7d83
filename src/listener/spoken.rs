//! What a line from behind the gate says, as far as it must be known to find whom it is for.

use super::members;
use crate::gate::framing::Line;
use crate::gate::json::{Kind, Lenient};
use crate::gate::message::RequestId;
use crate::gate::message::server::{self, Body, Message};

/// The member by which a notification belongs to a `subscriptions/listen` (MCP 2026-07-28).
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Spoken {
    /// An answer to the request with this id; an error's code, where it is one.
    Answer(RequestId, Option<i64>),
    /// An error that names no request.
    Nameless,
    /// A request of the server's.
    Request,
    /// How far the request with this token has come.
    Progress(String),
    /// Something for whoever listens under this id (MCP 2026-07-28), by type and value.
    Subscribed(String),
    /// Something has changed, whatever is being asked.
    Changed,
    /// Any other notification.
    Notification,
    /// Nothing that a client of HTTP could read.
    Nothing,
}

// === impl Spoken ===

impl Spoken {
    pub(super) fn read(line: &Line) -> Self {
        let said = match server::read(line) {
            Message::Answer(answer) => {
                let code = match answer.body {
                    Body::Error { code, .. } => Some(code.unwrap_or_default()),
                    Body::Result { .. } => None,
                };
                return Self::Answer(answer.id, code);
            }
            Message::Ambiguous => return Self::Nothing,
            Message::Request(_) => return Self::Request,
            Message::Other => line.as_bytes(),
        };
        let (mut method, mut is_error, mut params) = (None, false, None);
        members::each::<Lenient>(said, |name, value| match name {
            "method" => method = value.string(),
            "error" => is_error = value.kind == Kind::Object,
            "params" => params = Some(value),
            _ => {}
        });
        let Some(method) = method else {
            return if is_error { Self::Nameless } else { Self::Nothing };
        };
        let (mut token, mut subscription) = (None, None);
        members::each::<Lenient>(params.map_or(&b""[..], |params| params.text), |name, value| {
            match name {
                "progressToken" => token = value.key(),
                "_meta" => members::each::<Lenient>(value.text, |name, value| {
                    if name == SUBSCRIPTION {
                        subscription = value.key();
                    }
                }),
                _ => {}
            }
        });
        match (&*method, token, subscription) {
            (_, _, Some(subscription)) => Self::Subscribed(subscription),
            ("notifications/progress", Some(token), _) => Self::Progress(token),
            (method, ..) if method.ends_with("/list_changed") => Self::Changed,
            ("notifications/resources/updated", ..) => Self::Changed,
            _ => Self::Notification,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;
    use crate::gate::framing::Framer;

    fn spoken(text: &str) -> Spoken {
        let mut framer = Framer::new(4096);
        framer.space().put_slice(text.as_bytes());
        Spoken::read(&framer.last_line().unwrap().unwrap())
    }

    #[test]
    fn each_line_is_for_somebody() {
        for (line, is) in [
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#, Spoken::Nameless),
            (r#"{"jsonrpc":"2.0","error":{"code":-32700}}"#, Spoken::Nameless),
            (r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#, Spoken::Request),
            (
                r#"{"method":"notifications/progress","params":{"progressToken":"a"}}"#,
                Spoken::Progress("\"a".to_owned()),
            ),
            (
                r#"{"method":"notifications/progress","params":{"progressToken":7}}"#,
                Spoken::Progress("7".to_owned()),
            ),
            (
                r#"{"method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":3}}}"#,
                Spoken::Subscribed("3".to_owned()),
            ),
            (r#"{"method":"notifications/tools/list_changed"}"#, Spoken::Changed),
            (
                r#"{"method":"notifications/resources/updated","params":{"uri":"a:b"}}"#,
                Spoken::Changed,
            ),
            (r#"{"method":"notifications/message","params":{"data":"x"}}"#, Spoken::Notification),
            ("Server listening on stdio", Spoken::Nothing),
            ("[]", Spoken::Nothing),
            (r#"{"id":1,"result":{},"error":{}}"#, Spoken::Nothing),
        ] {
            assert_eq!(spoken(line), is, "{line}");
        }
        for (line, code) in [
            (r#"{"id":7.0,"result":{}}"#, None),
            (r#"{"id":7,"error":{"code":-32601}}"#, Some(-32_601)),
            (r#"{"id":7,"error":{}}"#, Some(0)),
        ] {
            let Spoken::Answer(id, said) = spoken(line) else { panic!("{line}") };
            assert_eq!((id.literal(), said), ("7", code), "{line}");
        }
    }
}
