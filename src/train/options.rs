//! What a training run depends on.

use super::{Augment, Bayes, Prune, Topology, TrainError};
use crate::network::Feature;

/// Everything that decides the outcome of a run, besides the images.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// The network.
    pub topology: Topology,
    /// What the trained network is called.
    pub name: String,
    /// What each class is called.
    pub labels: Vec<String>,
    /// The columns that the network takes; empty if it takes images.
    pub features: Vec<Feature>,
    /// Decides initial weights, order and distortion of the images.
    pub seed: u64,
    /// Epochs in floats.
    pub epochs: usize,
    /// Epochs that simulate the integer network.
    pub qat_epochs: usize,
    /// Images of one step.
    pub batch: usize,
    /// Peak learning rate of the float epochs.
    pub rate: f32,
    /// Peak learning rate of the quantised epochs.
    pub qat_rate: f32,
    /// Weight decay, relative to the learning rate.
    pub decay: f32,
    /// Bits of the weights, 2 to 8.
    pub weight_bits: u32,
    /// Bits of the activations, 2 to 8.
    pub activation_bits: u32,
    /// Bits that the client rounds the input's elements to, 2 to 8; 8 is as
    /// they are.
    pub input_bits: u32,
    /// Layers that are pruned in the quantised epochs.
    pub prune: Vec<Prune>,
    /// Distortion of the training images.
    pub augment: Augment,
    /// Longest gradient of a step; a longer one is scaled down to it.
    pub clip: Option<f32>,
    /// A Bayesian network, and how its posterior is trained. Its prior takes
    /// the place of the weight decay.
    pub bayes: Option<Bayes>,
}

impl TrainOptions {
    /// What `pdnn train` does unless told otherwise.
    pub fn new(topology: Topology) -> TrainOptions {
        TrainOptions {
            name: topology.name.clone(),
            labels: (0..topology.classes()).map(|c| c.to_string()).collect(),
            topology,
            features: Vec::new(),
            seed: 1,
            epochs: 50,
            qat_epochs: 10,
            batch: 128,
            rate: 3e-3,
            qat_rate: 3e-4,
            decay: 0.01,
            weight_bits: 8,
            activation_bits: 8,
            input_bits: 8,
            prune: Vec::new(),
            augment: Augment::default(),
            clip: None,
            bayes: None,
        }
    }

    /// How many levels the input's values are rounded to, if they are.
    pub(super) fn rounded_levels(&self) -> Option<u32> {
        (self.input_bits < 8).then(|| 1 << self.input_bits)
    }

    /// Checks every option by itself.
    ///
    /// # Errors
    /// [`TrainError::Option`] names the first one outside its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |text: String| Err(TrainError::Option(text));
        for (what, bits) in [
            ("weight", self.weight_bits),
            ("activation", self.activation_bits),
            ("input", self.input_bits),
        ] {
            if !(2..=8).contains(&bits) {
                return wrong(format!("{bits} {what} bits; choose 2 to 8"));
            }
        }
        if !self.prune.is_empty() && self.bayes.is_some() {
            return wrong("a Bayesian network is not pruned; its weights are drawn".to_string());
        }
        if !self.prune.is_empty() && self.qat_epochs == 0 {
            return wrong("0 quantised epochs to prune in; choose at least 1".to_string());
        }
        let classes = self.topology.classes();
        if self.labels.len() != classes {
            return wrong(format!(
                "{} labels for {classes} classes; name each class once",
                self.labels.len()
            ));
        }
        if self.batch == 0 {
            return wrong("a batch of 0 images; choose at least 1".to_string());
        }
        for (what, rate) in [("float", self.rate), ("quantised", self.qat_rate)] {
            if !(rate.is_finite() && rate > 0.0) {
                return wrong(format!(
                    "a learning rate of {rate} for the {what} epochs; choose a positive number"
                ));
            }
        }
        if !(0.0..1.0).contains(&self.decay) {
            return wrong(format!(
                "a weight decay of {}; choose a number from 0 to below 1",
                self.decay
            ));
        }
        if let Some(clip) = self.clip
            && !(clip.is_finite() && clip > 0.0)
        {
            return wrong(format!(
                "gradients clipped at {clip}; choose a positive number"
            ));
        }
        self.bayes.map_or(Ok(()), |bayes| bayes.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut TrainOptions)) -> String {
        let mut options = TrainOptions::new(Topology::named("lenet5", (1, 28, 28), 10).unwrap());
        options.check().unwrap();
        change(&mut options);
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn every_option_outside_its_range_is_named() {
        assert!(refused(|o| o.weight_bits = 1).contains("weight bits"));
        assert!(refused(|o| o.activation_bits = 9).contains("activation bits"));
        assert!(refused(|o| o.input_bits = 1).contains("input bits"));
        let prune = Prune {
            layer: "dense1".into(),
            share: 0.5,
        };
        let pruned = |o: &mut TrainOptions| o.prune = vec![prune.clone()];
        assert!(refused(|o| (pruned(o), o.qat_epochs = 0).1).contains("prune in"));
        assert!(refused(|o| (pruned(o), o.bayes = Some(Bayes::default())).1).contains("Bayesian"));
        assert!(refused(|o| drop(o.labels.pop())).contains("9 labels"));
        assert!(refused(|o| o.batch = 0).contains("batch"));
        assert!(refused(|o| o.rate = f32::NAN).contains("float epochs"));
        assert!(refused(|o| o.qat_rate = 0.0).contains("quantised epochs"));
        assert!(refused(|o| o.decay = 1.0).contains("decay"));
        assert!(refused(|o| o.clip = Some(0.0)).contains("clipped"));
    }
}
