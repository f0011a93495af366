//! The ring Z/m², as everything outside this room sees it.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

#[cfg(target_arch = "x86_64")]
use super::kernel::Ifma;
use super::{
    BignumError, Elements, Program,
    core::Core,
    kernel::{KernelKind, Portable},
    power::bit_length,
};

/// The core of the kernel in use. A further kernel is a further variant here,
/// in [`on!`], and in [`Ring::with_kernel`].
pub(super) enum Inner {
    Portable(Core<Portable>),
    #[cfg(target_arch = "x86_64")]
    Ifma(Core<Ifma>),
}

/// Runs an expression on the core of the ring's kernel.
macro_rules! on {
    ($ring:expr, $core:ident => $body:expr) => {
        match &*$ring.inner {
            $crate::bignum::ring::Inner::Portable($core) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::bignum::ring::Inner::Ifma($core) => $body,
        }
    };
}
pub(super) use on;

/// The ring of residues modulo m², for an odd m: n, or a secret prime of it.
///
/// Cheap to clone. Its constants are wiped when the last clone is dropped, and
/// nothing but [`invert`](Ring::invert) and [`all_units`](Ring::all_units)
/// takes time that depends on m, unless its name says `public`.
///
/// All plain integers are little-endian 64-bit limbs, in rows of fixed width;
/// h is the number of limbs of m. Methods panic if slices do not hold whole
/// rows, or vectors differ in length: those are mistakes of the caller, not of
/// a file or a user.
#[derive(Clone)]
pub struct Ring {
    pub(super) inner: Arc<Inner>,
}

impl Ring {
    /// The ring modulo m², with the kernel of this process
    /// ([`KernelKind::chosen`]).
    ///
    /// # Errors
    /// m even or below 3, or `PDNN_KERNEL` asks for what there is not.
    pub fn new(m: &[u64]) -> Result<Ring, BignumError> {
        Ring::with_kernel(m, KernelKind::chosen()?)
    }

    /// The ring modulo m² with a given kernel. High zero limbs of `m` are
    /// dropped. Where m is too long for a vector kernel (beyond 9,000 bits),
    /// the portable one is taken.
    ///
    /// # Errors
    /// m even or below 3, or the machine cannot run the kernel.
    pub fn with_kernel(m: &[u64], kernel: KernelKind) -> Result<Ring, BignumError> {
        let m = &m[..bit_length(m).div_ceil(64)];
        match m {
            [] | [1] => return Err(BignumError::TinyModulus),
            [low, ..] if low % 2 == 0 => return Err(BignumError::EvenModulus),
            _ => {}
        }
        let inner = match kernel.require()? {
            #[cfg(target_arch = "x86_64")]
            KernelKind::Ifma if Ifma::takes(m.len()) => Inner::Ifma(Core::new(Ifma::new(m), m)),
            KernelKind::Portable | KernelKind::Ifma => {
                Inner::Portable(Core::new(Portable::new(m), m))
            }
        };
        Ok(Ring {
            inner: Arc::new(inner),
        })
    }

    /// The kernel that multiplies.
    pub fn kernel(&self) -> KernelKind {
        match &*self.inner {
            Inner::Portable(_) => KernelKind::Portable,
            #[cfg(target_arch = "x86_64")]
            Inner::Ifma(_) => KernelKind::Ifma,
        }
    }

    /// Residues that the kernel multiplies at once: work in multiples of them
    /// leaves no lane idle, and up to as many stay on the calling thread.
    pub fn lanes(&self) -> usize {
        on!(self, core => core.lanes())
    }

    /// h: limbs of m. A canonical residue has 2h limbs.
    pub fn limbs(&self) -> usize {
        on!(self, core => core.m.len())
    }

    /// Plain integers, rows of `width` limbs (any width), reduced modulo m².
    /// Constant time; no division.
    pub fn enter(&self, rows: &[u64], width: usize) -> Elements {
        on!(self, core => core.enter(rows, width))
    }

    /// Constants by which rows of `width` limbs enter times `factor`, one
    /// element: for [`Ring::enter_sum`].
    pub fn entry(&self, factor: &Elements, width: usize) -> Elements {
        let constants =
            Zeroizing::new(on!(self, core => core.entries(width.div_ceil(self.limbs()))));
        let factors = Zeroizing::new(factor.gather(&vec![0; constants.len()]));
        self.mul(&constants, &factors)
    }

    /// Σ xₖ·fₖ, row by row, for tables xₖ of plain integers, each with the width
    /// of its rows (any) and the [`Ring::entry`] of its factor fₖ: the Chinese
    /// remainder theorem, at the price of entering. Constant time; no division.
    ///
    /// # Panics
    /// If the tables differ in their number of rows.
    pub fn enter_sum(&self, terms: &[(&[u64], usize, &Elements)]) -> Elements {
        on!(self, core => core.enter_sum(terms))
    }

    /// The residues, canonical: rows of 2h limbs, below m². Constant time.
    pub fn leave(&self, e: &Elements) -> Vec<u64> {
        on!(self, core => core.leave(e))
    }

    /// u0 + u1·m, rows of h limbs. Constant time.
    ///
    /// # Panics
    /// If a digit is not below m.
    pub fn from_digits(&self, u0: &[u64], u1: &[u64]) -> Elements {
        on!(self, core => core.join_digits(u0, u1))
    }

    /// The digits (u0, u1) of u0 + u1·m, canonical: rows of h limbs, below m.
    /// Constant time. Paillier's L(u) = (u − 1)/n is reading u1.
    pub fn digits(&self, e: &Elements) -> (Vec<u64>, Vec<u64>) {
        on!(self, core => core.digits(e))
    }

    /// `count` times the element 1.
    pub fn one(&self, count: usize) -> Elements {
        on!(self, core => core.one(count))
    }

    /// a·b, element by element. Constant time.
    pub fn mul(&self, a: &Elements, b: &Elements) -> Elements {
        on!(self, core => core.mul(a, b))
    }

    /// a ← a·b, element by element. Constant time.
    pub fn mul_assign(&self, a: &mut Elements, b: &Elements) {
        *a = self.mul(a, b);
    }

    /// a², element by element. Constant time.
    pub fn square(&self, a: &Elements) -> Elements {
        on!(self, core => core.square(a))
    }

    /// ρ·(1 + u·m): Paillier's blinding. `u_rows` has a row of h limbs, below
    /// m, for each element of `rho`. Constant time.
    ///
    /// # Panics
    /// If a u is not below m.
    pub fn mul_one_plus(&self, rho: &Elements, u_rows: &[u64]) -> Elements {
        on!(self, core => core.mul_one_plus(rho, u_rows))
    }

    /// The integers that [`Ring::mul_one_plus`] stands for, as
    /// [`Ring::leave`] gives them, for a third of the products of both.
    ///
    /// # Panics
    /// If a u is not below m.
    pub fn leave_one_plus(&self, rho: &Elements, u_rows: &[u64]) -> Vec<u64> {
        on!(self, core => core.leave_one_plus(rho, u_rows))
    }

    /// Every element to the power `exp`, which all share. Constant time: only
    /// the number of limbs of `exp` shows.
    pub fn pow_secret(&self, base: &Elements, exp: &[u64]) -> Elements {
        on!(self, core => core.pow_secret(base, exp, 64 * exp.len()))
    }

    /// As [`Ring::pow_secret`] for an `exp` below 2^`bits`, which show in its
    /// place.
    ///
    /// # Panics
    /// If `exp` has more bits.
    pub fn pow_secret_below(&self, base: &Elements, exp: &[u64], bits: u32) -> Elements {
        assert!(bit_length(exp) <= bits as usize, "an exponent of more bits");
        on!(self, core => core.pow_secret(base, exp, bits as usize))
    }

    /// Every element to the power `exp`, which all share and everyone may
    /// know: its bits show in the time.
    pub fn pow_public(&self, base: &Elements, exp: &[u64]) -> Elements {
        on!(self, core => core.pow_public(base, exp))
    }

    /// Every element to the power 2^k, by k squarings. Constant time.
    pub fn pow2k(&self, base: &Elements, k: u32) -> Elements {
        on!(self, core => core.pow2k(base, k))
    }

    /// Every element to the powers 2^(k·i) for i below `count`: those of the
    /// first element, then those of the second, and so on, by (count − 1)·k
    /// squarings each. Constant time.
    pub fn pow2k_runs(&self, base: &Elements, k: u32, count: usize) -> Elements {
        on!(self, core => core.pow2k_runs(base, k, count))
    }

    /// The inverse of every element, at the price of three products each and
    /// one inversion in all. Takes time that depends on the elements and on m:
    /// both must be public.
    ///
    /// # Errors
    /// [`BignumError::NotUnit`] with the index of the first element that
    /// shares a factor with m.
    pub fn invert(&self, e: &Elements) -> Result<Elements, BignumError> {
        on!(self, core => core.invert(e))
    }

    /// Whether every element has an inverse, by one product each and one
    /// greatest common divisor in all. For public elements and m, like
    /// [`invert`](Ring::invert).
    ///
    /// # Errors
    /// The index of the first element that shares a factor with m.
    pub fn all_units(&self, e: &Elements) -> Result<(), usize> {
        on!(self, core => core.all_units(e))
    }

    /// a·b mod m (not m²) for rows of h limbs, canonical. The operands may be
    /// any numbers of h limbs. Constant time.
    pub fn mul_mod(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        on!(self, core => core.mul_mod(a, b))
    }

    /// Runs a program of products on `inputs`; gives its outputs.
    ///
    /// # Errors
    /// A wrong number of inputs; an inversion of a non-unit, named by its
    /// index in the program's arena.
    pub fn run(&self, program: &Program, inputs: &Elements) -> Result<Elements, BignumError> {
        on!(self, core => core.run(program, inputs))
    }
}

impl fmt::Debug for Ring {
    /// Never the modulus: it may be a secret prime.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} limbs, {})", self.limbs(), self.kernel().name())
    }
}
