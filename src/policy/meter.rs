//! What bounds a condition: every step that depends on the size of a call's arguments is counted.
//!
//! CEL ends on its own, but not soon: `args.a.all(x, args.a.all(y, …))` looks at n² pairs, and the
//! caller chooses n. So a compiled condition weighs what it walks over, copies, compares or
//! searches (see [`super::check`]), and gives up when it has used more than its [`allowance`].
//!
//! # Invariants
//!
//! - A condition takes time in proportion to its own length times its allowance, and the
//!   allowance is in proportion to the size of the arguments.
//! - Giving up is seen: once a meter has run out, it stays so, whatever the condition says then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::{CelBytes, CelList, CelMap, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

/// Calls a function that charges the weight of its last argument and returns it.
pub(super) const WEIGH: &str = "@weigh";
/// The same for what a regular expression searches, which costs more by the byte.
pub(super) const SCAN: &str = "@scan";
/// The variable that holds the meter.
pub(super) const METER: &str = "@meter";

/// Steps that a condition may take on the smallest arguments.
const STEPS: u64 = 100_000;
/// Further steps for each byte of arguments: several passes over them.
const STEPS_PER_BYTE: u64 = 2;
/// Bytes of a string that count as one step: about as long as one value of a list takes.
const BYTES_PER_STEP: u64 = 64;
/// How much dearer a byte is to a regular expression.
const SCAN_FACTOR: u64 = 16;

/// Counts down the steps that a condition has left. Clones share their count.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<AtomicU64>);

/// How many steps a condition may take on arguments of this many bytes. A step takes some 50 ns.
pub(super) fn allowance(bytes: usize) -> u64 {
    STEPS + STEPS_PER_BYTE.saturating_mul(bytes as u64)
}

/// Adds the metered functions to an environment.
///
/// # Errors
///
/// Where the environment has functions of these names.
pub(super) fn declare(env: &mut Env) -> Result<(), cel::DeclarationError> {
    env.add_overload(WEIGH, WEIGH, vec![DYN_TYPE, DYN_TYPE], weigh)?;
    env.add_overload(SCAN, SCAN, vec![DYN_TYPE, DYN_TYPE], scan)
}

fn weigh<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    charge(args, 1)
}

fn scan<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    charge(args, SCAN_FACTOR)
}

fn charge<'b, 'v>(
    args: Vec<CowVal<'b, 'v>>,
    factor: u64,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut args = args.into_iter();
    let (Some(meter), Some(value)) = (args.next(), args.next()) else {
        return Err(ExecutionError::invalid_argument_count(2, 0));
    };
    match meter.downcast_ref::<Meter>() {
        Some(meter) if meter.take(value.as_ref(), factor) => Ok(value),
        Some(_) => Err(ExecutionError::function_error(WEIGH, "")),
        None => Err(ExecutionError::undeclared_reference(METER)),
    }
}

/// Takes the steps that looking at all of a value needs from what is `left`; `None` as soon as
/// that is not enough.
fn weigh_out(value: &dyn Val, factor: u64, left: u64) -> Option<u64> {
    let bytes = |len: usize| (1 + len as u64 / BYTES_PER_STEP).saturating_mul(factor);
    if let Some(string) = value.downcast_ref::<CelString<'_>>() {
        left.checked_sub(bytes(string.inner().len()))
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let mut items = list.inner().iter();
        items.try_fold(left.checked_sub(1)?, |left, item| weigh_out(item.as_ref(), factor, left))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut members = map.inner().iter();
        members.try_fold(left.checked_sub(1)?, |left, (key, item)| {
            weigh_out(item.as_ref(), factor, weigh_out(key.inner(), factor, left)?)
        })
    } else if let Some(raw) = value.downcast_ref::<CelBytes<'_>>() {
        left.checked_sub(bytes(raw.inner().len()))
    } else {
        left.checked_sub(1)
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(steps: u64) -> Self {
        Self(Arc::new(AtomicU64::new(steps)))
    }

    /// Whether the steps did not suffice.
    pub(super) fn ran_out(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Takes the steps for a value; `false` where they were the last or more than were left. Once
    /// there are none left this takes no time, so that what goes on regardless ends soon.
    fn take(&self, value: &dyn Val, factor: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        let left = weigh_out(value, factor, left).unwrap_or(0);
        self.0.store(left, Ordering::Relaxed);
        left > 0
    }
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        &DYN_TYPE
    }

    fn cel_type() -> &'static Type {
        &DYN_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}
