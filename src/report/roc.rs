//! How well a score tells two classes apart, whatever the threshold.

/// The area under the receiver operating characteristic: the probability that
/// a random positive has a higher score than a random negative, ties counted
/// half. This is the Mann-Whitney statistic U / (P·N) (Hanley and McNeil,
/// Radiology 143, 1982), exact but for the last division; `None` without a
/// member of either class.
///
/// Each score comes with whether the truth is positive.
pub fn roc_auc<S: Ord>(mut scores: Vec<(S, bool)>) -> Option<f64> {
    scores.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    // Twice U, so that a tie is a whole number.
    let (mut twice, mut below) = (0_u128, 0_u128);
    let (mut all_positive, mut all_negative) = (0_u128, 0_u128);
    for tied in scores.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, positive)| *positive).count() as u128;
        let negative = tied.len() as u128 - positive;
        twice += positive * (2 * below + negative);
        below += negative;
        all_positive += positive;
        all_negative += negative;
    }
    let pairs = all_positive * all_negative;
    (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
}

/// A whole number that stands in the order of `score`, for [`roc_auc`]; −0 is
/// 0, and a NaN is beyond infinity.
pub fn in_order(score: f64) -> i64 {
    // The order of IEEE 754 bit patterns is that of magnitudes.
    let bits = (score + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_values_computed_by_hand() {
        let area = |negatives: &[i32], positives: &[i32]| {
            let negatives = negatives.iter().map(|s| (*s, false));
            roc_auc(
                negatives
                    .chain(positives.iter().map(|s| (*s, true)))
                    .collect(),
            )
        };
        // Told apart wholly, the wrong way round, and not at all.
        assert_eq!(area(&[1, 2], &[3, 4]), Some(1.0));
        assert_eq!(area(&[3, 4], &[1, 2]), Some(0.0));
        assert_eq!(area(&[5, 5, 5], &[5, 5]), Some(0.5));
        // Of six pairs three are in order (3 > 1, 3 > 2, 2 > 1), one is a tie.
        assert_eq!(area(&[1, 2], &[3, 2, 0]), Some(3.5 / 6.0));
        // Scores 0.1 0.4 | 0.35 0.8 of the usual example: 3 of 4 pairs.
        assert_eq!(area(&[10, 40], &[35, 80]), Some(0.75));
    }

    #[test]
    fn one_class_alone_has_no_area() {
        assert_eq!(roc_auc(vec![(1, true), (2, true)]), None);
        assert_eq!(roc_auc(vec![(1, false)]), None);
        assert_eq!(roc_auc(Vec::<(i64, bool)>::new()), None);
    }

    #[test]
    fn reals_keep_their_order() {
        let reals = [
            f64::NEG_INFINITY,
            -1e300,
            -2.0,
            -1e-310,
            0.0,
            1e-310,
            0.5,
            7.0,
            f64::INFINITY,
        ];
        assert!(reals.map(in_order).is_sorted_by(|a, b| a < b));
        assert_eq!(in_order(-0.0), in_order(0.0));
    }
}
