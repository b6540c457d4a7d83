//! The table of recipes: one row for each client. `docs/launch.md` is held against it.

use super::{Address, Beside, Consent, Delivery, Dialect, Form, Handover, Recipe, Source, Whose};
use crate::clients::document::{Shape, Syntax, Words};
use crate::clients::table::Base;

const USUAL: Words = Words {
    command: "command",
    args: "args",
    env: "env",
    remote: &["url", "httpUrl", "serverUrl", "serverURL"],
};

const fn json(servers: &'static [&'static [&'static str]]) -> Shape {
    Shape { syntax: Syntax::Json, servers, words: USUAL }
}

const MCP_SERVERS: Shape = json(&[&["mcpServers"]]);
const CLAUDE: Shape = json(&[&["mcpServers"], &["projects", "*", "mcpServers"]]);

const CODEX: Shape = Shape { syntax: Syntax::Toml, servers: &[&["mcp_servers"]], words: USUAL };

const fn source(whose: Whose, base: Base, path: &'static str, shape: &'static Shape) -> Source {
    Source { whose, base, path, shape, climbs: false }
}

/// How most clients write a header.
const HEADER: Handover = Handover::Header("${", "}");

/// Every recipe.
pub const RECIPES: &[Recipe] = &[
    Recipe {
        id: "claude",
        name: "Claude Code",
        delivery: Delivery::Flag { flag: "--mcp-config", mark: "", with: &["--strict-mcp-config"] },
        beside: Beside::Nothing,
        dialect: Dialect {
            root: "mcpServers",
            syntax: Syntax::Json,
            command: Form::Typed("stdio"),
            address: Some(Address { url: "url", kind: Some("http"), secret: HEADER }),
            usual: &[],
        },
        sources: &[
            source(Whose::User, Base::Claude, ".claude.json", &CLAUDE),
            Source {
                climbs: true,
                ..source(Whose::Project, Base::Project, ".mcp.json", &MCP_SERVERS)
            },
        ],
        system: None,
        consent: Consent::Claude,
        verified: "2.1.197",
        known_from: "the program itself, run and read",
    },
    Recipe {
        id: "codex",
        name: "Codex",
        delivery: Delivery::Words { flags: &["-c", "--config"] },
        beside: Beside::Merged,
        dialect: Dialect {
            root: "mcp_servers",
            syntax: Syntax::Toml,
            command: Form::Plain,
            address: Some(Address {
                url: "url",
                kind: None,
                secret: Handover::Member("bearer_token_env_var"),
            }),
            // A step-up may hold a call for long; Codex gives up after 60 s by itself.
            usual: &[("tool_timeout_sec", "3600")],
        },
        sources: &[
            source(Whose::User, Base::Codex, "config.toml", &CODEX),
            source(Whose::Project, Base::Project, ".codex/config.toml", &CODEX),
        ],
        system: None,
        consent: Consent::Codex,
        verified: "0.169.0",
        known_from: "the program itself, run",
    },
];
