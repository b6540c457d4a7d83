//! A YAML loader for the tests: what the file says, without places.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

pub(super) fn load(text: &str) -> Value {
    let events = Parser::new_from_str(text)
        .map(|event| event.unwrap_or_else(|error| panic!("{error}:\n{text}")).0);
    let mut events =
        events.filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    let first = events.next().unwrap();
    node(first, &mut events)
}

fn node<'a>(event: Event<'a>, events: &mut dyn Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, ..) => match &*text {
            "" | "~" | "null" | "Null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            text => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        },
        Event::Scalar(text, ..) => text.into_owned().into(),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return items.into(),
                    event => items.push(node(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut members = Map::new();
            loop {
                let key = match events.next().unwrap() {
                    Event::MappingEnd => return members.into(),
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => panic!("{other:?}"),
                };
                let value = events.next().unwrap();
                members.insert(key, node(value, events));
            }
        }
        other => panic!("{other:?}"),
    }
}
