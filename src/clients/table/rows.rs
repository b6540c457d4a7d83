//! The table of clients.
//!
//! From their own source or documentation: Claude Code, VS Code, Windsurf, Gemini CLI, Codex, Zed,
//! Goose, Continue and Kiro. From maintained installers of others (docker/mcp-gateway,
//! neondatabase/add-mcp): Claude Desktop, Cursor, Cline, Roo Code, LM Studio, `OpenCode`, Crush,
//! Copilot CLI and Copilot for `JetBrains`. What is marked "unverified" is from memory.

use super::shapes::{
    CLAUDE_CODE, CODEX, CONTEXT_SERVERS, CONTINUE, GOOSE, INSTALLATIONS, MANIFEST, MCP,
    MCP_SERVERS, OPENCODE, SERVERS, VSCODE_SETTINGS,
};
use super::{Base, Client, Kind, Spot, System};
use crate::clients::document::Shape;

use Base::{Claude, Cline, Codex, Common, Config, Data, Home, Local, Programs, Project, Root};
use System::{Linux, Macos, Windows};

const ANY: &[System] = &[Macos, Linux, Windows];
const UNIX: &[System] = &[Macos, Linux];
const MAC: &[System] = &[Macos];
const LINUX: &[System] = &[Linux];
const WINDOWS: &[System] = &[Windows];

/// Every client, in the order in which they are told of.
pub const ALL: &[Client] = &[
    client(
        "claude-desktop",
        "Claude Desktop",
        &[
            user(ANY, Data, "Claude/claude_desktop_config.json", &MCP_SERVERS),
            // Installed from the Store, the usual way since 2026; the app's own "Edit config"
            // opens the other one.
            user(WINDOWS, Local, MSIX_CONFIG, &MCP_SERVERS),
            // As some installers for Linux write it, where there is no app of the maker's.
            user(LINUX, Data, "claude/claude_desktop_config.json", &MCP_SERVERS),
            extension(ANY, Data, "Claude/Claude Extensions/*/manifest.json", &MANIFEST),
            extension(WINDOWS, Local, MSIX_MANIFESTS, &MANIFEST),
            extension(ANY, Data, "Claude/extensions-installations.json", &INSTALLATIONS),
            extension(WINDOWS, Local, MSIX_INSTALLATIONS, &INSTALLATIONS),
        ],
    ),
    client(
        "claude-code",
        "Claude Code",
        &[
            user(ANY, Claude, ".claude.json", &CLAUDE_CODE),
            project(".mcp.json", &MCP_SERVERS),
            managed(MAC, Root, "Library/Application Support/ClaudeCode/managed-mcp.json"),
            managed(LINUX, Root, "etc/claude-code/managed-mcp.json"),
            // The first is unverified, the second is where it was before.
            managed(WINDOWS, Programs, "ClaudeCode/managed-mcp.json"),
            managed(WINDOWS, Common, "ClaudeCode/managed-mcp.json"),
        ],
    ),
    client(
        "cursor",
        "Cursor",
        &[
            user(ANY, Home, ".cursor/mcp.json", &MCP_SERVERS),
            project(".cursor/mcp.json", &MCP_SERVERS),
        ],
    ),
    client(
        "vscode",
        "VS Code",
        &[
            user(ANY, Data, "{Code,Code - Insiders,VSCodium}/User/mcp.json", &SERVERS),
            user(ANY, Data, "{Code,Code - Insiders,VSCodium}/User/profiles/*/mcp.json", &SERVERS),
            user(ANY, Data, "{Code,Code - Insiders,VSCodium}/User/settings.json", &VSCODE_SETTINGS),
            // On the other end of a remote session; unverified.
            user(UNIX, Home, "{.vscode-server,.vscode-server-insiders}/data/*/mcp.json", &SERVERS),
            project(".vscode/mcp.json", &SERVERS),
        ],
    ),
    client(
        "windsurf",
        "Windsurf",
        &[user(ANY, Home, ".codeium/{windsurf,windsurf-next}/mcp_config.json", &MCP_SERVERS)],
    ),
    client(
        "gemini",
        "Gemini CLI, Antigravity",
        &[
            user(ANY, Home, ".gemini/settings.json", &MCP_SERVERS),
            // Antigravity reads the second since its version 2.
            user(ANY, Home, ".gemini/{antigravity,config}/mcp_config.json", &MCP_SERVERS),
            project(".gemini/settings.json", &MCP_SERVERS),
            user(ANY, Home, ".gemini/extensions/*/gemini-extension.json", &MCP_SERVERS),
            project(".gemini/extensions/*/gemini-extension.json", &MCP_SERVERS),
            managed(
                MAC,
                Root,
                "Library/Application Support/GeminiCli/{settings,system-defaults}.json",
            ),
            managed(LINUX, Root, "etc/gemini-cli/{settings,system-defaults}.json"),
            managed(WINDOWS, Common, "gemini-cli/{settings,system-defaults}.json"),
        ],
    ),
    client(
        "codex",
        "Codex",
        &[user(ANY, Codex, "config.toml", &CODEX), project(".codex/config.toml", &CODEX)],
    ),
    client(
        "zed",
        "Zed",
        &[
            user(MAC, Home, ".config/zed/settings.json", &CONTEXT_SERVERS),
            user(LINUX, Config, "zed/settings.json", &CONTEXT_SERVERS),
            user(LINUX, Home, ".var/app/dev.zed.Zed/config/zed/settings.json", &CONTEXT_SERVERS),
            user(WINDOWS, Data, "Zed/settings.json", &CONTEXT_SERVERS),
            project(".zed/settings.json", &CONTEXT_SERVERS),
        ],
    ),
    client(
        "cline",
        "Cline",
        &[
            user(ANY, Data, CLINE_STORAGE, &MCP_SERVERS),
            user(UNIX, Home, CLINE_REMOTE, &MCP_SERVERS),
            user(ANY, Cline, "data/settings/cline_mcp_settings.json", &MCP_SERVERS),
        ],
    ),
    client(
        "goose",
        "Goose",
        &[
            user(UNIX, Config, "goose/config.yaml", &GOOSE),
            user(WINDOWS, Data, "Block/goose/config/config.yaml", &GOOSE),
        ],
    ),
    client(
        "lm-studio",
        "LM Studio",
        &[user(ANY, Home, "{.lmstudio,.cache/lm-studio}/mcp.json", &MCP_SERVERS)],
    ),
    client(
        "kiro",
        "Kiro",
        &[
            user(ANY, Home, ".kiro/settings/mcp.json", &MCP_SERVERS),
            project(".kiro/settings/mcp.json", &MCP_SERVERS),
        ],
    ),
    client(
        "roo-code",
        "Roo Code",
        &[user(ANY, Data, ROO_STORAGE, &MCP_SERVERS), project(".roo/mcp.json", &MCP_SERVERS)],
    ),
    client(
        "continue",
        "Continue",
        &[
            user(ANY, Home, ".continue/config.yaml", &CONTINUE),
            user(ANY, Home, ".continue/mcpServers/*.{yaml,yml}", &CONTINUE),
            user(ANY, Home, ".continue/mcpServers/*.json", &MCP_SERVERS),
            project(".continue/mcpServers/*.{yaml,yml}", &CONTINUE),
            project(".continue/mcpServers/*.json", &MCP_SERVERS),
        ],
    ),
    client(
        "opencode",
        "OpenCode",
        &[
            user(ANY, Config, "opencode/opencode.{json,jsonc}", &OPENCODE),
            project("opencode.{json,jsonc}", &OPENCODE),
        ],
    ),
    client(
        "crush",
        "Crush",
        &[
            user(UNIX, Config, "crush/crush.json", &MCP),
            user(WINDOWS, Local, "crush/crush.json", &MCP),
            project("{.crush.json,crush.json}", &MCP),
        ],
    ),
    client(
        "copilot-cli",
        "Copilot CLI",
        &[user(ANY, Home, ".copilot/mcp-config.json", &MCP_SERVERS)],
    ),
    client(
        "jetbrains-copilot",
        "Copilot for JetBrains",
        &[
            user(UNIX, Config, "github-copilot/intellij/mcp.json", &SERVERS),
            user(WINDOWS, Local, "github-copilot/intellij/mcp.json", &SERVERS),
        ],
    ),
    // From here on, unverified.
    client(
        "amazon-q",
        "Amazon Q Developer",
        &[
            user(ANY, Home, ".aws/amazonq/mcp.json", &MCP_SERVERS),
            project(".amazonq/mcp.json", &MCP_SERVERS),
        ],
    ),
    client(
        "junie",
        "Junie",
        &[
            user(ANY, Home, ".junie/mcp/mcp.json", &MCP_SERVERS),
            project(".junie/mcp/mcp.json", &MCP_SERVERS),
        ],
    ),
    client(
        "qwen",
        "Qwen Code",
        &[
            user(ANY, Home, ".qwen/settings.json", &MCP_SERVERS),
            project(".qwen/settings.json", &MCP_SERVERS),
        ],
    ),
    client(
        "factory",
        "Factory",
        &[
            user(ANY, Home, ".factory/mcp.json", &MCP_SERVERS),
            project(".factory/mcp.json", &MCP_SERVERS),
        ],
    ),
    client(
        "visual-studio",
        "Visual Studio",
        &[
            user(WINDOWS, Home, ".mcp.json", &SERVERS),
            spot(Kind::Project, WINDOWS, Project, "{.mcp.json,.vs/mcp.json}", &SERVERS),
        ],
    ),
];

const MSIX_CONFIG: &str = "Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json";
const MSIX_MANIFESTS: &str =
    "Packages/Claude_*/LocalCache/Roaming/Claude/Claude Extensions/*/manifest.json";
const MSIX_INSTALLATIONS: &str =
    "Packages/Claude_*/LocalCache/Roaming/Claude/extensions-installations.json";

/// The programs that run VS Code's extensions, as far as these are known to be used in them.
const CLINE_STORAGE: &str = "{Code,Code - Insiders,VSCodium,Cursor,Windsurf,Kiro,Trae,Antigravity}\
                             /User/globalStorage/saoudrizwan.claude-dev/settings\
                             /cline_mcp_settings.json";
const CLINE_REMOTE: &str = "{.vscode-server,.cursor-server,.windsurf-server}/data/User\
                            /globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json";
const ROO_STORAGE: &str = "{Code,Code - Insiders,VSCodium,Cursor,Windsurf,Kiro,Trae,Antigravity}\
                           /User/globalStorage/rooveterinaryinc.roo-cline/settings\
                           /{mcp_settings.json,cline_mcp_settings.json}";

const fn client(id: &'static str, name: &'static str, spots: &'static [Spot]) -> Client {
    Client { id, name, spots }
}

const fn spot(
    kind: Kind,
    on: &'static [System],
    base: Base,
    path: &'static str,
    shape: &'static Shape,
) -> Spot {
    Spot { kind, on, base, path, shape }
}

const fn user(
    on: &'static [System],
    base: Base,
    path: &'static str,
    shape: &'static Shape,
) -> Spot {
    spot(Kind::User, on, base, path, shape)
}

const fn extension(
    on: &'static [System],
    base: Base,
    path: &'static str,
    shape: &'static Shape,
) -> Spot {
    spot(Kind::Extension, on, base, path, shape)
}

const fn project(path: &'static str, shape: &'static Shape) -> Spot {
    spot(Kind::Project, ANY, Project, path, shape)
}

const fn managed(on: &'static [System], base: Base, path: &'static str) -> Spot {
    spot(Kind::Managed, on, base, path, &MCP_SERVERS)
}
