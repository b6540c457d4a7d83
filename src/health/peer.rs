//! The enforcer and the GovAPI: whether they can be reached, and are who they should be.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::facts::{self, Facts, Probe};
use super::plain;
use super::problem::{Code, Problem};
use crate::endpoint::sidecar::Contact;
use crate::gate::decide::Outage;

/// A certificate that ends within this time is told of.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One peer.
#[derive(Clone, Debug, Serialize)]
pub struct Peer {
    /// Its address, without what it may hide.
    pub url: String,
    /// Whether it is configured here; `false` where only a running sidecar was told of it.
    pub configured: bool,
    /// Whether it could be reached.
    pub reachable: Option<bool>,
    /// How long that took, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Whether its certificate and the pins matched; `null` without TLS, or where nobody looked.
    pub pin_ok: Option<bool>,
    /// When its certificate ends; only a probe sees that.
    pub certificate_expires_at: Option<Timestamp>,
    /// When that was so.
    pub seen_at: Option<Timestamp>,
    /// Who looked; `null` where nobody did.
    pub source: Option<Source>,
}

/// Who looked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This thoth, just now: `--probe`.
    Probe,
    /// A sidecar, when it last asked.
    Recorded,
}

/// The enforcer, as the probe, or else the sidecar that asked it last, has seen it.
pub(super) fn enforcer(facts: &Facts, problems: &mut Vec<Problem>) -> Option<Peer> {
    let configured = facts.enforcer.as_ref();
    let last = facts
        .sidecars
        .iter()
        .filter_map(|sidecar| sidecar.enforcer.as_ref())
        .filter(|contact| configured.is_none_or(|peer| peer.url == contact.url))
        .max_by_key(|contact| contact.asked_at);
    let seen =
        Seen { peer: "the enforcer", verify: "THOTH_TLS_PINNED_CERT_SHA256", now: facts.now };
    let (peer, silence) = match (configured, last) {
        (Some(peer), _) if peer.probed.is_some() => seen.probed(peer, problems),
        (_, Some(contact)) => seen.recorded(contact, configured.is_some(), problems),
        (Some(peer), None) => (Peer::unseen(&peer.url), None),
        (None, None) => return None,
    };
    if let Some(why) = silence {
        problems.push(silent(facts, &why));
    }
    Some(peer)
}

/// The GovAPI, as the probe has seen it.
pub(super) fn govapi(facts: &Facts, problems: &mut Vec<Problem>) -> Option<Peer> {
    let peer = facts.govapi.as_ref()?;
    let seen = Seen { peer: "the GovAPI", verify: "THOTH_TLS_PINNED_CERT_SHA256", now: facts.now };
    let (peer, silence) = seen.probed(peer, problems);
    if let Some(why) = silence {
        problems.push(Problem::new(
            Code::GovapiUnreachable,
            format!("the GovAPI cannot be reached: {why}"),
            "check its address and the network; no call depends on it",
        ));
    }
    Some(peer)
}

/// Silence leaves nothing undecided but where it means `allow` and no rules stand beside it.
fn silent(facts: &Facts, why: &str) -> Problem {
    let fix = "check its address and the network; `thoth doctor --tls URL` tells more";
    let consequence = match facts.outage {
        Outage::Allow if facts.policies.is_empty() => {
            return Problem::new(
                Code::FailingOpen,
                format!("the enforcer cannot be reached, and calls go on undecided: {why}"),
                format!("set THOTH_ENFORCER_FAILURE_DECISION=block, or give rules; {fix}"),
            );
        }
        Outage::Allow => "the rules on this machine decide alone",
        Outage::Block => "calls are blocked",
        Outage::StepUp => "calls are stepped up",
    };
    let text = format!("the enforcer cannot be reached, and {consequence}: {why}");
    Problem::new(Code::EnforcerUnreachable, text, fix)
}

/// How a peer is looked at.
struct Seen {
    peer: &'static str,
    verify: &'static str,
    now: Timestamp,
}

impl Seen {
    /// The peer, and why it is silent, if it is.
    fn probed(
        &self,
        peer: &facts::Configured,
        problems: &mut Vec<Problem>,
    ) -> (Peer, Option<String>) {
        let mut told = Peer::unseen(&peer.url);
        let Some(probe) = &peer.probed else {
            return (told, None);
        };
        told.source = Some(Source::Probe);
        told.seen_at = Some(self.now);
        match probe {
            Probe::Silent(why) => {
                told.reachable = Some(false);
                (told, Some(plain(why)))
            }
            Probe::Reached { latency, certificate } => {
                told.reachable = Some(true);
                told.latency_ms = Some(milliseconds(*latency));
                if let Some(certificate) = certificate {
                    let problem = self.certificate(certificate);
                    told.pin_ok = Some(certificate.chain.is_ok() && certificate.pinned);
                    told.certificate_expires_at = certificate.expires_at;
                    problems.extend(problem);
                }
                (told, None)
            }
        }
    }

    fn recorded(
        &self,
        contact: &Contact,
        configured: bool,
        problems: &mut Vec<Problem>,
    ) -> (Peer, Option<String>) {
        if contact.pin_ok == Some(false) {
            problems.push(self.mismatch());
        }
        let is_silent = contact.reachable == Some(false) && contact.pin_ok != Some(false);
        let peer = Peer {
            url: plain(&contact.url),
            configured,
            reachable: contact.reachable,
            latency_ms: contact.latency_ms.filter(|latency| latency.is_finite()),
            pin_ok: contact.pin_ok,
            certificate_expires_at: None,
            seen_at: contact.asked_at,
            source: contact.asked_at.map(|_| Source::Recorded),
        };
        let when = contact.asked_at.map(|at| format!("a sidecar asked in vain at {at}"));
        (peer, is_silent.then(|| when.unwrap_or_else(|| "a sidecar asked in vain".to_owned())))
    }

    /// The worst that is wrong with a certificate.
    fn certificate(&self, certificate: &facts::Certificate) -> Option<Problem> {
        let peer = self.peer;
        let ends = certificate.expires_at.map(|at| (at, at.duration_since(self.now)));
        match (&certificate.chain, ends) {
            (Err(_), Some((at, left))) if left.is_negative() => Some(Problem::new(
                Code::CertificateExpired,
                format!("the certificate of {peer} has expired at {at}"),
                format!("renew the certificate of {peer}"),
            )),
            (Err(why), _) => Some(Problem::new(
                Code::CertificateUntrusted,
                format!("the certificate of {peer} is not trusted: {}", plain(why)),
                "renew the certificate, or set THOTH_TLS_CA_BUNDLE to the roots that signed it; \
                 `thoth doctor --tls URL` tells more",
            )),
            (Ok(()), _) if !certificate.pinned => Some(self.mismatch()),
            (Ok(()), Some((at, left))) if left < SOON => Some(Problem::new(
                Code::CertificateExpiring,
                format!("the certificate of {peer} expires at {at}"),
                format!("renew the certificate of {peer}, and its pin before that"),
            )),
            (Ok(()), _) => None,
        }
    }

    fn mismatch(&self) -> Problem {
        Problem::new(
            Code::PinMismatch,
            format!("{} does not show a certificate that is trusted and pinned", self.peer),
            format!("compare {} with `thoth doctor --tls URL`", self.verify),
        )
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

// === impl Peer ===

impl Peer {
    /// A configured peer that nobody has looked at.
    fn unseen(url: &str) -> Self {
        Self {
            url: plain(url),
            configured: true,
            reachable: None,
            latency_ms: None,
            pin_ok: None,
            certificate_expires_at: None,
            seen_at: None,
            source: None,
        }
    }
}
