//! What a classification comes to: label, margin, probabilities.

use serde::Serialize;

use crate::{
    network::{Profile, argmax, softmax},
    protocol::bayhenn::Prediction,
};

use super::error::one_line;

/// One image's result.
#[derive(Serialize, Debug)]
pub(crate) struct Answer {
    /// What the image is called.
    pub(crate) image: String,
    /// The label of the greatest logit, or of the greatest mean probability.
    pub(crate) label: String,
    /// Its number, from 0.
    pub(crate) class: usize,
    /// One for each label: a Bayesian network's are means over the samples.
    pub(crate) probabilities: Vec<f64>,
    /// What the two kinds of network have of their own.
    #[serde(flatten)]
    pub(crate) detail: Detail,
}

/// What an answer has by the kind of network that gave it.
#[derive(Serialize, Debug)]
#[serde(untagged)]
pub(crate) enum Detail {
    /// Fixed weights.
    Fixed {
        /// How far the largest logit is above the second, as a real number.
        margin: f64,
        /// Integer logits, exactly those of the network in the clear.
        logits: Vec<i64>,
    },
    /// Weights that were drawn.
    Drawn {
        /// Networks that were drawn.
        samples: usize,
        /// Predictive entropy, in nats.
        entropy: f64,
        /// Integer logits of each sample, exactly those of the drawn network in
        /// the clear.
        sample_logits: Vec<Vec<i64>>,
    },
}

impl Answer {
    /// The result of `image` under a network of fixed weights, from its logits.
    fn fixed(profile: &Profile, image: &str, logits: &[i64]) -> Answer {
        let class = argmax(logits);
        let second = logits
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != class)
            .map(|(_, logit)| *logit)
            .max();
        // Logits are within a layer's range, far from where a difference could
        // overflow; a network with one class has no second.
        let margin = second.map_or(0.0, |second| {
            (logits[class] - second) as f64 * profile.logit_scale
        });
        Answer {
            image: image.to_string(),
            label: profile.labels[class].clone(),
            class,
            probabilities: softmax(logits, profile.logit_scale),
            detail: Detail::Fixed {
                margin,
                logits: logits.to_vec(),
            },
        }
    }

    /// The results of several images: `logits` holds those of every image with
    /// the first sample, then with the second, and so on.
    ///
    /// # Panics
    ///
    /// If there are no whole samples.
    pub(crate) fn all(profile: &Profile, images: &[String], logits: &[Vec<i64>]) -> Vec<Answer> {
        if profile.posterior.is_none() {
            let each = images.iter().zip(logits);
            return each
                .map(|(image, logits)| Answer::fixed(profile, image, logits))
                .collect();
        }
        let predictions = Prediction::all(profile, logits, images.len());
        let each = images.iter().zip(predictions).enumerate();
        each.map(|(at, (image, prediction))| Answer {
            image: image.clone(),
            label: profile.labels[prediction.class].clone(),
            class: prediction.class,
            detail: Detail::Drawn {
                samples: logits.len() / images.len(),
                entropy: prediction.entropy,
                sample_logits: logits[at..].iter().step_by(images.len()).cloned().collect(),
            },
            probabilities: prediction.probabilities,
        })
        .collect()
    }

    /// The probability of the label.
    pub(crate) fn probability(&self) -> f64 {
        self.probabilities[self.class]
    }

    /// Predictive entropy in nats, under a Bayesian network.
    pub(crate) fn entropy(&self) -> Option<f64> {
        match self.detail {
            Detail::Drawn { entropy, .. } => Some(entropy),
            Detail::Fixed { .. } => None,
        }
    }

    /// Of two classes, how much speaks for the second: a number that grows with
    /// its probability.
    pub(crate) fn score(&self) -> Option<i128> {
        match (&self.detail, &self.probabilities[..]) {
            (Detail::Fixed { logits, .. }, [_, _]) => {
                Some(i128::from(logits[1]) - i128::from(logits[0]))
            }
            // Scaled by a power of two: no two probabilities become one.
            (Detail::Drawn { .. }, [_, second]) => Some((second * 2f64.powi(100)) as i128),
            _ => None,
        }
    }

    /// How sure the label is, for people.
    pub(crate) fn sureness(&self) -> String {
        let percent = 100.0 * self.probability();
        match &self.detail {
            Detail::Fixed { margin, .. } => {
                format!("margin {margin:.2}, probability {percent:.1} %")
            }
            Detail::Drawn {
                samples, entropy, ..
            } => format!(
                "entropy {entropy:.3} nats, mean probability {percent:.1} % of {samples} samples"
            ),
        }
    }

    /// The logits as text, separated by spaces; samples by ` | `.
    pub(crate) fn logits_text(&self) -> String {
        let one = |logits: &Vec<i64>| {
            let logits: Vec<String> = logits.iter().map(ToString::to_string).collect();
            logits.join(" ")
        };
        match &self.detail {
            Detail::Fixed { logits, .. } => one(logits),
            Detail::Drawn { sample_logits, .. } => {
                let samples: Vec<String> = sample_logits.iter().map(one).collect();
                samples.join(" | ")
            }
        }
    }
}

/// Labels as lines: alone for one image, behind its name for several; then, for
/// a Bayesian network, how sure the label is, and the logits if they are wanted.
pub(crate) fn lines(answers: &[Answer], logits: bool) -> String {
    let mut lines = Vec::with_capacity(answers.len());
    for answer in answers {
        let mut line = String::new();
        if answers.len() > 1 {
            line = one_line(&answer.image) + "\t";
        }
        line += &one_line(&answer.label);
        if let Detail::Drawn { .. } = answer.detail {
            line += "\t";
            line += &answer.sureness();
        }
        if logits {
            line += "\t";
            line += &answer.logits_text();
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{InputSpec, Posterior, Shape};

    fn profile(labels: &[&str]) -> Profile {
        let input = InputSpec {
            shape: Shape::vector(1),
            min: 0,
            max: 1,
        };
        let labels = labels.iter().map(ToString::to_string).collect();
        Profile::new("test", input, Vec::new(), labels, 0.5)
    }

    fn margin(answer: &Answer) -> f64 {
        match answer.detail {
            Detail::Fixed { margin, .. } => margin,
            Detail::Drawn { .. } => panic!("no margin"),
        }
    }

    #[test]
    fn samples_are_averaged_and_their_entropy_is_told() {
        let mut profile = profile(&["a", "b"]);
        profile.posterior = Some(Posterior { truncation: 4 });
        let names = ["x".to_string(), "y".to_string()];
        let logits = [vec![0, 900], vec![900, 0], vec![0, 900], vec![0, 900]];
        let answers = Answer::all(&profile, &names, &logits);
        assert_eq!((answers[0].class, answers[1].class), (1, 0));
        assert_eq!(answers[1].probability(), 0.5);
        let json = serde_json::to_value(&answers[1]).expect("plain data");
        assert_eq!(json["samples"], 2);
        assert_eq!(
            json["sample_logits"],
            serde_json::json!([[900, 0], [0, 900]])
        );
        assert_eq!(
            lines(&answers[1..], true),
            "a\tentropy 0.693 nats, mean probability 50.0 % of 2 samples\t900 0 | 0 900"
        );
    }

    #[test]
    fn the_margin_is_to_the_second_best() {
        let answer = Answer::fixed(&profile(&["a", "b", "c"]), "x", &[-4, 10, 6]);
        assert_eq!((answer.label.as_str(), answer.class), ("b", 1));
        assert_eq!(margin(&answer), 2.0);
        assert!(answer.probability() > 0.8);
    }

    #[test]
    fn equal_logits_have_no_margin() {
        let answer = Answer::fixed(&profile(&["a", "b"]), "x", &[7, 7]);
        assert_eq!((answer.class, margin(&answer)), (0, 0.0));
    }

    #[test]
    fn one_class_has_no_second() {
        let answer = Answer::fixed(&profile(&["a"]), "x", &[7]);
        assert_eq!((margin(&answer), answer.probability()), (0.0, 1.0));
    }

    #[test]
    fn one_label_stands_alone_and_several_behind_their_names() {
        let profile = profile(&["a", "b"]);
        let names = ["x\ty".to_string(), "z".to_string()];
        let answers = Answer::all(&profile, &names, &[vec![1, 2], vec![3, -1]]);
        assert_eq!(lines(&answers[..1], false), "b");
        assert_eq!(lines(&answers[1..], true), "a\t3 -1");
        assert_eq!(lines(&answers, false), "x y\tb\nz\ta");
    }
}
