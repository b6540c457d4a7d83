//! What is told once the enforcer listens: how to reach it, and how to trust it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde_json::json;

use crate::machine::Machine;
use crate::server::{App, Tenant};
use crate::tls::serve::Identity;

/// What was made, and how to use it. Holds no secret but the link to the console.
#[derive(Debug)]
pub(super) struct Told {
    listen: SocketAddr,
    url: String,
    tenant: String,
    pin: String,
    key_pin: Option<String>,
    until: String,
    /// Where the certificate is the enforcer's own: the file to trust.
    bundle: Option<PathBuf>,
    policies: Vec<String>,
    revision: String,
    store: String,
    /// The sidecars' key and the administrator's, where they are the enforcer's own.
    keys: Option<(PathBuf, PathBuf)>,
    console: Option<String>,
    program: PathBuf,
}

// === impl Told ===

impl Told {
    pub(super) fn new(
        app: &App,
        listen: SocketAddr,
        tenant: &Tenant,
        identity: &Identity,
        bundle: Option<PathBuf>,
        keys: Option<(PathBuf, PathBuf)>,
    ) -> Self {
        let certificate = &identity.certificate;
        let book = app.rules.current();
        let named = |policy: &std::sync::Arc<crate::policy::Policy>| {
            let reference = policy.reference();
            format!("{} v{}", reference.id, reference.version)
        };
        Self {
            listen,
            url: app.public_url.clone(),
            tenant: tenant.as_str().to_owned(),
            pin: certificate.fingerprint.to_string(),
            key_pin: certificate.key.map(|pin| pin.to_string()),
            until: certificate.not_after.to_zoned(TimeZone::UTC).date().to_string(),
            bundle,
            policies: book.set.policies().iter().map(named).collect(),
            revision: book.revision.clone(),
            store: app.store.place(),
            keys,
            console: None,
            program: program(),
        }
    }

    /// With the link by which the console is entered once.
    pub(super) fn with_console(self, link: Option<String>) -> Self {
        Self { console: link, ..self }
    }

    /// Tells it: for people, or as one line of JSON.
    pub(super) fn write(&self, is_json: bool, out: &mut impl Write) -> io::Result<()> {
        let text = if is_json { self.json() } else { self.text() };
        out.write_all(text.as_bytes())
    }

    fn json(&self) -> String {
        let (sidecar, admin) = self.keys.as_ref().map_or((None, None), |(sidecar, admin)| {
            (Some(sidecar.display().to_string()), Some(admin.display().to_string()))
        });
        json!({
            "listen": self.listen.to_string(),
            "url": self.url,
            "tenant": self.tenant,
            "pin": self.pin,
            "key_pin": self.key_pin,
            "certificate_until": self.until,
            "ca_bundle": self.bundle.as_ref().map(|path| path.display().to_string()),
            "policies": self.policies,
            "policy_revision": self.revision,
            "store": self.store,
            "sidecar_key_file": sidecar,
            "admin_key_file": admin,
            "console": self.console,
            "run": self.line(),
        })
        .to_string()
            + "\n"
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |what: &str, value: &str| {
            let _ = writeln!(text, "  {what:<10}{value}");
        };
        row("listening", &format!("{} as {}", self.listen, self.url));
        row("pin", &self.pin);
        if let Some(pin) = &self.key_pin {
            row("", &format!("{pin} (of its key: stays when the certificate is renewed)"));
        }
        row("until", &self.until);
        row("policy", &format!("{}, revision {}", self.policies.join(", "), self.revision));
        row("store", &self.store);
        row("tenant", &self.tenant);
        if let Some((sidecar, admin)) = &self.keys {
            row("keys", &format!("{} (sidecars)", sidecar.display()));
            row("", &format!("{} (administration)", admin.display()));
        }
        if let Some(link) = &self.console {
            row("console", &format!("{link} (opens once)"));
        }
        format!(
            "thoth enforcer is ready.\n\n{text}\nIn front of the command of an MCP server:\n\n  {}\n",
            self.line()
        )
    }

    /// What makes a sidecar ask this enforcer, for a shell.
    fn line(&self) -> String {
        let mut variables = Vec::new();
        if let Some(bundle) = &self.bundle {
            variables.push(("THOTH_TLS_CA_BUNDLE", bundle.display().to_string()));
        }
        variables.push(("THOTH_TLS_PINNED_CERT_SHA256", self.pin.clone()));
        variables.push(("THOTH_ENFORCER_URL", self.url.clone()));
        // The same server is told of this machine, so that the console shows it.
        variables.push(("THOTH_GOVAPI_URL", self.url.clone()));
        let key = self.keys.as_ref().map(|(sidecar, _)| quoted(&sidecar.display().to_string()));
        format!(
            "{}{} run --tenant-id {} --api-key-file {} --step-up auto -- COMMAND",
            assigned(&variables),
            quoted(&self.program.display().to_string()),
            quoted(&self.tenant),
            key.as_deref().unwrap_or("KEYFILE"),
        )
    }
}

/// `NAME=value` before a command, as the system's shells have it.
fn assigned(variables: &[(&str, String)]) -> String {
    let each = variables.iter().map(|(name, value)| {
        if cfg!(windows) {
            format!("$env:{name}={}; ", quoted(value))
        } else {
            format!("{name}={} ", quoted(value))
        }
    });
    each.collect()
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let inner = if cfg!(windows) { word.replace('\'', "''") } else { word.replace('\'', r"'\''") };
    format!("'{inner}'")
}

/// This very program, where it stands: `thoth` alone may be another one, or none.
fn program() -> PathBuf {
    Machine::gather().executable.unwrap_or_else(|| Path::new("thoth").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_word_stays_one_word_in_a_shell() {
        for (word, expected) in [
            ("/home/a/.thoth/enforcer/sidecar.key", "/home/a/.thoth/enforcer/sidecar.key"),
            ("sha256:ab", "sha256:ab"),
            ("/home/a b", "'/home/a b'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("~", "'~'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
