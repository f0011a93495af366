//! Standard normals for weights that are drawn in training.

use std::f32::consts::TAU;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// What a generator of noise is for; no two draw the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// One shard of one step of an epoch.
    Step {
        /// From 0 over both phases.
        epoch: usize,
        /// From 0 within the epoch.
        step: usize,
        /// From 0 within the step.
        shard: usize,
    },
    /// One chunk of images that a network is measured on.
    Measure {
        /// From 0.
        chunk: usize,
    },
}

/// The generator for one purpose.
pub(super) fn generator(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let words = match purpose {
        Purpose::Step { epoch, step, shard } => [epoch as u64, step as u64, shard as u64 + 1],
        Purpose::Measure { chunk } => [chunk as u64, 0, 0],
    };
    let mut key = [0u8; 32];
    // A word that the augmentation's generators, which use three, leave 0.
    let words = [seed, words[0], words[1], words[2] << 8 | 1];
    for (bytes, word) in key.chunks_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// So many standard normals (Box and Muller 1958).
pub(super) fn normals(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // In (0, 1]: the logarithm stays finite.
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
        let (sin, cos) = (TAU * rng.random::<f32>()).sin_cos();
        values.extend([radius * cos, radius * sin]);
    }
    values.truncate(count);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let mut rng = generator(1, Purpose::Measure { chunk: 0 });
        let values = normals(&mut rng, 100_001);
        assert_eq!(values.len(), 100_001);
        let moment = |power: i32| -> f64 {
            let sum: f64 = values.iter().map(|x| f64::from(*x).powi(power)).sum();
            sum / values.len() as f64
        };
        assert!(moment(1).abs() < 0.013 && (moment(2) - 1.0).abs() < 0.018);
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.13);
    }

    #[test]
    fn every_purpose_draws_its_own() {
        let step = |epoch, step, shard| Purpose::Step { epoch, step, shard };
        let purposes = [
            step(0, 0, 0),
            step(0, 0, 1),
            step(0, 1, 0),
            step(1, 0, 0),
            Purpose::Measure { chunk: 0 },
            Purpose::Measure { chunk: 1 },
        ];
        let firsts: std::collections::HashSet<u64> = purposes
            .iter()
            .map(|p| generator(7, *p).random::<u64>())
            .collect();
        assert_eq!(firsts.len(), purposes.len());
    }
}
