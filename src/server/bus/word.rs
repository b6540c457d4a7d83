//! A change as replicas write it to each other: `ORIGIN TENANT TOPIC ID`, or `ORIGIN *` for a gap.
//!
//! Postgres takes less than 8,000 bytes of it. A change that is longer is told as a gap, and one
//! that cannot be read, from a newer replica say, is heard as one.

use uuid::Uuid;

use super::{Change, Heard, Topic};
use crate::server::Tenant;

/// What Postgres takes of a notification, its final NUL counted.
const ROOM: usize = 8000;

/// Writes what this replica tells.
pub(super) fn write(origin: Uuid, heard: &Heard) -> String {
    let origin = origin.simple();
    let gap = format!("{origin} *");
    let Heard::Change(Change { tenant, topic }) = heard else { return gap };
    let (topic, id) = match topic {
        Topic::Approval(id) => ("approval", id.as_str()),
        Topic::Decisions => ("decisions", ""),
        Topic::Endpoint(id) => ("endpoint", id.as_str()),
        Topic::Key(id) => ("key", id.as_str()),
    };
    let word = format!("{origin} {} {topic} {id}", tenant.as_str());
    if word.len() < ROOM && !word.contains('\0') { word } else { gap }
}

/// Reads what a replica told; `None` where it was this one.
pub(super) fn read(origin: Uuid, word: &str) -> Option<Heard> {
    let mut parts = word.splitn(4, ' ');
    if parts.next() == Some(&origin.simple().to_string()) {
        return None;
    }
    let mut change = || {
        let tenant = Tenant::parse(parts.next()?).ok()?;
        let topic = match (parts.next()?, parts.next()?) {
            ("approval", id) => Topic::Approval(id.to_owned()),
            ("decisions", "") => Topic::Decisions,
            ("endpoint", id) => Topic::Endpoint(id.to_owned()),
            ("key", id) => Topic::Key(id.to_owned()),
            _ => return None,
        };
        Some(Change { tenant, topic })
    };
    Some(change().map_or(Heard::Gap, Heard::Change))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Uuid = Uuid::from_u128(1);
    const THERE: Uuid = Uuid::from_u128(2);

    fn change(topic: Topic) -> Heard {
        Heard::Change(Change { tenant: Tenant::parse("acme").unwrap(), topic })
    }

    /// What another replica hears.
    fn heard(told: &Heard) -> Heard {
        read(HERE, &write(THERE, told)).unwrap()
    }

    #[test]
    fn others_hear_what_was_told() {
        for topic in [
            Topic::Approval("apr_1".to_owned()),
            Topic::Decisions,
            Topic::Endpoint("a laptop, ünnamed \"x\"".to_owned()),
            Topic::Key(String::new()),
        ] {
            let Heard::Change(said) = heard(&change(topic.clone())) else { panic!("{topic:?}") };
            assert_eq!((said.tenant.as_str(), said.topic), ("acme", topic));
        }
        assert!(matches!(heard(&Heard::Gap), Heard::Gap));
    }

    #[test]
    fn a_replica_does_not_hear_itself() {
        for told in [change(Topic::Decisions), Heard::Gap] {
            assert!(read(HERE, &write(HERE, &told)).is_none());
        }
    }

    #[test]
    fn what_does_not_fit_is_told_as_a_gap() {
        let (long, nul) = ("x".repeat(8000), "a\0b".to_owned());
        for id in [long, nul] {
            let word = write(THERE, &change(Topic::Endpoint(id)));
            assert!(word.len() < 100 && matches!(read(HERE, &word), Some(Heard::Gap)));
        }
        let room = ROOM - write(THERE, &change(Topic::Endpoint(String::new()))).len() - 1;
        let fits = write(THERE, &change(Topic::Endpoint("x".repeat(room))));
        assert_eq!(fits.len(), ROOM - 1);
    }

    #[test]
    fn what_cannot_be_read_is_heard_as_a_gap() {
        for word in ["", "x", "x acme", "x acme key", "x ACME key 1", "x acme weather 1", "x * * *"]
        {
            assert!(matches!(read(HERE, word), Some(Heard::Gap)), "{word:?}");
        }
    }
}
