//! Exit codes, in one place. `docs/exit-codes.md` is held against [`ALL`] by
//! `tests/documents.rs`.
//!
//! 64 to 78 are those of `sysexits.h`; 126, 127 and 128 + n are those of shells.

/// One exit code, or a range of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exit {
    /// As it stands in the documentation: the number, or the range in words.
    pub code: &'static str,
    /// When thoth ends with it.
    pub meaning: &'static str,
}

/// All is well.
pub const OK: u8 = 0;
/// The question was answered, and the answer is no: something to fix, a case that failed.
pub const NO: u8 = 1;
/// `health`: something is wrong that calls depend on. `audit`, `report`: something cannot be read.
pub const UNHEALTHY: u8 = 2;
/// `wrap-config --check`: some server is not governed.
pub const DRIFT: u8 = 10;
/// The command line cannot be read.
pub const USAGE: u8 = 64;
/// The server went away, or was never there, for a reason outside thoth.
pub const UNAVAILABLE: u8 = 69;
/// Preflight refused to start the server.
pub const REFUSED: u8 = 77;
/// The configuration cannot be used.
pub const CONFIGURATION: u8 = 78;
/// The server's command was found and cannot be run.
pub const NOT_RUNNABLE: u8 = 126;
/// The server's command was not found.
pub const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended the server.
pub const SIGNAL: u8 = 128;

/// Every exit code, in the order of the documentation.
pub const ALL: &[Exit] = &[
    Exit { code: "0", meaning: "all is well; for `run`: the server ended with 0" },
    Exit {
        code: "1",
        meaning: "the answer is no: `doctor` found something to fix, `health` says degraded, a case failed, a journal is broken, a client's file could not be wrapped or unwrapped, `report` found no such session, a `scan` saw no event, `approvals` answered nothing, `auth` logged nobody in or out",
    },
    Exit {
        code: "2",
        meaning: "`health` says unhealthy; `audit` or `report` could not read or answer",
    },
    Exit {
        code: "10",
        meaning: "`wrap-config --check`: some server is not governed; `wrap-config`: a server behind a URL waits for `--migrate-secrets` or for a login",
    },
    Exit { code: "64", meaning: "the command line cannot be read" },
    Exit {
        code: "69",
        meaning: "the server is unavailable for a reason outside thoth; for `enforcer`: the address or the store cannot be had; for `serve`: the address cannot be had, or nobody be told of it; for `approvals`: the enforcer does not answer; for `auth`: a server cannot be reached",
    },
    Exit { code: "77", meaning: "preflight refused; the server was never started" },
    Exit { code: "78", meaning: "the configuration cannot be used; the server was never started" },
    Exit {
        code: "126",
        meaning: "the command of the server, or of `scan`'s agent, was found and cannot be run",
    },
    Exit { code: "127", meaning: "the command of the server, or of `scan`'s agent, was not found" },
    Exit {
        code: "128 + n",
        meaning: "`run`: signal n ended the server; `enforcer`, `serve`: signal n ended it at once",
    },
    Exit { code: "any other", meaning: "`run`: the server's own" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_constants() {
        let codes = [
            OK,
            NO,
            UNHEALTHY,
            DRIFT,
            USAGE,
            UNAVAILABLE,
            REFUSED,
            CONFIGURATION,
            NOT_RUNNABLE,
            NOT_FOUND,
        ];
        for (code, exit) in codes.iter().zip(ALL) {
            assert_eq!(code.to_string(), exit.code);
        }
        assert_eq!(ALL[codes.len()].code, format!("{SIGNAL} + n"));
    }
}
