//! How often a classification is right, and what is taken for what.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Align, Table, count, percent};

/// Counts of predictions by true class and predicted class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    labels: Vec<String>,
    /// Row: true class; column: predicted class.
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// No prediction yet, for classes of these names.
    pub fn new<S: Into<String>>(labels: impl IntoIterator<Item = S>) -> Confusion {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        Confusion {
            counts: vec![vec![0; labels.len()]; labels.len()],
            labels,
        }
    }

    /// Counts one prediction.
    ///
    /// # Panics
    /// If a class is not below the number of labels.
    pub fn record(&mut self, truth: usize, predicted: usize) {
        self.counts[truth][predicted] += 1;
    }

    /// How often `truth` was taken for `predicted`.
    ///
    /// # Panics
    /// If a class is not below the number of labels.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth][predicted]
    }

    /// All predictions.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The right ones.
    pub fn right(&self) -> u64 {
        (0..self.labels.len())
            .map(|class| self.counts[class][class])
            .sum()
    }

    /// The right ones as a fraction of all; NaN if there is none.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.total() as f64
    }

    /// The mean over the classes that occur of the fraction of the class that
    /// is right: what accuracy would be if all classes were equally frequent.
    /// NaN if there is none.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self
            .counts
            .iter()
            .enumerate()
            .map(|(class, row)| (row[class], row.iter().sum::<u64>()))
            .filter(|(_, all)| *all > 0)
            .map(|(right, all)| right as f64 / all as f64)
            .collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// The class that occurs most often, the first of several, and its fraction
    /// of all: the accuracy of always answering with it. `None` if there is no
    /// prediction.
    pub fn majority(&self) -> Option<(&str, f64)> {
        let frequencies = self.counts.iter().map(|row| row.iter().sum::<u64>());
        let (class, most) = frequencies
            .enumerate()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        (most > 0).then(|| {
            (
                self.labels[class].as_str(),
                most as f64 / self.total() as f64,
            )
        })
    }

    /// `9,941 of 10,000 right (99.41 %)`.
    pub fn summary(&self) -> String {
        let (right, total) = (self.right(), self.total());
        format!(
            "{} of {} right ({})",
            count(right),
            count(total),
            percent(right, total)
        )
    }

    /// A row for each true class, a column for each predicted one, and the
    /// fraction of the class that is right. Zeros are shown as `·`.
    pub fn table(&self) -> Table {
        let predicted = self
            .labels
            .iter()
            .map(|label| (label.as_str(), Align::Right));
        let mut table = Table::new(
            std::iter::once(("true \\ predicted", Align::Left))
                .chain(predicted)
                .chain([("right", Align::Right)]),
        );
        for (class, row) in self.counts.iter().enumerate() {
            let cell = |number: &u64| match number {
                0 => "·".to_string(),
                number => count(*number),
            };
            let right = percent(row[class], row.iter().sum());
            let cells = std::iter::once(self.labels[class].clone());
            table.row(cells.chain(row.iter().map(cell)).chain([right]));
        }
        table
    }
}

impl Serialize for Confusion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // JSON has no NaN: without a prediction there is no accuracy.
        let some = |value: f64| Some(value).filter(|value| value.is_finite());
        let mut out = serializer.serialize_struct("Confusion", 7)?;
        out.serialize_field("total", &self.total())?;
        out.serialize_field("right", &self.right())?;
        out.serialize_field("accuracy", &some(self.accuracy()))?;
        out.serialize_field("balanced_accuracy", &some(self.balanced_accuracy()))?;
        let majority = self.majority().map(|(_, fraction)| fraction);
        out.serialize_field("majority_share", &majority)?;
        out.serialize_field("labels", &self.labels)?;
        out.serialize_field("confusion", &self.counts)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 healthy found healthy, 5 ill found ill, 5 ill found healthy.
    fn sample() -> Confusion {
        let mut confusion = Confusion::new(["healthy", "ill"]);
        (0..90).for_each(|_| confusion.record(0, 0));
        (0..5).for_each(|_| confusion.record(1, 1));
        (0..5).for_each(|_| confusion.record(1, 0));
        confusion
    }

    #[test]
    fn accuracy_and_balanced_accuracy() {
        let confusion = sample();
        assert_eq!((confusion.right(), confusion.total()), (95, 100));
        assert_eq!(confusion.count(1, 0), 5);
        assert!((confusion.accuracy() - 0.95).abs() < 1e-12);
        assert!((confusion.balanced_accuracy() - 0.75).abs() < 1e-12);
        assert_eq!(confusion.majority(), Some(("healthy", 0.9)));
        assert_eq!(confusion.summary(), "95 of 100 right (95.00 %)");
    }

    #[test]
    fn a_class_that_does_not_occur_does_not_count() {
        let mut confusion = Confusion::new(["a", "b", "c"]);
        confusion.record(0, 0);
        confusion.record(1, 0);
        assert!((confusion.balanced_accuracy() - 0.5).abs() < 1e-12);
        assert!(confusion.table().text().contains('–'));
    }

    #[test]
    fn the_table_has_a_row_for_each_class() {
        assert_eq!(
            sample().table().text(),
            "true \\ predicted  healthy  ill     right\n\
             ────────────────  ───────  ───  ────────\n\
             healthy                90    ·  100.00 %\n\
             ill                     5    5   50.00 %\n"
        );
    }

    #[test]
    fn json() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(json["accuracy"], 0.95);
        assert_eq!(json["confusion"], serde_json::json!([[90, 0], [5, 5]]));
        let none = serde_json::to_value(Confusion::new(["a"])).unwrap();
        assert!(none["accuracy"].is_null() && none["majority_share"].is_null());
        assert_eq!(Confusion::new(["a"]).summary(), "0 of 0 right (–)");
    }
}
