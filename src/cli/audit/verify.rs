//! `thoth audit verify`: whether a journal is whole, and if not, where and how it was broken.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::Failed;
use crate::cli::printable::Printable;
use crate::journal::{self, KeptHead, Verified};
use crate::seal::{Digest, Fault, Head};

/// Check that no record of a journal was edited, moved, added, dropped or cut off
///
/// Exit status: 0 all are whole, 1 one is broken, 2 one cannot be read (and none is broken).
///
/// An open journal has no closing record: its session still runs, was killed, or its end was cut
/// off. The head kept beside a journal tells a cut; `--head` holds it against a head that you
/// kept yourself, which is what a forger cannot adjust.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  thoth audit verify ~/.thoth/journal")]
pub(super) struct Args {
    /// Journals, or directories with journals in them
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Count an open journal as broken
    #[arg(long)]
    closed: bool,
    /// A head of this journal that was kept elsewhere; for one file only
    #[arg(long, value_name = "SEQ:SEAL", value_parser = parse_head)]
    head: Option<Head>,
    /// Print one JSON object a journal
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Found {
    Whole,
    Unreadable,
    Broken,
}

impl Args {
    pub(super) fn run(self, out: &mut impl Write) -> Result<ExitCode, Failed> {
        let mut journals = Vec::new();
        for path in &self.paths {
            match journal::find(path) {
                Ok(found) if found.is_empty() => {
                    journals.push((path.clone(), Err("holds no journal".to_owned())));
                }
                Ok(found) => journals.extend(found.into_iter().map(|path| (path, Ok(())))),
                Err(error) => journals.push((path.clone(), Err(error.to_string()))),
            }
        }
        if self.head.is_some() && journals.len() > 1 {
            return Err(Failed::OneHead);
        }
        let mut worst = Found::Whole;
        for (path, found) in journals {
            let verified = found.and_then(|()| {
                journal::verify(&path, self.head).map_err(|error| error.to_string())
            });
            let found = self.tell(&path, verified, out).map_err(Failed::Write)?;
            worst = worst.max(found);
        }
        Ok(match worst {
            Found::Whole => ExitCode::SUCCESS,
            Found::Broken => ExitCode::from(1),
            Found::Unreadable => ExitCode::from(2),
        })
    }

    fn tell(
        &self,
        path: &Path,
        verified: Result<Verified, String>,
        out: &mut impl Write,
    ) -> io::Result<Found> {
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                let path = shown(path);
                if self.json {
                    let said = json!({"file": path, "status": "unreadable", "error": error});
                    writeln!(out, "{said}")?;
                } else {
                    writeln!(out, "{path}: cannot be read: {error}")?;
                }
                return Ok(Found::Unreadable);
            }
        };
        let open = self.closed && !verified.report.closed;
        let found = if verified.is_whole() && !open { Found::Whole } else { Found::Broken };
        if self.json {
            writeln!(out, "{}", as_json(path, &verified, found))?;
        } else {
            write_text(path, &verified, found, out)?;
        }
        Ok(found)
    }
}

fn write_text(
    path: &Path,
    Verified { report, kept }: &Verified,
    found: Found,
    out: &mut impl Write,
) -> io::Result<()> {
    let verdict = match (found, report.closed) {
        (Found::Whole, true) => "whole and closed",
        (Found::Whole, false) => "whole so far, not closed (still running, killed, or cut)",
        _ if report.findings.is_empty() && !report.closed => "BROKEN: not closed",
        _ => "BROKEN",
    };
    let kept = match kept {
        KeptHead::Absent => "no head kept beside it",
        KeptHead::Kept(_) => "held against the head beside it",
        KeptHead::Unreadable(_) => "the head beside it cannot be read",
    };
    writeln!(out, "{}: {verdict}", shown(path))?;
    writeln!(
        out,
        "  {} records, head {}:{}, {kept}",
        report.records, report.head.seq, report.head.seal
    )?;
    for finding in &report.findings {
        let (kind, text) = (kind(finding.fault), text(finding.fault));
        writeln!(out, "  line {}: {kind}: {text}", finding.line)?;
    }
    if report.more > 0 {
        writeln!(out, "  and {} more", report.more)?;
    }
    Ok(())
}

fn as_json(path: &Path, Verified { report, kept }: &Verified, found: Found) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let (kind, text) = (kind(finding.fault), text(finding.fault));
            json!({"line": finding.line, "kind": kind, "text": text})
        })
        .collect();
    json!({
        "file": shown(path),
        "status": if found == Found::Whole { "whole" } else { "broken" },
        "closed": report.closed,
        "records": report.records,
        "head": {"seq": report.head.seq, "seal": report.head.seal.to_string()},
        "head_beside": match kept {
            KeptHead::Absent => "absent",
            KeptHead::Kept(_) => "read",
            KeptHead::Unreadable(_) => "unreadable",
        },
        "findings": findings,
        "more": report.more,
    })
}

/// One word for a fault, for scripts.
fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::AfterEnd => "after_end",
        Fault::Copied { .. } => "inserted",
        Fault::Cut { .. } => "cut",
        Fault::Dropped { .. } => "dropped",
        Fault::Edited => "edited",
        Fault::Empty => "empty",
        Fault::Moved { .. } => "reordered",
        Fault::NotARecord => "not_a_record",
        Fault::Resealed { .. } => "resealed",
        Fault::Torn => "torn",
        Fault::Unlinked { .. } => "unlinked",
    }
}

fn text(fault: Fault) -> String {
    match fault {
        Fault::AfterEnd => "a record stands behind the closing record".into(),
        Fault::Copied { seq } => format!("record {seq} has its place elsewhere; this one is extra"),
        Fault::Cut { last: 0, head } => format!("all records up to {head} are gone"),
        Fault::Cut { last, head } => {
            format!("the file ends at record {last}, but record {head} had been written")
        }
        Fault::Dropped { first, last } if first == last => {
            format!("record {first} is missing before this line")
        }
        Fault::Dropped { first, last } => {
            format!("records {first} to {last} are missing before this line")
        }
        Fault::Edited => "the record does not fit its seal".into(),
        Fault::Empty => "there is no record".into(),
        Fault::Moved { seq } => format!("record {seq} stands behind one that came after it"),
        Fault::NotARecord => "this line is no record".into(),
        Fault::Resealed { seq } => {
            format!("record {seq} is not the one whose seal was kept: it was forged")
        }
        Fault::Torn => "the file ends inside a line: a write cut short by a crash, or a cut".into(),
        Fault::Unlinked { seq } => {
            format!("record {seq} was sealed behind another record than the one before it")
        }
    }
}

fn shown(path: &Path) -> String {
    Printable(&path.to_string_lossy()).to_string()
}

fn parse_head(text: &str) -> Result<Head, &'static str> {
    let wrong = "a head is a number, a colon, and 64 hexadecimal digits";
    let (seq, seal) = text.split_once(':').ok_or(wrong)?;
    Ok(Head {
        seq: seq.parse().map_err(|_| wrong)?,
        seal: Digest::parse(seal.as_bytes()).ok_or(wrong)?,
    })
}
