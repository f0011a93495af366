//! Least squares with integer data, one factorisation for all right sides.
//!
//! Equations `x·w = y` are summed into the normal equations `XᵀX w = Xᵀy`, in
//! exact integers, so any number of them takes the same memory. The matrix is
//! scaled to a unit diagonal and factored as `L·D·Lᵀ` with the greatest
//! remaining pivot first (Higham, *Accuracy and Stability of Numerical
//! Algorithms*, 2nd ed., §10.3); where no pivot is left, neither is rank. An
//! unknown is determined if no vector of the null space moves it.
//!
//! The solution is in floating point, but the verdict is not: whether the
//! rounded solution explains every equation is `Σ(y − x·w)² = yᵀy − 2wᵀXᵀy +
//! wᵀXᵀXw = 0` in integers.

use super::Estimate;

/// Pivots of the scaled matrix at or below this are 0: rounding leaves about
/// 1e-13 of a matrix of some hundred columns, independent data far more.
const NO_PIVOT: f64 = 1e-10;
/// A null vector, its free entry being 1, moves an unknown by more than this or
/// not at all.
const MOVES: f64 = 1e-6;

/// Equations for `unknowns` unknowns, the last of which is the bias, with
/// several right sides.
pub(super) struct LinearSystem {
    unknowns: usize,
    sides: usize,
    /// XᵀX, the lower triangle, row by row.
    matrix: Vec<i128>,
    /// Xᵀy: a row for each unknown.
    right: Vec<i128>,
    /// yᵀy.
    squares: Vec<i128>,
}

/// `P·A·Pᵀ = L·D·Lᵀ` of the scaled matrix A, as far as it has rank.
struct Factors {
    /// Which unknown stands at which place; the first `rank` are independent.
    order: Vec<usize>,
    rank: usize,
    /// L by rows, as far as `rank` columns; a unit diagonal.
    lower: Vec<Vec<f64>>,
    pivots: Vec<f64>,
    /// By which each unknown was scaled.
    scale: Vec<f64>,
}

impl LinearSystem {
    /// No equation yet.
    pub(super) fn new(unknowns: usize, sides: usize) -> LinearSystem {
        LinearSystem {
            unknowns,
            sides,
            matrix: vec![0; unknowns * (unknowns + 1) / 2],
            right: vec![0; unknowns * sides],
            squares: vec![0; sides],
        }
    }

    /// Adds the equations `x·w = y`, one for each right side.
    pub(super) fn add(&mut self, x: &[i64], y: &[i64]) {
        for (i, &a) in x.iter().enumerate().filter(|&(_, &a)| a != 0) {
            let a = i128::from(a);
            let row = &mut self.matrix[i * (i + 1) / 2..][..=i];
            for (sum, &b) in row.iter_mut().zip(x) {
                *sum += a * i128::from(b);
            }
            let row = &mut self.right[i * self.sides..][..self.sides];
            for (sum, &b) in row.iter_mut().zip(y) {
                *sum += a * i128::from(b);
            }
        }
        for (sum, &b) in self.squares.iter_mut().zip(y) {
            *sum += i128::from(b) * i128::from(b);
        }
    }

    fn entry(&self, i: usize, j: usize) -> i128 {
        let (i, j) = (i.max(j), i.min(j));
        self.matrix[i * (i + 1) / 2 + j]
    }

    /// The least-squares solution with every undetermined freedom at 0.
    pub(super) fn solve(&self) -> Estimate {
        let factors = self.factor();
        let determined = factors.determined();
        let taps = self.unknowns - 1;
        let mut weights = vec![0.0; self.sides * taps];
        let mut bias = vec![0.0; self.sides];
        let mut explains = true;
        for side in 0..self.sides {
            let right = |i: usize| self.right[i * self.sides + side];
            let mut solution = factors.solve(&|i| right(i) as f64);
            // One step of refinement, the residual from exact sums.
            let residual = |i: usize| {
                (0..self.unknowns).fold(right(i) as f64, |rest, j| {
                    rest - self.entry(i, j) as f64 * solution[j]
                })
            };
            let step = factors.solve(&residual);
            solution.iter_mut().zip(step).for_each(|(w, d)| *w += d);
            // Weights are integers. Rounded ones that explain everything are right
            // wherever they are determined; others stay as they are.
            if self.explains(side, &solution) {
                solution.iter_mut().for_each(|w| *w = w.round());
            } else {
                explains = false;
            }
            weights[side * taps..][..taps].copy_from_slice(&solution[..taps]);
            bias[side] = solution[taps];
        }
        Estimate {
            weights,
            bias,
            determined,
            explains: Some(explains),
            deviations: None,
        }
    }

    /// Whether the rounded solution explains every equation exactly.
    fn explains(&self, side: usize, solution: &[f64]) -> bool {
        let rounded: Option<Vec<i128>> = solution
            .iter()
            .map(|w| (w.abs() < 1e12).then(|| w.round() as i128))
            .collect();
        let Some(w) = rounded else { return false };
        let mut rest = self.squares[side];
        for i in 0..self.unknowns {
            let product: Option<i128> = (0..self.unknowns).try_fold(0i128, |sum, j| {
                sum.checked_add(self.entry(i, j).checked_mul(w[j])?)
            });
            let part = product
                .and_then(|p| p.checked_sub(2 * self.right[i * self.sides + side]))
                .and_then(|p| p.checked_mul(w[i]))
                .and_then(|p| rest.checked_add(p));
            match part {
                Some(sum) => rest = sum,
                None => return false,
            }
        }
        rest == 0
    }

    fn factor(&self) -> Factors {
        let size = self.unknowns;
        let scale: Vec<f64> = (0..size)
            .map(|i| match self.entry(i, i) {
                0 => 0.0,
                square => 1.0 / (square as f64).sqrt(),
            })
            .collect();
        // What is left of the matrix, by rows in the present order.
        let mut rest: Vec<Vec<f64>> = (0..size)
            .map(|i| {
                (0..size)
                    .map(|j| self.entry(i, j) as f64 * scale[i] * scale[j])
                    .collect()
            })
            .collect();
        let mut order: Vec<usize> = (0..size).collect();
        let mut pivots = Vec::new();
        for step in 0..size {
            let best = (step..size)
                .max_by(|&i, &j| rest[i][i].total_cmp(&rest[j][j]))
                .unwrap_or(step);
            if rest[best][best] <= NO_PIVOT {
                break;
            }
            order.swap(step, best);
            rest.swap(step, best);
            rest.iter_mut().for_each(|row| row.swap(step, best));
            let pivot = rest[step][step];
            pivots.push(pivot);
            let (above, below) = rest.split_at_mut(step + 1);
            let of_pivot = &above[step];
            for row in below {
                let factor = row[step] / pivot;
                for (value, &p) in row[step + 1..].iter_mut().zip(&of_pivot[step + 1..]) {
                    *value -= factor * p;
                }
                // L takes the place of the column that is done with.
                row[step] = factor;
            }
        }
        Factors {
            order,
            rank: pivots.len(),
            lower: rest,
            pivots,
            scale,
        }
    }
}

impl Factors {
    /// For each unknown, whether no null vector moves it.
    fn determined(&self) -> Vec<bool> {
        let mut determined = vec![true; self.order.len()];
        for free in self.rank..self.order.len() {
            determined[self.order[free]] = false;
            let mut null: Vec<f64> = self.lower[free][..self.rank].to_vec();
            self.back(&mut null);
            for (place, value) in null.iter().enumerate() {
                if value.abs() > MOVES {
                    determined[self.order[place]] = false;
                }
            }
        }
        determined
    }

    /// Solves for one right side, given by unknown; free unknowns are 0.
    fn solve(&self, right: &dyn Fn(usize) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.order[..self.rank]
            .iter()
            .map(|&i| right(i) * self.scale[i])
            .collect();
        for i in 0..self.rank {
            let row = &self.lower[i][..i];
            let sum: f64 = row.iter().zip(&values).map(|(l, v)| l * v).sum();
            values[i] -= sum;
        }
        values
            .iter_mut()
            .zip(&self.pivots)
            .for_each(|(value, pivot)| *value /= pivot);
        self.back(&mut values);
        let mut solution = vec![0.0; self.order.len()];
        for (place, value) in values.into_iter().enumerate() {
            let unknown = self.order[place];
            solution[unknown] = value * self.scale[unknown];
        }
        solution
    }

    /// Solves `Lᵀ·z = values` in place, L being the first `rank` rows.
    fn back(&self, values: &mut [f64]) {
        for i in (0..self.rank).rev() {
            let (above, from) = values.split_at_mut(i);
            for (value, factor) in above.iter_mut().zip(&self.lower[i]) {
                *value -= factor * from[0];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

    /// `rows` equations for weights `w` over columns that `column` makes.
    fn system(
        w: &[i64],
        rows: usize,
        mut column: impl FnMut(usize, &mut ChaCha20Rng) -> i64,
    ) -> LinearSystem {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut system = LinearSystem::new(w.len(), 1);
        for _ in 0..rows {
            let mut x: Vec<i64> = (0..w.len() - 1).map(|i| column(i, &mut rng)).collect();
            x.push(1);
            let y = x.iter().zip(w).map(|(x, w)| x * w).sum();
            system.add(&x, &[y]);
        }
        system
    }

    fn weights(count: usize) -> Vec<i64> {
        (0..count as i64).map(|i| (i * 37) % 255 - 127).collect()
    }

    #[test]
    fn integers_come_back_from_as_many_equations_as_unknowns() {
        let w = weights(60);
        let found = system(&w, 60, |_, rng| rng.random_range(0..=255)).solve();
        assert!(found.determined.iter().all(|&d| d));
        assert_eq!(found.explains, Some(true));
        for (found, w) in found.weights.iter().chain(&found.bias).zip(&w) {
            assert_eq!(*found, *w as f64);
        }
    }

    #[test]
    fn dead_and_equal_columns_are_undetermined_and_no_others() {
        let w = weights(20);
        let mut last = 0;
        let found = system(&w, 100, |i, rng| match i {
            3 => 0,
            9 => last,
            _ => {
                last = rng.random_range(0..=255);
                last
            }
        })
        .solve();
        let undetermined: Vec<usize> = (0..20).filter(|&i| !found.determined[i]).collect();
        assert_eq!(undetermined, [3, 8, 9]);
        assert!((found.weights[4] - w[4] as f64).abs() < 1e-6);
        let sum = found.weights[8] + found.weights[9];
        assert!((sum - (w[8] + w[9]) as f64).abs() < 1e-6);
        assert_eq!(found.explains, Some(true));
    }

    #[test]
    fn fewer_equations_than_unknowns_determine_none() {
        let found = system(&weights(20), 5, |_, rng| rng.random_range(0..=255)).solve();
        assert!(found.determined.iter().all(|&d| !d));
    }

    #[test]
    fn answers_that_are_not_linear_are_not_explained() {
        let mut system = system(&weights(5), 50, |_, rng| rng.random_range(0..=255));
        system.add(&[1, 2, 3, 4, 1], &[1_000_000]);
        assert_eq!(system.solve().explains, Some(false));
    }

    #[test]
    fn no_equation_at_all_gives_zeros() {
        let found = LinearSystem::new(3, 2).solve();
        assert_eq!(found.weights, [0.0; 4]);
        assert_eq!(found.determined, [false; 3]);
    }
}
