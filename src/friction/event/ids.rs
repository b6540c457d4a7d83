//! Event ids: `UUIDv7`, each greater than the one before it in the same session.

use jiff::Timestamp;
use uuid::Uuid;

/// The bits of an id that are neither time nor version.
const CHANCE: u32 = 74;

/// Gives out the ids of one session's events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    /// Milliseconds since 1970, and the bits of chance, of the id before.
    last: Option<(u64, u128)>,
}

// === impl Ids ===

impl Ids {
    /// The next id, of whose `random` bits 74 are used. Ids of one millisecond, and those after a
    /// clock was set back, count on from the one before by steps that nobody can guess.
    pub fn next(&mut self, at: Timestamp, random: u128) -> Uuid {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let (millis, chance) = match self.last {
            Some((last, chance)) if millis <= last => {
                let chance = chance + 1 + (random & 0xffff_ffff);
                (last + u64::from(chance >> CHANCE != 0), chance)
            }
            // The highest bit is left for those that count on.
            _ => (millis, random & ((1 << (CHANCE - 1)) - 1)),
        };
        let chance = chance & ((1 << CHANCE) - 1);
        self.last = Some((millis, chance));
        let (high, low) = (chance >> 62, chance & ((1 << 62) - 1));
        let time = u128::from(millis & 0xffff_ffff_ffff);
        Uuid::from_u128(time << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_its_time_and_is_greater_than_the_one_before() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let mut ids = Ids::default();
        let table = [
            (1_000, u128::MAX, 1_000),
            (1_000, 0, 1_000),
            (1_000, u128::MAX, 1_000),
            (2_000, 0, 2_000),
            (1_500, 7, 2_000), // the clock was set back
            (2_001, 0, 2_001),
        ];
        let mut before = Uuid::nil();
        for (millis, random, told) in table {
            let id = ids.next(at(millis), random);
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!(seconds * 1000 + u64::from(nanos) / 1_000_000, told);
            assert!(id > before, "{before} {id}");
            before = id;
        }
    }

    #[test]
    fn where_a_millisecond_is_used_up_the_next_one_is_begun() {
        let mut ids = Ids { last: Some((1_000, (1 << CHANCE) - 1)) };
        let id = ids.next(Timestamp::UNIX_EPOCH, 0);
        assert_eq!(ids.last, Some((1_001, 0)));
        assert_eq!(id.get_timestamp().unwrap().to_unix(), (1, 1_000_000));
    }
}
