//! Names of members whose values are secret or personal.

/// A field, known by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field<'r> {
    /// What it is counted and replaced as.
    pub(super) name: &'r str,
    /// Whether, in plain text, its value goes on to the end of the line.
    pub(super) line: bool,
}

/// The longest name that is looked up, in bytes: the longest of the table, with separators.
pub(super) const LONGEST: usize = 48;

/// Names in lower case without separators, and what they count as. The first eight are those of
/// baton-proxy, under its labels.
const FIELDS: [(&str, &str); 48] = [
    ("email", "email"),
    ("phone", "phone"),
    ("ssn", "ssn"),
    ("apikey", "api_key"),
    ("token", "token"),
    ("secret", "secret"),
    ("password", "password"),
    ("username", "user_name"),
    ("accesskey", "access_key"),
    ("accesstoken", "token"),
    ("authorization", "authorization"),
    ("authtoken", "token"),
    ("awsaccesskeyid", "access_key"),
    ("awssecretaccesskey", "secret"),
    ("awssessiontoken", "token"),
    ("bearertoken", "token"),
    ("cardnumber", "cc"),
    ("clientsecret", "secret"),
    ("cookie", "cookie"),
    ("creditcard", "cc"),
    ("credentials", "secret"),
    ("cvc", "cc"),
    ("cvv", "cc"),
    ("emailaddress", "email"),
    ("idtoken", "token"),
    ("mobilenumber", "phone"),
    ("passcode", "password"),
    ("passphrase", "password"),
    ("passwd", "password"),
    ("personalaccesstoken", "token"),
    ("phonenumber", "phone"),
    ("privatekey", "private_key"),
    ("proxyauthorization", "authorization"),
    ("pwd", "password"),
    ("refreshtoken", "token"),
    ("secretaccesskey", "secret"),
    ("secretkey", "secret"),
    ("secrettoken", "token"),
    ("sessiontoken", "token"),
    ("setcookie", "cookie"),
    ("signingkey", "private_key"),
    ("socialsecuritynumber", "ssn"),
    ("sshkey", "private_key"),
    ("userpassword", "password"),
    ("webhooksecret", "secret"),
    ("xapikey", "api_key"),
    ("xauthtoken", "token"),
    ("xaccesstoken", "token"),
];

/// Ends of a variable's name, as in `GITHUB_TOKEN`.
const ENDS: [(&str, &str); 7] = [
    ("_API_KEY", "api_key"),
    ("_APIKEY", "api_key"),
    ("_PASSWORD", "password"),
    ("_PASSWD", "password"),
    ("_PRIVATE_KEY", "private_key"),
    ("_SECRET", "secret"),
    ("_TOKEN", "token"),
];

/// The field that a name stands for, in any case and with any separators.
pub(super) fn named(name: &str) -> Option<Field<'static>> {
    if name.len() > LONGEST {
        return None;
    }
    let plain = plain(name);
    let known = FIELDS.iter().find(|(known, _)| *known == plain).map(|&(_, name)| name);
    let known = known.or_else(|| variable(name))?;
    Some(Field { name: known, line: matches!(known, "authorization" | "cookie") })
}

/// In lower case, without separators.
pub(super) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-' | '.' | ' '));
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// What a variable in capitals holds, by the end of its name.
fn variable(name: &str) -> Option<&'static str> {
    let capitals = name.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    let end = capitals.then(|| ENDS.iter().find(|(end, _)| name.ends_with(end)))?;
    end.map(|&(_, name)| name)
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
            ("user_name", Some("user_name")),
            ("userName", Some("user_name")),
            ("Authorization", Some("authorization")),
            ("clientSecret", Some("secret")),
            ("GITHUB_TOKEN", Some("token")),
            ("OPENAI_API_KEY", Some("api_key")),
            ("DB_PASSWORD", Some("password")),
            ("tokens", None),
            ("progressToken", None),
            ("next_page_token", None),
            ("consent_token", None),
            ("max_tokens", None),
            ("tool_name", None),
            ("", None),
        ];
        for (name, field) in table {
            assert_eq!(named(name).map(|field| field.name), field, "{name}");
        }
    }
}
