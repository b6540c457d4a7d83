//! What a wrapped entry is held against: what the managed file says, as far as it counts here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::clients::scan::Expected;
use crate::config::variables::{self as name, Variable};
use crate::config::{Origin, Reading};
use crate::machine::Machine;

/// What is managed. The program is the one that runs.
pub(super) fn managed(reading: &Reading, machine: &Machine) -> Expected {
    let config = reading.draft();
    let is_managed = |variable: &Variable| said(reading, variable.name).next().is_some();
    let policies: Vec<_> = said(reading, "--policy").map(PathBuf::from).collect();
    let enforcer_url = config.enforcer.as_ref().map(|enforcer| enforcer.url.clone());
    Expected {
        program: machine.executable.clone().unwrap_or_default(),
        private_gid: machine.private_gid,
        mode: is_managed(&name::ENFORCEMENT_MODE).then_some(config.mode),
        environment: is_managed(&name::ENV).then_some(config.environment),
        enforcer_url: enforcer_url.filter(|_| is_managed(&name::ENFORCER_URL)),
        tenant_id: config.identity.tenant_id.clone().filter(|_| is_managed(&name::TENANT_ID)),
        policies: (!policies.is_empty()).then_some(policies),
        journal_required: said(reading, "--journal").next().is_some()
            && !config.journal.best_effort,
        logins: logins(&config.home),
        moves_secrets: false,
    }
}

/// The logins that are kept in thoth's own directory, by their names.
fn logins(home: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(home.join("logins")).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".json")?.to_owned())
    };
    entries.filter_map(name).collect()
}

/// What the managed file says of a setting, where that counts.
fn said<'a>(reading: &'a Reading, setting: &'a str) -> impl Iterator<Item = &'a str> {
    let shown = reading.shown().iter().filter(move |shown| shown.name == setting);
    shown.filter_map(|shown| match shown.origin {
        Origin::Managed(_) => Some(&*shown.value),
        Origin::Flag(_) | Origin::Variable(_) | Origin::Profile(_) | Origin::Default => None,
    })
}
