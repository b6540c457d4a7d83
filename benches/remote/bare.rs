//! A client that speaks HTTP itself, on one warm connection: the floor.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::{call, now};

/// The client, and what runs it.
pub(crate) struct Bare {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    next_id: u64,
}

impl Bare {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Ok::<_, Box<dyn Error>>(sender)
        })?;
        Ok(Self { runtime, sender, next_id: 1 })
    }

    /// From sending a call to the first bytes of what it is answered with.
    pub(crate) fn call(&mut self, tool: &str) -> Result<Duration, Box<dyn Error>> {
        let message = call(self.next_id, tool);
        self.next_id += 1;
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            sender.ready().await?;
            let start = now();
            let request = Request::post("/mcp")
                .header("host", "127.0.0.1")
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .body(Full::from(message))?;
            let mut body = sender.send_request(request).await?.into_body();
            let first = body.frame().await.ok_or("no answer")??;
            let elapsed = start.elapsed();
            drop(first);
            body.collect().await?;
            Ok(elapsed)
        })
    }
}
