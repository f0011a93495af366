//! What a classification comes to: label, margin, probabilities.

use serde::Serialize;

use crate::network::{Profile, argmax, softmax};

use super::error::one_line;

/// One image's result.
#[derive(Serialize, Debug)]
pub(crate) struct Answer {
    /// What the image is called.
    pub(crate) image: String,
    /// The label of the largest logit.
    pub(crate) label: String,
    /// Its number, from 0.
    pub(crate) class: usize,
    /// How far the largest logit is above the second, as a real number.
    pub(crate) margin: f64,
    /// One for each label.
    pub(crate) probabilities: Vec<f64>,
    /// Integer logits, exactly those of the network in the clear.
    pub(crate) logits: Vec<i64>,
}

impl Answer {
    /// The result of `image` from its logits.
    pub(crate) fn new(profile: &Profile, image: &str, logits: &[i64]) -> Answer {
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
            margin,
            probabilities: softmax(logits, profile.logit_scale),
            logits: logits.to_vec(),
        }
    }

    /// The results of several images.
    pub(crate) fn all(profile: &Profile, images: &[String], logits: &[Vec<i64>]) -> Vec<Answer> {
        images
            .iter()
            .zip(logits)
            .map(|(image, logits)| Answer::new(profile, image, logits))
            .collect()
    }

    /// The probability of the label.
    pub(crate) fn probability(&self) -> f64 {
        self.probabilities[self.class]
    }

    /// The logits as text, separated by spaces.
    fn logits_text(&self) -> String {
        let logits: Vec<String> = self.logits.iter().map(ToString::to_string).collect();
        logits.join(" ")
    }
}

/// Labels as lines: alone for one image, behind its name for several; then the
/// logits if they are wanted.
pub(crate) fn lines(answers: &[Answer], logits: bool) -> String {
    let mut lines = Vec::with_capacity(answers.len());
    for answer in answers {
        let mut line = String::new();
        if answers.len() > 1 {
            line = one_line(&answer.image) + "\t";
        }
        line += &one_line(&answer.label);
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
    use crate::network::{InputSpec, Shape};

    fn profile(labels: &[&str]) -> Profile {
        let input = InputSpec {
            shape: Shape::vector(1),
            min: 0,
            max: 1,
        };
        let labels = labels.iter().map(ToString::to_string).collect();
        Profile::new("test", input, Vec::new(), labels, 0.5)
    }

    #[test]
    fn the_margin_is_to_the_second_best() {
        let answer = Answer::new(&profile(&["a", "b", "c"]), "x", &[-4, 10, 6]);
        assert_eq!((answer.label.as_str(), answer.class), ("b", 1));
        assert_eq!(answer.margin, 2.0);
        assert!(answer.probability() > 0.8);
    }

    #[test]
    fn equal_logits_have_no_margin() {
        let answer = Answer::new(&profile(&["a", "b"]), "x", &[7, 7]);
        assert_eq!((answer.class, answer.margin), (0, 0.0));
    }

    #[test]
    fn one_class_has_no_second() {
        let answer = Answer::new(&profile(&["a"]), "x", &[7]);
        assert_eq!((answer.margin, answer.probability()), (0.0, 1.0));
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
