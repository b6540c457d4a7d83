//! The numbers that thoth promises, measured: client → sidecar → a small echo server.
//!
//! ```text
//! cargo bench --bench end_to_end -- [--quick] [--rows a,b] [--json FILE] [--baton PATH]
//! ```
//!
//! Each number is taken beside its floor in the same run, in alternating blocks, so that a machine
//! that slows down slows both. The floor is a relay that copies bytes and looks at nothing: the
//! faster of the two in `roles/relay.rs`. Echo server, relays and enforcer are this executable
//! again, started with `--role`: nothing of them ships. Nothing is asserted: the outcome is a
//! table, and JSON.
//!
//! Not measured here: Windows' and macOS' memory, which `/proc` does not show.

mod clock;
mod https;
mod options;
mod peer;
mod processor;
mod report;
mod request;
mod roles;
mod rows;
mod rules;
mod sampling;
mod setup;
mod stats;
mod trouble;
mod watch;

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use options::Options;
use report::Report;
use setup::Setup;
use trouble::Trouble;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, role, rest @ ..] = arguments.as_slice()
        && flag == "--role"
    {
        return roles::play(role, rest);
    }
    let options = Options::parse();
    if !options.bench {
        return ExitCode::SUCCESS; // `cargo test --all-targets`: nobody waits for numbers
    }
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "end_to_end: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows that were asked for; each is printed as soon as it is known.
fn measure(options: &Options) -> Result<(), Trouble> {
    let rows = rows::chosen(&options.rows)?;
    let setup = Setup::new(options)?;
    let mut out = io::stdout().lock();
    let mut report = Report::new(options.quick, &setup);
    report.open(&mut out)?;
    for row in rows {
        report.add((row.measure)(&setup)?, &mut out)?;
    }
    report.close(&mut out)?;
    if let Some(path) = &options.json {
        fs::write(path, report.json()?)?;
    }
    Ok(())
}
