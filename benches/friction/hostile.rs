//! Texts that make a backtracking engine, or a careless scanner, slow. The unit tests of the
//! scrubber send the same ones through it.

/// What is repeated, behind what stands once before it.
const UNITS: &[(&str, &str)] = &[
    // One byte of each kind that a scanner stops at.
    ("", " "),
    ("", "e"),
    ("", "1"),
    ("", "@"),
    ("", "+"),
    ("", "-"),
    ("", ":"),
    ("", "="),
    ("", "%"),
    ("", "("),
    ("", "\""),
    ("", "\\"),
    ("", "\u{e9}"),
    ("", "\u{6f22}"),
    ("", "\u{ff11}"),
    ("", "\u{200b}"),
    // Addresses.
    ("", "a."),
    ("", "a@"),
    ("", "a@a."),
    ("", "a@a.b"),
    ("", "a.b@c.dd "),
    ("", "a%40"),
    ("", "\u{e9}@\u{e9}."),
    ("a@", "a.1."),
    // Tokens in parts, and tokens that never start a word or never grow long enough.
    ("", "eyJ-"),
    ("", "eyJa."),
    ("", "eyJa.b."),
    ("eyJa.", "eyJ"),
    ("", "sk-"),
    ("x", "ghp_"),
    ("x", "sk-"),
    ("", "-sk-a."),
    ("", "ghp_a "),
    ("", "AKIA"),
    ("", "SG."),
    ("", "xoxb-"),
    ("", "Bearer "),
    ("", "bearer."),
    ("", "basic "),
    ("basic ", "basic/"),
    ("", "basic/"),
    // Keys.
    ("", "-----BEGIN "),
    ("", "-----BEGIN PRIVATE KEY-----"),
    ("", "-----BEGIN PUBLIC KEY-----"),
    ("", "-----END"),
    // Numbers.
    ("", "1-"),
    ("", "1 "),
    ("", "12 "),
    ("", "123-"),
    ("", "+1"),
    ("", "+1 "),
    ("", "+44 "),
    ("", "4111-"),
    ("", "4111111111111112 "),
    ("", "(415)"),
    ("", "415-555-1234.-"),
    ("", "GB82 "),
    ("", "GB82WEST12345698765432 "),
    // URLs.
    ("", "://"),
    ("", "://a:"),
    ("", "://a:b@"),
    ("://", "a:b@"),
    // Names before values.
    ("", " ="),
    ("", "a="),
    ("", "pwd=a,"),
    ("", "pwd="),
    ("", "password="),
    ("", "password=\\\""),
    ("", "password='\\"),
    ("", "token:"),
    ("", "token: 1 "),
    ("", "\"token\": ["),
    ("", "\"token\": {"),
    ("", "authorization:"),
    ("", "?sig=a&"),
    ("", "--token "),
    // JSON that is none.
    ("", "{"),
    ("", "["),
    ("", "{\""),
    ("", "{\"a\":"),
];

/// Each text with its unit, in `length` bytes.
pub(crate) fn texts(length: usize) -> impl Iterator<Item = (String, String)> {
    UNITS.iter().map(move |(start, unit)| {
        let mut text = (*start).to_owned();
        text.push_str(&unit.repeat(length / unit.len()));
        (format!("{start}({unit})*"), text)
    })
}

/// Whole documents that are hostile as JSON, of about `length` bytes.
pub(crate) fn documents(length: usize) -> Vec<(&'static str, String)> {
    let array = |element: &str| {
        let count = length / (element.len() + 1);
        format!("[{}]", vec![element; count].join(","))
    };
    let object = |member: &str| {
        let count = length / (member.len() + 1);
        format!("{{{}}}", vec![member; count].join(","))
    };
    let field = |element: &str| format!("{{\"token\":{}}}", array(element));
    vec![
        ("brackets", format!("{}{}", "[".repeat(length / 2), "]".repeat(length / 2))),
        ("empty arrays too deep", format!("{}{}{}", "[".repeat(100), array("[]"), "]".repeat(100))),
        ("ones", array("1")),
        ("cards", array("4111111111111111")),
        ("digits of a secret", field("1")),
        ("texts of a secret", field("\"\"")),
        ("members", object("\"a\":0")),
        ("names of fields", object("\"pwd\":0")),
        ("names that are secrets", object("\"a@b.cc\":0")),
        ("long names", object("\"x_secret_access_keyy\":0")),
        ("escapes", array("\"\\u0065\\u0079\"")),
        ("half pairs", array("\"\\ud800\"")),
        ("line separators", array("\"\u{2028}\"")),
        ("JSON in JSON", nested(&array("1"), 8)),
        ("a secret in JSON in JSON", nested(&format!("[\"a@b.cc\",{}]", array("1")), 8)),
    ]
}

/// JSON in a string in JSON, as often as that.
fn nested(document: &str, levels: u32) -> String {
    let mut text = document.to_owned();
    for _ in 0..levels {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        text = format!("[\"{quoted}\"]");
    }
    text
}
