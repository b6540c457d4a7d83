//! What the local rules cost by the call: 10 and 100 rules, with and without conditions.
//!
//! The call is typical: one tool of a file server, a kilobyte of arguments. Nine rules in ten are
//! about other tools, unless the name says otherwise.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start should say so and stop")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use thoth::gate::verdict::{Calls, Facts, Judge};
use thoth::policy::{BoundPolicy, Pack, Policy, PolicySet, Who};

const HEAD: &str = "[policy]\nid='bench'\nversion=1\ndefault='block'\n";

/// `count` rules, of which every `about`-th is about the tool that is called.
fn rules(count: usize, about: usize, when: &str) -> BoundPolicy {
    let mut text = HEAD.to_owned();
    for number in 0..count {
        let (tool, effect) = match (number % about, number % 4) {
            (0, 0) => ("read_*".to_owned(), "allow"),
            (0, _) => ("*_file".to_owned(), "block"),
            _ => (format!("other_{number}_*"), "block"),
        };
        let when = when.replace('#', &number.to_string());
        let when = if effect == "allow" { String::new() } else { when };
        writeln!(text, "[[rule]]\nid='r{number}'\ntools=['{tool}']\neffect='{effect}'\n{when}")
            .unwrap();
    }
    bind(Policy::parse("bench", &text).unwrap())
}

fn bind(policy: Policy) -> BoundPolicy {
    PolicySet::new(vec![policy]).unwrap().bind(Who::default())
}

fn bench(c: &mut Criterion) {
    let simple = "when='args.path.startsWith(\"/etc/#/\")'";
    let heavy = "when='has(args.path) && (args.path.matches(\"(^|/)[.][.](/|$)\") || args.tags.exists(t, t == \"secret#\"))'";
    let content = "lorem ipsum ".repeat(75);
    let small = format!(
        r#"{{"path":"/srv/public/notes/a.txt","tags":["a","b","c"],"limit":10,"content":"{content}"}}"#
    );
    let large = format!(
        r#"{{"path":"/srv/public/a.txt","tags":["a"],"content":"{}"}}"#,
        "lorem ipsum\\n".repeat(80_000)
    );
    let calls = Calls::default();
    let never = "when='false'";
    let none = "agents=['somebody else']";
    for (name, judge, arguments) in [
        ("10 rules, no condition", rules(10, 10, none), &small),
        ("100 rules, no condition", rules(100, 10, none), &small),
        ("10 rules, 1 in 10 with a condition", rules(10, 10, simple), &small),
        ("100 rules, 1 in 10 with a condition", rules(100, 10, simple), &small),
        ("100 rules, all with the least condition", rules(100, 1, never), &small),
        ("100 rules, all with a condition", rules(100, 1, simple), &small),
        ("100 rules, 1 in 10 with regex and loop", rules(100, 10, heavy), &small),
        ("100 rules, 1 in 10 with a condition, 1 MB", rules(100, 10, simple), &large),
        ("baseline pack", bind(Pack::named("baseline").unwrap().policy().unwrap()), &small),
        ("filesystem pack", bind(Pack::named("filesystem").unwrap().policy().unwrap()), &small),
    ] {
        let facts = Facts { tool: "read_text_file", arguments, annotations: None, calls: &calls };
        c.bench_function(name, |b| {
            b.iter(|| judge.judge(black_box(&facts)));
        });
    }
    let hostile = format!(r#"{{"a":[{}0]}}"#, "0,".repeat(500_000));
    let loops = "[[rule]]\nid='r'\neffect='block'\nwhen='args.a.all(x, args.a.all(y, x + y == 0))'";
    let judge = bind(Policy::parse("bench", &format!("{HEAD}{loops}")).unwrap());
    let facts = Facts { tool: "t", arguments: &hostile, annotations: None, calls: &calls };
    c.bench_function("a loop that gives up, 1 MB", |b| {
        b.iter(|| judge.judge(black_box(&facts)));
    });
    c.bench_function("loading the baseline pack", |b| {
        b.iter(|| Pack::named("baseline").unwrap().policy().unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2))
        .warm_up_time(std::time::Duration::from_millis(500));
    targets = bench
}
criterion_main!(benches);
