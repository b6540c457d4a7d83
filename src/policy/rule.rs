//! What a policy file says, as types. A value of these types is valid: it was parsed, see
//! `policy::file`.

use std::time::Duration;

use super::Who;
use super::condition::Condition;
use super::glob::Glob;
use super::pointer::Pointer;
use super::problem::Problems;
use crate::gate::verdict::PolicyRef;

/// One policy: rules, a default, and cases that say what they are meant to do.
#[derive(Debug)]
pub struct Policy {
    pub(super) name: String,
    pub(super) reference: PolicyRef,
    pub(super) description: Option<String>,
    pub(super) default: Fallback,
    pub(super) rules: Vec<Rule>,
    pub(super) cases: Vec<Case>,
}

/// What happens to a call that no rule matches.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fallback {
    /// It is forwarded.
    Allow,
    /// A person must agree first.
    StepUp,
    /// It is refused.
    Block,
}

/// One rule: which calls it is about, and what happens to them.
#[derive(Debug)]
pub struct Rule {
    pub(super) id: String,
    pub(super) line: usize,
    pub(super) tools: Names,
    pub(super) agents: Names,
    pub(super) servers: Names,
    pub(super) intents: Names,
    pub(super) environments: Names,
    pub(super) when: Option<Condition>,
    pub(super) action: Action,
    pub(super) reason: Option<String>,
    pub(super) controls: Vec<String>,
}

/// Which names a rule is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Names {
    /// The file says nothing about them.
    Any,
    /// One of these must match. Never empty.
    OneOf(Vec<Glob>),
}

/// What a rule does to the calls it matches.
#[derive(Debug)]
pub enum Action {
    /// They are forwarded.
    Allow,
    /// They are refused.
    Block,
    /// They are refused for now.
    Defer {
        /// When to come back, where the rule says so.
        retry_after: Option<Duration>,
    },
    /// They are forwarded with other arguments.
    Modify(Vec<Set>),
    /// A person must agree first.
    StepUp {
        /// Whether whoever made the call may agree to it; `None` where the rule does not say.
        self_approval: Option<bool>,
    },
}

/// One change of a call's arguments.
#[derive(Debug)]
pub struct Set {
    pub(super) pointer: Pointer,
    pub(super) value: Condition,
}

/// One call, and what the policy is meant to say about it.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) who: Who,
    pub(super) tool: String,
    /// The text of one JSON object.
    pub(super) arguments: String,
    /// JSON, where the case gives any.
    pub(super) annotations: Option<String>,
    pub(super) calls: Vec<String>,
    pub(super) expect: Word,
    pub(super) rule: Option<String>,
    pub(super) expect_arguments: Option<String>,
}

/// The name of an effect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Word {
    /// `allow`
    Allow,
    /// `modify`
    Modify,
    /// `step_up`
    StepUp,
    /// `defer`
    Defer,
    /// `block`
    Block,
}

// === impl Policy ===

impl Policy {
    /// Reads a policy file. `name` is what problems are reported under.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file: it is used as a whole or not at all.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        super::file::parse(name, text)
    }

    /// The file's name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, version and SHA-256.
    pub fn reference(&self) -> &PolicyRef {
        &self.reference
    }

    /// What it says about itself.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// What happens to calls that no rule matches.
    pub fn default(&self) -> Fallback {
        self.default
    }

    /// Its rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Its cases, in the order of the file.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }
}

// === impl Fallback ===

impl Fallback {
    /// The effect's name.
    pub fn word(self) -> Word {
        match self {
            Self::Allow => Word::Allow,
            Self::Block => Word::Block,
            Self::StepUp => Word::StepUp,
        }
    }
}

// === impl Rule ===

impl Rule {
    /// Its name, unique within its policy.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The line of its file on which it begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What it does to the calls it matches.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Whether it is about calls of this session at all.
    pub(super) fn is_about(&self, who: &Who) -> bool {
        self.agents.include(&who.agent)
            && self.servers.include(&who.server)
            && self.intents.include(&who.intent)
            && self.environments.include(&who.environment)
    }
}

// === impl Names ===

impl Names {
    pub(super) fn include(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(globs) => globs.iter().any(|glob| glob.matches(name)),
        }
    }
}

// === impl Action ===

impl Action {
    /// The effect's name.
    pub fn word(&self) -> Word {
        match self {
            Self::Allow => Word::Allow,
            Self::Block => Word::Block,
            Self::Defer { .. } => Word::Defer,
            Self::Modify(_) => Word::Modify,
            Self::StepUp { .. } => Word::StepUp,
        }
    }
}

// === impl Case ===

impl Case {
    /// What it is about.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of its file on which it begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What the policy is meant to say.
    pub fn expect(&self) -> Word {
        self.expect
    }
}

// === impl Word ===

impl Word {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Modify, Self::StepUp, Self::Defer, Self::Block];

    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Modify => "modify",
            Self::StepUp => "step_up",
            Self::Defer => "defer",
            Self::Block => "block",
        }
    }

    /// Whether a call with this effect is not forwarded as it stands, unless a person agrees.
    pub fn restricts(self) -> bool {
        self >= Self::StepUp
    }
}
