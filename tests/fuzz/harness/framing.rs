//! However bytes are cut up on their way in, the same lines come out, and none is too long.

use bytes::BufMut;
use thoth::gate::framing::Framer;

/// The first byte chooses the limit, the second how the rest is cut up.
pub(crate) fn check(bytes: &[u8]) {
    let [limit, cut, stream @ ..] = bytes else { return };
    let limit = usize::from(*limit) + 1;
    let whole = lines(stream, limit, stream.len().max(1));
    let chunked = lines(stream, limit, usize::from(*cut) + 1);
    assert_eq!(whole, chunked, "where the bytes are cut makes a difference");
}

fn lines(stream: &[u8], limit: usize, chunk: usize) -> Vec<Result<Vec<u8>, usize>> {
    let mut framer = Framer::new(limit);
    let mut lines = Vec::new();
    let mut take = |line: Result<thoth::gate::framing::Line, thoth::gate::framing::TooLong>| {
        if let Ok(line) = &line {
            assert!(line.as_bytes().len() <= limit && !line.as_bytes().contains(&b'\n'));
        }
        lines.push(line.map(|line| line.as_bytes().to_vec()).map_err(|long| long.len));
    };
    for bytes in stream.chunks(chunk) {
        framer.space().put_slice(bytes);
        while let Some(line) = framer.next_line() {
            take(line);
        }
    }
    while let Some(line) = framer.last_line() {
        take(line);
    }
    lines
}
