//! Makes arguments that fit a tool's input schema, to have something to call it with.
//!
//! Only what is required is given, the first value that fits: a constant, the default, the first
//! of an enumeration or of the examples, else the plainest value of its type. Not a validator:
//! patterns and formats it does not know are ignored, and the server may refuse the call.

use serde_json::{Map, Value, json};

/// How deep a schema is followed. Schemas may refer to themselves.
const DEEPEST: usize = 16;

/// Arguments for a tool with this input schema: one JSON object.
pub(super) fn arguments(schema: &Value) -> Value {
    let made = value(schema, schema, DEEPEST);
    if made.is_object() { made } else { json!({}) }
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let given = ["const", "default"].iter().find_map(|key| schema.get(*key));
    let listed = ["enum", "examples"].iter().find_map(|key| schema[*key].get(0));
    if let Some(value) = given.or(listed) {
        return value.clone();
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|at| referred(at, root)) {
        return value(target, root, depth - 1);
    }
    if let Some(choice) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].get(0)) {
        return value(choice, root, depth - 1);
    }
    match kind(schema) {
        Some("object") => object(schema, root, depth),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0).min(16);
            (0..least).map(|_| value(&schema["items"], root, depth - 1)).collect()
        }
        Some("string") => text(schema),
        Some("integer" | "number") => number(schema),
        Some("boolean") => Value::Bool(false),
        _ => Value::Null,
    }
}

/// The type, or the first of several that is not `null`. What has properties is an object.
fn kind(schema: &Value) -> Option<&str> {
    let several = schema["type"].as_array().into_iter().flatten();
    schema["type"]
        .as_str()
        .or_else(|| several.filter_map(Value::as_str).find(|kind| *kind != "null"))
        .or_else(|| schema.get("properties").map(|_| "object"))
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    required
        .filter_map(Value::as_str)
        .map(|name| {
            let property = &schema["properties"][name];
            (name.to_owned(), value(property, root, depth - 1))
        })
        .collect::<Map<_, _>>()
        .into()
}

fn text(schema: &Value) -> Value {
    let plain = match schema["format"].as_str() {
        Some("date") => "2026-01-01",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("email") => "demo@example.org",
        Some("uri" | "url") => "https://example.org/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "demo",
    };
    let least = schema["minLength"].as_u64().unwrap_or(0).min(4096);
    let missing = usize::try_from(least).unwrap_or(0).saturating_sub(plain.len());
    format!("{plain}{}", "o".repeat(missing)).into()
}

fn number(schema: &Value) -> Value {
    let at_least = schema["minimum"].as_i64();
    let above = schema["exclusiveMinimum"].as_i64();
    let at_most = schema["maximum"].as_i64();
    let least = at_least.max(above.map(|above| above.saturating_add(1)));
    least.unwrap_or(at_most.map_or(1, |most| most.min(1))).into()
}

/// What a reference such as `#/$defs/name` refers to.
fn referred<'a>(reference: &str, root: &'a Value) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_property_gets_its_plainest_value() {
        let cases = [
            (json!({"type": "string"}), json!("demo")),
            (json!({"type": "string", "minLength": 6}), json!("demooo")),
            (json!({"type": "string", "format": "uri"}), json!("https://example.org/")),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a")),
            (json!({"type": "string", "default": "d"}), json!("d")),
            (json!({"const": 7}), json!(7)),
            (json!({"examples": ["e"]}), json!("e")),
            (json!({"type": "integer"}), json!(1)),
            (json!({"type": "integer", "minimum": 5}), json!(5)),
            (json!({"type": "number", "exclusiveMinimum": 5}), json!(6)),
            (json!({"type": "integer", "maximum": -3}), json!(-3)),
            (json!({"type": "boolean"}), json!(false)),
            (json!({"type": ["null", "string"]}), json!("demo")),
            (json!({"type": "array", "items": {"type": "string"}}), json!([])),
            (
                json!({"type": "array", "items": {"type": "string"}, "minItems": 2}),
                json!(["demo", "demo"]),
            ),
            (json!({"anyOf": [{"type": "integer"}, {"type": "string"}]}), json!(1)),
            (json!({"$ref": "#/$defs/name"}), json!("Ada")),
            (json!({"$ref": "#/$defs/nowhere"}), json!(null)),
            (
                json!({"properties": {"a": {"type": "string"}}, "required": ["a"]}),
                json!({"a": "demo"}),
            ),
            (json!({}), json!(null)),
        ];
        for (property, expected) in cases {
            let schema = json!({
                "type": "object",
                "properties": {"it": property, "optional": {"type": "string"}},
                "required": ["it"],
                "$defs": {"name": {"const": "Ada"}},
            });
            assert_eq!(arguments(&schema), json!({"it": expected}), "{property}");
        }
    }

    #[test]
    fn a_schema_that_is_none_gives_no_arguments() {
        for schema in [json!(null), json!(true), json!({"type": "string"}), json!([])] {
            assert_eq!(arguments(&schema), json!({}));
        }
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({
            "type": "object",
            "properties": {"next": {"$ref": "#"}},
            "required": ["next"],
        });
        assert!(arguments(&schema).to_string().len() < 200);
    }
}
