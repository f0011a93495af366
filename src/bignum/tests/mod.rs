//! One suite, written once, stamped on every kernel: everything against
//! num-bigint.

mod counting;
#[cfg(target_arch = "x86_64")]
mod differential;
mod kernels;
mod program;
mod ring;

use num_bigint::BigUint;
use num_traits::One;
use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};

use super::{Elements, KernelKind, Ring};

/// Sizes of m that are tested: toys, tops that are not full, and the sizes of
/// keys and of their primes.
const SIZES: [usize; 14] = [
    64, 65, 100, 128, 191, 320, 1000, 1024, 1536, 2048, 2047, 3072, 3001, 4096,
];

fn limbs(x: &BigUint, width: usize) -> Vec<u64> {
    let mut limbs = x.to_u64_digits();
    assert!(limbs.len() <= width);
    limbs.resize(width, 0);
    limbs
}

fn number(limbs: &[u64]) -> BigUint {
    BigUint::from_bytes_le(
        &limbs
            .iter()
            .flat_map(|l| l.to_le_bytes())
            .collect::<Vec<_>>(),
    )
}

/// A number of exactly `bits` bits.
fn random(bits: usize, rng: &mut ChaCha20Rng) -> BigUint {
    let mut bytes = vec![0; bits.div_ceil(8)];
    rng.fill_bytes(&mut bytes);
    let mut x = BigUint::from_bytes_le(&bytes) >> (bytes.len() * 8 - bits);
    x.set_bit(bits as u64 - 1, true);
    x
}

/// A ring beside its modulus in numbers.
struct Pair {
    ring: Ring,
    m: BigUint,
    mm: BigUint,
    h: usize,
}

impl Pair {
    fn new(m: BigUint, kind: KernelKind) -> Pair {
        let ring = Ring::with_kernel(&m.to_u64_digits(), kind).expect("an odd modulus");
        let h = ring.limbs();
        assert_eq!(h, m.to_u64_digits().len());
        let mm = &m * &m;
        Pair { ring, m, mm, h }
    }

    /// A random odd modulus of `bits` bits, the same for the same seed.
    fn random(bits: usize, seed: u64, kind: KernelKind) -> Pair {
        let mut m = random(bits, &mut ChaCha20Rng::seed_from_u64(seed));
        m.set_bit(0, true);
        Pair::new(m, kind)
    }

    fn enter(&self, xs: &[BigUint]) -> Elements {
        let rows: Vec<u64> = xs.iter().flat_map(|x| limbs(x, 2 * self.h)).collect();
        self.ring.enter(&rows, 2 * self.h)
    }

    fn leave(&self, e: &Elements) -> Vec<BigUint> {
        self.ring.leave(e).chunks(2 * self.h).map(number).collect()
    }

    /// Values where carries, borrows and zero digits meet, and random ones.
    fn samples(&self, rng: &mut ChaCha20Rng) -> Vec<BigUint> {
        let one = BigUint::one();
        let r = BigUint::one() << (64 * self.h);
        let mut all = vec![
            BigUint::ZERO,
            one.clone(),
            &self.m - &one,
            self.m.clone(),
            &self.m + &one,
            &self.m << 1,
            &self.mm - &one,
            &self.mm - &self.m,
            (&self.mm - &self.m) - &one,
            &r % &self.mm,
            (&r - &one) % &self.mm,
            (&r * &r) % &self.mm,
        ];
        for _ in 0..4 {
            all.push(random(2 * 64 * self.h, rng) % &self.mm);
        }
        all
    }
}
