//! Cross-entropy of a batch.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

use super::{elements, with_elements};

/// Sum over the images of `−ln softmax(logits)[label]`, from logits
/// `[classes, images, 1, 1]`; a scalar.
pub(in crate::train) struct CrossEntropy {
    /// The right class of each image.
    pub(in crate::train) labels: Vec<u8>,
}

impl CrossEntropy {
    /// Calls `f(image, softmax)` for every image.
    fn each(&self, logits: &[f32], mut f: impl FnMut(usize, &[f32])) {
        let images = self.labels.len();
        let mut p = vec![0f32; logits.len() / images.max(1)];
        for n in 0..images {
            let column = || logits[n..].iter().step_by(images);
            let top = column().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            p.iter_mut()
                .zip(column())
                .for_each(|(p, x)| *p = (x - top).exp());
            let sum: f32 = p.iter().sum();
            p.iter_mut().for_each(|p| *p /= sum);
            f(n, &p);
        }
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (classes, images, ..) = layout.shape().dims4()?;
        let fits = self.labels.iter().all(|l| usize::from(*l) < classes);
        if images != self.labels.len() || !fits {
            bail!("labels do not fit {images} images of {classes} classes");
        }
        let mut sum = 0f32;
        self.each(elements(storage, layout)?, |n, p| {
            sum -= p[usize::from(self.labels[n])].max(f32::MIN_POSITIVE).ln();
        });
        Ok((CpuStorage::F32(vec![sum]), Shape::from(())))
    }

    fn bwd(&self, arg: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let scale = gradient.to_scalar::<f32>()?;
        let images = self.labels.len();
        let mut back = vec![0f32; arg.shape().elem_count()];
        with_elements(arg, |logits| {
            self.each(logits, |n, p| {
                for (class, p) in p.iter().enumerate() {
                    let target = if usize::from(self.labels[n]) == class {
                        1.0
                    } else {
                        0.0
                    };
                    back[class * images + n] = scale * (p - target);
                }
            });
        })?;
        Tensor::from_vec(back, arg.shape(), &Device::Cpu).map(Some)
    }
}
