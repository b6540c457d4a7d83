//! What is read strictly, every reader reads alike: `serde_json` is asked for a second opinion.

use bytes::BufMut;
use serde_json::Value;
use thoth::gate::framing::Framer;
use thoth::gate::message::{client, server};
use thoth::gate::verdict::Arguments;

pub(crate) fn check(bytes: &[u8]) {
    let mut framer = Framer::new(1 << 20);
    framer.space().put_slice(bytes);
    while let Some(line) = framer.last_line() {
        let Ok(line) = line else { continue };
        let _ = server::read(&line);
        let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
        let message = match client::read(line) {
            Ok(message) => message,
            Err(refused) => {
                refused.attempt.iter().for_each(|attempt| was_nearly_a_call(attempt, &text));
                continue;
            }
        };

        let value: Value = serde_json::from_str(&text).expect("what is not JSON is refused");
        assert_eq!(value["jsonrpc"], "2.0");
        assert!(!text.contains('\r'), "a carriage return is refused");
        let method = value["method"].as_str();
        match message {
            client::Message::Call(call) => {
                assert_eq!(method, Some("tools/call"));
                assert_eq!(value["params"]["name"].as_str(), Some(&**call.tool()));
                let arguments: Value =
                    serde_json::from_slice(&call.arguments()).expect("arguments are JSON");
                assert!(arguments.is_object());
                if let Some(sent) = value["params"].get("arguments") {
                    assert_eq!(*sent, arguments);
                }
                let meta = value["params"].get("_meta").filter(|meta| meta.is_object());
                let own = Arguments::of_line(b"{\"own\": 1}".to_vec()).expect("an object");
                let same = call.meta();
                let call = call.with_arguments(&own);
                assert_eq!(call.arguments(), "{\"own\": 1}");
                assert_eq!(call.meta(), same, "what is attached is found again");
                let attached = same.map(|meta| serde_json::from_slice(&meta).expect("JSON"));
                assert_eq!(meta, attached.as_ref());
            }
            client::Message::Request(_)
            | client::Message::Notification(_)
            | client::Message::Cancelled(..) => {
                assert!(method.is_some_and(|method| !looks_like_a_call(method)), "{text}");
            }
            client::Message::Answer(..) => assert!(method.is_none(), "{text}"),
        }
    }
}

/// What is told of a refused line is what every reader reads in it.
fn was_nearly_a_call(attempt: &client::Attempt, text: &str) {
    let value: Value = serde_json::from_str(text).expect("what is told is JSON");
    assert_eq!(value["method"], "tools/call");
    assert_eq!(value["params"]["name"].as_str(), Some(&*attempt.tool));
    let arguments: Value = serde_json::from_slice(&attempt.arguments).expect("JSON");
    assert!(arguments.is_object());
}

fn looks_like_a_call(method: &str) -> bool {
    let letters = method.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().eq_ignore_ascii_case("toolscall")
}
