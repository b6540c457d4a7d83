//! What each module of the crate may name.

/// One module of the crate's root and everything below it.
pub(crate) struct Layer {
    pub(crate) module: &'static str,
    /// The modules it may name, each of a row further up.
    pub(crate) modules: &'static [&'static str],
    /// The direct dependencies it may name.
    pub(crate) crates: &'static [&'static str],
    /// It reads no clock, file, socket, process or environment: all that comes in as arguments.
    pub(crate) pure: bool,
}

/// Lowest first.
pub(crate) const LAYERS: &[Layer] = &[
    Layer {
        module: "gate",
        modules: &[],
        crates: &["bytes", "memchr", "serde", "serde_json", "thiserror"],
        pure: true,
    },
    Layer { module: "seal", modules: &[], crates: &["hex", "sha2", "thiserror"], pure: true },
    Layer {
        module: "policy",
        modules: &["gate"],
        crates: &[
            "cel",
            "hex",
            "memchr",
            "regex",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "toml",
        ],
        pure: true,
    },
    Layer {
        module: "friction",
        modules: &["gate", "seal"],
        crates: &[
            "hex",
            "jiff",
            "memchr",
            "regex",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "toml",
            "unicode_normalization",
            "uuid",
        ],
        pure: true,
    },
    Layer {
        module: "secret",
        modules: &[],
        crates: &["hex", "hyper", "secrecy", "sha2", "thiserror"],
        pure: true,
    },
    Layer { module: "rhythm", modules: &[], crates: &[], pure: true },
    Layer { module: "machine", modules: &[], crates: &["jiff", "nix", "thiserror"], pure: false },
    Layer {
        module: "profile",
        modules: &["machine"],
        crates: &["nix", "serde_json", "thiserror", "uuid"],
        pure: false,
    },
    Layer {
        module: "credential",
        modules: &["machine", "profile", "secret"],
        crates: &[
            "hex",
            "jiff",
            "nix",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
        ],
        pure: false,
    },
    Layer {
        module: "config",
        modules: &[
            "credential",
            "friction",
            "gate",
            "machine",
            "policy",
            "profile",
            "seal",
            "secret",
        ],
        crates: &["clap", "hex", "hyper", "nix", "serde", "serde_json", "thiserror", "toml"],
        pure: false,
    },
    Layer {
        module: "tls",
        modules: &["config", "secret"],
        crates: &[
            "hex",
            "hyper",
            "hyper_rustls",
            "hyper_util",
            "jiff",
            "rustls",
            "rustls_native_certs",
            "rustls_pki_types",
            "sha2",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tower_service",
        ],
        pure: false,
    },
    Layer {
        module: "https",
        modules: &["tls"],
        crates: &[
            "bytes",
            "http_body_util",
            "hyper",
            "hyper_rustls",
            "hyper_util",
            "jiff",
            "thiserror",
            "tokio",
            "tower_service",
        ],
        pure: false,
    },
    Layer {
        module: "spool",
        modules: &["profile"],
        crates: &[
            "bytes",
            "hex",
            "jiff",
            "memchr",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "sink",
        modules: &["config", "credential", "https", "profile", "rhythm", "spool", "tls"],
        crates: &[
            "bytes",
            "hex",
            "hyper",
            "jiff",
            "nix",
            "opentelemetry_proto",
            "prost",
            "reqsign_aws_v4",
            "reqsign_core",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "emitter",
        modules: &["config", "friction", "gate", "machine", "profile", "sink", "spool"],
        crates: &["bytes", "jiff", "serde", "serde_json", "thiserror", "tokio", "tracing", "uuid"],
        pure: false,
    },
    Layer {
        module: "enforcer",
        modules: &["config", "credential", "gate", "https", "machine", "secret", "tls"],
        crates: &[
            "bytes",
            "hyper",
            "jiff",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "journal",
        modules: &["config", "gate", "machine", "profile", "seal"],
        crates: &[
            "bytes",
            "hex",
            "jiff",
            "nix",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "clients",
        modules: &["config", "gate", "machine", "profile"],
        crates: &[
            "clap",
            "hex",
            "jiff",
            "jsonc_parser",
            "nix",
            "saphyr_parser",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "toml_edit",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "endpoint",
        modules: &["config", "credential", "gate", "machine", "profile", "seal"],
        crates: &[
            "hex",
            "jiff",
            "nix",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "govapi",
        modules: &[
            "clients",
            "config",
            "credential",
            "endpoint",
            "https",
            "machine",
            "rhythm",
            "secret",
            "tls",
        ],
        crates: &[
            "bytes",
            "hex",
            "hyper",
            "jiff",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "uuid",
        ],
        pure: false,
    },
    Layer {
        module: "health",
        modules: &["clients", "config", "credential", "endpoint", "gate", "machine"],
        crates: &["jiff", "serde", "serde_json", "thiserror"],
        pure: true,
    },
    Layer {
        module: "pipe",
        modules: &["gate"],
        crates: &["bytes", "nix", "thiserror", "tokio", "tokio_util", "tracing"],
        pure: false,
    },
    Layer {
        module: "child",
        modules: &["gate", "machine"],
        crates: &["nix", "thiserror", "tokio", "tokio_util", "tracing"],
        pure: false,
    },
    Layer {
        module: "stop",
        modules: &["child"],
        crates: &["thiserror", "tokio", "tokio_util", "tracing"],
        pure: false,
    },
    Layer {
        module: "trace",
        modules: &["config"],
        crates: &["thiserror", "tracing", "tracing_subscriber"],
        pure: false,
    },
    Layer {
        module: "preflight",
        modules: &["config", "credential", "gate", "machine", "policy", "profile", "secret", "tls"],
        crates: &["nix", "thiserror", "tokio", "tracing"],
        pure: false,
    },
    Layer {
        module: "pump",
        modules: &["gate", "pipe"],
        crates: &["bytes", "thiserror", "tokio", "tokio_util", "tracing"],
        pure: false,
    },
];

/// The wiring, which may name everything and is named by nothing but `main.rs`.
pub(crate) const WIRING: &str = "cli";

/// What only some files may name, whatever their layer.
pub(crate) struct Fence {
    /// The path's first segments; a single segment also matches a path's last.
    pub(crate) name: &'static str,
    /// Path prefixes of the files that may.
    pub(crate) within: &'static [&'static str],
    /// Longer paths that are no harm.
    pub(crate) but: &'static [&'static str],
}

pub(crate) const FENCES: &[Fence] = &[
    fence("dbg!", &[]),
    fence("eprint!", &["src/main.rs"]),
    fence("eprintln!", &["src/main.rs"]),
    fence("expose_secret", &["src/secret.rs"]),
    fence("print!", &[]),
    fence("println!", &[]),
    fence("rustls", &["src/tls"]),
    fence("select!", &["src/pump.rs", "src/pump/"]),
    fence("todo!", &[]),
    fence("unimplemented!", &[]),
    fence("unsafe", &["src/child/fence.rs"]),
    Fence {
        name: "std::env",
        within: &["src/config", "src/child"],
        // Ask the system, not a variable of ours.
        but: &[
            "std::env::args_os",
            "std::env::consts",
            "std::env::current_exe",
            "std::env::temp_dir",
        ],
    },
];

const fn fence(name: &'static str, within: &'static [&'static str]) -> Fence {
    Fence { name, within, but: &[] }
}

/// What a pure layer may not name.
pub(crate) const WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
];

/// One file that may name what its layer may not.
pub(crate) struct Excuse {
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
}

pub(crate) const EXCUSES: &[Excuse] = &[
    Excuse {
        file: "src/policy/condition.rs",
        name: "std::thread",
        reason: "a deeper stack for the expressions' parser; it is joined before the function returns",
    },
    Excuse {
        file: "src/friction.rs",
        name: "crate::emitter",
        reason: "the client's public name is `friction::Client`; nothing in the folder uses it",
    },
];
