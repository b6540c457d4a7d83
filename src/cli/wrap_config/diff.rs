//! A change of a file as people read changes, without the secrets of the file.

use std::fmt::Write as _;
use std::path::Path;

use similar::{ChangeTag, TextDiff};

use crate::cli::printable::Printable;

/// How many lines are shown around a change.
const AROUND: usize = 2;

/// The change as a unified diff. Both texts are to be without secrets.
pub(in crate::cli) fn unified(path: &Path, before: &str, after: &str) -> String {
    let mut text = String::new();
    let path = path.to_string_lossy();
    let path = Printable(&path);
    let diff = TextDiff::from_lines(before, after);
    let mut all = diff.unified_diff();
    for hunk in all.context_radius(AROUND).iter_hunks() {
        if text.is_empty() {
            let _ = write!(text, "--- {path}\n+++ {path}\n");
        }
        let _ = writeln!(text, "{}", hunk.header());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value().trim_end_matches(['\r', '\n']);
            let line: Vec<_> = line.split('\t').map(|part| Printable(part).to_string()).collect();
            let _ = writeln!(text, "{sign}{}", line.join("\t"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_the_lines_around_it() {
        let before = "a\nb\nc\n\td\r\ne\nf\u{1b}[2J\n";
        let after = "a\nb\nc\n\tD\r\ne\nf\u{1b}[2J\n";
        let expected =
            "--- /etc/x\n+++ /etc/x\n@@ -2,5 +2,5 @@\n b\n c\n-\td\n+\tD\n e\n f\\u{1b}[2J\n";
        assert_eq!(unified(Path::new("/etc/x"), before, after), expected);
        assert_eq!(unified(Path::new("/etc/x"), before, before), "");
    }
}
