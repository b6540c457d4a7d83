//! A tiny enforcer: real TLS on loopback, HTTP/1.1 and HTTP/2, and ALLOW to everything.
//!
//! `--directory DIR` is where it puts its authority's certificate, `authority.pem`. Its first line
//! of output says the port and the SHA-256 of its own certificate. `--together N` answers only
//! once N questions wait, or a second after one was asked: then that many calls are held.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::number;

/// Where questions wait for each other, if they do.
type Together = Option<Arc<Barrier>>;

/// What the enforcer says to everything.
const ANSWER: &[u8] = br#"{"decision":"ALLOW","reason":"within the approved scope","risk_score":0.12,"latency_ms":1.5,"decision_reason_code":"in_scope","action_classification":"read"}"#;

/// Serves until standard input ends.
pub(super) fn play(arguments: &[String]) -> io::Result<()> {
    let directory = arguments
        .iter()
        .position(|argument| argument == "--directory")
        .and_then(|at| arguments.get(at + 1))
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("no --directory"))?;
    let together = number(arguments, "--together").map(|count| Arc::new(Barrier::new(count)));
    let (tls, pin) = certify(&directory).map_err(io::Error::other)?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut out = io::stdout();
        writeln!(out, "{port} {pin}")?;
        out.flush()?;
        let client_left = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            served = serve(listener, TlsAcceptor::from(tls), together) => served,
            _ = client_left => Ok(()),
        }
    })
}

/// Makes an authority, and a certificate that it signs. Returns the certificate's SHA-256, too.
fn certify(
    directory: &std::path::Path,
) -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(directory.join("authority.pem"), authority.pem())?;

    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let leaf: CertificateDer<'static> = leaf.der().clone();
    let pin = hex::encode(Sha256::digest(&leaf));

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf], key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(tls), pin))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, together: Together) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        connections.spawn(converse(socket, tls.clone(), together.clone()));
    }
}

/// A connection that fails is the measured client's trouble: it will say so.
async fn converse(socket: TcpStream, tls: TlsAcceptor, together: Together) {
    let Ok(stream) = tls.accept(socket).await else {
        return;
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    let answer = service_fn(move |question| answer(question, together.clone()));
    let _ = if is_h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(64 << 20)
            .serve_connection(stream, answer)
            .await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).await
    };
}

async fn answer(
    question: Request<Incoming>,
    together: Together,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = question.into_body().collect().await;
    if let Some(together) = together {
        let _ = tokio::time::timeout(Duration::from_secs(1), together.wait()).await;
    }
    let mut response = Response::new(Full::from(ANSWER));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}
