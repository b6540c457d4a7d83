//! The layering of the crate, as a test: what each module may name.
//!
//! The table in `architecture/layers.rs` is the architecture; `docs/architecture.md` says why. A module without a
//! row fails, and so does a row that points upwards.

#![expect(clippy::unwrap_used, reason = "a test says what broke by panicking")]

#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use layers::{EXCUSES, FENCES, LAYERS, Layer, WIRING, WORLD};
use source::Named;

/// The longest file, in lines.
const LONGEST: usize = 600;

#[test]
fn every_layer_names_only_what_stands_below_it() {
    let mut broken = Vec::new();
    let files = rust_files(Path::new("src"));
    assert!(!files.is_empty(), "run from the crate's root");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.to_str().unwrap().replace('\\', "/");
        broken.extend(check(&path, &text, &dependencies()));
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_module_has_its_row() {
    let declared: BTreeSet<String> = fs::read_to_string("src/lib.rs")
        .unwrap()
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect();
    let rows: BTreeSet<String> =
        LAYERS.iter().map(|layer| layer.module).chain([WIRING]).map(str::to_owned).collect();
    assert_eq!(declared, rows, "src/lib.rs (left) and the table (right)");
}

#[test]
fn the_table_points_downwards_and_names_what_exists() {
    let known = dependencies();
    for (at, layer) in LAYERS.iter().enumerate() {
        for module in layer.modules {
            assert!(
                LAYERS[..at].iter().any(|below| below.module == *module),
                "`{}` may not stand above `{module}`",
                layer.module
            );
        }
        for name in layer.crates {
            assert!(known.contains(*name), "{}: no crate `{name}`", layer.module);
        }
    }
}

#[test]
fn every_excuse_is_still_needed() {
    for excuse in EXCUSES {
        let text = fs::read_to_string(excuse.file).unwrap_or_default();
        let needed = source::paths(&text).iter().any(|named| begins(named, excuse.name));
        assert!(needed, "{} no longer names `{}`", excuse.file, excuse.name);
        assert!(!excuse.reason.is_empty());
    }
}

#[test]
fn every_rule_fires() {
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST));
    for row in rows(include_str!("architecture/breaches.txt")) {
        let [path, code, complaint] = row[..] else {
            panic!("{row:?}: not a file, its code and a complaint");
        };
        let broken = check(path, &snippet(code), &dependencies());
        assert!(
            broken.len() == 1 && broken[0].contains(complaint),
            "{path}: {code}: {broken:#?}, not {complaint:?}"
        );
    }
    assert_eq!(
        check("src/cli.rs", "fn f() {}", &dependencies()),
        ["src/cli.rs:1: does not open with `//!`"]
    );
    assert_eq!(
        check("src/cli.rs", &long, &dependencies()),
        ["src/cli.rs:601: longer than 600 lines"]
    );
}

#[test]
fn what_is_fine_is_left_alone() {
    for row in rows(include_str!("architecture/harmless.txt")) {
        let [path, code] = row[..] else {
            panic!("{row:?}: not a file and its code");
        };
        let broken = check(path, &snippet(code), &dependencies());
        assert!(broken.is_empty(), "{code}: {broken:#?}");
    }
}

/// The rows of a table whose cells are parted by ` | `.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split(" | ").map(str::trim).collect())
}

/// A file around a table's code, where `\n` stands for a line break.
fn snippet(code: &str) -> String {
    format!("//! A file.\n{}", code.replace("\\n", "\n"))
}

/// What is wrong with one file, as `file:line: what`. The path is the one from the crate's root.
fn check(path: &str, text: &str, dependencies: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut complain = |line: usize, what: &str| broken.push(format!("{path}:{line}: {what}"));
    if !text.starts_with("//! ") {
        complain(1, "does not open with `//!`");
    }
    if text.lines().count() > LONGEST {
        complain(LONGEST + 1, &format!("longer than {LONGEST} lines"));
    }
    for line in source::allowances(text) {
        complain(line, "`allow` never expires; `expect` does, and says why");
    }
    let module = module_of(path);
    if module.iter().any(|name| name == "tests") {
        return broken;
    }
    let Some(root) = module.first() else {
        // The crate's root and `main.rs` only wire; the fences hold there, too.
        for named in source::paths(text) {
            if let Some(what) = fenced(path, &named) {
                complain(named.line, &what);
            }
        }
        return broken;
    };
    let layer = LAYERS.iter().find(|layer| layer.module == *root);
    if layer.is_none() && root != WIRING {
        complain(1, &format!("`{root}` has no layer"));
        return broken;
    }
    for named in source::paths(text) {
        if EXCUSES.iter().any(|excuse| excuse.file == path && begins(&named, excuse.name)) {
            continue;
        }
        let what = fenced(path, &named)
            .or_else(|| layer.and_then(|layer| trespass(layer, &module, &named, dependencies)));
        if let Some(what) = what {
            complain(named.line, &what);
        }
    }
    broken
}

/// Why this file may not name this path, whatever its layer.
fn fenced(path: &str, named: &Named) -> Option<String> {
    let fence = FENCES.iter().find(|fence| {
        let inside = fence.within.iter().any(|prefix| path.starts_with(prefix));
        let harmless = fence.but.iter().any(|but| begins(named, but));
        !inside && !harmless && (begins(named, fence.name) || ends(named, fence.name))
    })?;
    let owner = match fence.within {
        [] => "no file".to_owned(),
        within => within.join(", "),
    };
    Some(format!("`{}` belongs to {owner}", fence.name))
}

/// Why this layer may not name this path.
fn trespass(
    layer: &Layer,
    module: &[String],
    named: &Named,
    dependencies: &BTreeSet<String>,
) -> Option<String> {
    if layer.pure
        && let Some(name) = WORLD.iter().find(|name| begins(named, name) || tail(named, name))
    {
        return Some(format!("a pure layer names `{name}`"));
    }
    let first = named.path.first()?;
    let is_path = named.path.len() > 1 || named.imported;
    if is_path && dependencies.contains(first) && !layer.crates.contains(&first.as_str()) {
        return Some(format!("`{}` names `{first}`", layer.module));
    }
    if let Some(what) = within_the_gate(module, &named.path) {
        return Some(what.to_owned());
    }
    let target = resolved(module, &named.path)?;
    let root = target.first()?;
    let is_module = root == WIRING || LAYERS.iter().any(|row| row.module == root);
    (is_module && root != layer.module && !layer.modules.contains(&root.as_str()))
        .then(|| format!("`{}` names `{root}`", layer.module))
}

/// The gate's own order: `decide` weighs values, and nothing stands above `session`.
fn within_the_gate(module: &[String], path: &[String]) -> Option<&'static str> {
    let is = |path: &[String], child: &str| path.starts_with(&["gate".into(), child.into()]);
    let target = resolved(module, path).unwrap_or_default();
    if is(module, "decide") && (is(&target, "json") || path[0] == "serde_json") {
        return Some("`decide` knows no JSON");
    }
    (module.len() > 1 && module[0] == "gate" && !is(module, "session") && is(&target, "session"))
        .then_some("`session` is the gate's top: nothing in the gate names it")
}

/// The path from the crate's root, where it is one of this crate's.
fn resolved(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let from = match path.first()?.as_str() {
        "crate" => return Some(path[1..].to_vec()),
        "super" => module.len().checked_sub(ups)?,
        "self" => return Some([module, &path[1..]].concat()),
        _ => return None,
    };
    Some([&module[..from], &path[ups..]].concat())
}

/// `src/gate/decide.rs` is `gate::decide`; the crate's root and `main.rs` are nothing.
fn module_of(path: &str) -> Vec<String> {
    path.trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .filter(|name| !matches!(*name, "lib" | "main"))
        .map(str::to_owned)
        .collect()
}

fn begins(named: &Named, name: &str) -> bool {
    let mut segments = named.path.iter();
    name.split("::").all(|part| segments.next().is_some_and(|segment| segment == part))
}

fn ends(named: &Named, name: &str) -> bool {
    !name.contains("::") && name != "rustls" && named.path.last().is_some_and(|last| last == name)
}

fn tail(named: &Named, name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    named.path.len() >= parts.len()
        && parts[0].starts_with(char::is_uppercase)
        && named.path[named.path.len() - parts.len()..] == parts[..]
}

/// The direct dependencies, on whatever system, by the names that code has for them.
fn dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let targets = manifest["target"].as_table().unwrap().values();
    let tables = targets.filter_map(|target| target.get("dependencies"));
    tables
        .chain([&manifest["dependencies"]])
        .flat_map(|table| table.as_table().unwrap().keys())
        .map(|name| name.replace('-', "_"))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
