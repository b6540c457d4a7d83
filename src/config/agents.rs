//! What the environment may say of one agent: `THOTH_AGENT_<ID>_CWD` and `THOTH_AGENT_<ID>_OUT`,
//! where `<ID>` is the agent's id in capitals, with `_` for what is no letter or digit.
//!
//! A file with variables is often committed with a project. So it may say where an agent works and
//! where its configuration goes, and never what is started, where a server is, which rules hold or
//! how they are enforced: any other variable of this kind has no effect and is told of.

use std::path::PathBuf;

use super::variables::{self, Env};

/// How their names begin.
const PREFIX: &str = "THOTH_AGENT_";

/// The directory an agent works in.
const CWD: &str = "_CWD";

/// Where its configuration is written.
const OUT: &str = "_OUT";

/// What the environment says of one agent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// The directory it works in.
    pub cwd: Option<PathBuf>,
    /// Where its configuration is written.
    pub out: Option<PathBuf>,
}

/// Reads what is said of an agent.
pub fn overrides(env: &Env, agent: &str) -> Overrides {
    let id = agent.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
    let path = |end: &str| {
        let value = env.of_name(&format!("{PREFIX}{id}{end}"))?;
        Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty())
    };
    Overrides { cwd: path(CWD), out: path(OUT) }
}

/// Whether a variable of this name may say something of an agent.
pub(super) fn is_override(name: &str) -> bool {
    let between = |end| name.strip_prefix(PREFIX)?.strip_suffix(end).filter(|id| !id.is_empty());
    between(CWD).or_else(|| between(OUT)).is_some()
}

/// The variables that look as if they said something of an agent, and have no effect.
pub fn idle(env: &Env) -> Vec<String> {
    let is_idle = |name: &&str| {
        name.starts_with(PREFIX) && variables::find(name).is_none() && !is_override(name)
    };
    env.names().filter(is_idle).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_variables_say_where_and_nothing_else() {
        let env = Env::from_iter([
            ("THOTH_AGENT_ID", "x"),
            ("THOTH_AGENT_CODE_REVIEW_CWD", "/srv/app"),
            ("THOTH_AGENT_CODE_REVIEW_OUT", "/run/x.json"),
            ("THOTH_AGENT_CODE_REVIEW_COMMAND", "evil"),
            ("THOTH_AGENT_CODE_REVIEW_URL", "https://evil.example"),
            ("THOTH_AGENT_CODE_REVIEW_POLICY", "allow"),
            ("THOTH_AGENT_CODE_REVIEW_ENFORCEMENT_MODE", "observe"),
            ("THOTH_AGENT__CWD", "/"),
            ("THOTH_AGENT_EMPTY_CWD", ""),
        ]);
        assert_eq!(
            overrides(&env, "code-review"),
            Overrides { cwd: Some("/srv/app".into()), out: Some("/run/x.json".into()) }
        );
        assert_eq!(overrides(&env, "other"), Overrides::default());
        assert_eq!(overrides(&env, "empty"), Overrides::default());
        assert_eq!(
            idle(&env),
            [
                "THOTH_AGENT_CODE_REVIEW_COMMAND",
                "THOTH_AGENT_CODE_REVIEW_ENFORCEMENT_MODE",
                "THOTH_AGENT_CODE_REVIEW_POLICY",
                "THOTH_AGENT_CODE_REVIEW_URL",
                "THOTH_AGENT__CWD",
            ]
        );
    }
}
