//! What bounds a condition: every step that depends on the size of a call's arguments is counted.
//!
//! CEL ends on its own, but not soon: `args.a.all(x, args.a.all(y, …))` looks at n² pairs, and the
//! caller chooses n. So a compiled condition weighs what it walks over, copies, compares or
//! searches (see [`super::check`]), and gives up when it has used more than its [`Meter`] holds.
//!
//! # Invariants
//!
//! - What a condition may look at, and with it its time and memory, is in proportion to the size
//!   of the arguments.
//! - Giving up is seen: once a meter has run out, it stays so, whatever the condition says then.

use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::{CelBytes, CelList, CelMap, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

/// Calls a function that charges the weight of its last argument and returns it.
pub(super) const WEIGH: &str = "@weigh";
/// The variable that holds the meter.
pub(super) const METER: &str = "@meter";
/// The variable that is true as long as the meter has not run out.
pub(super) const GOING: &str = "@going";

/// Values that a condition may look at on the smallest arguments. One takes some 0.3 µs.
const VALUES: u64 = 100_000;
/// Further values: one for each byte of arguments, up to two passes over the most that are read.
const MOST_FURTHER_VALUES: u64 = 2 * super::value::MOST_VALUES as u64;
/// Bytes of strings that a condition may look at or copy on the smallest arguments.
const BYTES: u64 = 1 << 20;
/// Further bytes for each byte of arguments: passes over all of them.
const PASSES: u64 = 16;
/// As how many bytes one counts that a regular expression searches.
const SEARCH_FACTOR: u64 = 2;

/// Counts down what a condition may still look at. Nothing is left of either as soon as one of
/// both is used up.
#[derive(Debug)]
pub(super) struct Meter {
    values: AtomicU64,
    bytes: AtomicU64,
}

/// What is left, while a value is weighed.
#[derive(Clone, Copy)]
struct Left {
    values: u64,
    bytes: u64,
}

/// Adds the metered functions to an environment.
///
/// # Errors
///
/// Where the environment has functions of these names.
pub(super) fn declare(env: &mut Env) -> Result<(), cel::DeclarationError> {
    env.add_overload(WEIGH, WEIGH, vec![DYN_TYPE, DYN_TYPE], weigh)
}

fn weigh<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut args = args.into_iter();
    let (Some(meter), Some(value)) = (args.next(), args.next()) else {
        return Err(ExecutionError::invalid_argument_count(2, 0));
    };
    match meter.downcast_ref::<Meter>() {
        Some(meter) if meter.take(value.as_ref()) => Ok(value),
        Some(_) => Err(ExecutionError::function_error(WEIGH, "")),
        None => Err(ExecutionError::undeclared_reference(METER)),
    }
}

/// Takes what looking at all of a value needs from what is left; `None` as soon as that is not
/// enough.
fn weigh_out(value: &dyn Val, left: Left) -> Option<Left> {
    let left = Left { values: left.values.checked_sub(1)?, ..left };
    if let Some(string) = value.downcast_ref::<CelString<'_>>() {
        left.without(string.inner().len())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let mut items = list.inner().iter();
        items.try_fold(left, |left, item| weigh_out(item.as_ref(), left))
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut members = map.inner().iter();
        members.try_fold(left, |left, (key, item)| {
            weigh_out(item.as_ref(), weigh_out(key.inner(), left)?)
        })
    } else if let Some(raw) = value.downcast_ref::<CelBytes<'_>>() {
        left.without(raw.inner().len())
    } else {
        Some(left)
    }
}

// === impl Left ===

impl Left {
    fn without(self, bytes: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.checked_sub(bytes as u64)?, ..self })
    }
}

// === impl Meter ===

impl Meter {
    /// A meter for a condition on arguments of this many bytes.
    pub(super) fn new(arguments: usize) -> Self {
        let arguments = arguments as u64;
        Self {
            values: AtomicU64::new(VALUES + arguments.min(MOST_FURTHER_VALUES)),
            bytes: AtomicU64::new(BYTES.saturating_add(PASSES.saturating_mul(arguments))),
        }
    }

    /// Whether what was there did not suffice.
    pub(super) fn ran_out(&self) -> bool {
        self.values.load(Ordering::Relaxed) == 0
    }

    /// Takes what a value needs; `false` where there was not enough. From then on this takes no
    /// time, so that what goes on regardless ends soon.
    fn take(&self, value: &dyn Val) -> bool {
        self.take_with(|left| weigh_out(value, left))
    }

    /// Takes what a string needs that a regular expression searches; `false` as above.
    pub(super) fn take_search(&self, bytes: usize) -> bool {
        let bytes = (bytes as u64).saturating_mul(SEARCH_FACTOR);
        self.take_with(|left| {
            Some(Left {
                values: left.values.checked_sub(1)?,
                bytes: left.bytes.checked_sub(bytes)?,
            })
        })
    }

    fn take_with(&self, take: impl FnOnce(Left) -> Option<Left>) -> bool {
        let left = take(Left {
            values: self.values.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        });
        let left = left.unwrap_or(Left { values: 0, bytes: 0 });
        self.values.store(left.values, Ordering::Relaxed);
        self.bytes.store(left.bytes, Ordering::Relaxed);
        left.values > 0
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
        let copy = |count: &AtomicU64| AtomicU64::new(count.load(Ordering::Relaxed));
        Box::new(Self { values: copy(&self.values), bytes: copy(&self.bytes) })
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}
