//! The flags that say where a server behind a URL is, and how it is reached, as text.

use std::ffi::OsString;

/// Where a server behind a URL is, and how it is reached.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct UpstreamFlags {
    /// The MCP server's address, in place of a command: https, or http to this machine
    #[arg(long, value_name = "URL")]
    pub url: Option<OsString>,

    /// A file with the token for it, read at every use
    #[arg(long, value_name = "FILE")]
    pub upstream_token_file: Option<OsString>,
}
