//! `docs/clients.md`, held against the table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use thoth::clients::document::{Shape, Syntax};
use thoth::clients::table::{ALL, Base, Places, Spot, System};

use super::{slashes, usual};

/// The directories that paths begin in, on each system; with every variable set.
fn bases() -> String {
    let places = System::ALL.map(|system| (usual(system), with_variables(system)));
    let mut table = String::new();
    for base in Base::ALL.into_iter().filter(|base| *base != Base::Project) {
        write!(table, "| `{}`", base.word()).unwrap();
        for (usual, named) in &places {
            let is_used = ALL
                .iter()
                .flat_map(|client| client.spots)
                .any(|spot| spot.base == base && spot.on.contains(&usual.system));
            let mut words: Vec<String> = Vec::new();
            let paths = named.of_base(base, None).into_iter().chain(usual.of_base(base, None));
            for word in paths.map(|path| written(&path, usual)) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            let cell = if is_used { format!("`{}`", words.join("`, `")) } else { "-".to_owned() };
            write!(table, " | {cell}").unwrap();
        }
        table.push_str(" |\n");
    }
    table
}

/// A system on which every variable says that it was read.
fn with_variables(system: System) -> Places {
    let names = ["APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "XDG_CONFIG_HOME"];
    let names = names.iter().chain(&["CLAUDE_CONFIG_DIR", "CODEX_HOME", "CLINE_DIR"]);
    let windows = system == System::Windows;
    let value = |name: &&str| if windows { format!("C:/%{name}%") } else { format!("/${name}") };
    Places::on(system, &names.map(|name| (*name, value(name))).collect())
}

fn written(path: &Path, places: &Places) -> String {
    let path = slashes(path);
    let home = slashes(&places.home);
    if let Some(variable) = path.strip_prefix("/$") {
        return format!("${variable}");
    }
    if let Some(variable) = path.strip_prefix("C:/%") {
        return format!("%{variable}");
    }
    let short = if places.system == System::Windows { "%USERPROFILE%" } else { "~" };
    path.strip_prefix(&home).map_or(path.clone(), |below| format!("{short}{below}"))
}

fn spots() -> String {
    let mut table = String::new();
    for client in ALL {
        for spot in client.spots {
            let systems: Vec<_> = spot.on.iter().map(|system| system.name()).collect();
            let systems = if systems.len() == 3 { "all".to_owned() } else { systems.join(", ") };
            writeln!(
                table,
                "| `{}` | {} | {systems} | `{}` | {} |",
                client.id,
                spot.kind.word(),
                path(spot),
                shape(spot.shape),
            )
            .unwrap();
        }
    }
    table
}

fn path(spot: &Spot) -> String {
    let base = if spot.base == Base::Root { "" } else { spot.base.word() };
    format!("{base}/{}", spot.path)
}

fn shape(shape: &Shape) -> String {
    let syntax = match shape.syntax {
        Syntax::Json => "JSON",
        Syntax::Toml => "TOML",
        Syntax::Yaml => "YAML",
    };
    let servers: Vec<_> =
        shape.servers.iter().map(|path| format!("`{}`", path.join("."))).collect();
    format!("{syntax} {}", servers.join(", "))
}

fn names() -> String {
    ALL.iter()
        .map(|client| format!("`{}` {}", client.id, client.name))
        .collect::<Vec<_>>()
        .join(" · ")
}

#[test]
fn every_place_is_documented_and_every_documented_place_is_looked_at() {
    let document = fs::read_to_string("docs/clients.md").unwrap();
    for table in [bases(), spots(), names()] {
        assert!(document.contains(&table), "docs/clients.md lacks\n{table}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, bases().lines().count() + spots().lines().count());
}
