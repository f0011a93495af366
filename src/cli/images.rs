//! Images, or rows of a table, as a network takes them, a chunk at a time.

use std::path::Path;

use crate::{
    dataset::{
        Dataset, Images as Pixels, Labels, Selection, Wanted, has_idx_pair, load, load_idx_pair,
        test_prefix,
    },
    network::{InputSpec, Profile},
};

use super::{
    console::Console,
    error::{CliResult, Explain, bail},
    options::{ImageOptions, Polarity},
    tables::Rows,
};

/// Notes on conversions that are printed one by one; of more, the number.
const NOTES_SHOWN: usize = 5;

/// Some images, in the form that the protocol takes.
#[derive(Default)]
pub(crate) struct Images {
    /// What to call each.
    pub(crate) names: Vec<String>,
    /// A tensor each, in the order channel, row, column.
    pub(crate) values: Vec<Vec<i64>>,
    /// The class of each, where classes were asked for.
    pub(crate) labels: Vec<usize>,
}

/// All images of a call, kept as they come and handed out in chunks: as tensors
/// of integers they take eight times the memory.
pub(crate) struct Source {
    set: Set,
    next: usize,
}

/// What a call is about.
enum Set {
    /// Images, a byte a pixel.
    Images(Dataset),
    /// Rows of a table, for a network with a list of features.
    Rows(Rows),
}

/// Where the truth about labelled data stands.
pub(crate) struct Truth<'a> {
    /// An IDX file with the labels of images.
    pub(crate) file: Option<&'a Path>,
    /// The column of a table.
    pub(crate) column: &'a str,
}

impl Source {
    /// The images, or the tables, that a person named.
    pub(crate) fn open(
        options: &ImageOptions,
        profile: &Profile,
        console: &Console,
    ) -> CliResult<Source> {
        if !profile.features.is_empty() {
            let rows = Rows::read(&options.images, profile, console)?;
            return Source::of_rows(rows, options.range);
        }
        let input = profile.input;
        let wanted = wanted(input, options.invert, Labels::Own)?;
        let mut sets = Vec::with_capacity(options.images.len());
        for path in &options.images {
            let mut set = load(path, &wanted).about_file(path)?;
            // Numbers alone would not tell the images of two files apart.
            if options.images.len() > 1 && !path.is_dir() && set.len() > 1 {
                let file = path.display();
                set.names
                    .iter_mut()
                    .for_each(|n| *n = format!("{file}:{n}"));
            }
            sets.push(set);
        }
        Source::of(joined(sets, input)?, options.range, console)
    }

    /// A data set with labels: see `pdnn evaluate --help` for what `data` may
    /// be.
    pub(crate) fn labelled(
        data: &Path,
        truth: Truth<'_>,
        range: Option<Selection>,
        invert: Polarity,
        profile: &Profile,
        console: &Console,
    ) -> CliResult<Source> {
        if !profile.features.is_empty() {
            if truth.file.is_some() {
                bail!("--labels is for images; a table's labels stand in its --label-column");
            }
            let rows = Rows::labelled(data, profile, truth.column)?;
            return Source::of_rows(rows, range);
        }
        let (input, labels) = (profile.input, truth.file);
        let test = test_prefix(data);
        let pair = labels.is_none() && has_idx_pair(data, test);
        let from = match labels {
            Some(path) => Labels::File(path.to_path_buf()),
            None if data.is_dir() => Labels::Names,
            None => Labels::Own,
        };
        let wanted = wanted(input, invert, from)?;
        let set = if pair {
            load_idx_pair(data, test)
        } else {
            load(data, &wanted)
        }
        .about_file(data)?;
        if set.labels.is_none() {
            bail!(
                "{}: holds no labels; name their file with --labels",
                data.display()
            );
        }
        // A pair is read as it is, whatever its size.
        Source::of(joined(vec![set], input)?, range, console)
    }

    fn of(set: Dataset, range: Option<Selection>, console: &Console) -> CliResult<Source> {
        for note in set.notes.iter().take(NOTES_SHOWN) {
            console.note(note);
        }
        if set.notes.len() > NOTES_SHOWN {
            let more = set.notes.len() - NOTES_SHOWN;
            console.note(&format!("{more} more images were converted in like manner"));
        }
        let set = match range {
            Some(range) => set.select(range).explain()?,
            None => set,
        };
        if set.is_empty() {
            bail!("no image to classify; expected at least one");
        }
        let set = Set::Images(set);
        Ok(Source { set, next: 0 })
    }

    fn of_rows(rows: Rows, range: Option<Selection>) -> CliResult<Source> {
        let set = Set::Rows(match range {
            Some(range) => rows.select(range)?,
            None => rows,
        });
        Ok(Source { set, next: 0 })
    }

    /// How many images there are in all.
    pub(crate) fn count(&self) -> usize {
        match &self.set {
            Set::Images(set) => set.len(),
            Set::Rows(rows) => rows.values.len(),
        }
    }

    /// Fails if an image's label is none of the network's classes.
    pub(crate) fn check_labels(&self, classes: usize) -> CliResult {
        match &self.set {
            Set::Images(set) => set.check_labels(classes).explain(),
            // Read by the names of the classes.
            Set::Rows(_) => Ok(()),
        }
    }

    /// The next images, at most `most`; none at the end.
    pub(crate) fn next(&mut self, most: usize) -> Option<Images> {
        let range = self.next..self.count().min(self.next.saturating_add(most));
        if range.is_empty() {
            return None;
        }
        self.next = range.end;
        let set = match &self.set {
            Set::Images(set) => set,
            Set::Rows(rows) => return Some(rows.part(range)),
        };
        let tensor = |index: usize| set.images.get(index).iter().map(|&p| p.into());
        Some(Images {
            names: set.names[range.clone()].to_vec(),
            values: range.clone().map(|i| tensor(i).collect()).collect(),
            labels: match &set.labels {
                Some(labels) => labels[range].iter().map(|&l| l.into()).collect(),
                None => Vec::new(),
            },
        })
    }

    /// All images.
    pub(crate) fn all(mut self) -> Images {
        self.next(usize::MAX).unwrap_or_default()
    }
}

/// What the network takes, as the data sets' reader wants to know it.
fn wanted(input: InputSpec, invert: Polarity, labels: Labels) -> CliResult<Wanted> {
    let shape = input.shape;
    if shape.channels != 1 || input.min > 0 || input.max < 255 {
        bail!(
            "the network takes {} channels of values {}..={}; images give 1 channel of values \
             0..=255",
            shape.channels,
            input.min,
            input.max
        );
    }
    Ok(Wanted {
        invert: invert.into(),
        labels,
        ..Wanted::new(shape.height, shape.width)
    })
}

/// Several sets as one.
fn joined(sets: Vec<Dataset>, input: InputSpec) -> CliResult<Dataset> {
    let (height, width) = (input.shape.height, input.shape.width);
    let mut sets = sets.into_iter();
    let Some(first) = sets.next() else {
        bail!("no image to classify; expected at least one");
    };
    let (mut names, mut labels, mut notes) = (first.names, first.labels, first.notes);
    let found = (first.images.height(), first.images.width());
    if found != (height, width) {
        bail!(
            "images are {}x{}, expected {height}x{width} (height x width), which the network takes",
            found.0,
            found.1
        );
    }
    let mut images = first.images;
    let mut pixels = Vec::new();
    for set in sets {
        if pixels.is_empty() {
            pixels = images.pixels().to_vec();
        }
        pixels.extend_from_slice(set.images.pixels());
        names.extend(set.names);
        notes.extend(set.notes);
        labels = match (labels, set.labels) {
            (Some(mut all), Some(more)) => {
                all.extend(more);
                Some(all)
            }
            _ => None,
        };
    }
    if !pixels.is_empty() {
        images = Pixels::new(height, width, pixels).explain()?;
    }
    Ok(Dataset {
        images,
        labels,
        names,
        notes,
    })
}
