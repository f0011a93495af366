//! Draws the digits of `data/sample`: `cargo run --example draw_samples`.
//!
//! A digit is a few pen strokes, each a smooth curve (Catmull-Rom) through
//! points on a sheet on which x runs right and y down; a corner is where one
//! stroke ends and the next begins. They are drawn as MNIST was made: the pen's
//! trace fits a square of 20 pixels and its centre of mass is the centre of 28
//! by 28, white on black, grey at the edges.
//!
//! Only sums, products, quotients and square roots are used, which IEEE 754
//! defines to the last bit: every machine draws the same files.

use std::{error::Error, fs, path::Path};

use pdnn::dataset::write_png;

const SIDE: usize = 28;
/// Extent of the square that the trace fills, in pixels.
const BOX: f64 = 20.0;

type Point = (f64, f64);

/// One handwritten digit.
struct Drawing {
    /// File name without its extension: the digit, a dash, a letter.
    name: &'static str,
    /// How far the top leans to the right, as a fraction of the height.
    slant: f64,
    /// Radius of the pen in pixels.
    pen: f64,
    strokes: &'static [&'static [Point]],
}

const fn drawing(
    name: &'static str,
    slant: f64,
    pen: f64,
    strokes: &'static [&'static [Point]],
) -> Drawing {
    Drawing {
        name,
        slant,
        pen,
        strokes,
    }
}

#[rustfmt::skip]
const DRAWINGS: &[Drawing] = &[
    // A closed stroke (its last point is its first) has no corner there.
    drawing("0-a", 0.10, 1.25, &[&[(0.40, 0.00), (0.12, 0.22), (0.05, 0.58), (0.20, 0.92), (0.44, 0.98), (0.66, 0.72), (0.70, 0.34), (0.58, 0.06), (0.40, 0.00)]]),
    drawing("0-b", 0.00, 1.10, &[&[(0.50, 0.03), (0.18, 0.14), (0.04, 0.48), (0.16, 0.84), (0.46, 0.97), (0.78, 0.82), (0.90, 0.48), (0.78, 0.14), (0.50, 0.03)]]),
    drawing("0-c", 0.25, 1.35, &[&[(0.52, 0.06), (0.30, 0.02), (0.10, 0.24), (0.02, 0.62), (0.14, 0.94), (0.36, 0.96), (0.56, 0.70), (0.60, 0.34), (0.46, 0.04), (0.34, 0.06)]]),

    drawing("1-a", 0.00, 1.30, &[&[(0.50, 0.00), (0.49, 0.35), (0.50, 0.70), (0.50, 1.00)]]),
    drawing("1-b", 0.30, 1.15, &[&[(0.50, 0.00), (0.50, 0.50), (0.50, 1.00)]]),
    drawing("1-c", 0.12, 1.25, &[&[(0.30, 0.22), (0.42, 0.12), (0.52, 0.00)], &[(0.52, 0.00), (0.52, 0.50), (0.52, 1.00)]]),

    drawing("2-a", 0.05, 1.20, &[&[(0.06, 0.22), (0.22, 0.04), (0.46, 0.00), (0.64, 0.14), (0.62, 0.38), (0.42, 0.64), (0.20, 0.84), (0.04, 0.97)], &[(0.04, 0.97), (0.30, 0.94), (0.54, 0.96), (0.78, 0.94)]]),
    drawing("2-b", 0.15, 1.15, &[&[(0.10, 0.16), (0.30, 0.02), (0.54, 0.04), (0.66, 0.22), (0.56, 0.48), (0.34, 0.74), (0.16, 0.92), (0.04, 0.90), (0.08, 0.78), (0.24, 0.80), (0.44, 0.94), (0.66, 0.98), (0.84, 0.88)]]),
    drawing("2-c", 0.00, 1.40, &[&[(0.08, 0.26), (0.14, 0.08), (0.38, 0.00), (0.60, 0.10), (0.64, 0.30), (0.52, 0.54), (0.30, 0.78), (0.06, 1.00)], &[(0.06, 1.00), (0.40, 0.98), (0.74, 1.00)]]),

    drawing("3-a", 0.06, 1.20, &[&[(0.08, 0.12), (0.28, 0.00), (0.52, 0.04), (0.60, 0.20), (0.48, 0.38), (0.24, 0.47)], &[(0.24, 0.47), (0.50, 0.50), (0.66, 0.66), (0.60, 0.88), (0.38, 1.00), (0.14, 0.97), (0.00, 0.86)]]),
    drawing("3-b", 0.16, 1.30, &[&[(0.10, 0.06), (0.36, 0.00), (0.58, 0.08), (0.56, 0.26), (0.38, 0.42), (0.28, 0.46)], &[(0.28, 0.46), (0.50, 0.48), (0.62, 0.62), (0.56, 0.84), (0.34, 0.98), (0.06, 0.96)]]),
    drawing("3-c", 0.00, 1.15, &[&[(0.04, 0.16), (0.18, 0.02), (0.44, 0.00), (0.62, 0.12), (0.58, 0.32), (0.38, 0.44), (0.22, 0.46)], &[(0.22, 0.46), (0.48, 0.48), (0.68, 0.62), (0.66, 0.84), (0.44, 0.99), (0.18, 0.98), (0.00, 0.84)]]),

    drawing("4-a", 0.08, 1.20, &[&[(0.14, 0.00), (0.08, 0.26), (0.06, 0.48), (0.22, 0.56), (0.44, 0.53), (0.66, 0.46)], &[(0.66, 0.02), (0.64, 0.36), (0.62, 0.70), (0.62, 1.00)]]),
    drawing("4-b", 0.18, 1.10, &[&[(0.18, 0.04), (0.10, 0.28), (0.08, 0.50)], &[(0.08, 0.50), (0.34, 0.54), (0.60, 0.50), (0.82, 0.48)], &[(0.62, 0.06), (0.61, 0.40), (0.60, 0.72), (0.60, 1.00)]]),
    drawing("4-c", 0.02, 1.30, &[&[(0.10, 0.02), (0.06, 0.24), (0.10, 0.46), (0.30, 0.53), (0.54, 0.44), (0.66, 0.28)], &[(0.70, 0.00), (0.67, 0.30), (0.66, 0.66), (0.68, 1.00)]]),

    drawing("5-a", 0.10, 1.20, &[&[(0.66, 0.02), (0.44, 0.03), (0.22, 0.04)], &[(0.22, 0.04), (0.17, 0.24), (0.14, 0.42)], &[(0.14, 0.42), (0.34, 0.36), (0.56, 0.44), (0.66, 0.64), (0.56, 0.88), (0.30, 0.99), (0.04, 0.90)]]),
    drawing("5-b", 0.22, 1.15, &[&[(0.74, 0.00), (0.48, 0.03), (0.26, 0.04)], &[(0.26, 0.04), (0.20, 0.24), (0.18, 0.40)], &[(0.18, 0.40), (0.40, 0.40), (0.56, 0.52), (0.58, 0.74), (0.42, 0.94), (0.18, 0.98), (0.02, 0.88)]]),
    drawing("5-c", 0.00, 1.30, &[&[(0.60, 0.04), (0.40, 0.04), (0.14, 0.02)], &[(0.14, 0.02), (0.12, 0.22), (0.10, 0.44)], &[(0.10, 0.44), (0.32, 0.38), (0.54, 0.48), (0.62, 0.68), (0.54, 0.90), (0.30, 1.00), (0.04, 0.94)]]),

    drawing("6-a", 0.06, 1.20, &[&[(0.50, 0.00), (0.28, 0.20), (0.12, 0.48), (0.08, 0.76), (0.20, 0.96), (0.42, 0.98), (0.58, 0.82), (0.56, 0.62), (0.38, 0.54), (0.20, 0.64), (0.10, 0.80)]]),
    drawing("6-b", 0.20, 1.15, &[&[(0.40, 0.00), (0.20, 0.22), (0.08, 0.52), (0.08, 0.80), (0.22, 0.98), (0.44, 0.94), (0.54, 0.76), (0.46, 0.58), (0.28, 0.58), (0.14, 0.72)]]),
    drawing("6-c", 0.00, 1.30, &[&[(0.56, 0.02), (0.30, 0.14), (0.12, 0.42), (0.06, 0.72), (0.20, 0.95), (0.46, 0.99), (0.66, 0.84), (0.64, 0.64), (0.42, 0.54), (0.20, 0.62), (0.08, 0.78)]]),

    drawing("7-a", 0.06, 1.20, &[&[(0.04, 0.08), (0.30, 0.04), (0.66, 0.02)], &[(0.66, 0.02), (0.52, 0.32), (0.40, 0.64), (0.32, 1.00)]]),
    drawing("7-b", 0.00, 1.15, &[&[(0.06, 0.20), (0.08, 0.08)], &[(0.08, 0.08), (0.38, 0.06), (0.70, 0.04)], &[(0.70, 0.04), (0.58, 0.30), (0.46, 0.62), (0.40, 0.98)]]),
    drawing("7-c", 0.10, 1.25, &[&[(0.00, 0.06), (0.34, 0.06), (0.62, 0.02)], &[(0.62, 0.02), (0.54, 0.28), (0.38, 0.60), (0.26, 1.00)], &[(0.22, 0.52), (0.44, 0.50), (0.64, 0.47)]]),

    drawing("8-a", 0.08, 1.15, &[&[(0.56, 0.12), (0.36, 0.00), (0.14, 0.08), (0.12, 0.26), (0.32, 0.44), (0.54, 0.64), (0.58, 0.86), (0.36, 1.00), (0.12, 0.90), (0.12, 0.68), (0.34, 0.46), (0.56, 0.28), (0.56, 0.12)]]),
    drawing("8-b", 0.14, 1.15, &[&[(0.36, 0.46), (0.20, 0.34), (0.18, 0.16), (0.28, 0.03), (0.46, 0.02), (0.54, 0.14), (0.50, 0.32), (0.36, 0.46)], &[(0.36, 0.46), (0.18, 0.62), (0.10, 0.80), (0.18, 0.96), (0.38, 1.00), (0.54, 0.90), (0.56, 0.72), (0.48, 0.58), (0.36, 0.46)]]),
    drawing("8-c", 0.22, 1.20, &[&[(0.52, 0.10), (0.32, 0.01), (0.14, 0.12), (0.16, 0.30), (0.34, 0.46), (0.48, 0.66), (0.44, 0.90), (0.24, 1.00), (0.06, 0.88), (0.12, 0.66), (0.34, 0.46), (0.52, 0.28), (0.52, 0.10)]]),

    drawing("9-a", 0.06, 1.20, &[&[(0.58, 0.14), (0.40, 0.00), (0.16, 0.08), (0.06, 0.30), (0.18, 0.48), (0.40, 0.44), (0.56, 0.26), (0.58, 0.14)], &[(0.58, 0.14), (0.58, 0.42), (0.54, 0.72), (0.50, 1.00)]]),
    drawing("9-b", 0.16, 1.15, &[&[(0.60, 0.10), (0.38, 0.00), (0.16, 0.10), (0.10, 0.32), (0.24, 0.46), (0.46, 0.38), (0.60, 0.18)], &[(0.60, 0.10), (0.60, 0.40), (0.56, 0.72), (0.56, 1.00)]]),
    drawing("9-c", 0.00, 1.30, &[&[(0.56, 0.16), (0.40, 0.01), (0.16, 0.06), (0.06, 0.26), (0.16, 0.46), (0.38, 0.48), (0.54, 0.34), (0.58, 0.16)], &[(0.58, 0.16), (0.58, 0.44), (0.48, 0.76), (0.28, 0.98)]]),
];

/// Every sample: file name and pixels.
pub(crate) fn samples() -> impl Iterator<Item = (String, Vec<u8>)> {
    DRAWINGS
        .iter()
        .map(|drawing| (format!("{}.png", drawing.name), draw(drawing)))
}

fn draw(drawing: &Drawing) -> Vec<u8> {
    let lean = |(x, y): Point| (x + drawing.slant * (1.0 - y), y);
    let mut curves: Vec<Vec<Point>> = drawing
        .strokes
        .iter()
        .map(|stroke| smooth(stroke).into_iter().map(lean).collect())
        .collect();

    // To the size of the box, the pen's width included.
    let (low, high) = bounds(&curves);
    let extent = (high.0 - low.0).max(high.1 - low.1);
    let scale = (BOX - 2.0 * drawing.pen) / extent;
    for point in curves.iter_mut().flatten() {
        *point = ((point.0 - low.0) * scale, (point.1 - low.1) * scale);
    }

    // The mass is known only once it is drawn: draw, shift, draw again.
    let middle = (SIDE as f64 - 1.0) / 2.0;
    shift(&mut curves, (4.0, 4.0));
    let mass = centre_of_mass(&ink(&curves, drawing.pen));
    shift(&mut curves, (middle - mass.0, middle - mass.1));
    blur(&ink(&curves, drawing.pen))
        .into_iter()
        .map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8)
        .collect()
}

/// A dense polyline along the Catmull-Rom curve through `points`.
fn smooth(points: &[Point]) -> Vec<Point> {
    const STEPS: usize = 16;
    let last = points.len() - 1;
    let closed = points[0] == points[last];
    let at = |index: isize| -> Point {
        let index = match index {
            -1 if closed => last as isize - 1,
            i if closed && i > last as isize => 1,
            i => i.clamp(0, last as isize),
        };
        points[index as usize]
    };
    let mut curve = vec![points[0]];
    for index in 0..last as isize {
        let (a, b, c, d) = (at(index - 1), at(index), at(index + 1), at(index + 2));
        for step in 1..=STEPS {
            let t = step as f64 / STEPS as f64;
            let blend = |a: f64, b: f64, c: f64, d: f64| {
                let cubic = 3.0 * (b - c) + d - a;
                let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
                b + 0.5 * t * (c - a + t * (square + t * cubic))
            };
            curve.push((blend(a.0, b.0, c.0, d.0), blend(a.1, b.1, c.1, d.1)));
        }
    }
    curve
}

fn bounds(curves: &[Vec<Point>]) -> (Point, Point) {
    let start = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
    curves.iter().flatten().fold(start, |(low, high), p| {
        (
            (low.0.min(p.0), low.1.min(p.1)),
            (high.0.max(p.0), high.1.max(p.1)),
        )
    })
}

fn shift(curves: &mut [Vec<Point>], by: Point) {
    for point in curves.iter_mut().flatten() {
        *point = (point.0 + by.0, point.1 + by.1);
    }
}

/// How much of each pixel the pen covers, 0 to 1: by its distance from the
/// trace, fading over a pixel.
fn ink(curves: &[Vec<Point>], pen: f64) -> Vec<f64> {
    let mut ink = Vec::with_capacity(SIDE * SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let pixel = (x as f64, y as f64);
            let nearest = curves
                .iter()
                .flat_map(|curve| curve.windows(2))
                .map(|ends| distance(pixel, ends[0], ends[1]))
                .fold(f64::MAX, f64::min);
            ink.push((pen + 0.5 - nearest).clamp(0.0, 1.0));
        }
    }
    ink
}

/// Distance of `p` from the segment between `a` and `b`.
fn distance(p: Point, a: Point, b: Point) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let (ex, ey) = (p.0 - a.0 - along * dx, p.1 - a.1 - along * dy);
    (ex * ex + ey * ey).sqrt()
}

fn centre_of_mass(ink: &[f64]) -> Point {
    let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
    for (index, value) in ink.iter().enumerate() {
        mass += value;
        x += value * (index % SIDE) as f64;
        y += value * (index / SIDE) as f64;
    }
    (x / mass, y / mass)
}

/// A slight blur: each pixel keeps most and takes a little from its
/// neighbours, along rows and then along columns.
fn blur(ink: &[f64]) -> Vec<f64> {
    const SIDEWAYS: f64 = 0.08;
    let pass = |from: &[f64], step: usize, place: fn(usize) -> usize| -> Vec<f64> {
        (0..from.len())
            .map(|index| {
                let before = if place(index) > 0 {
                    from[index - step]
                } else {
                    0.0
                };
                let after = if place(index) < SIDE - 1 {
                    from[index + step]
                } else {
                    0.0
                };
                (1.0 - 2.0 * SIDEWAYS) * from[index] + SIDEWAYS * (before + after)
            })
            .collect()
    };
    pass(&pass(ink, 1, |index| index % SIDE), SIDE, |index| {
        index / SIDE
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).unwrap_or("data/sample".into());
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (name, pixels) in samples() {
        fs::write(folder.join(name), write_png(&pixels, SIDE, SIDE)?)?;
    }
    println!("{} digits drawn in {}", DRAWINGS.len(), folder.display());
    Ok(())
}
