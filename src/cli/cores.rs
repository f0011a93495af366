//! The threads that compute, each on a core of its own.
//!
//! One classification is a chain of stages of a few milliseconds, between which
//! a thread sleeps. A scheduler that wakes it on the core of whoever woke it has
//! both threads take turns on one core, and moves one of them away only after
//! several stages: half of all single classifications then take half as long
//! again. So each thread is bound to a core, where there are as many threads as
//! cores. If it cannot be bound, nothing is lost but that.

use std::env;

use rayon::ThreadPoolBuilder;

use super::error::{CliResult, bail};

/// Says how many threads there are.
const THREADS: &str = "RAYON_NUM_THREADS";

/// More threads than this only wait for one another.
const MOST: usize = 256;

/// Starts the pool of threads, as many as `RAYON_NUM_THREADS` says or as there
/// are cores.
///
/// # Errors
///
/// A `RAYON_NUM_THREADS` that is no number up to [`MOST`]; rayon itself would
/// pass over it.
pub(super) fn start() -> CliResult {
    if let Some(threads) = env::var_os(THREADS) {
        let number = threads.to_str().and_then(|text| text.parse::<usize>().ok());
        if number.is_none_or(|number| number > MOST) {
            bail!(
                "{THREADS} is {threads:?}, but must be a number up to {MOST}; unset it to use every \
                 core"
            );
        }
    }
    let cores = cores();
    let on_start = move |thread: usize| {
        if cores.len() > 1 && cores.len() == rayon::current_num_threads() {
            bind(cores[thread]);
        }
    };
    // It fails if there is a pool already, which then serves as well.
    let _ = ThreadPoolBuilder::new()
        .start_handler(on_start)
        .build_global();
    Ok(())
}

/// The cores that this process may use.
#[cfg(target_os = "linux")]
fn cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

/// Binds this thread to `core`.
#[cfg(target_os = "linux")]
fn bind(core: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut only = CpuSet::new();
    only.set(core);
    // A thread that is not bound runs all the same.
    let _ = sched_setaffinity(None, &only);
}

#[cfg(not(target_os = "linux"))]
fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn bind(_: usize) {}
