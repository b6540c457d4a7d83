//! Extensions of Claude Desktop (DXT, MCPB): servers outside its configuration file.
//!
//! An extension is a directory `Claude Extensions/ID` with a `manifest.json`, which says how its
//! server is started. Beside that directory, `extensions-installations.json` lists the extensions,
//! each with a copy of its manifest, and `Claude Extensions Settings/ID.json` says whether it is
//! started. An extension is wrapped by editing `server.mcp_config` in both its manifests, with the
//! machinery of [`super::document`]; either alone counts as not wrapped.
//!
//! # What is known, and from where
//!
//! From the manifest's specification and its reference code (modelcontextprotocol/mcpb,
//! `MANIFEST.md`, `src/schemas`, `src/shared/config.ts`): the members of `server`; variables such
//! as `${__dirname}` and `${user_config.x}` are replaced in every string of `mcp_config`, so also
//! behind `--`; the command and the arguments of `platform_overrides` replace those beside it, each
//! on its own. From several independent installers that write these files by hand: the three
//! places; an extension without settings is not started; the `hash` of the list is that of the
//! bundle, which is gone, and any value is accepted. From reports on the app
//! (modelcontextprotocol/mcpb 229, anthropics/claude-code 35175): a server whose command is `node`
//! runs inside the app, every other command is started as a process.
//!
//! Not verified here, for want of the app: which of the two manifests it goes by; whether it
//! writes its list anew as it quits. An update of an extension brings its manifest as it was
//! published, so that it has to be wrapped again. What the app would have to take part in is left
//! alone and told of: see `barrier`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::{Document, Server, Transport, wrapped};
use super::scan::Entry;
use super::table::{File, Places, System, present, read, unmarked};

/// The name of the list of extensions, in the app's directory.
pub(super) const LIST: &str = "extensions-installations.json";

/// What was read about extensions beside their manifests.
#[derive(Debug, Default)]
pub struct Extensions {
    /// The lists of extensions, by the app's directory.
    lists: BTreeMap<PathBuf, Value>,
}

/// What is known of one extension beside its manifest.
struct Particulars<'a> {
    /// Its directory's name.
    id: &'a str,
    /// Whether the app is told to start it.
    is_enabled: bool,
    /// What the list says of the bundle's signature.
    signature: Option<&'a str>,
}

/// Which command of a manifest is the one for a system.
enum Effective {
    /// The usual one.
    Usual,
    /// The one of `platform_overrides`.
    Own,
    /// Neither alone.
    Mixed(&'static str),
    /// There is none.
    Missing,
}

// === impl Extensions ===

impl Extensions {
    /// The servers of a manifest, or of a list of manifests.
    pub(super) fn entries(
        &mut self,
        file: &File,
        document: &Document,
        text: &[u8],
        places: &Places,
    ) -> Vec<Entry> {
        let root = json(text);
        if let Some(Value::Object(list)) = root.get("extensions") {
            let home = file.path.parent().unwrap_or(Path::new(""));
            let of = |(id, listed): (&String, &Value)| {
                let particulars = Particulars::read(home, id, Some(listed));
                let above = ["extensions", id, "manifest"];
                let manifest = listed.get("manifest").unwrap_or(&Value::Null);
                entry(&particulars, manifest, document, &above, places)
            };
            return list.iter().map(of).collect();
        }
        // Claude Extensions / ID / manifest.json
        let mut above = file.path.ancestors().skip(1);
        let id = above.next().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let home = above.nth(1).unwrap_or(Path::new(""));
        let list = self
            .lists
            .entry(home.to_owned())
            .or_insert_with(|| read(&home.join(LIST)).map_or(Value::Null, |text| json(&text)));
        let listed = list.get("extensions").and_then(|list| list.get(id.as_ref()));
        let particulars = Particulars::read(home, &id, listed);
        if root.get("server").is_none() {
            return Vec::new();
        }
        vec![entry(&particulars, &root, document, &[], places)]
    }
}

// === impl Particulars ===

impl<'a> Particulars<'a> {
    fn read(home: &Path, id: &'a str, listed: Option<&'a Value>) -> Self {
        let settings = home.join("Claude Extensions Settings").join(format!("{id}.json"));
        let is_enabled = match read(&settings) {
            Ok(text) => json(&text).get("isEnabled").is_none_or(|flag| *flag == Value::Bool(true)),
            // What cannot be looked at is taken to be started.
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        let signature = listed.and_then(|listed| listed.pointer("/signatureInfo/status"));
        Self { id, is_enabled, signature: signature.and_then(Value::as_str) }
    }
}

/// The manifest of which an entry of the app's list is a copy; `None` where a file is no such list.
pub fn manifest_of(list: &Path, id: &str) -> Option<PathBuf> {
    let home = list.parent().filter(|_| list.ends_with(LIST))?;
    Some(home.join("Claude Extensions").join(id).join("manifest.json"))
}

/// The one server of a manifest.
fn entry(
    of: &Particulars<'_>,
    manifest: &Value,
    document: &Document,
    above: &[&str],
    places: &Places,
) -> Entry {
    let effective = effective(manifest, places.system);
    let (key, rest): (_, &[&str]) = match effective {
        Effective::Own => {
            (places.system.platform(), &["server", "mcp_config", "platform_overrides"])
        }
        Effective::Usual | Effective::Mixed(_) | Effective::Missing => ("mcp_config", &["server"]),
    };
    let within = [above, rest].concat();
    let at =
        document.servers().iter().position(|server| server.name == key && server.within == within);
    let server = at.map(|at| &document.servers()[at]);
    let barrier = match effective {
        Effective::Mixed(why) => Some(why.to_owned()),
        Effective::Missing => Some("its manifest has no command; the app makes one".to_owned()),
        Effective::Usual | Effective::Own => {
            server.and_then(|server| barrier(of, manifest, server, places))
        }
    };
    Entry { server: at, name: of.id.to_owned(), within: None, disabled: !of.is_enabled, barrier }
}

fn effective(manifest: &Value, system: System) -> Effective {
    let Some(usual) = manifest.pointer("/server/mcp_config").filter(|usual| usual.is_object())
    else {
        return Effective::Missing;
    };
    let own = usual.get("platform_overrides").and_then(|own| own.get(system.platform()));
    // An empty one counts as none for the app, as does null.
    let has = |member| {
        let found = own.and_then(|own| own.get(member));
        found.is_some_and(|found| !found.is_null() && found.as_str() != Some(""))
    };
    match (has("command"), has("args")) {
        (false, false) => Effective::Usual,
        (true, true) => Effective::Own,
        (true, false) => Effective::Mixed("its manifest has another command for this system alone"),
        (false, true) => Effective::Mixed("its manifest has other arguments for this system alone"),
    }
}

/// Why an extension's command stays as it is: what the app does to it, thoth could not do.
fn barrier(
    of: &Particulars<'_>,
    manifest: &Value,
    server: &Server,
    places: &Places,
) -> Option<String> {
    let Transport::Stdio { command, args, .. } = &server.transport else { return None };
    if wrapped(command, args).is_some() {
        return None;
    }
    if of.signature.is_some_and(|status| status != "unsigned") {
        return Some("its bundle is signed, and the app may refuse a changed manifest".to_owned());
    }
    if manifest.pointer("/server/type").and_then(Value::as_str) == Some("uv") {
        return Some("the app starts it with a uv of its own".to_owned());
    }
    if command == "node" && !has_node(places) {
        return Some(
            "it runs on the Node.js inside the app, and this machine has no other".to_owned(),
        );
    }
    // A name is looked for; a variable stands for an absolute path.
    let is_relative = command.contains(['/', '\\'])
        && !command.starts_with(['/', '\\', '$'])
        && command.as_bytes().get(1) != Some(&b':');
    is_relative
        .then(|| "its command lies in the extension's directory, which the app knows".to_owned())
}

/// Whether there is a Node.js that `thoth run` would find.
fn has_node(places: &Places) -> bool {
    let name = if places.system == System::Windows { "node.exe" } else { "node" };
    let nvm = places.home.join(".nvm/versions/node/*/bin").join(name);
    places.programs().any(|directory| directory.join(name).is_file()) || !present(&nvm).is_empty()
}

/// A JSON text, or null.
fn json(text: &[u8]) -> Value {
    serde_json::from_slice(unmarked(text)).unwrap_or_default()
}
