//! Which packing to use, and what it sends: decided from public counts.

use crate::{
    encrypted::layout::{Packing, StageLayout, slot_bits},
    network::Profile,
};

use super::{MAX_MESSAGE, ProtocolError};

/// Which packing a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayoutChoice {
    /// Whatever costs less for the number of images at hand.
    #[default]
    Auto,
    /// [`Packing::Latency`].
    Latency,
    /// [`Packing::Throughput`].
    Throughput,
}

/// What a stage sends in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTraffic {
    /// Ciphertexts from client to server.
    pub inputs: usize,
    /// Ciphertexts from server to client.
    pub outputs: usize,
}

/// The layout that one path has at stage `stage` (from 0) of `profile`; a query
/// has `samples` of them.
///
/// # Errors
///
/// [`ProtocolError::KeyTooShort`] if not even one slot fits,
/// [`ProtocolError::NoZero`] if 0 is no input of the layer,
/// [`ProtocolError::TooLarge`] if a message would pass [`MAX_MESSAGE`].
pub(in crate::protocol) fn stage_layout(
    profile: &Profile,
    stage: usize,
    key_bits: u32,
    images: usize,
    samples: usize,
    packing: Packing,
) -> Result<StageLayout, ProtocolError> {
    let of = &profile.stages[stage];
    let inputs = profile.input_range(stage);
    if !inputs.contains(0) {
        return Err(ProtocolError::NoZero {
            layer: of.name.clone(),
            inputs,
        });
    }
    let layout = StageLayout::new(&of.linear, inputs, of.range, key_bits, images, packing);
    let layout = layout.ok_or_else(|| ProtocolError::KeyTooShort {
        layer: of.name.clone(),
        key_bits,
        slot_bits: slot_bits(inputs, of.range),
    })?;
    let (inputs, outputs) = sent(&layout, stage, samples);
    let bytes = inputs.max(outputs) * (key_bits as usize).div_ceil(8) * 2;
    if bytes > MAX_MESSAGE {
        return Err(ProtocolError::TooLarge {
            images: images * samples,
            packing,
            mebibytes: bytes >> 20,
        });
    }
    Ok(layout)
}

/// Ciphertexts of the query and of the reply of stage `stage`, for `samples`
/// paths of `layout`, which share the inputs of the first stage.
fn sent(layout: &StageLayout, stage: usize, samples: usize) -> (usize, usize) {
    let sets = if stage == 0 { 1 } else { samples };
    (sets * layout.inputs(), samples * layout.outputs())
}

/// What every stage sends for `images` images on `samples` paths.
///
/// # Errors
///
/// If there is no layout for one of the stages.
pub fn traffic(
    profile: &Profile,
    key_bits: u32,
    images: usize,
    samples: usize,
    packing: Packing,
) -> Result<Vec<StageTraffic>, ProtocolError> {
    (0..profile.stages.len())
        .map(|stage| {
            let layout = stage_layout(profile, stage, key_bits, images, samples, packing)?;
            let (inputs, outputs) = sent(&layout, stage, samples);
            Ok(StageTraffic { inputs, outputs })
        })
        .collect()
}

/// What an encryption by the key's owner costs, in products modulo n² at 2048
/// bits (`docs/performance/figures.md`).
const ENCRYPTION: usize = 80;
/// What re-randomising and decrypting a result cost together, likewise.
const RESULT: usize = 990;
/// What one weight costs on one ciphertext, likewise.
const WEIGHT: usize = 2;

/// The packing for `images` images on `samples` paths: the one asked for, or the cheaper one.
///
/// Costs are counted in products modulo n², roughly: the two packings differ by
/// an order of magnitude except near the point where they cross.
pub(in crate::protocol) fn choose(
    profile: &Profile,
    key_bits: u32,
    images: usize,
    samples: usize,
    choice: LayoutChoice,
) -> Result<Packing, ProtocolError> {
    match choice {
        LayoutChoice::Latency => return Ok(Packing::Latency),
        LayoutChoice::Throughput => return Ok(Packing::Throughput),
        LayoutChoice::Auto => {}
    }
    let cost = |packing| cost(profile, key_bits, images, samples, packing);
    let throughput = cost(Packing::Throughput)?;
    match cost(Packing::Latency) {
        Ok(latency) if latency <= throughput => Ok(Packing::Latency),
        Ok(_) | Err(ProtocolError::TooLarge { .. }) => Ok(Packing::Throughput),
        Err(error) => Err(error),
    }
}

/// What a classification costs both sides, in products.
fn cost(
    profile: &Profile,
    key_bits: u32,
    images: usize,
    samples: usize,
    packing: Packing,
) -> Result<usize, ProtocolError> {
    let mut cost = 0;
    for (stage, of) in profile.stages.iter().enumerate() {
        let layout = stage_layout(profile, stage, key_bits, images, samples, packing)?;
        let (inputs, outputs) = sent(&layout, stage, samples);
        let weights = samples * layout.rows_per_group() * of.linear.taps();
        cost += inputs * ENCRYPTION + outputs * RESULT + layout.groups() * weights * WEIGHT;
    }
    Ok(cost)
}

/// Into how large chunks `images` images are best cut, of at most `most` each:
/// layers have room for different numbers of images in a ciphertext, and what is
/// left free in the last ones is lost. Never less than half of `most`, for every
/// chunk has its own chain of stages.
pub fn best_chunk(
    profile: &Profile,
    key_bits: u32,
    images: usize,
    samples: usize,
    choice: LayoutChoice,
    most: usize,
) -> usize {
    if images <= most {
        return images;
    }
    let packings: &[Packing] = match choice {
        LayoutChoice::Auto => &[Packing::Throughput, Packing::Latency],
        LayoutChoice::Latency => &[Packing::Latency],
        LayoutChoice::Throughput => &[Packing::Throughput],
    };
    let of = |images: usize| {
        if images == 0 {
            return Some(0);
        }
        let costs = packings
            .iter()
            .map(|&p| cost(profile, key_bits, images, samples, p));
        costs.filter_map(Result::ok).min()
    };
    let all = |chunk: usize| Some(images / chunk * of(chunk)? + of(images % chunk)?);
    let sizes = (most.div_ceil(2)..=most).rev();
    // Of equals the first, which is the largest. Without a layout the client
    // will say why.
    let best = sizes.filter_map(|size| Some((all(size)?, size)));
    best.min_by_key(|(cost, _)| *cost)
        .map_or(most, |(_, size)| size)
}
