//! The table of recipes: one row for each client.

use super::{
    Address, Beside, Consent, Delivery, Dialect, Form, Handover, Off, Recipe, Source,
    SystemSettings, Whose,
};
use crate::clients::document::{Shape, Syntax};
use crate::clients::table::Base;
use crate::clients::table::shapes::{CLAUDE_CODE, CODEX, MCP_SERVERS, OPENCODE, SERVERS};

const fn source(whose: Whose, base: Base, path: &'static str, shape: &'static Shape) -> Source {
    Source { whose, base, path, shape, climbs: false }
}

const fn user(path: &'static str, shape: &'static Shape) -> Source {
    source(Whose::User, Base::Home, path, shape)
}

const fn project(path: &'static str, shape: &'static Shape) -> Source {
    source(Whose::Project, Base::Project, path, shape)
}

/// How most clients write entries.
const PLAIN: Dialect = Dialect {
    root: "mcpServers",
    inputs: None,
    syntax: Syntax::Json,
    command: Form::Plain,
    address: Some(Address { url: "url", kind: None, secret: HEADER }),
    usual: &[],
};

/// How most clients write a header.
const HEADER: Handover = Handover::Header("${", "}");

/// Every recipe.
pub const RECIPES: &[Recipe] = &[
    Recipe {
        id: "claude",
        name: "Claude Code",
        delivery: Delivery::Flag {
            flag: "--mcp-config",
            mark: "",
            with: &["--strict-mcp-config"],
            rivals: &[],
        },
        beside: Beside::Nothing,
        dialect: Dialect {
            root: "mcpServers",
            inputs: None,
            syntax: Syntax::Json,
            command: Form::Typed("stdio"),
            address: Some(Address { url: "url", kind: Some("http"), secret: HEADER }),
            usual: &[],
        },
        sources: &[
            source(Whose::User, Base::Claude, ".claude.json", &CLAUDE_CODE),
            Source {
                climbs: true,
                ..source(Whose::Project, Base::Project, ".mcp.json", &MCP_SERVERS)
            },
        ],
        off: Off::Unneeded,
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
            inputs: None,
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
        off: Off::Member("enabled"),
        system: None,
        consent: Consent::Codex,
        verified: "0.169.0",
        known_from: "the program itself, `codex mcp list`",
    },
    Recipe {
        id: "gemini",
        name: "Gemini CLI",
        delivery: Delivery::Path("GEMINI_CLI_SYSTEM_SETTINGS_PATH"),
        beside: Beside::Others,
        dialect: Dialect {
            address: Some(Address { url: "httpUrl", kind: None, secret: HEADER }),
            ..PLAIN
        },
        sources: &[
            user(".gemini/settings.json", &MCP_SERVERS),
            project(".gemini/settings.json", &MCP_SERVERS),
        ],
        off: Off::Only("mcp", "allowed"),
        system: Some(SystemSettings {
            unix: "gemini-cli/settings.json",
            mac: "GeminiCli/settings.json",
        }),
        consent: Consent::Folders(".gemini/trustedFolders.json", ""),
        verified: "0.61.0",
        known_from: "the program itself, `gemini mcp list`",
    },
    Recipe {
        id: "copilot",
        name: "Copilot CLI",
        delivery: Delivery::Flag {
            flag: "--additional-mcp-config",
            mark: "@",
            with: &[],
            rivals: &[],
        },
        beside: Beside::Others,
        dialect: Dialect {
            command: Form::Typed("local"),
            address: Some(Address { url: "url", kind: Some("http"), secret: HEADER }),
            usual: &[("tools", "[\"*\"]")],
            ..PLAIN
        },
        sources: &[
            user(".copilot/mcp-config.json", &MCP_SERVERS),
            project(".github/mcp.json", &MCP_SERVERS),
            project(".mcp.json", &MCP_SERVERS),
        ],
        off: Off::Flag("--disable-mcp-server"),
        system: None,
        consent: Consent::Folders(".copilot/config.json", "trusted_folders"),
        verified: "not with a session; the flags and files of 1.0.102",
        known_from: "`copilot --help`, `copilot mcp list`",
    },
    Recipe {
        id: "kimi",
        name: "Kimi CLI",
        delivery: Delivery::Flag {
            flag: "--mcp-config-file",
            mark: "",
            with: &[],
            rivals: &["--mcp-config"],
        },
        beside: Beside::Nothing,
        dialect: Dialect {
            address: Some(Address { url: "url", kind: None, secret: Handover::Path }),
            ..PLAIN
        },
        sources: &[user(".kimi/mcp.json", &MCP_SERVERS)],
        off: Off::Unneeded,
        system: None,
        consent: Consent::Nowhere,
        verified: "1.52.0, read and not run",
        known_from: "its source",
    },
    Recipe {
        id: "qwen",
        name: "Qwen Code",
        delivery: Delivery::Path("QWEN_CODE_SYSTEM_SETTINGS_PATH"),
        beside: Beside::Others,
        dialect: Dialect {
            address: Some(Address { url: "httpUrl", kind: None, secret: HEADER }),
            ..PLAIN
        },
        sources: &[
            user(".qwen/settings.json", &MCP_SERVERS),
            project(".qwen/settings.json", &MCP_SERVERS),
        ],
        off: Off::Only("mcp", "allowed"),
        system: Some(SystemSettings {
            unix: "qwen-code/settings.json",
            mac: "QwenCode/settings.json",
        }),
        consent: Consent::Folders(".qwen/trustedFolders.json", ""),
        verified: "0.15.10; that `mcp.allowed` keeps others out was not",
        known_from: "the program itself, `qwen mcp list`",
    },
    Recipe {
        id: "kilo",
        name: "Kilo CLI",
        delivery: Delivery::Text("KILO_CONFIG_CONTENT"),
        beside: Beside::Merged,
        dialect: Dialect {
            root: "mcp",
            command: Form::List,
            address: Some(Address {
                url: "url",
                kind: Some("remote"),
                secret: Handover::Header("{env:", "}"),
            }),
            usual: &[("enabled", "true")],
            ..PLAIN
        },
        sources: &[
            source(Whose::User, Base::Config, "kilo/opencode.json", &OPENCODE),
            source(Whose::User, Base::Config, "kilo/kilo.json", &OPENCODE),
            source(Whose::User, Base::Config, "kilo/kilo.jsonc", &OPENCODE),
            project("opencode.json", &OPENCODE),
            project("kilo.json", &OPENCODE),
            project("kilo.jsonc", &OPENCODE),
            project(".kilo/kilo.json", &OPENCODE),
            project(".kilo/kilo.jsonc", &OPENCODE),
        ],
        off: Off::Member("enabled"),
        system: None,
        consent: Consent::Nowhere,
        verified: "7.7.9",
        known_from: "the program itself, `kilo mcp list`",
    },
    Recipe {
        id: "cursor",
        name: "Cursor",
        delivery: Delivery::Place(".cursor/mcp.json in the project"),
        beside: Beside::Others,
        dialect: Dialect {
            address: Some(Address {
                url: "url",
                kind: None,
                secret: Handover::Header("${env:", "}"),
            }),
            ..PLAIN
        },
        sources: &[
            user(".cursor/mcp.json", &MCP_SERVERS),
            project(".cursor/mcp.json", &MCP_SERVERS),
        ],
        off: Off::Nothing,
        system: None,
        consent: Consent::Nowhere,
        verified: "not verified",
        known_from: "its documentation",
    },
    Recipe {
        id: "vscode",
        name: "VS Code",
        delivery: Delivery::Place(".vscode/mcp.json in the project"),
        beside: Beside::Others,
        dialect: Dialect {
            root: "servers",
            inputs: Some("inputs"),
            command: Form::Typed("stdio"),
            address: Some(Address {
                url: "url",
                kind: Some("http"),
                secret: Handover::Header("${env:", "}"),
            }),
            ..PLAIN
        },
        sources: &[
            source(Whose::User, Base::Data, "Code/User/mcp.json", &SERVERS),
            project(".vscode/mcp.json", &SERVERS),
        ],
        off: Off::Nothing,
        system: None,
        consent: Consent::Nowhere,
        verified: "not verified",
        known_from: "its documentation",
    },
    Recipe {
        id: "antigravity",
        name: "Antigravity",
        delivery: Delivery::Place("~/.gemini/config/mcp_config.json"),
        beside: Beside::Nothing,
        dialect: Dialect {
            address: Some(Address { url: "serverUrl", kind: None, secret: Handover::Path }),
            ..PLAIN
        },
        sources: &[
            user(".gemini/antigravity/mcp_config.json", &MCP_SERVERS),
            user(".gemini/config/mcp_config.json", &MCP_SERVERS),
        ],
        off: Off::Unneeded,
        system: None,
        consent: Consent::Nowhere,
        verified: "not verified",
        known_from: "guides of servers for it",
    },
];
