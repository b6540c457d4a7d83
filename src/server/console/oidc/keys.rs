//! The provider's keys, and whether one of them has signed a token. Pure.
//!
//! # Invariants
//!
//! - Only asymmetric signatures count. A key that both sides know (HS256 …) and no signature at all
//!   ("none") are refused before any key is looked at.
//! - A key signs in the way it is for: its type, its `use` and its `alg` say.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::claims::{BadToken, Claims};

/// The most keys that are looked at.
const MOST: usize = 64;
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// The provider's keys (RFC 7517), those that can be used here.
#[derive(Clone, Debug)]
pub(super) struct Keys(Vec<Jwk>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

// === impl Keys ===

impl Keys {
    /// Reads a set of keys. Keys of other kinds than those known here are passed over, as RFC 7517 §5
    /// asks.
    pub(super) fn read(document: &[u8]) -> Option<Self> {
        let set: Set = serde_json::from_slice(document).ok()?;
        let keys = set.keys.into_iter().take(MOST);
        Some(Self(keys.filter_map(|key| serde_json::from_value(key).ok()).collect()))
    }

    /// What a token claims, where one of these keys has signed it. Nothing of it is judged yet.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, BadToken> {
        if token.len() > LONGEST {
            return Err(BadToken::Unreadable);
        }
        let header = decode_header(token).map_err(|_| BadToken::Unreadable)?;
        if header.crit.is_some() {
            return Err(BadToken::Unreadable);
        }
        let algorithm = header.alg;
        if !is_asymmetric(algorithm) {
            return Err(BadToken::Algorithm);
        }
        let is_named = |key: &&Jwk| header.kid.is_none() || header.kid == key.common.key_id;
        let mut fit = self.0.iter().filter(|key| signs(key, algorithm)).filter(is_named);
        let key = fit.next().ok_or(BadToken::UnknownKey)?;
        if fit.next().is_some() {
            // A token that names no key, and several that it could be: which one is not guessed.
            return Err(BadToken::UnknownKey);
        }
        let key = DecodingKey::from_jwk(key).map_err(|_| BadToken::UnknownKey)?;
        // Claims are judged beside this, against the clock that everything here goes by.
        let mut only = Validation::new(algorithm);
        only.validate_exp = false;
        only.validate_aud = false;
        only.required_spec_claims.clear();
        let token = decode::<Claims>(token, &key, &only);
        token.map(|token| token.claims).map_err(|error| {
            // Claims are read once the signature holds.
            let is_claims = matches!(error.kind(), ErrorKind::Json(_));
            if is_claims { BadToken::Unreadable } else { BadToken::Signature }
        })
    }
}

/// Whether this is a way to sign that does not need what verifies to be kept secret.
fn is_asymmetric(algorithm: Algorithm) -> bool {
    use Algorithm as A;
    matches!(
        algorithm,
        A::ES256
            | A::ES384
            | A::EdDSA
            | A::RS256
            | A::RS384
            | A::RS512
            | A::PS256
            | A::PS384
            | A::PS512
    )
}

/// Whether a key is for this way to sign.
fn signs(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let is_for_signatures =
        matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let is_for_this =
        key.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let fits = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::EllipticCurve(curve), A::ES256) => curve.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(curve), A::ES384) => curve.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), A::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        (
            AlgorithmParameters::RSA(_),
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512,
        ) => true,
        _ => false,
    };
    is_for_signatures && is_for_this && fits
}
