//! What the courier authenticates with: the token of the settings, in one header.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use tokio::time::Instant;

use crate::config::settings::{self, Token};
use crate::credential::{NoCredential, Snapshot};

/// The credentials for one server. Clones share what was loaded.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    token: Option<Arc<Token>>,
}

/// What is sent with one exchange.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    /// The headers, marked sensitive.
    pub(super) headers: HeaderMap,
    /// Counts up with every change.
    pub(super) generation: u64,
}

// === impl Authority ===

impl Authority {
    pub(super) fn new(settings: &settings::Upstream) -> Self {
        Self { token: settings.token.clone().map(Arc::new) }
    }

    /// What to send now.
    ///
    /// # Errors
    ///
    /// Why there is nothing.
    pub(super) async fn present(&self) -> Result<Presented, NoCredential> {
        match &self.token {
            None => Ok(Presented { headers: HeaderMap::new(), generation: 0 }),
            Some(token) => {
                token.credential.current().await.map(|snapshot| headed(token, &snapshot))
            }
        }
    }

    /// What to send after that of this generation was rejected, where there is something else.
    pub(super) async fn after_rejection(
        &self,
        generation: u64,
        deadline: Instant,
    ) -> Option<Presented> {
        let token = self.token.as_ref()?;
        let snapshot = token.credential.after_rejection(generation, deadline).await?;
        Some(headed(token, &snapshot))
    }

    /// Told that what was sent is good.
    pub(super) fn accepted(&self, generation: u64) {
        if let Some(token) = &self.token {
            token.credential.accepted(generation);
        }
    }
}

fn headed(token: &Token, snapshot: &Snapshot) -> Presented {
    let mut headers = HeaderMap::new();
    let name = HeaderName::try_from(token.header.as_str()).unwrap_or(AUTHORIZATION);
    let value =
        if token.bearer { snapshot.secret.authorization() } else { snapshot.secret.api_key() };
    headers.insert(name, value);
    Presented { headers, generation: snapshot.generation }
}
