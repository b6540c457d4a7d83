//! Whether a text that is to be written is what was meant: read back, and undone.

use super::{Depth, Document, Hole, Refused, Server, Transport, Wrapping, bridged, undo, wrapped};

impl Document {
    /// Whether this is a text with those entries unwrapped.
    pub(super) fn is_core_of(&self, old: &Self, refused: &Refused, chosen: &[bool]) -> bool {
        let pairs = self.servers.iter().zip(&old.servers).enumerate();
        pairs.into_iter().all(|(at, (new, old))| match (&new.transport, &old.transport) {
            (
                Transport::Stdio { command, args, .. },
                Transport::Stdio { command: outer, args: line, .. },
            ) if chosen[at] && !refused.contains_key(&at) => {
                let (mut inner, mut rest) = (outer.as_str(), &line[..]);
                while let Some(wrapped) = wrapped(inner, rest) {
                    (inner, rest) = (wrapped.command, wrapped.args);
                }
                command == inner && args == rest
            }
            (Transport::Remote { url, .. }, Transport::Stdio { command, args, .. })
                if chosen[at] && !refused.contains_key(&at) =>
            {
                bridged(command, args).is_some_and(|old| old.url == *url)
            }
            (new, old) => new == old,
        })
    }

    /// Whether this is a text with those entries wrapped as told, and the other one is what comes
    /// of unwrapping them.
    pub(super) fn undoes_to(
        &self,
        plain: &Self,
        done: &[bool],
        wrappings: &[Option<Wrapping>],
    ) -> bool {
        let servers = self.servers.iter().zip(&plain.servers).zip(done.iter().zip(wrappings));
        let each = |((new, old), (done, wrapping)): ((&Server, &Server), (&bool, _))| match (
            &new.transport,
            &old.transport,
            wrapping,
        ) {
            (
                Transport::Stdio { command, args, .. },
                Transport::Stdio { command: inner, args: rest, .. },
                &Some(Wrapping { ref program, ref flags, .. }),
            ) if *done && bridged(inner, rest).is_none() => {
                wrapped(command, args).is_some_and(|new| {
                    new.program == program
                        && *new.flags == undo::without(flags)
                        && new.command == inner
                        && new.args == rest
                })
            }
            (
                Transport::Stdio { command, args, .. },
                old,
                &Some(Wrapping { ref program, ref flags, .. }),
            ) if *done => bridged(command, args).is_some_and(|new| {
                let url = match old {
                    Transport::Remote { url, .. } => Some(url.clone()),
                    Transport::Stdio { command, args, .. } => {
                        bridged(command, args).map(|old| old.url)
                    }
                    Transport::Other { .. } => None,
                };
                new.program == program && new.flags == undo::without(flags) && Some(new.url) == url
            }),
            (new, old, _) => !done && new == old,
        };
        // Where a secret is not known, any other word shows as well that it would come back.
        let mut fill = |at: usize, hole: &Hole| {
            let kept = wrappings[at].as_ref().map(|wrapping| &wrapping.bridge.kept[..]);
            let kept = kept.unwrap_or_default().iter().find(|kept| kept.hole == *hole);
            Some(kept.map_or("secret", |kept| &kept.secret).to_owned())
        };
        // What was wrapped by hand remembers nothing, and is only looked at above.
        let by_hand: Vec<_> = (0..done.len()).map(|at| done[at] && plain.is_by_hand(at)).collect();
        let done: Vec<_> = done.iter().zip(&by_hand).map(|(done, hand)| *done && !hand).collect();
        let [new, old] = [self, plain].map(|document| {
            let undone = document.strip(&done, Depth::All, &mut fill).0;
            document.reread(undone).map(|undone| undone.without(&by_hand))
        });
        servers.into_iter().all(each) && new.is_some() && new == old
    }

    /// Whether an entry starts thoth in the place of an address, and says nothing of what it was.
    fn is_by_hand(&self, at: usize) -> bool {
        let Transport::Stdio { command, args, .. } = &self.servers[at].transport else {
            return false;
        };
        let mut undo = undo::Undo::default();
        bridged(command, args).is_some() && undo.read(args).is_ok() && undo.remote.is_none()
    }

    /// The text without some entries.
    fn without(&self, gone: &[bool]) -> String {
        let (mut text, mut done) = (String::new(), 0);
        for (found, _) in self.found.iter().zip(gone).filter(|(_, gone)| **gone) {
            text.push_str(&self.text[done..found.span.start.max(done)]);
            done = found.span.end.max(done);
        }
        text + &self.text[done..]
    }
}
