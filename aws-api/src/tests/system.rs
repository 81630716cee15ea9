//! What comes of the process itself.

use std::collections::HashSet;

use crate::system::SystemRandom;
use crate::time::Random;

#[test]
fn no_number_comes_twice() {
    let random = SystemRandom::default();
    let numbers: HashSet<u64> = (0..1_000).map(|_| random.next_u64()).collect();
    assert_eq!(numbers.len(), 1_000);
}

#[test]
fn two_sources_differ() {
    assert_ne!(SystemRandom::default().next_u64(), SystemRandom::default().next_u64());
}
