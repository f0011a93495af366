//! The inner loop of the portable kernel: a row of limbs times one limb, added
//! to another row.

use super::limbs::mac;

/// A way to compute one row. Constant time.
pub(super) trait Rows: Copy + Send + Sync {
    /// t ← t + a·b + carry over as many limbs as `b` has, giving the carry
    /// out. `t` is at least as long as `b`.
    fn mac(self, t: &mut [u64], a: u64, b: &[u64], carry: u64) -> u64;
}

/// Plain Rust, on every machine.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Rows for Plain {
    #[inline(always)]
    fn mac(self, t: &mut [u64], a: u64, b: &[u64], mut carry: u64) -> u64 {
        for (t, &b) in t.iter_mut().zip(b) {
            (*t, carry) = mac(*t, a, b, carry);
        }
        carry
    }
}

/// The `mulx`, `adcx` and `adox` instructions, which keep two carry chains
/// apart. The compiler has no way to write them: its own code for a row spends
/// twice the time on moving carries between registers.
///
/// A value of this type is the proof that the processor has them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Adx {
    proof: (),
}

#[cfg(target_arch = "x86_64")]
impl Adx {
    /// The instructions, if this processor has them.
    pub(super) fn detect() -> Option<Adx> {
        (is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx"))
            .then_some(Adx { proof: () })
    }

    /// Eight limbs of a row.
    #[inline(always)]
    fn mac8(self, t: &mut [u64; 8], a: u64, b: &[u64; 8], mut carry: u64) -> u64 {
        let () = self.proof;
        /// One limb: `$prev` is the carry word in, `$next` the one out.
        macro_rules! limb {
            ($prev:literal, $next:literal, $at:literal) => {
                concat!(
                    "mulx ",
                    $next,
                    ", {low}, [{b} + ",
                    $at,
                    "]\n",
                    "adcx {low}, ",
                    $prev,
                    "\n",
                    "adox {low}, [{t} + ",
                    $at,
                    "]\n",
                    "mov [{t} + ",
                    $at,
                    "], {low}\n",
                )
            };
        }
        // SAFETY: `self` proves that the processor has bmi2 and adx. Only the
        // eight words behind `b` are read and the eight behind `t` written,
        // which the references cover and keep apart. The stack is not touched.
        unsafe {
            core::arch::asm!(
                // Both chains begin without a carry.
                "xor {zero:e}, {zero:e}",
                limb!("{even}", "{odd}", "0"),
                limb!("{odd}", "{even}", "8"),
                limb!("{even}", "{odd}", "16"),
                limb!("{odd}", "{even}", "24"),
                limb!("{even}", "{odd}", "32"),
                limb!("{odd}", "{even}", "40"),
                limb!("{even}", "{odd}", "48"),
                limb!("{odd}", "{even}", "56"),
                "adcx {even}, {zero}",
                "adox {even}, {zero}",
                in("rdx") a,
                b = in(reg) b.as_ptr(),
                t = in(reg) t.as_mut_ptr(),
                even = inout(reg) carry,
                odd = out(reg) _,
                low = out(reg) _,
                zero = out(reg) _,
                options(nostack),
            );
        }
        carry
    }
}

#[cfg(target_arch = "x86_64")]
impl Rows for Adx {
    #[inline(always)]
    fn mac(self, t: &mut [u64], a: u64, b: &[u64], carry: u64) -> u64 {
        let odd = b.len() % 8;
        let (b_odd, b) = b.split_at(odd);
        let (t_odd, t) = t.split_at_mut(odd);
        let mut carry = Plain.mac(t_odd, a, b_odd, carry);
        let (b, _) = b.as_chunks::<8>();
        let (t, _) = t.as_chunks_mut::<8>();
        for (t, b) in t.iter_mut().zip(b) {
            carry = self.mac8(t, a, b, carry);
        }
        carry
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::{Adx, Plain, Rows};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_rows_agree(
            words in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 2..80),
            a in prop_oneof![Just(u64::MAX), any::<u64>()],
            carry in prop_oneof![Just(u64::MAX), any::<u64>()],
        ) {
            if let Some(adx) = Adx::detect() {
                let (b, t) = words.split_at(words.len() / 2);
                let (mut plain, mut fast) = (t.to_vec(), t.to_vec());
                let carries = (Plain.mac(&mut plain, a, b, carry), adx.mac(&mut fast, a, b, carry));
                prop_assert_eq!(carries.0, carries.1);
                prop_assert_eq!(plain, fast);
            }
        }
    }
}
