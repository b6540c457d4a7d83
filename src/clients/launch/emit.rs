//! Writes governed servers down as one client wants them.

use super::{Address, Beside, Delivery, Form, Governed, Handover, Off, Recipe};
use crate::clients::document::{Syntax, Value};

/// What a client is given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Emission {
    /// The text of a file, or of a variable; `None` where all is said in the command line.
    pub text: Option<String>,
    /// Words for the command line, besides those that name the file.
    pub words: Vec<String>,
}

/// Where a server is served on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// The server's name.
    pub name: String,
    /// The address, which holds the secret where the client can be told of it in no other way.
    pub url: String,
}

/// One entry, and its name.
type Entry = (String, Value);

/// Writes servers down. `off` are names of servers that the client finds by itself and must not
/// start; `base` is what the file has besides.
pub fn emit(recipe: &Recipe, servers: &[Governed], off: &[String], base: &Value) -> Emission {
    let entry = |server: &Governed| (server.name.clone(), command(recipe, server));
    written(recipe, servers.iter().map(entry).collect(), off, base)
}

/// The same, where some are served. `variable` names the one with the secret. `None` where it is not
/// known how this client is told of an address.
pub fn emit_served(
    recipe: &Recipe,
    servers: &[Governed],
    served: &[Served],
    variable: &str,
    off: &[String],
    base: &Value,
) -> Option<Emission> {
    let address = recipe.dialect.address?;
    let entry = |server: &Governed| {
        let value = match served.iter().find(|served| served.name == server.name) {
            Some(Served { url, .. }) => at_address(recipe, address, url, variable),
            None => command(recipe, server),
        };
        (server.name.clone(), value)
    };
    Some(written(recipe, servers.iter().map(entry).collect(), off, base))
}

fn at_address(recipe: &Recipe, address: Address, url: &str, variable: &str) -> Value {
    let mut members = Vec::new();
    let mut put = |name: &str, value| members.push((name.to_owned(), value));
    if let Some(kind) = address.kind {
        put("type", Value::Text(kind.to_owned()));
    }
    put(address.url, Value::Text(url.to_owned()));
    match address.secret {
        Handover::Header(before, behind) => {
            let value = Value::Text(format!("Bearer {before}{variable}{behind}"));
            put("headers", Value::Map(vec![("Authorization".to_owned(), value)]));
        }
        Handover::Member(member) => put(member, Value::Text(variable.to_owned())),
        Handover::Path => {}
    }
    add_usual(recipe, &mut members);
    Value::Map(members)
}

fn written(recipe: &Recipe, mut entries: Vec<Entry>, off: &[String], base: &Value) -> Emission {
    let names: Vec<_> = entries.iter().map(|(name, _)| name.clone()).collect();
    let off = off.iter().filter(|name| !names.contains(name));
    let mut words = Vec::new();
    match recipe.off {
        Off::Member(member) => {
            let disabled = || Value::Map(vec![(member.to_owned(), Value::Flag(false))]);
            entries.extend(off.map(|name| (name.clone(), disabled())));
        }
        Off::Flag(flag) => words.extend(off.flat_map(|name| [flag.to_owned(), name.clone()])),
        Off::Only(..) | Off::Unneeded | Off::Nothing => {}
    }
    if let Delivery::Words { flags } = recipe.delivery {
        words.extend(in_words(recipe, flags[0], &entries));
        return Emission { text: None, words };
    }
    let mut file = base.clone();
    if let Off::Only(above, list) = recipe.off {
        file = fenced(&file, above, list, &names);
    }
    // What the file has besides stays, but for servers: none of them would be governed.
    file = with(&file, recipe.dialect.root, Value::Map(entries));
    Emission { text: Some(file.json()), words }
}

/// With a list of the only servers that may be started: of those that an administrator lets be
/// started, where there is such a list.
fn fenced(file: &Value, above: &str, list: &str, names: &[String]) -> Value {
    let holder = file.get(above).cloned().unwrap_or_else(|| Value::Map(Vec::new()));
    let before = holder.get(list).map(|list| list.items().to_vec());
    let may = |name: &&String| {
        before.as_ref().is_none_or(|list| list.iter().any(|item| item.text() == Some(name)))
    };
    let allowed = Value::texts(names.iter().filter(may));
    with(file, above, with(&holder, list, allowed))
}

/// A map with one member set.
fn with(map: &Value, name: &str, value: Value) -> Value {
    let mut members = map.members().to_vec();
    match members.iter_mut().find(|(member, _)| member == name) {
        Some((_, old)) => *old = value,
        None => members.push((name.to_owned(), value)),
    }
    Value::Map(members)
}

/// One word `ROOT.NAME=…` for each server; one for all where a name has a character that the client
/// would take for the end of it.
fn in_words(recipe: &Recipe, flag: &str, entries: &[Entry]) -> Vec<String> {
    let (root, syntax) = (recipe.dialect.root, recipe.dialect.syntax);
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_bare = |name: &str| !name.is_empty() && name.bytes().all(is_letter);
    if entries.iter().all(|(name, _)| is_bare(name)) {
        let word = |(name, value): &Entry| {
            [flag.to_owned(), format!("{root}.{name}={}", value.line(syntax))]
        };
        return entries.iter().flat_map(word).collect();
    }
    let all = Value::Map(entries.to_vec());
    vec![flag.to_owned(), format!("{root}={}", all.line(syntax))]
}

fn command(recipe: &Recipe, server: &Governed) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut members: Vec<(String, Value)> = Vec::new();
    let mut put = |name: &str, value: Value| members.push((name.to_owned(), value));
    match recipe.dialect.command {
        Form::List => {
            put("type", text("local"));
            put("command", Value::texts([&server.command].into_iter().chain(&server.args)));
        }
        Form::Plain | Form::Typed(_) => {
            if let Form::Typed(kind) = recipe.dialect.command {
                put("type", text(kind));
            }
            put("command", text(&server.command));
            put("args", Value::texts(&server.args));
        }
    }
    // Where it is merged with what the client has, that is not said again.
    let is_merged = recipe.beside == Beside::Merged && server.is_found;
    if !is_merged {
        let env = if recipe.dialect.command == Form::List { "environment" } else { "env" };
        if !server.env.is_empty() {
            put(env, Value::Map(server.env.clone()));
        }
        if recipe.dialect.syntax == Syntax::Toml && !server.pass.is_empty() {
            put("env_vars", Value::texts(&server.pass));
        }
        members.extend(server.rest.iter().cloned());
    }
    add_usual(recipe, &mut members);
    Value::Map(members)
}

fn add_usual(recipe: &Recipe, members: &mut Vec<(String, Value)>) {
    for (name, raw) in recipe.dialect.usual {
        if !members.iter().any(|(other, _)| other == name) {
            members.push(((*name).to_owned(), Value::Raw((*raw).to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::launch::recipe;

    fn server(name: &str) -> Governed {
        Governed {
            name: name.to_owned(),
            command: "/usr/bin/thoth".to_owned(),
            args: ["run", "--", "x"].map(str::to_owned).into(),
            env: vec![("A".to_owned(), Value::Text("${A}".to_owned()))],
            pass: Vec::new(),
            rest: Vec::new(),
            inputs: Vec::new(),
            is_found: true,
            was_remote: false,
        }
    }

    fn emitted(client: &str, base: &str, off: &[&str]) -> Emission {
        let off: Vec<_> = off.iter().map(|name| (*name).to_owned()).collect();
        let base = Value::read(base.as_bytes()).unwrap();
        emit(recipe(client).unwrap(), &[server("a"), server("b")], &off, &base)
    }

    #[test]
    fn what_an_administrator_wrote_stays_and_only_governed_servers_may_be_started() {
        let base = r#"{"tools": {"x": 1}, "mcp": {"allowed": ["b", "c"], "excluded": ["d"]},
                       "mcpServers": {"a": {"command": "theirs"}, "c": {"command": "c"}}}"#;
        let text = emitted("gemini", base, &["c"]).text.unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(file["tools"], serde_json::json!({"x": 1}));
        assert_eq!(file["mcp"], serde_json::json!({"allowed": ["b"], "excluded": ["d"]}));
        let names: Vec<_> = file["mcpServers"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(file["mcpServers"]["a"]["command"], "/usr/bin/thoth");
    }

    #[test]
    fn a_server_that_must_not_be_started_is_switched_off_in_the_client_s_way() {
        let codex = emitted("codex", "", &["far", "a"]);
        assert_eq!(codex.words.len(), 6);
        assert_eq!(codex.words[5], "mcp_servers.far={enabled = false}");
        assert_eq!(
            codex.words[1],
            "mcp_servers.a={command = \"/usr/bin/thoth\", args = [\"run\", \"--\", \"x\"], \
             tool_timeout_sec = 3600}",
            "variables are in the client's own file, with which it is merged"
        );
        assert_eq!(emitted("copilot", "", &["far"]).words, ["--disable-mcp-server", "far"]);
        let kilo = emitted("kilo", r#"{"model": "m", "mcp": {"z": {"enabled": true}}}"#, &["far"]);
        let file: serde_json::Value = serde_json::from_str(&kilo.text.unwrap()).unwrap();
        assert_eq!(file["mcp"]["far"], serde_json::json!({"enabled": false}));
        assert_eq!(file["mcp"].as_object().unwrap().len(), 3, "z is not governed");
        assert_eq!(file["model"], "m");
    }

    #[test]
    fn a_server_at_an_address_that_is_merged_stays_at_one() {
        let mut far = server("far");
        far.was_remote = true;
        let url = "http://127.0.0.1:1/mcp".to_owned();
        let served = [Served { name: "far".to_owned(), url }];
        let servers = [server("a"), far];
        let emission =
            emit_served(recipe("codex").unwrap(), &servers, &served, "S", &[], &Value::Null);
        let words = emission.unwrap().words;
        assert!(words[1].starts_with("mcp_servers.a={command = "), "{}", words[1]);
        assert_eq!(
            words[3],
            "mcp_servers.far={url = \"http://127.0.0.1:1/mcp\", bearer_token_env_var = \"S\", \
             tool_timeout_sec = 3600}"
        );
    }

    #[test]
    fn a_name_with_a_dot_is_not_taken_apart() {
        let codex = emit(recipe("codex").unwrap(), &[server("a.b")], &[], &Value::Null);
        assert!(codex.words[1].starts_with("mcp_servers={\"a.b\" = {"), "{}", codex.words[1]);
    }
}
