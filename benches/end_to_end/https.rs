//! A bare HTTPS client: one connection, one request at a time, blocking, nothing but the bytes.
//!
//! The floor of asking an enforcer. HTTP/1.1, the cheaper of the two for one request at a time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::clock::now;
use crate::sampling::Subject;
use crate::setup::EnforcerFacts;
use crate::trouble::Trouble;
use crate::watch::PATIENCE;

/// A warm connection to the enforcer, and the question that is asked over it.
pub(crate) struct Https {
    stream: StreamOwned<ClientConnection, TcpStream>,
    question: Vec<u8>,
    answer: Vec<u8>,
}

/// What a sidecar asks about [`crate::request::Request::read_file`] in a session that has made as
/// many calls as are told: 128, which is most of the question.
fn question() -> String {
    let calls = vec!["\"read_file\""; 128].join(",");
    let body = format!(
        r#"{{"agent_id":"bench","tenant_id":"acme","user_id":"user@example.com","session_id":"0197a3c2-6f0e-7cc4-b1a5-6d8c3a1f2e90","tool_name":"read_file","approved_scope":[],"enforcement_mode":"progressive","session_tool_calls":[{calls}],"request_id":"0197a3c2-7a51-7d02-9d3c-1be0a4c55d77","environment":"dev","enforcement_trace_id":"0197a3c2-6f0e-7cc4-b1a5-6d8c3a1f2e90","action_attestation_id":"5b8f5ee5-3c55-4a0f-8a5c-44a1b8d0a0c5","identity_binding":{{"agent_id":"bench","tenant_id":"acme","user_id":"user@example.com"}},"tool_args":{{"path":"/srv/workspace/reports/2026/q3/summary.md","encoding":"utf-8","offset":0,"limit":2000,"purpose":"Summarise the quarter for the board"}}}}"#
    );
    format!(
        "POST /v1/enforce HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer bench\r\nx-api-key: bench\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

// === impl Https ===

impl Https {
    /// Connects and shakes hands.
    pub(crate) fn connect(enforcer: &EnforcerFacts) -> Result<Self, Trouble> {
        let said = |error: &dyn std::fmt::Display| Trouble::Enforcer(error.to_string());
        let mut roots = RootCertStore::empty();
        let authority =
            CertificateDer::from_pem_file(&enforcer.authority).map_err(|error| said(&error))?;
        roots.add(authority).map_err(|error| said(&error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| said(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(|error| said(&error))?;
        let connection =
            ClientConnection::new(Arc::new(config), name).map_err(|error| said(&error))?;

        let socket = TcpStream::connect(("127.0.0.1", enforcer.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: StreamOwned::new(connection, socket),
            question: question().into_bytes(),
            answer: vec![0; 16 * 1024],
        })
    }

    fn exchange(&mut self) -> Result<(), Trouble> {
        self.stream.write_all(&self.question)?;
        self.stream.flush()?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.answer[filled..])?;
            if read == 0 {
                return Err(Trouble::Enforcer("it closed the connection".to_owned()));
            }
            filled += read;
            if is_whole(&self.answer[..filled]) {
                return Ok(());
            }
        }
    }
}

impl Subject for Https {
    fn sample(&mut self) -> Result<Duration, Trouble> {
        let start = now();
        self.exchange()?;
        Ok(start.elapsed())
    }
}

/// Whether the head and as many bytes as it announces are there.
fn is_whole(answer: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return false;
    };
    let announced = memchr::memmem::find(&answer[..head], LENGTH).map_or(0, |at| {
        answer[at + LENGTH.len()..head]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    });
    answer.len() >= head + 4 + announced
}
