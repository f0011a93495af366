//! Carry chains on little-endian 64-bit limbs.

/// a + b·c + carry: low word, and the new carry. Never overflows.
#[inline(always)]
pub(super) fn mac(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let t = a as u128 + b as u128 * c as u128 + carry as u128;
    (t as u64, (t >> 64) as u64)
}

/// a + b + carry (0 or 1), and the carry out.
#[inline(always)]
pub(super) fn adc(a: u64, b: u64, carry: u64) -> (u64, u64) {
    // The compiler keeps the carry in a flag only if told so.
    #[cfg(target_arch = "x86_64")]
    {
        let mut sum = 0;
        let carry = core::arch::x86_64::_addcarry_u64(carry as u8, a, b, &mut sum);
        (sum, carry as u64)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let t = a as u128 + b as u128 + carry as u128;
        (t as u64, (t >> 64) as u64)
    }
}

/// a − b − borrow (0 or 1), and the borrow out.
#[inline(always)]
pub(super) fn sbb(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    #[cfg(target_arch = "x86_64")]
    {
        let mut less = 0;
        let borrow = core::arch::x86_64::_subborrow_u64(borrow as u8, a, b, &mut less);
        (less, borrow as u64)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let (t, b0) = a.overflowing_sub(b);
        let (t, b1) = t.overflowing_sub(borrow);
        (t, (b0 | b1) as u64)
    }
}

/// a += b, giving the carry out.
#[inline(always)]
pub(super) fn add_assign(a: &mut [u64], b: &[u64]) -> u64 {
    let mut carry = 0;
    for (a, &b) in a.iter_mut().zip(b) {
        (*a, carry) = adc(*a, b, carry);
    }
    carry
}

/// a −= b, giving the borrow out.
#[inline(always)]
pub(super) fn sub_assign(a: &mut [u64], b: &[u64]) -> u64 {
    let mut borrow = 0;
    for (a, &b) in a.iter_mut().zip(b) {
        (*a, borrow) = sbb(*a, b, borrow);
    }
    borrow
}

/// a += small, giving the carry out.
#[inline(always)]
pub(super) fn add_small(a: &mut [u64], small: u64) -> u64 {
    let mut carry = small;
    for a in a {
        let (s, c) = a.overflowing_add(carry);
        (*a, carry) = (s, c as u64);
    }
    carry
}

/// Takes m off (top, a) once if it is at least m, without a branch; `spare` is
/// overwritten. Gives the new top limb, and 1 if m was taken off.
#[inline(always)]
pub(super) fn reduce_once(top: u64, a: &mut [u64], m: &[u64], spare: &mut [u64]) -> (u64, u64) {
    spare.copy_from_slice(a);
    let borrow = sub_assign(spare, m);
    let (less, negative) = top.overflowing_sub(borrow);
    // black_box: the compiler must not turn the mask back into a branch.
    let take = core::hint::black_box(negative as u64).wrapping_sub(1);
    for (a, &s) in a.iter_mut().zip(spare.iter()) {
        *a ^= (*a ^ s) & take;
    }
    (top ^ ((top ^ less) & take), take & 1)
}

/// −m⁻¹ mod 2^64 for an odd m, by Newton's iteration (each step doubles the
/// correct bits; m itself is right to 3).
pub(super) fn negative_inverse(m: u64) -> u64 {
    let mut inverse = m;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(m.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg()
}
