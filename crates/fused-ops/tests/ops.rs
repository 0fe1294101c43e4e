//! Values and gradients of each operation against the same composed of burn's own operations, and
//! the same bits with any number of threads.
#![cfg(feature = "flex")]
#![expect(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

use burn::tensor::module::{attention_fallback, layer_norm};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, DType, Device, Gradients, Tensor, TensorData, activation};
use fused_ops::{AdamWMoments, AdamWNumbers, Attended};

/// Numbers that look random and are the same on every machine.
fn numbers<const D: usize>(shape: [usize; D], seed: u32, device: &Device) -> Tensor<D> {
    let n = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..n)
        .map(|i| {
            let mixed = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503));
            let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519);
            ((mixed ^ (mixed >> 13)) % 20_001) as f32 / 10_000.0 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn close<const D: usize>(got: &Tensor<D>, expected: &Tensor<D>, what: &str) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let (got, expected) = (got.clone().without_autodiff(), expected.clone().without_autodiff());
    let largest: f32 = expected.clone().abs().max().into_scalar();
    let worst: f32 = (got - expected).abs().max().into_scalar();
    assert!(worst <= 3e-6 * largest.max(1.0), "{what}: {worst} of {largest}");
}

/// Output and gradients of both forms; the loss weighs outputs unevenly.
fn compare<const D: usize, const E: usize>(
    what: &str,
    inputs: &[Tensor<D>],
    kernel: impl Fn(&[Tensor<D>]) -> Tensor<E>,
    composed: impl Fn(&[Tensor<D>]) -> Tensor<E>,
) {
    let run = |f: &dyn Fn(&[Tensor<D>]) -> Tensor<E>| {
        let inputs: Vec<Tensor<D>> = inputs.iter().map(|x| x.clone().autodiff().require_grad()).collect();
        let out = f(&inputs);
        let weight = numbers(out.dims(), 77, &Device::flex());
        let gradients: Gradients = (out.clone() * weight).sum().backward();
        let gradients: Vec<Tensor<D>> =
            inputs.iter().map(|x| x.grad(&gradients).expect("a gradient")).collect();
        (out, gradients)
    };
    let (got, got_gradients) = run(&kernel);
    let (expected, expected_gradients) = run(&composed);
    close(&got, &expected, what);
    for (at, (got, expected)) in got_gradients.iter().zip(&expected_gradients).enumerate() {
        close(got, expected, &format!("{what}, gradient {at}"));
    }
    // without a graph
    close(&kernel(inputs), &expected, what);
}

#[test]
fn linear_maps() {
    let device = Device::flex();
    for (n_rows, d_input, d_output) in
        [(1, 5, 3), (4, 37, 34), (24, 64, 70), (25, 48, 33), (300, 96, 130), (70, 1024, 50)]
    {
        let x = numbers([n_rows, d_input], 1, &device);
        let weight = numbers([d_output, d_input], 2, &device);
        let what = format!("{n_rows} rows, {d_input} to {d_output}");
        compare(
            &what,
            &[x.clone(), weight.clone()],
            |t| fused_ops::linear(t[0].clone(), t[1].clone(), None),
            |t| t[0].clone().matmul(t[1].clone().transpose()),
        );
        let bias = numbers([1, d_output], 3, &device);
        compare(
            &what,
            &[x.clone(), weight.clone(), bias],
            |t| fused_ops::linear(t[0].clone(), t[1].clone(), Some(t[2].clone().squeeze_dim(0))),
            |t| t[0].clone().matmul(t[1].clone().transpose()) + t[2].clone(),
        );
        // a frozen weight: only the input has a gradient
        compare(
            &what,
            &[x],
            |t| fused_ops::linear(t[0].clone(), weight.clone(), None),
            |t| t[0].clone().matmul(weight.clone().transpose()),
        );
    }
    let x = numbers([2, 3, 8], 4, &device).swap_dims(0, 1);
    let weight = numbers([5, 8], 5, &device);
    let expected = x.clone().matmul(weight.clone().transpose().unsqueeze());
    close(&fused_ops::linear(x, weight, None), &expected, "rows in another order");
}

/// Halves have no kernels: both orders of the composed product.
#[test]
fn linear_maps_of_halves() {
    let device = Device::flex();
    for n_rows in [3, 100] {
        let (x, weight) = (numbers([n_rows, 16], 4, &device), numbers([24, 16], 5, &device));
        let bias = numbers([24], 6, &device);
        let expected = fused_ops::linear(x.clone(), weight.clone(), Some(bias.clone()));
        let half = DType::F16;
        let got = fused_ops::linear(x.cast(half), weight.cast(half), Some(bias.cast(half)));
        assert_eq!(got.dtype(), half);
        let worst: f32 = (got.cast(DType::F32) - expected).abs().max().into_scalar();
        assert!(worst < 0.02, "{n_rows} rows: {worst}");
    }
}

#[test]
fn weights_in_another_order_of_memory() {
    let device = Device::flex();
    for n_rows in [1, 40] {
        let (x, weight) = (numbers([n_rows, 48], 4, &device), numbers([96, 48], 5, &device));
        let turned = fused_ops::lay_out_for_many_rows(weight.clone());
        let bytes = |x: &Tensor<2>| x.clone().into_data().as_bytes().to_vec();
        assert_eq!(bytes(&turned), bytes(&weight), "the same matrix");
        compare(
            "the whole weight",
            std::slice::from_ref(&x),
            |t| fused_ops::linear(t[0].clone(), turned.clone(), None),
            |t| t[0].clone().matmul(weight.clone().transpose()),
        );
        compare(
            "some of its rows",
            std::slice::from_ref(&x),
            |t| fused_ops::linear(t[0].clone(), turned.clone().narrow(0, 32, 32), None),
            |t| t[0].clone().matmul(weight.clone().narrow(0, 32, 32).transpose()),
        );
    }
}

#[test]
fn norms() {
    let device = Device::flex();
    for (n_rows, width) in [(1, 7), (5, 64), (400, 192)] {
        let x = numbers([n_rows, width], 6, &device);
        let weight = numbers([1, width], 7, &device);
        let bias = numbers([1, width], 8, &device);
        compare(
            "rms norm",
            &[x.clone(), weight.clone()],
            |t| fused_ops::rms_norm(t[0].clone(), t[1].clone().squeeze_dim(0), 1e-5),
            |t| {
                let deviation = (t[0].clone().square().mean_dim(1) + 1e-5).sqrt();
                t[0].clone() / deviation * t[1].clone()
            },
        );
        compare(
            "layer norm",
            &[x, weight, bias],
            |t| {
                let (weight, bias) = (t[1].clone().squeeze_dim(0), t[2].clone().squeeze_dim(0));
                fused_ops::layer_norm(t[0].clone(), weight, bias, 1e-6)
            },
            |t| {
                let (weight, bias) = (t[1].clone().squeeze_dim(0), t[2].clone().squeeze_dim(0));
                layer_norm(t[0].clone(), weight, Some(bias), 1e-6)
            },
        );
    }
}

#[test]
fn activations() {
    let device = Device::flex();
    for n in [1, 17, 50_000] {
        let x = numbers([1, n], 9, &device) * 6.0;
        let up = numbers([1, n], 10, &device);
        compare(
            "gelu",
            std::slice::from_ref(&x),
            |t| fused_ops::gelu(t[0].clone()),
            |t| activation::gelu(t[0].clone()),
        );
        compare(
            "swiglu",
            &[x, up],
            |t| fused_ops::swiglu(t[0].clone(), t[1].clone()),
            |t| activation::silu(t[0].clone()) * t[1].clone(),
        );
    }
}

#[test]
fn rotations() {
    let device = Device::flex();
    let x = numbers([2, 5, 3, 8], 11, &device).swap_dims(1, 2); // heads in front of positions
    let angles = numbers([2, 1, 5, 4], 12, &device) * 3.0;
    let (cos, sin) = (angles.clone().cos(), angles.sin());
    compare(
        "rotation",
        &[x],
        |t| fused_ops::rotate(t[0].clone(), &cos, &sin),
        |t| {
            let (a, b) = (t[0].clone().narrow(3, 0, 4), t[0].clone().narrow(3, 4, 4));
            let (cos, sin) = (cos.clone(), sin.clone());
            Tensor::cat(vec![a.clone() * cos.clone() - b.clone() * sin.clone(), b * cos + a * sin], 3)
        },
    );
}

fn composed_attention(t: &[Tensor<4>], hidden: Option<&Tensor<4, Bool>>, is_causal: bool) -> Tensor<4> {
    let [batch, n_heads, n_queries, _] = t[0].dims();
    let [_, n_kv_heads, n_keys, width] = t[1].dims();
    let group = n_heads / n_kv_heads;
    let repeat = |x: &Tensor<4>| {
        let x = x.clone().unsqueeze_dim::<5>(2).expand([batch, n_kv_heads, group, n_keys, width]);
        x.reshape([batch, n_heads, n_keys, width])
    };
    let options = AttentionModuleOptions { is_causal, ..AttentionModuleOptions::default() };
    let hidden = hidden.map(|hidden| hidden.clone().expand([batch, n_heads, n_queries, n_keys]));
    attention_fallback(t[0].clone(), repeat(&t[1]), repeat(&t[2]), hidden, None, options)
}

#[test]
fn attention() {
    let device = Device::flex();
    // batch, heads, key heads, queries, keys, head width
    for [b, h, g, n, m, d] in
        [[1, 1, 1, 1, 1, 4], [2, 4, 2, 5, 5, 8], [1, 6, 3, 1, 40, 16], [2, 3, 1, 150, 170, 32]]
    {
        // as a projection leaves them: heads behind positions in memory
        let of = |heads: usize, n: usize, seed| numbers([b, n, heads, d], seed, &device).swap_dims(1, 2);
        let inputs = [of(h, n, 13), of(g, m, 14), of(g, m, 15)];
        let padding = numbers([b, 1, n, m], 16, &device).greater_elem(0.6);
        // the first key is seen by all
        let first = Tensor::<4>::zeros([b, 1, n, 1], &device).greater_elem(0.0);
        let padding = if m > 1 { Tensor::cat(vec![first, padding.narrow(3, 1, m - 1)], 3) } else { first };
        for is_causal in [false, true] {
            for hidden in [None, Some(padding.clone())] {
                let what = format!("{b}x{h}/{g} heads, {n} of {m}, causal {is_causal}, {}", hidden.is_some());
                let future = Tensor::<2, Bool>::tril_mask([n, m], (m - n) as i64, &device).unsqueeze::<4>();
                let hidden =
                    hidden.map(
                        |hidden| {
                            if is_causal { hidden.bool_or(future.expand([b, 1, n, m])) } else { hidden }
                        },
                    );
                let attended = |t: &[Tensor<4>]| Attended {
                    queries: t[0].clone(),
                    keys: t[1].clone(),
                    values: t[2].clone(),
                    hidden: hidden.clone(),
                    is_causal,
                    is_training: true,
                };
                compare(
                    &what,
                    &inputs,
                    |t| fused_ops::attention(attended(t)),
                    |t| composed_attention(t, hidden.as_ref(), is_causal),
                );
            }
        }
    }
}

#[test]
fn a_query_that_sees_nothing_gives_zeros() {
    let device = Device::flex();
    let x = || numbers([1, 2, 3, 4], 17, &device).autodiff().require_grad();
    let (queries, keys, values) = (x(), x(), x());
    let hidden = Tensor::<4>::ones([1, 1, 3, 3], &device).greater_elem(0.0);
    let out = fused_ops::attention(Attended {
        queries: queries.clone(),
        keys,
        values,
        hidden: Some(hidden),
        is_causal: true,
        is_training: true,
    });
    let gradients = out.clone().sum().backward();
    let largest = |x: Tensor<4>| x.abs().max().into_scalar::<f32>();
    assert_eq!(largest(out.without_autodiff()), 0.0);
    assert_eq!(largest(queries.grad(&gradients).expect("a gradient")), 0.0);
}

/// Against the definition, in f64.
#[test]
fn adamw() {
    let device = Device::flex();
    let shape = [37, 1000];
    let mut parameter = numbers(shape, 18, &device);
    let list = |x: &Tensor<2>| x.clone().into_data().try_into_vec::<f32>().expect("f32");
    let mut expected: Vec<(f64, f64, f64)> =
        list(&parameter).iter().map(|x| (f64::from(*x), 0.0, 0.0)).collect();
    let mut moments: Option<AdamWMoments<2>> = None;
    for n_before in 0..4 {
        let gradient = numbers(shape, 19 + n_before as u32, &device);
        for ((p, m, v), g) in expected.iter_mut().zip(list(&gradient)) {
            let g = f64::from(g);
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.98 * *v + 0.02 * g * g;
            let time = n_before as i32 + 1;
            let step = *m / (1.0 - 0.9_f64.powi(time)) / ((*v / (1.0 - 0.98_f64.powi(time))).sqrt() + 1e-8);
            *p -= 1e-3 * 0.05 * *p + 1e-3 * step;
        }
        assert!(fused_ops::has_adamw(&parameter, &gradient));
        let numbers =
            AdamWNumbers { lr: 1e-3, beta_1: 0.9, beta_2: 0.98, epsilon: 1e-8, weight_decay: 0.05, n_before };
        let (updated, kept) = fused_ops::adamw(parameter, gradient, moments, numbers);
        (parameter, moments) = (updated, Some(kept));
    }
    let moments = moments.expect("four updates");
    let lists = list(&parameter).into_iter().zip(list(&moments.first)).zip(list(&moments.second));
    for (((p, m), v), expected) in lists.zip(&expected) {
        assert!((f64::from(p) - expected.0).abs() < 1e-6, "{p} against {}", expected.0);
        assert!((f64::from(m) - expected.1).abs() < 1e-6);
        assert!((f64::from(v) - expected.2).abs() < 1e-6);
    }
}

#[test]
fn the_same_bits_with_any_number_of_threads() {
    let run = || {
        let device = Device::flex();
        let x = numbers([4, 90, 128], 30, &device).autodiff().require_grad();
        let weights: Vec<Tensor<2>> = [[384, 128], [256, 128], [256, 128], [128, 256]]
            .map(|shape| numbers(shape, 31, &device).autodiff().require_grad())
            .to_vec();
        let weight = numbers([128], 32, &device).autodiff().require_grad();
        let normed = fused_ops::rms_norm(x.clone(), weight.clone(), 1e-5);
        let qkv = fused_ops::linear(normed, weights[0].clone(), None);
        let part = |at: usize| qkv.clone().narrow(2, at * 128, 128).reshape([4, 90, 4, 32]).swap_dims(1, 2);
        let out = fused_ops::attention(Attended {
            queries: part(0),
            keys: part(1),
            values: part(2),
            hidden: None,
            is_causal: true,
            is_training: true,
        });
        let y = x.clone() + out.swap_dims(1, 2).reshape([4, 90, 128]);
        let (gate, up) = (
            fused_ops::linear(y.clone(), weights[1].clone(), None),
            fused_ops::linear(y, weights[2].clone(), None),
        );
        let out = fused_ops::linear(
            fused_ops::gelu(fused_ops::swiglu(gate, up)),
            weights[3].clone(),
            Some(weight.clone()),
        );
        let gradients = out.clone().square().mean().backward();
        let bytes = |data: TensorData| data.as_bytes().to_vec();
        let mut all = vec![bytes(out.into_data()), bytes(x.grad(&gradients).expect("x").into_data())];
        all.extend(weights.iter().map(|w| bytes(w.grad(&gradients).expect("weight").into_data())));
        all.push(bytes(weight.grad(&gradients).expect("norm").into_data()));
        all
    };
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
        pool.install(run)
    };
    let one = with(1);
    for n_threads in [2, 3, 7] {
        assert!(with(n_threads) == one, "{n_threads} threads");
    }
}
