//! The time of one item, where a call makes several.

use std::{hint::black_box, time::Instant};

use criterion::{BenchmarkGroup, measurement::WallTime};

pub(crate) type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Measures one of the `items` that a call makes.
pub(crate) fn per_item<T>(g: &mut Group, name: &str, items: usize, mut call: impl FnMut() -> T) {
    g.bench_function(name, |bench| {
        bench.iter_custom(|times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(call());
            }
            start.elapsed().div_f64(items as f64)
        });
    });
}
