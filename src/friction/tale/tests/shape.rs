//! Which members an event has, by type and generation: the tables of the wire, closed.
//!
//! Written from the published models (baton-sdk 0.2.4, the specification's schema, baton-sdk
//! 0.8.20), less what this program never says.

use serde_json::{Map, Value};

use crate::friction::event::Wire;

/// What is a value of a member: `s` a text, `n` a whole number from 0, `o` an object, `a` an array
/// of objects, `*` anything. A member whose name starts with `?` may be left out.
type Members = &'static [(&'static str, char)];

const ENVELOPE: [(Wire, Members); 4] = [
    (
        Wire::W1,
        &[
            ("event_id", 's'),
            ("event_type", 's'),
            ("session_id", 's'),
            ("sequence_number", 'n'),
            ("captured_at", 's'),
            ("tenant_id", 's'),
            ("consent_token", 's'),
            ("sdk_version", 's'),
            ("agent_runtime", 's'),
            ("payload", 'o'),
            ("?runtime_meta", 'o'),
        ],
    ),
    (Wire::W2, &[("vendor_id", 's'), ("?user_id", 's')]),
    (Wire::W3, &[("vendor_id", 's'), ("session_id_origin", 's')]),
    (Wire::W3, &[("?principal", 'o'), ("?client_observed", 'o')]),
];

const FAILED: [(&str, char); 3] = [("error_type", 's'), ("error_body", 's'), ("duration_ms", 'n')];

/// The payloads, and the generation in which a member or a type was first admitted.
const PAYLOADS: [(&str, &[(Wire, Members)]); 20] = [
    (
        "tool_call_start",
        &[
            (Wire::W1, &[("tool_name", 's'), ("params", 'o')]),
            (
                Wire::W2,
                &[
                    ("?call_intent", 's'),
                    ("?call_expected", 's'),
                    ("?call_workflow", 's'),
                    ("?intent_source", 's'),
                ],
            ),
        ],
    ),
    (
        "tool_call_end",
        &[
            (Wire::W1, &[("tool_name", 's'), ("?result", '*'), ("duration_ms", 'n')]),
            (Wire::W3, &[("?result_capture", 's')]),
        ],
    ),
    (
        "tool_call_error",
        &[
            (Wire::W1, &[("tool_name", 's')]),
            (Wire::W1, &FAILED),
            (Wire::W3, &[("?result", '*'), ("?failure_kind", 's')]),
        ],
    ),
    (
        "annotation",
        &[
            (
                Wire::W1,
                &[
                    ("?intent", 's'),
                    ("?expected_outcome", 's'),
                    ("?signal_type", 's'),
                    ("?workflow", 's'),
                    ("?suggested_improvement", 's'),
                    ("?context", 'o'),
                ],
            ),
            (Wire::W2, &[("?tool_name", 's')]),
            (Wire::W3, &[("?what_happened", 's')]),
        ],
    ),
    (
        "surface_snapshot",
        &[(
            Wire::W2,
            &[
                ("surface_hash", 's'),
                ("?server_info", 'o'),
                ("?capabilities", 'o'),
                ("?instructions", 's'),
                ("tools", 'a'),
                ("seam_augmentations", 'o'),
            ],
        )],
    ),
    ("tool_list_start", &[(Wire::W3, &[])]),
    ("tool_list_end", &[(Wire::W3, &[("count", 'n'), ("duration_ms", 'n')])]),
    ("tool_list_error", &[(Wire::W3, &FAILED)]),
    ("resource_list_start", &[(Wire::W3, &[])]),
    ("resource_list_end", &[(Wire::W3, &[("count", 'n'), ("duration_ms", 'n')])]),
    ("resource_list_error", &[(Wire::W3, &FAILED)]),
    ("prompt_list_start", &[(Wire::W3, &[])]),
    ("prompt_list_end", &[(Wire::W3, &[("count", 'n'), ("duration_ms", 'n')])]),
    ("prompt_list_error", &[(Wire::W3, &FAILED)]),
    ("resource_read_start", &[(Wire::W3, &[("uri", 's'), ("?params", 'o')])]),
    ("resource_read_end", &[(Wire::W3, &[("uri", 's'), ("duration_ms", 'n')])]),
    ("resource_read_error", &[(Wire::W3, &[("uri", 's')]), (Wire::W3, &FAILED)]),
    ("prompt_get_start", &[(Wire::W3, &[("name", 's'), ("?params", 'o')])]),
    ("prompt_get_end", &[(Wire::W3, &[("name", 's'), ("duration_ms", 'n')])]),
    ("prompt_get_error", &[(Wire::W3, &[("name", 's')]), (Wire::W3, &FAILED)]),
];

/// Panics unless the event has the members that its type and generation ask for, and no other.
pub(super) fn check(event: &Value, wire: Wire) {
    let event = event.as_object().unwrap();
    let kind = event["event_type"].as_str().unwrap();
    let is_of = |since: Wire| match since {
        Wire::W2 if event.contains_key("user_id") => wire == Wire::W2,
        Wire::W1 | Wire::W2 | Wire::W3 => since <= wire,
    };
    let mut envelope: Vec<_> = ENVELOPE
        .iter()
        .filter(|(since, _)| is_of(*since))
        .flat_map(|(_, members)| members.iter().copied())
        .collect();
    if wire == Wire::W3 && kind.starts_with("tool_call_") {
        envelope.push(("call_id", 's'));
    }
    members(event, &envelope);
    let (_, payload) = PAYLOADS.iter().find(|(name, _)| *name == kind).unwrap();
    assert!(payload[0].0 <= wire, "{kind} in {wire:?}");
    let payload: Vec<_> = payload
        .iter()
        .filter(|(since, _)| *since <= wire)
        .flat_map(|(_, members)| members.iter().copied())
        .collect();
    members(event["payload"].as_object().unwrap(), &payload);
    let id: uuid::Uuid = event["event_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let at = event["captured_at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok(), "{at}");
}

fn members(object: &Map<String, Value>, table: &[(&str, char)]) {
    for (name, kind) in table {
        let value = object.get(name.trim_start_matches('?'));
        let Some(value) = value else {
            assert!(name.starts_with('?'), "{name} is missing in {object:?}");
            continue;
        };
        let is_it = match kind {
            's' => value.is_string(),
            'n' => value.is_u64(),
            'o' => value.is_object(),
            'a' => value.as_array().is_some_and(|array| array.iter().all(Value::is_object)),
            _ => true,
        };
        assert!(is_it, "{name} in {object:?}");
    }
    for name in object.keys() {
        let known = table.iter().any(|(known, _)| known.trim_start_matches('?') == name);
        assert!(known, "{name} in {object:?}");
    }
}
