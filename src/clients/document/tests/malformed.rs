//! Files that are no configuration, empty ones, deep ones and large ones.

use super::*;

fn error(text: &[u8], shape: &Shape) -> String {
    Document::read(text, shape).unwrap_err().to_string()
}

#[test]
fn a_malformed_file_is_told_with_its_place_and_none_of_its_values() {
    for (text, shape, expected) in [
        ("{\"a\": \"secret", STANDARD, "line 1, column 7: a string that does not end"),
        ("{\n  \"é\": se", STANDARD, "line 2, column 8: unexpected word"),
        ("{\"a\": 1 \"b\": 2}", STANDARD, "line 1, column 8: expected comma"),
        ("{'a': 1}", STANDARD, "line 1, column 2: single-quoted strings are not allowed"),
        (
            "{\"a\": \"x\ny\"}",
            STANDARD,
            "line 1, column 9: a line end or control character in a string",
        ),
        ("{\"a\": \"\\x\"}", STANDARD, "line 1, column 8: an escape that JSON does not have"),
        ("{} {}", STANDARD, "line 1, column 4: text cannot contain more than one JSON value"),
        ("{ /* ", STANDARD, "line 1, column 3: unterminated comment block"),
        ("[]", STANDARD, "line 1, column 1: the file is not a map"),
        (" \n null", STANDARD, ""),
        ("\"secret\"", STANDARD, "line 1, column 1: the file is not a map"),
        (
            "{\"mcpServers\": \"secret\"}",
            STANDARD,
            "line 1, column 16: the servers are not in a map",
        ),
        (
            "{\"projects\": {\"secret\": 5}}",
            STANDARD,
            "line 1, column 25: what stands above servers is not a map",
        ),
        (
            "\u{feff}{\n\"a\" 1}",
            STANDARD,
            "line 2, column 5: expected colon after the string or word in object property",
        ),
        ("a = \n", CODEX, ""),
        ("a = 1\na = 2\n", CODEX, "line 2, column 1: duplicate key"),
        ("[mcp_servers]\nx = 'secret\n", CODEX, ""),
        ("mcp_servers = 5", CODEX, "line 1, column 15: the servers are not in a map"),
        ("a: b: c", GOOSE, "line 1, column 5: mapping values are not allowed in this context"),
        ("a: @secret", GOOSE, "line 1, column 4: unexpected character"),
        ("a: 1\n---\nb: 2\n", GOOSE, "line 2, column 1: more than one document in the file"),
        ("- a\n", GOOSE, "line 1, column 1: the file is not a map"),
        ("extensions: 5", GOOSE, "line 1, column 13: the servers are not in a map"),
        ("a: 'secret", GOOSE, ""),
    ] {
        match Document::read(text.as_bytes(), &shape) {
            Ok(document) => assert_eq!((expected, document.servers()), ("", &[][..]), "{text}"),
            Err(error) => {
                let told = error.to_string();
                assert!(!told.contains("secret"), "{told}");
                assert!(expected.is_empty() || told == expected, "{text}: {told}");
            }
        }
    }
}

#[test]
fn an_empty_file_has_no_servers() {
    for (shape, texts) in [
        (
            STANDARD,
            &[
                "",
                " \n\t",
                "// c",
                "/* c */\n",
                "{}",
                "{\"mcpServers\": {}}",
                "{\"mcpServers\": null}",
            ][..],
        ),
        (CODEX, &["", "\r\n", "# c", "[mcp_servers]", "mcp_servers = {}"]),
        (GOOSE, &["", "\n", "# c", "---\n", "extensions:", "extensions: {}", "extensions: ~ # c"]),
        (CONTINUE, &["mcpServers: []"]),
    ] {
        for text in texts {
            for text in [(*text).to_owned(), format!("\u{feff}{text}")] {
                let document = read(&text, &shape);
                assert_eq!(document.servers(), []);
                assert_eq!(document.wrap(plainly).text, text.as_bytes());
            }
        }
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let many = 1_000_000;
    for (text, shape) in [
        ("[".repeat(many), STANDARD),
        ("{\"a\":".repeat(many), STANDARD),
        (format!("a = {}", "[".repeat(many)), CODEX),
        (format!("a = {}", "{a = ".repeat(many / 4)), CODEX),
        (format!("a{} = 1", ".a".repeat(many)), CODEX),
        (format!("[a{}]", ".a".repeat(many)), CODEX),
        ("[".repeat(many), GOOSE),
        ("{a: ".repeat(many), GOOSE),
        ("- ".repeat(many), GOOSE),
        ("? ".repeat(many), GOOSE),
    ] {
        let told = error(text.as_bytes(), &shape);
        assert!(told.starts_with("line 1"), "{told}");
    }
    // What is allowed fits on the stack of a test.
    let depth = 250;
    let text = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&text, &STANDARD).servers(), []);
}

#[test]
fn a_mark_and_line_ends_of_windows_stay() {
    let original = "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"a\": {\r\n      \"command\": \"C:\\\\a b\\\\é.exe\"\r\n    }\r\n  }\r\n}";
    let wrapped_text = there_and_back(original, &STANDARD, with_path);
    assert!(wrapped_text.starts_with('\u{feff}'));
    assert_eq!(wrapped_text.matches("\r\n").count(), wrapped_text.matches('\n').count());
    let document = read(original, &STANDARD);
    let span = document.servers()[0].span.clone();
    assert!(original[span].starts_with("\"a\": {"), "places count the mark");
}

#[test]
fn a_large_file_is_wrapped_in_one_go() {
    // Quadratic work would take minutes; there is no clock in this test.
    fn all(count: usize, entry: impl Fn(usize, &str) -> String) -> String {
        (0..count).map(|at| entry(at, &"x".repeat(150))).collect()
    }
    let json = all(5000, |at, long| format!("\"s{at}\": {{\"command\": \"{long}\"}},\n"));
    let json = format!("{{\"mcpServers\": {{{json}}}}}");
    assert!(json.len() > 800_000);
    let toml = all(1000, |at, long| {
        format!("[mcp_servers.s{at}]\ncommand = 'npx'\n[mcp_servers.s{at}.env]\nA = '{long}'\n")
    });
    let yaml = all(1000, |at, long| {
        format!("  s{at}:\n    cmd: npx\n    args:\n    - é\n    envs:\n      A: {long}\n")
    });
    for (original, shape) in
        [(json, STANDARD), (toml, CODEX), (format!("extensions:\n{yaml}"), GOOSE)]
    {
        let wrapped = read(&original, &shape).wrap(with_path);
        assert_eq!(wrapped.changed.len(), read(&original, &shape).servers().len());
        assert_eq!(text(&read(text(&wrapped), &shape).unwrap(|_| true)), original);
    }
}

#[test]
fn half_a_character_in_somebodys_history_is_no_reason_to_refuse_a_file() {
    let original = r#"{"history": ["cut \ud83d", "\udc00\\ud800", "// \ud800"], /* \ud800 " */ "mcpServers": {"a": {"command": "a"}}}"#;
    there_and_back(original, &STANDARD, with_path);
}

#[test]
fn a_document_does_not_print_its_text() {
    let document = read(r#"{"mcpServers": {"a": {"command": "secret"}}}"#, &STANDARD);
    assert_eq!(format!("{document:?}"), "Document { servers: 1, .. }");
}
