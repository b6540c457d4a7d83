//! An entry that is reached at an address: what it says, and which of its members are about that.

use std::collections::BTreeSet;
use std::fmt;

use super::Words;
use super::tree::{Map, Node, Value};

/// What an entry says of the address it is reached at. Every value may be secret, so it does not
/// print.
#[derive(Clone, Eq, PartialEq)]
pub struct Address {
    /// The member that holds the address: `url`, `httpUrl`.
    pub member: String,
    /// The address.
    pub url: String,
    /// Its `type`, in lower case, where it has one.
    pub kind: Option<String>,
    /// Headers with their values, of whichever member holds them.
    pub headers: Vec<(String, String)>,
    /// Headers whose values are in variables of the client's environment, with their names.
    pub header_variables: Vec<(String, String)>,
    /// The variable of the client's environment that holds a token.
    pub token_variable: Option<String>,
    /// A command that prints headers.
    pub helper: Option<String>,
    /// The member that makes the client log in to the server, where one does.
    pub login: Option<String>,
    /// The variables that the entry has already.
    pub env: Vec<String>,
}

/// The members of an entry that is reached at an address.
#[derive(Debug)]
pub(super) struct Far<'a> {
    /// The entry.
    pub(super) holder: &'a Map,
    pub(super) words: Words,
    /// Which member holds the address.
    pub(super) address: usize,
    /// Which member says how it is reached.
    pub(super) kind: Option<usize>,
    /// Which member is the environment.
    pub(super) env: Option<usize>,
    /// Which members are only for what is reached at an address, but for those two.
    pub(super) gone: BTreeSet<usize>,
}

/// Members that hold headers, or say where their values are.
const HEADERS: [&str; 3] = ["headers", "http_headers", "requestOptions"];
const HEADER_VARIABLES: &str = "env_http_headers";
const TOKEN_VARIABLE: &str = "bearer_token_env_var";
const HELPER: &str = "headersHelper";

/// Members by which a client logs in to a server by itself.
const LOGINS: [&str; 8] = [
    "oauth",
    "auth",
    "authProviderType",
    "scopes",
    "oauth_resource",
    "oauthScopes",
    "targetAudience",
    "targetServiceAccount",
];

/// Members that change how an address is reached in a way that thoth has no word for.
const ODD: [&str; 6] = ["socket", "bearer_token", "proxy", "cert", "clientCertificate", "tls"];

// === impl Far ===

impl<'a> Far<'a> {
    /// Finds the members of an entry whose address is in this member.
    ///
    /// # Errors
    ///
    /// What is odd about it, so that it must stay as it is.
    pub(super) fn of(holder: &'a Map, words: Words, address: usize) -> Result<Self, String> {
        let other = holder.members.iter().enumerate().find(|(at, member)| {
            *at != address
                && words.remote.contains(&member.name.as_str())
                && !member.value.is_nothing()
        });
        if let Some((_, member)) = other {
            return Err(format!("its address is given twice, in `{}` as well", member.name));
        }
        let own = [words.command, words.args, "env_vars"];
        if let Some(name) = own.into_iter().find(|name| holder.get(name).is_some()) {
            return Err(format!("it has `{name}` beside its address"));
        }
        let is_set = |name: &&str| holder.get(name).is_some_and(|node| !is_off(node));
        if let Some(name) = ODD.into_iter().find(is_set) {
            return Err(format!("its `{name}` says how it is reached, which thoth cannot follow"));
        }
        let ours = |name: &str| {
            HEADERS.contains(&name)
                || LOGINS.contains(&name)
                || ODD.contains(&name)
                || words.remote.contains(&name)
                || [HEADER_VARIABLES, TOKEN_VARIABLE, HELPER].contains(&name)
        };
        let mut gone = BTreeSet::new();
        for (at, member) in holder.members.iter().enumerate() {
            let (name, is_word) = (member.name.as_str(), member.name == "type");
            let is_ours = ours(name);
            if (is_ours || is_word || name == words.env) && holder.repeats(name) {
                return Err(format!("two members are called `{name}`, and readers differ"));
            }
            if (is_ours || is_word)
                && let Some(attached) = member.value.attachment()
            {
                return Err(attached.to_owned());
            }
            if is_ours && at != address {
                gone.insert(at);
            }
        }
        let place = |name| holder.find(name).map(|(at, _)| at);
        if let Some(at) = place(words.env)
            && let Some(attached) = holder.members[at].value.attached
        {
            return Err(attached.to_owned());
        }
        Ok(Self { holder, words, address, kind: place("type"), env: place(words.env), gone })
    }

    /// The environment, where it is a map.
    pub(super) fn env(&self) -> Option<&'a Map> {
        self.holder.members[self.env?].value.map()
    }

    /// The value of the header of this name, where the file has it.
    pub(super) fn header(&self, name: &str) -> Option<&'a Node> {
        HEADERS.iter().find_map(|member| headers(self.holder.get(member)?)?.get(name))
    }

    /// What the entry says.
    ///
    /// # Errors
    ///
    /// What in it cannot be followed.
    pub(super) fn read(&self) -> Result<Address, String> {
        let member = &self.holder.members[self.address];
        let text = |name: &str| match self.holder.get(name) {
            None => Ok(None),
            Some(node) if node.is_nothing() => Ok(None),
            Some(node) => match node.text() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(format!("its `{name}` is not a string")),
            },
        };
        let mut pairs = Vec::new();
        for name in HEADERS {
            let Some(node) = self.holder.get(name) else { continue };
            if name == "requestOptions"
                && let Some(map) = node.map()
                && let Some(other) = map.members.iter().find(|member| member.name != "headers")
            {
                return Err(format!(
                    "its `{name}` has `{}`, which thoth cannot follow",
                    other.name
                ));
            }
            pairs.extend(texts(headers(node), name, node)?);
        }
        let variables = self.holder.get(HEADER_VARIABLES);
        let header_variables = match variables {
            Some(node) => texts(node.map(), HEADER_VARIABLES, node)?,
            None => Vec::new(),
        };
        let is_login = |name: &&&str| self.holder.get(name).is_some_and(|node| !is_off(node));
        let env = self.env().into_iter().flat_map(|env| &env.members);
        Ok(Address {
            member: member.name.clone(),
            url: member.value.text().unwrap_or_default().to_owned(),
            kind: text("type")?.map(|kind| kind.to_ascii_lowercase()),
            headers: pairs,
            header_variables,
            token_variable: text(TOKEN_VARIABLE)?,
            helper: text(HELPER)?,
            login: LOGINS.iter().find(is_login).map(|name| (*name).to_owned()),
            env: env.map(|variable| variable.name.clone()).collect(),
        })
    }
}

/// The map of headers in a member: that member, or what it has under `headers`.
fn headers(node: &Node) -> Option<&Map> {
    let map = node.map()?;
    match map.get("headers") {
        Some(inner) if inner.map().is_some() => inner.map(),
        _ => Some(map),
    }
}

/// The members of a map, all of which are strings.
fn texts(map: Option<&Map>, name: &str, node: &Node) -> Result<Vec<(String, String)>, String> {
    let Some(map) = map else {
        return if node.is_nothing() {
            Ok(Vec::new())
        } else {
            Err(format!("its `{name}` are not a map"))
        };
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    for member in &map.members {
        let Some(text) = member.value.text() else {
            return Err(format!("its `{name}` are not all strings"));
        };
        if pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(&member.name)) {
            return Err(format!("its `{name}` have a header twice"));
        }
        pairs.push((member.name.clone(), text.to_owned()));
    }
    Ok(pairs)
}

/// Whether a member says that there is none of what it is about: null, false, nothing,
/// `{enabled: false}`.
fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Nothing | Value::Flag(false) => true,
        Value::Text(text) => text.is_empty(),
        Value::List(list) => list.items.is_empty(),
        Value::Map(map) => map.get("enabled").and_then(Node::flag) == Some(false),
        Value::Flag(true) | Value::Else => false,
    }
}

// === impl Address ===

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("member", &self.member).finish_non_exhaustive()
    }
}
