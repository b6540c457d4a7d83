//! Reads the body of a request: so much, and so long.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// Reads all of a body. Refused with a status: 413 as soon as it is too long, whatever it said its
/// length was; 408 where it takes too long; 400 where it breaks off.
pub(super) async fn read(
    body: Incoming,
    longest: usize,
    patience: Duration,
) -> Result<Bytes, StatusCode> {
    if body.size_hint().lower() > longest as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    timeout(patience, collect(body, longest)).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
}

async fn collect(mut body: Incoming, longest: usize) -> Result<Bytes, StatusCode> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(StatusCode::BAD_REQUEST) };
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > longest {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
