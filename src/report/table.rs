//! A table, printed as aligned text, Markdown or CSV.

use serde::{Serialize, Serializer, ser::SerializeSeq};

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left: words.
    Left,
    /// At the right: numbers.
    Right,
}

/// Rows of text under headings. Serialised, it is a list of objects, a row
/// each, by heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no row.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Table {
        Table {
            columns: columns
                .into_iter()
                .map(|(heading, align)| (heading.into(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Missing cells are empty; cells beyond the last column are
    /// left out.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Table {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
        self
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Aligned columns two spaces apart, for a terminal; a line under the
    /// headings; each line ends with a newline.
    pub fn text(&self) -> String {
        let clean = |cell: &str| cell.replace(char::is_control, " ");
        let widths = self.widths(clean);
        let mut out = String::new();
        let mut line = |cells: &[String]| {
            let cells = self.padded(cells, &widths, clean);
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        };
        line(&self.headings());
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        line(&rule);
        self.rows.iter().for_each(|row| line(row));
        out
    }

    /// A Markdown table, with `|` in cells escaped.
    pub fn markdown(&self) -> String {
        let clean = |cell: &str| cell.replace('|', "\\|").replace(char::is_control, " ");
        let widths: Vec<usize> = self.widths(clean).into_iter().map(|w| w.max(3)).collect();
        let mut out = String::new();
        let mut line = |cells: Vec<String>| {
            out.push_str("| ");
            out.push_str(&cells.join(" | "));
            out.push_str(" |\n");
        };
        line(self.padded(&self.headings(), &widths, clean));
        let rule = |((_, align), width): (&(String, Align), &usize)| match align {
            Align::Left => "-".repeat(*width),
            Align::Right => "-".repeat(width - 1) + ":",
        };
        line(self.columns.iter().zip(&widths).map(rule).collect());
        for row in &self.rows {
            line(self.padded(row, &widths, clean));
        }
        out
    }

    /// CSV (RFC 4180, lines end with a newline), headings first.
    pub fn csv(&self) -> String {
        let field = |cell: &String| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.clone()
            }
        };
        let headings = self.headings();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|row| row.iter().map(field).collect::<Vec<_>>().join(",") + "\n")
            .collect()
    }

    fn headings(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|(heading, _)| heading.clone())
            .collect()
    }

    /// The width of each column, in characters.
    fn widths(&self, clean: impl Fn(&str) -> String) -> Vec<usize> {
        let width = |cell: &str| clean(cell).chars().count();
        self.columns
            .iter()
            .enumerate()
            .map(|(index, (heading, _))| {
                let cells = self.rows.iter().map(|row| width(&row[index]));
                cells.max().unwrap_or(0).max(width(heading))
            })
            .collect()
    }

    fn padded(
        &self,
        cells: &[String],
        widths: &[usize],
        clean: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let columns = self.columns.iter().zip(widths);
        cells
            .iter()
            .zip(columns)
            .map(|(cell, ((_, align), width))| match align {
                Align::Left => format!("{:<width$}", clean(cell)),
                Align::Right => format!("{:>width$}", clean(cell)),
            })
            .collect()
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in &self.rows {
            let entries = self.columns.iter().zip(row);
            let object: serde_json::Map<String, serde_json::Value> = entries
                .map(|((heading, _), cell)| (heading.clone(), cell.as_str().into()))
                .collect();
            rows.serialize_element(&object)?;
        }
        rows.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([("stage", Align::Left), ("ms", Align::Right)]);
        table.row(["conv1", "7"]).row(["naïve|λ", "1,234"]);
        table
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            table().text(),
            "stage       ms\n───────  ─────\nconv1        7\nnaïve|λ  1,234\n"
        );
    }

    #[test]
    fn markdown_is_aligned_and_escaped() {
        assert_eq!(
            table().markdown(),
            "| stage    |    ms |\n| -------- | ----: |\n| conv1    |     7 |\n| naïve\\|λ | 1,234 |\n"
        );
    }

    #[test]
    fn csv_is_quoted_where_needed() {
        let mut table = table();
        table.row(["say \"a\"\nb", ""]);
        assert_eq!(
            table.csv(),
            "stage,ms\nconv1,7\nnaïve|λ,\"1,234\"\n\"say \"\"a\"\"\nb\",\n"
        );
        let mut reader = csv::Reader::from_reader(std::io::Cursor::new(table.csv()));
        let rows: Vec<Vec<String>> = reader
            .records()
            .map(|row| row.unwrap().iter().map(str::to_string).collect())
            .collect();
        assert_eq!(rows, table.rows);
    }

    #[test]
    fn json_is_a_list_of_objects() {
        let json = serde_json::to_string(&table()).unwrap();
        assert_eq!(
            json,
            r#"[{"stage":"conv1","ms":"7"},{"stage":"naïve|λ","ms":"1,234"}]"#
        );
    }

    #[test]
    fn rows_of_another_length_fit_in() {
        let mut table = Table::new([("a", Align::Left), ("b", Align::Left)]);
        table.row(["1"]).row(["1", "2", "3"]);
        assert_eq!(table.csv(), "a,b\n1,\n1,2\n");
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_line_break_in_a_cell_does_not_break_the_table() {
        let mut table = Table::new([("a", Align::Left)]);
        table.row(["1\n2\u{1b}[0m"]);
        assert_eq!(table.text().lines().count(), 3);
        assert_eq!(table.markdown().lines().count(), 3);
        assert!(!table.text().contains('\u{1b}'));
    }
}
