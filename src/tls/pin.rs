//! Pins: how they are written, read and computed.
//!
//! A leaf pin names one certificate: SHA-256 of its DER, what `openssl x509 -fingerprint -sha256`
//! prints. An SPKI pin names one key: SHA-256 of the DER `SubjectPublicKeyInfo`, as in RFC 7469
//! §2.4, and survives a renewal that keeps the key.

use std::fmt;
use std::str::FromStr;

use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use crate::config::settings::Pin;

const LEAF: &str = "sha256:";
const SPKI: &str = "spki-sha256:";

/// The text is no pin.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not a pin; write sha256:<64 hex digits>, spki-sha256:<64 hex digits> or bare digits")]
pub struct NotAPin;

// === impl Pin ===

impl Pin {
    /// The pin of this certificate.
    pub fn of_leaf(certificate: &CertificateDer<'_>) -> Self {
        Self::Leaf(Sha256::digest(certificate).into())
    }

    /// The pin of this certificate's key; `None` where it cannot be read as a certificate.
    pub fn of_key(certificate: &CertificateDer<'_>) -> Option<Self> {
        let key = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
        Some(Self::Spki(Sha256::digest(key).into()))
    }
}

/// `sha256:`, `spki-sha256:` or nothing (a leaf's), then the digits; also with a colon after each
/// byte, as OpenSSL prints them. Case does not matter, and blanks around it are dropped.
impl FromStr for Pin {
    type Err = NotAPin;

    fn from_str(text: &str) -> Result<Self, NotAPin> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(digits) = text.strip_prefix(SPKI) {
            return digest(digits).map(Self::Spki);
        }
        digest(text.strip_prefix(LEAF).unwrap_or(&text)).map(Self::Leaf)
    }
}

/// As [`Pin::from_str`] reads it: lower case, with its prefix, without colons.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(digest) => write!(f, "{LEAF}{}", hex::encode(digest)),
            Self::Spki(digest) => write!(f, "{SPKI}{}", hex::encode(digest)),
        }
    }
}

fn digest(digits: &str) -> Result<[u8; 32], NotAPin> {
    let plain = if digits.contains(':') {
        if digits.split(':').any(|byte| byte.len() != 2) {
            return Err(NotAPin);
        }
        digits.replace(':', "")
    } else {
        digits.to_owned()
    };
    let mut digest = [0; 32];
    hex::decode_to_slice(plain, &mut digest).map_err(|_| NotAPin)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    const HEX: &str = "511e54d35f39ccf3286927206d2162eb979c19fb859c87c8514b3b9cd4331313";
    const OPENSSL: &str = "51:1E:54:D3:5F:39:CC:F3:28:69:27:20:6D:21:62:EB:\
                           97:9C:19:FB:85:9C:87:C8:51:4B:3B:9C:D4:33:13:13";

    #[test]
    fn pins_agree_with_openssl() {
        let pem = include_bytes!("testdata/enforcer.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        assert_eq!(Pin::of_leaf(&certificate), OPENSSL.parse().unwrap());
        assert_eq!(
            Pin::of_key(&certificate).unwrap().to_string(),
            "spki-sha256:3ddec8fd80100c2febf17209393c5c8365421aa3f599ae0fc22592e76da93266"
        );
    }

    #[test]
    fn every_spelling_of_a_pin() {
        let leaf = format!("sha256:{HEX}");
        for text in [
            HEX,
            OPENSSL,
            &leaf,
            &leaf.to_uppercase(),
            &format!("sha256:{OPENSSL}"),
            &format!(" {leaf}\n"),
        ] {
            assert_eq!(text.parse::<Pin>().unwrap().to_string(), leaf, "{text:?}");
        }
        let key = format!("spki-sha256:{HEX}");
        for text in [&key, &key.to_uppercase(), &format!("SPKI-sha256:{OPENSSL}")] {
            assert_eq!(text.parse::<Pin>().unwrap().to_string(), key, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_pin() {
        for text in [
            "",
            "sha256:",
            &HEX[1..],
            &HEX[2..],
            &format!("{HEX}00"),
            &HEX.replace('5', "g"),
            &format!("sha1:{HEX}"),
            &format!("sha256:sha256:{HEX}"),
            &format!("sha256: {HEX}"),
            &format!(":{OPENSSL}"),
            &OPENSSL.replace("51:1E", "511:E"),
            &OPENSSL.replacen(':', "", 1),
            &HEX.replace('5', "\u{ff15}"),
        ] {
            assert_eq!(text.parse::<Pin>(), Err(NotAPin), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(digest: [u8; 32], key: bool) {
            let pin = if key { Pin::Spki(digest) } else { Pin::Leaf(digest) };
            prop_assert_eq!(pin.to_string().parse(), Ok(pin));
        }

        #[test]
        fn reading_a_pin_never_panics(text in ".*") {
            let _ = text.parse::<Pin>();
        }
    }
}
