//! Weights in signed digits.

/// Digits of `weight` to the base `2^bits` that are not 0, lowest first, each
/// with its place (counted from 0) and within `−2^(bits−1)+1 ..= 2^(bits−1)`;
/// one digit, the weight itself, if `bits` is `None`.
pub(super) fn digits(weight: i32, bits: Option<u32>) -> impl Iterator<Item = (usize, i32)> {
    let mut rest = i64::from(weight);
    let mut place = 0;
    std::iter::from_fn(move || {
        while rest != 0 {
            let digit = match bits {
                None => rest,
                Some(bits) => {
                    let low = rest & ((1 << bits) - 1);
                    let half = 1 << (bits - 1);
                    if low > half { low - 2 * half } else { low }
                }
            };
            rest = (rest - digit) >> bits.unwrap_or(0);
            place += 1;
            if digit != 0 {
                return Some((place - 1, digit as i32));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_make_the_weight(weight: i32, bits in 2u32..7) {
            let digits: Vec<(usize, i32)> = digits(weight, Some(bits)).collect();
            let sum: i64 = digits.iter().map(|&(t, d)| i64::from(d) << (t as u32 * bits)).sum();
            prop_assert_eq!(sum, i64::from(weight));
            let half = 1 << (bits - 1);
            prop_assert!(digits.iter().all(|(_, d)| *d != 0 && (-half + 1..=half).contains(d)));
        }
    }

    #[test]
    fn a_whole_weight_is_one_digit() {
        for weight in [1, -1, 127, i32::MIN, i32::MAX] {
            assert_eq!(digits(weight, None).collect::<Vec<_>>(), [(0, weight)]);
        }
        assert_eq!(digits(0, None).count(), 0);
    }
}
