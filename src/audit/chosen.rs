//! Queries of the auditor's choice: every weight of a layer from one message.
//!
//! Zero inputs give the bias, a unit input gives a weight: `y = b + w·1`. But
//! the server cannot look into a ciphertext, so a client need not put slots of
//! a layer's width into it. With the powers of a radix in the place of inputs,
//! tap i encrypting ρ·R^i, a result is
//!
//! ```text
//!   Σ_i w_i·ρ·R^i + b·U        U = Σ_k 2^(Bk), the bias at each of the group's slots
//! ```
//!
//! and decrypts to one long number. Its lowest slot is the bias if ρ = 2^B;
//! what is left, divided by ρ, has the weights for its signed digits in radix
//! R. So a result ciphertext yields about |n| / log₂R weights: all of a
//! convolution of 25 taps, 126 of a dense layer at 2048 bits.
//!
//! R needs no guess. The profile states the range of the layer's results, which
//! for inputs of width h is at least h·Σ|w_i| wide: that bounds every weight.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::{
    network::{Linear, Range},
    paillier::Plaintext,
    protocol::exchange::{MAX_IMAGES, Packing, ProtocolError, StageLayout},
};

use super::{AuditError, Estimate, Fraction, Model, Service, products};

/// The crafted queries for one layer.
pub struct Plan {
    stage: usize,
    layout: StageLayout,
    taps: usize,
    channels: usize,
    /// The layer's results: what the bias lies in.
    results: Range,
    /// Bits of a digit.
    digit: u32,
    /// Weights of an output channel that one group yields.
    per_group: usize,
    /// How many messages, each of the layout's groups, it takes.
    messages: usize,
}

/// One set of weights, as it came out of the answers to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// In the order of [`Weights`](crate::network::Weights).
    pub weights: Vec<i64>,
    /// One for each output channel.
    pub bias: Vec<i64>,
    /// Whether all answers were ones that a linear layer within the profile's
    /// range gives: no remainder above the last digit, and one bias everywhere.
    pub regular: bool,
}

impl Plan {
    /// The least messages, then the least ciphertexts, that give every weight
    /// of stage `stage`.
    ///
    /// # Errors
    ///
    /// A key too short for the layer's slots or for one weight.
    pub fn new(service: &dyn Service, stage: usize) -> Result<Plan, AuditError> {
        let profile = service.profile();
        let of = &profile.stages[stage];
        let (taps, channels) = (of.linear.taps(), of.linear.channels());
        // A convolution by tap and a dense layer by element: either way one
        // input ciphertext for each tap, one result for each output channel.
        let positions = of.linear.positions();
        let packing = match positions {
            1 => Packing::Throughput,
            _ => Packing::Latency,
        };
        let slots = service.layout(stage, packing, 1)?.slots();

        let inputs = profile.input_range(stage);
        let spread = |range: Range| i128::from(range.max) - i128::from(range.min);
        let most = (spread(of.range) / spread(inputs).max(1)).min(i128::from(i32::MAX)) as i64;
        let digit = Range::new(-most, most).slot_bits();
        let room = service.key_bits().saturating_sub(2 + slots.bits);
        let per_group = ((room / digit) as usize).min(taps);
        if per_group == 0 {
            return Err(AuditError::KeyTooShort {
                layer: of.name.clone(),
                key_bits: service.key_bits(),
            });
        }

        // As many groups in one message as it may hold.
        let needed = taps.div_ceil(per_group);
        let mut groups = needed;
        let layout = loop {
            // So many that no two output channels share a ciphertext.
            let least = match packing {
                Packing::Latency => slots.slots / 2 / positions + 1,
                Packing::Throughput => 1,
            };
            let images = ((groups - 1) * slots.slots / positions + 1).max(least);
            match service.layout(stage, packing, images) {
                Ok(layout) if images * service.draws() <= MAX_IMAGES => break layout,
                Ok(_) if groups > 1 => groups = groups.div_ceil(2),
                Ok(_) => {
                    return Err(AuditError::TooManyImages {
                        layer: of.name.clone(),
                        images,
                        draws: service.draws(),
                    });
                }
                Err(ProtocolError::TooLarge { .. }) if groups > 1 => groups = groups.div_ceil(2),
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Plan {
            stage,
            messages: needed.div_ceil(layout.groups()),
            layout,
            taps,
            channels,
            results: of.range,
            digit,
            per_group,
        })
    }

    /// How many messages it takes.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Asks; one draw for each set of weights that answered.
    ///
    /// Where the plan takes several messages and the server draws weights for
    /// each, a draw is put together from several of the server's.
    ///
    /// # Errors
    ///
    /// Whatever [`Service::ask`] says.
    pub fn ask(&self, service: &mut dyn Service) -> Result<Vec<Draw>, AuditError> {
        let mut draws = vec![
            Draw {
                weights: vec![0; self.channels * self.taps],
                bias: vec![0; self.channels],
                regular: true,
            };
            service.draws()
        ];
        for message in 0..self.messages {
            let plaintexts = self.plaintexts(message);
            let answers = service.ask(self.stage, &self.layout, &plaintexts)?;
            for (draw, answer) in draws.iter_mut().zip(&answers) {
                self.read(message, answer, draw);
            }
        }
        Ok(draws)
    }

    /// The taps whose weights group `group` of message `message` yields.
    fn taps_of(&self, message: usize, group: usize) -> std::ops::Range<usize> {
        let first = (message * self.layout.groups() + group) * self.per_group;
        first.min(self.taps)..(first + self.per_group).min(self.taps)
    }

    /// The plaintexts of message `message`: powers of the radix at the taps of
    /// each group, 0 elsewhere.
    fn plaintexts(&self, message: usize) -> Vec<Plaintext> {
        let bias_bits = self.layout.slots().bits;
        (0..self.layout.groups())
            .flat_map(|group| {
                let taps = self.taps_of(message, group);
                (0..self.taps).map(move |tap| match tap.checked_sub(taps.start) {
                    Some(place) if tap < taps.end => {
                        let shift = bias_bits as usize + place * self.digit as usize;
                        Plaintext::from_signed(&(BigInt::from(1) << shift))
                    }
                    _ => Plaintext::from_i64(0),
                })
            })
            .collect()
    }

    /// Reads the weights out of the decrypted answers to message `message`.
    fn read(&self, message: usize, answers: &[Plaintext], draw: &mut Draw) {
        let bias_bits = self.layout.slots().bits;
        for (group, of_group) in answers.chunks(self.layout.outputs_per_group()).enumerate() {
            let taps = self.taps_of(message, group);
            for (channel, answer) in of_group.iter().enumerate() {
                let mut rest = answer.to_signed();
                let bias = take_digit(&mut rest, bias_bits);
                // The bias at the other slots of the group.
                let others = (1..self.layout.used(group, channel))
                    .fold(BigInt::ZERO, |sum, slot| {
                        sum + (BigInt::from(1) << ((slot - 1) * bias_bits as usize))
                    });
                rest -= others * bias;
                draw.regular &= self.results.contains(bias);
                if message == 0 && group == 0 {
                    draw.bias[channel] = bias;
                } else {
                    draw.regular &= draw.bias[channel] == bias;
                }
                for tap in taps.clone() {
                    draw.weights[channel * self.taps + tap] = take_digit(&mut rest, self.digit);
                }
                draw.regular &= rest == BigInt::ZERO;
            }
        }
    }
}

/// The lowest signed digit of `bits` bits, taken off `number`.
fn take_digit(number: &mut BigInt, bits: u32) -> i64 {
    let radix = BigInt::from(1) << bits;
    let low: BigInt = &*number & (&radix - 1u32);
    let low = if low.bits() == u64::from(bits) {
        low - radix
    } else {
        low
    };
    *number -= &low;
    *number >>= bits;
    // Slots are at most 64 bits wide, signed.
    low.to_i64().unwrap_or(0)
}

/// Recovers every layer with one round of crafted queries.
///
/// # Errors
///
/// As [`Plan::new`] and [`Plan::ask`].
pub fn attack(service: &mut dyn Service, progress: Fraction<'_>) -> Result<Model, AuditError> {
    let plans = plans(service)?;
    let work = work(service);
    let mut model = Vec::with_capacity(plans.len());
    for (stage, plan) in plans.iter().enumerate() {
        let draws = plan.ask(service)?;
        progress(work[..=stage].iter().sum());
        model.push(estimate(&draws[0], plan.taps));
    }
    Ok(model)
}

/// A plan for every layer.
///
/// # Errors
///
/// As [`Plan::new`].
pub fn plans(service: &dyn Service) -> Result<Vec<Plan>, AuditError> {
    (0..service.profile().stages.len())
        .map(|stage| Plan::new(service, stage))
        .collect()
}

/// The share of the whole time that each stage takes, about.
pub(super) fn work(service: &dyn Service) -> Vec<f64> {
    let stages = &service.profile().stages;
    let of = |linear: &Linear| products(linear) / linear.positions() as f64;
    let all: f64 = stages.iter().map(|stage| of(&stage.linear)).sum();
    stages.iter().map(|stage| of(&stage.linear) / all).collect()
}

fn estimate(draw: &Draw, taps: usize) -> Estimate {
    let floats = |values: &[i64]| values.iter().map(|&v| v as f64).collect();
    Estimate {
        weights: floats(&draw.weights),
        bias: floats(&draw.bias),
        determined: vec![true; taps + 1],
        explains: Some(draw.regular),
        deviations: None,
    }
}

#[cfg(test)]
mod digits {
    use super::*;

    #[test]
    fn signed_digits_come_back() {
        let digits = [-4i64, 3, 0, -1, -4, 2, 3];
        let mut number: BigInt = digits
            .iter()
            .enumerate()
            .map(|(place, &digit)| BigInt::from(digit) << (3 * place))
            .sum();
        for digit in digits {
            assert_eq!(take_digit(&mut number, 3), digit);
        }
        assert_eq!(number, BigInt::ZERO);
    }
}
