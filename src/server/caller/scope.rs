//! What a key may do, and for how much of its tenant.

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one permission of the wire")]
pub struct Permissions {
    /// Look at things: `read`.
    pub read: bool,
    /// Send events, reports and check-ins: `write`.
    pub write: bool,
    /// Ask for decisions and poll holds: `execute`.
    pub execute: bool,
    /// Resolve approvals, make keys, quarantine: `admin`.
    pub admin: bool,
}

/// How much of its tenant a key is good for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// All of it.
    Organization,
    /// One fleet.
    Fleet(String),
    /// One endpoint.
    Endpoint(String),
    /// One agent.
    Agent(String),
}

// === impl Permissions ===

impl Permissions {
    /// All of them.
    pub const ALL: Self = Self { read: true, write: true, execute: true, admin: true };
    /// What a sidecar needs.
    pub const SIDECAR: Self = Self { read: true, write: true, execute: true, admin: false };

    /// The words of the wire, separated by blanks.
    pub fn words(self) -> String {
        let all = [
            ("read", self.read),
            ("write", self.write),
            ("execute", self.execute),
            ("admin", self.admin),
        ];
        let given: Vec<_> = all.iter().filter(|(_, given)| *given).map(|(word, _)| *word).collect();
        given.join(" ")
    }

    /// Reads words of the wire, separated by blanks: its own, and the older ones that say what a
    /// key is for (`thoth-wire` §1). `None` where one is not known.
    pub fn read(words: &str) -> Option<Self> {
        let mut permissions = Self::default();
        for word in words.split_whitespace() {
            match word {
                "read" | "endpoints:read" | "approvals:read" | "decisions:read" => {
                    permissions.read = true;
                }
                "write" | "events:write" | "endpoint:checkin" | "inventory:write" => {
                    permissions.write = true;
                }
                // Their `read` is what a sidecar does: to ask, and to poll a hold.
                "execute" | "enforcement:read" | "enforcement:execute" | "step-up:read" => {
                    permissions.execute = true;
                }
                "admin" => permissions.admin = true,
                _ => return None,
            }
        }
        Some(permissions)
    }

    /// Whether these allow all that those allow; `admin` allows everything.
    pub fn cover(self, other: Self) -> bool {
        let covers = |mine: bool, others: bool| mine || self.admin || !others;
        covers(self.read, other.read)
            && covers(self.write, other.write)
            && covers(self.execute, other.execute)
            && covers(self.admin, other.admin)
    }
}

// === impl Scope ===

impl Scope {
    /// The level and the target, as the wire has them.
    pub fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Organization => ("organization", ""),
            Self::Fleet(target) => ("fleet", target),
            Self::Endpoint(target) => ("endpoint", target),
            Self::Agent(target) => ("agent", target),
        }
    }

    /// Reads a level and its target.
    pub fn read(level: &str, target: &str) -> Option<Self> {
        let target = || (!target.is_empty()).then(|| target.to_owned());
        match level {
            "organization" => Some(Self::Organization),
            "fleet" => target().map(Self::Fleet),
            "endpoint" => target().map(Self::Endpoint),
            "agent" => target().map(Self::Agent),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_wire_is_read() {
        for (words, meant) in [
            ("read write execute", "read write execute"),
            ("enforcement:read step-up:read", "execute"),
            ("events:write endpoint:checkin", "write"),
            ("admin", "admin"),
            ("", ""),
        ] {
            assert_eq!(Permissions::read(words).unwrap().words(), meant, "{words}");
        }
        for words in ["all", "READ", "read,write", "endpoint:*"] {
            assert_eq!(Permissions::read(words), None, "{words}");
        }
    }

    #[test]
    fn admin_covers_everything_and_nothing_else_covers_more_than_itself() {
        let of = |words| Permissions::read(words).unwrap();
        for (mine, others, covers) in [
            ("admin", "read write execute admin", true),
            ("read write execute", "read", true),
            ("read write execute", "admin", false),
            ("read", "write", false),
            ("", "", true),
        ] {
            assert_eq!(of(mine).cover(of(others)), covers, "{mine} over {others}");
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for (level, target) in
            [("organization", ""), ("fleet", "f"), ("endpoint", "e"), ("agent", "a")]
        {
            assert_eq!(Scope::read(level, target).unwrap().words(), (level, target));
        }
        assert_eq!(Scope::read("fleet", ""), None);
        assert_eq!(Scope::read("galaxy", "g"), None);
    }
}
