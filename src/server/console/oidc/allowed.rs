//! Whom of the provider's people the console lets in. Pure.

/// E-mail addresses, and `@domain` for all of one. Nobody where it is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed<'a>(&'a [String]);

// === impl Allowed ===

impl<'a> Allowed<'a> {
    /// This list.
    pub(super) fn new(list: &'a [String]) -> Self {
        Self(list)
    }

    /// Whether it has this address. Letters of either case are the same; an address with anything
    /// else than plain characters is nobody's.
    pub(super) fn admits(self, address: &str) -> bool {
        let Some((name, domain)) = address.split_once('@') else { return false };
        let is_plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"@<>\",;:\\()[]".contains(&byte))
        };
        if !is_plain(name) || !is_plain(domain) {
            return false;
        }
        self.0.iter().map(|one| one.trim()).any(|one| match one.split_once('@') {
            Some(("", all)) => all.eq_ignore_ascii_case(domain),
            Some(_) => one.eq_ignore_ascii_case(address),
            // A domain without its sign.
            None => one.eq_ignore_ascii_case(domain),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_listed_is_let_in() {
        let list =
            ["ada@acme.example", "@security.acme.example", " Ops.example ", "@"].map(String::from);
        for (address, admitted) in [
            ("ada@acme.example", true),
            ("Ada@ACME.example", true),
            ("bob@acme.example", false),
            ("anybody@security.acme.example", true),
            ("anybody@ops.example", true),
            ("x@evil.security.acme.example", false),
            ("x@evilsecurity.acme.example", false),
            ("x@security.acme.example.evil.example", false),
            ("x@evil.example@security.acme.example", false),
            ("ada@acme.example ", false),
            ("ada@acme.example\n", false),
            ("ad\u{430}@security.acme.example", false),
            ("<x>@ops.example", false),
            ("@ops.example", false),
            ("x@", false),
            ("ops.example", false),
            ("", false),
        ] {
            assert_eq!(Allowed::new(&list).admits(address), admitted, "{address:?}");
        }
        assert!(!Allowed::new(&[]).admits("ada@acme.example"), "nobody, where nobody is listed");
    }
}
