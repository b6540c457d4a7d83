//! What the command line says beyond what each part is made of: read once, used by several wings.

use super::Tenant;
use crate::secret::ApiKey;

/// What an enforcer is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose keys were made at the start, and whose console people of the OpenID provider see.
    pub tenant: Tenant,
    /// Where events are sent on to, over OTLP: where the collector takes logs.
    pub otlp: Option<String>,
    /// Who vouches for people at the console, beside one-time links.
    pub oidc: Option<Oidc>,
    /// Whether `/metrics` is shown without a key: where nobody but this machine can reach it.
    pub are_metrics_open: bool,
}

/// An OpenID provider, and whom of its people to let in.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The provider's base address; its documents are found below it.
    pub issuer: String,
    /// What the provider calls this enforcer.
    pub client_id: String,
    /// What this enforcer shows to the provider; `None` for a public client with PKCE alone.
    pub client_secret: Option<ApiKey>,
    /// E-mail addresses, or `@domain` for all of one; nobody where it is empty.
    pub allowed: Vec<String>,
}

// === impl Settings ===

impl Default for Settings {
    /// The tenant `default`, and nothing else.
    fn default() -> Self {
        let tenant = Tenant::parse("default");
        Self {
            tenant: tenant.unwrap_or_else(|_| unreachable!("these are plain letters")),
            otlp: None,
            oidc: None,
            are_metrics_open: false,
        }
    }
}
