//! What `thoth run --url` costs, beside a bare HTTP client on the same kind of warm connection.
//!
//! ```text
//! cargo bench --bench remote -- [--quick] [--json FILE]
//! ```
//!
//! Client, sidecar and server are on one machine; the server is a thread of the bench's, and both
//! clients wait for it in turn, in alternating blocks, so that a machine that slows down slows
//! both. Nothing is asserted: the outcome is a table, and JSON.

mod bare;
mod report;
mod server;
mod sidecar;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use bare::Bare;
use report::{Row, Samples};
use sidecar::Sidecar;

/// What a server behind a URL costs.
#[derive(Debug, Parser)]
#[command(name = "remote")]
struct Options {
    /// A few samples only: shows that everything works, not how fast.
    #[arg(long)]
    quick: bool,

    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What cargo passes under `cargo bench`, and does not under `cargo test`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many streams are open at once.
const STREAMS: u64 = 100;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.bench {
        return ExitCode::SUCCESS; // `cargo test --all-targets`: nobody waits for numbers
    }
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "remote: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let address = server::start()?;
    let (blocks, calls) = if options.quick { (2, 20) } else { (20, 500) };
    let mut bare = Bare::connect(address)?;
    let mut sidecar = Sidecar::start(address)?;
    let mut rows = Vec::new();
    for (what, tool) in [
        ("request that is no call (ping)", "ping"),
        ("call answered with JSON", "json"),
        ("first event of a stream", "stream"),
    ] {
        let (mut floor, mut through) = (Samples::default(), Samples::default());
        for block in 0..=blocks {
            for _ in 0..calls {
                let took = (bare.call(tool)?, sidecar.call(tool)?);
                if block > 0 {
                    floor.push(took.0); // the first block warms up
                    through.push(took.1);
                }
            }
        }
        rows.push(Row::ratio(what, &floor.summary(), &through.summary()));
    }
    let idle = sidecar.memory();
    for _ in 0..STREAMS {
        sidecar.open()?;
    }
    let many = sidecar.memory();
    rows.extend(Row::memory("memory, idle", idle, None));
    rows.extend(Row::memory("memory, 100 streams open", many, Some(40.0)));

    let mut out = io::stdout().lock();
    report::print(&rows, options.quick, &mut out)?;
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    Ok(())
}

/// Now. Monotonic.
#[expect(clippy::disallowed_methods, reason = "time is what is measured here")]
fn now() -> Instant {
    Instant::now()
}

/// A call of this tool, or a `ping`: as a line, and as a body.
fn call(id: u64, tool: &str) -> String {
    if tool == "ping" {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    }
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"path":"/srv/public/readme.md"}}}}}}"#
    )
}

/// As long as anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);
