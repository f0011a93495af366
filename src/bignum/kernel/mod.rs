//! The kernels: the only code that knows how a residue lies in memory.
//!
//! A kernel multiplies [`Lanes::LANES`] residues at a time, in blocks whose
//! layout is its own (one number after the other for the portable kernel, one
//! number per vector lane for a vector kernel). Between blocks, residues live
//! in *rows*: the words of digit 0, then the words of digit 1, in the kernel's
//! own radix. Everything above this folder is written once, over [`Lanes`].
//!
//! # The n-adic Montgomery product
//!
//! A residue modulo m² is x = x0 + x1·m. With R the Montgomery radix for m,
//! a row holds the digits of x·R mod m². The product of two rows is found from
//!
//! ```text
//! x0·y0 = R·z0 − q·m            (one Montgomery reduction, q is its quotient)
//! z1    = REDC(x0·y1 + x1·y0 − q) mod m      (+ 1 if m was taken off z0)
//! ```
//!
//! so that z0 + z1·m ≡ x·y·R⁻¹ mod m². Two reductions of half the size replace
//! a full one: 5h² limb products instead of 8h², 3.5h² instead of 6h² for a
//! square.

mod digits;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod limbs;
mod portable;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod tiles;

#[cfg(target_arch = "x86_64")]
pub(super) use ifma::Ifma;
pub(super) use portable::Portable;

use std::sync::OnceLock;

use zeroize::Zeroize;

use super::BignumError;

/// Which code multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// 64-bit limbs, plain Rust, every machine.
    Portable,
    /// Eight residues at a time with the AVX-512 IFMA instructions.
    Ifma,
}

impl KernelKind {
    /// The name that `PDNN_KERNEL` and the reports use.
    pub fn name(self) -> &'static str {
        match self {
            KernelKind::Portable => "portable",
            KernelKind::Ifma => "ifma",
        }
    }

    /// Whether this machine and this build can run it.
    pub fn available(self) -> bool {
        match self {
            KernelKind::Portable => true,
            #[cfg(target_arch = "x86_64")]
            KernelKind::Ifma => ifma::available(),
            #[cfg(not(target_arch = "x86_64"))]
            KernelKind::Ifma => false,
        }
    }

    /// The kernel of this process: `PDNN_KERNEL` if set, otherwise the best
    /// that the machine has. Decided at the first call.
    ///
    /// # Errors
    /// The variable holds an unknown name, or a kernel the machine has not.
    pub fn chosen() -> Result<KernelKind, BignumError> {
        static CHOICE: OnceLock<Result<KernelKind, BignumError>> = OnceLock::new();
        CHOICE
            .get_or_init(|| {
                let wish = std::env::var_os("PDNN_KERNEL");
                KernelKind::choose(wish.as_ref().map(|w| w.to_string_lossy()).as_deref())
            })
            .clone()
    }

    /// The selection behind [`KernelKind::chosen`], given the variable's value.
    pub(super) fn choose(wish: Option<&str>) -> Result<KernelKind, BignumError> {
        let kind = match wish {
            None | Some("") => {
                return Ok(if KernelKind::Ifma.available() {
                    KernelKind::Ifma
                } else {
                    KernelKind::Portable
                });
            }
            Some("portable") => KernelKind::Portable,
            Some("ifma") => KernelKind::Ifma,
            Some(other) => return Err(BignumError::UnknownKernel(other.to_string())),
        };
        kind.require()
    }

    /// Itself, if it can run here.
    pub(super) fn require(self) -> Result<KernelKind, BignumError> {
        if self.available() {
            Ok(self)
        } else {
            Err(BignumError::KernelUnavailable(self.name()))
        }
    }
}

/// t ← t + a·b for factors of h limbs each and a t of 2h limbs that has room
/// for the sum. Constant time.
pub(super) fn add_product(a: &[u64], b: &[u64], t: &mut [u64]) {
    use digits::Digits;
    #[cfg(target_arch = "x86_64")]
    if let Some(adx) = tiles::Adx::detect() {
        adx.multiply_add(a, b, t);
        return;
    }
    digits::Plain.multiply_add(a, b, t);
}

/// Arithmetic modulo m² on blocks of [`Lanes::LANES`] residues.
///
/// Three states of a row matter:
/// - *reduced*: what `mul_assign`, `sqr_assign` and `add_assign` leave, and
///   accept. A kernel may leave digits at or above m, as long as it accepts
///   them and `unpack` takes them off.
/// - *raw*: `pack` of plain digits, accepted by `mul_assign` in one of its two
///   operands if the other is reduced, and either both digits are below m, or
///   digit 1 is 0 and digit 0 any number of h limbs. So R ≥ 2^(64h).
/// - *canonical*: digits below m in 64-bit limbs, what `unpack` gives.
///
/// No operation branches or indexes memory by a value.
pub(super) trait Lanes: Send + Sync {
    /// Residues in a block.
    const LANES: usize;
    /// `LANES` residues in the kernel's own layout.
    type Block: Clone + Send + Sync + Zeroize;

    /// h: 64-bit limbs of m.
    fn limbs(&self) -> usize;
    /// Words of one digit in a row; a row has twice as many.
    fn words(&self) -> usize;
    /// log2 of the Montgomery radix R, at least 64h.
    fn radix_bits(&self) -> u32;
    /// Plain digits of h limbs each, rewritten as a raw row.
    fn pack(&self, u0: &[u64], u1: &[u64], row: &mut [u64]);
    /// The digits of a reduced row, canonical: h limbs each, below m.
    fn unpack(&self, row: &[u64], u0: &mut [u64], u1: &mut [u64]);
    /// A block of zeros.
    fn block(&self) -> Self::Block;
    /// Fills the block from 1 to `LANES` rows; lanes that are left over repeat
    /// the first row.
    fn gather(&self, block: &mut Self::Block, rows: &[&[u64]]);
    /// Says that a row will be gathered soon.
    fn prefetch(&self, _row: &[u64]) {}
    /// Writes the first lanes to `out`, as many rows as it has room for.
    fn scatter(&self, block: &Self::Block, out: &mut [u64]);
    /// a·b·R⁻¹ in each lane.
    fn mul_assign(&self, a: &mut Self::Block, b: &Self::Block);
    /// a·a·R⁻¹ in each lane.
    fn sqr_assign(&self, a: &mut Self::Block);
    /// a + b in each lane.
    fn add_assign(&self, a: &mut Self::Block, b: &Self::Block);
    /// Replaces lane i of `a` by lane i of `b` where `masks[i]` is all ones,
    /// and keeps it where it is 0. `masks` has `LANES` entries.
    fn select(&self, a: &mut Self::Block, b: &Self::Block, masks: &[u64]);
    /// Lane i of `a` becomes lane i of `table[wanted[i]]`, after reading the
    /// whole table. `wanted` has `LANES` entries.
    fn pick(&self, a: &mut Self::Block, table: &[Self::Block], wanted: &[u64]) {
        let mut masks = vec![0; Self::LANES];
        for (d, candidate) in table.iter().enumerate() {
            equal_masks(d as u64, wanted, &mut masks);
            self.select(a, candidate, &masks);
        }
        masks.zeroize();
    }
    /// Lane i of `a` becomes row `wanted[i]` of `rows`, after reading all of
    /// them.
    fn pick_row(&self, a: &mut Self::Block, rows: &[u64], wanted: &[u64]) {
        let mut masks = vec![0; Self::LANES];
        let mut candidate = self.block();
        for (d, row) in rows.chunks(2 * self.words()).enumerate() {
            self.gather(&mut candidate, &[row]);
            equal_masks(d as u64, wanted, &mut masks);
            self.select(a, &candidate, &masks);
        }
        masks.zeroize();
        candidate.zeroize();
    }
}

/// All ones where `wanted` is `d`, 0 elsewhere; without a branch.
fn equal_masks(d: u64, wanted: &[u64], masks: &mut [u64]) {
    for (mask, w) in masks.iter_mut().zip(wanted) {
        let differ = (d ^ w) | (d ^ w).wrapping_neg();
        *mask = (differ >> 63).wrapping_sub(1);
    }
}
