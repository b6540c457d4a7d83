//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Whom connections and failed attempts are counted under: an IPv4 address, or the IPv6 network of
/// 64 bits that a single host is usually given whole.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Neighbour(IpAddr);

/// Room for connections. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<Neighbour, usize>,
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    of: Neighbour,
}

impl From<IpAddr> for Neighbour {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        })
    }
}

// === impl Room ===

impl Room {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self(Arc::new(Shared { most, most_of_one, taken: Mutex::default() }))
    }

    /// A place for a connection from there, where there is one left.
    pub(super) fn enter(&self, of: Neighbour) -> Option<Place> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.0.most {
            return None;
        }
        let count = taken.of.entry(of).or_default();
        if *count >= self.0.most_of_one {
            return None;
        }
        *count += 1;
        taken.all += 1;
        Some(Place { room: self.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Neighbour {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn one_address_cannot_take_the_room_of_all() {
        let room = Room::new(3, 2);
        let one = of("192.0.2.1");
        let places = [room.enter(one), room.enter(one)];
        assert!(places.iter().all(Option::is_some));
        assert!(room.enter(one).is_none(), "its share is taken");
        let other = room.enter(of("192.0.2.2")).unwrap();
        assert!(room.enter(of("192.0.2.3")).is_none(), "the room is full");
        drop(other);
        drop(places);
        assert!(room.enter(one).is_some());
        assert!(room.0.taken.lock().unwrap().of.is_empty(), "nobody who left is remembered");
    }

    #[test]
    fn a_host_is_one_neighbour_by_whichever_of_its_addresses() {
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
