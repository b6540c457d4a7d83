//! Reads settings one after the other and remembers what was wrong, what people should know, and
//! what was found where.
//!
//! # Invariants
//!
//! - A problem cannot hold a value: it is made of names and fixed text only, by its type.
//! - What is shown of a secret is its fingerprint.

use std::fmt;

use super::parse::Wrong;
use super::sources::{Found, Origin, Setting, Sources, Unusable};
use super::variables::{self, Env, Used};
use crate::secret::fingerprint;

/// Something that is wrong with the configuration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong with it.
    pub wrong: Wrong,
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
}

pub(super) struct Reader<'a> {
    sources: Sources<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<String>,
    pub(super) shown: Vec<Shown>,
    /// Whether a credential's file looks as it does while it is being replaced.
    pub(super) is_awaiting: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a Env) -> Self {
        Self {
            sources: Sources::new(env),
            problems: Vec::new(),
            notices: Vec::new(),
            shown: Vec::new(),
            is_awaiting: false,
        }
    }

    /// Reads a setting that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        setting: Setting<'_>,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
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
        let found = self.sources.find(setting).ok()??;
        let value = parse(&found.text).ok()?;
        self.show(setting, &found);
        Some(value)
    }

    /// Finds a setting without reading it yet.
    pub(super) fn find(&mut self, setting: Setting<'_>) -> Option<Found> {
        self.sources.find(setting).map_err(|unusable| self.unusable(setting, unusable)).ok()?
    }

    /// Whether a setting is there at all, readable or not.
    pub(super) fn is_given(&self, setting: Setting<'_>) -> bool {
        !matches!(self.sources.find(setting), Ok(None))
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
        self.shown.push(Shown { name: setting.name, value, origin: found.origin });
    }

    pub(super) fn show_default(&mut self, setting: Setting<'_>) {
        self.shown.push(Shown {
            name: setting.name,
            value: setting.default.replace('`', ""),
            origin: Origin::Default,
        });
    }

    /// Shows what a setting comes to, where that follows from others.
    pub(super) fn follows(&mut self, setting: Setting<'_>, value: &str, origin: Origin) {
        self.shown.retain(|shown| shown.name != setting.name);
        self.shown.push(Shown { name: setting.name, value: value.to_owned(), origin });
    }

    /// Reports a setting that cannot be used. It is not shown, either: who knows what it is.
    pub(super) fn unusable(&mut self, setting: Setting<'_>, unusable: Unusable) {
        self.problem(unusable.origin, unusable.wrong);
        self.shown.push(Shown {
            name: setting.name,
            value: "cannot be used".into(),
            origin: unusable.origin,
        });
    }

    pub(super) fn problem(&mut self, origin: Origin, wrong: Wrong) {
        self.problems.push(Problem { origin, wrong });
    }

    pub(super) fn notice(&mut self, origin: Origin, what: impl fmt::Display) {
        self.notices.push(format!("{origin}: {what}"));
    }

    /// Says which variables of this environment do nothing, and why.
    pub(super) fn tell_of_idle_variables(&mut self, env: &Env) {
        for name in env.names() {
            let origin = name.escape_debug();
            match variables::find(name) {
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

    /// Where two names of one setting say different things, the weaker one is reported.
    fn tell_of_namesakes(&mut self, setting: Setting<'_>, found: &Found) {
        for variable in setting.variables {
            let alone = Setting::of(std::slice::from_ref(variable));
            let Ok(Some(other)) = self.sources.find(alone) else {
                continue;
            };
            let is_weaker = matches!(found.origin, Origin::Variable(_))
                && other.origin != found.origin
                && other.text != found.text;
            if is_weaker {
                let notice = format!("says something else than {}, which counts", found.origin);
                self.notice(other.origin, notice);
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wrong { what, fix } = self.wrong;
        write!(f, "{}: {what}; {fix}", self.origin)
    }
}
