//! The operating system's generator: the only place that opens it.

use rand::{TryRng, rand_core::UnwrapErr, rngs::SysRng};

use super::error::{CliResult, Explain};

/// The operating system's random generator.
pub(crate) type System = UnwrapErr<SysRng>;

/// Opens the operating system's random generator.
///
/// # Errors
///
/// A system that has none, seen before any work is done with it.
pub(crate) fn system() -> CliResult<System> {
    SysRng
        .try_next_u64()
        .about("the operating system gives no random numbers")?;
    Ok(UnwrapErr(SysRng))
}
