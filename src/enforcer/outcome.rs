//! What the outcome of one exchange means for the call.
//!
//! Pure: the table of the design's "Enforcer trouble", one row per way an exchange can end. An
//! enforcer that is not there is silent, and the failure decision applies; one that is there and
//! does not answer as it should blocks, whatever the failure decision says. Every reason code is
//! listed in `docs/reason-codes.md`.

use std::time::Duration;

use hyper::StatusCode;

use super::wire::{self, Expected, MALFORMED, Members, Standing, complaint, plain, read_answer};
use crate::credential::NoCredential;
use crate::gate::verdict::{Answer, Grounds, Verdict};
use crate::https::{Cut, Outcome, Reply};
use crate::tls::Distrust;

/// How one look at a hold ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Look {
    /// What the hold's body says.
    Standing(Standing, Option<Duration>),
    /// The enforcer knows no such hold.
    Unknown,
    /// Nothing could be learnt; another look may do better, after this time at the earliest.
    Trouble(Option<Duration>),
    /// Another look will not do better.
    Refused(Box<Verdict>),
}

/// What the end of asking a question means.
pub(super) fn of_question(outcome: Outcome, expected: Expected<'_>) -> Answer {
    match outcome {
        Outcome::Lost(why) => silent(&why),
        Outcome::Distrusted { why, detail } => Answer::Said(distrusted(why, &detail)),
        Outcome::Answered(reply) if is_trouble(reply.status) => silent(&trouble(&reply)),
        Outcome::Answered(reply) if !reply.status.is_success() => Answer::Said(rejected(&reply)),
        Outcome::Answered(reply) => match reply.body {
            Ok(body) => Answer::Said(read_answer(&body, expected)),
            Err(cut @ Cut::Late) => silent(&format!("the enforcer: {cut}")),
            Err(cut @ (Cut::Broken | Cut::TooLong(_))) => {
                Answer::Said(Verdict::block(MALFORMED, &format!("the enforcer: {cut}")))
            }
        },
    }
}

/// What the end of looking at a hold means.
pub(super) fn of_hold(outcome: Outcome, expected: Expected<'_>) -> Look {
    let reply = match outcome {
        Outcome::Lost(_) => return Look::Trouble(None),
        Outcome::Distrusted { why, detail } => {
            return Look::Refused(Box::new(distrusted(why, &detail)));
        }
        Outcome::Answered(reply) => reply,
    };
    match reply.status {
        StatusCode::NOT_FOUND => Look::Unknown,
        status if is_trouble(status) => Look::Trouble(reply.retry_after),
        status if status.is_success() => match reply.body {
            Ok(body) => {
                let accepted = status == StatusCode::ACCEPTED;
                Look::Standing(wire::read_hold(&body, accepted, expected), reply.retry_after)
            }
            Err(_) => Look::Trouble(reply.retry_after),
        },
        _ => Look::Refused(Box::new(rejected(&reply))),
    }
}

/// What it means that there was no key to ask with: nothing was sent. That is no outage, or
/// removing the key would be a way to have every call allowed.
pub(super) fn unsent(without: &NoCredential) -> Verdict {
    let code = match without {
        NoCredential::Missing(_) => "enforcer_auth_failed",
        NoCredential::Revoked { .. } => "api_key_revoked",
    };
    Verdict::block(code, &format!("the API key cannot be used: {without}"))
}

fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn silent(why: &str) -> Answer {
    Answer::Silent(Grounds::coded("enforcer_unavailable", why))
}

fn trouble(reply: &Reply) -> String {
    let status = reply.status;
    let said = reply.body.as_deref().ok().and_then(complaint);
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    let later = reply
        .retry_after
        .map_or_else(String::new, |after| format!("; try again in {} s", after.as_secs().max(1)));
    format!("the enforcer answered {status}{said}{later}")
}

fn distrusted(why: Distrust, detail: &str) -> Verdict {
    let code = match why {
        Distrust::Pin => "enforcer_pin_mismatch",
        Distrust::Expired | Distrust::Issuer | Distrust::Name | Distrust::Other => {
            "enforcer_certificate_invalid"
        }
    };
    Verdict::block(code, &format!("the enforcer is not trusted: {why} ({})", plain(detail)))
}

/// Redirections and everything a client did wrong: asking again would not help.
fn rejected(reply: &Reply) -> Verdict {
    let body = reply.body.as_deref().unwrap_or_default();
    let said = complaint(body);
    let explained = |what: &str| match &said {
        Some(said) => format!("{what}: {said}"),
        None => what.to_owned(),
    };
    match reply.status {
        StatusCode::PAYMENT_REQUIRED => Verdict::block(
            &billing_code(body),
            &said.unwrap_or_else(|| "the enforcer asks for payment".to_owned()),
        ),
        StatusCode::UNAUTHORIZED => Verdict::block(
            "enforcer_auth_failed",
            &explained("the enforcer does not accept the API key (401)"),
        ),
        StatusCode::FORBIDDEN => Verdict::block(
            "enforcer_auth_failed",
            &explained(if is_page(body) {
                "the enforcer, or a firewall in front of it, forbids the question (403, a web page)"
            } else {
                "the enforcer forbids the question (403): does the API key have the execute permission?"
            }),
        ),
        status if status.is_redirection() => Verdict::block(
            "enforcer_redirected",
            &format!(
                "the enforcer redirects ({}), which is never followed; check its URL",
                status.as_u16()
            ),
        ),
        status => Verdict::block(
            "enforcer_rejected",
            &explained(&format!("the enforcer rejects the question ({})", status.as_u16())),
        ),
    }
}

fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// `billing_<code>`, as in `thoth-py` 0.5.25; `billing_error` where the body names no usable code.
fn billing_code(body: &[u8]) -> String {
    let members = Members::read(body).ok();
    let code = members
        .and_then(|members| members.inner("error"))
        .and_then(|error| error.text("code"))
        .map(|code| code.to_ascii_lowercase())
        .filter(|code| {
            code.len() <= 64
                && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        });
    format!("billing_{}", code.as_deref().unwrap_or("error"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const EXPECTED: Expected<'static> = Expected { trace: "t-1", attestation: None };

    fn reply(status: u16, body: Result<&'static str, Cut>) -> Outcome {
        Outcome::Answered(Reply {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(7)),
            body: body.map(Bytes::from),
        })
    }

    fn distrust(why: Distrust) -> Outcome {
        Outcome::Distrusted { why, detail: "why".to_owned() }
    }

    #[test]
    fn every_row_of_the_trouble_table() {
        let allow = Ok(r#"{"decision":"ALLOW"}"#);
        let bill = Ok(r#"{"error":{"type":"billing_error","code":"Quota","message":"pay up"}}"#);
        for (outcome, expected) in [
            (reply(200, allow), "said allow  "),
            (reply(201, allow), "said allow  "),
            (reply(204, Ok("")), "said block enforcer_malformed_answer not one JSON object"),
            (reply(200, Err(Cut::Broken)), "said block enforcer_malformed_answer broke off"),
            (
                reply(200, Err(Cut::TooLong(1_048_576))),
                "said block enforcer_malformed_answer 1048576 bytes",
            ),
            (reply(200, Err(Cut::Late)), "silent enforcer_unavailable in time"),
            (Outcome::Lost("refused".to_owned()), "silent enforcer_unavailable refused"),
            (
                reply(429, allow),
                "silent enforcer_unavailable 429 Too Many Requests; try again in 7 s",
            ),
            (
                reply(500, Ok(r#"{"message":"oh"}"#)),
                "silent enforcer_unavailable Server Error: oh;",
            ),
            (reply(503, Err(Cut::Late)), "silent enforcer_unavailable 503"),
            (reply(599, allow), "silent enforcer_unavailable 599"),
            (reply(400, allow), "said block enforcer_rejected (400)"),
            (reply(404, Ok("<p>")), "said block enforcer_rejected (404)"),
            (reply(408, allow), "said block enforcer_rejected (408)"),
            (reply(422, Ok(r#"{"detail":"no tenant"}"#)), "said block enforcer_rejected no tenant"),
            (reply(401, allow), "said block enforcer_auth_failed API key"),
            (reply(401, Err(Cut::Late)), "said block enforcer_auth_failed API key"),
            (reply(403, Ok("{}")), "said block enforcer_auth_failed execute permission"),
            (reply(403, Ok("\n<html>")), "said block enforcer_auth_failed firewall"),
            (reply(402, bill), "said block billing_quota pay up"),
            (reply(402, Ok("")), "said block billing_error payment"),
            (reply(402, Ok(r#"{"error":{"code":"a b"}}"#)), "said block billing_error payment"),
            (reply(301, allow), "said block enforcer_redirected (301)"),
            (reply(304, allow), "said block enforcer_redirected (304)"),
            (reply(307, allow), "said block enforcer_redirected (307)"),
            (distrust(Distrust::Pin), "said block enforcer_pin_mismatch pins (why)"),
            (distrust(Distrust::Expired), "said block enforcer_certificate_invalid expired"),
            (distrust(Distrust::Name), "said block enforcer_certificate_invalid another name"),
            (distrust(Distrust::Issuer), "said block enforcer_certificate_invalid trusts"),
            (distrust(Distrust::Other), "said block enforcer_certificate_invalid not valid"),
        ] {
            let row = format!("{outcome:?}");
            let (said, grounds) = match of_question(outcome, EXPECTED) {
                Answer::Said(verdict) => {
                    (format!("said {}", verdict.effect.word()), verdict.grounds)
                }
                Answer::Silent(grounds) => ("silent".to_owned(), grounds),
            };
            let code = grounds.reason_code.unwrap_or_default();
            let reason = grounds.reason.unwrap_or_default();
            let reason_part = expected
                .strip_prefix(&format!("{said} {code} "))
                .unwrap_or_else(|| panic!("{row}: {said} {code}, not {expected}"));
            assert!(reason.contains(reason_part), "{row}: {reason}");
        }
    }

    #[test]
    fn every_row_of_looking_at_a_hold() {
        let pending = Ok(r#"{"resolved":false}"#);
        let later = Some(Duration::from_secs(7));
        let not_yet = Look::Standing(Standing::Pending(wire::Hint::default()), later);
        for (outcome, expected) in [
            (reply(200, pending), not_yet.clone()),
            (reply(202, Ok("")), not_yet),
            (reply(200, Ok("<p>")), Look::Standing(Standing::Unclear, later)),
            (reply(200, Err(Cut::Broken)), Look::Trouble(later)),
            (reply(404, pending), Look::Unknown),
            (reply(429, pending), Look::Trouble(later)),
            (reply(503, pending), Look::Trouble(later)),
            (Outcome::Lost("refused".to_owned()), Look::Trouble(None)),
        ] {
            let row = format!("{outcome:?}");
            assert_eq!(of_hold(outcome, EXPECTED), expected, "{row}");
        }
        for outcome in [
            reply(401, pending),
            reply(402, pending),
            reply(403, pending),
            reply(410, pending),
            reply(302, pending),
            distrust(Distrust::Pin),
            distrust(Distrust::Expired),
        ] {
            let row = format!("{outcome:?}");
            assert!(matches!(of_hold(outcome, EXPECTED), Look::Refused(_)), "{row}");
        }
    }
}
