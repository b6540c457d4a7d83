//! TLS as the side that is called: a certificate, its key, and handshakes.
//!
//! # Invariants
//!
//! - A certificate is only ever shown with the key that belongs to it: both are read together, and
//!   put in force together.
//! - No client certificate is asked for, and no early data is taken.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::{TlsError, provider};

/// One end of a connection, after its handshake.
pub type Stream = tokio_rustls::server::TlsStream<TcpStream>;

/// A certificate with its key, ready to be shown.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// The leaf, for people.
    pub certificate: Certificate,
}

/// Why a certificate and a key are no identity.
#[derive(Debug, thiserror::Error)]
pub enum NotAnIdentity {
    /// The certificate's file holds none.
    #[error("no certificate is in it; it needs a -----BEGIN CERTIFICATE----- block")]
    NoCertificate,
    /// The file is not PEM.
    #[error("the certificate is not PEM")]
    Certificate(#[source] rustls_pki_types::pem::Error),
    /// It is PEM, and no certificate.
    #[error("the first certificate cannot be read as one")]
    Unreadable,
    /// The key's file holds none.
    #[error("no private key is in the key's file; it needs a -----BEGIN PRIVATE KEY----- block")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// The key is another's, or of a kind that is not known.
    #[error("the key cannot be used with this certificate")]
    Mismatch(#[source] rustls::Error),
    /// The certificate's time is over.
    #[error("the certificate ended at {0}; renew it")]
    Expired(Timestamp),
}

/// Makes handshakes. Clones share the identity they show.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    shown: Arc<Shown>,
}

/// What is shown now.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

// === impl Identity ===

impl Identity {
    /// Reads a PEM chain, leaf first, and its PEM key.
    ///
    /// # Errors
    ///
    /// [`NotAnIdentity`]
    pub fn read(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Self, NotAnIdentity> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(NotAnIdentity::Certificate)?;
        let leaf = chain.first().ok_or(NotAnIdentity::NoCertificate)?;
        let certificate = Certificate::read(leaf).ok_or(NotAnIdentity::Unreadable)?;
        if certificate.not_after <= now {
            return Err(NotAnIdentity::Expired(certificate.not_after));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(NotAnIdentity::Key)?;
        let key =
            CertifiedKey::from_der(chain, key, &provider()).map_err(NotAnIdentity::Mismatch)?;
        Ok(Self { key: Arc::new(key), certificate })
    }
}

// === impl Acceptor ===

impl Acceptor {
    /// Shows this identity; HTTP/2 and HTTP/1.1 by ALPN, TLS 1.3 and 1.2.
    ///
    /// # Errors
    ///
    /// [`TlsError::Refused`]
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::clone(&identity.key))));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Refused(error.into()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: TlsAcceptor::from(Arc::new(config)), shown })
    }

    /// From the next handshake on, shows this one.
    pub fn show(&self, identity: &Identity) {
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        *shown = Arc::clone(&identity.key);
    }

    /// Makes one handshake. Takes as long as the peer does: who calls it sets a limit.
    ///
    /// Cancel safe: dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, or that it went away.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        self.tls.accept(stream).await
    }
}

/// Whether the peer chose HTTP/2.
pub fn is_http2(stream: &Stream) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

// === impl Shown ===

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn a_certificate_goes_with_its_own_key_only() {
        let made = || generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let (pem, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let identity = Identity::read(pem.as_bytes(), key.as_bytes(), now).unwrap();
        assert_eq!(identity.certificate.names, ["localhost"]);

        let foreign = other.signing_key.serialize_pem();
        for (chain, key, says) in [
            (&pem, &foreign, "cannot be used with this certificate"),
            (&pem, &pem, "no private key"),
            (&key, &key, "no certificate"),
        ] {
            let error = Identity::read(chain.as_bytes(), key.as_bytes(), now).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
        let late = Identity::read(pem.as_bytes(), key.as_bytes(), Timestamp::MAX).unwrap_err();
        assert!(matches!(late, NotAnIdentity::Expired(_)));
    }
}
