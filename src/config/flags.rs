//! The flags of `thoth run`, as text.
//!
//! clap only collects them. They are read by [`super::read`] together with the environment, so
//! that all problems are told at once, and told without the values: clap echoes what it refuses.

mod upstream;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

pub use self::upstream::UpstreamFlags;
use crate::secret::{ApiKey, NotAKey};

/// The flags that `thoth run` and `thoth doctor` share.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RunFlags {
    /// Who calls: the agent, or the name of the wrapped server's entry [default: the command's name]
    #[arg(long, value_name = "ID")]
    pub agent_id: Option<OsString>,

    /// The tenant at the enforcer
    #[arg(long, value_name = "TENANT")]
    pub tenant_id: Option<OsString>,

    /// The person, for most enforcers an e-mail address
    #[arg(long, value_name = "USER")]
    pub user_id: Option<OsString>,

    /// A rule file; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,

    /// Base address of the enforcer: https, or http to this machine
    #[arg(long, value_name = "URL")]
    pub enforcer_url: Option<OsString>,

    /// How verdicts are enforced: observe (or shadow), progressive, `step_up`, block [default: progressive]
    #[arg(long, value_name = "MODE")]
    pub enforcement_mode: Option<OsString>,

    /// What the session is for, such as `phi_eligibility_check`
    #[arg(long, value_name = "INTENT")]
    pub session_intent: Option<OsString>,

    /// What the session is approved for, separated by commas
    #[arg(long, value_name = "A,B")]
    pub approved_scope: Option<OsString>,

    /// The key for the enforcer. Everybody on this machine can see it: prefer --api-key-file
    #[arg(long, value_name = "KEY", conflicts_with = "api_key_file")]
    pub api_key: Option<KeyText>,

    /// A file with the key, read at every use: as it is, or as JSON `{"api_key": "..."}`
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<OsString>,

    /// A command that prints the key, run without a shell: `vault read -field=key "secret/a b"`
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["api_key", "api_key_file"])]
    pub api_key_command: Option<OsString>,

    /// The shape of a refusal: auto, error, result [default: auto]
    #[arg(long, value_name = "SHAPE")]
    pub denial: Option<OsString>,

    /// What happens to a step-up: return (answer at once), wait (for a person), elicit (ask the
    /// person at the client, where the rule lets them), auto (both) [default: return]
    #[arg(long, value_name = "HOW")]
    pub step_up: Option<OsString>,

    /// The longest a step-up waits, in seconds [default: 50]
    #[arg(long, value_name = "SECONDS")]
    pub step_up_wait: Option<OsString>,

    /// Whether a person here can answer for the local rules: auto, off [default: auto]
    #[arg(long, value_name = "HOW")]
    pub local_approvals: Option<OsString>,

    /// The longest line that is read, in bytes [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub max_message_bytes: Option<OsString>,

    /// Whether a call that cannot be journalled is refused: required, best-effort [default: required]
    #[arg(long, value_name = "HOW")]
    pub journal: Option<OsString>,

    /// How arguments are journalled: hash (salted), full [default: hash]
    #[arg(long, value_name = "HOW")]
    pub journal_arguments: Option<OsString>,

    /// Friction events: on, events (nothing is added to the session), off [default: on where
    /// `BATON_EVENT_SINK` says where to, else off]
    #[arg(long, value_name = "HOW")]
    pub friction: Option<OsString>,

    /// Where this machine stands: dev, staging, prod [default: dev]
    #[arg(long, value_name = "ENVIRONMENT")]
    pub env: Option<OsString>,

    /// How a server behind a URL is reached
    #[command(flatten)]
    pub upstream: UpstreamFlags,

    /// What `thoth unwrap-config` has to undo; `run` ignores it
    #[arg(long, value_name = "LIST", hide = true)]
    pub undo: Vec<OsString>,
}

/// A key as it stood on the command line. Does not print.
#[derive(Clone)]
pub struct KeyText(pub(super) OsString);

impl KeyText {
    /// The key, to be written to a key file and nowhere else; `None` where it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.0.to_str()
    }
}

impl From<OsString> for KeyText {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl KeyText {
    /// The key.
    ///
    /// # Errors
    ///
    /// [`NotAKey`]; never the text.
    pub fn key(&self) -> Result<ApiKey, NotAKey> {
        ApiKey::parse(self.0.to_str().ok_or(NotAKey)?)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: RunFlags,
    }

    #[test]
    fn the_flags_make_a_command_line() {
        Line::command().debug_assert();
        let line = Line::parse_from(["thoth", "--policy", "a", "--policy", "b", "--env", "prod"]);
        assert_eq!(line.flags.policy, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(line.flags.env, Some("prod".into()));
    }

    #[test]
    fn a_key_on_the_command_line_does_not_print() {
        let line = Line::parse_from(["thoth", "--api-key", "hunter2"]);
        assert!(!format!("{line:?}").contains("hunter2"));
    }

    #[test]
    fn of_a_key_a_file_and_a_command_there_is_one() {
        assert!(Line::try_parse_from(["thoth", "--api-key", "k", "--api-key-file", "f"]).is_err());
        for other in ["--api-key", "--api-key-file"] {
            assert!(Line::try_parse_from(["thoth", "--api-key-command", "c", other, "k"]).is_err());
        }
    }
}
