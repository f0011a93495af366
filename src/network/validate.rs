//! The checks of a profile.

use std::collections::HashSet;

use super::{
    NetworkError, Op, PROFILE_FORMAT, PROFILE_VERSION, Posterior, Problem, Profile, Range, Shape,
    Stage,
    limits::{MAX_ALL_PRODUCTS, MAX_ELEMENTS, MAX_NAME, MAX_STAGES, MAX_STEPS, at_most, not_zero},
    prepare,
};

impl Profile {
    /// Checks everything that can be checked without the weights: names and
    /// sizes, that each layer fits behind the one before it, and that for
    /// every result within a stage's range the operations behind it stay
    /// within 64 bits and within their tables.
    ///
    /// # Errors
    ///
    /// The first thing found, naming the layer.
    pub fn validate(&self) -> Result<(), NetworkError> {
        self.check_shapes()?;
        let mut range = self.input.range();
        for (step, op) in self.prepare.iter().enumerate() {
            range = op
                .uniform_bounds(range)
                .map_err(|problem| problem.at(self.place_of_preparation(step)))?;
        }
        for stage in &self.stages {
            stage
                .range
                .check("the range")
                .map_err(|problem| problem.at(stage.place()))?;
            let mut range = stage.range;
            for (step, op) in stage.then.iter().enumerate() {
                range = op
                    .uniform_bounds(range)
                    .map_err(|problem| problem.at(stage.place_of(step)))?;
            }
        }
        Ok(())
    }

    /// All of [`Profile::validate`] that does not depend on ranges.
    pub(super) fn check_shapes(&self) -> Result<(), NetworkError> {
        self.check_head()?;
        let mut work = 0;
        at_most("the number of steps", self.prepare.len(), MAX_STEPS)
            .map_err(|problem| problem.at("preparation"))?;
        let place = |step| self.place_of_preparation(step);
        let mut shape = check_steps(&self.prepare, self.input.shape, &mut work, place)?;
        let mut names = HashSet::new();
        for stage in &self.stages {
            if !names.insert(&stage.name) {
                let name = &stage.name;
                return inconsistent(format!("two stages have the name {name}"));
            }
            shape = stage.check(shape, &mut work)?;
        }
        if self.labels.len() != shape.len() {
            return inconsistent(format!(
                "there are {} labels, expected {}, one for each output of the last stage",
                self.labels.len(),
                shape.len()
            ));
        }
        let labels: HashSet<&String> = self.labels.iter().collect();
        if labels.len() != self.labels.len() {
            return inconsistent("a label occurs twice".to_owned());
        }
        Ok(())
    }

    /// Everything but the stages' insides and the labels' number.
    fn check_head(&self) -> Result<(), NetworkError> {
        if self.format != PROFILE_FORMAT {
            return Err(NetworkError::Format {
                expected: PROFILE_FORMAT,
                found: self.format.clone(),
            });
        }
        if self.version != PROFILE_VERSION {
            return Err(NetworkError::Version {
                expected: PROFILE_VERSION,
                found: self.version.into(),
            });
        }
        check_text("the network's name", &self.name)?;
        for label in &self.labels {
            check_text("a label", label)?;
        }
        // Exactly what is written: single precision.
        let scale = self.logit_scale as f32;
        if !(scale.is_finite() && scale > 0.0) {
            return inconsistent(format!(
                "logit_scale is {}, expected a positive number in single precision",
                self.logit_scale
            ));
        }
        if let Some(Posterior { truncation }) = self.posterior
            && !(1..=Posterior::MAX_TRUNCATION).contains(&truncation)
        {
            return inconsistent(format!(
                "weights are truncated at {truncation} standard deviations, expected 1 to {}",
                Posterior::MAX_TRUNCATION
            ));
        }
        let input = || -> Result<(), Problem> {
            let len = self.input.shape.len();
            not_zero("the number of values", len)?;
            at_most("the number of values", len, MAX_ELEMENTS)?;
            self.input.range().check("the range")
        };
        input().map_err(|problem| problem.at("input"))?;
        self.check_features()?;
        if self.stages.is_empty() || self.stages.len() > MAX_STAGES {
            return inconsistent(format!(
                "there are {} stages, expected 1 to {MAX_STAGES}",
                self.stages.len()
            ));
        }
        self.stages.iter().try_for_each(Stage::check_name)
    }
}

impl Stage {
    /// Names become names of tensors and parts of messages.
    fn check_name(&self) -> Result<(), NetworkError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let length = self.name.chars().count();
        if !(1..=MAX_NAME).contains(&length) || !self.name.chars().all(plain) {
            let shown: String = self.name.chars().take(MAX_NAME).collect();
            return inconsistent(format!(
                "the stage name {shown:?} is not 1 to {MAX_NAME} letters, digits, _ and -"
            ));
        }
        Ok(())
    }

    /// Checks that the stage takes an input of shape `found`, and returns the
    /// shape of its output. `work` counts products and values read, from the
    /// first stage on.
    fn check(&self, found: Shape, work: &mut usize) -> Result<Shape, NetworkError> {
        let expected = self.linear.input_shape();
        let fits = match self.linear {
            super::Linear::Conv { .. } => expected == found,
            super::Linear::Dense { inputs, .. } => inputs == found.len(),
        };
        let mut layer = || -> Result<(), Problem> {
            self.linear.check()?;
            if !fits {
                return Err(Problem::InputShape { expected, found });
            }
            at_most("the number of steps", self.then.len(), MAX_STEPS)?;
            add_work(work, self.linear.products())
        };
        layer().map_err(|problem| problem.at(self.place()))?;
        check_steps(&self.then, self.linear.output_shape(), work, |step| {
            self.place_of(step)
        })
    }

    /// Bounds of every output of the stage's operations, from those of the
    /// layer's results.
    pub(super) fn bounds(&self, results: Vec<Range>) -> Result<Vec<Range>, NetworkError> {
        let shape = self.linear.output_shape();
        prepare::bounds(&self.then, shape, results, |step| self.place_of(step))
    }
}

/// Checks that `ops` take a tensor of shape `shape`, and returns the shape of
/// what they make of it. `work` counts on; `place` is how an error speaks of an
/// operation, by its number.
fn check_steps(
    ops: &[Op],
    mut shape: Shape,
    work: &mut usize,
    place: impl Fn(usize) -> String,
) -> Result<Shape, NetworkError> {
    for (step, op) in ops.iter().enumerate() {
        shape = op
            .output_shape(shape)
            .and_then(|output| {
                add_work(work, op.reads(output))?;
                Ok(output)
            })
            .map_err(|problem| problem.at(place(step)))?;
    }
    Ok(shape)
}

/// A name that is printed on a terminal: not empty, not long, no control
/// characters.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), NetworkError> {
    let length = text.chars().count();
    if !(1..=MAX_NAME).contains(&length) || text.chars().any(char::is_control) {
        let shown: String = text.chars().take(MAX_NAME).collect();
        return inconsistent(format!(
            "{what} is {shown:?}, expected 1 to {MAX_NAME} printable characters"
        ));
    }
    Ok(())
}

/// Adds to the products and values read so far.
fn add_work(work: &mut usize, more: usize) -> Result<(), Problem> {
    *work = work.saturating_add(more);
    let what = "the number of products and values read, from the first stage to here,";
    at_most(what, *work, MAX_ALL_PRODUCTS)
}

/// The profile contradicts itself.
fn inconsistent<T>(what: String) -> Result<T, NetworkError> {
    Err(NetworkError::Profile(what))
}
