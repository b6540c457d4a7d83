//! The flags that say where a server behind a URL is, and how it is reached, as text.

use std::ffi::OsString;

/// The sources of a token, of which there is one.
const TOKENS: [&str; 5] = [
    "upstream_token_file",
    "upstream_token_env",
    "upstream_token_command",
    "upstream_token_keychain",
    "upstream_login",
];

/// Where a server behind a URL is, and how it is reached.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct UpstreamFlags {
    /// The MCP server's address, in place of a command: https, or http to this machine
    #[arg(long, value_name = "URL")]
    pub url: Option<OsString>,

    /// A file with the token for the server, read at every use: as it is, or as JSON
    /// `{"token": "...", "expires_at": "..."}`
    #[arg(long, value_name = "FILE", conflicts_with_all = others("upstream_token_file"))]
    pub upstream_token_file: Option<OsString>,

    /// The name of the variable that holds the token [default: `THOTH_UPSTREAM_TOKEN`]. It is read
    /// once: such a token cannot be replaced while thoth runs
    #[arg(long, value_name = "NAME", conflicts_with_all = others("upstream_token_env"))]
    pub upstream_token_env: Option<OsString>,

    /// A command that prints the token, run without a shell: `vault read -field=token "secret/a b"`
    #[arg(long, value_name = "COMMAND", conflicts_with_all = others("upstream_token_command"))]
    pub upstream_token_command: Option<OsString>,

    /// The token's entry in the system's keychain (builds with the feature `keychain`)
    #[arg(
        long,
        value_name = "SERVICE/ACCOUNT",
        conflicts_with_all = others("upstream_token_keychain")
    )]
    pub upstream_token_keychain: Option<OsString>,

    /// The tokens of `thoth auth login NAME`, refreshed as they age
    #[arg(long, value_name = "NAME", conflicts_with_all = others("upstream_login"))]
    pub upstream_login: Option<OsString>,

    /// A header for the server that holds no secret; may be given more than once
    #[arg(long, value_name = "NAME: VALUE")]
    pub upstream_header: Vec<OsString>,

    /// A header whose value is in a variable: `X-Key=MY_KEY`; may be given more than once. It is read
    /// once: such a value cannot be replaced while thoth runs
    #[arg(long, value_name = "NAME=VARIABLE")]
    pub upstream_header_env: Vec<OsString>,

    /// A file with secret headers, read at every use: lines `Name: value`, or a JSON object
    #[arg(long, value_name = "FILE", conflicts_with = "upstream_headers_command")]
    pub upstream_header_file: Option<OsString>,

    /// A command that prints a JSON object of headers, run without a shell: for one,
    /// `["sh", "-c", "..."]`
    #[arg(long, value_name = "COMMAND")]
    pub upstream_headers_command: Option<OsString>,

    /// The header that the token is sent in [default: authorization]
    #[arg(long, value_name = "NAME")]
    pub upstream_auth_header: Option<OsString>,

    /// What stands before the token: Bearer, none [default: Bearer]
    #[arg(long, value_name = "SCHEME")]
    pub upstream_auth_scheme: Option<OsString>,

    /// The code of the JSON-RPC errors with which this server rejects a token, where it does so
    /// under HTTP's 200
    #[arg(long, value_name = "CODE", allow_negative_numbers = true)]
    pub upstream_auth_error_code: Option<OsString>,

    /// How the server is spoken to: auto, http (Streamable HTTP), sse (HTTP+SSE) [default: auto]
    #[arg(long, value_name = "TRANSPORT")]
    pub transport: Option<OsString>,

    /// How long whoever replaces a rejected token is waited for, in seconds: 0 to 60 [default: 2]
    #[arg(long, value_name = "SECONDS")]
    pub credential_grace: Option<OsString>,

    /// The longest silence of an answer, in seconds [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pub upstream_timeout: Option<OsString>,

    /// Whether the server is reached by the proxy that the environment names: off, environment
    /// [default: off]
    #[arg(long, value_name = "WHICH")]
    pub upstream_proxy: Option<OsString>,
}

/// The sources of a token besides this one.
fn others(this: &str) -> impl Iterator<Item = &'static str> {
    TOKENS.into_iter().filter(move |other| *other != this)
}

// === impl UpstreamFlags ===

impl UpstreamFlags {
    /// The flags that were given and say nothing without `--url`.
    pub(in crate::config) fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("--upstream-token-file", self.upstream_token_file.is_some()),
            ("--upstream-token-env", self.upstream_token_env.is_some()),
            ("--upstream-token-command", self.upstream_token_command.is_some()),
            ("--upstream-token-keychain", self.upstream_token_keychain.is_some()),
            ("--upstream-login", self.upstream_login.is_some()),
            ("--upstream-header", !self.upstream_header.is_empty()),
            ("--upstream-header-env", !self.upstream_header_env.is_empty()),
            ("--upstream-header-file", self.upstream_header_file.is_some()),
            ("--upstream-headers-command", self.upstream_headers_command.is_some()),
            ("--upstream-auth-header", self.upstream_auth_header.is_some()),
            ("--upstream-auth-scheme", self.upstream_auth_scheme.is_some()),
            ("--upstream-auth-error-code", self.upstream_auth_error_code.is_some()),
            ("--transport", self.transport.is_some()),
            ("--credential-grace", self.credential_grace.is_some()),
            ("--upstream-timeout", self.upstream_timeout.is_some()),
            ("--upstream-proxy", self.upstream_proxy.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
    }
}
