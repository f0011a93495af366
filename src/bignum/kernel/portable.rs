//! The portable kernel: one residue a block, 64-bit limbs, every machine.
//!
//! R = 2^(64h), so a row is two digits of h limbs and packing copies. Digits
//! stay below m: a modulus that fills its top limb leaves no room for more.
//! One body serves every size; for the sizes of keys and of their primes it is
//! stamped with a constant h, so that the compiler knows every bound.

use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(target_arch = "x86_64")]
use super::tiles::Adx;
use super::{
    Lanes,
    digits::Plain,
    limbs::{add_assign, add_small, negative_inverse, reduce_once},
    scalar::{product, product_at, square, square_at},
};

/// Modulus and Montgomery constant; secret for a ring over p, so zeroised.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::bignum) struct Portable {
    m: Vec<u64>,
    /// −m⁻¹ mod 2^64.
    k0: u64,
    /// How digits are multiplied, if not in plain Rust.
    #[cfg(target_arch = "x86_64")]
    #[zeroize(skip)]
    adx: Option<Adx>,
}

impl Portable {
    /// `m` odd, its top limb not 0.
    pub(in crate::bignum) fn new(m: &[u64]) -> Portable {
        Portable {
            m: m.to_vec(),
            k0: negative_inverse(m[0]),
            #[cfg(target_arch = "x86_64")]
            adx: Adx::detect(),
        }
    }

    /// The same without instructions that the machine may have beyond others.
    #[cfg(test)]
    pub(in crate::bignum) fn plain(m: &[u64]) -> Portable {
        let mut kernel = Portable::new(m);
        #[cfg(target_arch = "x86_64")]
        {
            kernel.adx = None;
        }
        kernel
    }
}

/// Calls the stamp of `$fixed` for the size, or `$any` with scratch from the
/// heap, with the best instructions.
macro_rules! with_size {
    ($self:ident, $fixed:ident, $any:ident, $($arg:expr),*) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some(adx) = $self.adx {
            with_size!(@ $self, adx, $fixed, $any, $($arg),*);
            return;
        }
        with_size!(@ $self, Plain, $fixed, $any, $($arg),*);
    }};
    (@ $self:ident, $digits:expr, $fixed:ident, $any:ident, $($arg:expr),*) => {
        match $self.m.len() {
            16 => $fixed::<_, 16>($digits, $($arg),*),
            24 => $fixed::<_, 24>($digits, $($arg),*),
            32 => $fixed::<_, 32>($digits, $($arg),*),
            48 => $fixed::<_, 48>($digits, $($arg),*),
            64 => $fixed::<_, 64>($digits, $($arg),*),
            h => $any($digits, h, &mut vec![0; 4 * h], $($arg),*),
        }
    };
}

impl Lanes for Portable {
    const LANES: usize = 1;
    type Block = Vec<u64>;

    fn limbs(&self) -> usize {
        self.m.len()
    }

    fn words(&self) -> usize {
        self.m.len()
    }

    fn radix_bits(&self) -> u32 {
        64 * self.m.len() as u32
    }

    fn pack(&self, u0: &[u64], u1: &[u64], row: &mut [u64]) {
        let (r0, r1) = row.split_at_mut(self.m.len());
        r0.copy_from_slice(u0);
        r1.copy_from_slice(u1);
    }

    fn unpack(&self, row: &[u64], u0: &mut [u64], u1: &mut [u64]) {
        let (r0, r1) = row.split_at(self.m.len());
        u0.copy_from_slice(r0);
        u1.copy_from_slice(r1);
    }

    fn block(&self) -> Vec<u64> {
        vec![0; 2 * self.m.len()]
    }

    fn gather(&self, block: &mut Vec<u64>, rows: &[&[u64]]) {
        block.copy_from_slice(rows[0]);
    }

    fn scatter(&self, block: &Vec<u64>, out: &mut [u64]) {
        out.copy_from_slice(block);
    }

    fn mul_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        with_size!(self, product_at, product, a, b, &self.m, self.k0);
    }

    fn sqr_assign(&self, a: &mut Vec<u64>) {
        with_size!(self, square_at, square, a, &self.m, self.k0);
    }

    fn add_assign(&self, a: &mut Vec<u64>, b: &Vec<u64>) {
        let h = self.m.len();
        let mut spare = vec![0; h];
        let (a0, a1) = a.split_at_mut(h);
        let (b0, b1) = b.split_at(h);
        let top = add_assign(a0, b0);
        let (_, carry) = reduce_once(top, a0, &self.m, &mut spare);
        let top = add_assign(a1, b1) + add_small(a1, carry);
        // Up to 2m − 1 after the digits, m when the carry arrives last.
        reduce_once(top, a1, &self.m, &mut spare);
        spare.zeroize();
    }

    fn select(&self, a: &mut Vec<u64>, b: &Vec<u64>, masks: &[u64]) {
        let mask = core::hint::black_box(masks[0]);
        for (a, &b) in a.iter_mut().zip(b) {
            *a ^= (*a ^ b) & mask;
        }
    }
}
