//! The verifier inside the handshake: webpki's, and then the pins.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::settings::Pin;

/// Accepts a server whose chain and name are good and whose leaf matches a pin.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` where verification is off: then the pins alone decide.
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    pins: Vec<Pin>,
}

/// The certificate shown matches no pin. Its fingerprints are named, since a renewal is the usual
/// cause and they are what the configuration then needs.
#[derive(Debug, thiserror::Error)]
#[error("matches none of the configured pins: it is {leaf}, its key {key}")]
pub struct PinMismatch {
    /// The leaf's own pin.
    pub leaf: Pin,
    /// Its key's pin.
    pub key: Pin,
}

// === impl Verifier ===

impl Verifier {
    pub(super) fn new(
        chain: Option<Arc<WebPkiServerVerifier>>,
        algorithms: WebPkiSupportedAlgorithms,
        pins: Vec<Pin>,
    ) -> Self {
        Self { chain, algorithms, pins }
    }

    /// Checks the chain and the name.
    pub(super) fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(chain) = &self.chain else {
            return Ok(());
        };
        chain
            .verify_server_cert(leaf, intermediates, name, ocsp, now)
            .map(|ServerCertVerified { .. }| ())
    }

    /// Checks the pins. Any one is enough; without pins, none is asked for.
    pub(super) fn check_pins(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let key = Pin::of_key(leaf).ok_or(CertificateError::BadEncoding)?;
        let leaf = Pin::of_leaf(leaf);
        if self.pins.contains(&leaf) || self.pins.contains(&key) {
            return Ok(());
        }
        let mismatch = OtherError(Arc::new(PinMismatch { leaf, key }));
        Err(CertificateError::Other(mismatch).into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_chain(leaf, intermediates, name, ocsp, now)?;
        self.check_pins(leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
