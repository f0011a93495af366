//! The `mulx`, `adcx` and `adox` instructions: eight limbs of one factor times
//! another, with the sum so far in registers.
//!
//! A *tile* is eight limbs of a times eight of b, a row for each limb of a. The
//! upper eight limbs of a row's sum are the next row's summand and stay where
//! they are; the lowest is done, or waits in memory for the tiles that add to
//! it. So a product of limbs costs `mulx` and two additions, and hardly a load
//! or a store; the compiler's own code, and rows that keep their sum in memory,
//! spend more on moving carries and sums than on multiplying. What eight rows
//! leave in the registers is the summand of the next tile along b: a *strip* is
//! eight limbs of a times all of b.

use super::{
    digits::{Digits, Plain},
    limbs::adc,
};

/// Limbs of a side.
const SIDE: usize = 8;

/// A value of this type is the proof that the processor has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Adx {
    proof: (),
}

/// One row of a tile. rsi: the limbs of a; rcx: those of b; rdi: the sums that
/// wait in memory. `$r0` to `$r7`: the sum so far, whose lowest limb is done
/// and goes to `$done`; afterwards `$r1` to `$r7`, `$r0` is the sum.
macro_rules! row {
    ($at:literal, $begin:expr, $done:expr, $r0:literal $r1:literal $r2:literal $r3:literal $r4:literal $r5:literal $r6:literal $r7:literal) => {
        concat!(
            $begin,
            // Both chains begin without a carry.
            "xor eax, eax\n",
            "mulx rbx, rax, [rcx]\n",
            concat!("adox ", $r0, ", [rdi + ", $at, "]\n"),
            concat!("adcx ", $r0, ", rax\n"),
            $done,
            concat!("adox ", $r1, ", rbx\n"),
            row!(@ 8, $r1, $r2),
            row!(@ 16, $r2, $r3),
            row!(@ 24, $r3, $r4),
            row!(@ 32, $r4, $r5),
            row!(@ 40, $r5, $r6),
            row!(@ 48, $r6, $r7),
            concat!("mulx ", $r0, ", rax, [rcx + 56]\n"),
            concat!("adcx ", $r7, ", rax\n"),
            // mov leaves the flags alone.
            "mov eax, 0\n",
            concat!("adox ", $r0, ", rax\n"),
            concat!("adcx ", $r0, ", rax\n"),
        )
    };
    (@ $at:literal, $low:literal, $high:literal) => {
        concat!(
            concat!("mulx rbx, rax, [rcx + ", $at, "]\n"),
            concat!("adcx ", $low, ", rax\n"),
            concat!("adox ", $high, ", rbx\n"),
        )
    };
}

/// A row that multiplies by the next limb of a.
macro_rules! product_row {
    ($at:literal, $r0:literal $($r:literal)*) => {
        row!(
            $at,
            concat!("mov rdx, [rsi + ", $at, "]\n"),
            concat!("mov [rdi + ", $at, "], ", $r0, "\n"),
            $r0 $($r)*
        )
    };
}

/// A row that makes its lowest limb 0: by a = −(that limb)·m⁻¹ mod 2^64, which
/// is kept. The constant is on top of the stack.
macro_rules! reduction_row {
    ($at:literal, $r0:literal $($r:literal)*) => {
        row!(
            $at,
            concat!(
                concat!("mov rdx, [rdi + ", $at, "]\n"),
                concat!("add rdx, ", $r0, "\n"),
                "imul rdx, [rsp]\n",
                concat!("mov [rsi + ", $at, "], rdx\n"),
            ),
            "",
            $r0 $($r)*
        )
    };
}

/// Eight rows, after which every limb is in its own register again.
macro_rules! tile {
    ($row:ident) => {
        concat!(
            $row!(0, "r8" "r9" "r10" "r11" "r12" "r13" "r14" "r15"),
            $row!(8, "r9" "r10" "r11" "r12" "r13" "r14" "r15" "r8"),
            $row!(16, "r10" "r11" "r12" "r13" "r14" "r15" "r8" "r9"),
            $row!(24, "r11" "r12" "r13" "r14" "r15" "r8" "r9" "r10"),
            $row!(32, "r12" "r13" "r14" "r15" "r8" "r9" "r10" "r11"),
            $row!(40, "r13" "r14" "r15" "r8" "r9" "r10" "r11" "r12"),
            $row!(48, "r14" "r15" "r8" "r9" "r10" "r11" "r12" "r13"),
            $row!(56, "r15" "r8" "r9" "r10" "r11" "r12" "r13" "r14"),
        )
    };
}

impl Adx {
    /// The instructions, if this processor has them.
    pub(super) fn detect() -> Option<Adx> {
        (is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx"))
            .then_some(Adx { proof: () })
    }

    /// (sum, t) ← t + sum + a·b over as many limbs as `b` has, whose number
    /// eight divides, where `sum` holds the eight limbs above afterwards. `t` is
    /// as long as `b`.
    #[inline(never)]
    fn strip(self, a: &[u64; SIDE], b: &[u64], t: &mut [u64], sum: &mut [u64; SIDE]) {
        let () = self.proof;
        assert!(b.len() == t.len() && !b.is_empty() && b.len().is_multiple_of(SIDE));
        let [s0, s1, s2, s3, s4, s5, s6, s7] = sum;
        // SAFETY: `self` proves that the processor has bmi2 and adx. The eight
        // words behind `a` are read, and as many as `b` has behind `b` and
        // `t`, in steps of eight, those of `t` written: the references cover
        // them and keep them apart. rbx is restored; the stack is used as a
        // stack.
        unsafe {
            core::arch::asm!(
                "push rbx",
                "push rax",
                "2:",
                tile!(product_row),
                "add rcx, 64",
                "add rdi, 64",
                "cmp rcx, [rsp]",
                "jne 2b",
                "pop rax",
                "pop rbx",
                in("rsi") a.as_ptr(),
                inout("rcx") b.as_ptr() => _,
                inout("rdi") t.as_mut_ptr() => _,
                inout("rax") b.as_ptr_range().end => _,
                out("rdx") _,
                inout("r8") *s0, inout("r9") *s1, inout("r10") *s2, inout("r11") *s3,
                inout("r12") *s4, inout("r13") *s5, inout("r14") *s6, inout("r15") *s7,
            );
        }
    }

    /// One tile of a Montgomery reduction: finds the eight limbs of q for which
    /// the lower half of t + q·m is 0, and gives the upper half.
    #[inline(never)]
    fn quotient(
        self,
        m: &[u64; SIDE],
        k0: u64,
        t: &[u64; SIDE],
        q: &mut [u64; SIDE],
    ) -> [u64; SIDE] {
        let () = self.proof;
        let mut sum = [0; SIDE];
        let [s0, s1, s2, s3, s4, s5, s6, s7] = &mut sum;
        // SAFETY: as above; eight words behind `m` and `t` are read, and eight
        // behind `q` written.
        unsafe {
            core::arch::asm!(
                "push rbx",
                "push rax",
                tile!(reduction_row),
                "pop rax",
                "pop rbx",
                in("rsi") q.as_mut_ptr(),
                in("rcx") m.as_ptr(),
                in("rdi") t.as_ptr(),
                inout("rax") k0 => _,
                out("rdx") _,
                inout("r8") *s0, inout("r9") *s1, inout("r10") *s2, inout("r11") *s3,
                inout("r12") *s4, inout("r13") *s5, inout("r14") *s6, inout("r15") *s7,
            );
        }
        sum
    }
}

/// The tiles of a digit of whole tiles.
fn whole(limbs: &[u64]) -> Option<&[[u64; SIDE]]> {
    match limbs.as_chunks() {
        (tiles, []) if !tiles.is_empty() => Some(tiles),
        _ => None,
    }
}

/// t ← t + sum + over, giving the carry out.
#[inline(always)]
fn add_tile(t: &mut [u64], sum: &[u64; SIDE], mut over: u64) -> u64 {
    for (t, &sum) in t[..SIDE].iter_mut().zip(sum) {
        (*t, over) = adc(*t, sum, over);
    }
    over
}

/// Digits that are no whole number of tiles, which no key and none of its
/// primes has, are left to plain Rust.
impl Digits for Adx {
    #[inline(always)]
    fn multiply(self, a: &[u64], b: &[u64], t: &mut [u64]) {
        let Some(tiles) = whole(a) else {
            return Plain.multiply(a, b, t);
        };
        let h = b.len();
        t[..h].fill(0);
        for (i, tile) in tiles.iter().enumerate() {
            let (low, high) = t[SIDE * i..].split_at_mut(h);
            let mut sum = [0; SIDE];
            self.strip(tile, b, low, &mut sum);
            high[..SIDE].copy_from_slice(&sum);
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: &[u64], b: &[u64], t: &mut [u64]) -> u64 {
        let Some(tiles) = whole(a) else {
            return Plain.multiply_add(a, b, t);
        };
        let mut over = 0;
        for (i, tile) in tiles.iter().enumerate() {
            let (low, high) = t[SIDE * i..].split_at_mut(b.len());
            let mut sum = [0; SIDE];
            self.strip(tile, b, low, &mut sum);
            over = add_tile(high, &sum, over);
        }
        over
    }

    /// Each product of two tiles once, doubled, then the squares of the tiles.
    #[inline(always)]
    fn square(self, a: &[u64], t: &mut [u64]) {
        let Some(tiles) = whole(a) else {
            return Plain.square(a, t);
        };
        let h = a.len();
        t.fill(0);
        for (i, tile) in tiles[..tiles.len() - 1].iter().enumerate() {
            let b = &a[SIDE * (i + 1)..];
            let (low, high) = t[SIDE * (2 * i + 1)..].split_at_mut(b.len());
            let mut sum = [0; SIDE];
            self.strip(tile, b, low, &mut sum);
            high[..SIDE].copy_from_slice(&sum);
        }
        let (mut shifted, mut over) = (0, 0);
        let (pairs, _) = t[..2 * h].as_chunks_mut::<{ 2 * SIDE }>();
        for (tile, t) in tiles.iter().zip(pairs) {
            let mut square = [[0; SIDE]; 2];
            let [low, high] = &mut square;
            self.strip(tile, tile, low, high);
            for (t, &square) in t.iter_mut().zip(square.as_flattened()) {
                let twice = *t << 1 | shifted;
                shifted = *t >> 63;
                (*t, over) = adc(twice, square, over);
            }
        }
    }

    #[inline(always)]
    fn reduce(self, t: &mut [u64], m: &[u64], k0: u64, q: &mut [u64]) -> u64 {
        let Some(tiles) = whole(m) else {
            return Plain.reduce(t, m, k0, q);
        };
        let h = m.len();
        let (quotients, _) = q[..h].as_chunks_mut();
        let mut over = 0;
        for (i, q) in quotients.iter_mut().enumerate() {
            let (low, high) = t[SIDE * i..].split_at_mut(h);
            let (first, low) = low.split_first_chunk_mut().expect("a tile");
            let mut sum = self.quotient(&tiles[0], k0, first, q);
            if !low.is_empty() {
                self.strip(q, &m[SIDE..], low, &mut sum);
            }
            over = add_tile(high, &sum, over);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limb() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
    }

    proptest! {
        #[test]
        fn tiles_and_rows_agree(
            (a, b, t) in (1usize..41).prop_flat_map(|h| (
                prop::collection::vec(limb(), h),
                prop::collection::vec(limb(), h),
                prop::collection::vec(limb(), 2 * h),
            )),
            k0 in limb(),
        ) {
            let Some(adx) = Adx::detect() else {
                eprintln!("skipped: this processor has no adx");
                return Ok(());
            };
            let mut both = [t.clone(), t.clone()];
            let [fast, plain] = &mut both;
            prop_assert_eq!(adx.multiply_add(&a, &b, fast), Plain.multiply_add(&a, &b, plain));
            prop_assert_eq!(&fast, &plain);
            adx.multiply(&a, &b, fast);
            Plain.multiply(&a, &b, plain);
            prop_assert_eq!(&fast, &plain);
            adx.square(&a, fast);
            Plain.square(&a, plain);
            prop_assert_eq!(&fast, &plain);
            // Any constant will do: only a right one makes the lower half 0.
            let (mut fast, mut plain) = (t.clone(), t);
            let mut quotients = [vec![0; a.len()], vec![0; a.len()]];
            let carries = (
                adx.reduce(&mut fast, &a, k0, &mut quotients[0]),
                Plain.reduce(&mut plain, &a, k0, &mut quotients[1]),
            );
            prop_assert_eq!(carries.0, carries.1);
            prop_assert_eq!(&quotients[0], &quotients[1]);
            prop_assert_eq!(&fast[a.len()..], &plain[a.len()..]);
        }
    }
}
