//! What an entry says of a server behind a URL: the address, and what is sent along.

use super::Candidate;
use super::govern::Flaw;
use super::secrets::{has_reference, is_secret_name, looks_like_token};
use crate::clients::document::Value;

/// The variable with the token for a server behind a URL, as `thoth run` reads it.
const TOKEN: &str = "THOTH_UPSTREAM_TOKEN";

/// Members of an entry that mean something only where the client itself sends requests.
pub(super) const REMOTE_ONLY: [&str; 18] = [
    "url",
    "httpUrl",
    "serverUrl",
    "serverURL",
    "uri",
    "headers",
    "headersHelper",
    "requestOptions",
    "oauth",
    "auth",
    "authProviderType",
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

/// Reads it.
///
/// # Errors
///
/// [`Flaw`]: a literal secret, or more than one header with a reference.
pub(super) fn reach(candidate: &Candidate) -> Result<Reach, Flaw> {
    let value = &candidate.value;
    let mut reach = Reach::default();
    let word = |name: &str| value.get(name).and_then(Value::text);
    let kind = ["type", "transport", "transportType"].iter().find_map(|name| word(name));
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("sse")) {
        reach.flags.extend(["--transport".to_owned(), "sse".to_owned()]);
    }
    if let Some(command) = word("headersHelper") {
        reach.flags.extend(["--upstream-headers-command".to_owned(), command.to_owned()]);
    }
    let mut carrier = None;
    for name in ["bearer_token_env_var", "bearerTokenEnvVar"] {
        if let Some(variable) = word(name) {
            carrier = Some(name.to_owned());
            reach.flags.extend(["--upstream-token-env".to_owned(), variable.to_owned()]);
            reach.pass.push(variable.to_owned());
        }
    }
    for (header, variable) in value.get("env_http_headers").map_or(&[][..], Value::members) {
        let Some(variable) = variable.text() else { continue };
        claim(&mut carrier, header)?;
        reach.flags.extend(header_flags(header));
        reach.flags.extend(["--upstream-token-env".to_owned(), variable.to_owned()]);
        reach.pass.push(variable.to_owned());
    }
    for member in ["headers", "http_headers"] {
        for (header, said) in value.get(member).map_or(&[][..], Value::members) {
            let Some(text) = said.text() else {
                return Err(Flaw::Odd(format!("the header {header} is not a string")));
            };
            if has_reference(text) {
                claim(&mut carrier, header)?;
                let is_authorization = header.eq_ignore_ascii_case("authorization");
                let token = match text.split_once(' ') {
                    Some((scheme, token))
                        if is_authorization && scheme.eq_ignore_ascii_case("bearer") =>
                    {
                        token.trim()
                    }
                    _ => {
                        reach.flags.extend(header_flags(header));
                        text
                    }
                };
                reach.env.push((TOKEN.to_owned(), Value::Text(token.to_owned())));
            } else if is_secret_name(header) || looks_like_token(text) {
                return Err(Flaw::Literal(format!("its header {header}")));
            } else {
                reach.flags.extend(["--upstream-header".to_owned(), format!("{header}: {text}")]);
            }
        }
    }
    Ok(reach)
}

/// The header that carries the secret, which is sent as it is.
fn header_flags(header: &str) -> [String; 4] {
    ["--upstream-auth-header", header, "--upstream-auth-scheme", "none"].map(str::to_owned)
}

/// There is one token for one server.
fn claim(carrier: &mut Option<String>, header: &str) -> Result<(), Flaw> {
    match carrier.replace(header.to_owned()) {
        None => Ok(()),
        Some(other) => Err(Flaw::Odd(format!(
            "it is sent two secrets, {other} and {header}; thoth can send one"
        ))),
    }
}
