//! Text of others, without what an address in it may hide.

/// The text, its addresses cut down to scheme, host, port and path: a user name, a password, a
/// query or a fragment may be a secret.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        plain.push_str(before);
        let end = after
            .find(|next: char| next.is_whitespace() || "\"'`<>".contains(next))
            .unwrap_or(after.len());
        let (address, behind) = after.split_at(end);
        cut(address, &mut plain);
        rest = behind;
    }
    plain.push_str(rest);
    plain
}

fn cut(address: &str, plain: &mut String) {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let path = address.find(['/', '\\']).unwrap_or(address.len());
    let (authority, path) = address.split_at(path);
    let server = authority.rsplit('@').next().unwrap_or_default();
    let host = server.rfind(']').map_or(0, |end| end + 1);
    match server[host..].split_once(':') {
        // What is no port may be a password with a slash in it.
        Some((name, port))
            if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            plain.push_str(&server[..host]);
            plain.push_str(name);
        }
        _ => {
            plain.push_str(server);
            plain.push_str(path.split("://").next().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_may_hide_is_left_out() {
        for (text, expected) in [
            ("no address", "no address"),
            ("https://a.example:8443/base", "https://a.example:8443/base"),
            ("https://user:hunter2@a.example/", "https://a.example/"),
            ("https://user:h@nter@a.example", "https://a.example"),
            ("https://a.example/x?key=hunter2#hunter2", "https://a.example/x"),
            ("https://a.example#hunter2", "https://a.example"),
            ("https://user:hunt/er2@a.example", "https://user"),
            ("https://[::1]:8443/@scope/x", "https://[::1]:8443/@scope/x"),
            ("https://u:p@[::1]:hunter2/", "https://[::1]"),
            (
                "`ws://u@a.example` and (http://b.example?x) fail",
                "`ws://a.example` and (http://b.example fail",
            ),
            ("://", "://"),
            ("a://b://u:p@c", "a://b"),
            ("https://a.example/https://u:p@c", "https://a.example/https"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
