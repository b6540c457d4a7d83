//! `--probe`: one connection to each peer, at once, and nothing sent on it but the handshake.

use std::time::Duration;

use hyper::Uri;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::{Instant, timeout};

use super::gather::Setup;
use crate::cli::fault::chain;
use crate::config::settings::Tls;
use crate::health::facts::{Certificate, Probe};
use crate::tls::inspect::{Inspection, inspect};

/// The longest both take together.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// What came of it; `None` where there is nobody to connect to.
#[derive(Default)]
pub(super) struct Probed {
    pub(super) enforcer: Option<Probe>,
    pub(super) govapi: Option<Probe>,
}

/// Connects to the enforcer and to the GovAPI, where they are configured.
pub(super) fn both(setup: &Setup) -> Probed {
    let config = setup.config();
    let enforcer = config.enforcer.as_ref().map(|enforcer| &*enforcer.url);
    let govapi = config.govapi.as_ref().map(|govapi| &*govapi.url);
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let silent = |_| Probe::Silent(chain(&error));
            return Probed { enforcer: enforcer.map(silent), govapi: govapi.map(silent) };
        }
    };
    let (enforcer, govapi) = runtime
        .block_on(async { tokio::join!(one(enforcer, &config.tls), one(govapi, &config.tls)) });
    // A name that is still looked up must not keep us.
    runtime.shutdown_background();
    Probed { enforcer, govapi }
}

async fn one(url: Option<&str>, tls: &Tls) -> Option<Probe> {
    Some(probe(url?, tls).await)
}

async fn probe(url: &str, tls: &Tls) -> Probe {
    let Some((is_tls, host, port)) = server(url) else {
        return Probe::Silent("its address names no server".to_owned());
    };
    let start = Instant::now();
    if is_tls {
        match inspect(&host, port, tls, LIMIT).await {
            Ok(inspection) => Probe::Reached {
                latency: start.elapsed(),
                certificate: Some(certificate(inspection, tls)),
            },
            Err(error) => Probe::Silent(chain(&error)),
        }
    } else {
        match timeout(LIMIT, TcpStream::connect((&*host, port))).await {
            Ok(Ok(_)) => Probe::Reached { latency: start.elapsed(), certificate: None },
            Ok(Err(error)) => Probe::Silent(format!("cannot connect to {host}:{port}: {error}")),
            Err(_) => Probe::Silent(format!("no connection within {} s", LIMIT.as_secs())),
        }
    }
}

fn certificate(inspection: Inspection, tls: &Tls) -> Certificate {
    let leaf = inspection.chain.into_iter().next().flatten();
    let pins = &inspection.pins;
    Certificate {
        expires_at: leaf.map(|leaf| leaf.not_after),
        chain: if tls.unverified { Ok(()) } else { inspection.chain_verdict },
        pinned: pins.is_empty() || pins.iter().any(|(_, matches)| *matches),
    }
}

/// Whether it is asked over TLS, its host and its port.
fn server(url: &str) -> Option<(bool, String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let is_tls = uri.scheme_str()? == "https";
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((is_tls, host, uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 })))
}
