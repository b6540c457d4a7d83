//! Reads what is said about step-ups: what becomes of such a call, how long it waits, and whether
//! this sidecar lets a person here answer for its own rules.

use std::time::Duration;

use super::flags::RunFlags;
use super::parse;
use super::reader::Reader;
use super::settings::LocalApprovals;
use super::sources::Setting;
use super::variables as name;
use crate::gate::decide::StepUp;

/// The longest a step-up waits, where nothing else is said: less than the 60 s after which common
/// clients give up on a call, so that it is answered with the token rather than given up.
pub const STEP_UP_WAIT: Duration = Duration::from_secs(50);

/// What is said about step-ups.
pub(super) struct Approvals {
    pub(super) step_up: StepUp,
    pub(super) step_up_wait: Duration,
    pub(super) local: LocalApprovals,
}

pub(super) fn read(read: &mut Reader<'_>, flags: &RunFlags) -> Approvals {
    let step_up = read.optional(
        Setting::of(&[&name::STEP_UP]).or_flag("--step-up", flags.step_up.as_ref()),
        parse::step_up,
    );
    let step_up_wait = read.optional(
        Setting::of(&[&name::STEP_UP_WAIT]).or_flag("--step-up-wait", flags.step_up_wait.as_ref()),
        parse::wait_seconds,
    );
    let local = read.optional(
        Setting::of(&[&name::LOCAL_APPROVALS])
            .or_flag("--local-approvals", flags.local_approvals.as_ref()),
        parse::local_approvals,
    );
    Approvals {
        step_up: step_up.unwrap_or_default(),
        step_up_wait: step_up_wait.map_or(STEP_UP_WAIT, Duration::from_secs),
        local: local.unwrap_or_default(),
    }
}
