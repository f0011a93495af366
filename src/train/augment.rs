//! Small distortions of training images.
//!
//! Every image of every epoch is turned, scaled, sheared and shifted a little
//! and bent by a smooth random field (Simard et al., "Best Practices for
//! Convolutional Neural Networks", ICDAR 2003). The field is a cubic B-spline
//! over random displacements at a coarse grid: as smooth as blurring noise,
//! for a tenth of the work. The generator of an image depends on nothing but
//! the seed, the epoch and the image's number, so threads do not matter.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Pixels between the control points of the elastic field.
const SPACING: f32 = 7.0;

/// How far images are distorted; the defaults suit digits of 28x28.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    /// Largest rotation, in degrees.
    pub rotation: f32,
    /// Largest shift, in pixels.
    pub shift: f32,
    /// Largest relative change of size, in each direction by itself.
    pub scale: f32,
    /// Largest shear.
    pub shear: f32,
    /// Largest displacement of a control point of the elastic field, pixels.
    pub elastic: f32,
}

impl Default for Augment {
    fn default() -> Augment {
        Augment {
            rotation: 10.0,
            shift: 2.0,
            scale: 0.12,
            shear: 0.12,
            elastic: 2.4,
        }
    }
}

impl Augment {
    /// No distortion at all.
    pub fn none() -> Augment {
        Augment {
            rotation: 0.0,
            shift: 0.0,
            scale: 0.0,
            shear: 0.0,
            elastic: 0.0,
        }
    }

    /// Writes a distorted copy of a grey `image` of `height × width` pixels
    /// into `out`: 0 to 255, rounded to integers as a real image's are.
    pub(super) fn apply(
        &self,
        image: &[u8],
        (height, width): (usize, usize),
        rng: &mut ChaCha8Rng,
        out: &mut [f32],
    ) {
        let mut within = |limit: f32| limit * rng.random_range(-1.0f32..=1.0);
        let (sin, cos) = within(self.rotation).to_radians().sin_cos();
        let (sx, sy) = (1.0 + within(self.scale), 1.0 + within(self.scale));
        let shear = within(self.shear);
        let (tx, ty) = (within(self.shift), within(self.shift));
        let spans = |length: usize| (length as f32 / SPACING).ceil() as usize + 3;
        let (rows, columns) = (spans(height), spans(width));
        let mut field =
            |_| -> Vec<f32> { (0..rows * columns).map(|_| within(self.elastic)).collect() };
        let (dx, dy) = (field(0), field(1));

        let (cy, cx) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
        let across: Vec<(usize, [f32; 4])> = (0..width).map(spline).collect();
        for y in 0..height {
            let (row, wy) = spline(y);
            // The spline along y first: one control row for this image row.
            let blend = |d: &[f32]| -> Vec<f32> {
                let line = |c: usize| (0..4).map(move |k| wy[k] * d[(row + k) * columns + c]);
                (0..columns).map(|c| line(c).sum()).collect()
            };
            let (bx, by) = (blend(&dx), blend(&dy));
            for (x, (column, wx)) in across.iter().enumerate() {
                let at = |b: &[f32]| -> f32 { (0..4).map(|k| wx[k] * b[column + k]).sum() };
                let (u, v) = ((x as f32 - cx) / sx, (y as f32 - cy) / sy);
                let u = u + shear * v;
                let from_x = cos * u - sin * v + cx + tx + at(&bx);
                let from_y = sin * u + cos * v + cy + ty + at(&by);
                let value = sample(image, height, width, from_y, from_x);
                out[y * width + x] = (value + 0.5).floor();
            }
        }
    }
}

/// Generator for one image of one epoch.
pub(super) fn generator(seed: u64, epoch: usize, image: usize) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(epoch as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(image as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// First control point and the four uniform cubic B-spline weights at pixel
/// `at`; the weights add up to 1.
fn spline(at: usize) -> (usize, [f32; 4]) {
    let position = at as f32 / SPACING;
    let first = position.floor();
    let t = position - first;
    let s = 1.0 - t;
    let weights = [
        s * s * s / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
        t * t * t / 6.0,
    ];
    (first as usize, weights)
}

/// Bilinear interpolation; outside the image is 0.
fn sample(plane: &[u8], height: usize, width: usize, y: f32, x: f32) -> f32 {
    if !(y > -1.0 && x > -1.0 && y < height as f32 && x < width as f32) {
        return 0.0;
    }
    // Shifted by one, so that truncation is rounding down.
    let (row, column) = ((y + 1.0) as usize, (x + 1.0) as usize);
    let (fy, fx) = (y + 1.0 - row as f32, x + 1.0 - column as f32);
    let pixel = |r: usize, c: usize| -> f32 {
        if (1..=height).contains(&r) && (1..=width).contains(&c) {
            f32::from(plane[(r - 1) * width + c - 1])
        } else {
            0.0
        }
    };
    let upper = pixel(row, column) * (1.0 - fx) + pixel(row, column + 1) * fx;
    let lower = pixel(row + 1, column) * (1.0 - fx) + pixel(row + 1, column + 1) * fx;
    upper * (1.0 - fy) + lower * fy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        (0..28 * 28).map(|i| (i * 7 % 256) as u8).collect()
    }

    fn distorted(augment: Augment, epoch: usize) -> Vec<f32> {
        let mut out = vec![0f32; 28 * 28];
        let mut rng = generator(1, epoch, 5);
        augment.apply(&image(), (28, 28), &mut rng, &mut out);
        out
    }

    #[test]
    fn no_distortion_leaves_an_image_alone() {
        let same: Vec<f32> = image().into_iter().map(f32::from).collect();
        assert_eq!(distorted(Augment::none(), 0), same);
    }

    #[test]
    fn a_distortion_depends_on_seed_epoch_and_image_alone() {
        let once = distorted(Augment::default(), 3);
        assert_eq!(once, distorted(Augment::default(), 3));
        assert_ne!(once, distorted(Augment::default(), 4));
        assert!(
            once.iter()
                .all(|x| (0.0..=255.0).contains(x) && x.fract() == 0.0)
        );
    }

    #[test]
    fn spline_weights_add_up_to_one() {
        for at in 0..40 {
            assert!((spline(at).1.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
