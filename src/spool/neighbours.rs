//! All spools of a home, also those of sinks that are no longer configured.
//!
//! Nobody drains such a spool, and nobody would hold it within its bounds: whoever has a sink at work
//! does that for all ([`expire`]).

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::{FOLDER, Limits, Losses, PLACE, Spool, Stock};

/// The longest name of a place that is shown, in characters.
const LONGEST: usize = 200;

/// Every spool below `home`: what people call its sink (or the directory's name, where it does not
/// say), what lies in it, and what it has lost. In the order of the directories' names; nothing where
/// nothing can be read.
///
/// Blocks, and changes nothing.
pub fn all(home: &Path) -> impl Iterator<Item = (String, Stock, Losses)> + use<> {
    names(home).into_iter().map({
        let home = home.to_owned();
        move |name| {
            let spool = Spool::at(&home, &name, Limits::default());
            let place = fs::read_to_string(spool.directory.join(PLACE)).unwrap_or_default();
            let place: String =
                place.trim().chars().filter(|each| !each.is_control()).take(LONGEST).collect();
            let place = if place.is_empty() { name } else { place };
            (place, spool.stock(), spool.losses())
        }
    })
}

/// Holds every spool below `home` within these limits, but those that somebody drains, who does so.
/// What goes is counted. Best effort.
///
/// Blocks.
pub fn expire(home: &Path, limits: Limits, now: Timestamp) {
    for name in names(home) {
        if let Err(error) = Spool::at(home, &name, limits).expire(now) {
            tracing::debug!(
                name,
                error = &error as &dyn std::error::Error,
                "a spool is not tidied"
            );
        }
    }
}

/// The directories, in order.
fn names(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home.join(FOLDER)).into_iter().flatten().flatten();
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut names: Vec<_> = entries
        .filter(is_directory)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::spool::{Drain, Event, Writer};

    fn event(number: u128) -> Event {
        Event::new(Uuid::from_u128(number), "{}".into()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spool(home: &Path, name: &str, place: &str) -> Spool {
        Spool::open(home, name, place, Limits::default()).unwrap()
    }

    #[test]
    fn every_spool_is_shown_whoever_it_was_for() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(all(home.path()).count(), 0, "also where there is none");
        Writer::new(spool(home.path(), "http-b", "https://b.example"))
            .append(&[event(1)], at(0))
            .unwrap();
        fs::create_dir(home.path().join("spool/http-a")).unwrap();
        fs::write(home.path().join("spool/stray"), "").unwrap();
        let found: Vec<_> = all(home.path())
            .map(|(place, stock, losses)| (place, stock.segments, losses.total()))
            .collect();
        assert_eq!(found, [("http-a".to_owned(), 0, 0), ("https://b.example".to_owned(), 1, 0)]);
    }

    #[test]
    fn what_nobody_drains_any_more_goes_when_it_is_too_old_and_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let week = Limits::default().age.as_secs().try_into().unwrap();
        let (old, new) = (spool(home.path(), "old", "o"), spool(home.path(), "new", "n"));
        Writer::new(old.clone()).append(&[event(1), event(2)], at(0)).unwrap();
        Writer::new(new.clone()).append(&[event(3)], at(week)).unwrap();
        expire(home.path(), Limits::default(), at(week + 1));
        assert_eq!((old.stock(), old.losses().evicted), (Stock::default(), 2));
        assert_eq!((new.stock().segments, new.losses().total()), (1, 0));
        expire(home.path(), Limits::default(), at(week + 2));
        assert_eq!(old.losses().evicted, 2, "once");
    }

    #[test]
    fn a_spool_that_is_being_drained_is_its_drains_business() {
        let home = tempfile::tempdir().unwrap();
        let spool = spool(home.path(), "s", "p");
        Writer::new(spool.clone()).append(&[event(1)], at(0)).unwrap();
        let mut drain = Drain::try_hold(spool.clone()).unwrap().unwrap();
        let late = at(0) + Limits::default().age + Duration::from_secs(1);
        expire(home.path(), Limits::default(), late);
        assert_eq!(spool.stock().segments, 1);
        assert!(drain.window(9, usize::MAX, late).unwrap().is_empty());
        drop(drain);
        assert_eq!((spool.stock().segments, spool.losses().evicted), (0, 1));
    }
}
