//! What an entry says of a server behind a URL: read and turned into flags as `wrap-config` does it
//! ([`remote`]), but that nothing is moved anywhere.

use std::collections::BTreeSet;

use super::Candidate;
use super::govern::Flaw;
use super::secrets::{is_secret_name, looks_like_token};
use crate::clients::document::{Address, Document, Shape, Syntax, Value};
use crate::clients::remote::{self, Proof};

/// Members of an entry that mean something only where the client itself sends requests.
pub(super) const REMOTE_ONLY: [&str; 22] = [
    "url",
    "httpUrl",
    "serverUrl",
    "serverURL",
    "uri",
    "headers",
    "headersHelper",
    "requestOptions",
    "oauth",
    "oauth_resource",
    "oauthScopes",
    "auth",
    "authProviderType",
    "targetAudience",
    "targetServiceAccount",
    "bearer_token_env_var",
    "bearerTokenEnvVar",
    "http_headers",
    "env_http_headers",
    "scopes",
    "transport",
    "transportType",
];

/// What `thoth run` is told of a server behind a URL.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Flags, without `--url`.
    pub(super) flags: Vec<String>,
    /// Variables of the entry, with references as the client writes them.
    pub(super) env: Vec<(String, Value)>,
    /// Names of variables that the client is to hand on.
    pub(super) pass: Vec<String>,
}

/// Reads it. Where it names no credential, a login of the server's name is used if `logins` has one.
///
/// # Errors
///
/// [`Flaw`]: a literal secret, or something that thoth cannot follow.
pub(super) fn reach(candidate: &Candidate, logins: &BTreeSet<String>) -> Result<Reach, Flaw> {
    let mut plan = remote::plan_anywhere(&address(candidate)?).map_err(Flaw::Odd)?;
    for kept in std::mem::take(&mut plan.secrets) {
        // What only may be one is none here: it would stop a launch for a version number.
        if is_secret_name(&kept.header) || looks_like_token(&kept.secret) {
            return Err(Flaw::Literal(format!("its header {}", kept.header)));
        }
        let header = format!("{}: {}", kept.header, kept.secret);
        plan.flags.push(("--upstream-header", vec![header]));
    }
    plan.flags.retain(|(flag, _)| *flag != "--url");
    let login = remote::login(&candidate.name);
    if plan.proof != Proof::Given && logins.contains(&login) {
        plan.flags.push(("--upstream-login", vec![login]));
    }
    Ok(Reach {
        flags: plan.words(),
        env: plan.env.into_iter().map(|(name, value)| (name, Value::Text(value))).collect(),
        pass: plan.passed,
    })
}

/// What the entry says, read as in a file of its own.
fn address(candidate: &Candidate) -> Result<Address, Flaw> {
    let odd = |why: &str| Flaw::Odd(why.to_owned());
    let shape = Shape { syntax: Syntax::Json, servers: &[&["servers"]], ..*candidate.shape };
    let entry = Value::Map(vec![("it".to_owned(), candidate.value.clone())]);
    let file = Value::Map(vec![("servers".to_owned(), entry)]);
    let file =
        Document::read(file.json().as_bytes(), &shape).map_err(|why| odd(&why.to_string()))?;
    let address = file.address(0).ok_or_else(|| odd("it has no address"))?;
    let mut address = address.map_err(Flaw::Odd)?;
    // A launch's own variables go before the entry's.
    address.env.clear();
    let word = |name: &&str| candidate.value.get(name).and_then(Value::text);
    if address.kind.is_none() {
        let kind = ["transport", "transportType"].iter().find_map(word);
        address.kind = kind.map(str::to_ascii_lowercase);
    }
    if address.token_variable.is_none() {
        address.token_variable = word(&"bearerTokenEnvVar").map(str::to_owned);
    }
    Ok(address)
}
