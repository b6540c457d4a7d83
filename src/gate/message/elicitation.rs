//! Asking the person at the client, in the forms of MCP elicitation (2025-06-18, 2025-11-25 and
//! 2026-07-28): what a client can, what it is asked, and what it answers.
//!
//! # Invariants
//!
//! - What is asked is valid in every revision that has its mode, and as short as a person reads.
//! - Only a form that was accepted with `approve: true` agrees to anything. To accept a page is to
//!   open it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::plain::excerpt;
use super::super::verdict::{Grounds, Hold};

/// How much of the parts of a question is shown, in bytes: with its own words, about a kilobyte.
const TOOL_SHOWN: usize = 96;
const RULE_SHOWN: usize = 96;
const REASON_SHOWN: usize = 200;
const ARGUMENTS_SHOWN: usize = 400;

/// What a client can ask its person.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Modes {
    /// To fill in a form.
    pub form: bool,
    /// To open a page.
    pub url: bool,
}

/// In which way the person is asked about one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// They answer in the client.
    Form,
    /// They answer on the hold's page, which the client opens.
    Page,
}

/// A question about one call.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The tool.
    pub tool: &'a str,
    /// The text of the arguments that would be sent.
    pub arguments: &'a str,
    /// Why somebody is asked.
    pub grounds: &'a Grounds,
    /// What keeps the call.
    pub hold: &'a Hold,
}

/// What the person said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Word {
    /// They agree to the call.
    Agree,
    /// They do not.
    Deny,
    /// They will not open the page.
    Decline,
    /// Nothing: they closed the question.
    Dismiss,
    /// They open the page.
    Open,
    /// The client cannot ask them.
    Unsupported,
}

/// The client answered something that is no answer to such a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an answer to an elicitation")]
pub struct Foreign;

// === impl Modes ===

impl Modes {
    /// Nothing.
    pub const NONE: Self = Self { form: false, url: false };

    /// Reads the params of `initialize`: `capabilities.elicitation`.
    pub fn of_greeting(params: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            capabilities: Capabilities<'a>,
        }
        object::<Params<'_>>(params).map_or(Self::NONE, |params| Self::of(&params.capabilities))
    }

    /// Reads a request's `_meta` (MCP 2026-07-28), which says it anew each time.
    pub fn of_meta(meta: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Meta<'a> {
            #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
            capabilities: Capabilities<'a>,
        }
        object::<Meta<'_>>(meta).map_or(Self::NONE, |meta| Self::of(&meta.capabilities))
    }

    /// The way to ask about a hold, where there is one. A form only where the rule lets whoever made
    /// the call agree to it; the hold's own page in any case, since whoever opens it is asked there
    /// who they are.
    pub fn way(self, self_approval: Option<bool>, hold: &Hold) -> Option<Way> {
        let has_page = || hold.approval_url.as_deref().is_some_and(is_page);
        if self.form && self_approval == Some(true) {
            Some(Way::Form)
        } else if self.url && has_page() {
            Some(Way::Page)
        } else {
            None
        }
    }

    /// An object that names no mode means forms: it is older than the other one.
    fn of(capabilities: &Capabilities<'_>) -> Self {
        #[derive(Deserialize)]
        struct Elicitation {
            form: Option<IgnoredObject>,
            url: Option<IgnoredObject>,
        }
        let elicitation = capabilities.elicitation.map(|raw| raw.get().as_bytes());
        match elicitation.and_then(object) {
            Some(Elicitation { form, url }) => {
                Self { form: form.is_some() || url.is_none(), url: url.is_some() }
            }
            None => Self::NONE,
        }
    }
}

#[derive(Deserialize)]
struct Capabilities<'a> {
    #[serde(borrow)]
    elicitation: Option<&'a RawValue>,
}

/// An object with any members: what an array is not.
#[derive(Deserialize)]
#[serde(try_from = "&RawValue")]
struct IgnoredObject;

impl TryFrom<&RawValue> for IgnoredObject {
    type Error = Foreign;

    fn try_from(text: &RawValue) -> Result<Self, Foreign> {
        if text.get().starts_with('{') { Ok(Self) } else { Err(Foreign) }
    }
}

// === impl Question ===

impl Question<'_> {
    /// The text of `elicitation/create`'s params. `page` names the page where the revision wants it
    /// named (2025-11-25).
    pub fn params(&self, way: Way, page: Option<&str>) -> String {
        let message = self.message(way);
        match way {
            Way::Form => json(&Form {
                message: &message,
                requested_schema: Schema {
                    kind: "object",
                    properties: Properties {
                        approve: Field {
                            kind: "boolean",
                            title: "Approve this call",
                            description: "Yes lets exactly this call through, once.",
                            default: false,
                        },
                    },
                    required: ["approve"],
                },
            }),
            Way::Page => json(&Page {
                mode: "url",
                url: self.hold.approval_url.as_deref().unwrap_or_default(),
                elicitation_id: page,
                message: &message,
            }),
        }
    }

    fn message(&self, way: Way) -> String {
        let tool = excerpt(self.tool, TOOL_SHOWN);
        let rule = match (self.grounds.rule_ids.first(), &self.grounds.policy) {
            (Some(rule), Some(policy)) => format!("rule {rule} of policy {}", policy.id),
            (Some(rule), None) => format!("rule {rule}"),
            (None, Some(policy)) => format!("policy {}", policy.id),
            (None, None) => "the policy".to_owned(),
        };
        let rule = excerpt(&rule, RULE_SHOWN);
        let why = match self.grounds.reason.as_deref().map(|reason| reason.trim_end_matches('.')) {
            Some(reason) if !reason.is_empty() => format!(": {}", excerpt(reason, REASON_SHOWN)),
            _ => String::new(),
        };
        let arguments = excerpt(self.arguments, ARGUMENTS_SHOWN);
        match way {
            Way::Form => format!(
                "Let the agent run `{tool}`? By {rule}, a person must approve it{why}. \
                 Arguments: {arguments}"
            ),
            Way::Page => format!(
                "The agent wants to run `{tool}`. By {rule}, a person must approve it{why}. \
                 Open the page to approve or deny it. Arguments: {arguments}"
            ),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    message: &'a str,
    requested_schema: Schema,
}

#[derive(Serialize)]
struct Schema {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: Properties,
    required: [&'static str; 1],
}

#[derive(Serialize)]
struct Properties {
    approve: Field,
}

#[derive(Serialize)]
struct Field {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    description: &'static str,
    default: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    mode: &'static str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    elicitation_id: Option<&'a str>,
    message: &'a str,
}

/// The request of the handshake era. `name` is its id, without quotes.
pub fn create(name: &str, params: &str) -> Bytes {
    let text = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"{name}\",\"method\":\"elicitation/create\",\"params\":{params}}}\n"
    );
    text.into()
}

/// Takes such a request back.
pub fn cancelled(name: &str) -> Bytes {
    let text = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":\"{name}\",\
         \"reason\":\"no answer is needed any more\"}}}}\n"
    );
    text.into()
}

/// Tells the client that what was to be done on a page is done (2025-11-25).
pub fn completed(page: &str) -> Bytes {
    let text = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/elicitation/complete\",\
         \"params\":{{\"elicitationId\":\"{page}\"}}}}\n"
    );
    text.into()
}

/// What a client's line answers to such a request.
///
/// # Errors
///
/// [`Foreign`] for what is no answer to it.
pub fn answer(line: &[u8], way: Way) -> Result<Word, Foreign> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        error: Option<IgnoredAny>,
    }
    match object(line) {
        Some(Line { result: Some(result), error: None }) => word(result.get().as_bytes(), way),
        Some(Line { result: None, error: Some(_) }) => Ok(Word::Unsupported),
        Some(Line { .. }) | None => Err(Foreign),
    }
}

/// What the text of an elicitation's result says.
///
/// # Errors
///
/// [`Foreign`] for what is no such result.
pub fn word(result: &[u8], way: Way) -> Result<Word, Foreign> {
    #[derive(Deserialize)]
    struct Elicited<'a> {
        #[serde(borrow)]
        action: Cow<'a, str>,
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Content {
        approve: bool,
    }
    let Elicited { action, content } = object(result).ok_or(Foreign)?;
    match (&*action, way) {
        ("accept", Way::Page) => Ok(Word::Open),
        ("accept", Way::Form) => {
            let content = content.ok_or(Foreign)?.get().as_bytes();
            let Content { approve } = object(content).ok_or(Foreign)?;
            Ok(if approve { Word::Agree } else { Word::Deny })
        }
        ("decline", Way::Form) => Ok(Word::Deny),
        ("decline", Way::Page) => Ok(Word::Decline),
        ("cancel", _) => Ok(Word::Dismiss),
        _ => Err(Foreign),
    }
}

/// Whether a person may be sent to this address: over TLS, or to this machine.
fn is_page(url: &str) -> bool {
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return false;
    }
    let authority =
        |rest: &'_ str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    if let Some(rest) = url.strip_prefix("https://") {
        let authority = authority(rest);
        return !authority.is_empty() && !authority.contains('@');
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = authority(rest);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &authority,
    };
    let is_loopback = || {
        let parts: Vec<_> = host.split('.').collect();
        let is_byte = |part: &&str| {
            part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse::<u8>().is_ok()
        };
        parts.len() == 4 && parts[0] == "127" && parts.iter().all(is_byte)
    };
    host == "localhost" || host == "[::1]" || is_loopback()
}

/// Reads an object. Left to itself, serde takes an array for one, too.
fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    let is_object = text.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(text).ok()).flatten()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|_| unreachable!("strings and booleans always serialize"))
}

#[cfg(test)]
mod tests;
