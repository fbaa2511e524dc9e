//! The hash of ../../hash.h, which all peers get for integer keys.

use std::hash::{BuildHasher, Hasher};

const K0: u64 = 0x71c3b2a4f0e9586d;
const K1: u64 = 0xa0761d6478bd642f;

#[derive(Clone, Default)]
pub struct MultiplyFold;

pub struct IntHasher(u64);

impl Hasher for IntHasher {
    #[inline]
    fn write_u64(&mut self, key: u64) {
        let product = u128::from(self.0 ^ key ^ K0) * u128::from(K1);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn write_u32(&mut self, key: u32) {
        self.write_u64(u64::from(key));
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are integers");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for MultiplyFold {
    type Hasher = IntHasher;

    #[inline]
    fn build_hasher(&self) -> IntHasher {
        IntHasher(0)
    }
}
