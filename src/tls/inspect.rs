//! Looks at what a server shows in its handshake, and says what would be thought of it.
//!
//! For `thoth doctor`. Nothing is sent but the handshake: the connection is dropped after it, and
//! no question, no key and no path ever travels on it. Hence it may go through with a server that
//! is not trusted; everywhere else it may not.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificate::Certificate;
use super::verify::Verifier;
use super::{TlsError, configure, provider, verifier};
use crate::config::settings::{Pin, Tls};

/// What a server showed, and what is thought of it.
#[derive(Debug)]
pub struct Inspection {
    /// The chain as sent, leaf first. `None` stands for what cannot be read as a certificate.
    pub chain: Vec<Option<Certificate>>,
    /// The protocol version, such as `TLSv1_3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The key exchange group, such as `X25519MLKEM768`.
    pub group: String,
    /// What was agreed on by ALPN.
    pub alpn: Option<String>,
    /// Whether chain and name are good; checked even where verification is turned off.
    pub chain_verdict: Result<(), String>,
    /// Each configured pin, and whether the leaf matches it.
    pub pins: Vec<(Pin, bool)>,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The name is neither a host name nor an address.
    #[error("`{0}` is neither a host name nor an address")]
    Name(String),
    /// The roots cannot be loaded.
    #[error("cannot set up TLS")]
    Setup(#[source] TlsError),
    /// No complete handshake within the limit.
    #[error("no complete handshake within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// No connection could be made.
    #[error("cannot connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A connection was made, but no handshake.
    #[error("{address} does not complete a TLS handshake")]
    Handshake {
        /// Host and port.
        address: String,
        /// What rustls said.
        #[source]
        source: io::Error,
    },
}

/// Accepts any certificate whose key signs the handshake, and keeps what it would have said.
#[derive(Debug)]
struct Witness {
    verifier: Verifier,
    chain_verdict: Mutex<Option<Result<(), Error>>>,
}

/// Makes one handshake with `host` and looks at it; takes at most `limit`.
///
/// Cancel safe: dropping the future closes the connection.
///
/// # Errors
///
/// [`InspectError`], where there was no handshake to look at. A certificate that is not trusted is
/// no error but part of the answer.
pub async fn inspect(
    host: &str,
    port: u16,
    settings: &Tls,
    limit: Duration,
) -> Result<Inspection, InspectError> {
    tokio::time::timeout(limit, shake_hands(host, port, settings))
        .await
        .map_err(|_| InspectError::Timeout(limit))?
}

async fn shake_hands(host: &str, port: u16, settings: &Tls) -> Result<Inspection, InspectError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| InspectError::Name(host.to_owned()))?;
    let provider = provider();
    let verified = Tls { unverified: false, ..settings.clone() };
    let witness = Arc::new(Witness {
        verifier: verifier(&verified, &provider).map_err(InspectError::Setup)?,
        chain_verdict: Mutex::new(None),
    });
    let config = configure(provider, Arc::clone(&witness) as _).map_err(InspectError::Setup)?;

    let address = || format!("{host}:{port}");
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|source| InspectError::Connect { address: address(), source })?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|source| InspectError::Handshake { address: address(), source })?;

    let (_, tls) = stream.get_ref();
    let chain = tls.peer_certificates().unwrap_or_default();
    let matches = |pin: &Pin| {
        let leaf = chain.first();
        leaf.is_some_and(|leaf| Pin::of_leaf(leaf) == *pin || Pin::of_key(leaf) == Some(*pin))
    };
    Ok(Inspection {
        version: named(tls.protocol_version()),
        cipher: named(tls.negotiated_cipher_suite().map(|suite| suite.suite())),
        group: named(
            tls.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name),
        ),
        alpn: tls
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).escape_debug().to_string()),
        chain_verdict: witness.said(),
        pins: settings.pins.iter().map(|pin| (*pin, matches(pin))).collect(),
        chain: chain.iter().map(Certificate::read).collect(),
    })
}

fn named(value: Option<impl std::fmt::Debug>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:?}"))
}

// === impl Witness ===

impl Witness {
    fn said(&self) -> Result<(), String> {
        let said = self.chain_verdict.lock();
        match &*said.unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the server showed no certificate".to_owned()),
        }
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.check_chain(leaf, intermediates, name, ocsp, now);
        *self.chain_verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
