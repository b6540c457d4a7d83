//! Which scopes a login asks for: MCP 2026-07-28, authorization, "Scope Selection Strategy". Pure.

use crate::https::is_scope;

/// What lets a client have a refresh token; asked for only where the authorization server lists it.
const OFFLINE: &str = "offline_access";

/// What is known of scopes when a login begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// What the person asks for.
    pub(super) asked: &'a [String],
    /// What an earlier login at the same place asked for.
    pub(super) before: &'a [String],
    /// What the server's refusal names.
    pub(super) challenge: Option<&'a [String]>,
    /// What the server's metadata lists.
    pub(super) of_resource: Option<&'a [String]>,
    /// What the authorization server's metadata lists.
    pub(super) of_server: &'a [String],
}

// === impl Known ===

impl Known<'_> {
    /// What to ask for, each once; nothing at all leaves the choice to the authorization server.
    ///
    /// What a person names is added to what was asked for before, so that a login for one thing more
    /// does not lose the others. Where nobody names any, the server's refusal decides, or else its metadata.
    pub(super) fn select(&self) -> Vec<String> {
        let own = self.challenge.or(self.of_resource).unwrap_or_default();
        let named = if self.asked.is_empty() { own } else { self.asked };
        let mut chosen: Vec<String> = Vec::new();
        for scope in self.before.iter().chain(named).filter(|scope| is_scope(scope)) {
            if !chosen.contains(scope) {
                chosen.push(scope.clone());
            }
        }
        let offline = self.of_server.iter().find(|scope| *scope == OFFLINE);
        chosen.extend(offline.filter(|scope| !chosen.contains(scope)).cloned());
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_goes_before_the_metadata_and_the_person_before_both() {
        let list = crate::https::scopes;
        for (asked, before, challenge, of_resource, of_server, expected) in [
            ("", "", None, None, "", ""),
            ("", "", None, Some("a b"), "", "a b"),
            ("", "", Some("c"), Some("a b"), "", "c"),
            ("", "", Some(""), Some("a b"), "", ""),
            ("x", "", Some("c"), Some("a b"), "", "x"),
            ("x", "c d", None, Some("a"), "", "c d x"),
            ("", "c d", Some("c e"), None, "", "c d e"),
            ("a a", "a", None, None, "", "a"),
            ("", "", Some("c"), None, "openid offline_access", "c offline_access"),
            ("", "", None, None, "offline_access", "offline_access"),
            ("offline_access", "", None, None, "offline_access", "offline_access"),
            ("", "", Some("c"), None, "openid", "c"),
        ] {
            let (asked, before, of_server) = (list(asked), list(before), list(of_server));
            let (challenge, of_resource) = (challenge.map(list), of_resource.map(list));
            let known = Known {
                asked: &asked,
                before: &before,
                challenge: challenge.as_deref(),
                of_resource: of_resource.as_deref(),
                of_server: &of_server,
            };
            assert_eq!(known.select().join(" "), expected, "{known:?}");
        }
        assert_eq!(list(" a  b\"\\ c\u{e9} d "), ["a", "d"]);
    }
}
