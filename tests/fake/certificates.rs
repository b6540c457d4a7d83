//! Certificates made for one test: a CA, and a leaf that is good or bad in one way.

use std::io::Write;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::Manner;

/// What is wrong with a certificate, if anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Certificate {
    /// For `localhost` and `127.0.0.1`, valid, signed by the CA.
    Good,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for `other.example`.
    WrongName,
    /// It is signed by itself, not by the CA.
    SelfSigned,
    /// It is good, but made for clients.
    WrongPurpose,
}

/// A certificate and its key, and the CA that ought to have signed it.
pub(crate) struct Issued {
    pub(crate) ca: NamedTempFile,
    pub(crate) leaf: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

// === impl Issued ===

impl Issued {
    pub(crate) fn new(certificate: Certificate) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "thoth test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();

        let is = |fault| certificate == fault;
        let names: &[&str] = if is(Certificate::WrongName) {
            &["other.example"]
        } else {
            &["localhost", "127.0.0.1"]
        };
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "thoth test leaf");
        params.extended_key_usages = vec![if is(Certificate::WrongPurpose) {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        }];
        if is(Certificate::Expired) {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        if is(Certificate::NotYetValid) {
            params.not_before = date_time_ymd(4000, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let leaf = if is(Certificate::SelfSigned) {
            params.self_signed(&key)
        } else {
            params.signed_by(&key, &ca)
        };

        let mut file = NamedTempFile::new().unwrap();
        file.write_all(ca.pem().as_bytes()).unwrap();
        Self { ca: file, leaf: leaf.unwrap().der().clone(), key: key.serialize_der().into() }
    }

    pub(crate) fn acceptor(&self, manner: Manner) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone()], PrivateKeyDer::Pkcs8(self.key.clone_key()))
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if matches!(manner, Manner::Both | Manner::Impatient) {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        TlsAcceptor::from(Arc::new(config))
    }
}
