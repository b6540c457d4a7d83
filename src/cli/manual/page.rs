//! Man pages: one for thoth and one for each of its subcommands, from the same text as `--help`.
//!
//! The first page also tells every environment variable and exit code, from the tables that the
//! program itself is built on. Nothing here depends on the day or the machine: the same program and
//! date give the same bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::shown;
use crate::cli::exit;
use crate::config::variables::{self, Used};

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the man page {}", path.display())]
pub(super) struct WriteError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Writes the page of `command` and those of everything below it into `directory`.
///
/// `date` is what stands on the pages, and may be empty.
///
/// # Errors
///
/// The first page that cannot be written; those before it stay.
pub(super) fn write_all(command: Command, date: &str, directory: &Path) -> Result<(), WriteError> {
    // `thoth help run` says what `thoth run --help` says: no page of its own.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_below(None, &command, date, directory)
}

fn write_below(
    parent: Option<&Command>,
    command: &Command,
    date: &str,
    directory: &Path,
) -> Result<(), WriteError> {
    let path = directory.join(format!("{}.1", name(command)));
    let text = page(parent, command, date);
    fs::write(&path, text).map_err(|source| WriteError { path, source })?;
    shown(command).try_for_each(|below| write_below(Some(command), below, date, directory))
}

/// `thoth-policy-check`, as man pages of subcommands are called.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(parent: Option<&Command>, command: &Command, date: &str) -> Vec<u8> {
    let mut text = Vec::new();
    render(parent, command, date, &mut text)
        .unwrap_or_else(|_| unreachable!("memory takes everything that is written to it"));
    text
}

fn render(
    parent: Option<&Command>,
    command: &Command,
    date: &str,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let man = Man::new(command.clone())
        .title(name(command).to_uppercase())
        .date(date)
        .source(concat!("thoth ", env!("CARGO_PKG_VERSION")))
        .manual("thoth");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(out)?;
    }
    if shown(command).next().is_some() {
        man.render_subcommands_section(out)?;
    }
    let mut roff = Roff::new();
    examples(command, &mut roff);
    if parent.is_none() {
        environment(&mut roff);
        exit_status(&mut roff);
    }
    see_also(parent, command, &mut roff);
    roff.to_writer(out)
}

/// What follows the flags in `--help`, line by line as it stands there.
fn examples(command: &Command, roff: &mut Roff) {
    let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) else {
        return;
    };
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    let text = text.to_string();
    for line in text.lines().skip_while(|line| line.starts_with("Example")) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    for variable in variables::ALL.iter().filter(|variable| variable.used == Used::Read) {
        let default = match variable.default {
            "-" => String::new(),
            default => format!(" (default: {default})"),
        };
        entry(roff, variable.name, &format!("{}{default}", variable.meaning));
    }
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for exit in exit::ALL {
        entry(roff, exit.code, exit.meaning);
    }
}

fn see_also(parent: Option<&Command>, command: &Command, roff: &mut Roff) {
    let others: Vec<_> = parent
        .into_iter()
        .chain(shown(command))
        .map(|other| format!("{}(1)", name(other)))
        .collect();
    if !others.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([roman(others.join(", "))]);
    }
}

fn entry(roff: &mut Roff, term: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(meaning)]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Every command a reader can type, and its page's name, from clap alone.
    fn commands() -> BTreeMap<String, Command> {
        fn collect(prefix: &str, command: &Command, all: &mut BTreeMap<String, Command>) {
            for below in command.get_subcommands() {
                if !below.is_hide_set() && below.get_name() != "help" {
                    collect(&format!("{prefix}-{}", below.get_name()), below, all);
                }
            }
            all.insert(format!("{prefix}.1"), command.clone());
        }
        let mut all = BTreeMap::new();
        collect("thoth", &Cli::command(), &mut all);
        all
    }

    fn pages() -> BTreeMap<String, String> {
        let directory = tempfile::tempdir().unwrap();
        write_all(Cli::command(), "2026-11-21", directory.path()).unwrap();
        let files = fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
        let read = |file: fs::DirEntry| {
            let text = fs::read_to_string(file.path()).unwrap().replace('\\', "");
            (file.file_name().into_string().unwrap(), text)
        };
        files.map(read).collect()
    }

    #[test]
    fn every_subcommand_has_a_page_and_no_page_is_of_anything_else() {
        let expected: Vec<_> = commands().into_keys().collect();
        let written: Vec<_> = pages().into_keys().collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_page_tells_every_flag_and_the_day() {
        let pages = pages();
        for (name, command) in commands() {
            let page = &pages[&name];
            assert!(page.contains("2026-11-21"), "{name} has no date");
            for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
                if let Some(long) = flag.get_long() {
                    assert!(page.contains(&format!("--{long}")), "{name} lacks --{long}");
                }
            }
        }
    }

    #[test]
    fn the_first_page_tells_every_variable_and_exit_code() {
        let page = &pages()["thoth.1"];
        for variable in variables::ALL {
            let told = page.contains(&format!("{}fR", variable.name));
            assert_eq!(told, variable.used == Used::Read, "{}", variable.name);
        }
        for exit in exit::ALL {
            assert!(page.contains(&format!("fB{}fR", exit.code)), "{}", exit.code);
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let told = write_all(Cli::command(), "", Path::new("/nowhere")).unwrap_err().to_string();
        assert_eq!(told, "cannot write the man page /nowhere/thoth.1");
    }
}
