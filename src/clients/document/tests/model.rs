//! Configurations made of dice: the same document, written in as many ways as its syntax allows.

use super::super::Syntax;

/// A source of choices. When it is used up, every choice is the first.
pub(super) struct Dice<'a>(pub(super) std::slice::Iter<'a, u8>);

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Model {
    Null,
    Flag(bool),
    Number(i32),
    Text(String),
    List(Vec<Model>),
    Map(Vec<(String, Model)>),
}

/// Strings that some syntax trips over.
const WORDS: [&str; 48] = [
    "npx",
    "uvx",
    "-y",
    "--",
    "run",
    "--undo",
    "a b",
    " lead",
    "trail ",
    "C:\\Program Files\\npx.cmd",
    "${input:x}",
    "é日本😀",
    "\"q\"",
    "it's",
    "#no",
    "a #b",
    "a,b",
    "[x]",
    "{y}",
    "key: v",
    "end:",
    "\t",
    "line\nbreak",
    "\r\n",
    "\u{7f}\u{85}\u{2028}",
    "null",
    "~",
    "true",
    "no",
    "123",
    "0x1f",
    "1e5",
    ".5",
    "- x",
    "-",
    "*a",
    "&b",
    "!c",
    "%d",
    "@e",
    "`f",
    "|",
    ">",
    "? x",
    ":",
    "\u{feff}",
    "\u{1}\u{0}",
    "\\",
];

/// Names that only members get that no client knows.
const KEYS: [&str; 10] = ["timeout", "cwd", "a.b", "", "x y", "é", "\"", "//", "#", "autoApprove"];

// === impl Dice ===

impl Dice<'_> {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte) % sides)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn word(&mut self) -> String {
        let word = self.pick(&WORDS).to_owned();
        if self.roll(4) == 1 { word + self.pick(&WORDS) } else { word }
    }

    fn text(&mut self) -> Model {
        Model::Text(self.word())
    }

    /// Anything at all, as the value of a member that no client knows.
    fn anything(&mut self, syntax: Syntax, depth: usize) -> Model {
        match self.roll(if depth == 0 { 4 } else { 6 }) {
            0 => self.text(),
            1 => Model::Flag(self.roll(2) == 0),
            2 => Model::Number(i32::try_from(self.roll(200)).unwrap() - 100),
            3 if syntax == Syntax::Toml => Model::Number(0),
            3 => Model::Null,
            4 => Model::List((0..self.roll(4)).map(|_| self.anything(syntax, depth - 1)).collect()),
            _ => {
                let keys = (0..self.roll(4)).map(|_| self.pick(&KEYS)).collect::<Vec<_>>();
                let member = |key| (key, self.anything(syntax, depth - 1));
                Model::unique(keys.into_iter().map(str::to_owned).map(member).collect())
            }
        }
    }

    /// A map of servers.
    pub(super) fn servers(&mut self, syntax: Syntax, words: [&str; 4]) -> Model {
        let count = 1 + self.roll(4);
        let entry = |_| {
            let name = if self.roll(3) == 0 { self.word() } else { format!("s{}", self.roll(200)) };
            (name, self.entry(syntax, words))
        };
        Model::unique((0..count).map(entry).collect())
    }

    /// One server's entry; one in eight is none that can be wrapped.
    pub(super) fn entry(&mut self, syntax: Syntax, words: [&str; 4]) -> Model {
        let [command, args, env, url] = words.map(str::to_owned);
        let mut members = Vec::new();
        match self.roll(8) {
            7 => {
                members.push((url, Model::Text("https://example.com/mcp".to_owned())));
                for name in ["headers", "type", "bearer_token_env_var"] {
                    let value = match (name, self.roll(3)) {
                        (_, 0) => continue,
                        ("headers", _) => Model::unique(vec![
                            ("X-A".to_owned(), self.text()),
                            ("é".to_owned(), self.text()),
                        ]),
                        _ => Model::Text("sse".to_owned()),
                    };
                    members.insert(self.roll(members.len() + 1), (name.to_owned(), value));
                }
            }
            6 if self.roll(2) == 0 => {}
            _ => {
                members.push((command, self.text()));
                match self.roll(5) {
                    0 => {}
                    1 if syntax != Syntax::Toml => members.push((args, Model::Null)),
                    count => {
                        let items = (0..count - 1).map(|_| self.text()).collect();
                        members.push((args, Model::List(items)));
                    }
                }
                match self.roll(5) {
                    0 => {}
                    1 if syntax != Syntax::Toml => members.push((env, Model::Null)),
                    count => {
                        let name =
                            |at| self.pick(&["TOKEN", "Path", "A", "B-2", "x y"]).to_owned() + at;
                        let names = ["", "", "_1", "_2"].into_iter().take(count - 1).map(name);
                        let names: Vec<_> = names.collect();
                        let env_of = |name| (name, self.text());
                        let all = names.into_iter().map(env_of).collect();
                        members.push((env, Model::unique(all)));
                    }
                }
            }
        }
        for _ in 0..self.roll(3) {
            let key = self.pick(&KEYS).to_owned();
            members.insert(self.roll(members.len() + 1), (key, self.anything(syntax, 2)));
        }
        if self.roll(4) == 1 && !members.is_empty() {
            members.rotate_left(1);
        }
        Model::unique(members)
    }

    /// The whole file: something before the servers, the servers, something behind.
    pub(super) fn file(&mut self, syntax: Syntax, key: &str, servers: Model) -> Model {
        let mut members = vec![(key.to_owned(), servers)];
        for name in ["before", "theme.x", "é"] {
            if self.roll(3) == 1 {
                let at = self.roll(members.len() + 1);
                members.insert(at, (name.to_owned(), self.anything(syntax, 3)));
            }
        }
        Model::Map(members)
    }
}

// === impl Model ===

impl Model {
    /// A map without repeated names.
    pub(super) fn unique(members: Vec<(String, Self)>) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        Self::Map(members.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect())
    }

    pub(super) fn value(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Flag(flag) => (*flag).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Map(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.value())).collect()
            }
        }
    }
}
