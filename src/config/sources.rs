//! Where settings come from, and in which order.
//!
//! A flag goes before the environment, that before the managed file, and that before the profile.
//! Every layer is asked by the variable's name, so that there is one vocabulary.
//!
//! # Invariants
//!
//! - Of a setting that is locked, only what the managed file says counts; where that says nothing,
//!   what holds without.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::keys::{self, Key, Of};
use super::layers::{Layers, MANAGED};
use super::parse::Wrong;
use super::variables::{Env, Variable};

/// All layers, the strongest first. Flags are given to each look-up, since few settings have one.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) env: &'a Env,
    pub(super) layers: &'a Layers,
}

/// One setting as it can be written: a flag, variables with the preferred one first, or both.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    /// What it is called: by its first variable, or else by its flag.
    pub(super) name: &'static str,
    /// What holds without, in words.
    pub(super) default: &'static str,
    /// Whether its value is shown as a fingerprint only.
    pub(super) is_secret: bool,
    pub(super) variables: &'static [&'static Variable],
    flag: Option<(&'static str, &'a OsStr)>,
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// This key of the managed file.
    Managed(&'static str),
    /// This key of the profile's file, or the profile itself.
    Profile(&'static str),
    /// Nowhere: it is what holds without.
    Default,
}

/// A value as text, and where it was found.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// A value that is there and cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unusable {
    pub(super) origin: Origin,
    pub(super) wrong: Wrong,
}

/// Somebody said something else than what is locked. It does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overridden {
    /// The key that is locked.
    pub name: &'static str,
    /// Who said something else.
    pub by: Origin,
}

// === impl Sources ===

impl<'a> Sources<'a> {
    pub(super) fn new(env: &'a Env, layers: &'a Layers) -> Self {
        Self { env, layers }
    }

    /// The value that counts. Blanks around it are dropped; a variable of nothing but blanks is
    /// one that is not set, as configuration files of clients often have them.
    ///
    /// # Errors
    ///
    /// [`Unusable`] where the value that counts is not UTF-8, or an empty flag.
    pub(super) fn find(self, setting: Setting<'_>) -> Result<Option<Found>, Unusable> {
        if self.lock(setting).is_some() {
            return Ok(self.managed(setting));
        }
        if let Some((flag, value)) = setting.flag {
            let origin = Origin::Flag(flag);
            let text = utf8(value, origin)?;
            if text.is_empty() {
                return Err(Unusable {
                    origin,
                    wrong: Wrong::new("is empty", "write a value or leave it out"),
                });
            }
            return Ok(Some(Found { text, origin }));
        }
        for variable in setting.variables {
            if let Some(value) = self.env.get(variable) {
                let origin = Origin::Variable(variable.name);
                let text = utf8(value, origin)?;
                if !text.is_empty() {
                    return Ok(Some(Found { text, origin }));
                }
            }
        }
        Ok(self.managed(setting).or_else(|| self.profile(setting)))
    }

    /// The key by which a setting is locked, where it is.
    pub(super) fn lock(self, setting: Setting<'_>) -> Option<&'static Key> {
        setting.keys().find(|key| self.layers.is_locked(key))
    }

    /// Who says something else than what counts, where a setting is locked. What is empty says
    /// nothing, but for a flag; what is not UTF-8 says something else.
    pub(super) fn attempts(self, setting: Setting<'_>) -> Vec<Overridden> {
        let Some(key) = self.lock(setting) else {
            return Vec::new();
        };
        let counts = self
            .managed(setting)
            .map_or_else(|| setting.default.trim_matches('`').to_owned(), |found| found.text);
        let is_other =
            |value: &OsStr| value.to_str().is_none_or(|text| !key.is_same(text, &counts));
        let flag = setting.flag.filter(|(_, value)| is_other(value));
        let variables = setting.variables.iter().filter(|variable| {
            self.env.has(variable) && self.env.get(variable).is_some_and(is_other)
        });
        let profile = self.profile(setting).filter(|found| is_other(OsStr::new(&found.text)));
        flag.map(|(name, _)| Origin::Flag(name))
            .into_iter()
            .chain(variables.map(|variable| Origin::Variable(variable.name)))
            .chain(profile.map(|found| found.origin))
            .map(|by| Overridden { name: key.name, by })
            .collect()
    }

    fn managed(self, setting: Setting<'_>) -> Option<Found> {
        setting.keys().find_map(|key| {
            let text = self.layers.managed().get(key)?.to_owned();
            Some(Found { text, origin: Origin::Managed(key.name) })
        })
    }

    fn profile(self, setting: Setting<'_>) -> Option<Found> {
        setting.keys().find_map(|key| {
            let text = self.layers.profile().get(key)?.to_owned();
            Some(Found { text, origin: Origin::Profile(key.name) })
        })
    }
}

fn utf8(value: &OsStr, origin: Origin) -> Result<String, Unusable> {
    value
        .to_str()
        .map(|text| text.trim().to_owned())
        .ok_or(Unusable { origin, wrong: Wrong::new("is not UTF-8", "write it in UTF-8") })
}

// === impl Setting ===

impl<'a> Setting<'a> {
    /// What can be written in variables.
    pub(super) fn of(variables: &'static [&'static Variable]) -> Self {
        Self {
            name: variables[0].name,
            default: variables[0].default,
            is_secret: false,
            variables,
            flag: None,
        }
    }

    /// What can be written in a flag only.
    pub(super) fn flag_only(
        flag: &'static str,
        value: Option<&'a OsString>,
        default: &'static str,
    ) -> Self {
        Self { name: flag, default, is_secret: false, variables: &[], flag: None }
            .or_flag(flag, value)
    }

    /// The keys it has in a file.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static Key> {
        keys::ALL.iter().filter(move |key| match key.of {
            Of::Variable(of) => self.variables.iter().any(|variable| variable.name == of.name),
            Of::Flag { name, .. } => self.variables.is_empty() && self.name == name,
        })
    }

    /// The same with a flag, which goes first.
    pub(super) fn or_flag(self, flag: &'static str, value: Option<&'a OsString>) -> Self {
        let flag = value.map(|value| (flag, value.as_os_str()));
        Self { flag, ..self }
    }

    /// The same, never to be shown.
    pub(super) fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }
}

// === impl Origin ===

impl Origin {
    /// The layer, for programs: the flag or the variable, `managed` or `profile`; `None` where it
    /// is what holds without.
    pub fn layer(self) -> Option<&'static str> {
        match self {
            Self::Flag(name) | Self::Variable(name) => Some(name),
            Self::Managed(_) => Some("managed"),
            Self::Profile(_) => Some("profile"),
            Self::Default => None,
        }
    }

    /// How strong the layer is: of two, the one with more goes first.
    pub(super) fn strength(self) -> u8 {
        match self {
            Self::Flag(_) => 4,
            Self::Variable(_) => 3,
            Self::Managed(_) => 2,
            Self::Profile(_) => 1,
            Self::Default => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::Managed(key) => write!(f, "{key} in {MANAGED}"),
            Self::Profile(key) => write!(f, "{key} in the profile"),
            Self::Default => f.write_str("default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::{ENV, ENVIRONMENT};

    fn found(env: &Env, flag: Option<&str>) -> Result<Option<(String, Origin)>, Unusable> {
        let flag = flag.map(OsString::from);
        let setting = Setting::of(&[&ENV, &ENVIRONMENT]).or_flag("--env", flag.as_ref());
        let layers = Layers::default();
        let found = Sources::new(env, &layers).find(setting)?;
        Ok(found.map(|found| (found.text, found.origin)))
    }

    #[test]
    fn the_strongest_source_counts() {
        let both = Env::from_iter([("THOTH_ENV", " prod\n"), ("THOTH_ENVIRONMENT", "dev")]);
        let blank = Env::from_iter([("THOTH_ENV", " "), ("THOTH_ENVIRONMENT", "dev")]);
        for (env, flag, expected) in [
            (&both, Some("x"), Some(("x", Origin::Flag("--env")))),
            (&both, None, Some(("prod", Origin::Variable("THOTH_ENV")))),
            (&blank, None, Some(("dev", Origin::Variable("THOTH_ENVIRONMENT")))),
            (&Env::default(), None, None),
        ] {
            let expected = expected.map(|(text, origin)| (text.to_owned(), origin));
            assert_eq!(found(env, flag), Ok(expected));
        }
    }

    #[test]
    fn an_empty_flag_is_a_mistake() {
        assert!(found(&Env::default(), Some(" ")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf_8_is_told_by_its_name() {
        use std::os::unix::ffi::OsStrExt;
        let env = Env::from_iter([("THOTH_ENV", OsStr::from_bytes(b"pr\xffd"))]);
        let unusable = found(&env, None).unwrap_err();
        assert_eq!(unusable.origin, Origin::Variable("THOTH_ENV"));
    }
}
