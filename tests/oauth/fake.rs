//! An MCP server and its authorization server, on one address of this machine, with a memory.
//!
//! It registers clients, logs everybody in at once, checks what RFC 6749 and 7636 want it to check, rotates
//! refresh tokens, and ends a whole family of tokens where one of them comes twice. It says of itself what a test
//! wants it to, and counts everything.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use oauth2::url::{Url, form_urlencoded};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// The secret that every client with one gets.
pub(crate) const SECRET: &str = "hunter2/client secret";

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What the server says of itself, and does.
#[derive(Debug)]
pub(crate) struct Manners {
    /// The challenge of its 401.
    pub(crate) challenge: Option<String>,
    /// Documents by path: JSON with 200. Others are 404.
    pub(crate) documents: HashMap<String, Value>,
    /// What goes before everything, by path: a status and a body.
    pub(crate) instead: HashMap<String, (u16, String)>,
    /// How long tokens live, in seconds.
    pub(crate) lives: Option<u64>,
    /// Whether it gives refresh tokens, and others at each refresh.
    pub(crate) refreshes: bool,
    pub(crate) rotates: bool,
    /// How its clients prove themselves: `none`, `client_secret_basic`, `client_secret_post`.
    pub(crate) auth: &'static str,
    /// What `iss` its answers hold.
    pub(crate) iss: Option<String>,
    /// What a login ends with, in place of a code.
    pub(crate) error: Option<&'static str>,
    /// What the handshake is answered with where no token comes with it.
    pub(crate) greets: Option<u16>,
    /// The challenge of a 403 that every good token gets, where it does.
    pub(crate) forbids: Option<String>,
    /// Where calls whose token is not good wait for each other, before any of them is told.
    pub(crate) unwelcome: Option<Arc<Barrier>>,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) seen: Vec<Seen>,
    /// Clients and where each may be sent back to.
    clients: HashMap<String, String>,
    codes: HashMap<String, Login>,
    /// Refresh tokens that are good, and those that were used, each with its family.
    refreshes: HashMap<String, usize>,
    used: HashMap<String, usize>,
    /// Access tokens that are good, with their family.
    access: HashMap<String, usize>,
    revoked: HashSet<usize>,
    serial: usize,
    /// How often a refresh token came that was used before.
    pub(crate) reuses: usize,
    /// How many refreshes there were.
    pub(crate) refreshed: usize,
    /// Requests to the MCP server with a good token.
    pub(crate) served: usize,
}

#[derive(Debug)]
struct Login {
    client: String,
    redirect: String,
    challenge: String,
    resource: String,
}

/// The server. Serves until it is dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    ca: Option<NamedTempFile>,
    shared: Arc<(Mutex<Manners>, Mutex<Memory>)>,
    _serving: AbortOnDropHandle<()>,
}

// === impl Fake ===

impl Fake {
    /// HTTP on 127.0.0.1.
    pub(crate) async fn plain() -> Self {
        Self::listen(None).await
    }

    /// HTTPS on `localhost`.
    pub(crate) async fn tls() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "thoth test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(ca.pem().as_bytes()).unwrap();
        Self::listen(Some((TlsAcceptor::from(Arc::new(config)), file))).await
    }

    async fn listen(tls: Option<(TlsAcceptor, NamedTempFile)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, ca) = tls.unzip();
        let manners = Manners::good(&base(address, ca.is_some()));
        let shared = Arc::new((Mutex::new(manners), Mutex::default()));
        let serving = serve(listener, acceptor, Arc::clone(&shared));
        let serving = AbortOnDropHandle::new(tokio::spawn(serving));
        Self { address, ca, shared, _serving: serving }
    }

    /// Where it is, without a path.
    pub(crate) fn base(&self) -> String {
        base(self.address, self.ca.is_some())
    }

    /// The MCP server.
    pub(crate) fn mcp(&self) -> String {
        format!("{}/mcp", self.base())
    }

    /// A PEM file with the CA that is to be trusted.
    pub(crate) fn ca(&self) -> Option<&std::path::Path> {
        self.ca.as_ref().map(NamedTempFile::path)
    }

    pub(crate) fn manners(&self) -> MutexGuard<'_, Manners> {
        self.shared.0.lock().unwrap()
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.1.lock().unwrap()
    }

    /// The paths that were asked for, without their queries, in their order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let path = |seen: &Seen| seen.target.split('?').next().unwrap().to_owned();
        self.memory().seen.iter().map(path).collect()
    }

    /// Changes one member of a document; null takes it away.
    pub(crate) fn say(&self, document: &str, member: &str, value: Value) {
        let mut manners = self.manners();
        let document = manners.documents.get_mut(document).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            document.remove(member);
        } else {
            document.insert(member.to_owned(), value);
        }
    }

    /// How many calls the MCP server was sent, whatever it answered.
    pub(crate) fn calls(&self) -> usize {
        let memory = self.memory();
        memory.seen.iter().filter(|seen| seen.body.contains("tools/call")).count()
    }

    /// Takes good access tokens back, as if their time had come.
    pub(crate) fn end_access(&self) {
        self.memory().access.clear();
    }

    /// Whether a token is good.
    pub(crate) fn is_good(&self, token: &str) -> bool {
        self.memory().is_good(token)
    }
}

fn base(address: SocketAddr, is_tls: bool) -> String {
    if is_tls {
        format!("https://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

// === impl Manners ===

impl Manners {
    /// A server as the specification wants it.
    fn good(base: &str) -> Self {
        let documents = [
            (
                "/.well-known/oauth-protected-resource/mcp",
                json!({
                    "resource": format!("{base}/mcp"),
                    "authorization_servers": [base],
                    "scopes_supported": ["files:read"],
                }),
            ),
            (
                "/.well-known/oauth-authorization-server",
                json!({
                    "issuer": base,
                    "authorization_endpoint": format!("{base}/authorize"),
                    "token_endpoint": format!("{base}/token"),
                    "registration_endpoint": format!("{base}/register"),
                    "revocation_endpoint": format!("{base}/revoke"),
                    "scopes_supported": ["files:read", "files:write", "offline_access"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none"],
                    "authorization_response_iss_parameter_supported": true,
                }),
            ),
        ];
        Self {
            challenge: Some(format!(
                "Bearer resource_metadata=\"{base}/.well-known/oauth-protected-resource/mcp\""
            )),
            documents: documents.map(|(path, value)| (path.to_owned(), value)).into(),
            instead: HashMap::new(),
            lives: Some(3600),
            refreshes: true,
            rotates: true,
            auth: "none",
            iss: Some(base.to_owned()),
            error: None,
            greets: None,
            forbids: None,
            unwelcome: None,
        }
    }
}

// === impl Memory ===

impl Memory {
    fn is_good(&self, token: &str) -> bool {
        self.access.get(token).is_some_and(|family| !self.revoked.contains(family))
    }

    fn next(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}-{}", self.serial)
    }

    /// Tokens of one family.
    fn grant(&mut self, manners: &Manners, family: usize, scope: Option<&str>) -> (u16, String) {
        let access = self.next("access-hunter2");
        self.access.insert(access.clone(), family);
        let mut answer = json!({ "access_token": access, "token_type": "Bearer" });
        if let Some(lives) = manners.lives {
            answer["expires_in"] = lives.into();
        }
        if let Some(scope) = scope {
            answer["scope"] = scope.into();
        }
        if manners.refreshes {
            let refresh = self.next("refresh-hunter2");
            self.refreshes.insert(refresh.clone(), family);
            answer["refresh_token"] = refresh.into();
        }
        (200, answer.to_string())
    }

    fn register(&mut self, manners: &Manners, wish: &str) -> (u16, String) {
        let wish: Value = serde_json::from_str(wish).unwrap();
        let id = self.next("client");
        let redirect = wish["redirect_uris"][0].as_str().unwrap().to_owned();
        self.clients.insert(id.clone(), redirect);
        let mut answer = json!({ "client_id": id, "token_endpoint_auth_method": manners.auth });
        if manners.auth != "none" {
            answer["client_secret"] = SECRET.into();
        }
        (201, answer.to_string())
    }

    fn token(&mut self, manners: &Manners, form: &HashMap<String, String>) -> (u16, String) {
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        match get("grant_type") {
            "authorization_code" => {
                let Some(login) = self.codes.remove(get("code")) else {
                    return refuse("invalid_grant", "no such code");
                };
                let verifier = Sha256::digest(get("code_verifier"));
                if BASE64_URL_SAFE_NO_PAD.encode(verifier) != login.challenge
                    || get("redirect_uri") != login.redirect
                    || get("client_id") != login.client && manners.auth != "client_secret_basic"
                    || get("resource") != login.resource
                {
                    return refuse("invalid_grant", "not who began");
                }
                self.serial += 1;
                self.grant(manners, self.serial, None)
            }
            "refresh_token" => {
                let token = get("refresh_token");
                if let Some(&family) = self.used.get(token) {
                    self.reuses += 1;
                    self.revoked.insert(family);
                    return refuse("invalid_grant", "it was used before");
                }
                let Some(&family) = self.refreshes.get(token) else {
                    return refuse("invalid_grant", "no such token");
                };
                if self.revoked.contains(&family) {
                    return refuse("invalid_grant", "its family is revoked");
                }
                self.refreshed += 1;
                if manners.rotates {
                    self.refreshes.remove(token);
                    self.used.insert(token.to_owned(), family);
                    return self.grant(manners, family, None);
                }
                let keeps = Manners { refreshes: false, ..Manners::good("") };
                self.grant(&Manners { lives: manners.lives, ..keeps }, family, None)
            }
            _ => refuse("unsupported_grant_type", ""),
        }
    }
}

/// What the MCP server answers to one message: 202 to what wants no answer.
fn answer(message: &str) -> (u16, String) {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let Some(id) = message.get("id") else { return (202, String::new()) };
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "fake", "version": "1" },
        }),
        Some("tools/call") => json!({ "content": [{ "type": "text", "text": "done" }] }),
        _ => json!({}),
    };
    (200, json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

fn is_handshake(message: &str) -> bool {
    serde_json::from_str::<Value>(message).is_ok_and(|message| message["method"] == "initialize")
}

fn refuse(error: &str, why: &str) -> (u16, String) {
    (400, json!({ "error": error, "error_description": why }).to_string())
}

fn pairs(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<(Mutex<Manners>, Mutex<Memory>)>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
            let server = http1::Builder::new();
            let _ = match tls {
                None => server.serve_connection(TokioIo::new(stream), service).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            };
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<(Mutex<Manners>, Mutex<Memory>)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let is_call = body.contains("tools/call");
    let response = judge(&head, body, &shared);
    let unwelcome = shared.0.lock().unwrap().unwelcome.clone();
    if let (401, true, Some(others)) = (response.status().as_u16(), is_call, unwelcome) {
        others.wait().await;
    }
    Ok(response)
}

fn judge(
    head: &Parts,
    body: String,
    shared: &(Mutex<Manners>, Mutex<Memory>),
) -> Response<Full<Bytes>> {
    let manners = shared.0.lock().unwrap();
    let mut memory = shared.1.lock().unwrap();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default());
    let mut response = Response::builder();
    let (status, text) = match (&*path, manners.instead.get(&path)) {
        (_, Some(instead)) => instead.clone(),
        ("/mcp", None) => {
            let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok());
            let token = bearer.and_then(|bearer| bearer.strip_prefix("Bearer "));
            let is_good = token.is_some_and(|token| memory.is_good(token));
            if let Some(challenge) = manners.forbids.as_ref().filter(|_| is_good) {
                response = response.header("www-authenticate", challenge);
                (403, String::new())
            } else if is_good {
                memory.served += 1;
                response = response.header("content-type", "application/json");
                answer(&body)
            } else if let Some(status) = manners.greets.filter(|_| is_handshake(&body)) {
                (status, String::new())
            } else {
                if let Some(challenge) = &manners.challenge {
                    response = response.header("www-authenticate", challenge);
                }
                (401, String::new())
            }
        }
        ("/register", None) => memory.register(&manners, &body),
        ("/authorize", None) => {
            let query = pairs(query);
            let get = |name: &str| query.get(name).cloned().unwrap_or_default();
            let login = Login {
                client: get("client_id"),
                redirect: get("redirect_uri"),
                challenge: get("code_challenge"),
                resource: get("resource"),
            };
            let is_known = memory.clients.get(&login.client).is_none_or(|at| *at == login.redirect);
            if !is_known || get("code_challenge_method") != "S256" || get("response_type") != "code"
            {
                (400, "no".to_owned())
            } else {
                let mut back = Url::parse(&login.redirect).unwrap();
                let (name, value) = match manners.error {
                    Some(error) => ("error", error.to_owned()),
                    None => ("code", memory.next("code-hunter2")),
                };
                back.query_pairs_mut().append_pair(name, &value);
                memory.codes.insert(value, login);
                back.query_pairs_mut().append_pair("state", &get("state"));
                if let Some(iss) = &manners.iss {
                    back.query_pairs_mut().append_pair("iss", iss);
                }
                response = response.header("location", back.as_str());
                (302, String::new())
            }
        }
        ("/token", None) => {
            let mut form = pairs(&body);
            let basic = head.headers.get("authorization").map(|value| {
                let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
                String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap()
            });
            let secret: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
            let is_proven = match manners.auth {
                "client_secret_basic" => basic.is_some_and(|pair| pair.ends_with(&secret)),
                "client_secret_post" => form.remove("client_secret").as_deref() == Some(SECRET),
                _ => basic.is_none() && !form.contains_key("client_secret"),
            };
            if is_proven {
                memory.token(&manners, &form)
            } else {
                (401, json!({ "error": "invalid_client" }).to_string())
            }
        }
        ("/revoke", None) => {
            let form = pairs(&body);
            let token = form.get("token").cloned().unwrap_or_default();
            let family = memory.refreshes.get(&token).or(memory.access.get(&token)).copied();
            memory.revoked.extend(family);
            (200, String::new())
        }
        (path, None) => match manners.documents.get(path) {
            Some(document) => (200, document.to_string()),
            None => (404, "<html>nothing here</html>".to_owned()),
        },
    };
    let target = head.uri.path_and_query().unwrap().to_string();
    memory.seen.push(Seen { target, headers: head.headers.clone(), body });
    response.status(status).body(Full::from(text)).unwrap()
}
