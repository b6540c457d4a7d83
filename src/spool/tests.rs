//! Writing and emptying a spool, in the face of deaths, damage and full disks.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::segment::{Medium, Segment};
use super::*;

const SECOND: i64 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

fn event(number: u128) -> Event {
    Event::new(Uuid::from_u128(number), format!("{{\"n\":{number}}}").into()).unwrap()
}

fn spool(limits: Limits) -> (TempDir, Spool) {
    let home = tempfile::tempdir().unwrap();
    let spool = Spool::open(home.path(), "s", "a place", limits).unwrap();
    (home, spool)
}

/// Small segments: a new one for each event.
fn single() -> Limits {
    Limits { segment_bytes: 1, ..Limits::default() }
}

fn drain(spool: &Spool) -> Drain {
    Drain::try_hold(spool.clone()).unwrap().unwrap()
}

fn numbers(window: &Window) -> Vec<u128> {
    window.events().map(|event| event.id().as_u128()).collect()
}

fn ids(window: &Window) -> HashSet<Uuid> {
    window.events().map(Event::id).collect()
}

/// Takes everything out, a few at a time.
fn empty(drain: &mut Drain, now: Timestamp) -> Vec<u128> {
    let mut all = Vec::new();
    loop {
        let window = drain.window(3, usize::MAX, now).unwrap();
        if window.is_empty() {
            return all;
        }
        all.extend(numbers(&window));
        drain.settle(&window, &ids(&window), 0).unwrap();
    }
}

fn files(spool: &Spool, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(spool.directory()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect()
}

#[test]
fn what_is_put_in_comes_out_once_in_order_and_leaves_nothing() {
    let (_home, spool) = spool(single());
    let mut writer = Writer::new(spool.clone());
    assert!(files(&spool, "lock").is_empty(), "nothing is made before the first event");
    for number in 0..5 {
        writer.append(&[event(2 * number), event(2 * number + 1)], at(0)).unwrap();
    }
    let mut drain = drain(&spool);
    assert_eq!(empty(&mut drain, at(1)), (0..10).collect::<Vec<_>>());
    assert_eq!(empty(&mut drain, at(1)), []);
    assert_eq!(spool.stock().segments, 1, "the one that may still grow");
    writer.append(&[event(10)], at(1)).unwrap();
    drop(writer);
    assert_eq!(empty(&mut drain, at(1)), [10]);
    assert_eq!(spool.stock(), Stock::default());
    assert!(files(&spool, "lock").len() <= 1, "its own, and no writer's");
    assert_eq!(spool.losses(), Losses::default());
}

#[test]
fn one_drains_for_all_and_the_next_takes_over_where_it_stopped() {
    let (_home, spool) = spool(Limits::default());
    let (mut one, mut other) = (Writer::new(spool.clone()), Writer::new(spool.clone()));
    one.append(&[event(1), event(2)], at(0)).unwrap();
    other.append(&[event(3)], at(1)).unwrap();
    let mut first = drain(&spool);
    assert!(Drain::try_hold(spool.clone()).unwrap().is_none());
    let window = first.window(1, usize::MAX, at(1)).unwrap();
    assert_eq!(numbers(&window), [1]);
    first.settle(&window, &ids(&window), 0).unwrap();
    drop(first);
    assert_eq!(empty(&mut drain(&spool), at(1)), [2, 3]);
}

#[test]
fn what_was_not_settled_is_given_out_again_and_the_rest_is_not() {
    let (_home, spool) = spool(Limits::default());
    Writer::new(spool.clone()).append(&[event(1), event(2), event(3)], at(0)).unwrap();
    let mut first = drain(&spool);
    let window = first.window(9, usize::MAX, at(0)).unwrap();
    let done = HashSet::from([event(1).id(), event(3).id()]);
    first.settle(&window, &done, 1).unwrap();
    assert_eq!(numbers(&first.window(9, usize::MAX, at(0)).unwrap()), [2]);
    drop(first); // it dies: what it knew beyond the cursor is forgotten
    assert_eq!(empty(&mut drain(&spool), at(0)), [2, 3]);
    assert_eq!(spool.losses(), Losses { refused: 1, ..Losses::default() });
}

#[test]
fn an_id_that_stands_twice_is_given_out_once() {
    let (_home, spool) = spool(single());
    let mut writer = Writer::new(spool.clone());
    for number in [1, 2, 1, 3, 2, 1] {
        writer.append(&[event(number)], at(0)).unwrap();
    }
    assert_eq!(empty(&mut drain(&spool), at(0)), [1, 2, 3]);
}

#[test]
fn a_window_is_bounded_by_bytes_and_never_empty_for_them() {
    let (_home, spool) = spool(Limits::default());
    Writer::new(spool.clone()).append(&[event(1), event(2), event(3)], at(0)).unwrap();
    assert_eq!(numbers(&drain(&spool).window(9, 1, at(0)).unwrap()), [1]);
    assert_eq!(numbers(&drain(&spool).window(9, 8, at(0)).unwrap()), [1, 2]);
}

#[test]
fn the_oldest_go_where_there_is_too_much_and_are_counted_for_good() {
    let line = 54 + event(1).bytes().len() as u64 + 1;
    let (_home, spool) = spool(Limits { bytes: 3 * line, ..single() });
    let mut writer = Writer::new(spool.clone());
    for number in 1..=9 {
        writer.append(&[event(number)], at(0)).unwrap();
    }
    assert!(spool.stock().bytes <= 4 * line, "{:?}", spool.stock());
    assert_eq!(spool.losses().evicted, 5);
    let mut drain = drain(&spool);
    assert_eq!(empty(&mut drain, at(0)), [7, 8, 9], "the youngest are kept");
    drop(drain);
    assert_eq!(spool.losses().total(), 6, "what was settled is not lost");
}

#[test]
fn what_is_too_old_goes_and_a_segment_of_the_living_stays() {
    let (_home, spool) = spool(Limits { age: Duration::from_secs(10), ..single() });
    Writer::new(spool.clone()).append(&[event(1)], at(0)).unwrap();
    let mut alive = Writer::new(spool.clone());
    alive.append(&[event(2)], at(0)).unwrap();
    let mut drain = drain(&spool);
    assert_eq!(empty(&mut drain, at(11 * SECOND)), [2]);
    drop(drain);
    assert_eq!(spool.losses().evicted, 1);
}

#[test]
fn a_segment_is_closed_by_its_age() {
    let (_home, spool) = spool(Limits::default());
    let mut writer = Writer::new(spool.clone());
    for second in [0, 3_599, 3_600, 3_601] {
        writer.append(&[event(u128::try_from(second).unwrap())], at(second * SECOND)).unwrap();
    }
    assert_eq!(spool.stock().segments, 2);
}

#[test]
fn a_writer_that_rests_keeps_nobody_from_its_segment() {
    let (_home, spool) = spool(Limits::default());
    let mut writer = Writer::new(spool.clone());
    writer.rest();
    writer.append(&[event(1)], at(0)).unwrap();
    writer.rest();
    let mut drain = drain(&spool);
    assert_eq!(empty(&mut drain, at(0)), [1]);
    assert_eq!((spool.stock(), files(&spool, "lock").len()), (Stock::default(), 1), "its own");
    writer.append(&[event(2)], at(0)).unwrap();
    assert_eq!(empty(&mut drain, at(0)), [2]);
    assert_eq!(spool.stock().segments, 1, "which may grow again");
}

#[test]
fn a_clock_that_is_set_back_changes_no_order() {
    let (_home, spool) = spool(single());
    let mut writer = Writer::new(spool.clone());
    for (number, second) in [(1, 9), (2, 5), (3, 5), (4, 0)] {
        writer.append(&[event(number)], at(second * SECOND)).unwrap();
    }
    assert_eq!(empty(&mut drain(&spool), at(0)), [1, 2, 3, 4]);
}

#[test]
fn a_segment_that_somebody_removed_is_begun_anew() {
    let (_home, spool) = spool(Limits::default());
    let mut writer = Writer::new(spool.clone());
    writer.append(&[event(1)], at(0)).unwrap();
    fs::remove_file(&files(&spool, "seg")[0]).unwrap();
    writer.append(&[event(2)], at(0)).unwrap();
    assert_eq!(empty(&mut drain(&spool), at(0)), [2]);
}

#[test]
fn damage_costs_the_lines_it_hits_and_is_counted_once() {
    let (_home, spool) = spool(Limits::default());
    Writer::new(spool.clone()).append(&[event(1), event(2), event(3)], at(0)).unwrap();
    let path = &files(&spool, "seg")[0];
    let mut bytes = fs::read(path).unwrap();
    let second = bytes.len() / 2;
    bytes[second] ^= 1;
    fs::write(path, bytes).unwrap();
    let mut drain = drain(&spool);
    for _ in 0..3 {
        assert_eq!(numbers(&drain.window(9, usize::MAX, at(0)).unwrap()), [1, 3]);
    }
    assert_eq!(empty(&mut drain, at(0)), [1, 3]);
    assert_eq!(spool.losses(), Losses { damaged: 1, ..Losses::default() });
}

#[test]
fn files_that_say_nonsense_are_no_obstacle() {
    let (_home, spool) = spool(Limits::default());
    Writer::new(spool.clone()).append(&[event(1)], at(0)).unwrap();
    for name in ["cursor.json", "losses.json"] {
        fs::write(spool.directory().join(name), "{\"x\":").unwrap();
    }
    fs::write(spool.directory().join("x.seg"), "x").unwrap();
    let mut drain = drain(&spool);
    let window = drain.window(9, usize::MAX, at(0)).unwrap();
    drain.settle(&window, &ids(&window), 1).unwrap();
    assert_eq!(spool.losses().refused, 1);
    assert_eq!(spool.stock(), Stock::default());
}

#[cfg(unix)]
#[test]
fn everything_in_it_is_this_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_home, spool) = spool(single());
    let mut writer = Writer::new(spool.clone());
    writer.append(&[event(1)], at(0)).unwrap();
    writer.append(&[event(2)], at(0)).unwrap();
    let mut drain = drain(&spool);
    let window = drain.window(1, usize::MAX, at(0)).unwrap();
    drain.settle(&window, &ids(&window), 1).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(spool.directory().to_owned()), 0o700);
    for entry in fs::read_dir(spool.directory()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn wherever_a_dead_writers_segment_is_cut_its_whole_lines_come_out() {
    let whole = {
        let (_home, spool) = spool(Limits::default());
        Writer::new(spool.clone()).append(&[event(1), event(2), event(30)], at(0)).unwrap();
        fs::read(&files(&spool, "seg")[0]).unwrap()
    };
    let ends = memchr::memchr_iter(b'\n', &whole).collect::<Vec<_>>();
    for cut in 0..=whole.len() {
        for rest in [&b""[..], &[0; 100]] {
            let (_home, spool) = spool(Limits::default());
            let mut writer = Writer::new(spool.clone());
            writer.append(&[event(9)], at(0)).unwrap();
            let torn = files(&spool, "seg").remove(0);
            fs::write(&torn, [&whole[..cut], rest].concat()).unwrap();
            drop(writer);
            Writer::new(spool.clone()).append(&[event(5)], at(1)).unwrap();
            let survived = ends.iter().filter(|end| **end < cut).count();
            let expected = [&[1, 2, 30][..survived], &[5]].concat();
            assert_eq!(empty(&mut drain(&spool), at(1)), expected, "{cut}");
            assert_eq!(spool.stock(), Stock::default(), "what is torn does not stay");
        }
    }
}

#[test]
fn a_line_that_is_being_written_is_waited_for() {
    let (_home, spool) = spool(Limits::default());
    let mut writer = Writer::new(spool.clone());
    writer.append(&[event(1), event(2)], at(0)).unwrap();
    let path = &files(&spool, "seg")[0];
    let whole = fs::read(path).unwrap();
    let mut drain = drain(&spool);
    let mut seen = Vec::new();
    for cut in 0..=whole.len() {
        fs::write(path, &whole[..cut]).unwrap();
        seen.extend(empty(&mut drain, at(0)));
    }
    assert_eq!(seen, [1, 2]);
    assert_eq!(spool.losses(), Losses::default());
}

/// A file with so much space left, that may also forget how to truncate, or to sync.
#[derive(Debug, Default)]
struct Faulty {
    bytes: Vec<u8>,
    space: usize,
    is_stuck: bool,
    is_unsynced: bool,
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.space.saturating_sub(self.bytes.len()));
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for &mut Faulty {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if self.is_stuck {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.bytes.truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.is_unsynced { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }
}

#[test]
fn a_full_disk_leaves_whole_records_or_a_segment_that_is_given_up() {
    for (fault, is_spoilt, left) in [
        (Faulty { space: 7, ..Faulty::default() }, false, 0),
        (Faulty { space: 7, is_stuck: true, ..Faulty::default() }, true, 7),
        (Faulty { space: 99, is_unsynced: true, ..Faulty::default() }, false, 0),
        (Faulty { space: 99, is_unsynced: true, is_stuck: true, ..Faulty::default() }, true, 10),
    ] {
        let mut medium = fault;
        let mut segment = Segment::new(&mut medium);
        let torn = segment.append(b"123456789\n").unwrap_err();
        assert_eq!((torn.is_spoilt, segment.len()), (is_spoilt, 0));
        assert_eq!(medium.bytes.len(), left);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn where_nothing_can_be_written_it_says_so_and_goes_on_later() {
    let (home, spool) = spool(Limits::default());
    let mut writer = Writer::new(spool.clone());
    fs::remove_dir_all(home.path().join("spool")).unwrap();
    let error = writer.append(&[event(1)], at(0)).unwrap_err();
    assert!(error.to_string().starts_with("cannot write to the spool "));
    Spool::open(home.path(), "s", "a place", Limits::default()).unwrap();
    writer.append(&[event(2)], at(0)).unwrap();
    assert_eq!(empty(&mut drain(&spool), at(0)), [2]);
}

/// One step of a spool's life.
#[derive(Clone, Debug)]
enum Step {
    /// A writer appends so many events.
    Append(usize, usize),
    /// A writer dies in the middle of a write, and another takes its place.
    Die(usize, usize),
    /// The drain gives out a window, and so many of it are settled.
    Drain(usize),
    /// The drain dies, after so many of a window were sent; the next one takes over.
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..3, 1_usize..4).prop_map(|(who, count)| Step::Append(who, count)),
        (0_usize..3, 0_usize..60).prop_map(|(who, torn)| Step::Die(who, torn)),
        (0_usize..5).prop_map(Step::Drain),
        (0_usize..5).prop_map(Step::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever dies, and whenever: every event that was taken arrives, and what arrives was taken.
    #[test]
    fn nothing_that_was_taken_is_lost(steps in prop::collection::vec(step(), 1..25)) {
        let (_home, spool) = spool(Limits { segment_bytes: 200, ..Limits::default() });
        let mut writers: Vec<_> = (0..3).map(|_| Writer::new(spool.clone())).collect();
        let mut holder = Some(drain(&spool));
        let (mut next, mut arrived) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Append(who, count) => {
                    let events: Vec<_> = (next..next + count as u128).map(event).collect();
                    next += count as u128;
                    writers[who].append(&events, at(0)).unwrap();
                }
                Step::Die(who, torn) => {
                    let before = files(&spool, "seg");
                    writers[who].append(&[event(next)], at(0)).unwrap();
                    next += 1;
                    writers[who] = Writer::new(spool.clone());
                    if let Some(last) = before.last() {
                        // Some segment of somebody ends in part of a line; a living writer's own
                        // next line is then behind it, which no crash does: only the dead are hit.
                        let name = last.file_name().unwrap().to_str().unwrap();
                        let writer = name[16..].trim_end_matches(".seg").parse().unwrap();
                        if !segment::is_alive(spool.directory(), writer) {
                            let mut file = OpenOptions::new().append(true).open(last).unwrap();
                            file.write_all(&[b'x'; 60][..torn]).unwrap();
                        }
                    }
                }
                Step::Drain(settled) => {
                    let drain = holder.as_mut().unwrap();
                    let window = drain.window(4, usize::MAX, at(0)).unwrap();
                    let done: HashSet<_> = window.events().take(settled).map(Event::id).collect();
                    arrived.extend(done.iter().map(Uuid::as_u128));
                    drain.settle(&window, &done, 0).unwrap();
                }
                Step::Lose(sent) => {
                    let dying = holder.as_mut().unwrap();
                    let window = dying.window(4, usize::MAX, at(0)).unwrap();
                    arrived.extend(numbers(&window).into_iter().take(sent));
                    drop(holder.take());
                    holder = Some(drain(&spool));
                }
            }
        }
        drop(writers);
        arrived.extend(empty(holder.as_mut().unwrap(), at(0)));
        arrived.sort_unstable();
        arrived.dedup();
        prop_assert_eq!(arrived, (0..next).collect::<Vec<_>>());
        prop_assert_eq!(spool.stock(), Stock::default());
        prop_assert_eq!(spool.losses().evicted, 0);
    }
}
