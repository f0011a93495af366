//! The choice of a kernel.

use super::*;
use crate::bignum::{
    BignumError,
    core::Core,
    kernel::{Lanes, Portable},
};

#[test]
fn the_best_available_kernel_is_chosen_by_default() {
    let best = if KernelKind::Ifma.available() {
        KernelKind::Ifma
    } else {
        KernelKind::Portable
    };
    assert_eq!(KernelKind::choose(None), Ok(best));
    assert_eq!(KernelKind::choose(Some("")), Ok(best));
}

#[test]
fn a_kernel_can_be_forced() {
    assert_eq!(
        KernelKind::choose(Some("portable")),
        Ok(KernelKind::Portable)
    );
    let ifma = KernelKind::choose(Some("ifma"));
    if KernelKind::Ifma.available() {
        assert_eq!(ifma, Ok(KernelKind::Ifma));
    } else {
        assert_eq!(ifma, Err(BignumError::KernelUnavailable("ifma")));
    }
}

#[test]
fn an_unknown_kernel_is_refused() {
    let error = KernelKind::choose(Some("avx")).expect_err("no such kernel");
    assert_eq!(
        error.to_string(),
        "PDNN_KERNEL is \"avx\", but must be \"portable\" or \"ifma\"; unset it to let the program choose"
    );
}

#[test]
fn the_portable_kernel_gives_the_same_without_special_instructions() {
    for (seed, bits) in SIZES.into_iter().enumerate() {
        let mut rng = ChaCha20Rng::seed_from_u64(seed as u64);
        let mut m = random(bits, &mut rng);
        m.set_bit(0, true);
        let m = m.to_u64_digits();
        let plain = Core::new(Portable::plain(&m), &m);
        let best = Core::new(Portable::new(&m), &m);
        let rows: Vec<u64> = (0..m.len() * 8).map(|_| rng.next_u64()).collect();
        let (mut a, mut b) = (
            plain.enter(&rows, m.len() * 2),
            best.enter(&rows, m.len() * 2),
        );
        for _ in 0..10 {
            a = plain.mul(&plain.square(&a), &a.gather(&[1, 2, 3, 0]));
            b = best.mul(&best.square(&b), &b.gather(&[1, 2, 3, 0]));
            assert_eq!(*a.rows, *b.rows, "{bits} bits");
        }
        assert_eq!(plain.k.radix_bits(), best.k.radix_bits());
    }
}
