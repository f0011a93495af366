//! Memory for many residues.
//!
//! The first touch of a page costs about as much as seven products modulo n²
//! (n of 2048 bits), and a page has room for six residues. So long vectors are
//! made of large pages where the system has them (one first touch for three
//! thousand residues), and pages that have been touched once are kept for the
//! vectors to come.

#[cfg(target_os = "linux")]
mod large;

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use zeroize::Zeroize;

/// Words of 64 bits; a vector of fixed or growing length.
pub(super) struct Words(Store);

enum Store {
    Heap(Vec<u64>),
    #[cfg(target_os = "linux")]
    Large(large::Pages),
}

impl Words {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Words {
        #[cfg(target_os = "linux")]
        if let Some(pages) = large::Pages::zeroed(len, len) {
            return Words(Store::Large(pages));
        }
        Words(Store::Heap(vec![0; len]))
    }

    /// None yet, with room for `capacity`.
    pub(super) fn with_capacity(capacity: usize) -> Words {
        #[cfg(target_os = "linux")]
        if let Some(pages) = large::Pages::zeroed(0, capacity) {
            return Words(Store::Large(pages));
        }
        Words(Store::Heap(Vec::with_capacity(capacity)))
    }

    /// Appends words. Beyond the room that was asked for, all move.
    pub(super) fn extend_from_slice(&mut self, more: &[u64]) {
        match &mut self.0 {
            Store::Heap(words) => words.extend_from_slice(more),
            #[cfg(target_os = "linux")]
            Store::Large(pages) => {
                if !pages.extend(more) {
                    let mut moved = Words::with_capacity(2 * (pages.len() + more.len()));
                    moved.extend_from_slice(pages);
                    moved.extend_from_slice(more);
                    *self = moved;
                }
            }
        }
    }
}

/// Most words that are kept for later.
const KEPT: usize = 8 << 20;

/// Touches memory for vectors of these lengths, of which all may exist at the
/// same time, and keeps it for them: the first of them, as far as memory is kept.
pub(super) fn reserve(lengths: impl IntoIterator<Item = usize>) {
    let mut left = KEPT;
    let touched = lengths.into_iter().map_while(|len| {
        left = left.checked_sub(len)?;
        let mut words = Words::zeroed(len);
        words.fill(0);
        Some(words)
    });
    drop(touched.collect::<Vec<_>>());
}

impl Clone for Words {
    fn clone(&self) -> Words {
        let mut copy = Words::with_capacity(self.len());
        copy.extend_from_slice(self);
        copy
    }
}

impl From<Vec<u64>> for Words {
    fn from(words: Vec<u64>) -> Words {
        Words(Store::Heap(words))
    }
}

impl Deref for Words {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match &self.0 {
            Store::Heap(words) => words,
            #[cfg(target_os = "linux")]
            Store::Large(pages) => pages,
        }
    }
}

impl DerefMut for Words {
    fn deref_mut(&mut self) -> &mut [u64] {
        match &mut self.0 {
            Store::Heap(words) => words,
            #[cfg(target_os = "linux")]
            Store::Large(pages) => pages,
        }
    }
}

impl Zeroize for Words {
    /// Wipes all, and leaves an empty vector.
    fn zeroize(&mut self) {
        match &mut self.0 {
            // With what a vector has room for beyond its length.
            Store::Heap(words) => words.zeroize(),
            #[cfg(target_os = "linux")]
            Store::Large(pages) => {
                pages.zeroize();
                *self = Words::from(Vec::new());
            }
        }
    }
}

/// The length only: some words are secret.
impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn words_are_a_vector(
            zeros in 0usize..100_000,
            room in 0usize..400_000,
            parts in prop::collection::vec(0usize..200_000, 0..5),
        ) {
            for mut words in [Words::zeroed(zeros), Words::with_capacity(room)] {
                let mut expected = words.to_vec();
                prop_assert!(expected.iter().all(|&word| word == 0));
                for (seed, &len) in parts.iter().enumerate() {
                    let more: Vec<u64> = (0..len as u64).map(|i| i * i + seed as u64).collect();
                    words.extend_from_slice(&more);
                    expected.extend_from_slice(&more);
                }
                prop_assert!(*words == *expected);
                if let Some(last) = words.last_mut() {
                    *last ^= 1;
                }
                let copy = words.clone();
                prop_assert!(*copy == *words);
                words.zeroize();
                prop_assert!(words.is_empty());
                if let Some(last) = expected.last_mut() {
                    *last ^= 1;
                }
                prop_assert!(*copy == *expected);
            }
        }
    }

    #[test]
    fn threads_get_zeros_whatever_others_have_left() {
        std::thread::scope(|scope| {
            for thread in 1..=4u64 {
                scope.spawn(move || {
                    // Together more than is kept.
                    for round in 0..8 {
                        let len = 100_000 << (round % 5);
                        let mut words = Words::zeroed(len);
                        assert!(words.iter().all(|&word| word == 0));
                        words.fill(thread);
                        let copy = words.clone();
                        assert!(copy.len() == len && copy.iter().all(|&word| word == thread));
                    }
                });
            }
        });
        reserve([1000, 200_000, 1 << 30]);
    }

    #[test]
    fn debug_shows_no_words() {
        let words = Words::from(vec![77; 3]);
        assert_eq!(format!("{words:?}"), "Words(3)");
    }
}
