//! `thoth doctor --tls URL`: what a server shows in its handshake, in the form that pins are
//! configured in, and whether thoth would trust it.
//!
//! Makes one handshake and sends nothing else: see [`crate::tls::inspect`].

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use hyper::Uri;
use serde_json::json;

use crate::config::settings::Tls;
use crate::tls::certificate::Certificate;
use crate::tls::inspect::{InspectError, Inspection, inspect};

/// The longest the handshake may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DoctorTlsError {
    /// The argument names no server.
    #[error("`{0}` is not a URL like https://enforce.example.com")]
    Url(String),
    /// No handshake could be looked at.
    #[error(transparent)]
    Inspect(InspectError),
    /// The report could not be written.
    #[error("cannot write the report")]
    Write(#[source] io::Error),
}

/// Looks at the server behind `url` (`https://host[:port]`, or `host[:port]`) and writes what
/// there is to see to `out`: text for people, or one JSON object.
///
/// Takes at most ten seconds. Exit code 0 where thoth would trust the server with these settings,
/// 1 where it would not.
///
/// # Errors
///
/// [`DoctorTlsError`], where there was nothing to look at.
pub async fn run(
    url: &str,
    tls: &Tls,
    json: bool,
    out: &mut impl Write,
) -> Result<ExitCode, DoctorTlsError> {
    let (host, port) = server(url).ok_or_else(|| DoctorTlsError::Url(url.to_owned()))?;
    let inspection = inspect(&host, port, tls, LIMIT).await.map_err(DoctorTlsError::Inspect)?;
    let report =
        Report { server: format!("{host}:{port}"), inspection, unverified: tls.unverified };
    let written = if json { report.write_json(out) } else { report.write_text(out) };
    written.map_err(DoctorTlsError::Write)?;
    Ok(if report.trusted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Report {
    server: String,
    inspection: Inspection,
    unverified: bool,
}

fn server(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    if !matches!(uri.scheme_str(), None | Some("https")) {
        return None;
    }
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

// === impl Report ===

impl Report {
    fn trusted(&self) -> bool {
        (self.unverified || self.inspection.chain_verdict.is_ok()) && self.pinned()
    }

    fn pinned(&self) -> bool {
        let pins = &self.inspection.pins;
        pins.is_empty() || pins.iter().any(|(_, matches)| *matches)
    }

    fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let seen = &self.inspection;
        writeln!(out, "{}", self.server)?;
        let alpn = seen.alpn.as_deref().unwrap_or("nothing");
        writeln!(out, "  {}, {}, {}", seen.version, seen.cipher, seen.group)?;
        writeln!(out, "  application protocol: {alpn}")?;
        for (index, certificate) in seen.chain.iter().enumerate() {
            writeln!(out)?;
            match certificate {
                Some(certificate) => write_certificate(out, index, certificate)?,
                None => writeln!(out, "  {index}  cannot be read as a certificate")?,
            }
        }
        writeln!(out)?;
        match &seen.chain_verdict {
            Ok(()) => writeln!(out, "  chain and name: good")?,
            Err(why) => writeln!(out, "  chain and name: NOT GOOD, {why}")?,
        }
        if self.unverified {
            writeln!(out, "                  (verification is turned off)")?;
        }
        if seen.pins.is_empty() {
            writeln!(out, "  pins: none configured")?;
        }
        for (pin, matches) in &seen.pins {
            let verdict = if *matches { "matches" } else { "does not match" };
            writeln!(out, "  pin {pin}: {verdict}")?;
        }
        let would = if self.trusted() { "would" } else { "would NOT" };
        writeln!(out, "  thoth {would} trust this server")
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let seen = &self.inspection;
        let chain: Vec<_> = seen
            .chain
            .iter()
            .map(|certificate| {
                certificate.as_ref().map(|certificate| {
                    json!({
                        "subject": certificate.subject,
                        "issuer": certificate.issuer,
                        "not_before": certificate.not_before.to_string(),
                        "not_after": certificate.not_after.to_string(),
                        "names": certificate.names,
                        "fingerprint": certificate.fingerprint.to_string(),
                        "key": certificate.key.map(|key| key.to_string()),
                    })
                })
            })
            .collect();
        let pins: Vec<_> = seen
            .pins
            .iter()
            .map(|(pin, matches)| json!({"pin": pin.to_string(), "matches": matches}))
            .collect();
        let report = json!({
            "server": self.server,
            "version": seen.version,
            "cipher": seen.cipher,
            "group": seen.group,
            "alpn": seen.alpn,
            "chain": chain,
            "chain_good": seen.chain_verdict.is_ok(),
            "chain_problem": seen.chain_verdict.as_ref().err(),
            "verification": !self.unverified,
            "pins": pins,
            "pinned": self.pinned(),
            "trusted": self.trusted(),
        });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }
}

fn write_certificate(
    out: &mut impl Write,
    index: usize,
    certificate: &Certificate,
) -> io::Result<()> {
    let Certificate { subject, issuer, not_before, not_after, names, fingerprint, key } =
        certificate;
    writeln!(out, "  {index}  subject  {subject}")?;
    writeln!(out, "     issuer   {issuer}")?;
    writeln!(out, "     valid    {not_before} to {not_after}")?;
    if !names.is_empty() {
        writeln!(out, "     names    {}", names.join(", "))?;
    }
    writeln!(out, "     {fingerprint}")?;
    if let Some(key) = key {
        writeln!(out, "     {key}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_server_is_meant() {
        for (url, expected) in [
            ("https://acme.example", Some(("acme.example", 443))),
            ("https://acme.example:8443/v1", Some(("acme.example", 8443))),
            ("acme.example", Some(("acme.example", 443))),
            ("acme.example:8443", Some(("acme.example", 8443))),
            ("https://[::1]:8443", Some(("::1", 8443))),
            ("http://acme.example", None),
            ("/path", None),
            ("", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(server(url), expected, "{url:?}");
        }
    }
}
