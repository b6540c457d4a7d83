//! What is refused before any rule is asked: tools outside the approved scope or the session's
//! intent, and every call below a blocked ancestor or to a blocked server command.
//!
//! Pure functions over facts that others gather. Their reason codes are those that clients of
//! enforcers know.
//!
//! A scope restricts tools only if it names at least one. Entries are tools (names or globs), with
//! or without `tool_call:` before them; entries with another word and a colon before them, such as
//! `endpoint:checkin`, are permissions for other things and say nothing about tools.

use super::glob::Glob;
use super::judge::BoundPolicy;
use crate::gate::verdict::{Facts, Judge, Verdict};

/// The tool is not in the session's approved scope.
pub const TOOL_NOT_IN_SCOPE: &str = "tool_not_in_approved_scope";
/// The tool is not on the allow list of the session's intent.
pub const TOOL_NOT_FOR_INTENT: &str = "tool_not_allowed_for_session_intent";
/// A process above this one is blocked.
pub const ANCESTOR_BLOCKED: &str = "lineage_ancestor_blocked";
/// The server's command is blocked.
pub const BINARY_BLOCKED: &str = "lineage_upstream_binary_blocked";

const TOOL_PREFIX: &str = "tool_call:";

/// What a session may call at all.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The tools that are approved; `None` where that is not restricted.
    pub(super) approved: Option<Vec<Glob>>,
    /// The tools that the session's intent allows; `None` where it restricts nothing.
    pub(super) intended: Option<Vec<Glob>>,
    intent: String,
    pub(super) lineage: Option<Blocked>,
}

/// A session in which every call is blocked, because of where it comes from or goes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocked {
    /// A process above this one.
    Ancestor {
        /// Its name.
        process: String,
        /// The entry that blocks it.
        token: String,
    },
    /// The server's command, by its name.
    Binary(String),
}

/// The judge of the local rules: the scope first, then the policies.
///
/// Policies can stand under managed ones, those of whoever manages the machine. Rules of one set are
/// weighed together, so that an allowing rule of one file answers another's default; sets are not:
/// each comes to a verdict of its own, and the stricter one counts. So nothing that is added under
/// managed policies can make their verdict milder.
#[derive(Debug)]
pub struct Local {
    scope: Scope,
    managed: Option<BoundPolicy>,
    policies: Option<BoundPolicy>,
}

/// Whether calls are blocked by where they come from or go to.
///
/// An ancestor is blocked where its name holds one of the tokens, in any case; the server where
/// the last part of its command's path is one of the names, exactly. Empty entries say nothing.
pub fn lineage<A: AsRef<str>, T: AsRef<str>, B: AsRef<str>>(
    ancestors: &[A],
    command: &str,
    blocked_ancestors: &[T],
    blocked_binaries: &[B],
) -> Option<Blocked> {
    let tokens = || {
        let trimmed = blocked_ancestors.iter().map(|token| token.as_ref().trim());
        trimmed.filter(|token| !token.is_empty())
    };
    for process in ancestors {
        let lower = process.as_ref().to_lowercase();
        if let Some(token) = tokens().find(|token| lower.contains(&token.to_lowercase())) {
            return Some(Blocked::Ancestor {
                process: process.as_ref().to_owned(),
                token: token.to_owned(),
            });
        }
    }
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    let is_blocked = |binary: &B| !name.is_empty() && binary.as_ref().trim() == name;
    let found = blocked_binaries.iter().any(is_blocked);
    found.then(|| Blocked::Binary(name.to_owned()))
}

// === impl Scope ===

impl Scope {
    /// The scope of a session.
    ///
    /// `approved` are the entries of the approved scope; `intent_tools` are allow lists by intent,
    /// of which those of the session's intent count, together; `lineage` is what [`lineage`] said.
    pub fn new(
        approved: &[String],
        intent: &str,
        intent_tools: &[(String, Vec<String>)],
        lineage: Option<Blocked>,
    ) -> Self {
        let tools: Vec<Glob> = approved.iter().filter_map(|entry| tool(entry)).collect();
        let lists: Vec<_> = intent_tools
            .iter()
            .filter(|(listed, _)| listed.trim() == intent && !intent.is_empty())
            .collect();
        let of_lists = lists.iter().flat_map(|(_, entries)| entries);
        Self {
            approved: (!tools.is_empty()).then_some(tools),
            intended: (!lists.is_empty()).then(|| of_lists.filter_map(|e| tool(e)).collect()),
            intent: intent.to_owned(),
            lineage,
        }
    }

    /// The block of a call to this tool, where it is refused before any rule is asked.
    pub fn verdict(&self, tool: &str) -> Option<Verdict> {
        let lets = |globs: &Option<Vec<Glob>>| {
            globs.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(tool)))
        };
        let (code, reason) = match &self.lineage {
            Some(Blocked::Ancestor { process, token }) => (
                ANCESTOR_BLOCKED,
                format!("calls below the process `{process}` are blocked (`{token}`)"),
            ),
            Some(Blocked::Binary(name)) => {
                (BINARY_BLOCKED, format!("calls to the server command `{name}` are blocked"))
            }
            None if !lets(&self.approved) => (
                TOOL_NOT_IN_SCOPE,
                "this tool is not in the approved scope of this session".to_owned(),
            ),
            None if !lets(&self.intended) => (
                TOOL_NOT_FOR_INTENT,
                format!("this tool is not allowed for the session intent `{}`", self.intent),
            ),
            None => return None,
        };
        Some(Verdict::block(code, &reason))
    }
}

/// The tools that an entry of a scope means; `None` where it is about something else.
fn tool(entry: &str) -> Option<Glob> {
    let entry = entry.trim();
    let name = match entry.strip_prefix(TOOL_PREFIX) {
        Some(name) => name.trim(),
        None if entry.is_empty() || entry.contains(':') => return None,
        None => entry,
    };
    // What is no glob can still be a name; it never matches more than itself.
    Some(Glob::parse(name).unwrap_or_else(|_| Glob::exactly(name)))
}

// === impl Local ===

impl Local {
    /// The scope, and the policies where there are any. Without them, what the scope lets pass is
    /// allowed here: somebody else, the enforcer, must decide about it.
    pub fn new(scope: Scope, policies: Option<BoundPolicy>) -> Self {
        Self { scope, managed: None, policies }
    }

    /// The same under managed policies.
    #[must_use]
    pub fn under(self, managed: Option<BoundPolicy>) -> Self {
        Self { managed, ..self }
    }

    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The sets of policies, the managed one first.
    pub(super) fn sets(&self) -> impl Iterator<Item = &BoundPolicy> {
        self.managed.iter().chain(&self.policies)
    }
}

impl Judge for Local {
    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        if let Some(block) = self.scope.verdict(facts.tool) {
            return block;
        }
        let own = self.policies.as_ref().map(|policies| policies.judge(facts));
        match (&self.managed, own) {
            (None, own) => own.unwrap_or_else(Verdict::allow),
            (Some(managed), None) => managed.judge(facts),
            (Some(managed), Some(own)) => stricter(managed, own, facts),
        }
    }
}

/// The stricter verdict; of two alike, the managed one. What the other would put in place of the
/// arguments is judged by the managed policies, too.
fn stricter(managed: &BoundPolicy, own: Verdict, facts: &Facts<'_>) -> Verdict {
    let above = managed.judge(facts);
    if above.effect.strictness() > own.effect.strictness() {
        return above;
    }
    let above = match own.effect.arguments() {
        Some(arguments) => managed.judge(&Facts { arguments: arguments.as_str(), ..*facts }),
        None => above,
    };
    if above.effect.strictness() >= own.effect.strictness() { above } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    fn code(scope: &Scope, tool: &str) -> Option<String> {
        scope.verdict(tool).and_then(|verdict| verdict.grounds.reason_code)
    }

    #[test]
    fn a_scope_restricts_tools_only_if_it_names_any() {
        for (entries, tool, lets) in [
            (&[][..], "anything", true),
            (&["endpoint:checkin", "read:files", "", " "], "anything", true),
            (&["read_file"], "read_file", true),
            (&["read_file"], "write_file", false),
            (&["tool_call:read_*", "endpoint:checkin"], "read_file", true),
            (&["tool_call:read_*", "endpoint:checkin"], "write_file", false),
            (&["tool_call:ns:tool"], "ns:tool", true),
            (&["tool_call:"], "anything", false),
            (&["a[b"], "a[b", true),
            (&["a[b"], "ab", false),
        ] {
            let scope = Scope::new(&strings(entries), "", &[], None);
            let expected = (!lets).then_some(TOOL_NOT_IN_SCOPE);
            assert_eq!(code(&scope, tool).as_deref(), expected, "{entries:?} {tool}");
        }
    }

    #[test]
    fn only_a_listed_intent_restricts_tools() {
        let lists = [
            ("audit".to_owned(), strings(&["read_*"])),
            ("audit".to_owned(), strings(&["tool_call:list"])),
            ("nothing".to_owned(), Vec::new()),
        ];
        for (intent, tool, lets) in [
            ("audit", "read_file", true),
            ("audit", "list", true),
            ("audit", "write_file", false),
            ("nothing", "read_file", false),
            ("other", "write_file", true),
            ("", "write_file", true),
        ] {
            let scope = Scope::new(&[], intent, &lists, None);
            let expected = (!lets).then_some(TOOL_NOT_FOR_INTENT);
            assert_eq!(code(&scope, tool).as_deref(), expected, "{intent} {tool}");
        }
    }

    #[test]
    fn lineage_blocks_by_token_and_by_exact_name() {
        let blocked = |ancestors: &[&str], command: &str| {
            lineage(ancestors, command, &["Cursor", " "], &["npx", ""])
        };
        let ancestor = blocked(&["bash", "/opt/CURSOR-helper"], "node").unwrap();
        assert!(matches!(ancestor, Blocked::Ancestor { ref token, .. } if token == "Cursor"));
        assert_eq!(blocked(&["bash"], "/usr/bin/npx"), Some(Blocked::Binary("npx".into())));
        assert_eq!(blocked(&["bash"], r"C:\bin\npx"), Some(Blocked::Binary("npx".into())));
        assert_eq!(blocked(&["bash"], "/usr/bin/npx2"), None);
        assert_eq!(blocked(&["bash"], ""), None);
        let scope = Scope::new(&strings(&["read"]), "", &[], Some(ancestor));
        assert_eq!(code(&scope, "read").as_deref(), Some(ANCESTOR_BLOCKED));
        let scope = Scope::new(&[], "", &[], blocked(&[], "npx"));
        assert_eq!(code(&scope, "read").as_deref(), Some(BINARY_BLOCKED));
    }
}
