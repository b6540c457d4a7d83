//! thoth: arguments in, exit code out. The library is the program.

fn main() {}
