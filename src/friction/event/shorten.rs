//! An event without its long parts, for where it is too long to be sent.
//!
//! The event stays what it is, with its number: only what was said at length goes.

use super::Event;
use super::object::Object;
use crate::friction::raw::{Raw, RawObject};
use crate::gate::json::{Kind, unescape};

/// A longer part is left out, or cut, in bytes. No event has more than a dozen parts.
const LONG: usize = 64 * 1024;

/// How much of a text stays, in characters.
const KEPT: usize = 8 * 1024;

/// What stands at the end of a text that was cut.
const CUT: &str = " [cut]";

impl Event {
    /// The same event without its long parts: at most 1 MiB, unless the operator's labels are longer.
    #[must_use]
    pub fn shortened(self) -> Self {
        let event = RawObject::read(self.line.as_bytes())
            .unwrap_or_else(|| unreachable!("an event is an object"));
        let can_say_so = event.member("call_id").is_some();
        let mut line = Vec::with_capacity(LONG);
        let mut short = Object::open(&mut line);
        event.each(|name, value| match (name, value.object()) {
            ("payload", Some(payload)) => {
                short.object(name, |short| shorten(payload, short, can_say_so));
            }
            _ => part(name, value, &mut short),
        });
        short.close();
        let line =
            String::from_utf8(line).unwrap_or_else(|_| unreachable!("it was made from a string"));
        Self { line, ..self }
    }
}

fn shorten(payload: RawObject<'_>, short: &mut Object<'_>, can_say_so: bool) {
    payload.each(|name, value| {
        if name != "result" || value.text().len() <= LONG {
            part(name, value, short);
        } else if can_say_so {
            short.text("result_capture", "off");
        }
    });
}

fn part(name: &str, value: Raw<'_>, short: &mut Object<'_>) {
    if value.text().len() <= LONG {
        return short.raw(name, value.text());
    }
    match (name, value.kind()) {
        ("params", Kind::Object) => {
            short.object(name, |short| short.text("[left out]", "[too long]"));
        }
        (_, Kind::Array) => short.raw(name, b"[]"),
        (_, Kind::Text) => {
            let start: String = unescape(value.text()).chars().take(KEPT).collect();
            short.text(name, &(start + CUT));
        }
        (_, Kind::Object | Kind::Number | Kind::Literal) => {} // none of them is required
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn shortened(line: String) -> String {
        Event { line, id: Uuid::nil(), sequence: 3 }.shortened().line
    }

    #[test]
    fn only_long_parts_go_and_a_result_says_so_where_it_can() {
        let long = format!("\"{}\"", "é\\\"".repeat(LONG / 2));
        let cut = format!("\"{} [cut]\"", "é\\\"".repeat(KEPT / 2));
        let head = r#""event_id":"e","sequence_number":3"#;
        for (event, expected) in [
            (
                format!(r#"{{{head},"payload":{{"tool_name":"t","result":1}}}}"#),
                format!(r#"{{{head},"payload":{{"tool_name":"t","result":1}}}}"#),
            ),
            (
                format!(r#"{{{head},"payload":{{"tool_name":"t","result":{long}}}}}"#),
                format!(r#"{{{head},"payload":{{"tool_name":"t"}}}}"#),
            ),
            (
                format!(r#"{{"call_id":"k","payload":{{"result":[{long}],"duration_ms":7}}}}"#),
                r#"{"call_id":"k","payload":{"result_capture":"off","duration_ms":7}}"#.to_owned(),
            ),
            (
                format!(r#"{{"payload":{{"error_body":{long},"context":{{"a":{long}}}}}}}"#),
                format!(r#"{{"payload":{{"error_body":{cut}}}}}"#),
            ),
            (
                format!(
                    r#"{{"payload":{{"params":{{"a":{long}}},"tools":[{long}]}},"runtime_meta":{{"a":{long}}}}}"#
                ),
                r#"{"payload":{"params":{"[left out]":"[too long]"},"tools":[]}}"#.to_owned(),
            ),
        ] {
            let short = shortened(event);
            assert!(short == expected, "{short:.200} and not {expected:.200}");
        }
    }
}
