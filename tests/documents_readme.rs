//! The README's table of flags is the flags of `thoth run`.

use std::collections::BTreeSet;
use std::fs;

use clap::Args;
use thoth::config::flags::RunFlags;

#[test]
fn every_flag_of_run_is_in_the_readme_and_no_other() {
    let readme = fs::read_to_string("README.md").unwrap();
    let section = readme.split("\n## Flags of `thoth run`").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let told: BTreeSet<String> = section
        .lines()
        .filter(|line| line.starts_with("| `--"))
        .flat_map(|line| line.split(" | ").next().unwrap().split("--").skip(1))
        .map(|flag| flag.split([' ', '`']).next().unwrap().to_owned())
        .collect();

    let command = RunFlags::augment_args(clap::Command::new("run"));
    let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
    let known: BTreeSet<String> =
        shown.filter_map(|flag| flag.get_long()).map(str::to_owned).collect();

    assert_eq!(told, known, "the README (left) and the program (right)");
}
