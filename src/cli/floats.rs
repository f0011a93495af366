//! The float network behind `pdnn evaluate --float`, where training is built in.

#[cfg(feature = "train")]
pub(crate) use with::Floats;
#[cfg(not(feature = "train"))]
pub(crate) use without::Floats;

#[cfg(feature = "train")]
mod with {
    use std::{fs::File, path::Path};

    use crate::{
        cli::error::{CliResult, Explain, bail},
        file::checkpoint::Checkpoint,
        train::FloatNetwork,
    };

    /// A float network.
    pub(crate) struct Floats(FloatNetwork);

    impl Floats {
        /// The one in the checkpoint at `path`.
        pub(crate) fn open(path: &Path) -> CliResult<Floats> {
            let file = File::open(path).about_file(path)?;
            let checkpoint = Checkpoint::read(file).about_file(path)?;
            let network = FloatNetwork::restore(&checkpoint).about_file(path)?;
            Ok(Floats(network))
        }

        /// The class of every image, and its logits.
        pub(crate) fn classify(&self, images: &[Vec<i64>]) -> CliResult<Vec<(usize, Vec<f32>)>> {
            let (height, width) = self.0.image_size();
            if images.iter().any(|image| image.len() != height * width) {
                bail!("the checkpoint's network takes images of {height}x{width} pixels");
            }
            self.0.classify(images).explain()
        }
    }
}

#[cfg(not(feature = "train"))]
mod without {
    use std::path::Path;

    use crate::cli::error::{CliResult, bail};

    /// No float network.
    pub(crate) enum Floats {}

    impl Floats {
        /// Says how to get a program that can.
        pub(crate) fn open(_: &Path) -> CliResult<Floats> {
            bail!(
                "this pdnn was built without training, which --float needs; build it in: \
                 cargo install --path . --features train"
            );
        }

        /// Not reached: there is none.
        pub(crate) fn classify(&self, _: &[Vec<i64>]) -> CliResult<Vec<(usize, Vec<f32>)>> {
            match *self {}
        }
    }
}
