//! What was scrubbed is JSON that `serde_json` reads, has not grown without bound, and stays as it is
//! when it is scrubbed again.
//!
//! The input is scrubbed as a document where it is one, and as the text of a string in any case; with
//! an operator's rules where its first byte is odd.

use serde_json::Value;
use thoth::friction::raw::Raw;
use thoth::friction::scrub::custom::Custom;
use thoth::friction::scrub::{Counts, GROWTH, Scrubber};

const RULES: &str = r#"
[[rule]]
name = "employee"
pattern = 'EMP-[0-9]{2,6}'

[[rule]]
name = "badge"
keys = ["badge"]
"#;

pub(crate) fn check(bytes: &[u8]) {
    let custom = match bytes.first() {
        Some(first) if first % 2 == 1 => Custom::parse(RULES).expect("these are rules"),
        _ => Custom::default(),
    };
    let scrubber = Scrubber::new(custom);
    if let Some(document) = Raw::read(bytes) {
        hold(&scrubber, document);
    }
    let quoted = Value::from(String::from_utf8_lossy(bytes)).to_string();
    hold(&scrubber, Raw::read(quoted.as_bytes()).expect("a string literal is a value"));
}

fn hold(scrubber: &Scrubber, document: Raw<'_>) {
    let mut counts = Counts::default();
    let once = scrubber.scrub(document, &mut counts);
    assert!(!once.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{once}");
    assert!(once.len() <= 6 * document.text().len() + GROWTH, "{} bytes", once.len());
    let read = serde_json::from_str::<Value>(&once);
    assert!(read.is_ok(), "{read:?}: {once}");

    let mut again = Counts::default();
    let document = Raw::read(once.as_bytes()).expect("what is JSON can be read");
    assert_eq!(scrubber.scrub(document, &mut again), once);
    assert_eq!(again, Counts::default(), "{once}");
}
