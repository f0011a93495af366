//! Attacks on small networks, with keys that are too short for anything else.

use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

use super::{score::Truth, *};
use crate::{
    network::{
        BayesianNetwork, Deviations, InputSpec, Network, Op, Posterior, Range, Shape, Stage,
    },
    paillier::SecretKey,
    protocol::{
        bayhenn,
        exchange::{Client, ClientKeys, Query, Reply},
        two_party_dnn::Server,
    },
};

const KEY_BITS: u32 = 256;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn key() -> SecretKey {
    SecretKey::generate_insecure(KEY_BITS, &mut rng(1)).expect("a key")
}

/// 6x6 pixels, a padded convolution, a strided one, a dense layer; biases of
/// both signs.
fn network() -> Network {
    let mut rng = rng(2);
    let stage = |name: &str, linear, then| Stage {
        name: name.into(),
        linear,
        range: Range::new(0, 0),
        then,
    };
    let requantise = Op::Requantise {
        multipliers: vec![1],
        shift: 6,
        min: 0,
        max: 255,
    };
    let conv = |input, outputs, kernel, stride, padding| Linear::Conv {
        input,
        outputs,
        kernel,
        stride,
        padding,
    };
    let stages = vec![
        stage(
            "conv1",
            conv(Shape::new(1, 6, 6), 3, (3, 3), 1, 1),
            vec![Op::Relu, requantise.clone()],
        ),
        stage(
            "conv2",
            conv(Shape::new(3, 6, 6), 4, (2, 2), 2, 0),
            vec![Op::Relu, requantise, Op::Flatten],
        ),
        stage(
            "dense",
            Linear::Dense {
                inputs: 36,
                outputs: 5,
            },
            vec![],
        ),
    ];
    let layers = stages
        .iter()
        .map(|stage| Weights {
            weights: (0..stage.linear.channels() * stage.linear.taps())
                .map(|_| rng.random_range(-127..=127))
                .collect(),
            bias: (0..stage.linear.channels())
                .map(|channel| rng.random_range(1..=900) * if channel % 2 == 0 { 1 } else { -1 })
                .collect(),
        })
        .collect();
    let input = InputSpec {
        shape: Shape::new(1, 6, 6),
        min: 0,
        max: 255,
    };
    let labels = ["a", "b", "c", "d", "e"].map(str::to_string).to_vec();
    let profile = Profile::new("small", input, stages, labels, 0.01);
    Network::new(profile, layers).expect("a sound network")
}

/// The same on box sums of 5x5 pixels with zeros around them.
fn boxed() -> Network {
    let (mut profile, layers) = network().into_parts();
    profile.input.shape = Shape::new(1, 5, 5);
    profile.prepare = vec![Op::Pad { size: 1 }, Op::SumPool { size: 2, stride: 1 }];
    Network::new(profile, layers).expect("a sound network")
}

fn images(count: usize) -> Vec<Vec<i64>> {
    images_of(36, count)
}

fn images_of(pixels: usize, count: usize) -> Vec<Vec<i64>> {
    let mut rng = rng(3);
    (0..count)
        .map(|_| (0..pixels).map(|_| rng.random_range(0..=255)).collect())
        .collect()
}

/// An auditor of [`network`], who reaches its server through what `by` makes of
/// it.
fn auditor<E: Exchange>(by: impl Fn(InProcess<Server, ChaCha20Rng>) -> E) -> impl Service {
    auditor_of(network(), by)
}

fn auditor_of<E: Exchange>(
    network: Network,
    by: impl Fn(InProcess<Server, ChaCha20Rng>) -> E,
) -> impl Service {
    let client = Client::new(network.profile().clone(), ClientKeys::Owner(key()));
    let server = InProcess::new(Server::new(network).for_whole_run(), rng(4), rng(6));
    Auditor::new(client, by(server), rng(5))
}

fn service() -> impl Service {
    auditor(|server| server)
}

fn truth() -> Truth {
    let network = network();
    let images = images(50);
    let labels = vec![0; images.len()];
    Truth::new(network, images, labels)
}

#[test]
fn chosen_queries_recover_2p_dnn_exactly_with_one_message_a_layer() {
    let mut service = service();
    let model = chosen::attack(&mut service, &|_| {}).expect("an audit");
    for (score, estimate) in truth().layers(&model).iter().zip(&model) {
        assert!(score.is_exact(), "{score:?}");
        assert_eq!(estimate.explains, Some(true));
    }
    let agreement = truth().recovered(&model).expect("images");
    assert_eq!(agreement.agreeing, agreement.images);
    assert!(service.traffic().iter().all(|layer| layer.messages == 1));
    // 254 bits have no room for the 36 weights of the dense layer at once.
    let dense = service.traffic()[2];
    assert_eq!(dense.ciphertexts_up / 36, dense.ciphertexts_down / 5);
    assert!(dense.ciphertexts_up / 36 > 1);
}

#[test]
fn natural_images_recover_2p_dnn_exactly_where_they_determine_it() {
    let curve = natural::attack(&mut service(), &images(150), &|_| {}).expect("an audit");
    let counts: Vec<usize> = curve.iter().map(|(count, _)| *count).collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64, 128, 150]);
    let (_, model) = curve.last().expect("a point");
    for (score, estimate) in truth().layers(model).iter().zip(model) {
        assert_eq!(estimate.explains, Some(true));
        assert_eq!(score.largest_error, 0.0, "{score:?}");
    }
    // The first layer sees pixels that are never black.
    assert_eq!(truth().layers(model)[0].wrong_after_rounding, 0);
    // One image tells next to nothing of a dense layer.
    assert!(curve[0].1[2].determined.iter().all(|&d| !d));
}

#[test]
fn box_sums_hide_no_weight() {
    let images = images_of(25, 150);
    let truth = Truth::new(boxed(), images.clone(), vec![0; images.len()]);
    let mut service = auditor_of(boxed(), |server| server);
    let model = chosen::attack(&mut service, &|_| {}).expect("an audit");
    assert!(truth.layers(&model).iter().all(|score| score.is_exact()));
    let curve = natural::attack(&mut service, &images, &|_| {}).expect("an audit");
    let (_, model) = curve.last().expect("a point");
    for (score, estimate) in truth.layers(model).iter().zip(model) {
        assert_eq!(estimate.explains, Some(true));
        assert_eq!(score.largest_error, 0.0, "{score:?}");
    }
}

/// Answers every query with one result off by one.
struct Liar<S>(S);

impl<S: Service> Service for Liar<S> {
    fn profile(&self) -> &Profile {
        self.0.profile()
    }
    fn key_bits(&self) -> u32 {
        self.0.key_bits()
    }
    fn draws(&self) -> usize {
        self.0.draws()
    }
    fn layout(
        &self,
        stage: usize,
        packing: Packing,
        images: usize,
    ) -> Result<StageLayout, ProtocolError> {
        self.0.layout(stage, packing, images)
    }
    fn ask(
        &mut self,
        stage: usize,
        layout: &StageLayout,
        plaintexts: &[Plaintext],
    ) -> Result<Vec<Vec<Plaintext>>, AuditError> {
        let mut answers = self.0.ask(stage, layout, plaintexts)?;
        let wrong = answers[0][0].to_signed() + (1u64 << 40);
        answers[0][0] = Plaintext::from_signed(&wrong);
        Ok(answers)
    }
    fn classify(
        &mut self,
        images: &[Vec<i64>],
        see: &mut dyn FnMut(Seen<'_>),
        progress: &(dyn Fn(usize, f64) + Sync),
    ) -> Result<(), AuditError> {
        let mut see = |seen: Seen<'_>| {
            let mut results = seen.results.to_vec();
            results[0] += i64::from(seen.image == 3);
            see(Seen {
                results: &results,
                ..seen
            });
        };
        self.0.classify(images, &mut see, progress)
    }
    fn traffic(&self) -> &[Traffic] {
        self.0.traffic()
    }
}

#[test]
fn wrong_answers_are_reported_as_inexact() {
    let model = chosen::attack(&mut Liar(service()), &|_| {}).expect("an audit");
    let scores = truth().layers(&model);
    assert!(scores.iter().all(|score| !score.is_exact()), "{scores:?}");

    let curve = natural::attack(&mut Liar(service()), &images(80), &|_| {}).expect("an audit");
    let (_, model) = curve.last().expect("a point");
    assert_eq!(model[0].explains, Some(false));
}

/// A server of `network` that is refused before anything is asked.
struct Unasked {
    network: Network,
    /// Bits of the key for which there are layouts.
    layout_bits: u32,
    /// Bits that the key is said to have.
    key_bits: u32,
    draws: usize,
}

impl Service for Unasked {
    fn profile(&self) -> &Profile {
        self.network.profile()
    }

    fn key_bits(&self) -> u32 {
        self.key_bits
    }

    fn draws(&self) -> usize {
        self.draws
    }

    fn layout(
        &self,
        stage: usize,
        packing: Packing,
        images: usize,
    ) -> Result<StageLayout, ProtocolError> {
        let (profile, bits) = (self.profile(), self.layout_bits);
        let of = &profile.stages[stage];
        let inputs = profile.input_range(stage);
        let layout = StageLayout::new(&of.linear, inputs, of.range, bits, images, packing);
        Ok(layout.expect("room for slots"))
    }

    fn ask(
        &mut self,
        _: usize,
        _: &StageLayout,
        _: &[Plaintext],
    ) -> Result<Vec<Vec<Plaintext>>, AuditError> {
        unreachable!("nothing can be asked")
    }

    fn classify(
        &mut self,
        _: &[Vec<i64>],
        _: &mut dyn FnMut(Seen<'_>),
        _: &(dyn Fn(usize, f64) + Sync),
    ) -> Result<(), AuditError> {
        unreachable!("nothing can be asked")
    }

    fn traffic(&self) -> &[Traffic] {
        &[]
    }
}

#[test]
fn a_key_without_room_for_a_weight_is_refused() {
    let mut short = Unasked {
        network: network(),
        layout_bits: KEY_BITS,
        key_bits: 24,
        draws: 1,
    };
    let refused = chosen::attack(&mut short, &|_| {});
    assert!(matches!(refused, Err(AuditError::KeyTooShort { .. })));
}

#[test]
fn a_reply_to_another_query_is_refused() {
    struct Stale<E>(E, Option<Reply>);
    impl<E: Exchange> Exchange for Stale<E> {
        fn send(
            &mut self,
            query: &Query,
            progress: &(dyn Fn(f64) + Sync),
        ) -> Result<Reply, AuditError> {
            let reply = self.0.send(query, progress)?;
            Ok(self.1.get_or_insert(reply).clone())
        }
    }
    let mut service = auditor(|server| Stale(server, None));
    let refused = chosen::attack(&mut service, &|_| {});
    assert!(matches!(refused, Err(AuditError::OtherQuery)));
}

/// [`network`] with a deviation of 6 for each weight and of 40 for each bias.
fn bayesian() -> BayesianNetwork {
    let (mut profile, means) = network().into_parts();
    profile.posterior = Some(Posterior { truncation: 4 });
    let deviations = means
        .iter()
        .map(|layer| Deviations {
            weights: vec![6; layer.weights.len()],
            bias: vec![40; layer.bias.len()],
        })
        .collect();
    BayesianNetwork::new(profile, means, deviations).expect("a sound network")
}

/// An auditor of [`bayesian`] whose queries ask for `samples` paths.
fn bayesian_service(samples: usize) -> impl Service {
    let network = bayesian();
    let keys = ClientKeys::Owner(key());
    let client = bayhenn::client(network.profile().clone(), keys, samples).expect("Bayesian");
    let server = bayhenn::Server::new(network).for_whole_run();
    Auditor::new(client, InProcess::new(server, rng(7), rng(4)), rng(5))
}

/// The generator is seeded, so what is likely is certain; the bounds are far
/// from what is expected all the same.
#[test]
fn the_error_against_bayhenn_falls_with_the_square_root_of_the_answers() {
    let mut service = bayesian_service(8);
    let truth = truth();
    let mut curve = Vec::new();
    let mut see = |count: usize, model: Model, _: &dyn Service| {
        assert!(model.iter().all(|layer| layer.explains.is_none()));
        curve.push((count, truth.layers(&model), model));
    };
    repeat::attack(&mut service, 256, &mut see, &|_| {}).expect("an audit");
    let counts: Vec<usize> = curve.iter().map(|(count, ..)| *count).collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    for layer in 0..3 {
        let error = |point: usize| curve[point].1[layer].mean_error;
        // 16 times the answers, a quarter of the error.
        for (few, many) in [(0, 4), (2, 6), (4, 8)] {
            let ratio = error(few) / error(many);
            assert!((2.0..8.0).contains(&ratio), "layer {layer}: {ratio}");
        }
        // The scatter tells the deviation.
        let deviations = curve[8].2[layer].deviations.as_ref().expect("many answers");
        let first = deviations[0];
        assert!((4.5..7.5).contains(&first), "{first}");
    }
    // 8 answers a query, and one query more for what does not fit a message.
    assert_eq!(service.traffic()[0].messages, 256 / 8);
}

/// One query holds many images, and all of them meet the same weights.
#[test]
fn natural_images_of_one_query_recover_the_weights_that_bayhenn_drew_for_it() {
    let mut service = bayesian_service(2);
    let curve = natural::attack(&mut service, &images(150), &|_| {}).expect("an audit");
    let (_, model) = curve.last().expect("a point");
    assert_eq!(model[0].explains, Some(true));
    let score = &truth().layers(model)[0];
    assert!((1.0..40.0).contains(&score.mean_error), "{score:?}");
}

#[test]
fn a_layer_that_takes_more_images_than_a_query_may_have_is_refused() {
    // Two positions in slots of a few bits: room for hundreds of positions, of
    // which more than half must be taken so that no outputs share a ciphertext.
    let stage = Stage {
        name: "conv".into(),
        linear: Linear::Conv {
            input: Shape::new(1, 1, 3),
            outputs: 2,
            kernel: (1, 2),
            stride: 1,
            padding: 0,
        },
        range: Range::new(0, 0),
        then: vec![],
    };
    let input = InputSpec {
        shape: Shape::new(1, 1, 3),
        min: 0,
        max: 7,
    };
    let labels = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let weights = Weights {
        weights: vec![1, -2, 3, 1],
        bias: vec![1, 2],
    };
    let profile = Profile::new("two", input, vec![stage], labels, 1.0);
    let network = Network::new(profile, vec![weights]).expect("a network");
    let many_draws = Unasked {
        network,
        layout_bits: 4096,
        key_bits: 4096,
        draws: 64,
    };
    let refused = chosen::Plan::new(&many_draws, 0);
    assert!(matches!(
        refused,
        Err(AuditError::TooManyImages { draws: 64, .. })
    ));
}
