//! Names of people as pseudonyms: the same person is the same text, and only who has the key can tell
//! which.

use unicode_normalization::UnicodeNormalization as _;

use crate::seal::Mac;

/// `h1:` and the HMAC-SHA-256 of tenant, person and issuer, as baton-proxy 0.5.0 to 0.6.11 make it.
/// How a name is spelled does not matter: its Unicode form, its case, blanks around it. Issuers name
/// people each in its own way; without one there is only one.
pub fn pseudonym(key: &Mac, tenant: &str, person: &str, issuer: Option<&str>) -> String {
    let mut message = format!("{tenant}\0{}", canonical(person));
    if let Some(issuer) = issuer {
        message.push('\0');
        message.push_str(&canonical(issuer));
    }
    format!("h1:{}", key.of(message.as_bytes()))
}

fn canonical(name: &str) -> String {
    name.nfc().collect::<String>().trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of `baton-wire` §7.
    #[test]
    fn pseudonyms_are_those_of_the_reference() {
        let idp = Some("https://idp.example");
        for (key, tenant, person, issuer, expected) in [
            (
                "k",
                "acme",
                "user@example.com",
                None,
                "h1:4367379acd74d0f43b251fbec3a635715052ed51fc2462b556e342b51bb9914b",
            ),
            (
                "k",
                "acme",
                "  User@Example.COM ",
                None,
                "h1:4367379acd74d0f43b251fbec3a635715052ed51fc2462b556e342b51bb9914b",
            ),
            (
                "k",
                "other",
                "user@example.com",
                None,
                "h1:03423bf41caba3d7455882f651e1368f7eae9208145c8218eb715b4af846149b",
            ),
            (
                "k",
                "acme",
                "user@example.com",
                idp,
                "h1:f7cb1c00c9cea7310a74925631efe201b8cf9015a41674122aa9fb60f9ed0065",
            ),
            (
                "secret-key",
                "acme",
                "Jos\u{e9}",
                None,
                "h1:2f3a036d43f902c4e7f7eef01c0619a1811bb5506b41831448c7d3b6990c6a0b",
            ),
            (
                "secret-key",
                "acme",
                "Jose\u{301}",
                None,
                "h1:2f3a036d43f902c4e7f7eef01c0619a1811bb5506b41831448c7d3b6990c6a0b",
            ),
        ] {
            let key = Mac::new(key.as_bytes());
            assert_eq!(pseudonym(&key, tenant, person, issuer), expected, "{person}");
        }
    }
}
