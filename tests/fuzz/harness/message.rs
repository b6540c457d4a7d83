//! What is read strictly, every reader reads alike: `serde_json` is asked for a second opinion.

use bytes::BufMut;
use serde_json::Value;
use thoth::gate::framing::Framer;
use thoth::gate::message::{client, server};

pub(crate) fn check(bytes: &[u8]) {
    let mut framer = Framer::new(1 << 20);
    framer.space().put_slice(bytes);
    while let Some(line) = framer.last_line() {
        let Ok(line) = line else { continue };
        let _ = server::read(&line);
        let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
        let Ok(message) = client::read(line) else { continue };

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

fn looks_like_a_call(method: &str) -> bool {
    let letters = method.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().eq_ignore_ascii_case("toolscall")
}
