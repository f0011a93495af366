//! Inverses of many elements at the price of one (Montgomery's trick, as a
//! tree: every level is a batch of independent products), and unit checks.
//!
//! The product of the batch is inverted modulo m by the extended Euclidean
//! algorithm, whose time depends on its operands: elements must be public. If
//! t·y = 1 + e·m, then t⁻¹ = y·(1 − e·m) modulo m² (Newton's step).

use rayon::prelude::*;

use super::{
    BignumError,
    core::{Core, PARALLEL_PRODUCTS},
    elements::Elements,
    euclid::{inverse, number},
    kernel::Lanes,
};

/// Products that [`Core::invert`] spends on the root, whatever the batch.
pub(super) const ROOT_PRODUCTS: u64 = 6;

impl<K: Lanes> Core<K> {
    /// Products of neighbours: half as many, an odd last one unchanged.
    fn halve(&self, e: &Elements) -> Elements {
        let pairs = e.len() / 2;
        let mut out = self.build(
            pairs,
            1,
            || (self.k.block(), self.k.block()),
            |(x, y), first, out| {
                let count = out.len() / self.stride();
                self.load_by(x, count, |lane| e.row(2 * (first + lane)));
                self.load_by(y, count, |lane| e.row(2 * (first + lane) + 1));
                self.k.mul_assign(x, y);
                self.k.scatter(x, out);
            },
        );
        if e.len() % 2 == 1 {
            out.rows.extend_from_slice(e.row(e.len() - 1));
        }
        out
    }

    /// The product tree above `e`: the last level has one element.
    fn tree(&self, e: &Elements) -> Vec<Elements> {
        let mut levels: Vec<Elements> = Vec::new();
        loop {
            let below = levels.last().unwrap_or(e);
            if below.len() <= 1 {
                return levels;
            }
            let next = self.halve(below);
            levels.push(next);
        }
    }

    /// Whether an element is coprime to m.
    fn is_unit(&self, row: &[u64]) -> bool {
        let element = Elements {
            stride: self.stride(),
            rows: row.to_vec().into(),
        };
        let (u0, _) = self.digits(&element);
        inverse(&u0, &self.m).is_some()
    }

    /// Follows a non-unit from the root of the tree to the first element that
    /// is to blame; the product above it is no unit, so one of two halves is.
    fn culprit(&self, e: &Elements, levels: &[Elements]) -> usize {
        let mut at = 0;
        for depth in (0..levels.len()).rev() {
            let below = if depth == 0 { e } else { &levels[depth - 1] };
            at *= 2;
            if at + 1 < below.len() && self.is_unit(below.row(at)) {
                at += 1;
            }
        }
        at
    }

    pub(super) fn all_units(&self, e: &Elements) -> Result<(), usize> {
        self.check(e);
        if e.is_empty() {
            return Ok(());
        }
        let product = self.product(e);
        let root = self.tree(&product);
        if self.is_unit(root.last().unwrap_or(&product).row(0)) {
            return Ok(());
        }
        Err(self.culprit(e, &self.tree(e)))
    }

    /// At most a block of elements whose product is that of all of `e`, some of
    /// them perhaps more than once.
    fn product(&self, e: &Elements) -> Elements {
        let blocks = (0..e.len()).into_par_iter().step_by(K::LANES);
        let product = blocks
            .with_min_len(PARALLEL_PRODUCTS / 2)
            .fold(
                || (None, self.k.block()),
                |(product, mut factor), first| {
                    self.load(&mut factor, e, first, K::LANES.min(e.len() - first));
                    let product: Option<K::Block> = product;
                    match product {
                        None => (Some(factor), self.k.block()),
                        Some(mut product) => {
                            self.k.mul_assign(&mut product, &factor);
                            (Some(product), factor)
                        }
                    }
                },
            )
            .filter_map(|(product, _)| product)
            .reduce_with(|mut a, b| {
                self.k.mul_assign(&mut a, &b);
                a
            });
        let mut out = Elements::zeroed(self.stride(), K::LANES.min(e.len()));
        self.k.scatter(&product.expect("an element"), &mut out.rows);
        out
    }

    /// See [`Ring::invert`](super::Ring::invert): 3(k − 1) + 6 products and one
    /// inversion for k elements.
    pub(super) fn invert(&self, e: &Elements) -> Result<Elements, BignumError> {
        self.check(e);
        if e.is_empty() {
            return Ok(e.clone());
        }
        let levels = self.tree(e);
        let mut inverses = self
            .invert_one(levels.last().unwrap_or(e))
            .ok_or_else(|| BignumError::NotUnit(self.culprit(e, &levels)))?;
        for depth in (0..levels.len()).rev() {
            let below = if depth == 0 { e } else { &levels[depth - 1] };
            inverses = self.descend(&inverses, below);
        }
        Ok(inverses)
    }

    /// Inverses of `below` from those of its products of neighbours: the
    /// inverse of a product times one factor is the inverse of the other.
    fn descend(&self, inverses: &Elements, below: &Elements) -> Elements {
        let even = below.len() & !1;
        let mut out = self.build(
            even,
            1,
            || (self.k.block(), self.k.block()),
            |(x, y), first, out| {
                let count = out.len() / self.stride();
                self.load_by(x, count, |lane| inverses.row((first + lane) / 2));
                self.load_by(y, count, |lane| below.row((first + lane) ^ 1));
                self.k.mul_assign(x, y);
                self.k.scatter(x, out);
            },
        );
        if below.len() > even {
            out.rows.extend_from_slice(inverses.row(inverses.len() - 1));
        }
        out
    }

    /// The inverse of a single element, if it is a unit.
    fn invert_one(&self, t: &Elements) -> Option<Elements> {
        let h = self.k.limbs();
        let (t0, _) = self.digits(t);
        let y0 = inverse(&t0, &self.m)?;
        let y = self.join_digits(&y0, &vec![0; h]);
        let (_, e) = self.digits(&self.mul(t, &y));
        // −e mod m, with −0 = 0.
        let m = number(&self.m);
        let mut minus_e = ((&m - number(&e)) % &m).to_u64_digits();
        minus_e.resize(h, 0);
        Some(self.mul_one_plus(&y, &minus_e))
    }
}
