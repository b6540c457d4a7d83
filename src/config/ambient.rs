//! Variables of other programs' making, which a library reads as it is used to: those of AWS's tools
//! and of OpenTelemetry's exporters.
//!
//! They are not thoth's, and have no row in [`super::variables`]. Some hold secrets, so that what is
//! taken along prints its names only.

use std::collections::BTreeMap;
use std::fmt;

use super::variables::Env;

/// Some variables, with their values.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Ambient(BTreeMap<String, String>);

impl Ambient {
    /// Those of these names; a name that ends in `_` stands for all that begin so. One that is not
    /// UTF-8 is left out.
    pub fn of(env: &Env, names: &[&str]) -> Self {
        let is_wanted = |name: &&str| {
            names
                .iter()
                .any(|wanted| name == wanted || wanted.ends_with('_') && name.starts_with(wanted))
        };
        let names = env.names().filter(is_wanted);
        Self(names.filter_map(|name| Some((name.to_owned(), env.text(name)?))).collect())
    }

    /// What one says; an empty one says nothing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl<Name: Into<String>, Text: Into<String>> FromIterator<(Name, Text)> for Ambient {
    fn from_iter<All: IntoIterator<Item = (Name, Text)>>(all: All) -> Self {
        Self(all.into_iter().map(|(name, text)| (name.into(), text.into())).collect())
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_taken_along_and_prints_its_names_only() {
        let env = [("HOME", "/h"), ("HOMEBREW", "x"), ("OTEL_A_B", "y"), ("OTEL", "z")];
        let ambient = Ambient::of(&env.into_iter().collect(), &["HOME", "OTEL_A_"]);
        assert_eq!(ambient.iter().collect::<Vec<_>>(), [("HOME", "/h"), ("OTEL_A_B", "y")]);
        let ambient: Ambient =
            [("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_REGION", "")].into_iter().collect();
        assert_eq!(format!("{ambient:?}"), r#"{"AWS_REGION", "AWS_SECRET_ACCESS_KEY"}"#);
        assert_eq!(ambient.get("AWS_SECRET_ACCESS_KEY"), Some("hush"));
        assert_eq!(ambient.get("AWS_REGION"), None);
    }
}
