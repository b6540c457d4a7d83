//! What an ID token claims, and whether that is about this login: OpenID Connect Core §3.1.3.7. Pure.

use jiff::Timestamp;
use serde::Deserialize;

use crate::server::console::token::is_same;

/// How far the provider's clock and ours may be apart, in seconds.
const SKEW: i64 = 60;
/// How old a token may be, in seconds: a login takes ten minutes at most.
const OLDEST: i64 = 15 * 60;

/// What a token claims. Only of tokens whose signature was checked.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: Seconds,
    iat: Seconds,
    #[serde(default)]
    nbf: Option<Seconds>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Verified>,
}

/// One name, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A moment, in seconds since 1970; some providers write parts of a second (RFC 7519 §2).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Seconds {
    Whole(i64),
    Parts(f64),
}

/// A truth; some providers write it as a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Verified {
    Truth(bool),
    Text(String),
}

/// What a token must be about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadToken {
    /// It is no token, or lacks a claim.
    #[error("it cannot be read")]
    Unreadable,
    /// It is signed with a shared key.
    #[error("it is signed in a way that proves nothing")]
    Algorithm,
    /// Its key is not among the provider's.
    #[error("it is signed with a key that is not the provider's")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("its signature is wrong")]
    Signature,
    /// Somebody else says so.
    #[error("it is from another issuer")]
    Issuer,
    /// It was made for somebody else.
    #[error("it is meant for another client")]
    Audience,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It is of another time.
    #[error("it was not issued for this login's time")]
    NotNow,
    /// It is of another login.
    #[error("it belongs to another login")]
    Nonce,
    /// It names no verified address.
    #[error("it has no e-mail address that the provider has verified")]
    Email,
}

// === impl Claims ===

impl Claims {
    /// The address of the person, where all claims are about this login.
    pub(super) fn judge(&self, expected: Expected<'_>) -> Result<String, BadToken> {
        if self.iss != expected.issuer {
            return Err(BadToken::Issuer);
        }
        if self.sub.is_empty() {
            return Err(BadToken::Unreadable);
        }
        let is_meant = match &self.aud {
            Audience::One(one) => one == expected.client_id,
            // Meant for others, too: then it must say that it was given to this one.
            Audience::Several(several) => {
                several.iter().any(|one| one == expected.client_id)
                    && (several.len() == 1 || self.azp.is_some())
            }
        };
        if !is_meant || self.azp.as_ref().is_some_and(|party| party != expected.client_id) {
            return Err(BadToken::Audience);
        }
        let since = |moment: Seconds| expected.now.as_second().saturating_sub(moment.whole());
        if since(self.exp) >= SKEW {
            return Err(BadToken::Expired);
        }
        if !(-SKEW..=OLDEST).contains(&since(self.iat)) {
            return Err(BadToken::NotNow);
        }
        if self.nbf.is_some_and(|nbf| since(nbf) < -SKEW) {
            return Err(BadToken::NotNow);
        }
        if !self.nonce.as_deref().is_some_and(|nonce| is_same(nonce, expected.nonce)) {
            return Err(BadToken::Nonce);
        }
        let is_verified = match &self.email_verified {
            Some(Verified::Truth(truth)) => *truth,
            Some(Verified::Text(text)) => text == "true",
            None => false,
        };
        match &self.email {
            Some(email) if is_verified => Ok(email.clone()),
            _ => Err(BadToken::Email),
        }
    }
}

// === impl Seconds ===

impl Seconds {
    fn whole(self) -> i64 {
        match self {
            Self::Whole(seconds) => seconds,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the end of time is as far as it goes"
            )]
            Self::Parts(seconds) => seconds as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: i64 = 1_795_000_000;

    /// A good token's claims, with one of them changed (or, by null, left out).
    fn judged(claim: &str, value: Value) -> Result<String, BadToken> {
        let mut claims = json!({
            "iss": "https://id.acme.example", "sub": "248289761001", "aud": "thoth", "azp": "thoth",
            "exp": NOW + 300, "iat": NOW - 5, "nonce": "n-1",
            "email": "ada@acme.example", "email_verified": true,
        });
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        } else {
            claims[claim] = value;
        }
        let claims: Claims = serde_json::from_value(claims).map_err(|_| BadToken::Unreadable)?;
        claims.judge(Expected {
            issuer: "https://id.acme.example",
            client_id: "thoth",
            nonce: "n-1",
            now: Timestamp::from_second(NOW).unwrap(),
        })
    }

    #[test]
    fn every_claim_must_be_about_this_login() {
        let good = || Ok("ada@acme.example".to_owned());
        for (claim, value, expected) in [
            ("x", json!(1), good()),
            ("iss", json!("https://id.acme.example/"), Err(BadToken::Issuer)),
            ("iss", json!("https://evil.example"), Err(BadToken::Issuer)),
            ("iss", Value::Null, Err(BadToken::Unreadable)),
            ("sub", json!(""), Err(BadToken::Unreadable)),
            ("sub", Value::Null, Err(BadToken::Unreadable)),
            ("aud", json!("other"), Err(BadToken::Audience)),
            ("aud", json!(["thoth"]), good()),
            ("aud", json!(["thoth", "other"]), good()),
            ("aud", json!(["other"]), Err(BadToken::Audience)),
            ("aud", json!([]), Err(BadToken::Audience)),
            ("aud", Value::Null, Err(BadToken::Unreadable)),
            ("azp", json!("other"), Err(BadToken::Audience)),
            ("azp", Value::Null, good()),
            ("exp", json!(NOW - 59), good()),
            ("exp", json!(NOW - 60), Err(BadToken::Expired)),
            ("exp", json!(0), Err(BadToken::Expired)),
            ("exp", json!(0.5), Err(BadToken::Expired)),
            ("exp", json!(1e300), good()),
            ("exp", json!(-1e300), Err(BadToken::Expired)),
            ("iat", json!(1e300), Err(BadToken::NotNow)),
            ("exp", json!("2099-01-01"), Err(BadToken::Unreadable)),
            ("exp", Value::Null, Err(BadToken::Unreadable)),
            ("iat", json!(NOW + 60), good()),
            ("iat", json!(NOW + 61), Err(BadToken::NotNow)),
            ("iat", json!(NOW - 900), good()),
            ("iat", json!(NOW - 901), Err(BadToken::NotNow)),
            ("iat", Value::Null, Err(BadToken::Unreadable)),
            ("nbf", json!(NOW + 61), Err(BadToken::NotNow)),
            ("nbf", json!(NOW - 9999), good()),
            ("nonce", json!("n-2"), Err(BadToken::Nonce)),
            ("nonce", json!(""), Err(BadToken::Nonce)),
            ("nonce", Value::Null, Err(BadToken::Nonce)),
            ("email", Value::Null, Err(BadToken::Email)),
            ("email_verified", json!(false), Err(BadToken::Email)),
            ("email_verified", json!("false"), Err(BadToken::Email)),
            ("email_verified", json!("true"), good()),
            ("email_verified", json!(1), Err(BadToken::Unreadable)),
            ("email_verified", Value::Null, Err(BadToken::Email)),
        ] {
            assert_eq!(judged(claim, value.clone()), expected, "{claim} {value}");
        }
    }

    #[test]
    fn a_token_for_several_must_say_that_this_one_got_it() {
        let mut claims = json!({
            "iss": "i", "sub": "s", "aud": ["thoth", "other"], "exp": NOW + 9, "iat": NOW,
            "nonce": "n", "email": "a@b.example", "email_verified": true,
        });
        let judged = |claims: &Value| {
            let claims: Claims = serde_json::from_value(claims.clone()).unwrap();
            let now = Timestamp::from_second(NOW).unwrap();
            claims.judge(Expected { issuer: "i", client_id: "thoth", nonce: "n", now })
        };
        assert_eq!(judged(&claims), Err(BadToken::Audience));
        claims["azp"] = json!("thoth");
        assert_eq!(judged(&claims), Ok("a@b.example".to_owned()));
    }
}
