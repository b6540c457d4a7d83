//! `thoth enforcer` as a process of its own, reached as its clients reach it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// So long nothing takes that works.
const LONG: Duration = Duration::from_mins(1);

/// One tool that is allowed and one that needs a person.
const RULES: &str = r#"
[policy]
id = "shop"
version = 1
default = "block"

[[rule]]
id = "reads"
tools = ["read"]
effect = "allow"

[[rule]]
id = "payments"
tools = ["pay"]
effect = "step_up"
"#;

/// One running enforcer. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) peer: Peer,
}

/// How to reach it. Outlives it.
#[derive(Clone)]
pub(crate) struct Peer {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    pub(crate) sidecar: String,
    pub(crate) admin: String,
}

/// It did not answer: it is gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Process {
    /// Starts one on this store, with a home of its own, and waits until it listens.
    pub(crate) async fn start(store: &str, home: &TempDir) -> Self {
        let policy = home.path().join("shop.toml");
        fs::write(&policy, RULES).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_thoth"));
        command
            .args(["enforcer", "--listen", "127.0.0.1:0", "--json", "--rate-limit", "off"])
            .args(["--max-connections-per-address", "1000", "--workers", "1", "--store", store])
            .arg("--policy")
            .arg(&policy)
            .env("THOTH_HOME_DIR", home.path().join("thoth"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(home.path().join("stderr")).unwrap())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        timeout(LONG, out.read_line(&mut line)).await.unwrap().unwrap();
        let said = fs::read_to_string(home.path().join("stderr")).unwrap();
        assert!(!line.is_empty(), "it did not start: {said}");
        Self { child, peer: Peer::new(&serde_json::from_str(&line).unwrap()) }
    }

    /// Kills it: nothing of it can say goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Peer {
    fn new(told: &Value) -> Self {
        let file = |name: &str| Path::new(told[name].as_str().unwrap()).to_owned();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca_bundle")).unwrap()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .build();
        let key = |name: &str| fs::read_to_string(file(name)).unwrap().trim().to_owned();
        Self {
            client: Client::builder(TokioExecutor::new()).build(https),
            url: told["url"].as_str().unwrap().to_owned(),
            sidecar: key("sidecar_key_file"),
            admin: key("admin_key_file"),
        }
    }

    /// Sends one request; a body that is no JSON is null.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), Gone> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("prefer", "wait=20")
            .body(Full::from(body))
            .unwrap();
        let sent = async {
            let answer = self.client.request(request).await.map_err(|_| Gone)?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|_| Gone)?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
        };
        timeout(LONG, sent).await.unwrap()
    }

    /// Asks about a payment: the hold's token and the approval's id, where a person is asked.
    pub(crate) async fn hold(&self, user: &str, number: usize) -> Result<Option<Hold>, Gone> {
        let question = json!({
            "agent_id": "agent", "tenant_id": "default", "tool_name": "pay", "session_id": "s-1",
            "user_id": user, "approved_scope": [], "enforcement_mode": "progressive",
            "session_tool_calls": [], "tool_args": {"number": number},
        });
        let (status, body) =
            self.send(Method::POST, "/v1/enforce", &self.sidecar, &question).await?;
        if status != StatusCode::OK || body["decision"] != "STEP_UP" {
            return Ok(None);
        }
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let approval = text("approval_url").rsplit('/').next().unwrap().to_owned();
        Ok(Some(Hold { token: text("hold_token"), approval }))
    }

    /// Looks at a hold, and waits for its answer for up to 20 s: the decision and why.
    pub(crate) async fn look(&self, token: &str) -> Result<String, Gone> {
        let path = format!("/v1/enforce/hold/{token}");
        let (status, body) = self.send(Method::GET, &path, &self.sidecar, &Value::Null).await?;
        let why = body["decision_reason_code"].as_str().unwrap_or_default();
        let decision = body["decision"].as_str().unwrap_or_default();
        Ok(format!("{} {decision} {why}", status.as_u16()).trim().to_owned())
    }

    /// Approves.
    pub(crate) async fn approve(&self, approval: &str) -> Result<StatusCode, Gone> {
        let path = format!("/default/thoth/approvals/{approval}/resolve");
        let answer = json!({"decision": "approve"});
        Ok(self.send(Method::POST, &path, &self.admin, &answer).await?.0)
    }

    /// Makes a key for sidecars: its id, and the key.
    pub(crate) async fn new_key(&self) -> Result<Option<(String, String)>, Gone> {
        let wanted = json!({"name": "test", "permissions": ["read", "write", "execute"]});
        let (status, body) =
            self.send(Method::POST, "/default/thoth/api-keys", &self.admin, &wanted).await?;
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Ok((status == StatusCode::CREATED).then(|| (text("id"), text("api_key"))))
    }

    /// Whether a key may ask for a decision.
    pub(crate) async fn is_good(&self, key: &str) -> Result<bool, Gone> {
        let question = json!({
            "agent_id": "agent", "tenant_id": "default", "tool_name": "read", "session_id": "s-1",
            "user_id": "bob", "approved_scope": [], "enforcement_mode": "progressive",
            "session_tool_calls": [],
        });
        let (status, _) = self.send(Method::POST, "/v1/enforce", key, &question).await?;
        Ok(status == StatusCode::OK)
    }
}

/// A question that waits for a person.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) token: String,
    pub(crate) approval: String,
}
