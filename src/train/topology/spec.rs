//! Topologies that their name spells out.

use super::{Layer, TrainError};

/// Most layers that a name spells out.
const MOST_LAYERS: usize = 16;
/// Largest number in such a name.
const LARGEST: usize = 4096;

/// The hidden layers of a network whose name spells them out: `mlp:32,16`,
/// dense ones of these sizes; `logistic`, none; `layers:…`, a list of
///
/// ```text
/// cN[kK][sS][pP][aA][mM]   N channels of KxK kernels (5) at stride S (1) behind P zeros (0)
///                          on each side; mean of AxA squares, ReLU, greatest of MxM squares
/// dN                       a dense layer of N outputs, ReLU
/// ```
///
/// `None` for another name.
///
/// # Errors
/// [`TrainError::Topology`] if the name begins like one of these and does not
/// go on so.
pub(super) fn hidden_layers(name: &str) -> Result<Option<Vec<Layer>>, TrainError> {
    if name == "logistic" {
        return Ok(Some(Vec::new()));
    }
    let (list, layer, expected): (_, fn(&str) -> _, _) = match name.split_once(':') {
        Some(("mlp", list)) => (
            list,
            |text| Some(dense(number(text)?)),
            "the sizes of 1 to 16 hidden layers, each 1 to 4096, as in mlp:32,16",
        ),
        Some(("layers", list)) => (
            list,
            hidden,
            "1 to 16 hidden layers, as in layers:c6k5p2a2,c16a2,d120 (5x5 kernels behind 2 zeros, \
             average pooling by 2; a dense layer)",
        ),
        _ => return Ok(None),
    };
    let layers: Option<Vec<Vec<Layer>>> = list.split(',').map(layer).collect();
    match layers.filter(|layers| layers.len() <= MOST_LAYERS) {
        Some(layers) => Ok(Some(layers.concat())),
        None => Err(TrainError::Topology(format!("{name}: expected {expected}"))),
    }
}

fn number(text: &str) -> Option<usize> {
    let number = text.parse().ok().filter(|n| *n <= LARGEST);
    number.filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

fn dense(outputs: usize) -> Vec<Layer> {
    vec![Layer::Dense { outputs }, Layer::Relu]
}

/// One item of `layers:…`.
fn hidden(text: &str) -> Option<Vec<Layer>> {
    let mut parts = letters_with_numbers(text)?.into_iter();
    let outputs = match parts.next()? {
        ('d', outputs) => return parts.next().is_none().then(|| dense(outputs)),
        ('c', outputs) => outputs,
        _ => return None,
    };
    let (mut kernel, mut stride, mut padding, mut mean, mut greatest) = (5, 1, 0, None, None);
    let mut seen = Vec::new();
    for (letter, n) in parts {
        if seen.contains(&letter) {
            return None;
        }
        seen.push(letter);
        match letter {
            'k' => kernel = n,
            's' => stride = n,
            'p' => padding = n,
            'a' => mean = Some(Layer::AveragePool { size: n }),
            'm' => greatest = Some(Layer::MaxPool { size: n }),
            _ => return None,
        }
    }
    let conv = Layer::Conv {
        outputs,
        kernel,
        stride,
        padding,
    };
    let then = mean.into_iter().chain([Layer::Relu]).chain(greatest);
    Some([conv].into_iter().chain(then).collect())
}

/// The letters of `c6k5`, each with the number behind it.
fn letters_with_numbers(text: &str) -> Option<Vec<(char, usize)>> {
    let mut rest = text;
    let mut all = Vec::new();
    while let Some(letter) = rest.chars().next() {
        let digits = &rest[letter.len_utf8()..];
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        all.push((letter, number(&digits[..end])?));
        rest = &digits[end..];
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::Topology;

    #[test]
    fn dense_layers_of_given_sizes_and_none() {
        let sizes = |name: &str| -> Vec<usize> {
            let topology = Topology::named(name, (1, 1, 8), 2).unwrap();
            let blocks = topology.blocks().unwrap();
            blocks.iter().map(|b| b.outputs).collect()
        };
        assert_eq!(sizes("mlp:16"), [16, 2]);
        assert_eq!(sizes("mlp:32,16"), [32, 16, 2]);
        assert_eq!(sizes("logistic"), [2]);
        for wrong in [
            "mlp:", "mlp:0", "mlp:16,", "mlp:x", "mlp:5000", "mlp:+1", "mlp",
        ] {
            assert!(Topology::named(wrong, (1, 1, 8), 2).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lenet5_spelt_out() {
        for (name, spelt) in [
            ("lenet5-pool-first", "layers:c6k5p2a2,c16k5a2,d120,d84"),
            ("lenet5-max", "layers:c6p2m2,c16m2,d120,d84"),
            ("lenet5-strided", "layers:c6k6s2p2,c16s2k6,d120,d84"),
        ] {
            let of = |name| Topology::named(name, (1, 28, 28), 10).unwrap();
            assert_eq!(of(spelt).layers, of(name).layers, "{name}");
            assert_eq!(of(spelt).name, spelt);
        }
    }

    #[test]
    fn what_is_spelt_wrongly_is_refused_with_an_example() {
        for wrong in [
            "layers:",
            "layers:c6,",
            "layers:d",
            "layers:c6k",
            "layers:c6k5k5",
            "layers:c6x2",
            "layers:d84k5",
            "layers:6",
            "layers:c9999",
            "layers:é5",
            "layers:c6c6",
        ] {
            let error = Topology::named(wrong, (1, 28, 28), 10).unwrap_err();
            assert!(error.to_string().contains("as in layers:"), "{error}");
        }
        for wrong in ["layers:c6k29", "layers:c0", "layers:c6s0", "layers:c6k6a2"] {
            let error = Topology::named(wrong, (1, 28, 28), 10).unwrap_err();
            assert!(
                error.to_string().contains("layer 0") || error.to_string().contains("layer 1"),
                "{error}"
            );
        }
    }
}
