//! The demonstration's table, as text.

use std::io::{self, Write};
use std::time::Duration;

use super::session::Row;
use crate::cli::printable::Printable;

const HEAD: [&str; 6] = ["tool", "arguments", "decision", "code", "rule", "time"];

/// The widest a cell may be, in characters; the rest of a longer one is left out.
const WIDEST: usize = 44;

/// Writes one line for each call, and one below it for whatever was not as decided.
pub(super) fn write(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    let cells: Vec<[String; 6]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    write_line(&HEAD.map(str::to_owned), &widths, out)?;
    write_line(&widths.map(|width| "-".repeat(width)), &widths, out)?;
    for (cells, row) in cells.iter().zip(rows) {
        write_line(cells, &widths, out)?;
        for wrong in &row.wrong {
            writeln!(out, "  NOT AS DECIDED: {wrong}")?;
        }
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 6] {
    let rules = &row.verdict.grounds.rule_ids;
    [
        cut(&row.tool),
        cut(&row.arguments),
        row.verdict.effect.word().to_owned(),
        row.code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
        if rules.is_empty() { "(default)".to_owned() } else { cut(&rules.join(", ")) },
        milliseconds(row.took),
    ]
}

fn write_line(cells: &[String; 6], widths: &[usize; 6], out: &mut impl Write) -> io::Result<()> {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
}

/// At most [`WIDEST`] characters, none of which moves the cursor: tool names are the server's.
fn cut(text: &str) -> String {
    let mut shown = Printable(text).to_string();
    if let Some((at, _)) = shown.char_indices().nth(WIDEST) {
        shown.truncate(at);
        shown.pop();
        shown.push('…');
    }
    shown
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::verdict::{Effect, Grounds, Verdict};

    #[test]
    fn columns_line_up_and_long_cells_are_cut() {
        let row = |arguments: &str, effect, code, rules: &[&str], wrong: &[&str]| Row {
            tool: "a\u{1b}b".to_owned(),
            arguments: arguments.to_owned(),
            verdict: Verdict {
                effect,
                grounds: Grounds {
                    rule_ids: rules.iter().map(|&id| id.to_owned()).collect(),
                    ..Grounds::default()
                },
            },
            code,
            took: Duration::from_micros(1_250),
            wrong: wrong.iter().map(|&text| text.to_owned()).collect(),
        };
        let rows = [
            row("{}", Effect::Allow, None, &["a", "b"], &[]),
            row(&"é".repeat(50), Effect::Block, Some(-32001), &[], &["it ran"]),
        ];
        let mut out = Vec::new();

        write(&rows, &mut out).unwrap();

        let long = format!("{}…", "é".repeat(43));
        let expected = [
            format!("tool      arguments{}  decision  code    rule       time", " ".repeat(35)),
            format!("--------  {}  --------  ------  ---------  ------", "-".repeat(44)),
            format!("a\\u{{1b}}b  {{}}{}  allow     -       a, b       1.2 ms", " ".repeat(42)),
            format!("a\\u{{1b}}b  {long}  block     -32001  (default)  1.2 ms"),
            "  NOT AS DECIDED: it ran".to_owned(),
        ];
        assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), expected);
    }
}
