//! What a call's approval is bound to: every text that the strict reader takes for one object has a
//! hash, and no other; blanks around its tokens and what `serde_json` writes of its strings change
//! nothing, one member more changes it.

use serde_json::value::RawValue;
use thoth::approval::Binding;
use thoth::gate::json;

pub(crate) fn check(bytes: &[u8]) {
    let Ok(arguments) = std::str::from_utf8(bytes) else { return };
    let hash = |arguments: &str| {
        Binding { agent: "a", server: "s", tool: "t", arguments, policy: "p" }.hash()
    };
    let own = hash(arguments);
    assert_eq!(own.is_ok(), json::object(arguments).is_ok(), "{arguments}");
    let Ok(own) = own else { return };

    assert_eq!(hash(&format!("\n {arguments}\t")), Ok(own));
    let members: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(arguments).expect("what is read strictly is JSON");
    let sorted = serde_json::to_string(&members).expect("what was read can be written");
    assert_eq!(hash(&sorted), Ok(own), "{sorted}");

    let mut name = "x".to_owned();
    while members.contains_key(&name) {
        name.push('x');
    }
    let comma = if members.is_empty() { "" } else { "," };
    let more = format!("{{\"{name}\":null{comma}{}", &sorted[1..]);
    assert_ne!(hash(&more), Ok(own), "{more}");
}
