//! However a stream of events is cut up on its way in, the same events come out, and none is too
//! long.

use thoth::upstream::sse::{Event, Parser, TooLong};

/// The first byte chooses the limit, the second how the rest is cut up.
pub(crate) fn check(bytes: &[u8]) {
    let [limit, cut, stream @ ..] = bytes else { return };
    let limit = usize::from(*limit) + 1;
    let whole = events(stream, limit, stream.len().max(1));
    let chunked = events(stream, limit, usize::from(*cut) + 1);
    assert_eq!(whole, chunked, "where the bytes are cut makes a difference");
}

/// All events, and where the stream stands after them.
fn events(
    stream: &[u8],
    limit: usize,
    chunk: usize,
) -> (Vec<Result<Event, TooLong>>, Option<String>) {
    let mut parser = Parser::new(limit);
    let mut events = Vec::new();
    for bytes in stream.chunks(chunk) {
        parser.push(bytes);
        while let Some(event) = parser.next_event() {
            if let Ok(event) = &event {
                assert!(!event.data.is_empty() && event.data.len() <= limit);
            }
            events.push(event);
        }
        assert!(parser.held() <= 2 * limit + 8, "it holds more than it may");
    }
    (events, parser.last_id().map(str::to_owned))
}
