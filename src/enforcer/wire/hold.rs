//! The state of a hold: `GET /v1/enforce/hold/{token}`.
//!
//! Three generations of enforcers answer: `{"resolved": …, "resolution": …}` (documented), the
//! same with a `decision` beside it, and a bare decision (legacy), where a step-up means that
//! nobody has answered yet. A body that contradicts itself is read as its stricter half.

use std::time::Duration;

use super::Members;
use super::answer::{Expected, Word, grounds, of_another_call, unknown, verdict};
use crate::gate::verdict::Verdict;

/// Where a hold stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nobody has answered yet.
    Pending(Hint),
    /// Somebody has.
    Final(Box<Verdict>),
    /// The body does not say; the next one may.
    Unclear,
}

/// What an enforcer says beside "not yet".
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hint {
    /// How long to wait before asking again (`poll_interval_seconds`).
    pub interval: Option<Duration>,
    /// When the hold ends, RFC 3339.
    pub expires_at: Option<String>,
}

/// Reads the body of an answer about a hold. `accepted` is whether its status was 202, which means
/// pending whatever the body says.
pub fn read_hold(body: &[u8], accepted: bool, expected: Expected<'_>) -> Standing {
    let members = Members::read(body);
    if accepted {
        return Standing::Pending(members.map(|members| hint(&members)).unwrap_or_default());
    }
    let Ok(members) = members else {
        return Standing::Unclear;
    };
    let resolved = match members.raw("resolved") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Standing::Unclear,
    };
    // Absent, unknown or known.
    let resolution = members.raw("resolution").map(Word::read);
    let decision =
        members.raw("decision").or_else(|| members.raw("authorization_decision")).map(Word::read);

    let word = match (resolved, resolution, decision) {
        (Some(false), _, _) | (None, _, Some(Some(Word::StepUp))) => {
            return Standing::Pending(hint(&members));
        }
        (None, _, None) => return Standing::Unclear,
        (_, Some(Some(one)), Some(Some(other))) if other != Word::StepUp => {
            Some(stricter(one, other))
        }
        (Some(true), Some(resolution), _) => resolution,
        (_, _, decision) => decision.flatten(),
    };
    let found = word.filter(|word| *word != Word::StepUp); // "not yet" is no resolution
    Standing::Final(Box::new(match (of_another_call(&members, expected), found) {
        (Some(verdict), _) => verdict,
        (None, Some(word)) => verdict(word, &members, expected),
        (None, None) => unknown(grounds(&members, expected)),
    }))
}

fn hint(members: &Members<'_>) -> Hint {
    Hint {
        interval: members.seconds("poll_interval_seconds"),
        expires_at: members.text("expires_at"),
    }
}

fn stricter(one: Word, other: Word) -> Word {
    let strictness = |word: &Word| match word {
        Word::Allow => 0,
        Word::Modify => 1,
        Word::StepUp => 2,
        Word::Defer => 3,
        Word::Block => 4,
    };
    std::cmp::max_by_key(one, other, strictness)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPECTED: Expected<'static> = Expected { trace: "t-1", attestation: None };

    fn standing(body: &str, accepted: bool) -> String {
        match read_hold(body.as_bytes(), accepted, EXPECTED) {
            Standing::Pending(_) => "pending".to_owned(),
            Standing::Unclear => "unclear".to_owned(),
            Standing::Final(verdict) => {
                let code = verdict.grounds.reason_code.unwrap_or_default();
                format!("{} {code}", verdict.effect.word())
            }
        }
    }

    #[test]
    fn every_shape_of_a_hold() {
        for (body, expected) in [
            (r#"{"resolved":false,"resolution":null}"#, "pending"),
            (r#"{"resolved":false,"decision":"STEP_UP"}"#, "pending"),
            (r#"{"resolved":false,"decision":"ALLOW"}"#, "pending"),
            (r#"{"resolved":false,"resolution":"ALLOW"}"#, "pending"),
            (r#"{"resolved":true,"resolution":"ALLOW"}"#, "allow "),
            (r#"{"resolved":true,"resolution":" allow "}"#, "allow "),
            (r#"{"resolved":true,"resolution":"ALLOW","decision":"ALLOW"}"#, "allow "),
            (r#"{"resolved":true,"resolution":"ALLOW","decision":"STEP_UP"}"#, "allow "),
            (r#"{"resolved":true,"resolution":"ALLOW","decision":"BLOCK"}"#, "block "),
            (r#"{"resolved":true,"resolution":"DENY","decision":"ALLOW"}"#, "block "),
            (r#"{"resolved":true,"resolution":"BLOCK","reason":"no"}"#, "block "),
            (r#"{"resolved":true,"resolution":"DEFERRED"}"#, "defer "),
            (r#"{"resolved":true,"resolution":"MODIFY","modifiedToolArgs":{"a":1}}"#, "modify "),
            (r#"{"resolved":true,"resolution":"MODIFY"}"#, "block modify_without_arguments"),
            (r#"{"resolved":true,"decision":"ALLOW"}"#, "allow "),
            (r#"{"resolved":true}"#, "block unknown_decision"),
            (r#"{"resolved":true,"resolution":null}"#, "block unknown_decision"),
            (r#"{"resolved":true,"resolution":"MAYBE"}"#, "block unknown_decision"),
            (
                r#"{"resolved":true,"resolution":"MAYBE","decision":"ALLOW"}"#,
                "block unknown_decision",
            ),
            (r#"{"resolved":true,"resolution":"STEP_UP"}"#, "block unknown_decision"),
            (r#"{"resolved":true,"decision":"STEP_UP"}"#, "block unknown_decision"),
            (r#"{"decision":"STEP_UP"}"#, "pending"),
            (r#"{"decision":"review"}"#, "pending"),
            (r#"{"authorizationDecision":"ALLOW"}"#, "allow "),
            (r#"{"decision":"DENY"}"#, "block "),
            (r#"{"decision":"MAYBE"}"#, "block unknown_decision"),
            (r#"{"resolved":"true","resolution":"ALLOW"}"#, "unclear"),
            (r#"{"resolution":"ALLOW"}"#, "unclear"),
            (r#"{"resolved":true,"resolved":true,"resolution":"ALLOW"}"#, "unclear"),
            ("{}", "unclear"),
            ("[]", "unclear"),
            ("", "unclear"),
            (
                r#"{"resolved":true,"resolution":"ALLOW","enforcement_trace_id":"t-2"}"#,
                "block enforcement_trace_id_mismatch",
            ),
        ] {
            assert_eq!(standing(body, false), expected, "{body}");
        }
    }

    #[test]
    fn accepted_means_pending() {
        for body in ["", "{", r#"{"resolved":true,"resolution":"ALLOW"}"#] {
            assert_eq!(standing(body, true), "pending", "{body}");
        }
    }

    #[test]
    fn a_pending_hold_may_say_when_to_come_back() {
        let body = br#"{"resolved":false,"poll_interval_seconds":0.5,"expires_at":"2026"}"#;
        let hint = Hint {
            interval: Some(Duration::from_millis(500)),
            expires_at: Some("2026".to_owned()),
        };
        assert_eq!(read_hold(body, false, EXPECTED), Standing::Pending(hint));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>, accepted: bool) {
            let standing = read_hold(&bytes, accepted, EXPECTED);
            prop_assert!(!matches!(standing, Standing::Final(_)));
        }
    }
}
