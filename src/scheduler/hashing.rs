//! Hashing of the core's keys, which are a few numbers each: a multiplication for each, in place of the rounds that text
//! needs. They come from outside only as hashes of session ids and fields, and the secret start, another one for each
//! core, keeps who chooses those from choosing slots. Nothing depends on the order of a map.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Makes the hashers of one core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

/// What has been hashed so far.
#[derive(Debug)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    /// Once more, so that the last number reaches every bit, too.
    fn finish(&self) -> u64 {
        fold(self.0)
    }

    /// For the completeness of the trait: the keys are numbers.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // Turned, so that keys of the same numbers in another order differ.
        self.0 = fold(self.0 ^ number).rotate_left(23);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.cast_unsigned());
    }
}

/// The golden ratio: every bit of the number reaches the middle of the product, and both halves are kept.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn fold(number: u64) -> u64 {
    let product = u128::from(number) * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "tens of thousands of steps of one thread")]
    fn keys_that_are_close_are_spread_over_the_slots() {
        for keyed in [Keyed(0), Keyed(u64::MAX), Keyed::default()] {
            let slots = |step: u64| -> usize {
                let low = |n: u64| keyed.hash_one((7_u32, n.wrapping_mul(step))) % 4096;
                (0..4096).map(low).collect::<HashSet<_>>().len()
            };
            // As many as chance would fill, or about: 63 %.
            for step in [1, 2, 1 << 12, 1 << 32, 1 << 51, 0x9E37_79B9_7F4A_7C15] {
                assert!(slots(step) > 2000, "{step:#x}: {}", slots(step));
            }
            assert_ne!(keyed.hash_one((1_u32, 2_u64)), keyed.hash_one((2_u32, 1_u64)));
        }
    }
}
