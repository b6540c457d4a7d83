//! What wrapping added to an entry beside the command line.

use super::undo::Undo;
use super::{Document, bridged, entry, wrapped};

impl Document {
    /// The variables that wrapping added to the environment of an entry, by its index in
    /// [`Document::servers`], with the values they have now.
    pub fn added(&self, at: usize) -> Vec<(String, String)> {
        let Some(found) = self.found.get(at) else { return Vec::new() };
        let (_, Some(stdio)) = entry::transport(&found.node, &self.shape.words) else {
            return Vec::new();
        };
        let (command, args) = stdio.line();
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let ours = match wrapped(command, &args) {
            Some(inner) => &args[1..args.len() - inner.args.len() - 2],
            None if bridged(command, &args).is_some() => &args[1..],
            None => return Vec::new(),
        };
        let mut undo = Undo::default();
        // Where it cannot be read, wrapping will say so.
        let _ = undo.read(ours);
        let variables = stdio.env().into_iter().flat_map(|env| &env.members);
        variables
            .filter(|variable| undo.added.contains(&variable.name))
            .filter_map(|variable| Some((variable.name.clone(), variable.value.text()?.to_owned())))
            .collect()
    }
}
