//! Logins with an OpenID provider: a small real one, with a memory, that can also lie.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::browser::{Browser, Shown};
use crate::live::Enforcer;
use thoth::machine::clock;
use thoth::secret::ApiKey;
use thoth::server::settings::Oidc;

/// A provider behind a socket of this machine. Serves until it is dropped.
struct Provider {
    url: String,
    memory: Arc<Mutex<Memory>>,
    _serving: AbortOnDropHandle<()>,
}

/// What it knows, and how it behaves.
struct Memory {
    url: String,
    /// What it signs with, by its name.
    signs: (String, Algorithm, EncodingKey),
    /// What it shows of its keys.
    shows: Vec<Value>,
    /// Logins under way: what was asked for, by the code that was given.
    codes: HashMap<String, HashMap<String, String>>,
    /// What is different in the next token's claims, and in its head.
    claims: Value,
    head: Value,
    /// The next token, instead of one it would make.
    token: Option<String>,
    /// What is different in its description of itself.
    description: Value,
    /// How often each of its places was asked.
    asked: HashMap<&'static str, usize>,
    /// The secret of the client, and how it was sent.
    secret_by: Option<&'static str>,
}

type Shared = Arc<Mutex<Memory>>;

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (signs, shown) = key("k1", Algorithm::ES256);
        let memory = Arc::new(Mutex::new(Memory {
            url: url.clone(),
            signs,
            shows: vec![shown],
            codes: HashMap::new(),
            claims: json!({}),
            head: json!({}),
            token: None,
            description: json!({}),
            asked: HashMap::new(),
            secret_by: None,
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&memory));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, memory, _serving: AbortOnDropHandle::new(serving) }
    }

    /// What an enforcer is told about it.
    fn settings(&self) -> Oidc {
        Oidc {
            issuer: self.url.clone(),
            client_id: "thoth".to_owned(),
            client_secret: None,
            allowed: vec!["ada@acme.example".to_owned(), "@security.acme.example".to_owned()],
        }
    }

    /// A person logs in at the page they were sent to: the code, and the state.
    fn log_in(&self, address: &str) -> (String, String) {
        let (page, query) = address.split_once('?').unwrap();
        assert_eq!(page, format!("{}/authorize", self.url));
        let asked: HashMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], "thoth");
        assert_eq!(asked["scope"], "openid email");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["redirect_uri"], "https://127.0.0.1:8443/console/login/callback");
        assert!(asked["nonce"].len() == 43 && asked["state"].len() == 43);
        let mut memory = self.memory.lock().unwrap();
        let code = format!("code-{}", memory.codes.len());
        let state = asked["state"].clone();
        memory.codes.insert(code.clone(), asked);
        (code, state)
    }

    fn asked(&self, place: &str) -> usize {
        self.memory.lock().unwrap().asked.get(place).copied().unwrap_or(0)
    }

    /// Behaves otherwise from now on.
    fn change(&self, how: impl FnOnce(&mut Memory)) {
        how(&mut self.memory.lock().unwrap());
    }
}

async fn describe(State(memory): State<Shared>) -> Json<Value> {
    let mut memory = memory.lock().unwrap();
    *memory.asked.entry("description").or_default() += 1;
    let url = &memory.url;
    let mut description = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/keys"),
    });
    merge(&mut description, &memory.description);
    Json(description)
}

async fn keys(State(memory): State<Shared>) -> Json<Value> {
    let mut memory = memory.lock().unwrap();
    *memory.asked.entry("keys").or_default() += 1;
    Json(json!({"keys": memory.shows}))
}

async fn token(
    State(memory): State<Shared>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let mut memory = memory.lock().unwrap();
    *memory.asked.entry("token").or_default() += 1;
    let refused =
        || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    memory.secret_by = match (headers.get("authorization"), form.get("client_secret")) {
        (Some(basic), None) if basic == "Basic dGhvdGg6czNjcmV0" => Some("basic"),
        (None, Some(secret)) if secret == "s3cret" => Some("body"),
        _ => None,
    };
    // A code is good once.
    let Some(asked) = memory.codes.remove(&form["code"]) else { return refused() };
    let challenge = base64(&Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
        return refused();
    }
    let now = clock::now().as_second();
    let mut claims = json!({
        "iss": memory.url, "sub": "1", "aud": "thoth", "exp": now + 300, "iat": now,
        "nonce": asked["nonce"], "email": "ada@acme.example", "email_verified": true,
    });
    merge(&mut claims, &memory.claims);
    let (kid, algorithm, key) = &memory.signs;
    let mut header = Header::new(*algorithm);
    header.kid = Some(kid.clone());
    let mut header = serde_json::to_value(header).unwrap();
    merge(&mut header, &memory.head);
    let header: Header = serde_json::from_value(header).unwrap();
    let token = memory.token.clone().unwrap_or_else(|| encode(&header, &claims, key).unwrap());
    let answer = json!({"access_token": "a", "token_type": "Bearer", "id_token": token});
    Json(answer).into_response()
}

/// A key, with what is shown of it.
fn key(kid: &str, algorithm: Algorithm) -> ((String, Algorithm, EncodingKey), Value) {
    let signature = match algorithm {
        Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        Algorithm::EdDSA => &rcgen::PKCS_ED25519,
        _ => &rcgen::PKCS_RSA_SHA256,
    };
    let pair = rcgen::KeyPair::generate_for(signature).unwrap();
    let der = pair.serialize_der();
    let key = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&der),
        Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
        // RFC 5958 around RFC 8017: what is inside begins after 26 bytes, for keys of this size.
        _ => EncodingKey::from_rsa_der(&der[26..]),
    };
    let mut shown = match algorithm {
        // What is shown of other forms of these keys than the shortest the library cannot tell.
        Algorithm::EdDSA => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key_raw())})
        }
        _ => serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap(),
    };
    merge(&mut shown, &json!({"kid": kid, "use": "sig"}));
    ((kid.to_owned(), algorithm, key), shown)
}

/// Puts members over others'; null takes one out.
fn merge(into: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => drop(into.as_object_mut().unwrap().remove(name)),
            value => into[name] = value.clone(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let part = |nth: usize| u32::from(chunk.get(nth).copied().unwrap_or(0)) << (16 - 8 * nth);
        let bits = part(0) | part(1) | part(2);
        for nth in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * nth)) as usize & 63]));
        }
    }
    text
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        out.push_str(&part[2..]);
    }
    out
}

async fn enforcer(oidc: Oidc) -> Enforcer {
    Enforcer::with(|mut parts| {
        parts.settings.oidc = Some(oidc);
        parts
    })
    .await
}

/// Goes to the provider: where the browser is sent.
async fn leave(browser: &mut Browser) -> Result<String, Shown> {
    let shown = browser.post("/console/login/oidc", &[("to", "/console/decisions")]).await;
    if shown.status != StatusCode::OK {
        return Err(shown);
    }
    let (_, rest) = shown.text.split_once("content=\"0;url=").unwrap();
    Ok(rest.split_once('"').unwrap().0.replace("&amp;", "&"))
}

/// Comes back from it, as a browser does: from another site, without strict cookies.
async fn come_back(browser: &mut Browser, query: &str) -> Shown {
    let from = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    browser.send(Method::GET, &format!("/console/login/callback?{query}"), &from, None).await
}

/// The whole way; whether the person is in.
async fn try_once(provider: &Provider, enforcer: &Enforcer) -> (Shown, bool) {
    let mut browser = Browser::new(enforcer.router.clone());
    let address = match leave(&mut browser).await {
        Ok(address) => address,
        Err(shown) => return (shown, false),
    };
    let (code, state) = provider.log_in(&address);
    let shown = come_back(&mut browser, &format!("code={code}&state={state}")).await;
    let is_in = browser.get("/console").await.status == StatusCode::OK;
    (shown, is_in)
}

#[tokio::test]
async fn a_person_of_the_provider_comes_in_and_goes_on_to_their_page() {
    let provider = Provider::start().await;
    let enforcer = enforcer(provider.settings()).await;
    let mut browser = Browser::new(enforcer.router.clone());
    assert!(browser.get("/console/login").await.text.contains("Continue with your organization"));

    let address = leave(&mut browser).await.unwrap_or_else(|shown| panic!("{}", shown.text));
    assert!(browser.cookies().starts_with("__Host-thoth-login="), "{}", browser.cookies());
    let (code, state) = provider.log_in(&address);
    let shown = come_back(&mut browser, &format!("code={code}&state={state}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(shown.text.contains(r#"content="0;url=/console/decisions""#), "{}", shown.text);
    let cookies: Vec<_> =
        shown.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(cookies[0].starts_with("__Host-thoth=") && cookies[0].contains("SameSite=Strict"));
    assert!(cookies[1].starts_with("__Host-thoth-login=;") && cookies[1].contains("Max-Age=0"));
    let page = browser.get("/console").await;
    assert!(page.text.contains("ada@acme.example"), "{}", page.text);

    // The way back leads in once, and only in the browser that began.
    let again = come_back(&mut browser, &format!("code={code}&state={state}")).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_kind_of_key_that_proves_something_counts() {
    for algorithm in
        [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256]
    {
        let provider = Provider::start().await;
        let enforcer = enforcer(provider.settings()).await;
        let (signs, shown) = key("k", algorithm);
        // Keys of kinds that nobody knows here are passed over.
        let strange = json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "new", "pub": "x"});
        provider.change(|memory| (memory.signs, memory.shows) = (signs, vec![strange, shown]));
        let (shown, is_in) = try_once(&provider, &enforcer).await;
        assert!(is_in, "{algorithm:?}: {}", shown.text);
    }
}

#[tokio::test]
async fn nobody_comes_in_with_a_token_that_is_not_good() {
    let provider = Provider::start().await;
    let now = clock::now().as_second();
    for (claim, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("aud", json!(["thoth", "other"])),
        ("azp", json!("other")),
        ("exp", json!(now - 3600)),
        ("exp", Value::Null),
        ("iat", json!(now - 7200)),
        ("iat", json!(now + 7200)),
        ("nonce", json!("another login's")),
        ("nonce", Value::Null),
        ("sub", Value::Null),
        ("email_verified", json!(false)),
        ("email_verified", Value::Null),
        ("email", Value::Null),
        ("email", json!("eve@evil.example")),
        ("email", json!("ada@acme.example.evil.example")),
    ] {
        let enforcer = enforcer(provider.settings()).await;
        provider.change(|memory| memory.claims = json!({claim: value}));
        let (shown, is_in) = try_once(&provider, &enforcer).await;
        assert!(!is_in && shown.status.is_client_error(), "{claim} {value}: {}", shown.status);
        assert!(
            !shown
                .headers
                .get_all("set-cookie")
                .iter()
                .any(|line| line.as_bytes().starts_with(b"__Host-thoth="))
        );
        provider.change(|memory| memory.claims = json!({}));
        assert!(try_once(&provider, &enforcer).await.1, "after {claim} {value}");
    }
}

#[tokio::test]
async fn nobody_comes_in_with_a_signature_that_proves_nothing() {
    let provider = Provider::start().await;
    let own = provider.memory.lock().unwrap().shows[0].clone();
    let public = own["x"].as_str().unwrap().to_owned();
    let part = |value: &Value| base64(value.to_string().as_bytes());
    let ((_, _, stranger), _) = key("k1", Algorithm::ES256);
    let claims = json!({
        "iss": provider.url, "sub": "1", "aud": "thoth", "exp": clock::now().as_second() + 300,
        "iat": clock::now().as_second(), "nonce": "?", "email": "ada@acme.example", "email_verified": true,
    });
    let head = |algorithm| {
        let mut head = Header::new(algorithm);
        head.kid = Some("k1".to_owned());
        head
    };
    let by_stranger = encode(&head(Algorithm::ES256), &claims, &stranger).unwrap();
    let with_public = EncodingKey::from_secret(public.as_bytes());
    let confused = encode(&head(Algorithm::HS256), &claims, &with_public).unwrap();
    let mut inside = head(Algorithm::ES256);
    inside.jwk = Some(Jwk::from_encoding_key(&stranger, Algorithm::ES256).unwrap());
    inside.jku = Some("https://evil.example/keys".to_owned());
    let with_own_key = encode(&inside, &claims, &stranger).unwrap();
    let unsigned = |algorithm: &str| {
        format!("{}.{}.", part(&json!({"alg": algorithm, "kid": "k1"})), part(&claims))
    };
    let mut critical = head(Algorithm::ES256);
    critical.crit = Some(vec!["exp".to_owned()]);
    let critical = encode(&critical, &claims, &stranger).unwrap();
    for (what, token) in [
        ("another key of the same name", by_stranger),
        ("the public key taken for a shared secret", confused),
        ("a key inside the token", with_own_key),
        ("no signature", unsigned("none")),
        ("no signature, spelled otherwise", unsigned("nOnE")),
        ("an empty signature", unsigned("ES256")),
        ("a demand nobody knows", critical),
        ("no token", "x.y.z".to_owned()),
        ("nothing", String::new()),
    ] {
        let enforcer = enforcer(provider.settings()).await;
        provider.change(|memory| memory.token = Some(token));
        let (shown, is_in) = try_once(&provider, &enforcer).await;
        assert!(!is_in && shown.status == StatusCode::UNAUTHORIZED, "{what}: {}", shown.status);
        assert!(shown.text.contains("cannot be trusted"), "{what}");
    }
}

#[tokio::test]
async fn a_key_signs_only_in_the_way_it_is_for() {
    for (what, members) in [
        ("a key to encrypt", json!({"use": "enc"})),
        ("a key for another algorithm", json!({"alg": "ES384"})),
        ("a key of another name", json!({"kid": "k2"})),
        (
            "a shared key",
            json!({"kty": "oct", "k": "c2VjcmV0", "crv": null, "x": null, "y": null, "alg": null}),
        ),
    ] {
        let provider = Provider::start().await;
        let enforcer = enforcer(provider.settings()).await;
        provider.change(|memory| merge(&mut memory.shows[0], &members));
        assert!(!try_once(&provider, &enforcer).await.1, "{what}");
    }
}

#[tokio::test]
async fn only_the_browser_that_began_a_login_can_end_it() {
    let provider = Provider::start().await;
    let enforcer = enforcer(provider.settings()).await;
    let mut ours = Browser::new(enforcer.router.clone());
    let (code, state) =
        provider.log_in(&leave(&mut ours).await.unwrap_or_else(|shown| panic!("{}", shown.text)));

    // Somebody else is sent our link back: it must not log them in as us.
    let mut other = Browser::new(enforcer.router.clone());
    let shown = come_back(&mut other, &format!("code={code}&state={state}")).await;
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED);
    leave(&mut other).await.unwrap_or_else(|shown| panic!("{}", shown.text));
    let shown = come_back(&mut other, &format!("code={code}&state={state}")).await;
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED);
    for query in [
        "code=x&state=y".to_owned(),
        format!("code={code}"),
        format!("state={state}&error=access_denied"),
        String::new(),
        format!("code={code}&state={state}&iss=https%3A%2F%2Fevil.example"),
    ] {
        let mut browser = Browser::new(enforcer.router.clone());
        browser.set_cookie(&ours.cookies());
        assert_eq!(
            come_back(&mut browser, &query).await.status,
            StatusCode::UNAUTHORIZED,
            "{query}"
        );
    }
    assert_eq!(provider.asked("token"), 0, "no code was given away");
    let shown = come_back(&mut ours, &format!("code={code}&state={state}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
}

#[tokio::test]
async fn nobody_is_let_in_where_nobody_is_listed_and_the_page_says_what_to_do() {
    let provider = Provider::start().await;
    let enforcer = enforcer(Oidc { allowed: Vec::new(), ..provider.settings() }).await;
    let (shown, is_in) = try_once(&provider, &enforcer).await;
    assert_eq!((shown.status, is_in), (StatusCode::FORBIDDEN, false));
    assert!(shown.text.contains("lists people"), "{}", shown.text);
}

#[tokio::test]
async fn the_clients_secret_goes_where_the_provider_takes_it() {
    for (methods, by) in [(json!(null), "basic"), (json!(["client_secret_post"]), "body")] {
        let provider = Provider::start().await;
        let secret = Some(ApiKey::parse("s3cret").unwrap());
        let enforcer = enforcer(Oidc { client_secret: secret, ..provider.settings() }).await;
        provider.change(|memory| {
            memory.description = json!({"token_endpoint_auth_methods_supported": methods});
        });
        assert!(try_once(&provider, &enforcer).await.1);
        assert_eq!(provider.memory.lock().unwrap().secret_by, Some(by));
    }
}

#[tokio::test]
async fn keys_that_change_are_asked_for_again_but_not_for_each_token() {
    let provider = Provider::start().await;
    let enforcer = enforcer(provider.settings()).await;
    assert!(try_once(&provider, &enforcer).await.1);
    assert_eq!((provider.asked("description"), provider.asked("keys")), (1, 1));
    // The provider signs with a new key: its name is not known, and asked for.
    let (signs, shown) = key("k2", Algorithm::EdDSA);
    provider.change(|memory| {
        memory.signs = signs;
        memory.shows.push(shown);
    });
    for _ in 0..2 {
        assert!(try_once(&provider, &enforcer).await.1);
    }
    assert_eq!((provider.asked("description"), provider.asked("keys")), (1, 2));
    // Names that nobody knows do not make us ask for each of them.
    provider.change(|memory| memory.head = json!({"kid": "k9"}));
    for _ in 0..2 {
        assert!(!try_once(&provider, &enforcer).await.1);
    }
    assert_eq!((provider.asked("description"), provider.asked("keys")), (1, 2));
}

#[tokio::test]
async fn who_is_taken_off_the_list_is_out_at_once() {
    let provider = Provider::start().await;
    let first = enforcer(provider.settings()).await;
    let mut browser = Browser::new(first.router.clone());
    let address = leave(&mut browser).await.unwrap_or_else(|shown| panic!("{}", shown.text));
    let (code, state) = provider.log_in(&address);
    come_back(&mut browser, &format!("code={code}&state={state}")).await;
    for (allowed, is_in) in [("@acme.example", true), ("bob@acme.example", false)] {
        let store = first.app.store.clone();
        let oidc = Oidc { allowed: vec![allowed.to_owned()], ..provider.settings() };
        let restarted = Enforcer::with(|mut parts| {
            (parts.store, parts.settings.oidc) = (store, Some(oidc));
            parts
        })
        .await;
        let mut same = Browser::new(restarted.router.clone());
        same.set_cookie(&browser.cookies());
        assert_eq!(same.get("/console").await.status == StatusCode::OK, is_in, "{allowed}");
    }
}

#[tokio::test]
async fn a_provider_that_describes_another_or_is_away_lets_nobody_in() {
    for description in [
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"jwks_uri": null}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
    ] {
        let provider = Provider::start().await;
        provider.change(|memory| memory.description = description.clone());
        let enforcer = enforcer(provider.settings()).await;
        let (shown, is_in) = try_once(&provider, &enforcer).await;
        assert_eq!((shown.status, is_in), (StatusCode::BAD_GATEWAY, false), "{description}");
        assert!(!shown.text.contains("evil.example"), "what it is, is for the log");
    }
    let away =
        Oidc { issuer: "http://127.0.0.1:1".to_owned(), ..Provider::start().await.settings() };
    let enforcer = enforcer(away).await;
    let shown = leave(&mut Browser::new(enforcer.router.clone())).await.unwrap_err();
    assert_eq!(shown.status, StatusCode::BAD_GATEWAY);
}
