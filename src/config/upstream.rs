//! Reads where a server behind a URL is, and how it is reached.

use std::time::Duration;

use hyper::header::AUTHORIZATION;

use super::address;
use super::credential::{self, Ways};
use super::flags::UpstreamFlags;
use super::reader::Reader;
use super::settings::{Token, Upstream};
use super::sources::Setting;
use super::variables as name;
use super::variables::Env;
use crate::credential::Revocations;

/// The longest silence of an answer.
pub const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) fn read(
    read: &mut Reader<'_>,
    flags: &UpstreamFlags,
    env: &Env,
    revocations: &Revocations,
) -> Option<Upstream> {
    let url =
        read.optional(Setting::flag_only("--url", flags.url.as_ref(), "-"), address::upstream_url);
    let ways = Ways {
        called: "upstream_token",
        value: Setting::of(&[&name::UPSTREAM_TOKEN]).secret(),
        file: Setting::of(&[&name::UPSTREAM_TOKEN_FILE])
            .or_flag("--upstream-token-file", flags.upstream_token_file.as_ref()),
        command: None,
        key_id: None,
    };
    let token = credential::read(read, env, &ways, revocations).credential;
    let token = token.map(|credential| Token { credential, header: AUTHORIZATION, bearer: true });
    Some(Upstream { token, ..Upstream::new(url?) })
}
