//! Reads an operator's own scrubbing rules. Without them, what they name would leave this machine, so
//! a file that cannot be used is a problem.

use std::path::Path;

use crate::config::layers::FileProblem;
use crate::config::parse;
use crate::config::reader::{Problem, Reader};
use crate::config::sources::Setting;
use crate::config::variables as name;
use crate::friction::scrub::custom::{BadRules, Custom};
use crate::profile::{self, Unsafe};

/// The longest file that is read, in bytes.
const LONGEST: usize = 256 * 1024;

/// The rules of the file that `BATON_SCRUB_RULES` names; none where it names none. What is told names
/// the variable, not the path, which is its value.
pub(super) fn rules(read: &mut Reader<'_>) -> Custom {
    let of_rules = Setting::of(&[&name::BATON_SCRUB_RULES]);
    let Some(path) = read.optional(of_rules, parse::absolute_path) else {
        return Custom::default();
    };
    load(&path).unwrap_or_else(|Bad { at, what, fix }| {
        let origin = read.origin(of_rules.name);
        let place = match at {
            Some((line, Some(column))) => format!("{origin}, line {line}, column {column}"),
            Some((line, None)) => format!("{origin}, line {line}"),
            None => origin.to_string(),
        };
        read.problems.push(Problem::File(FileProblem { place, what, fix: fix.to_owned() }));
        Custom::default()
    })
}

/// What is wrong with the file.
struct Bad {
    /// Line, and column where that is known. Both count from 1.
    at: Option<(usize, Option<usize>)>,
    what: String,
    fix: &'static str,
}

fn load(path: &Path) -> Result<Custom, Bad> {
    let bad = |what: &str, fix| Bad { at: None, what: what.to_owned(), fix };
    let bytes = profile::read_private(path, LONGEST)
        .map_err(|why| {
            if let Unsafe::Unseen { .. } = why {
                bad("names a file that cannot be read", "let thoth read it")
            } else {
                let fix = "let only this user and root change it, and what it lies in";
                bad("names a file that others can change", fix)
            }
        })?
        .ok_or_else(|| bad("names no file", "write the path of the scrubbing rules"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| bad("names a file that is not UTF-8", "write it as UTF-8"))?;
    Custom::parse(&text).map_err(|error| Bad {
        at: place(&text, &error),
        what: match &error {
            BadRules::Rule { name, why, .. } => format!("scrubbing rule {name:?}: {why}"),
            BadRules::Shape(_) | BadRules::TooMany => error.to_string(),
        },
        fix: "write [[rule]] with a name, and keys or a pattern",
    })
}

fn place(text: &str, bad: &BadRules) -> Option<(usize, Option<usize>)> {
    match bad {
        BadRules::Rule { line, .. } => Some((*line, None)),
        BadRules::Shape(error) => {
            let before = text.get(..error.span()?.start)?;
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Some((line, Some(column)))
        }
        BadRules::TooMany => None,
    }
}
