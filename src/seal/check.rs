//! Reads a chain from its first byte to its last and says what is wrong with it, and where.
//!
//! Sans-I/O: bytes go in through [`Checker::push`], cut up in any way; the answer comes out of
//! [`Checker::finish`]. A line may be of any length: it is hashed as it passes, and only its first
//! and last bytes are held. Faults beyond [`Checker::KEPT`] are counted, not kept.
//!
//! A fault is a reading of the traces, not a confession: a line put in the place of another looks
//! like an edit. What is certain is that a chain without a fault is, up to its head, the one that
//! was sealed.

use super::Head;
use super::line::{Kind, Line, Said};

/// Something that is wrong, and the line it shows at, counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The line.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong at a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A record stands behind the record that closed the journal.
    AfterEnd,
    /// A record that stands elsewhere as well, or whose place is taken.
    Copied {
        /// Its number.
        seq: u64,
    },
    /// The file ends before the record that the head kept elsewhere names.
    Cut {
        /// The number of the last record in the file.
        last: u64,
        /// The number that the head names.
        head: u64,
    },
    /// Records are missing before this line.
    Dropped {
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// The seal does not fit the record: one of the two was changed.
    Edited,
    /// There is no record at all.
    Empty,
    /// A record stands behind one that came after it.
    Moved {
        /// Its number.
        seq: u64,
    },
    /// The line is not shaped like a record.
    NotARecord,
    /// The record is whole, but is not the one that the head kept elsewhere names: it, or one
    /// before it, was changed and everything behind it sealed anew.
    Resealed {
        /// Its number.
        seq: u64,
    },
    /// The file ends inside a line: a write that a crash cut short, or a cut.
    Torn,
    /// The record is whole, but was sealed behind another record than the one before it.
    Unlinked {
        /// Its number.
        seq: u64,
    },
}

/// What a whole file came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// How many lines hold a record whose seal fits it.
    pub records: u64,
    /// The last record in its place.
    pub head: Head,
    /// Whether that record closes the journal. An open journal is still being written, was
    /// killed, or was cut: alone, its file cannot tell which.
    pub closed: bool,
    /// What is wrong, in the order of lines; empty for a whole journal.
    pub findings: Vec<Finding>,
    /// How many faults were found beyond those in `findings`.
    pub more: u64,
}

/// Checks one chain.
#[derive(Debug)]
pub struct Checker {
    line: Line,
    number: u64,
    /// Heads that were kept elsewhere, until their records have been seen.
    known: Vec<Head>,
    /// The last record in its place.
    head: Head,
    closed: bool,
    /// Lines since `head` that may each be a record that can no longer be recognised.
    blind: u64,
    /// Records that were passed over, and may turn up later.
    missing: Vec<Missing>,
    records: u64,
    findings: Vec<Finding>,
    more: u64,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    line: u64,
    first: u64,
    last: u64,
}

// === impl Checker ===

impl Checker {
    /// How many findings are kept.
    pub const KEPT: usize = 100;

    /// Starts at the first byte of a file. `known` are heads of this journal that were kept
    /// elsewhere: the chain must pass through them.
    pub fn new(known: impl IntoIterator<Item = Head>) -> Self {
        Self {
            line: Line::default(),
            number: 0,
            known: known.into_iter().filter(|head| head.seq > 0).collect(),
            head: Head::ORIGIN,
            closed: false,
            blind: 0,
            missing: Vec::new(),
            records: 0,
            findings: Vec::new(),
            more: 0,
        }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.split_last() {
                Some((b'\n', rest)) => {
                    self.line.push(rest);
                    self.number += 1;
                    match std::mem::take(&mut self.line).finish() {
                        None => self.unknown(Fault::NotARecord),
                        Some(said) if !said.fits => self.unknown(Fault::Edited),
                        Some(said) => self.record(&said),
                    }
                }
                _ => self.line.push(part),
            }
        }
    }

    /// Whether the last byte so far was not the end of a line.
    pub fn inside_a_line(&self) -> bool {
        self.line.begun
    }

    /// Takes the end of the file.
    pub fn finish(mut self) -> Report {
        if self.line.begun {
            self.number += 1;
            self.found(Fault::Torn);
        } else if self.number == 0 {
            self.number = 1;
            self.found(Fault::Empty);
        }
        let last = self.head.seq + self.blind;
        if let Some(head) = self.known.iter().map(|known| known.seq).max()
            && head > last
        {
            self.found(Fault::Cut { last, head });
        }
        for Missing { line, first, last } in std::mem::take(&mut self.missing) {
            self.found_at(line, Fault::Dropped { first, last });
        }
        self.findings.sort_by_key(|finding| finding.line);
        Report {
            records: self.records,
            head: self.head,
            closed: self.closed,
            findings: self.findings,
            more: self.more,
        }
    }

    /// A line that no longer shows which record it was, if it was one.
    fn unknown(&mut self, fault: Fault) {
        self.blind += 1;
        self.found(fault);
    }

    /// A line whose seal fits it.
    fn record(&mut self, said: &Said) {
        let (seq, next) = (said.seq, self.head.seq + 1);
        if (seq == 1) != (said.kind == Kind::Session) {
            return self.unknown(Fault::NotARecord);
        }
        self.records += 1;
        let about = |known: &mut Head| known.seq == seq;
        let known: Vec<Head> = self.known.extract_if(.., about).collect();
        if known.iter().any(|known| known.seal != said.seal) {
            self.found(Fault::Resealed { seq });
        }
        if seq < next {
            let fault =
                if self.turned_up(seq) { Fault::Moved { seq } } else { Fault::Copied { seq } };
            return self.found(fault);
        }
        if self.closed {
            self.found(Fault::AfterEnd);
        }
        if seq == next && said.prev != self.head.seal {
            self.found(Fault::Unlinked { seq });
        } else if seq > next.saturating_add(self.blind) {
            self.passed_over(self.number, next + self.blind, seq - 1);
        }
        self.blind = 0;
        self.closed = said.kind == Kind::End;
        self.head = Head { seq, seal: said.seal };
    }

    fn passed_over(&mut self, line: u64, first: u64, last: u64) {
        if first > last {
            // The one that turned up stood at this end of what was missing.
        } else if self.missing.len() < Self::KEPT {
            self.missing.push(Missing { line, first, last });
        } else {
            self.more += 1;
        }
    }

    /// Whether a record was missing so far. It no longer is.
    fn turned_up(&mut self, seq: u64) -> bool {
        let Some(at) =
            self.missing.iter().position(|missing| (missing.first..=missing.last).contains(&seq))
        else {
            return false;
        };
        let Missing { line, first, last } = self.missing.swap_remove(at);
        self.passed_over(line, first, seq - 1);
        self.passed_over(line, seq + 1, last);
        true
    }

    fn found(&mut self, fault: Fault) {
        self.found_at(self.number, fault);
    }

    fn found_at(&mut self, line: u64, fault: Fault) {
        if self.findings.len() < Self::KEPT {
            self.findings.push(Finding { line, fault });
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Digest, HEX};
    use super::*;

    /// A closed journal of so many records, a line each.
    fn lines(records: u64) -> Vec<Vec<u8>> {
        let mut head = Head::ORIGIN;
        (1..=records)
            .map(|seq| {
                let kind = match seq {
                    1 => "session",
                    seq if seq == records => "end",
                    _ => "decision",
                };
                let mut line = Vec::new();
                head.begin(&mut line, "2026-01-02T03:04:05.000006Z", kind);
                line.extend_from_slice(br#","tool":"read""#);
                line.extend(std::iter::repeat_n(b' ', usize::try_from(seq % 5 * 40).unwrap()));
                head = head.seal(&mut line);
                line
            })
            .collect()
    }

    fn check(bytes: &[u8], known: Option<Head>) -> Report {
        let mut checker = Checker::new(known);
        checker.push(bytes);
        checker.finish()
    }

    fn faults(lines: &[Vec<u8>]) -> Vec<(u64, Fault)> {
        let report = check(&lines.concat(), None);
        let pair = |finding: Finding| (finding.line, finding.fault);
        report.findings.into_iter().map(pair).collect()
    }

    #[test]
    fn a_whole_journal_has_no_fault() {
        let lines = lines(6);
        let report = check(&lines.concat(), None);
        assert_eq!(report.findings, []);
        assert!(report.closed);
        assert_eq!((report.records, report.head.seq), (6, 6));
        assert!(!check(&lines[..5].concat(), None).closed);
    }

    #[test]
    fn an_edited_record_is_named() {
        let mut lines = lines(6);
        let at = lines[2].iter().position(|&byte| byte == b'r').unwrap();
        lines[2][at] = b'R';
        assert_eq!(faults(&lines), [(3, Fault::Edited)]);
    }

    #[test]
    fn dropped_records_are_named() {
        let mut lines = lines(9);
        lines.drain(2..5);
        let (first, last) = (3, 5);
        assert_eq!(faults(&lines), [(3, Fault::Dropped { first, last })]);
        lines.remove(0);
        let expected =
            [(1, Fault::Dropped { first: 1, last: 1 }), (2, Fault::Dropped { first, last })];
        assert_eq!(faults(&lines), expected);
    }

    #[test]
    fn a_moved_record_is_named() {
        let mut lines = lines(6);
        lines.swap(2, 3);
        assert_eq!(faults(&lines), [(4, Fault::Moved { seq: 3 })]);
        lines.swap(0, 1);
        let expected = [(2, Fault::Moved { seq: 1 }), (4, Fault::Moved { seq: 3 })];
        assert_eq!(faults(&lines), expected);
    }

    #[test]
    fn an_inserted_line_is_named() {
        let whole = lines(6);
        let with = |at: usize, line: &[u8]| {
            let mut lines = whole.clone();
            lines.insert(at, line.to_vec());
            faults(&lines)
        };
        assert_eq!(with(4, &whole[1]), [(5, Fault::Copied { seq: 2 })]);
        assert_eq!(with(6, &whole[5]), [(7, Fault::Copied { seq: 6 })]);
        assert_eq!(with(3, b"{}\n"), [(4, Fault::NotARecord)]);
        assert_eq!(with(3, b"\n"), [(4, Fault::NotARecord)]);
        assert_eq!(with(0, &[0xff, b'\n']), [(1, Fault::NotARecord)]);
    }

    #[test]
    fn a_record_sealed_anew_does_not_link() {
        let mut lines = lines(6);
        let mut forged = Vec::new();
        let prev =
            Head { seq: 2, seal: Digest::parse(&lines[1][lines[1].len() - 67..][..HEX]).unwrap() };
        prev.begin(&mut forged, "2026-01-02T03:04:05.000006Z", "decision");
        let _ = prev.seal(&mut forged);
        lines[2] = forged;
        assert_eq!(faults(&lines), [(4, Fault::Unlinked { seq: 4 })]);
    }

    #[test]
    fn nothing_stands_behind_the_end() {
        let mut lines = lines(6);
        let mut more = Vec::new();
        let head = check(&lines.concat(), None).head;
        head.begin(&mut more, "2026-01-02T03:04:05.000006Z", "decision");
        let _ = head.seal(&mut more);
        lines.push(more);
        assert_eq!(faults(&lines), [(7, Fault::AfterEnd)]);
    }

    #[test]
    fn a_head_kept_elsewhere_shows_a_cut_and_a_chain_sealed_anew() {
        let lines = lines(6);
        let head = check(&lines.concat(), None).head;
        let cut = check(&lines[..4].concat(), Some(head));
        assert_eq!(cut.findings[0].fault, Fault::Cut { last: 4, head: 6 });
        let seal = super::super::digest(b"another");
        let anew = check(&lines.concat(), Some(Head { seq: 3, seal }));
        let line = 3;
        let fault = Fault::Resealed { seq: 3 };
        assert_eq!(anew.findings, [Finding { line, fault }]);
        // A head that is behind, as after a kill, proves what it covers and accuses nobody.
        let behind = check(&lines[..4].concat(), None).head;
        assert_eq!(check(&lines.concat(), Some(behind)).findings, []);
        let nothing = check(b"", Some(head));
        assert_eq!(nothing.findings.len(), 2, "empty, and cut");
    }

    #[test]
    fn a_torn_line_is_named() {
        let lines = lines(3).concat();
        let report = check(&lines[..lines.len() - 1], None);
        let fault = Fault::Torn;
        assert_eq!(report.findings, [Finding { line: 3, fault }]);
        assert_eq!(check(b"", None).findings[0].fault, Fault::Empty);
    }

    #[test]
    fn a_flood_of_faults_is_counted_not_kept() {
        let report = check(&b"x\n".repeat(1_000), None);
        assert_eq!(report.findings.len(), Checker::KEPT);
        assert_eq!(report.more, 900);
        let mut apart = Vec::new();
        for line in lines(1_001).iter().step_by(2).rev() {
            apart.extend_from_slice(line);
        }
        let report = check(&apart, None);
        assert_eq!(report.findings.len(), Checker::KEPT);
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_found(records in 1_u64..8, at: prop::sample::Index, to: u8) {
            let mut bytes = lines(records).concat();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert_ne!(check(&bytes, None).findings, []);
        }

        #[test]
        fn any_byte_put_in_or_taken_out_is_found(
            records in 1_u64..8, at: prop::sample::Index, byte: Option<u8>,
        ) {
            let mut bytes = lines(records).concat();
            let at = at.index(bytes.len());
            match byte {
                Some(byte) => bytes.insert(at, byte),
                None => drop(bytes.remove(at)),
            }
            prop_assert_ne!(check(&bytes, None).findings, []);
        }

        #[test]
        fn any_swap_drop_or_copy_of_lines_is_found(
            records in 2_u64..9, a: prop::sample::Index, b: prop::sample::Index,
        ) {
            let whole = lines(records);
            let (a, b) = (a.index(whole.len()), b.index(whole.len()));
            let mut copied = whole.clone();
            copied.insert(b, whole[a].clone());
            prop_assert_ne!(faults(&copied), []);
            let mut dropped = whole.clone();
            dropped.remove(a);
            let report = check(&dropped.concat(), None);
            // Dropped at the end, it leaves an open journal, and a head kept elsewhere tells.
            prop_assert!(!report.findings.is_empty() || !report.closed);
            let head = check(&whole.concat(), None).head;
            prop_assert_ne!(check(&dropped.concat(), Some(head)).findings, []);
            prop_assume!(a != b);
            let mut swapped = whole;
            swapped.swap(a, b);
            prop_assert_ne!(faults(&swapped), []);
        }

        #[test]
        fn any_cut_is_found(records in 1_u64..8, from: prop::sample::Index, to: prop::sample::Index) {
            let bytes = lines(records).concat();
            let head = check(&bytes, None).head;
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()) + 1);
            let rest = [&bytes[..from], &bytes[to.max(from + 1)..]].concat();
            prop_assert_ne!(check(&rest, Some(head)).findings, []);
            let tail = check(&bytes[..from], None);
            prop_assert!(!tail.findings.is_empty() || !tail.closed);
        }

        #[test]
        fn how_bytes_are_cut_up_does_not_matter(
            mut bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..600),
                (1_u64..6).prop_map(|records| lines(records).concat()),
            ],
            edit: Option<(prop::sample::Index, u8)>,
            sizes in prop::collection::vec(1_usize..300, 1..20),
        ) {
            if let Some((at, to)) = edit && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            let whole = check(&bytes, None);
            let mut checker = Checker::new(None);
            let (mut rest, mut sizes) = (&bytes[..], sizes.into_iter().cycle());
            while !rest.is_empty() {
                let part;
                (part, rest) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                checker.push(part);
            }
            prop_assert_eq!(checker.finish(), whole);
        }
    }
}
