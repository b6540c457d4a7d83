//! thoth: arguments in, exit code out. The library is the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    thoth::cli::main(std::env::args_os())
}
