//! A line chart as SVG, for a browser or a paper.
//!
//! Panels stand side by side, each with axes of its own. The horizontal one is
//! always logarithmic. A logarithmic vertical
//! axis has no place for 0, and here 0 is the best result there is: it gets a
//! line of its own below the last decade.

use std::fmt::Write;

/// How a panel's vertical axis goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// By powers of ten, with a line for 0 below them.
    Log,
    /// From 0 to 100 per cent; values are 0 to 1.
    Percent,
}

/// A line through points.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Horizontal and vertical value of each point, from left to right. The
    /// horizontal ones are at least 1; what is not finite is left out.
    pub points: Vec<(f64, f64)>,
    /// Dashed rather than drawn through.
    pub dashed: bool,
    /// Which colour of the palette; it starts again after [`COLOURS`].
    pub colour: usize,
}

/// A chart with axes of its own.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// What the horizontal axis is.
    pub horizontal: String,
    /// What the vertical axis is.
    pub vertical: String,
    /// How it goes.
    pub axis: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Panels side by side.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What stands above all.
    pub title: String,
    /// What stands below the title, smaller.
    pub subtitle: String,
    /// The panels, from left to right.
    pub panels: Vec<Panel>,
}

/// How many colours there are.
pub const COLOURS: usize = PALETTE.len();

/// Okabe and Ito's palette, which colour-blind readers can tell apart.
const PALETTE: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];

// All lengths are in SVG's user units.
const PANEL: f64 = 440.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 84.0;
const GAP: f64 = 40.0;
const LEGEND_LINE: f64 = 17.0;
/// Room for the tick labels and the axis's name below a panel.
const BELOW: f64 = 58.0;

impl Plot {
    /// The chart as the text of an SVG file.
    pub fn svg(&self) -> String {
        let rows = self.panels.iter().map(Panel::legend_rows);
        let legend = rows.max().unwrap_or(0) as f64 * LEGEND_LINE;
        let width = (LEFT + PANEL + GAP) * self.panels.len().max(1) as f64;
        let height = TOP + HEIGHT + BELOW + legend + 12.0;
        let mut out = String::new();
        line(
            &mut out,
            format_args!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
                 viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">"
            ),
        );
        line(
            &mut out,
            format_args!("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"),
        );
        text(
            &mut out,
            LEFT,
            26.0,
            "start",
            "font-size=\"16\"",
            &self.title,
        );
        text(
            &mut out,
            LEFT,
            46.0,
            "start",
            "fill=\"#555\"",
            &self.subtitle,
        );
        for (index, panel) in self.panels.iter().enumerate() {
            let left = LEFT + index as f64 * (LEFT + PANEL + GAP);
            panel.draw(&mut out, left);
        }
        out.push_str("</svg>\n");
        out
    }
}

/// From values to places.
struct Frame {
    left: f64,
    axis: Axis,
    /// Decades that the horizontal axis spans.
    across: (f64, f64),
    /// Decades that a logarithmic vertical axis spans.
    up: (f64, f64),
}

impl Frame {
    fn new(panel: &Panel, left: f64) -> Frame {
        let points = || panel.series.iter().flat_map(|s| &s.points);
        let decades = |values: &mut dyn Iterator<Item = f64>| {
            let logs = values.filter(|v| v.is_finite() && *v > 0.0).map(f64::log10);
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            })
        };
        let or = |(low, high): (f64, f64), other| if low <= high { (low, high) } else { other };
        let (low, high) = or(decades(&mut points().map(|p| p.0)), (0.0, 1.0));
        let (bottom, top) = or(decades(&mut points().map(|p| p.1)), (-1.0, 0.0));
        Frame {
            left,
            axis: panel.axis,
            across: (low, high.max(low + 0.3)),
            up: (bottom.floor(), top.ceil().max(bottom.floor() + 1.0)),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let (low, high) = self.across;
        // A margin on both sides keeps the marks inside.
        let part = (value.max(f64::MIN_POSITIVE).log10() - low) / (high - low);
        self.left + PANEL * (0.03 + 0.94 * part)
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.axis {
            Axis::Percent => value.clamp(0.0, 1.0),
            // The lowest tenth is for 0.
            Axis::Log if value > 0.0 => {
                0.1 + 0.9 * (value.log10() - self.up.0) / (self.up.1 - self.up.0)
            }
            Axis::Log => 0.0,
        };
        TOP + HEIGHT * (0.97 - 0.94 * part)
    }

    /// Values that get a line across and a label.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.axis {
            Axis::Percent => (0..=10)
                .map(|tenth| (f64::from(tenth) / 10.0, format!("{} %", tenth * 10)))
                .collect(),
            Axis::Log => {
                let (low, high) = (self.up.0 as i32, self.up.1 as i32);
                let step = ((high - low) / 9 + 1) as usize;
                let decades = (low..=high).step_by(step);
                std::iter::once((0.0, "0 (exact)".to_string()))
                    .chain(decades.map(|e| (10f64.powi(e), power(e))))
                    .collect()
            }
        }
    }
}

impl Panel {
    fn draw(&self, out: &mut String, left: f64) {
        let frame = Frame::new(self, left);
        let bottom = TOP + HEIGHT;
        for (value, label) in frame.ticks() {
            let y = frame.y(value);
            let right = left + PANEL;
            line(
                out,
                format_args!(
                    "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#ddd\" fill=\"none\"/>"
                ),
            );
            text(out, left - 6.0, y + 4.0, "end", "", &label);
        }
        for value in across_ticks(frame.across) {
            let x = frame.x(value);
            line(
                out,
                format_args!("<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#eee\" fill=\"none\"/>"),
            );
            text(out, x, bottom + 18.0, "middle", "", &format!("{value}"));
        }
        line(
            out,
            format_args!(
                "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{PANEL}\" height=\"{HEIGHT}\" \
                 fill=\"none\" stroke=\"#555\"/>"
            ),
        );
        let bold = "font-weight=\"bold\"";
        text(out, left, TOP - 10.0, "start", bold, &self.title);
        let middle = left + PANEL / 2.0;
        text(out, middle, bottom + 38.0, "middle", "", &self.horizontal);
        let turned = format!(
            "transform=\"rotate(-90 {x:.1} {y:.1})\"",
            x = left - 54.0,
            y = TOP + HEIGHT / 2.0
        );
        let y = TOP + HEIGHT / 2.0;
        text(out, left - 54.0, y, "middle", &turned, &self.vertical);
        for (index, series) in self.series.iter().enumerate() {
            series.draw(out, &frame);
            let columns = self.legend_columns();
            let column = (index % columns) as f64 * PANEL / columns as f64;
            let y = bottom + BELOW + (index / columns) as f64 * LEGEND_LINE;
            series.legend(out, left + column, y);
        }
    }

    /// Two where names are short enough not to meet.
    fn legend_columns(&self) -> usize {
        let longest = self.series.iter().map(|s| s.name.chars().count()).max();
        if longest.unwrap_or(0) <= 24 { 2 } else { 1 }
    }

    fn legend_rows(&self) -> usize {
        self.series.len().div_ceil(self.legend_columns())
    }
}

impl Series {
    fn style(&self) -> String {
        let dashes = if self.dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let colour = PALETTE[self.colour % COLOURS];
        format!("stroke=\"{colour}\" stroke-width=\"1.8\" fill=\"none\"{dashes}")
    }

    fn draw(&self, out: &mut String, frame: &Frame) {
        let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
        let places: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter(finite)
            .map(|&(x, y)| (frame.x(x), frame.y(y)))
            .collect();
        let mut path = String::new();
        for (index, (x, y)) in places.iter().enumerate() {
            let pen = if index == 0 { 'M' } else { 'L' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
        }
        let style = self.style();
        line(out, format_args!("<path d=\"{path}\" {style}/>"));
        let colour = PALETTE[self.colour % COLOURS];
        for (x, y) in places {
            let fill = if self.dashed { "white" } else { colour };
            line(
                out,
                format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" stroke=\"{colour}\" \
                     fill=\"{fill}\"/>"
                ),
            );
        }
    }

    fn legend(&self, out: &mut String, x: f64, y: f64) {
        let (end, style) = (x + 28.0, self.style());
        line(
            out,
            format_args!("<path d=\"M{x:.1} {y:.1}H{end:.1}\" {style}/>"),
        );
        text(out, x + 34.0, y + 4.0, "start", "", &self.name);
    }
}

/// Powers of two between the ends, few enough to be read.
fn across_ticks((low, high): (f64, f64)) -> Vec<f64> {
    let first = (low / 2f64.log10()).ceil() as i32;
    let last = (high / 2f64.log10() + 1e-9).floor() as i32;
    let step = ((last - first) / 11 + 1).max(1) as usize;
    (first..=last).step_by(step).map(|e| 2f64.powi(e)).collect()
}

/// A power of ten as a label: plainly where that is short.
fn power(exponent: i32) -> String {
    match exponent {
        -2..=4 => format!("{}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, more: &str, content: &str) {
    let content = escaped(content);
    line(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{content}</text>"
        ),
    );
}

/// Text as XML's character data; what XML has no place for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(name: &str, points: Vec<(f64, f64)>) -> Plot {
        let series = Series {
            name: name.into(),
            points,
            dashed: true,
            colour: 8,
        };
        let panel = |axis| Panel {
            title: name.into(),
            horizontal: "queries".into(),
            vertical: "error".into(),
            axis,
            series: vec![series.clone()],
        };
        Plot {
            title: name.into(),
            subtitle: String::new(),
            panels: vec![panel(Axis::Log), panel(Axis::Percent)],
        }
    }

    /// Every element is closed, every attribute quoted, and nothing unescaped
    /// stands between.
    fn is_well_formed(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg.trim();
        while let Some(start) = rest.find('<') {
            let between = &rest[..start];
            assert!(!between.contains('>'), "{between}");
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
            let name = |tag: &str| tag.split(' ').next().unwrap_or_default().to_string();
            match tag.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed)),
                None if tag.ends_with('/') => {}
                None => open.push(name(tag)),
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty() && rest.is_empty(), "{open:?} {rest}");
    }

    #[test]
    fn the_file_is_well_formed_whatever_names_hold() {
        let points = vec![(1.0, 0.5), (2.0, 0.0), (4.0, 1e-9), (8.0, f64::NAN)];
        for name in ["plain", "<script>&\"'</script>", "a\u{0}\u{1b}b\nc", "数字"] {
            let svg = plot(name, points.clone()).svg();
            is_well_formed(&svg);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<script"));
        }
    }

    #[test]
    fn nothing_to_draw_is_still_a_plot() {
        for points in [vec![], vec![(1.0, 0.0)], vec![(1.0, f64::INFINITY)]] {
            let svg = plot("empty", points).svg();
            is_well_formed(&svg);
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
        is_well_formed(
            &Plot {
                panels: vec![],
                ..plot("none", vec![])
            }
            .svg(),
        );
    }

    #[test]
    fn every_point_lies_inside_its_panel() {
        let plot = plot("p", vec![(1.0, 1e5), (1000.0, 1e-7), (3.0, 0.0)]);
        for panel in &plot.panels {
            let frame = Frame::new(panel, LEFT);
            for &(x, y) in &panel.series[0].points {
                let (x, y) = (frame.x(x), frame.y(y));
                assert!((LEFT..=LEFT + PANEL).contains(&x), "{x}");
                assert!((TOP..=TOP + HEIGHT).contains(&y), "{y}");
            }
        }
    }

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(
            across_ticks((0.0, 3.0)),
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
        );
        assert!(across_ticks((0.0, 12.0)).len() <= 12);
        assert_eq!(power(-2), "0.01");
        assert_eq!(power(6), "1e6");
    }
}
