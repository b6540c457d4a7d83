//! One server's entry: how it is reached, and the members that say so.

use super::far::Far;
use super::tree::{List, Map, Node, Value};
use super::{Transport, Words};

/// An entry that starts a command, with the members that matter in their places.
#[derive(Debug)]
pub(super) struct Stdio<'a> {
    /// The map that holds them: the entry, or the map under `command`.
    pub(super) holder: &'a Map,
    /// What the members are called in it.
    pub(super) words: Words,
    /// Which member is the command.
    pub(super) command: usize,
    /// How the command and its arguments are written.
    pub(super) form: Form<'a>,
    /// Which member is the environment, if there is one.
    pub(super) env: Option<usize>,
}

/// How a command and its arguments are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'a> {
    /// In one list.
    One(&'a List),
    /// The command as a string; which member has the arguments, if there is one, and their list,
    /// if there is more than null.
    Two(Option<usize>, Option<&'a List>),
}

/// The names of the members of a command that is a map, as Zed once had them.
const NESTED: Words =
    Words { command: "path", args: "args", env: "env", remote: &[], is_one: false };

// === impl Stdio ===

impl<'a> Stdio<'a> {
    /// Looks at an entry that has a command.
    ///
    /// # Errors
    ///
    /// What is odd about it.
    fn of(holder: &'a Map, words: Words) -> Result<Self, String> {
        let Some((command, node)) = holder.find(words.command) else {
            return Err("no command".to_owned());
        };
        for word in [words.command, words.args, words.env] {
            if holder.repeats(word) {
                return Err(format!("two members are called `{word}`, and readers differ"));
            }
        }
        let form = match &node.value {
            Value::Map(nested) if words.command != NESTED.command => {
                return Self::of(nested, NESTED);
            }
            Value::Text(text) if text.is_empty() => return Err("its command is empty".to_owned()),
            Value::Text(_) => {
                let args = holder.find(words.args);
                let list = match args.map(|(_, args)| &args.value) {
                    Some(Value::List(list)) if list.texts().is_some() => Some(list),
                    None | Some(Value::Nothing) => None,
                    Some(_) => return Err(format!("its `{}` are not all strings", words.args)),
                };
                Form::Two(args.map(|(at, _)| at), list)
            }
            Value::List(list) => {
                let first = list.texts().and_then(|texts| texts.first().copied());
                if first.is_none_or(str::is_empty) {
                    return Err("its command is not a list of strings".to_owned());
                }
                if holder.get(words.args).is_some_and(|args| !args.is_nothing()) {
                    return Err(format!("a list as its command, and `{}` beside it", words.args));
                }
                Form::One(list)
            }
            Value::Map(_) | Value::Flag(_) | Value::Nothing | Value::Else => {
                return Err("its command is not a string".to_owned());
            }
        };
        let mut parts = [Some(node), holder.get(words.args)].into_iter().flatten();
        let env = holder.find(words.env);
        let attached = parts.find_map(Node::attachment);
        if let Some(attached) = attached.or(env.and_then(|(_, env)| env.attached)) {
            return Err(attached.to_owned());
        }
        Ok(Self { holder, words, command, form, env: env.map(|(at, _)| at) })
    }

    /// The command and its arguments.
    pub(super) fn line(&self) -> (&'a str, Vec<&'a str>) {
        let texts = |list: &'a List| list.texts().unwrap_or_default();
        match self.form {
            Form::One(list) => {
                let mut texts = texts(list).into_iter();
                (texts.next().unwrap_or_default(), texts.collect())
            }
            Form::Two(_, list) => {
                let command = self.command().text().unwrap_or_default();
                (command, list.map(texts).unwrap_or_default())
            }
        }
    }

    /// The command's value.
    pub(super) fn command(&self) -> &'a Node {
        &self.holder.members[self.command].value
    }

    /// The environment, where it is a map.
    pub(super) fn env(&self) -> Option<&'a Map> {
        self.holder.members[self.env?].value.map()
    }
}

/// How an entry is reached, and its members, if that is by a command.
pub(super) fn transport<'a>(node: &'a Node, words: &Words) -> (Transport, Option<Stdio<'a>>) {
    match reach(node, words) {
        Ok(Reach::Command(stdio)) => {
            let (command, args) = stdio.line();
            let env = stdio.env().into_iter().flat_map(|env| &env.members);
            let transport = Transport::Stdio {
                command: command.to_owned(),
                args: args.into_iter().map(str::to_owned).collect(),
                env: env.map(|variable| variable.name.clone()).collect(),
            };
            (transport, Some(stdio))
        }
        Ok(Reach::Address { map, at, url }) => {
            let member = map.members[at].name.clone();
            (Transport::Remote { member, url: url.to_owned() }, None)
        }
        Err(what) => (Transport::Other { what }, None),
    }
}

/// The members of an entry that is reached at an address, or why it must stay as it is; `None`
/// where it is reached otherwise.
pub(super) fn far<'a>(node: &'a Node, words: &Words) -> Option<Result<Far<'a>, String>> {
    match reach(node, words) {
        Ok(Reach::Address { map, at, .. }) => Some(Far::of(map, *words, at)),
        Ok(Reach::Command(_)) | Err(_) => None,
    }
}

/// Whether the client is told not to start it.
pub(super) fn is_disabled(node: &Node) -> bool {
    let flag = |name| node.map().and_then(|map| map.get(name)).and_then(Node::flag);
    flag("disabled") == Some(true) || flag("enabled") == Some(false)
}

enum Reach<'a> {
    Command(Stdio<'a>),
    Address { map: &'a Map, at: usize, url: &'a str },
}

fn reach<'a>(node: &'a Node, words: &Words) -> Result<Reach<'a>, String> {
    if let Some(attached) = node.attached {
        return Err(attached.to_owned());
    }
    let map = node.map().ok_or("the entry is not a map")?;
    if map.get("<<").is_some() {
        return Err("it takes members from elsewhere in the file (`<<`)".to_owned());
    }
    let word = |name| map.get(name).and_then(Node::text).map(str::to_ascii_lowercase);
    let kind = word("type").unwrap_or_default();
    if map.repeats("type") {
        return Err("two members are called `type`, and readers differ".to_owned());
    }
    if matches!(kind.as_str(), "builtin" | "platform" | "frontend") {
        return Err("a built-in of the client".to_owned());
    }
    let address = map.members.iter().position(|member| {
        words.remote.contains(&member.name.as_str())
            && !member.value.is_nothing()
            && member.value.text() != Some("")
    });
    let address = address.map(|at| match map.members[at].value.text() {
        Some(url) => Ok(Reach::Address { map, at, url }),
        None => Err(format!("its `{}` is not a string", map.members[at].name)),
    });
    let is_remote = is_remote(&kind);
    let has_command = map.get(words.command).is_some_and(|command| !command.is_nothing());
    match (has_command, address) {
        (true, Some(address)) if is_remote => address,
        (true, Some(_)) if !matches!(kind.as_str(), "stdio" | "local") => {
            Err("both a command and an address, and clients differ in which they take".to_owned())
        }
        (true, None) if is_remote => Err("a remote one by its type, without an address".to_owned()),
        (true, _) => Stdio::of(map, *words).map(Reach::Command),
        (false, Some(address)) => address,
        (false, None) if word("source").as_deref() == Some("extension") => {
            Err("an extension of the client".to_owned())
        }
        (false, None) => Err("neither a command nor an address".to_owned()),
    }
}

/// `http`, `sse`, `remote`, and the spellings of streamable HTTP.
fn is_remote(kind: &str) -> bool {
    matches!(kind, "http" | "sse" | "remote" | "ws" | "websocket") || kind.starts_with("streamable")
}
