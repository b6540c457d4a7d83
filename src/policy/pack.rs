//! The policies that thoth brings along: the text of `policies/`, compiled in.

use super::problem::Problems;
use super::rule::Policy;

/// A policy that thoth brings along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pack {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

/// The pack that decides where nothing else is configured.
pub const BASELINE: Pack =
    Pack { name: "baseline", text: include_str!("../../policies/baseline.toml") };

/// All packs.
pub const PACKS: [Pack; 5] = [
    BASELINE,
    Pack { name: "database", text: include_str!("../../policies/database.toml") },
    Pack { name: "filesystem", text: include_str!("../../policies/filesystem.toml") },
    Pack {
        name: "hipaa-minimum-necessary",
        text: include_str!("../../policies/hipaa-minimum-necessary.toml"),
    },
    Pack {
        name: "soc2-change-control",
        text: include_str!("../../policies/soc2-change-control.toml"),
    },
];

impl Pack {
    /// The pack of this name.
    pub fn named(name: &str) -> Option<Self> {
        PACKS.into_iter().find(|pack| pack.name == name)
    }

    /// The pack as a policy.
    ///
    /// # Errors
    ///
    /// Where the pack is not valid; `tests/policies.rs` holds that none is.
    pub fn policy(self) -> Result<Policy, Problems> {
        Policy::parse(&format!("pack {}", self.name), self.text)
    }
}
