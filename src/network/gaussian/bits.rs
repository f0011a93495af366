//! Random words, taken from a generator many at a time.

use rand::CryptoRng;
use zeroize::Zeroize;

/// Words that are fetched at a time: a call of the operating system's generator
/// costs as much as hundreds of bytes.
const WORDS: usize = 256;

/// A buffer of uniform random bits. What it has given is never given again;
/// what is left over is erased with it.
pub struct RandomBits<'r, R: CryptoRng> {
    rng: &'r mut R,
    /// Little-endian words, so that a seeded generator gives the same on every
    /// machine.
    bytes: [u8; 8 * WORDS],
    /// Words of the buffer that were given.
    used: usize,
    /// Low bits of a word of which the rest was given.
    spare: u64,
    spare_bits: u32,
}

impl<'r, R: CryptoRng> RandomBits<'r, R> {
    /// Bits from `rng`, none fetched yet.
    pub fn new(rng: &'r mut R) -> RandomBits<'r, R> {
        RandomBits {
            rng,
            bytes: [0; 8 * WORDS],
            used: WORDS,
            spare: 0,
            spare_bits: 0,
        }
    }

    /// A uniform word.
    pub fn word(&mut self) -> u64 {
        if self.used == WORDS {
            self.rng.fill_bytes(&mut self.bytes);
            self.used = 0;
        }
        let (words, _) = self.bytes.as_chunks();
        let word = u64::from_le_bytes(words[self.used]);
        self.used += 1;
        word
    }

    /// A uniform number of `count` bits, at most 64.
    fn take(&mut self, count: u32) -> u64 {
        if count == 64 {
            return self.word();
        }
        if self.spare_bits < count {
            self.spare = self.word();
            self.spare_bits = 64;
        }
        let taken = self.spare & ((1 << count) - 1);
        self.spare >>= count;
        self.spare_bits -= count;
        taken
    }

    /// A fair coin.
    pub(super) fn coin(&mut self) -> bool {
        self.take(1) == 1
    }

    /// A uniform number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u128) -> u128 {
        let count = 128 - (end - 1).leading_zeros();
        loop {
            let low = self.take(count.min(64));
            let high = self.take(count.saturating_sub(64));
            let number = u128::from(high) << 64 | u128::from(low);
            if number < end {
                return number;
            }
        }
    }
}

impl<R: CryptoRng> Drop for RandomBits<'_, R> {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.spare.zeroize();
    }
}
