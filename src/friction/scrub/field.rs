//! Names of members whose values are secret or personal.

/// A field, known by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field<'r> {
    /// What it is counted and replaced as.
    pub(super) name: &'r str,
    /// Whether, in plain text, its value goes on to the end of the line.
    pub(super) line: bool,
}

/// A name as it is looked up: the end of it, in lower case, without separators.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    letters: [u8; LONGEST],
    length: usize,
}

/// How much of a name is looked at, in bytes: more than the longest one that is known.
pub(super) const LONGEST: usize = 48;

/// Ends of longer names, as in `db_password`.
const ENDS: [(&str, &str); 16] = [
    ("accesskey", "access_key"),
    ("accesstoken", "token"),
    ("apikey", "api_key"),
    ("apitoken", "token"),
    ("authtoken", "token"),
    ("bearertoken", "token"),
    ("emailaddress", "email"),
    ("passcode", "password"),
    ("passphrase", "password"),
    ("passwd", "password"),
    ("password", "password"),
    ("privatekey", "private_key"),
    ("refreshtoken", "token"),
    ("secret", "secret"),
    ("secretkey", "secret"),
    ("sessiontoken", "token"),
];

/// The field that a name stands for, in any case and with any separators.
pub(super) fn named(name: &str) -> Option<Field<'static>> {
    if name.ends_with(|last: char| last.is_ascii_digit()) {
        return None;
    }
    let plain = Plain::of(name);
    let known = known(plain.as_bytes()).or_else(|| plain.ending()).or_else(|| variable(name))?;
    Some(Field { name: known, line: matches!(known, "authorization" | "cookie") })
}

/// The field that a parameter of a URL stands for whose name is too ordinary elsewhere.
pub(super) fn parameter(name: &[u8]) -> Option<Field<'static>> {
    let name = match name {
        b"auth" | b"jwt" | b"session" | b"sessionid" | b"session_id" => "token",
        b"key" => "api_key",
        b"sig" | b"signature" => "signature",
        _ => return None,
    };
    Some(Field { name, line: false })
}

/// What plain names count as. Those of baton-proxy are among them, under its labels.
fn known(plain: &[u8]) -> Option<&'static str> {
    Some(match plain {
        b"accesskeyid"
        | b"awsaccesskeyid"
        | b"accountkey"
        | b"storageaccountkey"
        | b"sharedaccesskey"
        | b"awssecretaccesskey"
        | b"secretaccesskey" => "access_key",
        b"authorization" | b"proxyauthorization" => "authorization",
        b"cardnumber" | b"creditcard" | b"creditcardnumber" | b"cvc" | b"cvv" | b"securitycode" => {
            "cc"
        }
        b"cookie" | b"setcookie" => "cookie",
        b"email" | b"useremail" => "email",
        b"iban" => "iban",
        b"mobilenumber" | b"mobilephone" | b"phone" | b"phonenumber" => "phone",
        b"encryptionkey" | b"signingkey" | b"sshkey" => "private_key",
        b"pwd" => "password",
        b"connectionstring" | b"credentials" | b"secretvalue" => "secret",
        b"sharedaccesssignature" | b"xamzsignature" | b"xgoogsignature" => "signature",
        b"socialsecuritynumber" | b"ssn" => "ssn",
        b"idtoken" | b"personalaccesstoken" | b"secrettoken" | b"token" | b"xamzsecuritytoken" => {
            "token"
        }
        b"username" => "user_name",
        _ => return None,
    })
}

/// What a variable in capitals holds, by the end of its name.
fn variable(name: &str) -> Option<&'static str> {
    let capitals = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    (name.ends_with("_TOKEN") && name.bytes().all(capitals)).then_some("token")
}

// === impl Plain ===

impl Plain {
    pub(super) fn of(name: &str) -> Self {
        /// To readers who ignore case, the sign for kelvin is a k.
        const KELVIN: char = '\u{212a}';

        let mut plain = Self { letters: [0; LONGEST], length: 0 };
        let mut push = |byte: u8| {
            if plain.length < LONGEST && !matches!(byte, b'_' | b'-' | b'.' | b' ') {
                plain.length += 1;
                plain.letters[LONGEST - plain.length] = byte.to_ascii_lowercase();
            }
        };
        if name.is_ascii() {
            name.bytes().rev().for_each(push);
        } else {
            // No name that is known has other letters.
            let byte =
                |letter| if letter == KELVIN { b'k' } else { u8::try_from(letter).unwrap_or(0xFF) };
            name.chars().rev().map(byte).for_each(&mut push);
        }
        plain
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.letters[LONGEST - self.length..]
    }

    /// What a name counts as that ends like this.
    fn ending(&self) -> Option<&'static str> {
        let letters = self.as_bytes();
        if !matches!(letters.last(), Some(b'd' | b'e' | b'n' | b's' | b't' | b'y')) {
            return None;
        }
        ENDS.iter().find(|(end, _)| letters.ends_with(end.as_bytes())).map(|&(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling() {
        let table = [
            ("email", Some("email")),
            ("Email", Some("email")),
            ("API_KEY", Some("api_key")),
            ("apikey", Some("api_key")),
            ("X-Api-Key", Some("api_key")),
            ("xApiKey", Some("api_key")),
            ("user_name", Some("user_name")),
            ("userName", Some("user_name")),
            ("Authorization", Some("authorization")),
            ("proxy-authorization", Some("authorization")),
            ("clientSecret", Some("secret")),
            ("GITHUB_TOKEN", Some("token")),
            ("OPENAI_API_KEY", Some("api_key")),
            ("DB_PASSWORD", Some("password")),
            ("spring.datasource.password", Some("password")),
            ("newPassword", Some("password")),
            ("SecretAccessKey", Some("access_key")),
            ("AccountKey", Some("access_key")),
            ("to\u{212a}en", Some("token")),
            ("tokens", None),
            ("progressToken", None),
            ("next_page_token", None),
            ("consent_token", None),
            ("max_tokens", None),
            ("key", None),
            ("tool_name", None),
            ("t\u{f6}ken", None),
            ("", None),
        ];
        for (name, field) in table {
            assert_eq!(named(name).map(|field| field.name), field, "{name}");
        }
        let long = "a_very_long_name_of_a_setting_in_some_file_of_some_project_smtp_password";
        assert_eq!(named(long).map(|field| field.name), Some("password"));
    }
}
