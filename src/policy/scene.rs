//! What a condition can see: the variables of one call, each read when it is first asked for.

use std::sync::{LazyLock, OnceLock};

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use regex::Regex;

use super::Who;
use super::check::{CALLS, COUNT, PATTERN, WHOLE};
use super::meter::{GOING, METER, Meter};
use super::value::{self, Members};
use crate::gate::verdict::{Calls, Facts};

/// The variables of one call, shared by all conditions that are evaluated for it.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    facts: Facts<'a>,
    args: Members<'a>,
    whole: OnceLock<Option<Box<dyn Val + 'a>>>,
    annotations: OnceLock<Option<Box<dyn Val + 'a>>>,
    calls: OnceLock<CelList<'a>>,
    count: Count<'a>,
    tool: CelString<'a>,
    agent: CelString<'a>,
    server: CelString<'a>,
    user: CelString<'a>,
    intent: CelString<'a>,
    environment: CelString<'a>,
}

/// A scene as one condition sees it: with its own regular expressions and its own meter.
pub(super) struct View<'v, 'a> {
    scene: &'v Scene<'a>,
    patterns: &'v [Regex],
    meter: Meter,
}

/// A regular expression as a value: indexed by a string, it says whether it is found there.
#[derive(Clone, Copy, Debug)]
struct Search<'v> {
    pattern: &'v Regex,
    meter: &'v Meter,
}

/// How often a tool was called, indexed by its name.
#[derive(Clone, Copy, Debug)]
struct Count<'a>(&'a Calls);

// === impl Scene ===

impl<'a> Scene<'a> {
    pub(super) fn new(who: &'a Who, facts: &Facts<'a>) -> Self {
        Self {
            facts: *facts,
            args: Members::of(facts.arguments),
            whole: OnceLock::new(),
            annotations: OnceLock::new(),
            calls: OnceLock::new(),
            count: Count(facts.calls),
            tool: facts.tool.into(),
            agent: who.agent.as_str().into(),
            server: who.server.as_str().into(),
            user: who.user.as_str().into(),
            intent: who.intent.as_str().into(),
            environment: who.environment.as_str().into(),
        }
    }

    fn whole(&self) -> Option<&(dyn Val + 'a)> {
        let whole = self.whole.get_or_init(|| value::read(self.facts.arguments));
        whole.as_deref()
    }

    fn annotations(&self) -> Option<&(dyn Val + 'a)> {
        let read = || value::read(self.facts.annotations.unwrap_or("{}"));
        self.annotations
            .get_or_init(|| read().filter(|value| value.downcast_ref::<CelMap<'_>>().is_some()))
            .as_deref()
    }

    fn calls(&self) -> &CelList<'a> {
        self.calls.get_or_init(|| {
            let name = |name: &'a std::sync::Arc<str>| -> Box<dyn Val + 'a> {
                Box::new(CelString::from(&**name))
            };
            CelList::from(self.facts.calls.names().map(name).collect::<Vec<_>>())
        })
    }
}

// === impl View ===

impl<'v, 'a> View<'v, 'a> {
    pub(super) fn new(scene: &'v Scene<'a>, patterns: &'v [Regex]) -> Self {
        Self { scene, patterns, meter: Meter::new(scene.facts.arguments.len()) }
    }

    /// Whether a condition that was evaluated on this view has given up.
    pub(super) fn ran_out(&self) -> bool {
        self.meter.ran_out()
    }
}

static YES: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(true));
static NO: LazyLock<CelBool> = LazyLock::new(|| CelBool::from(false));

impl VariableResolver for View<'_, '_> {
    /// Answers whole names only: `args.a` is never asked of the variables as one name, or a
    /// member called `a.b` could stand in for the member `b` of the member `a`.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let scene = self.scene;
        let value: &'b (dyn Val + 'b) = match name {
            "args" => &scene.args,
            "tool" => &scene.tool,
            "agent" => &scene.agent,
            "server" => &scene.server,
            "user" => &scene.user,
            "intent" => &scene.intent,
            "environment" => &scene.environment,
            "annotations" => scene.annotations()?,
            METER => &self.meter,
            GOING if self.meter.ran_out() => &*NO,
            GOING => &*YES,
            WHOLE => scene.whole()?,
            CALLS => scene.calls(),
            COUNT => &scene.count,
            _ => {
                let number: usize = name.strip_prefix(PATTERN)?.parse().ok()?;
                let pattern = self.patterns.get(number)?;
                let meter = &self.meter;
                return Some(CowVal::owned(Search { pattern, meter }));
            }
        };
        Some(CowVal::Borrowed(value))
    }
}

/// A value that can only be indexed by a string.
macro_rules! indexed_by_string {
    ($type:ty, $name:literal, |$this:ident, $key:ident| $found:expr) => {
        impl Val for $type {
            fn get_type(&self) -> &Type {
                &DYN_TYPE
            }

            fn cel_type() -> &'static Type {
                &DYN_TYPE
            }

            fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(self.clone())
            }
        }

        impl Indexer for $type {
            fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
            where
                Self: 'v,
            {
                let Some(key) = key.downcast_ref::<CelString<'_>>() else {
                    return Err(ExecutionError::function_error($name, ""));
                };
                let ($this, $key) = (self, key.inner());
                Ok(CowVal::owned($found))
            }

            fn steal<'v>(
                self: Box<Self>,
                key: &dyn Val,
            ) -> Result<Box<dyn Val + 'v>, ExecutionError>
            where
                Self: 'v,
            {
                self.get(key).map(CowVal::into_owned)
            }
        }
    };
}

indexed_by_string!(Search<'_>, "matches", |this, key| {
    if !this.meter.take_search(key.len()) {
        return Err(ExecutionError::function_error("matches", ""));
    }
    CelBool::from(this.pattern.is_match(key))
});
indexed_by_string!(Count<'_>, "count", |this, key| {
    CelInt::from(i64::try_from(this.0.count(key)).unwrap_or(i64::MAX))
});
