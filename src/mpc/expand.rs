//! Ring elements from a seed.
//!
//! ChaCha20 with a stream of its own for every place (layer, prediction), so
//! that any prediction's elements can be had without those before. Only the
//! seed is kept, 32 bytes instead of all elements.

use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Ring;

/// 32 secret bytes from which elements are expanded; wiped when dropped,
/// absent from `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// What the elements of a place are for: different purposes of one seed never
/// share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Uniform ring elements.
    Elements = 0,
    /// What hides the carries above them.
    Cover = 1,
}

impl Seed {
    /// From the 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    /// A new one.
    pub fn random(rng: &mut impl rand::CryptoRng) -> Seed {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Seed(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The generator of a place: `layer` below 2^16, `index` below 2^40.
    pub fn stream(&self, purpose: Purpose, layer: usize, index: usize) -> ChaCha20Rng {
        assert!(layer < 1 << 16 && index < 1 << 40, "a place of the seed");
        let mut rng = ChaCha20Rng::from_seed(self.0);
        rng.set_stream(((purpose as u64) << 56) | ((layer as u64) << 40) | index as u64);
        rng
    }

    /// `count` uniform elements of `ring` for a place; `each` is given every
    /// element and its number. `scratch` is reused from call to call.
    #[inline]
    pub fn elements(
        &self,
        ring: Ring,
        (layer, index): (usize, usize),
        count: usize,
        scratch: &mut Zeroizing<Vec<u8>>,
        mut each: impl FnMut(usize, u64),
    ) {
        let bytes = match ring.bits() {
            ..=16 => 2,
            17..=32 => 4,
            _ => 8,
        };
        scratch.resize(count * bytes, 0);
        self.stream(Purpose::Elements, layer, index)
            .fill_bytes(scratch);
        let mask = ring.mask();
        match bytes {
            2 => {
                for (i, word) in scratch.as_chunks().0.iter().enumerate() {
                    each(i, u64::from(u16::from_le_bytes(*word)) & mask);
                }
            }
            4 => {
                for (i, word) in scratch.as_chunks().0.iter().enumerate() {
                    each(i, u64::from(u32::from_le_bytes(*word)) & mask);
                }
            }
            _ => {
                for (i, word) in scratch.as_chunks().0.iter().enumerate() {
                    each(i, u64::from_le_bytes(*word) & mask);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(seed: &Seed, bits: u32, place: (usize, usize), count: usize) -> Vec<u64> {
        let ring = Ring::new(bits).expect("1 to 64 bits");
        let mut found = vec![0; count];
        let mut scratch = Zeroizing::new(Vec::new());
        seed.elements(ring, place, count, &mut scratch, |i, e| found[i] = e);
        found
    }

    #[test]
    fn a_place_has_the_same_elements_whenever_it_is_asked_for() {
        let seed = Seed::from_bytes([7; 32]);
        for bits in [1, 13, 16, 17, 32, 33, 64] {
            let long = elements(&seed, bits, (2, 5), 40);
            assert_eq!(elements(&seed, bits, (2, 5), 40), long);
            assert_eq!(elements(&seed, bits, (2, 5), 9), long[..9]);
        }
    }

    #[test]
    fn places_and_purposes_do_not_share_elements() {
        let seed = Seed::from_bytes([7; 32]);
        let first = elements(&seed, 64, (0, 0), 8);
        for place in [(0, 1), (1, 0), (65_535, 3)] {
            assert_ne!(elements(&seed, 64, place, 8), first);
        }
        assert_ne!(
            seed.stream(Purpose::Cover, 0, 0).next_u64(),
            seed.stream(Purpose::Elements, 0, 0).next_u64()
        );
        assert_ne!(elements(&Seed::from_bytes([8; 32]), 64, (0, 0), 8), first);
    }

    #[test]
    fn elements_fill_the_ring_evenly() {
        let seed = Seed::from_bytes([9; 32]);
        let mut counts = [0u32; 32];
        for element in elements(&seed, 5, (0, 0), 32_000) {
            counts[element as usize] += 1;
        }
        // Standard deviation 31; five of them.
        assert!(counts.iter().all(|n| n.abs_diff(1000) < 160), "{counts:?}");
    }
}
