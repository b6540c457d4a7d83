//! Servers behind an address: which are wrapped, with what, and why the others are not.
//!
//! What an entry says is read by [`crate::clients::remote`]; here is what the command line, the logins
//! and a probe add to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::wish::Wish;
use crate::clients::document::{Address, Transport, Wrapping};
use crate::clients::remote::{self, Plan, Proof, Vault};
use crate::clients::scan;
use crate::secret::ApiKey;

/// How servers behind an address are wrapped.
#[derive(Debug, Default)]
pub(super) struct Far {
    /// Where their secrets are moved to.
    pub(super) vaults: PathBuf,
    /// What those answered that were asked, by their address; `None` where nobody was.
    pub(super) probed: Option<BTreeMap<String, Answer>>,
}

/// What a server without a credential answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// It wants none.
    Open,
    /// It wants one.
    Login,
    /// Neither can be told, and why.
    Unclear(String),
}

/// What is done with one server.
#[derive(Debug)]
pub(super) enum Choice {
    /// It is wrapped.
    Wrap {
        wrapping: Wrapping,
        /// The files its secrets go to, and what each holds.
        files: Vec<(PathBuf, String)>,
        /// What should be known about it.
        note: Option<String>,
    },
    /// It stays as it is.
    Leave {
        why: String,
        /// Whether a person can do something about it.
        waits: bool,
    },
}

// === impl Choice ===

impl Choice {
    /// It is wrapped, and that is all.
    pub(super) fn plain(wrapping: Wrapping) -> Self {
        Self::Wrap { wrapping, files: Vec::new(), note: None }
    }
}

// === impl Wish ===

impl Wish {
    /// What is done with a server behind an address. `used` are the files that others of this run
    /// have; theirs are added.
    pub(super) fn far(
        &self,
        client: &str,
        name: &str,
        address: Result<Address, String>,
        used: &mut BTreeSet<PathBuf>,
    ) -> Choice {
        let leave = |why, waits| Choice::Leave { why, waits };
        let planned = address.and_then(|address| {
            let url = address.url.clone();
            remote::plan(client, &address).map(|plan| (url, plan))
        });
        let (url, mut plan) = match planned {
            Ok(planned) => planned,
            Err(why) => return leave(why, false),
        };
        let has_secrets = !plan.secrets.is_empty();
        if let Some(why) = scan::obstacle(plan.proof, has_secrets, name, &self.expected) {
            return leave(why, true);
        }
        let mut note = None;
        if plan.proof != Proof::Given && self.expected.logins.contains(&remote::login(name)) {
            plan.flags.push(("--upstream-login", vec![remote::login(name)]));
        } else if plan.proof == Proof::Nothing {
            match self.unproven(&url, name) {
                Ok(told) => note = told,
                Err(why) => return leave(why, true),
            }
        } else if !plan.env.is_empty() || plan.flags.iter().any(|(flag, _)| is_static(flag)) {
            let text = "its credential comes from a variable, which is read once: it cannot be \
                        replaced while a session runs, as one in a file can";
            note = Some(text.to_owned());
        }
        let files = self.keep(client, name, &mut plan, used);
        let flags = self.merged(name, &[], &plan.flags);
        let wrapping = plan.wrapping(self.program.path.clone(), flags, self.env.clone());
        Choice::Wrap { wrapping, files, note }
    }

    /// What should be known of a server that is wrapped without a credential, or why it is not.
    fn unproven(&self, url: &str, name: &str) -> Result<Option<String>, String> {
        let login = remote::login(name);
        let how = format!("run `thoth auth login {login} --url` with its address, then this again");
        let Some(probed) = &self.far.probed else {
            return Ok(Some(format!("it was not asked whether it wants a login; if so, {how}")));
        };
        match probed.get(url) {
            Some(Answer::Open) => Ok(None),
            Some(Answer::Login) => Err(format!("it wants a login: {how}")),
            Some(Answer::Unclear(why)) => Err(format!("it was asked, and {why}")),
            None => Ok(Some(
                "its address is not written out, so it was not asked whether it wants a login"
                    .to_owned(),
            )),
        }
    }

    /// Finds places for a server's secrets.
    fn keep(
        &self,
        client: &str,
        name: &str,
        plan: &mut Plan,
        used: &mut BTreeSet<PathBuf>,
    ) -> Vec<(PathBuf, String)> {
        if plan.secrets.is_empty() {
            return Vec::new();
        }
        let stem = format!("{client}-{}", remote::login(name));
        let names = std::iter::once(stem.clone()).chain((2..).map(|at| format!("{stem}-{at}")));
        let vaults = names.map(|name| {
            [self.far.vaults.join(&name), self.far.vaults.join(format!("{name}.headers"))]
        });
        let is_free =
            |path: &PathBuf| !used.contains(path) && std::fs::symlink_metadata(path).is_err();
        let [token, headers] = vaults
            .into_iter()
            .find(|paths| paths.iter().all(is_free))
            .unwrap_or_else(|| unreachable!("there is always another number"));
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let files = plan.keep(&Vault { token: text(&token), headers: text(&headers) });
        let files: Vec<_> =
            files.into_iter().map(|(path, held)| (PathBuf::from(path), held)).collect();
        used.extend(files.iter().map(|(path, _)| path.clone()));
        files
    }
}

/// Whether what this flag names is read once.
fn is_static(flag: &str) -> bool {
    matches!(flag, "--upstream-token-env" | "--upstream-header-env")
}

/// The secrets that are moved, to be looked for.
pub(super) fn moved(wrapping: &Wrapping) -> impl Iterator<Item = &str> {
    wrapping.bridge.kept.iter().map(|kept| kept.secret.as_str())
}

/// Whether an address stands in an entry of a file that a probe would have to ask.
pub(super) fn to_be_asked(
    client: &str,
    transport: &Transport,
    address: Option<Result<Address, String>>,
) -> Option<String> {
    let Transport::Remote { url, .. } = transport else { return None };
    let plan = remote::plan(client, &address?.ok()?).ok()?;
    (plan.proof == Proof::Nothing && !url.contains(['$', '{'])).then(|| url.clone())
}

/// The keys of this run that a text holds more often than another.
pub(super) fn leaks(keys: &[ApiKey], before: &str, after: &str) -> bool {
    keys.iter().any(|key| key.occurrences(after) > key.occurrences(before))
}
