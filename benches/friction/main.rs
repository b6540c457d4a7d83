//! What friction events cost: writing and scrubbing them, and scrubbing what is sent to be slow.
//!
//! ```text
//! cargo bench --bench friction
//! ```
//!
//! Three tables: microseconds for the two events of a call, by the size of its arguments and
//! result; microseconds to scrub ordinary documents; milliseconds to scrub one hostile megabyte,
//! beside copying it, and how that grows with two and with four. Each figure is the least of several
//! runs, in the thread's own time: what the machine can do. Nothing is asserted.

#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]

mod hostile;

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use thoth::friction::event::payload::{CallStep, Intent, Payload};
use thoth::friction::event::{Origin, Stamp, Stream, Wire};
use thoth::friction::raw::{Raw, RawObject};
use thoth::friction::scrub::{Counts, Scrubber};
use uuid::Uuid;

const MEGABYTE: usize = 1 << 20;

fn main() -> io::Result<()> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(()); // `cargo test --all-targets`: nobody waits for numbers
    }
    let mut out = io::stdout().lock();
    calls(&mut out)?;
    ordinary(&mut out)?;
    hostile(&mut out)
}

/// Start and end of one call, drafted and scrubbed.
fn calls(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:<28} {:>10} {:>10}", "start and end of a call", "µs", "MB/s")?;
    for (what, size) in [("tiny", 20), ("1 KB", 1_000), ("10 KB", 10_000), ("1 MB", MEGABYTE)] {
        let arguments = arguments(size);
        let result = result(size);
        let mut stream = stream();
        let scrubber = Scrubber::default();
        let mut counts = Counts::default();
        let took = least(|| {
            let mut bytes = 0;
            for step in [
                CallStep::Start { params: object(&arguments), intent: Intent::default() },
                CallStep::End { result: Raw::read(result.as_bytes()), duration_ms: Some(1) },
            ] {
                let payload = Payload::Call { call_id: "s-1-7", tool: "read_file", step };
                let draft = stream.draft(stamp(), None, &payload);
                bytes +=
                    draft.map_or(0, |draft| draft.scrub(&scrubber, &mut counts).as_str().len());
            }
            bytes
        });
        let bytes = arguments.len() + result.len();
        writeln!(out, "{what:<28} {:>10.1} {:>10.0}", micros(took), per_second(bytes, took))?;
    }
    writeln!(out)
}

/// Documents as servers send them.
fn ordinary(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:<28} {:>10} {:>10}", "scrubbing", "µs", "MB/s")?;
    let table = [
        ("10 KB of JSON", rows(10_000)),
        ("10 KB of prose", quoted(&prose(10_000))),
        ("10 KB of JSON in a string", quoted(&rows(10_000))),
        ("10 KB of source code", quoted(&code(10_000))),
        ("10 KB with 20 secrets", quoted(&with_secrets(10_000))),
        ("1 MB of JSON", rows(MEGABYTE)),
        ("1 MB of prose", quoted(&prose(MEGABYTE))),
        ("a picture of 5 MB", picture(5 * MEGABYTE)),
    ];
    for (what, text) in &table {
        let took = least(|| scrub(text));
        writeln!(out, "{what:<28} {:>10.1} {:>10.0}", micros(took), per_second(text.len(), took))?;
    }
    writeln!(out)
}

/// One megabyte that was sent to be slow, and two, and four.
fn hostile(out: &mut impl Write) -> io::Result<()> {
    let copied = "e".repeat(MEGABYTE);
    let floor = least(|| black_box(black_box(copied.as_str()).to_owned()).len());
    writeln!(out, "copying 1 MB takes {:.3} ms", micros(floor) / 1e3)?;
    writeln!(out, "{:<40} {:>9} {:>7} {:>7}", "hostile megabyte", "ms", "2 MB", "4 MB")?;
    let mut worst = (0.0, String::new());
    let [ones, twos, fours] = [MEGABYTE, 2 * MEGABYTE, 4 * MEGABYTE].map(texts);
    for (((name, one), (_, two)), (_, four)) in ones.iter().zip(&twos).zip(&fours) {
        let [one, two, four] = [one, two, four].map(|text| micros(few(|| scrub(text))) / 1e3);
        let name = name.escape_debug();
        writeln!(out, "{name:<40} {one:>9.2} {:>7.2} {:>7.2}", two / one, four / one)?;
        if one > worst.0 {
            worst = (one, name.to_string());
        }
    }
    writeln!(out, "the slowest: {:.2} ms, {}", worst.0, worst.1)
}

/// Everything hostile, at a size; what is written in more bytes for JSON is as much longer.
fn texts(size: usize) -> Vec<(String, String)> {
    let strings = hostile::texts(size).map(|(name, text)| (name, quoted(&text)));
    let documents = hostile::documents(size).into_iter();
    strings.chain(documents.map(|(name, text)| (name.to_owned(), text))).collect()
}

fn scrub(text: &str) -> usize {
    let value = Raw::read(text.as_bytes()).unwrap_or_else(|| unreachable!("it is JSON"));
    Scrubber::default().scrub(black_box(value), &mut Counts::default()).len()
}

// What is scrubbed.

fn arguments(size: usize) -> String {
    format!("{{\"path\":\"/srv/workspace/q3.md\",\"content\":{}}}", quoted(&prose(size / 2)))
}

fn result(size: usize) -> String {
    let text = quoted(&prose(size / 2));
    format!("{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}],\"isError\":false}}")
}

fn prose(size: usize) -> String {
    "The \"quarter\" closed at 4.2 % over plan, as Ms. Ekström said; see /srv/q3 (page 17).\n"
        .repeat(size / 86 + 1)
}

fn rows(size: usize) -> String {
    let row = r#"{"id":"019fedb9-89f5-724a-8e26-e31b08fd3557","row":17,"sum":4.25,"at":"2026-11-21T00:32:58Z","title":"Quarterly figures, draft","open":true,"tags":["finance","q3"]}"#;
    format!("{{\"rows\":[{}]}}", vec![row; size / row.len() + 1].join(","))
}

fn code(size: usize) -> String {
    let code = "    fn next(&mut self) -> Option<u8> {\n        let byte = self.text.get(self.at)?; // 0x1f\n        self.at += 1;\n        Some(*byte)\n    }\n\n";
    code.repeat(size / code.len() + 1)
}

fn with_secrets(size: usize) -> String {
    let mut text = prose(size / 20);
    text.push_str("jane.doe@example.com, 415-555-1234, password=hunter2\n");
    text.repeat(20)
}

/// An image as tools send it: base64 that is as good as random.
fn picture(size: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut seed: u64 = 7;
    let data: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(seed >> 58) as usize])
    })
    .take(size / 4 * 4)
    .collect();
    format!(
        "{{\"content\":[{{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"{data}\"}}]}}"
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn object(text: &str) -> RawObject<'_> {
    RawObject::read(text.as_bytes()).unwrap_or_else(|| unreachable!("it is an object"))
}

fn stream() -> Stream {
    let label = || "acme".to_owned();
    let origin = Origin {
        session: "019fedb9-89f5-724a-8e26-e31b08fd3557".to_owned(),
        session_minted: true,
        tenant: label(),
        vendor: label(),
        consent: label(),
        software: "thoth/0.1.0".to_owned(),
        principal: None,
    };
    Stream::new(Wire::W3, origin)
}

fn stamp() -> Stamp {
    Stamp {
        id: Uuid::from_u128(0x019f_edb9_89f5_724a_8e26_e31b_08fd_3557),
        at: Timestamp::UNIX_EPOCH,
    }
}

// How it is measured.

/// The least that it took, for as many times as it takes to be sure.
fn least(work: impl FnMut() -> usize) -> Duration {
    repeat(work, Duration::from_millis(150))
}

/// The same for what is slow.
fn few(work: impl FnMut() -> usize) -> Duration {
    repeat(work, Duration::from_millis(30))
}

fn repeat(mut work: impl FnMut() -> usize, budget: Duration) -> Duration {
    let begun = now();
    let mut least = Duration::MAX;
    for nth in 0.. {
        let start = now();
        black_box(work());
        let end = now();
        least = least.min(end.saturating_sub(start));
        if nth >= 2 && end.saturating_sub(begun) > budget {
            break;
        }
    }
    least
}

/// How long this thread has worked: others that use the processor do not count.
#[cfg(target_os = "linux")]
fn now() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Into::into)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn per_second(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
