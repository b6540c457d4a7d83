//! What a verdict of the rules leads to in each enforcement mode. Pure.

use crate::gate::decide::Mode;
use crate::gate::verdict::{Effect, Grounds, Verdict};
use crate::server::decisions::Word;

/// What is answered, and what the rules had said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ruling {
    /// What is answered, unless a person has something to say about it.
    pub(super) effect: Effect,
    /// What the rules said, after the mode's exchange of block and step-up. Differs from the effect in
    /// observe mode only, where everything goes on.
    pub(super) authorization: Word,
    /// Why.
    pub(super) grounds: Grounds,
}

// === impl Ruling ===

impl Ruling {
    /// Applies the mode.
    pub(super) fn new(mode: Mode, verdict: Verdict) -> Self {
        let Verdict { effect, grounds } = verdict;
        let authorization = Word::of(&effect);
        let effect = match (mode, effect) {
            (Mode::Observe, _) => return Self { effect: Effect::Allow, authorization, grounds },
            (Mode::StepUp, Effect::Block) => Effect::StepUp(None),
            (Mode::Block, Effect::StepUp(_)) => Effect::Block,
            (_, effect) => effect,
        };
        Self { authorization: Word::of(&effect), effect, grounds }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gate::verdict::Arguments;

    #[test]
    fn every_effect_in_every_mode() {
        use Mode::{Block, Observe, Progressive, StepUp};
        let modified = || Effect::Modify(Arguments::parse(r#"{"a":1}"#).unwrap());
        let defer = || Effect::Defer(Some(Duration::from_secs(7)));
        for (mode, effect, expected, authorization) in [
            (Observe, Effect::Allow, Effect::Allow, Word::Allow),
            (Observe, modified(), Effect::Allow, Word::Modify),
            (Observe, Effect::StepUp(None), Effect::Allow, Word::StepUp),
            (Observe, defer(), Effect::Allow, Word::Defer),
            (Observe, Effect::Block, Effect::Allow, Word::Block),
            (Progressive, Effect::Allow, Effect::Allow, Word::Allow),
            (Progressive, modified(), modified(), Word::Modify),
            (Progressive, Effect::StepUp(None), Effect::StepUp(None), Word::StepUp),
            (Progressive, defer(), defer(), Word::Defer),
            (Progressive, Effect::Block, Effect::Block, Word::Block),
            (StepUp, Effect::Allow, Effect::Allow, Word::Allow),
            (StepUp, modified(), modified(), Word::Modify),
            (StepUp, Effect::StepUp(None), Effect::StepUp(None), Word::StepUp),
            (StepUp, defer(), defer(), Word::Defer),
            (StepUp, Effect::Block, Effect::StepUp(None), Word::StepUp),
            (Block, Effect::Allow, Effect::Allow, Word::Allow),
            (Block, modified(), modified(), Word::Modify),
            (Block, Effect::StepUp(None), Effect::Block, Word::Block),
            (Block, defer(), defer(), Word::Defer),
            (Block, Effect::Block, Effect::Block, Word::Block),
        ] {
            let row = format!("{mode:?} {effect:?}");
            let grounds = Grounds::coded("code", "reason");
            let ruling = Ruling::new(mode, Verdict { effect, grounds: grounds.clone() });
            assert_eq!(ruling, Ruling { effect: expected, authorization, grounds }, "{row}");
        }
    }
}
