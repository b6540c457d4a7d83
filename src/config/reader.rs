//! Reads settings one after the other and remembers what was wrong, what people should know, and
//! what was found where.
//!
//! # Invariants
//!
//! - A problem cannot hold a value: it is made of names and fixed text only, by its type.
//! - What is shown of a secret is its fingerprint.

use std::fmt;
use std::time::Duration;

use super::layers::{FileProblem, Layers, MANAGED};
use super::parse::Wrong;
use super::sources::{Found, Origin, Overridden, Setting, Sources, Unusable};
use super::variables::{self, Env, Used};
use crate::secret::fingerprint;

/// Something that is wrong with the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// A setting that cannot be used.
    Setting {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        wrong: Wrong,
    },
    /// A configuration file that cannot be used.
    File(FileProblem),
}

/// One setting as it was found, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// What it is called.
    pub name: &'static str,
    /// Its text; a fingerprint, where it is secret; what holds without, where it is not set.
    pub value: String,
    /// Where it was found.
    pub origin: Origin,
    /// Whether the managed file alone may say it.
    pub locked: bool,
}

pub(super) struct Reader<'a> {
    sources: Sources<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<String>,
    pub(super) shown: Vec<Shown>,
    pub(super) overridden: Vec<Overridden>,
    /// The longest grace of a credential whose file looks as it does while it is being replaced.
    pub(super) patience: Duration,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a Env, layers: &'a Layers) -> Self {
        Self {
            sources: Sources::new(env, layers),
            problems: layers.problems().iter().cloned().map(Problem::File).collect(),
            notices: layers.notices.clone(),
            shown: Vec::new(),
            overridden: Vec::new(),
            patience: Duration::ZERO,
        }
    }

    /// The files below the environment.
    pub(super) fn layers(&self) -> &'a Layers {
        self.sources.layers
    }

    /// The environment itself, for what is other programs' vocabulary.
    pub(super) fn env(&self) -> &'a Env {
        self.sources.env
    }

    /// Reads a setting that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        setting: Setting<'_>,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.tell_of_attempts(setting);
        let found = match self.sources.find(setting) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.show_default(setting);
                return None;
            }
            Err(unusable) => {
                self.unusable(setting, unusable);
                return None;
            }
        };
        self.tell_of_namesakes(setting, &found);
        match parse(&found.text) {
            Ok(value) => {
                self.show(setting, &found);
                Some(value)
            }
            Err(wrong) => {
                let origin = found.origin;
                self.unusable(setting, Unusable { origin, wrong });
                None
            }
        }
    }

    /// Reads a setting that other programs share. Text that is not understood was not meant.
    pub(super) fn shared<T>(
        &mut self,
        setting: Setting<'_>,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.tell_of_attempts(setting);
        let found = self.sources.find(setting).ok()??;
        let value = parse(&found.text).ok()?;
        self.show(setting, &found);
        Some(value)
    }

    /// Finds a setting without reading it yet.
    pub(super) fn find(&mut self, setting: Setting<'_>) -> Option<Found> {
        self.tell_of_attempts(setting);
        self.sources.find(setting).map_err(|unusable| self.unusable(setting, unusable)).ok()?
    }

    /// The text of a setting that is read elsewhere, where it has one.
    pub(super) fn peek(&self, setting: Setting<'_>) -> Option<String> {
        Some(self.sources.find(setting).ok()??.text)
    }

    /// Whether a setting is there at all, readable or not.
    pub(super) fn is_given(&self, setting: Setting<'_>) -> bool {
        !matches!(self.sources.find(setting), Ok(None))
    }

    /// Whether the managed file alone may say a setting.
    pub(super) fn is_locked(&self, setting: Setting<'_>) -> bool {
        self.sources.lock(setting).is_some()
    }

    /// Where a setting that was read already came from.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.shown
            .iter()
            .find(|shown| shown.name == name)
            .map_or(Origin::Default, |shown| shown.origin)
    }

    pub(super) fn show(&mut self, setting: Setting<'_>, found: &Found) {
        let value = if setting.is_secret { fingerprint(&found.text) } else { found.text.clone() };
        self.push(setting, value, found.origin);
    }

    pub(super) fn show_default(&mut self, setting: Setting<'_>) {
        self.push(setting, setting.default.replace('`', ""), Origin::Default);
    }

    /// Shows what a setting comes to, where that follows from others.
    pub(super) fn follows(&mut self, setting: Setting<'_>, value: &str, origin: Origin) {
        self.shown.retain(|shown| shown.name != setting.name);
        self.push(setting, value.to_owned(), origin);
    }

    /// Reports a setting that cannot be used. It is not shown, either: who knows what it is.
    pub(super) fn unusable(&mut self, setting: Setting<'_>, unusable: Unusable) {
        self.problem(unusable.origin, unusable.wrong);
        self.push(setting, "cannot be used".into(), unusable.origin);
    }

    pub(super) fn problem(&mut self, origin: Origin, wrong: Wrong) {
        self.problems.push(Problem::Setting { origin, wrong });
    }

    /// Remembers that somebody said something else than what is locked, and tells it once.
    pub(super) fn overrides(&mut self, attempt: Overridden) {
        if !self.overridden.contains(&attempt) {
            self.overridden.push(attempt);
            let key = attempt.name;
            self.notice(attempt.by, format!("is not used, since {key} is locked by {MANAGED}"));
        }
    }

    pub(super) fn notice(&mut self, origin: Origin, what: impl fmt::Display) {
        self.notices.push(format!("{origin}: {what}"));
    }

    /// Says which variables of this environment do nothing, and why.
    pub(super) fn tell_of_idle_variables(&mut self, env: &Env) {
        for name in env.names() {
            let origin = name.escape_debug();
            match variables::find(name) {
                None if super::agents::is_override(name) => {}
                None if name.starts_with("THOTH_") => {
                    let meant = variables::nearest(name)
                        .map(|known| format!("; was {} meant?", known.name))
                        .unwrap_or_default();
                    self.notices.push(format!("{origin}: is no variable that thoth knows{meant}"));
                }
                Some(known) if known.used == Used::Reserved && env.has(known) => {
                    self.notices.push(format!("{origin}: is not read by this version of thoth"));
                }
                Some(known) if name.starts_with("THOTH_") && !env.has(known) => {
                    self.notices.push(format!("{origin}: is empty, which counts as not set"));
                }
                _ => {}
            }
        }
    }

    fn push(&mut self, setting: Setting<'_>, value: String, origin: Origin) {
        let locked = self.sources.lock(setting).is_some();
        self.shown.push(Shown { name: setting.name, value, origin, locked });
    }

    fn tell_of_attempts(&mut self, setting: Setting<'_>) {
        for attempt in self.sources.attempts(setting) {
            self.overrides(attempt);
        }
    }

    /// Where two names of one setting say different things, the weaker one is reported.
    fn tell_of_namesakes(&mut self, setting: Setting<'_>, found: &Found) {
        for variable in setting.variables {
            let alone = Setting::of(std::slice::from_ref(variable));
            let Ok(Some(other)) = self.sources.find(alone) else {
                continue;
            };
            let is_weaker = matches!(found.origin, Origin::Variable(_))
                && matches!(other.origin, Origin::Variable(_))
                && other.origin != found.origin
                && other.text != found.text;
            if is_weaker {
                let notice = format!("says something else than {}, which counts", found.origin);
                self.notice(other.origin, notice);
            }
        }
    }
}

// === impl Problem ===

impl Problem {
    /// Where it is: a flag, a variable, a key, or a place in a file.
    pub fn place(&self) -> String {
        match self {
            Self::Setting { origin, .. } => origin.to_string(),
            Self::File(problem) => problem.place.clone(),
        }
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        match self {
            Self::Setting { wrong, .. } => wrong.what,
            Self::File(problem) => &problem.what,
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &str {
        match self {
            Self::Setting { wrong, .. } => wrong.fix,
            Self::File(problem) => &problem.fix,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place(), self.what(), self.fix())
    }
}
