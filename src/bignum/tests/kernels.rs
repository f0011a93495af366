//! The choice of a kernel.

use crate::bignum::{BignumError, KernelKind};

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
