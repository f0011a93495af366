//! Steps: powers of h that let h_s be checked sooner.
//!
//! Whoever meets a key for the first time checks that h_s = h^n mod n², a chain
//! of as many squarings as n has bits, of one number: all lanes of a kernel but
//! one are empty. So a subgroup key has, beside h, seven powers of it modulo n²,
//!
//! ```text
//! g_i = h^(2^(k·i)) mod n²    i = 1..7,  k = ⌈|n|/8⌉,  g_0 = h
//! ```
//!
//! by which eight pieces of the chain are checked at once, an eighth as long:
//!
//! ```text
//! g_i^(2^k) = g_(i+1)                           i = 0..6
//! h^n = Π_i g_i^(n_i) = Π_i Π_j (g_i^(2^(w·j)))^(n_(i,j))
//! ```
//!
//! n_i are the digits of n to the base 2^k, n_(i,j) those of n_i to the base
//! 2^w. The powers on the right stand on the way of the chains. They are
//! multiplied into a bucket for each digit (Pippenger, "On the evaluation of
//! powers and related problems", FOCS 1976), those into one for each bit of the
//! digit, and these are joined by squarings.
//!
//! The equations on the chains hold for no other g_i than those that h has. So
//! the outcome is h^n whatever the key says, and steps can make no wrong key
//! pass.

use num_bigint::BigUint;

use super::{PaillierError, limbs};
use crate::bignum::{Csr, Elements, Program, Ring, Stage};

/// Steps of a key: with h, as many numbers as a vector kernel squares at once.
pub(super) const STEPS: usize = 7;

/// w: bits of a digit that share a bucket. Five take the fewest products and
/// little memory for n of 2048 bits and up.
const WINDOW: u32 = 5;

/// k: squarings from a step to the next, for an n of `bits` bits.
fn length(bits: u64) -> u32 {
    bits.div_ceil(STEPS as u64 + 1) as u32
}

/// The steps of h.
pub(super) fn of(ring: &Ring, n: &BigUint, h: &[u64]) -> Vec<BigUint> {
    let powers = ring.pow2k_runs(&ring.enter(h, h.len()), length(n.bits()), STEPS + 1);
    let rows = ring.leave(&powers.slice(1..powers.len()));
    rows.chunks(2 * ring.limbs())
        .map(limbs::to_biguint)
        .collect()
}

/// What can be seen of steps without arithmetic modulo n², `square`.
pub(super) fn plain_flaw(square: &BigUint, steps: &[BigUint]) -> Option<PaillierError> {
    if steps.len() != STEPS {
        return Some(PaillierError::StepCount(steps.len()));
    }
    let at = steps.iter().position(|step| step >= square)?;
    Some(PaillierError::StepRange(at + 1))
}

/// h^n, by way of the steps, of which [`plain_flaw`] finds none wrong.
///
/// # Errors
///
/// [`PaillierError::StepMismatch`] for the first that is not h's.
pub(super) fn nth_power(
    ring: &Ring,
    n: &BigUint,
    h: &BigUint,
    steps: &[BigUint],
) -> Result<Elements, PaillierError> {
    let width = 2 * ring.limbs();
    let rows = [h].into_iter().chain(steps);
    let rows: Vec<u64> = rows.flat_map(|g| limbs::from_biguint(g, width)).collect();
    let k = length(n.bits());
    // g_i to the powers 2^(w·j), the last of which are w bits or less before
    // the end of the chain.
    let (windows, rest) = ((k / WINDOW) as usize, k % WINDOW);
    let powers = ring.pow2k_runs(&ring.enter(&rows, width), WINDOW, windows + 1);
    let last: Vec<usize> = (0..STEPS).map(|i| i * (windows + 1) + windows).collect();
    let reached = ring.leave(&ring.pow2k(&powers.gather(&last), rest));
    let expected = rows.chunks(width).skip(1);
    if let Some(at) = reached
        .chunks(width)
        .zip(expected)
        .position(|(a, b)| a != b)
    {
        return Err(PaillierError::StepMismatch(at + 1));
    }
    Ok(ring.run(&product(n, k)?, &powers)?)
}

/// Π_i Π_j x_(i,j)^(n_(i,j)) of x_(i,j), j running faster.
fn product(n: &BigUint, k: u32) -> Result<Program, PaillierError> {
    let windows = k / WINDOW;
    let bit = |i: u32, at: u32| u32::from(at < k && n.bit((k * i + at).into()));
    let digit = |i, j| (0..WINDOW).fold(0, |digit, b| digit | bit(i, WINDOW * j + b) << b);
    let mut buckets = vec![Vec::new(); 1 << WINDOW];
    for i in 0..=STEPS as u32 {
        for j in 0..=windows {
            buckets[digit(i, j) as usize].push(i * (windows + 1) + j);
        }
    }
    let mut program = Program::new((STEPS + 1) * (windows as usize + 1))?;
    // What stands to the power 0 is left out.
    let first = program
        .push(Stage::Products(buckets.into_iter().skip(1).collect()))?
        .start;
    let with_bit = |b: u32| (1..1 << WINDOW).filter(move |digit| digit >> b & 1 == 1);
    let bits: Csr = (0..WINDOW)
        .map(|b| with_bit(b).map(move |digit| first + digit - 1))
        .collect();
    let bits = program.push(Stage::Products(bits))?;
    program.push(Stage::Horner {
        rows: [bits].into_iter().collect(),
        digit_bits: 1,
    })?;
    Ok(program)
}

#[cfg(test)]
mod tests;
