//! The server behind everything that is measured: cheap, and the same for every line.
//!
//! `--result-bytes N` makes the result of a call that large. `--together N` answers calls only
//! once N of them have come, or when no more come for a second: then that many are in flight.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use memchr::{memchr, memmem};

use super::{number, pipes};
use crate::request::MARK;

/// What is answered to what; each text follows the id.
struct Answers {
    initialize: Vec<u8>,
    tools_list: Vec<u8>,
    tools_call: Vec<u8>,
    other: Vec<u8>,
}

const CHUNK: usize = 64 * 1024;

/// Answers lines until there are no more.
pub(super) fn play(arguments: &[String]) -> io::Result<()> {
    let answers = Answers::new(number(arguments, "--result-bytes").unwrap_or(0));
    let (input, mut output) = pipes()?;
    match number(arguments, "--together") {
        None => answer_each(input, &mut output, &answers),
        Some(count) => answer_together(input, &mut output, &answers, count),
    }
}

fn answer_each(input: File, output: &mut File, answers: &Answers) -> io::Result<()> {
    let mut out = Vec::new();
    each_chunk_of_lines(input, |chunk| {
        out.clear();
        for line in lines(chunk) {
            answers.answer(line, &mut out);
        }
        output.write_all(&out)
    })
}

/// Lines without their newlines.
fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', chunk).map(move |end| {
        let line = &chunk[start..end];
        start = end + 1;
        line
    })
}

/// Passes on whole lines, as many at a time as were read at once.
fn each_chunk_of_lines(
    mut input: File,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut begun = Vec::new();
    loop {
        let read = input.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        let Some(last) = memchr::memrchr(b'\n', &chunk[..read]) else {
            begun.extend_from_slice(&chunk[..read]);
            continue;
        };
        if begun.is_empty() {
            each(&chunk[..=last])?;
        } else {
            begun.extend_from_slice(&chunk[..=last]);
            each(&begun)?;
            begun.clear();
        }
        begun.extend_from_slice(&chunk[last + 1..read]);
    }
}

fn answer_together(
    input: File,
    output: &mut File,
    answers: &Answers,
    count: usize,
) -> io::Result<()> {
    let (line, heads) = mpsc::channel();
    let reader = thread::spawn(move || {
        each_chunk_of_lines(input, |chunk| {
            for whole in lines(chunk) {
                let head = whole[..whole.len().min(200)].to_vec(); // id and method: all it needs
                let _ = line.send(head);
            }
            Ok(())
        })
    });
    let mut kept = Vec::new();
    let mut calls = 0;
    loop {
        let next = heads.recv_timeout(Duration::from_secs(1));
        match &next {
            Ok(line) if method(line) == b"tools/call" => {
                answers.answer(line, &mut kept);
                calls += 1;
            }
            Ok(line) => {
                let mut out = Vec::new();
                answers.answer(line, &mut out);
                output.write_all(&out)?;
            }
            Err(_) => {}
        }
        if calls >= count || next.is_err() {
            output.write_all(&kept)?;
            kept.clear();
            calls = 0;
        }
        if let Err(mpsc::RecvTimeoutError::Disconnected) = next {
            return reader.join().unwrap_or_else(|_| unreachable!("reading does not panic"));
        }
    }
}

// === impl Answers ===

impl Answers {
    fn new(result_bytes: usize) -> Self {
        let line = r#"42 \"lines\" of a report, each as long as this one; see /srv/q3.\n"#;
        let text = format!("{MARK} {}", line.repeat(result_bytes / line.len()));
        let tools: Vec<String> = ["read_file", "write_file", "list_directory", "git_status"]
            .iter()
            .map(|name| {
                format!(
                    r#"{{"name":"{name}","description":"{name}, for a bench","inputSchema":{{"type":"object","properties":{{"path":{{"type":"string"}}}},"required":["path"]}}}}"#
                )
            })
            .collect();
        let result = |text: String| format!(",\"result\":{text}}}\n").into_bytes();
        Self {
            initialize: result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench-echo","version":"1"}}"#
                    .to_owned(),
            ),
            tools_list: result(format!(r#"{{"tools":[{}]}}"#, tools.join(","))),
            tools_call: result(format!(
                r#"{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}"#
            )),
            other: result("{}".to_owned()),
        }
    }

    /// Appends the answer to one line; a notification gets none.
    fn answer(&self, line: &[u8], out: &mut Vec<u8>) {
        let Some(id) = after(line, b"\"id\":") else {
            return;
        };
        let digits = id.iter().take_while(|byte| byte.is_ascii_digit()).count();
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(&id[..digits]);
        out.extend_from_slice(match method(line) {
            b"initialize" => &self.initialize,
            b"tools/list" => &self.tools_list,
            b"tools/call" => &self.tools_call,
            _ => &self.other,
        });
    }
}

fn method(line: &[u8]) -> &[u8] {
    let Some([b'"', rest @ ..]) = after(line, b"\"method\":") else {
        return b"";
    };
    &rest[..memchr(b'"', rest).unwrap_or(0)]
}

/// What follows a member's name, without the blanks that some writers put there.
fn after<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(line, name)? + name.len();
    Some(line[at..].trim_ascii_start())
}
