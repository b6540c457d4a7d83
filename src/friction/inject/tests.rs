//! Additions and strips, over every shape of schema and of arguments.

use serde_json::{Value, json};

use super::*;

fn additions() -> Additions {
    Additions { words: Words::default(), mode: Mode::Required, proactive: false, report: true }
}

fn list(registry: &mut Registry, result: &str, first: bool) -> Value {
    let page = registry.list(result.as_bytes(), first, &additions()).unwrap();
    let value: Value = serde_json::from_slice(&page.text).unwrap();
    let sent: Value = serde_json::from_str(result).unwrap();
    let count = |list: &Value| list["tools"].as_array().unwrap().len();
    assert_eq!(count(&sent) + page.added, count(&value));
    value
}

fn names(page: &Value) -> Vec<&str> {
    page["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect()
}

#[test]
fn instructions_get_a_suffix_and_nothing_else_changes() {
    let suffix = additions().instructions(None);
    let quoted = json!(suffix).to_string();
    let inner = &quoted[1..quoted.len() - 1];
    let alone = json!(suffix.trim_start()).to_string();
    let table = [
        (
            r#"{ "serverInfo":{"x":1.0}, "instructions" : "Say \"hi\"." ,"y":1e5}"#,
            format!(
                r#"{{ "serverInfo":{{"x":1.0}}, "instructions" : "Say \"hi\".{inner}" ,"y":1e5}}"#
            ),
        ),
        (
            r#"{"protocolVersion":"1"}"#,
            format!(r#"{{"protocolVersion":"1","instructions":{alone}}}"#),
        ),
        (
            r#"{"protocolVersion":"1","instructions":null}"#,
            format!(r#"{{"protocolVersion":"1","instructions":{alone}}}"#),
        ),
    ];
    for (result, edited) in table {
        let said = additions().initialize(result.as_bytes(), None).unwrap();
        assert_eq!(String::from_utf8(said).unwrap(), edited);
    }
    for other in ["{}", r#"{"tools":[]}"#, "[1]", "{"] {
        assert_eq!(additions().initialize(other.as_bytes(), None), None);
    }
}

#[test]
fn the_suffix_keeps_to_the_limits_whatever_is_combined() {
    let longest = "x".repeat(40);
    for words in [Words::default(), Words::with_prefix(&longest).unwrap()] {
        for mode in [Mode::Off, Mode::Optional, Mode::Required] {
            for (proactive, report) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let additions = Additions { words: words.clone(), mode, proactive, report };
                let length = |file: Option<&str>| additions.instructions(file).chars().count();
                let base = length(None);
                assert!(base <= words::LONGEST, "{base} {additions:?}");
                let named = length(Some("f"));
                let room = words::LONGEST_WITH_FILE - named;
                assert_eq!(length(Some(&"\u{e9}".repeat(1 + room))), words::LONGEST_WITH_FILE);
                assert_eq!(length(Some(&"\u{e9}".repeat(2 + room))), base);
                assert!(additions.instructions(None).starts_with(' '));
            }
        }
    }
}

#[test]
fn a_prefix_is_what_a_tools_name_can_begin_with() {
    for bad in ["", "a b", "é", &"x".repeat(41)] {
        assert_eq!(Words::with_prefix(bad), Err(words::BadPrefix));
    }
}

#[test]
fn only_the_first_page_gets_the_tools() {
    let mut registry = Registry::default();
    let first = list(&mut registry, r#"{"tools":[{"name":"a"}],"nextCursor":"x"}"#, true);
    let second = list(&mut registry, r#"{"tools":[{"name":"b"}]}"#, false);
    let empty = list(&mut registry, r#"{"tools":[ ]}"#, true);
    assert_eq!(names(&first), ["a", "baton_annotate", "baton_session_report"]);
    assert_eq!(names(&second), ["b"]);
    assert_eq!(names(&empty), ["baton_annotate", "baton_session_report"]);
    assert!(registry.is_own("baton_annotate", &additions()));
    assert!(!registry.is_own("a", &additions()));
}

#[test]
fn a_tool_of_the_server_with_such_a_name_stays_the_servers() {
    let mut registry = Registry::default();
    let own = r#"{"tools":[{"name":"baton_annotate","x":1}]}"#;
    let page = list(&mut registry, own, true);
    assert_eq!(names(&page), ["baton_annotate", "baton_session_report"]);
    assert_eq!(page["tools"][0], json!({"name": "baton_annotate", "x": 1}));
    assert!(!registry.is_own("baton_annotate", &additions()));
    assert!(registry.strip("baton_annotate", br#"{"user_goal":"g"}"#).is_none());
}

#[test]
fn every_shape_of_schema_gets_the_missing_parameters() {
    let all = ["expected_result", "overall_task", "user_goal"];
    let table: [(Value, &[&str], Value); 9] = [
        (json!({"name": "t"}), &all, json!(all)),
        (json!({"name": "t", "inputSchema": 7}), &all, json!(all)),
        (json!({"name": "t", "inputSchema": {}}), &all, json!(all)),
        (json!({"name": "t", "inputSchema": {"properties": []}}), &all, json!(all)),
        (json!({"name": "t", "inputSchema": {"properties": {}}}), &all, json!(all)),
        (
            json!({"name": "t", "inputSchema": {"properties": {"a": {}}, "required": ["a"]}}),
            &all,
            json!(["a", "expected_result", "overall_task", "user_goal"]),
        ),
        (json!({"name": "t", "inputSchema": {"properties": {}, "required": []}}), &all, json!(all)),
        (
            json!({"name": "t", "inputSchema": {"properties": {"user_goal": {"type": "number"}}}}),
            &all[..2],
            json!(all[..2]),
        ),
        (
            json!({"name": "t", "inputSchema": {"properties": {
                "user_goal": {}, "expected_result": {}, "overall_task": {},
            }}}),
            &[],
            Value::Null,
        ),
    ];
    for (tool, added, required) in table {
        let mut registry = Registry::default();
        let page = list(&mut registry, &json!({"tools": [tool]}).to_string(), true);
        let schema = &page["tools"][0]["inputSchema"];
        for name in added {
            assert_eq!(schema["properties"][name]["type"], "string", "{tool}");
        }
        assert_eq!(schema["required"], required, "{tool}");
        let remembered: Vec<_> = registry.added("t").map(Param::name).collect();
        assert_eq!(remembered, added);
        let native = &tool["inputSchema"]["properties"]["user_goal"];
        if !native.is_null() {
            assert_eq!(&schema["properties"]["user_goal"], native);
        }
    }
}

#[test]
fn a_schema_that_could_refuse_a_further_property_is_left_alone() {
    let closing = [
        json!({"type": "string"}),
        json!({"type": ["array", "null"]}),
        json!({"type": 7}),
        json!({"$ref": "#/$defs/in", "$defs": {"in": {"type": "object"}}}),
        json!({"$dynamicRef": "#in"}),
        json!({"$recursiveRef": "#"}),
        json!({"type": "object", "allOf": [{"additionalProperties": false}]}),
        json!({"type": "object", "anyOf": [{"properties": {"user_goal": {}}}]}),
        json!({"type": "object", "oneOf": []}),
        json!({"type": "object", "not": {"required": ["user_goal"]}}),
        json!({"type": "object", "if": {}, "then": {"additionalProperties": false}}),
        json!({"type": "object", "dependentSchemas": {}}),
        json!({"type": "object", "patternProperties": {".": {"type": "number"}}}),
        json!({"type": "object", "propertyNames": {"maxLength": 3}}),
        json!({"type": "object", "maxProperties": 2}),
        json!({"type": "object", "const": {}}),
        json!({"type": "object", "enum": [{}]}),
    ];
    for schema in closing {
        let mut registry = Registry::default();
        let sent = json!({"tools": [{"name": "t", "inputSchema": schema}]}).to_string();
        let page = registry.list(sent.as_bytes(), false, &additions()).unwrap();
        assert_eq!(str::from_utf8(&page.text).unwrap(), sent);
        assert_eq!(registry.added("t").count(), 0);
    }
}

#[test]
fn a_client_that_checks_its_calls_by_the_schema_can_make_them() {
    let open = [
        json!({}),
        json!({"type": "object"}),
        json!({"type": ["null", "object"], "properties": null}),
        json!({"type": "object", "properties": [], "required": []}),
        json!({"type": "object", "properties": {}, "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"],
            "additionalProperties": false}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}},
            "$defs": {"n": {"type": "number"}}, "unevaluatedProperties": false}),
        json!({"type": "object", "additionalProperties": {"type": "number"}, "minProperties": 1}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
            "dependencies": {"a": ["b"]}}),
        json!(null),
        json!([]),
        json!(true),
    ];
    let said = json!({"user_goal": "g", "expected_result": "e", "overall_task": "1: w"});
    for schema in open {
        for mode in [Mode::Optional, Mode::Required] {
            let mut registry = Registry::default();
            let sent = json!({"tools": [{"name": "t", "inputSchema": schema}]}).to_string();
            let additions = Additions { mode, ..additions() };
            let page = registry.list(sent.as_bytes(), false, &additions).unwrap();
            let page: Value = serde_json::from_slice(&page.text).unwrap();
            let schema = jsonschema::validator_for(&page["tools"][0]["inputSchema"]).unwrap();
            let mut arguments = said.clone();
            arguments["a"] = json!(1);
            arguments["b"] = json!(2);
            if schema.validate(&arguments).is_err() {
                arguments.as_object_mut().unwrap().remove("b");
            }
            if schema.validate(&arguments).is_err() {
                arguments.as_object_mut().unwrap().remove("a");
            }
            schema.validate(&arguments).unwrap();
            let stripped = registry.strip("t", arguments.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&stripped.said).unwrap(), said);
        }
    }
}

#[test]
fn a_parameter_that_is_required_and_not_declared_is_the_servers() {
    let mut registry = Registry::default();
    let sent = r#"{"tools":[{"name":"t","inputSchema":{"required":["user_goal"]}}]}"#;
    let page = list(&mut registry, sent, false);
    let required = &page["tools"][0]["inputSchema"]["required"];
    assert_eq!(*required, json!(["user_goal", "expected_result", "overall_task"]));
    assert!(registry.strip("t", br#"{"user_goal":"mine"}"#).is_none());
}

#[test]
fn a_required_that_is_no_array_is_left_alone() {
    for required in [json!(null), json!(true), json!({})] {
        let sent = json!({"tools": [{"name": "t", "inputSchema": {"required": required}}]});
        let page = list(&mut Registry::default(), &sent.to_string(), false);
        let schema = &page["tools"][0]["inputSchema"];
        assert_eq!(schema["required"], required);
        assert_eq!(schema["properties"].as_object().unwrap().len(), 3);
    }
}

#[test]
fn of_two_tools_of_one_name_only_what_both_got_is_taken_out() {
    let native = r#"{"name":"t","inputSchema":{"properties":{"user_goal":{}}}}"#;
    for tools in [[r#"{"name":"t"}"#, native], [native, r#"{"name":"t"}"#]] {
        let mut registry = Registry::default();
        list(&mut registry, &format!(r#"{{"tools":[{}]}}"#, tools.join(",")), true);
        let names: Vec<_> = registry.added("t").map(Param::name).collect();
        assert_eq!(names, ["expected_result", "overall_task"]);
    }
}

#[test]
fn of_a_page_that_names_one_tool_too_often_the_rest_stays_as_it_is() {
    let tool = r#"{"name":"a","inputSchema":{}}"#;
    let mut result = format!(r#"{{"tools":[{}"#, format!("{tool},").repeat(9999));
    result.push_str(r#"{"name":"a","inputSchema":{"properties":{"user_goal":{}}}}]}"#);
    let mut registry = Registry::default();
    let page = list(&mut registry, &result, true);
    let schema = |at: usize| &page["tools"][at]["inputSchema"];
    assert!(schema(4095)["properties"]["user_goal"].is_object());
    assert_eq!(schema(4096), &json!({}));
    assert_eq!(registry.added("a").count(), 0, "no parameter was added to all of them");
}

#[test]
fn where_the_mode_is_off_tools_keep_their_bytes() {
    let sent = r#"{"tools":[{"name":"t"},{"name":"u","inputSchema":{ }}]}"#;
    let off = Additions { mode: Mode::Off, ..additions() };
    let mut registry = Registry::default();
    let page = registry.list(sent.as_bytes(), false, &off).unwrap();
    assert_eq!((str::from_utf8(&page.text).unwrap(), page.added), (sent, 0));
    assert!(registry.strip("t", br#"{"user_goal":"g"}"#).is_none());
    assert!(!off.instructions(None).contains("overall_task"));
}

#[test]
fn what_else_a_tool_says_keeps_its_bytes() {
    let around = r#""title":"T\u00e9","outputSchema":{"type":"object","properties":{"user_goal":{}},"required":["user_goal"]},"annotations":{"readOnlyHint":true},"icons":[],"_meta":{"x":1.50}"#;
    let sent = format!(r#"{{"tools":[{{"name":"t","inputSchema":{{}},{around}}}],"ttlMs":1e3}}"#);
    let page = Registry::default().list(sent.as_bytes(), false, &additions()).unwrap();
    let text = String::from_utf8(page.text).unwrap();
    assert!(text.starts_with(r#"{"tools":[{"name":"t","inputSchema":{"properties":{"#), "{text}");
    assert!(text.ends_with(&format!(r#"}},{around}}}],"ttlMs":1e3}}"#)), "{text}");
}

#[test]
fn a_vendors_name_replaces_ours_in_every_text() {
    let words = Words::with_prefix("Acme-7").unwrap();
    for mode in [Mode::Off, Mode::Required] {
        let additions = Additions { words: words.clone(), mode, proactive: true, report: true };
        let sent = r#"{"serverInfo":{},"tools":[{"name":"t"}]}"#.as_bytes();
        let page = Registry::default().list(sent, true, &additions).unwrap();
        let greeting = additions.initialize(sent, Some("/f")).unwrap();
        let texts = String::from_utf8([page.text, greeting].concat()).unwrap();
        assert!(texts.contains("Acme-7_annotate") && texts.contains("Acme-7_session_report"));
        let texts = texts.to_lowercase();
        assert!(!texts.contains("baton") && !texts.contains("thoth"), "{texts}");
    }
}

#[test]
fn what_is_not_edited_keeps_its_bytes() {
    let result = r#"{"tools":[ {"name":"t","x":1.00,"inputSchema":{"properties":{"a":{"default":1e5}}}} ],"y":1}"#;
    let optional = Additions { mode: Mode::Optional, report: false, ..additions() };
    let page = Registry::default().list(result.as_bytes(), false, &optional).unwrap();
    let text = String::from_utf8(page.text).unwrap();
    assert!(text.starts_with(
        r#"{"tools":[ {"name":"t","x":1.00,"inputSchema":{"properties":{"a":{"default":1e5},"expected_result":{"#
    ));
    assert!(text.ends_with(r#"}}}} ],"y":1}"#));
    assert!(!text.contains("required"));
    assert!(text.contains("OPTIONAL."));
}

#[test]
fn what_has_no_tools_stays_as_it_is() {
    for other in ["{}", r#"{"tools":7}"#, "[]", "{"] {
        assert!(Registry::default().list(other.as_bytes(), true, &additions()).is_none());
    }
}

#[test]
fn what_was_added_is_taken_out_and_nothing_else() {
    /// The tool, the arguments; what is left of them, what was said.
    type Row = (&'static str, &'static str, Option<&'static str>, [Option<&'static str>; 3]);
    let mut registry = Registry::default();
    list(
        &mut registry,
        r#"{"tools":[{"name":"t"},{"name":"n","inputSchema":{"properties":{"user_goal":{}}}}]}"#,
        true,
    );
    let table: [Row; 12] = [
        ("t", r#"{"a":1.0}"#, None, [None; 3]),
        ("t", r#"{"user_goal":"g"}"#, Some("{}"), [Some("g"), None, None]),
        ("t", r#"{ "user_goal":"g" }"#, Some("{ }"), [Some("g"), None, None]),
        ("t", r#"{"user_goal":"g","a":1.0}"#, Some(r#"{"a":1.0}"#), [Some("g"), None, None]),
        ("t", r#"{"a":1.0 , "user_goal":"g"}"#, Some(r#"{"a":1.0}"#), [Some("g"), None, None]),
        (
            "t",
            r#"{"user_goal":"g","a":1,"expected_result":"e","b":2,"overall_task":"w"}"#,
            Some(r#"{"a":1,"b":2}"#),
            [Some("g"), Some("e"), Some("w")],
        ),
        (
            "t",
            r#"{"user_goal":"g","expected_result":"e", "a":{"user_goal":"mine"}}"#,
            Some(r#"{ "a":{"user_goal":"mine"}}"#),
            [Some("g"), Some("e"), None],
        ),
        ("t", r#"{"user_goal":" ","a":1}"#, Some(r#"{"a":1}"#), [None; 3]),
        ("t", r#"{"user_goal":["g"]}"#, Some("{}"), [None; 3]),
        ("t", r#"{"user\u005fgoal":"g"}"#, Some("{}"), [Some("g"), None, None]),
        (
            "n",
            r#"{"user_goal":"mine","expected_result":"e"}"#,
            Some(r#"{"user_goal":"mine"}"#),
            [None, Some("e"), None],
        ),
        ("unlisted", r#"{"user_goal":"mine"}"#, None, [None; 3]),
    ];
    for (tool, arguments, left, [goal, expected, task]) in table {
        let stripped = registry.strip(tool, arguments.as_bytes());
        let own = stripped.as_ref().map(|stripped| str::from_utf8(&stripped.own).unwrap());
        assert_eq!(own, left, "{arguments}");
        let said = stripped.map(|stripped| Said::read(RawObject::read(&stripped.said).unwrap()));
        let said = said.unwrap_or_default();
        assert_eq!(
            [said.goal.as_deref(), said.expected.as_deref(), said.task.as_deref()],
            [goal, expected, task],
            "{arguments}"
        );
    }
}

#[test]
fn a_tool_that_is_listed_anew_is_known_as_it_is_now() {
    let mut registry = Registry::default();
    list(&mut registry, r#"{"tools":[{"name":"t"}]}"#, true);
    let native = r#"{"tools":[{"name":"t","inputSchema":{"properties":{"user_goal":{},"overall_task":{},"expected_result":{}}}}]}"#;
    list(&mut registry, native, true);
    assert!(registry.strip("t", br#"{"user_goal":"mine"}"#).is_none());
}
