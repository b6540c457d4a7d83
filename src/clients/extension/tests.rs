//! Extensions of Claude Desktop, as the app and its installers leave them on a disk.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::clients::coverage::{Coverage, Standing};
use crate::clients::document::{Bridge, Wrapping};
use crate::clients::scan::{Entries, Expected, scan};
use crate::clients::table::files;
use crate::config::variables::Env;

const ID: &str = "ant.dir.ant.anthropic.filesystem";

/// The app's directory with one extension in it, on a machine that has Node.js.
struct App {
    root: tempfile::TempDir,
    places: Places,
}

impl App {
    fn with(manifest: &Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut places = Places::on(System::Linux, &Env::default());
        root.path().clone_into(&mut places.home);
        places.root = root.path().join("root");
        let app = Self { root, places };
        write(&app.manifest(), &manifest.to_string());
        app.list(manifest, "unsigned");
        app.settings(r#"{"isEnabled": true, "userConfig": {"key": "hunter2"}}"#);
        write(&app.root.path().join("root/usr/bin/node"), "");
        app
    }

    fn home(&self) -> PathBuf {
        self.root.path().join(".config/Claude")
    }

    fn manifest(&self) -> PathBuf {
        manifest_of(&self.home().join(LIST), ID).unwrap()
    }

    fn list(&self, manifest: &Value, signature: &str) {
        let listed = json!({
            "id": ID,
            "version": "0.2.2",
            "hash": "0000",
            "manifest": manifest,
            "signatureInfo": {"status": signature},
            "source": "registry",
        });
        let list = json!({"extensions": {ID: listed}});
        write(&self.home().join(LIST), &serde_json::to_string_pretty(&list).unwrap());
    }

    fn settings(&self, text: &str) {
        write(&self.home().join(format!("Claude Extensions Settings/{ID}.json")), text);
    }

    fn scan(&self) -> Coverage {
        scan(&self.places, &Expected::default())
    }

    /// How the servers stand, with the names of their files.
    fn told(&self) -> Vec<(String, Standing, bool, Option<String>)> {
        let coverage = self.scan();
        let servers = coverage.files.into_iter().flat_map(|file| {
            let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
            assert_eq!(file.unreadable, None, "{name}");
            file.servers.into_iter().map(move |server| (name.clone(), server))
        });
        servers
            .inspect(|(_, server)| assert_eq!(server.name, ID))
            .map(|(name, server)| (name, server.standing, server.can_be_wrapped, server.why))
            .collect()
    }

    /// Wraps what can be wrapped, as `wrap-config` does, and gives the old texts back.
    fn wrap(&self, only: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut entries = Entries::new(&self.places);
        let mut before = Vec::new();
        for file in files(&self.places).iter().filter(|file| file.path.ends_with(only)) {
            let text = fs::read(&file.path).unwrap();
            let document = Document::read(&text, file.shape).unwrap();
            let found = entries.of(file, &document, &text);
            let edited = document.wrap(|server| {
                let is = |entry: &&Entry| {
                    let at = entry.server.filter(|_| entry.barrier.is_none());
                    at.is_some_and(|at| document.servers()[at] == *server)
                };
                let entry = found.iter().find(is)?;
                let flags = vec!["--agent-id".to_owned(), entry.name.clone()];
                Some(Wrapping {
                    program: self.thoth(),
                    flags,
                    env: Vec::new(),
                    bridge: Bridge::default(),
                })
            });
            assert_eq!(edited.refused, []);
            fs::write(&file.path, edited.text).unwrap();
            before.push((file.path.clone(), text));
        }
        before
    }

    fn thoth(&self) -> String {
        let path = self.root.path().join("bin/thoth");
        write(&path, "");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path.to_str().unwrap().to_owned()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn manifest(server: &Value) -> Value {
    json!({
        "manifest_version": "0.3",
        "name": "filesystem",
        "display_name": "Filesystem",
        "server": server,
        "user_config": {"allowed_directories": {"type": "directory", "multiple": true}},
    })
}

fn node() -> Value {
    manifest(&json!({
        "type": "node",
        "entry_point": "dist/index.js",
        "mcp_config": {
            "command": "node",
            "args": ["${__dirname}/dist/index.js", "${user_config.allowed_directories}"],
            "env": {},
        },
    }))
}

#[test]
fn an_extension_is_one_server_and_wrapped_in_both_its_manifests() {
    let app = App::with(&node());
    assert_eq!(app.told(), [("manifest.json".to_owned(), Standing::Bypassing, true, None)]);

    let before = app.wrap("");
    assert_eq!(app.told(), [("manifest.json".to_owned(), Standing::Wrapped, false, None)]);
    let wrapped: Value = serde_json::from_slice(&fs::read(app.manifest()).unwrap()).unwrap();
    assert_eq!(wrapped["server"]["type"], "node");
    assert_eq!(wrapped["server"]["mcp_config"]["command"], json!(app.thoth()));
    let args = wrapped["server"]["mcp_config"]["args"].as_array().unwrap();
    let end = ["--", "node", "${__dirname}/dist/index.js", "${user_config.allowed_directories}"];
    assert_eq!(args[args.len() - 4..], end.map(|word| json!(word)));

    for (path, text) in before {
        let file = files(&app.places).into_iter().find(|file| file.path == path).unwrap();
        let now = fs::read(&path).unwrap();
        assert_ne!(now, text, "{}", path.display());
        let document = Document::read(&now, file.shape).unwrap();
        assert_eq!(document.unwrap(|_| true).text, text, "{}", path.display());
    }
}

#[test]
fn one_wrapped_manifest_of_two_is_not_enough() {
    let app = App::with(&node());
    app.wrap("manifest.json");
    let list = (LIST.to_owned(), Standing::Bypassing, true, None);
    let manifest = ("manifest.json".to_owned(), Standing::Wrapped, false, None);
    assert_eq!(app.told(), [manifest, list]);
    assert_eq!(app.scan().counts().drifted, 1);

    let app = App::with(&node());
    app.wrap(LIST);
    assert_eq!(app.told(), [("manifest.json".to_owned(), Standing::Bypassing, true, None)]);
}

#[test]
fn an_extension_is_started_where_its_settings_say_so() {
    let app = App::with(&node());
    let is_disabled = || app.scan().files[0].servers[0].disabled;
    for (settings, disabled) in [
        (r#"{"isEnabled": true}"#, false),
        (r#"{"isEnabled": false}"#, true),
        // What cannot be told counts as started.
        ("{}", false),
        ("{", false),
    ] {
        app.settings(settings);
        assert_eq!(is_disabled(), disabled, "{settings}");
    }
    fs::remove_dir_all(app.home().join("Claude Extensions Settings")).unwrap();
    assert!(is_disabled());
}

#[test]
fn no_setting_of_an_extension_is_told() {
    let app = App::with(&node());
    let told = serde_json::to_string(&app.scan()).unwrap();
    assert!(!told.contains("hunter2") && !told.contains("isEnabled"), "{told}");
}

#[test]
fn what_only_the_app_can_start_is_left_alone_and_told() {
    let plain = |command: &str| json!({"type": "binary", "mcp_config": {"command": command}});
    let with = |overrides: Value| {
        let usual = json!({"command": "npx", "args": ["x"], "platform_overrides": overrides});
        json!({"type": "node", "mcp_config": usual})
    };
    let (command, args) = (json!({"command": "bash"}), json!({"args": ["y"]}));
    // the manifest's server, how it stands, why it stays so
    let table = [
        (plain("/opt/x"), Standing::Bypassing, None),
        (plain("${__dirname}/server/x"), Standing::Bypassing, None),
        (plain("C:\\x\\y.exe"), Standing::Bypassing, None),
        (
            plain("server/x"),
            Standing::Bypassing,
            Some("its command lies in the extension's directory, which the app knows"),
        ),
        (
            json!({"type": "uv", "entry_point": "main.py"}),
            Standing::Unreadable,
            Some("its manifest has no command; the app makes one"),
        ),
        (
            json!({"type": "uv", "mcp_config": {"command": "uv", "args": ["run", "x"]}}),
            Standing::Bypassing,
            Some("the app starts it with a uv of its own"),
        ),
        (json!({"type": "python", "mcp_config": {"command": "uv"}}), Standing::Bypassing, None),
        (
            with(json!({"linux": command})),
            Standing::Bypassing,
            Some("its manifest has another command for this system alone"),
        ),
        (
            with(json!({"linux": args})),
            Standing::Bypassing,
            Some("its manifest has other arguments for this system alone"),
        ),
        (with(json!({"linux": {"env": {"A": "1"}}})), Standing::Bypassing, None),
        (with(json!({"linux": {"command": "", "args": null}})), Standing::Bypassing, None),
        (with(json!({"darwin": command, "win32": args})), Standing::Bypassing, None),
        (with(json!({"linux": {"command": "bash", "args": []}})), Standing::Bypassing, None),
        (
            json!("node"),
            Standing::Unreadable,
            Some("its manifest has no command; the app makes one"),
        ),
    ];
    for (server, standing, why) in table {
        let app = App::with(&manifest(&server));
        if server.is_string() {
            // What stands above servers is not a map: the file is told of, not the server.
            assert!(app.scan().files.iter().all(|file| file.unreadable.is_some()));
            continue;
        }
        let why = why.map(str::to_owned);
        let can_be_wrapped = why.is_none();
        let told = ("manifest.json".to_owned(), standing, can_be_wrapped, why);
        assert_eq!(app.told(), [told], "{server}");
        app.wrap("");
        let is_wrapped = app.told()[0].1 == Standing::Wrapped;
        assert_eq!(is_wrapped, can_be_wrapped, "{server}");
    }
}

#[test]
fn a_command_of_this_system_alone_is_the_one_that_is_wrapped() {
    let own = json!({"command": "bash", "args": ["launch.sh"]});
    let usual = json!({"command": "npx", "args": ["x"], "platform_overrides": {"linux": own, "win32": own}});
    let app = App::with(&manifest(&json!({"type": "node", "mcp_config": usual})));
    app.wrap("");
    let wrapped: Value = serde_json::from_slice(&fs::read(app.manifest()).unwrap()).unwrap();
    let config = &wrapped["server"]["mcp_config"];
    assert_eq!(config["platform_overrides"]["linux"]["command"], json!(app.thoth()));
    assert_eq!(config["platform_overrides"]["win32"], own);
    assert_eq!(config["command"], "npx");
    assert_eq!(app.told()[0].1, Standing::Wrapped);
}

#[test]
fn a_server_on_the_apps_own_node_needs_another_one() {
    let app = App::with(&node());
    fs::remove_file(app.root.path().join("root/usr/bin/node")).unwrap();
    let why = "it runs on the Node.js inside the app, and this machine has no other";
    let told = ("manifest.json".to_owned(), Standing::Bypassing, false, Some(why.to_owned()));
    assert_eq!(app.told(), [told]);
    write(&app.root.path().join(".nvm/versions/node/v22.11.0/bin/node"), "");
    assert_eq!(app.told(), [("manifest.json".to_owned(), Standing::Bypassing, true, None)]);
}

#[test]
fn a_signed_extension_stays_as_it_is() {
    let app = App::with(&node());
    let why = "its bundle is signed, and the app may refuse a changed manifest";
    let told = ("manifest.json".to_owned(), Standing::Bypassing, false, Some(why.to_owned()));
    for status in ["signed", "self-signed", "valid"] {
        app.list(&node(), status);
        assert_eq!(app.told().as_slice(), std::slice::from_ref(&told), "{status}");
    }
}

#[test]
fn an_extension_without_a_directory_is_told_of_from_the_list() {
    let app = App::with(&node());
    fs::remove_file(app.manifest()).unwrap();
    assert_eq!(app.told(), [(LIST.to_owned(), Standing::Bypassing, true, None)]);
    // And one that is not in the list from its directory.
    let app = App::with(&node());
    fs::write(app.home().join(LIST), r#"{"extensions": {}}"#).unwrap();
    assert_eq!(app.told(), [("manifest.json".to_owned(), Standing::Bypassing, true, None)]);
}
