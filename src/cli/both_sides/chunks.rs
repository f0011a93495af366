//! Many images, some at a time: while the client of one chunk waits for its
//! server, or either of them does what one thread must do, another chunk keeps
//! every core busy.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::{
    super::{
        error::CliResult,
        images::{Images, Source},
    },
    random,
};

/// Chunks that are under way at the same time: as many as it takes to keep the
/// cores busy, few enough that memory stays small.
const AT_ONCE: usize = 3;

/// How the images of a call are cut up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    /// Images of a chunk.
    size: usize,
    /// Images in all.
    images: usize,
    /// Chunks under way at the same time.
    pub(crate) at_once: usize,
}

impl Chunks {
    /// Chunks of at most `size` of `images` images, which may overlap or not.
    pub(crate) fn new(images: usize, size: usize, overlap: bool) -> Chunks {
        let chunks = images.div_ceil(size);
        let useful = match overlap && rayon::current_num_threads() > 1 {
            true => AT_ONCE,
            false => 1,
        };
        Chunks {
            size,
            images,
            at_once: useful.min(chunks).max(1),
        }
    }

    /// Images of the largest chunk.
    pub(crate) fn largest(&self) -> usize {
        self.size.min(self.images)
    }

    /// Does `work` on every chunk of `source` and hands what comes of it to
    /// `each`, in the order of the images. `work` tells its last argument how
    /// many of `stages` it has done; `progress` sees the sum over all images.
    pub(crate) fn each<T: Send>(
        &self,
        source: Source,
        stages: usize,
        progress: &(dyn Fn(usize, usize) + Sync),
        work: impl Fn(&Images, &mut random::System, &(dyn Fn(usize) + Sync)) -> CliResult<T> + Sync,
        mut each: impl FnMut(Images, T) -> CliResult,
    ) -> CliResult {
        let rng = random::system()?;
        let done = AtomicUsize::new(0);
        let all = self.images * stages;
        let work = |images: &Images| {
            let before = AtomicUsize::new(0);
            let step = |stages: usize| {
                let more = stages.saturating_sub(before.swap(stages, Ordering::Relaxed));
                let more = more * images.values.len();
                progress(done.fetch_add(more, Ordering::Relaxed) + more, all);
            };
            let result = work(images, &mut rng.clone(), &step)?;
            step(stages);
            Ok(result)
        };
        if self.at_once == 1 {
            let mut source = source;
            while let Some(images) = source.next(self.size) {
                // All in the pool: its threads need not be woken for each step.
                let result = rayon::scope(|_| work(&images))?;
                each(images, result)?;
            }
            return Ok(());
        }
        let source = Mutex::new((0, source));
        let next = || {
            let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
            let images = source.1.next(self.size)?;
            source.0 += 1;
            Some((source.0 - 1, images))
        };
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                let sender = sender.clone();
                // Threads of their own, which hand their work to the pool: one
                // of the pool's that waited for a chunk might begin another.
                scope.spawn(move || {
                    while let Some((number, images)) = next() {
                        let result = work(&images);
                        if sender.send((number, images, result)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut early = BTreeMap::new();
            let mut turn = 0;
            for (number, images, result) in receiver {
                early.insert(number, (images, result));
                while let Some((images, result)) = early.remove(&turn) {
                    each(images, result?)?;
                    turn += 1;
                }
            }
            Ok(())
        })
    }
}

/// Says that times of stages overlap, if they do.
pub(crate) fn overlap_line(at_once: usize) -> String {
    match at_once {
        1 => String::new(),
        several => format!(
            "{several} chunks of images at once: what their stages take adds up to more than all took\n"
        ),
    }
}
