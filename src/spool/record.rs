//! One event as a line of a segment: `<checksum> <id> <json>\n`. Pure.
//!
//! The checksum is the start of the SHA-256 of what follows it, so that what a crash left behind (a part
//! of a line, or a page of zeros) is never taken for an event. Lines begin anew after each line end,
//! so that damage costs the lines it hits and no others.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::event::{Event, MAX_EVENT};

/// The checksum's length, in hexadecimal digits.
const CHECKSUM: usize = 16;
/// What stands before the JSON.
const HEAD: usize = CHECKSUM + 1 + Hyphenated::LENGTH + 1;

/// The longest line, line end included.
pub(super) const LONGEST: usize = HEAD + MAX_EVENT + 1;

/// Appends an event's line.
pub(super) fn write(line: &mut Vec<u8>, event: &Event) {
    let mut id = [0; Hyphenated::LENGTH];
    let id = event.id().hyphenated().encode_lower(&mut id).as_bytes();
    let body = [id, b" ", event.bytes()];
    line.extend_from_slice(&checksum(&body));
    line.push(b' ');
    for part in body {
        line.extend_from_slice(part);
    }
    line.push(b'\n');
}

/// Reads a line without its end. `None` where it is not one that was written.
pub(super) fn read(line: &Bytes) -> Option<Event> {
    let body = line.get(CHECKSUM + 1..)?;
    if line[CHECKSUM] != b' ' || line[..CHECKSUM] != checksum(&[body]) {
        return None;
    }
    let id = Uuid::try_parse_ascii(body.get(..Hyphenated::LENGTH)?).ok()?;
    let json = (body.get(Hyphenated::LENGTH) == Some(&b' ')).then(|| line.slice(HEAD..))?;
    Event::new(id, json).ok()
}

fn checksum(parts: &[&[u8]]) -> [u8; CHECKSUM] {
    let mut sha256 = Sha256::new();
    for part in parts {
        sha256.update(part);
    }
    let mut digits = [0; CHECKSUM];
    hex::encode_to_slice(&sha256.finalize()[..CHECKSUM / 2], &mut digits)
        .unwrap_or_else(|_| unreachable!("two digits for each byte"));
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(event: &Event) -> Bytes {
        let mut line = Vec::new();
        write(&mut line, event);
        assert_eq!(line.pop(), Some(b'\n'));
        line.into()
    }

    #[test]
    fn a_line_looks_like_this() {
        let event = Event::new(Uuid::nil(), "{\"a\":1}".into()).unwrap();
        assert_eq!(line(&event), "8d8c3c1a0eaf237f 00000000-0000-0000-0000-000000000000 {\"a\":1}");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_nothing_else(
            id: u128, json in "\\{[^\r\n]{0,40}\\}", at: prop::sample::Index, bit in 0_u32..8,
        ) {
            let event = Event::new(Uuid::from_u128(id), json.into()).unwrap();
            let whole = line(&event);
            prop_assert_eq!(read(&whole), Some(event));
            let at = at.index(whole.len());
            prop_assert_eq!(read(&whole.slice(..at)), None);
            prop_assert_eq!(read(&whole.slice(at + 1..)), None);
            let mut flipped = whole.to_vec();
            flipped[at] ^= 1_u8 << bit;
            prop_assert_eq!(read(&flipped.into()), None);
        }
    }
}
