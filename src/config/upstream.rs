//! Reads where a server behind a URL is, how it is reached, and what it is shown.
//!
//! Which server is meant stands on the command line only: no variable and no file can turn a
//! wrapped command into something else. A token belongs to one server, so that no file for all of
//! them holds a place where one is.
//!
//! # Invariants
//!
//! - Without `--url` no token is read, and what was said about one is told to have no effect.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap};

use super::address;
use super::credential::{self, Around, Given, Way, Ways};
use super::flags::UpstreamFlags;
use super::headers;
use super::parse::{self, Wrong};
use super::reader::Reader;
use super::settings::{Token, Upstream};
use super::sources::{Origin, Setting};
use super::variables as name;
use super::variables::{Env, Variable};
use crate::credential::{Credential, GRACE};
use crate::secret::SecretHeaders;

/// The longest silence of an answer, where nothing else is said.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_mins(5);

/// What says nothing without `--url`.
const IDLE: [&Variable; 19] = [
    &name::UPSTREAM_TOKEN,
    &name::UPSTREAM_TOKEN_FILE,
    &name::UPSTREAM_TOKEN_ENV,
    &name::UPSTREAM_TOKEN_COMMAND,
    &name::UPSTREAM_TOKEN_KEYCHAIN,
    &name::UPSTREAM_LOGIN,
    &name::BATON_UPSTREAM_AUTH_TOKEN,
    &name::UPSTREAM_HEADER,
    &name::UPSTREAM_HEADER_ENV,
    &name::UPSTREAM_HEADER_FILE,
    &name::UPSTREAM_HEADERS_COMMAND,
    &name::UPSTREAM_AUTH_HEADER,
    &name::UPSTREAM_AUTH_SCHEME,
    &name::UPSTREAM_AUTH_ERROR_CODE,
    &name::UPSTREAM_TRANSPORT,
    &name::UPSTREAM_CREDENTIAL_GRACE,
    &name::UPSTREAM_TIMEOUT,
    &name::BATON_UPSTREAM_TIMEOUT,
    &name::UPSTREAM_PROXY,
];

/// What names the proxy for what is encrypted.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The kinds of proxies there are. Not all can be used; which, is for whoever uses one to say.
const PROXY_KINDS: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// A server, and the files that its secrets come from, which others must be kept from.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) upstream: Option<Upstream>,
    pub(super) files: Vec<PathBuf>,
    /// Whether any server would be reached by the environment's proxy.
    pub(super) proxied: bool,
}

/// The flags that may be given more than once, each as one text.
#[derive(Debug)]
pub(super) struct Joined {
    headers: Option<OsString>,
    header_env: Option<OsString>,
}

pub(super) fn read(
    read: &mut Reader<'_>,
    flags: &UpstreamFlags,
    joined: &Joined,
    around: &Around<'_>,
) -> Told {
    let of_url = Setting::flag_only("--url", flags.url.as_ref(), "-");
    let is_given = read.is_given(of_url);
    let url = read.optional(of_url, address::upstream_url);
    if !is_given {
        tell_of_idle(read, flags);
        let proxied = read.peek(Setting::of(&[&name::UPSTREAM_PROXY]));
        let proxied = proxied.is_some_and(|text| parse::proxied(&text) == Ok(true));
        return Told { upstream: None, files: Vec::new(), proxied };
    }
    if let Some(url) = url.as_ref().filter(|url| url.query().is_some()) {
        let shown = url.to_string();
        let shown = shown.split('?').next().unwrap_or_default();
        read.follows(of_url, &format!("{shown}?…"), Origin::Flag("--url")); // it may hold a secret
    }

    let transport = read.optional(
        Setting::of(&[&name::UPSTREAM_TRANSPORT]).or_flag("--transport", flags.transport.as_ref()),
        parse::transport,
    );
    let grace = read.optional(
        Setting::of(&[&name::UPSTREAM_CREDENTIAL_GRACE])
            .or_flag("--credential-grace", flags.credential_grace.as_ref()),
        parse::grace,
    );
    let grace = grace.unwrap_or(GRACE);
    let Given { credential, file, login } = token(read, flags, around, grace);
    let token = sent(read, flags, credential, login.is_some());
    let headers = headers(read, joined, around.env, token.as_ref());
    let set = set(read, flags, around, grace);
    let files = file.into_iter().chain(set.file).collect();
    let timeout = read.optional(
        Setting::of(&[&name::UPSTREAM_TIMEOUT, &name::BATON_UPSTREAM_TIMEOUT])
            .or_flag("--upstream-timeout", flags.upstream_timeout.as_ref()),
        parse::timeout,
    );
    let proxied = read.optional(
        Setting::of(&[&name::UPSTREAM_PROXY])
            .or_flag("--upstream-proxy", flags.upstream_proxy.as_ref()),
        parse::proxied,
    );
    let proxied = proxied.unwrap_or_default();
    if proxied {
        tell_of_unreadable_proxies(read, around.env);
    }
    let auth_error_code = read.optional(
        Setting::of(&[&name::UPSTREAM_AUTH_ERROR_CODE])
            .or_flag("--upstream-auth-error-code", flags.upstream_auth_error_code.as_ref()),
        parse::error_code,
    );
    let upstream = url.map(|url| Upstream {
        transport: transport.unwrap_or_default(),
        token,
        login,
        secret_headers: set.credential,
        headers,
        timeout: timeout.unwrap_or(UPSTREAM_TIMEOUT),
        proxied,
        auth_error_code,
        ..Upstream::new(url)
    });
    Told { upstream, files, proxied }
}

/// The variables that hold secrets by these settings, whatever they are called: no program that
/// thoth runs is to see them.
pub(super) fn withheld(read: &Reader<'_>, flags: &UpstreamFlags, joined: &Joined) -> Vec<String> {
    let token = read.peek(of_token_env(flags)).map(|name| name.trim().to_owned());
    let entries = read.peek(of_header_env(joined)).unwrap_or_default();
    let of_headers = headers::named(&entries).unwrap_or_default();
    let of_headers = of_headers.into_iter().map(|(_, variable)| variable.to_owned());
    token.into_iter().chain(of_headers).collect()
}

fn of_token_env(flags: &UpstreamFlags) -> Setting<'_> {
    Setting::of(&[&name::UPSTREAM_TOKEN_ENV])
        .or_flag("--upstream-token-env", flags.upstream_token_env.as_ref())
}

fn of_header_env(joined: &Joined) -> Setting<'_> {
    Setting::of(&[&name::UPSTREAM_HEADER_ENV])
        .or_flag("--upstream-header-env", joined.header_env.as_ref())
}

/// The token, or the login in its place.
fn token(
    read: &mut Reader<'_>,
    flags: &UpstreamFlags,
    around: &Around<'_>,
    grace: Duration,
) -> Given {
    let ways = Ways {
        called: "upstream_token",
        each: &[
            (Way::Value, Setting::of(&[&name::UPSTREAM_TOKEN]).secret()),
            (Way::Named, of_token_env(flags)),
            (
                Way::File,
                Setting::of(&[&name::UPSTREAM_TOKEN_FILE])
                    .or_flag("--upstream-token-file", flags.upstream_token_file.as_ref()),
            ),
            (
                Way::Command,
                Setting::of(&[&name::UPSTREAM_TOKEN_COMMAND])
                    .or_flag("--upstream-token-command", flags.upstream_token_command.as_ref()),
            ),
            (
                Way::Keychain,
                Setting::of(&[&name::UPSTREAM_TOKEN_KEYCHAIN])
                    .or_flag("--upstream-token-keychain", flags.upstream_token_keychain.as_ref()),
            ),
            (
                Way::Login,
                Setting::of(&[&name::UPSTREAM_LOGIN])
                    .or_flag("--upstream-login", flags.upstream_login.as_ref()),
            ),
            (Way::Value, Setting::of(&[&name::BATON_UPSTREAM_AUTH_TOKEN]).secret()),
        ],
        key_id: None,
        grace,
    };
    credential::read(read, around, &ways)
}

/// How the token is sent. A login's is always sent as OAuth has it.
fn sent(
    read: &mut Reader<'_>,
    flags: &UpstreamFlags,
    credential: Option<Credential>,
    is_login: bool,
) -> Option<Token> {
    let of_header = Setting::of(&[&name::UPSTREAM_AUTH_HEADER])
        .or_flag("--upstream-auth-header", flags.upstream_auth_header.as_ref());
    let header = read.optional(of_header, headers::name);
    let of_scheme = Setting::of(&[&name::UPSTREAM_AUTH_SCHEME])
        .or_flag("--upstream-auth-scheme", flags.upstream_auth_scheme.as_ref());
    let bearer = read.optional(of_scheme, parse::is_bearer);
    if is_login {
        for setting in [of_header, of_scheme] {
            let origin = read.origin(setting.name);
            if origin != Origin::Default {
                let notice = "is not used: a login's token is sent as `Authorization: Bearer`";
                read.notice(origin, notice);
            }
        }
    }
    Some(Token {
        credential: credential?,
        header: header.unwrap_or(AUTHORIZATION),
        bearer: bearer.unwrap_or(true),
    })
}

/// The headers that stay as they are: those without a secret, and those from variables.
fn headers(read: &mut Reader<'_>, joined: &Joined, env: &Env, token: Option<&Token>) -> HeaderMap {
    let of_plain = Setting::of(&[&name::UPSTREAM_HEADER])
        .or_flag("--upstream-header", joined.headers.as_ref());
    let mut headers = read.optional(of_plain, headers::plain).unwrap_or_default();
    let of_env = of_header_env(joined);
    let named = read.optional(of_env, |text| {
        for (name, variable) in headers::named(text)? {
            let value = env.named(variable).ok_or(UNSET)?;
            let mut value = headers::value_of(&value)?;
            value.set_sensitive(true);
            headers::add(&mut headers, name, value)?;
        }
        Ok(())
    });
    let _ = named; // what came of it is in the headers, or told
    for setting in [of_plain, of_env] {
        let origin = read.origin(setting.name);
        if origin != Origin::Default && !headers.is_empty() {
            let is_env = setting.name == of_env.name;
            let shown = headers.iter().filter(|(_, value)| value.is_sensitive() == is_env);
            let shown: Vec<_> = shown.map(|(header, _)| header.as_str()).collect();
            read.follows(setting, &shown.join(", "), origin);
        }
    }
    if let Some(token) = token.filter(|token| headers.contains_key(&token.header)) {
        let is_env = headers[&token.header].is_sensitive();
        let origin = read.origin(if is_env { of_env.name } else { of_plain.name });
        read.problem(
            origin,
            Wrong::new("has the header that the token is sent in", "leave one of the two out"),
        );
    }
    headers
}

/// The headers that are replaced together.
fn set(
    read: &mut Reader<'_>,
    flags: &UpstreamFlags,
    around: &Around<'_>,
    grace: Duration,
) -> Given<SecretHeaders> {
    let ways = Ways {
        called: "upstream_headers",
        each: &[
            (
                Way::File,
                Setting::of(&[&name::UPSTREAM_HEADER_FILE])
                    .or_flag("--upstream-header-file", flags.upstream_header_file.as_ref()),
            ),
            (
                Way::Command,
                Setting::of(&[&name::UPSTREAM_HEADERS_COMMAND])
                    .or_flag("--upstream-headers-command", flags.upstream_headers_command.as_ref()),
            ),
        ],
        key_id: None,
        grace,
    };
    credential::read(read, around, &ways)
}

/// A flag that has no effect was meant to have one. A variable may be there for others.
fn tell_of_idle(read: &mut Reader<'_>, flags: &UpstreamFlags) {
    for flag in flags.given() {
        read.problem(
            Origin::Flag(flag),
            Wrong::new("has no effect without --url", "give --url URL, or leave it out"),
        );
    }
    let env = read.env();
    for variable in IDLE.into_iter().filter(|variable| env.has(variable)) {
        read.notice(Origin::Variable(variable.name), "has no effect without --url");
    }
}

/// A proxy that nobody can read would be passed by as if there were none.
fn tell_of_unreadable_proxies(read: &mut Reader<'_>, env: &Env) {
    let is_proxy = |text: &OsStr| {
        let uri: Uri = text.to_str()?.parse().ok()?;
        let is_known = uri.scheme_str().is_none_or(|kind| PROXY_KINDS.contains(&kind));
        (is_known && uri.host().is_some_and(|host| !host.is_empty())).then_some(())
    };
    for name in PROXIES {
        if env.of_name(name).is_some_and(|text| !text.is_empty() && is_proxy(text).is_none()) {
            let wrong = Wrong::new("is no address of a proxy", "write `http://HOST:PORT`");
            read.problem(Origin::Variable(name), wrong);
        }
    }
}

/// A variable that is named, and not there.
pub(super) const UNSET: Wrong =
    Wrong::new("names a variable that is not set", "set the variable, or leave this out");

// === impl Joined ===

impl Joined {
    pub(super) fn of(flags: &UpstreamFlags) -> Self {
        let joined =
            |flags: &[OsString], by: &str| (!flags.is_empty()).then(|| flags.join(OsStr::new(by)));
        Self {
            headers: joined(&flags.upstream_header, "\n"),
            header_env: joined(&flags.upstream_header_env, ","),
        }
    }
}
