//! The enforcer's approvals: listed page by page, and resolved.
//!
//! `GET /{tenant}/thoth/approvals?status=pending&page&per_page` and
//! `POST /{tenant}/thoth/approvals/{id}/resolve`, with the names of the public Terraform provider.

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::super::exit;
use super::waiting::{Place, Waiting, scrubbed};
use crate::config::settings::{Config, Tls};
use crate::credential::{Credential, NoCredential};
use crate::desk::wire::Decision;
use crate::enforcer::EnforcerError;
use crate::friction::report::text::{cut, visible};
use crate::friction::scrub::Scrubber;
use crate::https::{Limits, Line, Outcome, Reply, base, segment};
use crate::machine::clock;
use crate::tls;

/// How many are asked for at once.
const PAGE: usize = 100;
/// How many pages are asked for: more than anybody reads.
const PAGES: usize = 50;
/// The longest answer that is read, in bytes: a page of arguments, each bounded by the enforcer.
const LONGEST: usize = 32 * 1024 * 1024;
/// The longest sentence of an enforcer that is repeated, in characters.
const SENTENCE: usize = 300;

/// The enforcer, as somebody who answers approvals.
pub(super) struct Keeper {
    line: Line,
    /// `/TENANT/thoth/approvals`.
    root: String,
    credential: Option<Credential>,
}

/// Why there is no enforcer to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Enforcer(#[from] EnforcerError),
    #[error("approvals belong to a tenant; give --tenant-id or THOTH_TENANT_ID")]
    NoTenant,
}

/// Why the enforcer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{}", visible(.0))]
    Lost(String),
    #[error("the enforcer is not trusted: {}", visible(.0))]
    Distrusted(String),
    #[error("there is no key to ask the enforcer with")]
    NoKey(#[source] NoCredential),
    #[error("the enforcer says no ({status}){}", said(.message.as_deref()))]
    Refused { status: StatusCode, message: Option<String> },
    #[error("the enforcer answered something that is no answer")]
    Unreadable(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Pending>,
    #[serde(default)]
    total: usize,
}

/// One approval on the wire. Enforcers differ in some names.
#[derive(Deserialize)]
struct Pending {
    id: String,
    #[serde(default)]
    agent_id: Option<String>,
    server: Option<String>,
    mcp_server: Option<String>,
    #[serde(default)]
    tool_name: Option<String>,
    arguments: Option<Box<RawValue>>,
    tool_args: Option<Box<RawValue>>,
    user_id: Option<String>,
    rule_ids: Option<Vec<String>>,
    matched_rule_ids: Option<Vec<String>>,
    reason: Option<String>,
    status: Option<String>,
    self_approval: Option<bool>,
    created_at: Option<String>,
    expires_at: Option<String>,
}

/// The body of a refusal, of the public REST reference.
#[derive(Deserialize)]
struct Refusal {
    error: Complaint,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

fn said(message: Option<&str>) -> String {
    let message = message.map(visible);
    message.map(|message| format!(": {}", cut(&message, SENTENCE))).unwrap_or_default()
}

// === impl Keeper ===

impl Keeper {
    /// The configured enforcer; `None` where none is. Connects to nobody yet.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, Unusable> {
        let Some(settings) = &config.enforcer else { return Ok(None) };
        let tenant = config.identity.tenant_id.as_deref().ok_or(Unusable::NoTenant)?;
        let url = base(&settings.url).map_err(EnforcerError::Address)?;
        let tls = if url.scheme_str() == Some("https") {
            tls::client_config(&config.tls)
        } else if config.tls.pins.is_empty() {
            // No handshake will ask for roots, and there may be none to load.
            tls::client_config(&Tls { unverified: true, ..Tls::default() })
        } else {
            return Err(EnforcerError::PinsWithoutTls.into());
        };
        let tls = tls.map_err(EnforcerError::Tls)?;
        let limits = Limits {
            time: settings.timeout,
            connect: settings.connect_timeout,
            answer: LONGEST,
            in_flight: 1,
        };
        Ok(Some(Self {
            line: Line::new("the enforcer", url, tls, limits, clock::now),
            root: format!("/{}/thoth/approvals", segment(tenant)),
            credential: settings.api_key.clone(),
        }))
    }

    /// What waits there.
    pub(super) async fn waiting(&self, scrubber: &Scrubber) -> Result<Vec<Waiting>, Trouble> {
        let mut waiting: Vec<Waiting> = Vec::new();
        for number in 1..=PAGES {
            let path = format!("{}?status=pending&page={number}&per_page={PAGE}", self.root);
            let body = self.exchange(Method::GET, &path, Bytes::new()).await?;
            let page: Page = serde_json::from_slice(&body).map_err(Trouble::Unreadable)?;
            let (total, count) = (page.total, page.data.len());
            let pending = page.data.into_iter().filter(Pending::is_pending);
            for one in pending.map(|one| one.waiting(scrubber)) {
                // Pages move while they are read.
                if !waiting.iter().any(|known| known.id == one.id) {
                    waiting.push(one);
                }
            }
            if count == 0 || number * PAGE >= total {
                break;
            }
        }
        Ok(waiting)
    }

    /// Answers one.
    pub(super) async fn resolve(
        &self,
        id: &str,
        decision: Decision,
        note: Option<String>,
    ) -> Result<(), Trouble> {
        let path = format!("{}/{}/resolve", self.root, segment(id));
        let mut body = json!({ "decision": decision });
        if let Some(note) = note {
            body["note"] = note.into();
        }
        self.exchange(Method::POST, &path, body.to_string().into()).await.map(drop)
    }

    /// One request, and its answer's body. After a 401 a newer key is tried, once: nothing was done.
    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Trouble> {
        let deadline = Instant::now() + self.line.timeout();
        let late = || Trouble::Lost("the key for the enforcer cannot be read in time".to_owned());
        let mut key = match &self.credential {
            None => None,
            Some(credential) => {
                let current = timeout_at(deadline, credential.current()).await;
                let current = current.map_err(|_| late())?.map_err(Trouble::NoKey)?;
                Some((credential, current))
            }
        };
        let mut is_retry = false;
        loop {
            let headers = key.as_ref().map(|(_, key)| {
                let api_key = HeaderName::from_static("x-api-key");
                let (bearer, key) = (key.secret.authorization(), key.secret.api_key());
                HeaderMap::from_iter([(AUTHORIZATION, bearer), (api_key, key)])
            });
            let outcome = match self.line.place(deadline).await {
                Ok(place) => {
                    let (headers, body) = (headers.unwrap_or_default(), body.clone());
                    let method = method.clone();
                    self.line.exchange(place, method, path, headers, body, deadline).await
                }
                Err(late) => late,
            };
            let Reply { status, body, .. } = match outcome {
                Outcome::Answered(reply) => reply,
                Outcome::Lost(why) => return Err(Trouble::Lost(why)),
                Outcome::Distrusted { why, detail } => {
                    return Err(Trouble::Distrusted(format!("{why} ({detail})")));
                }
            };
            if status == StatusCode::UNAUTHORIZED
                && !is_retry
                && let Some((credential, rejected)) = &key
                && let Some(newer) = credential.after_rejection(rejected.generation, deadline).await
            {
                key = Some((*credential, newer));
                is_retry = true;
                continue;
            }
            let body = body.map_err(|cut| Trouble::Lost(format!("the enforcer: {cut}")));
            if !status.is_success() {
                let refusal = serde_json::from_slice::<Refusal>(&body.unwrap_or_default());
                let message = refusal.ok().map(|refusal| refusal.error.message);
                return Err(Trouble::Refused { status, message });
            }
            return body;
        }
    }
}

// === impl Pending ===

impl Pending {
    fn is_pending(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status == "pending")
    }

    fn waiting(self, scrubber: &Scrubber) -> Waiting {
        let arguments = self.arguments.or(self.tool_args).unwrap_or_default();
        let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        Waiting {
            place: Place::Enforcer,
            id: self.id,
            agent_id: self.agent_id.unwrap_or_default(),
            server: self.server.or(self.mcp_server).unwrap_or_default(),
            tool_name: self.tool_name.unwrap_or_default(),
            arguments: scrubbed(scrubber, arguments.get()),
            user_id: self.user_id,
            rule_ids: self.rule_ids.or(self.matched_rule_ids).unwrap_or_default(),
            reason: self.reason,
            self_approval: self.self_approval,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
        }
    }
}

// === impl Trouble ===

impl Trouble {
    /// What to exit with: whether there was an answer, and it was no.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { status, .. } if status.is_client_error() => exit::NO,
            Self::Refused { .. }
            | Self::Lost(_)
            | Self::Distrusted(_)
            | Self::NoKey(_)
            | Self::Unreadable(_) => exit::UNAVAILABLE,
        }
    }
}
