//! How lists look: marks and colour on a terminal that can show them, plain words elsewhere.

use crate::config::variables::{Env, LOCALE, LOCALE_ALL, LOCALE_TYPE, NO_COLOR};

/// What the place that is written to can show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Paint {
    colour: bool,
    unicode: bool,
}

impl Paint {
    /// Colour on a terminal unless `NO_COLOR` is set; marks where its locale is UTF-8, too.
    pub fn new(env: &Env, is_terminal: bool) -> Self {
        let is_utf8 = [&LOCALE_ALL, &LOCALE_TYPE, &LOCALE]
            .into_iter()
            .find(|variable| env.has(variable))
            .and_then(|variable| env.get(variable))
            .is_some_and(|locale| {
                let locale = locale.to_string_lossy().to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            });
        Self { colour: is_terminal && !env.has(&NO_COLOR), unicode: is_terminal && is_utf8 }
    }

    /// The mark before something that is fine.
    pub fn fine(self) -> String {
        self.coloured("32", if self.unicode { "✓" } else { "ok" })
    }

    /// The mark before something that is not.
    pub fn wrong(self) -> String {
        self.coloured("31", if self.unicode { "✗" } else { "no" })
    }

    /// The mark before something that is neither.
    pub fn doubtful(self) -> String {
        self.coloured("33", if self.unicode { "!" } else { "--" })
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.coloured("1", text)
    }

    fn coloured(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_shown_where_it_can_be() {
        for (env, is_terminal, fine, wrong) in [
            (&[][..], false, "ok", "no"),
            (&[("LANG", "en_US.UTF-8")], false, "ok", "no"),
            (&[], true, "\u{1b}[32mok\u{1b}[0m", "\u{1b}[31mno\u{1b}[0m"),
            (&[("LANG", "C.utf8")], true, "\u{1b}[32m✓\u{1b}[0m", "\u{1b}[31m✗\u{1b}[0m"),
            (&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")], true, "✓", "✗"),
            (&[("LANG", "C.UTF-8"), ("NO_COLOR", "1"), ("LC_ALL", "C")], true, "ok", "no"),
            (&[("LC_CTYPE", "UTF-8"), ("NO_COLOR", "1"), ("LANG", "C")], true, "✓", "✗"),
        ] {
            let paint = Paint::new(&env.iter().copied().collect(), is_terminal);
            assert_eq!((&*paint.fine(), &*paint.wrong()), (fine, wrong), "{env:?}");
        }
        assert_eq!(Paint::default().doubtful(), "--");
    }
}
