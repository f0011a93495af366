//! Whether uncertainty is worth something: accuracy when the least certain
//! images go to a person, and whether probabilities are as high as they claim.

use serde::Serialize;

use super::{Align, Table, count};

/// Shares of images that are referred to a person, in percent.
const REFERRED: [u64; 3] = [5, 10, 20];

/// Bins of a reliability diagram.
const BINS: usize = 10;

/// How one image was judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Whether the label is right.
    pub right: bool,
    /// The label's probability, 0 to 1.
    pub confidence: f64,
    /// Predictive entropy, in nats.
    pub entropy: f64,
}

/// How all images were judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uncertainty {
    judged: Vec<Judged>,
}

/// What is left when the least certain images go to a person.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Referral {
    /// The share that goes, in percent.
    pub percent: u64,
    /// How many images that is.
    pub referred: u64,
    /// Wrong labels among them.
    pub wrong_among_them: u64,
    /// Images that stay.
    pub kept: u64,
    /// Share of right labels among those, 0 to 1; 1 where none stays.
    pub accuracy: f64,
}

/// A bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Least confidence, included.
    pub from: f64,
    /// Greatest confidence, excluded but in the last bin.
    pub to: f64,
    /// Images in it.
    pub images: u64,
    /// Their mean confidence, 0 if there is none.
    pub confidence: f64,
    /// Their share of right labels, 0 if there is none.
    pub accuracy: f64,
}

/// All of it, for other programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Mean predictive entropy, in nats.
    pub mean_entropy: f64,
    /// The same of the images with right labels.
    pub mean_entropy_right: f64,
    /// The same of the images with wrong labels.
    pub mean_entropy_wrong: f64,
    /// For 5, 10 and 20 %.
    pub referrals: Vec<Referral>,
    /// The reliability diagram.
    pub reliability: Vec<Bin>,
    /// Expected calibration error, 0 to 1.
    pub expected_calibration_error: f64,
}

impl Uncertainty {
    /// Adds an image.
    pub fn add(&mut self, judged: Judged) {
        self.judged.push(judged);
    }

    /// Mean predictive entropy of the images that `which` selects, in nats; 0 if
    /// there is none.
    fn mean_entropy(&self, which: impl Fn(&Judged) -> bool) -> f64 {
        let of: Vec<f64> = self
            .judged
            .iter()
            .filter(|judged| which(judged))
            .map(|judged| judged.entropy)
            .collect();
        mean(&of)
    }

    /// The share of right labels when the images of the greatest entropy are
    /// referred to a person: for 5, 10 and 20 %, rounded to whole images.
    pub fn referrals(&self) -> Vec<Referral> {
        let mut sorted = self.judged.clone();
        sorted.sort_by(|a, b| b.entropy.total_cmp(&a.entropy));
        REFERRED
            .iter()
            .map(|&percent| {
                let referred = (sorted.len() as u64 * percent + 50) / 100;
                let (away, kept) = sorted.split_at(referred as usize);
                let wrong = |of: &[Judged]| of.iter().filter(|judged| !judged.right).count() as u64;
                let accuracy = match kept.len() {
                    0 => 1.0,
                    all => 1.0 - wrong(kept) as f64 / all as f64,
                };
                Referral {
                    percent,
                    referred,
                    wrong_among_them: wrong(away),
                    kept: kept.len() as u64,
                    accuracy,
                }
            })
            .collect()
    }

    /// The reliability diagram: images by their confidence, in ten bins of
    /// equal width (Guo et al., *On Calibration of Modern Neural Networks*, ICML
    /// 2017, section 2).
    pub fn reliability(&self) -> Vec<Bin> {
        let mut bins: Vec<Vec<&Judged>> = vec![Vec::new(); BINS];
        for judged in &self.judged {
            let bin = (judged.confidence * BINS as f64) as usize;
            bins[bin.min(BINS - 1)].push(judged);
        }
        let width = 1.0 / BINS as f64;
        bins.into_iter()
            .enumerate()
            .map(|(at, of)| {
                let confidences: Vec<f64> = of.iter().map(|judged| judged.confidence).collect();
                let right: Vec<f64> = of.iter().map(|j| f64::from(u8::from(j.right))).collect();
                Bin {
                    from: at as f64 * width,
                    to: (at + 1) as f64 * width,
                    images: of.len() as u64,
                    confidence: mean(&confidences),
                    accuracy: mean(&right),
                }
            })
            .collect()
    }

    /// The expected calibration error: the mean distance between confidence and
    /// accuracy, over the bins and weighted by their images (Guo et al., equation
    /// 3).
    pub fn expected_calibration_error(&self) -> f64 {
        let all = self.judged.len().max(1) as f64;
        self.reliability()
            .iter()
            .map(|bin| bin.images as f64 / all * (bin.accuracy - bin.confidence).abs())
            .sum()
    }

    /// All of it.
    pub fn summary(&self) -> Summary {
        Summary {
            mean_entropy: self.mean_entropy(|_| true),
            mean_entropy_right: self.mean_entropy(|judged| judged.right),
            mean_entropy_wrong: self.mean_entropy(|judged| !judged.right),
            referrals: self.referrals(),
            reliability: self.reliability(),
            expected_calibration_error: self.expected_calibration_error(),
        }
    }
}

impl Summary {
    /// Accuracy by the share that is referred, a row for each.
    pub fn referral_table(&self) -> Table {
        let right = |name: &str| (name.to_string(), Align::Right);
        let mut table = Table::new([
            right("referred to a person"),
            right("images"),
            right("wrong among them"),
            right("accuracy of the rest"),
        ]);
        for referral in &self.referrals {
            table.row([
                format!("the {} % least certain", referral.percent),
                count(referral.referred),
                count(referral.wrong_among_them),
                format!("{:.2} %", 100.0 * referral.accuracy),
            ]);
        }
        table
    }

    /// The reliability diagram, a row for each bin.
    pub fn reliability_table(&self) -> Table {
        let right = |name: &str| (name.to_string(), Align::Right);
        let mut table = Table::new([
            right("probability"),
            right("images"),
            right("mean probability"),
            right("accuracy"),
        ]);
        for bin in &self.reliability {
            let share = |share: f64| match bin.images {
                0 => "–".to_string(),
                _ => format!("{:.1} %", 100.0 * share),
            };
            table.row([
                format!("{:.0} to {:.0} %", 100.0 * bin.from, 100.0 * bin.to),
                count(bin.images),
                share(bin.confidence),
                share(bin.accuracy),
            ]);
        }
        table
    }
}

fn mean(values: &[f64]) -> f64 {
    match values.len() {
        0 => 0.0,
        count => values.iter().sum::<f64>() / count as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(right: bool, confidence: f64, entropy: f64) -> Judged {
        Judged {
            right,
            confidence,
            entropy,
        }
    }

    /// A hundred images; the 8 of the greatest entropy are wrong, and one other.
    fn hundred() -> Uncertainty {
        let mut all = Uncertainty::default();
        for image in 0..100 {
            let wrong = image < 8 || image == 50;
            all.add(judged(!wrong, 0.95, f64::from(100 - image) / 100.0));
        }
        all
    }

    #[test]
    fn the_least_certain_are_referred_first() {
        let referrals = hundred().referrals();
        let found: Vec<(u64, u64, u64)> = referrals
            .iter()
            .map(|r| (r.referred, r.wrong_among_them, r.kept))
            .collect();
        assert_eq!(found, [(5, 5, 95), (10, 8, 90), (20, 8, 80)]);
        assert!((referrals[0].accuracy - (1.0 - 4.0 / 95.0)).abs() < 1e-12);
        assert!((referrals[2].accuracy - (1.0 - 1.0 / 80.0)).abs() < 1e-12);
    }

    #[test]
    fn entropies_are_told_apart_by_right_and_wrong() {
        let mut all = Uncertainty::default();
        all.add(judged(true, 0.9, 0.25));
        all.add(judged(false, 0.5, 0.75));
        let summary = all.summary();
        assert_eq!(summary.mean_entropy, 0.5);
        assert_eq!(summary.mean_entropy_right, 0.25);
        assert_eq!(summary.mean_entropy_wrong, 0.75);
    }

    #[test]
    fn the_calibration_error_is_the_mean_distance() {
        let mut all = Uncertainty::default();
        // Claims 95 %, is right in 3 of 4; claims 55 %, is right in none.
        for at in 0..4 {
            all.add(judged(at > 0, 0.95, 0.0));
        }
        for _ in 0..4 {
            all.add(judged(false, 0.55, 0.0));
        }
        let bins = all.reliability();
        assert_eq!((bins[9].images, bins[5].images), (4, 4));
        assert!((bins[9].accuracy - 0.75).abs() < 1e-12);
        let expected = 0.5 * 0.2 + 0.5 * 0.55;
        assert!((all.expected_calibration_error() - expected).abs() < 1e-12);
    }

    #[test]
    fn certainty_falls_into_the_last_bin() {
        let mut all = Uncertainty::default();
        all.add(judged(true, 1.0, 0.0));
        assert_eq!(all.reliability()[9].images, 1);
        assert_eq!(all.expected_calibration_error(), 0.0);
    }

    #[test]
    fn nothing_judged_is_no_division_by_0() {
        let summary = Uncertainty::default().summary();
        assert_eq!(summary.mean_entropy, 0.0);
        assert_eq!(summary.expected_calibration_error, 0.0);
        assert!(summary.referrals.iter().all(|r| r.accuracy == 1.0));
        assert!(summary.reliability_table().text().contains('–'));
    }

    #[test]
    fn tables_have_a_row_for_each_share_and_bin() {
        let summary = hundred().summary();
        assert_eq!(summary.referral_table().text().lines().count(), 5);
        assert_eq!(summary.reliability_table().text().lines().count(), 12);
    }
}
