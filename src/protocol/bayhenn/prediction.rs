//! What several paths say together: the average of their probabilities.

use crate::network::{Profile, softmax};

/// The prediction for one image.
///
/// With p⁽ᵗ⁾ the softmax of the logits of path t, the prediction is
/// p = 1/T Σ p⁽ᵗ⁾: Monte-Carlo integration of the posterior predictive
/// distribution (Blundell et al., *Weight Uncertainty in Neural Networks*, 2015).
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The class of the greatest mean probability, the lowest one on ties.
    pub class: usize,
    /// Mean probability of each class.
    pub probabilities: Vec<f64>,
    /// Predictive entropy, −Σ p ln p, in nats: 0 where all is certain, ln of the
    /// number of classes where nothing is known.
    pub entropy: f64,
}

impl Prediction {
    /// The prediction of logits with one vector for each path; a logit as a real
    /// number is its integer times `logit_scale`.
    ///
    /// # Panics
    ///
    /// If there is no path, or paths have different numbers of classes.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a [i64]>, logit_scale: f64) -> Prediction {
        let mut sum: Vec<f64> = Vec::new();
        let mut count = 0.0;
        for logits in paths {
            let probabilities = softmax(logits, logit_scale);
            sum.resize(probabilities.len().max(sum.len()), 0.0);
            assert_eq!(sum.len(), probabilities.len(), "classes of every path");
            sum.iter_mut().zip(probabilities).for_each(|(s, p)| *s += p);
            count += 1.0;
        }
        assert!(count > 0.0, "a prediction has at least one path");
        let probabilities: Vec<f64> = sum.into_iter().map(|s| s / count).collect();
        let mut class = 0;
        for (index, p) in probabilities.iter().enumerate() {
            if *p > probabilities[class] {
                class = index;
            }
        }
        // p ln p is 0 at p = 0, its limit; and never −0.
        let of = |p: &f64| if *p > 0.0 { -p * p.ln() } else { 0.0 };
        let entropy: f64 = probabilities.iter().map(of).sum();
        Prediction {
            class,
            entropy: entropy.max(0.0),
            probabilities,
        }
    }

    /// The predictions of `images` images from the logits of all paths: those of
    /// every image on the first path, then on the second, and so on, as
    /// [`Step::Done`](super::Step::Done) holds them.
    ///
    /// # Panics
    ///
    /// If the number of logit vectors is no positive multiple of `images`.
    pub fn all(profile: &Profile, logits: &[Vec<i64>], images: usize) -> Vec<Prediction> {
        assert!(
            !logits.is_empty() && logits.len().is_multiple_of(images),
            "whole paths"
        );
        (0..images)
            .map(|image| {
                let paths = logits[image..].iter().step_by(images);
                Prediction::of(paths.map(Vec::as_slice), profile.logit_scale)
            })
            .collect()
    }

    /// The mean probability of the predicted class.
    pub fn probability(&self) -> f64 {
        self.probabilities[self.class]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_is_its_softmax() {
        let prediction = Prediction::of([&[10, 0, -10][..]], 0.1);
        assert_eq!(prediction.probabilities, softmax(&[10, 0, -10], 0.1));
        assert_eq!(prediction.class, 0);
    }

    #[test]
    fn paths_that_disagree_are_averaged() {
        // Each path is all but certain of another class.
        let prediction = Prediction::of([&[1000, 0][..], &[0, 1000][..]], 1.0);
        assert_eq!((prediction.class, prediction.probability()), (0, 0.5));
        assert!((prediction.entropy - 2f64.ln()).abs() < 1e-12);
        let prediction = Prediction::of([&[0, 9][..], &[0, 9][..], &[9, 0][..]], 100.0);
        assert_eq!(prediction.class, 1);
        assert!((prediction.probability() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn entropy_lies_between_0_and_that_of_ignorance() {
        let certain = Prediction::of([&[i64::MAX, 0, i64::MIN][..]], 1.0);
        assert_eq!(certain.entropy.to_bits(), 0f64.to_bits());
        let ignorant = Prediction::of([&[7; 10][..]], 1.0);
        assert!((ignorant.entropy - 10f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn images_stand_apart_on_every_path() {
        use crate::network::{InputSpec, Shape};
        let input = InputSpec {
            shape: Shape::vector(1),
            min: 0,
            max: 1,
        };
        let profile = Profile::new("test", input, Vec::new(), vec!["a".into(), "b".into()], 1.0);
        let logits = [vec![0, 90], vec![90, 0], vec![0, 90], vec![0, 90]];
        let all = Prediction::all(&profile, &logits, 2);
        assert_eq!((all[0].class, all[0].probability()), (1, 1.0));
        assert_eq!((all[1].class, all[1].probability()), (0, 0.5));
    }
}
