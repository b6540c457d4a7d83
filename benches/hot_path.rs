//! What one call costs between its arrival and its departure: no pipe, no journal, no rules.
//!
//! `cargo bench --bench hot_path`. The same calls at three lengths: an everyday one, a page, and a
//! file. `framed` cuts the line out of the stream, `read` also reads it strictly, and `answered`
//! takes it all the way: decided, recorded, forwarded, and its answer matched and passed on.

use std::hint::black_box;
use std::time::Instant;

use bytes::BufMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thoth::gate::framing::{Framer, Line};
use thoth::gate::message::client;
use thoth::gate::record::{Record, Recorder};
use thoth::gate::session::{Effect, Input, Session, Settings};
use thoth::gate::verdict::{Facts, Judge, Verdict};

const LIMIT: usize = 64 << 20;
const ANSWER: &[u8] = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"written\"}],\"isError\":false}}\n";

/// Stands for the rules, and costs nothing.
struct Allow;

impl Judge for Allow {
    fn judge(&self, _: &Facts<'_>) -> Verdict {
        Verdict::allow()
    }
}

/// Stands for the journal, and costs nothing.
struct Blank;

impl Recorder for Blank {
    fn record(&mut self, record: &Record) -> bool {
        black_box(record);
        true
    }
}

/// A call of about `size` bytes: half of it prose with the escapes prose has, half small values.
fn call(size: usize) -> Vec<u8> {
    let prose = r#"The \"quarter\" closed at 4.2 % over plan; see /srv/q3.\n"#;
    let prose = prose.repeat(size / 2 / prose.len());
    let values = vec![r#"{"row":17,"sum":4.25}"#; size / 48].join(",");
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"write_file\",\
         \"arguments\":{{\"path\":\"/srv/workspace/q3.md\",\"content\":\"{prose}\",\"rows\":[{values}]}}}}}}\n"
    )
    .into_bytes()
}

/// The bytes as the one line they are.
fn framed(framer: &mut Framer, bytes: &[u8]) -> Line {
    framer.space().put_slice(bytes);
    match framer.next_line() {
        Some(Ok(line)) => line,
        Some(Err(_)) | None => unreachable!("it is one line, and within the limit"),
    }
}

/// Does what a session asks for, as the pump would. Returns how many bytes were to be written.
fn settle(session: &mut Session) -> usize {
    let mut written = 0;
    while let Some(effect) = session.poll_effect() {
        match effect {
            Effect::Record(record) => {
                black_box(record);
            }
            Effect::ToServer(line) => written += line.into_wire().len(),
            Effect::ToClient(line) => written += line.len(),
            Effect::Ask(_)
            | Effect::CloseServer
            | Effect::EndServer
            | Effect::Hold(_)
            | Effect::Note(_)
            | Effect::Release(_)
            | Effect::Reply(..)
            | Effect::Report(_)
            | Effect::Tell(_)
            | Effect::Wait(..)
            | Effect::Withdraw(_) => unreachable!("nothing but a call and its answer"),
        }
    }
    written
}

fn one_call(criterion: &mut Criterion) {
    #[expect(clippy::disallowed_methods, reason = "the session only compares it")]
    let now = Instant::now();
    for size in [300, 4 * 1024, 256 * 1024] {
        let bytes = call(size);
        let mut group = criterion.benchmark_group(format!("call of {} bytes", bytes.len()));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut framer = Framer::new(LIMIT);
        group.bench_function("framed", |bench| {
            bench.iter(|| framed(&mut framer, black_box(&bytes)));
        });
        group.bench_function("read", |bench| {
            bench.iter(|| client::read(framed(&mut framer, black_box(&bytes))));
        });
        let mut session = Session::new(Settings::default(), Some(Box::new(Allow)));
        let mut answers = Framer::new(LIMIT);
        group.bench_function("answered", |bench| {
            bench.iter(|| {
                session.handle(
                    Input::Client(Ok(framed(&mut framer, black_box(&bytes)))),
                    now,
                    &mut Blank,
                );
                let forwarded = settle(&mut session);
                session.handle(
                    Input::Server(Ok(framed(&mut answers, black_box(ANSWER)))),
                    now,
                    &mut Blank,
                );
                (forwarded, settle(&mut session))
            });
        });
        group.finish();
    }
}

criterion_group!(benches, one_call);
criterion_main!(benches);
