//! What the search for credentials may touch: the variables that were read at the start, files, and
//! the network over our own lines.
//!
//! Searched in the order of AWS's own tools: variables, `~/.aws/credentials` and `~/.aws/config`, single
//! sign-on, web identity, a process, the container's and the machine's metadata service.
//!
//! # Invariants
//!
//! - Plain HTTP goes to this machine and to its metadata services only, which are link-local.
//! - A file is read up to [`MAX_FILE`], an answer up to [`MAX_ANSWER`], and nothing outlasts
//!   [`TIME`].
//! - A program that a profile names (`credential_process`) sees none of thoth's variables.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response, Uri};
use jiff::Timestamp;
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Env, Error, FileRead, HttpSend, Result,
};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::super::tls_for;
use crate::config::ambient::Ambient;
use crate::config::settings::Tls;
use crate::https::{Limits, Line, Outcome};
use crate::sink::SinkError;
use crate::tls::ClientConfig;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// The longest that one question, or one program, may take.
const TIME: Duration = Duration::from_secs(5);
/// The longest that connecting may take: most machines have no metadata service.
const CONNECT: Duration = Duration::from_secs(1);

/// Where credentials are looked for.
pub(super) fn context(
    ambient: &Ambient,
    tls: &Tls,
    clock: fn() -> Timestamp,
) -> std::result::Result<Context, SinkError> {
    let network = Network { encrypted: tls_for(true, tls)?, plain: tls_for(false, tls)?, clock };
    Ok(Context::new()
        .with_file_read(Disk)
        .with_http_send(network)
        .with_command_execute(Programs(ambient.clone()))
        .with_env(Variables(ambient.clone())))
}

/// Another place than AWS, where one is named.
pub(super) fn endpoint(ambient: &Ambient) -> Option<&str> {
    ambient.get("AWS_ENDPOINT_URL_S3").or_else(|| ambient.get("AWS_ENDPOINT_URL"))
}

/// The region: of the variables, of the profile, or the one that S3 began with.
pub(super) fn region(ambient: &Ambient) -> String {
    let of_variables = ambient.get("AWS_REGION").or_else(|| ambient.get("AWS_DEFAULT_REGION"));
    let region = of_variables.map(str::to_owned).or_else(|| {
        let path = match ambient.get("AWS_CONFIG_FILE") {
            Some(path) => path.into(),
            None => home(ambient)?.join(".aws/config"),
        };
        let text = String::from_utf8(read(path).ok()?).ok()?;
        region_of(&text, ambient.get("AWS_PROFILE").unwrap_or("default")).map(str::to_owned)
    });
    // It becomes part of a host name.
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    region.filter(|region| region.bytes().all(is_label)).unwrap_or_else(|| "us-east-1".to_owned())
}

/// What a section of `~/.aws/config` says of the region.
fn region_of<'a>(config: &'a str, profile: &str) -> Option<&'a str> {
    let mut is_here = false;
    for line in config.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let title = title.trim();
            is_here = title.strip_prefix("profile ").unwrap_or(title).trim() == profile;
        } else if let Some((name, value)) = line.split_once('=')
            && is_here
            && name.trim() == "region"
        {
            return Some(value.trim());
        }
    }
    None
}

fn home(ambient: &Ambient) -> Option<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    ambient.get(name).map(PathBuf::from)
}

fn read(path: PathBuf) -> std::io::Result<Vec<u8>> {
    if !path.is_file() {
        return Err(std::io::ErrorKind::NotFound.into()); // a pipe might never say anything
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(text)
}

/// The library's own type of this kind prints what they hold.
#[derive(Debug)]
struct Variables(Ambient);

impl Env for Variables {
    fn var(&self, key: &str) -> Option<String> {
        self.0.get(key).map(str::to_owned)
    }

    fn vars(&self) -> HashMap<String, String> {
        self.0.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        home(&self.0)
    }
}

#[derive(Debug)]
struct Disk;

impl FileRead for Disk {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        read(path.into()).map_err(|error| Error::config_invalid(format!("{path}: {error}")))
    }
}

#[derive(Debug)]
struct Network {
    encrypted: ClientConfig,
    plain: ClientConfig,
    clock: fn() -> Timestamp,
}

impl HttpSend for Network {
    async fn http_send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let (head, body) = request.into_parts();
        let scheme = head.uri.scheme_str().unwrap_or_default();
        let host = head.uri.host().unwrap_or_default();
        let tls = match scheme {
            "https" => self.encrypted.clone(),
            "http" if is_near(host) => self.plain.clone(),
            _ => return Err(Error::request_invalid("plain HTTP leaves this machine")),
        };
        let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
        let to: Uri = format!("{scheme}://{authority}")
            .parse()
            .map_err(|_| Error::request_invalid("no address"))?;
        let limits = Limits { time: TIME, connect: CONNECT, answer: MAX_ANSWER, in_flight: 1 };
        let line = Line::new("the source of credentials", to, tls, limits, self.clock);
        let deadline = Instant::now() + TIME;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let outcome = match line.place(deadline).await {
            Ok(place) => {
                line.exchange(place, head.method, path, head.headers, body, deadline).await
            }
            Err(outcome) => outcome,
        };
        match outcome {
            Outcome::Answered(reply) => {
                let body = reply.body.map_err(|cut| Error::unexpected(cut.to_string()))?;
                let mut response = Response::new(body);
                *response.status_mut() = reply.status;
                Ok(response)
            }
            Outcome::Distrusted { why, .. } => Err(Error::unexpected(why.to_string())),
            Outcome::Lost(why) => Err(Error::unexpected(why).set_retryable(true)),
        }
    }
}

/// Whether a host is this machine, or one of the metadata services it may have.
fn is_near(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.segments()[..2] == [0xfd00, 0x0ec2]
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[derive(Debug)]
struct Programs(Ambient);

impl CommandExecute for Programs {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Result<CommandOutput> {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(self.0.iter()).kill_on_drop(true);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let failed = |why: String| Error::unexpected(format!("{program}: {why}"));
        let output = timeout(TIME, command.output()).await;
        let output = output.map_err(|_| failed("it takes too long".to_owned()))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        let status = output.status.code().unwrap_or(-1);
        Ok(CommandOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_near() {
        for (host, is_near_) in [
            ("127.0.0.1", true),
            ("localhost", true),
            ("169.254.169.254", true),
            ("169.254.170.23", true),
            ("[fd00:ec2::254]", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("sts.amazonaws.com", false),
            ("localhost.example", false),
            ("[fd00::1]", false),
            ("", false),
        ] {
            assert_eq!(is_near(host), is_near_, "{host}");
        }
    }

    #[test]
    fn nothing_of_it_prints_a_secret() {
        let ambient = [("AWS_SECRET_ACCESS_KEY", "hush")].into_iter().collect();
        let tls = Tls { unverified: true, ..Tls::default() };
        let context = context(&ambient, &tls, || Timestamp::UNIX_EPOCH).unwrap();
        let printed = format!("{context:?}");
        assert!(
            printed.contains("AWS_SECRET_ACCESS_KEY") && !printed.contains("hush"),
            "{printed}"
        );
        assert_eq!(context.env_var("AWS_SECRET_ACCESS_KEY").as_deref(), Some("hush"));
    }

    #[test]
    fn the_region_of_a_profile() {
        let config = "region = no\n[default]\noutput=json\nregion = eu-west-1\n[profile b]\nregion=eu-north-1";
        assert_eq!(region_of(config, "default"), Some("eu-west-1"));
        assert_eq!(region_of(config, "b"), Some("eu-north-1"));
        assert_eq!(region_of(config, "c"), None);
    }

    #[test]
    fn a_region_that_is_none_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().to_str().unwrap();
        for (text, expected) in
            [("eu-west-1", "eu-west-1"), ("evil.example/", "us-east-1"), ("", "us-east-1")]
        {
            let ambient = [("HOME", here), ("AWS_REGION", text)].into_iter().collect();
            assert_eq!(region(&ambient), expected, "{text}");
        }
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), "[profile x]\nregion = eu-west-3").unwrap();
        let ambient = [("HOME", here), ("USERPROFILE", here), ("AWS_PROFILE", "x")];
        assert_eq!(region(&ambient.into_iter().collect()), "eu-west-3");
    }
}
