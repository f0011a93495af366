//! Gradients against finite differences.

use candle_core::{Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::*;
use crate::train::noise::normals;

fn random(rng: &mut ChaCha8Rng, shape: &[usize]) -> Var {
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Var::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Compares the gradients of `Σ weight·f(vars)` with central differences.
fn check(vars: &[Var], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let tensors = || -> Vec<Tensor> { vars.iter().map(|v| v.as_tensor().clone()).collect() };
    let shape = f(&tensors()).unwrap().dims().to_vec();
    let mix = random(&mut rng, &shape).detach();
    let value = || (f(&tensors()).unwrap() * &mix).unwrap().sum_all().unwrap();
    let gradients = value().backward().unwrap();
    for var in vars {
        let exact = gradients.get(var).unwrap().flatten_all().unwrap();
        let exact = exact.to_vec1::<f32>().unwrap();
        let origin = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in 0..origin.len() {
            let moved = |by: f32| {
                let mut values = origin.clone();
                values[i] += by;
                var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                value().to_scalar::<f32>().unwrap()
            };
            let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            moved(0.0);
            assert!(
                (numeric - exact[i]).abs() < 2e-2 * (1.0 + exact[i].abs()),
                "element {i}: {numeric} by differences, {} by the operation",
                exact[i]
            );
        }
    }
}

#[test]
fn convolutions_have_the_gradient_of_their_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (kernel, stride, padding) in [
        ((3, 3), 1, 0),
        ((3, 3), 1, 1),
        ((5, 5), 1, 2),
        ((4, 4), 2, 2),
        ((6, 5), 1, 0),
        ((1, 1), 3, 0),
    ] {
        let vars = [
            random(&mut rng, &[2, 3, 6, 5]),
            random(&mut rng, &[4, 2, kernel.0, kernel.1]),
            random(&mut rng, &[4]),
        ];
        let window = Window {
            kernel,
            stride,
            padding,
        };
        check(&vars, |v| {
            v[0].apply_op3(&v[1], &v[2], LinearLayer::new(window, Vec::new()))
        });
    }
}

#[test]
fn noisy_layers_have_the_gradient_of_their_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (kernel, padding, positions) in [((3, 3), 1, 12), ((4, 3), 0, 1)] {
        let vars = [
            random(&mut rng, &[2, 3, 4, 3]),
            random(&mut rng, &[10, 2, kernel.0, kernel.1]),
            random(&mut rng, &[10]),
        ];
        // Deviations away from 0, where the root has a kink.
        for var in &vars[1..] {
            let apart = (var.as_tensor().detach().abs().unwrap() + 0.5).unwrap();
            var.set(&apart).unwrap();
        }
        let noise = random(&mut rng, &[5 * 3 * positions])
            .to_vec1::<f32>()
            .unwrap();
        let window = Window {
            kernel,
            stride: 1,
            padding,
        };
        check(&vars, |v| {
            let layer = NoisyLayer::new(window, vec![Step::Square], noise.clone());
            (v[0].apply_op3(&v[1], &v[2], layer)? * 0.01)?.contiguous()
        });
    }
}

#[test]
fn a_noisy_layer_has_the_mean_and_variance_of_drawn_weights() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let tensor =
        |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
    let window = Window {
        kernel: (1, 1),
        stride: 1,
        padding: 0,
    };
    // Two inputs of one image: 3·N(1, 0.5²) − 2·N(4, 0.25²) + N(5, 2²).
    let x = tensor(vec![3.0, -2.0], &[2, 1, 1, 1]);
    let w = tensor(vec![1.0, 4.0, 0.5, 0.25], &[2, 2, 1, 1]);
    let b = tensor(vec![5.0, 2.0], &[2]);
    let count = 4000;
    let draws: Vec<f64> = normals(&mut rng, count)
        .into_iter()
        .map(|e| {
            let layer = NoisyLayer::new(window, Vec::new(), vec![e]);
            let y = x.apply_op3(&w, &b, layer).unwrap().flatten_all().unwrap();
            f64::from(y.to_vec1::<f32>().unwrap()[0])
        })
        .collect();
    let mean = draws.iter().sum::<f64>() / count as f64;
    let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count as f64;
    // 9/4 + 4/16 + 4 = 6.5; four standard errors.
    assert!(mean.abs() < 4.0 * (6.5f64 / count as f64).sqrt(), "{mean}");
    assert!(
        (variance - 6.5).abs() < 4.0 * 6.5 * (2.0 / count as f64).sqrt(),
        "{variance}"
    );
}

#[test]
fn convolution_agrees_with_candles_own() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (stride, padding) in [(1, 0), (1, 2), (2, 2), (3, 1)] {
        let x = random(&mut rng, &[3, 70, 9, 9]).detach();
        let w = random(&mut rng, &[5, 3, 5, 5]).detach();
        let b = Tensor::zeros(5, candle_core::DType::F32, &Device::Cpu).unwrap();
        let window = Window {
            kernel: (5, 5),
            stride,
            padding,
        };
        let ours = x
            .apply_op3(&w, &b, LinearLayer::new(window, Vec::new()))
            .unwrap();
        let image_major = x.transpose(0, 1).unwrap().contiguous().unwrap();
        let theirs = image_major.conv2d(&w, padding, stride, 1, 1).unwrap();
        let theirs = theirs.transpose(0, 1).unwrap();
        let gap = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap();
        assert!(gap.to_scalar::<f32>().unwrap() < 1e-4);
    }
}

#[test]
fn activations_and_pooling_have_the_gradient_of_their_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // Distinct values well apart: no kink lies within a difference.
    let mut values: Vec<f32> = (0..48).map(|i| i as f32 * 0.1 - 2.45).collect();
    for i in (1..values.len()).rev() {
        values.swap(i, rng.random_range(0..=i));
    }
    let var = |values: Vec<f32>, shape: &[usize]| Var::from_vec(values, shape, &Device::Cpu);
    let vars = [
        var(values, &[1, 2, 4, 6]).unwrap(),
        var(vec![1.0], &[1, 1, 1, 1]).unwrap(),
        var(vec![0.0], &[1]).unwrap(),
    ];
    let pool = |kind| Step::Pool(Pool { kind, size: 2 });
    let (average, max) = (pool(PoolKind::Average), pool(PoolKind::Max));
    let window = Window {
        kernel: (1, 1),
        stride: 1,
        padding: 0,
    };
    for then in [
        vec![Step::Relu],
        vec![average],
        vec![max],
        vec![Step::Relu, average],
        vec![Step::Relu, max],
        vec![max, Step::Relu],
        vec![Step::Square, average],
        vec![average, Step::Square],
    ] {
        check(&vars, |v| {
            v[0].apply_op3(&v[1], &v[2], LinearLayer::new(window, then.clone()))
        });
    }
}

#[test]
fn cross_entropy_has_the_gradient_of_its_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let vars = [random(&mut rng, &[5, 3, 1, 1])];
    check(&vars, |v| {
        let labels = vec![0, 4, 2];
        v[0].apply_op1(CrossEntropy { labels })
    });
}

#[test]
fn a_label_beyond_the_classes_is_refused() {
    let logits = Tensor::zeros((3, 1, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(logits.apply_op1(CrossEntropy { labels: vec![3] }).is_err());
}

#[test]
fn quantisation_learns_the_step_and_passes_gradients_inside_the_range_only() {
    let levels = Levels::weights(3);
    let x = Var::from_vec(vec![0.26f32, -2.0, 0.9, 0.5], &[2, 2], &Device::Cpu).unwrap();
    let steps = Var::from_vec(vec![0.5f32.ln(), 0.2f32.ln()], 2, &Device::Cpu).unwrap();
    let y = x.apply_op2(&steps, FakeQuantise { levels }).unwrap();
    let got = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&got, &[0.5, -1.5, 0.6, 0.6]), "{got:?}");
    let gradients = y.sum_all().unwrap().backward().unwrap();
    let gx = gradients.get(&x).unwrap().flatten_all().unwrap();
    assert!(near(&gx.to_vec1().unwrap(), &[1.0, 0.0, 0.0, 1.0]));
    let gs = gradients.get(&steps).unwrap().to_vec1::<f32>().unwrap();
    // 0.5 − 0.26 and the bound −1.5; the bound 0.6 and 0.6 − 0.5.
    assert!(near(&gs, &[0.24 - 1.5, 0.6 + 0.1]), "{gs:?}");
}

#[test]
fn the_best_step_of_values_on_a_grid_is_the_grid() {
    let levels = Levels::weights(8);
    let values: Vec<f32> = (-127..=127).map(|i| i as f32 * 0.01).collect();
    assert!((levels.best_log_step(&values).exp() - 0.01).abs() < 1e-6);
    assert!(levels.best_log_step(&[0.0; 4]).is_finite());
}
