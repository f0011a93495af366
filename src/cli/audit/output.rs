//! What an audit found, as text, CSV and SVG.

use std::path::Path;

use crate::{
    audit::score::{Agreement, LayerPoint, Point},
    file::atomic::{Mode, Overwrite, write_atomic},
    report::{
        Align, Table, count, duration, percent,
        plot::{Axis, Panel, Plot, Series},
    },
};

use super::{
    super::error::{CliResult, Explain},
    Audit, Found,
};

/// Writes what `make` makes, if there is a place for it.
pub(super) fn write(path: Option<&Path>, make: impl FnOnce() -> String) -> CliResult {
    let Some(path) = path else { return Ok(()) };
    write_atomic(path, make().as_bytes(), Overwrite::Never, Mode::Shared).about_file(path)
}

/// For people.
pub(super) fn text(audit: &Audit) -> String {
    let mut text = format!(
        "{} of {}, key of {} bits, {}\n",
        audit.protocol,
        audit.network,
        count(audit.key_bits.into()),
        duration(audit.elapsed_ms)
    );
    if let Some(truth) = audit.truth {
        text += &format!(
            "the true network has the right label for {} of {} images\n",
            percent(truth.right as u64, truth.images as u64),
            count(truth.images as u64)
        );
    }
    for found in &audit.attacks {
        let Some(last) = found.points.last() else {
            continue;
        };
        text += &format!(
            "\n{}: {} {}, {}\n\n",
            found.attack,
            count(last.answers as u64),
            found.counted,
            duration(found.elapsed_ms)
        );
        text += &layers(last).text();
        if found.points.len() > 1 {
            text += "\nmean error of all weights of each layer, and the recovered network:\n\n";
            text += &curve(found).text();
        }
        text += "\n";
        text += &verdict(last);
        text += "\n";
    }
    text.trim_end().to_string()
}

/// One row a layer.
fn layers(point: &Point) -> Table {
    let mut table = Table::new([
        ("layer", Align::Left),
        ("queries", Align::Right),
        ("ciphertexts up", Align::Right),
        ("down", Align::Right),
        ("weights", Align::Right),
        ("determined", Align::Right),
        ("largest error", Align::Right),
        ("mean error", Align::Right),
        ("of all", Align::Right),
        ("wrong when rounded", Align::Right),
    ]);
    for layer in &point.layers {
        let score = |of: &dyn Fn(&crate::audit::score::LayerScore) -> String| {
            layer.score.as_ref().map_or("–".into(), of)
        };
        table.row([
            layer.layer.clone(),
            count(layer.traffic.messages),
            count(layer.traffic.ciphertexts_up),
            count(layer.traffic.ciphertexts_down),
            count(layer.unknowns as u64),
            count(layer.determined as u64),
            score(&|s| error(s.largest_error, layer)),
            score(&|s| error(s.mean_error, layer)),
            score(&|s| number(s.mean_error_all)),
            score(&|s| count(s.wrong_after_rounding as u64)),
        ]);
    }
    table
}

/// An error of determined weights; none are, none is.
fn error(value: f64, layer: &LayerPoint) -> String {
    if layer.determined == 0 {
        "–".into()
    } else {
        number(value)
    }
}

/// One row a point.
fn curve(found: &Found) -> Table {
    let first = found.points.first().map_or(&[][..], |p| &p.layers);
    let mut columns = vec![(found.counted.to_string(), Align::Right)];
    columns.extend(
        first
            .iter()
            .map(|layer| (layer.layer.clone(), Align::Right)),
    );
    columns.push(("agreement".into(), Align::Right));
    columns.push(("accuracy".into(), Align::Right));
    let mut table = Table::new(columns);
    for point in &found.points {
        let mut row = vec![count(point.answers as u64)];
        row.extend(point.layers.iter().map(|layer| {
            let score = layer.score.as_ref();
            score.map_or("–".into(), |score| number(score.mean_error_all))
        }));
        row.extend(match point.recovered {
            Some(found) => [share(found.agreeing, found), share(found.right, found)],
            None => ["–".into(), "–".into()],
        });
        table.row(row);
    }
    table
}

fn share(part: usize, of: Agreement) -> String {
    percent(part as u64, of.images as u64)
}

/// What it comes to, in a sentence or two.
fn verdict(point: &Point) -> String {
    let wrong: Option<usize> = point
        .layers
        .iter()
        .map(|layer| Some(layer.score.as_ref()?.wrong_after_rounding))
        .sum();
    let all: usize = point.layers.iter().map(|layer| layer.unknowns).sum();
    let determined_are_exact = point
        .layers
        .iter()
        .all(|layer| layer.score.as_ref().is_some_and(|s| s.largest_error == 0.0));
    let mut text = match wrong {
        _ if point.is_exact() => format!(
            "Recovered exactly: all {} weights and biases, largest error 0.",
            count(all as u64)
        ),
        Some(0) => format!(
            "Recovered: rounding gives all {} weights and biases exactly.",
            count(all as u64)
        ),
        Some(wrong) if determined_are_exact => format!(
            "Every weight that the answers determine is exact; {} of {} weights and biases, which \
             they do not determine, differ from the true ones.",
            count(wrong as u64),
            count(all as u64)
        ),
        Some(wrong) => format!(
            "Not exact: after rounding, {} of {} weights and biases differ from the true ones.",
            count(wrong as u64),
            count(all as u64)
        ),
        None => "Not scored: the true weights are not at hand.".into(),
    };
    let unexplained: Vec<&str> = point
        .layers
        .iter()
        .filter(|layer| layer.explains == Some(false))
        .map(|layer| layer.layer.as_str())
        .collect();
    if !unexplained.is_empty() {
        text += &format!(
            "\nNo weights within the profile's range explain every answer of {}.",
            unexplained.join(", ")
        );
    } else if point
        .layers
        .iter()
        .all(|layer| layer.explains == Some(true))
    {
        text += "\nThe recovered weights explain every answer that the server gave.";
    }
    if let Some(found) = point.recovered {
        text += &format!(
            "\nThe recovered network agrees with the true one on {} of {} images ({}); accuracy {}.",
            count(found.agreeing as u64),
            count(found.images as u64),
            share(found.agreeing, found),
            share(found.right, found)
        );
    }
    text + "\n"
}

/// A number to three digits; 0 only where it is 0.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (0.001..1e6).contains(&size) => {
            let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.1e}"),
    }
}

/// Every layer at every point; agreement repeats on each of a point's rows.
pub(super) fn csv(audit: &Audit) -> String {
    let mut table = Table::new(
        [
            "protocol",
            "network",
            "key_bits",
            "attack",
            "answers",
            "layer",
            "queries",
            "ciphertexts_up",
            "ciphertexts_down",
            "weights",
            "determined",
            "explains",
            "largest_error",
            "mean_error",
            "largest_error_all",
            "mean_error_all",
            "wrong_after_rounding",
            "mean_deviation",
            "images",
            "agreeing",
            "right",
        ]
        .map(|heading| (heading, Align::Left)),
    );
    let optional = |value: Option<String>| value.unwrap_or_default();
    for found in &audit.attacks {
        for point in &found.points {
            for layer in &point.layers {
                let score = |of: fn(&crate::audit::score::LayerScore) -> f64| {
                    optional(layer.score.as_ref().map(|s| of(s).to_string()))
                };
                let recovered = |of: fn(Agreement) -> usize| {
                    optional(point.recovered.map(|r| of(r).to_string()))
                };
                table.row([
                    audit.protocol.to_string(),
                    audit.network.clone(),
                    audit.key_bits.to_string(),
                    found.attack.to_string(),
                    point.answers.to_string(),
                    layer.layer.clone(),
                    layer.traffic.messages.to_string(),
                    layer.traffic.ciphertexts_up.to_string(),
                    layer.traffic.ciphertexts_down.to_string(),
                    layer.unknowns.to_string(),
                    layer.determined.to_string(),
                    optional(layer.explains.map(|e| e.to_string())),
                    score(|s| s.largest_error),
                    score(|s| s.mean_error),
                    score(|s| s.largest_error_all),
                    score(|s| s.mean_error_all),
                    score(|s| s.wrong_after_rounding as f64),
                    optional(layer.mean_deviation.map(|d| d.to_string())),
                    recovered(|r| r.images),
                    recovered(|r| r.agreeing),
                    recovered(|r| r.right),
                ]);
            }
        }
    }
    table.csv()
}

/// Errors and agreement against the number of answers: two panels an attack.
pub(super) fn svg(audit: &Audit) -> String {
    // A single point is no curve, unless there is nothing else.
    let curves = || audit.attacks.iter().filter(|found| found.points.len() > 1);
    let drawn: Vec<&Found> = match curves().next() {
        Some(_) => curves().collect(),
        None => audit.attacks.iter().collect(),
    };
    let mut subtitle = "Weights that the answers do not determine count as errors too.".to_string();
    for found in &audit.attacks {
        if let ([point], true) = (&found.points[..], curves().next().is_some()) {
            let messages: u64 = point.layers.iter().map(|l| l.traffic.messages).sum();
            subtitle += &format!(
                " Not drawn: {}, {messages} queries{}.",
                found.attack,
                if point.is_exact() {
                    ", largest error 0"
                } else {
                    ""
                }
            );
        }
    }
    Plot {
        title: format!(
            "{} of {}: what a client recovers",
            audit.protocol, audit.network
        ),
        subtitle,
        panels: drawn
            .into_iter()
            .flat_map(|found| [errors(found), agreement(found)])
            .collect(),
    }
    .svg()
}

fn errors(found: &Found) -> Panel {
    let layers = found.points.first().map_or(&[][..], |point| &point.layers);
    let mut series = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        for (name, dashed) in [("largest", false), ("mean", true)] {
            let value = |point: &Point| {
                let score = point.layers[index].score.as_ref()?;
                Some(match dashed {
                    false => score.largest_error_all,
                    true => score.mean_error_all,
                })
            };
            series.push(Series {
                name: format!("{}, {name}", layer.layer),
                points: points(found, value),
                dashed,
                colour: index,
            });
        }
    }
    Panel {
        title: format!("{}: error of weights and biases", found.attack),
        horizontal: found.counted.into(),
        vertical: "error".into(),
        axis: Axis::Log,
        series,
    }
}

fn agreement(found: &Found) -> Panel {
    let share = |colour: usize, name: &str, of: fn(Agreement) -> usize| Series {
        name: name.into(),
        points: points(found, |point| {
            let recovered = point.recovered?;
            Some(of(recovered) as f64 / recovered.images as f64)
        }),
        dashed: colour == 1,
        colour,
    };
    let mut series = vec![
        share(0, "agreement with the true network", |r| r.agreeing),
        share(1, "accuracy", |r| r.right),
    ];
    series.push(Series {
        name: "weights right after rounding".into(),
        points: points(found, |point| {
            let all: usize = point.layers.iter().map(|layer| layer.unknowns).sum();
            let wrong: Option<usize> = point
                .layers
                .iter()
                .map(|layer| Some(layer.score.as_ref()?.wrong_after_rounding))
                .sum();
            Some(1.0 - wrong? as f64 / all as f64)
        }),
        dashed: false,
        colour: 2,
    });
    Panel {
        title: format!("{}: the recovered network", found.attack),
        horizontal: found.counted.into(),
        vertical: "share".into(),
        axis: Axis::Percent,
        series,
    }
}

fn points(found: &Found, value: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    found
        .points
        .iter()
        .filter_map(|point| Some((point.answers as f64, value(point)?)))
        .collect()
}
