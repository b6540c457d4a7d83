//! Which of the servers that were found are taken: of one name, the one that the client would
//! take; of a project's, those that the user approved.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::consent::{Answer, Approvals};
use super::trusted::{Hash, Standing, Trusted, hash};
use super::{Candidate, Whose};

/// What became of the servers that were found.
#[derive(Debug, Default)]
pub struct Choice {
    /// Those that are taken, in the order in which they were found.
    pub taken: Vec<Candidate>,
    /// Those that are not.
    pub left: Vec<Left>,
    /// Entries of the project that count as trusted from now on.
    pub trusted: Vec<(PathBuf, String, Hash)>,
}

/// A server that is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a server is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// A server of this name was given on the command line.
    Own,
    /// Another of this name goes before it, as it does for the client.
    Behind,
    /// It is named by --without.
    Unwanted,
    /// The user said no to it, in the client.
    Rejected,
    /// The user was not asked yet, or did not answer.
    NotApproved,
    /// The client keeps no approvals that could be looked at.
    Unknown,
    /// It is not the entry that was trusted.
    Changed,
}

/// What is asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Take what the project has, and remember it.
    pub trust_project: bool,
    /// Names that are not taken.
    pub without: BTreeSet<String>,
}

/// Chooses. `found` is in the order in which the client reads: what comes later goes before what
/// comes earlier. `own` are the servers of the command line.
pub fn choose(
    found: Vec<Candidate>,
    own: Vec<Candidate>,
    approvals: &Approvals,
    trusted: &Trusted,
    wanted: &Wanted,
) -> Choice {
    let mut choice = Choice::default();
    let owned: BTreeSet<_> = own.iter().map(|own| own.name.clone()).collect();
    let mut names = BTreeSet::new();
    for candidate in found.into_iter().rev() {
        let Some(file) = candidate.file.clone() else { continue };
        let mut why = None;
        if owned.contains(&candidate.name) {
            why = Some(Why::Own);
        } else if wanted.without.contains(&candidate.name) {
            why = Some(Why::Unwanted);
        } else if names.contains(&candidate.name) {
            why = Some(Why::Behind);
        } else if candidate.whose == Whose::Project {
            let hash = hash(&candidate);
            let standing = trusted.standing(&file, &candidate.name, &hash);
            why = judge(approvals.of(&candidate.name), standing, wanted.trust_project);
            if why.is_none() && wanted.trust_project {
                choice.trusted.push((file.clone(), candidate.name.clone(), hash));
            }
        }
        if let Some(why) = why {
            choice.left.push(Left { name: candidate.name, file, why });
        } else {
            names.insert(candidate.name.clone());
            choice.taken.push(candidate);
        }
    }
    choice.taken.extend(own.into_iter().rev());
    choice.taken.reverse();
    choice.left.reverse();
    choice
}

/// Why a server of a project is not taken; `None` where it is. A no in the client counts more than
/// anything said here.
pub fn judge(answer: Answer, standing: Standing, trust_project: bool) -> Option<Why> {
    match (answer, standing, trust_project) {
        (Answer::No, _, _) => Some(Why::Rejected),
        (Answer::Yes, _, _) | (_, _, true) | (_, Standing::Same, _) => None,
        (_, Standing::Changed, _) => Some(Why::Changed),
        (Answer::None, Standing::New, _) => Some(Why::NotApproved),
        (Answer::Unknown, Standing::New, _) => Some(Why::Unknown),
    }
}

// === impl Why ===

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Own => "a server of this name was given on the command line",
            Self::Behind => "another of this name goes before it",
            Self::Unwanted => "--without",
            Self::Rejected => "it was rejected in the client",
            Self::NotApproved => {
                "it was not approved in the client; approve it there, or use --trust-project"
            }
            Self::Unknown => {
                "the client keeps no approvals that can be looked at; see --trust-project"
            }
            Self::Changed => "it has changed since it was trusted; see --trust-project",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_with_every_trust() {
        use Answer::{No, None as Silent, Unknown, Yes};
        use Standing::{Changed, New, Same};
        for (answer, standing, trust, why) in [
            (Yes, New, false, None),
            (Yes, New, true, None),
            (Yes, Same, false, None),
            (Yes, Same, true, None),
            (Yes, Changed, false, None),
            (Yes, Changed, true, None),
            (No, New, false, Some(Why::Rejected)),
            (No, New, true, Some(Why::Rejected)),
            (No, Same, false, Some(Why::Rejected)),
            (No, Same, true, Some(Why::Rejected)),
            (No, Changed, false, Some(Why::Rejected)),
            (No, Changed, true, Some(Why::Rejected)),
            (Silent, New, false, Some(Why::NotApproved)),
            (Silent, New, true, None),
            (Silent, Same, false, None),
            (Silent, Same, true, None),
            (Silent, Changed, false, Some(Why::Changed)),
            (Silent, Changed, true, None),
            (Unknown, New, false, Some(Why::Unknown)),
            (Unknown, New, true, None),
            (Unknown, Same, false, None),
            (Unknown, Same, true, None),
            (Unknown, Changed, false, Some(Why::Changed)),
            (Unknown, Changed, true, None),
        ] {
            assert_eq!(judge(answer, standing, trust), why, "{answer:?} {standing:?} {trust}");
        }
    }
}
