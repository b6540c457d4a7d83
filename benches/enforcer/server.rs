//! The enforcer that is measured: a process of its own, with an empty store.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::processor::{self, Which};
use crate::{Options, Trouble, rules};

/// One running enforcer. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) facts: Facts,
    _home: TempDir,
}

/// How to reach it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    /// A PEM file with what to trust.
    pub(crate) authority: PathBuf,
    /// A sidecar's key, and one that resolves approvals.
    pub(crate) key: String,
    pub(crate) admin: String,
}

impl Server {
    /// Starts one on the first processor, on this store or on a SQLite file of its own.
    pub(crate) fn start(options: &Options, store: Option<&str>) -> Result<Self, Trouble> {
        let home = tempfile::tempdir()?;
        let policy = home.path().join("policy.toml");
        fs::write(&policy, rules::policy())?;
        let thoth = options.thoth.clone();
        let thoth = thoth.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_thoth")));
        let mut command = Command::new(thoth);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("THOTH_") {
                command.env_remove(name);
            }
        }
        command
            .args(["enforcer", "--listen", "127.0.0.1:0", "--json", "--workers", "1"])
            .args(["--rate-limit", "off", "--max-connections", "20000"])
            .args(["--max-connections-per-address", "20000", "--policy"])
            .arg(&policy)
            .env("THOTH_HOME_DIR", home.path().join("thoth"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(store) = store {
            command.args(["--store", store]);
        }
        processor::keep_to(Which::First);
        let spawned = command.spawn();
        processor::keep_to(Which::Last);
        let mut child = spawned?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        match Facts::read(&line) {
            Ok(facts) => Ok(Self { child, facts, _home: home }),
            Err(trouble) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(trouble)
            }
        }
    }

    /// How long it has run on any processor, in seconds.
    pub(crate) fn spent(&self) -> f64 {
        processor::spent(self.child.id()).unwrap_or_default().as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Facts {
    fn read(line: &str) -> Result<Self, Trouble> {
        let told: Value = serde_json::from_str(line).map_err(|_| "the enforcer did not start")?;
        let text = |name: &str| told[name].as_str().ok_or(format!("the enforcer tells no {name}"));
        let key = |name: &str| -> Result<String, Trouble> {
            Ok(fs::read_to_string(Path::new(text(name)?))?.trim().to_owned())
        };
        Ok(Self {
            address: text("listen")?.to_owned(),
            authority: PathBuf::from(text("ca_bundle")?),
            key: key("sidecar_key_file")?,
            admin: key("admin_key_file")?,
        })
    }
}
