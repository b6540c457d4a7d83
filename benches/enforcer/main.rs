//! The numbers that `thoth enforcer` promises, measured over warm TLS on loopback.
//!
//! ```text
//! cargo bench --bench enforcer -- [--quick] [--rows a,b] [--json FILE] [--postgres URL]
//! tests/postgres sh -c 'cargo bench --bench enforcer -- --postgres "$THOTH_TEST_POSTGRES"'
//! ```
//!
//! The enforcer is a process of its own with one thread, kept on one processor; the load comes from
//! this process, kept on another. Where a number has a floor, that is `/healthz` over the same
//! connections, taken in alternating blocks: TLS, HTTP and the bounds around every request, but
//! no caller, no rules and no record. Nothing is asserted: the outcome is a table, and JSON.
//!
//! Not measured here: a network, a Postgres on another machine, more than one replica.

mod client;
#[path = "../end_to_end/clock.rs"]
mod clock;
mod load;
mod processor;
mod report;
mod rows;
#[path = "../end_to_end/rules.rs"]
mod rules;
mod server;
#[path = "../end_to_end/stats.rs"]
#[expect(dead_code, reason = "the other bench says more about its samples")]
mod stats;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use report::Report;

/// Why there is no number.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The numbers that `thoth enforcer` promises, measured.
#[derive(Debug, Parser)]
#[command(name = "enforcer")]
struct Options {
    /// A few samples only: shows that everything works, not how fast.
    #[arg(long)]
    quick: bool,

    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<String>,

    /// A Postgres to measure with too; its tables are made there.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,

    /// The `thoth` to measure, instead of the one cargo has just built.
    #[arg(long, value_name = "PATH")]
    thoth: Option<PathBuf>,

    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What cargo passes under `cargo bench`, and does not under `cargo test`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        return ExitCode::SUCCESS; // `cargo test --all-targets`: nobody waits for numbers
    }
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "enforcer: {trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows that were asked for; each is printed as soon as it is known.
fn measure(options: &Options) -> Result<(), Trouble> {
    let rows = rows::chosen(&options.rows)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut out = io::stdout().lock();
    let mut report = Report::new(options.quick);
    // The enforcer gets the first processor, the load the last.
    processor::keep_to(processor::Which::Last);
    report.open(&mut out)?;
    for row in rows {
        for line in runtime.block_on((row.measure)(options))? {
            report.add(line, &mut out)?;
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()?)?;
    }
    Ok(())
}
