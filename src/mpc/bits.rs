//! Rows of ring elements as bytes, L bits each, nothing between them.
//!
//! Element i of a row takes the bits i·L to (i+1)·L − 1, the lowest bit of the
//! first byte being bit 0. A row ends at a whole byte; what is left of its last
//! byte is 0, and must be 0 in what is read, so that there is one way to write
//! a row.

use super::Ring;

/// Bytes of a row of `count` elements.
pub fn row_bytes(ring: Ring, count: usize) -> usize {
    (count * ring.bits() as usize).div_ceil(8)
}

/// Writes `elements` into `row`, which has [`row_bytes`] bytes; bits above L
/// are dropped.
///
/// # Panics
///
/// If `row` has another length.
pub fn pack(ring: Ring, elements: impl ExactSizeIterator<Item = u64>, row: &mut [u8]) {
    assert_eq!(
        row.len(),
        row_bytes(ring, elements.len()),
        "length of the row"
    );
    let (bits, mask) = (ring.bits(), ring.mask());
    let mut at = 0;
    if bits <= 32 {
        // Never more than 31 + 32 bits wait.
        let (mut waiting, mut count) = (0u64, 0);
        for element in elements {
            waiting |= (element & mask) << count;
            count += bits;
            if count >= 32 {
                row[at..at + 4].copy_from_slice(&(waiting as u32).to_le_bytes());
                at += 4;
                waiting >>= 32;
                count -= 32;
            }
        }
        let rest = waiting.to_le_bytes();
        let left = row.len() - at;
        row[at..].copy_from_slice(&rest[..left]);
    } else {
        let (mut waiting, mut count) = (0u128, 0);
        for element in elements {
            waiting |= u128::from(element & mask) << count;
            count += bits;
            if count >= 64 {
                row[at..at + 8].copy_from_slice(&(waiting as u64).to_le_bytes());
                at += 8;
                waiting >>= 64;
                count -= 64;
            }
        }
        let rest = waiting.to_le_bytes();
        let left = row.len() - at;
        row[at..].copy_from_slice(&rest[..left]);
    }
}

/// Reads a row: `each` is given every element and its place.
///
/// # Panics
///
/// If `row` is shorter than `count` elements.
#[inline]
pub fn unpack(ring: Ring, row: &[u8], count: usize, mut each: impl FnMut(usize, u64)) {
    assert!(row.len() >= row_bytes(ring, count), "length of the row");
    let (bits, mask) = (ring.bits() as usize, ring.mask());
    // Where eight bytes can be read at once and hold an element wherever it
    // begins in the first.
    let quick = if bits <= 57 && row.len() >= 8 {
        (((row.len() - 8) * 8) / bits + 1).min(count)
    } else {
        0
    };
    for i in 0..quick {
        let bit = i * bits;
        let bytes: [u8; 8] = row[bit / 8..][..8].try_into().expect("eight bytes");
        each(i, (u64::from_le_bytes(bytes) >> (bit % 8)) & mask);
    }
    for i in quick..count {
        let bit = i * bits;
        let mut bytes = [0; 16];
        let here = &row[bit / 8..row.len().min(bit / 8 + 9)];
        bytes[..here.len()].copy_from_slice(here);
        each(i, (u128::from_le_bytes(bytes) >> (bit % 8)) as u64 & mask);
    }
}

/// Whether the bits behind the last of `count` elements are 0.
pub fn ends_clean(ring: Ring, row: &[u8], count: usize) -> bool {
    let used = count * ring.bits() as usize % 8;
    used == 0 || row.last().is_none_or(|last| last >> used == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(ring: Ring, row: &[u8], count: usize) -> Vec<u64> {
        let mut found = vec![u64::MAX; count];
        unpack(ring, row, count, |i, element| found[i] = element);
        found
    }

    proptest! {
        #[test]
        fn rows_come_back_at_every_width(
            bits in 1u32..=64,
            values in prop::collection::vec(any::<u64>(), 0..70),
        ) {
            let ring = Ring::new(bits).expect("1 to 64 bits");
            let mut row = vec![0xff; row_bytes(ring, values.len())];
            pack(ring, values.iter().copied(), &mut row);
            let expected: Vec<u64> = values.iter().map(|v| v & ring.mask()).collect();
            prop_assert_eq!(unpacked(ring, &row, values.len()), expected);
            prop_assert!(ends_clean(ring, &row, values.len()));
            prop_assert_eq!(row.len(), (values.len() * bits as usize).div_ceil(8));
        }

        #[test]
        fn a_row_is_the_sum_of_shifted_elements(
            bits in 1u32..=64,
            values in prop::collection::vec(any::<u64>(), 1..20),
        ) {
            use num_bigint::BigUint;
            let ring = Ring::new(bits).expect("1 to 64 bits");
            let mut row = vec![0; row_bytes(ring, values.len())];
            pack(ring, values.iter().copied(), &mut row);
            let sum: BigUint = values
                .iter()
                .enumerate()
                .map(|(i, v)| BigUint::from(v & ring.mask()) << (i * bits as usize))
                .sum();
            prop_assert_eq!(BigUint::from_bytes_le(&row), sum);
        }

        #[test]
        fn set_bits_behind_the_last_element_are_seen(bits in 1u32..=64, count in 1usize..20) {
            let ring = Ring::new(bits).expect("1 to 64 bits");
            let mut row = vec![0; row_bytes(ring, count)];
            if !(count * bits as usize).is_multiple_of(8) {
                *row.last_mut().expect("not empty") |= 0x80;
                prop_assert!(!ends_clean(ring, &row, count));
            }
        }
    }
}
