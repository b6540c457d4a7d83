//! A server that nobody ought to talk to, and that writes down whatever it hears.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A server that nobody ought to talk to.
pub(crate) struct Canary {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Canary {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let memory = Arc::clone(&heard);
        let serving = async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let at = {
                    let mut heard = memory.lock().unwrap();
                    heard.push(String::new());
                    heard.len() - 1
                };
                let mut bytes = vec![0; 64 * 1024];
                if let Ok(count) = stream.read(&mut bytes).await {
                    memory.lock().unwrap()[at] = String::from_utf8_lossy(&bytes[..count]).into();
                }
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        };
        Self { address, heard, _serving: AbortOnDropHandle::new(tokio::spawn(serving)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What each connection said; nothing, if all is well.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}
