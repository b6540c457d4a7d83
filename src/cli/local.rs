//! The judge on this machine: policies read from disk, bound to one session, and proven.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::settings::Config;
use crate::gate::verdict::PolicyRef;
use crate::machine::Machine;
use crate::policy::scope::lineage;
use crate::policy::{Local, Pack, Policy, PolicySet, Problems, Proof, Scope, Who, prove};

/// The longest policy file that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The local judge, and what is in force with it.
#[derive(Debug)]
pub(super) struct Judge {
    /// The judge itself.
    pub(super) local: Local,
    /// The policies in force.
    pub(super) policies: Vec<PolicyRef>,
    /// What people should know about them.
    pub(super) notices: Vec<String>,
}

/// Why there is no local judge.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("cannot read the policy {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the policy {} is longer than {LONGEST} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("the policy cannot be used:\n{0}")]
    Problems(Problems),
    #[error(
        "the loaded policy does not deny what it says it denies: {what}; this is a bug in thoth, and nothing was started"
    )]
    Broken { what: String },
}

/// Reads the configured policies; in `dev`, with nothing configured at all, the baseline.
///
/// Before it is handed out, the judge is shown calls that its policies deny.
///
/// # Errors
///
/// [`Unusable`]; nothing is half loaded.
pub(super) fn judge(config: &Config, machine: &Machine, server: &str) -> Result<Judge, Unusable> {
    let mut notices = Vec::new();
    let mut policies = Vec::new();
    for pack in &config.packs {
        policies.push(pack.policy().map_err(Unusable::Problems)?);
    }
    for path in &config.policies {
        policies.push(read(path)?);
    }
    if policies.is_empty() && config.enforcer.is_none() {
        let baseline = crate::policy::pack::BASELINE.policy().map_err(Unusable::Problems)?;
        let PolicyRef { id, version, sha256 } = baseline.reference();
        let sha256 = sha256.as_deref().unwrap_or_default();
        notices.push(format!(
            "no policy and no enforcer is configured: the built-in pack {id} v{version} decides (sha256 {sha256})"
        ));
        policies.push(baseline);
    }
    let references: Vec<_> = policies.iter().map(|policy| policy.reference().clone()).collect();

    let identity = &config.identity;
    let intent = identity.session_intent.clone().unwrap_or_default();
    let ancestors = machine.ancestors.as_deref().unwrap_or_default();
    let lineage =
        lineage(ancestors, server, &identity.blocked_ancestors, &identity.blocked_binaries);
    let scope = Scope::new(&identity.approved_scope, &intent, &identity.intent_tools, lineage);
    let bound = PolicySet::new(policies).map(|set| {
        set.bind(Who {
            agent: identity.agent_id.clone(),
            server: server.to_owned(),
            user: identity.user_id.clone().unwrap_or_default(),
            intent,
            environment: config.environment.word().to_owned(),
        })
    });
    let local = Local::new(scope, bound);
    match prove(&local, &local) {
        Proof::Proven { what } => tracing::debug!(what, "the policy denies what it says it denies"),
        Proof::NothingToDeny if config.enforcer.is_none() => {
            notices.push("the policy in force denies nothing".to_owned());
        }
        Proof::NothingToDeny => {}
        Proof::Untested => notices.push(
            "no call is known that the policy in force denies; a [[case]] that expects a block would prove that it does"
                .to_owned(),
        ),
        Proof::Broken { what } => return Err(Unusable::Broken { what }),
    }
    Ok(Judge { local, policies: references, notices })
}

/// A policy file; a name without a file is that of a built-in pack.
fn read(path: &Path) -> Result<Policy, Unusable> {
    let unreadable = |source| Unusable::Read { path: path.to_owned(), source };
    let length = match fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) => {
            let pack = path.to_str().and_then(Pack::named);
            return match pack {
                Some(pack) => pack.policy().map_err(Unusable::Problems),
                None => Err(unreadable(error)),
            };
        }
    };
    if length > LONGEST {
        return Err(Unusable::TooLong(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Policy::parse(&path.to_string_lossy(), &text).map_err(Unusable::Problems)
}
