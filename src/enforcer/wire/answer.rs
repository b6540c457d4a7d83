//! The answer to a question: one decision, and why.
//!
//! Words, aliases and their precedence are those of `thoth-py` 0.5.25 and `thoth-go` 0.1.18:
//! `decision` before `authorization_decision`, trimmed, in any case. Where the SDKs are lenient and
//! a call could run that nobody allowed, we are not: an unknown word, a step-up without a token
//! and a modify without arguments are blocks, each with a reason code of its own. A modify to `{}`
//! counts as one without arguments, since the SDKs take it so and then run the original ones.

use super::Members;
use super::question::is_empty_object;
use crate::gate::verdict::{Arguments, Effect, Grounds, Hold, Keeper, PolicyRef, Verdict};

/// The reason code for an answer that cannot be read.
pub(in crate::enforcer) const MALFORMED: &str = "enforcer_malformed_answer";
/// The longest hold token, in bytes; a longer one cannot be polled by.
const MAX_TOKEN: usize = 1024;

/// Whose answer is expected: what an answer must carry, where it carries any.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `enforcement_trace_id`, as sent.
    pub trace: &'a str,
    /// `action_attestation_id`, as sent; `None` where it is no longer known.
    pub attestation: Option<&'a str>,
}

/// A decision's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    Allow,
    Block,
    Defer,
    Modify,
    StepUp,
}

/// Reads the body of an answer with a success status. Always comes to a verdict.
pub fn read_answer(body: &[u8], expected: Expected<'_>) -> Verdict {
    let members = match Members::read(body) {
        Ok(members) => members,
        Err(error) => return Verdict::block(MALFORMED, &format!("the enforcer answered {error}")),
    };
    if let Some(verdict) = of_another_call(&members, expected) {
        return verdict;
    }
    let decision = members.raw("decision").or_else(|| members.raw("authorization_decision"));
    match decision.and_then(Word::read) {
        Some(word) => verdict(word, &members, expected),
        None => unknown(grounds(&members, expected)),
    }
}

/// A block, where the answer says that it is about another call.
pub(super) fn of_another_call(members: &Members<'_>, expected: Expected<'_>) -> Option<Verdict> {
    for (member, expected, code) in [
        ("enforcement_trace_id", Some(expected.trace), "enforcement_trace_id_mismatch"),
        ("action_attestation_id", expected.attestation, "action_attestation_id_mismatch"),
    ] {
        let Some((raw, expected)) = members.raw(member).zip(expected) else {
            continue;
        };
        let given = serde_json::from_str::<String>(raw);
        if given.is_ok_and(|given| given.is_empty() || given == expected) {
            continue;
        }
        return Some(Verdict::block(code, "the enforcer answered about another call"));
    }
    None
}

/// What a known word means, with everything the enforcer said beside it.
pub(super) fn verdict(word: Word, members: &Members<'_>, expected: Expected<'_>) -> Verdict {
    let mut grounds = grounds(members, expected);
    let effect = match word {
        Word::Allow => Effect::Allow,
        Word::Block => Effect::Block,
        Word::Defer => {
            grounds.reason =
                grounds.reason.or_else(|| members.text("defer_reason").map(|text| plain(&text)));
            Effect::Defer(members.seconds("defer_timeout_seconds"))
        }
        Word::Modify => {
            grounds.reason = grounds
                .reason
                .or_else(|| members.text("modification_reason").map(|text| plain(&text)));
            match arguments(members) {
                Some(arguments) => Effect::Modify(arguments),
                None => {
                    return refused(
                        grounds,
                        "modify_without_arguments",
                        "the enforcer wants other arguments and gives none that can be used",
                    );
                }
            }
        }
        Word::StepUp => match hold(members) {
            Some(hold) => Effect::StepUp(Some(hold)),
            None => {
                return refused(
                    grounds,
                    "step_up_without_token",
                    "the enforcer wants a person to approve and gives no token to ask with",
                );
            }
        },
    };
    Verdict { effect, grounds }
}

/// The block for an answer whose decision nobody knows.
pub(super) fn unknown(grounds: Grounds) -> Verdict {
    refused(grounds, "unknown_decision", "the enforcer's answer holds no decision that thoth knows")
}

/// Everything an answer says about its reasons.
pub(super) fn grounds(members: &Members<'_>, expected: Expected<'_>) -> Grounds {
    let text = |name| members.text(name).map(|text| plain(&text));
    let texts =
        |name| -> Vec<String> { members.texts(name).iter().map(|text| plain(text)).collect() };
    let version = || {
        let number = |name| members.number(name).map(|number| number.to_string());
        text("pack_version")
            .or_else(|| number("pack_version"))
            .or_else(|| number("rule_version"))
            .unwrap_or_default()
    };
    Grounds {
        reason: text("reason"),
        reason_code: text("decision_reason_code"),
        violation_id: text("violation_id"),
        rule_ids: texts("matched_rule_ids"),
        control_ids: texts("matched_control_ids"),
        policy: text("pack_id").map(|id| PolicyRef { id, version: version(), sha256: None }),
        risk_score: members.number("risk_score"),
        trace_id: Some(expected.trace.to_owned()),
        self_approval: members.flag("self_approval"),
    }
}

/// What an error body says went wrong, for people: as many of the places as real servers use.
pub(in crate::enforcer) fn complaint(body: &[u8]) -> Option<String> {
    let members = Members::read(body).ok()?;
    let said = |members: &Members<'_>| {
        ["message", "error_description", "error", "reason", "detail"]
            .iter()
            .find_map(|name| members.text(name))
    };
    let text = match members.inner("error") {
        Some(inner) => said(&inner).or_else(|| said(&members)),
        None => said(&members),
    };
    text.map(|text| plain(&text).chars().take(512).collect())
}

/// The text on one line: what an enforcer says ends up in logs and in front of models.
pub(in crate::enforcer) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A block of our own, which keeps what the enforcer said beside its reason and code.
fn refused(grounds: Grounds, reason_code: &str, reason: &str) -> Verdict {
    let ours = Grounds::coded(reason_code, reason);
    Verdict {
        effect: Effect::Block,
        grounds: Grounds { reason: ours.reason, reason_code: ours.reason_code, ..grounds },
    }
}

fn arguments(members: &Members<'_>) -> Option<Arguments> {
    let raw = members.raw("modified_tool_args")?;
    if !raw.starts_with('{') || is_empty_object(raw) {
        return None;
    }
    Arguments::parse(raw).ok()
}

fn hold(members: &Members<'_>) -> Option<Hold> {
    let token: String = serde_json::from_str(members.raw("hold_token")?).ok()?;
    if token.trim().is_empty() || token.len() > MAX_TOKEN {
        return None;
    }
    let is_link = |url: &String| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        web && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    Some(Hold {
        token,
        approval_url: members.text("approval_url").filter(is_link),
        expires_at: members.text("expires_at").map(|text| plain(&text)),
        timeout: members.seconds("step_up_timeout_seconds"),
        keeper: Keeper::Enforcer,
    })
}

// === impl Word ===

impl Word {
    /// Reads a decision from a member's text; `None` for what is not one.
    pub(super) fn read(raw: &str) -> Option<Self> {
        let word: String = serde_json::from_str(raw).ok()?;
        match word.trim().to_ascii_uppercase().as_str() {
            "ALLOW" => Some(Self::Allow),
            "BLOCK" | "DENY" => Some(Self::Block),
            "DEFER" | "DEFERRED" | "HOLD" => Some(Self::Defer),
            "MODIFY" | "MODIFIED" | "TRANSFORM" => Some(Self::Modify),
            "STEP_UP" | "CHALLENGE" | "ESCALATE" | "REVIEW" => Some(Self::StepUp),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const EXPECTED: Expected<'static> = Expected { trace: "t-1", attestation: Some("a-1") };

    fn read(body: &str) -> Verdict {
        read_answer(body.as_bytes(), EXPECTED)
    }

    fn said(body: &str) -> String {
        let verdict = read(body);
        let code = verdict.grounds.reason_code.unwrap_or_default();
        format!("{} {code}", verdict.effect.word())
    }

    #[test]
    fn every_word_and_alias() {
        for (word, expected) in [
            ("ALLOW", "allow"),
            ("BLOCK", "block"),
            ("DENY", "block"),
            ("STEP_UP", "step_up"),
            ("CHALLENGE", "step_up"),
            ("ESCALATE", "step_up"),
            ("REVIEW", "step_up"),
            ("MODIFY", "modify"),
            ("MODIFIED", "modify"),
            ("TRANSFORM", "modify"),
            ("DEFER", "defer"),
            ("DEFERRED", "defer"),
            ("HOLD", "defer"),
        ] {
            for word in [word.to_owned(), word.to_lowercase(), format!(r" {word}\n\t")] {
                for member in ["decision", "authorization_decision", "authorizationDecision"] {
                    let body = format!(
                        r#"{{"{member}":"{word}","hold_token":"h","modified_tool_args":{{"a":1}}}}"#
                    );
                    assert_eq!(read(&body).effect.word(), expected, "{body}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_decision_blocks() {
        for (body, expected) in [
            ("{}", "block unknown_decision"),
            (r#"{"decision":null}"#, "block unknown_decision"),
            (r#"{"decision":""}"#, "block unknown_decision"),
            (r#"{"decision":"FLAG"}"#, "block unknown_decision"),
            (r#"{"decision":"ALLOWED"}"#, "block unknown_decision"),
            (r#"{"decision":"ALLOW\u0000"}"#, "block unknown_decision"),
            (r#"{"decision":true}"#, "block unknown_decision"),
            (r#"{"decision":["ALLOW"]}"#, "block unknown_decision"),
            (r#"{"Decision":"ALLOW"}"#, "block unknown_decision"),
            (r#"{"decision":"","authorization_decision":"ALLOW"}"#, "block unknown_decision"),
            (r#"{"decision":"BLOCK","authorization_decision":"ALLOW"}"#, "block "),
            (r#"{"decision":null,"authorization_decision":"ALLOW"}"#, "allow "),
            (r#"{"decision":"BLOCK","decision":"ALLOW"}"#, "block enforcer_malformed_answer"),
            (r#"{"decision":"BLOCK","Decision":"ALLOW"}"#, "block enforcer_malformed_answer"),
            (r#"{"decision":"ALLOW"}}"#, "block enforcer_malformed_answer"),
            (r#"{"decision":"ALLOW""#, "block enforcer_malformed_answer"),
            (r#"[{"decision":"ALLOW"}]"#, "block enforcer_malformed_answer"),
            (r#""ALLOW""#, "block enforcer_malformed_answer"),
            ("ALLOW", "block enforcer_malformed_answer"),
            ("", "block enforcer_malformed_answer"),
            ("<html>", "block enforcer_malformed_answer"),
        ] {
            assert_eq!(said(body), expected, "{body}");
        }
    }

    #[test]
    fn an_effect_without_what_it_needs_blocks() {
        let token = "x".repeat(MAX_TOKEN + 1);
        let long = format!(r#"{{"decision":"STEP_UP","hold_token":"{token}"}}"#);
        for (body, expected) in [
            (r#"{"decision":"STEP_UP"}"#, "step_up_without_token"),
            (r#"{"decision":"STEP_UP","hold_token":null}"#, "step_up_without_token"),
            (r#"{"decision":"STEP_UP","hold_token":" "}"#, "step_up_without_token"),
            (r#"{"decision":"STEP_UP","hold_token":7}"#, "step_up_without_token"),
            (&long, "step_up_without_token"),
            (r#"{"decision":"MODIFY"}"#, "modify_without_arguments"),
            (r#"{"decision":"MODIFY","modified_tool_args":null}"#, "modify_without_arguments"),
            (r#"{"decision":"MODIFY","modified_tool_args":{}}"#, "modify_without_arguments"),
            (r#"{"decision":"MODIFY","modified_tool_args":{ }}"#, "modify_without_arguments"),
            (r#"{"decision":"MODIFY","modified_tool_args":[1]}"#, "modify_without_arguments"),
            (r#"{"decision":"MODIFY","modified_tool_args":"{}"}"#, "modify_without_arguments"),
        ] {
            assert_eq!(said(body), format!("block {expected}"), "{body}");
        }
    }

    #[test]
    fn an_answer_to_another_call_blocks() {
        for (body, expected) in [
            (r#"{"decision":"ALLOW"}"#, "allow "),
            (r#"{"decision":"ALLOW","enforcement_trace_id":""}"#, "allow "),
            (r#"{"decision":"ALLOW","enforcement_trace_id":null}"#, "allow "),
            (
                r#"{"decision":"ALLOW","enforcement_trace_id":"t-1","actionAttestationId":"a-1"}"#,
                "allow ",
            ),
            (
                r#"{"decision":"ALLOW","action_attestation_id":"a-2"}"#,
                "block action_attestation_id_mismatch",
            ),
            (
                r#"{"decision":"ALLOW","actionAttestationId":"A-1"}"#,
                "block action_attestation_id_mismatch",
            ),
            (
                r#"{"decision":"ALLOW","enforcement_trace_id":"t-2","action_attestation_id":"a-1"}"#,
                "block enforcement_trace_id_mismatch",
            ),
            (
                r#"{"decision":"ALLOW","enforcementTraceId":7}"#,
                "block enforcement_trace_id_mismatch",
            ),
        ] {
            assert_eq!(said(body), expected, "{body}");
        }
    }

    #[test]
    fn all_that_an_answer_says() {
        let verdict = read(
            r#"{"decision":"STEP_UP","reason":"two\npeople","decisionReasonCode":"four_eyes",
                "violation_id":"v-1","matched_rule_ids":["r1","r2"],"matchedControlIds":["c1"],
                "pack_id":"hipaa","pack_version":3,"risk_score":93.7,"hold_token":"h/1",
                "approval_url":"https://acme.example/a?b=1","expires_at":"2026-11-21T10:00:00Z",
                "step_up_timeout_seconds":60,"selfApproval":true,"latency_ms":2,"receipt":{"a":[{}]}}"#,
        );
        assert_eq!(
            verdict,
            Verdict {
                effect: Effect::StepUp(Some(Hold {
                    token: "h/1".to_owned(),
                    approval_url: Some("https://acme.example/a?b=1".to_owned()),
                    expires_at: Some("2026-11-21T10:00:00Z".to_owned()),
                    timeout: Some(Duration::from_mins(1)),
                    keeper: Keeper::Enforcer,
                })),
                grounds: Grounds {
                    reason: Some("two people".to_owned()),
                    reason_code: Some("four_eyes".to_owned()),
                    violation_id: Some("v-1".to_owned()),
                    rule_ids: vec!["r1".to_owned(), "r2".to_owned()],
                    control_ids: vec!["c1".to_owned()],
                    policy: Some(PolicyRef {
                        id: "hipaa".to_owned(),
                        version: "3".to_owned(),
                        sha256: None,
                    }),
                    risk_score: Some(93.7),
                    trace_id: Some("t-1".to_owned()),
                    self_approval: Some(true),
                },
            }
        );
    }

    #[test]
    fn who_may_agree_is_said_by_yes_or_no_and_by_nothing_else() {
        for (member, expected) in [
            ("", None),
            (r#","self_approval":true"#, Some(true)),
            (r#","self_approval":false"#, Some(false)),
            (r#","self_approval":null"#, None),
            (r#","self_approval":"true""#, None),
            (r#","self_approval":1"#, None),
        ] {
            let body = format!(r#"{{"decision":"STEP_UP","hold_token":"h"{member}}}"#);
            assert_eq!(read(&body).grounds.self_approval, expected, "{member}");
        }
    }

    #[test]
    fn nothing_that_is_told_on_acts_on_what_it_is_printed_on() {
        let evil = "a\u{1b}[2J\nb";
        let body = serde_json::json!({
            "decision": "STEP_UP", "hold_token": "h", "expires_at": evil,
            "reason": evil, "decision_reason_code": evil, "violation_id": evil,
            "pack_id": evil, "pack_version": evil,
            "matched_rule_ids": [evil], "matched_control_ids": [evil],
        });
        let verdict = read(&body.to_string());
        let told = Some("a [2J b".to_owned());
        let Effect::StepUp(Some(hold)) = verdict.effect else { panic!("a step-up") };
        let Grounds { reason, reason_code, violation_id, rule_ids, control_ids, policy, .. } =
            verdict.grounds;
        let PolicyRef { id, version, .. } = policy.unwrap();
        for text in [reason, reason_code, violation_id, hold.expires_at, Some(id), Some(version)] {
            assert_eq!(text, told);
        }
        assert_eq!(rule_ids, ["a [2J b"]);
        assert_eq!(control_ids, ["a [2J b"]);
        for (decision, member) in [("DEFER", "defer_reason"), ("MODIFY", "modification_reason")] {
            let body = serde_json::json!({
                "decision": decision, "modified_tool_args": {"a": 1}, member: evil,
            });
            assert_eq!(read(&body.to_string()).grounds.reason, told, "{decision}");
        }
    }

    #[test]
    fn reasons_have_fallbacks() {
        for (body, expected) in [
            (r#"{"decision":"DEFER","defer_reason":"later"}"#, "later"),
            (r#"{"decision":"DEFER","reason":"now","defer_reason":"later"}"#, "now"),
            (
                r#"{"decision":"MODIFY","modified_tool_args":{"a":1},"modification_reason":"cut"}"#,
                "cut",
            ),
        ] {
            assert_eq!(read(body).grounds.reason.as_deref(), Some(expected), "{body}");
        }
        let defer = read(r#"{"decision":"DEFER","defer_timeout_seconds":7}"#);
        assert_eq!(defer.effect, Effect::Defer(Some(Duration::from_secs(7))));
    }

    #[test]
    fn new_arguments_keep_their_spelling() {
        let text = r#"{ "n" : 1.00, "big":12345678901234567890123 }"#;
        let verdict = read(&format!(r#"{{"decision":"MODIFY","modified_tool_args":{text}}}"#));
        let Effect::Modify(arguments) = verdict.effect else {
            panic!("{verdict:?}");
        };
        assert_eq!(arguments.as_str(), text);
    }

    #[test]
    fn a_link_that_is_none_is_dropped() {
        for url in ["javascript:alert(1)", "https://a b", r"https://a\u001b", "file:///x"] {
            let body =
                format!(r#"{{"decision":"STEP_UP","hold_token":"h","approval_url":"{url}"}}"#);
            let Effect::StepUp(Some(hold)) = read(&body).effect else {
                panic!("{body}");
            };
            assert_eq!(hold.approval_url, None, "{url}");
        }
    }

    #[test]
    fn complaints_are_found_where_servers_put_them() {
        for (body, expected) in [
            (r#"{"error":{"code":"x","message":"m"}}"#, Some("m")),
            (r#"{"error":"invalid_key","message":"m"}"#, Some("m")),
            (r#"{"error":"invalid_key"}"#, Some("invalid_key")),
            (r#"{"error":{},"detail":"a\nb"}"#, Some("a b")),
            (r#"{"error":{"code":"x"}}"#, None),
            ("<html>", None),
            ("", None),
        ] {
            assert_eq!(complaint(body.as_bytes()).as_deref(), expected, "{body}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5_000));
        assert_eq!(complaint(long.as_bytes()).unwrap().len(), 512);
    }

    #[test]
    fn depth_is_no_danger() {
        for deep in ["[", r#"{"a":"#] {
            let body = format!(r#"{{"decision":"ALLOW","x":{}"#, deep.repeat(200_000));
            assert_eq!(said(&body), "block enforcer_malformed_answer");
        }
        let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        for member in ["decision", "matched_rule_ids", "hold_token", "reason"] {
            let body = format!(r#"{{"{member}":{nested}}}"#);
            assert_eq!(said(&body), "block unknown_decision", "{member}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_a_verdict(bytes: Vec<u8>) {
            prop_assert_eq!(read_answer(&bytes, EXPECTED).effect, Effect::Block);
        }

        /// Cut anywhere, or with any one byte changed, an allow is either an allow or a block.
        #[test]
        fn a_damaged_answer_comes_to_a_verdict(at in 0..200_usize, with: u8, cut in 0..200_usize) {
            let mut body = br#"{"decision":"MODIFY","modified_tool_args":{"a":[1,"\u00e9"]},
                "action_attestation_id":"a-1","risk_score":1e3,"matched_rule_ids":["x"]}"#.to_vec();
            if let Some(byte) = body.get_mut(at) {
                *byte = with;
            }
            body.truncate(cut);
            let _ = read_answer(&body, EXPECTED);
        }
    }
}
