//! TLS to the enforcer: which provider, which roots, which pins.
//!
//! The one place that names rustls' provider (aws-lc-rs). It makes the client configuration,
//! says afterwards why a peer was not trusted, and reads what a server shows for `thoth doctor`.
//! The enforcer's own side of a connection is in `serve`.
//! It opens no connection of its own but that one.
//!
//! # Invariants
//!
//! - Pins are checked inside the handshake (`verify`), before one byte of a request is written.
//! - A resumed session skips no pin that a full handshake would have checked. rustls asks the
//!   verifier in full handshakes only; its session store belongs to one [`ClientConfig`] and its
//!   verifier, whose pins never change, so every ticket in it came from a peer that had matched
//!   them, and only who holds that session's secret can resume it. The store lives in memory and
//!   ends with the process; a certificate that expires meanwhile is noticed at the next full
//!   handshake.
//! - Turning verification off leaves the handshake's signatures and the pins in force: whoever
//!   answers still holds the key of the certificate that was pinned.

pub mod arn;
pub mod certificate;
pub mod inspect;
pub mod pin;
#[cfg(feature = "enforcer")]
pub mod serve;
mod verify;

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, RootCertStore};
use rustls_native_certs::CertificateResult;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::settings::Tls;
pub use verify::PinMismatch;
use verify::Verifier;

/// Where systems other than Windows keep their roots in one file, which is root's: Debian, Fedora,
/// openSUSE, macOS, Alpine.
const OWN_STORES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Why no TLS configuration can be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The bundle cannot be opened or read.
    #[error("cannot read the CA bundle {}", path.display())]
    BundleUnreadable {
        /// The bundle.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The bundle is not PEM.
    #[error("the CA bundle {} is not PEM", path.display())]
    BundleNotPem {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The bundle holds no certificate.
    #[error(
        "the CA bundle {} holds no certificate; give it at least one -----BEGIN CERTIFICATE----- block",
        .0.display()
    )]
    BundleEmpty(PathBuf),
    /// A block of the bundle says it is a certificate and is none.
    #[error("certificate {number} in the CA bundle {} cannot be used", path.display())]
    BundleCertificate {
        /// The bundle.
        path: PathBuf,
        /// Which of its certificates, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The system has no certificate that could be trusted.
    #[error("no root certificates on this system{0}; install them or set a CA bundle")]
    NoSystemRoots(String),
    /// The TLS library refused the settings.
    #[error("the TLS library refused the settings")]
    Refused(#[source] Box<dyn StdError + Send + Sync>),
}

/// Why a server's certificate was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// It has expired, or is not valid yet.
    #[error("its certificate has expired or is not valid yet")]
    Expired,
    /// Nobody whom we trust has signed it.
    #[error("its certificate was issued by nobody this machine trusts")]
    Issuer,
    /// It is another server's.
    #[error("its certificate is for another name")]
    Name,
    /// Anything else: a bad signature, a wrong purpose, no certificate at all.
    #[error("its certificate is not valid")]
    Other,
    /// It matches none of the configured pins.
    #[error("its certificate matches none of the configured pins")]
    Pin,
}

/// The configuration for connections to the enforcer: HTTP/2 and HTTP/1.1 by ALPN, TLS 1.3 and
/// 1.2, the CA bundle's roots or else the system's, and the pins.
///
/// Reads the bundle, or the system's store, from disk. `SSL_CERT_FILE` and `SSL_CERT_DIR` move the
/// system's store, as everywhere, unless that is locked ([`Tls::is_store_fixed`]).
///
/// # Errors
///
/// [`TlsError`], where the roots cannot be loaded.
pub fn client_config(settings: &Tls) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = verifier(settings, &provider)?;
    configure(provider, Arc::new(verifier))
}

/// Draws the first random number of this process, which collects entropy from the processor's
/// jitter. Blocks for some 40 ms; later draws, on any thread, are quick.
pub fn seed() {
    // A failure shows again in the handshake, where it is told.
    let _ = rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
}

/// Why the TLS peer was not trusted, where that is why a connection failed; and the same in the
/// library's words, with names, times and fingerprints.
///
/// Follows `error` through its sources, and into the errors that [`io::Error`] carries.
pub fn distrust(error: &(dyn StdError + 'static)) -> Option<(Distrust, String)> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return distrust_of(error).map(|why| (why, in_words(error)));
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner), // `source` would step over it
            None => error.source(),
        };
    }
    None
}

fn distrust_of(error: &rustls::Error) -> Option<Distrust> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enums are open; what is not named here is untrusted without a better word"
    )]
    match error {
        rustls::Error::InvalidCertificate(why) => Some(match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Distrust::Expired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Distrust::Name
            }
            CertificateError::UnknownIssuer => Distrust::Issuer,
            CertificateError::Other(other) if other.0.is::<PinMismatch>() => Distrust::Pin,
            _ => Distrust::Other,
        }),
        rustls::Error::NoCertificatesPresented => Some(Distrust::Other),
        _ => None,
    }
}

fn in_words(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error {
        return other.0.to_string();
    }
    error.to_string()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn verifier(settings: &Tls, provider: &Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
    let chain = if settings.unverified {
        None
    } else {
        let roots = match &settings.ca_bundle {
            Some(path) => bundled_roots(path)?,
            None if settings.is_store_fixed => roots_of(own_store(&OWN_STORES))?,
            None => roots_of(rustls_native_certs::load_native_certs())?,
        };
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .map_err(|error| TlsError::Refused(error.into()))?;
        Some(chain)
    };
    Ok(Verifier::new(chain, provider.signature_verification_algorithms, settings.pins.clone()))
}

fn configure(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Refused(error.into()))?
        .dangerous() // rustls' word for any verifier that is not its own; ours wraps it
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn bundled_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let text = std::fs::read(path)
        .map_err(|source| TlsError::BundleUnreadable { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(&text).enumerate() {
        let certificate = certificate
            .map_err(|source| TlsError::BundleNotPem { path: path.to_owned(), source })?;
        roots.add(certificate).map_err(|source| TlsError::BundleCertificate {
            path: path.to_owned(),
            number: index + 1,
            source,
        })?;
    }
    if roots.is_empty() {
        return Err(TlsError::BundleEmpty(path.to_owned()));
    }
    Ok(roots)
}

/// The system's roots from where they lie, whatever variables say: the library would follow those.
fn own_store(places: &[&str]) -> CertificateResult {
    let file = places.iter().map(Path::new).find(|place| place.is_file());
    rustls_native_certs::load_certs_from_paths(file, None)
}

/// A store may hold certificates that cannot be read; the others still count, as in a browser.
fn roots_of(found: CertificateResult) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first();
        return Err(TlsError::NoSystemRoots(
            why.map(|error| format!(" ({error})")).unwrap_or_default(),
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn bundle(text: &[u8]) -> (tempfile::NamedTempFile, Tls) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let tls = Tls { ca_bundle: Some(file.path().to_owned()), ..Tls::default() };
        (file, tls)
    }

    #[test]
    fn the_systems_own_roots_are_those_of_the_first_place_there_is() {
        let nowhere = roots_of(own_store(&["/nowhere/a.pem", "/nowhere/b.pem"]));
        assert!(matches!(nowhere, Err(TlsError::NoSystemRoots(_))));
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (file, _) = bundle(issued.cert.pem().as_bytes());
        let places = ["/nowhere/a.pem", file.path().to_str().unwrap(), "/nowhere/b.pem"];
        assert_eq!(roots_of(own_store(&places)).unwrap().len(), 1);
    }

    #[test]
    fn a_bundle_that_cannot_be_used_is_named() {
        let block = |inside: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n")
        };
        for (text, expected) in [
            (String::new(), "holds no certificate"),
            ("not a certificate".to_owned(), "holds no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA".to_owned(), "is not PEM"),
            (block("!!"), "is not PEM"),
            (block("AAAA"), "certificate 1 in"),
        ] {
            let (file, tls) = bundle(text.as_bytes());
            let error = client_config(&tls).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
            assert!(error.contains(file.path().to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_bundle_that_is_not_there_is_named() {
        let tls = Tls { ca_bundle: Some("/nonexistent/ca.pem".into()), ..Tls::default() };
        let error = client_config(&tls).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
        assert!(error.source().is_some());
    }

    #[test]
    fn both_protocols_are_offered() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (_file, tls) = bundle(made.cert.pem().as_bytes());
        let config = client_config(&tls).unwrap();
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }

    #[test]
    fn distrust_is_found_under_layers_of_io_errors() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(distrust(&error).unwrap().0, Distrust::Issuer);

        let error = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(distrust(&error), None);
        assert_eq!(distrust(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
