//! What becomes of a server behind an address, when thoth takes its client's place: the flags that
//! `thoth run` is told, and where each credential goes. Pure.
//!
//! # Invariants
//!
//! - No secret gets among the flags, not as a part of the address either. What may be one is one.
//! - What the entry demands is done or refused: no header is lost but those that the transport sets.

mod header;
mod placeholder;
#[cfg(test)]
mod tests;

use self::header::Kind;
pub use self::header::is_movable;
use self::placeholder::Filling;
use super::document::{Address, Bridge, Hole, Kept, Wrapping};
use crate::config::variables::UPSTREAM_TOKEN;

/// What is to be done for one server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The flags, each with its values, in the order in which they are written.
    pub flags: Vec<(&'static str, Vec<String>)>,
    /// Variables for the entry. Their values are placeholders, which the client fills.
    pub env: Vec<(String, String)>,
    /// Variables of the client's own that it is to hand on.
    pub passed: Vec<String>,
    /// Secrets that stand in the entry as they are. They need another place.
    pub secrets: Vec<Kept>,
    /// How thoth is to prove itself to the server.
    pub proof: Proof,
}

/// How thoth proves itself to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// With what the entry has: a variable, a file, a command.
    Given,
    /// The entry has nothing: the server may want nothing, or a login.
    Nothing,
    /// The client logs in to the server itself. Only a login of thoth's own can take its place.
    Login,
}

/// Where secrets of an entry are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vault {
    /// The file with the token.
    pub token: String,
    /// The file with the other headers, one on each line.
    pub headers: String,
}

/// What is to be done for a server of this client.
///
/// # Errors
///
/// Why it must stay as it is, and what can be done about it. No value of the entry but a host.
pub fn plan(client: &str, address: &Address) -> Result<Plan, String> {
    plan_filled(client, Filling::of(client), address)
}

/// The same for an entry that may be of any client's: what any of them would fill in is left for it
/// to fill in.
///
/// # Errors
///
/// As [`plan`].
pub fn plan_anywhere(address: &Address) -> Result<Plan, String> {
    plan_filled("any", Filling::Any, address)
}

fn plan_filled(client: &str, filling: Filling, address: &Address) -> Result<Plan, String> {
    check_url(&address.url, filling)?;
    let mut plan = Plan {
        flags: vec![("--url", vec![address.url.clone()])],
        env: Vec::new(),
        passed: Vec::new(),
        secrets: Vec::new(),
        proof: Proof::Nothing,
    };
    let transport = transport(client, address)?;
    plan.flags.extend(transport.map(|transport| ("--transport", vec![transport.to_owned()])));

    let mut open = Vec::new();
    let mut variables = Vec::new();
    for (name, value) in &address.headers {
        match header::kind(client, filling, name, value)? {
            Kind::Ours => {}
            Kind::Plain => open.push(format!("{name}: {value}")),
            Kind::Token(token) => {
                plan.add_variable(address, UPSTREAM_TOKEN.name.to_owned(), token)?;
            }
            Kind::TokenOf(variable) => {
                plan.flags.push(("--upstream-token-env", vec![variable]));
            }
            Kind::Filled(value) => {
                let variable = header::variable(name);
                variables.push(format!("{name}={variable}"));
                plan.add_variable(address, variable, value)?;
            }
            Kind::FilledOf(variable) => variables.push(format!("{name}={variable}")),
            Kind::SecretToken(secret) => {
                let hole = Hole { header: None };
                plan.secrets.push(Kept { header: name.clone(), hole, secret });
            }
            Kind::Secret(secret) => {
                let hole = Hole { header: Some(name.clone()) };
                plan.secrets.push(Kept { header: name.clone(), hole, secret });
            }
        }
    }
    if let Some(variable) = &address.token_variable {
        if plan.has_token() {
            return Err("it has two tokens".to_owned());
        }
        plan.flags.push(("--upstream-token-env", vec![variable.clone()]));
        plan.passed.push(variable.clone());
    }
    for (name, variable) in &address.header_variables {
        header::check(name)?;
        variables.push(format!("{name}={variable}"));
        if !plan.passed.contains(variable) {
            plan.passed.push(variable.clone());
        }
    }
    plan.flags.extend([("--upstream-header", open), ("--upstream-header-env", variables)]);
    if let Some(helper) = &address.helper {
        if header::looks_secret(helper) {
            return Err("its `headersHelper` seems to hold a secret".to_owned());
        }
        if plan.secrets.iter().any(|kept| kept.hole.header.is_some()) {
            return Err("it has headers of a command and secret ones beside them".to_owned());
        }
        let line = serde_json::json!(["sh", "-c", helper]).to_string();
        plan.flags.push(("--upstream-headers-command", vec![line]));
    }
    plan.flags.retain(|(_, values)| !values.is_empty());
    plan.proof = match (plan.has_credential(), &address.login) {
        (true, _) => Proof::Given,
        (false, Some(_)) => Proof::Login,
        (false, None) => Proof::Nothing,
    };
    Ok(plan)
}

/// The name of the login that goes with a server of this name: as `thoth auth login` takes it.
pub fn login(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '-' | '_' | '.') => letter,
        _ => '-',
    };
    let name: String = name.chars().map(letter).take(64).collect();
    let name = name.trim_start_matches(['-', '_', '.']);
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

/// The host of an address, for people. The rest may be secret.
pub fn host(url: &str) -> String {
    let plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-_:[]".contains(&b));
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '\\', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        (plain(scheme) && plain(host) && !host.is_empty()).then_some((scheme, host))
    });
    match parts {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => "an address that is not written out".to_owned(),
    }
}

/// What the entry, or its client, says of the transport; `None` where it is to be found out.
fn transport(client: &str, address: &Address) -> Result<Option<&'static str>, String> {
    Ok(match address.kind.as_deref() {
        Some("sse") => Some("sse"),
        Some(kind) if kind == "http" || kind.starts_with("streamable") => Some("http"),
        Some("ws" | "websocket") => {
            return Err("it is reached by WebSocket, which thoth does not speak".to_owned());
        }
        // Gemini CLI, and Qwen Code after it: which member has the address says it.
        _ if matches!(client, "gemini" | "qwen") => match address.member.as_str() {
            "httpUrl" => Some("http"),
            "url" => Some("sse"),
            _ => None,
        },
        _ => None,
    })
}

/// Whether `thoth run` would take an address, and nothing in it needs to be hidden.
fn check_url(url: &str, filling: Filling) -> Result<(), String> {
    let blank = filling.blank(url);
    let is_open = |part: &str| part.contains(placeholder::BLANK);
    if is_open(&blank) && !filling.is_known() {
        return Err("its client is not known to fill in what its address leaves open".to_owned());
    }
    let (scheme, rest) = match blank.split_once("://") {
        Some((scheme, rest)) if !is_open(scheme) => (Some(scheme), rest),
        Some((_, rest)) => (None, rest),
        None if blank.starts_with(placeholder::BLANK) => (None, blank.as_str()),
        None => return Err("its address is none".to_owned()),
    };
    let (place, query) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let path = &place[authority.len()..];
    let secret = "its address seems to hold a secret, which would stand among the arguments where \
                  everybody on this machine can see it; give it in a header";
    let open = filling.all(url);
    if authority.contains('@')
        || is_open(query)
        || [path, query].into_iter().any(header::looks_secret)
        || open.iter().any(|open| header::is_secret_name(open) || header::looks_secret(open))
    {
        return Err(secret.to_owned());
    }
    if url.contains('#') {
        return Err("its address has a fragment".to_owned());
    }
    let bare = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
    });
    let is_here = bare.eq_ignore_ascii_case("localhost")
        || bare.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("https") if !bare.is_empty() => Ok(()),
        Some("https") => Err("its address is none".to_owned()),
        Some("http") if is_here || is_open(bare) => Ok(()),
        Some("http") => Err(format!(
            "reached at {}, without TLS on another machine, which thoth refuses; use https",
            host(url)
        )),
        Some("unix" | "pipe") => {
            Err("reached by a socket of this machine, which thoth cannot speak to".to_owned())
        }
        Some(_) => Err(format!("reached at {}, which is not https", host(url))),
        None => Ok(()),
    }
}

// === impl Plan ===

impl Plan {
    /// Puts the secrets into files: the flags that name them, and what each holds, by its path.
    pub fn keep(&mut self, vault: &Vault) -> Vec<(String, String)> {
        let token = self.secrets.iter().find(|kept| kept.hole.header.is_none());
        let lines = self.secrets.iter().filter_map(|kept| {
            let header = kept.hole.header.as_ref()?;
            Some(format!("{header}: {}\n", kept.secret))
        });
        let (token, lines) = (token.map(|kept| format!("{}\n", kept.secret)), lines.collect());
        let mut files = Vec::new();
        if let Some(token) = token {
            self.flags.push(("--upstream-token-file", vec![vault.token.clone()]));
            files.push((vault.token.clone(), token));
        }
        let lines: String = lines;
        if !lines.is_empty() {
            self.flags.push(("--upstream-header-file", vec![vault.headers.clone()]));
            files.push((vault.headers.clone(), lines));
        }
        files
    }

    /// The flags as they stand on a command line.
    pub fn words(&self) -> Vec<String> {
        let pairs = self.flags.iter().flat_map(|(flag, values)| {
            values.iter().flat_map(|value| [(*flag).to_owned(), value.clone()])
        });
        pairs.collect()
    }

    /// What an entry is wrapped with, for this program and these other flags and variables.
    pub fn wrapping(
        self,
        program: String,
        flags: Vec<String>,
        mut env: Vec<(String, String)>,
    ) -> Wrapping {
        let needs = self.env.iter().map(|(name, _)| name.clone()).collect();
        env.extend(self.env);
        let bridge = Bridge { kept: self.secrets, passed: self.passed, needs };
        Wrapping { program, flags, env, bridge }
    }

    fn add_variable(
        &mut self,
        address: &Address,
        name: String,
        value: String,
    ) -> Result<(), String> {
        let is_taken = address.env.iter().any(|taken| taken.eq_ignore_ascii_case(&name));
        if is_taken || self.env.iter().any(|(taken, _)| *taken == name) {
            return Err(format!("its environment has {name} already, which thoth needs"));
        }
        self.env.push((name, value));
        Ok(())
    }

    fn has_token(&self) -> bool {
        self.env.iter().any(|(name, _)| name == UPSTREAM_TOKEN.name)
            || self.flags.iter().any(|(name, _)| *name == "--upstream-token-env")
            || self.secrets.iter().any(|kept| kept.hole.header.is_none())
    }

    fn has_credential(&self) -> bool {
        let is_credential = |(name, _): &(&str, _)| {
            ["--upstream-header-env", "--upstream-headers-command"].contains(name)
        };
        self.has_token() || !self.secrets.is_empty() || self.flags.iter().any(is_credential)
    }
}
