//! Look-up tables: functions of the real line as exact integers.
//!
//! tanh and sigmoid differ in their last bit between mathematical libraries, so
//! a network does not compute them: the table is made once, stands in the
//! profile, and is the definition.

use serde::{Deserialize, Serialize};

use super::{Op, Range};

/// The function that a look-up table was made from. The table itself is what
/// counts; this is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// Hyperbolic tangent, −1 to 1.
    Tanh,
    /// Logistic function 1/(1 + e^−x), 0 to 1.
    Sigmoid,
}

impl Function {
    /// Its value at `x`.
    pub fn at(self, x: f64) -> f64 {
        match self {
            Function::Tanh => x.tanh(),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        }
    }
}

impl Op {
    /// A look-up table of `function` for the integers of `arguments`.
    ///
    /// An integer x stands for the real number `x·input_scale`; a result y
    /// stands for `y·output_scale`, so `y = function(x·input_scale) /
    /// output_scale`, rounded to the nearest integer (halves away from 0).
    ///
    /// Clamp to `arguments` by an [`Op::Requantise`] in front: a table must
    /// have an entry for every value that can arrive.
    ///
    /// `None` if `arguments` has more than [`super::limits::MAX_TABLE`]
    /// integers or none, or if a scale is not a positive number.
    pub fn lookup(
        function: Function,
        arguments: Range,
        input_scale: f64,
        output_scale: f64,
    ) -> Option<Op> {
        let positive = |scale: f64| scale.is_finite() && scale > 0.0;
        let span = i128::from(arguments.max) - i128::from(arguments.min);
        let fits = (0..super::limits::MAX_TABLE as i128).contains(&span);
        if !fits || !positive(input_scale) || !positive(output_scale) {
            return None;
        }
        let table = (arguments.min..=arguments.max)
            .map(|x| (function.at(x as f64 * input_scale) / output_scale).round() as i64)
            .collect();
        Some(Op::Lookup {
            function,
            min: arguments.min,
            table,
        })
    }
}
