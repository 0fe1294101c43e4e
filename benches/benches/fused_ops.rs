//! Operations of a transformer as one kernel, beside the same composed of burn's own.

use std::hint::black_box;

use burn::tensor::module::attention_fallback;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Tensor, activation};
use criterion::{Criterion, criterion_group, criterion_main};
use fused_ops::Attended;

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
}

/// Calls both forms in turn, so that a busy machine is busy for both.
fn both<R>(
    criterion: &mut Criterion,
    name: &str,
    mut kernel: impl FnMut() -> R,
    mut composed: impl FnMut() -> R,
) {
    let mut group = criterion.benchmark_group(name);
    group.bench_function("kernel", |bencher| bencher.iter(|| black_box(kernel())));
    group.bench_function("composed", |bencher| bencher.iter(|| black_box(composed())));
    group.finish();
}

fn linear(criterion: &mut Criterion) {
    for n_rows in [1, 16, 310] {
        let (x, weight) = (random([n_rows, 576]), random([1536, 576]));
        both(
            criterion,
            &format!("linear/{n_rows}"),
            || fused_ops::linear(x.clone(), weight.clone(), None),
            || x.clone().matmul(weight.clone().transpose()),
        );
    }
}

fn norm_and_activations(criterion: &mut Criterion) {
    let (x, weight) = (random([960, 256]), random([256]));
    both(
        criterion,
        "rms_norm",
        || fused_ops::rms_norm(x.clone(), weight.clone(), 1e-5),
        || {
            let deviation = (x.clone().square().mean_dim(1) + 1e-5).sqrt();
            x.clone() / deviation * weight.clone().unsqueeze()
        },
    );
    let (gate, up) = (random([960, 688]), random([960, 688]));
    both(criterion, "gelu", || fused_ops::gelu(gate.clone()), || activation::gelu(gate.clone()));
    both(
        criterion,
        "swiglu",
        || fused_ops::swiglu(gate.clone(), up.clone()),
        || activation::silu(gate.clone()) * up.clone(),
    );
}

fn attention(criterion: &mut Criterion) {
    let of = |heads: usize| random([4, 310, heads, 64]).swap_dims(1, 2);
    let inputs = [of(9), of(9), of(9)];
    let gradients = |f: &dyn Fn([Tensor<4>; 3]) -> Tensor<4>| {
        let leaves = inputs.clone().map(|x| x.autodiff().require_grad());
        let gradients = f(leaves.clone()).sum().backward();
        leaves[0].grad(&gradients).expect("a gradient")
    };
    both(
        criterion,
        "attention, forward and backward",
        || {
            gradients(&|[queries, keys, values]| {
                let (hidden, is_causal, is_training) = (None, true, true);
                fused_ops::attention(Attended { queries, keys, values, hidden, is_causal, is_training })
            })
        },
        || {
            gradients(&|[q, k, v]| {
                let options = AttentionModuleOptions { is_causal: true, ..AttentionModuleOptions::default() };
                attention_fallback(q, k, v, None, None, options)
            })
        },
    );
}

criterion_group!(benches, linear, norm_and_activations, attention);
criterion_main!(benches);
