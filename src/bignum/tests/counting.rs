//! Counts are exact: a kernel that counts what is asked of it agrees.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{program::motley, *};
use crate::bignum::{
    core::Core,
    kernel::{Lanes, Portable},
};

struct Counting {
    inner: Portable,
    products: AtomicU64,
    squarings: AtomicU64,
}

impl Lanes for Counting {
    const LANES: usize = 1;
    type Block = Vec<u64>;

    fn limbs(&self) -> usize {
        self.inner.limbs()
    }
    fn words(&self) -> usize {
        self.inner.words()
    }
    fn radix_bits(&self) -> u32 {
        self.inner.radix_bits()
    }
    fn pack(&self, u0: &[u64], u1: &[u64], row: &mut [u64]) {
        self.inner.pack(u0, u1, row);
    }
    fn unpack(&self, row: &[u64], u0: &mut [u64], u1: &mut [u64]) {
        self.inner.unpack(row, u0, u1);
    }
    fn block(&self) -> Vec<u64> {
        self.inner.block()
    }
    fn gather(&self, block: &mut Vec<u64>, rows: &[&[u64]]) {
        self.inner.gather(block, rows);
    }
    fn scatter(&self, block: &Vec<u64>, out: &mut [u64]) {
        self.inner.scatter(block, out);
    }
    fn mul_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        self.products.fetch_add(1, Relaxed);
        self.inner.mul_assign(a, b);
    }
    fn sqr_assign(&self, a: &mut Vec<u64>) {
        self.squarings.fetch_add(1, Relaxed);
        self.inner.sqr_assign(a);
    }
    fn add_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        self.inner.add_assign(a, b);
    }
    fn select(&self, a: &mut Vec<u64>, b: &Vec<u64>, masks: &[u64]) {
        self.inner.select(a, b, masks);
    }
}

#[test]
fn counts_are_what_the_kernel_does() {
    for seed in 0..5 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        // 2^89 − 1 is prime: all but 0 is a unit.
        let m = [u64::MAX, (1 << 25) - 1];
        let core = Core::new(
            Counting {
                inner: Portable::new(&m),
                products: AtomicU64::new(0),
                squarings: AtomicU64::new(0),
            },
            &m,
        );
        let rows: Vec<u64> = (0..28).map(|_| rng.next_u64() | 1).collect();
        let inputs = core.enter(&rows, 4);
        let program = motley(7, &mut rng);
        let before = (
            core.k.products.load(Relaxed),
            core.k.squarings.load(Relaxed),
        );
        core.run(&program, &inputs).expect("units");
        let counts = program.counts();
        assert_eq!(counts.products, core.k.products.load(Relaxed) - before.0);
        assert_eq!(counts.squarings, core.k.squarings.load(Relaxed) - before.1);
        assert_eq!(counts.inversions, 1);
    }
}
