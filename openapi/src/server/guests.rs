//! How many connections each address has: one client must not take all the places.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::limit::network;

/// Counts connections by address.
#[derive(Clone)]
pub(super) struct Guests {
    /// At most so many of each; `None`: as many as there are places.
    most: Option<usize>,
    present: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection, as long as it is counted.
pub(super) struct Guest {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    pub(super) fn new(most: Option<usize>) -> Self {
        Self { most, present: Arc::default() }
    }

    /// Counts one more connection; `None` when its address has enough.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Guest> {
        let address = network(address);
        let mut present = self.present();
        let count = present.entry(address).or_default();
        if self.most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Guest { guests: self.clone(), address })
    }

    fn present(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self.guests.present();
        let left = present.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            present.remove(&self.address);
        } else {
            present.insert(self.address, left);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_others_have_theirs() {
        let guests = Guests::new(Some(2));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = guests.enter(address("2001:db8::1")).unwrap();
        let _second = guests.enter(address("2001:db8::2")).unwrap();
        assert!(guests.enter(address("2001:db8::3")).is_none(), "one customer has a whole /64");
        let _other = guests.enter(address("192.0.2.1")).unwrap();
        drop(first);
        let _next = guests.enter(address("2001:db8::1")).unwrap();
        assert!(guests.enter(address("2001:db8::1")).is_none());
        let unbounded = Guests::new(None);
        let all: Vec<_> = (0..10).filter_map(|_| unbounded.enter(address("192.0.2.1"))).collect();
        assert_eq!(all.len(), 10);
        drop(all);
        assert!(unbounded.present().is_empty(), "nothing is remembered of who has gone");
    }
}
