//! The differentiable operations that the networks of this room are made of,
//! as candle custom operations.
//!
//! candle's own convolution is several times slower backwards than forwards,
//! and spends most of both in rearranging memory. Here an activation is laid
//! out as `[channels, images, height, width]`: a convolution is then one
//! matrix product `weights × columns` whose result is already in that layout,
//! and so is every gradient. A dense layer is a convolution whose kernel
//! covers the whole input, which also makes flattening free.
//!
//! All operations expect contiguous `f32` tensors on the CPU.

mod activation;
mod layer;
mod linear;
mod loss;
mod noisy;
mod quantise;
mod steps;

pub(super) use activation::{Pool, PoolKind, Step};
pub(super) use layer::LinearLayer;
pub(super) use linear::Window;
pub(super) use loss::CrossEntropy;
pub(super) use noisy::NoisyLayer;
pub(super) use quantise::{FakeQuantise, Levels};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The elements of a contiguous `f32` argument of a custom operation.
fn elements<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(all) = storage else {
        bail!("expected f32 elements")
    };
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&all[from..to]),
        None => bail!("expected a contiguous tensor"),
    }
}

/// Runs `f` on the elements of a tensor, which is copied only if it is not
/// contiguous.
fn with_elements<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(elements(cpu, layout)?)),
        _ => bail!("expected a tensor on the CPU"),
    }
}

#[cfg(test)]
mod tests;
