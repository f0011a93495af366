//! Whole runs, on generated images.

use candle_core::Tensor;

use super::{
    engine::{batch, check},
    ops::Levels,
    *,
};
use crate::{dataset::Images, network::Network};

/// Images of 8x8 in three classes: a bright row, a bright column, a diagonal,
/// at places that vary.
fn images(count: usize) -> Examples {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for n in 0..count {
        let (class, at) = (n % 3, (n / 3) % 6 + 1);
        let on = |y: usize, x: usize| match class {
            0 => y == at,
            1 => x == at,
            _ => (x + at) % 8 == y,
        };
        for i in 0..64 {
            let noise = (n * 31 + i * 17) % 40;
            pixels.push(if on(i / 8, i % 8) { 200 } else { 0 } + noise as u8);
        }
        labels.push(class as u8);
    }
    Examples::new(Images::new(8, 8, pixels).unwrap(), labels).unwrap()
}

fn small(pool_first: bool, max: bool) -> Topology {
    let pool = match max {
        true => Layer::MaxPool { size: 2 },
        false => Layer::AveragePool { size: 2 },
    };
    let mut then = vec![Layer::Relu, pool];
    if pool_first {
        then.reverse();
    }
    let conv = Layer::Conv {
        outputs: 4,
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let layers = [
        &[conv][..],
        &then,
        &[Layer::Dense { outputs: 12 }, Layer::Relu],
        &[Layer::Dense { outputs: 3 }],
    ];
    Topology {
        name: "small".into(),
        input: (1, 8, 8),
        layers: layers.concat(),
    }
}

fn options() -> TrainOptions {
    TrainOptions {
        epochs: 6,
        qat_epochs: 2,
        batch: 24,
        rate: 1e-2,
        augment: Augment::none(),
        ..TrainOptions::new(small(false, false))
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Seen {
    steps: usize,
    epochs: usize,
    checkpoints: usize,
}

impl Progress for Seen {
    fn begin(&mut self, _: Phase, _: usize, _: usize, _: usize) {}
    fn step(&mut self) {
        self.steps += 1;
    }
    fn epoch(&mut self, _: &EpochRecord) {
        self.epochs += 1;
    }
    fn checkpoint(&mut self, _: &Checkpoint) {
        self.checkpoints += 1;
    }
}

fn run(options: &TrainOptions, from: Option<&Checkpoint>) -> Result<Trained, TrainError> {
    let (examples, validation) = images(300).split(60)?;
    train(options, &examples, &validation, from, &mut Seen::default())
}

fn fixed(trained: &Trained) -> Network {
    match trained.network() {
        AnyNetwork::Fixed(network) => network.clone(),
        AnyNetwork::Bayesian(_) => panic!("a Bayesian network"),
    }
}

#[test]
fn a_small_network_learns_and_keeps_what_it_learnt_as_integers() {
    let (examples, validation) = images(300).split(60).unwrap();
    let mut seen = Seen::default();
    let trained = train(&options(), &examples, &validation, None, &mut seen).unwrap();
    assert_eq!((seen.epochs, seen.steps, seen.checkpoints), (8, 80, 1));
    let accuracy = trained.accuracy(&validation, &SAMPLES).unwrap()[0];
    assert!(accuracy.float > 0.9, "{accuracy:?}");
    assert!(accuracy.integer > 0.9, "{accuracy:?}");
}

#[test]
fn the_exported_network_is_the_simulated_one() {
    let examples = images(60);
    let places: Vec<usize> = (0..60).collect();
    // Pooling first by means is exported as box sums.
    for (pool_first, max, bits, input_bits) in [
        (false, false, 8, 8),
        (true, false, 8, 8),
        (false, true, 8, 8),
        (false, false, 4, 8),
        (true, false, 4, 4),
        (false, false, 4, 5),
        (true, true, 2, 8),
    ] {
        let blocks = small(pool_first, max).blocks().unwrap();
        check(&examples, &small(pool_first, max), &blocks).unwrap();
        let bits = Bits {
            weights: bits,
            activations: bits,
            input: input_bits,
        };
        let mut model = Model::random(blocks, bits, 7).unwrap();
        let input = batch(&examples, &places, None).unwrap();
        model.quantise(&input).unwrap();
        let network =
            export::export(&model, "small", &["a", "b", "c"].map(String::from), &[], 0).unwrap();
        let AnyNetwork::Fixed(network) = network else {
            panic!("drawn")
        };
        let logits = model
            .forward(
                &model.draw(&model.leaves().unwrap(), None, false).unwrap(),
                &input,
                None,
            )
            .unwrap();
        let logits: Vec<f32> = flat(&logits);
        let scale = network.profile().logit_scale;
        // One level of the last activation times the largest weight: what a
        // tie in the layer before could move.
        let top = Levels::weights(bits.weights).max as f64;
        let (mut exact, mut total) = (0, 0);
        for n in 0..60 {
            let pixels = examples.images().get(n).iter();
            let integers = network.forward(&pixels.map(|p| i64::from(*p)).collect::<Vec<_>>());
            for (class, integer) in integers.iter().enumerate() {
                let gap = f64::from(logits[class * 60 + n]) / scale - *integer as f64;
                assert!(gap.abs() <= 2.0 * top + 1.0, "{bits:?}: {gap} steps apart");
                exact += usize::from(gap.abs() < 0.75);
                total += 1;
            }
        }
        assert!(
            exact * 20 >= total * 19,
            "{bits:?}: {exact} of {total} equal"
        );
    }
}

#[test]
fn a_network_of_squares_learns_and_exports() {
    let squares = |layer: &Layer| match layer {
        Layer::Relu => Layer::Square,
        other => *other,
    };
    let mut options = TrainOptions {
        rate: 3e-3,
        clip: Some(1.0),
        ..options()
    };
    options.topology.layers = options.topology.layers.iter().map(squares).collect();
    let (_, validation) = images(300).split(60).unwrap();
    let trained = run(&options, None).unwrap();
    let accuracy = trained.accuracy(&validation, &SAMPLES).unwrap()[0];
    assert!(accuracy.integer > 0.9, "{accuracy:?}");
    let apart = (accuracy.integer - accuracy.simulated).abs();
    assert!(apart < 0.04, "{accuracy:?}");
}

fn bayesian() -> TrainOptions {
    TrainOptions {
        // Of few images, the divergence would have its way.
        bayes: Some(Bayes {
            kl_weight: 1e-3,
            ..Bayes::default()
        }),
        ..options()
    }
}

#[test]
fn a_bayesian_network_learns_and_exports_its_deviations() {
    let (_, validation) = images(300).split(60).unwrap();
    let trained = run(&bayesian(), None).unwrap();
    let epochs = trained.epochs();
    assert!(epochs.iter().all(|e| e.divergence.is_some_and(|d| d > 0.0)));
    let accuracies = trained.accuracy(&validation, &SAMPLES).unwrap();
    assert_eq!(accuracies.len(), SAMPLES.len());
    for accuracy in &accuracies {
        assert!(accuracy.float > 0.85, "{accuracy:?}");
        assert!(accuracy.integer > 0.85, "{accuracy:?}");
    }
    let AnyNetwork::Bayesian(network) = trained.network() else {
        panic!("fixed weights");
    };
    let posterior = network.profile().posterior.unwrap();
    assert_eq!(posterior.truncation, Bayes::default().truncation);
    // Deviations in steps of the weights, as the simulation rounds them.
    for (deviations, v) in network.deviations().iter().zip(&trained.quantised.vars) {
        let logs = &v.deviation.as_ref().unwrap().weight;
        let floats = bayes::deviations(logs).unwrap();
        let steps = v.weight_step.as_ref().unwrap().to_vec1::<f32>().unwrap();
        let rows = floats.len() / steps.len();
        for (i, (float, integer)) in floats.iter().zip(&deviations.weights).enumerate() {
            let step = steps[i / rows].exp();
            assert!((float / step - *integer as f32).abs() <= 0.51);
        }
        assert!(deviations.weights.iter().any(|d| *d > 0));
    }
}

#[test]
fn a_bayesian_network_is_trained_on_as_one() {
    let first = run(&bayesian(), None).unwrap();
    let checkpoint = first.checkpoint().unwrap();
    let none = |bayes| TrainOptions {
        epochs: 0,
        qat_epochs: 0,
        bayes,
        ..options()
    };
    let again = run(&none(Some(Bayes::default())), Some(&checkpoint)).unwrap();
    assert_eq!(first.network(), again.network());
    let error = run(&none(None), Some(&checkpoint)).unwrap_err().to_string();
    assert!(error.contains("--bayesian"), "{error}");
    // From the floats of an ordinary network it gets its first deviations.
    let floats = run(&options(), None).unwrap().checkpoint().unwrap();
    let begun = run(&none(Some(Bayes::default())), Some(&floats)).unwrap();
    assert!(matches!(begun.network(), AnyNetwork::Bayesian(_)));
}

#[test]
fn a_seed_gives_one_bayesian_network() {
    let options = TrainOptions {
        epochs: 1,
        qat_epochs: 1,
        ..bayesian()
    };
    let network = || run(&options, None).unwrap().network().clone();
    assert_eq!(network(), network());
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_seed_gives_one_network() {
    let options = TrainOptions {
        epochs: 1,
        qat_epochs: 1,
        augment: Augment::default(),
        ..options()
    };
    let network = |seed| {
        let options = TrainOptions {
            seed,
            ..options.clone()
        };
        fixed(&run(&options, None).unwrap())
    };
    assert_eq!(network(1), network(1));
    assert_ne!(network(1), network(2));
}

#[test]
fn a_checkpoint_gives_the_same_export_without_training() {
    let first = run(&options(), None).unwrap();
    let checkpoint = first.checkpoint().unwrap();
    let again = TrainOptions {
        epochs: 0,
        qat_epochs: 0,
        ..options()
    };
    let second = run(&again, Some(&checkpoint)).unwrap();
    assert_eq!(first.network(), second.network());
    // Other bits: the quantised half is not used, the float half is.
    let fewer = TrainOptions {
        weight_bits: 4,
        ..again
    };
    let third = run(&fewer, Some(&checkpoint)).unwrap();
    let third = fixed(&third);
    let weights = third.layers().iter().flat_map(|l| &l.weights);
    assert!(weights.map(|w| w.abs()).max() <= Some(7));
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let options = TrainOptions {
        epochs: 0,
        qat_epochs: 0,
        ..options()
    };
    let blocks = small(false, false).blocks().unwrap();
    let bits = Bits {
        weights: 8,
        activations: 8,
        input: 8,
    };
    let model = Model::random(blocks, bits, 1).unwrap();
    let sound = checkpoint::save(&small(false, false), &model, None).unwrap();
    run(&options, Some(&sound)).unwrap();

    let refused = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = sound.clone();
        change(&mut checkpoint);
        run(&options, Some(&checkpoint)).unwrap_err().to_string()
    };
    let other = refused(&|c| {
        c.about.insert("topology".into(), "large".into());
        c.parameters[0].shape = vec![36];
    });
    assert!(
        other.contains(r#""large", whose weights are not those of small"#),
        "{other}"
    );
    let missing = refused(&|c| drop(c.parameters.pop()));
    assert!(missing.contains("has no float.dense2.bias"), "{missing}");
    let shape = refused(&|c| c.parameters[0].shape = vec![36]);
    assert!(shape.contains("float.conv1.weight"), "{shape}");
}

#[test]
fn floats_are_trained_on_with_pooling_elsewhere() {
    let first = run(&options(), None).unwrap().checkpoint().unwrap();
    let pool_first = TrainOptions {
        epochs: 0,
        qat_epochs: 1,
        ..TrainOptions::new(Topology {
            name: "small-pool-first".into(),
            ..small(true, false)
        })
    };
    let network = fixed(&run(&pool_first, Some(&first)).unwrap());
    let stages = &network.profile().stages;
    // Box sums: four times fewer pre-activations.
    assert_eq!(stages[0].linear.output_shape().len(), 4 * 4 * 4);
    assert_eq!(network.profile().prepare.len(), 2);
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let wild = TrainOptions {
        rate: 1e30,
        ..options()
    };
    let error = run(&wild, None).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Diverged {
                phase: Phase::Float,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("learning rate"), "{error}");
}

#[test]
fn zero_epochs_without_a_checkpoint_are_refused() {
    let none = TrainOptions {
        epochs: 0,
        ..options()
    };
    let error = run(&none, None).unwrap_err().to_string();
    assert!(error.contains("random weights"), "{error}");
}

#[test]
fn images_and_labels_that_do_not_fit_the_network_are_refused() {
    let lenet = TrainOptions::new(Topology::named("lenet5", (1, 28, 28), 10).unwrap());
    let error = run(&lenet, None).unwrap_err().to_string();
    assert!(error.contains("8x8") && error.contains("28x28"), "{error}");

    let beyond = Examples::new(Images::new(8, 8, vec![0; 128]).unwrap(), vec![0, 3]).unwrap();
    let mut seen = Seen::default();
    let error = train(&options(), &beyond, &beyond, None, &mut seen).unwrap_err();
    assert!(error.to_string().contains("label 3"), "{error}");

    let none = Examples::new(Images::new(8, 8, vec![]).unwrap(), vec![]).unwrap();
    let error = train(&options(), &none, &none, None, &mut seen).unwrap_err();
    assert!(matches!(error, TrainError::NoImages));
}

#[test]
fn the_card_states_command_accuracy_and_slot_bits() {
    let options = options();
    let trained = run(&options, None).unwrap();
    let (_, validation) = images(300).split(60).unwrap();
    let mut card = Card {
        trained: &trained,
        options: &options,
        command: "pdnn train --seed 1".into(),
        data_set: "mnist".into(),
        data: vec![("train-labels".into(), "00ff".into())],
        two_classes: vec![],
        train_images: 240,
        validation: trained.accuracy(&validation, &SAMPLES).unwrap(),
        training: Vec::new(),
        test: Vec::new(),
    };
    let text = card.to_string();
    assert!(text.contains("pdnn train --seed 1") && text.contains("`00ff`"));
    assert!(text.contains("The test images were not looked at"));
    let bits = trained.network().profile().stages[0].range.slot_bits();
    assert!(text.contains(&format!("| {bits} | relu, sum_pool, requantise |")));
    card.test = card.validation.clone();
    assert!(card.to_string().contains("looked at once"));
}

#[test]
fn the_card_of_a_bayesian_network_states_prior_draws_and_deviations() {
    let options = bayesian();
    let trained = run(&options, None).unwrap();
    let (_, validation) = images(300).split(60).unwrap();
    let card = Card {
        trained: &trained,
        options: &options,
        command: "pdnn train --bayesian".into(),
        data_set: "own".into(),
        data: vec![("val-images".into(), "00ff".into())],
        train_images: 240,
        validation: trained.accuracy(&validation, &SAMPLES).unwrap(),
        training: Vec::new(),
        two_classes: Vec::new(),
        test: Vec::new(),
    };
    let text = card.to_string();
    assert!(text.contains("| validation (60), 4 draws |"), "{text}");
    assert!(text.contains("N(0, 0.05²), KL weight 0.001"), "{text}");
    assert!(text.contains("mean σ, largest, zeros"), "{text}");
    assert!(text.contains("60 others for validation"), "{text}");
}
