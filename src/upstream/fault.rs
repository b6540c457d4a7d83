//! What is said to the client of a request that has no answer: a JSON-RPC error of thoth's own.
//!
//! Pure. The texts name no secret and hold nothing of what the server's error page said.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::StatusCode;

use crate::gate::message::RequestId;

/// The code of JSON-RPC for an internal error: the answer could not be had.
const NO_ANSWER: i32 = -32_603;

/// No text about a failure is longer, in bytes.
const LONGEST: usize = 300;

/// Why a request has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// The server does not accept the credential, and there is no other.
    #[error("the server does not accept the credential, and there is no newer one; {}", renewed(login.as_deref()))]
    Unauthorized {
        /// The login that it came from, if it did.
        login: Option<String>,
    },
    /// There is no credential to send.
    #[error("there is no credential for the server: {0}")]
    NoCredential(String),
    /// The server knows who asks, and says no.
    #[error("the server forbids it (403){}", lacking(lacks.as_deref(), login.as_deref()))]
    Forbidden {
        /// The scopes that it says are lacking, where it says that some are; it may name none.
        lacks: Option<Vec<String>>,
        /// The login that the credential came from, if it did.
        login: Option<String>,
    },
    /// Nobody answers there; nothing was sent.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Its certificate was not accepted; nothing was sent.
    #[error("the server is not trusted: {0}")]
    NotTrusted(String),
    /// It was silent for too long.
    #[error("the server was silent for {0} s; whether the request took effect is not known")]
    Timeout(u64),
    /// The connection or the answer broke.
    #[error(
        "the server's answer cannot be used: {0}; whether the request took effect is not known"
    )]
    Broken(String),
    /// It points elsewhere.
    #[error("the server answered with a redirection ({}), which is never followed; configure the address it moved to", .0.as_u16())]
    Redirect(StatusCode),
    /// Any other status.
    #[error("the server answered with status {}", .0.as_u16())]
    Status(StatusCode),
    /// The session was lost, and there is no new one.
    #[error("the session with the server was lost, and cannot be begun anew: {0}")]
    SessionLost(String),
    /// The answer is longer than what is taken.
    #[error("the server's answer was longer than {0} bytes")]
    TooLong(usize),
}

// === impl Fault ===

impl Fault {
    /// One of each, to hold documents against.
    #[cfg(test)]
    fn each() -> Vec<Self> {
        let why = String::new;
        vec![
            Self::Unauthorized { login: None },
            Self::NoCredential(why()),
            Self::Forbidden { lacks: Some(Vec::new()), login: None },
            Self::Unreachable(why()),
            Self::NotTrusted(why()),
            Self::Timeout(1),
            Self::Broken(why()),
            Self::Redirect(StatusCode::FOUND),
            Self::Status(StatusCode::BAD_GATEWAY),
            Self::SessionLost(why()),
            Self::TooLong(1),
        ]
    }

    /// The word for it in `error.data.reason_code`; each has a row in `docs/reason-codes.md`.
    pub(super) fn reason_code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } | Self::NoCredential(_) => "upstream_unauthorized",
            Self::Forbidden { .. } => "upstream_forbidden",
            Self::Unreachable(_) => "upstream_unreachable",
            Self::NotTrusted(_) => "upstream_not_trusted",
            Self::Timeout(_) => "upstream_timeout",
            Self::Broken(_) => "upstream_broken",
            Self::Redirect(_) => "upstream_redirect",
            Self::Status(_) => "upstream_status",
            Self::SessionLost(_) => "upstream_session_lost",
            Self::TooLong(_) => "answer_too_long",
        }
    }

    /// Whether the same request, made again later, may well be answered, and was not executed now.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::SessionLost(_) => true,
            // 503 may come from whatever stands before the server, after it has executed a call.
            Self::Status(status) => *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthorized { .. }
            | Self::NoCredential(_)
            | Self::Forbidden { .. }
            | Self::NotTrusted(_)
            | Self::Timeout(_)
            | Self::Broken(_)
            | Self::Redirect(_)
            | Self::TooLong(_) => false,
        }
    }

    /// The answer to a request, without a line's end.
    pub(super) fn answer(&self, id: &RequestId) -> Bytes {
        #[derive(serde::Serialize)]
        struct Error<'a> {
            code: i32,
            message: &'a str,
            data: Data<'a>,
        }
        #[derive(serde::Serialize)]
        struct Data<'a> {
            reason_code: &'a str,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            http_status: Option<u16>,
        }

        let message = bounded(self.to_string());
        let http_status = match self {
            Self::Redirect(status) | Self::Status(status) => Some(status.as_u16()),
            Self::Unauthorized { .. }
            | Self::NoCredential(_)
            | Self::Forbidden { .. }
            | Self::Unreachable(_)
            | Self::NotTrusted(_)
            | Self::Timeout(_)
            | Self::Broken(_)
            | Self::SessionLost(_)
            | Self::TooLong(_) => None,
        };
        let data =
            Data { reason_code: self.reason_code(), retryable: self.is_retryable(), http_status };
        let error = Error { code: NO_ANSWER, message: &message, data };
        let error = serde_json::to_vec(&error).unwrap_or_else(|_| {
            unreachable!("a vector takes everything, and every key is a string")
        });
        let mut line = BytesMut::with_capacity(error.len() + 64);
        line.put_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        line.put_slice(id.literal().as_bytes());
        line.put_slice(b",\"error\":");
        line.put_slice(&error);
        line.put_u8(b'}');
        line.freeze()
    }
}

/// How another credential is had.
fn renewed(login: Option<&str>) -> String {
    match login {
        Some(name) => format!("log in again: thoth auth login {name}"),
        None => "log in again, or renew the token".to_owned(),
    }
}

/// Which scopes are lacking, and how they are had: a person decides whether they should be. A name that a
/// shell would read otherwise is in no command.
fn lacking(scopes: Option<&[String]>, login: Option<&str>) -> String {
    let Some(scopes) = scopes else { return String::new() };
    let named = match scopes {
        [] => "a scope".to_owned(),
        [scope] => format!("the scope {scope}"),
        scopes => format!("the scopes {}", scopes.join(" ")),
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-+=@%,".contains(&byte);
    let is_typed = !scopes.is_empty() && scopes.iter().all(|scope| scope.bytes().all(is_plain));
    let command = login.filter(|_| is_typed).map(|name| {
        let flags: String = scopes.iter().flat_map(|scope| [" --scope ", scope]).collect();
        format!("; to have it, log in again: thoth auth login {name}{flags}")
    });
    format!("; the credential lacks {named}{}", command.unwrap_or_default())
}

/// What libraries say of a failure may quote what others sent.
fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::json::Kind;

    #[test]
    fn what_to_type_is_said_of_a_login_and_is_safe_to_type() {
        let forbidden = |scopes: &[&str], login: Option<&str>| {
            let lacks = scopes.iter().map(|&scope| scope.to_owned()).collect();
            Fault::Forbidden { lacks: Some(lacks), login: login.map(str::to_owned) }.to_string()
        };
        for (scopes, login, expected) in [
            (&[][..], Some("acme"), "lacks a scope"),
            (&["a"], None, "lacks the scope a"),
            (
                &["files:write", "b"],
                Some("acme"),
                "lacks the scopes files:write b; to have it, log in again: thoth auth login acme --scope files:write --scope b",
            ),
            (&["x';curl"], Some("acme"), "lacks the scope x';curl"),
            (&["$(x)"], Some("acme"), "lacks the scope $(x)"),
        ] {
            let text = forbidden(scopes, login);
            assert!(text.ends_with(expected), "{text}");
        }
        let login = Some("acme".to_owned());
        assert!(Fault::Unauthorized { login }.to_string().ends_with("thoth auth login acme"));
        let forbidden = Fault::Forbidden { lacks: None, login: None };
        assert_eq!(forbidden.to_string(), "the server forbids it (403)");
    }

    #[test]
    fn every_reason_code_is_documented_and_every_documented_one_exists() {
        let page = include_str!("../../docs/reason-codes.md");
        let known: Vec<_> = Fault::each().iter().map(Fault::reason_code).collect();
        for code in &known {
            assert!(page.contains(&format!("`{code}`")), "{code} is not documented");
        }
        for code in page.split('`').filter(|word| word.starts_with("upstream_")) {
            assert!(known.contains(&code), "{code} does not exist");
        }
    }

    #[test]
    fn an_answer_is_one_bounded_line_with_the_id_as_it_was_spelled() {
        let id = RequestId::read(Kind::Text, br#""\u0061""#).unwrap();
        let fault = Fault::Broken(format!("a\nb\u{0}{}", "é".repeat(1000)));
        let line = fault.answer(&id);
        assert!(line.starts_with(br#"{"jsonrpc":"2.0","id":"\u0061","error":{"code":-32603,"#));
        assert!(line.len() < 700 && !line.contains(&b'\n'), "{}", line.len());
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["error"]["data"]["reason_code"], "upstream_broken");
        assert_eq!(read["error"]["data"]["retryable"], false);
    }
}
